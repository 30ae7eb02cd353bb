//! One refresh by whoever holds the claim: the provider is asked once, and what it says is
//! stored.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::plan::{self, Failure};
use super::{Why, cannot_refresh, expired, gone, inactive, unavailable, works_without};
use crate::app::App;
use crate::cache::Cache;
use crate::catalog::{Catalogs, Toolkit};
use crate::config::Config;
use crate::credentials::dcr;
use crate::credentials::oauth2::{TokenFailure, TokenSet};
use crate::credentials::renew::{Means, TOKEN_FIELDS, origin, timing};
use crate::credentials::revocation::Clerk;
use crate::db;
use crate::db::notify::Changed;
use crate::db::refresh::Failed;
use crate::domain::connection::{Account, AuthConfig, RefreshRecord};
use crate::domain::scheme::AuthSchemeKind;
use crate::domain::status::AccountStatus;
use crate::domain::time::{iso, now};
use crate::error::{Error, Result, codes};
use crate::net::Client;
use crate::vault::Vault;

/// How long an outcome is kept in hand while the database is away: a refresh token that was
/// spent must not be lost with its answer.
const KEEP: Duration = Duration::from_secs(120);

/// The same when the server is stopping, and for an error that is perhaps not the database's.
const KEEP_BRIEFLY: Duration = Duration::from_secs(8);

/// Longest text of a failure that is stored.
const MAX_REASON: usize = 800;

/// Tries again while the database is away, within reason.
struct Patience {
    began: Instant,
    pause: Duration,
    stop: CancellationToken,
    account: Arc<Account>,
}

impl Patience {
    fn of(job: &Job) -> Self {
        let pause = Duration::from_millis(100);
        let (stop, account) = (job.stop.clone(), job.account.clone());
        Self { began: Instant::now(), pause, stop, account }
    }

    /// Waits before the next attempt; gives the error when there is to be none.
    async fn wait(&mut self, error: Error) -> Result<()> {
        let longest = match error.code {
            codes::DATABASE_UNAVAILABLE if !self.stop.is_cancelled() => KEEP,
            codes::DATABASE_UNAVAILABLE | codes::INTERNAL => KEEP_BRIEFLY,
            _ => return Err(error),
        };
        if self.began.elapsed() > longest {
            tracing::error!(
                account = %self.account.id,
                project = %self.account.project_id,
                %error,
                "the outcome of a token refresh could not be stored; it is lost"
            );
            return Err(error);
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(Duration::from_secs(2));
        Ok(())
    }
}

/// One refresh, with all that it needs: it outlives the request that asked for it.
pub struct Job {
    db: PgPool,
    vault: Arc<Vault>,
    cache: Arc<Cache>,
    catalogs: Arc<Catalogs>,
    /// The account's.
    toolkit: Option<Arc<Toolkit>>,
    net: Client,
    config: Config,
    stop: CancellationToken,
    account: Arc<Account>,
    auth_config: Arc<AuthConfig>,
    why: Why,
    /// What earlier attempts left, as of the claim.
    record: RefreshRecord,
}

impl Job {
    pub(super) fn new(
        app: &App,
        account: Arc<Account>,
        auth_config: Arc<AuthConfig>,
        why: Why,
    ) -> Self {
        Self {
            db: app.db.clone(),
            vault: app.vault.clone(),
            cache: app.cache.clone(),
            catalogs: app.catalogs.clone(),
            toolkit: app.toolkit(&account.project_id, &account.toolkit_slug),
            net: app.net.clone(),
            config: app.config.clone(),
            stop: app.stop.clone(),
            record: account.refresh.clone(),
            account,
            auth_config,
            why,
        }
    }

    fn toolkit(&self) -> Result<&Toolkit> {
        let slug = &self.account.toolkit_slug;
        let found = self.toolkit.as_deref();
        found.ok_or_else(|| Error::not_found(codes::TOOLKIT_NOT_FOUND, "Toolkit", slug))
    }

    pub(super) fn means(&self) -> Result<Means<'_>> {
        Means::of(&self.config, self.toolkit()?, &self.auth_config, &self.account)
    }

    /// Nothing to refresh with: the token is used to its end, and then the account is over.
    pub(super) async fn without_refresh(&self) -> Result<Arc<Account>> {
        if matches!(self.why, Why::Rejected(_) | Why::Asked(_)) {
            return Err(cannot_refresh(&self.account));
        }
        if works_without(&self.account, self.why) {
            return Ok(self.account.clone());
        }
        self.expire(
            "Permanent auth error during token refresh: the access token ended, and the provider \
             gave no refresh token",
        )
        .await
    }

    /// Asks the provider, and stores what came of it.
    pub(super) async fn run(
        mut self,
        claim: String,
        record: RefreshRecord,
    ) -> Result<Arc<Account>> {
        self.record = record;
        // A claim that has ended is another one's to take: whoever is late must not be asking.
        let limit = self.config.refresh_claim.mul_f64(0.9);
        let answer = match self.means() {
            Ok(Means::Nothing) => {
                let row = (&self.account.project_id, &self.account.id);
                db::refresh::wait_for_end(&self.db, row, &claim).await?;
                return self.without_refresh().await;
            }
            Ok(means) => match tokio::time::timeout(limit, means.renew(&self.net)).await {
                Ok(answer) => answer,
                Err(_) => Err(TokenFailure::lost("the provider did not answer in time")),
            },
            Err(error) => {
                let outage = Failure::Outage { wish: None };
                self.failed(&claim, &error.message, outage, false).await?;
                return if works_without(&self.account, self.why) {
                    Ok(self.account.clone())
                } else {
                    Err(error)
                };
            }
        };
        if let Err(failure) = &answer {
            self.give_up_client(failure).await;
        }
        match answer {
            Ok(tokens) => self.save(&tokens).await,
            Err(TokenFailure::Over(why)) => {
                self.expire(&format!(
                    "Permanent auth error during token refresh: {why}{}{}",
                    self.if_lost(),
                    self.if_changed()
                ))
                .await
            }
            Err(TokenFailure::Refused(why)) => {
                let counted = !matches!(self.why, Why::Asked(_));
                let refusals = self.record.refusals.saturating_add(1);
                if counted && refusals >= self.config.refresh_max_refusals {
                    let why = format!(
                        "Max auth failures reached: the provider refused to refresh {refusals} \
                         times in a row, at last with: {why}{}",
                        self.if_changed()
                    );
                    return self.expire(&why).await;
                }
                self.later(&claim, &why, Failure::Refusal, false).await
            }
            Err(TokenFailure::Unavailable { why, retry_after, lost }) => {
                self.later(&claim, &why, Failure::Outage { wish: retry_after }, lost).await
            }
        }
    }

    /// A registered client that its server forgot is not used for further connections.
    async fn give_up_client(&self, failure: &TokenFailure) {
        let Ok(toolkit) = self.toolkit() else { return };
        if self.account.scheme != AuthSchemeKind::DcrOauth || !dcr::is_forgotten(failure) {
            return;
        }
        let state = &self.account.state;
        let done = dcr::forget(&self.db, &self.vault, toolkit, &self.auth_config, state).await;
        if let Err(error) = done {
            tracing::warn!(%error, "a forgotten OAuth client could not be given up");
        }
    }

    /// What a refusal may come from, when an earlier answer was lost.
    fn if_lost(&self) -> String {
        self.record.lost_at.map_or_else(String::new, |at| {
            format!(
                ". A refresh was interrupted at {} before its answer was stored, so the provider \
                 may have replaced the refresh token then",
                iso(at)
            )
        })
    }

    /// The same, when the client may be another one by now.
    fn if_changed(&self) -> String {
        let changed = self.auth_config.updated_at;
        let since = self.record.refreshed_at.is_some_and(|at| at < changed);
        if since {
            format!(". The auth config was changed at {}, after the last token", iso(changed))
        } else {
            String::new()
        }
    }

    /// No new token for now.
    async fn later(
        &self,
        claim: &str,
        why: &str,
        failure: Failure,
        lost: bool,
    ) -> Result<Arc<Account>> {
        let wait = self.failed(claim, why, failure, lost).await?;
        // Whoever waits for this finds out without asking the database.
        let account = self.reread().await?;
        if account.status != AccountStatus::Active {
            return Err(inactive(&account));
        }
        if account.refresh.refreshed_at != self.record.refreshed_at {
            // Connected anew meanwhile.
            return Ok(account);
        }
        if works_without(&account, self.why) {
            return Ok(account);
        }
        Err(unavailable(why, wait))
    }

    /// Notes a failure; returns how long nobody asks again.
    async fn failed(
        &self,
        claim: &str,
        why: &str,
        failure: Failure,
        lost: bool,
    ) -> Result<Duration> {
        let account = &self.account;
        let wait = plan::wait(&self.record, failure, rand::random());
        let counts = match failure {
            Failure::Outage { .. } => (1, 0),
            Failure::Refusal if matches!(self.why, Why::Asked(_)) => (0, 0),
            Failure::Refusal => (1, 1),
        };
        tracing::warn!(
            account = %account.id,
            project = %account.project_id,
            toolkit = %account.toolkit_slug,
            reason = why,
            failures = self.record.failures.saturating_add(counts.0),
            refused = failure == Failure::Refusal,
            next_try_s = wait.due.as_secs(),
            token_ends = account.token_expires_at.map(iso),
            "token refresh failed; the account stays ACTIVE"
        );
        let error: String = why.chars().take(MAX_REASON).collect();
        let failed = Failed { after: wait.after, due: wait.due, counts, error: &error, lost };
        let row = (&account.project_id, &account.id);
        let mut patience = Patience::of(self);
        loop {
            match db::refresh::fail(&self.db, row, claim, &failed).await {
                Ok(()) => return Ok(wait.after),
                Err(error) => patience.wait(error.into()).await?,
            }
        }
    }

    /// Stores an account over the state it was made from, with the event that comes of it;
    /// false when that state has changed.
    async fn store(&self, account: &Account) -> Result<bool> {
        let changed = Changed::Account {
            project: account.project_id.clone(),
            id: account.id.clone(),
            user: account.user_id.clone(),
            tokens_only: account.status == self.account.status,
        };
        let row = self.vault.seal_account(account).await?;
        let mut tx = self.db.begin().await?;
        if !db::account::update_state(&mut *tx, &row, account.state_version).await? {
            return Ok(false);
        }
        if account.status == AccountStatus::Expired {
            let event = expired::event(account, &self.auth_config);
            db::event::insert_all(&mut *tx, &[event], None).await?;
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

    /// Changes the account over whatever state it is in by now, as long as that comes of the same
    /// credentials and `apply` has something to change; returns the account then.
    async fn change(&self, apply: impl Fn(&mut Account) -> bool) -> Result<Arc<Account>> {
        let mut base = self.account.clone();
        let mut patience = Patience::of(self);
        for _ in 0..10 {
            let mut account = Account::clone(&base);
            if !apply(&mut account) {
                return Ok(base);
            }
            let stored = loop {
                match self.store(&account).await {
                    Ok(stored) => break stored,
                    Err(error) => patience.wait(error).await?,
                }
            };
            base = loop {
                match self.reread().await {
                    Ok(account) => break account,
                    Err(error) => patience.wait(error).await?,
                }
            };
            // Otherwise it was switched off, renamed, or connected anew meanwhile. New tokens
            // belong to the state that they came from, and to no other.
            if stored || origin(&base) != origin(&self.account) {
                return Ok(base);
            }
        }
        Err(unavailable("the account keeps changing", Duration::from_secs(1)))
    }

    async fn save(&self, tokens: &TokenSet) -> Result<Arc<Account>> {
        let at = now();
        let timing = self.toolkit().map(|toolkit| timing(toolkit, &self.account));
        let timing = timing.unwrap_or_default();
        let dice = rand::random();
        let account = self
            .change(|account| {
                if !matches!(account.status, AccountStatus::Active | AccountStatus::Inactive) {
                    return false;
                }
                account.token_expires_at = tokens.write(&mut account.state, at);
                account.refresh = RefreshRecord {
                    due: plan::due(timing, account.token_expires_at, at, dice),
                    refreshed_at: Some(at),
                    ..RefreshRecord::default()
                };
                true
            })
            .await;
        let taken_back = match &account {
            Ok(account) => account.status == AccountStatus::Revoked,
            Err(error) => error.code == codes::ACCOUNT_NOT_FOUND,
        };
        if taken_back {
            self.disown(tokens).await;
        }
        let account = account?;
        match account.status {
            // INACTIVE has its tokens, and whoever called got there before it was switched off.
            AccountStatus::Active | AccountStatus::Inactive => {
                tracing::debug!(account = %account.id, "token refreshed");
                Ok(account)
            }
            _ => Err(inactive(&account)),
        }
    }

    /// The account was revoked or deleted while the provider was asked: its new tokens are nobody's.
    /// The old ones are in another order.
    async fn disown(&self, tokens: &TokenSet) {
        let mut late = Account::clone(&self.account);
        for name in TOKEN_FIELDS {
            late.state.0.remove(name);
        }
        tokens.write(&mut late.state, now());
        let clerk = Clerk { config: &self.config, catalogs: &self.catalogs, vault: &self.vault };
        let mut patience = Patience::of(self);
        loop {
            match clerk.late(&self.db, &self.auth_config, &late).await {
                Ok(()) => return,
                Err(error) => {
                    if patience.wait(error).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// The account is over. Exactly one caller moves it, and tells the project.
    async fn expire(&self, why: &str) -> Result<Arc<Account>> {
        let why: String = why.chars().take(MAX_REASON).collect();
        let account = self
            .change(|account| {
                if account.status != AccountStatus::Active {
                    return false;
                }
                account.status = AccountStatus::Expired;
                account.status_reason = Some(why.clone());
                account.refresh.due = None;
                true
            })
            .await?;
        if account.status == AccountStatus::Active {
            // Connected anew meanwhile.
            return Ok(account);
        }
        tracing::warn!(
            account = %account.id,
            project = %account.project_id,
            toolkit = %account.toolkit_slug,
            status = account.status.as_str(),
            reason = %why,
            "token refresh refused for good; the person has to connect again"
        );
        Err(Error::new(codes::REFRESH_FAILED, why)
            .fix("The person has to connect again: make a new Connect Link for them"))
    }
}
