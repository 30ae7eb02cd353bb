//! Sessions: what an agent's user may find, connect and execute.
//!
//! | module | knows |
//! |---|---|
//! | `config` | what a configuration must be |
//! | `custom` | tools that the caller's own process runs |
//! | `tools` | what a session lists |
//! | `account` | with which account a tool is executed |
//! | `execute` | the one door to tools: meta tools and those of the catalogue |
//! | `memory` | what an agent noted |
//! | `search` | finding its tools, and what it takes to use them |
//! | `meta` | the meta tools, one file each |

pub mod account;
pub mod config;
pub mod custom;
pub mod execute;
pub mod memory;
pub mod meta;
pub mod search;
pub mod tools;

use std::sync::Arc;

use serde_json::Value;

use crate::app::App;
use crate::cache::session_of;
use crate::db;
use crate::db::notify::Changed;
use crate::domain::connection::Project;
use crate::domain::id::{ProjectId, SessionId};
use crate::domain::session::{Session, SessionConfig};
use crate::error::{Error, Result, codes};

/// Longest user id.
const MAX_USER_ID: usize = 512;

/// The meta tools' toolkit.
pub const TOOLKIT: &str = "composio";

/// Makes a session. `custom_tools` are those that v3 keeps with it.
///
/// # Errors
/// 400 for a user id or a configuration that cannot be.
pub async fn create(
    app: &App,
    project: &Project,
    user_id: &str,
    config: SessionConfig,
    custom_tools: Option<Value>,
) -> Result<Session> {
    if user_id.trim().is_empty() || user_id.len() > MAX_USER_ID || user_id.contains('\0') {
        let problem = format!("user_id: must be 1 to {MAX_USER_ID} characters");
        return Err(Error::invalid("Invalid user_id", vec![problem]));
    }
    let config = config::checked(app, project, user_id, config).await?;
    let id = SessionId::generate();
    let mut tx = app.db.begin().await?;
    let row =
        db::session::insert(&mut tx, &project.id, &id, user_id, &config, custom_tools.as_ref())
            .await?;
    tx.commit().await?;
    Ok(session_of(row))
}

/// A session of the project.
///
/// # Errors
/// 404 when there is none, or it is deleted.
pub async fn find(app: &App, project: &ProjectId, id: &SessionId) -> Result<Arc<Session>> {
    app.cache.session(project, id).await?.ok_or_else(|| {
        Error::not_found(codes::TOOL_ROUTER_SESSION_NOT_FOUND, "Session", id.as_str())
            .fix("Create a session with POST /api/v3/tool_router/session")
    })
}

/// Deletes a session. Its accounts stay.
///
/// # Errors
/// 404 when there is none.
pub async fn delete(app: &App, project: &ProjectId, id: &SessionId) -> Result<()> {
    let mut tx = app.db.begin().await?;
    if !db::session::delete(&mut tx, project, id).await? {
        return Err(Error::not_found(codes::TOOL_ROUTER_SESSION_NOT_FOUND, "Session", id.as_str()));
    }
    let changed = Changed::Session { project: project.clone(), id: id.clone() };
    app.changed(&mut *tx, &changed).await?;
    tx.commit().await?;
    app.cache.invalidate(&changed);
    Ok(())
}

/// Where MCP clients reach a session: the API's own origin, because newer SDKs send their key to
/// no other.
pub fn mcp_url(app: &App, id: &SessionId) -> String {
    format!("{}/tool_router/{id}/mcp", app.config.public_url)
}
