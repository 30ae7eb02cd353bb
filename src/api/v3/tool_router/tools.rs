//! The tools that a session lists.

use axum::extract::{MatchedPath, State};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;
use utoipa::IntoParams;

use super::super::tool_view::{SessionTool, session_tool};
use super::view::Version;
use crate::api::auth::ProjectKey;
use crate::api::errors::CommonErrors;
use crate::api::extract::{Json, Path, Query, page, query};
use crate::app::AppState;
use crate::domain::id::SessionId;
use crate::domain::page::Page;
use crate::error::Result;
use crate::session::tools::listed;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct ToolsQuery {
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
pub(super) async fn tools(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(id): Path<String>,
    Query(query): Query<ToolsQuery>,
    route: MatchedPath,
) -> Result<Response> {
    let session = crate::session::find(&app, &key.project.id, &SessionId::from(id)).await?;
    let catalog = app.catalog(&key.project.id);
    let tools = listed(&catalog, &session);
    // Clients of v3 know no pages here.
    if Version::of(&route) == Version::V3 {
        let items: Vec<SessionTool> = tools.iter().filter_map(session_tool).collect();
        return Ok(Json(json!({"items": items})).into_response());
    }
    let request = page(query.limit.map(|l| l.min(500)), query.cursor.as_deref(), 500)?;
    let total = i64::try_from(tools.len()).unwrap_or(i64::MAX);
    let cut = tools.iter().skip(request.skip()).take(request.take());
    let items: Vec<SessionTool> = cut.filter_map(session_tool).collect();
    Ok(Json(Page::new(items, total, request)).into_response())
}
