//! Clients that no longer want an answer: the provider is left, and the log says so.

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use super::slow::{Event, Slow};
use super::{BOTH, Mcp, events};
use crate::support::TestApp;

fn call(id: impl Into<Value>) -> Value {
    json!({"jsonrpc": "2.0", "id": id.into(), "method": "tools/call",
        "params": {"name": "SLOW_WAIT", "arguments": {}}})
}

/// Waits for the log row of the call that was left.
async fn logged(app: &TestApp) {
    loop {
        let body = json!({"limit": 10});
        let logs = app.client().post("/api/v3/internal/action_execution/logs", body).await;
        let logs = logs.expect(200);
        let text = logs.to_string();
        if text.contains("SLOW_WAIT") {
            assert!(!text.contains("\"status\":\"success\""), "{text}");
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_client_that_goes_away_ends_its_call() {
    let mut slow = Slow::start().await;
    let app = slow.app().await;
    let mcp = Mcp::of(&app, json!({"user_id": "ann"})).await;
    for accept in [BOTH, "application/json", "text/event-stream"] {
        let request = mcp.post(accept, &call(1));
        // With events the head of the answer comes at once, so the body must be waited for.
        let waiting = tokio::spawn(async move { request.send().await.unwrap().text().await });
        assert_eq!(slow.next().await, Event::Asked, "{accept}");
        waiting.abort();
        assert_eq!(slow.next().await, Event::Left, "{accept}");
    }
    logged(&app).await;
}

#[tokio::test]
async fn a_client_that_pulls_the_plug_ends_its_call() {
    let mut slow = Slow::start().await;
    let app = slow.app().await;
    let mcp = Mcp::of(&app, json!({"user_id": "ann"})).await;
    let body = call(1).to_string();
    let mut socket = tokio::net::TcpStream::connect(app.address).await.unwrap();
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: {}\r\nx-api-key: {}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        mcp.path,
        app.address,
        app.project.key,
        body.len()
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(slow.next().await, Event::Asked);
    drop(socket);
    assert_eq!(slow.next().await, Event::Left);
}

#[tokio::test]
async fn a_client_that_goes_away_ends_all_calls_of_a_multi_execute() {
    let mut slow = Slow::start().await;
    let app = slow.app().await;
    let mcp = Mcp::of(&app, json!({"user_id": "ann"})).await;
    let tool = json!({"tool_slug": "SLOW_WAIT", "arguments": {}});
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params":
        {"name": "COMPOSIO_MULTI_EXECUTE_TOOL", "arguments": {"tools": [tool, tool, tool]}}});
    let request = mcp.post(BOTH, &body);
    let waiting = tokio::spawn(async move { request.send().await.unwrap().text().await });
    for _ in 0..3 {
        assert_eq!(slow.next().await, Event::Asked);
    }
    waiting.abort();
    for _ in 0..3 {
        assert_eq!(slow.next().await, Event::Left);
    }
    logged(&app).await;
}

#[tokio::test]
async fn a_call_is_cancelled_by_its_own_client_on_any_server() {
    let mut slow = Slow::start().await;
    let app = slow.app().await;
    let mcp = Mcp::of(&app, json!({"user_id": "ann"})).await;
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params":
        {"protocolVersion": "2025-11-25", "capabilities": {},
         "clientInfo": {"name": "test", "version": "1"}}});
    let begun = mcp.send(&hello).await;
    let name = begun.headers["mcp-session-id"].to_str().unwrap().to_owned();
    let (_other, client) = app.another_server().await;
    let mine = mcp.header("mcp-session-id", &name);
    let elsewhere = Mcp { client: client.header("mcp-session-id", &name), path: mcp.path.clone() };
    for (cancelling, id) in [(&mine, json!(7)), (&elsewhere, json!("seven"))] {
        let request = mine.post(BOTH, &call(id.clone()));
        let waiting = tokio::spawn(async move { request.send().await.unwrap().text().await });
        assert_eq!(slow.next().await, Event::Asked);
        let note = |id: &Value| {
            json!({"jsonrpc": "2.0", "method": "notifications/cancelled",
            "params": {"requestId": id, "reason": "enough"}})
        };
        // Another client's, another request's, and another session's: nothing of that ends the call.
        assert_eq!(mcp.header("mcp-session-id", "other").send(&note(&id)).await.status, 202);
        assert_eq!(mcp.send(&note(&id)).await.status, 202);
        assert_eq!(cancelling.send(&note(&json!(8))).await.status, 202);
        let other = Mcp::of(&app, json!({"user_id": "bob"})).await;
        other.header("mcp-session-id", &name).send(&note(&id)).await;
        assert!(slow.events.try_recv().is_err() && !waiting.is_finished());
        assert_eq!(cancelling.send(&note(&id)).await.status, 202);
        assert_eq!(slow.next().await, Event::Left);
        let answer: Value = serde_json::from_str(&waiting.await.unwrap().unwrap()).unwrap();
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&id, &json!(-32800)), "{answer}");
    }
    logged(&app).await;
    assert!(app.app.cache.watches.is_empty());
}

#[tokio::test]
async fn a_long_call_reports_progress_to_a_client_that_asked() {
    let mut slow = Slow::start().await;
    let app = slow.app().await;
    let mcp = Mcp::of(&app, json!({"user_id": "ann"})).await.header("mcp-session-id", "me");
    let mut body = call(1);
    body["params"]["_meta"] = json!({"progressToken": "p-1"});
    let mut answer = mcp.post(BOTH, &body).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let first = String::from_utf8(answer.chunk().await.unwrap().unwrap().to_vec()).unwrap();
    let note = events(&first).remove(0);
    assert_eq!(note["method"], "notifications/progress");
    assert_eq!(note["params"]["progressToken"], "p-1");
    assert!(note["params"]["progress"].as_f64().unwrap() >= 1.0);
    assert_eq!(slow.next().await, Event::Asked);
    mcp.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled",
        "params": {"requestId": 1}}))
        .await;
    assert_eq!(slow.next().await, Event::Left);
    let rest = answer.text().await.unwrap();
    assert_eq!(events(&rest).last().unwrap()["id"], 1, "{rest}");
    // A client that takes no stream gets its one answer.
    let plain = mcp.post("application/json", &body);
    let waiting = tokio::spawn(async move { plain.send().await.unwrap() });
    assert_eq!(slow.next().await, Event::Asked);
    tokio::time::sleep(std::time::Duration::from_millis(1200)).await;
    assert!(!waiting.is_finished());
    mcp.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled",
        "params": {"requestId": 1}}))
        .await;
    assert_eq!(waiting.await.unwrap().headers()["content-type"], "application/json");
}
