//! Table `event`: what happened that a project may want to hear of.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{FromRow, PgExecutor};

use crate::domain::id::{EventId, ProjectId, SubscriptionId};

/// A row of `event`.
#[derive(Debug, Clone, FromRow)]
pub struct EventRow {
    /// Its project.
    pub project_id: ProjectId,
    /// Its id, which `payload` repeats, and the `webhook-id` of its deliveries.
    pub id: EventId,
    /// `composio.trigger.message`, `composio.connected_account.expired`, …
    #[sqlx(rename = "type")]
    pub kind: String,
    /// What it is about: the id of a trigger instance or of an account.
    pub subject_id: String,
    /// The same thing at the provider has the same key; a second one is not stored.
    pub dedupe_key: Option<String>,
    /// The body of version V3, whole.
    pub payload: Value,
    /// What the provider sent, for a trigger's event.
    pub original: Option<String>,
    /// When it happened.
    pub created_at: DateTime<Utc>,
}

/// Channel on which replicas hear of new events.
pub const CHANNEL: &str = "patchbay_events";

/// A new event, as replicas hear of it: `payload` of a notification on [`CHANNEL`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announced {
    /// Its project.
    #[serde(rename = "p")]
    pub project: ProjectId,
    /// Its id.
    #[serde(rename = "e")]
    pub id: EventId,
}

/// Whose the deliveries of new events are.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// Its name.
    pub name: &'a str,
    /// How long it lasts.
    pub time: Duration,
    /// Subscriptions whose deliveries are anybody's nevertheless.
    pub except: &'a [SubscriptionId],
}

/// Stores events with their deliveries to every subscription that wants them, in one statement,
/// and announces them with the commit. Gives the ids of those that are new: an event whose
/// subject has another with the same dedupe key is left out. `metadata.org_id` of a payload is
/// filled in where it is null.
///
/// Deliveries are anybody's at once, or, with a claim, the caller's for that long. Those to a
/// subscription that is switched off are dead letters from the beginning.
pub async fn insert_all(
    db: impl PgExecutor<'_>,
    rows: &[EventRow],
    claim: Option<Claim<'_>>,
) -> sqlx::Result<Vec<Inserted>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let column = |of: fn(&EventRow) -> &str| rows.iter().map(of).collect::<Vec<_>>();
    let except: Vec<&str> =
        claim.iter().flat_map(|claim| claim.except).map(SubscriptionId::as_str).collect();
    sqlx::query_as(
        // In the order of the keys, so that two statements do not wait for each other.
        "with new as (
            insert into event (project_id, id, type, subject_id, dedupe_key, payload, original,
                created_at)
            select e.project_id, e.id, e.type, e.subject_id, e.dedupe_key,
                case when e.payload -> 'metadata' ? 'org_id'
                    and e.payload #>> '{metadata,org_id}' is null
                then jsonb_set(e.payload, '{metadata,org_id}',
                    to_jsonb(coalesce((select org_id from project where id = e.project_id), '')))
                else e.payload end, e.original, e.created_at
            from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::jsonb[],
                $7::text[], $8::timestamptz[])
                as e (project_id, id, type, subject_id, dedupe_key, payload, original, created_at)
            order by e.project_id, e.subject_id, e.dedupe_key
            on conflict (project_id, subject_id, dedupe_key) where dedupe_key is not null
            do nothing
            returning project_id, id, type, payload #>> '{metadata,org_id}' as org_id),
        sent as (
            insert into webhook_delivery (project_id, subscription_id, event_id, claim, next_at,
                outcome, ended_at)
            select new.project_id, s.id, new.id, case when m.is_mine then $9 end,
                case when s.disabled_at is null
                    then now() + make_interval(secs => case when m.is_mine then $10 else 0 end)
                    end,
                case when s.disabled_at is not null then 'dead' end,
                case when s.disabled_at is not null then now() end
            from new join webhook_subscription s on s.project_id = new.project_id
                and new.type = any (s.enabled_events)
            cross join lateral (select $9::text is not null and s.disabled_at is null
                and s.id <> all ($12::text[]) as is_mine) m
            returning project_id, subscription_id, event_id, claim is not null as is_claimed)
        select new.project_id, new.id, new.org_id, sent.subscription_id,
            coalesce(sent.is_claimed, false) as is_claimed,
            pg_notify($11, json_build_object('p', new.project_id, 'e', new.id)::text) is null
                as announced
        from new left join sent on sent.project_id = new.project_id and sent.event_id = new.id",
    )
    .bind(column(|row| row.project_id.as_str()))
    .bind(column(|row| row.id.as_str()))
    .bind(column(|row| &row.kind))
    .bind(column(|row| &row.subject_id))
    .bind(rows.iter().map(|row| row.dedupe_key.as_deref()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| &row.payload).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.original.as_deref()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.created_at).collect::<Vec<_>>())
    .bind(claim.map(|claim| claim.name))
    .bind(claim.map_or(0.0, |claim| claim.time.as_secs_f64()))
    .bind(CHANNEL)
    .bind(except)
    .fetch_all(db)
    .await
}

/// An event that was new, with a subscription that it goes to; one per subscription, or one with
/// none.
#[derive(Debug, Clone, FromRow)]
pub struct Inserted {
    /// Its project.
    pub project_id: ProjectId,
    /// Its id.
    pub id: EventId,
    /// `metadata.org_id` of its payload.
    pub org_id: Option<String>,
    /// Where it goes.
    pub subscription_id: Option<SubscriptionId>,
    /// Whether it is the caller's to send there.
    pub is_claimed: bool,
}

impl EventRow {
    /// Puts U+FFFD in the place of every NUL, which PostgreSQL cannot hold: an event that cannot be
    /// stored would be refused for ever.
    pub fn clean(&mut self) {
        for text in
            [&mut self.subject_id].into_iter().chain(&mut self.dedupe_key).chain(&mut self.original)
        {
            if text.contains('\0') {
                *text = text.replace('\0', "\u{fffd}");
            }
        }
        clean(&mut self.payload);
    }
}

fn clean(value: &mut Value) {
    match value {
        Value::String(text) if text.contains('\0') => *text = text.replace('\0', "\u{fffd}"),
        Value::Array(items) => items.iter_mut().for_each(clean),
        Value::Object(map) => {
            if map.keys().any(|key| key.contains('\0')) {
                let old = std::mem::take(map);
                map.extend(old.into_iter().map(|(k, v)| (k.replace('\0', "\u{fffd}"), v)));
            }
            map.values_mut().for_each(clean);
        }
        _ => {}
    }
}

/// An event; none when there is none.
pub async fn get(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    id: &EventId,
) -> sqlx::Result<Option<EventRow>> {
    sqlx::query_as(
        "select project_id, id, type, subject_id, dedupe_key, payload, original, created_at
         from event where project_id = $1 and id = $2",
    )
    .bind(project_id)
    .bind(id)
    .fetch_optional(db)
    .await
}

/// Events of a project about one thing, newest first.
pub async fn of_subject(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    subject_id: &str,
    limit: i64,
) -> sqlx::Result<Vec<EventRow>> {
    sqlx::query_as(
        "select project_id, id, type, subject_id, dedupe_key, payload, original, created_at
         from event where project_id = $1 and subject_id = $2 order by created_at desc, id limit $3",
    )
    .bind(project_id)
    .bind(subject_id)
    .bind(limit)
    .fetch_all(db)
    .await
}

/// Those of the keys that an event about `subject_id` has.
pub async fn known_keys(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    subject_id: &str,
    keys: &[String],
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "select dedupe_key from event
         where project_id = $1 and subject_id = $2 and dedupe_key = any($3)",
    )
    .bind(project_id)
    .bind(subject_id)
    .bind(keys)
    .fetch_all(db)
    .await
}

/// Forgets some of the events that are older than `age`, with their deliveries; returns how many.
pub async fn delete_older(db: impl PgExecutor<'_>, age: Duration, limit: i64) -> sqlx::Result<u64> {
    let done = sqlx::query(
        "with old as materialized (
            select project_id, id from event where created_at < now() - make_interval(secs => $1)
            limit $2),
         sent as (
            delete from webhook_delivery d using old
            where d.project_id = old.project_id and d.event_id = old.id)
         delete from event e using old where e.project_id = old.project_id and e.id = old.id",
    )
    .bind(age.as_secs_f64())
    .bind(limit)
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}
