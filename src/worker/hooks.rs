//! Webhooks at providers that are to be renewed or removed.

use std::time::Duration;

use crate::app::AppState;
use crate::credentials::Running;
use crate::error::Result;
use crate::trigger::hook;

/// Registrations that one server looks after at a time; at most half of them of one toolkit.
const CONCURRENCY: usize = 16;

/// How often a server looks for registrations that are due: half of it to all of it, so that
/// replicas come at different times.
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
            pause = match hook::round(&app, &running).await {
                Ok(0) => LOOK_EVERY.mul_f64(0.5 + rand::random::<f64>() / 2.0),
                Ok(_) => Duration::ZERO,
                Err(error) => {
                    tracing::warn!(%error, "webhooks cannot be looked after; trying again");
                    AFTER_FAILURE
                }
            };
        }
    });
}

/// Looks after all registrations that are due, and waits until that is done.
///
/// # Errors
/// When the database is away.
pub async fn all_due(app: &AppState) -> Result<()> {
    let running = Running::new(CONCURRENCY);
    loop {
        let begun = hook::round(app, &running).await?;
        running.idle().await;
        if begun == 0 {
            return Ok(());
        }
    }
}
