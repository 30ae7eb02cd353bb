//! Execution logs as older clients read them.

use axum::extract::State;
use chrono::DateTime;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::logs::{add_status, bad_cursor, credential_source, find, millis, stored, time_of};
use crate::api::auth::ProjectKey;
use crate::api::errors::CommonErrors;
use crate::api::extract::{Json, OptionalJson, Path};
use crate::app::{App, AppState};
use crate::db::execution_log::{self, Column, Condition, ExecutionLogRow, Filter};
use crate::error::{Error, Result};

/// Routes.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get)).routes(routes!(fields))
}

/// A condition: a field of `GET /internal/action_execution/fields`.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
struct SearchParam {
    /// Field.
    field: String,
    /// `equals`, `not_equals`, `contains` or `not_contains`; also `==` and `!=`.
    operation: String,
    /// Value.
    value: String,
}

/// Which logs.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
struct ActionLogQuery {
    /// `nextCursor` of the page before.
    cursor: Option<f64>,
    /// Logs per page; 20 when absent, at most 100.
    limit: Option<f64>,
    /// Whether upper and lower case differ; true when absent.
    case_sensitive: Option<bool>,
    /// Begin, in milliseconds since 1970.
    from: Option<f64>,
    /// End, in milliseconds since 1970.
    to: Option<f64>,
    /// Conditions, all of which hold.
    search_params: Option<Vec<SearchParam>>,
}

/// The toolkit of a log.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct LogApp {
    /// URL of its logo.
    icon: String,
    /// Display name.
    name: String,
    /// Slug.
    unique_id: String,
}

/// One execution.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ActionLog {
    /// Log id.
    id: String,
    /// Tool.
    action_key: String,
    /// Toolkit.
    app_key: String,
    /// Toolkit.
    app: LogApp,
    /// Account; empty when none was used.
    connected_account_id: String,
    /// User; empty when none was named.
    entity_id: String,
    /// When it began, in milliseconds since 1970.
    created_at: f64,
    /// How long it took, in milliseconds.
    execution_time: f64,
    /// The error, or the beginning of the answer.
    minimal_response: String,
    /// `success` or `failed`.
    status: &'static str,
    /// Always empty.
    #[schema(value_type = Object)]
    metadata: Map<String, Value>,
    /// Where the credentials came from.
    credential_source: &'static str,
}

/// A page of logs, newest first.
#[derive(Debug, Serialize, ToSchema)]
struct ActionLogPage {
    /// Logs.
    data: Vec<ActionLog>,
    /// Cursor of the next page, or null.
    #[serde(rename = "nextCursor")]
    next_cursor: Option<i64>,
}

/// Account and user of a log.
#[derive(Debug, Serialize, ToSchema)]
struct LogConnection {
    /// Account; empty when none was used.
    id: String,
    /// User; empty when none was named.
    entity: String,
}

/// A part of an execution.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ActionLogStep {
    /// `tool_execution`
    r#type: &'static str,
    /// `success` or `failure`.
    status: &'static str,
    /// What happened.
    message: String,
    /// Begin, in milliseconds since 1970.
    start_time: f64,
    /// End, in milliseconds since 1970.
    end_time: f64,
    /// Milliseconds.
    total_duration: f64,
}

/// One execution in full.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ActionLogDetail {
    /// Log id.
    action_log_id: String,
    /// Tool.
    action_id: String,
    /// Toolkit.
    app: LogApp,
    /// Account and user.
    connection: LogConnection,
    /// `success` or `error`.
    status: &'static str,
    /// Version of the toolkit.
    version: String,
    /// Begin, in milliseconds since 1970.
    start_time: f64,
    /// End, in milliseconds since 1970.
    end_time: f64,
    /// Milliseconds, as text.
    total_duration: String,
    /// Arguments; empty when the project keeps no data.
    #[schema(value_type = Object)]
    payload_received: Map<String, Value>,
    /// Answer; empty when the project keeps no data.
    #[schema(value_type = Object)]
    response: Map<String, Value>,
    /// `message`; empty on success.
    #[schema(value_type = Object)]
    error: Map<String, Value>,
    /// Ids of request and auth config.
    #[schema(value_type = Object)]
    execution_metadata: Map<String, Value>,
    /// Always empty.
    #[schema(value_type = Object)]
    session: Map<String, Value>,
    /// Parts of the execution.
    steps: Vec<ActionLogStep>,
    /// Where the credentials came from.
    credential_source: &'static str,
}

/// A field to filter by.
#[derive(Debug, Serialize, ToSchema)]
struct ActionLogField {
    /// Name for `search_params`.
    id: &'static str,
    /// Label.
    #[serde(rename = "displayName")]
    display_name: &'static str,
    /// `string`
    r#type: &'static str,
}

/// ActionLogFields to filter by.
#[derive(Debug, Serialize, ToSchema)]
struct ActionLogFields {
    /// By what they belong to.
    #[schema(value_type = std::collections::BTreeMap<String, Vec<ActionLogField>>)]
    fields: std::collections::BTreeMap<&'static str, Vec<ActionLogField>>,
}

/// Group, id, label, other names and column of every field but the status.
const COLUMNS: &[(&str, &str, &str, &[&str], Column)] = &[
    ("execution", "log_id", "Log id", &["id", "logId"], Column::Id),
    ("execution", "request_id", "Request id", &["requestId"], Column::Request),
    ("execution", "error", "Error", &["response", "minimalResponse"], Column::Error),
    ("tool", "tool_slug", "Tool", &["actionKey", "action_key", "action"], Column::Tool),
    ("tool", "toolkit_slug", "Toolkit", &["appKey", "app_key", "app"], Column::Toolkit),
    (
        "connection",
        "connected_account_id",
        "Connected account",
        &["connectedAccountId", "connection_id", "connectionId"],
        Column::Account,
    ),
    ("connection", "auth_config_id", "Auth config", &["authConfigId"], Column::AuthConfig),
    ("connection", "user_id", "User", &["userId", "entity_id", "entityId"], Column::User),
];

fn filter_of(body: &ActionLogQuery) -> Result<Option<Filter>> {
    let mut filter =
        Filter { from: body.from.map(time_of), to: body.to.map(time_of), ..Filter::default() };
    for (i, param) in body.search_params.iter().flatten().enumerate() {
        let (negated, contains) = match param.operation.to_lowercase().as_str() {
            "equals" | "eq" | "==" | "=" | "is" => (false, false),
            "not_equals" | "neq" | "!=" | "is_not" => (true, false),
            "contains" | "like" => (false, true),
            "not_contains" => (true, true),
            _ => {
                let problem = format!(
                    "search_params[{i}].operation: must be equals, not_equals, contains or not_contains"
                );
                return Err(Error::invalid("Invalid filter", vec![problem]));
            }
        };
        if param.field == "status" {
            if !add_status(&mut filter, &param.value, !negated)? {
                return Ok(None);
            }
            continue;
        }
        let known = COLUMNS.iter().find(|(_, id, _, others, _)| {
            *id == param.field || others.iter().any(|other| *other == param.field)
        });
        let Some((.., column)) = known else {
            let problem = format!("search_params[{i}].field: unknown");
            return Err(Error::invalid("Invalid filter", vec![problem])
                .fix("GET /api/v3.1/internal/action_execution/fields lists the fields"));
        };
        filter.conditions.push(Condition {
            column: *column,
            contains,
            negated,
            any_case: body.case_sensitive == Some(false),
            value: param.value.clone(),
        });
    }
    if let Some(cursor) = body.cursor {
        let micros = cursor as i64;
        let at = DateTime::from_timestamp_micros(micros)
            .filter(|_| (0..=253_402_300_799_000_000).contains(&micros))
            .ok_or_else(bad_cursor)?;
        filter.after = Some((at, String::new()));
    }
    Ok(Some(filter))
}

/// Cuts a list of one more than `limit` rows to a page. The cursor is a time in microseconds, so
/// rows of the same microsecond stay on one page.
fn cut(mut rows: Vec<ExecutionLogRow>, limit: usize) -> (Vec<ExecutionLogRow>, Option<i64>) {
    let Some(next) = rows.get(limit) else { return (rows, None) };
    let at = next.created_at;
    rows.truncate(limit);
    if rows.iter().any(|row| row.created_at != at) {
        rows.retain(|row| row.created_at != at);
    }
    let cursor = rows.last().map(|row| row.created_at.timestamp_micros());
    (rows, cursor)
}

fn app_of(app: &App, project: &crate::domain::id::ProjectId, slug: &str) -> LogApp {
    let toolkit = app.toolkit(project, slug);
    let file = toolkit.as_ref().map(|toolkit| &toolkit.file);
    LogApp {
        icon: file.and_then(|f| f.logo.clone()).unwrap_or_default(),
        name: file.map_or_else(|| slug.to_owned(), |f| f.name.clone()),
        unique_id: slug.to_owned(),
    }
}

fn item(app: &App, row: ExecutionLogRow) -> ActionLog {
    let text = row.error.as_deref().or(row.response.as_deref()).unwrap_or_default();
    ActionLog {
        credential_source: credential_source(&row),
        minimal_response: text.chars().take(200).collect(),
        id: row.id.to_string(),
        app: app_of(app, &row.project_id, &row.toolkit_slug),
        action_key: row.tool_slug,
        app_key: row.toolkit_slug,
        connected_account_id: row.account_id.unwrap_or_default(),
        entity_id: row.user_id.unwrap_or_default(),
        created_at: millis(row.created_at),
        execution_time: row.duration_us as f64 / 1000.0,
        status: if row.successful { "success" } else { "failed" },
        metadata: Map::new(),
    }
}

/// Logs of executions, newest first.
#[utoipa::path(post, path = "/internal/action_execution/logs", tag = "logs",
    operation_id = "listActionLogs", request_body = ActionLogQuery,
    responses((status = 200, body = ActionLogPage), CommonErrors))]
async fn list(
    State(app): State<AppState>,
    key: ProjectKey,
    OptionalJson(body): OptionalJson<ActionLogQuery>,
) -> Result<Json<ActionLogPage>> {
    let limit = body.limit.map_or(20, |l| (l as i64).clamp(1, 100));
    let rows = match filter_of(&body)? {
        None => Vec::new(),
        Some(filter) => execution_log::list(&app.db, &key.project.id, &filter, limit + 1).await?,
    };
    let (rows, next_cursor) = cut(rows, usize::try_from(limit).unwrap_or(1));
    let data = rows.into_iter().map(|row| item(&app, row)).collect();
    Ok(Json(ActionLogPage { data, next_cursor }))
}

/// What is stored, as an object.
fn object(text: Option<&str>) -> Map<String, Value> {
    match stored(text) {
        Some(Value::Object(map)) => map,
        Some(other) => Map::from_iter([("text".to_owned(), other)]),
        None => Map::new(),
    }
}

/// One execution with its request and answer.
#[utoipa::path(get, path = "/internal/action_execution/log/{id}", tag = "logs",
    operation_id = "getActionLog",
    params(("id" = String, Path, description = "Log id")),
    responses((status = 200, body = ActionLogDetail), CommonErrors))]
async fn get(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(id): Path<String>,
) -> Result<Json<ActionLogDetail>> {
    let row = find(&app, &key.project, &id).await?;
    let start_time = millis(row.created_at);
    let ms = row.duration_us as f64 / 1000.0;
    let mut error = Map::new();
    if let Some(message) = &row.error {
        error.insert("message".to_owned(), message.clone().into());
    }
    let metadata = json!({
        "request_id": row.request_id,
        "auth_config_id": row.auth_config_id,
        "kind": row.kind,
        "provider_status": row.provider_status,
        "provider_ms": row.provider_us as f64 / 1000.0,
    });
    let message = match (&row.error, row.provider_status) {
        (Some(error), _) => error.clone(),
        (None, Some(status)) => format!("The provider answered {status}"),
        (None, None) => "Done".to_owned(),
    };
    Ok(Json(ActionLogDetail {
        action_log_id: row.id.to_string(),
        app: app_of(&app, &row.project_id, &row.toolkit_slug),
        connection: LogConnection {
            id: row.account_id.clone().unwrap_or_default(),
            entity: row.user_id.clone().unwrap_or_default(),
        },
        status: if row.successful { "success" } else { "error" },
        start_time,
        end_time: start_time + ms,
        total_duration: format!("{ms:.3}"),
        payload_received: object(row.request.as_deref()),
        response: object(row.response.as_deref()),
        error,
        execution_metadata: if let Value::Object(map) = metadata { map } else { Map::new() },
        session: Map::new(),
        steps: vec![ActionLogStep {
            r#type: "tool_execution",
            status: if row.successful { "success" } else { "failure" },
            message,
            start_time,
            end_time: start_time + ms,
            total_duration: ms,
        }],
        credential_source: credential_source(&row),
        action_id: row.tool_slug,
        version: row.toolkit_version,
    }))
}

/// ActionLogFields to filter logs by.
#[utoipa::path(get, path = "/internal/action_execution/fields", tag = "logs",
    operation_id = "listActionLogFields",
    responses((status = 200, body = ActionLogFields), CommonErrors))]
async fn fields(_: ProjectKey) -> Json<ActionLogFields> {
    let mut fields: std::collections::BTreeMap<_, Vec<ActionLogField>> = Default::default();
    let status: (&str, &str, &str) = ("execution", "status", "Status");
    let all = COLUMNS.iter().map(|(group, id, name, ..)| (*group, *id, *name));
    for (group, id, display_name) in all.chain([status]) {
        fields.entry(group).or_default().push(ActionLogField {
            id,
            display_name,
            r#type: "string",
        });
    }
    Json(ActionLogFields { fields })
}
