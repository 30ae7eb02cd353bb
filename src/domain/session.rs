//! A session of an agent: whose it is, and what it may see and do.
//!
//! The types are stored as they are written here. What callers send and get is near to it but
//! differs between the API's versions; `session::config` translates.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::id::{ProjectId, SessionId};

/// A session.
#[derive(Debug, Clone)]
pub struct Session {
    /// Its project.
    pub project_id: ProjectId,
    /// Its id.
    pub id: SessionId,
    /// The developer's own id of the user.
    pub user_id: String,
    /// What it may see and do.
    pub config: SessionConfig,
    /// Number of the present configuration, from 1.
    pub config_version: i32,
    /// Tools that the caller's own process runs, as they came with the session; null: none.
    pub custom_tools: Value,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// Either these and no others, or all but these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// These and no others.
    Enable(BTreeSet<String>),
    /// All but these.
    Disable(BTreeSet<String>),
}

impl Choice {
    /// Whether it lets a name through.
    pub fn allows(&self, name: &str) -> bool {
        match self {
            Self::Enable(names) => names.contains(name),
            Self::Disable(names) => !names.contains(name),
        }
    }
}

/// Tools by their behaviour.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TagFilter {
    /// A tool must have one of them; none: any tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable: Option<BTreeSet<String>>,
    /// A tool must have none of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disable: Option<BTreeSet<String>>,
}

impl TagFilter {
    /// Whether a tool with these tags passes.
    pub fn allows(&self, tags: &[String]) -> bool {
        let has = |set: &BTreeSet<String>| tags.iter().any(|tag| set.contains(tag));
        self.enable.as_ref().is_none_or(has) && !self.disable.as_ref().is_some_and(has)
    }
}

/// Which tools of one toolkit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolRule {
    /// These and no others.
    Enable(BTreeSet<String>),
    /// All but these.
    Disable(BTreeSet<String>),
    /// Those with the right tags, instead of the session's own filter.
    Tags(TagFilter),
}

/// How the agent connects accounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ManageConnections {
    /// Whether the agent is given the tool for it.
    pub enable: bool,
    /// Where the browser goes in the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback_url: Option<String>,
    /// Whether the agent is given the tool that waits for the person.
    pub enable_wait_for_connections: bool,
    /// Whether the agent may delete accounts.
    pub enable_connection_removal: bool,
}

impl Default for ManageConnections {
    fn default() -> Self {
        Self {
            enable: true,
            callback_url: None,
            enable_wait_for_connections: false,
            enable_connection_removal: true,
        }
    }
}

/// The sandbox, and what becomes of large results.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Workbench {
    /// Whether the session has one, where the server offers it.
    pub enable: bool,
    /// Whether code in it may execute tools.
    pub enable_tool_execution: bool,
    /// Whether code in it may send requests of its own.
    pub enable_proxy_execution: bool,
    /// Characters from which a result is stored and shown in part; none: the server's setting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_offload_threshold: Option<u64>,
    /// Size of the sandbox.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox_size: Option<String>,
}

impl Default for Workbench {
    fn default() -> Self {
        Self {
            enable: true,
            enable_tool_execution: true,
            enable_proxy_execution: true,
            auto_offload_threshold: None,
            sandbox_size: None,
        }
    }
}

/// Several accounts of one toolkit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MultiAccount {
    /// Whether the session may use several; none: as the server does without being asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable: Option<bool>,
    /// Most accounts per toolkit, 2 to 10; none: 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_accounts_per_toolkit: Option<u8>,
    /// Whether a call must name the account when there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require_explicit_selection: Option<bool>,
}

/// Tools that are listed beside the meta tools.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preload {
    /// These.
    Tools(Vec<String>),
    /// All that the session allows.
    All,
}

impl Default for Preload {
    fn default() -> Self {
        Self::Tools(Vec::new())
    }
}

/// What a session may see and do. Toolkit slugs are lower case, tool slugs canonical.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SessionConfig {
    /// Which toolkits; none: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub toolkits: Option<Choice>,
    /// Which tools, by toolkit; a toolkit that is not here has all of them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tools: BTreeMap<String, ToolRule>,
    /// Filter by behaviour, for toolkits without a rule of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<TagFilter>,
    /// Auth config by toolkit.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub auth_configs: BTreeMap<String, String>,
    /// Accounts by toolkit, the one that is used first.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub connected_accounts: BTreeMap<String, Vec<String>>,
    /// How the agent connects accounts.
    pub manage_connections: ManageConnections,
    /// The sandbox, and large results.
    pub workbench: Workbench,
    /// Several accounts of one toolkit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub multi_account: Option<MultiAccount>,
    /// Whether the agent may send requests of its own; none: the session's API alone may.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_execute: Option<bool>,
    /// Tools that are listed beside the meta tools.
    pub preload: Preload,
    /// Whether the agent may search.
    pub enable_search: bool,
    /// Whether the agent may execute several tools at once.
    pub enable_multi_execute: bool,
    /// IANA name of the user's time zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_timezone: Option<String>,
    /// Base URL of Connect Links, instead of the server's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link_url_overwrite: Option<String>,
    /// The named configuration that was applied last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_config_id: Option<String>,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            toolkits: None,
            tools: BTreeMap::new(),
            tags: None,
            auth_configs: BTreeMap::new(),
            connected_accounts: BTreeMap::new(),
            manage_connections: ManageConnections::default(),
            workbench: Workbench::default(),
            multi_account: None,
            proxy_execute: None,
            preload: Preload::default(),
            enable_search: true,
            enable_multi_execute: true,
            user_timezone: None,
            link_url_overwrite: None,
            source_config_id: None,
        }
    }
}

impl SessionConfig {
    /// Whether a toolkit can be seen at all.
    pub fn allows_toolkit(&self, slug: &str) -> bool {
        self.toolkits.as_ref().is_none_or(|choice| choice.allows(slug))
    }

    /// Whether a tool can be found, listed and executed. A list of tools is a decision about each
    /// of them, so it goes before any filter by behaviour; a toolkit's own filter goes before
    /// the session's.
    pub fn allows_tool(&self, toolkit: &str, slug: &str, tags: &[String]) -> bool {
        if !self.allows_toolkit(toolkit) {
            return false;
        }
        match self.tools.get(toolkit) {
            Some(ToolRule::Enable(names)) => names.contains(slug),
            Some(ToolRule::Disable(names)) => !names.contains(slug),
            Some(ToolRule::Tags(filter)) => filter.allows(tags),
            None => self.tags.as_ref().is_none_or(|filter| filter.allows(tags)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|n| (*n).to_owned()).collect()
    }

    #[test]
    fn a_list_of_tools_goes_before_tags_and_a_toolkits_tags_before_the_sessions() {
        let tags = |enable: &[&str]| TagFilter { enable: Some(set(enable)), disable: None };
        let config = SessionConfig {
            toolkits: Some(Choice::Disable(set(&["jira"]))),
            tools: BTreeMap::from([
                ("gmail".to_owned(), ToolRule::Enable(set(&["GMAIL_SEND_EMAIL"]))),
                ("slack".to_owned(), ToolRule::Disable(set(&["SLACK_DELETE_MESSAGE"]))),
                ("github".to_owned(), ToolRule::Tags(tags(&["destructiveHint"]))),
            ]),
            tags: Some(tags(&["readOnlyHint"])),
            ..SessionConfig::default()
        };
        let (read, write) = (["readOnlyHint".to_owned()], ["destructiveHint".to_owned()]);
        assert!(config.allows_tool("gmail", "GMAIL_SEND_EMAIL", &write));
        assert!(!config.allows_tool("gmail", "GMAIL_FETCH_EMAILS", &read));
        assert!(config.allows_tool("slack", "SLACK_SEND_MESSAGE", &write));
        assert!(!config.allows_tool("slack", "SLACK_DELETE_MESSAGE", &write));
        assert!(config.allows_tool("github", "GITHUB_DELETE_A_REPOSITORY", &write));
        assert!(!config.allows_tool("github", "GITHUB_GET_A_REPOSITORY", &read));
        assert!(config.allows_tool("linear", "LINEAR_LIST", &read));
        assert!(!config.allows_tool("linear", "LINEAR_DELETE", &write));
        assert!(!config.allows_tool("jira", "JIRA_LIST", &read));
    }

    #[test]
    fn what_is_stored_is_read_back() {
        let config = SessionConfig {
            toolkits: Some(Choice::Enable(set(&["gmail"]))),
            preload: Preload::All,
            ..SessionConfig::default()
        };
        let stored = serde_json::to_value(&config).unwrap();
        assert_eq!(stored["toolkits"], serde_json::json!({"enable": ["gmail"]}));
        assert_eq!(serde_json::from_value::<SessionConfig>(stored).unwrap(), config);
        let empty = serde_json::from_value::<SessionConfig>(serde_json::json!({})).unwrap();
        assert_eq!(empty, SessionConfig::default());
    }
}
