//! The cluster on disk: making it, and what an earlier server left behind.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::{Binaries, Layout, ROLE};

/// How long a server that was left behind may take to stop.
const LEFTOVER_STOPS: Duration = Duration::from_secs(60);

/// Major version of an existing cluster.
pub fn major(cluster: &Path) -> anyhow::Result<Option<u32>> {
    if !cluster.exists() {
        return Ok(None);
    }
    let path = cluster.join("PG_VERSION");
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}; is it a PostgreSQL cluster?", path.display()))?;
    let major = text.trim().parse().with_context(|| format!("{}: not a number", path.display()))?;
    Ok(Some(major))
}

/// Makes the cluster. An interrupted attempt leaves only a draft, which the next one removes.
pub async fn create(layout: &Layout, binaries: &Binaries, password: &str) -> anyhow::Result<()> {
    tracing::info!(
        postgresql = binaries.major,
        folder = %layout.cluster.display(),
        "making a private database"
    );
    let draft = layout.home.join("cluster.draft");
    let password_file = layout.home.join("initdb.password");
    if draft.exists() {
        std::fs::remove_dir_all(&draft)?;
    }
    let _ = std::fs::remove_file(&password_file);
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&password_file)?;
    writeln!(file, "{password}")?;
    layout.account.own(&password_file)?;
    let output = layout
        .account
        .command(&binaries.program("initdb"))
        .arg("--pgdata")
        .arg(&draft)
        .arg("--pwfile")
        .arg(&password_file)
        .args(["--username", ROLE, "--auth", "scram-sha-256"])
        .args(["--encoding", "UTF8", "--locale", "C", "--no-instructions"])
        .kill_on_drop(true)
        .stdin(Stdio::null())
        .output()
        .await;
    let _ = std::fs::remove_file(&password_file);
    let output = output.context("cannot run initdb")?;
    if !output.status.success() {
        let _ = std::fs::remove_dir_all(&draft);
        bail!("initdb failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    std::fs::rename(&draft, &layout.cluster)?;
    std::fs::File::open(&layout.home)?.sync_all()?;
    Ok(())
}

/// Stops the database of a server that ended without stopping it. The caller holds the lock of
/// the data directory, so no living server uses it.
pub async fn stop_leftover(layout: &Layout, binaries: &Binaries) -> anyhow::Result<()> {
    let pid_file = layout.cluster.join("postmaster.pid");
    let Ok(text) = std::fs::read_to_string(&pid_file) else { return Ok(()) };
    let pid = text.lines().next().and_then(|l| l.trim().parse().ok()).and_then(Pid::from_raw);
    let Some(pid) = pid.filter(|pid| is_alive(*pid)) else { return Ok(()) };
    if !is_postgres_of(pid, &layout.cluster).await {
        // The number was given to another program since; PostgreSQL would take that for its own.
        tracing::info!("removing a stale postmaster.pid");
        std::fs::remove_file(&pid_file)?;
        return Ok(());
    }
    tracing::info!(pid = pid.as_raw_pid(), "stopping the database that an earlier server left");
    let _ = kill_process(pid, Signal::INT);
    let gone = async {
        while is_alive(pid) && pid_file.exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    if tokio::time::timeout(LEFTOVER_STOPS, gone).await.is_err() {
        bail!(
            "process {} still runs the database in {}; stop it with `{} stop -D {0} -m immediate`",
            pid.as_raw_pid(),
            layout.cluster.display(),
            binaries.program("pg_ctl").display()
        );
    }
    Ok(())
}

fn is_alive(pid: Pid) -> bool {
    match test_kill_process(pid) {
        Ok(()) => true,
        Err(error) => error == rustix::io::Errno::PERM,
    }
}

/// Whether the process was started on this cluster.
async fn is_postgres_of(pid: Pid, cluster: &Path) -> bool {
    let number = pid.as_raw_pid();
    let command = match std::fs::read(format!("/proc/{number}/cmdline")) {
        Ok(bytes) => bytes,
        Err(_) => {
            let mut ps = tokio::process::Command::new("ps");
            ps.args(["-ww", "-o", "command=", "-p"]).arg(number.to_string());
            ps.output().await.map(|o| o.stdout).unwrap_or_default()
        }
    };
    String::from_utf8_lossy(&command).contains(&*cluster.to_string_lossy())
}
