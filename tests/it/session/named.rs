//! Configurations under a name.

use serde_json::{Value, json};

use super::{SESSIONS, column, session};
use crate::support::TestApp;

const CONFIGS: &str = "/api/v3.1/session_configs";

#[tokio::test]
async fn a_session_takes_over_what_a_name_stands_for() {
    let app = TestApp::new().await;
    let client = app.client();
    let policy = json!({"toolkits": ["GMAIL", "github"],
        "tools": {"github": {"tags": ["readOnlyHint"]}}, "tags": {"disable": ["destructiveHint"]}});
    let body = json!({"name": "Support", "description": "For tickets", "config": policy});
    let made = client.post(CONFIGS, body).await.expect(201);
    let id = made["id"].as_str().unwrap();
    assert!(id.starts_with("sc_"));
    assert_eq!(
        made["config"],
        json!({"toolkits": {"enable": ["github", "gmail"]},
        "tools": {"github": {"tags": {"enable": ["readOnlyHint"]}}},
        "tags": {"disable": ["destructiveHint"]}})
    );
    assert_eq!(client.get(&format!("{CONFIGS}/{id}")).await.expect(200), made);
    let body = json!({"user_id": "ann", "experimental": {"session_config_id": id},
        "manage_connections": {"enable": false}});
    let session_made = client.post(SESSIONS, body).await.expect(201);
    let config = &session_made["config"];
    assert_eq!(config["toolkits"], json!({"enabled": ["github", "gmail"]}));
    assert_eq!(config["tags"], json!({"disabled": ["destructiveHint"]}));
    assert_eq!(config["manage_connections"]["enabled"], false);
    assert_eq!(session_made["experimental"]["source_session_config"], json!({"id": id}));
    // It replaces the policy that a session had, and both at once would be ambiguous.
    let path = session(&client, "ann", json!({"tools": {"slack": []}})).await;
    let patched = client.patch(&path, json!({"experimental": {"session_config_id": id}})).await;
    let config = patched.expect(200)["config"].clone();
    assert_eq!(config["tools"], json!({"github": {"tags": {"enabled": ["readOnlyHint"]}}}));
    let both = json!({"toolkits": null, "experimental": {"session_config_id": id}});
    client.patch(&path, both).await.expect_error(400);
    // Later changes of the named one change no session.
    let body = json!({"config": {"toolkits": []}});
    client.patch(&format!("{CONFIGS}/{id}"), body).await.expect(200);
    let now = client.get(&path).await.expect(200);
    assert_eq!(now["config"]["toolkits"], json!({"enabled": ["github", "gmail"]}));
}

#[tokio::test]
async fn names_are_found_archived_and_deleted_within_the_project() {
    let app = TestApp::new().await;
    let client = app.client();
    let stranger = app.client_of(&app.another_project().await);
    let make = async |name: &str| -> String {
        let made = client.post(CONFIGS, json!({"name": name})).await.expect(201);
        assert_eq!(made["description"], json!(null));
        assert_eq!(made["archived"], false);
        made["id"].as_str().unwrap().to_owned()
    };
    let (a, b, _) = (make("Sales 50%").await, make("support").await, make("Back office").await);
    let list =
        async |query: &str| -> Value { client.get(&format!("{CONFIGS}{query}")).await.expect(200) };
    assert_eq!(column(&list("").await, "name"), ["Back office", "Sales 50%", "support"]);
    assert_eq!(column(&list("?search=0%25").await, "name"), ["Sales 50%"]);
    assert_eq!(column(&list("?search=SUPP").await, "name"), ["support"]);
    let first = list("?limit=2").await;
    let rest = list(&format!("?cursor={}", first["next_cursor"].as_str().unwrap())).await;
    assert_eq!(column(&rest, "name"), ["support"]);
    client.post(CONFIGS, json!({"name": "SUPPORT"})).await.expect_error(409);
    client.patch(&format!("{CONFIGS}/{a}"), json!({"name": "Support"})).await.expect_error(409);
    client.patch(&format!("{CONFIGS}/{a}"), json!({"name": "sales 50%"})).await.expect(200);
    for body in [
        json!({"name": " "}),
        json!({"name": "x".repeat(81)}),
        json!({"name": "x", "config": {"toolkits": ["nope"]}}),
        json!({"name": "x", "config": {"auth_configs": {}}}),
    ] {
        client.post(CONFIGS, body).await.expect_error(400);
    }
    let archived = client.patch(&format!("{CONFIGS}/{b}"), json!({"archived": true})).await;
    assert_eq!(archived.expect(200)["archived"], true);
    assert_eq!(column(&list("?archived=true").await, "id"), [b.as_str()]);
    assert_eq!(list("").await["total_items"], 2);
    let of_b = json!({"user_id": "ann", "experimental": {"session_config_id": b}});
    client.post(SESSIONS, of_b.clone()).await.expect_error(400);
    client.patch(&format!("{CONFIGS}/{b}"), json!({"archived": false})).await.expect(200);
    client.post(SESSIONS, of_b.clone()).await.expect(201);
    stranger.post(SESSIONS, of_b).await.expect_error(404);
    assert_eq!(stranger.get(CONFIGS).await.expect(200)["items"], json!([]));
    stranger.get(&format!("{CONFIGS}/{a}")).await.expect_error(404);
    stranger.patch(&format!("{CONFIGS}/{a}"), json!({"archived": true})).await.expect_error(404);
    stranger.delete(&format!("{CONFIGS}/{a}")).await.expect_error(404);
    stranger.post(CONFIGS, json!({"name": "support"})).await.expect(201);
    client.delete(&format!("{CONFIGS}/{a}")).await.expect(200);
    client.delete(&format!("{CONFIGS}/{a}")).await.expect_error(404);
}
