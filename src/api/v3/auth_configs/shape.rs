//! Auth configs as answers show them.

use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::app::App;
use crate::catalog::fields::{FieldSpec, connect_fields};
use crate::connect::mask::masked;
use crate::connect::{scheme, toolkit};
use crate::domain::connection::{AuthConfig, Project, SecretMap};
use crate::domain::id::uuid_of;
use crate::domain::time::iso;

/// Toolkit of an auth config.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuthConfigToolkit)]
pub struct ToolkitInfo {
    /// Toolkit.
    slug: String,
    /// URL of its logo.
    logo: String,
}

/// Which tools an auth config is for.
#[derive(Debug, Serialize, ToSchema)]
pub struct ToolAccessInfo {
    /// Tools whose scopes are asked for.
    tools_for_connected_account_creation: Vec<String>,
    /// Tools that may be executed; empty: all.
    tools_available_for_execution: Vec<String>,
}

/// A field that a person fills in when connecting.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct InputField {
    /// Name in `connection.state.val`.
    name: String,
    /// Label.
    #[serde(rename = "displayName")]
    display_name: String,
    /// Help text.
    description: String,
    /// Always `string`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// Whether it must be given.
    required: bool,
    /// Whether it is a secret.
    is_secret: bool,
    /// Value when none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    default: Option<String>,
}

/// Kept for older clients.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeprecatedParams {
    /// Always null.
    default_connector_id: Option<String>,
    /// Always empty.
    member_uuid: String,
    /// Toolkit.
    toolkit_id: String,
    /// As `expected_input_fields`.
    expected_input_fields: Vec<InputField>,
}

/// An auth config.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuthConfigInfo {
    /// Auth config id.
    id: String,
    /// A stable UUID-shaped form of the id.
    uuid: String,
    /// `default` with the operator's OAuth client, else `custom`.
    #[serde(rename = "type")]
    kind: &'static str,
    toolkit: ToolkitInfo,
    /// Display name.
    name: String,
    /// Scheme.
    auth_scheme: &'static str,
    /// Whether the operator gives the OAuth client.
    is_composio_managed: bool,
    /// Credentials, masked unless the project's setting says otherwise.
    #[schema(value_type = Object)]
    credentials: Map<String, Value>,
    /// `ENABLED` or `DISABLED`.
    status: &'static str,
    /// Always `api`: this server has no user accounts.
    created_by: &'static str,
    /// When it was made.
    created_at: String,
    /// When it last changed.
    last_updated_at: String,
    /// Number of ACTIVE connected accounts.
    no_of_connections: i64,
    /// Fields that a person fills in when connecting.
    expected_input_fields: Vec<InputField>,
    /// Tools that may be executed; empty: all.
    restrict_to_following_tools: Vec<String>,
    tool_access_config: ToolAccessInfo,
    /// Fields that every connected account inherits, masked as credentials are.
    #[schema(value_type = Object)]
    shared_credentials: Map<String, Value>,
    /// Always true.
    is_enabled_for_tool_router: bool,
    deprecated_params: DeprecatedParams,
}

/// A page of auth configs.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuthConfigPage {
    /// Auth configs, newest first.
    items: Vec<AuthConfigInfo>,
    /// Cursor of the next page, or null.
    next_cursor: Option<String>,
    /// Number of pages.
    total_pages: i64,
    /// This page's number, from 1.
    current_page: i64,
    /// Number of auth configs.
    total_items: i64,
}

fn input_field(field: FieldSpec) -> InputField {
    InputField {
        name: field.name,
        display_name: field.display_name,
        description: field.description,
        kind: "string",
        required: field.required,
        is_secret: field.secret,
        default: field.default,
    }
}

/// An auth config, for an answer.
pub fn info(app: &App, project: &Project, config: &AuthConfig, connections: i64) -> AuthConfigInfo {
    let toolkit = toolkit(app, &config.project_id, &config.toolkit_slug).ok();
    let scheme = toolkit.as_ref().and_then(|t| scheme(t, config.scheme).ok());
    let fields: Vec<InputField> = scheme
        .map(connect_fields)
        .unwrap_or_default()
        .into_iter()
        .filter(|f| !config.shared_credentials.0.keys().any(|n| f.is_named(n)))
        .map(input_field)
        .collect();
    let hide = project.config.mask_secret_keys_in_connected_account;
    let shown = |map: &SecretMap| {
        let mut map = if hide { masked(scheme, &map.0) } else { map.0.clone() };
        for name in ["scopes", "user_scopes"] {
            if let Some(Value::Array(list)) = map.get(name) {
                let list: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
                let text = list.join(",");
                map.insert(name.to_owned(), json!(text));
            }
        }
        map
    };
    let restrict = config.restrict_to_tools.clone().unwrap_or_default();
    AuthConfigInfo {
        id: config.id.to_string(),
        uuid: uuid_of(config.id.as_str()),
        kind: if config.is_managed { "default" } else { "custom" },
        toolkit: ToolkitInfo {
            slug: config.toolkit_slug.clone(),
            logo: toolkit.as_ref().and_then(|t| t.file.logo.clone()).unwrap_or_default(),
        },
        name: config.name.clone(),
        auth_scheme: config.scheme.as_str(),
        is_composio_managed: config.is_managed,
        credentials: shown(&config.credentials),
        status: if config.is_enabled { "ENABLED" } else { "DISABLED" },
        created_by: "api",
        created_at: iso(config.created_at),
        last_updated_at: iso(config.updated_at),
        no_of_connections: connections,
        expected_input_fields: fields.clone(),
        restrict_to_following_tools: restrict.clone(),
        tool_access_config: ToolAccessInfo {
            tools_for_connected_account_creation: config.scope_tools.clone().unwrap_or_default(),
            tools_available_for_execution: restrict,
        },
        shared_credentials: shown(&config.shared_credentials),
        is_enabled_for_tool_router: true,
        deprecated_params: DeprecatedParams {
            default_connector_id: None,
            member_uuid: String::new(),
            toolkit_id: config.toolkit_slug.clone(),
            expected_input_fields: fields,
        },
    }
}
