//! Table `organization` and table `project`.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{FromRow, PgExecutor};

use crate::domain::id::{OrgId, ProjectId};

/// A row of `project`.
#[derive(Debug, Clone, FromRow)]
pub struct ProjectRow {
    /// Project id.
    pub id: ProjectId,
    /// Its organization.
    pub org_id: OrgId,
    /// Display name, unique within the organization.
    pub name: String,
    /// Settings; see [`crate::domain::project::ProjectConfig`].
    pub config: Value,
    /// Sealed webhook secret.
    pub webhook_secret: Vec<u8>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// Makes an organization unless it is there.
pub async fn insert_org(db: impl PgExecutor<'_>, id: &OrgId, name: &str) -> sqlx::Result<()> {
    sqlx::query("insert into organization (id, name) values ($1, $2) on conflict do nothing")
        .bind(id)
        .bind(name)
        .execute(db)
        .await?;
    Ok(())
}

/// The oldest organization and its name.
pub async fn first_org(db: impl PgExecutor<'_>) -> sqlx::Result<Option<(OrgId, String)>> {
    sqlx::query_as("select id, name from organization order by created_at, id limit 1")
        .fetch_optional(db)
        .await
}

/// Name of an organization.
pub async fn org_name(db: impl PgExecutor<'_>, id: &OrgId) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar("select name from organization where id = $1")
        .bind(id)
        .fetch_optional(db)
        .await
}

/// Makes a project. Violates `project_org_id_name_key` when the name is taken.
pub async fn insert(
    db: impl PgExecutor<'_>,
    id: &ProjectId,
    org_id: &OrgId,
    name: &str,
    config: &Value,
    webhook_secret: &[u8],
) -> sqlx::Result<ProjectRow> {
    sqlx::query_as(
        "insert into project (id, org_id, name, config, webhook_secret)
         values ($1, $2, $3, $4, $5) returning *",
    )
    .bind(id)
    .bind(org_id)
    .bind(name)
    .bind(config)
    .bind(webhook_secret)
    .fetch_one(db)
    .await
}

/// A project that is not deleted.
pub async fn get(db: impl PgExecutor<'_>, id: &ProjectId) -> sqlx::Result<Option<ProjectRow>> {
    sqlx::query_as("select * from project where id = $1 and deleted_at is null")
        .bind(id)
        .fetch_optional(db)
        .await
}

/// The oldest project of an organization.
pub async fn first(db: impl PgExecutor<'_>, org_id: &OrgId) -> sqlx::Result<Option<ProjectRow>> {
    sqlx::query_as(
        "select * from project where org_id = $1 and deleted_at is null
         order by created_at, id limit 1",
    )
    .bind(org_id)
    .fetch_optional(db)
    .await
}

/// Projects of an organization, newest first, and their number.
pub async fn list(
    db: &sqlx::PgPool,
    org_id: &OrgId,
    limit: i64,
    offset: i64,
) -> sqlx::Result<(Vec<ProjectRow>, i64)> {
    let rows = sqlx::query_as(
        "select * from project where org_id = $1 and deleted_at is null
         order by created_at desc, id limit $2 offset $3",
    )
    .bind(org_id)
    .bind(limit)
    .bind(offset)
    .fetch_all(db)
    .await?;
    let total =
        sqlx::query_scalar("select count(*) from project where org_id = $1 and deleted_at is null")
            .bind(org_id)
            .fetch_one(db)
            .await?;
    Ok((rows, total))
}

/// Merges settings into the stored ones; a null removes its key.
pub async fn merge_config(
    db: impl PgExecutor<'_>,
    id: &ProjectId,
    patch: &Value,
) -> sqlx::Result<Option<ProjectRow>> {
    sqlx::query_as(
        "update project set config = jsonb_strip_nulls(config || $2), updated_at = now()
         where id = $1 and deleted_at is null returning *",
    )
    .bind(id)
    .bind(patch)
    .fetch_optional(db)
    .await
}

/// Marks a project as deleted; false when it was not there.
pub async fn delete(db: impl PgExecutor<'_>, org_id: &OrgId, id: &ProjectId) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update project set deleted_at = now(), updated_at = now()
         where id = $1 and org_id = $2 and deleted_at is null",
    )
    .bind(id)
    .bind(org_id)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}
