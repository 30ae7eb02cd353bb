//! Taking back what a person granted: marking an account REVOKED, and telling the provider to
//! forget its tokens.
//!
//! The account is marked first, and its tokens leave the row with that: whatever the provider
//! does, nothing is executed with them again, and no refresh begins. The provider is told
//! afterwards, as well as possible; one that does not answer is asked again in the background.

use std::sync::Arc;
use std::time::Duration;

use super::account::{as_of_now, commit, unknown};
use super::{find_config, toolkit};
use crate::app::{App, AppState};
use crate::credentials::{Provider, TOKEN_FIELDS};
use crate::db;
use crate::domain::connection::{Account, AuthConfig};
use crate::domain::id::{AccountId, ProjectId, random_text};
use crate::domain::status::AccountStatus;
use crate::domain::time::{iso, now};
use crate::error::{Error, Result, codes};

/// Why an account is REVOKED, in the documented words.
const REASON: &str = "Revoked via user-initiated revoke endpoint";

/// Tokens that a provider can be told to forget: the one that makes others first.
const TOKENS: [&str; 2] = ["refresh_token", "access_token"];

/// When a provider that did not answer is asked again.
const AGAIN: [Duration; 4] = [
    Duration::from_secs(2),
    Duration::from_secs(15),
    Duration::from_secs(60),
    Duration::from_secs(300),
];

/// What a revocation came to.
pub struct Revoked {
    /// The account, as it is now.
    pub account: Account,
    /// What the provider forgot just now; empty when the account was REVOKED before.
    pub tokens: Vec<&'static str>,
}

/// Revokes an account.
///
/// # Errors
/// 404 for an unknown account; 400 when its toolkit cannot be told; 409 when the account is not
/// connected.
pub async fn revoke(app: &AppState, project: &ProjectId, id: &AccountId) -> Result<Revoked> {
    // A refresh that is under way here stores its tokens first, so that those are revoked.
    let flight = app.cache.flights.of(project, id);
    let turn = flight.lock().await;
    for _ in 0..10 {
        let account = app.cache.read_account(project, id).await?.ok_or_else(|| unknown(id))?;
        let account = as_of_now(app, Account::clone(&account));
        match account.status {
            AccountStatus::Revoked => return Ok(Revoked { account, tokens: Vec::new() }),
            AccountStatus::Active | AccountStatus::Inactive | AccountStatus::Expired => {}
            status => {
                return Err(Error::new(
                    codes::ACCOUNT_NOT_REVOKABLE,
                    format!(
                        "Connected account {id} is {}, and only a connected one can be revoked",
                        status.as_str()
                    ),
                )
                .fix("Delete the account instead"));
            }
        }
        let config = find_config(app, project, &account.auth_config_id).await?;
        if !can_revoke(app, &config, &account) {
            return Err(Error::new(
                codes::REVOCATION_UNSUPPORTED,
                format!(
                    "{} offers no way to revoke {} credentials by a program",
                    account.toolkit_slug,
                    account.scheme.as_str()
                ),
            )
            .fix("Delete the account here, and revoke the credentials at the provider"));
        }
        let next = marked(&account);
        let row = app.vault.seal_account(&next).await?;
        let mut tx = app.db.begin().await?;
        if db::account::update_state(&mut *tx, &row, account.state_version).await? {
            db::connect_token::consume_all(&mut *tx, project, id).await?;
            commit(app, tx, &next).await?;
            drop(turn);
            let worker = app.clone();
            // Goes on when the caller hangs up: the tokens are nowhere else any more.
            let told = app.tasks.spawn(async move { tell(&worker, &config, account).await });
            let tokens = told.await.map_err(|e| Error::internal(format!("revoke: {e}")))?;
            return Ok(Revoked { account: next, tokens });
        }
    }
    Err(Error::internal("a connected account keeps changing"))
}

/// The account as a REVOKED one: without its tokens.
fn marked(account: &Account) -> Account {
    let mut next = account.clone();
    for name in TOKEN_FIELDS {
        next.state.0.remove(name);
    }
    next.state.0.remove("redirectUrl");
    next.state.0.insert("revoked_at".into(), iso(now()).into());
    next.status = AccountStatus::Revoked;
    next.status_reason = Some(REASON.to_owned());
    next.token_expires_at = None;
    next.attempt_expires_at = None;
    next
}

fn can_revoke(app: &App, config: &AuthConfig, account: &Account) -> bool {
    let Ok(toolkit) = toolkit(app, &account.toolkit_slug) else { return false };
    Provider::of(&app.config, toolkit, config, &account.state).is_ok_and(|p| p.can_revoke())
}

/// Tells the provider now; what it did not answer to is tried again in the background.
async fn tell(app: &AppState, config: &Arc<AuthConfig>, account: Account) -> Vec<&'static str> {
    let (told, is_done) = attempt(app, config, &account).await;
    if !is_done {
        let left = without(account, &told);
        let (worker, config) = (app.clone(), config.clone());
        app.tasks.spawn(async move { persist(&worker, &config, left).await });
    }
    told
}

/// Asks a few more times, until the server stops.
async fn persist(app: &App, config: &AuthConfig, mut account: Account) {
    for wait in AGAIN {
        tokio::select! {
            () = app.stop.cancelled() => break,
            () = tokio::time::sleep(wait) => {}
        }
        let (told, is_done) = attempt(app, config, &account).await;
        if is_done {
            return;
        }
        account = without(account, &told);
    }
    tracing::warn!(account = %account.id, "the provider was not told to revoke all tokens");
}

fn without(mut account: Account, told: &[&str]) -> Account {
    for name in told {
        account.state.0.remove(*name);
    }
    account
}

/// One round: the tokens that the provider says it forgot, and whether there is nothing left to
/// tell.
async fn attempt(app: &App, config: &AuthConfig, account: &Account) -> (Vec<&'static str>, bool) {
    let Ok(toolkit) = toolkit(app, &account.toolkit_slug) else { return (Vec::new(), true) };
    let Ok(provider) = Provider::of(&app.config, toolkit, config, &account.state) else {
        return (Vec::new(), true);
    };
    let (told, outcome) = provider.revoke(&app.net, &account.state).await;
    if let Err(error) = &outcome {
        tracing::info!(account = %account.id, %error, "tokens not revoked");
    }
    (told, outcome.is_ok())
}

/// Tells the provider to forget the tokens of accounts that are gone, in the background. Returns
/// the name of the job in the log.
pub(super) fn later(app: &AppState, config: Arc<AuthConfig>, accounts: Vec<Account>) -> String {
    let job = format!("rj_{}", random_text(16));
    let has_token = |a: &Account| TOKENS.iter().any(|name| a.state.text(name).is_some());
    let worth: Vec<Account> = accounts.into_iter().filter(has_token).collect();
    if worth.is_empty() {
        return job;
    }
    let (worker, name) = (app.clone(), job.clone());
    app.tasks.spawn(async move {
        let (count, mut told) = (worth.len(), 0usize);
        for account in worth {
            if !can_revoke(&worker, &config, &account) {
                continue;
            }
            told += usize::from(!tell(&worker, &config, account).await.is_empty());
        }
        tracing::info!(job = %name, accounts = count, told, "revocation after a deletion");
    });
    job
}

/// Whether another account of the user is certainly a connection to the same account at the
/// provider. Some providers forget the whole grant with one token, and with it the other account.
pub(super) async fn is_shared_grant(app: &App, account: &Account) -> Result<bool> {
    let Some(identity) = &account.identity else { return Ok(false) };
    let (project, id) = (&account.project_id, &account.id);
    let (user, slug) = (&account.user_id, &account.toolkit_slug);
    for row in db::account::others_of_user(&app.db, project, id, user, slug).await? {
        let other = app.vault.open_account(row).await?;
        if other.identity.is_some_and(|theirs| theirs.is_same(identity)) {
            return Ok(true);
        }
    }
    Ok(false)
}
