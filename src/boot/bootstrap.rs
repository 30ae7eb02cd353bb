//! What a server needs before it can answer: the encryption key, the first organization, the
//! first project, and a key to each. Servers that start at once on one database queue here.

use anyhow::bail;
use secrecy::{ExposeSecret, SecretString};
use sqlx::{PgConnection, PgPool};
use zeroize::Zeroizing;

use super::data_dir::DataDir;
use super::master_key;
use crate::config::Config;
use crate::db;
use crate::db::api_key::ApiKeyRow;
use crate::domain::id::{ApiKeyId, OrgId, ProjectId, random_text};
use crate::domain::time::now;
use crate::vault::{Key, KeySource, Masters, Vault, hash_token};

/// What the start found or made.
pub struct First {
    /// Opens this database's secrets.
    pub vault: Vault,
    /// Where the operator finds the keys.
    pub keys: Keys,
}

/// The two first keys.
pub struct Keys {
    /// Of the first organization.
    pub org: KeyPlace,
    /// Of the first project.
    pub project: KeyPlace,
}

/// Where a key is.
pub enum KeyPlace {
    /// In the setting with this name.
    Setting(&'static str),
    /// Made by this start and stored in this file.
    New(Zeroizing<String>, std::path::PathBuf),
    /// Made earlier and stored in this file.
    File(std::path::PathBuf),
    /// Made by another server, which has shown and stored it; the setting adds one.
    Elsewhere(&'static str),
}

/// One of the two keys: how it is called where.
struct KeyKind {
    setting: &'static str,
    file: &'static str,
    prefix: &'static str,
    of: &'static str,
}

const ORG: KeyKind = KeyKind {
    setting: "PATCHBAY_ORG_API_KEY",
    file: "org.key",
    prefix: "oak_",
    of: "the first organization",
};
const PROJECT: KeyKind = KeyKind {
    setting: "PATCHBAY_PROJECT_API_KEY",
    file: "project.key",
    prefix: "ak_",
    of: "the first project",
};

/// Makes what is missing. Doing it again changes nothing.
///
/// # Errors
/// A wrong encryption key, a key that belongs to somebody else, a database or folder that does
/// not take what is written.
pub async fn run(config: &Config, data_dir: &DataDir, pool: &PgPool) -> anyhow::Result<First> {
    let mut tx = pool.begin().await?;
    db::server_check::lock_start(&mut *tx).await?;
    let vault = vault(config, data_dir, pool, &mut tx).await?;
    let org_id = match db::project::first_org(&mut *tx).await? {
        Some((id, _)) => id,
        None => {
            let id = OrgId::generate();
            db::project::insert_org(&mut *tx, &id, "My organization").await?;
            id
        }
    };
    let project_id = match db::project::first(&mut *tx, &org_id).await? {
        Some(row) => row.id,
        None => first_project(&vault, &org_id, &mut tx).await?,
    };
    let org = key(&ORG, config.org_api_key.as_ref(), data_dir, &org_id, None, &mut tx).await?;
    let given = config.project_api_key.as_ref();
    let project = key(&PROJECT, given, data_dir, &org_id, Some(&project_id), &mut tx).await?;
    tx.commit().await?;
    Ok(First { vault, keys: Keys { org, project } })
}

/// The vault, proven to open what this database holds.
///
/// It works on connections of its own, so nothing that it needs may wait for `db`'s transaction.
async fn vault(
    config: &Config,
    data_dir: &DataDir,
    pool: &PgPool,
    db: &mut PgConnection,
) -> anyhow::Result<Vault> {
    let source = match master_key::given(config) {
        Some(source) => source,
        None => {
            let is_new = db::server_check::get(&mut *db).await?.is_none();
            generated(config, data_dir, is_new)?
        }
    };
    let masters = Masters::read(source, &config.previous_encryption_keys).await?;
    let vault = Vault::new(masters, pool);
    vault.prove().await?;
    Ok(vault)
}

/// The key file in the data directory, made when the database is new.
fn generated(config: &Config, data_dir: &DataDir, is_new: bool) -> anyhow::Result<KeySource> {
    let path = data_dir.join(master_key::FILE);
    let place = path.display();
    if data_dir.read_secret(master_key::FILE)?.is_some() {
        return Ok(KeySource::File(path));
    }
    if !is_new {
        bail!(
            "the secrets in this database are sealed with an encryption key that this server does \
             not have: set PATCHBAY_ENCRYPTION_KEY to it, or restore {place} (the server that first \
             used this database has it; replicas must share it)"
        );
    }
    data_dir.store_secret(master_key::FILE, &Key::generate_text())?;
    tracing::info!(file = %place, "made an encryption key");
    if config.database_url.is_some() {
        tracing::warn!(
            file = %place,
            "keep a copy of the encryption key; every replica must be given the same one with \
             PATCHBAY_ENCRYPTION_KEY or PATCHBAY_ENCRYPTION_KEY_FILE"
        );
    }
    Ok(KeySource::File(path))
}

async fn first_project(
    vault: &Vault,
    org_id: &OrgId,
    db: &mut PgConnection,
) -> anyhow::Result<ProjectId> {
    let id = ProjectId::generate();
    let secret = vault.seal_webhook_secret(&id, &random_text(40)).await?;
    let config = serde_json::json!({});
    let row = db::project::insert(db, &id, org_id, "Default project", &config, &secret).await?;
    Ok(row.id)
}

/// Sees to it that the key in the settings, else the stored one, opens its organization or
/// project; makes one when there is none anywhere.
async fn key(
    kind: &KeyKind,
    given: Option<&SecretString>,
    data_dir: &DataDir,
    org_id: &OrgId,
    project_id: Option<&ProjectId>,
    db: &mut PgConnection,
) -> anyhow::Result<KeyPlace> {
    let path = data_dir.join(kind.file);
    if let Some(given) = given {
        admit(kind, given.expose_secret(), kind.setting, org_id, project_id, db).await?;
        return Ok(KeyPlace::Setting(kind.setting));
    }
    if let Some(stored) = data_dir.read_secret(kind.file)? {
        let place = path.display().to_string();
        admit(kind, &stored, &place, org_id, project_id, db).await?;
        return Ok(KeyPlace::File(path));
    }
    if db::api_key::exists(&mut *db, org_id, project_id).await? {
        return Ok(KeyPlace::Elsewhere(kind.setting));
    }
    let made = Zeroizing::new(format!("{}{}", kind.prefix, random_text(32)));
    let stored = data_dir.store_secret(kind.file, &made)?;
    let place = path.display().to_string();
    admit(kind, &stored, &place, org_id, project_id, db).await?;
    Ok(KeyPlace::New(stored, path))
}

/// Adds a key, unless it is there. A key that was revoked stays revoked.
async fn admit(
    kind: &KeyKind,
    key: &str,
    place: &str,
    org_id: &OrgId,
    project_id: Option<&ProjectId>,
    db: &mut PgConnection,
) -> anyhow::Result<()> {
    let row = ApiKeyRow {
        hash: hash_token(key),
        id: ApiKeyId::generate(),
        org_id: org_id.clone(),
        project_id: project_id.cloned(),
        name: "First key".to_owned(),
        hint: hint(key),
        created_at: now(),
    };
    if db::api_key::insert(&mut *db, &row).await? {
        return Ok(());
    }
    match db::api_key::get(&mut *db, &row.hash).await? {
        Some(known) if known.org_id == *org_id && known.project_id.as_ref() == project_id => {}
        Some(_) => bail!("the key in {place} is already in use as another key than {}'s", kind.of),
        None => tracing::warn!("the key in {place} was revoked and opens nothing"),
    }
    Ok(())
}

/// The prefix and four characters: enough to tell keys apart.
fn hint(key: &str) -> String {
    let prefix = key.find('_').filter(|at| *at < 5).map_or(0, |at| at + 1);
    key.chars().take(prefix + 4).collect()
}

#[cfg(test)]
mod tests {
    use super::hint;

    #[test]
    fn a_hint_is_the_prefix_and_four_characters() {
        assert_eq!(hint("ak_abcdefgh12345678"), "ak_abcd");
        assert_eq!(hint("abcdefgh_12345678"), "abcd");
    }
}
