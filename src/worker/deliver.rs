//! Events that are on their way to receivers.

use std::sync::Arc;
use std::time::Duration;

use crate::app::AppState;
use crate::error::Result;
use crate::webhook::Sender;

/// How often a server looks for deliveries that are due: half of it to all of it, so that replicas
/// come at different times. What this server stored itself does not wait for it.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The same when the database is away.
const AFTER_FAILURE: Duration = Duration::from_secs(2);

/// Starts the worker; it ends with the server. What is under way then ends first, and what is only
/// queued is left to others.
pub fn start(app: &AppState) {
    let sender = Sender::start(app);
    app.outbox.deliver_through(Some(Arc::new(sender.clone())));
    let app = app.clone();
    let tasks = app.tasks.clone();
    tasks.spawn(async move {
        let mut pause = LOOK_EVERY;
        loop {
            tokio::select! {
                () = app.stop.cancelled() => break,
                () = tokio::time::sleep(pause) => {}
                () = sender.wants_more() => {}
            }
            pause = match sender.round().await {
                Ok((0, false)) => LOOK_EVERY.mul_f64(0.5 + rand::random::<f64>() / 2.0),
                Ok(_) => Duration::ZERO,
                Err(error) => {
                    tracing::warn!(%error, "deliveries cannot be looked after; trying again");
                    AFTER_FAILURE
                }
            };
        }
        sender.stop().await;
        // It holds the server's parts, and they hold it.
        app.outbox.deliver_through(None);
    });
}

/// Sends everything that is due, and waits until that is done and noted.
///
/// # Errors
/// When the database is away.
pub async fn all_due(app: &AppState) -> Result<()> {
    let sender = Sender::start(app);
    loop {
        let (begun, more) = sender.round().await?;
        sender.idle().await;
        if begun == 0 && !more {
            break;
        }
    }
    sender.stop().await;
    Ok(())
}
