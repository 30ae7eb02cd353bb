//! Who an MCP client works for: a project's key in a header, or a token of the OAuth sign-in.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, header};

use crate::app::App;
use crate::domain::connection::Project;
use crate::error::{Error, Result, codes};

/// Where metadata of protected resources begin; the resource's path follows.
pub const RESOURCE_METADATA: &str = "/.well-known/oauth-protected-resource";

/// The project that a request to an MCP endpoint may act for; none when it says nothing about
/// that. `path` is the endpoint's own, such as `/tool_router/trs_…/mcp` or `/v3/mcp/{id}`.
///
/// # Errors
/// 401 for a key or token that is not valid (here).
pub async fn authenticate(
    app: &App,
    headers: &HeaderMap,
    path: &str,
) -> Result<Option<Arc<Project>>> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("\u{fffd}"));
    let key = text("x-api-key").or_else(|| text("x-user-api-key"));
    let bearer = match text(header::AUTHORIZATION.as_str()).map(|text| text.split_once(' ')) {
        None => None,
        Some(Some((scheme, token))) if scheme.eq_ignore_ascii_case("bearer") => Some(token),
        Some(_) => return Err(invalid("Only Bearer tokens are understood in Authorization")),
    };
    let Some(key) = key.or(bearer) else { return Ok(None) };
    let _ = path;
    match app.cache.principal(key.trim()).await? {
        Some(principal) => match &principal.project {
            Some(project) => Ok(Some(project.clone())),
            None => Err(invalid("This is an organization key")),
        },
        None => Err(invalid("Invalid API key")),
    }
}

fn invalid(message: &'static str) -> Error {
    Error::new(codes::UNAUTHORIZED, message)
        .fix("Send a key of the project in the x-api-key header, or sign in again")
}

/// The `WWW-Authenticate` header of a 401 of an MCP endpoint: where a client learns how to sign
/// in. `sent` says whether the request carried a key or token.
pub fn challenge(app: &App, path: &str, sent: bool) -> HeaderValue {
    let error = if sent { "error=\"invalid_token\", " } else { "" };
    let url = format!("{}{RESOURCE_METADATA}{path}", app.config.public_url);
    HeaderValue::from_str(&format!("Bearer {error}resource_metadata=\"{url}\""))
        .unwrap_or_else(|_| HeaderValue::from_static("Bearer"))
}
