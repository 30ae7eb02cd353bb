//! A session's endpoint: the handshake, its tools, calls.

use serde_json::{Value, json};

use super::{BOTH, Mcp, NEWEST, OLDER, PDF, events, session};
use crate::support::TestApp;

fn hello(version: &str) -> Value {
    json!({"protocolVersion": version, "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"}})
}

fn names(list: &Value) -> Vec<&str> {
    list["tools"].as_array().unwrap().iter().map(|t| t["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn every_revision_with_a_handshake_lists_and_calls() {
    let app = TestApp::new().await;
    let mcp = Mcp::of(&app, json!({"user_id": "ann", "preload": {"tools": [PDF]}})).await;
    for version in OLDER {
        let begun = mcp.result("initialize", hello(version)).await;
        assert_eq!(begun["protocolVersion"], version);
        assert_eq!(begun["capabilities"], json!({"tools": {"listChanged": true}}));
        assert_eq!(begun["serverInfo"]["name"], "patchbay");
        assert!(begun["instructions"].as_str().unwrap().contains("COMPOSIO_SEARCH_TOOLS"));
        let mcp = mcp.header("mcp-protocol-version", version);
        let note = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        assert_eq!(mcp.send(&note).await.status, 202);
        assert_eq!(mcp.result("ping", json!({})).await, json!({}));
        let list = mcp.result("tools/list", json!({})).await;
        assert!(names(&list).contains(&PDF), "{list}");
        assert!(list.get("cacheScope").is_none() && list.get("resultType").is_none(), "{list}");
        let done = mcp.call(PDF, json!({"text": "Hello"})).await;
        assert_eq!(done["isError"], false, "{done}");
        assert_eq!(done["structuredContent"]["successful"], true);
        let text: Value =
            serde_json::from_str(done["content"][0]["text"].as_str().unwrap()).unwrap();
        assert_eq!(text, done["structuredContent"]);
    }
    // One that this server does not speak gets one that it does.
    let begun = mcp.result("initialize", hello("2099-01-01")).await;
    assert_eq!(begun["protocolVersion"], "2025-11-25");
}

#[tokio::test]
async fn the_newest_revision_needs_no_handshake() {
    let app = TestApp::new().await;
    let mcp = Mcp::of(&app, json!({"user_id": "ann", "preload": {"tools": [PDF]}})).await;
    let send =
        async |method: &str, params: Value| mcp.client.send(mcp.newest(BOTH, method, params)).await;
    let found = send("server/discover", json!({})).await.expect(200)["result"].clone();
    assert!(found["supportedVersions"].as_array().unwrap().contains(&json!(NEWEST)), "{found}");
    let list = send("tools/list", json!({})).await.expect(200)["result"].clone();
    assert!(names(&list).contains(&PDF));
    assert_eq!(list["cacheScope"], "private");
    let call = json!({"name": PDF, "arguments": {"text": "Hello"}});
    let done = send("tools/call", call).await.expect(200)["result"].clone();
    assert_eq!((&done["isError"], &done["resultType"]), (&json!(false), &json!("complete")));
    let refused = send("tools/nope", json!({})).await.expect(404);
    assert_eq!(refused["error"]["code"], -32601);
    // What older revisions have.
    for gone in ["initialize", "ping"] {
        assert_eq!(send(gone, json!({})).await.expect(404)["error"]["code"], -32601, "{gone}");
    }
    // The headers must say what the body says.
    let other = mcp.newest(BOTH, "tools/list", json!({})).header("mcp-method", "tools/call");
    assert!(mcp.client.send(other).await.status >= 400);
}

#[tokio::test]
async fn tools_are_described_in_full() {
    let app = TestApp::new().await;
    let preload = json!({"tools": [PDF, "GITHUB_GET_A_REPOSITORY", "GITHUB_DELETE_A_REPOSITORY"]});
    let mcp = Mcp::of(&app, json!({"user_id": "ann", "preload": preload})).await;
    let list = mcp.result("tools/list", json!({})).await;
    let tool = |name: &str| {
        let tools = list["tools"].as_array().unwrap();
        tools.iter().find(|t| t["name"] == name).unwrap_or_else(|| panic!("{name}")).clone()
    };
    let read = tool("GITHUB_GET_A_REPOSITORY");
    assert_eq!(read["annotations"]["readOnlyHint"], true);
    assert_eq!(read["annotations"]["destructiveHint"], false);
    assert_eq!(read["annotations"]["openWorldHint"], true);
    assert!(read["title"].is_string() && read["description"].is_string());
    assert_eq!(read["inputSchema"]["type"], "object");
    assert!(read["inputSchema"]["properties"]["owner"]["description"].is_string());
    assert_eq!(read["outputSchema"]["required"], json!(["data", "successful"]));
    assert_eq!(tool("GITHUB_DELETE_A_REPOSITORY")["annotations"]["destructiveHint"], true);
    assert_eq!(tool(PDF)["annotations"]["openWorldHint"], false);
    assert_eq!(tool("COMPOSIO_GET_TOOL_SCHEMAS")["annotations"]["readOnlyHint"], true);
    assert_eq!(list.get("nextCursor"), None);
    for tool in list["tools"].as_array().unwrap() {
        for schema in ["inputSchema", "outputSchema"] {
            assert!(jsonschema::meta::is_valid(&tool[schema]), "{tool}");
            assert!(!tool[schema].to_string().contains("\"nullable\":true"), "{tool}");
        }
    }
}

#[tokio::test]
async fn a_long_list_comes_in_pages_in_a_stable_order() {
    let app = TestApp::new().await;
    let config = json!({"user_id": "ann", "preload": {"tools": "all"}, "tags": ["readOnlyHint"]});
    let mcp = Mcp::of(&app, config).await;
    let all = async || {
        let (mut seen, mut params) = (Vec::new(), json!({}));
        loop {
            let list = mcp.result("tools/list", params).await;
            seen.extend(names(&list).iter().map(|n| (*n).to_owned()));
            match list.get("nextCursor") {
                Some(cursor) => params = json!({"cursor": cursor}),
                None => return seen,
            }
        }
    };
    let first = all().await;
    assert!(first.len() > 250, "{}", first.len());
    assert_eq!(first, all().await);
    let unique: std::collections::BTreeSet<&String> = first.iter().collect();
    assert_eq!(unique.len(), first.len());
    let (status, error) = mcp.error("tools/list", json!({"cursor": "nope"})).await;
    assert_eq!((status, &error["code"]), (200, &json!(-32602)), "{error}");
}

#[tokio::test]
async fn a_tool_need_not_be_listed_but_must_be_allowed() {
    let app = TestApp::new().await;
    let config = json!({"user_id": "ann", "toolkits": {"enable": ["text_to_pdf", "github"]}});
    let mcp = Mcp::of(&app, config).await;
    assert!(!names(&mcp.result("tools/list", json!({})).await).contains(&PDF));
    assert_eq!(mcp.call(PDF, json!({"text": "Hello"})).await["isError"], false);
    // Models send arguments as text.
    assert_eq!(mcp.call(PDF, json!("{\"text\": \"Hello\"}")).await["isError"], false);
    for tool in ["HACKERNEWS_GET_USER", "NOPE", "", "COMPOSIO_REMOTE_WORKBENCH"] {
        let (status, error) = mcp.error("tools/call", json!({"name": tool, "arguments": {}})).await;
        assert_eq!((status, &error["code"]), (200, &json!(-32602)), "{tool} {error}");
        assert!(error["message"].as_str().unwrap().starts_with("Unknown tool"), "{error}");
    }
}

#[tokio::test]
async fn what_a_model_can_correct_is_a_result() {
    let app = TestApp::new().await;
    let mcp = Mcp::of(&app, json!({"user_id": "ann"})).await;
    let said = |result: &Value| result["content"][0]["text"].as_str().unwrap().to_owned();
    let wrong = mcp.call(PDF, json!({"file_type": "txt"})).await;
    assert_eq!(wrong["isError"], true);
    assert!(said(&wrong).contains("text"), "{wrong}");
    let unconnected = mcp.call("GITHUB_GET_A_REPOSITORY", json!({"owner": "a", "repo": "b"})).await;
    assert_eq!(unconnected["isError"], true);
    assert!(said(&unconnected).to_lowercase().contains("connect"), "{unconnected}");
}

#[tokio::test]
async fn a_session_opens_with_a_key_of_its_project_only() {
    let app = TestApp::new().await;
    let mcp = Mcp::of(&app, json!({"user_id": "ann"})).await;
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    let anonymous = Mcp { client: app.anonymous(), path: mcp.path.clone() };
    let refused = anonymous.send(&ping).await;
    assert_eq!(refused.expect(401)["error"]["code"], -32000);
    assert!(refused.headers["www-authenticate"].to_str().unwrap().starts_with("Bearer"));
    for (name, value) in [
        ("x-api-key", "ak_nope".to_owned()),
        ("authorization", "Bearer ak_nope".to_owned()),
        ("authorization", format!("Basic {}", app.project.key)),
        ("x-org-api-key", app.org_key.clone()),
    ] {
        anonymous.header(name, &value).send(&ping).await.expect(401);
    }
    let bearer = anonymous.header("authorization", &format!("Bearer {}", app.project.key));
    bearer.send(&ping).await.expect(200);
    let stranger = app.client_of(&app.another_project().await);
    let stranger = Mcp { client: stranger, path: mcp.path.clone() };
    let refused = stranger.send(&ping).await.expect(404);
    assert_eq!(refused["error"]["data"]["slug"], "ToolRouter_SessionNotFound");
    let unknown = Mcp { client: app.client(), path: "/tool_router/trs_nope/mcp".to_owned() };
    unknown.send(&ping).await.expect(404);
    // The older form of the address.
    let older = mcp.path.replace("/tool_router/", "/tool_router/v3/");
    Mcp { client: app.client(), path: older }.send(&ping).await.expect(200);
}

#[tokio::test]
async fn a_deleted_session_is_closed_at_once_on_every_server() {
    let app = TestApp::new().await;
    let id = session(&app, json!({"user_id": "ann"})).await;
    let (_other, client) = app.another_server().await;
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    let path = format!("/tool_router/{id}/mcp");
    let here = Mcp { client: app.client(), path: path.clone() };
    let there = Mcp { client, path };
    here.send(&ping).await.expect(200);
    there.send(&ping).await.expect(200);
    app.client().delete(&format!("{}/{id}", super::SESSIONS)).await.expect(200);
    here.send(&ping).await.expect(404);
    while there.send(&ping).await.status != 404 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn calls_count_against_the_rate_limit() {
    let app = TestApp::with(&[("PATCHBAY_RATE_LIMIT", "3")]).await;
    let mcp = Mcp::of(&app, json!({"user_id": "ann"})).await;
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    let first = mcp.send(&ping).await;
    assert_eq!(
        (first.status, &first.headers["x-ratelimit-remaining"]),
        (200, &"1".parse().unwrap())
    );
    mcp.send(&ping).await.expect(200);
    let refused = mcp.send(&ping).await;
    assert_eq!(refused.expect(429)["error"]["data"]["slug"], "HTTP_TooManyRequests");
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(refused.headers["x-ratelimit-remaining"], "0");
}

#[tokio::test]
async fn a_client_that_takes_events_only_gets_events() {
    let app = TestApp::new().await;
    let mcp = Mcp::of(&app, json!({"user_id": "ann"})).await;
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    for (accept, stream) in [
        ("text/event-stream", true),
        ("application/json", false),
        (BOTH, false),
        ("*/*", false),
        ("application/json;q=0, text/event-stream", true),
    ] {
        let answer = mcp.client.send(mcp.post(accept, &ping)).await;
        let kind = answer.headers["content-type"].to_str().unwrap();
        assert_eq!((answer.status, kind == "text/event-stream"), (200, stream), "{accept}");
        let message = if stream { events(&answer.text).remove(0) } else { answer.json() };
        assert_eq!(message, json!({"jsonrpc": "2.0", "id": 1, "result": {}}));
    }
    mcp.client.send(mcp.post("text/html", &ping)).await.expect(406);
}
