//! Tokens that end before long are refreshed before anybody needs them.

use std::sync::Arc;
use std::time::Duration;

use super::{Pace, look};
use crate::app::AppState;
use crate::credentials::{Running, round};
use crate::error::Result;

/// How often a server looks for tokens that end before long: half of it to all of it, so that
/// replicas come at different times.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Starts the worker; it ends with the server, and what it began is ended first.
pub fn start(app: &AppState) {
    let most = app.config.refresh_concurrency;
    if most == 0 {
        return;
    }
    let pace = Pace { every: LOOK_EVERY, busy: Duration::ZERO, what: "tokens" };
    let room = |running: Arc<Running>| async move { running.room().await };
    look(
        app,
        Running::new(most),
        pace,
        room,
        |app, running| async move { round(&app, &running).await },
    );
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
