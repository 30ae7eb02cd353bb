//! One outbound HTTP request and its answer, as data: made by the catalogue and the OAuth
//! adapter, sent by `net`.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, Method};
use serde_json::Value;
use url::Url;

/// A request that is ready but for credentials.
#[derive(Clone)]
pub struct OutboundRequest {
    /// Method.
    pub method: Method,
    /// Absolute URL, with its query.
    pub url: Url,
    /// Headers; a later one of the same name replaces an earlier one.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: OutboundBody,
    /// Total time; the client's own limit when none.
    pub timeout: Option<Duration>,
}

/// A request body.
#[derive(Clone)]
pub enum OutboundBody {
    /// None at all.
    Empty,
    /// JSON.
    Json(Value),
    /// URL-encoded pairs.
    Form(Vec<(String, String)>),
    /// Multipart text parts.
    Multipart(Vec<(String, String)>),
    /// Bytes with their media type.
    Raw {
        /// `Content-Type`.
        content_type: String,
        /// The bytes.
        bytes: Bytes,
    },
}

/// An answer, read whole.
#[derive(Clone)]
pub struct OutboundResponse {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Body, decompressed, within the size limit.
    pub body: Bytes,
}

// No derived Debug on purpose: URL, headers and body may carry secrets.
