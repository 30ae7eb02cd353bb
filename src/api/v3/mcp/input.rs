//! What requests about MCP servers say.

use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::api::extract::query;
use crate::domain::page::{MAX_LIMIT, PageRequest};
use crate::error::{Error, Result};
use crate::mcp_server::Patch;

/// A server of auth configs.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct McpServerBody {
    /// 4 to 30 letters, digits, spaces and hyphens; no other server of the project has it.
    #[schema(min_length = 4, max_length = 30, pattern = "^[a-zA-Z0-9- ]+$")]
    pub name: String,
    /// Auth configs; their toolkits are the server's.
    pub auth_config_ids: Vec<String>,
    /// Toolkits that need no account.
    #[serde(default)]
    pub no_auth_apps: Vec<String>,
    /// Tools; empty: all of the toolkits.
    #[serde(default)]
    pub allowed_tools: Vec<String>,
    /// Whether the server offers tools to connect accounts.
    #[serde(default)]
    pub managed_auth_via_composio: Option<bool>,
}

/// A server of toolkits.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct CustomMcpServerBody {
    /// 4 to 30 letters, digits, spaces and hyphens; no other server of the project has it.
    #[schema(min_length = 4, max_length = 30, pattern = "^[a-zA-Z0-9- ]+$")]
    pub name: String,
    /// Toolkits.
    #[serde(default)]
    pub toolkits: Option<Vec<String>>,
    /// Auth configs to connect and execute with; their toolkits are the server's too.
    #[serde(default)]
    pub auth_config_ids: Option<Vec<String>>,
    /// Tools; empty: all of the toolkits.
    #[serde(default)]
    pub allowed_tools: Option<Vec<String>>,
    /// The old name of `allowed_tools`, which released clients send.
    #[serde(default)]
    pub custom_tools: Option<Vec<String>>,
    /// Whether the server offers tools to connect accounts.
    #[serde(default)]
    pub managed_auth_via_composio: Option<bool>,
}

/// What to change; what is absent or null stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
pub(super) struct McpServerPatch {
    /// 4 to 30 letters, digits, spaces and hyphens; no other server of the project has it.
    #[schema(value_type = Option<String>, min_length = 4, max_length = 30)]
    name: Option<String>,
    /// Toolkits.
    toolkits: Option<Vec<String>>,
    /// Auth configs.
    auth_config_ids: Option<Vec<String>>,
    /// Tools; empty: all of the toolkits.
    allowed_tools: Option<Vec<String>>,
    /// The old name of `allowed_tools`, which released clients send.
    custom_tools: Option<Vec<String>>,
    /// Whether the server offers tools to connect accounts.
    managed_auth_via_composio: Option<bool>,
}

impl From<McpServerPatch> for Patch {
    fn from(body: McpServerPatch) -> Self {
        Self {
            name: body.name,
            toolkits: body.toolkits,
            auth_config_ids: body.auth_config_ids,
            allowed_tools: body.allowed_tools.or(body.custom_tools),
            managed_auth: body.managed_auth_via_composio,
        }
    }
}

/// For whom URLs are wanted.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct McpUrlsBody {
    /// The server.
    pub mcp_server_id: String,
    /// Whether the URLs say that tools to connect accounts are offered.
    #[serde(default)]
    pub managed_auth_by_composio: Option<bool>,
    /// Users.
    #[serde(default)]
    #[schema(max_items = 1000)]
    pub user_ids: Option<Vec<String>>,
    /// Connected accounts.
    #[serde(default)]
    #[schema(max_items = 1000)]
    pub connected_account_ids: Option<Vec<String>>,
}

/// By what a list is ordered.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum McpOrder {
    /// When it was made.
    CreatedAt,
    /// When it last changed.
    #[default]
    UpdatedAt,
}

impl McpOrder {
    pub fn by_updated(self) -> bool {
        matches!(self, Self::UpdatedAt)
    }
}

/// In which direction.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum McpDirection {
    /// Oldest first.
    Asc,
    /// Newest first.
    #[default]
    Desc,
}

impl McpDirection {
    pub fn ascending(self) -> bool {
        matches!(self, Self::Asc)
    }
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Part of the name, in any case.
    #[serde(deserialize_with = "query::text")]
    pub name: Option<String>,
    /// Toolkits, separated by commas, any of which suffices.
    #[serde(deserialize_with = "query::list")]
    #[param(value_type = Option<String>)]
    pub toolkits: Vec<String>,
    /// Auth configs, separated by commas, any of which suffices.
    #[serde(deserialize_with = "query::list")]
    #[param(value_type = Option<String>)]
    pub auth_config_ids: Vec<String>,
    /// `updated_at` when absent.
    #[serde(deserialize_with = "query::word")]
    #[param(inline)]
    pub order_by: Option<McpOrder>,
    /// `desc` when absent.
    #[serde(deserialize_with = "query::word")]
    #[param(inline)]
    pub order_direction: Option<McpDirection>,
    /// Page, from 1.
    #[serde(deserialize_with = "query::int")]
    pub page_no: Option<i64>,
    /// Servers per page; 10 when absent, at most 1000.
    #[serde(deserialize_with = "query::int")]
    pub limit: Option<i64>,
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct InstancesQuery {
    /// Part of the user's id, in any case.
    #[serde(deserialize_with = "query::text")]
    pub search: Option<String>,
    /// `updated_at` when absent.
    #[serde(deserialize_with = "query::word")]
    #[param(inline)]
    pub order_by: Option<McpOrder>,
    /// `desc` when absent.
    #[serde(deserialize_with = "query::word")]
    #[param(inline)]
    pub order_direction: Option<McpDirection>,
    /// Page, from 1.
    #[serde(deserialize_with = "query::int")]
    pub page_no: Option<i64>,
    /// Instances per page; 20 when absent, at most 1000.
    #[serde(deserialize_with = "query::int")]
    pub limit: Option<i64>,
}

/// A new instance.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct McpInstanceBody {
    /// The developer's own id of the user.
    #[schema(min_length = 1, max_length = 512)]
    pub user_id: String,
}

/// The page that numbers ask for.
pub(super) fn page(page_no: Option<i64>, limit: Option<i64>, default: i64) -> Result<PageRequest> {
    let page = page_no.unwrap_or(1);
    if !(1..=1_000_000_000).contains(&page) {
        let problem = "page_no: must be a number from 1".to_owned();
        return Err(Error::invalid("Invalid page_no", vec![problem]));
    }
    Ok(PageRequest { page, limit: limit.unwrap_or(default).clamp(1, MAX_LIMIT) })
}
