//! MCP servers: a fixed set of tools under one address, for any user of the project.
//!
//! | module | knows |
//! |---|---|
//! | `check` | what a server must be |
//! | `served` | what one user gets from a server: the one door to its tools |
//! | `account` | with which account a tool is executed |
//! | `connection` | the tools by which an agent connects its user |
//! | `instance` | the users that a server was set up for |

mod account;
mod check;
mod connection;
pub mod instance;
mod served;

use crate::app::App;
use crate::cache::mcp_server_of;
use crate::db;
use crate::db::mcp_server::{Filter, McpServerRow, Parts};
use crate::db::notify::Changed;
use crate::domain::connection::Project;
use crate::domain::id::ProjectId;
use crate::domain::mcp_server::{McpServer, McpServerId};
use crate::domain::page::{Page, PageRequest};
use crate::error::{Error, Result, codes};

pub use check::New;
pub use served::{Address, Served, open};

/// The query parameter by which a URL says whether connection tools are offered.
pub const HELPER_ACTIONS: &str = "include_composio_helper_actions";

/// 404 for a server.
pub fn unknown(id: &str) -> Error {
    Error::not_found(codes::MCP_SERVER_NOT_FOUND, "MCP server", id)
        .fix("List the project's MCP servers with GET /api/v3/mcp/servers")
}

/// What a failed statement means when it may have taken another server's name.
fn name_error(error: sqlx::Error) -> Error {
    match &error {
        sqlx::Error::Database(d) if d.constraint() == Some(db::mcp_server::NAME_KEY) => {
            let problem = "name: is taken by another MCP server of the project".to_owned();
            Error::invalid("Invalid MCP server", vec![problem])
                .fix("Choose another name, or update or delete the server that has it")
        }
        _ => error.into(),
    }
}

/// Makes a server.
///
/// # Errors
/// 400 with everything that is wrong.
pub async fn create(app: &App, project: &Project, new: New) -> Result<McpServer> {
    let parts = check::checked(app, &project.id, new).await?;
    let mut tx = app.db.begin().await?;
    let row = db::mcp_server::insert(&mut tx, &project.id, &parts).await.map_err(name_error)?;
    tx.commit().await?;
    Ok(mcp_server_of(row))
}

/// A server of the project, as the database has it now.
///
/// # Errors
/// 404 when there is none.
pub async fn find(app: &App, project: &ProjectId, id: &str) -> Result<McpServer> {
    Ok(mcp_server_of(row(app, project, id).await?))
}

async fn row(app: &App, project: &ProjectId, id: &str) -> Result<McpServerRow> {
    let row = match McpServerId::parse(id) {
        Some(known) => db::mcp_server::get(&app.db, project, &known).await?,
        None => None,
    };
    row.ok_or_else(|| unknown(id))
}

/// A page of the project's servers.
///
/// # Errors
/// When the database is away.
pub async fn list(
    app: &App,
    project: &ProjectId,
    filter: &Filter,
    request: PageRequest,
) -> Result<Page<McpServer>> {
    let (rows, total) =
        db::mcp_server::list(&app.db, project, filter, request.limit, request.offset()).await?;
    Ok(Page::new(rows.into_iter().map(mcp_server_of).collect(), total, request))
}

/// What is to change about a server. An absent part stays as it is.
#[derive(Debug, Default)]
pub struct Patch {
    /// Display name.
    pub name: Option<String>,
    /// Toolkits.
    pub toolkits: Option<Vec<String>>,
    /// Auth configs.
    pub auth_config_ids: Option<Vec<String>>,
    /// Tools; empty: all of the toolkits.
    pub allowed_tools: Option<Vec<String>>,
    /// Whether it offers tools to connect accounts.
    pub managed_auth: Option<bool>,
}

/// Changes a server.
///
/// # Errors
/// 404 when there is none, 400 with everything that is wrong.
pub async fn update(app: &App, project: &ProjectId, id: &str, patch: Patch) -> Result<McpServer> {
    let known = row(app, project, id).await?;
    // Tools of toolkits that go away with this change go with them, unless they are named again.
    let narrows = patch.toolkits.is_some() && patch.allowed_tools.is_none();
    let mut new = New {
        name: patch.name.unwrap_or(known.name),
        toolkits: patch.toolkits.unwrap_or(known.toolkits),
        auth_config_ids: patch.auth_config_ids.unwrap_or(known.auth_config_ids),
        allowed_tools: patch.allowed_tools.unwrap_or(known.allowed_tools),
        managed_auth: patch.managed_auth.unwrap_or(known.managed_auth),
        ..New::default()
    };
    if narrows && !new.allowed_tools.is_empty() {
        let wanted: Vec<String> = new.toolkits.iter().map(|t| t.trim().to_lowercase()).collect();
        let catalog = app.catalog(project);
        new.allowed_tools.retain(|slug| {
            let toolkit = catalog.tool(slug).map(|(toolkit, _)| toolkit.file.slug.as_str());
            toolkit.is_some_and(|toolkit| wanted.iter().any(|w| w == toolkit))
        });
        if new.allowed_tools.is_empty() {
            let problem = "allowed_tools: none of the server's tools is one of the new toolkits";
            return Err(Error::invalid("Invalid MCP server", vec![problem.to_owned()])
                .fix("Send allowed_tools together with toolkits; an empty list means all tools"));
        }
    }
    let parts: Parts = check::checked(app, project, new).await?;
    let changed = Changed::McpServer { id: known.id.to_string() };
    let mut tx = app.db.begin().await?;
    let done = db::mcp_server::update(&mut *tx, project, &known.id, &parts).await;
    if !done.map_err(name_error)? {
        return Err(unknown(id));
    }
    app.changed(&mut *tx, &changed).await?;
    tx.commit().await?;
    app.cache.invalidate(&changed);
    find(app, project, id).await
}

/// Deletes a server. Accounts stay.
///
/// # Errors
/// 404 when there is none.
pub async fn delete(app: &App, project: &ProjectId, id: &str) -> Result<()> {
    let known = McpServerId::parse(id).ok_or_else(|| unknown(id))?;
    let mut tx = app.db.begin().await?;
    if !db::mcp_server::delete(&mut tx, project, &known).await? {
        return Err(unknown(id));
    }
    let changed = Changed::McpServer { id: known.to_string() };
    app.changed(&mut *tx, &changed).await?;
    tx.commit().await?;
    app.cache.invalidate(&changed);
    Ok(())
}

/// The address of a server, without a user.
pub fn url(app: &App, id: &McpServerId) -> String {
    format!("{}/v3/mcp/{id}", app.config.public_url)
}

/// The address of a server for a user or an account (`name` is `user_id` or
/// `connected_account_id`).
pub fn url_for(app: &App, id: &McpServerId, name: &str, value: &str, helper: bool) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair(name, value);
    if helper {
        query.append_pair(HELPER_ACTIONS, "true");
    }
    // `+` means a blank in forms only; every client reads %20.
    format!("{}?{}", url(app, id), query.finish().replace('+', "%20"))
}
