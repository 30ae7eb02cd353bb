//! Table `webhook_delivery`: events on their way to subscriptions.
//!
//! `attempts` counts those whose end was noted since the delivery was put into the queue. Whoever
//! sends has the row claimed for a while; a claim that ends without a word is of a server that
//! died, and somebody else goes on.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{FromRow, PgExecutor};

use crate::domain::id::{EventId, ProjectId, SubscriptionId};

/// Attempts that a row remembers.
const MAX_HISTORY: i32 = 30;

/// Most deliveries that one call puts into the queue again.
pub const MAX_AGAIN: i64 = 10_000;

/// An event for a subscription, claimed.
#[derive(Debug, Clone, FromRow)]
pub struct Letter {
    /// Its project.
    pub project_id: ProjectId,
    /// Where it goes.
    pub subscription_id: SubscriptionId,
    /// The event.
    pub event_id: EventId,
    /// Attempts so far.
    pub attempts: i32,
    /// The body of version V3; none: the event is forgotten.
    pub payload: Option<Value>,
}

/// A subscription with something in its queue.
#[derive(Debug, Clone, FromRow)]
pub struct Waiting {
    /// Its project.
    pub project_id: ProjectId,
    /// Its id.
    pub subscription_id: SubscriptionId,
    /// Whether anything of it is to be sent now.
    pub is_due: bool,
}

/// Subscriptions with something in their queues, after one of them, by their ids.
pub async fn waiting(
    db: impl PgExecutor<'_>,
    after: (&str, &str),
    limit: i64,
) -> sqlx::Result<Vec<Waiting>> {
    sqlx::query_as(
        // From each one the index is searched for the next: what they have waiting is not read.
        "with recursive found as (
            (select project_id, subscription_id, next_at, 1 as number from webhook_delivery
             where next_at is not null and (project_id, subscription_id) > ($1, $2)
             order by project_id, subscription_id, next_at limit 1)
            union all
            select n.project_id, n.subscription_id, n.next_at, f.number + 1
            from found f cross join lateral (
                select d.project_id, d.subscription_id, d.next_at from webhook_delivery d
                where d.next_at is not null
                    and (d.project_id, d.subscription_id) > (f.project_id, f.subscription_id)
                order by d.project_id, d.subscription_id, d.next_at limit 1) n
            where f.number < $3)
         select project_id, subscription_id, next_at <= now() as is_due from found",
    )
    .bind(after.0)
    .bind(after.1)
    .bind(limit)
    .fetch_all(db)
    .await
}

/// Claims what is due of some subscriptions, of each at most so many, and `limit` in all.
pub async fn claim_due(
    db: impl PgExecutor<'_>,
    (claim, time): (&str, Duration),
    from: &[(ProjectId, SubscriptionId, i32)],
    limit: i64,
) -> sqlx::Result<Vec<Letter>> {
    sqlx::query_as(
        // Materialized: a plan that ran the inner query again would claim more than the limit.
        "with due as materialized (
            select d.project_id, d.subscription_id, d.event_id
            from unnest($3::text[], $4::text[], $5::int4[]) as s (project_id, id, room)
            cross join lateral (
                select w.project_id, w.subscription_id, w.event_id from webhook_delivery w
                where w.project_id = s.project_id and w.subscription_id = s.id
                    and w.next_at <= now()
                order by w.next_at limit s.room for update skip locked) d
            limit $6),
         mine as (
            update webhook_delivery w set claim = $1, next_at = now() + make_interval(secs => $2)
            from due where w.project_id = due.project_id
                and w.subscription_id = due.subscription_id and w.event_id = due.event_id
            returning w.project_id, w.subscription_id, w.event_id, w.attempts)
         select mine.*, e.payload from mine
         left join event e on e.project_id = mine.project_id and e.id = mine.event_id",
    )
    .bind(claim)
    .bind(time.as_secs_f64())
    .bind(from.iter().map(|(project, ..)| project.as_str()).collect::<Vec<_>>())
    .bind(from.iter().map(|(_, id, _)| id.as_str()).collect::<Vec<_>>())
    .bind(from.iter().map(|(.., room)| *room).collect::<Vec<_>>())
    .bind(limit)
    .fetch_all(db)
    .await
}

/// What becomes of a delivery.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict {
    /// It arrived.
    Delivered,
    /// It is tried again after this time.
    Again(Duration),
    /// It is given up.
    Dead,
    /// Nobody wants it any more.
    Dropped,
}

impl Verdict {
    fn outcome(self) -> Option<&'static str> {
        match self {
            Self::Delivered => Some("delivered"),
            Self::Again(_) => None,
            Self::Dead => Some("dead"),
            Self::Dropped => Some("dropped"),
        }
    }

    fn wait(self) -> f64 {
        if let Self::Again(wait) = self { wait.as_secs_f64() } else { 0.0 }
    }
}

/// What came of a claimed delivery.
#[derive(Debug, Clone)]
pub struct Note {
    /// Its project.
    pub project_id: ProjectId,
    /// Where it went.
    pub subscription_id: SubscriptionId,
    /// The event.
    pub event_id: EventId,
    /// The claim under which it was sent.
    pub claim: std::sync::Arc<str>,
    /// What becomes of it.
    pub verdict: Verdict,
    /// The attempt, `{at, status, ms, error, response}`; none: there was none.
    pub attempt: Option<Value>,
}

/// Notes what came of deliveries, in one statement. What was delivered is so, whoever has it
/// claimed by now; everything else counts only while the claim lasts.
pub async fn note(db: impl PgExecutor<'_>, notes: &[Note]) -> sqlx::Result<()> {
    let column = |of: fn(&Note) -> &str| notes.iter().map(of).collect::<Vec<_>>();
    sqlx::query(
        "with n as (
            select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[],
                $6::float8[], $7::jsonb[])
                as n (project_id, subscription_id, event_id, claim, outcome, wait_s, attempt)),
         noted as (
            update webhook_delivery d set
                attempts = d.attempts + (n.attempt is not null)::int4,
                history = case when n.attempt is null then d.history
                    when jsonb_array_length(d.history) >= $8 then (d.history - 0) || n.attempt
                    else d.history || n.attempt end,
                outcome = n.outcome, claim = null,
                next_at = case when n.outcome is null
                    then now() + make_interval(secs => n.wait_s) end,
                ended_at = case when n.outcome is not null then now() end
            from n where d.project_id = n.project_id and d.subscription_id = n.subscription_id
                and d.event_id = n.event_id
                and case when n.outcome = 'delivered' then d.outcome is distinct from 'delivered'
                    else d.outcome is null and d.claim = n.claim end),
         works as (
            update webhook_subscription s set failing_since = null
            from (select distinct project_id, subscription_id from n where outcome = 'delivered') n
            where s.project_id = n.project_id and s.id = n.subscription_id
                and s.failing_since is not null)
         update webhook_subscription s set failing_since = now()
         from (select project_id, subscription_id from n where attempt is not null
               group by 1, 2 having bool_and(outcome is distinct from 'delivered')) n
         where s.project_id = n.project_id and s.id = n.subscription_id
            and s.failing_since is null and s.disabled_at is null",
    )
    .bind(column(|note| note.project_id.as_str()))
    .bind(column(|note| note.subscription_id.as_str()))
    .bind(column(|note| note.event_id.as_str()))
    .bind(column(|note| &note.claim))
    .bind(notes.iter().map(|note| note.verdict.outcome()).collect::<Vec<_>>())
    .bind(notes.iter().map(|note| note.verdict.wait()).collect::<Vec<_>>())
    .bind(notes.iter().map(|note| note.attempt.as_ref()).collect::<Vec<_>>())
    .bind(MAX_HISTORY)
    .execute(db)
    .await?;
    Ok(())
}

/// Whether nothing was delivered to a subscription for so long, and it is not off yet.
pub async fn fails_since(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    id: &SubscriptionId,
    age: Duration,
) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "select exists (select from webhook_subscription where project_id = $1 and id = $2
            and disabled_at is null and failing_since < now() - make_interval(secs => $3))",
    )
    .bind(project_id)
    .bind(id)
    .bind(age.as_secs_f64())
    .fetch_one(db)
    .await
}

/// Ends what waits for a subscription, some of it; returns how many.
pub async fn end_waiting(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    id: &SubscriptionId,
    verdict: Verdict,
    limit: i64,
) -> sqlx::Result<u64> {
    let done = sqlx::query(
        "with those as materialized (
            select event_id from webhook_delivery
            where project_id = $1 and subscription_id = $2 and next_at is not null
            limit $4 for update)
         update webhook_delivery d set outcome = $3, claim = null, next_at = null,
            ended_at = now()
         from those where d.project_id = $1 and d.subscription_id = $2
            and d.event_id = those.event_id",
    )
    .bind(project_id)
    .bind(id)
    .bind(verdict.outcome().unwrap_or("dead"))
    .bind(limit)
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

/// A delivery that was given up.
#[derive(Debug, Clone, FromRow)]
pub struct DeadLetter {
    /// The event.
    pub event_id: EventId,
    /// Its type.
    pub kind: String,
    /// What it is about.
    pub subject_id: String,
    /// Attempts.
    pub attempts: i32,
    /// The last attempt; none: there was none.
    pub last: Option<Value>,
    /// When the event happened.
    pub created_at: DateTime<Utc>,
    /// When it was given up.
    pub ended_at: DateTime<Utc>,
}

/// Dead letters of a subscription, newest first, and how many there are.
pub async fn dead(
    db: &sqlx::PgPool,
    project_id: &ProjectId,
    id: &SubscriptionId,
    (limit, offset): (i64, i64),
) -> sqlx::Result<(Vec<DeadLetter>, i64)> {
    let rows = sqlx::query_as(
        "select d.event_id, e.type as kind, e.subject_id, d.attempts, d.history -> -1 as last,
            e.created_at, d.ended_at
         from webhook_delivery d
         join event e on e.project_id = d.project_id and e.id = d.event_id
         where d.project_id = $1 and d.subscription_id = $2 and d.outcome = 'dead'
         order by d.ended_at desc, d.event_id limit $3 offset $4",
    )
    .bind(project_id)
    .bind(id)
    .bind(limit)
    .bind(offset)
    .fetch_all(db)
    .await?;
    let total = sqlx::query_scalar(
        "select count(*) from webhook_delivery
         where project_id = $1 and subscription_id = $2 and outcome = 'dead'",
    )
    .bind(project_id)
    .bind(id)
    .fetch_one(db)
    .await?;
    Ok((rows, total))
}

/// Puts dead letters into the queue again, as if they were new: those of some events, or, with
/// none named, the oldest. At most [`MAX_AGAIN`]; returns how many.
pub async fn redrive(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    id: &SubscriptionId,
    events: Option<&[String]>,
) -> sqlx::Result<u64> {
    let done = sqlx::query(
        "with those as materialized (
            select event_id from webhook_delivery
            where project_id = $1 and subscription_id = $2 and outcome = 'dead'
                and ($3::text[] is null or event_id = any ($3))
            order by ended_at, event_id limit $4 for update)
         update webhook_delivery d set outcome = null, ended_at = null, claim = null,
            attempts = 0, next_at = now()
         from those where d.project_id = $1 and d.subscription_id = $2
            and d.event_id = those.event_id",
    )
    .bind(project_id)
    .bind(id)
    .bind(events)
    .bind(MAX_AGAIN)
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

/// Sends the events of a trigger instance again that happened in a span of time, whatever became
/// of them, under the ids they had: to every subscription that wants them now. What is still on
/// its way stays so. At most [`MAX_AGAIN`], oldest first; returns how many.
pub async fn replay(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    trigger_id: &str,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> sqlx::Result<u64> {
    let done = sqlx::query(
        "insert into webhook_delivery as d (project_id, subscription_id, event_id, next_at)
         select e.project_id, s.id, e.id, now()
         from event e join webhook_subscription s on s.project_id = e.project_id
            and s.disabled_at is null and e.type = any (s.enabled_events)
         where e.project_id = $1 and e.subject_id = $2 and e.created_at >= $3
            and e.created_at < $4
         order by e.created_at, e.id limit $5
         on conflict (project_id, subscription_id, event_id) do update
            set outcome = null, ended_at = null, claim = null, attempts = 0, next_at = now()
            where d.outcome is not null",
    )
    .bind(project_id)
    .bind(trigger_id)
    .bind(from)
    .bind(to)
    .bind(MAX_AGAIN)
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}
