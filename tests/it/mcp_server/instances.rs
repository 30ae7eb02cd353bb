//! The users that a server was set up for.

use serde_json::{Value, json};

use super::rest::SERVERS;
use crate::execute::provider::{World, account, auth_config};
use patchbay::domain::scheme::AuthSchemeKind;

fn users(page: &Value) -> Vec<&str> {
    let all = page["instances"].as_array().unwrap();
    all.iter().map(|i| i["instance_id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn an_instance_needs_its_users_accounts_and_goes_with_them() {
    let world = World::new().await;
    let client = world.app.client();
    let project = &world.app.project.id;
    let other = auth_config(&world.app, project, "mock", AuthSchemeKind::ApiKey, |_| {}).await;
    let kept =
        account(&world.app, &other, "ann", json!({"generic_api_key": "k-1234567"}), |_| {}).await;
    let bobs =
        account(&world.app, &world.config, "bob", json!({"generic_api_key": "k-7654321"}), |_| {})
            .await;
    let body = json!({"name": "With instances", "auth_config_ids": [world.config.id.as_str()]});
    let made = client.post(SERVERS, body).await.expect(201);
    let id = made["id"].as_str().unwrap();
    let path = format!("{SERVERS}/{id}/instances");
    let error = client.post(&path, json!({"user_id": "nobody"})).await.expect_error(403);
    assert!(error["message"].as_str().unwrap().contains(world.config.id.as_str()));
    client.post(&path, json!({"user_id": ""})).await.expect_error(400);
    let instance = client.post(&path, json!({"user_id": "ann"})).await.expect(201);
    assert_eq!((&instance["instance_id"], &instance["mcp_server_id"]), (&json!("ann"), &json!(id)));
    client.post(&path, json!({"user_id": "ann"})).await.expect_error(409);
    client.post(&path, json!({"user_id": "bob"})).await.expect(201);
    let got = client.get(&format!("{path}?search=AN")).await.expect(200);
    assert_eq!((users(&got), &got["server_name"]), (vec!["ann"], &json!("With instances")));
    assert_eq!(got["instances"][0]["id"], instance["id"]);
    let got = client.get(&format!("{path}?order_by=created_at&order_direction=asc&limit=1")).await;
    let got = got.expect(200);
    assert_eq!((users(&got), &got["total_pages"]), (vec!["ann"], &json!(2)));
    let server = client.get(&format!("/api/v3/mcp/{id}")).await.expect(200);
    assert_eq!(server["server_instance_count"], 2);

    let gone = client.delete(&format!("{path}/ann")).await.expect(200);
    assert_eq!(gone["deleted_connected_accounts"], 1);
    let account = |id: &str| format!("/api/v3/connected_accounts/{id}");
    client.get(&account(world.account.id.as_str())).await.expect_error(404);
    client.get(&account(kept.id.as_str())).await.expect(200);
    client.get(&account(bobs.id.as_str())).await.expect(200);
    client.delete(&format!("{path}/ann")).await.expect_error(404);
    assert_eq!(users(&client.get(&path).await.expect(200)), ["bob"]);
}

#[tokio::test]
async fn a_server_without_auth_configs_takes_no_accounts_away() {
    let world = World::new().await;
    let client = world.app.client();
    let body = json!({"name": "No configs", "toolkits": ["mock"]});
    let made = client.post(&format!("{SERVERS}/custom"), body).await.expect(201);
    let path = format!("{SERVERS}/{}/instances", made["id"].as_str().unwrap());
    client.post(&path, json!({"user_id": "a/b ann"})).await.expect(201);
    let gone = client.delete(&format!("{path}/a%2Fb%20ann")).await.expect(200);
    assert_eq!(gone["deleted_connected_accounts"], 0);
    client.get(&format!("/api/v3/connected_accounts/{}", world.account.id)).await.expect(200);
}
