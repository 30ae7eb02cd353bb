//! The meta tools: what an agent is given instead of a thousand tools.
//!
//! Each is one file with its texts and schemas (`spec`) and its work (`run`). They are logged like
//! any tool, under the toolkit `composio`.

mod get_tool_schemas;
mod list_toolkits;
mod manage_connections;
mod multi_execute;
mod proxy_execute;
mod recipes;
mod search_tools;
mod wait_for_connections;

use std::sync::Arc;

use serde_json::{Map, Value};

use super::TOOLKIT;
use super::custom::Custom;
use crate::app::AppState;
use crate::domain::connection::Project;
use crate::domain::session::Session;
use crate::error::Result;
use crate::execute::{self, ExecuteOutcome, Noted};

/// What a meta tool's texts and schemas are.
#[derive(Debug)]
pub struct Spec {
    /// Slug.
    pub slug: &'static str,
    /// Display name.
    pub name: &'static str,
    /// What it does and when to use it, for a model.
    pub description: &'static str,
    /// JSON Schema of the arguments.
    pub input: Value,
    /// JSON Schema of `data`.
    pub output: Value,
    /// Behaviour tags.
    pub tags: &'static [&'static str],
}

/// A meta tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meta {
    /// `COMPOSIO_SEARCH_TOOLS`
    SearchTools,
    /// `COMPOSIO_GET_TOOL_SCHEMAS`
    GetToolSchemas,
    /// `COMPOSIO_LIST_TOOLKITS`
    ListToolkits,
    /// `COMPOSIO_MANAGE_CONNECTIONS`
    ManageConnections,
    /// `COMPOSIO_WAIT_FOR_CONNECTIONS`
    WaitForConnections,
    /// `COMPOSIO_MULTI_EXECUTE_TOOL`
    MultiExecute,
    /// `COMPOSIO_PROXY_EXECUTE`
    ProxyExecute,
    /// `COMPOSIO_UPSERT_RECIPE`
    UpsertRecipe,
    /// `COMPOSIO_GET_RECIPE`
    GetRecipe,
}

/// Whom a meta tool works for.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The server.
    pub app: &'a AppState,
    /// The session's project.
    pub project: &'a Arc<Project>,
    /// The session.
    pub session: &'a Arc<Session>,
    /// Tools of the caller's own, which it can find and describe but not execute.
    pub custom: &'a Custom,
}

/// What a meta tool gives: its data, and why it failed when it did.
pub type Answer = (Map<String, Value>, Option<String>);

impl Meta {
    /// All of them, in the order of lists.
    pub const ALL: &'static [Self] = &[
        Self::SearchTools,
        Self::GetToolSchemas,
        Self::ListToolkits,
        Self::ManageConnections,
        Self::WaitForConnections,
        Self::MultiExecute,
        Self::ProxyExecute,
        Self::UpsertRecipe,
        Self::GetRecipe,
    ];

    /// The meta tool of a slug.
    pub fn of(slug: &str) -> Option<Self> {
        let slug = match slug {
            // Names that it had in between.
            "COMPOSIO_CREATE_RECIPE" | "COMPOSIO_UPDATE_RECIPE" => "COMPOSIO_UPSERT_RECIPE",
            slug => slug,
        };
        Self::ALL.iter().copied().find(|meta| meta.slug() == slug)
    }

    /// Its slug.
    pub fn slug(self) -> &'static str {
        self.spec().slug
    }

    /// Its texts and schemas.
    pub fn spec(self) -> &'static Spec {
        match self {
            Self::SearchTools => search_tools::spec(),
            Self::GetToolSchemas => get_tool_schemas::spec(),
            Self::ListToolkits => list_toolkits::spec(),
            Self::ManageConnections => manage_connections::spec(),
            Self::WaitForConnections => wait_for_connections::spec(),
            Self::MultiExecute => multi_execute::spec(),
            Self::ProxyExecute => proxy_execute::spec(),
            Self::UpsertRecipe => recipes::upsert_spec(),
            Self::GetRecipe => recipes::get_spec(),
        }
    }

    /// Whether the session has it.
    pub fn is_offered(self, session: &Session) -> bool {
        let config = &session.config;
        match self {
            Self::SearchTools | Self::GetToolSchemas | Self::ListToolkits => config.enable_search,
            Self::ManageConnections => config.manage_connections.enable,
            Self::WaitForConnections => {
                config.manage_connections.enable
                    && config.manage_connections.enable_wait_for_connections
            }
            Self::MultiExecute => config.enable_multi_execute,
            Self::ProxyExecute => config.proxy_execute == Some(true),
            Self::UpsertRecipe | Self::GetRecipe => {
                config.enable_search && config.enable_multi_execute
            }
        }
    }

    /// Executes it and logs that.
    ///
    /// # Errors
    /// What is wrong with the call.
    pub async fn execute(
        self,
        context: &Context<'_>,
        arguments: Map<String, Value>,
    ) -> Result<ExecuteOutcome> {
        if !self.is_offered(context.session) {
            return Err(super::tools::not_offered(self.slug()));
        }
        let call = Noted {
            tool_slug: self.slug(),
            toolkit_slug: TOOLKIT,
            user_id: &context.session.user_id,
            arguments: arguments.clone(),
        };
        execute::noted(context.app, context.project, call, self.run(context, arguments)).await
    }

    async fn run(self, context: &Context<'_>, arguments: Map<String, Value>) -> Result<Answer> {
        // On the heap: the largest of them would be the size of all.
        match self {
            Self::SearchTools => Box::pin(search_tools::run(context, arguments)).await,
            Self::GetToolSchemas => get_tool_schemas::run(context, arguments),
            Self::ListToolkits => Box::pin(list_toolkits::run(context, arguments)).await,
            Self::ManageConnections => Box::pin(manage_connections::run(context, arguments)).await,
            Self::WaitForConnections => {
                Box::pin(wait_for_connections::run(context, arguments)).await
            }
            Self::MultiExecute => Box::pin(multi_execute::run(context, arguments)).await,
            Self::ProxyExecute => Box::pin(proxy_execute::run(context, arguments)).await,
            Self::UpsertRecipe => Box::pin(recipes::upsert(context, arguments)).await,
            Self::GetRecipe => Box::pin(recipes::get(context, arguments)).await,
        }
    }
}

/// Reads the arguments of a meta tool.
///
/// # Errors
/// 400 that names what is wrong.
fn read<T: serde::de::DeserializeOwned>(meta: &str, arguments: Map<String, Value>) -> Result<T> {
    serde_path_to_error::deserialize(Value::Object(arguments)).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        let problem = if path == "." { inner.to_string() } else { format!("{path}: {inner}") };
        crate::error::Error::invalid(format!("Invalid arguments for {meta}"), vec![problem])
            .fix("Correct the arguments as the tool's input schema says and call again")
    })
}
