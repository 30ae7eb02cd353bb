//! Whether the master keys at hand are those of this database; what a server asks at its start.

use std::collections::BTreeMap;

use anyhow::bail;

use super::link_keys::derived;
use super::seal::{self, Context, MasterId, Sealer, seal_with_master};
use super::{Masters, Vault};
use crate::db;
use crate::db::sealed::COLUMNS;

/// What the stored check is bound to.
pub(super) const CHECK: Context<'static> =
    Context { column: "server_check.sealed", project: "", row: "" };

/// What the stored check says.
pub(super) const TEXT: &[u8] = b"patchbay";

/// Longest time without a word from a server that is running.
pub const HOLDER_SILENCE_S: f64 = 30.0;

impl Vault {
    /// Makes sure that the master keys at hand open what this database holds. A database that is
    /// used for the first time remembers the wanted key.
    ///
    /// # Errors
    /// In words for the operator.
    pub async fn prove(&self) -> anyhow::Result<()> {
        let mut is_first = false;
        let sealed = loop {
            if let Some(sealed) = db::server_check::get(&self.db).await? {
                break sealed;
            }
            is_first = true;
            let sealed = seal_with_master(&self.masters.wanted(), CHECK, TEXT);
            db::server_check::insert(&self.db, &sealed).await?;
        };
        let master = match Sealer::of(&sealed) {
            Ok(Sealer::Master(id)) => match self.masters.find(id).await {
                Some(key) if seal::open(&key, CHECK, &sealed).is_ok() => key,
                _ => return Err(wrong_key(&self.masters, id)),
            },
            _ => bail!("the row in `server_check` is damaged; restore it from a backup"),
        };
        let missing = self.missing_masters().await?;
        if !missing.is_empty() {
            let list: Vec<String> =
                missing.iter().map(|(id, n)| format!("{} ({n} rows)", hex::encode(id))).collect();
            bail!(
                "this server was given the encryption key in use, {}, but not all that are still \
                 needed: {}; add them to PATCHBAY_PREVIOUS_ENCRYPTION_KEYS, or below the first one \
                 in {}, until `patchbay keys rewrap` has come to its end",
                hex::encode(master.id()),
                list.join(", "),
                self.masters.place()
            );
        }
        if db::link_key::all(&self.db).await?.is_empty() {
            // Links that were signed before there were stored keys go on working.
            self.make_link_key((!is_first).then(|| derived(&master))).await?;
        }
        Ok(())
    }

    /// Master keys that something stored still needs and that are not at hand, with the number
    /// of rows.
    async fn missing_masters(&self) -> anyhow::Result<BTreeMap<MasterId, i64>> {
        let mut needed = db::data_key::count_by_master(&self.db).await?;
        for row in db::link_key::all(&self.db).await? {
            if let Ok(Sealer::Master(id)) = Sealer::of(&row.sealed) {
                needed.push((id.to_vec(), 1));
            }
        }
        for column in COLUMNS {
            needed.extend(column.count_by_master(&self.db).await?);
        }
        let mut missing = BTreeMap::new();
        for (id, rows) in needed {
            // Something else is damage, not a key.
            let Ok(id) = MasterId::try_from(id.as_slice()) else { continue };
            if self.masters.find(id).await.is_none() {
                *missing.entry(id).or_insert(0) += rows;
            }
        }
        Ok(missing)
    }

    /// Says which master keys this server has, after reading them again if it lacks the one in
    /// use or the one that is about to follow.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn hold(&self, name: &str) -> crate::error::Result<()> {
        let mut needed = vec![db::server_check::announced(&self.db).await?];
        if let Some(sealed) = db::server_check::get(&self.db).await?
            && let Ok(Sealer::Master(id)) = Sealer::of(&sealed)
        {
            needed.push(Some(id.to_vec()));
        }
        for id in needed.into_iter().flatten() {
            if let Ok(id) = MasterId::try_from(id.as_slice()) {
                self.masters.find(id).await;
            }
        }
        let ids: Vec<Vec<u8>> = self.masters.ids().iter().map(|id| id.to_vec()).collect();
        db::key_rotation::hold(&self.db, &self.replica, name, &ids).await?;
        Ok(())
    }

    /// Says that this server is gone.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn let_go(&self) -> crate::error::Result<()> {
        Ok(db::key_rotation::let_go(&self.db, &self.replica).await?)
    }
}

/// The words for a server with a wrong key.
fn wrong_key(masters: &Masters, in_use: MasterId) -> anyhow::Error {
    anyhow::anyhow!(
        "the encryption key in {} is not the one that the secrets in this database are sealed \
         with ({}); give this server the key of the server that first used the database",
        masters.place(),
        hex::encode(in_use)
    )
}
