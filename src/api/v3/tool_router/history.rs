//! The versions that a session's configuration had.

use axum::extract::{MatchedPath, State};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::view::{self, Version};
use crate::api::auth::ProjectKey;
use crate::api::errors::CommonErrors;
use crate::api::extract::{Json, Path, Query, page, query};
use crate::app::AppState;
use crate::domain::id::SessionId;
use crate::domain::page::Page;
use crate::domain::time::iso;
use crate::error::Result;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct HistoryQuery {
    /// Versions per page; 20 when absent, at most 100.
    #[serde(deserialize_with = "query::int")]
    limit: Option<i64>,
    /// `next_cursor` of the page before.
    #[serde(deserialize_with = "query::text")]
    cursor: Option<String>,
}

/// A version of a session's configuration.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ConfigVersion {
    /// Its number.
    version: i32,
    /// Whether it holds now.
    is_current: bool,
    /// The configuration.
    #[schema(value_type = Object)]
    config: Value,
    /// When the next version took its place; of the present one, when it began to hold.
    created_at: String,
}

/// List the versions of a session's configuration, newest first.
#[utoipa::path(get, path = "/tool_router/session/{session_id}/config_history",
    tag = "tool router", operation_id = "listSessionConfigHistory",
    params(("session_id" = String, Path, description = "Session id"), HistoryQuery),
    responses((status = 200, body = Page<ConfigVersion>), CommonErrors))]
pub(super) async fn history(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(id): Path<String>,
    Query(query): Query<HistoryQuery>,
    route: MatchedPath,
) -> Result<Json<Page<ConfigVersion>>> {
    let request = page(query.limit.map(|limit| limit.min(100)), query.cursor.as_deref(), 20)?;
    let id = SessionId::from(id);
    let session = crate::session::find(&app, &key.project.id, &id).await?;
    let (rows, total) = crate::session::history(&app, &session, request).await?;
    let version = Version::of(&route);
    // The newest row, not the cached session, says which version holds.
    let newest = (request.page == 1).then(|| rows.first().map(|row| row.version)).flatten();
    let items = rows.iter().map(|row| ConfigVersion {
        version: row.version,
        is_current: newest == Some(row.version),
        config: view::config(&session.user_id, &row.config, version),
        created_at: iso(row.created_at),
    });
    Ok(Json(Page::new(items.collect(), total, request)))
}
