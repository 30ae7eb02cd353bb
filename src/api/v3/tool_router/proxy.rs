//! Requests of the caller's own within a session.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::auth::ProjectKey;
use crate::api::errors::{CommonErrors, OutboundErrors};
use crate::api::extract::{Json, Path};
use crate::api::v3::execute::{ProxyAnswer, ProxyBody, to_the_end};
use crate::app::AppState;
use crate::domain::id::SessionId;
use crate::error::Result;
use crate::session::proxy::{proxy as send, target};

/// Routes.
pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(proxy))
}

/// A request of the caller's own within a session.
#[derive(Deserialize, ToSchema)]
struct SessionProxyBody {
    /// Toolkit whose account is used; may be left out where an account is named.
    #[serde(default)]
    toolkit_slug: Option<String>,
    #[serde(flatten)]
    request: ProxyBody,
}

/// What the provider answered.
#[derive(Serialize, ToSchema)]
struct SessionProxyAnswer {
    #[serde(flatten)]
    answer: ProxyAnswer,
    /// Always `completed`.
    result_type: &'static str,
}

/// Send a request of the caller's own with the credentials of the session's account.
#[utoipa::path(post, path = "/tool_router/session/{session_id}/proxy_execute", tag = "tool router",
    operation_id = "proxyExecuteSession", request_body = SessionProxyBody,
    params(("session_id" = String, Path, description = "Session id")),
    responses((status = 200, body = SessionProxyAnswer), CommonErrors, OutboundErrors))]
async fn proxy(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(id): Path<String>,
    Json(body): Json<SessionProxyBody>,
) -> Result<Json<SessionProxyAnswer>> {
    let session = crate::session::find(&app, &key.project.id, &SessionId::from(id)).await?;
    let request = body.request;
    let custom = request.custom_toolkit();
    let toolkit = body.toolkit_slug.filter(|slug| !slug.trim().is_empty());
    let target =
        target(&app, &key.project, &session, toolkit.as_deref(), request.account(), custom).await?;
    // Only now: what the session refuses fetches nothing.
    let request = request.prepared(&app).await?;
    let worker = app.clone();
    let work = async move { send(&worker, &key.project, target, request).await };
    let answer = to_the_end(&app, work).await?.into();
    Ok(Json(SessionProxyAnswer { answer, result_type: "completed" }))
}
