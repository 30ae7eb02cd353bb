//! Table `server_check`, which names the master key in use, and the lock under which a server
//! starts.

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

/// The sealed value, which stays as it is until the transaction ends.
pub async fn get_shared(db: impl PgExecutor<'_>) -> sqlx::Result<Option<Vec<u8>>> {
    sqlx::query_scalar("select sealed from server_check for share").fetch_optional(db).await
}

/// Stores the sealed value, unless there is one.
pub async fn insert(db: impl PgExecutor<'_>, sealed: &[u8]) -> sqlx::Result<()> {
    sqlx::query("insert into server_check (sealed) values ($1) on conflict do nothing")
        .bind(sealed)
        .execute(db)
        .await?;
    Ok(())
}

/// Id of the master key that is about to follow.
pub async fn announced(db: impl PgExecutor<'_>) -> sqlx::Result<Option<Vec<u8>>> {
    let id = sqlx::query_scalar("select announced_key_id from server_check").fetch_optional(db);
    Ok(id.await?.flatten())
}

/// Says which master key is about to follow.
pub async fn announce(db: impl PgExecutor<'_>, master_key_id: &[u8]) -> sqlx::Result<()> {
    sqlx::query("update server_check set announced_key_id = $1")
        .bind(master_key_id)
        .execute(db)
        .await?;
    Ok(())
}

/// Stores another sealed value if it still is the one that was read. Waits for everybody who
/// works with that.
pub async fn replace(db: impl PgExecutor<'_>, read: &[u8], sealed: &[u8]) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update server_check set sealed = $2, announced_key_id = null where sealed = $1",
    )
    .bind(read)
    .bind(sealed)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}
