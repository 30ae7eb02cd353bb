//! Table `tool_vector`: of texts, whosever they are, so it has no project.

use sqlx::PgExecutor;

/// The vectors that are there of those with the given keys. They count as used today.
pub async fn find(
    db: impl PgExecutor<'_>,
    keys: &[Vec<u8>],
) -> sqlx::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    sqlx::query_as(
        "with used as (
             update tool_vector set used_at = current_date
             where key = any($1) and used_at < current_date - 1
         )
         select key, vector from tool_vector where key = any($1)",
    )
    .bind(keys)
    .fetch_all(db)
    .await
}

/// Stores vectors with their keys. One that is there already stays.
pub async fn add(
    db: impl PgExecutor<'_>,
    keys: &[Vec<u8>],
    vectors: &[Vec<u8>],
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into tool_vector (key, vector)
         select distinct on (key) key, vector from unnest($1::bytea[], $2::bytea[]) as n (key, vector)
         order by key
         on conflict (key) do nothing",
    )
    .bind(keys)
    .bind(vectors)
    .execute(db)
    .await?;
    Ok(())
}

/// Forgets those that no server has had for `days`. Returns how many there were.
pub async fn forget(db: impl PgExecutor<'_>, days: i32) -> sqlx::Result<u64> {
    let done = sqlx::query("delete from tool_vector where used_at < current_date - $1")
        .bind(days)
        .execute(db)
        .await?;
    Ok(done.rows_affected())
}
