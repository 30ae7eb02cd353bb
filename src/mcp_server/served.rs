//! What one user gets from a server. Whoever lists or executes something of it comes by here.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::connection::ConnectionTool;
use super::{account, unknown};
use crate::app::{App, AppState};
use crate::catalog::{Catalog, Entry, Toolkit};
use crate::domain::connection::{Account, AuthConfig, Project};
use crate::domain::id::{AccountId, AuthConfigId};
use crate::domain::mcp_server::{McpServer, McpServerId};
use crate::domain::sharing::AccountType;
use crate::error::{Error, Result, codes};
use crate::execute::{self, ExecuteOutcome, ExecuteRequest};
use crate::session::meta::Spec;

/// Longest user id.
const MAX_USER_ID: usize = 512;

/// For whom a URL opens a server; its query parameters.
#[derive(Debug, Clone, Default)]
pub struct Address {
    /// `user_id`
    pub user_id: Option<String>,
    /// `connected_account_id`
    pub connected_account_id: Option<String>,
    /// `include_composio_helper_actions`; none: as the server says.
    pub helper_actions: Option<bool>,
}

/// A server, opened for a user.
#[derive(Debug)]
pub struct Served {
    /// The server.
    pub server: Arc<McpServer>,
    /// Its project.
    pub project: Arc<Project>,
    /// The developer's own id of the user.
    pub user_id: String,
    /// Whether tools to connect accounts are offered.
    pub connects: bool,
    /// The account that the URL names.
    pub(super) account: Option<Arc<Account>>,
    /// The server's auth configs that still exist.
    pub(super) configs: Vec<Arc<AuthConfig>>,
}

/// Opens a server. `caller` is the project whose key, or token, the request carried.
///
/// # Errors
/// 404 for a server that is not there; 401 for a caller of another project, and for none when the
/// project wants one; 400 when neither user nor account is named, or they do not fit together.
pub async fn open(
    app: &App,
    id: &str,
    caller: Option<&Project>,
    address: &Address,
) -> Result<Served> {
    let known = McpServerId::parse(id).ok_or_else(|| unknown(id))?;
    let server = app.cache.mcp_server(&known).await?.ok_or_else(|| unknown(id))?;
    let project = app.cache.project(&server.project_id).await?.ok_or_else(|| unknown(id))?;
    match caller {
        Some(caller) if caller.id != project.id => {
            return Err(Error::new(
                codes::UNAUTHORIZED,
                "This key is not one of the MCP server's project",
            )
            .fix("Send a key of the project that the server was made in"));
        }
        None if project.config.require_mcp_api_key => {
            return Err(Error::new(codes::UNAUTHORIZED, "This MCP server needs an API key").fix(
                "Send a key of the server's project in the x-api-key header, or sign in; \
                 PATCH /api/v3/org/project/config with require_mcp_api_key false lifts this",
            ));
        }
        _ => {}
    }
    let mut configs = Vec::new();
    for id in &server.auth_config_ids {
        let id = AuthConfigId::from(id.as_str());
        configs.extend(app.cache.auth_config(&project.id, &id).await?);
    }
    let named = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
    let (user, account) = (named(&address.user_id), named(&address.connected_account_id));
    if user.as_ref().is_some_and(|user| user.len() > MAX_USER_ID || user.contains('\0')) {
        let problem = format!("user_id: must be 1 to {MAX_USER_ID} characters");
        return Err(Error::invalid("Invalid user_id", vec![problem]));
    }
    let account = match account {
        Some(id) => Some(named_account(app, &server, &configs, user.as_deref(), &id).await?),
        None => None,
    };
    let Some(user_id) = user.or_else(|| account.as_ref().map(|a| a.user_id.clone())) else {
        return Err(Error::bad_request("The URL names neither a user nor a connected account")
            .fix("Add ?user_id=… or ?connected_account_id=… to the MCP server's URL"));
    };
    let connects = address.helper_actions.unwrap_or(server.managed_auth);
    Ok(Served { server, project, user_id, connects, account, configs })
}

/// The account that a URL names: of the project, of the user when one is named too, and one that
/// the server has a use for.
async fn named_account(
    app: &App,
    server: &McpServer,
    configs: &[Arc<AuthConfig>],
    user: Option<&str>,
    id: &str,
) -> Result<Arc<Account>> {
    let account = app.cache.account(&server.project_id, &AccountId::from(id)).await?;
    let account = account.ok_or_else(|| {
        Error::not_found(codes::ACCOUNT_NOT_FOUND, "Connected account", id)
            .fix("Use the id of an account of the MCP server's project")
    })?;
    let mismatch = |text: &'static str, fix: &'static str| {
        Err(Error::new(codes::ACCOUNT_MISMATCH, text).fix(fix))
    };
    if let Some(user) = user.filter(|user| *user != account.user_id) {
        let shared = account.sharing.account_type == AccountType::Shared;
        if !shared || !account.sharing.admits(&account.user_id, user) {
            return mismatch(
                "The connected account belongs to another user than user_id says",
                "Name the user that the account was connected for, or leave user_id out",
            );
        }
    }
    let of_toolkit = configs.iter().any(|c| c.toolkit_slug == account.toolkit_slug);
    let fits = if of_toolkit {
        configs.iter().any(|c| c.id == account.auth_config_id)
    } else {
        server.toolkits.contains(&account.toolkit_slug)
    };
    if !fits {
        return mismatch(
            "The MCP server does not use accounts of this auth config",
            "Name an account of one of the server's auth configs",
        );
    }
    Ok(account)
}

impl Served {
    /// Whether the server has a tool for this user.
    fn allows(&self, catalog: &Catalog, toolkit: &Toolkit, tool: &Entry) -> bool {
        let named = if self.server.allowed_tools.is_empty() {
            self.server.toolkits.contains(&toolkit.file.slug)
        } else {
            self.server.allowed_tools.contains(&tool.def.slug)
        };
        named && self.is_unrestricted(catalog, toolkit, tool)
    }

    /// Whether the auth configs of the tool's toolkit let it be executed.
    fn is_unrestricted(&self, catalog: &Catalog, toolkit: &Toolkit, tool: &Entry) -> bool {
        let mut configs =
            self.configs.iter().filter(|c| c.toolkit_slug == toolkit.file.slug).peekable();
        let is_it = |name: &String| {
            catalog.tool(name).is_some_and(|(_, known)| known.def.slug == tool.def.slug)
        };
        configs.peek().is_none()
            || configs.any(|config| {
                config.restrict_to_tools.as_ref().is_none_or(|tools| tools.iter().any(is_it))
            })
    }

    /// The server's own tools, by which an agent connects its user.
    pub fn connection_tools(&self) -> Vec<&'static Spec> {
        let all = if self.connects { ConnectionTool::ALL } else { &[] };
        all.iter().map(|tool| tool.spec()).collect()
    }

    /// The tools of the catalogue, in a stable order: that of `allowed_tools`, or by toolkit.
    pub fn tools<'a>(&self, catalog: &'a Catalog) -> Vec<(&'a Arc<Toolkit>, &'a Arc<Entry>)> {
        let mut found = Vec::new();
        if self.server.allowed_tools.is_empty() {
            for toolkit in self.server.toolkits.iter().filter_map(|s| catalog.toolkit(s)) {
                found.extend(toolkit.tools.iter().map(|tool| (toolkit, tool)));
            }
        } else {
            found.extend(self.server.allowed_tools.iter().filter_map(|s| catalog.tool(s)));
        }
        found.retain(|(toolkit, tool)| self.allows(catalog, toolkit, tool));
        found
    }

    /// Executes a tool of the server for its user.
    ///
    /// # Errors
    /// Everything that is the caller's fault. What a provider answers is an outcome.
    pub async fn call(
        &self,
        app: &AppState,
        slug: &str,
        arguments: Map<String, Value>,
    ) -> Result<ExecuteOutcome> {
        if let Some(tool) = ConnectionTool::of(slug).filter(|_| self.connects) {
            return tool.execute(app, self, arguments).await;
        }
        let catalog = app.catalog(&self.project.id);
        let found = catalog.tool(slug);
        let Some((toolkit, tool)) = found.filter(|(k, t)| self.allows(&catalog, k, t)) else {
            let slug: String = slug.chars().take(100).collect();
            return Err(Error::new(
                codes::SESSION_TOOL_NOT_ALLOWED,
                format!("The MCP server does not have the tool {slug}"),
            )
            .fix("Use a tool of the server's list, or allow it with PATCH /api/v3/mcp/{id}"));
        };
        let account = account::choose(app, self, toolkit).await?;
        let request = ExecuteRequest {
            tool_slug: tool.def.slug.clone(),
            arguments,
            connected_account_id: account.map(|id| id.to_string()),
            user_id: Some(self.user_id.clone()),
            ..ExecuteRequest::default()
        };
        execute::execute(app, &self.project, request).await
    }
}
