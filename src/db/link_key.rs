//! Table `link_key`: keys that sign links to files, sealed by a master key.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgExecutor};

/// A row of `link_key`.
#[derive(Debug, Clone, FromRow)]
pub struct LinkKeyRow {
    /// Its id.
    pub id: Vec<u8>,
    /// The key, sealed by a master key.
    pub sealed: Vec<u8>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When another took its place.
    pub retired_at: Option<DateTime<Utc>>,
}

/// All, the one that signs first.
pub async fn all(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<LinkKeyRow>> {
    sqlx::query_as("select * from link_key order by retired_at is not null, created_at desc, id")
        .fetch_all(db)
        .await
}

/// Adds the key that signs; false when there is one.
pub async fn insert(db: impl PgExecutor<'_>, id: &[u8], sealed: &[u8]) -> sqlx::Result<bool> {
    let done =
        sqlx::query("insert into link_key (id, sealed) values ($1, $2) on conflict do nothing")
            .bind(id)
            .bind(sealed)
            .execute(db)
            .await?;
    Ok(done.rows_affected() == 1)
}

/// Retires the key that signs if it was made before a time; false when it was not.
pub async fn retire_current(
    db: impl PgExecutor<'_>,
    made_before: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update link_key set retired_at = now() where retired_at is null and created_at < $1",
    )
    .bind(made_before)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Deletes keys that were retired at least some seconds ago.
pub async fn delete_retired(db: impl PgExecutor<'_>, seconds: f64) -> sqlx::Result<u64> {
    let done =
        sqlx::query("delete from link_key where retired_at <= now() - make_interval(secs => $1)")
            .bind(seconds)
            .execute(db)
            .await?;
    Ok(done.rows_affected())
}

/// Stores another sealed form of the same key, if it still has the form that was read.
pub async fn reseal(
    db: impl PgExecutor<'_>,
    id: &[u8],
    read: &[u8],
    sealed: &[u8],
) -> sqlx::Result<bool> {
    let done = sqlx::query("update link_key set sealed = $3 where id = $1 and sealed = $2")
        .bind(id)
        .bind(read)
        .bind(sealed)
        .execute(db)
        .await?;
    Ok(done.rows_affected() == 1)
}
