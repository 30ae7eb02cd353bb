//! Asking the provider, when an account is connected, whether its credentials are good and whose
//! they are. Both come from the definition. Only an answer that plainly means wrong credentials
//! refuses them: a provider that is away, or says anything else, does not keep anybody from
//! connecting, and an identity that cannot be had is left out.

use std::time::Duration;

use serde_json::Value;

use super::toolkit;
use crate::app::App;
use crate::catalog::{Probe, Toolkit};
use crate::credentials::{fields, inherited, oauth1, oauth2};
use crate::domain::connection::{Account, AuthConfig};
use crate::domain::outbound::OutboundResponse;
use crate::domain::scheme::AuthSchemeKind;
use crate::domain::status::AccountStatus;
use crate::error::Result;
use crate::net::CredentialNames;

/// Longest time for one call: somebody waits in front of a form.
const LIMIT: Duration = Duration::from_secs(10);

/// Checks the credentials of an account that is about to be ACTIVE, and fills in its identity.
/// Gives the reason when the provider refuses them.
///
/// # Errors
/// When the toolkit is gone.
pub(super) async fn check(
    app: &App,
    config: &AuthConfig,
    account: &mut Account,
) -> Result<Option<String>> {
    let toolkit = toolkit(app, &account.project_id, &account.toolkit_slug)?;
    account.identity = None;
    let Some(probes) = toolkit.probes(account.scheme) else { return Ok(None) };
    let refused = |status: u16| {
        let name = &toolkit.file.name;
        Ok(Some(format!("{name} does not accept these credentials (it answered HTTP {status})")))
    };
    if let Some(probe) = &probes.verify
        && let Some((status, body)) = ask(app, &toolkit, config, account, probe).await
        && probe.refuses(status, &body)
        && !is_import(account)
    {
        return refused(status);
    }
    if let Some(probe) = &probes.identity
        && let Some((status, body)) = ask(app, &toolkit, config, account, probe).await
    {
        if probe.refuses(status, &body) && !is_import(account) {
            return refused(status);
        }
        if status < 300 {
            account.identity = probe.identity(&body);
        }
    }
    Ok(None)
}

/// Whether the tokens are of another making and can be renewed: an access token that ended
/// meanwhile says nothing about them.
fn is_import(account: &Account) -> bool {
    account.scheme.redirects()
        && account.status == AccountStatus::Initiated
        && account.attempt_expires_at.is_none()
        && account.state.text("refresh_token").is_some_and(|t| !t.is_empty())
}

/// Status and JSON of the provider's answer; none when there is none.
async fn ask(
    app: &App,
    toolkit: &Toolkit,
    config: &AuthConfig,
    account: &Account,
    probe: &Probe,
) -> Option<(u16, Value)> {
    match send(app, toolkit, config, account, probe).await {
        Ok(answer) => {
            let body = serde_json::from_slice(&answer.body).unwrap_or_default();
            Some((answer.status, body))
        }
        Err(why) => {
            tracing::info!(account = %account.id, toolkit = toolkit.slug(), %why,
                "the provider was not asked about new credentials");
            None
        }
    }
}

async fn send(
    app: &App,
    toolkit: &Toolkit,
    config: &AuthConfig,
    account: &Account,
    probe: &Probe,
) -> Result<OutboundResponse, String> {
    let mut cred = inherited(config, &account.state).0;
    if let Some(key) = cred.get("generic_api_key").cloned() {
        cred.entry("api_key").or_insert(key);
    }
    if let Some(id) = oauth2::client_id(&app.config, config) {
        cred.insert("client_id".to_owned(), id.into());
    }
    let scheme = toolkit.scheme(account.scheme).ok_or("the scheme is not there")?;
    let conn = fields::plain(scheme, &cred);
    let mut request = probe.request(toolkit, conn.clone())?;
    request.timeout = Some(app.net.at_most(request.timeout.unwrap_or(LIMIT).min(LIMIT)));
    let injection = toolkit.injection(account.scheme).ok_or("the scheme has no place")?;
    let injected = injection.render(&cred, &conn)?;
    let mut names = CredentialNames::default();
    names.headers.extend(injected.headers.iter().map(|(name, _)| name.clone()));
    names.query.extend(injected.query.iter().map(|(name, _)| name.clone()));
    injected.apply(&mut request, toolkit.base_url(&conn).ok().as_ref());
    if account.scheme == AuthSchemeKind::Oauth1 {
        // Last, because the signature covers everything else.
        let signer = oauth1::signer(&app.config, toolkit, Some(config), &cred);
        signer.map_err(|e| e.message.into_owned())?.sign_now(&mut request);
    }
    app.net.send_with(request, &names).await.map_err(|e| e.to_string())
}
