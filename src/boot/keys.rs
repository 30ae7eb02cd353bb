//! `patchbay keys`: what the encryption keys seal, and exchanging them while servers serve.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::bail;
use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;

use super::data_dir::DataDir;
use super::embedded::Embedded;
use super::signals::Signals;
use super::{close, external, master_key};
use crate::config::Config;
use crate::db;
use crate::vault::rotate::{GRACE, Report, Rotation};
use crate::vault::status::{self, Status};
use crate::vault::{KeySource, Masters, Vault};

/// Connections of a command.
const CONNECTIONS: u32 = 3;

/// Data keys that the status shows unless it is asked for all.
const LINES: usize = 20;

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub enum Action {
    /// Show which key seals how many rows.
    Status {
        /// As JSON.
        json: bool,
        /// Every data key, however many there are.
        all: bool,
    },
    /// Exchange keys.
    Rotate {
        /// The master key, if another is wanted than the one in use.
        master: bool,
        /// The data keys.
        data: bool,
        /// Make a new master key first.
        new_master: bool,
        /// How long running servers may take to read a new master key.
        wait: Duration,
    },
}

/// Does it.
///
/// # Errors
/// In words for the operator.
pub async fn run(config: Config, action: Action) -> anyhow::Result<()> {
    let signals = Signals::listen()?;
    let data_dir = DataDir::new(&config.data_dir);
    if config.database_url.is_some() {
        return with_database(&config, &data_dir, external(&config)?, action, &signals).await;
    }
    if !data_dir.join("postgresql").exists() {
        bail!(
            "there is no database: {} holds none, and PATCHBAY_DATABASE_URL is not set",
            data_dir.path().display()
        );
    }
    let Ok(_lock) = data_dir.lock() else {
        // A server runs on it, and so does its database.
        let options = Embedded::of_running(&data_dir).await?;
        return with_database(&config, &data_dir, options, action, &signals).await;
    };
    let Some(embedded) = Embedded::start(&config, &data_dir, &signals).await? else {
        return Ok(());
    };
    let outcome = with_database(&config, &data_dir, embedded.options(), action, &signals).await;
    embedded.stop().await;
    outcome
}

async fn with_database(
    config: &Config,
    data_dir: &DataDir,
    options: PgConnectOptions,
    action: Action,
    signals: &Signals,
) -> anyhow::Result<()> {
    let pool = db::connect(options, CONNECTIONS)
        .await
        .map_err(|e| anyhow::anyhow!("cannot connect to the database: {e}"))?;
    let outcome = tokio::select! {
        outcome = act(config, data_dir, &pool, action) => outcome,
        () = signals.stop.cancelled() => {
            Err(anyhow::anyhow!("stopped; the same command goes on from here"))
        }
    };
    close(&pool).await;
    outcome
}

async fn act(
    config: &Config,
    data_dir: &DataDir,
    pool: &PgPool,
    action: Action,
) -> anyhow::Result<()> {
    if !db::data_key::is_there(pool).await? {
        bail!("this database has no data keys yet; start a server of this version on it first");
    }
    let source = master_key::source(config, data_dir);
    let masters = Masters::read(source.clone(), &config.previous_encryption_keys).await?;
    let vault = Vault::new(masters, pool);
    match action {
        // Also for an operator who looks for the keys that are missing.
        Action::Status { json, all } => {
            let status = status::read(&vault, pool).await?;
            let most = if all { usize::MAX } else { LINES };
            let text =
                if json { serde_json::to_string_pretty(&status)? } else { table(&status, most) };
            println!("{}", text.trim_end());
            Ok(())
        }
        Action::Rotate { master, data, new_master, wait } => {
            vault.prove().await?;
            let mut say = |line: &str| println!("{line}");
            if new_master {
                put_new_master(&vault, pool, &source, &mut say).await?;
            }
            let mut rotation = Rotation::new(&vault, pool.clone(), &mut say);
            if master {
                exchange_master(&mut rotation, wait).await?;
            }
            if data {
                rotation.data_keys().await?;
            }
            rotation.sweep(GRACE, config.file_ttl).await?;
            finish(rotation.report())
        }
    }
}

/// Puts a new master key into the key file, unless one there is still to be taken into use.
async fn put_new_master(
    vault: &Vault,
    pool: &PgPool,
    source: &KeySource,
    say: &mut (dyn FnMut(&str) + Send),
) -> anyhow::Result<()> {
    let KeySource::File(path) = source else {
        bail!(
            "--new-master writes into a key file, and {} is none: put a new key there yourself \
             (docs/OPERATING.md)",
            source.place()
        );
    };
    if Rotation::new(vault, pool.clone(), say).master_key_is_due().await? {
        say("A master key that was put there earlier is not in use everywhere; that comes first.");
        return Ok(());
    }
    master_key::put_in_front(path)?;
    vault.masters().read_again().await?;
    say(&format!(
        "Put master key {} in front of the others in {}. Keep a copy.",
        hex::encode(vault.masters().wanted().id()),
        path.display()
    ));
    Ok(())
}

/// Takes the wanted master key into use, when every running server has it.
async fn exchange_master(rotation: &mut Rotation<'_>, wait: Duration) -> anyhow::Result<()> {
    if !rotation.master_key_is_due().await? {
        rotation.say("The first master key that was given is the one in use.");
        return Ok(rotation.master_key().await?);
    }
    rotation.announce_wanted().await?;
    let began = std::time::Instant::now();
    loop {
        let without = rotation.without_wanted().await?;
        if without.is_empty() {
            break;
        }
        if began.elapsed() > wait {
            bail!(
                "these running servers do not have the new master key: {}. Nothing was changed. \
                 Give it to them (docs/OPERATING.md) and run this again",
                without.join(", ")
            );
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(rotation.master_key().await?)
}

fn finish(report: &Report) -> anyhow::Result<()> {
    println!(
        "{} values sealed anew, {} data keys made, {} keys sealed with the master key in use, {} old \
         data keys deleted.",
        report.resealed, report.data_keys_made, report.keys_rewrapped, report.data_keys_deleted
    );
    if report.is_complete() {
        println!(
            "Nothing is sealed with an old key any more. Servers delete retired data keys after {} \
             minutes.",
            GRACE.as_secs() / 60
        );
        return Ok(());
    }
    bail!(
        "not everything was exchanged: {} values were in use all the time (run this again), {} \
         values and {} keys do not open and stay as they are:\n  {}",
        report.left,
        report.unreadable_values,
        report.unreadable_keys,
        report.unreadable.join("\n  ")
    )
}

/// The status for a person, with at most so many data keys: first the retired ones that something
/// still needs.
fn table(status: &Status, most: usize) -> String {
    let mut text = String::new();
    let when = |at: chrono::DateTime<chrono::Utc>| at.format("%Y-%m-%d %H:%M:%S").to_string();
    let mark = |yes: bool, mark: &'static str| if yes { mark } else { "-" };
    // Writing to a string does not fail.
    let _ = writeln!(text, "MASTER KEYS  in use  here  data keys  link keys  old values");
    for m in &status.master_keys {
        let _ = writeln!(
            text,
            "{:<11}  {:<6}  {:<4}  {:>9}  {:>9}  {:>10}",
            m.id,
            mark(m.is_in_use, "yes"),
            mark(m.is_at_hand, "yes"),
            m.data_keys,
            m.link_keys,
            m.rows
        );
    }
    let _ = writeln!(text, "\nLINK KEYS         made                 retired");
    for k in &status.link_keys {
        let retired = k.retired_at.map_or_else(|| "-".to_owned(), when);
        let _ = writeln!(text, "{:<16}  {:<19}  {retired}", k.id, when(k.created_at));
    }
    let _ = writeln!(
        text,
        "\nDATA KEYS         project          master    made                 retired              \
               rows"
    );
    let mut data_keys: Vec<_> = status.data_keys.iter().collect();
    data_keys.sort_by_key(|k| k.retired_at.is_none() || k.rows == 0);
    for k in data_keys.iter().take(most) {
        let retired = k.retired_at.map_or_else(|| "-".to_owned(), when);
        let columns: Vec<String> =
            k.columns.iter().map(|(column, n)| format!("{column} {n}")).collect();
        let _ = writeln!(
            text,
            "{:<16}  {:<15}  {:<8}  {:<19}  {retired:<19}  {:>8}  {}",
            k.id,
            k.project_id,
            k.master_key_id,
            when(k.created_at),
            k.rows,
            columns.join(", ")
        );
    }
    let (shown, total) = (data_keys.len().min(most), data_keys.len());
    if shown < total {
        let _ = writeln!(text, "and {} more (--all lists them)", total - shown);
    }
    let waiting = data_keys.iter().filter(|k| k.retired_at.is_some() && k.rows > 0).count();
    let _ = writeln!(
        text,
        "{total} data keys seal {} rows; {waiting} of them are retired and still needed",
        data_keys.iter().map(|k| k.rows).sum::<i64>()
    );
    let _ = writeln!(text, "\nRUNNING SERVERS have the master keys");
    for s in &status.servers {
        let _ = writeln!(text, "{}: {}", s.name, s.master_keys.join(" "));
    }
    if let Some(at) = status.unfinished_rotation {
        let began = when(at);
        let _ = writeln!(text, "\nA rotation that began at {began} has not come to its end.");
    }
    for m in status.master_keys.iter().filter(|m| m.is_at_hand && !m.is_in_use) {
        if m.data_keys + m.link_keys + m.rows == 0 {
            let _ = writeln!(text, "\nNothing in this database needs master key {}.", m.id);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::now;
    use crate::vault::status::DataKeyStatus;

    #[test]
    fn many_projects_are_summed_up_and_what_needs_work_comes_first() {
        let key = |n: usize| DataKeyStatus {
            project_id: format!("pr_{n}"),
            id: format!("key-{n}"),
            master_key_id: "m".to_owned(),
            created_at: now(),
            retired_at: (n >= 28).then(now),
            rows: if n == 29 { 0 } else { 2 },
            columns: [("auth_config.credentials", 2)].into(),
        };
        let status = Status {
            master_keys: Vec::new(),
            link_keys: Vec::new(),
            data_keys: (0..30).map(key).collect(),
            unfinished_rotation: None,
            servers: Vec::new(),
        };
        let text = table(&status, 5);
        let lines: Vec<&str> = text.lines().filter(|l| l.starts_with("key-")).collect();
        assert_eq!(lines.len(), 5, "{text}");
        assert!(lines[0].starts_with("key-28") && lines[1].starts_with("key-0"), "{text}");
        assert!(text.contains("and 25 more (--all lists them)"), "{text}");
        let total = "30 data keys seal 58 rows; 1 of them are retired and still needed";
        assert!(text.contains(total), "{text}");
        let all = table(&status, usize::MAX);
        assert_eq!(all.lines().filter(|l| l.starts_with("key-")).count(), 30);
        assert!(!all.contains("--all") && all.contains(total), "{all}");
    }
}
