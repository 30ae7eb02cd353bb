//! Table `data_key`: the keys that values are sealed with, sealed by a master key.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgExecutor};

use crate::domain::id::ProjectId;

/// A row of `data_key`.
#[derive(Debug, Clone, FromRow)]
pub struct DataKeyRow {
    /// Its project.
    pub project_id: ProjectId,
    /// Its id within the project.
    pub id: Vec<u8>,
    /// The key, sealed by a master key.
    pub sealed: Vec<u8>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When another took its place.
    pub retired_at: Option<DateTime<Utc>>,
}

/// Whether this database has the table.
pub async fn is_there(db: impl PgExecutor<'_>) -> sqlx::Result<bool> {
    sqlx::query_scalar("select to_regclass('data_key') is not null").fetch_one(db).await
}

/// One key.
pub async fn get(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    id: &[u8],
) -> sqlx::Result<Option<DataKeyRow>> {
    sqlx::query_as("select * from data_key where project_id = $1 and id = $2")
        .bind(project_id)
        .bind(id)
        .fetch_optional(db)
        .await
}

/// The key that new values are sealed with.
pub async fn current(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
) -> sqlx::Result<Option<DataKeyRow>> {
    sqlx::query_as("select * from data_key where project_id = $1 and retired_at is null")
        .bind(project_id)
        .fetch_optional(db)
        .await
}

/// Adds the current key of a project; false when it has one.
pub async fn insert(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    id: &[u8],
    sealed: &[u8],
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "insert into data_key (project_id, id, sealed) values ($1, $2, $3) on conflict do nothing",
    )
    .bind(project_id)
    .bind(id)
    .bind(sealed)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Retires the current key of a project if it was made before a time; false when it was not.
pub async fn retire_current(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    made_before: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update data_key set retired_at = now()
         where project_id = $1 and retired_at is null and created_at < $2",
    )
    .bind(project_id)
    .bind(made_before)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Ids of a project's retired keys.
pub async fn retired(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
) -> sqlx::Result<Vec<Vec<u8>>> {
    sqlx::query_scalar(
        "select id from data_key where project_id = $1 and retired_at is not null
         order by created_at, id",
    )
    .bind(project_id)
    .fetch_all(db)
    .await
}

/// Projects whose current key was made before a time, over all projects.
pub async fn projects_with_current_before(
    db: impl PgExecutor<'_>,
    made_before: DateTime<Utc>,
) -> sqlx::Result<Vec<ProjectId>> {
    sqlx::query_scalar(
        "select project_id from data_key where retired_at is null and created_at < $1
         order by project_id",
    )
    .bind(made_before)
    .fetch_all(db)
    .await
}

/// Projects that have retired keys which were retired at least some seconds ago.
pub async fn projects_with_retired(
    db: impl PgExecutor<'_>,
    seconds: f64,
) -> sqlx::Result<Vec<ProjectId>> {
    sqlx::query_scalar(
        "select distinct project_id from data_key
         where retired_at <= now() - make_interval(secs => $1) order by 1",
    )
    .bind(seconds)
    .fetch_all(db)
    .await
}

/// Deletes a key that was retired at least some seconds ago. The foreign keys of the sealed values
/// refuse that while a row needs it, also one that is being written at this moment: then false.
pub async fn delete_retired(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    id: &[u8],
    seconds: f64,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "delete from data_key
         where project_id = $1 and id = $2 and retired_at <= now() - make_interval(secs => $3)",
    )
    .bind(project_id)
    .bind(id)
    .bind(seconds)
    .execute(db)
    .await;
    match done {
        Ok(done) => Ok(done.rows_affected() == 1),
        Err(error) if is_needed(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Deletes keys of projects that were never made: their making failed after the key was.
pub async fn delete_orphans(db: impl PgExecutor<'_>, seconds: f64) -> sqlx::Result<u64> {
    let done = sqlx::query(
        "delete from data_key k where created_at <= now() - make_interval(secs => $1)
            and not exists (select from project p where p.id = k.project_id)",
    )
    .bind(seconds)
    .execute(db)
    .await;
    match done {
        Ok(done) => Ok(done.rows_affected()),
        Err(error) if is_needed(&error) => Ok(0),
        Err(error) => Err(error),
    }
}

/// Foreign key violation.
fn is_needed(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(d) if d.code().as_deref() == Some("23503"))
}

/// Up to `limit` keys that are sealed by another master key than this one, locked. Those that
/// somebody else has locked are left out.
pub async fn lock_not_under(
    db: impl PgExecutor<'_>,
    master_key_id: &[u8],
    after: (&str, &[u8]),
    limit: i64,
) -> sqlx::Result<Vec<DataKeyRow>> {
    sqlx::query_as(
        "select * from data_key where master_key_id <> $1 and (project_id, id) > ($2, $3)
         order by project_id, id limit $4 for no key update skip locked",
    )
    .bind(master_key_id)
    .bind(after.0)
    .bind(after.1)
    .bind(limit)
    .fetch_all(db)
    .await
}

/// Stores another sealed form of the same key.
pub async fn reseal(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    id: &[u8],
    sealed: &[u8],
) -> sqlx::Result<()> {
    sqlx::query("update data_key set sealed = $3 where project_id = $1 and id = $2")
        .bind(project_id)
        .bind(id)
        .bind(sealed)
        .execute(db)
        .await?;
    Ok(())
}

/// Number of keys sealed by another master key than this one.
pub async fn count_not_under(db: impl PgExecutor<'_>, master_key_id: &[u8]) -> sqlx::Result<i64> {
    sqlx::query_scalar("select count(*) from data_key where master_key_id <> $1")
        .bind(master_key_id)
        .fetch_one(db)
        .await
}

/// Number of keys per master key.
pub async fn count_by_master(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<(Vec<u8>, i64)>> {
    sqlx::query_as("select master_key_id, count(*) from data_key group by 1 order by 1")
        .fetch_all(db)
        .await
}

/// Every key, over all projects.
pub async fn all(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<DataKeyRow>> {
    sqlx::query_as("select * from data_key order by project_id, created_at, id").fetch_all(db).await
}
