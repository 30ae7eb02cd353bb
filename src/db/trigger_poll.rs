//! Table `trigger_poll`: when instances ask their provider, and where they go on.
//!
//! Whoever polls an instance has its row claimed for a while, and keeps the claim alive. A claim
//! that ends without a word is of a server that died. All times are the database's.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use sqlx::types::Json;
use sqlx::{FromRow, PgExecutor};

use crate::domain::id::{AccountId, AuthConfigId, ProjectId, TriggerId};

/// An instance whose poll was claimed.
#[derive(Debug, Clone, FromRow)]
pub struct DueRow {
    /// Its project.
    pub project_id: ProjectId,
    /// Its id.
    pub trigger_id: TriggerId,
    /// Seconds between two polls.
    pub interval_s: i32,
    /// Where it goes on.
    pub cursor: Option<Value>,
    /// Failures in a row.
    pub failures: i32,
    /// Trigger type.
    pub slug: String,
    /// Toolkit of the type.
    pub toolkit_slug: String,
    /// The account.
    pub account_id: AccountId,
    /// Auth config of the account.
    pub auth_config_id: AuthConfigId,
    /// User of the account.
    pub user_id: String,
    /// Config, checked, with defaults.
    pub config: Json<Map<String, Value>>,
    /// When the instance was made, or last enabled.
    pub updated_at: DateTime<Utc>,
    /// When the row was claimed.
    pub now: DateTime<Utc>,
}

/// What is under way on a server, and how much of it there may be.
#[derive(Debug, Clone, Default)]
pub struct Load {
    /// Polls by project.
    pub projects: Vec<(String, i64)>,
    /// Polls by toolkit.
    pub toolkits: Vec<(String, i64)>,
    /// Most of one project.
    pub per_project: i64,
    /// Most of one toolkit.
    pub per_toolkit: i64,
}

/// Claims polls that are due, at most `limit`. Projects take turns, those with less under way
/// first; within a project it is who waited longest.
///
/// Of each toolkit the rows that waited longest are considered, and those of the projects in
/// `also`: where one project's rows are all that the first look shows, the others are there too.
/// What it costs does not depend on how many rows are due.
pub async fn claim_due(
    db: impl PgExecutor<'_>,
    claim: &str,
    time: Duration,
    load: &Load,
    also: &[ProjectId],
    limit: i64,
) -> sqlx::Result<Vec<DueRow>> {
    let names = |list: &[(String, i64)]| list.iter().map(|(n, _)| n.clone()).collect::<Vec<_>>();
    let counts = |list: &[(String, i64)]| list.iter().map(|(_, c)| *c).collect::<Vec<_>>();
    sqlx::query_as(
        // Materialized: a plan that ran the inner query again would claim more than the limit.
        "with recursive busy_projects (project_id, n) as (
            select * from unnest($3::text[], $4::bigint[])),
        busy_toolkits (toolkit_slug, n) as (
            select * from unnest($5::text[], $6::bigint[])),
        every_toolkit (slug) as (
            (select toolkit_slug from trigger_poll where is_active order by toolkit_slug limit 1)
            union all
            select (select p.toolkit_slug from trigger_poll p
                where p.is_active and p.toolkit_slug > t.slug order by p.toolkit_slug limit 1)
            from every_toolkit t where t.slug is not null),
        toolkits as (
            select t.slug, $8 - coalesce(b.n, 0) as room
            from every_toolkit t left join busy_toolkits b on b.toolkit_slug = t.slug
            where t.slug is not null and coalesce(b.n, 0) < $8),
        due as materialized (
            select p.* from toolkits t cross join lateral (
                select project_id, trigger_id, next_at, toolkit_slug from trigger_poll
                where toolkit_slug = t.slug and is_active and next_at <= now()
                order by next_at limit 4 * $10) p
            union
            select p.* from unnest($9::text[]) as o (id) cross join lateral (
                select project_id, trigger_id, next_at, toolkit_slug from trigger_poll
                where project_id = o.id and is_active and next_at <= now()
                order by next_at limit $10) p
            where p.toolkit_slug in (select slug from toolkits)),
        in_turn as (
            select d.*, row_number() over (partition by d.project_id order by d.next_at)
                + coalesce(b.n, 0) as turn
            from due d left join busy_projects b using (project_id)),
        by_toolkit as (
            select i.*, row_number()
                over (partition by i.toolkit_slug order by i.turn, i.next_at) as place
            from in_turn i where i.turn <= $7),
        chosen as materialized (
            select b.project_id, b.trigger_id from by_toolkit b
            join toolkits t on t.slug = b.toolkit_slug
            where b.place <= t.room order by b.turn, b.next_at limit $10),
        mine as materialized (
            select p.project_id, p.trigger_id from trigger_poll p
            join chosen using (project_id, trigger_id)
            where p.is_active and p.next_at <= now() for update of p skip locked)
        update trigger_poll p set claim = $1, next_at = now() + make_interval(secs => $2),
            toolkit_slug = i.toolkit_slug
        from mine join trigger_instance i
            on i.project_id = mine.project_id and i.id = mine.trigger_id
        where p.project_id = mine.project_id and p.trigger_id = mine.trigger_id
        returning p.project_id, p.trigger_id, p.interval_s, p.cursor, p.failures, i.slug,
            i.toolkit_slug, i.account_id, i.auth_config_id, i.user_id, i.config, i.updated_at,
            now() as now",
    )
    .bind(claim)
    .bind(time.as_secs_f64())
    .bind(names(&load.projects))
    .bind(counts(&load.projects))
    .bind(names(&load.toolkits))
    .bind(counts(&load.toolkits))
    .bind(load.per_project)
    .bind(load.per_toolkit)
    .bind(also.iter().map(ProjectId::as_str).collect::<Vec<_>>())
    .bind(limit)
    .fetch_all(db)
    .await
}

/// The next projects with instances that poll, in the order of their ids after `after`.
pub async fn projects(
    db: impl PgExecutor<'_>,
    after: &str,
    limit: i64,
) -> sqlx::Result<Vec<ProjectId>> {
    sqlx::query_scalar(
        // From one project to the next by the index, whatever their numbers of rows.
        "with recursive each (id, n) as (
            (select project_id, 1::bigint from trigger_poll where is_active and project_id > $1
                order by project_id limit 1)
            union all
            select (select p.project_id from trigger_poll p
                where p.is_active and p.project_id > e.id order by p.project_id limit 1), e.n + 1
            from each e where e.id is not null and e.n < $2)
         select id from each where id is not null order by id",
    )
    .bind(after)
    .bind(limit)
    .fetch_all(db)
    .await
}

/// Keeps a claim alive; whether it is still there.
pub async fn keep(
    db: impl PgExecutor<'_>,
    row: (&ProjectId, &TriggerId),
    claim: &str,
    time: Duration,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update trigger_poll set next_at = now() + make_interval(secs => $4)
         where project_id = $1 and trigger_id = $2 and claim = $3 and is_active",
    )
    .bind(row.0)
    .bind(row.1)
    .bind(claim)
    .bind(time.as_secs_f64())
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Gives a claim back without a word: anybody may poll at once.
pub async fn release(
    db: impl PgExecutor<'_>,
    row: (&ProjectId, &TriggerId),
    claim: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        "update trigger_poll set claim = null, next_at = now()
         where project_id = $1 and trigger_id = $2 and claim = $3",
    )
    .bind(row.0)
    .bind(row.1)
    .bind(claim)
    .execute(db)
    .await?;
    Ok(())
}

/// An account changed: when it can be used now, what waits because of it is polled within seconds.
pub async fn resume(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    account_id: &AccountId,
) -> sqlx::Result<()> {
    sqlx::query(
        "update trigger_poll p set next_at = least(p.next_at, now() + random() * interval '5 s')
         from trigger_instance i
         join connected_account a on a.project_id = i.project_id and a.id = i.account_id
         where i.project_id = $1 and i.account_id = $2 and i.deleted_at is null
            and a.status = 'ACTIVE' and not a.is_disabled and a.deleted_at is null
            and p.project_id = i.project_id and p.trigger_id = i.id and p.is_active
            and p.claim is null and p.failures > 0",
    )
    .bind(project_id)
    .bind(account_id)
    .execute(db)
    .await?;
    Ok(())
}

/// How a poll ended.
#[derive(Debug)]
pub struct Polled<'a> {
    /// Where the next one goes on; none: as before.
    pub cursor: Option<&'a Value>,
    /// When that is.
    pub wait: Duration,
    /// What went wrong, and failures in a row with this one.
    pub error: Option<(&'a str, i32)>,
}

/// Stores how a poll ended and gives the claim back; whether the claim was still there, and with
/// it everything else that the transaction holds is worth keeping.
pub async fn finish(
    db: impl PgExecutor<'_>,
    row: (&ProjectId, &TriggerId),
    claim: &str,
    polled: &Polled<'_>,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update trigger_poll set claim = null, cursor = coalesce($4, cursor), last_at = now(),
            last_ok_at = case when $6::text is null then now() else last_ok_at end,
            next_at = now() + make_interval(secs => $5), last_error = $6, failures = $7
         where project_id = $1 and trigger_id = $2 and claim = $3 and is_active",
    )
    .bind(row.0)
    .bind(row.1)
    .bind(claim)
    .bind(polled.cursor)
    .bind(polled.wait.as_secs_f64())
    .bind(polled.error.map(|(text, _)| text))
    .bind(polled.error.map_or(0, |(_, failures)| failures))
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}
