//! Who is calling.
//!
//! [`identify`] looks the keys of a request up once; the extractors [`ProjectKey`] and [`OrgKey`]
//! say which kind an operation needs.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::rate_limit;
use crate::app::AppState;
use crate::cache::project_of;
use crate::db;
use crate::domain::connection::{Principal, Project};
use crate::domain::id::ProjectId;
use crate::error::{Error, Result, codes};

/// What the key headers of a request came to.
#[derive(Debug, Clone, Default)]
struct Caller {
    /// Of `x-api-key` or `x-user-api-key`.
    project: Option<Arc<Principal>>,
    /// Of `x-org-api-key`.
    org: Option<Arc<Principal>>,
    /// A key was sent, whether it is known or not.
    sent: bool,
}

/// A key that opens a project.
#[derive(Debug, Clone)]
pub struct ProjectKey {
    /// The key.
    pub principal: Arc<Principal>,
    /// The project that it opens.
    pub project: Arc<Project>,
}

/// A key of an organization.
#[derive(Debug, Clone)]
pub struct OrgKey(pub Arc<Principal>);

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("\u{fffd}"))
}

/// Middleware: looks the caller's keys up, so that operations know them, and counts
/// the request against its organization's rate limit.
pub async fn identify(State(app): State<AppState>, mut request: Request, next: Next) -> Response {
    let headers = request.headers();
    let project = header(headers, "x-api-key").or_else(|| header(headers, "x-user-api-key"));
    let org = header(headers, "x-org-api-key");
    if project.is_none() && org.is_none() {
        return next.run(request).await;
    }
    let mut caller = Caller { sent: true, ..Caller::default() };
    for (key, slot) in [(project, &mut caller.project), (org, &mut caller.org)] {
        if let Some(key) = key {
            match app.cache.principal(key.trim()).await {
                Ok(principal) => *slot = principal,
                Err(error) => return error.into_response(),
            }
        }
    }
    let principal = caller.project.as_ref().or(caller.org.as_ref());
    let usage = match rate_limit::count(&app.limits, principal.map(|p| &p.org_id)) {
        Some(Err(usage)) => return rate_limit::refusal(usage),
        Some(Ok(usage)) => Some(usage),
        None => None,
    };
    request.extensions_mut().insert(caller);
    let mut response = next.run(request).await;
    if let Some(usage) = usage {
        rate_limit::add_headers(&mut response, usage);
    }
    response
}

fn unauthorized(sent: bool, header: &str) -> Error {
    let message = if sent { "Invalid API key" } else { "No API key was sent" };
    Error::new(codes::UNAUTHORIZED, message).fix(format!("Send a valid key in the {header} header"))
}

impl FromRequestParts<AppState> for ProjectKey {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self> {
        let caller = parts.extensions.get::<Caller>().cloned().unwrap_or_default();
        if let Some(principal) = caller.project {
            return match principal.project.clone() {
                Some(project) => Ok(Self { principal, project }),
                None => Err(Error::new(codes::UNAUTHORIZED, "This is an organization key")
                    .fix("Send a project's key in the x-api-key header")),
            };
        }
        // An organization key may act on one of its own projects.
        if let (Some(org), Some(id)) = (caller.org, header(&parts.headers, "x-project-id"))
            && org.project.is_none()
        {
            let row = db::project::get(&app.db, &ProjectId::from(id)).await?;
            let row = row.filter(|row| row.org_id == org.org_id);
            let row =
                row.ok_or_else(|| Error::not_found(codes::PROJECT_NOT_FOUND, "Project", id))?;
            return Ok(Self { principal: org, project: Arc::new(project_of(row)) });
        }
        Err(unauthorized(caller.sent, "x-api-key"))
    }
}

impl FromRequestParts<AppState> for OrgKey {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self> {
        let caller = parts.extensions.get::<Caller>().cloned().unwrap_or_default();
        match caller.org {
            Some(org) if org.project.is_none() => Ok(Self(org)),
            Some(_) => Err(Error::new(codes::UNAUTHORIZED, "This is a project's key")
                .fix("Send the organization's key in the x-org-api-key header")),
            None if caller.project.is_some() => {
                Err(Error::new(codes::UNAUTHORIZED, "This needs an organization key")
                    .fix("Send the organization's key in the x-org-api-key header"))
            }
            None => Err(unauthorized(caller.sent, "x-org-api-key")),
        }
    }
}

/// Either kind of key.
#[derive(Debug, Clone)]
pub struct AnyKey {
    /// The key.
    pub principal: Arc<Principal>,
    /// The project, when the key opens one.
    pub project: Option<Arc<Project>>,
}

impl FromRequestParts<AppState> for AnyKey {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self> {
        let caller = parts.extensions.get::<Caller>().cloned().unwrap_or_default();
        if caller.project.is_none() && !parts.headers.contains_key("x-project-id") {
            let OrgKey(principal) = OrgKey::from_request_parts(parts, app).await?;
            return Ok(Self { principal, project: None });
        }
        let key = ProjectKey::from_request_parts(parts, app).await?;
        Ok(Self { principal: key.principal, project: Some(key.project) })
    }
}
