//! What a message must look like before the protocol is asked.
//!
//! `rmcp` answers a message that it cannot read with one sentence for all causes. Here each has its
//! own, with the number that JSON-RPC has for it and the id of the request when there is one.

use std::borrow::Cow;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use rmcp::model::ErrorCode;
use serde::Deserialize;
use serde_json::error::Category;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::refusal::Refusal;
use crate::session::execute::arguments;

/// Deepest nesting. The parser's own limit is 128, and messages are wrapped a few levels deep.
const MAX_DEPTH: usize = 100;

/// A message that can be handed on.
#[derive(Debug)]
pub(super) struct Message {
    /// As `rmcp` reads it.
    pub(super) bytes: Bytes,
    /// Its number; none: a notification.
    pub(super) id: Option<Value>,
    /// What it asks for.
    pub(super) method: String,
    /// Of a cancellation: the request that is no longer wanted.
    pub(super) cancels: Option<Value>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    jsonrpc: Option<Cow<'a, str>>,
    id: Option<Value>,
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Call<'a> {
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

/// Whether a body says that it is JSON.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = value.map(|value| value.split(';').next().unwrap_or_default().trim());
    essence.is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"))
}

/// Reads a body to its end.
///
/// # Errors
/// When it is too large, too slow, or ends too early.
pub(super) async fn read(body: Body, max: usize, time: Duration) -> Result<Bytes, Refusal> {
    let read = tokio::time::timeout(time, Limited::new(body, max).collect());
    match read.await {
        Ok(Ok(read)) => Ok(read.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::http(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("The message is larger than {max} bytes"),
        )),
        Ok(Err(_)) => {
            Err(Refusal::http(StatusCode::BAD_REQUEST, "The message ended before it was complete"))
        }
        Err(_) => {
            Err(Refusal::http(StatusCode::REQUEST_TIMEOUT, "The message did not arrive in time"))
        }
    }
}

/// Looks a message over.
///
/// # Errors
/// When it is no JSON, or no message of the protocol.
pub(super) fn check(bytes: Bytes) -> Result<Message, Refusal> {
    let parse_error =
        |message: String| Refusal::new(StatusCode::BAD_REQUEST, ErrorCode::PARSE_ERROR, message);
    if depth(&bytes) > MAX_DEPTH {
        return Err(parse_error(format!("The message is nested deeper than {MAX_DEPTH} levels")));
    }
    if bytes.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'[') {
        return Err(Refusal::invalid("Batches are not supported; send each message by itself"));
    }
    let envelope: Envelope<'_> = match serde_json::from_slice(&bytes) {
        Ok(envelope) => envelope,
        Err(error) => {
            return Err(match error.classify() {
                Category::Syntax | Category::Eof | Category::Io => {
                    let (line, column) = (error.line(), error.column());
                    parse_error(format!("The message is not JSON (line {line}, column {column})"))
                }
                Category::Data => Refusal::invalid("The message is not a JSON-RPC request"),
            });
        }
    };
    let id = match envelope.id {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(Value::String(text)),
        Some(Value::Number(number)) if number.is_i64() => Some(Value::Number(number)),
        Some(_) => return Err(Refusal::invalid("id: must be text or a whole number")),
    };
    let invalid = |message: &str| Refusal::invalid(message).id(id.as_ref());
    if envelope.jsonrpc.as_deref() != Some("2.0") {
        return Err(invalid("jsonrpc: must be \"2.0\""));
    }
    let Some(method) = envelope.method.map(Cow::into_owned) else {
        return Err(invalid("method: is missing; the server asks nothing, so it takes no answers"));
    };
    let params = envelope.params.map_or("", RawValue::get);
    if !matches!(params.as_bytes().first(), None | Some(b'{')) && params != "null" {
        return Err(invalid("params: must be an object"));
    }
    let mut cancels = None;
    let mut replaced = None;
    match method.as_str() {
        "tools/call" => {
            replaced = call(params, &bytes).map_err(|refusal| refusal.id(id.as_ref()))?
        }
        "tools/list" => list(params).map_err(|refusal| refusal.id(id.as_ref()))?,
        "notifications/cancelled" => {
            let params: Option<Value> = serde_json::from_str(params).ok();
            cancels = params.and_then(|params| params.get("requestId").cloned());
        }
        _ => {}
    }
    Ok(Message { bytes: replaced.unwrap_or(bytes), id, method, cancels })
}

/// Checks a request for a list: the library takes a malformed one for one without parameters.
fn list(params: &str) -> Result<(), Refusal> {
    let params: Option<Map<String, Value>> = serde_json::from_str(params).unwrap_or_default();
    match params.as_ref().and_then(|params| params.get("cursor")) {
        None | Some(Value::Null | Value::String(_)) => Ok(()),
        Some(_) => Err(wrong("params.cursor: must be text")),
    }
}

fn wrong(message: &str) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, ErrorCode::INVALID_PARAMS, message)
}

/// Checks a call. The arguments may be text that holds an object, as models write it; the whole
/// message with the object in its place is then the result.
fn call(params: &str, whole: &Bytes) -> Result<Option<Bytes>, Refusal> {
    let wrong =
        |message: &str| Refusal::new(StatusCode::BAD_REQUEST, ErrorCode::INVALID_PARAMS, message);
    let Ok(Call { name: Some(_), arguments: given }) = serde_json::from_str::<Call<'_>>(params)
    else {
        return Err(wrong("params.name: must be the name of a tool"));
    };
    match given.map(|raw| raw.get().as_bytes()[0]) {
        None | Some(b'{' | b'n') => Ok(None),
        Some(b'"') => {
            let mut message: Map<String, Value> =
                serde_json::from_slice(whole).map_err(|_| wrong("params: cannot be read"))?;
            let params = message.get_mut("params").and_then(Value::as_object_mut);
            let Some(slot) = params.and_then(|params| params.get_mut("arguments")) else {
                return Ok(None);
            };
            *slot = arguments(slot.take())
                .map_err(|_| wrong("params.arguments: must be an object, or text that holds one"))?
                .into();
            // It was read from JSON, so it can be written as such.
            Ok(serde_json::to_vec(&message).ok().map(Bytes::from))
        }
        Some(_) => Err(wrong("params.arguments: must be an object")),
    }
}

/// How deep brackets are nested, outside of texts.
fn depth(text: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0usize, 0usize);
    let (mut quoted, mut escaped) = (false, false);
    for byte in text {
        if quoted {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => quoted = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => quoted = true,
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;
    use serde_json::json;

    use super::*;

    async fn refused(text: impl Into<Bytes>) -> (u16, i64, Value) {
        let response = check(text.into()).unwrap_err().into_response();
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["jsonrpc"], "2.0");
        (status, body["error"]["code"].as_i64().unwrap(), body["id"].clone())
    }

    #[tokio::test]
    async fn each_malformed_message_has_its_own_error() {
        for text in ["", "{", "{\"jsonrpc\": ", "nope", "{\"a\":1}}", "\u{feff}{}"] {
            assert_eq!(refused(text).await, (400, -32700, Value::Null), "{text}");
        }
        for text in ["[]", " [1]", "1", "\"x\"", "{\"method\": 1}", "{\"id\": {}}", "{\"id\": 1.5}"]
        {
            assert_eq!(refused(text).await, (400, -32600, Value::Null), "{text}");
        }
        for wrong in [
            json!({"id": 7, "method": "ping"}),
            json!({"jsonrpc": "1.0", "id": 7, "method": "ping"}),
            json!({"jsonrpc": "2.0", "id": 7, "result": {}}),
            json!({"jsonrpc": "2.0", "id": 7, "method": "ping", "params": [1]}),
        ] {
            assert_eq!(refused(wrong.to_string()).await, (400, -32600, json!(7)), "{wrong}");
        }
        for params in [
            json!({}),
            json!({"name": 1}),
            json!({"name": "X", "arguments": [1]}),
            json!({"name": "X", "arguments": "nope"}),
            json!({"name": "X", "arguments": 7}),
        ] {
            let call =
                json!({"jsonrpc": "2.0", "id": "a", "method": "tools/call", "params": params});
            assert_eq!(refused(call.to_string()).await, (400, -32602, json!("a")), "{call}");
        }
        let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
        let deep = format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\",\"params\":{{\"a\":{deep}}}}}"
        );
        assert_eq!(refused(deep).await.1, -32700);
    }

    #[test]
    fn arguments_as_text_become_an_object() {
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": {"name": "X", "arguments": "{\"a\": \"[[[\"}"}});
        let message = check(call.to_string().into()).unwrap();
        let read: Value = serde_json::from_slice(&message.bytes).unwrap();
        assert_eq!(read["params"]["arguments"], json!({"a": "[[["}));
        let plain = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": {"name": "X", "arguments": {"a": 1}}})
        .to_string();
        assert_eq!(check(plain.clone().into()).unwrap().bytes, plain);
    }

    #[test]
    fn brackets_in_texts_are_not_nesting() {
        assert_eq!(depth(br#"{"a": "[[[\"[[", "b": [1]}"#), 2);
    }
}
