//! Tables `key_rotation` and `key_holder`: what a rotation of keys remembers, and which servers
//! have which master keys.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgExecutor};

/// A server that said which master keys it has.
#[derive(Debug, Clone, FromRow)]
pub struct HolderRow {
    /// What the operator knows it by.
    pub name: String,
    /// Ids of its master keys.
    pub master_key_ids: Vec<Vec<u8>>,
}

/// The unfinished rotation, or a new one: its number, when it began, and whether it is an earlier
/// one that is carried on.
pub async fn begin(db: &sqlx::PgPool) -> sqlx::Result<(i64, DateTime<Utc>, bool)> {
    loop {
        let began: Option<(i64, DateTime<Utc>)> = sqlx::query_as(
            "insert into key_rotation default values on conflict do nothing
             returning id, started_at",
        )
        .fetch_optional(db)
        .await?;
        if let Some((id, at)) = began {
            return Ok((id, at, false));
        }
        let found: Option<(i64, DateTime<Utc>)> =
            sqlx::query_as("select id, started_at from key_rotation where finished_at is null")
                .fetch_optional(db)
                .await?;
        if let Some((id, at)) = found {
            return Ok((id, at, true));
        }
    }
}

/// When the unfinished rotation began.
pub async fn unfinished(db: impl PgExecutor<'_>) -> sqlx::Result<Option<DateTime<Utc>>> {
    sqlx::query_scalar("select started_at from key_rotation where finished_at is null")
        .fetch_optional(db)
        .await
}

/// Marks a rotation as finished.
pub async fn finish(db: impl PgExecutor<'_>, id: i64) -> sqlx::Result<()> {
    sqlx::query(
        "update key_rotation set finished_at = now() where id = $1 and finished_at is null",
    )
    .bind(id)
    .execute(db)
    .await?;
    Ok(())
}

/// Says which master keys a server has.
pub async fn hold(
    db: impl PgExecutor<'_>,
    replica: &str,
    name: &str,
    master_key_ids: &[Vec<u8>],
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into key_holder (replica, name, master_key_ids) values ($1, $2, $3)
         on conflict (replica) do update set master_key_ids = $3, seen_at = now()",
    )
    .bind(replica)
    .bind(name)
    .bind(master_key_ids)
    .execute(db)
    .await?;
    Ok(())
}

/// Says that a server is gone.
pub async fn let_go(db: impl PgExecutor<'_>, replica: &str) -> sqlx::Result<()> {
    sqlx::query("delete from key_holder where replica = $1").bind(replica).execute(db).await?;
    Ok(())
}

/// Servers that were there in the last seconds.
pub async fn holders(db: impl PgExecutor<'_>, seconds: f64) -> sqlx::Result<Vec<HolderRow>> {
    sqlx::query_as(
        "select name, master_key_ids from key_holder
         where seen_at > now() - make_interval(secs => $1) order by name",
    )
    .bind(seconds)
    .fetch_all(db)
    .await
}

/// Forgets servers that have not been there for a day.
pub async fn forget_holders(db: impl PgExecutor<'_>) -> sqlx::Result<()> {
    sqlx::query("delete from key_holder where seen_at < now() - interval '1 day'")
        .execute(db)
        .await?;
    Ok(())
}
