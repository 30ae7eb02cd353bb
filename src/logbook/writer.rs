//! The task that writes the rows.

use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Entry;
use crate::db;
use crate::db::execution_log::ExecutionLogRow;

/// Rows of one statement.
const BATCH: usize = 500;
/// How long a batch waits for company.
pub(super) const LINGER: Duration = Duration::from_millis(50);
/// How long the shutdown waits for calls that still run.
const CALLS_DEADLINE: Duration = Duration::from_secs(20);
/// How long the shutdown waits for the database.
const DRAIN_DEADLINE: Duration = Duration::from_secs(10);

/// Writes until `stop`, then until the last running call has written its row.
pub(super) async fn run(
    db: PgPool,
    mut entries: mpsc::Receiver<Entry>,
    calls: TaskTracker,
    linger: Duration,
    stop: CancellationToken,
) {
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            () = collect(&mut entries, &mut batch, linger) => {}
        }
        if batch.is_empty() {
            break;
        }
        tokio::select! {
            () = write(&db, &mut batch) => {}
            () = stop.cancelled() => break,
        }
    }
    calls.close();
    let last_call = Instant::now() + CALLS_DEADLINE;
    let mut finished = std::pin::pin!(tokio::time::timeout_at(last_call, calls.wait()));
    loop {
        if batch.is_empty() {
            tokio::select! {
                biased;
                () = fill(&mut entries, &mut batch) => {}
                _ = &mut finished => break,
            }
            if batch.is_empty() {
                // Every handle of the queue is gone.
                break;
            }
        } else {
            tokio::select! {
                () = write(&db, &mut batch) => {}
                _ = &mut finished => break,
            }
        }
    }
    entries.close();
    let end = Instant::now() + DRAIN_DEADLINE;
    loop {
        if batch.is_empty() && entries.recv_many(&mut batch, BATCH).await == 0 {
            return;
        }
        if tokio::time::timeout_at(end, write(&db, &mut batch)).await.is_err() {
            let lost = batch.len() + entries.len();
            tracing::error!(rows = lost, "execution log rows lost: the database is away");
            return;
        }
    }
}

/// Waits for a first row, and then for as many as come along. Cancelling it loses nothing: rows
/// that were taken are in `batch`.
async fn collect(entries: &mut mpsc::Receiver<Entry>, batch: &mut Vec<Entry>, linger: Duration) {
    fill(entries, batch).await;
    let until = Instant::now() + linger;
    while !batch.is_empty() && batch.len() < BATCH && !linger.is_zero() {
        let room = BATCH - batch.len();
        match tokio::time::timeout_at(until, entries.recv_many(batch, room)).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

async fn fill(entries: &mut mpsc::Receiver<Entry>, batch: &mut Vec<Entry>) {
    entries.recv_many(batch, BATCH).await;
}

/// Writes a batch, however long the database is away; then `batch` is empty. Cancelling it leaves
/// the batch as it was, and writing it again is harmless.
async fn write(db: &PgPool, batch: &mut Vec<Entry>) {
    let rows: Vec<&ExecutionLogRow> = batch.iter().map(|e| &e.row).collect();
    let mut wait = Duration::from_millis(50);
    while let Err(error) = db::execution_log::insert_batch(db, &rows).await {
        if is_about_the_data(&error) {
            tracing::error!(%error, "a batch of execution log rows was refused");
            one_by_one(db, &rows).await;
            break;
        }
        tracing::warn!(%error, rows = rows.len(), "execution log rows wait for the database");
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(Duration::from_secs(2));
    }
    for entry in batch.drain(..) {
        if let Some(written) = entry.written {
            // Whoever waited may have gone.
            let _ = written.send(());
        }
    }
}

/// Classes 22 (data) and 23 (constraints): trying again would not help.
fn is_about_the_data(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|e| e.code());
    code.is_some_and(|c| c.starts_with("22") || c.starts_with("23") || c.starts_with("54"))
}

/// Saves the rows that can be saved.
async fn one_by_one(db: &PgPool, rows: &[&ExecutionLogRow]) {
    for row in rows {
        if let Err(error) = db::execution_log::insert_batch(db, &[*row]).await {
            tracing::error!(%error, log_id = %row.id, "execution log row lost");
        }
    }
}
