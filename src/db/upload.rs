//! Table `upload`: files that callers upload for arguments of tools.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgExecutor};

use crate::domain::id::{FileId, ProjectId};

/// An upload to come.
#[derive(Debug, Clone)]
pub struct NewUpload<'a> {
    /// Toolkit that it is for.
    pub toolkit_slug: &'a str,
    /// Tool that it is for.
    pub tool_slug: &'a str,
    /// File name.
    pub name: &'a str,
    /// Media type.
    pub mimetype: &'a str,
    /// MD5 of the bytes, lower-case hexadecimal.
    pub md5: &'a str,
    /// When it may be forgotten.
    pub expires_at: DateTime<Utc>,
}

/// An upload in a list.
#[derive(Debug, Clone, FromRow)]
pub struct UploadEntry {
    /// Toolkit that it is for.
    pub toolkit_slug: String,
    /// Tool that it is for.
    pub tool_slug: String,
    /// File name.
    pub name: String,
    /// Media type.
    pub mimetype: String,
    /// MD5.
    pub md5: String,
}

/// What was uploaded.
#[derive(Debug, Clone, FromRow)]
pub struct UploadContent {
    /// File name.
    pub name: String,
    /// Media type.
    pub mimetype: String,
    /// The bytes; none before they came.
    pub content: Option<Vec<u8>>,
}

/// What came of writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It is there.
    Done,
    /// The bytes have another MD5.
    Different,
    /// There is no such upload, or it has ended.
    Unknown,
}

/// What a project's uploads hold.
#[derive(Debug, Clone, Copy, FromRow)]
pub struct Usage {
    /// Number of uploads, whether their bytes came or not.
    pub files: i64,
    /// Their bytes.
    pub bytes: i64,
}

/// Notes an upload to come.
pub async fn insert(
    db: impl PgExecutor<'_>,
    project: &ProjectId,
    id: &FileId,
    new: &NewUpload<'_>,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into upload (project_id, id, toolkit_slug, tool_slug, name, mimetype, md5, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(project)
    .bind(id)
    .bind(new.toolkit_slug)
    .bind(new.tool_slug)
    .bind(new.name)
    .bind(new.mimetype)
    .bind(new.md5)
    .bind(new.expires_at)
    .execute(db)
    .await?;
    Ok(())
}

/// Writes the bytes of an upload, when they are the ones that were announced.
pub async fn write(
    db: impl PgExecutor<'_>,
    project: &ProjectId,
    id: &FileId,
    content: &[u8],
) -> sqlx::Result<Written> {
    let same: Option<bool> = sqlx::query_scalar(
        "with found as (
             select md5 = md5($3::bytea) as same from upload
             where project_id = $1 and id = $2 and expires_at > now()
         ), written as (
             update upload set content = $3
             where project_id = $1 and id = $2 and (select same from found)
         )
         select same from found",
    )
    .bind(project)
    .bind(id)
    .bind(content)
    .fetch_optional(db)
    .await?;
    Ok(match same {
        Some(true) => Written::Done,
        Some(false) => Written::Different,
        None => Written::Unknown,
    })
}

/// An upload that has not ended.
pub async fn get(
    db: impl PgExecutor<'_>,
    project: &ProjectId,
    id: &FileId,
) -> sqlx::Result<Option<UploadContent>> {
    sqlx::query_as(
        "select name, mimetype, content from upload
         where project_id = $1 and id = $2 and expires_at > now()",
    )
    .bind(project)
    .bind(id)
    .fetch_optional(db)
    .await
}

/// What the uploads of a project hold.
pub async fn usage(db: impl PgExecutor<'_>, project: &ProjectId) -> sqlx::Result<Usage> {
    sqlx::query_as(
        "select count(*) as files, coalesce(sum(size), 0)::bigint as bytes from upload
         where project_id = $1 and expires_at > now()",
    )
    .bind(project)
    .fetch_one(db)
    .await
}

/// Uploads whose bytes came, newest first, with their number on all pages.
pub async fn list(
    db: impl PgExecutor<'_> + Copy,
    project: &ProjectId,
    toolkit: Option<&str>,
    tool: Option<&str>,
    (limit, offset): (i64, i64),
) -> sqlx::Result<(Vec<UploadEntry>, i64)> {
    let total = sqlx::query_scalar(
        "select count(*) from upload
         where project_id = $1 and content is not null and expires_at > now()
             and ($2::text is null or toolkit_slug = $2) and ($3::text is null or tool_slug = $3)",
    )
    .bind(project)
    .bind(toolkit)
    .bind(tool)
    .fetch_one(db)
    .await?;
    let entries = sqlx::query_as(
        "select toolkit_slug, tool_slug, name, mimetype, md5 from upload
         where project_id = $1 and content is not null and expires_at > now()
             and ($2::text is null or toolkit_slug = $2) and ($3::text is null or tool_slug = $3)
         order by created_at desc, id desc limit $4 offset $5",
    )
    .bind(project)
    .bind(toolkit)
    .bind(tool)
    .bind(limit)
    .bind(offset)
    .fetch_all(db)
    .await?;
    Ok((entries, total))
}

/// Forgets uploads that have ended.
pub async fn delete_ended(db: impl PgExecutor<'_>) -> sqlx::Result<u64> {
    let done = sqlx::query("delete from upload where expires_at < now()").execute(db).await?;
    Ok(done.rows_affected())
}
