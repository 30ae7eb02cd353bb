//! Table `api_key`.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgExecutor};

use crate::domain::id::{ApiKeyId, OrgId, ProjectId};

/// A row of `api_key`. The key itself is not stored.
#[derive(Debug, Clone, FromRow)]
pub struct ApiKeyRow {
    /// SHA-256 of the key.
    pub hash: Vec<u8>,
    /// Row id.
    pub id: ApiKeyId,
    /// Organization that it belongs to.
    pub org_id: OrgId,
    /// Project that it opens; none for an organization key.
    pub project_id: Option<ProjectId>,
    /// Display name.
    pub name: String,
    /// First characters.
    pub hint: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// Makes a key. Returns false when the same key exists already.
pub async fn insert(db: impl PgExecutor<'_>, row: &ApiKeyRow) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "insert into api_key (hash, id, org_id, project_id, name, hint)
         values ($1, $2, $3, $4, $5, $6) on conflict (hash) do nothing",
    )
    .bind(&row.hash)
    .bind(&row.id)
    .bind(&row.org_id)
    .bind(&row.project_id)
    .bind(&row.name)
    .bind(&row.hint)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The live key with this hash, of a project that is not deleted.
pub async fn get(db: impl PgExecutor<'_>, hash: &[u8]) -> sqlx::Result<Option<ApiKeyRow>> {
    sqlx::query_as(
        "select k.hash, k.id, k.org_id, k.project_id, k.name, k.hint, k.created_at from api_key k
         left join project p on p.id = k.project_id
         where k.hash = $1 and k.deleted_at is null and p.deleted_at is null",
    )
    .bind(hash)
    .fetch_optional(db)
    .await
}

/// Live keys of a project, oldest first.
pub async fn list(db: impl PgExecutor<'_>, project_id: &ProjectId) -> sqlx::Result<Vec<ApiKeyRow>> {
    sqlx::query_as(
        "select hash, id, org_id, project_id, name, hint, created_at from api_key
         where project_id = $1 and deleted_at is null order by created_at, id",
    )
    .bind(project_id)
    .fetch_all(db)
    .await
}

/// Deletes every key of a project.
pub async fn delete_all(db: impl PgExecutor<'_>, project_id: &ProjectId) -> sqlx::Result<u64> {
    let done = sqlx::query(
        "update api_key set deleted_at = now() where project_id = $1 and deleted_at is null",
    )
    .bind(project_id)
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

/// Whether the organization has a live key of its own, or, with a project, whether that has one.
pub async fn exists(
    db: impl PgExecutor<'_>,
    org_id: &OrgId,
    project_id: Option<&ProjectId>,
) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "select exists (select from api_key where org_id = $1
         and project_id is not distinct from $2 and deleted_at is null)",
    )
    .bind(org_id)
    .bind(project_id)
    .fetch_one(db)
    .await
}
