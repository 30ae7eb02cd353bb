//! Sessions: what an agent's user may find, connect and execute.
//!
//! | module | knows |
//! |---|---|
//! | `config` | what a configuration must be |
//! | `custom` | tools that the caller's own process runs |
//! | `named` | configurations under a name, to make sessions of |
//! | `prompt` | what a session tells a model about itself |
//! | `tools` | what a session lists |
//! | `toolkits` | the toolkits of a session, and with which account each is used |
//! | `account` | with which account a tool is executed |
//! | `outside` | meta tools that are executed for a user, without a session |
//! | `execute` | the one door to tools: meta tools and those of the catalogue |
//! | `files` | files that a caller keeps with a session |
//! | `link` | connecting accounts |
//! | `preview` | what a large result is cut to |
//! | `proxy` | requests of the caller's own |
//! | `memory` | what an agent noted |
//! | `search` | finding its tools, and what it takes to use them |
//! | `meta` | the meta tools, one file each |

pub mod account;
pub mod config;
pub mod custom;
pub mod execute;
pub mod files;
pub mod link;
pub mod memory;
pub mod meta;
pub mod named;
pub mod outside;
pub mod preview;
pub mod prompt;
pub mod proxy;
pub mod search;
pub mod toolkits;
pub mod tools;

use std::sync::Arc;

use serde_json::Value;

use crate::app::App;
use crate::cache::session_of;
use crate::db;
use crate::db::notify::Changed;
use crate::db::session::ConfigVersionRow;
use crate::domain::connection::Project;
use crate::domain::id::{ProjectId, SessionId};
use crate::domain::page::PageRequest;
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
    check_user(user_id)?;
    let config = config::checked(app, project, user_id, config, &SessionConfig::default()).await?;
    let id = SessionId::generate();
    let mut tx = app.db.begin().await?;
    let row =
        db::session::insert(&mut tx, &project.id, &id, user_id, &config, custom_tools.as_ref())
            .await?;
    tx.commit().await?;
    Ok(session_of(row))
}

fn check_user(user_id: &str) -> Result<()> {
    if user_id.trim().is_empty() || user_id.len() > MAX_USER_ID || user_id.contains('\0') {
        let problem = format!("user_id: must be 1 to {MAX_USER_ID} characters");
        return Err(Error::invalid("Invalid user_id", vec![problem]));
    }
    Ok(())
}

/// A session of the project.
///
/// # Errors
/// 404 when there is none, or it is deleted.
pub async fn find(app: &App, project: &ProjectId, id: &SessionId) -> Result<Arc<Session>> {
    app.cache.session(project, id).await?.ok_or_else(|| unknown(id))
}

/// How often a change is tried anew when others change the same session meanwhile.
const UPDATE_ATTEMPTS: usize = 5;

/// Changes a session's configuration. With `expected`, only when that is its present version;
/// without, the change is made to whatever the configuration is by then, so that of two changes
/// at once none is lost.
///
/// # Errors
/// 409 when the configuration is another one, 404 when the session is gone, and what `change` and
/// [`config::checked`] say.
pub async fn update(
    app: &App,
    project: &Project,
    id: &SessionId,
    expected: Option<i32>,
    change: impl Fn(SessionConfig) -> Result<SessionConfig>,
) -> Result<Session> {
    for _ in 0..UPDATE_ATTEMPTS {
        // Not from the cache, which may be behind by the time of a notification.
        let row = db::session::get(&app.db, &project.id, id).await?;
        let before = session_of(row.ok_or_else(|| unknown(id))?);
        if expected.is_some_and(|expected| expected != before.config_version) {
            return Err(conflict(before.config_version));
        }
        let config = change(before.config.clone())?;
        let config = config::checked(app, project, &before.user_id, config, &before.config).await?;
        let mut tx = app.db.begin().await?;
        let version = before.config_version;
        let row = db::session::update_config(&mut tx, &project.id, id, version, &config).await?;
        let Some(row) = row else { continue };
        let changed = Changed::Session { project: project.id.clone(), id: id.clone() };
        app.changed(&mut *tx, &changed).await?;
        tx.commit().await?;
        app.cache.invalidate(&changed);
        return Ok(session_of(row));
    }
    let row = db::session::get(&app.db, &project.id, id).await?;
    Err(conflict(row.ok_or_else(|| unknown(id))?.config_version))
}

/// Versions of a session's configuration, newest first, and their number.
///
/// # Errors
/// The database's.
pub async fn history(
    app: &App,
    session: &Session,
    request: PageRequest,
) -> Result<(Vec<ConfigVersionRow>, i64)> {
    let (limit, offset) = (request.limit, request.offset());
    let (project, id) = (&session.project_id, &session.id);
    Ok(db::session::versions(&app.db, project, id, limit, offset).await?)
}

fn conflict(version: i32) -> Error {
    Error::new(
        codes::SESSION_CONFIG_CONFLICT,
        format!("The session's configuration was changed meanwhile; its version is {version}"),
    )
    .fix("Read the session again, and send the change with its config_version")
}

fn unknown(id: &SessionId) -> Error {
    Error::not_found(codes::TOOL_ROUTER_SESSION_NOT_FOUND, "Session", id.as_str())
        .fix("Create a session with POST /api/v3/tool_router/session")
}

/// Deletes a session. Its accounts stay.
///
/// # Errors
/// 404 when there is none.
pub async fn delete(app: &App, project: &ProjectId, id: &SessionId) -> Result<()> {
    let mut tx = app.db.begin().await?;
    if !db::session::delete(&mut tx, project, id).await? {
        return Err(unknown(id));
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
