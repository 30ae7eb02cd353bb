//! Sessions of agents.

mod input;
mod search;
mod view;

use axum::extract::{MatchedPath, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::execute::to_the_end;
use crate::api::auth::ProjectKey;
use crate::api::errors::{CommonErrors, OutboundErrors};
use crate::api::extract::{Json, Path, Query, page, query};
use crate::app::AppState;
use crate::domain::id::SessionId;
use crate::domain::page::Page;
use crate::domain::session::SessionConfig;
use crate::error::Result;
use crate::execute::ExecuteOutcome;
use crate::session::custom::{Custom, Given};
use crate::session::execute::{Call, arguments};
use crate::session::tools::listed;
use input::ConfigBody;
use view::SessionView;

use super::tool_view::{SessionTool, session_tool};

/// Routes.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(create))
        .routes(routes!(get, delete))
        .routes(routes!(tools))
        .routes(routes!(execute))
        .routes(routes!(execute_meta))
        .routes(routes!(search::search))
}

/// A new session.
#[derive(Debug, Deserialize, ToSchema)]
struct CreateSessionBody {
    /// The developer's own id of the user.
    user_id: String,
    /// What the session may see and do.
    #[serde(flatten)]
    config: ConfigBody,
}

/// Create a session.
#[utoipa::path(post, path = "/tool_router/session", tag = "tool router",
    operation_id = "createSession", request_body = CreateSessionBody,
    responses((status = 201, body = SessionView), CommonErrors, OutboundErrors))]
async fn create(
    State(app): State<AppState>,
    key: ProjectKey,
    Json(body): Json<CreateSessionBody>,
) -> Result<(StatusCode, Json<SessionView>)> {
    let config = body.config.apply(SessionConfig::default())?;
    let session = crate::session::create(&app, &key.project, &body.user_id, config, None).await?;
    Ok((StatusCode::CREATED, Json(view::session(&app, &session))))
}

/// Get a session.
#[utoipa::path(get, path = "/tool_router/session/{session_id}", tag = "tool router",
    operation_id = "getSession", params(("session_id" = String, Path, description = "Session id")),
    responses((status = 200, body = SessionView), CommonErrors))]
async fn get(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(id): Path<String>,
) -> Result<Json<SessionView>> {
    let id = SessionId::from(id);
    let session = crate::session::find(&app, &key.project.id, &id).await?;
    Ok(Json(view::session(&app, &session)))
}

/// A deleted session.
#[derive(Debug, Serialize, ToSchema)]
struct DeletedSession {
    /// Session id.
    session_id: String,
    /// Always true.
    deleted: bool,
}

/// Delete a session; its user's accounts stay.
#[utoipa::path(delete, path = "/tool_router/session/{session_id}", tag = "tool router",
    operation_id = "deleteSession",
    params(("session_id" = String, Path, description = "Session id")),
    responses((status = 200, body = DeletedSession), CommonErrors))]
async fn delete(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(id): Path<String>,
) -> Result<Json<DeletedSession>> {
    let id = SessionId::from(id);
    crate::session::delete(&app, &key.project.id, &id).await?;
    Ok(Json(DeletedSession { session_id: id.to_string(), deleted: true }))
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct ToolsQuery {
    /// Tools per page; all when absent, at most 500.
    #[serde(deserialize_with = "query::int")]
    limit: Option<i64>,
    /// `next_cursor` of the page before.
    #[serde(deserialize_with = "query::text")]
    cursor: Option<String>,
}

/// List the tools of a session.
#[utoipa::path(get, path = "/tool_router/session/{session_id}/tools", tag = "tool router",
    operation_id = "listSessionTools",
    params(("session_id" = String, Path, description = "Session id"), ToolsQuery),
    responses((status = 200, body = Page<SessionTool>), CommonErrors))]
async fn tools(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(id): Path<String>,
    Query(query): Query<ToolsQuery>,
    route: MatchedPath,
) -> Result<axum::response::Response> {
    use axum::response::IntoResponse;
    let session = crate::session::find(&app, &key.project.id, &SessionId::from(id)).await?;
    let tools = listed(&app, &session);
    // Clients of v3 know no pages here.
    if route.as_str().starts_with("/api/v3/") {
        let items: Vec<SessionTool> = tools.iter().map(session_tool).collect();
        return Ok(Json(serde_json::json!({"items": items})).into_response());
    }
    let request = page(query.limit.map(|l| l.min(500)), query.cursor.as_deref(), 500)?;
    let total = i64::try_from(tools.len()).unwrap_or(i64::MAX);
    let skip = usize::try_from(request.offset()).unwrap_or(usize::MAX);
    let take = usize::try_from(request.limit).unwrap_or(0);
    let items: Vec<SessionTool> = tools.iter().skip(skip).take(take).map(session_tool).collect();
    Ok(Json(Page::new(items, total, request)).into_response())
}

/// One execution within a session.
#[derive(Debug, Deserialize, ToSchema)]
struct SessionExecuteBody {
    /// Slug of a meta tool, or of a tool that the session allows; older clients call it `slug`.
    #[serde(alias = "slug")]
    tool_slug: String,
    /// Arguments; text that holds an object is taken too.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    arguments: Value,
    /// Id or alias of the account to use.
    #[serde(default)]
    account: Option<String>,
    /// Tools of the caller's own, for what searches and describes; they are not kept.
    #[serde(default)]
    experimental: Option<Given>,
}

/// What an execution came to.
#[derive(Debug, Serialize, ToSchema)]
struct SessionExecuteAnswer {
    /// What the tool gave.
    #[schema(value_type = Object)]
    data: Map<String, Value>,
    /// Why it failed; null when it did not.
    error: Option<String>,
    /// Id of the log.
    log_id: String,
    /// Whether the tool did its work.
    successful: bool,
    /// `completed` or `failed`.
    result_type: &'static str,
}

async fn call(
    app: AppState,
    key: ProjectKey,
    id: String,
    body: SessionExecuteBody,
) -> Result<Json<SessionExecuteAnswer>> {
    let session = crate::session::find(&app, &key.project.id, &SessionId::from(id)).await?;
    let custom = Custom::of_request(&app, &session, body.experimental)?;
    let call = Call {
        slug: body.tool_slug,
        arguments: arguments(body.arguments)?,
        account: body.account.filter(|account| !account.is_empty()),
        custom,
    };
    let worker = app.clone();
    let work = async move {
        crate::session::execute::execute(&worker, &key.project, &session, call).await
    };
    let ExecuteOutcome { data, error, successful, log_id } = to_the_end(&app, work).await?;
    let result_type = if successful { "completed" } else { "failed" };
    Ok(Json(SessionExecuteAnswer { data, error, log_id, successful, result_type }))
}

/// Execute a tool within a session.
#[utoipa::path(post, path = "/tool_router/session/{session_id}/execute", tag = "tool router",
    operation_id = "executeSessionTool", request_body = SessionExecuteBody,
    params(("session_id" = String, Path, description = "Session id")),
    responses((status = 200, body = SessionExecuteAnswer), CommonErrors, OutboundErrors))]
async fn execute(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(id): Path<String>,
    Json(body): Json<SessionExecuteBody>,
) -> Result<Json<SessionExecuteAnswer>> {
    call(app, key, id, body).await
}

/// Execute a meta tool within a session. Clients of v3 send every tool here.
#[utoipa::path(post, path = "/tool_router/session/{session_id}/execute_meta", tag = "tool router",
    operation_id = "executeSessionMetaTool", request_body = SessionExecuteBody,
    params(("session_id" = String, Path, description = "Session id")),
    responses((status = 200, body = SessionExecuteAnswer), CommonErrors, OutboundErrors))]
async fn execute_meta(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(id): Path<String>,
    Json(body): Json<SessionExecuteBody>,
) -> Result<Json<SessionExecuteAnswer>> {
    call(app, key, id, body).await
}
