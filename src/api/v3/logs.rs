//! Execution logs as current clients read them.

use axum::extract::State;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::auth::ProjectKey;
use crate::api::errors::CommonErrors;
use crate::api::extract::{Json, OptionalJson, Path};
use crate::app::{App, AppState};
use crate::db::execution_log::{self, Column, Condition, ExecutionLogRow, Filter};
use crate::domain::connection::Project;
use crate::domain::time::iso;
use crate::error::{Error, Result, codes};

/// Routes.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get))
}

/// What a filter looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum FilterField {
    ToolSlug,
    ToolkitSlug,
    ConnectedAccountId,
    AuthConfigId,
    Status,
    UserId,
    SessionId,
    SandboxId,
    RequestId,
    LogId,
}

/// How a filter compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
enum FilterOperator {
    /// Equal.
    #[serde(rename = "==")]
    Is,
    /// Not equal.
    #[serde(rename = "!=")]
    IsNot,
    /// Has the value as a part.
    #[serde(rename = "contains")]
    Contains,
    /// Does not have the value as a part.
    #[serde(rename = "not_contains")]
    NotContains,
}

/// A condition.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
struct LogFilter {
    /// What it looks at.
    field: FilterField,
    /// How it compares.
    operator: FilterOperator,
    /// With what; `success` or `failed` for `status`.
    value: String,
}

/// A span of time.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
struct TimeRange {
    /// Begin, in milliseconds since 1970.
    from: f64,
    /// End, in milliseconds since 1970.
    to: f64,
}

/// Which logs.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
struct ExecutionLogQuery {
    /// Logs per page; 20 when absent, at most 100.
    limit: Option<f64>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Conditions, all of which hold.
    filters: Option<Vec<LogFilter>>,
    /// Span of time.
    time_range: Option<TimeRange>,
}

/// One execution.
#[derive(Debug, Serialize, ToSchema)]
struct ExecutionLog {
    /// Log id.
    id: String,
    /// When it began.
    timestamp: String,
    /// `tool.execution` or `proxy.execution`.
    r#type: &'static str,
    /// `success` or `failed`.
    status: &'static str,
    /// `info` or `error`.
    level: &'static str,
    /// Why it failed.
    message: Option<String>,
    /// What it was about.
    #[schema(value_type = Object)]
    metadata: Map<String, Value>,
    /// How long it took.
    #[schema(value_type = Object)]
    metrics: Map<String, Value>,
    /// Always null.
    #[schema(value_type = Option<Object>)]
    parent: Option<Value>,
}

/// A page of logs, newest first.
#[derive(Debug, Serialize, ToSchema)]
struct ExecutionLogPage {
    /// Logs.
    logs: Vec<ExecutionLog>,
    /// Cursor of the next page, or null.
    next_cursor: Option<String>,
}

/// Begin and end in milliseconds since 1970.
#[derive(Debug, Serialize, ToSchema)]
struct Timings {
    start_time: f64,
    end_time: f64,
}

/// What the execution belonged to.
#[derive(Debug, Serialize, ToSchema)]
struct LogContext {
    session_id: Option<String>,
    trace_id: Option<String>,
    /// Id of the HTTP request.
    request_id: Option<String>,
}

/// Who asked for it; not recorded by this server.
#[derive(Debug, Serialize, ToSchema)]
struct LogSource {
    host: Option<String>,
    framework: Option<String>,
    language: Option<String>,
}

/// One execution in full.
#[derive(Debug, Serialize, ToSchema)]
struct ExecutionLogDetail {
    #[serde(flatten)]
    item: ExecutionLog,
    /// Begin and end.
    timings: Timings,
    /// What it belonged to.
    context: LogContext,
    /// Who asked for it.
    source: LogSource,
    /// `request` and `response`; empty when the project keeps no data.
    #[schema(value_type = Object)]
    data: Map<String, Value>,
}

/// 404 of a log.
pub(super) fn unknown(id: &str) -> Error {
    Error::not_found(codes::LOG_NOT_FOUND, "Log", id)
        .fix("Logs appear a moment after their execution; list them with POST /api/v3.1/logs/tool_execution")
}

pub(super) fn credential_source(row: &ExecutionLogRow) -> &'static str {
    if row.account_id.is_some() { "connected_account" } else { "no_auth" }
}

/// Stored JSON text; text that was cut stays text.
pub(super) fn stored(text: Option<&str>) -> Option<Value> {
    text.map(|t| serde_json::from_str(t).unwrap_or_else(|_| Value::String(t.to_owned())))
}

/// Milliseconds since 1970.
pub(super) fn millis(at: DateTime<Utc>) -> f64 {
    at.timestamp_micros() as f64 / 1000.0
}

/// A time out of milliseconds since 1970; one out of range takes the nearest there is.
pub(super) fn time_of(millis: f64) -> DateTime<Utc> {
    // PostgreSQL ends at the year 294276; nobody asks for logs beyond the year 9999.
    let millis = (millis as i64).clamp(0, 253_402_300_799_000);
    DateTime::from_timestamp_millis(millis).unwrap_or_default()
}

fn item(row: &ExecutionLogRow) -> ExecutionLog {
    let metadata = json!({
        "kind": row.kind,
        "tool_slug": row.tool_slug,
        "toolkit_slug": row.toolkit_slug,
        "toolkit_version": row.toolkit_version,
        "user_id": row.user_id,
        "connected_account_id": row.account_id,
        "auth_config_id": row.auth_config_id,
        "credential_source": credential_source(row),
    });
    let metrics = json!({
        "duration_ms": row.duration_us as f64 / 1000.0,
        "provider_ms": row.provider_us as f64 / 1000.0,
        "provider_status": row.provider_status,
    });
    let object = |value| if let Value::Object(map) = value { map } else { Map::new() };
    ExecutionLog {
        id: row.id.to_string(),
        timestamp: iso(row.created_at),
        r#type: if row.kind == "proxy" { "proxy.execution" } else { "tool.execution" },
        status: if row.successful { "success" } else { "failed" },
        level: if row.successful { "info" } else { "error" },
        message: row.error.clone(),
        metadata: object(metadata),
        metrics: object(metrics),
        parent: None,
    }
}

/// The position behind a row.
fn cursor_of(row: &ExecutionLogRow) -> String {
    URL_SAFE_NO_PAD.encode(format!("{}-{}", row.created_at.timestamp_micros(), row.id))
}

fn position(cursor: &str) -> Option<(DateTime<Utc>, String)> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    let (micros, id) = text.split_once('-')?;
    let micros: i64 = micros.parse().ok()?;
    let plausible = (0..=253_402_300_799_000_000).contains(&micros) && !id.contains('\0');
    if plausible { Some((DateTime::from_timestamp_micros(micros)?, id.to_owned())) } else { None }
}

/// 400 for a cursor that this server did not make.
pub(super) fn bad_cursor() -> Error {
    Error::invalid("Invalid cursor", vec!["cursor: not a cursor of this list".to_owned()])
        .fix("Send the next cursor of the previous page as it is, or leave it out")
}

/// Adds a condition on the outcome; false when it can never hold.
pub(super) fn add_status(filter: &mut Filter, value: &str, wanted: bool) -> Result<bool> {
    let successful = match value.to_lowercase().as_str() {
        "success" => wanted,
        "failed" | "failure" | "error" => !wanted,
        _ => {
            return Err(Error::invalid(
                "Invalid filter",
                vec!["status: must be success or failed".to_owned()],
            ));
        }
    };
    let possible = filter.successful.is_none_or(|known| known == successful);
    filter.successful = Some(successful);
    Ok(possible)
}

/// The filter of a query; none when nothing can match it.
fn filter_of(body: &ExecutionLogQuery) -> Result<Option<Filter>> {
    let mut filter = Filter::default();
    for condition in body.filters.iter().flatten() {
        use FilterOperator as Op;
        let negated = matches!(condition.operator, Op::IsNot | Op::NotContains);
        let contains = matches!(condition.operator, Op::Contains | Op::NotContains);
        let column = match condition.field {
            FilterField::ToolSlug => Column::Tool,
            FilterField::ToolkitSlug => Column::Toolkit,
            FilterField::ConnectedAccountId => Column::Account,
            FilterField::AuthConfigId => Column::AuthConfig,
            FilterField::UserId => Column::User,
            FilterField::RequestId => Column::Request,
            FilterField::LogId => Column::Id,
            FilterField::Status => {
                if !add_status(&mut filter, &condition.value, !negated)? {
                    return Ok(None);
                }
                continue;
            }
            // This server has no sessions yet: no log belongs to one.
            FilterField::SessionId | FilterField::SandboxId if negated => continue,
            FilterField::SessionId | FilterField::SandboxId => return Ok(None),
        };
        let value = condition.value.clone();
        filter.conditions.push(Condition { column, contains, negated, any_case: false, value });
    }
    if let Some(range) = &body.time_range {
        filter.from = Some(time_of(range.from));
        filter.to = Some(time_of(range.to));
    }
    if let Some(cursor) = body.cursor.as_deref().filter(|c| !c.is_empty()) {
        filter.after = Some(position(cursor).ok_or_else(bad_cursor)?);
    }
    Ok(Some(filter))
}

/// Logs of executions, newest first.
#[utoipa::path(post, path = "/logs/tool_execution", tag = "logs",
    operation_id = "listExecutionLogs", request_body = ExecutionLogQuery,
    responses((status = 200, body = ExecutionLogPage), CommonErrors))]
async fn list(
    State(app): State<AppState>,
    key: ProjectKey,
    OptionalJson(body): OptionalJson<ExecutionLogQuery>,
) -> Result<Json<ExecutionLogPage>> {
    let limit = body.limit.map_or(20, |l| (l as i64).clamp(1, 100));
    let mut rows = match filter_of(&body)? {
        None => Vec::new(),
        Some(filter) => execution_log::list(&app.db, &key.project.id, &filter, limit + 1).await?,
    };
    let limit = usize::try_from(limit).unwrap_or(1);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next_cursor = rows.last().filter(|_| more).map(cursor_of);
    Ok(Json(ExecutionLogPage { logs: rows.iter().map(item).collect(), next_cursor }))
}

/// One log of the project.
pub(super) async fn find(app: &App, project: &Project, id: &str) -> Result<ExecutionLogRow> {
    execution_log::get(&app.db, &project.id, id).await?.ok_or_else(|| unknown(id))
}

/// One execution with its request and answer.
#[utoipa::path(get, path = "/logs/tool_execution/{id}", tag = "logs",
    operation_id = "getExecutionLog",
    params(("id" = String, Path, description = "Log id")),
    responses((status = 200, body = ExecutionLogDetail), CommonErrors))]
async fn get(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(id): Path<String>,
) -> Result<Json<ExecutionLogDetail>> {
    let row = find(&app, &key.project, &id).await?;
    let mut data = Map::new();
    for (name, text) in [("request", &row.request), ("response", &row.response)] {
        if let Some(value) = stored(text.as_deref()) {
            data.insert(name.to_owned(), value);
        }
    }
    let start_time = millis(row.created_at);
    Ok(Json(ExecutionLogDetail {
        item: item(&row),
        timings: Timings { start_time, end_time: start_time + row.duration_us as f64 / 1000.0 },
        context: LogContext {
            session_id: None,
            trace_id: None,
            request_id: Some(row.request_id.clone()),
        },
        source: LogSource { host: None, framework: None, language: None },
        data,
    }))
}
