//! What callers hand in and get back.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::domain::scheme::AuthSchemeKind;
use crate::storage::link::Link;

/// One call of `tools/execute`.
#[derive(Debug, Clone, Default)]
pub struct ExecuteRequest {
    /// Tool slug or alias.
    pub tool_slug: String,
    /// Arguments as they came.
    pub arguments: Map<String, Value>,
    /// The account to use.
    pub connected_account_id: Option<String>,
    /// The user whose account is used.
    pub user_id: Option<String>,
    /// Version; unset, `00000000_00` and `latest` mean the newest.
    pub version: Option<String>,
    /// `custom_auth_params`
    pub custom_auth_params: Option<CustomAuthParams>,
    /// `custom_connection_data`
    pub custom_connection_data: Option<CustomConnectionData>,
}

/// Credentials of the caller's own, instead of an account's.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct CustomAuthParams {
    /// Another root.
    pub base_url: Option<String>,
    /// Headers and query parameters.
    pub parameters: Vec<CustomAuthParam>,
    /// Body keys.
    pub body: Option<Map<String, Value>>,
}

/// One header or query parameter.
#[derive(Clone, Deserialize)]
pub struct CustomAuthParam {
    /// Name.
    pub name: String,
    /// `header` or `query`.
    #[serde(rename = "in")]
    pub location: String,
    /// Text or number.
    pub value: Value,
}

/// A connection state of the caller's own.
#[derive(Clone, Deserialize)]
pub struct CustomConnectionData {
    /// Scheme.
    #[serde(rename = "authScheme", alias = "auth_scheme")]
    pub auth_scheme: AuthSchemeKind,
    /// Toolkit; must be the tool's.
    #[serde(rename = "toolkitSlug", alias = "toolkit_slug")]
    pub toolkit_slug: String,
    /// Fields.
    pub val: Map<String, Value>,
}

macro_rules! opaque_debug {
    ($($name:ident),*) => {$(
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    )*};
}
opaque_debug!(CustomAuthParams, CustomAuthParam, CustomConnectionData);

/// What an execution came to.
#[derive(Debug, Clone)]
pub struct ExecuteOutcome {
    /// Always an object.
    pub data: Map<String, Value>,
    /// None on success.
    pub error: Option<String>,
    /// Outcome.
    pub successful: bool,
    /// Id of the log row.
    pub log_id: String,
}

/// One call of `tools/execute/proxy`.
#[derive(Debug, Clone, Default)]
pub struct ProxyRequest {
    /// Absolute URL or path below the toolkit's base URL.
    pub endpoint: String,
    /// GET, POST, PUT, DELETE, PATCH or HEAD.
    pub method: String,
    /// JSON body.
    pub body: Option<Value>,
    /// Bytes to send instead, with their media type.
    pub binary: Option<(Vec<u8>, String)>,
    /// Name, value; headers.
    pub headers: Vec<(String, String)>,
    /// Name, value; query.
    pub query: Vec<(String, String)>,
    /// The account to use.
    pub connected_account_id: Option<String>,
    /// Instead of an account.
    pub custom_connection_data: Option<CustomConnectionData>,
}

/// Answer of a proxy call.
#[derive(Debug, Clone)]
pub struct ProxyOutcome {
    /// The provider's status.
    pub status: u16,
    /// JSON or text.
    pub data: Value,
    /// The provider's headers, lower case.
    pub headers: Map<String, Value>,
    /// A file, when the answer is neither JSON nor text.
    pub binary: Option<(Link, String, usize)>,
}
