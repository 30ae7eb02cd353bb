//! Table `webhook_endpoint`: the URLs that apps of providers call.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgExecutor};

use crate::domain::id::{EndpointId, ProjectId};

/// A row of `webhook_endpoint`.
#[derive(Debug, Clone, FromRow)]
pub struct EndpointRow {
    /// Its project.
    pub project_id: ProjectId,
    /// Its id.
    pub id: EndpointId,
    /// Toolkit.
    pub toolkit_slug: String,
    /// The app at the provider.
    pub client_id: String,
    /// SHA-256 of the secret part of its URL.
    pub ingress_hash: Vec<u8>,
    /// Sealed JSON object.
    pub data: Vec<u8>,
    /// When a call was last verified.
    pub verified_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// Makes an endpoint, unless the app has one; whether it did.
pub async fn insert(db: impl PgExecutor<'_>, row: &EndpointRow) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "insert into webhook_endpoint (project_id, id, toolkit_slug, client_id, ingress_hash, data,
            created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $7)
         on conflict (project_id, toolkit_slug, client_id) do nothing",
    )
    .bind(&row.project_id)
    .bind(&row.id)
    .bind(&row.toolkit_slug)
    .bind(&row.client_id)
    .bind(&row.ingress_hash)
    .bind(&row.data)
    .bind(row.created_at)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// One endpoint.
pub async fn get(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    id: &EndpointId,
) -> sqlx::Result<Option<EndpointRow>> {
    sqlx::query_as("select * from webhook_endpoint where project_id = $1 and id = $2")
        .bind(project_id)
        .bind(id)
        .fetch_optional(db)
        .await
}

/// One endpoint, which nobody else changes until the transaction ends.
pub async fn lock(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    id: &EndpointId,
) -> sqlx::Result<Option<EndpointRow>> {
    sqlx::query_as("select * from webhook_endpoint where project_id = $1 and id = $2 for update")
        .bind(project_id)
        .bind(id)
        .fetch_optional(db)
        .await
}

/// The endpoint of an app.
pub async fn of_app(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    toolkit_slug: &str,
    client_id: &str,
) -> sqlx::Result<Option<EndpointRow>> {
    sqlx::query_as(
        "select * from webhook_endpoint
         where project_id = $1 and toolkit_slug = $2 and client_id = $3",
    )
    .bind(project_id)
    .bind(toolkit_slug)
    .bind(client_id)
    .fetch_optional(db)
    .await
}

/// The newest endpoints of a project, or of one of its toolkits.
pub async fn list(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    toolkit_slug: Option<&str>,
    limit: i64,
) -> sqlx::Result<Vec<EndpointRow>> {
    sqlx::query_as(
        "select * from webhook_endpoint
         where project_id = $1 and ($2::text is null or toolkit_slug = $2)
         order by created_at desc, id limit $3",
    )
    .bind(project_id)
    .bind(toolkit_slug)
    .bind(limit)
    .fetch_all(db)
    .await
}

/// Replaces what is sealed of a locked row.
pub async fn update_data(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    id: &EndpointId,
    data: &[u8],
) -> sqlx::Result<()> {
    sqlx::query(
        "update webhook_endpoint set data = $3, updated_at = now()
         where project_id = $1 and id = $2",
    )
    .bind(project_id)
    .bind(id)
    .bind(data)
    .execute(db)
    .await?;
    Ok(())
}

/// Notes that a call was verified.
pub async fn verified(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    id: &EndpointId,
) -> sqlx::Result<()> {
    sqlx::query(
        "update webhook_endpoint set verified_at = now() where project_id = $1 and id = $2",
    )
    .bind(project_id)
    .bind(id)
    .execute(db)
    .await?;
    Ok(())
}
