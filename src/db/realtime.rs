//! Reading events for the sockets that wait for them.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgExecutor};

use super::event::CHANNEL;
use crate::domain::id::{EventId, ProjectId};

/// The events that are sent to sockets.
const MESSAGE: &str = "composio.trigger.message";

/// A trigger's event with what it is about.
#[derive(Debug, Clone, FromRow)]
pub struct TriggerEvent {
    /// Its place among those that were asked for, from 1.
    pub position: i64,
    /// How many of those there are.
    pub found: i64,
    /// Its project.
    pub project_id: ProjectId,
    /// Its id.
    pub id: EventId,
    /// `data` of its body, as JSON.
    pub data: Option<String>,
    /// What the provider sent.
    pub original: Option<String>,
    /// The trigger.
    pub trigger_id: String,
    /// Its type.
    pub slug: String,
    /// Its toolkit.
    pub toolkit_slug: String,
    /// Its config, as JSON.
    pub config: Option<String>,
    /// What is known of its registration, as JSON.
    pub registration: Option<String>,
    /// Its account.
    pub account_id: String,
    /// The account's auth config.
    pub auth_config_id: String,
    /// The account's user.
    pub user_id: String,
    /// Whether the account can be used.
    pub is_active: bool,
}

/// Events by their ids, in that order; those that are there, are a trigger's, and as many as have
/// no more than `bytes` together, but one at least. A trigger that is gone is described by the
/// event's own body.
pub async fn events(
    db: impl PgExecutor<'_>,
    ids: &[(ProjectId, EventId)],
    bytes: i64,
) -> sqlx::Result<Vec<TriggerEvent>> {
    sqlx::query_as(
        "with wanted as (
            select e.*, w.position, count(*) over () as found,
                sum(coalesce(octet_length(e.original), 0) + pg_column_size(e.payload))
                    over (order by w.position) as bytes
            from unnest($1::text[], $2::text[]) with ordinality as w (project_id, id, position)
            join event e on e.project_id = w.project_id and e.id = w.id and e.type = $4)
        select e.position, e.found, e.project_id, e.id, (e.payload -> 'data')::text as data,
            e.original, e.subject_id as trigger_id,
            coalesce(t.slug, e.payload #>> '{metadata,trigger_slug}', '') as slug,
            coalesce(t.toolkit_slug, lower(split_part(e.payload #>> '{metadata,trigger_slug}',
                '_', 1)), '') as toolkit_slug,
            t.config::text as config, t.registration::text as registration,
            coalesce(t.account_id, e.payload #>> '{metadata,connected_account_id}', '')
                as account_id,
            coalesce(t.auth_config_id, e.payload #>> '{metadata,auth_config_id}', '')
                as auth_config_id,
            coalesce(t.user_id, e.payload #>> '{metadata,user_id}', '') as user_id,
            coalesce(a.status = 'ACTIVE' and not a.is_disabled, false) as is_active
        from wanted e
        left join trigger_instance t on t.project_id = e.project_id and t.id = e.subject_id
        left join connected_account a on a.project_id = e.project_id and a.deleted_at is null
            and a.id = coalesce(t.account_id, e.payload #>> '{metadata,connected_account_id}')
        where e.bytes <= $3 or e.position = (select min(position) from wanted)
        order by e.position",
    )
    .bind(ids.iter().map(|(project, _)| project.as_str()).collect::<Vec<_>>())
    .bind(ids.iter().map(|(_, id)| id.as_str()).collect::<Vec<_>>())
    .bind(bytes)
    .bind(MESSAGE)
    .fetch_all(db)
    .await
}

/// Triggers' events of some projects, or of all, since a time, oldest first.
pub async fn since(
    db: impl PgExecutor<'_>,
    projects: Option<&[ProjectId]>,
    from: DateTime<Utc>,
    limit: i64,
) -> sqlx::Result<Vec<(ProjectId, EventId)>> {
    sqlx::query_as(
        "select project_id, id from event
         where ($1::text[] is null or project_id = any ($1)) and created_at >= $2 and type = $3
         order by created_at, id limit $4",
    )
    .bind(projects.map(|all| all.iter().map(ProjectId::as_str).collect::<Vec<_>>()))
    .bind(from)
    .bind(MESSAGE)
    .bind(limit)
    .fetch_all(db)
    .await
}

/// Triggers' events of all projects that are not older than `age`.
pub async fn recent(db: impl PgExecutor<'_>, age: Duration) -> sqlx::Result<Vec<EventId>> {
    sqlx::query_scalar(
        "select id from event where created_at > now() - make_interval(secs => $1) and type = $2",
    )
    .bind(age.as_secs_f64())
    .bind(MESSAGE)
    .fetch_all(db)
    .await
}

/// Makes the channel of events sound, so that its listeners know that they hear.
pub async fn ring(db: impl PgExecutor<'_>) -> sqlx::Result<()> {
    sqlx::query("select pg_notify($1, '')").bind(CHANNEL).execute(db).await?;
    Ok(())
}

/// Takes, or keeps, the lock of the server that publishes to the relay. It goes with the
/// connection.
pub async fn lead(db: impl PgExecutor<'_>) -> sqlx::Result<bool> {
    // Asked for again, the lock would be held more than once; a connection of the server's own
    // that ends gives it back in any case.
    sqlx::query_scalar(
        "select coalesce((select true from pg_locks where locktype = 'advisory' and classid = 7114
                and objid = 39 and pid = pg_backend_pid() and granted
                and database = (select oid from pg_database where datname = current_database())
                limit 1),
            pg_try_advisory_lock(7114, 39))",
    )
    .fetch_one(db)
    .await
}
