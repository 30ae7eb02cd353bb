//! Encryption keys: this server says which master keys it has, and clears away data keys that
//! nothing needs any more.

use std::time::Duration;

use crate::app::AppState;
use crate::error::Result;
use crate::vault::rotate::{GRACE, Rotation};

/// How often a server says which master keys it has.
const HOLD_EVERY: Duration = Duration::from_secs(10);

/// How often retired keys are looked for.
pub const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// Says which master keys this server has, at once and whenever somebody asks; ends with the
/// server.
pub fn hold(app: &AppState) {
    let app = app.clone();
    app.clone().tasks.spawn(async move {
        let name = name(&app);
        loop {
            if let Err(error) = app.vault.hold(&name).await {
                tracing::warn!(%error, "could not say which encryption keys this server has");
            }
            tokio::select! {
                () = app.stop.cancelled() => break,
                () = tokio::time::sleep(HOLD_EVERY) => {}
                () = app.vault.nudged() => {}
            }
        }
        // Otherwise whoever exchanges keys would wait for this server for a while.
        let _ = app.vault.let_go().await;
    });
}

/// What an operator knows this server by.
fn name(app: &AppState) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim();
    let process = std::process::id();
    format!(
        "{} (process {process}{}{host})",
        app.config.listen,
        if host.is_empty() { "" } else { " on " }
    )
}

/// Deletes retired data keys that nothing needs.
///
/// # Errors
/// When the database is away.
pub async fn sweep(app: &AppState) -> Result<()> {
    let mut say = |line: &str| tracing::info!("{line}");
    let mut rotation = Rotation::new(&app.vault, app.db.clone(), &mut say);
    rotation.sweep(GRACE, app.config.file_ttl).await?;
    let report = rotation.report();
    if report.data_keys_deleted > 0 {
        tracing::info!(keys = report.data_keys_deleted, "deleted data keys that nothing needs");
    }
    Ok(())
}
