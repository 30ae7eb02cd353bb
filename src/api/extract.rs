//! Extractors whose refusals are the error envelope.

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, FailedToBufferBody};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::page::PageRequest;
use crate::error::{Error, Result, codes};

pub mod query;

pub use query::Query;

/// A JSON body, in and out. The content type is not looked at: clients of the API send JSON and
/// nothing else.
#[derive(Debug, Clone)]
pub struct Json<T>(pub T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        let bytes = body(request, state).await?;
        if bytes.is_empty() {
            return Err(Error::bad_request("The request body is empty")
                .fix("Send a JSON object with Content-Type: application/json"));
        }
        parse(&bytes).map(Self)
    }
}

/// A JSON body that may be left out.
#[derive(Debug, Clone)]
pub struct OptionalJson<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequest<S> for OptionalJson<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        let bytes = body(request, state).await?;
        if bytes.is_empty() { Ok(Self(T::default())) } else { parse(&bytes).map(Self) }
    }
}

/// The fields of a form, or a JSON body of the same shape.
#[derive(Debug, Clone)]
pub struct JsonOrForm<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonOrForm<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        let bytes = body(request, state).await?;
        // The content type is not looked at: the fields of a form never begin like an object.
        if bytes.iter().find(|b| !b.is_ascii_whitespace()).is_some_and(|b| b"{[".contains(b)) {
            return parse(&bytes).map(Self);
        }
        let fields = url::form_urlencoded::parse(&bytes);
        let fields = fields.map(|(name, value)| (name.into_owned(), value.into_owned().into()));
        from_value(serde_json::Value::Object(fields.collect())).map(Self)
    }
}

async fn body<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes> {
    Bytes::from_request(request, state).await.map_err(|rejection| match rejection {
        BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => too_large(),
        _ => Error::bad_request("The request body could not be read to its end"),
    })
}

/// 413.
pub(super) fn too_large() -> Error {
    Error::new(codes::BODY_TOO_LARGE, "The request body is too large")
        .fix("Send less, or raise max_body_bytes (PATCHBAY_MAX_BODY_BYTES)")
}

/// 413 for a file.
pub(super) fn too_large_file() -> Error {
    Error::new(codes::BODY_TOO_LARGE, "The file is too large")
        .fix("Send less, or raise session_file_max_bytes (PATCHBAY_SESSION_FILE_MAX_BYTES)")
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    if std::str::from_utf8(bytes).is_err() {
        return Err(Error::bad_request("The request body is not valid UTF-8"));
    }
    // Every body is an object; serde would take a list for a struct as well.
    if bytes.iter().find(|b| !b.is_ascii_whitespace()).is_some_and(|b| *b == b'[') {
        return Err(Error::bad_request("The request body must be a JSON object"));
    }
    let mut input = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut input).map_err(|error| refusal(&error))?;
    input.end().map_err(|error| {
        Error::bad_request(format!("The request body is not valid JSON: {error}"))
    })?;
    Ok(value)
}

/// What is wrong with a body.
fn refusal(error: &serde_path_to_error::Error<serde_json::Error>) -> Error {
    let path = error.path().to_string();
    let inner = error.inner();
    match inner.classify() {
        serde_json::error::Category::Data => {
            let text = inner.to_string();
            // The position in the text helps nobody once the path is known.
            let text = text.split(" at line ").next().unwrap_or(&text);
            let problem = if path == "." { text.to_owned() } else { format!("{path}: {text}") };
            Error::invalid(format!("Invalid request body: {problem}"), vec![problem])
        }
        _ => Error::bad_request(format!("The request body is not valid JSON: {inner}")),
    }
}

/// A part of a body that was read as JSON already, with the path of what is wrong in it: serde
/// loses the path in flattened structs.
///
/// # Errors
/// 400 that names what is wrong.
pub fn from_value<T: DeserializeOwned>(value: serde_json::Value) -> Result<T> {
    serde_path_to_error::deserialize(value).map_err(|error| refusal(&error))
}

/// Path parameters.
#[derive(Debug, Clone)]
pub struct Path<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let axum::extract::Path(value) =
            axum::extract::Path::from_request_parts(parts, state).await.map_err(|rejection| {
                Error::bad_request(format!("Invalid path: {}", rejection.body_text()))
            })?;
        Ok(Self(value))
    }
}

/// The page that a list's `limit` and `cursor` ask for.
///
/// # Errors
/// 400 for a cursor that this server did not make.
pub fn page(limit: Option<i64>, cursor: Option<&str>, default: i64) -> Result<PageRequest> {
    PageRequest::parse(limit, cursor, default).ok_or_else(|| {
        Error::invalid("Invalid cursor", vec!["cursor: not a cursor of this list".to_owned()])
            .fix("Send the next_cursor of the previous page as it is, or leave cursor out")
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Inner {
        #[allow(dead_code)]
        count: u32,
    }

    #[derive(Debug, Deserialize)]
    struct Outer {
        #[allow(dead_code)]
        inner: Inner,
    }

    fn refusal(text: &[u8]) -> Error {
        parse::<Outer>(text).unwrap_err()
    }

    #[test]
    fn a_wrong_type_names_its_path() {
        let error = refusal(br#"{"inner":{"count":"x"}}"#);
        assert!(error.errors[0].starts_with("inner.count: invalid type"), "{error:?}");
        assert!(refusal(br#"{}"#).message.contains("missing field `inner`"));
    }

    #[test]
    fn what_is_not_json_is_refused_in_words() {
        for text in [&b"{"[..], b"", b"{}x", b"\xff", b"nul"] {
            assert_eq!(refusal(text).code.status, 400, "{text:?}");
        }
        let deep = "[".repeat(100_000);
        assert!(parse::<Outer>(deep.as_bytes()).is_err());
    }
}
