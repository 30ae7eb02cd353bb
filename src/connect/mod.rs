//! Connecting accounts: auth configs, attempts to connect, the hosted link, the OAuth callback.

pub mod account;
pub mod activate;
pub mod auth_config;
pub mod callback;
pub mod callback_url;
mod check;
pub mod fields;
pub mod link;
pub mod mask;
pub mod revoke;
pub mod start;
mod ticket;
pub mod verifier;

use std::sync::Arc;

use crate::app::App;
use crate::catalog::Toolkit;
use crate::catalog::model::AuthScheme;
use crate::domain::connection::AuthConfig;
use crate::domain::id::{AuthConfigId, ProjectId};
use crate::domain::scheme::AuthSchemeKind;
use crate::error::{Error, Result, codes};

/// A toolkit, or the error that names it.
///
/// # Errors
/// 404 when there is none of this slug.
pub fn toolkit(app: &App, project: &ProjectId, slug: &str) -> Result<Arc<Toolkit>> {
    app.toolkit(project, slug).ok_or_else(|| {
        Error::not_found(codes::TOOLKIT_NOT_FOUND, "Toolkit", slug)
            .fix("List the toolkits with GET /api/v3/toolkits")
    })
}

/// A scheme of a toolkit.
///
/// # Errors
/// 400 that names the schemes there are.
pub fn scheme(toolkit: &Toolkit, kind: AuthSchemeKind) -> Result<&AuthScheme> {
    implemented(kind)?;
    toolkit.file.auth.iter().find(|s| s.scheme == kind).ok_or_else(|| {
        let known: Vec<&str> = toolkit.file.auth.iter().map(|s| s.scheme.as_str()).collect();
        Error::new(
            codes::AUTH_SCHEME_UNSUPPORTED,
            format!("{} does not authenticate by {}", toolkit.file.name, kind.as_str()),
        )
        .fix(format!("Use one of: {}", known.join(", ")))
    })
}

/// Refuses a scheme that this server does not have for any toolkit.
///
/// # Errors
/// 501 for SAML.
pub fn implemented(kind: AuthSchemeKind) -> Result<()> {
    if kind != AuthSchemeKind::Saml {
        return Ok(());
    }
    Err(Error::new(codes::NOT_IMPLEMENTED, "This server does not connect accounts by SAML").fix(
        "Use another scheme of the toolkit; GET /api/v3/toolkits/{slug} lists them in \
         auth_config_details",
    ))
}

/// An auth config of the project.
///
/// # Errors
/// 404 when the project has none of this id.
pub async fn find_config(
    app: &App,
    project: &ProjectId,
    id: &AuthConfigId,
) -> Result<Arc<AuthConfig>> {
    app.cache.auth_config(project, id).await?.ok_or_else(|| {
        Error::not_found(codes::AUTH_CONFIG_NOT_FOUND, "Auth config", id.as_str())
            .fix("List the project's auth configs with GET /api/v3/auth_configs")
    })
}

/// An auth config that accounts can be connected with now.
///
/// # Errors
/// As [`find_config`], and 400 when it is switched off.
pub async fn usable_config(
    app: &App,
    project: &ProjectId,
    id: &AuthConfigId,
) -> Result<Arc<AuthConfig>> {
    let config = find_config(app, project, id).await?;
    if !config.is_enabled {
        return Err(Error::new(
            codes::AUTH_CONFIG_DISABLED,
            format!("Auth config {id} is disabled"),
        )
        .fix(format!("Enable it with PATCH /api/v3/auth_configs/{id}/ENABLED")));
    }
    Ok(config)
}
