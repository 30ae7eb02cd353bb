//! Execution logs, written in batches behind the answer.
//!
//! Rows wait in a bounded queue. One task writes them, up to 500 in a statement or what 50
//! milliseconds bring. While the database is away the rows stay queued and are tried
//! again; a full queue slows executions down. At shutdown the task waits for the calls that
//! still run, writes what is queued, and gives up only after a deadline.

mod writer;

use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::config::Config;
use crate::db::execution_log::ExecutionLogRow;
use crate::error::{Error, Result, codes};

/// How long a call waits for room in the queue, and for the commit where it waits for that.
const PATIENCE: Duration = Duration::from_secs(10);

/// Handle of the writer.
#[derive(Debug, Clone)]
pub struct Logbook {
    queue: mpsc::Sender<Entry>,
    calls: TaskTracker,
    waits_for_commit: bool,
}

/// A row on its way, and who wants to hear that it is committed.
#[derive(Debug)]
struct Entry {
    row: ExecutionLogRow,
    written: Option<oneshot::Sender<()>>,
}

impl Logbook {
    /// Starts the writer; it drains its queue when `stop` is cancelled.
    pub fn start(
        config: &Config,
        db: PgPool,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Self {
        let (queue, entries) = mpsc::channel(config.log_queue_rows);
        let calls = TaskTracker::new();
        let waits_for_commit = config.log_wait_for_commit;
        let linger = if waits_for_commit { Duration::ZERO } else { writer::LINGER };
        tasks.spawn(writer::run(db, entries, calls.clone(), linger, stop.clone()));
        Self { queue, calls, waits_for_commit }
    }

    /// Announces a call that will write a row: the shutdown waits for it.
    pub fn enter(&self) -> TaskTrackerToken {
        self.calls.token()
    }

    /// Hands over a row; waits for the commit when the settings say so.
    ///
    /// # Errors
    /// Only when waiting for the commit: the database is away.
    pub async fn write(&self, mut row: ExecutionLogRow) -> Result<()> {
        strip_nul(&mut row);
        let (written, commit) = if self.waits_for_commit {
            let (sender, receiver) = oneshot::channel();
            (Some(sender), Some(receiver))
        } else {
            (None, None)
        };
        if let Err(error) = self.queue.try_send(Entry { row, written }) {
            let entry = error.into_inner();
            let id = entry.row.id.clone();
            if self.queue.send_timeout(entry, PATIENCE).await.is_err() {
                tracing::error!(log_id = %id, "execution log row lost: the queue stays full");
                return if commit.is_some() { Err(not_written()) } else { Ok(()) };
            }
        }
        match commit {
            None => Ok(()),
            Some(commit) => match tokio::time::timeout(PATIENCE, commit).await {
                Ok(Ok(())) => Ok(()),
                _ => Err(not_written()),
            },
        }
    }

    /// Hands over a row without waiting for room or the commit, where nobody can wait.
    pub fn offer(&self, mut row: ExecutionLogRow) {
        strip_nul(&mut row);
        if let Err(error) = self.queue.try_send(Entry { row, written: None }) {
            let id = &error.into_inner().row.id;
            tracing::error!(log_id = %id, "execution log row lost: the queue is full");
        }
    }
}

fn not_written() -> Error {
    Error::new(
        codes::LOG_NOT_WRITTEN,
        "The tool was executed, but its log row is not committed: the database is unavailable",
    )
    .fix("Do not repeat the call blindly: it may have had its effect")
}

/// PostgreSQL text cannot hold NUL.
fn strip_nul(row: &mut ExecutionLogRow) {
    let required = [&mut row.kind, &mut row.tool_slug, &mut row.toolkit_slug];
    let more = [&mut row.toolkit_version, &mut row.request_id];
    let optional = [
        &mut row.user_id,
        &mut row.account_id,
        &mut row.auth_config_id,
        &mut row.error,
        &mut row.request,
        &mut row.response,
    ];
    let texts = required.into_iter().chain(more).chain(optional.into_iter().flatten());
    for text in texts {
        if text.contains('\0') {
            text.retain(|c| c != '\0');
        }
    }
}
