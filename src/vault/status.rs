//! Which key seals how many rows.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgPool;

use super::seal::Sealer;
use super::{MasterId, Vault};
use crate::db;
use crate::db::sealed::COLUMNS;
use crate::error::Result;

/// Everything that `patchbay keys status` shows.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// Master keys: in use, needed, or at hand.
    pub master_keys: Vec<MasterKeyStatus>,
    /// Keys that sign links to files.
    pub link_keys: Vec<LinkKeyStatus>,
    /// Data keys.
    pub data_keys: Vec<DataKeyStatus>,
    /// When a rotation that has not come to its end began.
    pub unfinished_rotation: Option<DateTime<Utc>>,
    /// Servers that were there in the last half minute, and the master keys they have.
    pub servers: Vec<ServerStatus>,
}

/// A master key.
#[derive(Debug, Clone, Default, Serialize)]
pub struct MasterKeyStatus {
    /// Its id.
    pub id: String,
    /// Seals new data keys.
    pub is_in_use: bool,
    /// This command was given it.
    pub is_at_hand: bool,
    /// Data keys that it seals.
    pub data_keys: i64,
    /// Link keys that it seals.
    pub link_keys: i64,
    /// Values that it seals itself, from before there were data keys.
    pub rows: i64,
}

/// A key that signs links.
#[derive(Debug, Clone, Serialize)]
pub struct LinkKeyStatus {
    /// Its id.
    pub id: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When another took its place.
    pub retired_at: Option<DateTime<Utc>>,
}

/// A data key.
#[derive(Debug, Clone, Serialize)]
pub struct DataKeyStatus {
    /// Its project.
    pub project_id: String,
    /// Its id.
    pub id: String,
    /// The master key that seals it.
    pub master_key_id: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When another took its place.
    pub retired_at: Option<DateTime<Utc>>,
    /// Rows that it seals.
    pub rows: i64,
    /// The same per column; columns without any are left out.
    pub columns: BTreeMap<&'static str, i64>,
}

/// A running server.
#[derive(Debug, Clone, Serialize)]
pub struct ServerStatus {
    /// What it calls itself.
    pub name: String,
    /// Ids of the master keys that it has.
    pub master_keys: Vec<String>,
}

fn master_of(sealed: &[u8]) -> Option<String> {
    match Sealer::of(sealed) {
        Ok(Sealer::Master(id)) => Some(hex::encode(id)),
        _ => None,
    }
}

/// Counts. Memory grows with the number of keys, not of rows.
///
/// # Errors
/// When the database is away.
pub async fn read(vault: &Vault, pool: &PgPool) -> Result<Status> {
    let mut masters: BTreeMap<String, MasterKeyStatus> = BTreeMap::new();
    let mut master = |id: String, change: &dyn Fn(&mut MasterKeyStatus)| {
        let entry = masters.entry(id.clone()).or_default();
        entry.id = id;
        change(entry);
    };
    for id in vault.masters().ids() {
        master(hex::encode::<MasterId>(id), &|m| m.is_at_hand = true);
    }
    if let Some(id) = db::server_check::get(pool).await?.as_deref().and_then(master_of) {
        master(id, &|m| m.is_in_use = true);
    }
    for (id, n) in db::data_key::count_by_master(pool).await? {
        master(hex::encode(id), &|m| m.data_keys = n);
    }
    let links = db::link_key::all(pool).await?;
    for id in links.iter().filter_map(|row| master_of(&row.sealed)) {
        master(id, &|m| m.link_keys += 1);
    }
    let mut rows: BTreeMap<(String, Vec<u8>), BTreeMap<&'static str, i64>> = BTreeMap::new();
    for column in COLUMNS {
        for (id, n) in column.count_by_master(pool).await? {
            master(hex::encode(id), &|m| m.rows += n);
        }
        for (project, id, n) in column.count_by_data_key(pool).await? {
            rows.entry((project, id)).or_default().insert(column.name, n);
        }
    }
    let data_keys = db::data_key::all(pool).await?.into_iter().map(|row| {
        let project_id = row.project_id.to_string();
        let columns = rows.remove(&(project_id.clone(), row.id.clone())).unwrap_or_default();
        DataKeyStatus {
            project_id,
            id: hex::encode(&row.id),
            master_key_id: master_of(&row.sealed).unwrap_or_default(),
            created_at: row.created_at,
            retired_at: row.retired_at,
            rows: columns.values().sum(),
            columns,
        }
    });
    let data_keys = data_keys.collect();
    let holders = db::key_rotation::holders(pool, super::check::HOLDER_SILENCE_S).await?;
    Ok(Status {
        master_keys: masters.into_values().collect(),
        link_keys: links
            .into_iter()
            .map(|row| LinkKeyStatus {
                id: hex::encode(row.id),
                created_at: row.created_at,
                retired_at: row.retired_at,
            })
            .collect(),
        data_keys,
        unfinished_rotation: db::key_rotation::unfinished(pool).await?,
        servers: holders
            .into_iter()
            .map(|holder| ServerStatus {
                name: holder.name,
                master_keys: holder.master_key_ids.iter().map(hex::encode).collect(),
            })
            .collect(),
    })
}
