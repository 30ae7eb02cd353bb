//! Descriptions at URLs, through the outbound guard.

use url::Url;

use crate::app::App;
use crate::domain::outbound::{OutboundBody, OutboundRequest};
use crate::error::{Error, Result, codes};
use crate::import::document::MOST_BYTES;

/// Fetches a description; of an MCP server, what it lists.
///
/// # Errors
/// When the URL is none, its host is not let through, or it gives nothing.
pub async fn fetch(app: &App, url: &str) -> Result<Vec<u8>> {
    let failed = |problem: String| {
        Error::new(codes::IMPORT_FETCH_FAILED, "The description cannot be fetched")
            .with_errors(vec![problem])
    };
    let parsed = Url::parse(url).ok().filter(|u| matches!(u.scheme(), "http" | "https"));
    let Some(parsed) = parsed.filter(|url| url.has_host() && url.username().is_empty()) else {
        return Err(Error::invalid(
            "Invalid url",
            vec!["url: must be an http or https URL".into()],
        ));
    };
    let request = OutboundRequest {
        method: axum::http::Method::GET,
        url: parsed.clone(),
        headers: vec![("Accept".to_owned(), "application/json, application/yaml, */*".to_owned())],
        body: OutboundBody::Empty,
        timeout: None,
    };
    let answer = app.net.send(request).await.map_err(|e| {
        failed(e.to_string()).fix(
            "Send the description itself, or let its address through with PATCHBAY_EGRESS_ALLOW",
        )
    })?;
    // What does not like to be fetched may be an MCP server.
    if matches!(answer.status, 400 | 401 | 403 | 405 | 406)
        && let Ok(listing) = super::remote::described(app, &parsed).await
    {
        return Ok(listing.to_string().into_bytes());
    }
    if !(200..300).contains(&answer.status) {
        return Err(failed(format!("its host answered {}", answer.status)));
    }
    if answer.body.len() > MOST_BYTES {
        return Err(failed(format!("it has more than {} MB", MOST_BYTES / (1024 * 1024))));
    }
    Ok(answer.body.to_vec())
}
