//! The declarative toolkit format, as the YAML files spell it.
//!
//! These types are what `toolkits/<slug>/toolkit.yaml` and
//! `toolkits/<slug>/tools/*.yaml` deserialize into, field by field, with
//! unknown fields refused. The prose reference is `docs/TOOLKIT-FORMAT.md`; the
//! machine-readable one is `config/toolkit.schema.json`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

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

/// One `tools/*.yaml`: a list of tools.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolsFile {
    /// The tools of the file, in the order in which lists show them.
    pub tools: Vec<Tool>,
}

/// One tool.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tool {
    /// `TOOLKIT_VERB_OBJECT`, at most 64 characters.
    pub slug: String,
    /// Other slugs that mean this tool.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Short human name.
    pub name: String,
    /// What it does and when to use it, for a model.
    pub description: String,
    /// Free tags for filters; `important` marks the default set.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Behaviour hints.
    pub hints: Hints,
    /// Sets of scopes, any one of which suffices.
    #[serde(default)]
    pub scopes: Vec<Vec<String>>,
    /// Deprecation note; the tool still works.
    #[serde(default)]
    pub deprecated: Option<String>,
    /// Arguments, in the order in which the schema shows them.
    #[serde(default)]
    pub params: ParamList,
    /// The one request of the tool. Exactly one of `request`, `steps` and
    /// `builtin` is there.
    #[serde(default)]
    pub request: Option<Request>,
    /// Several requests, in order.
    #[serde(default)]
    pub steps: Vec<Step>,
    /// Shape of the result of `steps`: a template tree.
    #[serde(default)]
    pub result: Option<Value>,
    /// Name of a function of the server, for tools that call nobody.
    #[serde(default)]
    pub builtin: Option<String>,
    /// How the answer is read.
    #[serde(default)]
    pub response: ResponseRule,
}

/// Arguments by name, kept in file order.
pub type ParamList = Map2<Param>;

/// An insertion-ordered map from name to `T`.
#[derive(Debug, Clone)]
pub struct Map2<T>(pub Vec<(String, T)>);

impl<T> Default for Map2<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Map2<T> {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Visitor<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> serde::de::Visitor<'de> for Visitor<T> {
            type Value = Map2<T>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a mapping")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Self::Value, A::Error> {
                let mut entries: Vec<(String, T)> = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, T>()? {
                    if entries.iter().any(|(known, _)| *known == name) {
                        return Err(serde::de::Error::custom(format!("`{name}` appears twice")));
                    }
                    entries.push((name, value));
                }
                Ok(Map2(entries))
            }
        }
        d.deserialize_map(Visitor(std::marker::PhantomData))
    }
}

/// Behaviour hints, shown as tags and MCP annotations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Hints {
    /// Changes nothing at the provider.
    pub read_only: bool,
    /// May destroy or overwrite something.
    pub destructive: bool,
    /// Repeating the call changes nothing further.
    pub idempotent: bool,
    /// Creates something.
    pub create: bool,
    /// Updates something.
    pub update: bool,
}

/// One argument: where it goes, and its JSON Schema.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Param {
    /// Where it goes. Absent: `path` when the path names it, else `query` for
    /// GET, HEAD and DELETE, else `body`; `arg` when the tool has `steps`,
    /// `builtin` or a request with its own `json`, `raw` or `graphql`.
    #[serde(default, rename = "in")]
    pub location: Option<Location>,
    /// Name on the wire, when it is not the argument's.
    #[serde(default)]
    pub wire: Option<String>,
    /// JSON pointer into the body, when the argument is not a top-level key.
    #[serde(default)]
    pub at: Option<String>,
    /// How an array is written in a query.
    #[serde(default)]
    pub style: ArrayStyle,
    /// Other names under which the argument is accepted.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Whether the argument must be there.
    #[serde(default)]
    pub required: bool,
    /// Sent as `default` but not shown to the model.
    #[serde(default)]
    pub hidden: bool,
    /// The schema.
    #[serde(flatten)]
    pub schema: Schema,
}

/// The part of JSON Schema that every model provider understands.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schema {
    /// `string`, `integer`, `number`, `boolean`, `array` or `object`.
    #[serde(rename = "type")]
    pub kind: SchemaType,
    /// What the value means, for a model.
    #[serde(default)]
    pub description: Option<String>,
    /// Display name; derived from the argument's name when absent.
    #[serde(default)]
    pub title: Option<String>,
    /// Example values.
    #[serde(default)]
    pub examples: Vec<Value>,
    /// Value used when the argument is absent.
    #[serde(default)]
    pub default: Option<Value>,
    /// Closed list of values.
    #[serde(default, rename = "enum")]
    pub choices: Vec<Value>,
    /// Whether `null` is accepted (and means absent).
    #[serde(default)]
    pub nullable: bool,
    /// `date-time`, `email`, `uri`, …
    #[serde(default)]
    pub format: Option<String>,
    /// Anchored regular expression.
    #[serde(default)]
    pub pattern: Option<String>,
    /// Smallest number.
    #[serde(default)]
    pub minimum: Option<f64>,
    /// Largest number.
    #[serde(default)]
    pub maximum: Option<f64>,
    /// Shortest string.
    #[serde(default)]
    pub min_length: Option<u64>,
    /// Longest string.
    #[serde(default)]
    pub max_length: Option<u64>,
    /// Fewest items.
    #[serde(default)]
    pub min_items: Option<u64>,
    /// Most items.
    #[serde(default)]
    pub max_items: Option<u64>,
    /// Schema of the items; required for arrays.
    #[serde(default)]
    pub items: Option<Box<Schema>>,
    /// Properties of an object.
    #[serde(default)]
    pub properties: Map2<Schema>,
    /// Which of `properties` must be there.
    #[serde(default, rename = "required_properties")]
    pub required_properties: Vec<String>,
    /// Whether an object may have other properties.
    #[serde(default)]
    pub additional_properties: Option<bool>,
}

/// A JSON type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SchemaType {
    /// Text.
    String,
    /// Whole number.
    Integer,
    /// Any number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// List.
    Array,
    /// Mapping.
    Object,
}

/// Where an argument goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Location {
    /// A `{placeholder}` of the path.
    Path,
    /// The query string.
    Query,
    /// A request header.
    Header,
    /// The request body.
    Body,
    /// Nowhere by itself: only templates use it.
    Arg,
}

/// How an array is written in a query string.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ArrayStyle {
    /// `a=1&a=2`
    #[default]
    Repeat,
    /// `a=1,2`
    Csv,
    /// `a[]=1&a[]=2`
    Brackets,
    /// `a=["1","2"]`
    Json,
}

/// One HTTP request.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// HTTP method.
    pub method: Method,
    /// Path below the base URL. `{name}` is replaced by one percent-encoded
    /// segment, `{name*}` keeps slashes.
    pub path: String,
    /// Another root than the toolkit's, on one of its hosts.
    #[serde(default)]
    pub base_url: Option<String>,
    /// Headers: templates.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Query: a template tree; arrays repeat, none is left out.
    #[serde(default)]
    pub query: Map<String, Value>,
    /// Encoding of the body made of the arguments, or of `json`.
    #[serde(default)]
    pub body: BodyKind,
    /// Body as a template tree, instead of the arguments in `body`.
    #[serde(default)]
    pub json: Option<Value>,
    /// Body as one template, sent as it is.
    #[serde(default)]
    pub raw: Option<RawBody>,
    /// A GraphQL operation.
    #[serde(default)]
    pub graphql: Option<GraphQl>,
    /// Total time allowed, in seconds; the server's limit when absent.
    #[serde(default)]
    pub timeout_s: Option<u64>,
}

/// A body that is text rather than JSON.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawBody {
    /// Its `Content-Type`.
    pub content_type: String,
    /// Its text: a template.
    pub text: String,
}

/// A GraphQL operation; sent as `{"query", "variables"}`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GraphQl {
    /// The document, without templates.
    pub query: String,
    /// Variables: a template tree.
    #[serde(default)]
    pub variables: Map<String, Value>,
}

/// Encoding of a request body.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BodyKind {
    /// `application/json`
    #[default]
    Json,
    /// `application/x-www-form-urlencoded`, nested keys in brackets.
    Form,
    /// `multipart/form-data`
    Multipart,
}

/// HTTP method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// GET
    Get,
    /// POST
    Post,
    /// PUT
    Put,
    /// PATCH
    Patch,
    /// DELETE
    Delete,
    /// HEAD
    Head,
}

/// One of several requests of a tool.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Name under which later templates see the answer.
    pub id: String,
    /// Expression: the step is left out when it is false.
    #[serde(default)]
    pub when: Option<String>,
    /// Expression that gives a list: one request per element, which templates
    /// see as `item`; the answer is then the list of answers, in order.
    #[serde(default)]
    pub for_each: Option<String>,
    /// The request. Its arguments go nowhere by themselves.
    pub request: Request,
    /// How the answer is read.
    #[serde(default)]
    pub response: ResponseRule,
}

/// How an answer becomes `data`, `error` and `successful`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ResponseRule {
    /// The answer is a failure unless this pointer holds a true value.
    pub ok: Option<String>,
    /// The answer is a failure when this pointer holds something non-empty.
    pub fail_if: Option<String>,
    /// Pointers to the error text, first match wins.
    pub error: Vec<String>,
    /// Pointer to the part of the answer that becomes `data`.
    pub pick: Option<String>,
    /// Key under which a result that is not an object is put.
    pub wrap: Option<String>,
    /// Schema of `data`, for the tool's output schema.
    pub schema: Map2<Schema>,
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
