//! Triggers that ask their provider.

use std::time::Duration;

use crate::app::AppState;
use crate::error::Result;
use crate::trigger::poll::{Turns, round};

/// How often a server looks for polls that are due: half of it to all of it, so that replicas come
/// at different times.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Between two looks while there is more to do: what is claimed together costs less.
const GATHER: Duration = Duration::from_millis(20);

/// The same when the database is away.
const AFTER_FAILURE: Duration = Duration::from_secs(10);

/// Starts the worker; it ends with the server, and what it began is ended first.
pub fn start(app: &AppState) {
    let most = app.config.poll_concurrency;
    if most == 0 {
        return;
    }
    let app = app.clone();
    let tasks = app.tasks.clone();
    tasks.spawn(async move {
        let turns = Turns::new(most);
        let mut pause = LOOK_EVERY;
        loop {
            tokio::select! {
                () = app.stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            tokio::select! {
                () = app.stop.cancelled() => return,
                () = turns.room() => {}
            }
            pause = match round(&app, &turns).await {
                Ok(0) => LOOK_EVERY.mul_f64(0.5 + rand::random::<f64>() / 2.0),
                Ok(_) => GATHER,
                Err(error) => {
                    tracing::warn!(%error, "polls cannot be looked after; trying again");
                    AFTER_FAILURE
                }
            };
        }
    });
}

/// Makes all polls that are due, and waits until that is done.
///
/// # Errors
/// When the database is away.
pub async fn all_due(app: &AppState) -> Result<()> {
    let turns = Turns::new(app.config.poll_concurrency.max(1));
    loop {
        let begun = round(app, &turns).await?;
        turns.idle().await;
        if begun == 0 && turns.after().is_none() {
            return Ok(());
        }
    }
}
