//! Telling clients of older revisions that the list of tools changed: the stream that they open
//! with GET. (Newer ones ask for it with `subscriptions/listen`.)

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use futures_util::stream;

use super::door::Door;
use crate::app::AppState;

/// How often an idle stream shows that it lives.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
const ALIVE: &[u8] = b": alive\n\n";
const CHANGED: &[u8] =
    b"data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}\n\n";

/// The stream, until the client or the server goes.
pub(super) fn open(app: &AppState, door: &Door) -> Response {
    let watch = app.cache.watches.watch(door.topics());
    let draining = app.draining.clone();
    let events = stream::unfold((watch, draining), |(watch, draining)| async move {
        let event = tokio::select! {
            () = draining.cancelled() => return None,
            () = watch.changed() => CHANGED,
            () = tokio::time::sleep(KEEP_ALIVE) => ALIVE,
        };
        Some((Ok::<_, Infallible>(Bytes::from_static(event)), (watch, draining)))
    });
    let mut response = Response::new(Body::from_stream(events));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}
