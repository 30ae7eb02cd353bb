//! Tokens that a provider is still to be told to forget.

use std::time::Duration;

use crate::app::AppState;
use crate::credentials::{Running, revocation};
use crate::error::Result;

/// Orders that one server carries out at a time; at most half of them of one toolkit.
const CONCURRENCY: usize = 8;

/// How often a server looks for orders that are due: half of it to all of it, so that replicas
/// come at different times.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The same when the database is away.
const AFTER_FAILURE: Duration = Duration::from_secs(10);

/// Starts the worker; it ends with the server, and what it began is ended first.
pub fn start(app: &AppState) {
    let app = app.clone();
    let tasks = app.tasks.clone();
    tasks.spawn(async move {
        let running = Running::new(CONCURRENCY);
        let mut pause = LOOK_EVERY;
        loop {
            tokio::select! {
                () = app.stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            tokio::select! {
                () = app.stop.cancelled() => return,
                () = running.room() => {}
            }
            pause = match revocation::round(&app, &running).await {
                Ok(0) => LOOK_EVERY.mul_f64(0.5 + rand::random::<f64>() / 2.0),
                Ok(_) => Duration::ZERO,
                Err(error) => {
                    tracing::warn!(%error, "revocations cannot be looked after; trying again");
                    AFTER_FAILURE
                }
            };
        }
    });
}

/// Carries out all orders that are due, and waits until that is done.
///
/// # Errors
/// When the database is away.
pub async fn all_due(app: &AppState) -> Result<()> {
    let running = Running::new(CONCURRENCY);
    loop {
        let begun = revocation::round(app, &running).await?;
        running.idle().await;
        if begun == 0 {
            return Ok(());
        }
    }
}
