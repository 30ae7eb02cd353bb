//! Descriptions at URLs, through the outbound guard.

use std::time::Duration;

use axum::http::{Method, header};
use url::Url;

use crate::app::App;
use crate::domain::outbound::{OutboundBody, OutboundRequest, OutboundResponse};
use crate::error::{Error, Result, codes};
use crate::import::document::MOST_BYTES;

/// Redirects that are followed.
const MOST_REDIRECTS: usize = 5;

/// Fetches a description; of an MCP server, what it lists. Gives its address too, which redirects may have
/// changed.
///
/// # Errors
/// When the URL is none, its host is not let through, or it gives nothing.
pub async fn fetch(app: &App, url: &str) -> Result<(Url, Vec<u8>)> {
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
    let got = get(app, &parsed, usize::MAX, None, |_| Ok(())).await;
    let (place, answer) = got.map_err(|problem| {
        failed(problem).fix(
            "Send the description itself, or let its address through with PATCHBAY_EGRESS_ALLOW",
        )
    })?;
    // What does not like to be fetched may be an MCP server.
    if matches!(answer.status, 400 | 401 | 403 | 405 | 406)
        && let Ok(listing) = super::remote::described(app, &parsed).await
    {
        return Ok((parsed, listing.to_string().into_bytes()));
    }
    if !(200..300).contains(&answer.status) {
        return Err(failed(format!("its host answered {}", answer.status)));
    }
    if answer.body.len() > MOST_BYTES {
        return Err(failed(format!("it has more than {} MB", MOST_BYTES / (1024 * 1024))));
    }
    Ok((place, answer.body.to_vec()))
}

/// What is at an address, or where that redirects to, as long as `may` lets the address through.
///
/// # Errors
/// In words: why there is no answer.
pub(super) async fn get(
    app: &App,
    url: &Url,
    most: usize,
    timeout: Option<Duration>,
    may: impl Fn(&Url) -> std::result::Result<(), String>,
) -> std::result::Result<(Url, OutboundResponse), String> {
    let began = tokio::time::Instant::now();
    let mut url = url.clone();
    for _ in 0..MOST_REDIRECTS {
        may(&url)?;
        let accept = "application/json, application/yaml, */*";
        let request = OutboundRequest {
            method: Method::GET,
            url: url.clone(),
            headers: vec![("Accept".to_owned(), accept.to_owned())],
            body: OutboundBody::Empty,
            timeout: timeout.map(|timeout| timeout.saturating_sub(began.elapsed())),
        };
        let answer = app.net.send_small(request, most).await.map_err(|e| e.to_string())?;
        let moved = matches!(answer.status, 301 | 302 | 303 | 307 | 308);
        let next = answer.headers.get(header::LOCATION).filter(|_| moved);
        let next = next.and_then(|to| url.join(to.to_str().ok()?).ok());
        match next {
            Some(mut next) => {
                next.set_fragment(None);
                url = next;
            }
            None => return Ok((url, answer)),
        }
    }
    Err(format!("{} redirects too often", url.host_str().unwrap_or("its host")))
}
