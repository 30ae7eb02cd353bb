//! Searching the tools of a session.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::api::auth::ProjectKey;
use crate::api::errors::CommonErrors;
use crate::api::extract::{Json, Path};
use crate::app::AppState;
use crate::domain::id::SessionId;
use crate::error::Result;
use crate::session::custom::{Custom, Given};
use crate::session::meta::Meta;
use crate::session::search::{SearchAnswer, SearchRequest, UseCase, search as find};
use crate::session::tools::not_offered;

/// How tools are searched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Strategy {
    /// As the server thinks best.
    Auto,
    /// By the index of tools.
    ToolSearch,
}

/// Which task the search belongs to.
#[derive(Debug, Default, Deserialize, ToSchema)]
struct TaskBody {
    /// Id that an earlier answer gave.
    #[serde(default)]
    id: Option<String>,
    /// Whether a new one is wanted; it is when there is no id.
    #[serde(default)]
    #[expect(dead_code, reason = "an id is made whenever none is given")]
    generate_id: Option<bool>,
}

/// A search.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct SearchSessionBody {
    /// What is wanted: 1 to 10 use cases.
    queries: Vec<UseCase>,
    /// The model that reads the answer.
    #[serde(default)]
    #[expect(dead_code, reason = "the answer is the same for every model")]
    model: Option<String>,
    /// How to search; both ways are the same here.
    #[serde(default)]
    #[expect(dead_code, reason = "there is one way")]
    search_strategy: Option<Strategy>,
    /// Which task the search belongs to.
    #[serde(default)]
    session: Option<TaskBody>,
    /// Tools of the caller's own that take part; they are not kept.
    #[serde(default)]
    experimental: Option<Given>,
}

/// Search the tools of a session by what is to be done.
#[utoipa::path(post, path = "/tool_router/session/{session_id}/search", tag = "tool router",
    operation_id = "searchSession", request_body = SearchSessionBody,
    params(("session_id" = String, Path, description = "Session id")),
    responses((status = 200, body = SearchAnswer), CommonErrors))]
pub(super) async fn search(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(id): Path<String>,
    Json(body): Json<SearchSessionBody>,
) -> Result<Response> {
    let session = crate::session::find(&app, &key.project.id, &SessionId::from(id)).await?;
    if !Meta::SearchTools.is_offered(&session) {
        return Err(not_offered(Meta::SearchTools.slug()));
    }
    let custom = Custom::of_request(&app, &session, body.experimental)?;
    let task = body.session.and_then(|task| task.id).filter(|id| !id.is_empty());
    let request = SearchRequest::checked(body.queries, task)?;
    let answer = find(&app, &session, &custom, request).await?;
    Ok(Json(answer).into_response())
}
