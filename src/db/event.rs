//! Table `event`: what happened that a project may want to hear of.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{FromRow, PgExecutor};

use crate::domain::id::{EventId, ProjectId};

/// A row of `event`.
#[derive(Debug, Clone, FromRow)]
pub struct EventRow {
    /// Its project.
    pub project_id: ProjectId,
    /// Its id, which `payload` repeats.
    pub id: EventId,
    /// `composio.connected_account.expired`, …
    #[sqlx(rename = "type")]
    pub kind: String,
    /// What it is about: an account's id.
    pub subject_id: String,
    /// What is delivered, whole.
    pub payload: Value,
    /// When it happened.
    pub created_at: DateTime<Utc>,
}

/// Stores an event; call it in the transaction of what happened. `metadata.org_id` of the payload
/// is filled in.
pub async fn insert(db: impl PgExecutor<'_>, row: &EventRow) -> sqlx::Result<()> {
    sqlx::query(
        "insert into event (project_id, id, type, subject_id, payload, created_at)
         select $1, $2, $3, $4, jsonb_set($5::jsonb, '{metadata,org_id}',
            to_jsonb(coalesce((select org_id from project where id = $1), ''))), $6",
    )
    .bind(&row.project_id)
    .bind(&row.id)
    .bind(&row.kind)
    .bind(&row.subject_id)
    .bind(&row.payload)
    .bind(row.created_at)
    .execute(db)
    .await?;
    Ok(())
}

/// Events of a project about one thing, newest first.
pub async fn of_subject(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    subject_id: &str,
    limit: i64,
) -> sqlx::Result<Vec<EventRow>> {
    sqlx::query_as(
        "select project_id, id, type, subject_id, payload, created_at from event
         where project_id = $1 and subject_id = $2 order by created_at desc, id limit $3",
    )
    .bind(project_id)
    .bind(subject_id)
    .bind(limit)
    .fetch_all(db)
    .await
}

/// Forgets events that are older than `age`.
pub async fn delete_older(db: impl PgExecutor<'_>, age: Duration) -> sqlx::Result<u64> {
    let done =
        sqlx::query("delete from event where created_at < now() - make_interval(secs => $1)")
            .bind(age.as_secs_f64())
            .execute(db)
            .await?;
    Ok(done.rows_affected())
}
