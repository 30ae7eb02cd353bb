//! `tools/*.yaml`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Map2, ParamList, Schema};

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
    /// Other slugs that mean this tool; they may be longer than 64 characters.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// The operation of a description that it was made of (`GET /repos/{owner}`). Sent nowhere.
    #[serde(default)]
    pub origin: Option<String>,
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
    /// Tools of the toolkit that usually have to be called before this one: they find what it
    /// needs. Tools that an argument's description names need not be repeated.
    #[serde(default)]
    pub before: Vec<String>,
    /// Tools of the toolkit that could take its place.
    #[serde(default)]
    pub instead: Vec<String>,
    /// Tools of the toolkit that are usual afterwards.
    #[serde(default)]
    pub after: Vec<String>,
    /// What goes wrong with it, one sentence or two each, for a model.
    #[serde(default)]
    pub pitfalls: Vec<String>,
    /// Arguments, in the order in which the schema shows them.
    #[serde(default)]
    pub params: ParamList,
    /// The one request of the tool. Exactly one of `request`, `steps`,
    /// `builtin` and `mcp` is there.
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
    /// A tool of the remote MCP server that the toolkit's `base_url` is.
    #[serde(default)]
    pub mcp: Option<McpTool>,
    /// How the answer is read.
    #[serde(default)]
    pub response: ResponseRule,
}

/// A tool of a remote MCP server: its arguments are sent as they are.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct McpTool {
    /// What the server calls it.
    pub tool: String,
    /// Total time allowed, in seconds; the server's limit when absent.
    #[serde(default)]
    pub timeout_s: Option<u64>,
}

/// Behaviour hints, shown as tags and MCP annotations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// `Content-Type` of a JSON, text or binary body that is not the usual one.
    #[serde(default)]
    pub content_type: Option<String>,
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
    /// The text of the one argument in the body.
    Text,
    /// The bytes of the file, or of the text, that is the one argument in the body.
    Binary,
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
    /// OPTIONS
    Options,
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
    /// Whether the answer is a file, also when it is JSON or text.
    pub file: bool,
    /// Whether `data.next_link` is the next page's URL of the `Link` header.
    pub next_link: bool,
}
