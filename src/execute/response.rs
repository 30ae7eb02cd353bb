//! From a provider's answer to `data`, `error` and `successful`.

use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderMap};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use crate::catalog::model::ResponseRule;
use crate::domain::outbound::OutboundResponse;

/// Longest error text.
const MAX_ERROR: usize = 1000;
/// Text without a telling media type is kept as text up to this size; more is a file.
const MAX_UNTYPED_TEXT: usize = 65_536;

/// The media type of what has none.
const OCTETS: &str = "application/octet-stream";

/// A body, understood.
pub enum Body {
    /// JSON, text under `text`, or nothing (null).
    Value(Value),
    /// Bytes that are neither JSON nor text.
    File(FileBody),
}

/// A file in an answer.
pub struct FileBody {
    /// Name, from the headers or made up.
    pub name: String,
    /// Media type.
    pub mimetype: String,
}

/// Why an answer is a failure.
#[derive(Debug)]
pub struct Failure {
    /// For a person or a model.
    pub error: String,
    /// What the provider said.
    pub data: Map<String, Value>,
}

/// Reads a body: JSON whatever the media type says, else text, else a file.
pub fn read(answer: &OutboundResponse) -> Body {
    let body = answer.body.as_ref();
    if answer.status == 204 || body.trim_ascii().is_empty() {
        return Body::Value(Value::Null);
    }
    let mimetype = mimetype(&answer.headers);
    if may_be_json(body, &mimetype)
        && let Ok(value) = serde_json::from_slice::<Value>(body)
    {
        return Body::Value(value);
    }
    match text(&answer.headers, body, &mimetype) {
        Some(text) => Body::Value(Value::String(text)),
        None => Body::File(file(answer)),
    }
}

/// What file an answer is.
pub fn file(answer: &OutboundResponse) -> FileBody {
    let mimetype = mimetype(&answer.headers);
    let name = file_name(&answer.headers, &mimetype);
    let unknown = mimetype.is_empty();
    FileBody { name, mimetype: if unknown { OCTETS.to_owned() } else { mimetype } }
}

/// The media type, lower case, without parameters.
pub(super) fn mimetype(headers: &HeaderMap) -> String {
    let value = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn is_json(mimetype: &str) -> bool {
    mimetype.ends_with("/json") || mimetype.ends_with("+json")
}

/// Prose that happens to be a number or a quoted word stays text.
fn may_be_json(body: &[u8], mimetype: &str) -> bool {
    let first = body.trim_ascii_start().first().copied().unwrap_or_default();
    match first {
        b'{' | b'[' => !is_binary(mimetype),
        b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => is_json(mimetype) || mimetype.is_empty(),
        _ => false,
    }
}

fn is_binary(mimetype: &str) -> bool {
    let kind = mimetype.split('/').next().unwrap_or_default();
    (matches!(kind, "image" | "audio" | "video" | "font") && mimetype != "image/svg+xml")
        || matches!(
            mimetype,
            "application/pdf" | "application/zip" | "application/gzip" | "application/x-tar"
        )
        || mimetype.starts_with("application/vnd.openxmlformats")
        || mimetype.starts_with("application/vnd.ms-")
}

fn is_textual(mimetype: &str) -> bool {
    mimetype.starts_with("text/")
        || is_json(mimetype)
        || mimetype.ends_with("+xml")
        || matches!(
            mimetype,
            "application/xml"
                | "application/javascript"
                | "application/x-javascript"
                | "application/graphql"
                | "application/yaml"
                | "application/x-yaml"
                | "application/x-ndjson"
                | "application/x-www-form-urlencoded"
                | "application/sql"
        )
}

fn text(headers: &HeaderMap, body: &[u8], mimetype: &str) -> Option<String> {
    if is_binary(mimetype) {
        return None;
    }
    let textual = is_textual(mimetype);
    match std::str::from_utf8(body) {
        Ok(text) if textual => Some(text.to_owned()),
        Ok(text) if body.len() <= MAX_UNTYPED_TEXT && !text.contains('\0') => Some(text.to_owned()),
        Ok(_) => None,
        Err(_) if textual => Some(decode(headers, body)),
        Err(_) => None,
    }
}

/// Text that is not UTF-8: Latin-1 where the headers say so.
fn decode(headers: &HeaderMap, body: &[u8]) -> String {
    let kind = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let kind = kind.to_ascii_lowercase();
    if kind.contains("iso-8859-1") || kind.contains("windows-1252") || kind.contains("latin1") {
        body.iter().map(|b| char::from(*b)).collect()
    } else {
        String::from_utf8_lossy(body).into_owned()
    }
}

fn file_name(headers: &HeaderMap, mimetype: &str) -> String {
    let disposition =
        headers.get(CONTENT_DISPOSITION).map(|v| String::from_utf8_lossy(v.as_bytes()));
    if let Some(name) = disposition.and_then(|text| disposed_name(&text)) {
        return name;
    }
    format!("file.{}", extension(mimetype))
}

/// How names of files of a media type end.
pub(super) fn extension(mimetype: &str) -> &'static str {
    match mimetype {
        "application/pdf" => "pdf",
        "application/zip" => "zip",
        "application/json" => "json",
        "application/xml" | "text/xml" => "xml",
        "text/plain" => "txt",
        "text/csv" => "csv",
        "text/html" => "html",
        "image/svg+xml" => "svg",
        "application/gzip" => "gz",
        "image/png" => "png",
        "image/jpeg" => "jpg",
        "image/gif" => "gif",
        "image/webp" => "webp",
        "audio/mpeg" => "mp3",
        "audio/wav" => "wav",
        "video/mp4" => "mp4",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" => "xlsx",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document" => "docx",
        _ => "bin",
    }
}

/// The file name of a `Content-Disposition`: the extended one (RFC 8187) first.
fn disposed_name(text: &str) -> Option<String> {
    let (mut plain, mut extended) = (None, None);
    for (name, value) in parameters(text) {
        if name.eq_ignore_ascii_case("filename") {
            plain.get_or_insert(value);
        } else if name.eq_ignore_ascii_case("filename*") {
            let encoded = value.splitn(3, '\'').nth(2).unwrap_or_default();
            let decoded = percent_decode_str(encoded).decode_utf8_lossy().into_owned();
            extended.get_or_insert(decoded);
        }
    }
    extended.filter(|name| !name.is_empty()).or(plain).filter(|name| !name.is_empty())
}

/// Parameters of a header; a semicolon within quotes belongs to the value.
fn parameters(text: &str) -> Vec<(String, String)> {
    let mut parts = vec![String::new()];
    let (mut quoted, mut escaped) = (false, false);
    for c in text.chars() {
        match c {
            '\\' if quoted && !escaped => {
                escaped = true;
                continue;
            }
            '"' if !escaped => quoted = !quoted,
            ';' if !quoted => parts.push(String::new()),
            c => parts.last_mut().into_iter().for_each(|part| part.push(c)),
        }
        escaped = false;
    }
    parts
        .iter()
        .filter_map(|part| part.split_once('='))
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .collect()
}

/// The part of an answer that counts, or why it is a failure.
pub fn judge(
    provider: &str,
    rule: &ResponseRule,
    status: u16,
    body: Value,
) -> Result<Value, Failure> {
    if !(200..300).contains(&status) {
        return Err(failure(provider, rule, status, body));
    }
    let ok = rule.ok.as_deref().is_none_or(|at| body.pointer(at).is_some_and(is_true));
    let failed = rule.fail_if.as_deref().is_some_and(|at| body.pointer(at).is_some_and(is_true));
    if !ok || failed {
        return Err(failure(provider, rule, status, body));
    }
    Ok(match rule.pick.as_deref() {
        None => body,
        Some(at) => body.pointer(at).cloned().unwrap_or(Value::Null),
    })
}

/// Makes an object of a result.
pub fn wrap(value: Value, key: Option<&str>) -> Map<String, Value> {
    let default = match &value {
        Value::Object(_) | Value::Null => "",
        Value::Array(_) => "items",
        Value::String(_) => "text",
        _ => "value",
    };
    match value {
        Value::Object(map) => map,
        Value::Null => Map::new(),
        other => Map::from_iter([(key.unwrap_or(default).to_owned(), other)]),
    }
}

fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(b) => *b,
        Value::Number(n) => n.as_f64() != Some(0.0),
        Value::String(s) => !s.is_empty(),
        Value::Array(a) => !a.is_empty(),
        Value::Object(o) => !o.is_empty(),
    }
}

/// A failure in the words of the provider.
pub(super) fn failure(provider: &str, rule: &ResponseRule, status: u16, body: Value) -> Failure {
    let said = rule
        .error
        .iter()
        .filter_map(|at| body.pointer(at))
        .find_map(error_text)
        .or_else(|| usual_error(&body));
    let mut error = if (200..300).contains(&status) {
        format!("{provider} reported an error")
    } else {
        let reason = StatusCode::from_u16(status).ok().and_then(|s| s.canonical_reason());
        format!("{provider} answered {status} {}", reason.unwrap_or_default()).trim_end().to_owned()
    };
    if let Some(said) = said {
        error.push_str(": ");
        error.extend(said.chars().take(MAX_ERROR));
    }
    let mut data = Map::from_iter([("status_code".to_owned(), json!(status))]);
    if !body.is_null() {
        data.insert("response".to_owned(), shortened(body));
    }
    Failure { error, data }
}

/// Where providers usually put their error when the definition names no place that is there.
fn usual_error(body: &Value) -> Option<String> {
    if let Value::String(text) = body {
        let text = text.trim();
        let html = text.starts_with('<');
        return Some(if html { "(an HTML page)".to_owned() } else { text.to_owned() });
    }
    [
        "/error/message",
        "/error_description",
        "/message",
        "/error",
        "/errors/0/message",
        "/errors/0",
        "/detail",
        "/description",
        "/title",
    ]
    .iter()
    .filter_map(|at| body.pointer(at))
    .find_map(error_text)
}

fn error_text(value: &Value) -> Option<String> {
    match value {
        Value::Null | Value::Bool(false) => None,
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => Some(text.clone()),
        Value::Array(items) if items.is_empty() => None,
        Value::Array(items) if items.iter().all(Value::is_string) => {
            Some(items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("; "))
        }
        Value::Object(fields) if fields.is_empty() => None,
        Value::Object(fields) if fields.get("message").is_some_and(Value::is_string) => {
            error_text(&fields["message"])
        }
        other => Some(other.to_string()),
    }
}

/// An error page is no data: text is cut.
fn shortened(body: Value) -> Value {
    match body {
        Value::String(text) if text.chars().count() > MAX_ERROR => {
            Value::String(text.chars().take(MAX_ERROR).chain(['…']).collect())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Bytes;
    use axum::http::HeaderValue;

    use super::*;

    fn answer(status: u16, kind: &str, body: &[u8]) -> OutboundResponse {
        let mut headers = HeaderMap::new();
        if !kind.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_str(kind).unwrap());
        }
        OutboundResponse { status, headers, body: Bytes::copy_from_slice(body) }
    }

    fn value(status: u16, kind: &str, body: &[u8]) -> Value {
        match read(&answer(status, kind, body)) {
            Body::Value(value) => value,
            Body::File(file) => json!({"file": file.name, "mimetype": file.mimetype}),
        }
    }

    #[test]
    fn json_is_read_whatever_its_media_type() {
        for kind in ["application/json", "text/html", "", "text/plain; charset=utf-8"] {
            assert_eq!(value(200, kind, b" {\"a\":1}"), json!({"a": 1}), "{kind}");
        }
        assert_eq!(value(200, "application/json", b"12"), json!(12));
        assert_eq!(value(200, "text/plain", b"12"), json!("12"));
        assert_eq!(value(200, "application/json", b"{broken"), json!("{broken"));
        assert_eq!(value(204, "application/json", b""), Value::Null);
        assert_eq!(value(200, "", b"  "), Value::Null);
    }

    #[test]
    fn text_stays_text_and_bytes_become_a_file() {
        assert_eq!(value(200, "text/csv", b"a,b"), json!("a,b"));
        assert_eq!(value(200, "text/plain; charset=iso-8859-1", b"\xe4"), json!("ä"));
        assert_eq!(value(200, "application/octet-stream", b"hello"), json!("hello"));
        assert_eq!(
            value(200, "image/png", b"\x89PNG"),
            json!({"file": "file.png", "mimetype": "image/png"})
        );
        assert_eq!(
            value(200, "application/pdf", b"%PDF-1.4 text"),
            json!({"file": "file.pdf", "mimetype": "application/pdf"})
        );
        assert_eq!(
            value(200, "", b"\xff\xfe\0"),
            json!({"file": "file.bin", "mimetype": "application/octet-stream"})
        );
        let mut named = answer(200, "application/zip", b"PK");
        let disposition = HeaderValue::from_static("attachment; filename=\"a b.zip\"");
        named.headers.insert(CONTENT_DISPOSITION, disposition);
        assert!(matches!(read(&named), Body::File(file) if file.name == "a b.zip"));
    }

    #[test]
    fn a_file_has_the_name_of_its_disposition() {
        for (text, wanted) in [
            ("attachment; filename=a.pdf", Some("a.pdf")),
            ("attachment; filename=\"a; b.pdf\"; size=3", Some("a; b.pdf")),
            ("attachment; filename=\"a \\\"b\\\".pdf\"", Some("a \"b\".pdf")),
            ("attachment; filename=\"x.pdf\"; filename*=UTF-8''%e2%82%ac%20a.pdf", Some("€ a.pdf")),
            ("attachment; FILENAME*=utf-8'en'a.pdf", Some("a.pdf")),
            ("attachment; filename=\"\"", None),
            ("attachment; filename*=broken", None),
            ("inline", None),
            ("\"", None),
        ] {
            assert_eq!(disposed_name(text).as_deref(), wanted, "{text}");
        }
    }

    #[test]
    fn errors_are_readable() {
        let rule = ResponseRule { error: vec!["/error/message".into()], ..Default::default() };
        let fail = |status, body| judge("X", &rule, status, body).unwrap_err().error;
        assert_eq!(
            fail(404, json!({"error": {"message": "no repo"}})),
            "X answered 404 Not Found: no repo"
        );
        assert_eq!(fail(400, json!({"message": "bad"})), "X answered 400 Bad Request: bad");
        assert_eq!(fail(400, json!({"errors": ["a", "b"]})), "X answered 400 Bad Request: a");
        assert_eq!(
            fail(500, json!("<html>")),
            "X answered 500 Internal Server Error: (an HTML page)"
        );
        assert_eq!(fail(502, Value::Null), "X answered 502 Bad Gateway");
        assert_eq!(fail(302, Value::Null), "X answered 302 Found");
    }

    #[test]
    fn an_error_inside_a_success_is_noticed() {
        let slack = ResponseRule {
            ok: Some("/ok".into()),
            error: vec!["/error".into()],
            ..Default::default()
        };
        let failed = judge("S", &slack, 200, json!({"ok": false, "error": "no_channel"}));
        assert_eq!(failed.unwrap_err().error, "S reported an error: no_channel");
        assert!(judge("S", &slack, 200, json!({"ok": true})).is_ok());
        let graphql = ResponseRule {
            fail_if: Some("/errors".into()),
            pick: Some("/data".into()),
            ..Default::default()
        };
        let failed = judge("L", &graphql, 200, json!({"errors": [{"message": "m"}], "data": null}));
        assert_eq!(failed.unwrap_err().error, "L reported an error: m");
        let good = judge("L", &graphql, 200, json!({"errors": [], "data": {"a": 1}}));
        assert_eq!(good.unwrap(), json!({"a": 1}));
    }

    #[test]
    fn results_become_objects() {
        assert_eq!(json!(wrap(json!([1]), None)), json!({"items": [1]}));
        assert_eq!(json!(wrap(json!([1]), Some("rows"))), json!({"rows": [1]}));
        assert_eq!(json!(wrap(json!("a"), None)), json!({"text": "a"}));
        assert_eq!(json!(wrap(json!(1), None)), json!({"value": 1}));
        assert_eq!(json!(wrap(Value::Null, None)), json!({}));
        assert_eq!(json!(wrap(json!({"a": 1}), None)), json!({"a": 1}));
    }
}
