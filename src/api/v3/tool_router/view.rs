//! Sessions as callers see them.

use axum::extract::MatchedPath;
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::app::App;
use crate::domain::session::{Choice, Preload, Session, SessionConfig, TagFilter, ToolRule};
use crate::session;
use crate::session::custom::Custom;
use crate::session::prompt;
use crate::session::tools::listed;

/// Which of the two the caller speaks. They differ in a few answers only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// `/api/v3`
    V3,
    /// `/api/v3.1`
    V3_1,
}

impl Version {
    /// By the route that matched.
    pub fn of(route: &MatchedPath) -> Self {
        if route.as_str().starts_with("/api/v3/") { Self::V3 } else { Self::V3_1 }
    }
}

/// Where MCP clients reach the session.
#[derive(Debug, Serialize, ToSchema)]
struct McpAddress {
    /// Always `http`: streamable HTTP.
    r#type: &'static str,
    /// URL.
    url: String,
}

/// A session.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SessionView {
    /// Session id.
    session_id: String,
    /// Where MCP clients reach it.
    mcp: McpAddress,
    /// Slugs of the tools that it lists.
    tool_router_tools: Vec<String>,
    /// What it may see and do.
    #[schema(value_type = Object)]
    config: Value,
    /// Number of the present configuration, from 1.
    config_version: i32,
    /// What may change without notice upstream.
    #[schema(value_type = Object)]
    experimental: Value,
    /// What is worth a thought; the session can be used.
    #[schema(value_type = Vec<Object>)]
    warnings: Vec<Value>,
}

/// A configuration, in the words of answers: `enabled` and `disabled`. Clients of v3 know one
/// account for a toolkit, those of v3.1 a list.
pub(super) fn config(user_id: &str, config: &SessionConfig, version: Version) -> Value {
    let mut view = Map::new();
    view.insert("user_id".into(), user_id.into());
    if let Some(toolkits) = &config.toolkits {
        view.insert(
            "toolkits".into(),
            match toolkits {
                Choice::Enable(names) => json!({"enabled": names}),
                Choice::Disable(names) => json!({"disabled": names}),
            },
        );
    }
    view.insert("auth_configs".into(), json!(config.auth_configs));
    let accounts = match version {
        Version::V3_1 => json!(config.connected_accounts),
        Version::V3 => config
            .connected_accounts
            .iter()
            .map(|(toolkit, ids)| (toolkit.clone(), json!(ids.first())))
            .collect::<Map<_, _>>()
            .into(),
    };
    view.insert("connected_accounts".into(), accounts);
    let manage = &config.manage_connections;
    let mut connections = json!({
        "enabled": manage.enable,
        "enable_wait_for_connections": manage.enable_wait_for_connections,
        "enable_connection_removal": manage.enable_connection_removal,
    });
    if let Some(url) = &manage.callback_url {
        connections["callback_url"] = url.as_str().into();
    }
    view.insert("manage_connections".into(), connections);
    if !config.tools.is_empty() {
        let tools = config.tools.iter().map(|(toolkit, rule)| {
            let rule = match rule {
                ToolRule::Enable(names) => json!({"enabled": names}),
                ToolRule::Disable(names) => json!({"disabled": names}),
                ToolRule::Tags(filter) => json!({"tags": tags(filter)}),
            };
            (toolkit.clone(), rule)
        });
        view.insert("tools".into(), Value::Object(tools.collect()));
    }
    if let Some(filter) = &config.tags {
        view.insert("tags".into(), tags(filter));
    }
    let workbench = &config.workbench;
    let mut bench = json!({
        "enable": workbench.enable,
        "tool_execution_enabled": workbench.enable_tool_execution,
        "proxy_execution_enabled": workbench.enable_proxy_execution,
    });
    if let Some(threshold) = workbench.auto_offload_threshold {
        bench["auto_offload_threshold"] = threshold.into();
    }
    if let Some(size) = &workbench.sandbox_size {
        bench["sandbox_size"] = size.as_str().into();
    }
    view.insert("workbench".into(), bench);
    if let Some(multi) = &config.multi_account {
        view.insert("multi_account".into(), json!(multi));
    }
    if let Some(enable) = config.proxy_execute {
        view.insert("proxy_execute".into(), json!({"enable": enable}));
    }
    let preload = match &config.preload {
        Preload::All => json!("all"),
        Preload::Tools(tools) => json!(tools),
    };
    view.insert("preload".into(), json!({"tools": preload}));
    view.insert("search".into(), json!({"enable": config.enable_search}));
    view.insert("execute".into(), json!({"enable_multi_execute": config.enable_multi_execute}));
    view.insert("instant".into(), false.into());
    Value::Object(view)
}

/// What a named configuration decides, in the words of requests: `enable` and `disable`.
pub(in crate::api::v3) fn policy(config: &SessionConfig) -> Value {
    // The words in which it is stored.
    let mut view = Map::new();
    if let Some(toolkits) = &config.toolkits {
        view.insert("toolkits".into(), json!(toolkits));
    }
    if !config.tools.is_empty() {
        view.insert("tools".into(), json!(config.tools));
    }
    if let Some(tags) = &config.tags {
        view.insert("tags".into(), json!(tags));
    }
    view.into()
}

fn tags(filter: &TagFilter) -> Value {
    let mut view = Map::new();
    if let Some(names) = &filter.enable {
        view.insert("enabled".into(), json!(names));
    }
    if let Some(names) = &filter.disable {
        view.insert("disabled".into(), json!(names));
    }
    view.into()
}

/// A session, with the caller's own tools of the request or of the session.
pub(super) fn session(
    app: &App,
    session: &Session,
    custom: &Custom,
    version: Version,
) -> SessionView {
    let mut experimental = custom.view();
    experimental.insert("assistive_prompt".into(), prompt::assistive(session, custom).into());
    if let Some(id) = &session.config.source_config_id {
        experimental.insert("source_session_config".into(), json!({"id": id}));
    }
    let catalog = app.catalog(&session.project_id);
    let listed = listed(&catalog, session);
    let warnings = prompt::warnings(&listed);
    SessionView {
        session_id: session.id.to_string(),
        mcp: McpAddress { r#type: "http", url: session::mcp_url(app, &session.id) },
        tool_router_tools: listed.iter().map(|tool| tool.slug().to_owned()).collect(),
        config: config(&session.user_id, &session.config, version),
        config_version: session.config_version,
        experimental: experimental.into(),
        warnings: warnings
            .into_iter()
            .map(|(code, message)| json!({"code": code, "message": message}))
            .collect(),
    }
}
