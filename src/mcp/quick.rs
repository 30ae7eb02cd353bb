//! Calls on the shortest road.
//!
//! `rmcp` serves a request as it serves a connection: with tasks and channels of its own, and after
//! reading the message into one of all its kinds. Most calls need none of that: an older revision, an
//! answer in JSON, no progress. These are read and answered here, with the library's types and the same
//! operation; every other message goes to the library.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use rmcp::model::{CallToolRequestParams, CallToolResult, ErrorData, ProtocolVersion, RequestId};
use serde::{Deserialize, Serialize};

use super::body::Message;
use super::entry::VERSION;
use super::server::Server;
use crate::caller;

/// A call that needs nothing else.
#[derive(Deserialize)]
pub(super) struct Call {
    id: RequestId,
    params: CallToolRequestParams,
}

#[derive(Serialize)]
struct Answer<'a> {
    jsonrpc: &'static str,
    id: &'a RequestId,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<CallToolResult>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorData>,
}

/// The call of a message; none when the message is for the library.
pub(super) fn call(headers: &HeaderMap, message: &Message) -> Option<Call> {
    let newest = ProtocolVersion::V_2026_07_28;
    if message.method != "tools/call"
        || caller::header(headers, VERSION).is_some_and(|version| version >= newest.as_str())
    {
        return None;
    }
    let call: Call = serde_json::from_slice(&message.bytes).ok()?;
    let plain = call.params.meta.as_ref().is_none_or(|meta| {
        meta.get_progress_token().is_none() && meta.protocol_version().is_none()
    });
    plain.then_some(call)
}

impl Call {
    /// Makes the call.
    pub(super) async fn answer(self, server: &Server) -> Response {
        // Large, and most requests that come by here are none.
        let (result, error) = match Box::pin(server.made(self.params, &self.id)).await {
            Ok(mut result) => {
                // A word that older revisions do not have.
                result.result_type = None;
                (Some(result), None)
            }
            Err(error) => (None, Some(error)),
        };
        let answer = Answer { jsonrpc: "2.0", id: &self.id, result, error };
        // What came from JSON can be written as such.
        let body = serde_json::to_vec(&answer).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        response
    }
}
