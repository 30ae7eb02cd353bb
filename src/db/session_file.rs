//! Table `session_file`.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection, PgExecutor};

use crate::domain::id::{ProjectId, SessionId};

/// A file in a list.
#[derive(Debug, Clone, FromRow)]
pub struct FileEntry {
    /// Where it is in the mount.
    pub path: String,
    /// Its bytes.
    pub size: i64,
    /// When it was last written.
    pub updated_at: DateTime<Utc>,
}

/// A file to be read.
#[derive(Debug, Clone, FromRow)]
pub struct FileContent {
    /// Media type.
    pub mimetype: String,
    /// Bytes.
    pub content: Vec<u8>,
}

/// What a session holds besides the file at one path.
#[derive(Debug, Clone, Copy, FromRow)]
pub struct Usage {
    /// Number of files.
    pub files: i64,
    /// Their bytes.
    pub bytes: i64,
}

/// Writes a file, in the place of what was there.
pub async fn put(
    db: impl PgExecutor<'_>,
    project: &ProjectId,
    session: &SessionId,
    path: &str,
    mimetype: &str,
    content: &[u8],
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into session_file (project_id, session_id, path, mimetype, content)
         values ($1, $2, $3, $4, $5)
         on conflict (project_id, session_id, path) do update set
             mimetype = excluded.mimetype, content = excluded.content, updated_at = now()",
    )
    .bind(project)
    .bind(session)
    .bind(path)
    .bind(mimetype)
    .bind(content)
    .execute(db)
    .await?;
    Ok(())
}

/// What a session holds besides the file at `path`.
pub async fn usage(
    db: impl PgExecutor<'_>,
    project: &ProjectId,
    session: &SessionId,
    path: &str,
) -> sqlx::Result<Usage> {
    sqlx::query_as(
        "select count(*) as files, coalesce(sum(size), 0)::bigint as bytes from session_file
         where project_id = $1 and session_id = $2 and path <> $3",
    )
    .bind(project)
    .bind(session)
    .bind(path)
    .fetch_one(db)
    .await
}

/// A file that makes one at `path` impossible: one of the `folders` above it is a file, or `path`
/// itself is a folder that has files.
pub async fn in_the_way(
    db: impl PgExecutor<'_>,
    project: &ProjectId,
    session: &SessionId,
    path: &str,
    folders: &[String],
) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar(
        "select path from session_file
         where project_id = $1 and session_id = $2
             and (path = any($4) or (path > $3 and starts_with(path, $3 || '/')))
         order by path limit 1",
    )
    .bind(project)
    .bind(session)
    .bind(path)
    .bind(folders)
    .fetch_optional(db)
    .await
}

/// Files whose path begins with `prefix`, behind `after`, by path.
pub async fn list(
    db: impl PgExecutor<'_>,
    project: &ProjectId,
    session: &SessionId,
    prefix: &str,
    after: &str,
    limit: i64,
) -> sqlx::Result<Vec<FileEntry>> {
    sqlx::query_as(
        "select path, size, updated_at from session_file
         where project_id = $1 and session_id = $2
             and path >= $3 and starts_with(path, $3) and path > $4
         order by path limit $5",
    )
    .bind(project)
    .bind(session)
    .bind(prefix)
    .bind(after)
    .bind(limit)
    .fetch_all(db)
    .await
}

/// Whether there is a file at a path.
pub async fn exists(
    db: impl PgExecutor<'_>,
    project: &ProjectId,
    session: &SessionId,
    path: &str,
) -> sqlx::Result<bool> {
    let row = sqlx::query(
        "select from session_file where project_id = $1 and session_id = $2 and path = $3",
    );
    let row = row.bind(project).bind(session).bind(path).fetch_optional(db).await?;
    Ok(row.is_some())
}

/// The file at a path.
pub async fn get(
    db: impl PgExecutor<'_>,
    project: &ProjectId,
    session: &SessionId,
    path: &str,
) -> sqlx::Result<Option<FileContent>> {
    sqlx::query_as(
        "select mimetype, content from session_file
         where project_id = $1 and session_id = $2 and path = $3",
    )
    .bind(project)
    .bind(session)
    .bind(path)
    .fetch_optional(db)
    .await
}

/// Deletes the file at a path, or the files of the folder there; gives their number.
pub async fn delete(
    db: &mut PgConnection,
    project: &ProjectId,
    session: &SessionId,
    path: &str,
) -> sqlx::Result<u64> {
    let done = sqlx::query(
        "delete from session_file where project_id = $1 and session_id = $2
             and path >= $3 and (path = $3 or starts_with(path, $3 || '/'))",
    )
    .bind(project)
    .bind(session)
    .bind(path)
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

/// Forgets the files of projects that are gone.
pub async fn delete_orphans(db: impl PgExecutor<'_>) -> sqlx::Result<u64> {
    let done = sqlx::query(
        "delete from session_file using project
         where project.id = session_file.project_id and project.deleted_at is not null",
    );
    Ok(done.execute(db).await?.rows_affected())
}
