//! The browser comes back from the provider.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::account::{changed, unknown};
use super::activate::{activate, put_over};
use super::{callback_url, find_config, ticket, toolkit};
use crate::app::App;
use crate::credentials::{Provider, TOKEN_FIELDS, TokenSet, inherited};
use crate::db;
use crate::domain::connection::{Account, AuthConfig};
use crate::domain::status::AccountStatus;
use crate::domain::time::now;
use crate::error::{Error, Result, codes};

/// What providers send back.
#[derive(Clone, Default, Deserialize)]
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
/// becomes ACTIVE or FAILED.
///
/// # Errors
/// `STATE_INVALID` for a state that is forged, used or late; the account is then untouched.
pub async fn finish(app: &App, answer: Answer) -> Result<Finished> {
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
    let outcome = match refusal(&answer) {
        Some(why) => Err(why),
        None => tokens(app, &account, &ticket, answer.code.as_deref().unwrap_or_default()).await?,
    };
    match outcome {
        Ok((tokens, config)) => succeed(app, &account, &config, &tokens).await,
        Err(why) => fail(app, &account, &why).await,
    }
}

fn refusal(answer: &Answer) -> Option<String> {
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
    answer
        .code
        .as_deref()
        .is_none_or(str::is_empty)
        .then(|| "The provider sent neither a code nor an error".to_owned())
}

async fn tokens(
    app: &App,
    account: &Account,
    ticket: &ticket::Ticket,
    code: &str,
) -> Result<Result<(TokenSet, Arc<AuthConfig>), String>> {
    let config = find_config(app, &account.project_id, &account.auth_config_id).await?;
    if !config.is_enabled {
        return Ok(Err("The auth config was disabled meanwhile".to_owned()));
    }
    let toolkit = toolkit(app, &account.toolkit_slug)?;
    let state = inherited(&config, &account.state);
    let provider = Provider::of(&app.config, toolkit, &config, &state)?;
    let text = |name: &str| ticket.data.get(name).and_then(Value::as_str);
    let redirect_uri = text("redirect_uri").unwrap_or(&provider.redirect_uri);
    let granted = provider.exchange(&app.net, code, redirect_uri, text("verifier")).await;
    Ok(granted
        .map(|tokens| (tokens, config))
        .map_err(|e| format!("OAuth callback failed during token exchange: {e}")))
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
    tokens: &TokenSet,
) -> Result<Finished> {
    let mut next = account.clone();
    for name in TOKEN_FIELDS {
        next.state.0.remove(name);
    }
    next.token_expires_at = tokens.write(&mut next.state, now());
    let ready = match activate(app, config, next).await? {
        Ok(ready) => ready,
        Err(denied) => return fail(app, account, &denied.text()).await,
    };
    let account = change(app, account, |next| {
        put_over(&ready, account, next);
        true
    })
    .await?;
    Ok(Finished { account, failure: None })
}

async fn fail(app: &App, account: &Account, why: &str) -> Result<Finished> {
    let account = change(app, account, |next| {
        // An account that works already is not lost because a second consent was denied, and
        // why one is over is not replaced.
        if !matches!(next.status, AccountStatus::Initializing | AccountStatus::Initiated) {
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
