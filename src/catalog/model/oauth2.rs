//! `oauth2` of a scheme.

use std::collections::BTreeMap;

use serde::Deserialize;

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
