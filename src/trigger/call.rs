//! A call of a provider, read.

use axum::body::Bytes;
use axum::http::HeaderMap;
use serde_json::{Map, Value};

use crate::catalog::trigger::Roots;

/// A call of a provider.
#[derive(Debug)]
pub struct Call {
    /// `POST`, `GET` or `HEAD`.
    pub method: String,
    /// Headers by lower-case name; several of one name are joined by commas.
    pub headers: Map<String, Value>,
    /// Parameters of the query.
    pub query: Map<String, Value>,
    /// The body, as it came.
    pub raw: Bytes,
    /// The body as JSON, or the fields of a form; null when it is neither.
    pub body: Value,
}

/// Form fields; of several of one name the last one.
fn fields(text: &[u8]) -> Map<String, Value> {
    url::form_urlencoded::parse(text).map(|(k, v)| (k.into_owned(), v.into())).collect()
}

impl Call {
    /// Reads a call.
    ///
    /// # Errors
    /// When the body is said to be JSON and is not.
    pub fn new(
        method: &str,
        headers: &HeaderMap,
        query: Option<&str>,
        raw: Bytes,
    ) -> Result<Self, String> {
        let mut by_name = Map::new();
        for name in headers.keys() {
            let values: Vec<_> = headers
                .get_all(name)
                .iter()
                .map(|value| String::from_utf8_lossy(value.as_bytes()))
                .collect();
            by_name.insert(name.as_str().to_owned(), values.join(", ").into());
        }
        let kind = by_name.get("content-type").and_then(Value::as_str).unwrap_or_default();
        let body = if kind.starts_with("application/x-www-form-urlencoded") {
            Value::Object(fields(&raw))
        } else if raw.iter().all(u8::is_ascii_whitespace) {
            Value::Null
        } else {
            match serde_json::from_slice(&raw) {
                Ok(body) => body,
                Err(error) if kind.contains("json") => {
                    return Err(format!("the body is not JSON: {error}"));
                }
                Err(_) => Value::Null,
            }
        };
        let query = query.map(|q| fields(q.as_bytes())).unwrap_or_default();
        Ok(Self { method: method.to_owned(), headers: by_name, query, raw, body })
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name.to_ascii_lowercase().as_str()).and_then(Value::as_str)
    }

    /// The body as text that the database takes.
    pub fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.raw);
        if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text.into_owned() }
    }

    /// What templates see.
    pub fn roots(&self, hook: Map<String, Value>) -> Roots {
        let mut roots = Roots::new();
        roots.insert("hook".to_owned(), hook.into());
        roots.insert("headers".to_owned(), self.headers.clone().into());
        roots.insert("query".to_owned(), self.query.clone().into());
        roots.insert("body".to_owned(), self.body.clone());
        roots.insert("raw".to_owned(), self.text().into());
        roots
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(kind: &str, body: &str) -> Result<Value, String> {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", kind.parse().unwrap());
        Call::new("POST", &headers, Some("a=1&b=%20"), body.as_bytes().to_vec().into())
            .map(|call| call.body)
    }

    #[test]
    fn bodies_are_json_forms_or_nothing() {
        assert_eq!(read("application/json; charset=utf-8", r#"{"a":1}"#), Ok(json!({"a": 1})));
        assert_eq!(read("text/plain", r#"{"a":1}"#), Ok(json!({"a": 1})));
        assert_eq!(read("text/plain", "hello"), Ok(Value::Null));
        assert_eq!(read("application/json", "  "), Ok(Value::Null));
        let form = read("application/x-www-form-urlencoded", "a=1&b=x%26y&a=2").unwrap();
        assert_eq!(form, json!({"a": "2", "b": "x&y"}));
        for bad in ["{", "{}x", "\u{1}", "1e999", r#""\ud800""#] {
            assert!(read("application/json", bad).is_err(), "{bad}");
        }
        assert!(read("application/json", &"[".repeat(100_000)).is_err());
    }
}
