//! Keys that sign links to files. The newest signs, all open; they are stored sealed by a master
//! key, so links outlive its exchange.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use sha2::{Digest, Sha256};

use super::Vault;
use super::seal::{self, CannotOpen, Context, Key, Sealer, seal_with_master};
use crate::db;
use crate::db::link_key::LinkKeyRow;
use crate::error::{Error, Result};

/// Longest time that the keys are believed without a look.
pub const MAX_AGE: Duration = Duration::from_secs(30);

/// Somebody who tries signatures out causes no more than one look per such time.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The keys, the one that signs first.
pub struct LinkKeySet {
    keys: Vec<Key>,
    read_at: Instant,
}

impl LinkKeySet {
    /// The key that signs.
    pub fn newest(&self) -> &[u8; 32] {
        // Never empty: see `Vault::read_link_keys`.
        self.keys[0].bytes()
    }

    /// All keys whose links may still be around.
    pub fn all(&self) -> impl Iterator<Item = &[u8; 32]> {
        self.keys.iter().map(Key::bytes)
    }
}

/// The memory.
#[derive(Default)]
pub struct LinkKeys {
    known: ArcSwapOption<LinkKeySet>,
    loading: tokio::sync::Mutex<()>,
}

impl LinkKeys {
    pub fn forget(&self) {
        self.known.store(None);
    }

    fn known(&self, max_age: Duration) -> Option<Arc<LinkKeySet>> {
        self.known.load_full().filter(|set| set.read_at.elapsed() < max_age)
    }
}

/// What a master key itself signed links with before there were stored keys.
pub(super) fn derived(master: &Key) -> Key {
    let digest: [u8; 32] = Sha256::new()
        .chain_update(b"patchbay link signing")
        .chain_update(master.bytes())
        .finalize()
        .into();
    Key::from_bytes(&digest).unwrap_or_else(Key::generate)
}

fn context(id: &str) -> Context<'_> {
    Context { column: "link_key.sealed", project: "", row: id }
}

/// Seals a link key.
pub(super) fn seal_link_key(master: &Key, id: &[u8], key: &[u8]) -> Vec<u8> {
    seal_with_master(master, context(&hex::encode(id)), key)
}

impl Vault {
    /// The keys that sign links.
    ///
    /// # Errors
    /// When they are not in memory and the database is away.
    pub async fn link_keys(&self) -> Result<Arc<LinkKeySet>> {
        self.link_keys_not_older(MAX_AGE).await
    }

    /// The same after another look, for a link that none of the known ones signed.
    ///
    /// # Errors
    /// As [`Vault::link_keys`].
    pub async fn link_keys_again(&self) -> Result<Arc<LinkKeySet>> {
        self.link_keys_not_older(LOOK_AGAIN_AFTER).await
    }

    async fn link_keys_not_older(&self, max_age: Duration) -> Result<Arc<LinkKeySet>> {
        if let Some(set) = self.link_keys.known(max_age) {
            return Ok(set);
        }
        let _one = self.link_keys.loading.lock().await;
        if let Some(set) = self.link_keys.known(max_age) {
            return Ok(set);
        }
        let set = Arc::new(self.read_link_keys().await?);
        self.link_keys.known.store(Some(set.clone()));
        Ok(set)
    }

    async fn read_link_keys(&self) -> Result<LinkKeySet> {
        for _ in 0..5 {
            let read_at = Instant::now();
            let rows = db::link_key::all(&self.db).await?;
            if rows.first().is_none_or(|row| row.retired_at.is_some()) {
                self.make_link_key(None).await?;
                continue;
            }
            let mut keys = Vec::with_capacity(rows.len());
            for row in &rows {
                match self.open_link_key(row).await {
                    Ok(key) => keys.push(key),
                    // Links of an earlier one are lost, new ones are not.
                    Err(error) if row.retired_at.is_some() => {
                        tracing::warn!(%error, "a retired key of links does not open");
                    }
                    Err(error) => return Err(error),
                }
            }
            return Ok(LinkKeySet { keys, read_at });
        }
        Err(Error::internal("the key that signs links does not stay"))
    }

    /// Opens the key of a row.
    pub(super) async fn open_link_key(&self, row: &LinkKeyRow) -> Result<Key> {
        let Sealer::Master(master) = Sealer::of(&row.sealed)? else { Err(CannotOpen)? };
        let master = self.master(master).await?;
        let plain = seal::open(&master, context(&hex::encode(&row.id)), &row.sealed)?;
        Ok(Key::from_bytes(&plain).ok_or(CannotOpen)?)
    }

    /// Makes the key that signs, unless there is one: a given one, or a new one.
    pub(super) async fn make_link_key(&self, given: Option<Key>) -> Result<()> {
        let (mut tx, master) = self.begin_with_master().await?;
        insert(&mut tx, &master, given.unwrap_or_else(Key::generate)).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Puts a new key in the place of one that was made before a time.
    pub(super) async fn replace_link_key(
        &self,
        made_before: chrono::DateTime<chrono::Utc>,
    ) -> Result<bool> {
        let (mut tx, master) = self.begin_with_master().await?;
        if !db::link_key::retire_current(&mut *tx, made_before).await? {
            return Ok(false);
        }
        insert(&mut tx, &master, Key::generate()).await?;
        db::notify::changed(&mut *tx, &db::notify::Changed::ServerKeys).await?;
        tx.commit().await?;
        Ok(true)
    }
}

async fn insert(tx: &mut sqlx::PgConnection, master: &Key, key: Key) -> Result<()> {
    let id: [u8; 8] = rand::random();
    let sealed = seal_link_key(master, &id, key.bytes());
    db::link_key::insert(tx, &id, &sealed).await?;
    Ok(())
}
