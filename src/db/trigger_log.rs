//! Events of triggers with what became of them: tables `event` and `webhook_delivery`.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{FromRow, PgExecutor, PgPool, Postgres, QueryBuilder};

use crate::domain::id::{EventId, ProjectId};
use crate::domain::webhook::TRIGGER_MESSAGE;

/// An event, and its delivery where there is one.
#[derive(Debug, Clone, FromRow)]
pub struct TriggerLogRow {
    /// The event.
    pub id: EventId,
    /// The body of version V3.
    pub payload: Value,
    /// What the provider sent.
    pub original: Option<String>,
    /// When it happened.
    pub created_at: DateTime<Utc>,
    /// Where it went; none: nowhere.
    pub subscription_id: Option<String>,
    /// How its delivery ended; none: it did not, or there is none.
    pub outcome: Option<String>,
    /// Attempts that were noted.
    pub attempts: Option<i32>,
    /// What came of them, oldest first.
    pub history: Option<Value>,
    /// When it is sent next.
    pub next_at: Option<DateTime<Utc>>,
    /// When the delivery ended.
    pub ended_at: Option<DateTime<Utc>>,
}

/// What a log can be filtered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// The event.
    Id,
    /// Trigger type.
    Slug,
    /// Trigger instance.
    Trigger,
    /// Account.
    Account,
    /// Auth config.
    AuthConfig,
    /// User.
    User,
    /// Everything that is not the trigger's data.
    Any,
}

impl Field {
    /// As an expression that is never null.
    fn sql(self) -> &'static str {
        match self {
            Self::Id => "e.id",
            Self::Slug => "coalesce(e.payload #>> '{metadata,trigger_slug}', '')",
            Self::Trigger => "e.subject_id",
            Self::Account => "coalesce(e.payload #>> '{metadata,connected_account_id}', '')",
            Self::AuthConfig => "coalesce(e.payload #>> '{metadata,auth_config_id}', '')",
            Self::User => "coalesce(e.payload #>> '{metadata,user_id}', '')",
            Self::Any => "(e.id || ' ' || coalesce((e.payload -> 'metadata')::text, ''))",
        }
    }
}

/// What a field must be. Upper and lower case are the same.
#[derive(Debug, Clone)]
pub struct Condition {
    /// The field.
    pub field: Field,
    /// Whether the value may be a part of it.
    pub contains: bool,
    /// Whether the condition must not hold.
    pub negated: bool,
    /// The value.
    pub value: String,
}

/// Filters of [`list`].
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// All of them hold.
    pub conditions: Vec<Condition>,
    /// Whether it was delivered, or not yet or never in spite of an attempt.
    pub delivered: Option<bool>,
    /// Not before.
    pub from: Option<DateTime<Utc>>,
    /// Before.
    pub to: Option<DateTime<Utc>>,
    /// Those after this one in the list.
    pub after: Option<(DateTime<Utc>, String)>,
}

const SELECT: &str =
    "select e.id, e.payload, e.original, e.created_at, d.subscription_id, d.outcome,
     d.attempts, d.history, d.next_at, d.ended_at
 from event e left join lateral (
    select * from webhook_delivery d where d.project_id = e.project_id and d.event_id = e.id
    order by d.created_at desc limit 1) d on true
 where e.project_id = ";

/// One log, by the ids that its event may have.
pub async fn get(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    ids: &[String],
) -> sqlx::Result<Option<TriggerLogRow>> {
    let mut query: QueryBuilder<Postgres> = QueryBuilder::new(SELECT);
    query.push_bind(project_id.clone()).push(" and e.id = any(").push_bind(ids.to_vec());
    query.push(") limit 1");
    query.build_query_as().fetch_optional(db).await
}

/// Logs of a project's triggers, newest first, at most `limit`.
pub async fn list(
    db: &PgPool,
    project_id: &ProjectId,
    filter: &Filter,
    limit: i64,
) -> sqlx::Result<Vec<TriggerLogRow>> {
    let mut query: QueryBuilder<Postgres> = QueryBuilder::new(SELECT);
    query.push_bind(project_id.clone()).push(" and e.type = ").push_bind(TRIGGER_MESSAGE);
    for condition in &filter.conditions {
        query.push(if condition.negated { " and not (" } else { " and (" });
        // strpos, not like: the value holds no pattern.
        query.push(if condition.contains { "strpos(lower(" } else { "lower(" });
        query.push(condition.field.sql());
        query.push(if condition.contains { "), lower(" } else { ") = lower(" });
        query.push_bind(condition.value.clone());
        query.push(if condition.contains { ")) > 0)" } else { "))" });
    }
    match filter.delivered {
        Some(true) => {
            query.push(" and d.outcome = 'delivered'");
        }
        Some(false) => {
            query.push(" and d.outcome is distinct from 'delivered' and d.attempts > 0");
        }
        None => {}
    }
    if let Some(from) = filter.from {
        query.push(" and e.created_at >= ").push_bind(from);
    }
    if let Some(to) = filter.to {
        query.push(" and e.created_at < ").push_bind(to);
    }
    if let Some((at, id)) = &filter.after {
        query.push(" and (e.created_at < ").push_bind(*at);
        query.push(" or (e.created_at = ").push_bind(*at);
        query.push(" and e.id > ").push_bind(id.clone()).push("))");
    }
    query.push(" order by e.created_at desc, e.id limit ").push_bind(limit);
    query.build_query_as().fetch_all(db).await
}
