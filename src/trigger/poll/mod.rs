//! Polling: asking providers that do not call, and storing what is new.
//!
//! | module | knows |
//! |---|---|
//! | `turns` | what is under way, by project and toolkit |
//! | `look` | one look: pages, what is new, what is remembered |
//! | `each` | requests per new item |
//! | `state` | what is remembered, bounded |
//! | `wait` | when the next look is |
//! | `event` | from an item to an event |
//!
//! docs/TRIGGERS.md says why nothing is missed or doubled.

mod each;
pub(super) mod event;
mod look;
mod state;
mod turns;
mod wait;

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use self::look::{Asker, LOOK_BACK_MS, Looked, Trouble};
use self::state::State;
use self::wait::Cause;
use super::health;
use crate::app::{App, AppState};
use crate::catalog::Catalog;
use crate::catalog::trigger::How;
use crate::db;
use crate::db::trigger_poll::{DueRow, Polled};
use crate::domain::connection::{Account, AuthConfig};
use crate::domain::id::random_text;
use crate::domain::status::AccountStatus;
use crate::error::Result;

pub use turns::Turns;

/// Longest text of a failure that is stored.
const MAX_ERROR: usize = 800;

/// How long a poll may take after the server was told to stop.
const GRACE: Duration = Duration::from_secs(5);

/// Claims polls that are due, as many as there is room for, and begins them; returns how many.
///
/// # Errors
/// When the database is away.
pub async fn round(app: &AppState, turns: &Turns) -> Result<usize> {
    let slots = turns.slots();
    if slots.is_empty() {
        return Ok(0);
    }
    let also = match turns.after() {
        Some(after) => {
            let most = i64::try_from(turns::PROJECTS).unwrap_or(1);
            let projects = db::trigger_poll::projects(&app.db, &after, most).await?;
            turns.asked(&projects);
            projects
        }
        None => Vec::new(),
    };
    let (claim, lease) = (random_text(16), app.config.poll_claim);
    let limit = i64::try_from(slots.len()).unwrap_or(1);
    let load = turns.load();
    let rows = db::trigger_poll::claim_due(&app.db, &claim, lease, &load, &also, limit).await?;
    turns.claimed(rows.len() >= slots.len());
    let begun = rows.len();
    for (row, slot) in rows.into_iter().zip(slots) {
        let place = turns.place(&row, slot);
        let (app, claim) = (app.clone(), claim.clone());
        let tasks = app.tasks.clone();
        tasks.spawn(async move {
            poll(&app, &row, &claim).await;
            drop(place);
        });
    }
    Ok(begun)
}

/// Polls one claimed instance, keeping the claim alive meanwhile.
async fn poll(app: &App, row: &DueRow, claim: &str) {
    let lease = app.config.poll_claim;
    let key = (&row.project_id, &row.trigger_id);
    let mut work = Box::pin(work(app, row, claim));
    loop {
        tokio::select! {
            outcome = &mut work => {
                if let Err(error) = outcome {
                    tracing::warn!(
                        trigger = %row.trigger_id, project = %row.project_id, %error,
                        "a poll could not be stored; it is made again"
                    );
                }
                return;
            }
            // What it waits for may take long, and whoever comes next finds it again.
            () = stopped(app) => {
                if let Err(error) = db::trigger_poll::release(&app.db, key, claim).await {
                    tracing::warn!(%error, "a claim could not be given back");
                }
                return;
            }
            () = tokio::time::sleep(lease / 3) => {
                match db::trigger_poll::keep(&app.db, key, claim, lease).await {
                    Ok(true) => {}
                    // Somebody else polls it, or it was disabled: what is found here is void.
                    Ok(false) => return,
                    Err(error) => tracing::warn!(%error, "a claim could not be kept"),
                }
            }
        }
    }
}

/// The server stops, and has been stopping for a while.
async fn stopped(app: &App) {
    app.stop.cancelled().await;
    tokio::time::sleep(GRACE).await;
}

async fn work(app: &App, row: &DueRow, claim: &str) -> Result<()> {
    let began = Instant::now();
    let state = match &row.cursor {
        None => State::begin(row.now.timestamp_millis() - LOOK_BACK_MS),
        Some(cursor) => match serde_json::from_value(cursor.clone()) {
            Ok(state) => state,
            // Never written by any version of this server.
            Err(error) => {
                let trouble = Trouble { cause: Cause::Outage, error: format!("cursor: {error}") };
                return store(app, row, claim, None, Some(trouble), Vec::new(), false).await;
            }
        },
    };
    let catalog = app.catalog(&row.project_id);
    let looked = match asker(app, &catalog, row, began).await? {
        Ok(ready) => ready.look(state).await,
        Err(No::Now(trouble)) => {
            return store(app, row, claim, None, Some(trouble), Vec::new(), false).await;
        }
        Err(No::Ever(reason)) => return disable(app, row, claim, &reason).await,
    };
    let Looked { state, told, goes_on, trouble } = looked;
    let cursor = serde_json::to_value(&state).map_err(crate::error::Error::internal)?;
    let cursor = Some(cursor).filter(|new| row.cursor.as_ref() != Some(new));
    let passed = began.elapsed();
    let rows = told
        .into_iter()
        .enumerate()
        .map(|(number, told)| {
            // Their order is that of the items.
            let micros = u64::try_from(number).unwrap_or(u64::MAX);
            event::row(row, told, row.now + passed + Duration::from_micros(micros))
        })
        .collect();
    store(app, row, claim, cursor, trouble, rows, goes_on).await
}

/// Stores cursor and events at once, or, when the claim was lost, nothing.
async fn store(
    app: &App,
    row: &DueRow,
    claim: &str,
    cursor: Option<Value>,
    trouble: Option<Trouble>,
    events: Vec<db::event::EventRow>,
    goes_on: bool,
) -> Result<()> {
    let interval = Duration::from_secs(u64::try_from(row.interval_s).unwrap_or(60).max(60));
    let dice = rand::random();
    let error = trouble.as_ref().map(|trouble| shortened(&trouble.error));
    let polled = Polled {
        cursor: cursor.as_ref(),
        wait: match &trouble {
            None => wait::next(interval, goes_on, dice),
            Some(trouble) => wait::again(interval, trouble.cause, row.failures, dice),
        },
        error: error.as_deref().map(|text| (text, row.failures.saturating_add(1))),
    };
    let key = (&row.project_id, &row.trigger_id);
    if events.is_empty() {
        db::trigger_poll::finish(&app.db, key, claim, &polled).await?;
        return Ok(());
    }
    let mut tx = app.db.begin().await?;
    if !db::trigger_poll::finish(&mut *tx, key, claim, &polled).await? {
        return Ok(());
    }
    db::event::insert_all(&mut *tx, &events, None).await?;
    tx.commit().await?;
    Ok(())
}

/// Ends the polling of an instance that can never work again, and tells its project.
async fn disable(app: &App, row: &DueRow, claim: &str, reason: &str) -> Result<()> {
    let mut tx = app.db.begin().await?;
    let found = db::trigger_instance::lock(&mut *tx, &row.project_id, &row.trigger_id).await?;
    let Some(mut instance) = found.filter(|instance| instance.deleted_at.is_none()) else {
        return Ok(());
    };
    let polled = Polled { cursor: None, wait: Duration::ZERO, error: Some((reason, row.failures)) };
    let key = (&row.project_id, &row.trigger_id);
    if !db::trigger_poll::finish(&mut *tx, key, claim, &polled).await? {
        return Ok(());
    }
    health::disable(app, &mut tx, &mut instance, reason).await?;
    db::trigger_instance::save_beside_hook(&mut *tx, &instance).await?;
    tx.commit().await?;
    app.cache.invalidate(&super::changed(&instance));
    Ok(())
}

fn shortened(text: &str) -> String {
    let mut text: String = text.replace('\0', "\u{fffd}");
    if let Some((end, _)) = text.char_indices().nth(MAX_ERROR) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Why there is no look.
enum No {
    /// It may work later.
    Now(Trouble),
    /// It never will.
    Ever(String),
}

/// Everything that a look takes, or why there is none.
async fn asker<'a>(
    app: &'a App,
    catalog: &'a Catalog,
    row: &'a DueRow,
    began: Instant,
) -> Result<std::result::Result<Asker<'a>, No>> {
    let no = |error| Ok(Err(No::Now(Trouble { cause: Cause::Account, error })));
    let Some((toolkit, trigger)) = catalog.trigger(&row.slug) else {
        let error = format!("This server has no trigger type {}", row.slug);
        return no(error);
    };
    let How::Poll(poll) = &trigger.how else {
        let error = format!("{} is no longer a trigger type that polls", row.slug);
        return no(error);
    };
    let (account, config) = match access(app, row).await? {
        Ok(access) => access,
        Err(no) => return Ok(Err(no)),
    };
    let cursor = Value::Null;
    let args = &row.config.0;
    let due = row;
    Ok(Ok(Asker { app, due, toolkit, trigger, poll, args, account, config, began, cursor }))
}

/// The account and its auth config, or why they cannot be used.
async fn access(
    app: &App,
    row: &DueRow,
) -> Result<std::result::Result<(Arc<Account>, Arc<AuthConfig>), No>> {
    let no = |error| Ok(Err(No::Now(Trouble { cause: Cause::Account, error })));
    let id = &row.account_id;
    let Some(account) = app.cache.account(&row.project_id, id).await? else {
        return Ok(Err(No::Ever(format!("Connected account {id} is deleted"))));
    };
    if account.is_disabled {
        return no(format!("Connected account {id} is disabled"));
    }
    if account.status != AccountStatus::Active {
        let why = account.status_reason.as_deref().unwrap_or("connect it again");
        return no(format!("Connected account {id} is {}: {why}", account.status.as_str()));
    }
    let config = app.cache.auth_config(&row.project_id, &account.auth_config_id).await?;
    match config {
        Some(config) if config.is_enabled => Ok(Ok((account, config))),
        Some(config) => no(format!("The account's auth config {} is disabled", config.id)),
        None => no("The account's auth config is deleted".to_owned()),
    }
}
