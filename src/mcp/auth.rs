//! Whose request it is.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, header};

use super::refusal::Refusal;
use crate::app::App;
use crate::caller::{self, Refused};
use crate::domain::connection::Project;
use crate::error::codes;
use crate::limits::Usage;

/// The project that a request may act on, and how much of the limit is used.
pub(super) struct Admitted {
    /// The project.
    pub(super) project: Arc<Project>,
    /// For the limit's headers.
    pub(super) usage: Option<Usage>,
}

/// A refusal, with the limit's headers when the limit is why.
pub(super) type Denied = (Refusal, Option<Usage>);

/// Looks the key or token of a request up and counts the request.
///
/// # Errors
/// Without a good one, or when the limit is used up.
pub(super) async fn admit(app: &App, headers: &HeaderMap) -> Result<Admitted, Denied> {
    // Clients that cannot set a header of their own send the key where a token goes.
    let key = caller::project_key(headers).or_else(|| bearer(headers));
    let found = caller::identify(app, key, caller::org_key(headers)).await;
    let (caller, usage) = found.map_err(|Refused { error, usage }| ((*error).into(), usage))?;
    match caller.project(app, headers).await {
        Ok((_, project)) => Ok(Admitted { project, usage }),
        Err(error) => {
            let asks = error.code == codes::UNAUTHORIZED;
            let refusal = Refusal::from(error);
            let refusal = if asks {
                refusal.header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
            } else {
                refusal
            };
            Err((refusal, usage))
        }
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = caller::header(headers, header::AUTHORIZATION.as_str())?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
