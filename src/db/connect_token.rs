//! Table `connect_token`: Connect Link tokens and OAuth states.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgExecutor};

use crate::domain::id::{AccountId, ProjectId};

/// A row of `connect_token`.
#[derive(Debug, Clone, FromRow)]
pub struct ConnectTokenRow {
    /// Its project.
    pub project_id: ProjectId,
    /// SHA-256 of the token.
    pub hash: Vec<u8>,
    /// `link` or `state`.
    pub kind: String,
    /// Account that the token connects.
    pub account_id: AccountId,
    /// Sealed JSON object.
    pub data: Vec<u8>,
    /// When it ends.
    pub expires_at: DateTime<Utc>,
    /// When it was used.
    pub consumed_at: Option<DateTime<Utc>>,
    /// Wrong credentials that were tried with it, and those that are being tried.
    pub tries: i32,
}

/// Stores a token.
pub async fn insert(db: impl PgExecutor<'_>, row: &ConnectTokenRow) -> sqlx::Result<()> {
    sqlx::query(
        "insert into connect_token (project_id, hash, kind, account_id, data, expires_at)
         values ($1, $2, $3, $4, $5, $6)",
    )
    .bind(&row.project_id)
    .bind(&row.hash)
    .bind(&row.kind)
    .bind(&row.account_id)
    .bind(&row.data)
    .bind(row.expires_at)
    .execute(db)
    .await?;
    Ok(())
}

/// A token, used and ended ones too.
pub async fn get(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    hash: &[u8],
    kind: &str,
) -> sqlx::Result<Option<ConnectTokenRow>> {
    sqlx::query_as(
        "select project_id, hash, kind, account_id, data, expires_at, consumed_at, tries
         from connect_token where project_id = $1 and hash = $2 and kind = $3",
    )
    .bind(project_id)
    .bind(hash)
    .bind(kind)
    .fetch_optional(db)
    .await
}

/// Marks a token as used. Exactly one caller gets true.
pub async fn consume(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    hash: &[u8],
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update connect_token set consumed_at = now()
         where project_id = $1 and hash = $2 and consumed_at is null and expires_at > now()",
    )
    .bind(project_id)
    .bind(hash)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Counts an attempt with a token before it is made, so that attempts at once are counted too, on
/// whatever server; gives their number, or none when there were `most` already or the token is
/// used.
pub async fn count_try(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    hash: &[u8],
    most: i32,
) -> sqlx::Result<Option<i32>> {
    sqlx::query_scalar(
        "update connect_token set tries = tries + 1
         where project_id = $1 and hash = $2 and tries < $3 and consumed_at is null
         returning tries",
    )
    .bind(project_id)
    .bind(hash)
    .bind(most)
    .fetch_optional(db)
    .await
}

/// Takes back what [`count_try`] counted: the attempt was not one with wrong credentials.
pub async fn uncount_try(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    hash: &[u8],
) -> sqlx::Result<()> {
    sqlx::query(
        "update connect_token set tries = greatest(tries - 1, 0)
         where project_id = $1 and hash = $2",
    )
    .bind(project_id)
    .bind(hash)
    .execute(db)
    .await?;
    Ok(())
}

/// Whether a token is used.
pub async fn is_consumed(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    hash: &[u8],
) -> sqlx::Result<bool> {
    let used: Option<bool> = sqlx::query_scalar(
        "select consumed_at is not null from connect_token where project_id = $1 and hash = $2",
    )
    .bind(project_id)
    .bind(hash)
    .fetch_optional(db)
    .await?;
    Ok(used.unwrap_or(true))
}

/// Marks every token of an account as used: its attempt to connect is over.
pub async fn consume_all(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    account_id: &AccountId,
) -> sqlx::Result<()> {
    sqlx::query(
        "update connect_token set consumed_at = now()
         where project_id = $1 and account_id = $2 and consumed_at is null",
    )
    .bind(project_id)
    .bind(account_id)
    .execute(db)
    .await?;
    Ok(())
}

/// Forgets tokens that ended more than a day ago.
pub async fn delete_ended(db: impl PgExecutor<'_>) -> sqlx::Result<u64> {
    let done = sqlx::query("delete from connect_token where expires_at < now() - interval '1 day'")
        .execute(db)
        .await?;
    Ok(done.rows_affected())
}
