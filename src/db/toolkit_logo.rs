//! Table `toolkit_logo`.

use sqlx::{FromRow, PgExecutor};

use crate::domain::id::ProjectId;

/// An image.
#[derive(Debug, Clone, FromRow)]
pub struct LogoRow {
    /// SHA-256 of the content.
    pub digest: Vec<u8>,
    /// `image/png` or `image/jpeg`.
    pub mime_type: String,
    /// The image.
    pub content: Vec<u8>,
}

/// Puts the logo of a toolkit there, instead of another one.
pub async fn put(
    db: impl PgExecutor<'_>,
    project: &ProjectId,
    slug: &str,
    logo: &LogoRow,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into toolkit_logo (project_id, slug, digest, mime_type, content)
         values ($1, $2, $3, $4, $5)
         on conflict (project_id, slug) do update set
            digest = excluded.digest, mime_type = excluded.mime_type, content = excluded.content",
    )
    .bind(project)
    .bind(slug)
    .bind(&logo.digest)
    .bind(&logo.mime_type)
    .bind(&logo.content)
    .execute(db)
    .await?;
    Ok(())
}

/// The logo of a toolkit, if it is this one.
pub async fn get(
    db: impl PgExecutor<'_>,
    project: &ProjectId,
    slug: &str,
    digest: &[u8],
) -> sqlx::Result<Option<LogoRow>> {
    sqlx::query_as(
        "select digest, mime_type, content from toolkit_logo
         where project_id = $1 and slug = $2 and digest = $3",
    )
    .bind(project)
    .bind(slug)
    .bind(digest)
    .fetch_optional(db)
    .await
}

/// Takes the logo of a toolkit away.
pub async fn delete(db: impl PgExecutor<'_>, project: &ProjectId, slug: &str) -> sqlx::Result<()> {
    sqlx::query("delete from toolkit_logo where project_id = $1 and slug = $2")
        .bind(project)
        .bind(slug)
        .execute(db)
        .await?;
    Ok(())
}
