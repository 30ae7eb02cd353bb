//! Errors outside of an operation: an HTTP status, and a JSON-RPC error as its body.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rmcp::model::{ErrorCode, ErrorData};
use serde_json::{Value, json};

use crate::error::Error;
use crate::error::wire::current_request_id;

/// The protocol leaves this number to servers.
const SERVER_ERROR: ErrorCode = ErrorCode(-32000);

/// A request that is refused before, or instead of, an operation.
#[derive(Debug)]
pub(super) struct Refusal(Box<Parts>);

#[derive(Debug)]
struct Parts {
    status: StatusCode,
    error: ErrorData,
    id: Value,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Refusal {
    /// With a code of the protocol's.
    pub(super) fn new(status: StatusCode, code: ErrorCode, message: impl Into<String>) -> Self {
        let error = ErrorData::new(code, message.into(), None);
        Self(Box::new(Parts { status, error, id: Value::Null, headers: Vec::new() }))
    }

    /// 400 for a message that is none.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, ErrorCode::INVALID_REQUEST, message)
    }

    /// Of the transport, which has no codes of its own.
    pub(super) fn http(status: StatusCode, message: impl Into<String>) -> Self {
        Self::new(status, SERVER_ERROR, message)
    }

    /// Says which request it answers.
    pub(super) fn id(mut self, id: Option<&Value>) -> Self {
        self.0.id = id.cloned().unwrap_or_default();
        self
    }

    /// Adds what the client can do with it.
    pub(super) fn data(mut self, data: Value) -> Self {
        self.0.error.data = Some(data);
        self
    }

    /// Adds a header.
    pub(super) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }
}

/// What the server's own errors say besides their message.
pub(super) fn details(error: &Error) -> Value {
    let mut data = json!({"slug": error.code.slug, "code": error.code.number});
    if let Some(fix) = &error.suggested_fix {
        data["suggested_fix"] = fix.as_ref().into();
    }
    if !error.errors.is_empty() {
        data["errors"] = error.errors.clone().into();
    }
    let request_id = current_request_id();
    if !request_id.is_empty() {
        data["request_id"] = request_id.into();
    }
    data
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let code = if error.code.status == StatusCode::INTERNAL_SERVER_ERROR {
            ErrorCode::INTERNAL_ERROR
        } else {
            SERVER_ERROR
        };
        let refusal =
            Self::new(error.code.status, code, error.message.to_string()).data(details(&error));
        match error.retry_after {
            Some(wait) => {
                let seconds = HeaderValue::from(wait.as_secs().max(1));
                refusal.header(header::RETRY_AFTER, seconds)
            }
            None => refusal,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Parts { status, error, id, headers } = *self.0;
        let body = json!({"jsonrpc": "2.0", "id": id, "error": error});
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = status;
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        for (name, value) in headers {
            response.headers_mut().append(name, value);
        }
        response
    }
}
