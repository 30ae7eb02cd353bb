//! Exchanging keys while servers serve.
//!
//! Everything goes in small transactions that leave the database in a state that every server
//! understands, so that the work may be killed at any point and is carried on by whoever comes next:
//!
//! - A data key is deleted only when its foreign keys let it: no row needs it, not even one
//!   that another server is writing at this moment.
//! - Rows are locked while they are sealed anew, and only rows that nobody else has locked. What a
//!   row means does not change with it, so neither do its version and its times.
//! - Which master key seals new data keys is written in `server_check`; who makes a data key
//!   holds that row. When it has changed, no further key appears under the old one.

use std::time::Instant;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};

use super::Vault;
use super::check::{CHECK, HOLDER_SILENCE_S, TEXT};
use super::data_keys::{DataKey, seal_data_key};
use super::link_keys::seal_link_key;
use super::seal::{self, Context, DataKeyId, MasterId, Sealer, seal_with_master};
use crate::db;
use crate::db::notify::Changed;
use crate::db::sealed::{COLUMNS, Column, SealedRow};
use crate::domain::id::ProjectId;
use crate::error::Result;

/// Rows that one transaction seals anew.
const BATCH: i64 = 200;

/// Rounds over a project whose rows others keep busy.
const ROUNDS: u32 = 300;

/// Between two such rounds.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(200);

/// A retired data key stays at least this long: a server may have read it a moment before. That
/// a row needs it is known from the foreign keys; this is only so that nobody runs into them.
pub const GRACE: std::time::Duration = std::time::Duration::from_secs(5 * 60);

/// Most rows that a report names.
const MAX_NAMED: usize = 20;

/// Between two lines about the values of one project.
const SAY_EVERY: std::time::Duration = std::time::Duration::from_secs(1);

/// Hears how far the work is, in lines for a person.
pub type Say<'a> = &'a mut (dyn FnMut(&str) + Send);

/// What was done.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Report {
    /// Values that were sealed anew.
    pub resealed: u64,
    /// New data keys.
    pub data_keys_made: u64,
    /// Data keys and link keys that were sealed with another master key.
    pub keys_rewrapped: u64,
    /// Data keys that nothing needs any more, deleted.
    pub data_keys_deleted: u64,
    /// Values that are still sealed with an old key, because their rows were busy all the time.
    pub left: u64,
    /// Values that do not open: they stay as they are, and so do the keys that they name.
    pub unreadable_values: u64,
    /// Keys that do not open.
    pub unreadable_keys: u64,
    /// The first of those.
    pub unreadable: Vec<String>,
}

impl Report {
    fn name_unreadable(&mut self, what: Vec<String>) {
        for what in what {
            if self.unreadable.len() < MAX_NAMED && !self.unreadable.contains(&what) {
                self.unreadable.push(what);
            }
        }
    }

    /// Whether everything is sealed with the new keys.
    pub fn is_complete(&self) -> bool {
        self.left == 0 && self.unreadable_values == 0 && self.unreadable_keys == 0
    }
}

/// Work on the keys of one database, with the master keys of a vault.
pub struct Rotation<'a> {
    vault: &'a Vault,
    db: PgPool,
    say: Say<'a>,
    said_at: Instant,
    report: Report,
}

impl<'a> Rotation<'a> {
    /// Over the pool of the caller.
    pub fn new(vault: &'a Vault, db: PgPool, say: Say<'a>) -> Self {
        Self { vault, db, say, said_at: Instant::now(), report: Report::default() }
    }

    /// Says a line.
    pub fn say(&mut self, line: &str) {
        (self.say)(line);
    }

    /// What was done so far.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Gives every project a new data key and seals all its values with it; a new key for links
    /// too. An unfinished rotation is carried on.
    ///
    /// # Errors
    /// When the database is away. Doing it again goes on where it stopped.
    pub async fn data_keys(&mut self) -> Result<()> {
        let (number, began, is_old) = db::key_rotation::begin(&self.db).await?;
        if is_old {
            (self.say)(&format!("Carrying on the rotation that began at {began:.0}."));
        }
        self.vault.replace_link_key(began).await?;
        // Keys that were being made as it began are seen the next time around.
        loop {
            let projects = db::data_key::projects_with_current_before(&self.db, began).await?;
            if projects.is_empty() {
                break;
            }
            for project in &projects {
                self.new_data_key(project, began).await?;
            }
        }
        self.values_of_old_keys().await?;
        if self.report.left == 0 {
            db::key_rotation::finish(&self.db, number).await?;
        }
        Ok(())
    }

    async fn new_data_key(&mut self, project: &ProjectId, began: DateTime<Utc>) -> Result<()> {
        if self.vault.make_data_key(project, Some(began)).await? {
            self.report.data_keys_made += 1;
        }
        self.vault.forget(&Changed::DataKeys { project: project.clone() });
        Ok(())
    }

    /// Seals every value with the current data key of its project.
    ///
    /// # Errors
    /// As [`Rotation::data_keys`].
    pub async fn values_of_old_keys(&mut self) -> Result<()> {
        let mut projects = db::data_key::projects_with_retired(&self.db, 0.0).await?;
        for column in COLUMNS {
            projects.extend(column.projects_under_master(&self.db).await?);
        }
        projects.sort();
        projects.dedup();
        let total = projects.len();
        (self.report.left, self.report.unreadable_values) = (0, 0);
        for (i, project) in projects.iter().enumerate() {
            let before = self.report.resealed;
            self.project(project, ROUNDS).await?;
            let done = self.report.resealed - before;
            if done > 0 {
                let n = i + 1;
                (self.say)(&format!(
                    "Project {n} of {total}, {project}: {done} values sealed anew ({} in all).",
                    self.report.resealed
                ));
            }
        }
        Ok(())
    }

    /// Seals every value of a project with its current data key. Rows that others keep busy, and
    /// those that servers still seal with an old key, are looked for so many times.
    async fn project(&mut self, project: &ProjectId, rounds: u32) -> Result<()> {
        for round in 0..rounds {
            let key = self.vault.read_current(project).await?;
            let mut old: Vec<Option<Vec<u8>>> = vec![None];
            old.extend(db::data_key::retired(&self.db, project).await?.into_iter().map(Some));
            let (mut left, mut bad) = (0, Vec::new());
            for column in COLUMNS {
                for old in &old {
                    self.column(column, &key, old.as_deref(), &mut bad).await?;
                    left += column.count(&self.db, project, old.as_deref()).await?;
                }
            }
            let left = u64::try_from(left).unwrap_or(0).saturating_sub(bad.len() as u64);
            if left == 0 || round + 1 == rounds {
                self.report.left += left;
                self.report.unreadable_values += bad.len() as u64;
                self.report.name_unreadable(bad);
                return Ok(());
            }
            if round % 25 == 24 {
                (self.say)(&format!("{project}: waiting for {left} rows that are in use."));
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Seals the values of a column and project that are sealed with an old key.
    async fn column(
        &mut self,
        column: &'static Column,
        key: &DataKey,
        old: Option<&[u8]>,
        bad: &mut Vec<String>,
    ) -> Result<()> {
        // So that nothing is read while rows are locked.
        let old_key = match old.and_then(|id| DataKeyId::try_from(id).ok()) {
            None => None,
            Some(id) => Some(self.vault.data_key(&key.project, id).await),
        };
        if let Some(Err(error)) = &old_key {
            tracing::error!(%error, "a data key does not open");
        }
        let old_key = old_key.and_then(std::result::Result::ok);
        let mut after = String::new();
        loop {
            let mut tx = self.db.begin().await?;
            let rows = column.lock(&mut *tx, &key.project, old, &after, BATCH).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            after.clone_from(&last.id);
            let mut new = Vec::with_capacity(rows.len());
            for row in rows {
                let context =
                    Context { column: column.name, project: key.project.as_str(), row: &row.id };
                let opened = match (Sealer::of(&row.sealed), &old_key) {
                    (Ok(Sealer::Data(_)), Some(old)) => seal::open(&old.key, context, &row.sealed),
                    (Ok(Sealer::Master(id)), _) => match self.vault.masters.get(id) {
                        Some(master) => seal::open(&master, context, &row.sealed),
                        None => Err(seal::CannotOpen),
                    },
                    _ => Err(seal::CannotOpen),
                };
                match opened {
                    Ok(plain) => {
                        let sealed = seal::seal(&key.key, Sealer::Data(key.id), context, &plain);
                        new.push(SealedRow { id: row.id, sealed });
                    }
                    Err(_) => bad.push(format!("{} of {} {}", column.name, key.project, row.id)),
                }
            }
            let stored = column.store(&mut *tx, &key.project, &new).await?;
            tx.commit().await?;
            self.report.resealed += stored;
            if self.said_at.elapsed() >= SAY_EVERY {
                self.said_at = Instant::now();
                let done = self.report.resealed;
                (self.say)(&format!("{}, {}: {done} values so far.", key.project, column.name));
            }
        }
    }

    /// Deletes data keys that were retired some time ago and that nothing needs any more, after
    /// sealing what was still written with them; link keys whose links have ended; and data keys of
    /// projects that were never made.
    ///
    /// # Errors
    /// As [`Rotation::data_keys`].
    pub async fn sweep(
        &mut self,
        grace: std::time::Duration,
        link_ttl: std::time::Duration,
    ) -> Result<()> {
        let seconds = grace.as_secs_f64();
        for project in db::data_key::projects_with_retired(&self.db, seconds).await? {
            // What is left now is left for the next time.
            self.project(&project, 1).await?;
            for id in db::data_key::retired(&self.db, &project).await? {
                if db::data_key::delete_retired(&self.db, &project, &id, seconds).await? {
                    self.report.data_keys_deleted += 1;
                    let project = project.clone();
                    db::notify::changed(&self.db, &Changed::DataKeys { project }).await?;
                }
            }
        }
        db::link_key::delete_retired(&self.db, seconds + link_ttl.as_secs_f64()).await?;
        db::data_key::delete_orphans(&self.db, seconds.max(3600.0)).await?;
        Ok(())
    }

    /// Makes the wanted master key the one in use and seals all data keys with it, and with
    /// data keys what master keys sealed before there were any. Servers must have the key: see
    /// [`Rotation::without_wanted`].
    ///
    /// # Errors
    /// As [`Rotation::data_keys`].
    pub async fn master_key(&mut self) -> Result<()> {
        let wanted = self.vault.masters.wanted();
        loop {
            let Some(read) = db::server_check::get(&self.db).await? else { break };
            if Sealer::of(&read) == Ok(Sealer::Master(wanted.id())) {
                break;
            }
            let sealed = seal_with_master(&wanted, CHECK, TEXT);
            if db::server_check::replace(&self.db, &read, &sealed).await? {
                (self.say)(&format!(
                    "Master key {} is in use from now on.",
                    hex::encode(wanted.id())
                ));
            }
        }
        let id = wanted.id();
        let (mut total, mut bad) = (0, Vec::new());
        for _ in 0..ROUNDS {
            let left = db::data_key::count_not_under(&self.db, &id).await?;
            let left = u64::try_from(left).unwrap_or(0).saturating_sub(bad.len() as u64);
            if left == 0 {
                break;
            }
            if total == 0 {
                total = left;
            } else {
                tokio::time::sleep(PAUSE).await;
            }
            bad.clear();
            self.rewrap_data_keys(id, total, &mut bad).await?;
        }
        self.report.unreadable_keys += bad.len() as u64;
        self.report.name_unreadable(bad);
        self.rewrap_link_keys(id).await?;
        db::notify::changed(&self.db, &Changed::ServerKeys).await?;
        self.values_of_old_keys().await
    }

    async fn rewrap_data_keys(
        &mut self,
        wanted: MasterId,
        total: u64,
        bad: &mut Vec<String>,
    ) -> Result<()> {
        let mut after = (String::new(), Vec::new());
        loop {
            let mut tx = self.db.begin().await?;
            let rows = db::data_key::lock_not_under(&mut *tx, &wanted, (&after.0, &after.1), BATCH)
                .await?;
            let Some(last) = rows.last() else { return Ok(()) };
            after = (last.project_id.to_string(), last.id.clone());
            for row in &rows {
                if let Err(error) = self.rewrap(&mut tx, row).await? {
                    let id = hex::encode(&row.id);
                    bad.push(format!("data key {id} of {}: {error}", row.project_id));
                } else {
                    self.report.keys_rewrapped += 1;
                }
            }
            tx.commit().await?;
            let done = self.report.keys_rewrapped;
            (self.say)(&format!("{done} of {total} data keys sealed with the new key."));
        }
    }

    async fn rewrap(
        &self,
        tx: &mut PgConnection,
        row: &db::data_key::DataKeyRow,
    ) -> Result<std::result::Result<(), crate::error::Error>> {
        let key = match self.vault.open_data_key(row).await {
            Ok(key) => key,
            Err(error) => return Ok(Err(error)),
        };
        let wanted = self.vault.masters.wanted();
        let sealed = seal_data_key(&wanted, &row.project_id, &row.id, key.key.bytes());
        db::data_key::reseal(tx, &row.project_id, &row.id, &sealed).await?;
        Ok(Ok(()))
    }

    async fn rewrap_link_keys(&mut self, wanted: MasterId) -> Result<()> {
        for row in db::link_key::all(&self.db).await? {
            if Sealer::of(&row.sealed) == Ok(Sealer::Master(wanted)) {
                continue;
            }
            match self.vault.open_link_key(&row).await {
                Ok(key) => {
                    let master = self.vault.masters.wanted();
                    let sealed = seal_link_key(&master, &row.id, key.bytes());
                    if db::link_key::reseal(&self.db, &row.id, &row.sealed, &sealed).await? {
                        self.report.keys_rewrapped += 1;
                    }
                }
                Err(error) => {
                    let name = format!("link key {}: {error}", hex::encode(&row.id));
                    self.report.unreadable_keys += 1;
                    self.report.name_unreadable(vec![name]);
                }
            }
        }
        Ok(())
    }

    /// Whether the wanted master key is not the one in use, or not everything is sealed with
    /// it yet.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn master_key_is_due(&self) -> Result<bool> {
        let wanted = self.vault.masters.wanted().id();
        let read = db::server_check::get(&self.db).await?;
        let in_use = read.and_then(|sealed| Sealer::of(&sealed).ok());
        if in_use != Some(Sealer::Master(wanted))
            || db::data_key::count_not_under(&self.db, &wanted).await? > 0
        {
            return Ok(true);
        }
        let links = db::link_key::all(&self.db).await?;
        Ok(links.iter().any(|row| Sealer::of(&row.sealed) != Ok(Sealer::Master(wanted))))
    }

    /// Tells the servers which master key is about to follow, so that they read it.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn announce_wanted(&self) -> Result<()> {
        let id = self.vault.masters.wanted().id();
        let mut tx = self.db.begin().await?;
        db::server_check::announce(&mut *tx, &id).await?;
        db::notify::changed(&mut *tx, &Changed::ServerKeys).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Running servers that do not have the wanted master key.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn without_wanted(&self) -> Result<Vec<String>> {
        let id = self.vault.masters.wanted().id();
        let holders = db::key_rotation::holders(&self.db, HOLDER_SILENCE_S).await?;
        Ok(holders
            .into_iter()
            .filter(|holder| !holder.master_key_ids.iter().any(|held| held[..] == id))
            .map(|holder| holder.name)
            .collect())
    }
}
