//! A request from its arrival to its answer.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, Full};
use rmcp::model::{ErrorCode, ProtocolVersion};
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde_json::{Value, json};

use super::auth::Visitor;
use super::body::{self, Message};
use super::door::Door;
use super::gate::{self, Gate};
use super::refusal::Refusal;
use super::server::{Server, Visit};
use super::{cancel, stream};
use crate::app::AppState;
use crate::caller;
use crate::domain::id::SessionId;
use crate::error::wire::current_request_id;
use crate::mcp_server::{self, Address};

const VERSION: &str = "mcp-protocol-version";
/// Longest text of an error of the library's.
const MAX_TEXT: usize = 10_000;

/// What the endpoints share.
#[derive(Clone)]
pub(super) struct Mcp {
    app: AppState,
    gate: Arc<Gate>,
    sessions: Arc<NeverSessionManager>,
    config: StreamableHttpServerConfig,
}

/// Which endpoint.
enum Target {
    Session(SessionId),
    Server(String),
}

/// Forms of answers that a client takes.
#[derive(Clone, Copy)]
struct Accepts {
    json: bool,
    events: bool,
}

/// A session's endpoint.
pub(super) async fn session(
    State(mcp): State<Mcp>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    mcp.answer(Target::Session(SessionId::from(id)), request).await
}

/// An MCP server's endpoint.
pub(super) async fn server(
    State(mcp): State<Mcp>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    mcp.answer(Target::Server(id), request).await
}

impl Mcp {
    pub(super) fn new(app: AppState) -> Self {
        // Hosts, origins, types and sizes are checked before the library sees a request.
        let config = StreamableHttpServerConfig::default()
            .with_legacy_session_mode(false)
            .with_json_response(true)
            .with_sse_retry(None)
            .with_cancellation_token(app.stop.clone())
            .with_max_request_body_bytes(usize::MAX)
            .disable_allowed_hosts()
            .disable_allowed_origins();
        let gate = Arc::new(Gate::new(&app.config));
        Self { app, gate, sessions: Arc::default(), config }
    }

    async fn answer(&self, target: Target, request: Request) -> Response {
        let origin = match self.gate.check(request.uri(), request.headers()) {
            Ok(origin) => origin,
            Err(refusal) => return refusal.into_response(),
        };
        let mut response = if gate::is_preflight(request.method()) {
            gate::preflight(request.headers())
        } else {
            self.admitted(target, request).await
        };
        gate::admit(&mut response, origin);
        response
    }

    async fn admitted(&self, target: Target, request: Request) -> Response {
        let path = plain(request.uri().path()).to_owned();
        let mut visitor = match Visitor::of(&self.app, request.headers(), &path).await {
            Ok(visitor) => visitor,
            Err(refusal) => return refusal.into_response(),
        };
        let answer = match self.open(target, &mut visitor, request.uri()).await {
            Ok(door) => self.through(door, request).await,
            Err(refusal) => Err(refusal),
        };
        let mut response = answer.unwrap_or_else(IntoResponse::into_response);
        if let Some(usage) = visitor.usage {
            caller::add_headers(&mut response, usage);
        }
        response
    }

    /// Finds what the endpoint is, if the visitor may come in.
    async fn open(
        &self,
        target: Target,
        visitor: &mut Visitor<'_>,
        uri: &Uri,
    ) -> Result<Door, Refusal> {
        if let Some(project) = visitor.project().cloned() {
            visitor.count(&project)?;
        }
        match target {
            Target::Session(id) => {
                let project = visitor.needed().map_err(|error| visitor.refused(error))?.clone();
                let session = crate::session::find(&self.app, &project.id, &id).await?;
                Ok(Door::Session(project, session))
            }
            Target::Server(id) => {
                let address = address(uri.query().unwrap_or_default());
                let project = visitor.project().map(Arc::as_ref);
                let served = mcp_server::open(&self.app, &id, project, &address).await;
                let served = served.map_err(|error| visitor.refused(error))?;
                // Without a key, the request is the server's project's.
                if visitor.project().is_none() {
                    visitor.count(&served.project)?;
                }
                Ok(Door::Server(Arc::new(served)))
            }
        }
    }

    async fn through(&self, door: Door, request: Request) -> Result<Response, Refusal> {
        let method = request.method().clone();
        let (parts, body) = request.into_parts();
        match method {
            Method::POST => self.post(door, parts, body).await,
            Method::GET => self.get(&door, &parts.headers),
            // DELETE too: nothing is remembered, so there is nothing to end.
            _ => Err(not_allowed()),
        }
    }

    fn get(&self, door: &Door, headers: &HeaderMap) -> Result<Response, Refusal> {
        version(headers, None)?;
        let modern = caller::header(headers, VERSION)
            .is_some_and(|v| v >= ProtocolVersion::V_2026_07_28.as_str());
        if modern || !headers.get(header::ACCEPT).is_some_and(names_events) {
            return Err(not_allowed());
        }
        Ok(stream::open(&self.app, door))
    }

    async fn post(&self, door: Door, parts: Parts, body: Body) -> Result<Response, Refusal> {
        let accepts = accepts(&parts.headers);
        if !accepts.json && !accepts.events {
            return Err(Refusal::http(
                StatusCode::NOT_ACCEPTABLE,
                "The Accept header must name application/json or text/event-stream",
            ));
        }
        if !body::is_json(&parts.headers) {
            return Err(Refusal::http(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "The Content-Type header must be application/json",
            ));
        }
        let config = &self.app.config;
        let bytes = body::read(body, config.max_body_bytes, config.request_timeout).await?;
        let message = body::check(bytes)?;
        self.handle(door, parts, message, accepts).await
    }

    async fn handle(
        &self,
        door: Door,
        mut parts: Parts,
        message: Message,
        accepts: Accepts,
    ) -> Result<Response, Refusal> {
        let Message { bytes, id, method, cancels } = message;
        let introduces = method == "initialize";
        if !introduces {
            version(&parts.headers, id.as_ref())?;
        }
        if method == "subscriptions/listen" && !accepts.events {
            return Err(Refusal::http(
                StatusCode::NOT_ACCEPTABLE,
                "The Accept header must name text/event-stream",
            )
            .id(id.as_ref()));
        }
        let client = cancel::client(&parts.headers);
        let (project, name) = (door.project().clone(), door.id().to_owned());
        let visit = Arc::new(Visit {
            app: self.app.clone(),
            door,
            request_id: current_request_id(),
            client: client.clone(),
            streams: accepts.events,
        });
        let both = HeaderValue::from_static("application/json, text/event-stream");
        parts.headers.insert(header::ACCEPT, both);
        let config = self.config.clone().with_json_response(accepts.json);
        let server = Server(visit);
        let service =
            StreamableHttpService::new(move || Ok(server.clone()), self.sessions.clone(), config);
        let response = service.handle(Request::from_parts(parts, Full::new(bytes))).await;
        let mut response = response.map(Body::new);
        if !response.status().is_success() {
            return in_json(response, id.as_ref()).await;
        }
        if let (Some(request), Some(client)) = (&cancels, &client) {
            cancel::cancel(&self.app, &project, &name, client, request).await?;
        }
        if introduces && let Ok(name) = HeaderValue::from_str(&cancel::new_client()) {
            response.headers_mut().insert(cancel::CLIENT, name);
        }
        Ok(response)
    }
}

/// For whom a server's URL opens it.
fn address(query: &str) -> Address {
    let mut address = Address::default();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match name.as_ref() {
            "user_id" => address.user_id = Some(value.into_owned()),
            "connected_account_id" => address.connected_account_id = Some(value.into_owned()),
            "include_composio_helper_actions" => {
                address.helper_actions = Some(matches!(value.as_ref(), "true" | "1"));
            }
            _ => {}
        }
    }
    address
}

/// A path that can stand in a header between quotes.
fn plain(path: &str) -> &str {
    let plain = path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-_.~".contains(&b));
    if plain { path } else { "" }
}

fn not_allowed() -> Refusal {
    Refusal::http(
        StatusCode::METHOD_NOT_ALLOWED,
        "Messages are sent with POST; GET with `Accept: text/event-stream` opens a stream of changes \
         in revisions before 2026-07-28",
    )
    .header(header::ALLOW, HeaderValue::from_static("GET, POST, OPTIONS"))
}

fn names_events(accept: &HeaderValue) -> bool {
    accept.to_str().is_ok_and(|accept| accept.to_ascii_lowercase().contains("text/event-stream"))
}

/// What the Accept headers say; without one, anything.
fn accepts(headers: &HeaderMap) -> Accepts {
    let mut accepts = Accepts { json: false, events: false };
    let mut any = false;
    for value in headers.get_all(header::ACCEPT) {
        any = true;
        for range in value.to_str().unwrap_or_default().split(',') {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
            let refused = parts.any(|part| {
                let weight = part.strip_prefix("q=").and_then(|q| q.parse::<f32>().ok());
                weight.is_some_and(|weight| weight <= 0.0)
            });
            if refused {
                continue;
            }
            accepts.json |= matches!(kind.as_str(), "application/json" | "application/*" | "*/*");
            accepts.events |= matches!(kind.as_str(), "text/event-stream" | "text/*" | "*/*");
        }
    }
    if any { accepts } else { Accepts { json: true, events: true } }
}

/// Refuses a revision that this server does not speak. Without the header it is the one from before
/// there was such a header.
fn version(headers: &HeaderMap, id: Option<&Value>) -> Result<(), Refusal> {
    let Some(version) = caller::header(headers, VERSION) else { return Ok(()) };
    let known = ProtocolVersion::KNOWN_VERSIONS;
    if known.iter().any(|own| own.as_str() == version) {
        return Ok(());
    }
    let version: String = version.chars().take(50).collect();
    let supported: Vec<&str> = known.iter().map(ProtocolVersion::as_str).collect();
    let message = format!("Unsupported protocol version: {version}");
    Err(Refusal::new(StatusCode::BAD_REQUEST, ErrorCode::UNSUPPORTED_PROTOCOL_VERSION, message)
        .id(id)
        .data(json!({"requested": version, "supported": supported})))
}

/// Errors of the library that are plain text become what all others are.
async fn in_json(response: Response, id: Option<&Value>) -> Result<Response, Refusal> {
    let json = response.headers().get(header::CONTENT_TYPE);
    if json.is_some_and(|kind| kind.as_bytes().starts_with(b"application/json")) {
        return Ok(response);
    }
    let status = response.status();
    let text = response.into_body().collect().await.map(|read| read.to_bytes());
    let text = String::from_utf8_lossy(&text.unwrap_or_default()).into_owned();
    if status.is_server_error() {
        tracing::error!(status = status.as_u16(), error = text, "MCP");
        let message = "Something went wrong on the server";
        return Err(Refusal::new(status, ErrorCode::INTERNAL_ERROR, message).id(id));
    }
    // The library's word for a message that it cannot read.
    if status == StatusCode::UNSUPPORTED_MEDIA_TYPE {
        return Err(Refusal::invalid("The message is not one of the protocol").id(id));
    }
    let text: String = text.chars().take(MAX_TEXT).collect();
    Err(Refusal::new(status, ErrorCode::INVALID_REQUEST, text).id(id))
}
