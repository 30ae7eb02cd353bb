//! What came of deliveries, written in batches behind the answers.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::subscription::disable;
use crate::app::AppState;
use crate::db::webhook_delivery::{self, Note, Verdict};
use crate::domain::id::{ProjectId, SubscriptionId};

/// Notes of one statement.
const BATCH: usize = 500;
/// How long a batch waits for company. Nobody waits for a note but a server that starts after this
/// one was killed.
const LINGER: Duration = Duration::from_millis(10);
/// How long the shutdown waits for the database.
const DRAIN: Duration = Duration::from_secs(8);

/// A note on its way.
pub(super) struct Told {
    pub(super) note: Note,
    /// The receiver said that it is gone.
    pub(super) is_gone: bool,
    /// It had failed before.
    pub(super) is_repeated: bool,
}

/// Writes notes until nobody is left who makes them.
pub(super) async fn run(app: AppState, mut told: mpsc::Receiver<Told>) {
    let mut batch = Vec::with_capacity(BATCH);
    let mut give_up = None;
    while told.recv_many(&mut batch, BATCH).await > 0 {
        let until = Instant::now() + LINGER;
        while batch.len() < BATCH && !app.stop.is_cancelled() {
            let room = BATCH - batch.len();
            match tokio::time::timeout_at(until, told.recv_many(&mut batch, room)).await {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
        }
        let told = std::mem::take(&mut batch);
        let gone = keys(&told, |told| told.is_gone);
        let failing = keys(&told, |told| {
            let has_failed = told.note.verdict != Verdict::Delivered && told.note.attempt.is_some();
            has_failed && (told.is_repeated || told.note.verdict == Verdict::Dead)
        });
        let notes: Vec<Note> = told.into_iter().map(|told| told.note).collect();
        if !write(&app, &notes, &mut give_up).await {
            tracing::warn!(
                notes = notes.len(),
                "what came of deliveries could not be noted; they are sent again"
            );
            continue;
        }
        for (project, id) in gone {
            off(&app, &project, &id, "The receiver answered 410 Gone").await;
        }
        check(&app, failing).await;
    }
}

type Key = (ProjectId, SubscriptionId);

fn keys(told: &[Told], which: impl Fn(&Told) -> bool) -> BTreeSet<Key> {
    let those = told.iter().filter(|told| which(told)).map(|told| &told.note);
    those.map(|note| (note.project_id.clone(), note.subscription_id.clone())).collect()
}

/// Writes notes, however long the database is away, until some time after the server was told to
/// stop; false: they are not written.
async fn write(app: &AppState, notes: &[Note], give_up: &mut Option<Instant>) -> bool {
    let mut wait = Duration::from_millis(50);
    while let Err(error) = webhook_delivery::note(&app.db, notes).await {
        // Classes 22 and 23: trying again would not help.
        let code = error.as_database_error().and_then(|e| e.code());
        if code.is_some_and(|c| c.starts_with("22") || c.starts_with("23")) {
            tracing::error!(%error, "notes of deliveries were refused");
            return false;
        }
        if app.stop.is_cancelled()
            && *give_up.get_or_insert_with(|| Instant::now() + DRAIN) <= Instant::now()
        {
            return false;
        }
        tracing::warn!(%error, notes = notes.len(), "notes of deliveries wait for the database");
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(Duration::from_secs(2));
    }
    true
}

/// Switches subscriptions off to which nothing was delivered for too long. A first attempt does not
/// count: after days without events, one failure says little.
async fn check(app: &AppState, failing: BTreeSet<Key>) {
    for (project, id) in failing {
        let age = app.config.webhook_disable_after;
        match webhook_delivery::fails_since(&app.db, &project, &id, age).await {
            Ok(true) => {
                let days = age.as_secs_f64() / 86_400.0;
                let why = format!("Nothing could be delivered for {days:.1} days");
                off(app, &project, &id, &why).await;
            }
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "a failing subscription cannot be looked at"),
        }
    }
}

async fn off(app: &AppState, project: &ProjectId, id: &SubscriptionId, why: &str) {
    if let Err(error) = disable(app, project, id, why).await {
        tracing::warn!(%project, subscription = %id, %error, "a subscription could not be disabled");
    }
}
