//! Whose request it is.

use std::sync::Arc;

use axum::http::{HeaderMap, header};

use super::refusal::Refusal;
use crate::app::App;
use crate::caller::{self, Refused};
use crate::domain::connection::Project;
use crate::error::{Error, Result, codes};
use crate::limits::Usage;
use crate::mcp_oauth;

/// What a request says about who sends it.
pub(super) struct Visitor<'a> {
    app: &'a App,
    /// Path of the endpoint, which is what a token is good for.
    path: &'a str,
    /// The project of the key or token; none: neither was sent.
    project: Option<Arc<Project>>,
    /// For the limit's headers.
    pub(super) usage: Option<Usage>,
}

impl<'a> Visitor<'a> {
    /// Looks the key or token of a request up.
    ///
    /// # Errors
    /// For one that is not good.
    pub(super) async fn of(
        app: &'a App,
        headers: &HeaderMap,
        path: &'a str,
    ) -> Result<Self, Refusal> {
        match mcp_oauth::authenticate(app, headers, path).await {
            Ok(project) => Ok(Self { app, path, project, usage: None }),
            Err(error) => Err(refused(app, path, true, error)),
        }
    }

    /// The project of the key or token.
    pub(super) fn project(&self) -> Option<&Arc<Project>> {
        self.project.as_ref()
    }

    /// The project of the key or token, which must be there.
    ///
    /// # Errors
    /// 401 without one.
    pub(super) fn needed(&self) -> Result<&Arc<Project>> {
        self.project.as_ref().ok_or_else(|| caller::unauthorized(false, "x-api-key"))
    }

    /// Counts the request, once it is known whose limit it is.
    ///
    /// # Errors
    /// When the limit is used up.
    pub(super) fn count(&mut self, project: &Project) -> Result<(), Refusal> {
        match caller::count(self.app, Some(&project.org_id)) {
            Ok(usage) => {
                self.usage = usage;
                Ok(())
            }
            Err(Refused { error, usage }) => {
                self.usage = usage;
                Err((*error).into())
            }
        }
    }

    /// A refusal that says how to sign in, when that would help.
    pub(super) fn refused(&self, error: Error) -> Refusal {
        refused(self.app, self.path, self.project.is_some(), error)
    }
}

fn refused(app: &App, path: &str, sent: bool, error: Error) -> Refusal {
    let asks = error.code == codes::UNAUTHORIZED;
    let refusal = Refusal::from(error);
    if asks {
        let challenge = mcp_oauth::challenge(app, path, sent);
        return refusal.header(header::WWW_AUTHENTICATE, challenge);
    }
    refusal
}
