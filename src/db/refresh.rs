//! Table `connected_account`: the columns that say who refreshes it, and when next.
//!
//! A claim that is still there after its end belongs to an attempt that nobody finished: whoever
//! takes it over notes since when an answer may be missing.

use std::time::Duration;

use sqlx::PgExecutor;

use super::account::AccountRow;
use crate::domain::connection::RefreshRecord;
use crate::domain::id::{AccountId, AuthConfigId, ProjectId};

/// Claims an account for one refresh, for some time; gives what earlier attempts left. None when
/// somebody else has it, the state is no longer `state_version`, or the provider is to be left
/// alone (unless `insist`).
pub async fn claim(
    db: impl PgExecutor<'_>,
    row: (&ProjectId, &AccountId),
    state_version: i64,
    claim: &str,
    time: Duration,
    insist: bool,
) -> sqlx::Result<Option<RefreshRecord>> {
    sqlx::query_as(
        "update connected_account set refresh_claim = $4,
            refresh_claimed_until = now() + make_interval(secs => $5),
            refresh_lost_at = case when refresh_claim is null then refresh_lost_at
                else coalesce(refresh_lost_at, refresh_claimed_until, now()) end
         where project_id = $1 and id = $2 and state_version = $3 and deleted_at is null
            and (refresh_claimed_until is null or refresh_claimed_until < now())
            and ($6 or refresh_after is null or refresh_after <= now())
         returning refresh_due, refresh_after, refresh_failures, refresh_refusals, refresh_error,
            refresh_lost_at, refreshed_at",
    )
    .bind(row.0)
    .bind(row.1)
    .bind(state_version)
    .bind(claim)
    .bind(time.as_secs_f64())
    .bind(insist)
    .fetch_optional(db)
    .await
}

/// Claims the accounts that have waited longest to be refreshed, at most `limit`, over all
/// projects, but none of the toolkits in `busy`.
pub async fn claim_due(
    db: impl PgExecutor<'_>,
    claim: &str,
    time: Duration,
    busy: &[String],
    limit: i64,
) -> sqlx::Result<Vec<AccountRow>> {
    sqlx::query_as(
        // Materialized: a plan that ran the inner query again would claim more than the limit.
        "with due as materialized (
            select project_id, id from connected_account
            where status = 'ACTIVE' and not is_disabled and deleted_at is null
               and refresh_due is not null and refresh_due <= now()
               and (refresh_after is null or refresh_after <= now())
               and (refresh_claimed_until is null or refresh_claimed_until < now())
               and toolkit_slug <> all($3)
            order by refresh_due limit $4 for update skip locked)
         update connected_account a set refresh_claim = $1,
            refresh_claimed_until = now() + make_interval(secs => $2),
            refresh_lost_at = case when a.refresh_claim is null then a.refresh_lost_at
                else coalesce(a.refresh_lost_at, a.refresh_claimed_until, now()) end
         from due
         where a.project_id = due.project_id and a.id = due.id
         returning a.*",
    )
    .bind(claim)
    .bind(time.as_secs_f64())
    .bind(busy)
    .bind(limit)
    .fetch_all(db)
    .await
}

/// What an attempt that brought no token leaves behind.
pub struct Failed<'a> {
    /// How long nobody asks the provider.
    pub after: Duration,
    /// How long the workers wait.
    pub due: Duration,
    /// What it adds to the failures in a row, and to the refusals among them.
    pub counts: (i32, i32),
    /// What was said.
    pub error: &'a str,
    /// Whether an answer may have been lost.
    pub lost: bool,
}

/// Notes a failed attempt and gives its claim back; nothing happens when that was lost.
pub async fn fail(
    db: impl PgExecutor<'_>,
    row: (&ProjectId, &AccountId),
    claim: &str,
    failed: &Failed<'_>,
) -> sqlx::Result<()> {
    sqlx::query(
        "update connected_account set refresh_claim = null, refresh_claimed_until = null,
            refresh_failures = refresh_failures + $9,
            refresh_refusals = refresh_refusals + $4,
            refresh_error = $5,
            refresh_after = now() + make_interval(secs => $6),
            refresh_due = now() + make_interval(secs => $7),
            refresh_lost_at = case when $8 then coalesce(refresh_lost_at, now())
                else refresh_lost_at end
         where project_id = $1 and id = $2 and refresh_claim = $3",
    )
    .bind(row.0)
    .bind(row.1)
    .bind(claim)
    .bind(failed.counts.1)
    .bind(failed.error)
    .bind(failed.after.as_secs_f64())
    .bind(failed.due.as_secs_f64())
    .bind(failed.lost)
    .bind(failed.counts.0)
    .execute(db)
    .await?;
    Ok(())
}

/// The provider refuses a token that is only a moment old: another one would not help. Nobody
/// asks for one for some time, but at most until the token ends.
pub async fn hold(
    db: impl PgExecutor<'_>,
    row: (&ProjectId, &AccountId),
    state_version: i64,
    time: Duration,
    error: &str,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update connected_account set refresh_error = $5,
            refresh_after = least(now() + make_interval(secs => $4), token_expires_at)
         where project_id = $1 and id = $2 and state_version = $3 and deleted_at is null",
    )
    .bind(row.0)
    .bind(row.1)
    .bind(state_version)
    .bind(time.as_secs_f64())
    .bind(error)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Leaves an account alone until its token ends: there is nothing to refresh it with.
pub async fn wait_for_end(
    db: impl PgExecutor<'_>,
    row: (&ProjectId, &AccountId),
    claim: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        "update connected_account set refresh_claim = null, refresh_claimed_until = null,
            refresh_due = token_expires_at
         where project_id = $1 and id = $2 and refresh_claim = $3",
    )
    .bind(row.0)
    .bind(row.1)
    .bind(claim)
    .execute(db)
    .await?;
    Ok(())
}

/// Leaves an account alone while its auth config is switched off or gone; [`resume`] ends that.
/// The lock makes one of the two wait for the other.
pub async fn park(
    db: impl PgExecutor<'_>,
    row: (&ProjectId, &AccountId),
    auth_config_id: &AuthConfigId,
    claim: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        "with config as (select is_enabled and deleted_at is null as usable from auth_config
                         where project_id = $1 and id = $4 for share)
         update connected_account set refresh_claim = null, refresh_claimed_until = null,
            refresh_due = case when coalesce((select usable from config), false)
                then now() + interval '1 minute' end
         where project_id = $1 and id = $2 and refresh_claim = $3",
    )
    .bind(row.0)
    .bind(row.1)
    .bind(claim)
    .bind(auth_config_id)
    .execute(db)
    .await?;
    Ok(())
}

/// An auth config was switched on, or given other credentials: what was parked or failed is
/// tried anew, spread over a minute.
pub async fn resume(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    auth_config_id: &AuthConfigId,
) -> sqlx::Result<u64> {
    let done = sqlx::query(
        "update connected_account set refresh_after = null, refresh_refusals = 0,
            refresh_due = case when token_expires_at is not null
                then now() + random() * interval '1 minute' end
         where project_id = $1 and auth_config_id = $2 and deleted_at is null
            and status in ('ACTIVE', 'INACTIVE')
            and (refresh_failures > 0 or (refresh_due is null and token_expires_at is not null))",
    )
    .bind(project_id)
    .bind(auth_config_id)
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}
