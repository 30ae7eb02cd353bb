//! Webhooks: where events go, and how they get there.

mod delivering;
mod failing;
mod logs;
mod receiver;
mod replicas;
mod subscriptions;

use chrono::Utc;
use patchbay::db::event::EventRow;
use patchbay::domain::id::{EventId, ProjectId};
use patchbay::worker::deliver;
use serde_json::{Value, json};

use crate::support::TestApp;
use crate::support::client::TestClient;

const PATH: &str = "/api/v3.1/webhook_subscriptions";
const MESSAGE: &str = "composio.trigger.message";
const EXPIRED: &str = "composio.connected_account.expired";

/// An event of a trigger.
fn message(project: &ProjectId, number: usize) -> EventRow {
    let id = EventId::message();
    EventRow {
        project_id: project.clone(),
        kind: MESSAGE.to_owned(),
        subject_id: "ti_1".to_owned(),
        dedupe_key: Some(format!("key {number} {id}")),
        payload: json!({
            "id": id,
            "type": MESSAGE,
            "metadata": {
                "log_id": id.log(), "trigger_slug": "GITHUB_COMMIT_EVENT", "trigger_id": "ti_1",
                "connected_account_id": "ca_1", "auth_config_id": "ac_1", "user_id": "u",
            },
            "data": {"number": number, "text": "Grüße \u{1F980} \"quoted\" \\ <b>"},
            "timestamp": "2026-01-15T10:30:00.000Z",
        }),
        original: None,
        created_at: Utc::now(),
        id,
    }
}

/// Makes a subscription to the events of triggers; its id and secret.
async fn subscribe(client: &TestClient, url: &str, version: &str) -> (String, String) {
    let body = json!({"webhook_url": url, "enabled_events": [MESSAGE], "version": version});
    let made = client.post(PATH, body).await.expect(201);
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    (text("id"), text("secret"))
}

/// Stores some events of the first project.
async fn put(app: &TestApp, count: usize) -> Vec<String> {
    let rows: Vec<_> = (0..count).map(|n| message(&app.project.id, n)).collect();
    assert_eq!(app.app.outbox.put(rows.clone()).await.unwrap(), count);
    rows.iter().map(|row| row.id.to_string()).collect()
}

/// Sends what is due now, and waits for it.
async fn deliver_due(app: &TestApp) {
    deliver::all_due(&app.app).await.unwrap();
}

/// Makes everything due that waits to be tried again.
async fn hurry(app: &TestApp) {
    let sql = "update webhook_delivery set next_at = now() where next_at is not null";
    sqlx::query(sql).execute(&app.app.db).await.unwrap();
}

/// Columns of the only delivery.
async fn delivery(app: &TestApp) -> (Option<String>, i32, Value) {
    sqlx::query_as("select outcome, attempts, history from webhook_delivery")
        .fetch_one(&app.app.db)
        .await
        .unwrap()
}

/// How many deliveries have an outcome.
async fn count(app: &TestApp, outcome: &str) -> i64 {
    sqlx::query_scalar("select count(*) from webhook_delivery where coalesce(outcome, '') = $1")
        .bind(outcome)
        .fetch_one(&app.app.db)
        .await
        .unwrap()
}
