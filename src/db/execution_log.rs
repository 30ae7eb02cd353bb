//! Table `execution_log`.

use std::borrow::Borrow;

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgExecutor, PgPool, Postgres, QueryBuilder};

use crate::domain::id::{LogId, ProjectId};

/// A row of `execution_log`.
#[derive(Debug, Clone, FromRow)]
pub struct ExecutionLogRow {
    /// Its project.
    pub project_id: ProjectId,
    /// Its id.
    pub id: LogId,
    /// `tool` or `proxy`.
    pub kind: String,
    /// Tool, or method and path of a proxy call.
    pub tool_slug: String,
    /// Toolkit.
    pub toolkit_slug: String,
    /// Version of the toolkit that ran.
    pub toolkit_version: String,
    /// User.
    pub user_id: Option<String>,
    /// Account.
    pub account_id: Option<String>,
    /// Auth config.
    pub auth_config_id: Option<String>,
    /// Outcome.
    pub successful: bool,
    /// Status of the provider's last answer.
    pub provider_status: Option<i32>,
    /// Error text.
    pub error: Option<String>,
    /// Request as JSON text, perhaps cut.
    pub request: Option<String>,
    /// Answer as JSON text, perhaps cut.
    pub response: Option<String>,
    /// Microseconds in all.
    pub duration_us: i64,
    /// Microseconds of them spent waiting for the provider.
    pub provider_us: i64,
    /// The HTTP request that it was part of.
    pub request_id: String,
    /// When it began.
    pub created_at: DateTime<Utc>,
}

/// A text column that lists can be filtered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// Log id.
    Id,
    /// Tool.
    Tool,
    /// Toolkit.
    Toolkit,
    /// Account.
    Account,
    /// Auth config.
    AuthConfig,
    /// User.
    User,
    /// HTTP request.
    Request,
    /// Error text.
    Error,
}

impl Column {
    /// The column as an expression that is never null.
    fn sql(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Tool => "tool_slug",
            Self::Toolkit => "toolkit_slug",
            Self::Account => "coalesce(account_id, '')",
            Self::AuthConfig => "coalesce(auth_config_id, '')",
            Self::User => "coalesce(user_id, '')",
            Self::Request => "request_id",
            Self::Error => "coalesce(error, '')",
        }
    }
}

/// What a column must be.
#[derive(Debug, Clone)]
pub struct Condition {
    /// The column.
    pub column: Column,
    /// Whether the value may be a part of the column's.
    pub contains: bool,
    /// Whether the condition must not hold.
    pub negated: bool,
    /// Whether upper and lower case are the same.
    pub any_case: bool,
    /// The value.
    pub value: String,
}

/// Filters of [`list`].
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Toolkits; empty: all.
    pub toolkit_slugs: Vec<String>,
    /// Tools; empty: all.
    pub tool_slugs: Vec<String>,
    /// Accounts; empty: all.
    pub account_ids: Vec<String>,
    /// Auth configs; empty: all.
    pub auth_config_ids: Vec<String>,
    /// Users; empty: all.
    pub user_ids: Vec<String>,
    /// Log ids; empty: all.
    pub ids: Vec<String>,
    /// Further conditions, all of which hold.
    pub conditions: Vec<Condition>,
    /// Outcome.
    pub successful: Option<bool>,
    /// Not before.
    pub from: Option<DateTime<Utc>>,
    /// Before.
    pub to: Option<DateTime<Utc>>,
    /// Keyset position: rows strictly after this one in (created_at, id) descending order.
    pub after: Option<(DateTime<Utc>, String)>,
}

/// Writes rows in one statement. A row that is there already is left alone, so that a batch can
/// be written again after an unclear failure.
///
/// One array per column: the statement's text is always the same, so it is prepared once.
pub async fn insert_batch(
    db: impl PgExecutor<'_>,
    rows: &[impl Borrow<ExecutionLogRow>],
) -> sqlx::Result<()> {
    fn column<'a, T>(
        rows: &'a [impl Borrow<ExecutionLogRow>],
        value: impl Fn(&'a ExecutionLogRow) -> T,
    ) -> Vec<T> {
        rows.iter().map(|r| value(r.borrow())).collect()
    }
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into execution_log (project_id, id, kind, tool_slug, toolkit_slug,
            toolkit_version, user_id, account_id, auth_config_id, successful, provider_status,
            error, request, response, duration_us, provider_us, request_id, created_at)
         select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[],
            $6::text[], $7::text[], $8::text[], $9::text[], $10::bool[], $11::int4[],
            $12::text[], $13::text[], $14::text[], $15::int8[], $16::int8[], $17::text[],
            $18::timestamptz[])
         on conflict do nothing",
    )
    .bind(column(rows, |r| r.project_id.as_str()))
    .bind(column(rows, |r| r.id.as_str()))
    .bind(column(rows, |r| r.kind.as_str()))
    .bind(column(rows, |r| r.tool_slug.as_str()))
    .bind(column(rows, |r| r.toolkit_slug.as_str()))
    .bind(column(rows, |r| r.toolkit_version.as_str()))
    .bind(column(rows, |r| r.user_id.as_deref()))
    .bind(column(rows, |r| r.account_id.as_deref()))
    .bind(column(rows, |r| r.auth_config_id.as_deref()))
    .bind(column(rows, |r| r.successful))
    .bind(column(rows, |r| r.provider_status))
    .bind(column(rows, |r| r.error.as_deref()))
    .bind(column(rows, |r| r.request.as_deref()))
    .bind(column(rows, |r| r.response.as_deref()))
    .bind(column(rows, |r| r.duration_us))
    .bind(column(rows, |r| r.provider_us))
    .bind(column(rows, |r| r.request_id.as_str()))
    .bind(column(rows, |r| r.created_at))
    .execute(db)
    .await?;
    Ok(())
}

/// One log.
pub async fn get(
    db: impl PgExecutor<'_>,
    project_id: &ProjectId,
    id: &str,
) -> sqlx::Result<Option<ExecutionLogRow>> {
    sqlx::query_as("select * from execution_log where project_id = $1 and id = $2")
        .bind(project_id)
        .bind(id)
        .fetch_optional(db)
        .await
}

/// Logs of a project, newest first, at most `limit`.
pub async fn list(
    db: &PgPool,
    project_id: &ProjectId,
    filter: &Filter,
    limit: i64,
) -> sqlx::Result<Vec<ExecutionLogRow>> {
    let mut query: QueryBuilder<Postgres> =
        QueryBuilder::new("select * from execution_log where project_id = ");
    query.push_bind(project_id.clone());
    for (column, values) in [
        (" and toolkit_slug = any(", &filter.toolkit_slugs),
        (" and tool_slug = any(", &filter.tool_slugs),
        (" and account_id = any(", &filter.account_ids),
        (" and auth_config_id = any(", &filter.auth_config_ids),
        (" and user_id = any(", &filter.user_ids),
        (" and id = any(", &filter.ids),
    ] {
        if !values.is_empty() {
            query.push(column).push_bind(values.clone()).push(")");
        }
    }
    for condition in &filter.conditions {
        let (open, close) = if condition.any_case { ("lower(", ")") } else { ("", "") };
        query.push(if condition.negated { " and not (" } else { " and (" });
        // strpos, not like: the value holds no pattern.
        query.push(if condition.contains { "strpos(" } else { "" });
        query.push(open).push(condition.column.sql()).push(close);
        query.push(if condition.contains { ", " } else { " = " }).push(open);
        query.push_bind(condition.value.clone()).push(close);
        query.push(if condition.contains { ") > 0)" } else { ")" });
    }
    if let Some(successful) = filter.successful {
        query.push(" and successful = ").push_bind(successful);
    }
    if let Some(from) = filter.from {
        query.push(" and created_at >= ").push_bind(from);
    }
    if let Some(to) = filter.to {
        query.push(" and created_at < ").push_bind(to);
    }
    if let Some((at, id)) = &filter.after {
        query.push(" and (created_at, id) < (").push_bind(*at);
        query.push(", ").push_bind(id.clone()).push(")");
    }
    query.push(" order by created_at desc, id desc limit ").push_bind(limit);
    query.build_query_as().fetch_all(db).await
}
