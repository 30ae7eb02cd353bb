//! Executing tools and sending proxy requests.

use std::future::Future;

use axum::extract::State;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tracing::Instrument;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::tools::unknown;
use crate::api::auth::ProjectKey;
use crate::api::errors::{CommonErrors, OutboundErrors};
use crate::api::extract::{Json, OptionalJson, Path};
use crate::api::llm;
use crate::app::{App, AppState};
use crate::domain::outbound::{OutboundBody, OutboundRequest};
use crate::domain::time::iso;
use crate::error::wire::{REQUEST_ID, current_request_id};
use crate::error::{Error, Result, codes};
use crate::execute::{
    self, CustomAuthParams, CustomConnectionData, ExecuteOutcome, ExecuteRequest, ProxyOutcome,
    ProxyRequest,
};
use crate::net::NetError;
use crate::session;
use crate::session::meta::Meta;

/// Routes.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(proxy)).routes(routes!(run)).routes(routes!(input))
}

/// One execution.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
struct ExecuteBody {
    /// Arguments of the tool.
    #[schema(value_type = Option<Object>)]
    arguments: Option<Map<String, Value>>,
    /// What to do, in plain language, instead of `arguments`; needs a language model.
    text: Option<String>,
    /// User whose newest active account is used.
    user_id: Option<String>,
    /// The old name of `user_id`.
    entity_id: Option<String>,
    /// The account to use.
    connected_account_id: Option<String>,
    /// Version of the toolkit; the newest when absent, `latest` or `00000000_00`.
    version: Option<String>,
    /// Credentials of the caller's own: `base_url`, `parameters` (`name`, `in`, `value`), `body`.
    #[schema(value_type = Option<Object>)]
    custom_auth_params: Option<CustomAuthParams>,
    /// A connection of the caller's own: `authScheme`, `toolkitSlug`, `val`.
    #[schema(value_type = Option<Object>)]
    custom_connection_data: Option<CustomConnectionData>,
}

/// What an execution came to.
#[derive(Debug, Serialize, ToSchema)]
struct ExecuteAnswer {
    /// What the provider answered.
    #[schema(value_type = Object)]
    data: Map<String, Value>,
    /// Why it failed; null when it did not.
    error: Option<String>,
    /// Whether the provider did it.
    successful: bool,
    /// Id of the log.
    log_id: String,
}

/// Goes on when the caller hangs up: what the provider did is logged in any case.
pub(super) async fn to_the_end<T: Send + 'static>(
    app: &App,
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let work = REQUEST_ID.scope(current_request_id(), work).in_current_span();
    app.tasks.spawn(work).await.unwrap_or_else(|error| Err(Error::internal(error)))
}

/// Execute a tool. What the provider answers is a 200 with `successful`. A meta tool is executed
/// in the session that its arguments name, else in the user's newest.
#[utoipa::path(post, path = "/tools/execute/{tool_slug}", tag = "tools",
    operation_id = "executeTool", request_body = ExecuteBody,
    params(("tool_slug" = String, Path, description = "Tool slug or alias")),
    responses((status = 200, body = ExecuteAnswer), CommonErrors, OutboundErrors))]
async fn run(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(tool_slug): Path<String>,
    OptionalJson(body): OptionalJson<ExecuteBody>,
) -> Result<Json<ExecuteAnswer>> {
    if let Some(meta) = Meta::of(&tool_slug) {
        return run_meta(app, key, meta, body).await;
    }
    let text = body.text.filter(|t| !t.trim().is_empty());
    let arguments = match (body.arguments, text) {
        (Some(_), Some(_)) => {
            return Err(Error::invalid(
                "`arguments` and `text` exclude each other",
                vec!["text: not together with arguments".to_owned()],
            )
            .fix("Send one of them"));
        }
        (arguments, None) => arguments.unwrap_or_default(),
        (None, Some(text)) => {
            let (_, tool) =
                app.tool(&key.project.id, &tool_slug).ok_or_else(|| unknown(&tool_slug))?;
            let wish = llm::Wish { text: &text, ..llm::Wish::default() };
            llm::arguments(&app, &*tool.open()?, wish).await?.map_err(|problem| {
                Error::new(codes::UNPROCESSABLE, problem)
                    .fix("Say it more precisely, or send `arguments`")
            })?
        }
    };
    let request = ExecuteRequest {
        tool_slug,
        arguments,
        connected_account_id: body.connected_account_id.filter(|id| !id.is_empty()),
        user_id: body.user_id.or(body.entity_id).filter(|id| !id.is_empty()),
        version: body.version,
        custom_auth_params: body.custom_auth_params,
        custom_connection_data: body.custom_connection_data,
    };
    let worker = app.clone();
    let work = async move { execute::execute(&worker, &key.project, request).await };
    let ExecuteOutcome { data, error, successful, log_id } = to_the_end(&app, work).await?;
    Ok(Json(ExecuteAnswer { data, error, successful, log_id }))
}

/// Executes a meta tool in the session that the call belongs to.
async fn run_meta(
    app: AppState,
    key: ProjectKey,
    meta: Meta,
    body: ExecuteBody,
) -> Result<Json<ExecuteAnswer>> {
    let account = body.connected_account_id.is_some_and(|id| !id.is_empty());
    let given = [
        ("text", body.text.is_some_and(|text| !text.trim().is_empty())),
        ("connected_account_id", account),
        ("custom_auth_params", body.custom_auth_params.is_some()),
        ("custom_connection_data", body.custom_connection_data.is_some()),
    ];
    let mut problems: Vec<String> = given
        .iter()
        .filter(|(_, given)| *given)
        .map(|(name, _)| format!("{name}: not with {}, which works within a session", meta.slug()))
        .collect();
    let user = body.user_id.or(body.entity_id).filter(|id| !id.is_empty());
    if user.is_none() {
        problems.push("user_id: needed, to find the session that the call belongs to".to_owned());
    }
    let Some(user) = user.filter(|_| problems.is_empty()) else {
        return Err(Error::invalid(format!("{} cannot be executed so", meta.slug()), problems)
            .fix("Send user_id and arguments, or execute it within a session"));
    };
    let arguments = body.arguments.unwrap_or_default();
    let worker = app.clone();
    let work = async move {
        session::outside::execute(&worker, &key.project, &user, meta, arguments).await
    };
    let ExecuteOutcome { data, error, successful, log_id } = to_the_end(&app, work).await?;
    Ok(Json(ExecuteAnswer { data, error, successful, log_id }))
}

/// Bytes to send.
#[derive(Debug, Deserialize, ToSchema)]
struct BinaryBody {
    /// Where to fetch them.
    #[serde(default)]
    url: Option<String>,
    /// The bytes in base64.
    #[serde(default)]
    base64: Option<String>,
    /// Their media type.
    #[serde(default, alias = "contentType")]
    content_type: Option<String>,
}

/// Where a parameter goes.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum ParameterPlace {
    /// A header.
    Header,
    /// The query.
    Query,
}

/// A header or query parameter.
#[derive(Debug, Deserialize, ToSchema)]
struct ProxyParameter {
    /// Name.
    name: String,
    /// Text or number.
    #[schema(value_type = String)]
    value: Value,
    /// Where it goes; older clients call it `in`.
    #[serde(alias = "in")]
    r#type: ParameterPlace,
}

/// Method of a proxy request.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
enum ProxyMethod {
    Get,
    Post,
    Put,
    Delete,
    Patch,
    Head,
}

/// A request of the caller's own.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct ProxyBody {
    /// Path below the toolkit's base URL, or a URL on one of its hosts.
    #[schema(min_length = 1)]
    endpoint: String,
    /// Method.
    method: ProxyMethod,
    /// JSON body.
    #[serde(default)]
    body: Option<Value>,
    /// Bytes instead of a body: exactly one of `url` and `base64`.
    #[serde(default)]
    binary_body: Option<BinaryBody>,
    /// Headers and query parameters.
    #[serde(default)]
    parameters: Option<Vec<ProxyParameter>>,
    /// The account to use.
    #[serde(default)]
    connected_account_id: Option<String>,
    /// A connection of the caller's own: `authScheme`, `toolkitSlug`, `val`.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    custom_connection_data: Option<CustomConnectionData>,
}

/// A file that the provider answered.
#[derive(Debug, Serialize, ToSchema)]
struct BinaryData {
    /// Where to fetch it; needs no key.
    url: String,
    /// Media type.
    content_type: String,
    /// Bytes.
    size: usize,
    /// When the link ends.
    expires_at: String,
}

/// What the provider answered.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProxyAnswer {
    /// JSON or text.
    #[schema(value_type = Object, nullable)]
    data: Value,
    /// Its status.
    status: u16,
    /// Its headers.
    #[schema(value_type = Object)]
    headers: Map<String, Value>,
    /// A file, when the answer is neither JSON nor text.
    #[serde(skip_serializing_if = "Option::is_none")]
    binary_data: Option<BinaryData>,
}

fn bad_binary(problem: &str) -> Error {
    Error::invalid("Invalid binary_body", vec![format!("binary_body: {problem}")])
        .fix("Send {\"base64\": …} or {\"url\": …}, with a content_type")
}

/// Why the bytes of a URL did not come; an address that is not allowed is the caller's mistake.
fn unreachable(error: NetError) -> Error {
    match error {
        NetError::Refused(problem) | NetError::Invalid(problem) => bad_binary(&problem),
        other => llm::unreachable(other),
    }
}

/// The bytes of a binary body, and their media type.
async fn bytes(app: &App, body: BinaryBody) -> Result<(Vec<u8>, String)> {
    let given = body.content_type.filter(|t| !t.is_empty());
    match (body.base64, body.url) {
        (Some(text), None) => {
            let bytes =
                STANDARD.decode(text.trim()).map_err(|_| bad_binary("base64 does not decode"))?;
            Ok((bytes, given.unwrap_or_else(|| "application/octet-stream".to_owned())))
        }
        (None, Some(url)) => {
            let url = url::Url::parse(&url).map_err(|_| bad_binary("url is not a URL"))?;
            if !matches!(url.scheme(), "http" | "https") || !url.username().is_empty() {
                return Err(bad_binary("url must be http or https, without a user name"));
            }
            let request = OutboundRequest {
                method: axum::http::Method::GET,
                url,
                headers: Vec::new(),
                body: OutboundBody::Empty,
                timeout: None,
            };
            let response = app.net.send(request).await.map_err(unreachable)?;
            if !(200..300).contains(&response.status) {
                return Err(bad_binary(&format!("fetching url gave status {}", response.status)));
            }
            let own = response.headers.get("content-type").and_then(|t| t.to_str().ok());
            let content_type = given
                .or_else(|| own.map(str::to_owned))
                .unwrap_or_else(|| "application/octet-stream".to_owned());
            Ok((response.body.to_vec(), content_type))
        }
        _ => Err(bad_binary("exactly one of url and base64")),
    }
}

impl ProxyBody {
    /// The account that the caller names.
    pub(super) fn account(&self) -> Option<&str> {
        self.connected_account_id.as_deref().filter(|id| !id.is_empty())
    }

    /// Toolkit of the caller's own connection.
    pub(super) fn custom_toolkit(&self) -> Option<&str> {
        self.custom_connection_data.as_ref().map(|data| data.toolkit_slug.as_str())
    }

    /// The request; bytes that are somewhere else are fetched.
    pub(super) async fn prepared(self, app: &App) -> Result<ProxyRequest> {
        let (mut headers, mut query) = (Vec::new(), Vec::new());
        for (i, parameter) in self.parameters.unwrap_or_default().into_iter().enumerate() {
            let value = match parameter.value {
                Value::String(text) => text,
                value @ (Value::Number(_) | Value::Bool(_)) => value.to_string(),
                _ => {
                    let problem = format!("parameters[{i}].value: must be text or a number");
                    return Err(Error::invalid("Invalid proxy request", vec![problem]));
                }
            };
            match parameter.r#type {
                ParameterPlace::Header => headers.push((parameter.name, value)),
                ParameterPlace::Query => query.push((parameter.name, value)),
            }
        }
        if self.body.as_ref().is_some_and(|b| !b.is_null()) && self.binary_body.is_some() {
            return Err(bad_binary("not together with body"));
        }
        let binary = match self.binary_body {
            None => None,
            Some(binary) => Some(bytes(app, binary).await?),
        };
        let method = serde_json::to_value(self.method).map_err(Error::internal)?;
        Ok(ProxyRequest {
            endpoint: self.endpoint,
            method: method.as_str().unwrap_or_default().to_owned(),
            body: self.body.filter(|b| !b.is_null()),
            binary,
            headers,
            query,
            connected_account_id: self.connected_account_id.filter(|id| !id.is_empty()),
            custom_connection_data: self.custom_connection_data,
        })
    }
}

impl From<ProxyOutcome> for ProxyAnswer {
    fn from(outcome: ProxyOutcome) -> Self {
        let ProxyOutcome { status, data, headers, binary } = outcome;
        let binary_data = binary.map(|(file, content_type, size)| BinaryData {
            url: file.url,
            content_type,
            size,
            expires_at: iso(file.expires_at),
        });
        Self { data, status, headers, binary_data }
    }
}

/// Send a request of the caller's own with an account's credentials.
#[utoipa::path(post, path = "/tools/execute/proxy", tag = "tools",
    operation_id = "executeProxy", request_body = ProxyBody,
    responses((status = 200, body = ProxyAnswer), CommonErrors, OutboundErrors))]
async fn proxy(
    State(app): State<AppState>,
    key: ProjectKey,
    Json(body): Json<ProxyBody>,
) -> Result<Json<ProxyAnswer>> {
    let request = body.prepared(&app).await?;
    let worker = app.clone();
    let work = async move { execute::proxy(&worker, &key.project, request).await };
    Ok(Json(to_the_end(&app, work).await?.into()))
}

/// A wish in plain language.
#[derive(Debug, Deserialize, ToSchema)]
struct InputBody {
    /// What to do.
    #[schema(min_length = 1)]
    text: String,
    /// Description of the tool for the model, instead of its own.
    #[serde(default)]
    custom_description: Option<String>,
    /// Instructions for the model.
    #[serde(default)]
    system_prompt: Option<String>,
    /// Version of the toolkit; the newest when absent.
    #[serde(default)]
    version: Option<String>,
}

/// What the model made of it.
#[derive(Debug, Serialize, ToSchema)]
struct InputAnswer {
    /// Arguments for the tool.
    #[schema(value_type = Object)]
    arguments: Map<String, Value>,
    /// Why there are none; null when there are.
    error: Option<String>,
}

/// Make arguments for a tool out of plain language; needs a language model.
#[utoipa::path(post, path = "/tools/execute/{tool_slug}/input", tag = "tools",
    operation_id = "generateToolInput", request_body = InputBody,
    params(("tool_slug" = String, Path, description = "Tool slug or alias")),
    responses((status = 200, body = InputAnswer), CommonErrors, OutboundErrors))]
async fn input(
    State(app): State<AppState>,
    key: ProjectKey,
    Path(slug): Path<String>,
    Json(body): Json<InputBody>,
) -> Result<Json<InputAnswer>> {
    let (toolkit, tool) = app.tool(&key.project.id, &slug).ok_or_else(|| unknown(&slug))?;
    toolkit.version(body.version.as_deref())?;
    if body.text.trim().is_empty() {
        let problem = "text: must not be empty".to_owned();
        return Err(Error::invalid("Say what the tool should do", vec![problem]));
    }
    let wish = llm::Wish {
        text: &body.text,
        description: body.custom_description.as_deref(),
        system_prompt: body.system_prompt.as_deref(),
    };
    Ok(Json(match llm::arguments(&app, &*tool.open()?, wish).await? {
        Ok(arguments) => InputAnswer { arguments, error: None },
        Err(problem) => InputAnswer { arguments: Map::new(), error: Some(problem) },
    }))
}
