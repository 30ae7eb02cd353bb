//! From what callers write to a configuration.

use serde_json::Value;

use super::body::{
    ConfigBody, ExperimentalBody, ManageConnectionsBody, MultiAccountBody, PolicyBody,
    WorkbenchBody,
};
use super::forms::{Names, OneOrMany, Tools};
use crate::domain::session::{
    Choice, ManageConnections, MultiAccount, Preload, SessionConfig, TagFilter, ToolRule, Workbench,
};
use crate::error::{Error, Result, codes};
use crate::session::custom::Given;

impl PolicyBody {
    /// As a configuration that has nothing else.
    ///
    /// # Errors
    /// As [`ConfigBody::apply`].
    pub fn config(self) -> Result<SessionConfig> {
        let body = ConfigBody {
            toolkits: Some(self.toolkits),
            tools: Some(self.tools),
            tags: Some(self.tags),
            ..ConfigBody::default()
        };
        body.apply(SessionConfig::default())
    }
}

impl ConfigBody {
    /// The named configuration to take over, and whether the request has a policy of its own.
    ///
    /// # Errors
    /// 400 when it has both: which one should count cannot be known.
    pub fn named(&self) -> Result<Option<&str>> {
        let experimental = self.experimental.as_ref().and_then(Option::as_ref);
        let Some(id) = experimental.and_then(|e| e.session_config_id.as_deref()) else {
            return Ok(None);
        };
        if self.toolkits.is_some() || self.tools.is_some() || self.tags.is_some() {
            let problem = "experimental.session_config_id: not together with toolkits, tools or \
                tags, which the named configuration sets";
            return Err(wrong(problem));
        }
        Ok(Some(id))
    }

    /// Tools of the caller's own.
    pub fn custom(&self) -> Option<Given> {
        let experimental = self.experimental.as_ref().and_then(Option::as_ref)?;
        Some(Given {
            custom_tools: experimental.custom_tools.clone(),
            custom_toolkits: experimental.custom_toolkits.clone(),
        })
    }

    /// Puts what was sent over a configuration; null takes a part back to its default.
    ///
    /// # Errors
    /// 400 for what contradicts itself, 501 for protections that this server does not have.
    pub fn apply(self, mut config: SessionConfig) -> Result<SessionConfig> {
        if self.instant.is_some_and(|instant| instant.is_object() || instant == true) {
            return Err(unavailable("accounts of a hosted service (instant)"));
        }
        if self.hooks.as_ref().is_some_and(|hooks| !is_empty(hooks)) {
            return Err(unavailable("hooks on tool calls"));
        }
        let bench = self.workbench.as_ref().and_then(Option::as_ref);
        let proxy = self.proxy_execute.as_ref().and_then(Option::as_ref);
        if proxy.is_some_and(|p| !p.enable)
            && bench.is_some_and(|b| b.enable_proxy_execution == Some(true))
        {
            return Err(wrong(
                "workbench.enable_proxy_execution: cannot be true while proxy_execute.enable is \
                 false",
            ));
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
            config.tags = tags.map(filter).transpose()?.filter(|f| *f != TagFilter::default());
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
        match self.multi_account {
            Some(Some(body)) => {
                multi_account(config.multi_account.get_or_insert_default(), body);
            }
            Some(None) => config.multi_account = None,
            None => {}
        }
        if let Some(proxy) = self.proxy_execute {
            config.proxy_execute = proxy.map(|proxy| proxy.enable);
        }
        if let Some(preload) = self.preload {
            config.preload = match preload.and_then(|preload| preload.tools) {
                None => Preload::default(),
                Some(OneOrMany::One(word)) if word == "all" => Preload::All,
                Some(OneOrMany::One(_)) => {
                    return Err(wrong("preload.tools: a list of tool slugs, or \"all\""));
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
        match self.experimental {
            Some(Some(experimental)) => experimental.apply(&mut config)?,
            Some(None) => {
                config.user_timezone = None;
                config.link_url_overwrite = None;
            }
            None => {}
        }
        Ok(config)
    }
}

impl ExperimentalBody {
    fn apply(self, config: &mut SessionConfig) -> Result<()> {
        let lenient = |p: &Value| {
            let overrides = p.get("overrides").is_none_or(is_empty);
            p.is_null() || (p["default"] == "allow_all" && overrides)
        };
        if self.permissions.is_some_and(|permissions| !lenient(&permissions)) {
            return Err(unavailable("permissions per tool (experimental.permissions)"));
        }
        if let Some(prompt) = self.assistive_prompt_config {
            match prompt.map(|prompt| prompt.user_timezone) {
                Some(Some(zone)) => config.user_timezone = zone.filter(|zone| !zone.is_empty()),
                Some(None) => {}
                None => config.user_timezone = None,
            }
        }
        if let Some(url) = self.link_url_overwrite {
            config.link_url_overwrite = url.filter(|url| !url.is_empty());
        }
        Ok(())
    }
}

fn wrong(problem: &str) -> Error {
    Error::invalid("Invalid session configuration", vec![problem.to_owned()])
}

/// A protection that was asked for must not be dropped in silence.
fn unavailable(what: &str) -> Error {
    Error::new(codes::NOT_IMPLEMENTED, format!("This server does not have {what}"))
        .fix("Leave it out, and restrict the session with toolkits, tools and tags instead")
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

fn refuse(approval: &Option<Value>) -> Result<()> {
    if approval.as_ref().is_none_or(is_empty) {
        return Ok(());
    }
    Err(unavailable("approval of tool calls (require_approval)"))
}

fn exclusive(path: &str, first: bool, second: bool) -> Result<()> {
    if first && second {
        return Err(wrong(&format!("{path}: either enable or disable, not both")));
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
        return Err(wrong(&format!("{path}: tags not together with enable or disable")));
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
    now.enable = body.enable.unwrap_or(now.enable);
    now.enable_tool_execution = body.enable_tool_execution.unwrap_or(now.enable_tool_execution);
    now.enable_proxy_execution = body.enable_proxy_execution.unwrap_or(now.enable_proxy_execution);
    if let Some(threshold) = body.auto_offload_threshold {
        if threshold.is_some_and(|threshold| !(1.0..=1e12).contains(&threshold)) {
            return Err(wrong("workbench.auto_offload_threshold: must be a positive number"));
        }
        now.auto_offload_threshold = threshold.map(|threshold| threshold as u64);
    }
    if let Some(size) = body.sandbox_size {
        let known = ["standard", "medium", "large", "xlarge"];
        if size.as_ref().is_some_and(|size| !known.contains(&size.as_str())) {
            return Err(wrong("workbench.sandbox_size: must be standard, medium, large or xlarge"));
        }
        now.sandbox_size = size;
    }
    Ok(())
}

fn multi_account(now: &mut MultiAccount, body: MultiAccountBody) {
    now.enable = body.enable.or(now.enable);
    if let Some(most) = body.max_accounts_per_toolkit {
        now.max_accounts_per_toolkit = most;
    }
    now.require_explicit_selection =
        body.require_explicit_selection.or(now.require_explicit_selection);
}
