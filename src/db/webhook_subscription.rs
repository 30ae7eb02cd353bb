//! Table `webhook_subscription`: where a project's events go.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection, PgExecutor};

use crate::domain::id::{ProjectId, SubscriptionId};

/// A row of `webhook_subscription`.
#[derive(Clone, FromRow)]
pub struct SubscriptionRow {
    /// Its project.
    pub project_id: ProjectId,
    /// Its id.
    pub id: SubscriptionId,
    /// Who is called.
    pub webhook_url: String,
    /// `V1`, `V2` or `V3`.
    pub version: String,
    /// Types of events that are sent.
    pub enabled_events: Vec<String>,
    /// Sealed text that signs what is sent.
    pub secret: Vec<u8>,
    /// Since when nothing was delivered; none: the last delivery went well.
    pub failing_since: Option<DateTime<Utc>>,
    /// When it was switched off.
    pub disabled_at: Option<DateTime<Utc>>,
    /// Why.
    pub disabled_reason: Option<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// A change; what is none stays.
#[derive(Debug, Default)]
pub struct Patch<'a> {
    /// Who is called.
    pub webhook_url: Option<&'a str>,
    /// Shape of the bodies.
    pub version: Option<&'a str>,
    /// Types of events.
    pub enabled_events: Option<&'a [String]>,
}

const COLUMNS: &str = "project_id, id, webhook_url, version, enabled_events, secret, \
     failing_since, disabled_at, disabled_reason, created_at, updated_at";

fn select(condition: &'static str) -> sqlx::AssertSqlSafe<String> {
    sqlx::AssertSqlSafe(format!("select {COLUMNS} from webhook_subscription where {condition}"))
}

/// Stores a subscription; false when the project has one. Call it in a transaction.
pub async fn insert(db: &mut PgConnection, row: &SubscriptionRow) -> sqlx::Result<bool> {
    // Two that look at once would both find none.
    sqlx::query("select pg_advisory_xact_lock(hashtextextended('webhook_subscription ' || $1, 0))")
        .bind(&row.project_id)
        .execute(&mut *db)
        .await?;
    let done = sqlx::query(
        "insert into webhook_subscription (project_id, id, webhook_url, version, enabled_events,
            secret, created_at, updated_at)
         select $1, $2, $3, $4, $5, $6, $7, $8
         where not exists (select from webhook_subscription where project_id = $1)",
    )
    .bind(&row.project_id)
    .bind(&row.id)
    .bind(&row.webhook_url)
    .bind(&row.version)
    .bind(&row.enabled_events)
    .bind(&row.secret)
    .bind(row.created_at)
    .bind(row.updated_at)
    .execute(&mut *db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// A subscription; none when there is none.
pub async fn get(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    id: &SubscriptionId,
) -> sqlx::Result<Option<SubscriptionRow>> {
    sqlx::query_as(select("project_id = $1 and id = $2"))
        .bind(project_id)
        .bind(id)
        .fetch_optional(db)
        .await
}

/// As [`get`], and nobody else changes it until the transaction ends.
pub async fn lock(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    id: &SubscriptionId,
) -> sqlx::Result<Option<SubscriptionRow>> {
    sqlx::query_as(select("project_id = $1 and id = $2 for update"))
        .bind(project_id)
        .bind(id)
        .fetch_optional(db)
        .await
}

/// Subscriptions of a project, oldest first.
pub async fn list(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
) -> sqlx::Result<Vec<SubscriptionRow>> {
    sqlx::query_as(select("project_id = $1 order by created_at, id"))
        .bind(project_id)
        .fetch_all(db)
        .await
}

/// Changes a subscription, and switches it on when it was off; none when there is none.
pub async fn update(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    id: &SubscriptionId,
    patch: &Patch<'_>,
) -> sqlx::Result<Option<SubscriptionRow>> {
    sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "update webhook_subscription set webhook_url = coalesce($3, webhook_url),
            version = coalesce($4, version), enabled_events = coalesce($5, enabled_events),
            failing_since = null, disabled_at = null, disabled_reason = null, updated_at = now()
         where project_id = $1 and id = $2 returning {COLUMNS}"
    )))
    .bind(project_id)
    .bind(id)
    .bind(patch.webhook_url)
    .bind(patch.version)
    .bind(patch.enabled_events)
    .fetch_optional(db)
    .await
}

/// Puts another secret in the place of the old one; false when there is no such subscription.
pub async fn set_secret(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    id: &SubscriptionId,
    secret: &[u8],
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update webhook_subscription set secret = $3, updated_at = now()
         where project_id = $1 and id = $2",
    )
    .bind(project_id)
    .bind(id)
    .bind(secret)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Switches a subscription off; false when it was off, or is gone.
pub async fn disable(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    id: &SubscriptionId,
    reason: &str,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update webhook_subscription set disabled_at = now(), disabled_reason = $3,
            updated_at = now()
         where project_id = $1 and id = $2 and disabled_at is null",
    )
    .bind(project_id)
    .bind(id)
    .bind(reason)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Deletes a subscription; false when there is none.
pub async fn delete(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    id: &SubscriptionId,
) -> sqlx::Result<bool> {
    let done = sqlx::query("delete from webhook_subscription where project_id = $1 and id = $2")
        .bind(project_id)
        .bind(id)
        .execute(db)
        .await?;
    Ok(done.rows_affected() == 1)
}
