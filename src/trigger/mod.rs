//! Trigger instances: set up, registered at the provider, told of news, listed, replayed, removed.
//!
//! | module | knows |
//! |---|---|
//! | `instance` | what a project may do with its instances |
//! | `chosen` | whose account an instance is made for |
//! | `hook` | registering at the provider, renewing, removing |
//! | `plan` | when that is tried again |
//! | `poll` | asking providers that do not call |
//! | `health` | what the server does with an instance by itself |
//! | `ingress`, `call`, `verify` | what providers send |
//! | `endpoint` | the URLs that apps of providers call |
//! | `farewell` | what becomes of instances whose account goes |

mod call;
mod chosen;
pub mod endpoint;
mod farewell;
pub mod health;
pub mod hook;
pub mod ingress;
pub mod instance;
mod plan;
pub mod poll;
mod verify;

use std::sync::Arc;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::app::App;
use crate::catalog::trigger::{How, Webhook};
use crate::catalog::{Toolkit, Trigger};
use crate::db::notify::Changed;
use crate::db::trigger_instance::TriggerRow;
use crate::domain::id::TriggerId;
use crate::error::{Error, Result, codes};

pub use call::Call;
pub use farewell::{Going, farewell};
pub use instance::{Wanted, delete, list, replay, set_enabled, upsert};

/// Path of the URLs that providers call, for instances.
pub const INSTANCE_PATH: &str = "/hooks/t";

/// 404 for an instance.
pub fn unknown(id: &TriggerId) -> Error {
    Error::not_found(codes::TRIGGER_NOT_FOUND, "Trigger instance", id.as_str())
        .fix("List the project's trigger instances with GET /api/v3/trigger_instances/active?show_disabled=true")
}

/// 404 for a type.
pub fn unknown_type(slug: &str) -> Error {
    Error::not_found(codes::TRIGGER_TYPE_NOT_FOUND, "Trigger type", slug)
        .fix("List the trigger types with GET /api/v3/triggers_types")
}

/// The type of an instance; none when the definitions do not have it any more.
pub fn type_of(app: &App, row: &TriggerRow) -> Result<(Arc<Toolkit>, Arc<Trigger>)> {
    app.trigger(&row.project_id, &row.slug).ok_or_else(|| unknown_type(&row.slug))
}

/// How a type is called by the provider; none for one that asks.
pub fn webhook(trigger: &Trigger) -> Option<&Webhook> {
    match &trigger.how {
        How::Webhook(webhook) => Some(webhook),
        How::Poll(_) => None,
    }
}

/// What changed, when this instance did.
pub fn changed(row: &TriggerRow) -> Changed {
    Changed::Trigger {
        project: row.project_id.clone(),
        id: row.id.clone(),
        toolkit: row.toolkit_slug.clone(),
    }
}

/// SHA-256 of a config, however its keys are ordered.
fn hash_of(config: &Map<String, Value>) -> Vec<u8> {
    fn sorted(value: &Value) -> Value {
        match value {
            Value::Object(map) => {
                let mut keys: Vec<_> = map.iter().collect();
                keys.sort_by_key(|(key, _)| *key);
                keys.into_iter().map(|(k, v)| (k.clone(), sorted(v))).collect()
            }
            Value::Array(items) => items.iter().map(sorted).collect(),
            plain => plain.clone(),
        }
    }
    let map: Map<String, Value> = config.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    Sha256::digest(sorted(&Value::Object(map)).to_string()).to_vec()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::hash_of;

    #[test]
    fn the_order_of_keys_makes_no_other_config() {
        let hash = |value: serde_json::Value| hash_of(value.as_object().unwrap());
        assert_eq!(
            hash(json!({"a": 1, "b": {"c": [1], "d": 2}})),
            hash(json!({"b": {"d": 2, "c": [1]}, "a": 1}))
        );
        assert_ne!(hash(json!({"a": 1})), hash(json!({"a": "1"})));
        assert_ne!(hash(json!({"a": [1, 2]})), hash(json!({"a": [2, 1]})));
    }
}
