//! The error body that clients parse; the only place that knows it.

use axum::Json;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::Error;

tokio::task_local! {
    /// Id of the request being answered; set by the request-id middleware.
    pub static REQUEST_ID: String;
}

/// The documented envelope.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ErrorBody {
    /// The error.
    pub error: ErrorDetail,
}

/// Inside of the envelope.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ErrorDetail {
    /// For a person.
    pub message: String,
    /// Stable number.
    pub code: u32,
    /// Stable name.
    pub slug: &'static str,
    /// HTTP status.
    pub status: u16,
    /// Id of the request, as in the `x-request-id` header.
    pub request_id: String,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suggested_fix: Option<String>,
    /// One entry per problem.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
}

/// Id of the request being answered, or an empty string outside of one.
pub fn current_request_id() -> String {
    REQUEST_ID.try_with(Clone::clone).unwrap_or_default()
}

impl From<&Error> for ErrorBody {
    fn from(error: &Error) -> Self {
        Self {
            error: ErrorDetail {
                message: error.message.to_string(),
                code: error.code.number,
                slug: error.code.slug,
                status: error.code.status.as_u16(),
                request_id: current_request_id(),
                suggested_fix: error.suggested_fix.as_deref().map(str::to_owned),
                errors: error.errors.clone(),
            },
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut response = (self.code.status, Json(ErrorBody::from(&self))).into_response();
        if let Some(retry) = self.code.should_retry {
            let value = HeaderValue::from_static(if retry { "true" } else { "false" });
            response.headers_mut().insert("x-should-retry", value);
        }
        if let Some(wait) = self.retry_after {
            let seconds = wait.as_secs().max(1);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
