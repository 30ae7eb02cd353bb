//! Tokens that end before long are refreshed before anybody needs them.

use std::time::Duration;

use crate::app::AppState;
use crate::credentials::{Running, round};
use crate::error::Result;

/// How often a server looks for tokens that end before long: half of it to all of it, so that
/// replicas come at different times.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The same when the database is away.
const AFTER_FAILURE: Duration = Duration::from_secs(10);

/// Starts the worker; it ends with the server, and what it began is ended first.
pub fn start(app: &AppState) {
    let most = app.config.refresh_concurrency;
    if most == 0 {
        return;
    }
    let app = app.clone();
    let tasks = app.tasks.clone();
    tasks.spawn(async move {
        let running = Running::new(most);
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
            pause = match round(&app, &running).await {
                Ok(0) => LOOK_EVERY.mul_f64(0.5 + rand::random::<f64>() / 2.0),
                Ok(_) => Duration::ZERO,
                Err(error) => {
                    tracing::warn!(%error, "tokens cannot be looked after; trying again");
                    AFTER_FAILURE
                }
            };
        }
    });
}

/// Refreshes all tokens that are due, and waits until that is done.
///
/// # Errors
/// When the database is away.
pub async fn all_due(app: &AppState) -> Result<()> {
    let running = Running::new(app.config.refresh_concurrency.max(1));
    loop {
        let mut begun = 0;
        loop {
            let more = round(app, &running).await?;
            begun += more;
            if more == 0 {
                break;
            }
        }
        running.idle().await;
        if begun == 0 {
            return Ok(());
        }
    }
}
