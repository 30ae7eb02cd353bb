//! A server that dies while a provider is asked to call.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use reqwest::Method;
use serde_json::json;
use sqlx::{Connection, PgConnection};

use super::parts::{Cluster, Fleet, Provider, Receiver, connect, sign};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_server_was_registering_is_registered_by_another() {
    let cluster = Cluster::start();
    let provider = Provider::start().await;
    let fleet = Arc::new(Fleet::start(&cluster, &provider, 2).await);
    let client = fleet.client(1);
    let account = connect(&client).await;
    let receiver = Receiver::start(0.0).await;
    receiver.subscribe(&client).await;

    // The provider has the hook, and its answer never arrives.
    provider.gate.close();
    let body = json!({"connected_account_id": account, "trigger_config": {}});
    let path = "/api/v3/trigger_instances/TOLD_SOMETHING/upsert";
    let asked = fleet.client(0);
    let request = asked.request(Method::POST, path).json(&body);
    let caller = tokio::spawn(request.send());
    provider.gate.holds(1).await;
    fleet.kill_and_start(0).await;
    assert!(caller.await.unwrap().is_err(), "the server that was asked is dead");
    provider.gate.open();

    let listed = "/api/v3/trigger_instances/active?show_disabled=true";
    let shown = client.get(listed).await.expect(200)["items"][0].clone();
    assert_eq!(shown["state"]["registration"], "registering", "{shown}");
    assert_eq!(shown["state"]["status"], "disabled");

    // The dead server's claim ends; nobody has to do anything.
    let mut database = PgConnection::connect(&cluster.url()).await.unwrap();
    sqlx::query("update trigger_instance set hook_due = now()")
        .execute(&mut database)
        .await
        .unwrap();
    let mut state = json!(null);
    for _ in 0..600 {
        state = client.get(listed).await.expect(200)["items"][0]["state"].clone();
        if state["status"] == "active" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(state["registration"], "registered", "{state}");

    // The hook that nobody knows of leads nowhere, the other one does.
    let hooks = provider.hooks.lock().unwrap().clone();
    assert_eq!(hooks.len(), 2);
    let body = json!({"n": 1, "text": "event"}).to_string();
    let mut statuses = Vec::new();
    for hook in &hooks {
        let client = fleet
            .client(1)
            .header("x-signature", &sign(&hook.secret, &body))
            .header("x-delivery", "1");
        statuses.push(client.post_raw(&hook.path, Bytes::from(body.clone())).await.status);
    }
    assert_eq!(statuses, [404, 200]);
    receiver.wait_for(1).await;
}
