//! Table `file_object`: files that tools and proxy calls gave.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgExecutor};

use crate::domain::id::{FileId, ProjectId};

/// A row of `file_object`.
#[derive(Debug, Clone, FromRow)]
pub struct FileRow {
    /// Its project.
    pub project_id: ProjectId,
    /// Its id.
    pub id: FileId,
    /// File name.
    pub name: String,
    /// Media type.
    pub mimetype: String,
    /// Bytes.
    pub content: Vec<u8>,
    /// When it may be forgotten.
    pub expires_at: DateTime<Utc>,
}

/// Stores a file.
pub async fn insert(db: impl PgExecutor<'_>, row: &FileRow) -> sqlx::Result<()> {
    sqlx::query(
        "insert into file_object (project_id, id, name, mimetype, content, expires_at)
         values ($1, $2, $3, $4, $5, $6)",
    )
    .bind(&row.project_id)
    .bind(&row.id)
    .bind(&row.name)
    .bind(&row.mimetype)
    .bind(&row.content)
    .bind(row.expires_at)
    .execute(db)
    .await?;
    Ok(())
}

/// A file that has not ended.
pub async fn get(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    id: &FileId,
) -> sqlx::Result<Option<FileRow>> {
    sqlx::query_as(
        "select project_id, id, name, mimetype, content, expires_at from file_object
         where project_id = $1 and id = $2 and expires_at > now()",
    )
    .bind(project_id)
    .bind(id)
    .fetch_optional(db)
    .await
}

/// Forgets files that have ended.
pub async fn delete_ended(db: impl PgExecutor<'_>) -> sqlx::Result<u64> {
    let done = sqlx::query("delete from file_object where expires_at < now()").execute(db).await?;
    Ok(done.rows_affected())
}
