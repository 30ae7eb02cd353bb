//! Table `revocation`: tokens that a provider is still to be told to forget.
//!
//! Whoever works on a row has it claimed for a while; a claim that ends without a word is of a
//! server that died, and somebody else goes on.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgExecutor};

use crate::domain::id::{AccountId, AuthConfigId, ProjectId, RevocationId};
use crate::domain::scheme::AuthSchemeKind;

/// A row of `revocation` that is not over.
#[derive(Debug, Clone, FromRow)]
pub struct RevocationRow {
    /// Its project.
    pub project_id: ProjectId,
    /// Its id.
    pub id: RevocationId,
    /// What was asked for at once has the same.
    pub job: String,
    /// `revoke`, `delete` or `late`.
    pub cause: String,
    /// The account that had the tokens.
    pub account_id: AccountId,
    /// Its auth config.
    pub auth_config_id: AuthConfigId,
    /// Its user.
    pub user_id: String,
    /// Its toolkit.
    pub toolkit_slug: String,
    /// Its scheme.
    pub scheme: AuthSchemeKind,
    /// Whether the auth config used the operator's client.
    pub is_managed: bool,
    /// Sealed JSON object.
    pub tokens: Vec<u8>,
    /// Attempts that were begun.
    pub attempts: i32,
    /// Since when the provider is to be told.
    pub created_at: DateTime<Utc>,
}

/// How a revocation ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The provider forgot the tokens, or did not know them any more.
    Done,
    /// It could not be told in time.
    GivenUp,
    /// The person has connected again, and the provider may know both as one.
    Left,
}

impl Outcome {
    fn stored(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::GivenUp => "given_up",
            Self::Left => "left",
        }
    }
}

/// Stores tokens to be revoked; call it in the transaction that takes them away. With a claim
/// they are the caller's for that time; otherwise anybody's at once.
pub async fn insert(
    db: impl PgExecutor<'_>,
    row: &RevocationRow,
    claim: Option<(&str, Duration)>,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into revocation (project_id, id, job, cause, account_id, auth_config_id, user_id,
            toolkit_slug, scheme, is_managed, tokens, attempts, claim, next_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11,
            case when $12::text is null then 0 else 1 end, $12, now() + make_interval(secs => $13))",
    )
    .bind(&row.project_id)
    .bind(&row.id)
    .bind(&row.job)
    .bind(&row.cause)
    .bind(&row.account_id)
    .bind(&row.auth_config_id)
    .bind(&row.user_id)
    .bind(&row.toolkit_slug)
    .bind(row.scheme.as_str())
    .bind(row.is_managed)
    .bind(&row.tokens)
    .bind(claim.map(|(name, _)| name))
    .bind(claim.map_or(0.0, |(_, time)| time.as_secs_f64()))
    .execute(db)
    .await?;
    Ok(())
}

/// Claims what has waited longest, at most `limit` rows, over all projects, but none of the
/// toolkits in `busy`.
pub async fn claim_due(
    db: impl PgExecutor<'_>,
    claim: &str,
    time: Duration,
    busy: &[String],
    limit: i64,
) -> sqlx::Result<Vec<RevocationRow>> {
    sqlx::query_as(
        // Materialized: a plan that ran the inner query again would claim more than the limit.
        "with due as materialized (
            select project_id, id from revocation
            where next_at <= now() and toolkit_slug <> all($3)
            order by next_at limit $4 for update skip locked)
         update revocation r set claim = $1, attempts = r.attempts + 1,
            next_at = now() + make_interval(secs => $2)
         from due where r.project_id = due.project_id and r.id = due.id
         returning r.*",
    )
    .bind(claim)
    .bind(time.as_secs_f64())
    .bind(busy)
    .bind(limit)
    .fetch_all(db)
    .await
}

/// Notes that the provider was not told all: what is left, and when somebody tries again. Nothing
/// happens when the claim was lost.
pub async fn later(
    db: impl PgExecutor<'_>,
    row: &RevocationRow,
    claim: &str,
    wait: Duration,
    error: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        "update revocation set claim = null, tokens = $4, last_error = $5,
            next_at = now() + make_interval(secs => $6)
         where project_id = $1 and id = $2 and claim = $3 and outcome is null",
    )
    .bind(&row.project_id)
    .bind(&row.id)
    .bind(claim)
    .bind(&row.tokens)
    .bind(error)
    .bind(wait.as_secs_f64())
    .execute(db)
    .await?;
    Ok(())
}

/// Ends a revocation and wipes its tokens. Nothing happens when the claim was lost.
pub async fn end(
    db: impl PgExecutor<'_>,
    (project_id, id): (&ProjectId, &RevocationId),
    claim: &str,
    outcome: Outcome,
    error: Option<&str>,
) -> sqlx::Result<()> {
    sqlx::query(
        "update revocation set claim = null, tokens = null, next_at = null, ended_at = now(),
            outcome = $4, last_error = $5
         where project_id = $1 and id = $2 and claim = $3 and outcome is null",
    )
    .bind(project_id)
    .bind(id)
    .bind(claim)
    .bind(outcome.stored())
    .bind(error)
    .execute(db)
    .await?;
    Ok(())
}

/// Forgets what ended more than a week ago.
pub async fn delete_ended(db: impl PgExecutor<'_>) -> sqlx::Result<u64> {
    let done = sqlx::query("delete from revocation where ended_at < now() - interval '7 days'")
        .execute(db)
        .await?;
    Ok(done.rows_affected())
}
