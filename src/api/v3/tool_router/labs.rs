//! Sessions as the oldest SDKs make them: an MCP address and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::auth::ProjectKey;
use crate::api::errors::CommonErrors;
use crate::api::extract::Json;
use crate::app::AppState;
use crate::domain::session::{Choice, SessionConfig};
use crate::error::Result;

/// A toolkit of a session.
#[derive(Debug, Deserialize, ToSchema)]
struct LabsToolkit {
    /// Slug.
    toolkit: String,
    /// Auth config to connect with.
    auth_config_id: Option<String>,
}

/// What the session may see and do.
#[derive(Debug, Default, Deserialize, ToSchema)]
struct LabsConfig {
    /// Toolkits; all when there are none.
    toolkits: Option<Vec<LabsToolkit>>,
    /// Whether the agent is not given the tool to connect accounts.
    manually_manage_connections: Option<bool>,
}

/// A new session.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct LabsSessionBody {
    /// The developer's own id of the user.
    user_id: String,
    /// What the session may see and do.
    config: Option<LabsConfig>,
}

/// A new session.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LabsSession {
    /// Session id.
    session_id: String,
    /// Where MCP clients reach it.
    chat_session_mcp_url: String,
    /// The same.
    tool_router_instance_mcp_url: String,
}

/// Create a session in the form of the oldest clients.
#[utoipa::path(post, path = "/labs/tool_router/session", tag = "tool router",
    operation_id = "createLabsSession", request_body = LabsSessionBody,
    responses((status = 201, body = LabsSession), CommonErrors))]
pub(super) async fn create(
    State(app): State<AppState>,
    key: ProjectKey,
    Json(body): Json<LabsSessionBody>,
) -> Result<(StatusCode, Json<LabsSession>)> {
    let given = body.config.unwrap_or_default();
    let toolkits = given.toolkits.unwrap_or_default();
    let mut config = SessionConfig::default();
    if !toolkits.is_empty() {
        let slugs: BTreeSet<String> = toolkits.iter().map(|t| t.toolkit.clone()).collect();
        config.toolkits = Some(Choice::Enable(slugs));
    }
    let with_config = toolkits.into_iter().filter_map(|t| Some((t.toolkit, t.auth_config_id?)));
    config.auth_configs = with_config.collect::<BTreeMap<_, _>>();
    config.manage_connections.enable = !given.manually_manage_connections.unwrap_or(false);
    let session = crate::session::create(&app, &key.project, &body.user_id, config, None).await?;
    let url = crate::session::mcp_url(&app, &session.id);
    let made = LabsSession {
        session_id: session.id.to_string(),
        chat_session_mcp_url: url.clone(),
        tool_router_instance_mcp_url: url,
    };
    Ok((StatusCode::CREATED, Json(made)))
}
