//! From an item that a poll found to the event that is stored.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::db::event::EventRow;
use crate::db::trigger_poll::DueRow;
use crate::domain::id::EventId;
use crate::domain::time::iso;
use crate::trigger::health::MESSAGE;

/// Longest id of an item that is a key as it is.
const LONGEST_KEY: usize = 200;

/// Longest text of an item that is kept beside its event.
const LONGEST_ORIGINAL: usize = 1024 * 1024;

/// An item that is to be told.
#[derive(Debug)]
pub struct Told {
    /// When it was made, in milliseconds.
    pub at: Option<i64>,
    /// Its id.
    pub id: String,
    /// As the list had it.
    pub item: Value,
    /// The data of the event.
    pub data: Value,
}

/// The key that tells an item from others at the provider.
pub fn key(id: &str) -> String {
    if id.len() <= LONGEST_KEY {
        return id.to_owned();
    }
    format!("sha256:{}", hex::encode(<sha2::Sha256 as sha2::Digest>::digest(id.as_bytes())))
}

/// The event of an item.
pub fn row(due: &DueRow, mut told: Told, at: DateTime<Utc>) -> EventRow {
    let id = EventId::message();
    storable(&mut told.data);
    let payload = json!({
        "id": id,
        "type": MESSAGE,
        "metadata": {
            "log_id": id.log(),
            "trigger_slug": due.slug,
            "trigger_id": due.trigger_id,
            "connected_account_id": due.account_id,
            "auth_config_id": due.auth_config_id,
            "user_id": due.user_id,
        },
        "data": told.data,
        "timestamp": iso(at),
    });
    EventRow {
        project_id: due.project_id.clone(),
        id,
        kind: MESSAGE.to_owned(),
        subject_id: due.trigger_id.to_string(),
        dedupe_key: Some(key(&told.id)),
        payload,
        original: Some(told.item.to_string()).filter(|text| text.len() <= LONGEST_ORIGINAL),
        created_at: at,
    }
}

/// Takes out what PostgreSQL cannot store: NUL.
pub fn storable(value: &mut Value) {
    match value {
        Value::String(text) if text.contains('\0') => *text = text.replace('\0', "\u{fffd}"),
        Value::Array(items) => items.iter_mut().for_each(storable),
        Value::Object(fields) => {
            if fields.keys().any(|key| key.contains('\0')) {
                *fields = std::mem::take(fields)
                    .into_iter()
                    .map(|(key, value)| (key.replace('\0', "\u{fffd}"), value))
                    .collect();
            }
            fields.values_mut().for_each(storable);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_stored_is_replaced_and_the_rest_stays() {
        let mut value = json!({"a\0": ["b\0c", {"d": "e"}, 1, null]});
        storable(&mut value);
        assert_eq!(value, json!({"a\u{fffd}": ["b\u{fffd}c", {"d": "e"}, 1, null]}));
    }

    #[test]
    fn a_long_id_is_a_short_key() {
        assert_eq!(key("18c2a"), "18c2a");
        let (a, b) = (key(&"x".repeat(201)), key(&"x".repeat(202)));
        assert!(a.len() < LONGEST_KEY && a != b);
    }
}
