//! The browser comes back from the provider.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::account::{changed, unknown};
use super::activate::{activate, put_over};
use super::{callback_url, find_config, revoke, ticket, toolkit, verifier};
use crate::app::App;
use crate::catalog::model::OAuth2;
use crate::credentials::dcr::{self, Registered};
use crate::credentials::{Provider, REDIRECT_URI_FIELD, TOKEN_FIELDS, inherited, oauth1};
use crate::db;
use crate::domain::connection::{Account, AuthConfig};
use crate::domain::scheme::AuthSchemeKind;
use crate::domain::status::AccountStatus;
use crate::domain::time::now;
use crate::error::{Error, Result, codes};

/// What providers send back.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Answer {
    /// The state of the authorization request.
    pub state: Option<String>,
    /// The code, on success.
    pub code: Option<String>,
    /// The error code, otherwise.
    pub error: Option<String>,
    /// Its explanation.
    pub error_description: Option<String>,
    /// The temporary token of OAuth 1.0a.
    pub oauth_token: Option<String>,
    /// The proof of consent of OAuth 1.0a.
    pub oauth_verifier: Option<String>,
    /// The temporary token of OAuth 1.0a, when the person said no.
    pub denied: Option<String>,
    /// Everything else.
    pub rest: BTreeMap<String, String>,
}

/// Longest value that is kept of what the browser brings.
const MAX_KEPT: usize = 2000;

impl Answer {
    fn get(&self, name: &str) -> Option<&str> {
        let value = match name {
            "code" => self.code.as_deref(),
            other => self.rest.get(other).map(String::as_str),
        };
        value.filter(|v| !v.is_empty())
    }

    /// The code, under the name that the provider gives it.
    fn code(&self, rule: Option<&OAuth2>) -> Option<&str> {
        self.get(rule.map_or("code", |r| r.callback.code_param.as_str()))
    }

    /// What the definition wants to keep. It comes by way of the browser, so it is text of
    /// somebody's choosing: where it becomes part of an address, the address is checked.
    fn kept(&self, rule: &OAuth2) -> Map<String, Value> {
        let usable = |v: &&str| v.len() <= MAX_KEPT && !v.chars().any(char::is_control);
        let wanted = rule.callback.capture.iter();
        wanted
            .filter_map(|(name, param)| Some((name, self.get(param).filter(usable)?)))
            .map(|(name, value)| (name.clone(), value.into()))
            .collect()
    }
}

/// What the callback came to.
pub enum Outcome {
    /// The attempt is over.
    Finished(Box<Finished>),
    /// The project's verifier decides: where the browser goes.
    Deferred(String),
}

/// How an attempt ended.
pub struct Finished {
    /// The account, as it is now.
    pub account: Account,
    /// Why it failed; none on success.
    pub failure: Option<String>,
}

impl Finished {
    /// Where the browser goes; none when the attempt has no callback URL.
    pub fn location(&self) -> Option<String> {
        callback_url::with_outcome(&self.account, self.failure.is_none())
    }
}

/// The error for a state that cannot be used.
fn invalid(why: &str) -> Error {
    Error::new(codes::STATE_INVALID, format!("This sign-in cannot be completed: {why}"))
        .fix("Start again from the app that sent you here")
}

/// Completes an attempt: the state is used up first, then the code is exchanged, then the account
/// becomes ACTIVE or FAILED. Where the project has a verifier, a code is kept for it instead.
///
/// # Errors
/// `STATE_INVALID` for a state that is forged, used or late; the account is then untouched.
pub async fn finish(app: &App, answer: Answer) -> Result<Outcome> {
    let Some(token) = answer.state.as_deref().filter(|s| !s.is_empty()) else {
        return Err(invalid("the state parameter is missing"));
    };
    let Some(ticket) = ticket::find(app, ticket::Kind::State, token).await? else {
        return Err(invalid("the state is not one of this server"));
    };
    if ticket.is_used {
        return Err(invalid("it was completed before"));
    }
    if ticket.expires_at <= now() {
        return Err(invalid("it took too long"));
    }
    // Exactly one caller gets past this line with a given state.
    if !db::connect_token::consume(&app.db, &ticket.project_id, &ticket.hash).await? {
        return Err(invalid("it was completed before"));
    }
    let account = app
        .cache
        .read_account(&ticket.project_id, &ticket.account_id)
        .await?
        .ok_or_else(|| invalid("the connection was deleted meanwhile"))?;
    let toolkit = toolkit(app, &account.project_id, &account.toolkit_slug)?;
    let rule = toolkit.scheme(account.scheme).and_then(|s| s.oauth2.as_ref());
    if refusal(&answer, account.scheme, rule).is_none()
        && let Some(url) = verifier::url_of(app, &account).await?
    {
        let location = verifier::defer(app, &url, &account, &ticket, &answer).await?;
        return Ok(Outcome::Deferred(location));
    }
    Ok(Outcome::Finished(Box::new(complete(app, &account, &ticket, &answer).await?)))
}

/// Exchanges the code of an answer, or fails the attempt.
pub(super) async fn complete(
    app: &App,
    account: &Account,
    ticket: &ticket::Ticket,
    answer: &Answer,
) -> Result<Finished> {
    let config = find_config(app, &account.project_id, &account.auth_config_id).await?;
    let toolkit = toolkit(app, &account.project_id, &account.toolkit_slug)?;
    let rule = toolkit.scheme(account.scheme).and_then(|s| s.oauth2.as_ref());
    let outcome = match refusal(answer, account.scheme, rule) {
        Some(why) => Err(why),
        None if !config.is_enabled => Err("The auth config was disabled meanwhile".to_owned()),
        None if account.scheme == AuthSchemeKind::Oauth1 => {
            third_leg(app, account, &config, ticket, answer).await?
        }
        None => {
            let mut with_kept = account.clone();
            with_kept.state.0.extend(rule.map(|r| answer.kept(r)).unwrap_or_default());
            tokens(app, &with_kept, &config, ticket, answer, rule).await?
        }
    };
    match outcome {
        Ok(next) => succeed(app, account, &config, next).await,
        Err(why) => fail(app, account, &why).await,
    }
}

fn refusal(answer: &Answer, scheme: AuthSchemeKind, rule: Option<&OAuth2>) -> Option<String> {
    let short = |text: &str| -> String {
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
    };
    if let Some(error) = answer.error.as_deref().filter(|e| !e.is_empty()) {
        let detail = answer.error_description.as_deref().map(short).unwrap_or_default();
        let detail = if detail.is_empty() { String::new() } else { format!(": {detail}") };
        let error = short(error);
        return Some(match error.as_str() {
            "access_denied" => format!("The person denied access (access_denied{detail})"),
            _ => format!("The provider refused the authorization ({error}{detail})"),
        });
    }
    let proof = if scheme == AuthSchemeKind::Oauth1 {
        if answer.denied.is_some() {
            return Some("The person denied access".to_owned());
        }
        answer.oauth_verifier.as_deref().filter(|v| !v.is_empty())
    } else {
        answer.code(rule)
    };
    proof.is_none().then(|| "The provider sent neither a code nor an error".to_owned())
}

/// The account with the token of OAuth 1.0a.
async fn third_leg(
    app: &App,
    account: &Account,
    config: &AuthConfig,
    ticket: &ticket::Ticket,
    answer: &Answer,
) -> Result<Result<Account, String>> {
    let text = |name: &str| ticket.data.get(name).and_then(Value::as_str).unwrap_or_default();
    let (token, secret) = (text("oauth_token"), text("oauth_token_secret"));
    // The consent must be to what this attempt asked for, not to somebody else's request.
    if token.is_empty() || answer.oauth_token.as_deref() != Some(token) {
        return Ok(Err("The provider sent the token of another request back".to_owned()));
    }
    let toolkit = toolkit(app, &account.project_id, &account.toolkit_slug)?;
    let state = inherited(config, &account.state);
    let provider = oauth1::Provider::of(&app.config, &toolkit, config, &state)?;
    let verifier = answer.oauth_verifier.as_deref().unwrap_or_default();
    Ok(match provider.finish(&app.net, token, secret, verifier).await {
        Ok(granted) => {
            let mut next = account.clone();
            granted.write(&mut next.state);
            next.token_expires_at = None;
            Ok(next)
        }
        Err(e) => Err(format!("OAuth callback failed during token exchange: {e}")),
    })
}

/// The account with the tokens of OAuth 2.0.
async fn tokens(
    app: &App,
    account: &Account,
    config: &AuthConfig,
    ticket: &ticket::Ticket,
    answer: &Answer,
    rule: Option<&OAuth2>,
) -> Result<Result<Account, String>> {
    let toolkit = toolkit(app, &account.project_id, &account.toolkit_slug)?;
    // The client that the authorization was begun with, where it is not the auth config's.
    let client = ticket.data.get("dcr").and_then(Registered::from_value);
    let provider = match &client {
        Some(client) => {
            if let Err(why) = client.check_issuer(answer.rest.get("iss").map(String::as_str)) {
                return Ok(Err(why));
            }
            client.provider(&app.config, &toolkit, config, &account.state)?
        }
        None => Provider::of(&app.config, &toolkit, config, &account.state)?,
    };
    let code = answer.code(rule).unwrap_or_default();
    let text = |name: &str| ticket.data.get(name).and_then(Value::as_str);
    let redirect_uri = text("redirect_uri").unwrap_or(&provider.redirect_uri);
    let mut next = account.clone();
    if let Some(client) = &client {
        client.write(&mut next.state);
    }
    Ok(match provider.exchange(&app.net, code, redirect_uri, text("verifier")).await {
        Ok(tokens) => {
            for name in TOKEN_FIELDS {
                next.state.0.remove(name);
            }
            next.token_expires_at = tokens.write(&mut next.state, now());
            if provider.definition().refresh.send_redirect_uri {
                next.state.0.insert(REDIRECT_URI_FIELD.to_owned(), redirect_uri.into());
            }
            Ok(next)
        }
        Err(failure) => {
            if client.is_some() && dcr::is_forgotten(&failure) {
                dcr::forget(&app.db, &app.vault, &toolkit, config, &next.state).await?;
            }
            Err(format!("OAuth callback failed during token exchange: {failure}"))
        }
    })
}

/// Applies a change to the account, over whatever state it is in by now.
async fn change(
    app: &App,
    account: &Account,
    apply: impl Fn(&mut Account) -> bool,
) -> Result<Account> {
    let (project, id) = (&account.project_id, &account.id);
    let mut base = account.clone();
    for _ in 0..10 {
        let mut next = base.clone();
        if !apply(&mut next) {
            return Ok(base);
        }
        let row = app.vault.seal_account(&next).await?;
        let mut tx = app.db.begin().await?;
        if db::account::update_state(&mut *tx, &row, base.state_version).await? {
            db::connect_token::consume_all(&mut *tx, project, id).await?;
            super::account::commit(app, tx, &next).await?;
            return Ok(next);
        }
        drop(tx);
        let read = app.cache.read_account(project, id).await?.ok_or_else(|| unknown(id))?;
        base = Account::clone(&read);
    }
    app.cache.invalidate(&changed(account));
    Err(Error::internal("a connected account keeps changing"))
}

async fn succeed(
    app: &App,
    account: &Account,
    config: &AuthConfig,
    next: Account,
) -> Result<Finished> {
    let granted = next.clone();
    let ready = match activate(app, config, next).await? {
        Ok(ready) => ready,
        Err(denied) => {
            let failed = fail(app, account, &denied.text()).await;
            let status = failed.as_ref().ok().map(|finished| finished.account.status);
            // Where the account works, the tokens may be of the grant that it lives on.
            if !matches!(status, Some(AccountStatus::Active | AccountStatus::Inactive)) {
                revoke::late(app, config, &granted).await;
            }
            return failed;
        }
    };
    let stored = change(app, account, |next| {
        // What was taken back while the provider was asked is not given again by that.
        if next.status == AccountStatus::Revoked {
            return false;
        }
        put_over(&ready, account, next);
        true
    })
    .await;
    let taken_back = match &stored {
        Ok(account) => account.status == AccountStatus::Revoked,
        Err(error) => error.code == codes::ACCOUNT_NOT_FOUND,
    };
    if taken_back {
        revoke::late(app, config, &ready).await;
    }
    let account = stored?;
    if account.status == AccountStatus::Revoked {
        return Err(invalid("the connection was revoked meanwhile"));
    }
    Ok(Finished { account, failure: None })
}

async fn fail(app: &App, account: &Account, why: &str) -> Result<Finished> {
    let account = change(app, account, |next| {
        // An account that works already is not lost because a second consent was denied, and
        // why one is over is not replaced, nor that its time had run out.
        let begun = matches!(next.status, AccountStatus::Initializing | AccountStatus::Initiated);
        if !begun || super::account::has_run_out(next) {
            return false;
        }
        next.state.0.remove("redirectUrl");
        next.status = AccountStatus::Failed;
        next.status_reason = Some(why.to_owned());
        next.attempt_expires_at = None;
        true
    })
    .await?;
    Ok(Finished { account, failure: Some(why.to_owned()) })
}
