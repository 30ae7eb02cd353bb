//! One outbound HTTP request and its answer, as data: made by the catalogue and the OAuth
//! adapter, sent by `net`.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, Method, header};
use chrono::{DateTime, NaiveDateTime, Utc};
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
    /// The parts of a form that may have files.
    Multipart(Vec<Part>),
    /// Bytes with their media type.
    Raw {
        /// `Content-Type`.
        content_type: String,
        /// The bytes.
        bytes: Bytes,
    },
}

/// A part of `multipart/form-data`.
#[derive(Clone, PartialEq, Eq)]
pub struct Part {
    /// Name of the field.
    pub name: String,
    /// File name, when it is a file.
    pub file_name: Option<String>,
    /// Its own `Content-Type`.
    pub content_type: Option<String>,
    /// Its bytes.
    pub content: Bytes,
}

impl Part {
    /// A field with a text.
    pub fn text(name: String, text: String) -> Self {
        Self { name, file_name: None, content_type: None, content: text.into() }
    }
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

impl OutboundResponse {
    /// How long `Retry-After` asks to wait: seconds, or a date.
    pub fn retry_after(&self, now: DateTime<Utc>) -> Option<Duration> {
        retry_after(&self.headers, now)
    }
}

/// How long `Retry-After` asks to wait: seconds, or a date.
pub fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    Some((date(text)? - now).to_std().unwrap_or_default())
}

/// A date of HTTP, in the form of today or one of the two obsolete ones that RFC 9110 still wants
/// read.
fn date(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(at) = DateTime::parse_from_rfc2822(text) {
        return Some(at.with_timezone(&Utc));
    }
    let old = ["%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];
    old.iter()
        .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
        .map(|at| at.and_utc())
}

// No derived Debug on purpose: URL, headers and body may carry secrets.

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_read_in_both_of_its_forms() {
        let at = "2026-01-02T03:04:05Z".parse().unwrap();
        for (text, seconds) in [
            ("120", Some(120)),
            ("Fri, 02 Jan 2026 03:05:05 GMT", Some(60)),
            ("Fri, 02 Jan 2026 03:00:00 GMT", Some(0)),
            ("Friday, 02-Jan-26 03:05:05 GMT", Some(60)),
            ("Fri Jan  2 03:05:05 2026", Some(60)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(251_634_977_754)),
            ("Fri, 32 Jan 2026 03:05:05 GMT", None),
            ("-5", None),
            ("soon", None),
            ("99999999999999999999999", None),
        ] {
            let headers = [(header::RETRY_AFTER, text.parse().unwrap())].into_iter().collect();
            let answer = OutboundResponse { status: 429, headers, body: Bytes::new() };
            assert_eq!(answer.retry_after(at), seconds.map(Duration::from_secs), "{text}");
        }
    }
}
