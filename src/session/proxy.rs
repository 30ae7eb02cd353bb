//! Requests of the caller's own within a session.

use crate::app::App;
use crate::domain::connection::Project;
use crate::domain::id::AccountId;
use crate::domain::session::Session;
use crate::error::{Error, Result, codes};
use crate::execute::{self, ProxyOutcome, ProxyRequest};

use super::account::choose;
use super::link::allowed;

/// Whose credentials a request is sent with, after the session has allowed it.
#[derive(Debug)]
pub struct Target(Option<AccountId>);

/// Decides with which account a request is sent.
///
/// # Errors
/// 403 when the session sends no such requests; as [`choose`].
pub async fn target(
    app: &App,
    project: &Project,
    session: &Session,
    toolkit: Option<&str>,
    account: Option<&str>,
    custom: Option<&str>,
) -> Result<Target> {
    let refused = |message: String| {
        Err(Error::new(codes::SESSION_PROXY_NOT_ALLOWED, message)
            .fix("Execute a tool, or make a session with proxy_execute {\"enable\": true}"))
    };
    if session.config.proxy_execute == Some(false) {
        return refused("The session sends no requests of the caller's own".to_owned());
    }
    let named = match (toolkit, custom, account) {
        (Some(slug), _, _) | (None, Some(slug), _) => slug.to_owned(),
        (None, None, Some(id)) => {
            // Somebody else's account is as unknown as one that was never made: its toolkit is not
            // said either.
            let found = app.cache.account(&project.id, &AccountId::from(id)).await?;
            let found = found.filter(|found| {
                let pins = super::account::pins(session, &found.toolkit_slug);
                found.user_id == session.user_id || pins.iter().any(|pin| pin == id)
            });
            let unknown = || Error::not_found(codes::ACCOUNT_NOT_FOUND, "Connected account", id);
            found.ok_or_else(unknown)?.toolkit_slug.clone()
        }
        (None, None, None) => {
            let problem = "toolkit_slug: is required".to_owned();
            return Err(Error::invalid("A proxy call needs a toolkit", vec![problem]));
        }
    };
    let toolkit = allowed(app, session, &named)?;
    let slug = toolkit.file.slug.as_str();
    let is_narrowed = session.config.tools.contains_key(slug) || session.config.tags.is_some();
    if is_narrowed && session.config.proxy_execute != Some(true) {
        return refused(format!(
            "The session allows only some tools of {slug}, and a request of the caller's own could \
             be any of them"
        ));
    }
    if let Some(custom) = custom {
        if custom.eq_ignore_ascii_case(slug) {
            return Ok(Target(None));
        }
        let problem = format!("custom_connection_data: is for another toolkit than {slug}");
        return Err(Error::invalid("Two toolkits were named", vec![problem]));
    }
    let Some(account) = choose(app, project, session, &toolkit, account).await? else {
        return Err(Error::new(
            codes::SESSION_NOTHING_TO_CONNECT,
            format!("{} has no account to send the request with", toolkit.file.name),
        )
        .fix("Send the request yourself: it needs no credentials"));
    };
    Ok(Target(Some(account.id.clone())))
}

/// Sends a request with what [`target`] decided.
///
/// # Errors
/// As [`execute::proxy`].
pub async fn proxy(
    app: &App,
    project: &Project,
    target: Target,
    mut request: ProxyRequest,
) -> Result<ProxyOutcome> {
    request.connected_account_id = target.0.map(|id| id.to_string());
    execute::proxy(app, project, request).await
}
