//! Secrets at rest: envelope encryption, bound to the row that holds a value.
//!
//! Master keys seal data keys, one current per project; data keys seal values. A value names its
//! data key, a sealed data key names its master key, so that both can be exchanged while servers
//! serve. docs/CREDENTIALS.md says how.

mod check;
mod data_keys;
mod link_keys;
pub mod master;
mod records;
pub mod rotate;
pub mod seal;
pub mod status;
mod trigger;

use std::sync::Arc;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use sqlx::PgPool;
use zeroize::Zeroizing;

use crate::db;
use crate::db::notify::Changed;
use crate::domain::id::random_text;
use crate::error::{Error, Result, codes};
use data_keys::DataKeys;
use link_keys::LinkKeys;

pub use link_keys::LinkKeySet;
pub use master::{KeySource, Masters};
pub use seal::{CannotOpen, Context, Key, MasterId, Sealer};

/// Connections that the vault may hold for itself.
const CONNECTIONS: u32 = 2;

/// Seals and opens.
pub struct Vault {
    /// Its own connections: it is asked to seal by those who hold one of the server's, and would
    /// otherwise wait for one that nobody gives back.
    db: PgPool,
    masters: Masters,
    data_keys: DataKeys,
    link_keys: LinkKeys,
    /// Names this process among the holders of keys.
    replica: String,
    nudged: tokio::sync::Notify,
}

impl Vault {
    /// With these master keys, over the database of `beside`.
    pub fn new(masters: Masters, beside: &PgPool) -> Self {
        Self {
            db: db::small_pool(beside, CONNECTIONS),
            masters,
            data_keys: DataKeys::default(),
            link_keys: LinkKeys::default(),
            replica: random_text(16),
            nudged: tokio::sync::Notify::new(),
        }
    }

    /// The master keys at hand.
    pub fn masters(&self) -> &Masters {
        &self.masters
    }

    /// Seals bytes with the current data key of the context's project.
    ///
    /// # Errors
    /// When that key is not in memory and the database is away.
    pub async fn seal(&self, context: Context<'_>, plain: &[u8]) -> Result<Vec<u8>> {
        let key = self.current_data_key(&context.project.into()).await?;
        Ok(seal::seal(&key.key, Sealer::Data(key.id), context, plain))
    }

    /// Opens what [`Vault::seal`] made for the same context, or what a master key sealed before
    /// there were data keys.
    ///
    /// # Errors
    /// For another key or context, or damage; `ENCRYPTION_KEY_UNKNOWN` for a master key that is not
    /// at hand; when the key is not in memory and the database is away.
    pub async fn open(&self, context: Context<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let plain = match Sealer::of(sealed)? {
            Sealer::Master(id) => seal::open(&*self.master(id).await?, context, sealed)?,
            Sealer::Data(id) => {
                let key = self.data_key(&context.project.into(), id).await?;
                seal::open(&key.key, context, sealed)?
            }
        };
        Ok(plain)
    }

    /// Seals a JSON object.
    async fn seal_map(&self, context: Context<'_>, map: &Map<String, Value>) -> Result<Vec<u8>> {
        // Large enough for most: growing leaves copies behind that nobody wipes.
        let mut plain = Zeroizing::new(Vec::with_capacity(8 * 1024));
        serde_json::to_writer(&mut *plain, map).map_err(Error::internal)?;
        self.seal(context, &plain).await
    }

    /// Opens a JSON object.
    async fn open_map(&self, context: Context<'_>, sealed: &[u8]) -> Result<Map<String, Value>> {
        let plain = self.open(context, sealed).await?;
        // The error of the parser may repeat what it read.
        Ok(serde_json::from_slice(&plain).map_err(|_| CannotOpen)?)
    }

    /// A master key.
    async fn master(&self, id: MasterId) -> Result<Arc<Key>> {
        self.masters.find(id).await.ok_or_else(|| unknown_master(id))
    }

    /// Forgets what a change made stale: which data key is current, or the keys of the server.
    pub fn forget(&self, what: &Changed) {
        match what {
            Changed::DataKeys { project } => self.data_keys.forget(project),
            Changed::ServerKeys => {
                self.link_keys.forget();
                self.nudged.notify_one();
            }
            _ => {}
        }
    }

    /// Forgets everything that may be stale.
    pub fn forget_all(&self) {
        self.data_keys.forget_all();
        self.link_keys.forget();
    }

    /// Waits until the master keys may have to be read again.
    pub async fn nudged(&self) {
        self.nudged.notified().await;
    }

    /// Closes its connections.
    pub async fn close(&self) {
        self.db.close().await;
    }
}

fn unknown_master(id: MasterId) -> Error {
    let id = hex::encode(id);
    tracing::error!(
        master_key = %id,
        "a stored secret is sealed with a master key that this server was not given"
    );
    Error::new(
        codes::ENCRYPTION_KEY_UNKNOWN,
        format!("This server was not given the encryption key {id}, which stored secrets need"),
    )
    .fix(
        "The operator has to give this server that key; `patchbay keys status` shows what needs it",
    )
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault")
    }
}

/// SHA-256 of a token or key, as it is stored and looked up.
pub fn hash_token(token: &str) -> Vec<u8> {
    Sha256::digest(token.as_bytes()).to_vec()
}
