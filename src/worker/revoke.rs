//! Tokens that a provider is still to be told to forget.

use std::sync::Arc;
use std::time::Duration;

use super::{Pace, look};
use crate::app::AppState;
use crate::credentials::{Running, revocation};
use crate::error::Result;

/// Orders that one server carries out at a time; at most half of them of one toolkit.
const CONCURRENCY: usize = 8;

/// How often a server looks for orders that are due: half of it to all of it, so that replicas
/// come at different times.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Starts the worker; it ends with the server, and what it began is ended first.
pub fn start(app: &AppState) {
    let pace = Pace { every: LOOK_EVERY, busy: Duration::ZERO, what: "revocations" };
    let room = |running: Arc<Running>| async move { running.room().await };
    look(app, Running::new(CONCURRENCY), pace, room, |app, running| async move {
        revocation::round(&app, &running).await
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
