//! The running PostgreSQL, and the watcher that stops it should this process die.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use sqlx::postgres::PgConnectOptions;
use tokio::process::Child;

use super::{Binaries, Layout, PORT};
use crate::db;

/// How long an orderly stop may take; then the database stops at once and recovers next time.
const STOPS: Duration = Duration::from_secs(60);
/// When the log starts anew.
const LOG_MAX_BYTES: u64 = 16 * 1024 * 1024;

/// A running server.
#[derive(Debug)]
pub struct Server {
    postgres: Child,
    watcher: Child,
    log: PathBuf,
}

impl Server {
    /// Starts the server.
    pub fn start(layout: &Layout, binaries: &Binaries, connections: u32) -> anyhow::Result<Self> {
        let log = layout.home.join("server.log");
        let postgres = layout
            .account
            .command(&binaries.program("postgres"))
            .arg("-D")
            .arg(&layout.cluster)
            .args(settings(&layout.socket_dir, connections))
            .stdout(open_log(&log)?)
            .stderr(open_log(&log)?)
            .spawn()
            .context("cannot start PostgreSQL")?;
        let pid = postgres.id().unwrap_or_default();
        let watcher = layout
            .account
            .command(Path::new("/bin/sh"))
            .args(["-c", "read -r _; kill -INT \"$0\" 2>/dev/null"])
            .arg(pid.to_string())
            // The other end closes when this process ends, however it ends.
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start /bin/sh")?;
        Ok(Self { postgres, watcher, log })
    }

    /// Waits until it answers; recovery after a crash takes as long as it takes.
    pub async fn answer(&mut self, options: &PgConnectOptions) -> anyhow::Result<()> {
        let mut waited = 0_u32;
        loop {
            if let Some(status) = self.postgres.try_wait()? {
                bail!("PostgreSQL ended at once ({status}); {}", tail(&self.log));
            }
            match db::answers(options).await {
                Ok(()) => return Ok(()),
                Err(error) if error.as_database_error().is_some_and(|e| !is_starting(e)) => {
                    bail!("PostgreSQL does not let the server in: {error}")
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
            waited += 1;
            if waited.is_multiple_of(250) {
                tracing::info!(log = %self.log.display(), "waiting for the database");
            }
        }
    }

    /// Whether it ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.postgres.try_wait().is_ok_and(|status| status.is_some())
    }

    /// Waits until it ends by itself.
    pub async fn ended(&mut self) {
        let _ = self.postgres.wait().await;
    }

    /// Stops it and its watcher.
    pub async fn stop(mut self) {
        self.tell(Signal::INT);
        if tokio::time::timeout(STOPS, self.postgres.wait()).await.is_err() {
            tracing::error!("the database did not stop in time; stopping it at once");
            self.tell(Signal::QUIT);
            let _ = tokio::time::timeout(STOPS, self.postgres.wait()).await;
        }
        let _ = self.watcher.kill().await;
    }

    fn tell(&self, signal: Signal) {
        let pid = self.postgres.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(pid) = pid {
            let _ = kill_process(pid, signal);
        }
    }
}

/// What is set on the command line goes before `postgresql.conf`.
fn settings(socket_dir: &Path, connections: u32) -> Vec<String> {
    [
        "listen_addresses=".to_owned(),
        format!("unix_socket_directories={}", quoted(socket_dir)),
        "unix_socket_permissions=0700".to_owned(),
        format!("port={PORT}"),
        format!("max_connections={connections}"),
        "fsync=on".to_owned(),
        "logging_collector=off".to_owned(),
        "log_destination=stderr".to_owned(),
    ]
    .into_iter()
    .flat_map(|setting| ["-c".to_owned(), setting])
    .collect()
}

/// The setting is a list: a comma in the path must not part it.
fn quoted(path: &Path) -> String {
    format!("\"{}\"", path.display().to_string().replace('"', "\"\""))
}

fn is_starting(error: &dyn sqlx::error::DatabaseError) -> bool {
    error.code().is_some_and(|c| c == "57P03")
}

fn open_log(path: &PathBuf) -> anyhow::Result<File> {
    if std::fs::metadata(path).is_ok_and(|m| m.len() > LOG_MAX_BYTES) {
        std::fs::remove_file(path)?;
    }
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot open {}", path.display()))
}

/// The last lines of the log.
fn tail(path: &Path) -> String {
    let text = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let last = lines[lines.len().saturating_sub(5)..].join("\n");
    format!("the end of {}:\n{last}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_a_comma_stays_one_path() {
        let all = settings(Path::new("/a,b/run"), 20).join(" ");
        assert!(all.contains("unix_socket_directories=\"/a,b/run\""), "{all}");
    }
}
