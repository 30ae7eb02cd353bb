//! Who is calling.
//!
//! [`identify`] looks the keys of a request up once; the extractors [`ProjectKey`] and [`OrgKey`]
//! say which kind an operation needs.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::app::AppState;
use crate::caller::{self, Caller, Refused, unauthorized};
use crate::domain::connection::{Principal, Project};
use crate::error::{Error, Result, codes};

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

/// Middleware: looks the caller's keys up, so that operations know them, and counts
/// the request against its organization's rate limit.
pub async fn identify(State(app): State<AppState>, mut request: Request, next: Next) -> Response {
    let headers = request.headers();
    let (project, org) = (caller::project_key(headers), caller::org_key(headers));
    if project.is_none() && org.is_none() {
        return next.run(request).await;
    }
    let (mut response, usage) = match caller::identify(&app, project, org).await {
        Ok((caller, usage)) => {
            request.extensions_mut().insert(caller);
            (next.run(request).await, usage)
        }
        Err(Refused { error, usage }) => ((*error).into_response(), usage),
    };
    if let Some(usage) = usage {
        caller::add_headers(&mut response, usage);
    }
    response
}

impl FromRequestParts<AppState> for ProjectKey {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self> {
        let caller = parts.extensions.get::<Caller>().cloned().unwrap_or_default();
        let (principal, project) = caller.project(app, &parts.headers).await?;
        Ok(Self { principal, project })
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
