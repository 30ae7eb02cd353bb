//! Connecting an account within a session.

use std::sync::Arc;

use crate::app::App;
use crate::catalog::Toolkit;
use crate::catalog::fields::config_fields;
use crate::connect::auth_config::{Client, New, managed_scheme, newest_or_create};
use crate::connect::start::{Attempt, Started, link as start_link};
use crate::connect::toolkit as find_toolkit;
use crate::credentials::managed_unavailable;
use crate::domain::connection::Project;
use crate::domain::id::AuthConfigId;
use crate::domain::scheme::AuthSchemeKind;
use crate::domain::session::Session;
use crate::domain::sharing::Sharing;
use crate::error::{Error, Result, codes};

use super::account::needs_none;

/// Accounts of a toolkit that a session with several of them allows when it does not say.
const DEFAULT_MAX_ACCOUNTS: u8 = 5;

/// What to connect.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    /// Toolkit, in any case.
    pub toolkit: String,
    /// Where the browser goes in the end; none: where the session's configuration says.
    pub callback_url: Option<String>,
    /// The developer's own name of the account.
    pub alias: Option<String>,
    /// Who besides the user may use it.
    pub sharing: Sharing,
}

/// A toolkit that the session may use.
///
/// # Errors
/// 404 when there is none of this slug, 403 when the session does not have it.
pub fn allowed(app: &App, session: &Session, slug: &str) -> Result<Arc<Toolkit>> {
    let toolkit = find_toolkit(app, &session.project_id, slug.trim())?;
    if session.config.allows_toolkit(&toolkit.file.slug) {
        return Ok(toolkit);
    }
    Err(Error::new(
        codes::SESSION_TOOL_NOT_ALLOWED,
        format!("The session does not allow the toolkit {}", toolkit.file.slug),
    )
    .fix("Use another toolkit, or create a session that allows this one"))
}

/// Makes a Connect Link for the session's user; its account is there at once.
///
/// # Errors
/// As [`allowed`]; when there is nothing to connect, or nothing to connect with.
pub async fn link(app: &App, project: &Project, session: &Session, wish: Wish) -> Result<Started> {
    let toolkit = allowed(app, session, &wish.toolkit)?;
    let slug = toolkit.file.slug.as_str();
    if needs_none(&toolkit) {
        return Err(Error::new(
            codes::SESSION_NOTHING_TO_CONNECT,
            format!("{} needs no connected account", toolkit.file.name),
        )
        .fix("Execute its tools right away"));
    }
    limit(app, project, session, slug).await?;
    let auth_config_id = match session.config.auth_configs.get(slug) {
        Some(id) => AuthConfigId::from(id.as_str()),
        None => newest_or_create(app, project, &toolkit, || new(app, &toolkit)).await?,
    };
    let attempt = Attempt {
        auth_config_id,
        user_id: session.user_id.clone(),
        callback_url: wish
            .callback_url
            .or_else(|| session.config.manage_connections.callback_url.clone()),
        given: None,
        alias: wish.alias,
        sharing: wish.sharing,
    };
    let mut started = start_link(app, project, attempt).await?;
    if let (Some(base), Some(token)) = (&session.config.link_url_overwrite, &started.link_token) {
        started.redirect_url = Some(format!("{}/link/{token}", base.trim_end_matches('/')));
    }
    Ok(started)
}

/// An auth config that connects without the project having said anything: by the operator's client,
/// by a client that registers itself, or by what the person knows.
fn new(app: &App, toolkit: &Toolkit) -> Result<New> {
    let of = |client, scheme| New {
        toolkit_slug: toolkit.file.slug.clone(),
        client,
        scheme,
        ..New::default()
    };
    if let Some(kind) = managed_scheme(app, toolkit) {
        return Ok(of(Some(Client::Managed), Some(kind)));
    }
    let has = |kind| toolkit.scheme(kind).is_some();
    if has(AuthSchemeKind::DcrOauth) {
        return Ok(of(None, Some(AuthSchemeKind::DcrOauth)));
    }
    // Where there is a sign-in in the browser, nobody knows the token that it would give.
    let by_browser = has(AuthSchemeKind::Oauth2) || has(AuthSchemeKind::Oauth1);
    let known = toolkit.file.auth.iter().find(|scheme| {
        scheme.scheme != AuthSchemeKind::NoAuth
            && !(by_browser && scheme.scheme == AuthSchemeKind::BearerToken)
            && config_fields(scheme).iter().all(|field| !field.required)
    });
    let known = known.ok_or_else(|| managed_unavailable(&toolkit.file.slug))?;
    Ok(of(Some(Client::Custom), Some(known.scheme)))
}

/// Refuses one account more than the session allows.
async fn limit(app: &App, project: &Project, session: &Session, slug: &str) -> Result<()> {
    let Some(multi) = session.config.multi_account.as_ref().filter(|m| m.enable == Some(true))
    else {
        return Ok(());
    };
    let most = multi.max_accounts_per_toolkit.unwrap_or(DEFAULT_MAX_ACCOUNTS);
    let usable = app.cache.usable_accounts(&project.id, &session.user_id, slug).await?;
    if usable.len() < usize::from(most) {
        return Ok(());
    }
    Err(Error::new(
        codes::SESSION_ACCOUNT_LIMIT,
        format!(
            "The user has {} accounts of {slug} already, and the session allows {most}",
            usable.len()
        ),
    )
    .fix("Use or remove one of them, or raise multi_account.max_accounts_per_toolkit (2 to 10)"))
}
