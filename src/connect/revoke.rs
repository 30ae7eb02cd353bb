//! Taking back what a person granted: marking an account REVOKED, and telling the provider to
//! forget its tokens.
//!
//! The account is marked first, and its tokens leave the row for an order in the same
//! transaction: whatever the provider does, nothing is executed with them again, and no refresh
//! begins. The provider is told afterwards, and again by the workers if it does not answer.

use super::account::{as_of_now, commit, unknown};
use super::find_config;
use crate::app::{App, AppState};
use crate::credentials::TOKEN_FIELDS;
use crate::credentials::revocation::{self, Cause, Clerk};
use crate::db;
use crate::domain::connection::{Account, AuthConfig};
use crate::domain::id::{AccountId, ProjectId};
use crate::domain::status::AccountStatus;
use crate::domain::time::{iso, now};
use crate::error::{Error, Result, codes};

/// Why an account is REVOKED, in the documented words.
const REASON: &str = "Revoked via user-initiated revoke endpoint";

/// What a revocation came to.
pub struct Revoked {
    /// The account, as it is now.
    pub account: Account,
    /// What the provider forgot just now; empty when the account was REVOKED before.
    pub tokens: Vec<&'static str>,
}

/// Whether [`revoke`] would revoke an account now.
///
/// # Errors
/// 404 for an unknown account.
pub async fn can_be(app: &App, project: &ProjectId, id: &AccountId) -> Result<bool> {
    let account = super::account::get(app, project, id).await?;
    let connected = matches!(
        account.status,
        AccountStatus::Active | AccountStatus::Inactive | AccountStatus::Expired
    );
    let config = find_config(app, project, &account.auth_config_id).await?;
    Ok(connected && Clerk::from(app).can_revoke(&config, &account))
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
        if !Clerk::from(&**app).can_revoke(&config, &account) {
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
        let job = revocation::new_job();
        let order = Clerk::from(&**app).order(&config, &account, Cause::Revoke, &job).await?;
        let mut tx = app.db.begin().await?;
        if db::account::update_state(&mut *tx, &row, account.state_version).await? {
            db::connect_token::consume_all(&mut *tx, project, id).await?;
            let given = revocation::give(app, &mut tx, order).await?;
            commit(app, tx, &next).await?;
            drop(turn);
            let worker = app.clone();
            // Goes on when the caller hangs up.
            let told = app.tasks.spawn(async move { given.run(&worker).await });
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

/// Leaves it to the workers to revoke tokens that came for an account that is gone or REVOKED by
/// now, unless they may be of a grant that another account of the user lives on.
pub(super) async fn late(app: &App, config: &AuthConfig, account: &Account) {
    let outcome = match is_shared_grant(app, account).await {
        Ok(true) => Ok(()),
        Ok(false) => Clerk::from(app).late(&app.db, config, account).await,
        Err(error) => Err(error),
    };
    if let Err(error) = outcome {
        tracing::error!(
            account = %account.id, project = %account.project_id, %error,
            "tokens came after their account was gone, and could not be revoked"
        );
    }
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
