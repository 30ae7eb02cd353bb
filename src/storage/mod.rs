//! Files that tools and proxy calls gave, files that callers upload, and signed links.

pub mod link;
pub mod upload;

use std::sync::Arc;

use sqlx::PgPool;

use crate::config::Config;
use crate::db::file_object::{self, FileRow};
use crate::domain::id::{FileId, ProjectId};
use crate::error::{Error, Result, codes};
use crate::vault::Vault;
use link::{Link, Links};
use upload::Uploads;

/// Longest file name that is kept.
const MAX_NAME: usize = 200;

/// Stores files and signs links to them.
#[derive(Debug, Clone)]
pub struct Files {
    db: PgPool,
    links: Links,
    uploads: Uploads,
}

impl Files {
    /// Over the database, with links under the public URL.
    pub fn new(config: &Config, db: PgPool, vault: &Arc<Vault>) -> Self {
        let links = Links::new(config, vault);
        let uploads = Uploads::new(db.clone(), links.clone(), config.session_files_max_bytes);
        Self { db, links, uploads }
    }

    /// Files that callers upload.
    pub fn uploads(&self) -> &Uploads {
        &self.uploads
    }

    /// Signs links to other things that need no key.
    pub fn links(&self) -> &Links {
        &self.links
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
    ) -> Result<Link> {
        let expires_at = self.links.end();
        let row = FileRow {
            project_id: project.clone(),
            id: FileId::generate(),
            name: clean_name(name),
            mimetype: mimetype.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect(),
            content,
            expires_at,
        };
        file_object::insert(&self.db, &row).await?;
        let path = format!("/api/v3/files/content/{project}/{}", row.id);
        self.links.sign(&path, &parts(project, &row.id), expires_at).await
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
        if !self.links.holds(&parts(project, id), expires, signature).await? {
            return Err(not_found());
        }
        file_object::get(&self.db, project, id).await?.ok_or_else(not_found)
    }
}

/// What the signature of a link to a file covers.
fn parts<'a>(project: &'a ProjectId, id: &'a FileId) -> [&'a str; 3] {
    ["file", project.as_str(), id.as_str()]
}

fn not_found() -> Error {
    Error::new(codes::FILE_NOT_FOUND, "There is no such file, or the link to it has ended")
        .fix("Links to files end after a while: execute the tool again for a new one")
}

/// A name without folders and control characters; never empty.
pub fn clean_name(name: &str) -> String {
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
