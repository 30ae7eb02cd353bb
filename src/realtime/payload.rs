//! An event in the shape that every released client takes: the oldest.
//!
//! Newer clients also know the body of webhooks; older ones stop at it.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::db::realtime::TriggerEvent;
use crate::domain::id::uuid_of;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Payload<'a> {
    app_name: &'a str,
    client_id: u32,
    payload: &'a RawValue,
    original_payload: Original<'a>,
    metadata: Metadata<'a>,
}

/// What the provider sent. Clients want an object.
#[derive(Serialize)]
#[serde(untagged)]
enum Original<'a> {
    Object(&'a RawValue),
    Text { raw: &'a str },
    Nothing {},
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    id: String,
    nano_id: &'a str,
    trigger_name: &'a str,
    trigger_data: &'a str,
    trigger_config: &'a RawValue,
    connection: Connection<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Connection<'a> {
    id: String,
    connected_account_nano_id: &'a str,
    integration_id: String,
    auth_config_nano_id: &'a str,
    client_unique_user_id: &'a str,
    status: &'static str,
}

/// The event as JSON. What the provider sent, and what was made of it, is repeated as it is
/// stored, letter by letter.
pub fn payload(event: &TriggerEvent) -> String {
    let of = |text: &Option<String>| -> Option<Box<RawValue>> {
        text.as_ref().and_then(|text| RawValue::from_string(text.clone()).ok())
    };
    let empty = RawValue::NULL;
    let (data, config) = (of(&event.data), of(&event.config));
    let original = of(&event.original).filter(|value| value.get().starts_with('{'));
    let payload = Payload {
        app_name: &event.toolkit_slug,
        client_id: number_of(event.project_id.as_str()),
        payload: data.as_deref().unwrap_or(empty),
        original_payload: match (&original, &event.original) {
            (Some(object), _) => Original::Object(object),
            (None, Some(raw)) => Original::Text { raw },
            (None, None) => Original::Nothing {},
        },
        metadata: Metadata {
            id: uuid_of(&event.trigger_id),
            nano_id: &event.trigger_id,
            trigger_name: &event.slug,
            trigger_data: event.registration.as_deref().unwrap_or("{}"),
            trigger_config: config.as_deref().unwrap_or(empty),
            connection: Connection {
                id: uuid_of(&event.account_id),
                connected_account_nano_id: &event.account_id,
                integration_id: uuid_of(&event.auth_config_id),
                auth_config_nano_id: &event.auth_config_id,
                client_unique_user_id: &event.user_id,
                status: if event.is_active { "ACTIVE" } else { "INACTIVE" },
            },
        },
    };
    // Texts and JSON that was read always serialize.
    serde_json::to_string(&payload).unwrap_or_default()
}

/// A stable number in place of an id, where clients declare one.
fn number_of(id: &str) -> u32 {
    let uuid = uuid_of(id);
    u32::from_str_radix(uuid.get(..8).unwrap_or_default(), 16).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::id::EventId;

    fn event(original: Option<&str>) -> TriggerEvent {
        TriggerEvent {
            position: 1,
            found: 1,
            project_id: "pr_a".into(),
            id: EventId::from("msg_1"),
            data: Some("{\"n\": 12345678901234567890123}".to_owned()),
            original: original.map(str::to_owned),
            trigger_id: "ti_1".to_owned(),
            slug: "GITHUB_COMMIT_EVENT".to_owned(),
            toolkit_slug: "github".to_owned(),
            config: Some("{\"repo\": \"x\"}".to_owned()),
            registration: None,
            account_id: "ca_1".to_owned(),
            auth_config_id: "ac_1".to_owned(),
            user_id: "ada".to_owned(),
            is_active: true,
        }
    }

    #[test]
    fn it_has_the_fields_that_clients_read() {
        let text = payload(&event(Some("{\"ref\":\"x\"}")));
        let value: Value = serde_json::from_str(&text).unwrap();
        let metadata = &value["metadata"];
        assert_eq!(value["appName"], "github");
        assert!(value["clientId"].is_u64());
        assert_eq!(value["originalPayload"], json!({"ref": "x"}));
        assert_eq!(metadata["nanoId"], "ti_1");
        assert_eq!(metadata["id"], uuid_of("ti_1"));
        assert_eq!(metadata["triggerName"], "GITHUB_COMMIT_EVENT");
        assert_eq!(metadata["triggerData"], "{}");
        assert_eq!(metadata["triggerConfig"], json!({"repo": "x"}));
        assert_eq!(
            metadata["connection"],
            json!({"id": uuid_of("ca_1"), "connectedAccountNanoId": "ca_1",
                "integrationId": uuid_of("ac_1"), "authConfigNanoId": "ac_1",
                "clientUniqueUserId": "ada", "status": "ACTIVE"})
        );
        assert!(text.contains("12345678901234567890123"), "no digit is lost");
    }

    #[test]
    fn what_the_provider_sent_is_always_an_object() {
        let original = |sent| {
            let text = payload(&event(sent));
            serde_json::from_str::<Value>(&text).unwrap()["originalPayload"].take()
        };
        assert_eq!(original(None), json!({}));
        assert_eq!(original(Some("a=b")), json!({"raw": "a=b"}));
        assert_eq!(original(Some("[1]")), json!({"raw": "[1]"}));
    }
}
