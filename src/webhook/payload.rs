//! Bodies, in the three versions. Events are stored as V3 has them; the others are made of that.
//!
//! The database keeps no order of keys. Every attempt of a delivery has the same bytes, whether the
//! event comes from memory or from there, so keys are written in an order of their own.

use axum::body::Bytes;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::domain::webhook::Version;
use crate::error::{Error, Result};

/// The body of an event.
///
/// # Errors
/// Never in practice: what is stored is JSON.
pub fn body(version: Version, event: &Value) -> Result<Bytes> {
    let bytes = match version {
        Version::V3 => serde_json::to_vec(&Ordered(event)),
        Version::V2 => serde_json::to_vec(&Ordered(&v2(event))),
        Version::V1 => serde_json::to_vec(&Ordered(&v1(event))),
    };
    bytes.map(Bytes::from).map_err(Error::internal)
}

/// A value whose keys are written in alphabetical order.
struct Ordered<'a>(&'a Value);

impl Serialize for Ordered<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self.0 {
            Value::Object(map) => {
                let mut fields: Vec<_> = map.iter().collect();
                fields.sort_unstable_by_key(|(name, _)| *name);
                serializer.collect_map(fields.into_iter().map(|(name, v)| (name, Ordered(v))))
            }
            Value::Array(items) => serializer.collect_seq(items.iter().map(Ordered)),
            plain => plain.serialize(serializer),
        }
    }
}

fn metadata<'a>(event: &'a Value, name: &str) -> &'a str {
    event["metadata"][name].as_str().unwrap_or_default()
}

/// Ids stand among the trigger's own data, and before it where they have the same name.
fn v2(event: &Value) -> Value {
    let mut data = match &event["data"] {
        Value::Object(data) => data.clone(),
        Value::Null => Map::new(),
        other => Map::from_iter([("data".to_owned(), other.clone())]),
    };
    let (account, trigger) =
        (metadata(event, "connected_account_id"), metadata(event, "trigger_id"));
    for (name, id) in [
        ("connection_id", account),
        ("connection_nano_id", account),
        ("trigger_nano_id", trigger),
        ("trigger_id", trigger),
        ("user_id", metadata(event, "user_id")),
    ] {
        data.insert(name.to_owned(), id.into());
    }
    json!({
        "type": metadata(event, "trigger_slug").to_lowercase(),
        "data": data,
        "timestamp": event["timestamp"],
        "log_id": metadata(event, "log_id"),
    })
}

fn v1(event: &Value) -> Value {
    json!({
        "trigger_name": metadata(event, "trigger_slug").to_lowercase(),
        "trigger_id": metadata(event, "trigger_id"),
        "connection_id": metadata(event, "connected_account_id"),
        "payload": event["data"],
        "log_id": metadata(event, "log_id"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Value {
        json!({
            "id": "msg_abc123", "type": "composio.trigger.message",
            "metadata": {
                "log_id": "log_abc123", "trigger_slug": "GITHUB_COMMIT_EVENT",
                "trigger_id": "ti_xyz789", "connected_account_id": "ca_def456",
                "auth_config_id": "ac_xyz789", "user_id": "user-id-123435",
            },
            "data": {"commit_sha": "a1b2c3d", "user_id": "the author's"},
            "timestamp": "2026-01-15T10:30:00Z",
        })
    }

    fn read(version: Version) -> Value {
        serde_json::from_slice(&body(version, &event()).unwrap()).unwrap()
    }

    #[test]
    fn the_order_of_keys_says_nothing() {
        let one = json!({"b": [{"y": 1, "x": null}], "a": {"d": "t", "c": 1.5}});
        let other = json!({"a": {"c": 1.5, "d": "t"}, "b": [{"x": null, "y": 1}]});
        let written = body(Version::V3, &one).unwrap();
        assert_eq!(written, body(Version::V3, &other).unwrap());
        assert_eq!(written, r#"{"a":{"c":1.5,"d":"t"},"b":[{"x":null,"y":1}]}"#);
    }

    #[test]
    fn every_version_has_its_documented_shape() {
        assert_eq!(read(Version::V3), event());
        assert_eq!(
            read(Version::V2),
            json!({
                "type": "github_commit_event",
                "data": {
                    "commit_sha": "a1b2c3d", "connection_id": "ca_def456",
                    "connection_nano_id": "ca_def456", "trigger_nano_id": "ti_xyz789",
                    "trigger_id": "ti_xyz789", "user_id": "user-id-123435",
                },
                "timestamp": "2026-01-15T10:30:00Z", "log_id": "log_abc123",
            })
        );
        assert_eq!(
            read(Version::V1),
            json!({
                "trigger_name": "github_commit_event", "trigger_id": "ti_xyz789",
                "connection_id": "ca_def456",
                "payload": {"commit_sha": "a1b2c3d", "user_id": "the author's"},
                "log_id": "log_abc123",
            })
        );
    }
}
