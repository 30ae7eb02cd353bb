//! `oauth2` of a scheme.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::SigningAlg;

/// OAuth 2.0 of one provider.
///
/// Texts of `params` and `headers` are templates. They see `conn` (fields that are not secret,
/// and captured values) and `oauth` (the values of the flow); those of requests that the server
/// sends itself see `cred` (all fields) as well. A parameter replaces the standard one of its
/// name; one that comes out empty is left out.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OAuth2 {
    /// How access is granted.
    #[serde(default)]
    pub grant: Grant,
    /// Who gives the client of a `client_credentials` grant.
    #[serde(default)]
    pub client_from: ClientFrom,
    /// Authorization endpoint; needed for `authorization_code`.
    #[serde(default)]
    pub authorize: Authorize,
    /// Token endpoint.
    pub token: TokenEndpoint,
    /// Second token request, right after a code was exchanged: a short-lived token for a
    /// long-lived one.
    #[serde(default)]
    pub upgrade: Option<Upgrade>,
    /// Refresh; absent fields fall back to the token endpoint's.
    #[serde(default)]
    pub refresh: Refresh,
    /// Revocation endpoint as RFC 7009 has it; the short form of `revoke`.
    #[serde(default)]
    pub revoke_url: Option<String>,
    /// Revocation.
    #[serde(default)]
    pub revoke: Option<Revoke>,
    /// How token answers are read.
    #[serde(default)]
    pub response: TokenResponse,
    /// What the browser brings back besides `state`.
    #[serde(default)]
    pub callback: Callback,
    /// Scopes asked for when the auth config names none.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// User scopes asked for when the auth config names none; needs `authorize.user_scope_param`.
    #[serde(default)]
    pub user_scopes: Vec<String>,
    /// Scopes that a person can choose from; informational.
    #[serde(default)]
    pub available_scopes: Vec<String>,
}

impl OAuth2 {
    /// Whether a person has to consent in a browser.
    pub fn by_browser(&self) -> bool {
        self.grant == Grant::AuthorizationCode
    }

    /// Whether the client comes with each connection.
    pub fn client_of_connection(&self) -> bool {
        self.grant == Grant::ClientCredentials && self.client_from == ClientFrom::Connection
    }

    /// How tokens are revoked, whichever form the definition has.
    pub fn revocation(&self) -> Option<Revoke> {
        self.revoke.clone().or_else(|| self.revoke_url.clone().map(Revoke::at))
    }

    /// Names that captured values go by in templates.
    pub fn captured(&self) -> impl Iterator<Item = &String> {
        self.response.capture.keys().chain(self.callback.capture.keys())
    }

    /// Every URL of the definition, with the key it stands under.
    pub fn urls(&self) -> Vec<(&'static str, &str)> {
        let mut all = vec![("token.url", self.token.url.as_str())];
        if self.by_browser() || !self.authorize.url.is_empty() {
            all.push(("authorize.url", &self.authorize.url));
        }
        all.extend(self.upgrade.iter().map(|u| ("upgrade.url", u.url.as_str())));
        all.extend(self.refresh.url.iter().map(|u| ("refresh.url", u.as_str())));
        all.extend(self.revoke_url.iter().map(|u| ("revoke_url", u.as_str())));
        all.extend(self.revoke.iter().map(|r| ("revoke.url", r.url.as_str())));
        all
    }
}

/// How access is granted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grant {
    /// A person consents in a browser.
    #[default]
    AuthorizationCode,
    /// The client acts for itself; accounts are ACTIVE at once.
    ClientCredentials,
}

/// Who gives the client of a `client_credentials` grant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientFrom {
    /// The auth config: one client for all accounts.
    #[default]
    AuthConfig,
    /// Each connection, in its fields `client_id` and `client_secret`.
    Connection,
}

/// Authorization request.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Authorize {
    /// URL; may hold `{{ conn.<field> }}`, and a query of its own.
    pub url: String,
    /// Further query parameters (`access_type: offline`). Templates see `conn` and
    /// `oauth.{client_id, redirect_uri, scope, state}`.
    pub params: BTreeMap<String, String>,
    /// Between scopes; a space by default.
    pub scope_separator: String,
    /// Name of the scope parameter.
    pub scope_param: String,
    /// Name of the parameter that carries the user scopes, where scopes are a bot's.
    pub user_scope_param: Option<String>,
    /// Whether scopes are left out of the request: the app's settings name them.
    pub skip_scopes: bool,
    /// Name of the client's parameter.
    pub client_id_param: String,
    /// Whether the provider takes PKCE (S256).
    pub pkce: bool,
    /// What a developer has to know about the redirect URI (https only, no query, …).
    pub redirect_uri_note: Option<String>,
}

impl Default for Authorize {
    fn default() -> Self {
        Self {
            url: String::new(),
            params: BTreeMap::new(),
            scope_separator: " ".into(),
            scope_param: "scope".into(),
            user_scope_param: None,
            skip_scopes: false,
            client_id_param: "client_id".into(),
            pkce: true,
            redirect_uri_note: None,
        }
    }
}

/// Token request.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenEndpoint {
    /// URL; may hold `{{ conn.<field> }}`.
    pub url: String,
    /// Method. The parameters of a GET go in the query.
    #[serde(default)]
    pub method: TokenMethod,
    /// How the client authenticates itself.
    #[serde(default)]
    pub client_auth: ClientAuth,
    /// Where the parameters go.
    #[serde(default)]
    pub body: TokenBody,
    /// Further parameters. Templates see `conn`, `cred` and
    /// `oauth.{client_id, client_secret, redirect_uri, code, scope}`.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    /// Further headers; templates as in `params`.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Name of the client's parameter (`client_key`).
    #[serde(default = "client_id")]
    pub client_id_param: String,
    /// Name of the secret's parameter.
    #[serde(default = "client_secret")]
    pub client_secret_param: String,
    /// How the client's assertion is made, for `private_key_jwt`.
    #[serde(default)]
    pub assertion: Assertion,
}

/// Method of a token request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum TokenMethod {
    /// GET.
    Get,
    /// POST.
    #[default]
    Post,
    /// PUT.
    Put,
    /// PATCH.
    Patch,
    /// DELETE.
    Delete,
}

/// Client authentication at the token endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// `client_id` and `client_secret` among the parameters.
    #[default]
    Post,
    /// HTTP basic authentication.
    Basic,
    /// `client_id` only: a public client.
    None,
    /// An assertion signed with the client's private key (RFC 7523).
    PrivateKeyJwt,
}

/// The client's assertion, for `private_key_jwt`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Assertion {
    /// Signature algorithm.
    pub alg: SigningAlg,
    /// Audience; the token endpoint when absent.
    pub audience: Option<String>,
    /// How long it is good for.
    pub lifetime_s: u32,
}

impl Default for Assertion {
    fn default() -> Self {
        Self { alg: SigningAlg::RS256, audience: None, lifetime_s: 300 }
    }
}

/// Where the parameters of a token request go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenBody {
    /// `application/x-www-form-urlencoded`, as RFC 6749 says.
    #[default]
    Form,
    /// `application/json`.
    Json,
    /// The query.
    Query,
}

/// A second token request after the exchange; its answer is read as the first one's, and what it
/// does not have stays.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upgrade {
    /// URL.
    pub url: String,
    /// Method.
    #[serde(default)]
    pub method: TokenMethod,
    /// How the client authenticates itself.
    #[serde(default)]
    pub client_auth: ClientAuth,
    /// Where the parameters go.
    #[serde(default)]
    pub body: TokenBody,
    /// All parameters besides the client's; templates see `oauth.access_token` too.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    /// Headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

/// Refresh request.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Refresh {
    /// URL, when it is not the token endpoint.
    pub url: Option<String>,
    /// Method, when it is not the token endpoint's.
    pub method: Option<TokenMethod>,
    /// Client authentication, when it is not the token endpoint's.
    pub client_auth: Option<ClientAuth>,
    /// Where the parameters go, when not as at the token endpoint.
    pub body: Option<TokenBody>,
    /// Parameters besides the token endpoint's; templates see `oauth.{access_token,
    /// refresh_token}` too.
    pub params: BTreeMap<String, String>,
    /// Headers besides the token endpoint's.
    pub headers: BTreeMap<String, String>,
    /// What is refreshed with: the refresh token, or the access token itself.
    pub with: RefreshWith,
    /// Whether tokens of this provider cannot be refreshed at all.
    pub unsupported: bool,
    /// Whether the redirect URI that the person consented at is sent along.
    pub send_redirect_uri: bool,
    /// Whether the granted scopes are sent along.
    pub send_scope: bool,
    /// How long before its end a token is refreshed, in seconds.
    pub early_s: Option<u32>,
    /// How old a token must be to be refreshed, in seconds.
    pub min_age_s: Option<u32>,
    /// How long the provider takes a refresh token again after it was used, in seconds.
    pub reuse_window_s: Option<u32>,
}

/// What is refreshed with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefreshWith {
    /// The refresh token.
    #[default]
    RefreshToken,
    /// The access token, while it is good; the request has only the definition's parameters.
    AccessToken,
}

/// Revocation request.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revoke {
    /// URL; may hold `{{ conn.<field> }}` and `{{ oauth.client_id }}`.
    pub url: String,
    /// Method.
    #[serde(default)]
    pub method: TokenMethod,
    /// Client authentication, when it is not the token endpoint's.
    #[serde(default)]
    pub client_auth: Option<ClientAuth>,
    /// Where the parameters go.
    #[serde(default)]
    pub body: TokenBody,
    /// Parameters; `token` is the one to revoke unless it is replaced. Templates see
    /// `oauth.{token, access_token, refresh_token, client_id, client_secret}`, `cred`, `conn`.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    /// Headers; templates as in `params`.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Which token is revoked.
    #[serde(default)]
    pub token: RevokedToken,
}

impl Revoke {
    fn at(url: String) -> Self {
        Self {
            url,
            method: TokenMethod::Post,
            client_auth: None,
            body: TokenBody::Form,
            params: BTreeMap::new(),
            headers: BTreeMap::new(),
            token: RevokedToken::Both,
        }
    }
}

/// Which token is revoked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RevokedToken {
    /// The access token.
    Access,
    /// The refresh token; the access token where there is none.
    Refresh,
    /// One after the other.
    #[default]
    Both,
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
    /// Unit of the lifetime.
    pub expires_unit: TimeUnit,
    /// Whether the lifetime is the moment of the end: Unix time in `expires_unit`, or RFC 3339.
    pub expires_absolute: bool,
    /// Lifetime in seconds, assumed when the answer has none. `None`: the token does not
    /// expire.
    pub expires_default_s: Option<i64>,
    /// Pointer to the granted scopes.
    pub scope: String,
    /// An answer is an error unless this pointer holds `true`.
    pub ok: Option<String>,
    /// Pointer to the error code.
    pub error: String,
    /// Pointer to the error's text, besides the usual places.
    pub error_text: Option<String>,
    /// Error codes that mean, besides `invalid_grant`, that the grant is dead.
    pub permanent: Vec<String>,
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
            expires_unit: TimeUnit::Seconds,
            expires_absolute: false,
            expires_default_s: None,
            scope: "/scope".into(),
            ok: None,
            error: "/error".into(),
            error_text: None,
            permanent: Vec::new(),
            capture: BTreeMap::new(),
        }
    }
}

/// Unit of a time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum TimeUnit {
    /// Seconds.
    #[default]
    #[serde(rename = "s")]
    Seconds,
    /// Milliseconds.
    #[serde(rename = "ms")]
    Milliseconds,
}

/// The query that the browser comes back with.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Callback {
    /// Name of the parameter with the code.
    pub code_param: String,
    /// Values kept with the credential, visible as `conn.<name>`: name to parameter.
    pub capture: BTreeMap<String, String>,
}

impl Default for Callback {
    fn default() -> Self {
        Self { code_param: "code".into(), capture: BTreeMap::new() }
    }
}

fn client_id() -> String {
    "client_id".into()
}

fn client_secret() -> String {
    "client_secret".into()
}
