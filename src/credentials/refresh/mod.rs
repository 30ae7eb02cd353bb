//! A good access token, refreshed exactly once for everyone who needs it: the callers of a tool,
//! whoever asks for a refresh, and the workers that come before a token ends. All go through here.
//!
//! Many callers on one replica wait for the first one's turn ([`crate::cache::Flights`]); among
//! replicas a claim on the row, with an end of its own, says who calls the provider; and the new
//! tokens are stored only over the state that they came from. No database connection is held
//! while the provider is asked, and the work goes on when the caller goes away, because a refresh
//! token that was spent must not be lost with its answer.

mod ahead;
mod expired;
mod job;
mod plan;

use std::sync::Arc;
use std::time::{Duration, Instant};

use self::job::Job;
use super::renew::Means;
use crate::app::App;
use crate::db;
use crate::domain::connection::{Account, RefreshRecord};
use crate::domain::id::random_text;
use crate::domain::status::AccountStatus;
use crate::domain::time::now;
use crate::error::{Error, Result, codes};

pub use ahead::round;
pub use expired::EXPIRED;
pub use plan::Timing;

/// How often a replica looks whether another one is done, at first and in the end.
const LOOK_AGAIN: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));

/// How much longer than a claim it does so.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a 401 makes nobody refresh after one to a token that was just refreshed.
const REJECTED_AGAIN: Duration = Duration::from_secs(60);

/// Why a token is refreshed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// It is about to end.
    Ending,
    /// It will end before long.
    Early,
    /// The provider answered 401 to the one of this state.
    Rejected(i64),
    /// Somebody asked for it.
    Asked(i64),
}

/// An account whose access token is good for the next seconds: the same one, or refreshed.
/// `rejected` is the state version whose token the provider has just answered 401 to.
///
/// # Errors
/// `REFRESH_FAILED` when the provider refuses for good (the account is then EXPIRED),
/// `REFRESH_UNAVAILABLE` when there is no new token for now.
pub async fn fresh(
    app: &App,
    account: Arc<Account>,
    rejected: Option<i64>,
) -> Result<Arc<Account>> {
    // The way of nearly every call: nothing is read, nothing is allocated.
    if rejected.is_none() && account.token_expires_at.is_none() {
        return Ok(account);
    }
    door(app, account, rejected.map_or(Why::Ending, Why::Rejected)).await
}

/// Refreshes an account's token now, whatever its age.
///
/// # Errors
/// As [`fresh`].
pub async fn refresh_now(app: &App, account: Arc<Account>) -> Result<Arc<Account>> {
    let version = account.state_version;
    door(app, account, Why::Asked(version)).await
}

/// The provider answered 401 to a token that was refreshed because of a 401: it means something
/// else. The next calls are not to refresh again, or every one of them would.
pub async fn rejected_again(app: &App, account: &Account) {
    let (row, version) = ((&account.project_id, &account.id), account.state_version);
    let why = "the provider refuses also a token that was just refreshed";
    match db::refresh::hold(&app.db, row, version, REJECTED_AGAIN, why).await {
        Ok(_) => {
            tracing::warn!(
                account = %account.id,
                project = %account.project_id,
                toolkit = %account.toolkit_slug,
                "the provider answers 401 also to a token that was just refreshed"
            );
            // Calls on this server then know without a look at the row.
            let _ = app.cache.read_account(&account.project_id, &account.id).await;
        }
        Err(error) => tracing::warn!(%error, account = %account.id, "a 401 was not noted"),
    }
}

/// What an account with a new token is to remember: nothing of what went wrong with the old one,
/// and when the new one is to be refreshed.
pub fn begin(app: &App, account: &Account) -> RefreshRecord {
    let at = now();
    let timing = app
        .toolkit(&account.project_id, &account.toolkit_slug)
        .map(|toolkit| super::renew::timing(&toolkit, account))
        .unwrap_or_default();
    let due = plan::due(timing, account.token_expires_at, at, rand::random());
    RefreshRecord { due, refreshed_at: Some(at), ..RefreshRecord::default() }
}

async fn door(app: &App, account: Arc<Account>, why: Why) -> Result<Arc<Account>> {
    if let Some(outcome) = at_once(&account, why) {
        return outcome;
    }
    // Boxed, so that the calls that need none of it do not carry it along.
    Box::pin(in_turn(app, account, why)).await
}

/// What can be answered by what is known.
fn at_once(account: &Arc<Account>, why: Why) -> Option<Result<Arc<Account>>> {
    if !account.scheme.renews() {
        return Some(match why {
            Why::Ending | Why::Early => Ok(account.clone()),
            Why::Rejected(_) | Why::Asked(_) => Err(cannot_refresh(account)),
        });
    }
    if !wanted(account, account, why) {
        return Some(Ok(account.clone()));
    }
    held_back(account, why)
}

async fn in_turn(app: &App, account: Arc<Account>, why: Why) -> Result<Arc<Account>> {
    let began = Instant::now();
    let flight = app.cache.flights.of(&account.project_id, &account.id);
    let mut turn = flight.lock().await;
    if let Some((at, error)) = turn.as_ref()
        && *at >= began
    {
        return Err(error.clone());
    }
    let outcome = refreshed(app, &account, why).await;
    if let Err(error) = &outcome {
        *turn = Some((Instant::now(), error.clone()));
    }
    outcome
}

/// Whether the token of `account` has to be replaced for someone who knows `known`.
fn wanted(account: &Account, known: &Account, why: Why) -> bool {
    match why {
        Why::Ending => plan::ends_soon(account, now()),
        Why::Early => account.refresh.due.is_some_and(|due| due <= now()),
        Why::Rejected(version) | Why::Asked(version) => {
            // The state may be newer and the token still the same one.
            account.state_version <= version
                || account.refresh.refreshed_at == known.refresh.refreshed_at
        }
    }
}

/// What is answered without asking the provider, because the last answer was not long ago.
fn held_back(account: &Arc<Account>, why: Why) -> Option<Result<Arc<Account>>> {
    let left = (account.refresh.after? - now()).to_std().ok().filter(|left| !left.is_zero())?;
    if insists(account, why) {
        return None;
    }
    if works_without(account, why) {
        return Some(Ok(account.clone()));
    }
    let said = account.refresh.error.as_deref().unwrap_or("the last attempt failed");
    Some(Err(unavailable(said, left)))
}

/// Whoever asks for a refresh has perhaps set right what was refused.
fn insists(account: &Account, why: Why) -> bool {
    matches!(why, Why::Asked(_)) && (account.refresh.failures == account.refresh.refusals)
}

/// Whether the caller can do without a new token.
fn works_without(account: &Account, why: Why) -> bool {
    matches!(why, Why::Ending | Why::Early)
        && account.token_expires_at.is_some_and(|end| end > now())
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

fn unavailable(why: &str, wait: Duration) -> Error {
    // Whole seconds, and never early.
    let wait = Duration::from_secs(wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
        .max(Duration::from_secs(1));
    Error::new(
        codes::REFRESH_UNAVAILABLE,
        format!("The access token could not be refreshed: {why}"),
    )
    .fix("Retry after the time in Retry-After; the account stays connected meanwhile")
    .retry_after(wait)
}

/// An account that is not ACTIVE has no token to give.
fn inactive(account: &Account) -> Error {
    let (id, status) = (&account.id, account.status.as_str());
    let why = account.status_reason.clone().unwrap_or_default();
    Error::new(codes::REFRESH_FAILED, format!("Connected account {id} is {status}. {why}"))
        .fix("Connect the account again")
}

async fn refreshed(app: &App, known: &Arc<Account>, why: Why) -> Result<Arc<Account>> {
    let (project, id) = (&known.project_id, &known.id);
    // Whoever waited for the turn finds the new state in the cache.
    if let Some(account) = app.cache.account(project, id).await?
        && !Arc::ptr_eq(&account, known)
        && account.status == AccountStatus::Active
    {
        if !wanted(&account, known, why) {
            return Ok(account);
        }
        if let Some(outcome) = held_back(&account, why) {
            return outcome;
        }
    }
    let claimed_for = app.config.refresh_claim;
    let give_up = Instant::now() + claimed_for + PATIENCE;
    let mut pause = LOOK_AGAIN.0;
    loop {
        let account = app.cache.read_account(project, id).await?.ok_or_else(|| gone(known))?;
        if account.status != AccountStatus::Active {
            return Err(inactive(&account));
        }
        if !wanted(&account, known, why) {
            return Ok(account);
        }
        if let Some(outcome) = held_back(&account, why) {
            return outcome;
        }
        let auth_config = app
            .cache
            .auth_config(project, &account.auth_config_id)
            .await?
            .ok_or_else(|| gone(known))?;
        if !auth_config.is_enabled {
            return Err(Error::new(
                codes::AUTH_CONFIG_DISABLED,
                format!("The account's auth config {} is disabled", auth_config.id),
            )
            .fix("Enable the auth config"));
        }
        let job = Job::new(app, account.clone(), auth_config, why);
        if matches!(job.means(), Ok(Means::Nothing)) {
            return job.without_refresh().await;
        }
        let claim = random_text(16);
        let row = (project, id);
        let (version, insists) = (account.state_version, insists(&account, why));
        let claimed =
            db::refresh::claim(&app.db, row, version, &claim, claimed_for, insists).await?;
        if let Some(record) = claimed {
            let work = app.tasks.spawn(job.run(claim, record));
            return work.await.map_err(|e| Error::internal(format!("refresh: {e}")))?;
        }
        if Instant::now() > give_up {
            return Err(unavailable("another server is still at it", PATIENCE));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LOOK_AGAIN.1);
    }
}
