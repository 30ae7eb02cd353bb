//! Data keys: in memory, bounded; read once when they are met; made when a project has none.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use quick_cache::sync::Cache as Lru;
use sqlx::{PgConnection, Postgres, Transaction};

use super::check::CHECK;
use super::seal::{self, CannotOpen, Context, DataKeyId, Key, Sealer, seal_with_master};
use super::{Vault, unknown_master};
use crate::db;
use crate::db::data_key::DataKeyRow;
use crate::domain::id::ProjectId;
use crate::error::{Error, Result};

/// Longest time that a key is believed to be the current one without a look.
pub const MAX_AGE: Duration = Duration::from_secs(30);

/// Keys that are remembered.
const CAPACITY: usize = 10_000;

/// Loads that run at once for different projects.
const LANES: usize = 16;

/// An opened data key; wiped when dropped.
pub struct DataKey {
    pub project: ProjectId,
    pub id: DataKeyId,
    pub key: Key,
}

#[derive(Clone)]
struct Current {
    key: Arc<DataKey>,
    read_at: Instant,
}

/// The memory.
pub struct DataKeys {
    by_id: Lru<DataKeyId, Arc<DataKey>>,
    current: Lru<ProjectId, Current>,
    /// Moves on when something is forgotten, so that what was read before is not remembered.
    generation: AtomicU64,
    lanes: [tokio::sync::Mutex<()>; LANES],
}

impl Default for DataKeys {
    fn default() -> Self {
        Self {
            by_id: Lru::new(CAPACITY),
            current: Lru::new(CAPACITY),
            generation: AtomicU64::new(0),
            lanes: Default::default(),
        }
    }
}

impl DataKeys {
    /// Forgets which key of a project is the current one, and its other keys too: they are
    /// perhaps not needed any more.
    pub fn forget(&self, project: &ProjectId) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.current.remove(project);
        self.by_id.retain(|_, key| key.project != *project);
    }

    pub fn forget_all(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.current.clear();
        self.by_id.clear();
    }

    fn known(&self, project: &ProjectId, id: DataKeyId) -> Option<Arc<DataKey>> {
        // Ids are unique within a project only.
        self.by_id.get(&id).filter(|key| key.project == *project)
    }

    fn known_current(&self, project: &ProjectId) -> Option<Arc<DataKey>> {
        let current = self.current.get(project)?;
        (current.read_at.elapsed() < MAX_AGE).then_some(current.key)
    }

    fn lane(&self, project: &ProjectId) -> &tokio::sync::Mutex<()> {
        let sum: usize = project.as_str().bytes().map(usize::from).sum();
        &self.lanes[sum % LANES]
    }
}

fn context<'a>(project: &'a ProjectId, id: &'a str) -> Context<'a> {
    Context { column: "data_key.sealed", project: project.as_str(), row: id }
}

/// Seals a data key.
pub(super) fn seal_data_key(master: &Key, project: &ProjectId, id: &[u8], key: &[u8]) -> Vec<u8> {
    seal_with_master(master, context(project, &hex::encode(id)), key)
}

impl Vault {
    /// A data key of a project.
    pub(super) async fn data_key(
        &self,
        project: &ProjectId,
        id: DataKeyId,
    ) -> Result<Arc<DataKey>> {
        if let Some(key) = self.data_keys.known(project, id) {
            return Ok(key);
        }
        let _lane = self.data_keys.lane(project).lock().await;
        if let Some(key) = self.data_keys.known(project, id) {
            return Ok(key);
        }
        let row = db::data_key::get(&self.db, project, &id).await?.ok_or(CannotOpen)?;
        let key = self.open_data_key(&row).await?;
        self.data_keys.by_id.insert(id, key.clone());
        Ok(key)
    }

    /// The data key that new values of a project are sealed with; makes one when there is none.
    pub(super) async fn current_data_key(&self, project: &ProjectId) -> Result<Arc<DataKey>> {
        if let Some(key) = self.data_keys.known_current(project) {
            return Ok(key);
        }
        let _lane = self.data_keys.lane(project).lock().await;
        if let Some(key) = self.data_keys.known_current(project) {
            return Ok(key);
        }
        let began = self.data_keys.generation.load(Ordering::Acquire);
        let key = self.read_current(project).await?;
        let current = Current { key: key.clone(), read_at: Instant::now() };
        self.data_keys.current.insert(project.clone(), current);
        self.data_keys.by_id.insert(key.id, key.clone());
        if self.data_keys.generation.load(Ordering::Acquire) != began {
            self.data_keys.current.remove(project);
        }
        Ok(key)
    }

    /// The current data key as the database has it now.
    pub(super) async fn read_current(&self, project: &ProjectId) -> Result<Arc<DataKey>> {
        for _ in 0..5 {
            if let Some(row) = db::data_key::current(&self.db, project).await? {
                return self.open_data_key(&row).await;
            }
            // Of two that find none, one makes it.
            self.make_data_key(project, None).await?;
        }
        Err(Error::internal("a project's data key does not stay"))
    }

    /// Opens the key of a row.
    pub(super) async fn open_data_key(&self, row: &DataKeyRow) -> Result<Arc<DataKey>> {
        let Sealer::Master(master) = Sealer::of(&row.sealed)? else { Err(CannotOpen)? };
        let master = self.master(master).await?;
        let name = hex::encode(&row.id);
        let plain = seal::open(&master, context(&row.project_id, &name), &row.sealed)?;
        Ok(Arc::new(DataKey {
            project: row.project_id.clone(),
            id: row.id.as_slice().try_into().map_err(|_| CannotOpen)?,
            key: Key::from_bytes(&plain).ok_or(CannotOpen)?,
        }))
    }

    /// Makes the current data key of a project that has none, or, given a time, in the place of
    /// one that was made before. False when there was nothing to do.
    pub(super) async fn make_data_key(
        &self,
        project: &ProjectId,
        instead_of: Option<DateTime<Utc>>,
    ) -> Result<bool> {
        let (mut tx, master) = self.begin_with_master().await?;
        if let Some(made_before) = instead_of
            && !db::data_key::retire_current(&mut *tx, project, made_before).await?
        {
            return Ok(false);
        }
        let id: DataKeyId = rand::random();
        let sealed = seal_data_key(&master, project, &id, Key::generate().bytes());
        let made = db::data_key::insert(&mut *tx, project, &id, &sealed).await?;
        if !made && instead_of.is_some() {
            // Nothing is retired without a successor.
            return Err(Error::internal("two data keys with one id"));
        }
        if instead_of.is_some() {
            let what = db::notify::Changed::DataKeys { project: project.clone() };
            db::notify::changed(&mut *tx, &what).await?;
        }
        tx.commit().await?;
        Ok(made)
    }

    /// A transaction, and the master key in use, which stays in use until it ends.
    pub(super) async fn begin_with_master(
        &self,
    ) -> Result<(Transaction<'static, Postgres>, Arc<Key>)> {
        for _ in 0..5 {
            let mut tx = self.db.begin().await?;
            let Some(sealed) = shared_check(&mut tx).await? else {
                tx.rollback().await?;
                let sealed = seal_with_master(&self.masters.wanted(), CHECK, super::check::TEXT);
                db::server_check::insert(&self.db, &sealed).await?;
                continue;
            };
            let Sealer::Master(id) = Sealer::of(&sealed)? else { Err(CannotOpen)? };
            if let Some(master) = self.masters.get(id) {
                seal::open(&master, CHECK, &sealed)?;
                return Ok((tx, master));
            }
            // Reading it may take a while, and the connection is wanted elsewhere.
            tx.rollback().await?;
            self.masters.find(id).await.ok_or_else(|| unknown_master(id))?;
        }
        Err(Error::internal("the master key in use does not stay"))
    }
}

async fn shared_check(tx: &mut PgConnection) -> sqlx::Result<Option<Vec<u8>>> {
    db::server_check::get_shared(tx).await
}
