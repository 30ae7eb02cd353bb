//! Files that a caller uploads for an argument of a tool: announced with the project's key, written
//! with a signed link, read when the tool is executed, gone when the link has ended.

use axum::body::Bytes;
use sqlx::PgPool;

use super::clean_name;
use super::link::{Link, Links};
use crate::catalog::LoadedFile;
use crate::db::upload::{self, NewUpload, UploadEntry, Written};
use crate::domain::id::{FileId, ProjectId};
use crate::domain::page::PageRequest;
use crate::error::{Error, Result, codes};

/// Most uploads of a project at a time.
const MAX_FILES: i64 = 10_000;

/// Longest slug, and longest media type.
const MAX_TEXT: usize = 200;

/// Uploads of all projects.
#[derive(Debug, Clone)]
pub struct Uploads {
    db: PgPool,
    links: Links,
    max_bytes: u64,
}

/// What a caller says of the file that is to come.
#[derive(Debug, Clone)]
pub struct Announced {
    /// Toolkit that it is for.
    pub toolkit_slug: String,
    /// Tool that it is for.
    pub tool_slug: String,
    /// File name.
    pub filename: String,
    /// Media type.
    pub mimetype: String,
    /// MD5 of the bytes in hexadecimal.
    pub md5: String,
}

/// An upload that may begin.
#[derive(Debug, Clone)]
pub struct Begun {
    /// Its key, for the argument.
    pub key: FileId,
    /// Where its bytes are to be put.
    pub link: Link,
}

impl Uploads {
    /// Over the database. All uploads of a project have `max_bytes` together.
    pub fn new(db: PgPool, links: Links, max_bytes: u64) -> Self {
        Self { db, links, max_bytes }
    }

    /// Notes a file that is to come, and signs the link to put it.
    ///
    /// # Errors
    /// What is wrong with the announcement, or that the project has too many uploads.
    pub async fn begin(&self, project: &ProjectId, announced: &Announced) -> Result<Begun> {
        let md5 = announced.md5.to_ascii_lowercase();
        let mut problems = Vec::new();
        if md5.len() != 32 || !md5.bytes().all(|b| b.is_ascii_hexdigit()) {
            problems.push("md5: must be 32 hexadecimal digits".to_owned());
        }
        for (field, text) in [
            ("toolkit_slug", &announced.toolkit_slug),
            ("tool_slug", &announced.tool_slug),
            ("mimetype", &announced.mimetype),
        ] {
            if text.len() > MAX_TEXT || text.chars().any(char::is_control) {
                problems.push(format!("{field}: must be one line of at most {MAX_TEXT} bytes"));
            }
        }
        if announced.filename.is_empty() {
            problems.push("filename: must not be empty".to_owned());
        }
        if !problems.is_empty() {
            return Err(Error::invalid("The file cannot be uploaded", problems));
        }
        self.room(project, 0).await?;
        let id = FileId::generate();
        let expires_at = self.links.end();
        let new = NewUpload {
            toolkit_slug: &announced.toolkit_slug,
            tool_slug: &announced.tool_slug,
            name: &clean_name(&announced.filename),
            mimetype: &announced.mimetype,
            md5: &md5,
            expires_at,
        };
        upload::insert(&self.db, project, &id, &new).await?;
        let path = format!("/api/v3/files/upload/{project}/{id}");
        let link = self.links.sign(&path, &parts(project, &id), expires_at).await?;
        Ok(Begun { key: id, link })
    }

    async fn room(&self, project: &ProjectId, more: usize) -> Result<()> {
        let used = upload::usage(&self.db, project).await?;
        let bytes = u64::try_from(used.bytes).unwrap_or(u64::MAX);
        if used.files < MAX_FILES && bytes.saturating_add(more as u64) <= self.max_bytes {
            return Ok(());
        }
        let most = self.max_bytes;
        Err(Error::new(
            codes::UPLOADS_FULL,
            format!(
                "The project would have more than {MAX_FILES} uploads, or more than {most} bytes"
            ),
        )
        .fix("Wait until older uploads have ended, or raise session_files_max_bytes"))
    }

    /// Files that were uploaded, newest first, with their number on all pages.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn list(
        &self,
        project: &ProjectId,
        toolkit: Option<&str>,
        tool: Option<&str>,
        page: PageRequest,
    ) -> Result<(Vec<UploadEntry>, i64)> {
        let page = (page.limit, page.offset());
        Ok(upload::list(&self.db, project, toolkit, tool, page).await?)
    }

    /// Whether a link lets its holder write. To be asked before anything is read.
    ///
    /// # Errors
    /// `FILE_NOT_FOUND` for a link that was not signed by this server, was changed, or has ended.
    pub async fn may_write(
        &self,
        project: &ProjectId,
        id: &FileId,
        expires: i64,
        signature: &str,
    ) -> Result<()> {
        match self.links.holds(&parts(project, id), expires, signature).await? {
            true => Ok(()),
            false => Err(no_link()),
        }
    }

    /// Writes the bytes of an upload.
    ///
    /// # Errors
    /// When they are not the ones that were announced, there is no room, or the upload has ended.
    pub async fn write(&self, project: &ProjectId, id: &FileId, content: &Bytes) -> Result<()> {
        self.room(project, content.len()).await?;
        match upload::write(&self.db, project, id, content).await? {
            Written::Done => Ok(()),
            Written::Different => Err(Error::bad_request(
                "What was uploaded does not have the MD5 that was announced",
            )
            .fix("Ask for another upload with the MD5 of the bytes that you send")),
            Written::Unknown => Err(no_link()),
        }
    }

    /// The file with a key, of this project alone.
    ///
    /// # Errors
    /// `FILE_NOT_FOUND` when the project has no such upload; 400 when its bytes never came.
    pub async fn load(&self, project: &ProjectId, key: &str) -> Result<LoadedFile> {
        let unknown = || {
            let shown: String = key.chars().filter(|c| !c.is_control()).take(80).collect();
            Error::invalid(
                "A file of the arguments is not there",
                vec![format!("there is no uploaded file with the s3key `{shown}`")],
            )
            .fix("Upload the file with POST /files/upload/request and use the key that it gives")
        };
        if key.len() > MAX_TEXT || key.chars().any(char::is_control) {
            return Err(unknown());
        }
        let id = FileId::from(key.to_owned());
        let file = upload::get(&self.db, project, &id).await?.ok_or_else(unknown)?;
        let Some(content) = file.content else {
            return Err(Error::invalid(
                "A file of the arguments is not there",
                vec![format!("the upload of `{}` was not completed", file.name)],
            )
            .fix("PUT the bytes of the file to the new_presigned_url first"));
        };
        Ok(LoadedFile { name: file.name, mimetype: file.mimetype, content: content.into() })
    }
}

/// What the signature of a link covers.
fn parts<'a>(project: &'a ProjectId, id: &'a FileId) -> [&'a str; 3] {
    ["upload", project.as_str(), id.as_str()]
}

/// One answer for whatever is wrong with a link, so that nothing can be tried out.
fn no_link() -> Error {
    Error::new(codes::FILE_NOT_FOUND, "There is no such upload, or the link to it has ended")
        .fix("Ask for a new one with POST /files/upload/request")
}
