//! Carrying out an order: the provider is told, and what came of it is noted. Nobody holds a
//! connection meanwhile.

use tokio::task::JoinSet;

use super::{Clerk, Opened, plan};
use crate::app::{App, AppState};
use crate::credentials::oauth2::{Provider, TokenFailure};
use crate::credentials::running::Running;
use crate::db;
use crate::db::revocation::{Outcome, RevocationRow};
use crate::domain::connection::AuthConfig;
use crate::domain::id::{AccountId, random_text};
use crate::domain::time::now;
use crate::error::{Error, Result, codes};

/// Longest text of a failure that is stored.
const MAX_REASON: usize = 800;

/// Most orders that whoever gives them carries out; the rest is the workers', on all servers.
const AT_ONCE: usize = 8;

/// Orders that their giver carries out, once they are committed.
pub struct Given {
    claim: String,
    rows: Vec<RevocationRow>,
}

/// Stores orders in a transaction.
///
/// # Errors
/// When the database is away.
pub async fn give(
    app: &App,
    tx: &mut sqlx::PgConnection,
    orders: impl IntoIterator<Item = RevocationRow>,
) -> Result<Given> {
    let mut given = Given { claim: random_text(16), rows: Vec::new() };
    for mut row in orders {
        if given.rows.len() < AT_ONCE {
            let claim = (given.claim.as_str(), app.config.refresh_claim);
            db::revocation::insert(&mut *tx, &row, Some(claim)).await?;
            row.attempts = 1;
            given.rows.push(row);
        } else {
            db::revocation::insert(&mut *tx, &row, None).await?;
        }
    }
    Ok(given)
}

impl Given {
    /// Carries the orders out; returns the tokens that providers say they forgot. What does not
    /// work out is left to the workers.
    pub async fn run(self, app: &AppState) -> Vec<&'static str> {
        let mut running = JoinSet::new();
        for row in self.rows {
            let (app, claim) = (app.clone(), self.claim.clone());
            running.spawn(async move { run(&app, row, &claim).await });
        }
        running.join_all().await.concat()
    }
}

/// Claims orders that are due, as many as there is room for, and begins to carry them out; returns
/// how many. None: there is no more to do, or no more room.
///
/// # Errors
/// When the database is away.
pub async fn round(app: &AppState, running: &Running) -> Result<usize> {
    let (busy, room) = running.busy();
    let slots = running.slots(room);
    if slots.is_empty() {
        return Ok(0);
    }
    let (claim, time) = (random_text(16), app.config.refresh_claim);
    let limit = i64::try_from(slots.len()).unwrap_or(1);
    let rows = db::revocation::claim_due(&app.db, &claim, time, &busy, limit).await?;
    let begun = rows.len();
    for (row, slot) in rows.into_iter().zip(slots) {
        let place = running.place(&row.toolkit_slug, slot);
        let (worker, claim) = (app.clone(), claim.clone());
        app.tasks.spawn(async move {
            match is_superseded(&worker, &row).await {
                Ok(true) => end(&worker, &row, &claim, Outcome::Left, None).await,
                // One that cannot be looked at is told of its trouble below.
                Ok(false) | Err(_) => {
                    run(&worker, row, &claim).await;
                }
            }
            drop(place);
        });
    }
    Ok(begun)
}

/// Carries out a claimed order; returns the tokens that the provider says it forgot.
async fn run(app: &App, mut row: RevocationRow, claim: &str) -> Vec<&'static str> {
    let clerk = Clerk::from(app);
    let opened = clerk.open(&row).await;
    // A claim that has ended is another one's to take: whoever is late must not be asking.
    let limit = app.config.refresh_claim.mul_f64(0.9);
    let (told, outcome) = match &opened {
        Ok(opened) => match tokio::time::timeout(limit, tell(app, &row, opened)).await {
            Ok((told, outcome)) => (told, outcome),
            Err(_) => {
                let why = "the provider did not answer in time";
                (Vec::new(), Err(TokenFailure::unavailable(why, None)))
            }
        },
        Err(error) => (Vec::new(), Err(unready(error))),
    };
    let Err(failure) = outcome else {
        tracing::info!(
            job = %row.job, account = %row.account_id, project = %row.project_id,
            toolkit = %row.toolkit_slug, told = ?told, "tokens revoked"
        );
        end(app, &row, claim, Outcome::Done, None).await;
        return told;
    };
    let wish = match &failure {
        TokenFailure::Unavailable { retry_after, .. } => *retry_after,
        _ => None,
    };
    let wait = plan::wait(row.attempts, wish, rand::random());
    let age = (now() - row.created_at).to_std().unwrap_or_default();
    let why: String = failure.to_string().chars().take(MAX_REASON).collect();
    if plan::is_over(age, wait, app.config.revocation_ttl) {
        tracing::error!(
            job = %row.job, account = %row.account_id, project = %row.project_id,
            toolkit = %row.toolkit_slug, attempts = row.attempts, age_s = age.as_secs(),
            reason = %why,
            "gave up telling the provider to revoke tokens; they stay valid until they end there"
        );
        end(app, &row, claim, Outcome::GivenUp, Some(&why)).await;
        return told;
    }
    tracing::warn!(
        job = %row.job, account = %row.account_id, project = %row.project_id,
        toolkit = %row.toolkit_slug, attempts = row.attempts, next_try_s = wait.as_secs(),
        reason = %why, "the provider was not told to revoke all tokens; it will be"
    );
    if let (Ok(opened), false) = (&opened, told.is_empty()) {
        match clerk.without(&row, opened, &told).await {
            Ok(tokens) => row.tokens = tokens,
            Err(error) => tracing::warn!(%error, "told tokens are told again"),
        }
    }
    if let Err(error) = db::revocation::later(&app.db, &row, claim, wait, &why).await {
        lost(&row, &error.into());
    }
    told
}

/// Tells the provider.
async fn tell(
    app: &App,
    row: &RevocationRow,
    opened: &Opened,
) -> (Vec<&'static str>, std::result::Result<(), TokenFailure>) {
    let failed = |error: &Error| (Vec::new(), Err(unready(error)));
    let Some(toolkit) = app.toolkit(&row.project_id, &row.toolkit_slug) else {
        return failed(&Error::not_found(codes::TOOLKIT_NOT_FOUND, "Toolkit", &row.toolkit_slug));
    };
    let present = match app.cache.auth_config(&row.project_id, &row.auth_config_id).await {
        Ok(present) => present,
        Err(error) => return failed(&error),
    };
    // The same client may have another secret by now.
    let same_client = |config: &AuthConfig| {
        let id = |c: &AuthConfig| c.credentials.text("client_id").map(str::to_owned);
        config.is_managed == opened.config.is_managed && id(config) == id(&opened.config)
    };
    let config = present.as_deref().filter(|c| same_client(c)).unwrap_or(&opened.config);
    match Provider::of(&app.config, &toolkit, config, &opened.state) {
        Ok(provider) => provider.revoke(&app.net, &opened.state).await,
        Err(error) => failed(&error),
    }
}

/// The server itself is not ready to tell the provider.
fn unready(error: &Error) -> TokenFailure {
    TokenFailure::unavailable(error.message.clone(), None)
}

/// Whether the person has connected again since the order was given. Some providers keep one
/// grant for each person and client, and forget all of it with any of its tokens; an account that
/// works is worth more than a token that is still valid.
async fn is_superseded(app: &App, row: &RevocationRow) -> Result<bool> {
    let opened = Clerk::from(app).open(row).await?;
    let (project, user, slug) = (&row.project_id, &row.user_id, &row.toolkit_slug);
    let nobody = AccountId::from("");
    for other in db::account::others_of_user(&app.db, project, &nobody, user, slug).await? {
        let is_new = other.id == row.account_id || other.created_at >= row.created_at;
        if !is_new || other.auth_config_id != row.auth_config_id {
            continue;
        }
        let other = app.vault.open_account(other).await?;
        let differs = match (&opened.identity, &other.identity) {
            (Some(ours), Some(theirs)) => !ours.is_same(theirs),
            _ => false,
        };
        if !differs {
            tracing::info!(
                job = %row.job, account = %row.account_id, project = %row.project_id,
                now = %other.id, "tokens not revoked: the person has connected again since"
            );
            return Ok(true);
        }
    }
    Ok(false)
}

async fn end(app: &App, row: &RevocationRow, claim: &str, outcome: Outcome, error: Option<&str>) {
    let id = (&row.project_id, &row.id);
    if let Err(error) = db::revocation::end(&app.db, id, claim, outcome, error).await {
        lost(row, &error.into());
    }
}

/// What came of an attempt could not be noted: it is made again when the claim has ended.
fn lost(row: &RevocationRow, error: &Error) {
    tracing::warn!(
        job = %row.job, account = %row.account_id, project = %row.project_id, %error,
        "what came of a revocation could not be stored; the provider is told again"
    );
}
