//! What happens around every request.

use std::any::Any;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use tracing::Instrument;

use super::extract::{too_large, too_large_file};
use crate::domain::id::RequestId;
use crate::error::wire::{REQUEST_ID, current_request_id};
use crate::error::{Error, codes};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Takes the caller's request id, or makes one; every answer carries it.
pub async fn request_id(request: Request, next: Next) -> Response {
    let id = request
        .headers()
        .get(X_REQUEST_ID)
        .and_then(|value| value.to_str().ok())
        .filter(|id| {
            (1..=128).contains(&id.len())
                && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        })
        .map_or_else(|| RequestId::generate().as_str().to_owned(), str::to_owned);
    let value = HeaderValue::from_str(&id);
    let mut response = REQUEST_ID.scope(id, next.run(request)).await;
    if let Ok(value) = value {
        response.headers_mut().insert(X_REQUEST_ID, value);
    }
    response
}

/// One log line per request; never with a header, a query or a body.
pub async fn trace(request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let id = current_request_id();
    let span = tracing::info_span!("request", id);
    let response = next.run(request).instrument(span).await;
    let status = response.status().as_u16();
    let route = route.as_ref().map_or("unknown", MatchedPath::as_str);
    let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    match status {
        500.. => tracing::warn!(%method, route, status, ms, id, "request failed"),
        400.. => tracing::info!(%method, route, status, ms, id, "request refused"),
        _ => tracing::debug!(%method, route, status, ms, id, "request"),
    }
    response
}

/// Turns a panic into the envelope.
pub fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    Error::internal(format!("panic: {text}")).into_response()
}

/// Bounds of one request.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Largest body.
    pub max_body_bytes: usize,
    /// Largest file, where the body is one.
    pub max_file_bytes: usize,
    /// Time for operations that call nobody.
    pub plain: Duration,
    /// Time for operations that wait for a provider.
    pub outbound: Duration,
}

/// Routes that wait for a provider, or for a file over a slow line.
const OUTBOUND: [&str; 8] = [
    "/tools/execute",
    "/auth/callback",
    "/connected_accounts",
    "/link",
    "/tool_router/session",
    "/trigger_instances",
    FILES[0],
    FILES[1],
];

/// Routes whose body is a file.
const FILES: [&str; 2] = ["/files/session/", "/files/upload/{project_id}/"];

/// Imports of descriptions: large, and long where many wait.
const IMPORT: &str = "/toolkits/import";
/// Largest body of one: a description, and what is said about it.
pub const MOST_IMPORT: usize = crate::import::document::MOST_BYTES + 1024 * 1024;
const IMPORT_TIME: Duration = Duration::from_secs(15 * 60);

/// Routes of the MCP endpoints, which have bounds of their own: a stream has no end, and a client
/// may wait for a call as long as it likes.
const UNBOUNDED: [&str; 2] = ["/tool_router/", "/v3/mcp/"];

/// Most that is read and thrown away of a body that is too large, so that the caller gets to read
/// the answer rather than a reset connection.
const DRAIN_BYTES: usize = 96 * 1024 * 1024;
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// Refuses bodies that announce to be too large, and ends what takes too long.
pub async fn limits(State(limits): State<Limits>, request: Request, next: Next) -> Response {
    let announced = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let file = FILES.iter().any(|part| route.contains(part));
    let import = route.ends_with(IMPORT);
    let most = match (file, import) {
        (true, _) => limits.max_file_bytes,
        (_, true) => limits.max_body_bytes.max(MOST_IMPORT),
        _ => limits.max_body_bytes,
    };
    if announced.is_some_and(|length| length > most as u64) {
        drain(request.into_body()).await;
        return if file { too_large_file() } else { too_large() }.into_response();
    }
    if UNBOUNDED.iter().any(|start| route.starts_with(start)) {
        return next.run(request).await;
    }
    let outbound = OUTBOUND.iter().any(|part| route.contains(part));
    let limit = match (import, outbound) {
        (true, _) => IMPORT_TIME,
        (_, true) => limits.outbound,
        _ => limits.plain,
    };
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Error::new(codes::REQUEST_TIMEOUT, "The server did not finish in time")
            .fix("Retry; if it happens again, look at the server's load")
            .retry_after(Duration::from_secs(1))
            .into_response(),
    }
}

async fn drain(body: Body) {
    let mut left = DRAIN_BYTES;
    let mut chunks = body.into_data_stream();
    let read = async {
        while let Some(Ok(chunk)) = chunks.next().await {
            left = left.saturating_sub(chunk.len());
            if left == 0 {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(DRAIN_TIME, read).await;
}

/// 404 for what is not a route.
pub async fn not_found(method: Method, uri: Uri) -> Error {
    let path: String = uri.path().chars().take(200).collect();
    Error::new(codes::ROUTE_NOT_FOUND, format!("There is no {method} {path}"))
        .fix("See /docs for every route")
}

/// 405; axum adds `Allow`.
pub async fn method_not_allowed(method: Method, uri: Uri) -> Error {
    let path: String = uri.path().chars().take(200).collect();
    Error::new(codes::METHOD_NOT_ALLOWED, format!("{path} does not take {method}"))
        .fix("The Allow header lists the methods that it takes")
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::get;
    use tower::ServiceExt;
    use tower_http::catch_panic::CatchPanicLayer;

    use super::*;

    async fn answer(handler: axum::routing::MethodRouter) -> (u16, serde_json::Value) {
        let limits = Limits {
            max_body_bytes: 10,
            max_file_bytes: 10,
            plain: Duration::from_millis(1),
            outbound: Duration::from_millis(1),
        };
        let router = Router::new()
            .route("/", handler)
            .layer(axum::middleware::from_fn_with_state(limits, super::limits))
            .layer(CatchPanicLayer::custom(panicked))
            .layer(axum::middleware::from_fn(request_id));
        let request = Request::get("/").body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        let header = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["error"]["request_id"], header);
        (status, body)
    }

    #[tokio::test]
    async fn a_panic_is_an_envelope_without_its_text() {
        #[allow(clippy::unused_async)]
        async fn broken() -> &'static str {
            panic!("the secret is 42")
        }
        let (status, body) = answer(get(broken)).await;
        assert_eq!(status, 500);
        assert!(!body.to_string().contains("42"));
    }

    #[tokio::test]
    async fn what_takes_too_long_is_ended_with_an_envelope() {
        let (status, body) = answer(get(std::future::pending::<&'static str>)).await;
        assert_eq!(status, 503);
        assert_eq!(body["error"]["slug"], "Server_Timeout");
    }
}
