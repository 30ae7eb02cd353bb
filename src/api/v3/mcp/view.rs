//! MCP servers, as answers show them.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::domain::mcp_server::McpServer;
use crate::domain::time::iso;
use crate::mcp_server;

/// Stands for a user in commands that nobody's user is named in.
const PLACEHOLDER: &str = "YOUR_USER_ID";

/// McpCommands that add a server to a client.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct McpCommands {
    /// For Cursor.
    cursor: String,
    /// For Claude Code.
    claude: String,
    /// For Windsurf.
    windsurf: String,
}

/// An MCP server.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct McpServerView {
    /// UUID.
    id: String,
    /// Display name.
    name: String,
    /// Auth configs.
    auth_config_ids: Vec<String>,
    /// Tools; empty: all of the toolkits.
    allowed_tools: Vec<String>,
    /// Its address, to which a user or an account has to be added.
    mcp_url: String,
    /// Toolkits.
    toolkits: Vec<String>,
    /// Logo by toolkit.
    toolkit_icons: BTreeMap<String, String>,
    /// McpCommands that add it to a client.
    commands: McpCommands,
    /// When it last changed.
    updated_at: String,
    /// When it was made.
    created_at: String,
    /// Number of users that it was set up for.
    server_instance_count: i64,
    /// Whether it offers tools to connect accounts.
    managed_auth_via_composio: bool,
}

/// An MCP server that is not deleted.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct McpServerWithState {
    #[serde(flatten)]
    pub server: McpServerView,
    /// Always false: a deleted one is not found.
    pub deleted: bool,
}

/// A page of servers.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct McpServerPage {
    /// The servers.
    pub items: Vec<McpServerView>,
    /// This page's number, from 1.
    pub current_page: i64,
    /// Number of pages.
    pub total_pages: i64,
}

/// An MCP server that was just made.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CustomMcpServer {
    /// UUID.
    id: String,
    /// Display name.
    name: String,
    /// Auth configs.
    auth_config_ids: Vec<String>,
    /// Tools; empty: all of the toolkits.
    allowed_tools: Vec<String>,
    /// Its address, to which a user or an account has to be added.
    mcp_url: String,
    /// McpCommands that add it to a client.
    commands: McpCommands,
}

/// Neither names nor URLs have a quote in them, so quoting is enough for every shell. Editors without
/// a command line of their own for this take a program that speaks to the server for them.
fn commands(app: &App, server: &McpServer) -> McpCommands {
    let url = mcp_server::url_for(app, &server.id, "user_id", PLACEHOLDER, false);
    let name = server.name.trim().replace(' ', "-");
    let bridge = format!("npx -y mcp-remote '{url}'");
    McpCommands {
        cursor: bridge.clone(),
        claude: format!("claude mcp add --transport http '{name}' '{url}'"),
        windsurf: bridge,
    }
}

/// A server.
pub(super) fn server(app: &App, server: &McpServer) -> McpServerView {
    let icon = |slug: &String| {
        let logo = app.toolkit(&server.project_id, slug)?.file.logo.clone()?;
        Some((slug.clone(), logo))
    };
    McpServerView {
        id: server.id.to_string(),
        name: server.name.clone(),
        auth_config_ids: server.auth_config_ids.clone(),
        allowed_tools: server.allowed_tools.clone(),
        mcp_url: mcp_server::url(app, &server.id),
        toolkits: server.toolkits.clone(),
        toolkit_icons: server.toolkits.iter().filter_map(icon).collect(),
        commands: commands(app, server),
        updated_at: iso(server.updated_at),
        created_at: iso(server.created_at),
        server_instance_count: server.instances,
        managed_auth_via_composio: server.managed_auth,
    }
}

/// A server that was just made.
pub(super) fn custom(app: &App, server: &McpServer) -> CustomMcpServer {
    CustomMcpServer {
        id: server.id.to_string(),
        name: server.name.clone(),
        auth_config_ids: server.auth_config_ids.clone(),
        allowed_tools: server.allowed_tools.clone(),
        mcp_url: mcp_server::url(app, &server.id),
        commands: commands(app, server),
    }
}
