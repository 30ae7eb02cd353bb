//! Tokens that end before long are refreshed before anybody needs them.

use std::sync::Arc;

use super::Why;
use super::job::Job;
use crate::app::AppState;
use crate::credentials::running::Running;
use crate::db;
use crate::domain::connection::Account;
use crate::domain::id::random_text;
use crate::error::Result;

/// Claims accounts whose tokens end before long, as many as there is room for, and begins to
/// refresh them; returns how many. None: there is no more to do, or no more room.
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
    let rows = db::refresh::claim_due(&app.db, &claim, time, &busy, limit).await?;
    let begun = rows.len();
    for (row, slot) in rows.into_iter().zip(slots) {
        let place = running.place(&row.toolkit_slug, slot);
        let (project, id) = (row.project_id.clone(), row.id.clone());
        match app.vault.open_account(row).await {
            Ok(account) => {
                let (app, claim) = (app.clone(), claim.clone());
                let tasks = app.tasks.clone();
                tasks.spawn(async move {
                    one(&app, account, &claim).await;
                    drop(place);
                });
            }
            // One row that does not open must not keep the others waiting.
            Err(error) => {
                tracing::error!(account = %id, %project, %error, "an account does not open");
            }
        }
    }
    Ok(begun)
}

/// Refreshes one claimed account.
async fn one(app: &AppState, account: Account, claim: &str) {
    let account = Arc::new(account);
    // Callers on this server then wait for this instead of looking at the row again and again.
    // One who has the turn already waits for the claim.
    let flight = app.cache.flights.of(&account.project_id, &account.id);
    let _turn = flight.try_lock();
    let (project, id) = (&account.project_id, &account.id);
    let outcome = match app.cache.auth_config(project, &account.auth_config_id).await {
        Ok(Some(config)) if config.is_enabled => {
            let job = Job::new(app, account.clone(), config, Why::Early);
            // Its own failures are in the log and in the row.
            let _ = job.run(claim.to_owned(), account.refresh.clone()).await;
            return;
        }
        // Left alone until it is on again.
        Ok(_) => db::refresh::park(&app.db, (project, id), &account.auth_config_id, claim)
            .await
            .map_err(Into::into),
        Err(error) => Err(error),
    };
    if let Err(error) = outcome {
        tracing::warn!(account = %id, %project, %error, "a token could not be looked after");
    }
}
