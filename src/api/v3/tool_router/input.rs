//! Configurations of sessions as callers write them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::domain::session::{
    Choice, ManageConnections, MultiAccount, Preload, SessionConfig, TagFilter, ToolRule, Workbench,
};
use crate::error::{Error, Result, codes};

/// One or several, as older and newer clients write them.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(untagged)]
pub(super) enum OneOrMany {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl OneOrMany {
    fn many(self) -> Vec<String> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

/// Names to let through or to keep out; a bare list lets through.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Names {
    /// Names to let through.
    List(BTreeSet<String>),
    /// Either `enable` or `disable`.
    Object(EnableDisable),
}

/// Either of the two.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
pub(super) struct EnableDisable {
    /// These and no others.
    #[serde(alias = "enabled")]
    enable: Option<BTreeSet<String>>,
    /// All but these.
    #[serde(alias = "disabled")]
    disable: Option<BTreeSet<String>>,
    /// Not available on this server; refused.
    #[schema(value_type = Option<Vec<String>>)]
    require_approval: Option<Value>,
}

/// Which tools of a toolkit; a bare list lets through.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Tools {
    /// Tools to let through.
    List(BTreeSet<String>),
    /// One of `enable`, `disable` and `tags`.
    Object(Box<ToolsObject>),
}

/// One of the three.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
pub(super) struct ToolsObject {
    /// These and no others.
    #[serde(alias = "enabled")]
    enable: Option<BTreeSet<String>>,
    /// All but these.
    #[serde(alias = "disabled")]
    disable: Option<BTreeSet<String>>,
    /// Those with the right tags, instead of the session's own filter.
    tags: Option<Names>,
    /// Not available on this server; refused.
    #[schema(value_type = Option<Vec<String>>)]
    require_approval: Option<Value>,
}

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

/// Tells null, which removes something, from a field that is not there.
pub(super) fn sent<'de, D, T>(input: D) -> std::result::Result<Option<Option<T>>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::<T>::deserialize(input).map(Some)
}

/// The sandbox, and what becomes of large results.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
pub(super) struct WorkbenchBody {
    /// Whether the session has a sandbox, where the server offers one.
    enable: Option<bool>,
    /// Whether code in it may execute tools.
    #[serde(alias = "tool_execution_enabled")]
    enable_tool_execution: Option<bool>,
    /// Whether code in it may send requests of its own.
    #[serde(alias = "proxy_execution_enabled")]
    enable_proxy_execution: Option<bool>,
    /// Characters from which a result is stored and shown in part.
    auto_offload_threshold: Option<f64>,
    /// Size of the sandbox: standard, medium, large or xlarge.
    sandbox_size: Option<String>,
}

/// Several accounts of one toolkit.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
pub(super) struct MultiAccountBody {
    /// Whether the session may use several.
    enable: Option<bool>,
    /// Most accounts per toolkit, 2 to 10.
    max_accounts_per_toolkit: Option<u8>,
    /// Whether a call must name the account when there are several.
    require_explicit_selection: Option<bool>,
}

/// Requests of the agent's own.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub(super) struct ProxyExecuteBody {
    /// Whether the agent may send them.
    enable: bool,
}

/// Tools to list, or `all`.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub(super) struct PreloadBody {
    /// Tool slugs, or `all`.
    tools: OneOrMany,
}

/// A part that is on or off.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
pub(super) struct SearchBody {
    /// Whether the agent may search; true when absent.
    enable: Option<bool>,
}

/// A part that is on or off.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
pub(super) struct ExecuteConfigBody {
    /// Whether the agent may execute several tools at once; true when absent.
    enable_multi_execute: Option<bool>,
}

/// Texts for the agent.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
pub(super) struct AssistivePromptBody {
    /// IANA name of the user's time zone.
    user_timezone: Option<String>,
}

/// What may change without notice upstream.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
pub(super) struct ExperimentalBody {
    /// Texts for the agent.
    assistive_prompt_config: Option<AssistivePromptBody>,
    /// Base URL of Connect Links, instead of the server's own.
    link_url_overwrite: Option<String>,
    /// Not available on this server; refused unless it allows everything.
    #[schema(value_type = Option<Object>)]
    permissions: Option<Value>,
}

/// Everything of a configuration that create and patch share. Absent parts keep their default, or
/// what they were.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
pub(super) struct ConfigBody {
    /// Which toolkits.
    #[serde(default, deserialize_with = "sent")]
    #[schema(value_type = Option<Names>)]
    toolkits: Option<Option<Names>>,
    /// Which tools, by toolkit.
    #[serde(default, deserialize_with = "sent")]
    #[schema(value_type = Option<BTreeMap<String, Tools>>)]
    tools: Option<Option<BTreeMap<String, Tools>>>,
    /// Filter by behaviour.
    #[serde(default, deserialize_with = "sent")]
    #[schema(value_type = Option<Names>)]
    tags: Option<Option<Names>>,
    /// Auth config by toolkit.
    #[serde(default, deserialize_with = "sent")]
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    auth_configs: Option<Option<BTreeMap<String, String>>>,
    /// Accounts by toolkit.
    #[serde(default, deserialize_with = "sent")]
    #[schema(value_type = Option<BTreeMap<String, OneOrMany>>)]
    connected_accounts: Option<Option<BTreeMap<String, OneOrMany>>>,
    /// How the agent connects accounts.
    #[serde(default, deserialize_with = "sent")]
    #[schema(value_type = Option<ManageConnectionsBody>)]
    manage_connections: Option<Option<ManageConnectionsBody>>,
    /// The sandbox, and large results.
    #[serde(default, deserialize_with = "sent")]
    #[schema(value_type = Option<WorkbenchBody>)]
    workbench: Option<Option<WorkbenchBody>>,
    /// Several accounts of one toolkit.
    #[serde(default, deserialize_with = "sent")]
    #[schema(value_type = Option<MultiAccountBody>)]
    multi_account: Option<Option<MultiAccountBody>>,
    /// Requests of the agent's own.
    #[serde(default, deserialize_with = "sent")]
    #[schema(value_type = Option<ProxyExecuteBody>)]
    proxy_execute: Option<Option<ProxyExecuteBody>>,
    /// Tools that are listed beside the meta tools.
    #[serde(default, deserialize_with = "sent")]
    #[schema(value_type = Option<PreloadBody>)]
    preload: Option<Option<PreloadBody>>,
    /// The search of the agent.
    #[serde(default, deserialize_with = "sent")]
    #[schema(value_type = Option<SearchBody>)]
    search: Option<Option<SearchBody>>,
    /// Execution by the agent.
    #[serde(default, deserialize_with = "sent")]
    #[schema(value_type = Option<ExecuteConfigBody>)]
    execute: Option<Option<ExecuteConfigBody>>,
    /// What may change without notice upstream.
    pub experimental: Option<ExperimentalBody>,
    /// Accounts of the hosted service; only false is possible here.
    #[schema(value_type = Option<bool>)]
    instant: Option<Value>,
    /// Not available on this server; refused unless empty.
    #[schema(value_type = Option<Vec<Object>>)]
    hooks: Option<Value>,
}

/// A protection that was asked for must not be dropped in silence.
fn unavailable(what: &str) -> Error {
    Error::new(codes::NOT_IMPLEMENTED, format!("This server does not have {what}"))
        .fix("Leave it out, and restrict the session with toolkits, tools and tags instead")
}

fn refuse(approval: &Option<Value>) -> Result<()> {
    match approval {
        None | Some(Value::Null) => Ok(()),
        Some(_) => Err(unavailable("approval of tool calls (require_approval)")),
    }
}

fn exclusive(path: &str, first: bool, second: bool) -> Result<()> {
    if first && second {
        let problem = format!("{path}: either enable or disable, not both");
        return Err(Error::invalid("Invalid session configuration", vec![problem]));
    }
    Ok(())
}

fn choice(path: &str, names: Names) -> Result<Option<Choice>> {
    let names = match names {
        Names::List(names) => return Ok(Some(Choice::Enable(names))),
        Names::Object(names) => names,
    };
    refuse(&names.require_approval)?;
    exclusive(path, names.enable.is_some(), names.disable.is_some())?;
    Ok(names.enable.map(Choice::Enable).or(names.disable.map(Choice::Disable)))
}

fn filter(names: Names) -> Result<TagFilter> {
    match names {
        Names::List(names) => Ok(TagFilter { enable: Some(names), disable: None }),
        Names::Object(names) => {
            refuse(&names.require_approval)?;
            Ok(TagFilter { enable: names.enable, disable: names.disable })
        }
    }
}

fn rule(toolkit: &str, tools: Tools) -> Result<Option<ToolRule>> {
    let tools = match tools {
        Tools::List(names) => return Ok(Some(ToolRule::Enable(names))),
        Tools::Object(tools) => tools,
    };
    refuse(&tools.require_approval)?;
    let path = format!("tools.{}", toolkit.chars().take(100).collect::<String>());
    exclusive(&path, tools.enable.is_some(), tools.disable.is_some())?;
    if tools.tags.is_some() && (tools.enable.is_some() || tools.disable.is_some()) {
        let problem = format!("{path}: tags not together with enable or disable");
        return Err(Error::invalid("Invalid session configuration", vec![problem]));
    }
    Ok(match (tools.enable, tools.disable, tools.tags) {
        (Some(names), ..) => Some(ToolRule::Enable(names)),
        (_, Some(names), _) => Some(ToolRule::Disable(names)),
        (_, _, Some(names)) => Some(ToolRule::Tags(filter(names)?)),
        _ => None,
    })
}

fn manage_connections(now: &mut ManageConnections, body: ManageConnectionsBody) {
    now.enable = body.enable.unwrap_or(now.enable);
    if let Some(url) = body.callback_url {
        now.callback_url = url.filter(|url| !url.is_empty());
    }
    now.enable_wait_for_connections =
        body.enable_wait_for_connections.unwrap_or(now.enable_wait_for_connections);
    now.enable_connection_removal =
        body.enable_connection_removal.unwrap_or(now.enable_connection_removal);
}

fn workbench(now: &mut Workbench, body: WorkbenchBody) -> Result<()> {
    let wrong = |problem: &str| {
        Err(Error::invalid("Invalid session configuration", vec![problem.to_owned()]))
    };
    now.enable = body.enable.unwrap_or(now.enable);
    now.enable_tool_execution = body.enable_tool_execution.unwrap_or(now.enable_tool_execution);
    now.enable_proxy_execution = body.enable_proxy_execution.unwrap_or(now.enable_proxy_execution);
    if let Some(threshold) = body.auto_offload_threshold {
        if !(1.0..=1e12).contains(&threshold) {
            return wrong("workbench.auto_offload_threshold: must be a positive number");
        }
        now.auto_offload_threshold = Some(threshold as u64);
    }
    if let Some(size) = body.sandbox_size {
        if !["standard", "medium", "large", "xlarge"].contains(&size.as_str()) {
            return wrong("workbench.sandbox_size: must be standard, medium, large or xlarge");
        }
        now.sandbox_size = Some(size);
    }
    Ok(())
}

impl ConfigBody {
    /// Puts what was sent over a configuration; null takes a part back to its default.
    ///
    /// # Errors
    /// 400 for what contradicts itself, 501 for protections that this server does not have.
    pub fn apply(self, mut config: SessionConfig) -> Result<SessionConfig> {
        if self.instant.is_some_and(|instant| instant.is_object() || instant == true) {
            return Err(unavailable("accounts of a hosted service (instant)"));
        }
        if self
            .hooks
            .is_some_and(|hooks| hooks.as_array().is_none_or(|h| !h.is_empty()) && !hooks.is_null())
        {
            return Err(unavailable("hooks on tool calls"));
        }
        if let Some(toolkits) = self.toolkits {
            config.toolkits = toolkits.map(|t| choice("toolkits", t)).transpose()?.flatten();
        }
        if let Some(tools) = self.tools {
            config.tools.clear();
            for (toolkit, tools) in tools.unwrap_or_default() {
                if let Some(rule) = rule(&toolkit, tools)? {
                    config.tools.insert(toolkit, rule);
                }
            }
        }
        if let Some(tags) = self.tags {
            config.tags = tags.map(filter).transpose()?;
        }
        if let Some(auth_configs) = self.auth_configs {
            config.auth_configs = auth_configs.unwrap_or_default();
        }
        if let Some(accounts) = self.connected_accounts {
            let accounts = accounts.unwrap_or_default().into_iter();
            config.connected_accounts = accounts.map(|(t, ids)| (t, ids.many())).collect();
        }
        match self.manage_connections {
            Some(Some(body)) => manage_connections(&mut config.manage_connections, body),
            Some(None) => config.manage_connections = ManageConnections::default(),
            None => {}
        }
        match self.workbench {
            Some(Some(body)) => workbench(&mut config.workbench, body)?,
            Some(None) => config.workbench = Workbench::default(),
            None => {}
        }
        if let Some(multi) = self.multi_account {
            config.multi_account = multi.map(|multi| MultiAccount {
                enable: multi.enable,
                max_accounts_per_toolkit: multi.max_accounts_per_toolkit,
                require_explicit_selection: multi.require_explicit_selection,
            });
        }
        if let Some(proxy) = self.proxy_execute {
            config.proxy_execute = proxy.map(|proxy| proxy.enable);
        }
        if let Some(preload) = self.preload {
            config.preload = match preload.map(|preload| preload.tools) {
                None => Preload::default(),
                Some(OneOrMany::One(word)) if word == "all" => Preload::All,
                Some(OneOrMany::One(_)) => {
                    let problem = "preload.tools: a list of tool slugs, or \"all\"".to_owned();
                    return Err(Error::invalid("Invalid session configuration", vec![problem]));
                }
                Some(OneOrMany::Many(tools)) => Preload::Tools(tools),
            };
        }
        if let Some(search) = self.search {
            config.enable_search = search.and_then(|s| s.enable).unwrap_or(true);
        }
        if let Some(execute) = self.execute {
            config.enable_multi_execute =
                execute.and_then(|e| e.enable_multi_execute).unwrap_or(true);
        }
        if let Some(experimental) = self.experimental {
            experimental.apply(&mut config)?;
        }
        Ok(config)
    }
}

impl ExperimentalBody {
    fn apply(self, config: &mut SessionConfig) -> Result<()> {
        let lenient = |p: &Value| {
            p.is_null() || (p["default"] == "allow_all" && p.get("overrides").is_none())
        };
        if self.permissions.is_some_and(|permissions| !lenient(&permissions)) {
            return Err(unavailable("permissions per tool (experimental.permissions)"));
        }
        if let Some(prompt) = self.assistive_prompt_config {
            config.user_timezone = prompt.user_timezone.filter(|zone| !zone.is_empty());
        }
        if let Some(url) = self.link_url_overwrite {
            config.link_url_overwrite = Some(url).filter(|url| !url.is_empty());
        }
        Ok(())
    }
}
