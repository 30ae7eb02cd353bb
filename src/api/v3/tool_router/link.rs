//! Connecting an account within a session.

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::auth::ProjectKey;
use crate::api::errors::{CommonErrors, OutboundErrors};
use crate::api::extract::{Json, Path};
use crate::api::v3::connected_accounts::{Experimental, SharingBody};
use crate::app::AppState;
use crate::domain::id::SessionId;
use crate::domain::time::iso;
use crate::error::Result;
use crate::session::link::Wish;

/// Routes.
pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(link))
}

/// What to connect.
#[derive(Deserialize, ToSchema)]
struct SessionLinkBody {
    /// Toolkit.
    toolkit: String,
    /// Where the browser goes in the end; the session's own when absent.
    #[serde(default)]
    callback_url: Option<String>,
    /// Your own name of the account, unique for the user and toolkit.
    #[serde(default)]
    alias: Option<String>,
    /// Who besides the user may use the account.
    #[serde(default)]
    experimental: Option<SharingBody>,
}

/// A Connect Link.
#[derive(Serialize, ToSchema)]
struct SessionLink {
    /// The link's token.
    link_token: String,
    /// Where to send the person.
    redirect_url: String,
    /// The account that it connects; INITIATED until the person is done.
    connected_account_id: String,
    /// When the link ends.
    expires_at: String,
    experimental: Experimental,
}

/// Make a Connect Link for the session's user.
#[utoipa::path(post, path = "/tool_router/session/{session_id}/link", tag = "tool router",
    operation_id = "linkSession", request_body = SessionLinkBody,
    params(("session_id" = String, Path, description = "Session id")),
    responses((status = 201, body = SessionLink), CommonErrors, OutboundErrors))]
async fn link(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(id): Path<String>,
    Json(body): Json<SessionLinkBody>,
) -> Result<(StatusCode, Json<SessionLink>)> {
    let session = crate::session::find(&app, &key.project.id, &SessionId::from(id)).await?;
    let wish = Wish {
        toolkit: body.toolkit,
        callback_url: body.callback_url.filter(|url| !url.is_empty()),
        alias: body.alias,
        sharing: SharingBody::checked(body.experimental)?,
    };
    let started = crate::session::link::link(&app, &key.project, &session, wish).await?;
    let answer = SessionLink {
        link_token: started.link_token.unwrap_or_default(),
        redirect_url: started.redirect_url.unwrap_or_default(),
        connected_account_id: started.account.id.to_string(),
        expires_at: iso(started.expires_at),
        experimental: Experimental::of(&started.account),
    };
    Ok((StatusCode::CREATED, Json(answer)))
}
