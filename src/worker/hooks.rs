//! Webhooks at providers that are to be renewed or removed.

use std::sync::Arc;
use std::time::Duration;

use super::{Pace, look};
use crate::app::AppState;
use crate::credentials::Running;
use crate::error::Result;
use crate::trigger::hook;

/// Registrations that one server looks after at a time; at most half of them of one toolkit.
const CONCURRENCY: usize = 16;

/// How often a server looks for registrations that are due: half of it to all of it, so that
/// replicas come at different times.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Starts the worker; it ends with the server, and what it began is ended first.
pub fn start(app: &AppState) {
    let pace = Pace { every: LOOK_EVERY, busy: Duration::ZERO, what: "webhooks" };
    let room = |running: Arc<Running>| async move { running.room().await };
    look(app, Running::new(CONCURRENCY), pace, room, |app, running| async move {
        hook::round(&app, &running).await
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
