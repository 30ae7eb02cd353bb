//! Who an MCP client works for: a project's key in a header, or a token of the OAuth sign-in
//! (OAuth 2.1: authorization code with PKCE, clients that register themselves, refresh tokens
//! that are used once, and tokens for one endpoint).
//!
//! | module | knows |
//! |---|---|
//! | `client` | what a client may say about itself |
//! | `resource` | the endpoints that tokens are for |
//! | `authorize` | the request that a person decides about |
//! | `token` | codes and tokens |

pub mod authorize;
pub mod client;
pub mod resource;
pub mod token;

use std::borrow::Cow;
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, header};
use serde::Serialize;

use crate::app::App;
use crate::domain::connection::Project;
use crate::error::{Error, Result, codes};

/// Where metadata of protected resources begin; the resource's path follows.
pub const RESOURCE_METADATA: &str = "/.well-known/oauth-protected-resource";
/// The page on which a person decides.
pub const AUTHORIZE_PATH: &str = "/oauth/authorize";
/// Where codes and refresh tokens become tokens.
pub const TOKEN_PATH: &str = "/oauth/token";
/// Where clients register.
pub const REGISTER_PATH: &str = "/oauth/register";
/// Where tokens are revoked.
pub const REVOKE_PATH: &str = "/oauth/revoke";
/// The one scope there is: everything that the endpoint offers.
pub const SCOPE: &str = "mcp";

/// A refusal in the words of the OAuth standards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// A word of the standard.
    pub error: &'static str,
    /// For a person.
    #[serde(rename = "error_description")]
    pub description: Cow<'static, str>,
}

impl Refusal {
    /// A refusal.
    pub fn new(error: &'static str, description: impl Into<Cow<'static, str>>) -> Self {
        Self { error, description: description.into() }
    }
}

/// Why a client does not get what it asks for.
#[derive(Debug)]
pub enum Failure {
    /// It is the client's fault.
    Refused(Refusal),
    /// It is not.
    Server(Error),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Server(error)
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Server(error.into())
    }
}

/// The project that a request to an MCP endpoint may act for; none when it says nothing about
/// that. `path` is the endpoint's own, such as `/tool_router/trs_…/mcp` or `/v3/mcp/{id}`.
///
/// # Errors
/// 401 for a key or token that is not valid, or not valid here.
pub async fn authenticate(
    app: &App,
    headers: &HeaderMap,
    path: &str,
) -> Result<Option<Arc<Project>>> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("\u{fffd}"));
    if let Some(key) = text("x-api-key").or_else(|| text("x-user-api-key")) {
        return by_key(app, key).await.map(Some);
    }
    let Some(authorization) = text(header::AUTHORIZATION.as_str()) else { return Ok(None) };
    match authorization.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
            let token = token.trim();
            if token.starts_with(token::ACCESS) {
                by_token(app, token, path).await.map(Some)
            } else {
                // Some clients can send no other header than this one.
                by_key(app, token).await.map(Some)
            }
        }
        _ => Err(invalid("Only Bearer tokens are understood in Authorization")),
    }
}

async fn by_key(app: &App, key: &str) -> Result<Arc<Project>> {
    match app.cache.principal(key.trim()).await? {
        Some(principal) => match &principal.project {
            Some(project) => Ok(project.clone()),
            None => Err(invalid("This is an organization key")),
        },
        None => Err(invalid("Invalid API key")),
    }
}

async fn by_token(app: &App, token: &str, path: &str) -> Result<Arc<Project>> {
    let ended = || invalid("The sign-in has ended, or was revoked");
    let project = token::project_of(token::ACCESS, token).ok_or_else(ended)?;
    let known = app.cache.mcp_token(&project, token).await?.ok_or_else(ended)?;
    let wanted = resource::canonical(path);
    if !known.resource.is_empty() && wanted.as_ref() != Some(&known.resource) {
        return Err(invalid("The person allowed another endpoint than this one"));
    }
    app.cache.project(&project).await?.ok_or_else(ended)
}

fn invalid(message: &'static str) -> Error {
    Error::new(codes::UNAUTHORIZED, message)
        .fix("Send a key of the project in the x-api-key header, or sign in again")
}

/// The `WWW-Authenticate` header of a 401 of an MCP endpoint: where a client learns how to sign
/// in. `sent` says whether the request carried a key or token.
pub fn challenge(app: &App, path: &str, sent: bool) -> HeaderValue {
    let error = if sent { "error=\"invalid_token\", " } else { "" };
    let path = resource::canonical(path).unwrap_or_default();
    let url = format!("{}{RESOURCE_METADATA}{path}", app.config.public_url);
    HeaderValue::from_str(&format!("Bearer {error}resource_metadata=\"{url}\""))
        .unwrap_or_else(|_| HeaderValue::from_static("Bearer"))
}
