//! An MCP server's endpoint.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Mcp, PDF};
use crate::support::TestApp;

const SERVERS: &str = "/api/v3/mcp/servers";

async fn made(app: &TestApp) -> String {
    let body = json!({"name": "Papers", "toolkits": ["text_to_pdf", "hackernews"],
        "auth_config_ids": [], "allowed_tools": [PDF]});
    let made = app.client().post(&format!("{SERVERS}/custom"), body).await.expect(201);
    made["id"].as_str().unwrap().to_owned()
}

fn names(list: &Value) -> Vec<&str> {
    list["tools"].as_array().unwrap().iter().map(|t| t["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_server_lists_and_calls_its_own_tools_only() {
    let app = TestApp::new().await;
    let id = made(&app).await;
    for path in [format!("/v3/mcp/{id}"), format!("/v3/mcp/{id}/mcp")] {
        let mcp = Mcp { client: app.client(), path: format!("{path}?user_id=ann") };
        let hello = json!({"protocolVersion": "2025-06-18", "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"}});
        let begun = mcp.result("initialize", hello).await;
        assert_eq!(begun["serverInfo"]["title"], "Papers");
        let list = mcp.result("tools/list", json!({})).await;
        assert!(names(&list).contains(&PDF), "{list}");
        assert!(!names(&list).iter().any(|name| name.starts_with("HACKERNEWS")), "{list}");
        assert_eq!(mcp.call(PDF, json!({"text": "Hello"})).await["isError"], false);
        for tool in ["HACKERNEWS_GET_USER", "COMPOSIO_SEARCH_TOOLS", "NOPE"] {
            let params = json!({"name": tool, "arguments": {}});
            let (_, error) = mcp.error("tools/call", params).await;
            assert_eq!(error["code"], -32602, "{tool} {error}");
        }
    }
}

#[tokio::test]
async fn a_server_must_be_told_for_whom_it_works() {
    let app = TestApp::new().await;
    let id = made(&app).await;
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    for query in ["", "?user_id=", "?user=ann"] {
        let mcp = Mcp { client: app.client(), path: format!("/v3/mcp/{id}{query}") };
        let refused = mcp.send(&ping).await.expect(400);
        let fix = refused["error"]["data"]["suggested_fix"].as_str().unwrap();
        assert!(fix.contains("user_id") && fix.contains("connected_account_id"), "{refused}");
    }
    let account =
        Mcp { client: app.client(), path: format!("/v3/mcp/{id}?connected_account_id=ca_nope") };
    account.send(&ping).await.expect(404);
    for unknown in ["nope", "00000000-0000-4000-8000-000000000000"] {
        let mcp = Mcp { client: app.client(), path: format!("/v3/mcp/{unknown}?user_id=ann") };
        mcp.send(&ping).await.expect(404);
    }
}

#[tokio::test]
async fn a_server_wants_a_key_of_its_project_unless_the_project_says_otherwise() {
    let app = TestApp::with(&[("PATCHBAY_RATE_LIMIT", "1000")]).await;
    let id = made(&app).await;
    let path = format!("/v3/mcp/{id}?user_id=ann");
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    let anonymous = Mcp { client: app.anonymous(), path: path.clone() };
    let refused = anonymous.send(&ping).await;
    refused.expect(401);
    let challenge = refused.headers["www-authenticate"].to_str().unwrap();
    let metadata = app.url(&format!("/.well-known/oauth-protected-resource/v3/mcp/{id}"));
    let metadata = format!("resource_metadata=\"{metadata}\"");
    assert!(challenge.starts_with("Bearer ") && challenge.contains(&metadata), "{challenge}");
    let stranger = app.client_of(&app.another_project().await);
    Mcp { client: stranger, path: path.clone() }.send(&ping).await.expect(401);
    let change = json!({"require_mcp_api_key": false});
    app.client().patch("/api/v3/org/project/config", change).await.expect(200);
    let open = anonymous.send(&ping).await;
    open.expect(200);
    // What nobody signed for is still the project's to pay for.
    assert!(open.headers.contains_key("x-ratelimit-remaining"));
    anonymous.header("x-api-key", "ak_nope").send(&ping).await.expect(401);
}

#[tokio::test]
async fn a_changed_server_tells_its_clients() {
    let app = TestApp::new().await;
    let id = made(&app).await;
    let path = format!("/v3/mcp/{id}?user_id=ann");
    let request = app.client().request(Method::GET, &path).header("accept", "text/event-stream");
    let mut stream = request.send().await.unwrap();
    assert_eq!(stream.status(), 200);
    let change = json!({"allowed_tools": [PDF, "HACKERNEWS_GET_USER"]});
    app.client().patch(&format!("/api/v3/mcp/{id}"), change).await.expect(200);
    let said = stream.chunk().await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&said).contains("notifications/tools/list_changed"));
    let mcp = Mcp { client: app.client(), path };
    let list = mcp.result("tools/list", json!({})).await;
    assert!(names(&list).contains(&"HACKERNEWS_GET_USER"), "{list}");
}
