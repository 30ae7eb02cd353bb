//! Table `server_check`, and the lock under which a server starts.

use sqlx::PgExecutor;

/// Key of the advisory lock, an arbitrary number of our own.
const START_LOCK: i64 = 0x7061_7463_6862_6179;

/// Waits until no other server is starting on this database; lasts to the end of the
/// transaction.
pub async fn lock_start(db: impl PgExecutor<'_>) -> sqlx::Result<()> {
    sqlx::query("select pg_advisory_xact_lock($1)").bind(START_LOCK).execute(db).await?;
    Ok(())
}

/// The sealed value.
pub async fn get(db: impl PgExecutor<'_>) -> sqlx::Result<Option<Vec<u8>>> {
    sqlx::query_scalar("select sealed from server_check").fetch_optional(db).await
}

/// Stores the sealed value.
pub async fn insert(db: impl PgExecutor<'_>, sealed: &[u8]) -> sqlx::Result<()> {
    sqlx::query("insert into server_check (sealed) values ($1)").bind(sealed).execute(db).await?;
    Ok(())
}
