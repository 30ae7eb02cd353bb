//! Executions within a session.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::super::execute::to_the_end;
use crate::api::auth::ProjectKey;
use crate::api::errors::{CommonErrors, OutboundErrors};
use crate::api::extract::{Json, Path};
use crate::app::AppState;
use crate::domain::id::SessionId;
use crate::error::Result;
use crate::execute::ExecuteOutcome;
use crate::session::custom::{Custom, Given};
use crate::session::execute::{Call, arguments};
use crate::session::meta::Meta;
use crate::session::preview;

/// One execution within a session.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct SessionExecuteBody {
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
    /// Whether a long result of a tool is cut, with a link to the whole in `full_result`. Meta
    /// tools decide that for themselves.
    #[serde(default)]
    enable_auto_workbench_offload: Option<bool>,
    /// Tools of the caller's own, for what searches and describes; they are not kept.
    #[serde(default)]
    experimental: Option<Given>,
}

/// What an execution came to.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SessionExecuteAnswer {
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
    let offload =
        body.enable_auto_workbench_offload == Some(true) && Meta::of(&call.slug).is_none();
    let worker = app.clone();
    let work = async move {
        let slug = call.slug.clone();
        let mut done =
            crate::session::execute::execute(&worker, &key.project, &session, call).await?;
        if offload {
            done.data = preview::fit(&worker, &session, &slug, done.data).await?;
        }
        Ok(done)
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
pub(super) async fn execute(
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
pub(super) async fn execute_meta(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(id): Path<String>,
    Json(body): Json<SessionExecuteBody>,
) -> Result<Json<SessionExecuteAnswer>> {
    call(app, key, id, body).await
}
