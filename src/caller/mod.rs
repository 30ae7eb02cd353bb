//! Who is calling: the keys of a request, and its organization's rate limit. Both the API and the
//! MCP endpoints ask here, so that a request counts the same wherever it comes in.

mod rate_limit;

use std::sync::Arc;

use axum::http::HeaderMap;

use crate::app::App;
use crate::cache::project_of;
use crate::db;
use crate::domain::connection::{Principal, Project};
use crate::domain::id::{OrgId, ProjectId};
use crate::error::{Error, Result, codes};
use crate::limits::Usage;

pub use rate_limit::add_headers;

/// What the keys of a request came to.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    /// Of the project's key.
    pub project: Option<Arc<Principal>>,
    /// Of the organization's key.
    pub org: Option<Arc<Principal>>,
    /// A key was sent, whether it is known or not.
    pub sent: bool,
}

/// A request that ends here: why, and how much of the limit is used when that is known.
#[derive(Debug)]
pub struct Refused {
    /// Why.
    pub error: Box<Error>,
    /// For the limit's headers.
    pub usage: Option<Usage>,
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self { error: Box::new(error), usage: None }
    }
}

/// A header as text; what is not text is a text that no key is.
pub fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("\u{fffd}"))
}

/// The project's key among the headers.
pub fn project_key(headers: &HeaderMap) -> Option<&str> {
    header(headers, "x-api-key").or_else(|| header(headers, "x-user-api-key"))
}

/// The organization's key among the headers.
pub fn org_key(headers: &HeaderMap) -> Option<&str> {
    header(headers, "x-org-api-key")
}

/// Looks keys up, and counts the request against the limit of the organization that they belong
/// to.
///
/// # Errors
/// When the limit is used up, or the database is away.
pub async fn identify(
    app: &App,
    project: Option<&str>,
    org: Option<&str>,
) -> Result<(Caller, Option<Usage>), Refused> {
    let mut caller = Caller { sent: project.is_some() || org.is_some(), ..Caller::default() };
    if let Some(key) = project {
        caller.project = app.cache.principal(key.trim()).await?;
    }
    if let Some(key) = org {
        caller.org = app.cache.principal(key.trim()).await?;
    }
    let principal = caller.project.as_ref().or(caller.org.as_ref());
    let usage = count(app, principal.map(|principal| &principal.org_id))?;
    Ok((caller, usage))
}

/// Counts a request against the limit of an organization.
///
/// # Errors
/// When the limit is used up.
pub fn count(app: &App, org: Option<&OrgId>) -> Result<Option<Usage>, Refused> {
    match rate_limit::count(&app.limits, org) {
        Some(Err(usage)) => {
            Err(Refused { error: Box::new(rate_limit::refusal(usage)), usage: Some(usage) })
        }
        Some(Ok(usage)) => Ok(Some(usage)),
        None => Ok(None),
    }
}

impl Caller {
    /// The project that the caller may act on, and by which key.
    ///
    /// # Errors
    /// 401 without a key that opens one.
    pub async fn project(
        self,
        app: &App,
        headers: &HeaderMap,
    ) -> Result<(Arc<Principal>, Arc<Project>)> {
        if let Some(principal) = self.project {
            return match principal.project.clone() {
                Some(project) => Ok((principal, project)),
                None => Err(Error::new(codes::UNAUTHORIZED, "This is an organization key")
                    .fix("Send a project's key in the x-api-key header")),
            };
        }
        // An organization key may act on one of its own projects.
        if let (Some(org), Some(id)) = (self.org, header(headers, "x-project-id"))
            && org.project.is_none()
        {
            let row = db::project::get(&app.db, &ProjectId::from(id)).await?;
            let row = row.filter(|row| row.org_id == org.org_id);
            let row =
                row.ok_or_else(|| Error::not_found(codes::PROJECT_NOT_FOUND, "Project", id))?;
            return Ok((org, Arc::new(project_of(row))));
        }
        Err(unauthorized(self.sent, "x-api-key"))
    }
}

/// The refusal of a request without a good key.
pub fn unauthorized(sent: bool, header: &str) -> Error {
    let message = if sent { "Invalid API key" } else { "No API key was sent" };
    Error::new(codes::UNAUTHORIZED, message).fix(format!("Send a valid key in the {header} header"))
}
