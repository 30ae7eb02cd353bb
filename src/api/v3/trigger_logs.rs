//! Logs of triggers: what they found, and what became of it.

use axum::extract::State;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Duration};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::logs::{bad_cursor, time_of};
use crate::api::auth::ProjectKey;
use crate::api::errors::CommonErrors;
use crate::api::extract::{Json, OptionalJson, Path};
use crate::app::AppState;
use crate::db::trigger_log::{self, Condition, Field, Filter, TriggerLogRow};
use crate::domain::connection::Project;
use crate::domain::id::EventId;
use crate::domain::project::LogVisibility;
use crate::domain::time::{iso, now};
use crate::error::{Error, Result, codes};

/// Routes.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get))
}

/// A condition.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
struct TriggerLogCondition {
    /// `id`, `trigger_id`, `trigger_name`, `connection_id`, `auth_config_id` or `user_id`.
    field: String,
    /// `equals`, `not_equals`, `contains` or `not_contains`; also `==` and `!=`.
    operation: String,
    /// Value.
    value: String,
}

/// Which logs.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
struct TriggerLogQuery {
    /// How far back: `5m`, `30m`, `6h`, `1d`, `1w`, `1month` or `1y`.
    time: Option<String>,
    /// Begin, in milliseconds since 1970.
    from: Option<f64>,
    /// End, in milliseconds since 1970.
    to: Option<f64>,
    /// `all`, `success` (delivered) or `error` (tried, and not delivered).
    status: Option<String>,
    /// Part of an id, a trigger's name or a user.
    search: Option<String>,
    /// Auth config.
    #[serde(rename = "integrationId")]
    integration_id: Option<String>,
    /// User.
    #[serde(rename = "entityId")]
    entity_id: Option<String>,
    /// User.
    #[serde(rename = "userId")]
    user_id: Option<String>,
    /// Logs per page; 20 when absent, at most 100.
    limit: Option<f64>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
    /// Conditions, all of which hold.
    search_params: Option<Vec<TriggerLogCondition>>,
    /// Whether to show what was sent and received; true when absent.
    include_payload: Option<bool>,
}

/// An attempt to deliver.
#[derive(Debug, Serialize, ToSchema)]
struct DeliveryAttemptView {
    /// When it began.
    at: String,
    /// Status of the answer; null when there was none.
    status: Option<i64>,
    /// Milliseconds until the answer.
    ms: i64,
    /// Why it failed, or null.
    error: Option<String>,
    /// Beginning of the answer of a receiver that refused, or null.
    response: Option<String>,
}

/// What a log says in detail.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TriggerLogMeta {
    /// Log id.
    id: String,
    /// Always `trigger`.
    r#type: &'static str,
    /// Toolkit.
    provider: String,
    /// Project.
    client_id: String,
    /// Account.
    connection_id: String,
    /// Trigger type.
    trigger_name: String,
    /// Trigger instance.
    trigger_id: String,
    /// Trigger instance.
    trigger_nano_id: String,
    /// What the provider sent, or null.
    trigger_provider_payload: Option<String>,
    /// The event as version V3 has it, or null.
    trigger_client_payload: Option<String>,
    /// What the receiver answered last, or null.
    trigger_client_response: Option<String>,
    /// Why the last attempt failed, or null.
    trigger_client_error: Option<String>,
    /// Subscription that it went to, or null.
    webhook_subscription_id: Option<String>,
    /// Attempts to deliver it, oldest first.
    attempts: Vec<DeliveryAttemptView>,
    /// When it is sent next, or null.
    next_attempt_at: Option<String>,
    /// When it happened.
    created_at: String,
    /// When the delivery ended, or was last tried.
    updated_at: String,
}

/// What a trigger found.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TriggerLogView {
    /// Log id: `log_id` of the event.
    id: String,
    /// Always `trigger`.
    r#type: &'static str,
    /// `success`, `error`, `pending`, or `not_sent` when no subscription wanted it.
    status: &'static str,
    /// Toolkit.
    app_name: String,
    /// Project.
    client_id: String,
    /// Account.
    connection_id: String,
    /// User.
    entity_id: String,
    /// When it happened.
    created_at: String,
    /// In detail.
    meta: TriggerLogMeta,
}

/// A page of logs, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TriggerLogPage {
    /// Logs.
    data: Vec<TriggerLogView>,
    /// Cursor of the next page, or null.
    next_cursor: Option<String>,
}

/// One log.
#[derive(Debug, Serialize, ToSchema)]
struct TriggerLogDetail {
    /// The log.
    log: TriggerLogView,
}

fn status(row: &TriggerLogRow) -> &'static str {
    match (row.outcome.as_deref(), row.attempts) {
        (Some("delivered"), _) => "success",
        (Some("dropped"), _) | (None, None) => "not_sent",
        (None, Some(0)) => "pending",
        _ => "error",
    }
}

fn attempt(value: &Value) -> DeliveryAttemptView {
    let text = |name: &str| value[name].as_str().map(str::to_owned);
    DeliveryAttemptView {
        at: text("at").unwrap_or_default(),
        status: value["status"].as_i64(),
        ms: value["ms"].as_i64().unwrap_or(0),
        error: text("error"),
        response: text("response"),
    }
}

fn view(project: &Project, row: TriggerLogRow, with_payload: bool) -> TriggerLogView {
    let with_payload =
        with_payload && project.config.log_visibility_setting == LogVisibility::ShowAll;
    let known = |name: &str| row.payload["metadata"][name].as_str().unwrap_or_default().to_owned();
    let attempts: Vec<DeliveryAttemptView> =
        row.history.iter().filter_map(Value::as_array).flatten().map(attempt).collect();
    let last = attempts.last();
    let slug = known("trigger_slug");
    let toolkit = slug.split('_').next().unwrap_or_default().to_lowercase();
    let id = row.id.log().to_string();
    let created_at = iso(row.created_at);
    let updated_at = row.ended_at.map(iso).or_else(|| last.map(|last| last.at.clone()));
    let meta = TriggerLogMeta {
        id: id.clone(),
        r#type: "trigger",
        provider: toolkit.clone(),
        client_id: project.id.to_string(),
        connection_id: known("connected_account_id"),
        trigger_name: slug,
        trigger_id: known("trigger_id"),
        trigger_nano_id: known("trigger_id"),
        trigger_provider_payload: row.original.clone().filter(|_| with_payload),
        trigger_client_payload: with_payload.then(|| row.payload.to_string()),
        trigger_client_response: last.and_then(|last| {
            last.response.clone().or_else(|| last.status.map(|status| status.to_string()))
        }),
        trigger_client_error: last.and_then(|last| last.error.clone()),
        webhook_subscription_id: row.subscription_id.clone(),
        next_attempt_at: row.next_at.map(iso),
        updated_at: updated_at.unwrap_or_else(|| created_at.clone()),
        created_at: created_at.clone(),
        attempts,
    };
    TriggerLogView {
        id,
        r#type: "trigger",
        status: status(&row),
        app_name: toolkit,
        client_id: project.id.to_string(),
        connection_id: known("connected_account_id"),
        entity_id: known("user_id"),
        created_at,
        meta,
    }
}

fn refused(problem: &str) -> Error {
    Error::invalid("Invalid filter", vec![problem.to_owned()])
}

fn filter_of(body: &TriggerLogQuery) -> Result<Filter> {
    let mut filter = Filter {
        from: body.from.map(time_of),
        to: body.to.map(time_of),
        after: body.cursor.as_deref().filter(|c| !c.is_empty()).map(position).transpose()?,
        ..Filter::default()
    };
    if let Some(time) = &body.time {
        let span = match time.as_str() {
            "5m" => Duration::minutes(5),
            "30m" => Duration::minutes(30),
            "6h" => Duration::hours(6),
            "1d" => Duration::days(1),
            "1w" => Duration::weeks(1),
            "1month" => Duration::days(30),
            "1y" => Duration::days(365),
            _ => return Err(refused("time: must be 5m, 30m, 6h, 1d, 1w, 1month or 1y")),
        };
        let since = now() - span;
        filter.from = Some(filter.from.map_or(since, |from| from.max(since)));
    }
    filter.delivered = match body.status.as_deref() {
        None | Some("" | "all") => None,
        Some("success") => Some(true),
        Some("error") => Some(false),
        Some(_) => return Err(refused("status: must be all, success or error")),
    };
    let mut want = |field: Field, contains: bool, negated: bool, value: &str| {
        filter.conditions.push(Condition { field, contains, negated, value: value.to_owned() });
    };
    for (field, contains, value) in [
        (Field::Any, true, &body.search),
        (Field::AuthConfig, false, &body.integration_id),
        (Field::User, false, &body.entity_id),
        (Field::User, false, &body.user_id),
    ] {
        if let Some(value) = value.as_deref().filter(|value| !value.is_empty()) {
            want(field, contains, false, value);
        }
    }
    for (number, param) in body.search_params.iter().flatten().enumerate() {
        let (negated, contains) = match param.operation.to_lowercase().as_str() {
            "equals" | "eq" | "==" | "=" | "is" => (false, false),
            "not_equals" | "neq" | "!=" | "is_not" => (true, false),
            "contains" | "like" => (false, true),
            "not_contains" => (true, true),
            _ => {
                return Err(refused(&format!(
                    "search_params[{number}].operation: must be equals, not_equals, contains or \
                     not_contains"
                )));
            }
        };
        let field = match param.field.as_str() {
            "id" | "log_id" | "logId" => Field::Id,
            "trigger_id" | "triggerId" | "trigger_nano_id" | "triggerNanoId" => Field::Trigger,
            "trigger_name" | "triggerName" | "trigger_slug" | "triggerSlug" => Field::Slug,
            "connection_id" | "connectionId" | "connected_account_id" | "connectedAccountId" => {
                Field::Account
            }
            "auth_config_id" | "authConfigId" | "integration_id" | "integrationId" => {
                Field::AuthConfig
            }
            "user_id" | "userId" | "entity_id" | "entityId" => Field::User,
            _ => {
                return Err(refused(&format!(
                    "search_params[{number}].field: must be id, trigger_id, trigger_name, \
                     connection_id, auth_config_id or user_id"
                )));
            }
        };
        // Of an id, what stands after its prefix tells the event.
        let value = match field {
            Field::Id => param.value.strip_prefix("log_").unwrap_or(&param.value),
            _ => &param.value,
        };
        want(field, contains || field == Field::Id, negated, value);
    }
    Ok(filter)
}

/// Where a list goes on.
fn position(cursor: &str) -> Result<(DateTime<chrono::Utc>, String)> {
    let read = || {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let (micros, id) = text.split_once(' ')?;
        let micros = micros.parse().ok().filter(|m| (0..253_402_300_799_000_000).contains(m))?;
        Some((DateTime::from_timestamp_micros(micros)?, id.replace('\0', "")))
    };
    read().ok_or_else(bad_cursor)
}

/// Logs of triggers, newest first.
#[utoipa::path(post, path = "/internal/trigger/logs", tag = "logs",
    operation_id = "listTriggerLogs", request_body = TriggerLogQuery,
    responses((status = 200, body = TriggerLogPage), CommonErrors))]
async fn list(
    State(app): State<AppState>,
    key: ProjectKey,
    OptionalJson(body): OptionalJson<TriggerLogQuery>,
) -> Result<Json<TriggerLogPage>> {
    let limit = body.limit.map_or(20, |limit| (limit as i64).clamp(1, 100));
    let filter = filter_of(&body)?;
    let mut rows = trigger_log::list(&app.db, &key.project.id, &filter, limit + 1).await?;
    let limit = usize::try_from(limit).unwrap_or(1);
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let next_cursor = rows.last().filter(|_| has_more).map(|last| {
        URL_SAFE_NO_PAD.encode(format!("{} {}", last.created_at.timestamp_micros(), last.id))
    });
    let with_payload = body.include_payload.unwrap_or(true);
    let data = rows.into_iter().map(|row| view(&key.project, row, with_payload)).collect();
    Ok(Json(TriggerLogPage { data, next_cursor }))
}

/// One log of a trigger, with the attempts to deliver it.
#[utoipa::path(get, path = "/internal/trigger/log/{id}", tag = "logs",
    operation_id = "getTriggerLog",
    params(("id" = String, Path, description = "Log id, or id of the event")),
    responses((status = 200, body = TriggerLogDetail), CommonErrors))]
async fn get(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(id): Path<String>,
) -> Result<Json<TriggerLogDetail>> {
    let ids = EventId::of_log(&id);
    let row = trigger_log::get(&app.db, &key.project.id, &ids).await?;
    let row = row.ok_or_else(|| {
        Error::not_found(codes::LOG_NOT_FOUND, "Trigger log", &id)
            .fix("List them with POST /api/v3.1/internal/trigger/logs")
    })?;
    Ok(Json(TriggerLogDetail { log: view(&key.project, row, true) }))
}
