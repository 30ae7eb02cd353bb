//! A good access token, refreshed exactly once for everyone who needs it.
//!
//! Many callers on one replica wait for the first one's turn ([`crate::cache::Flights`]); among
//! replicas a claim on the row, with an end of its own, says who calls the provider; and the new
//! tokens are stored only over the state that they came from. No database connection is held
//! while the provider is asked, and the work goes on when the caller goes away, because a refresh
//! token that was spent must not be lost with its answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use sqlx::PgPool;

use super::oauth2::{TokenFailure, TokenSet};
use super::renew::{Means, origin};
use crate::app::App;
use crate::cache::Cache;
use crate::catalog::Catalog;
use crate::config::Config;
use crate::db;
use crate::db::notify::Changed;
use crate::domain::connection::{Account, AuthConfig};
use crate::domain::id::random_text;
use crate::domain::status::AccountStatus;
use crate::domain::time::now;
use crate::error::{Error, Result, codes};
use crate::net::Client;
use crate::vault::Vault;

/// How long before its end a token is refreshed.
const AHEAD: TimeDelta = TimeDelta::seconds(60);

/// How often a replica looks whether another one is done.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// How much longer than a claim it does so.
const PATIENCE: Duration = Duration::from_secs(5);

/// An account whose access token is good for the next seconds: the same one, or refreshed.
/// `rejected` is the state version whose token the provider has just answered 401 to.
///
/// # Errors
/// `REFRESH_FAILED` when the provider refuses for good (the account is then EXPIRED),
/// `REFRESH_UNAVAILABLE` when it could not answer.
pub async fn fresh(
    app: &App,
    account: Arc<Account>,
    rejected: Option<i64>,
) -> Result<Arc<Account>> {
    if !account.scheme.renews() {
        return match rejected {
            None => Ok(account),
            Some(_) => Err(cannot_refresh(&account)),
        };
    }
    if !wanted(&account, rejected) {
        return Ok(account);
    }
    let began = Instant::now();
    let flight = app.cache.flights.of(&account.project_id, &account.id);
    let mut turn = flight.lock().await;
    if let Some((at, error)) = turn.as_ref()
        && *at >= began
    {
        return Err(error.clone());
    }
    let outcome = refreshed(app, &account, rejected).await;
    if let Err(error) = &outcome {
        *turn = Some((Instant::now(), error.clone()));
    }
    outcome
}

/// Refreshes an account's token now, whatever its age.
///
/// # Errors
/// As [`fresh`].
pub async fn refresh_now(app: &App, account: Arc<Account>) -> Result<Arc<Account>> {
    let version = account.state_version;
    fresh(app, account, Some(version)).await
}

fn wanted(account: &Account, rejected: Option<i64>) -> bool {
    match rejected {
        Some(version) => account.state_version <= version,
        None => account.token_expires_at.is_some_and(|end| end <= now() + AHEAD),
    }
}

fn cannot_refresh(account: &Account) -> Error {
    Error::new(
        codes::REFRESH_FAILED,
        format!("The credentials of connected account {} cannot be refreshed", account.id),
    )
    .fix("Connect the account again, or create a new connected account")
}

fn gone(account: &Account) -> Error {
    Error::not_found(codes::ACCOUNT_NOT_FOUND, "Connected account", account.id.as_str())
}

async fn refreshed(app: &App, known: &Arc<Account>, rejected: Option<i64>) -> Result<Arc<Account>> {
    let (project, id) = (&known.project_id, &known.id);
    // Whoever waited for the turn finds the new state in the cache.
    if let Some(account) = app.cache.account(project, id).await?
        && account.state_version > known.state_version
        && account.status == AccountStatus::Active
        && !wanted(&account, rejected)
    {
        return Ok(account);
    }
    let claimed_for = app.config.refresh_claim;
    let give_up = Instant::now() + claimed_for + PATIENCE;
    loop {
        let account = app.cache.read_account(project, id).await?.ok_or_else(|| gone(known))?;
        if account.status != AccountStatus::Active {
            let why = account.status_reason.clone().unwrap_or_default();
            return Err(Error::new(
                codes::REFRESH_FAILED,
                format!("Connected account {id} is {}. {why}", account.status.as_str()),
            )
            .fix("Connect the account again"));
        }
        if !wanted(&account, rejected) {
            return Ok(account);
        }
        let auth_config = app
            .cache
            .auth_config(project, &account.auth_config_id)
            .await?
            .ok_or_else(|| gone(known))?;
        let job = Job::new(app, account.clone(), auth_config);
        if matches!(job.means()?, Means::Nothing) {
            return job.without_refresh(rejected).await;
        }
        let claim = random_text(16);
        let version = account.state_version;
        if db::account::claim_refresh(&app.db, project, id, version, &claim, claimed_for).await? {
            let work = app.tasks.spawn(job.run(claim, rejected));
            return work.await.map_err(|e| Error::internal(format!("refresh: {e}")))?;
        }
        if Instant::now() > give_up {
            return Err(unavailable("another server is still refreshing the token"));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

fn unavailable(why: &str) -> Error {
    Error::new(
        codes::REFRESH_UNAVAILABLE,
        format!("The access token could not be refreshed: {why}"),
    )
    .fix("Retry in a few seconds")
    .retry_after(Duration::from_secs(5))
}

/// One refresh, with all that it needs: it outlives the request that asked for it.
struct Job {
    db: PgPool,
    vault: Arc<Vault>,
    cache: Arc<Cache>,
    catalog: Arc<Catalog>,
    net: Client,
    config: Config,
    account: Arc<Account>,
    auth_config: Arc<AuthConfig>,
}

impl Job {
    fn new(app: &App, account: Arc<Account>, auth_config: Arc<AuthConfig>) -> Self {
        Self {
            db: app.db.clone(),
            vault: app.vault.clone(),
            cache: app.cache.clone(),
            catalog: app.catalog.clone(),
            net: app.net.clone(),
            config: app.config.clone(),
            account,
            auth_config,
        }
    }

    fn means(&self) -> Result<Means<'_>> {
        let slug = &self.account.toolkit_slug;
        let toolkit = self
            .catalog
            .toolkit(slug)
            .ok_or_else(|| Error::not_found(codes::TOOLKIT_NOT_FOUND, "Toolkit", slug))?;
        Means::of(&self.config, toolkit, &self.auth_config, &self.account)
    }

    /// Nothing to refresh with: the token is used to its end, and then the account is over.
    async fn without_refresh(&self, rejected: Option<i64>) -> Result<Arc<Account>> {
        if rejected.is_some() {
            return Err(cannot_refresh(&self.account));
        }
        if self.account.token_expires_at.is_some_and(|end| end > now()) {
            return Ok(self.account.clone());
        }
        self.expire("The access token expired and the provider gave no refresh token").await
    }

    async fn run(self, claim: String, rejected: Option<i64>) -> Result<Arc<Account>> {
        let answer = match self.means() {
            Ok(means) => means.renew(&self.net).await,
            Err(error) => {
                self.release(&claim).await;
                return Err(error);
            }
        };
        match answer {
            Ok(tokens) => self.save(&tokens).await,
            Err(TokenFailure::Over(why) | TokenFailure::Refused(why)) => {
                self.expire(&format!("Permanent auth error during token refresh: {why}")).await
            }
            Err(TokenFailure::Unavailable { why, .. }) => {
                tracing::warn!(account = %self.account.id, %why, "token refresh: no answer");
                self.release(&claim).await;
                // What is not over yet can still be used.
                let valid = self.account.token_expires_at.is_some_and(|end| end > now());
                if rejected.is_none() && valid {
                    return Ok(self.account.clone());
                }
                Err(unavailable(&why))
            }
        }
    }

    async fn release(&self, claim: &str) {
        let account = &self.account;
        let released =
            db::account::release_refresh(&self.db, &account.project_id, &account.id, claim).await;
        if let Err(error) = released {
            // It ends by itself.
            tracing::warn!(%error, "a refresh claim could not be released");
        }
    }

    /// Stores an account over the state it was made from; false when that has changed.
    async fn store(&self, account: &Account) -> Result<bool> {
        let changed = Changed::Account {
            project: account.project_id.clone(),
            id: account.id.clone(),
            user: account.user_id.clone(),
        };
        let row = self.vault.seal_account(account).await?;
        let mut tx = self.db.begin().await?;
        if !db::account::update_state(&mut *tx, &row, account.state_version).await? {
            return Ok(false);
        }
        db::notify::changed(&mut *tx, &changed).await?;
        tx.commit().await?;
        self.cache.invalidate(&changed);
        Ok(true)
    }

    async fn reread(&self) -> Result<Arc<Account>> {
        let (project, id) = (&self.account.project_id, &self.account.id);
        self.cache.read_account(project, id).await?.ok_or_else(|| gone(&self.account))
    }

    async fn save(&self, tokens: &TokenSet) -> Result<Arc<Account>> {
        let mut base = self.account.clone();
        for _ in 0..10 {
            let mut account = Account::clone(&base);
            account.token_expires_at = tokens.write(&mut account.state, now());
            if self.store(&account).await? {
                return self.reread().await;
            }
            // Switched off, renamed, or connected anew meanwhile. New tokens belong to the
            // state that they came from, and to no other.
            base = self.reread().await?;
            if origin(&base) != origin(&self.account) {
                return Ok(base);
            }
        }
        Err(unavailable("the account keeps changing"))
    }

    async fn expire(&self, why: &str) -> Result<Arc<Account>> {
        let mut account = Account::clone(&self.account);
        account.status = AccountStatus::Expired;
        account.status_reason = Some(why.to_owned());
        if !self.store(&account).await? {
            let now_there = self.reread().await?;
            let same = origin(&now_there) == origin(&self.account);
            if now_there.status == AccountStatus::Active && !same {
                return Ok(now_there);
            }
        }
        Err(Error::new(codes::REFRESH_FAILED, why.to_owned())
            .fix("The person has to connect again: make a new Connect Link for them"))
    }
}
