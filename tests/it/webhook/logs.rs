//! What triggers found, and what became of it, as clients read it.

use serde_json::{Value, json};

use super::receiver::{Receiver, Reply};
use super::{deliver_due, put, subscribe};
use crate::support::TestApp;

const LOGS: &str = "/api/v3.1/internal/trigger/logs";

fn log_of(event: &str) -> String {
    event.replace("msg_", "log_")
}

#[tokio::test]
async fn a_log_shows_the_event_and_each_attempt_to_deliver_it() {
    let (app, receiver) = (TestApp::new().await, Receiver::start().await);
    let client = app.client();
    let unsent = put(&app, 1).await.remove(0);
    let (id, secret) = subscribe(&client, &receiver.url(), "V3").await;
    receiver.replies(&[Reply::With(500, &[], "no".to_owned())]);
    let event = put(&app, 1).await.remove(0);
    deliver_due(&app).await;
    super::hurry(&app).await;
    let failed = client.post(LOGS, json!({"status": "error"})).await.expect(200);
    assert_eq!(failed["data"].as_array().unwrap().len(), 1);
    let log = &failed["data"][0];
    assert_eq!((&log["id"], &log["status"]), (&json!(log_of(&event)), &json!("error")));
    assert_eq!(log["meta"]["triggerClientError"], "The receiver answered 500");
    assert_eq!(log["meta"]["triggerClientResponse"], "no");
    deliver_due(&app).await;
    for id in [log_of(&event), event.clone()] {
        let path = format!("/api/v3/internal/trigger/log/{id}");
        let answer = client.get(&path).await;
        assert!(!answer.text.contains(&secret));
        let log = &answer.expect(200)["log"];
        assert_eq!(log["id"], json!(log_of(&event)));
        assert_eq!((&log["type"], &log["status"]), (&json!("trigger"), &json!("success")));
        assert_eq!((&log["appName"], &log["entityId"]), (&json!("github"), &json!("u")));
        let meta = &log["meta"];
        assert_eq!(meta["webhookSubscriptionId"], json!(id_of(&log["meta"])));
        let statuses: Vec<_> =
            meta["attempts"].as_array().unwrap().iter().map(|a| a["status"].clone()).collect();
        assert_eq!(statuses, [json!(500), json!(200)]);
        let sent: Value =
            serde_json::from_str(meta["triggerClientPayload"].as_str().unwrap()).unwrap();
        assert_eq!(sent["id"], json!(event));
    }
    let all = client.post(LOGS, json!({})).await.expect(200);
    assert_eq!(all["data"][0]["meta"]["webhookSubscriptionId"], json!(id));
    assert_eq!(all["data"][1]["id"], json!(log_of(&unsent)));
    assert_eq!(all["data"][1]["status"], "not_sent");
    let other = app.client_of(&app.another_project().await);
    other.get(&format!("/api/v3.1/internal/trigger/log/{event}")).await.expect_error(404);
    assert_eq!(other.post(LOGS, json!({})).await.expect(200)["data"], json!([]));
}

fn id_of(meta: &Value) -> &str {
    meta["webhookSubscriptionId"].as_str().unwrap()
}

#[tokio::test]
async fn logs_are_paged_and_filtered() {
    let app = TestApp::new().await;
    let client = app.client();
    let mut events = put(&app, 5).await;
    events.sort();
    let mut seen = Vec::new();
    let mut cursor = Value::Null;
    loop {
        let page = client.post(LOGS, json!({"limit": 2, "cursor": cursor})).await.expect(200);
        let ids = page["data"].as_array().unwrap().iter().map(|log| log["id"].clone());
        seen.extend(ids.map(|id| id.as_str().unwrap().replace("log_", "msg_")));
        cursor = page["nextCursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    seen.sort();
    assert_eq!(seen, events);
    let found = |body: Value| {
        let client = client.clone();
        async move { client.post(LOGS, body).await.expect(200)["data"].as_array().unwrap().len() }
    };
    let by = |field: &str, operation: &str, value: &str| json!({"search_params": [{"field": field, "operation": operation, "value": value}]});
    assert_eq!(found(json!({"time": "5m", "userId": "u", "integrationId": "ac_1"})).await, 5);
    assert_eq!(found(json!({"entityId": "v"})).await, 0);
    assert_eq!(found(json!({"to": 1000.0})).await, 0);
    assert_eq!(found(json!({"status": "success"})).await, 0);
    assert_eq!(found(json!({"search": "github_commit"})).await, 5);
    assert_eq!(found(json!({"search": events[2]})).await, 1);
    assert_eq!(found(by("id", "equals", &log_of(&events[1]))).await, 1);
    assert_eq!(found(by("triggerName", "contains", "issue")).await, 0);
    assert_eq!(found(by("trigger_id", "!=", "ti_1")).await, 0);
    let page = client.post(LOGS, json!({"include_payload": false})).await.expect(200);
    assert_eq!(page["data"][0]["meta"]["triggerClientPayload"], Value::Null);
    for bad in [
        json!({"time": "2d"}),
        json!({"status": "odd"}),
        json!({"cursor": "%%"}),
        by("data", "equals", "x"),
        by("id", "near", "x"),
    ] {
        client.post(LOGS, bad).await.expect_error(400);
    }
}
