//! Hosts and web pages.

use reqwest::Method;
use serde_json::json;

use super::Mcp;
use crate::support::TestApp;

#[tokio::test]
async fn a_foreign_host_name_is_refused() {
    let app = TestApp::with(&[
        ("PATCHBAY_PUBLIC_URL", "https://patchbay.example.com"),
        ("PATCHBAY_MCP_ALLOWED_HOSTS", "patchbay, mcp.example.com"),
    ])
    .await;
    let mcp = Mcp::of(&app, json!({"user_id": "ann"})).await;
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    for (host, status) in [
        ("patchbay.example.com", 200),
        ("PATCHBAY.example.com:443", 200),
        ("patchbay:9900", 200),
        ("mcp.example.com", 200),
        ("localhost:1", 200),
        ("127.0.0.1", 200),
        ("[::1]:9900", 200),
        ("evil.test", 403),
        ("patchbay.example.com.evil.test", 403),
        ("localhost.evil.test", 403),
    ] {
        let answer = mcp.header("host", host).send(&ping).await;
        assert_eq!(answer.status, status, "{host} {}", answer.text);
        if status != 200 {
            let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
            assert!(message.contains("PATCHBAY_MCP_ALLOWED_HOSTS"), "{message}");
        }
    }
}

#[tokio::test]
async fn a_page_of_an_allowed_origin_can_read_answers_and_others_cannot() {
    let chat = "https://chat.example.com";
    let app = TestApp::with(&[("PATCHBAY_MCP_ALLOWED_ORIGINS", chat)]).await;
    let mcp = Mcp::of(&app, json!({"user_id": "ann"})).await;
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    let own = format!("http://{}", app.address);
    for origin in [chat, "http://localhost:6274", own.as_str()] {
        let answer = mcp.header("origin", origin).send(&ping).await;
        assert_eq!(answer.status, 200, "{origin}");
        assert_eq!(answer.headers["access-control-allow-origin"], origin);
        let exposed = answer.headers["access-control-expose-headers"].to_str().unwrap();
        assert!(exposed.contains("mcp-session-id"));
    }
    for origin in ["https://evil.test", "null", "https://chat.example.com.evil.test"] {
        let answer = mcp.header("origin", origin).send(&ping).await;
        assert_eq!(answer.status, 403, "{origin}");
        assert!(!answer.headers.contains_key("access-control-allow-origin"));
    }
    // A page's script reads also why it was refused.
    let anonymous = Mcp { client: app.anonymous(), path: mcp.path.clone() };
    let answer = anonymous.header("origin", chat).send(&ping).await;
    assert_eq!(
        (answer.status, &answer.headers["access-control-allow-origin"]),
        (401, &chat.parse().unwrap())
    );
}

#[tokio::test]
async fn a_browser_may_ask_before_it_sends() {
    let app = TestApp::new().await;
    let mcp = Mcp::of(&app, json!({"user_id": "ann"})).await;
    let client = app.anonymous();
    let ask = |origin: &str| {
        client
            .request(Method::OPTIONS, &mcp.path)
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,mcp-protocol-version")
    };
    let answer = client.send(ask("http://localhost:6274")).await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.headers["access-control-allow-origin"], "http://localhost:6274");
    let allowed = answer.headers["access-control-allow-headers"].to_str().unwrap();
    assert_eq!(allowed, "authorization,mcp-protocol-version");
    assert!(answer.headers["access-control-allow-methods"].to_str().unwrap().contains("POST"));
    let answer = client.send(ask("https://evil.test")).await;
    assert_eq!(answer.status, 403);
}
