//! Tools that the caller's own process runs.

use serde_json::{Value, json};

use super::{SESSIONS, session};
use crate::support::TestApp;

fn tool(slug: &str) -> Value {
    json!({"slug": slug, "name": "Grep", "description": "Searches files",
        "input_schema": {"type": "object", "properties": {"pattern": {"type": "string"}}}})
}

fn extending(slug: &str, toolkit: &str) -> Value {
    let mut tool = tool(slug);
    tool["extends_toolkit"] = json!(toolkit);
    tool
}

fn both() -> Value {
    json!({"custom_tools": [tool("grep"), extending("TOP_MAILS", "GMAIL")],
        "custom_toolkits": [{"slug": "Dev-Tools", "name": "Dev", "description": "Local work",
            "preload": true, "tools": [tool("Build")]}]})
}

#[tokio::test]
async fn they_get_their_final_slugs_and_keep_their_own() {
    let app = TestApp::new().await;
    let client = app.client();
    let body = json!({"user_id": "ann", "experimental": both()});
    let made = client.post(SESSIONS, body).await.expect(201);
    let path = format!("{SESSIONS}/{}", made["session_id"].as_str().unwrap());
    let attached =
        client.post(&format!("{path}/attach"), json!({"experimental": both()})).await.expect(200);
    for answer in [&made, &attached] {
        let experimental = &answer["experimental"];
        let tools = experimental["custom_tools"].as_array().unwrap();
        assert_eq!(tools[0]["slug"], "LOCAL_GREP");
        assert_eq!(tools[0]["original_slug"], "grep");
        assert_eq!(tools[0].get("extends_toolkit"), None);
        assert_eq!(tools[1]["slug"], "LOCAL_GMAIL_TOP_MAILS");
        assert_eq!(tools[1]["extends_toolkit"], "gmail");
        let toolkit = &experimental["custom_toolkits"][0];
        assert_eq!(toolkit["slug"], "Dev-Tools");
        assert_eq!(toolkit["preload"], true);
        assert_eq!(toolkit["tools"][0]["slug"], "LOCAL_DEV-TOOLS_BUILD");
        assert_eq!(toolkit["tools"][0]["original_slug"], "Build");
        assert!(toolkit["tools"][0]["input_schema"]["properties"].is_object());
    }
    // v3.1 keeps none, and an attachment is never kept.
    let plain = client.get(&path).await.expect(200);
    assert_eq!(plain["experimental"].get("custom_tools"), None);
    assert_eq!(plain["config_version"], 1);
    client.post(&format!("{path}/attach"), json!({})).await.expect(200);
}

#[tokio::test]
async fn v3_keeps_them_with_the_session() {
    let app = TestApp::new().await;
    let client = app.client();
    let body = json!({"user_id": "ann", "experimental": both()});
    let made = client.post("/api/v3/tool_router/session", body).await.expect(201);
    let path = format!("/api/v3/tool_router/session/{}", made["session_id"].as_str().unwrap());
    let shown = client.get(&path).await.expect(200);
    assert_eq!(shown["experimental"], made["experimental"]);
    assert_eq!(shown["experimental"]["custom_tools"][0]["slug"], "LOCAL_GREP");
}

#[tokio::test]
async fn the_server_runs_none_of_them() {
    let app = TestApp::new().await;
    let client = app.client();
    let path = session(&client, "ann", json!({})).await;
    for route in ["execute", "execute_meta"] {
        let call = json!({"slug": "LOCAL_GREP", "arguments": {}, "experimental": both()});
        let error = client.post(&format!("{path}/{route}"), call).await.expect_error(400);
        assert_eq!(error["slug"], "ToolRouter_CustomToolIsLocal");
    }
}

#[tokio::test]
async fn what_is_wrong_with_them_is_listed_at_once() {
    let app = TestApp::new().await;
    let client = app.client();
    let path = session(&client, "ann", json!({"toolkits": {"disable": ["slack"]}})).await;
    let attach = async |experimental: Value| -> String {
        let body = json!({"experimental": experimental});
        client.post(&format!("{path}/attach"), body).await.expect_error(400)["errors"].to_string()
    };
    let mut nameless = tool("ok");
    nameless["name"] = json!(" ");
    nameless["input_schema"] = json!({"type": "string"});
    let found = attach(json!({"custom_tools": [
        tool("no spaces"), tool("local_x"), tool("COMPOSIO_X"), tool(&"x".repeat(55)), nameless,
        tool("twice"), tool("TWICE"), extending("A", "nope"), extending("B", "slack"),
    ], "custom_toolkits": [
        {"slug": "gmail", "name": "G", "description": "d", "tools": [tool("A")]},
        {"slug": "mine", "name": "M", "description": "d", "tools": []},
        {"slug": "MINE", "name": "M", "description": "d", "tools": [extending("A", "gmail")]},
    ]}))
    .await;
    for expected in [
        "custom_tools[0].slug: letters",
        "custom_tools[1].slug: LOCAL_ and COMPOSIO_ are reserved",
        "custom_tools[2].slug: LOCAL_ and COMPOSIO_ are reserved",
        "1 too many",
        "custom_tools[4].name: must be",
        "custom_tools[4].input_schema: its type must be",
        "custom_tools[6].slug: another tool is LOCAL_TWICE too",
        "custom_tools[7].extends_toolkit: unknown toolkit",
        "custom_tools[8].extends_toolkit: the session does not allow",
        "custom_toolkits[0].slug: a toolkit of the catalogue",
        "custom_toolkits[1].tools: must have at least one",
        "custom_toolkits[2].slug: another custom toolkit",
        "custom_toolkits[2].tools[0].extends_toolkit: a tool of a custom toolkit",
    ] {
        assert!(found.contains(expected), "{expected}: {found}");
    }
    let found = attach(json!({"custom_tools": vec![tool("a"); 201]})).await;
    assert!(found.contains("at most 200"), "{found}");
    let body = json!({"user_id": "ann", "experimental": {"custom_tools": [{"slug": "a"}]}});
    let error = client.post(SESSIONS, body).await.expect_error(400);
    assert!(error["message"].as_str().unwrap().contains("experimental.custom_tools[0]"), "{error}");
}
