//! Files that tools and proxy calls gave, behind signed links.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use sqlx::PgPool;

use crate::config::Config;
use crate::db::file_object::{self, FileRow};
use crate::domain::id::{FileId, ProjectId};
use crate::domain::time;
use crate::error::{Error, Result, codes};
use crate::vault::{LinkKeySet, Vault};

/// Longest file name that is kept.
const MAX_NAME: usize = 200;

/// Stores files and signs links to them.
#[derive(Debug, Clone)]
pub struct Files {
    db: PgPool,
    vault: Arc<Vault>,
    public_url: Arc<str>,
    ttl: Duration,
}

/// A stored file.
#[derive(Debug, Clone)]
pub struct StoredFile {
    /// Link that needs no key.
    pub url: String,
    /// When the link ends.
    pub expires_at: DateTime<Utc>,
}

impl Files {
    /// Over the database, with links under the public URL.
    pub fn new(config: &Config, db: PgPool, vault: &Arc<Vault>) -> Self {
        Self {
            db,
            vault: vault.clone(),
            public_url: config.public_url.as_str().into(),
            ttl: config.file_ttl,
        }
    }

    /// Stores a file and returns its link.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn put(
        &self,
        project: &ProjectId,
        name: &str,
        mimetype: &str,
        content: Vec<u8>,
    ) -> Result<StoredFile> {
        let expires_at = time::now() + self.ttl;
        let row = FileRow {
            project_id: project.clone(),
            id: FileId::generate(),
            name: clean_name(name),
            mimetype: mimetype.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect(),
            content,
            expires_at,
        };
        file_object::insert(&self.db, &row).await?;
        let expires = expires_at.timestamp();
        let keys = self.vault.link_keys().await?;
        let mac = mac(keys.newest(), project, &row.id, expires);
        let signature = hex::encode(mac.finalize().into_bytes());
        let url = format!(
            "{}/api/v3/files/content/{project}/{}?expires={expires}&signature={signature}",
            self.public_url, row.id
        );
        Ok(StoredFile { url, expires_at })
    }

    /// The file behind a link.
    ///
    /// # Errors
    /// `FILE_NOT_FOUND` for a link that was not signed by this server, was changed, or has
    /// ended; all look the same, so that ids cannot be tried out.
    pub async fn get(
        &self,
        project: &ProjectId,
        id: &FileId,
        expires: i64,
        signature: &str,
    ) -> Result<FileRow> {
        let signature = hex::decode(signature).map_err(|_| not_found())?;
        let signed = |keys: &LinkKeySet| {
            // Compares in constant time.
            let signed_with = |key| mac(key, project, id, expires).verify_slice(&signature).is_ok();
            keys.all().any(signed_with)
        };
        // A key that another server made a moment ago may not be known here yet.
        if !signed(&*self.vault.link_keys().await?)
            && !signed(&*self.vault.link_keys_again().await?)
        {
            return Err(not_found());
        }
        if time::now().timestamp() >= expires {
            return Err(not_found());
        }
        file_object::get(&self.db, project, id).await?.ok_or_else(not_found)
    }
}

fn mac(key: &[u8; 32], project: &ProjectId, id: &FileId, expires: i64) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any key");
    mac.update(format!("file\n{project}\n{id}\n{expires}").as_bytes());
    mac
}

fn not_found() -> Error {
    Error::new(codes::FILE_NOT_FOUND, "There is no such file, or the link to it has ended")
        .fix("Links to files end after a while: execute the tool again for a new one")
}

/// A name without folders and control characters; never empty.
fn clean_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let clean: String = last.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect();
    let clean = clean.trim_matches(['.', ' ']);
    if clean.is_empty() { "file".to_owned() } else { clean.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::clean_name;

    #[test]
    fn a_file_name_has_no_folders_and_no_control_characters() {
        assert_eq!(clean_name("../../etc/passwd"), "passwd");
        assert_eq!(clean_name("a\\b\\c.txt"), "c.txt");
        assert_eq!(clean_name("x\r\nSet-Cookie: a"), "xSet-Cookie: a");
        assert_eq!(clean_name(".."), "file");
        assert_eq!(clean_name(""), "file");
        assert_eq!(clean_name(&"ä".repeat(900)).chars().count(), 200);
    }
}
