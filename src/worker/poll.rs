//! Triggers that ask their provider.

use std::sync::Arc;
use std::time::Duration;

use super::{Pace, look};
use crate::app::AppState;
use crate::error::Result;
use crate::trigger::poll::{Turns, round};

/// How often a server looks for polls that are due: half of it to all of it, so that replicas come
/// at different times.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Between two looks while there is more to do: what is claimed together costs less.
const GATHER: Duration = Duration::from_millis(20);

/// Starts the worker; it ends with the server, and what it began is ended first.
pub fn start(app: &AppState) {
    let most = app.config.poll_concurrency;
    if most == 0 {
        return;
    }
    let pace = Pace { every: LOOK_EVERY, busy: GATHER, what: "polls" };
    let room = |turns: Arc<Turns>| async move { turns.room().await };
    look(app, Turns::new(most), pace, room, |app, turns| async move { round(&app, &turns).await });
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
