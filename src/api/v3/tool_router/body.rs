//! Configurations of sessions as callers write them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::forms::{Names, OneOrMany, Tools, sent};
use crate::session::custom::{GivenTool, GivenToolkit};

/// How the agent connects accounts.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
pub(super) struct ManageConnectionsBody {
    /// Whether the agent is given the tool for it; true when absent.
    #[serde(alias = "enabled")]
    pub enable: Option<bool>,
    /// Where the browser goes in the end; null removes it.
    #[serde(default, deserialize_with = "sent")]
    #[schema(value_type = Option<String>)]
    pub callback_url: Option<Option<String>>,
    /// Whether the agent is given the tool that waits for the person; false when absent.
    pub enable_wait_for_connections: Option<bool>,
    /// Whether the agent may delete accounts; true when absent.
    pub enable_connection_removal: Option<bool>,
}

/// The sandbox, and what becomes of large results.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
pub(super) struct WorkbenchBody {
    /// Whether the session has a sandbox, where the server offers one.
    pub enable: Option<bool>,
    /// Whether code in it may execute tools.
    #[serde(alias = "tool_execution_enabled")]
    pub enable_tool_execution: Option<bool>,
    /// Whether code in it may send requests of its own.
    #[serde(alias = "proxy_execution_enabled")]
    pub enable_proxy_execution: Option<bool>,
    /// Characters from which a result is stored and shown in part.
    #[serde(default, deserialize_with = "sent")]
    #[schema(value_type = Option<f64>)]
    pub auto_offload_threshold: Option<Option<f64>>,
    /// Size of the sandbox: standard, medium, large or xlarge.
    #[serde(default, deserialize_with = "sent")]
    #[schema(value_type = Option<String>)]
    pub sandbox_size: Option<Option<String>>,
}

/// Several accounts of one toolkit.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
pub(super) struct MultiAccountBody {
    /// Whether the session may use several.
    pub enable: Option<bool>,
    /// Most accounts per toolkit, 2 to 10.
    #[serde(default, deserialize_with = "sent")]
    #[schema(value_type = Option<u8>)]
    pub max_accounts_per_toolkit: Option<Option<u8>>,
    /// Whether a call must name the account when there are several.
    pub require_explicit_selection: Option<bool>,
}

/// Requests of the agent's own.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub(super) struct ProxyExecuteBody {
    /// Whether the agent may send them.
    pub enable: bool,
}

/// Tools to list, or `all`.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub(super) struct PreloadBody {
    /// Tool slugs, or `all`.
    pub tools: Option<OneOrMany>,
}

/// A part that is on or off.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
pub(super) struct SearchBody {
    /// Whether the agent may search; true when absent.
    pub enable: Option<bool>,
}

/// A part that is on or off.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
pub(super) struct ExecuteConfigBody {
    /// Whether the agent may execute several tools at once; true when absent.
    pub enable_multi_execute: Option<bool>,
}

/// Texts for the agent.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
pub(super) struct AssistivePromptBody {
    /// IANA name of the user's time zone.
    #[serde(default, deserialize_with = "sent")]
    #[schema(value_type = Option<String>)]
    pub user_timezone: Option<Option<String>>,
}

/// What may change without notice upstream.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
pub(super) struct ExperimentalBody {
    /// Texts for the agent.
    #[serde(default, deserialize_with = "sent")]
    #[schema(value_type = Option<AssistivePromptBody>)]
    pub assistive_prompt_config: Option<Option<AssistivePromptBody>>,
    /// Base URL of Connect Links, instead of the server's own; null removes it.
    #[serde(default, deserialize_with = "sent")]
    #[schema(value_type = Option<String>)]
    pub link_url_overwrite: Option<Option<String>>,
    /// Not available on this server; refused unless it allows everything.
    #[schema(value_type = Option<Object>)]
    pub permissions: Option<Value>,
    /// A named configuration, whose toolkits, tools and tags the session takes over.
    pub session_config_id: Option<String>,
    /// Tools of the caller's own, alone or beside a toolkit of the catalogue.
    pub custom_tools: Option<Vec<GivenTool>>,
    /// Tools of the caller's own, in toolkits of their own.
    pub custom_toolkits: Option<Vec<GivenToolkit>>,
}

/// Everything of a configuration that create and patch share. Absent parts keep their default, or
/// what they were.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
pub(super) struct ConfigBody {
    /// Which toolkits.
    #[serde(default, deserialize_with = "sent")]
    #[schema(value_type = Option<Names>)]
    pub toolkits: Option<Option<Names>>,
    /// Which tools, by toolkit.
    #[serde(default, deserialize_with = "sent")]
    #[schema(value_type = Option<BTreeMap<String, Tools>>)]
    pub tools: Option<Option<BTreeMap<String, Tools>>>,
    /// Filter by behaviour.
    #[serde(default, deserialize_with = "sent")]
    #[schema(value_type = Option<Names>)]
    pub tags: Option<Option<Names>>,
    /// Auth config by toolkit.
    #[serde(default, deserialize_with = "sent")]
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    pub auth_configs: Option<Option<BTreeMap<String, String>>>,
    /// Accounts by toolkit.
    #[serde(default, deserialize_with = "sent")]
    #[schema(value_type = Option<BTreeMap<String, OneOrMany>>)]
    pub connected_accounts: Option<Option<BTreeMap<String, OneOrMany>>>,
    /// How the agent connects accounts.
    #[serde(default, deserialize_with = "sent")]
    #[schema(value_type = Option<ManageConnectionsBody>)]
    pub manage_connections: Option<Option<ManageConnectionsBody>>,
    /// The sandbox, and large results.
    #[serde(default, deserialize_with = "sent")]
    #[schema(value_type = Option<WorkbenchBody>)]
    pub workbench: Option<Option<WorkbenchBody>>,
    /// Several accounts of one toolkit.
    #[serde(default, deserialize_with = "sent")]
    #[schema(value_type = Option<MultiAccountBody>)]
    pub multi_account: Option<Option<MultiAccountBody>>,
    /// Requests of the agent's own.
    #[serde(default, deserialize_with = "sent")]
    #[schema(value_type = Option<ProxyExecuteBody>)]
    pub proxy_execute: Option<Option<ProxyExecuteBody>>,
    /// Tools that are listed beside the meta tools.
    #[serde(default, deserialize_with = "sent")]
    #[schema(value_type = Option<PreloadBody>)]
    pub preload: Option<Option<PreloadBody>>,
    /// The search of the agent.
    #[serde(default, deserialize_with = "sent")]
    #[schema(value_type = Option<SearchBody>)]
    pub search: Option<Option<SearchBody>>,
    /// Execution by the agent.
    #[serde(default, deserialize_with = "sent")]
    #[schema(value_type = Option<ExecuteConfigBody>)]
    pub execute: Option<Option<ExecuteConfigBody>>,
    /// What may change without notice upstream.
    #[serde(default, deserialize_with = "sent")]
    #[schema(value_type = Option<ExperimentalBody>)]
    pub experimental: Option<Option<ExperimentalBody>>,
    /// Accounts of the hosted service; only false is possible here.
    #[schema(value_type = Option<bool>)]
    pub instant: Option<Value>,
    /// Not available on this server; refused unless empty.
    #[schema(value_type = Option<Vec<Object>>)]
    pub hooks: Option<Value>,
}

/// Parts of a configuration that a named one decides.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api::v3) struct PolicyBody {
    /// Which toolkits.
    pub(super) toolkits: Option<Names>,
    /// Which tools, by toolkit.
    pub(super) tools: Option<BTreeMap<String, Tools>>,
    /// Filter by behaviour.
    pub(super) tags: Option<Names>,
}
