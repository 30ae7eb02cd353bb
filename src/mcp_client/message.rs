//! JSON-RPC as MCP has it.

use serde_json::{Map, Value, json};

/// The versions that begin with `initialize`, newest first; the first one is offered.
const VERSIONS: [&str; 4] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];
/// The version that has no `initialize`: each request says what the client is.
pub(super) const WITHOUT_SESSION: &str = "2026-07-28";

/// Something that a server sent.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Incoming {
    /// The answer to the request with this id.
    Result(Value, Value),
    /// The refusal of the request with this id; of all when it is null.
    Error(Value, i64, String),
    /// A question to us: its id and method.
    Request(Value, String),
    /// News: its method.
    Notification(String),
}

impl Incoming {
    /// The messages in a JSON text: one, or a list of them.
    pub(super) fn read(text: &[u8]) -> Result<Vec<Self>, String> {
        let value: Value =
            serde_json::from_slice(text).map_err(|e| format!("an answer that is no JSON: {e}"))?;
        match value {
            Value::Array(items) => items.into_iter().map(Self::of).collect(),
            one => Ok(vec![Self::of(one)?]),
        }
    }

    fn of(value: Value) -> Result<Self, String> {
        let Value::Object(mut fields) = value else {
            return Err("an answer that is no JSON-RPC message".to_owned());
        };
        let id = fields.remove("id");
        if let Some(Value::String(method)) = fields.remove("method") {
            return Ok(match id {
                Some(id) => Self::Request(id, method),
                None => Self::Notification(method),
            });
        }
        let id = id.unwrap_or(Value::Null);
        if let Some(result) = fields.remove("result") {
            return Ok(Self::Result(id, result));
        }
        let Some(error) = fields.remove("error") else {
            return Err("an answer that is no JSON-RPC message".to_owned());
        };
        let code = error.get("code").and_then(Value::as_i64).unwrap_or_default();
        let message = error.get("message").and_then(Value::as_str).unwrap_or("unknown error");
        Ok(Self::Error(id, code, message.chars().take(1000).collect()))
    }
}

/// Who we are.
fn client() -> Value {
    json!({"name": "patchbay", "title": "Patchbay", "version": env!("CARGO_PKG_VERSION")})
}

/// A request.
pub(super) fn request(id: i64, method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

/// The first request of a session.
pub(super) fn initialize(id: i64) -> Value {
    let params =
        json!({"protocolVersion": VERSIONS[0], "capabilities": {}, "clientInfo": client()});
    request(id, "initialize", params)
}

/// The version that the answer to `initialize` settles on.
pub(super) fn version(result: &Value) -> Result<String, String> {
    let offered = result.get("protocolVersion").and_then(Value::as_str).unwrap_or_default();
    VERSIONS.iter().find(|known| **known == offered).map(|known| (*known).to_owned()).ok_or_else(
        || {
            let shown: String = offered.chars().take(40).collect();
            format!("version {shown:?} of the protocol, which is not known here")
        },
    )
}

/// What a request of the version without `initialize` says in addition.
pub(super) fn describe(params: &mut Value) {
    let Value::Object(params) = params else { return };
    let meta = params.entry("_meta").or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(meta) = meta {
        for (key, value) in [
            ("protocolVersion", WITHOUT_SESSION.into()),
            ("clientInfo", client()),
            ("clientCapabilities", json!({})),
        ] {
            meta.insert(format!("io.modelcontextprotocol/{key}"), value);
        }
    }
}

/// News of ours.
pub(super) fn notification(method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "method": method, "params": params})
}

/// What we answer to a server that asks: that we are there, and nothing else. Who calls a tool
/// through here has no model to lend and nobody to fill in forms.
pub(super) fn reply(id: Value, method: &str) -> Value {
    if method == "ping" {
        return json!({"jsonrpc": "2.0", "id": id, "result": {}});
    }
    let error = json!({"code": -32601, "message": "This client does not offer that"});
    json!({"jsonrpc": "2.0", "id": id, "error": error})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_told_apart() {
        let read = |text: &str| Incoming::read(text.as_bytes());
        let list = read(
            r#"[{"jsonrpc":"2.0","id":1,"result":{"a":1}}, {"method":"notifications/x"},
                {"id":"s","method":"ping"}, {"id":null,"error":{"code":-1,"message":"m"}}]"#,
        );
        let expected = [
            Incoming::Result(json!(1), json!({"a": 1})),
            Incoming::Notification("notifications/x".into()),
            Incoming::Request(json!("s"), "ping".into()),
            Incoming::Error(Value::Null, -1, "m".into()),
        ];
        assert_eq!(list.unwrap(), expected);
        for bad in ["", "1", "{}", "[1]", "<html>"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_known_versions_are_settled_on() {
        assert_eq!(version(&json!({"protocolVersion": "2025-03-26"})).unwrap(), "2025-03-26");
        assert!(version(&json!({"protocolVersion": "1\r\n"})).is_err());
        assert!(version(&json!(null)).is_err());
    }
}
