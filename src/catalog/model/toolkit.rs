//! `toolkit.yaml`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::ResponseRule;
use crate::domain::scheme::AuthSchemeKind;

/// One `toolkit.yaml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolkitFile {
    /// Version of the file format. Only `1` exists.
    pub spec: u32,
    /// Lower-case identifier, the prefix (upper-cased) of every tool slug.
    pub slug: String,
    /// Display name.
    pub name: String,
    /// What the service is, in our own words.
    pub description: String,
    /// Versions that resolve, newest first, each `YYYYMMDD_NN`.
    pub versions: Vec<String>,
    /// Category ids (`developer-tools`); the display name is derived.
    #[serde(default)]
    pub categories: Vec<String>,
    /// URL of a logo image.
    #[serde(default)]
    pub logo: Option<String>,
    /// Home page of the service.
    #[serde(default)]
    pub app_url: Option<String>,
    /// API documentation of the service; the source of the facts in the file.
    #[serde(default)]
    pub docs: Option<String>,
    /// Root of every request; may hold `{{ conn.<field> }}` templates.
    pub base_url: String,
    /// Hosts that requests with credentials may go to, besides the host of
    /// `base_url`. `*.example.com` matches any depth of subdomain.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// Headers sent with every request of the toolkit.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// How answers are read, unless the tool says otherwise.
    #[serde(default)]
    pub response: ResponseRule,
    /// Ways to authenticate, preferred first. Empty is not allowed: a toolkit
    /// without credentials lists `NO_AUTH`.
    pub auth: Vec<AuthScheme>,
}

/// One entry of `auth`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthScheme {
    /// Which scheme this is.
    pub scheme: AuthSchemeKind,
    /// Display name in `auth_config_details`; derived when absent.
    #[serde(default)]
    pub name: Option<String>,
    /// Fields the developer fills in when creating an auth config, besides the
    /// ones the scheme itself implies (client id, scopes, …).
    #[serde(default)]
    pub config_fields: Vec<Field>,
    /// Fields the end user fills in when connecting, besides the ones that the
    /// scheme itself implies. For API_KEY, BEARER_TOKEN and BASIC an entry
    /// named like an implied field (`generic_api_key`, `token`, `username`,
    /// `password`) refines its label and help.
    #[serde(default)]
    pub connect_fields: Vec<Field>,
    /// Where the credential goes in each request. Absent: the scheme's usual
    /// place (see the format reference).
    #[serde(default)]
    pub inject: Option<Inject>,
    /// OAuth 2.0 parameters; required for OAUTH2, refused elsewhere.
    #[serde(default)]
    pub oauth2: Option<OAuth2>,
}

/// A field of a form: creation of an auth config, or of a connection.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// Name on the wire and in templates (`conn.<name>` or `cred.<name>`).
    pub name: String,
    /// Label shown to a person.
    #[serde(default)]
    pub label: Option<String>,
    /// Help text shown under the field.
    #[serde(default)]
    pub description: Option<String>,
    /// Whether the form refuses an empty value.
    #[serde(default = "yes")]
    pub required: bool,
    /// Whether the value is a secret: sealed, masked, a password input.
    #[serde(default)]
    pub secret: bool,
    /// Value used when the field is left empty.
    #[serde(default)]
    pub default: Option<String>,
    /// Regular expression (anchored) that a value must match.
    #[serde(default)]
    pub pattern: Option<String>,
    /// Text that follows the value in the form, such as `.example.com`.
    #[serde(default)]
    pub suffix: Option<String>,
    /// Other names under which the value is accepted.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Closed list of values.
    #[serde(default, rename = "enum")]
    pub choices: Vec<String>,
}

/// Where credentials go. All values are templates over `cred` and `conn`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inject {
    /// Header name to template.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Query parameter to template.
    #[serde(default)]
    pub query: BTreeMap<String, String>,
    /// Top-level key of a JSON or form body to template.
    #[serde(default)]
    pub body: BTreeMap<String, String>,
    /// HTTP basic authentication.
    #[serde(default)]
    pub basic: Option<Basic>,
}

/// Templates for HTTP basic authentication.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Basic {
    /// User name template.
    pub username: String,
    /// Password template.
    #[serde(default)]
    pub password: String,
}

/// OAuth 2.0 authorization code flow of one provider.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OAuth2 {
    /// Authorization endpoint.
    pub authorize: Authorize,
    /// Token endpoint.
    pub token: TokenEndpoint,
    /// Refresh; absent fields fall back to the token endpoint's.
    #[serde(default)]
    pub refresh: Refresh,
    /// Revocation endpoint (RFC 7009 shape), when the provider has one.
    #[serde(default)]
    pub revoke_url: Option<String>,
    /// How token answers are read.
    #[serde(default)]
    pub response: TokenResponse,
    /// Scopes asked for when the auth config names none.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Scopes that a person can choose from; informational.
    #[serde(default)]
    pub available_scopes: Vec<String>,
}

/// Authorization request.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authorize {
    /// URL; may hold `{{ conn.<field> }}`.
    pub url: String,
    /// Constant query parameters (`access_type: offline`).
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    /// Between scopes; a space by default.
    #[serde(default = "space")]
    pub scope_separator: String,
    /// Name of the scope parameter.
    #[serde(default = "scope")]
    pub scope_param: String,
    /// Name of the parameter that carries the auth config's `user_scopes`.
    #[serde(default)]
    pub user_scope_param: Option<String>,
    /// Whether the provider takes PKCE (S256).
    #[serde(default = "yes")]
    pub pkce: bool,
}

/// Token request.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenEndpoint {
    /// URL; may hold `{{ conn.<field> }}`.
    pub url: String,
    /// How the client authenticates itself.
    #[serde(default)]
    pub client_auth: ClientAuth,
    /// Encoding of the request.
    #[serde(default)]
    pub body: TokenBody,
    /// Constant parameters added to the body.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    /// Constant headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

/// Client authentication at the token endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// `client_id` and `client_secret` in the body.
    #[default]
    Post,
    /// HTTP basic authentication.
    Basic,
    /// `client_id` only: a public client.
    None,
}

/// Encoding of a token request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenBody {
    /// `application/x-www-form-urlencoded`, as RFC 6749 says.
    #[default]
    Form,
    /// `application/json`.
    Json,
}

/// Refresh request.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refresh {
    /// URL, when it is not the token endpoint.
    #[serde(default)]
    pub url: Option<String>,
    /// Constant parameters added to the body.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    /// Whether tokens of this provider can be refreshed at all.
    #[serde(default)]
    pub unsupported: bool,
}

/// Where the values stand in a token answer: JSON pointers.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TokenResponse {
    /// Pointer to the access token.
    pub access_token: String,
    /// Pointer to the user's own token (Slack's `/authed_user/access_token`),
    /// used when the bot token is absent.
    pub user_access_token: Option<String>,
    /// Pointer to the refresh token.
    pub refresh_token: String,
    /// Pointer to the lifetime.
    pub expires_in: String,
    /// Lifetime in seconds, assumed when the answer has none. `None`: the token does not
    /// expire.
    pub expires_default_s: Option<i64>,
    /// Pointer to the granted scopes.
    pub scope: String,
    /// An answer is an error unless this pointer holds `true`.
    pub ok: Option<String>,
    /// Pointer to the error code.
    pub error: String,
    /// Further values kept with the credential: name to pointer.
    pub capture: BTreeMap<String, String>,
}

impl Default for TokenResponse {
    fn default() -> Self {
        Self {
            access_token: "/access_token".into(),
            user_access_token: None,
            refresh_token: "/refresh_token".into(),
            expires_in: "/expires_in".into(),
            expires_default_s: None,
            scope: "/scope".into(),
            ok: None,
            error: "/error".into(),
            capture: BTreeMap::new(),
        }
    }
}

fn yes() -> bool {
    true
}

fn space() -> String {
    " ".into()
}

fn scope() -> String {
    "scope".into()
}
