//! Tools of the caller's own for a session that exists.

use axum::extract::{MatchedPath, State};
use serde::Deserialize;
use utoipa::ToSchema;

use super::view::{self, SessionView, Version};
use crate::api::auth::ProjectKey;
use crate::api::errors::CommonErrors;
use crate::api::extract::{Json, OptionalJson, Path};
use crate::app::AppState;
use crate::domain::id::SessionId;
use crate::error::Result;
use crate::session::custom::{Custom, Given};

/// What to attach.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub(super) struct AttachBody {
    /// Tools of the caller's own; they are not kept.
    experimental: Option<Given>,
}

/// Attach tools of the caller's own to a session. They are checked and get their final slugs; the
/// session does not keep them, so they come again with every request that needs them.
#[utoipa::path(post, path = "/tool_router/session/{session_id}/attach", tag = "tool router",
    operation_id = "attachToSession", request_body = AttachBody,
    params(("session_id" = String, Path, description = "Session id")),
    responses((status = 200, body = SessionView), CommonErrors))]
pub(super) async fn attach(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(id): Path<String>,
    route: MatchedPath,
    OptionalJson(body): OptionalJson<AttachBody>,
) -> Result<Json<SessionView>> {
    let session = crate::session::find(&app, &key.project.id, &SessionId::from(id)).await?;
    let custom = Custom::of_request(&app, &session, body.experimental)?;
    Ok(Json(view::session(&app, &session, &custom, Version::of(&route))))
}
