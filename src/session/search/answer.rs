//! What a search answers, in the form that SDKs parse.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// The answer to all use cases of a search.
#[derive(Debug, Serialize, ToSchema)]
pub struct SearchAnswer {
    /// Whether any use case found a tool.
    pub success: bool,
    /// Why not.
    pub error: Option<String>,
    /// One for each use case, in order.
    pub results: Vec<SearchResult>,
    /// Tools of the results by slug: with their schema, or with where to get it.
    #[schema(value_type = Object)]
    pub tool_schemas: BTreeMap<String, ToolSchema>,
    /// The accounts that the user has for the toolkits of the results.
    pub toolkit_connection_statuses: Vec<ConnectionStatus>,
    /// What to do now, in order.
    pub next_steps_guidance: Vec<String>,
    /// The task that the calls belong to.
    pub session: TaskSession,
    /// What time it is.
    pub time_info: TimeInfo,
}

/// What was found for a use case.
#[derive(Debug, Serialize, ToSchema)]
pub struct SearchResult {
    /// Its place, from 1.
    pub index: usize,
    /// As it was asked.
    pub use_case: String,
    /// Tools that do it, best first.
    pub primary_tool_slugs: Vec<String>,
    /// Tools that are needed before, could take their place, or are usual afterwards.
    pub related_tool_slugs: Vec<String>,
    /// Toolkits of the main tools.
    pub toolkits: Vec<String>,
    /// `easy`, `medium` or `hard`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub difficulty: Option<&'static str>,
    /// Why nothing was found.
    pub error: Option<String>,
    /// How to go about it, in short.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execution_guidance: Option<String>,
    /// What goes wrong with these tools.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub known_pitfalls: Vec<String>,
    /// What was noted in this session, by toolkit.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub memory: BTreeMap<String, Vec<String>>,
    /// What to do, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub recommended_plan_steps: Vec<String>,
}

/// A tool of the results.
#[derive(Debug, Serialize, ToSchema)]
pub struct ToolSchema {
    /// Slug.
    pub tool_slug: String,
    /// Its toolkit.
    pub toolkit: String,
    /// What it does.
    pub description: String,
    /// Whether `input_schema` is here.
    #[serde(rename = "hasFullSchema")]
    pub has_full_schema: bool,
    /// JSON Schema of its arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub input_schema: Option<Value>,
    /// How to get the schema.
    #[serde(rename = "schemaRef", skip_serializing_if = "Option::is_none")]
    pub schema_ref: Option<SchemaRef>,
}

/// A call that gives a schema.
#[derive(Debug, Serialize, ToSchema)]
pub struct SchemaRef {
    /// Always `COMPOSIO_GET_TOOL_SCHEMAS`.
    pub tool: &'static str,
    /// Its arguments.
    pub args: SchemaRefArgs,
    /// When to call it.
    pub message: &'static str,
}

/// Arguments of the call that gives a schema.
#[derive(Debug, Serialize, ToSchema)]
pub struct SchemaRefArgs {
    /// The tool.
    pub tool_slugs: Vec<String>,
}

/// The accounts of a toolkit that the session's user has.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConnectionStatus {
    /// Slug.
    pub toolkit: String,
    /// What the toolkit is.
    pub description: String,
    /// Whether its tools can be executed now.
    pub has_active_connection: bool,
    /// What to do about the connection.
    pub status_message: String,
    /// Its accounts, the one that is used first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<ConnectedStatus>,
    /// `required` when a call has to name the account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_selection: Option<&'static str>,
    /// About the account that is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub connection_details: Option<Map<String, Value>>,
    /// Whose account at the provider that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub current_user_info: Option<Map<String, Value>>,
}

/// An account.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConnectedStatus {
    /// Id.
    pub id: String,
    /// The developer's own name of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// State.
    pub status: &'static str,
    /// Whether it is used when a call names none.
    pub is_default: bool,
    /// When it was made.
    pub created_at: String,
    /// `PRIVATE` or `SHARED`.
    pub account_type: &'static str,
    /// Whose account at the provider it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub user_info: Option<Map<String, Value>>,
}

/// The task that several calls belong to.
#[derive(Debug, Serialize, ToSchema)]
pub struct TaskSession {
    /// Its id.
    pub id: String,
    /// Whether the id is a new one.
    pub generate_id: bool,
    /// What to do with it.
    pub instructions: String,
}

/// What time it is.
#[derive(Debug, Serialize, ToSchema)]
pub struct TimeInfo {
    /// ISO 8601, UTC.
    pub current_time_utc: String,
    /// Seconds since 1970.
    pub current_time_utc_epoch_seconds: i64,
    /// The same in words, and the user's time zone.
    pub message: String,
}
