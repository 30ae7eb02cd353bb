//! Table `rate_slice`: requests per organization and replica in slices of ten seconds.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;

use crate::domain::id::OrgId;

/// Adds what this replica has counted. Slices are the start of their ten seconds.
pub async fn add(
    db: impl PgExecutor<'_>,
    replica: &str,
    orgs: &[String],
    slices: &[DateTime<Utc>],
    counts: &[i64],
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into rate_slice (org_id, slice, replica, used)
         select o, s, $1, n from unnest($2::text[], $3::timestamptz[], $4::bigint[]) t (o, s, n)
         on conflict (org_id, slice, replica) do update set used = rate_slice.used + excluded.used",
    )
    .bind(replica)
    .bind(orgs)
    .bind(slices)
    .bind(counts)
    .execute(db)
    .await?;
    Ok(())
}

/// What the other replicas have counted since `from`, per organization and slice.
pub async fn others(
    db: impl PgExecutor<'_>,
    replica: &str,
    from: DateTime<Utc>,
) -> sqlx::Result<Vec<(OrgId, DateTime<Utc>, i64)>> {
    sqlx::query_as(
        "select org_id, slice, sum(used)::bigint from rate_slice
         where slice >= $2 and replica <> $1 group by org_id, slice",
    )
    .bind(replica)
    .bind(from)
    .fetch_all(db)
    .await
}

/// Forgets slices before `before`.
pub async fn delete_before(db: impl PgExecutor<'_>, before: DateTime<Utc>) -> sqlx::Result<u64> {
    let done =
        sqlx::query("delete from rate_slice where slice < $1").bind(before).execute(db).await?;
    Ok(done.rows_affected())
}
