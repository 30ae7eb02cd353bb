//! Tokens that end before long are refreshed before anybody needs them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Why;
use super::job::Job;
use crate::app::AppState;
use crate::db;
use crate::domain::connection::Account;
use crate::domain::id::random_text;
use crate::error::Result;

/// Most accounts that are claimed at once: what is claimed is begun at once, and between two
/// claims it shows which toolkits are slow.
const BATCH: usize = 8;

/// The refreshes of one server's worker that are under way.
#[derive(Debug, Clone)]
pub struct Running {
    slots: Arc<Semaphore>,
    most: usize,
    /// Most of them that one toolkit may have: a provider that does not answer must not keep the
    /// others' tokens from being refreshed.
    per_toolkit: usize,
    toolkits: Arc<Mutex<HashMap<String, usize>>>,
}

/// One of them; gives its place back when it ends, however it does.
struct Place {
    toolkit: String,
    toolkits: Arc<Mutex<HashMap<String, usize>>>,
    _slot: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut toolkits = self.toolkits.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = toolkits.get_mut(&self.toolkit) {
            *count -= 1;
            if *count == 0 {
                toolkits.remove(&self.toolkit);
            }
        }
    }
}

impl Running {
    /// Room for `most` refreshes at a time.
    pub fn new(most: usize) -> Self {
        Self {
            slots: Arc::new(Semaphore::new(most)),
            most,
            per_toolkit: most.div_ceil(2),
            toolkits: Arc::default(),
        }
    }

    /// Toolkits that have as many as they may, and how many more the fullest other one may have.
    fn busy(&self) -> (Vec<String>, usize) {
        let toolkits = self.toolkits.lock().unwrap_or_else(PoisonError::into_inner);
        let (busy, free): (Vec<_>, Vec<_>) =
            toolkits.iter().partition(|(_, count)| **count >= self.per_toolkit);
        let fullest = free.iter().map(|(_, count)| **count).max().unwrap_or(0);
        (busy.into_iter().map(|(name, _)| name.clone()).collect(), self.per_toolkit - fullest)
    }

    fn place(&self, toolkit: &str, slot: OwnedSemaphorePermit) -> Place {
        let mut toolkits = self.toolkits.lock().unwrap_or_else(PoisonError::into_inner);
        *toolkits.entry(toolkit.to_owned()).or_default() += 1;
        Place { toolkit: toolkit.to_owned(), toolkits: self.toolkits.clone(), _slot: slot }
    }

    /// Waits until there is room for one more.
    pub async fn room(&self) {
        drop(self.slots.acquire().await);
    }

    /// Waits until nothing is under way.
    pub async fn idle(&self) {
        drop(self.slots.acquire_many(u32::try_from(self.most).unwrap_or(u32::MAX)).await);
    }
}

/// Claims accounts whose tokens end before long, as many as there is room for, and begins to
/// refresh them; returns how many. None: there is no more to do, or no more room.
///
/// # Errors
/// When the database is away.
pub async fn round(app: &AppState, running: &Running) -> Result<usize> {
    let (busy, room) = running.busy();
    let mut slots = Vec::new();
    while slots.len() < BATCH.min(room) {
        let Ok(slot) = running.slots.clone().try_acquire_owned() else { break };
        slots.push(slot);
    }
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
