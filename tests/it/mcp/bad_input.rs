//! What is not a message of the protocol, or not one that this server takes.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use reqwest::Method;
use serde_json::json;

use super::{Mcp, NEWEST, PDF};
use crate::support::TestApp;

async fn endpoint(app: &TestApp) -> Mcp {
    Mcp::of(app, json!({"user_id": "ann"})).await
}

#[tokio::test]
async fn each_wrong_message_has_a_clear_error() {
    let app = TestApp::new().await;
    let mcp = endpoint(&app).await;
    let deep = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{PDF}","arguments":{}1{}}}}}"#,
        r#"{"a":"#.repeat(5000),
        "}".repeat(5000)
    );
    for (body, status, code) in [
        ("", 400, -32700),
        ("{", 400, -32700),
        ("\u{0}", 400, -32700),
        ("[]", 400, -32600),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, 400, -32600),
        ("null", 400, -32600),
        (r#"{"jsonrpc":"2.0","id":1}"#, 400, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, 400, -32600),
        (r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#, 400, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}"#, 400, -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#, 200, -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":1}}"#, 400, -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"nope"}"#, 200, -32601),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"a:b"}}"#,
            200,
            -32601,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":"info"}}"#,
            200,
            -32601,
        ),
        (deep.as_str(), 400, -32700),
    ] {
        let request = mcp.client.request(Method::POST, &mcp.path);
        let request = request.header("content-type", "application/json").body(body.to_owned());
        let answer = mcp.client.send(request).await;
        let shown: String = body.chars().take(80).collect();
        assert_eq!(answer.status, status, "{shown} {}", answer.text);
        let json = answer.json();
        assert_eq!(json["error"]["code"], code, "{shown} {json}");
        assert!(json["error"]["message"].as_str().is_some_and(|m| !m.is_empty()), "{json}");
        assert_eq!(json["jsonrpc"], "2.0");
    }
}

#[tokio::test]
async fn wrong_headers_are_refused() {
    let app = TestApp::new().await;
    let mcp = endpoint(&app).await;
    let ping = json!({"jsonrpc": "2.0", "id": 4, "method": "ping"});
    for (name, value, status) in [
        ("mcp-protocol-version", "1999-01-01", 400),
        ("mcp-protocol-version", "", 400),
        ("mcp-protocol-version", "2024-11-05", 200),
        // The newest revision wants everything in the message itself.
        ("mcp-protocol-version", NEWEST, 400),
        ("accept", "text/html", 406),
        ("accept", "application/json;q=0", 406),
    ] {
        let mut request = mcp.client.request(Method::POST, &mcp.path).json(&ping);
        request = request.header(name, value);
        let answer = mcp.client.send(request).await;
        assert_eq!(answer.status, status, "{name}: {value}: {}", answer.text);
        assert_eq!(answer.json()["jsonrpc"], "2.0", "{name}: {value}: {}", answer.text);
    }
    let refused = mcp.header("mcp-protocol-version", "1999-01-01").send(&ping).await.expect(400);
    assert_eq!(refused["id"], 4);
    assert!(refused["error"]["data"]["supported"].as_array().unwrap().contains(&json!(NEWEST)));
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/json-rpc", ""] {
        let request = mcp.client.request(Method::POST, &mcp.path).header("content-type", kind);
        let answer = mcp.client.send(request.body(ping.to_string())).await;
        assert_eq!(answer.status, 415, "{kind} {}", answer.text);
    }
    let kind = "application/json; charset=utf-8";
    let request = mcp.client.request(Method::POST, &mcp.path).header("content-type", kind);
    mcp.client.send(request.body(ping.to_string())).await.expect(200);
    // Nothing is remembered, so DELETE has nothing to end.
    for method in [Method::PUT, Method::PATCH, Method::HEAD, Method::DELETE] {
        let answer = mcp.client.send(mcp.client.request(method, &mcp.path)).await;
        assert_eq!(answer.status, 405);
        assert!(answer.headers["allow"].to_str().unwrap().contains("POST"));
    }
}

#[tokio::test]
async fn an_oversized_message_is_refused() {
    let app = TestApp::with(&[("PATCHBAY_MAX_BODY_BYTES", "20000")]).await;
    let mcp = endpoint(&app).await;
    let body =
        json!({"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {"a": "x".repeat(20000)}});
    assert_eq!(mcp.send(&body).await.status, 413);
    // Without its length beforehand.
    let chunks = body.to_string().into_bytes();
    let chunks: Vec<Result<Vec<u8>, std::io::Error>> =
        chunks.chunks(4096).map(|chunk| Ok(chunk.to_vec())).collect();
    let request = mcp.client.request(Method::POST, &mcp.path);
    let request = request.header("content-type", "application/json");
    let stream = reqwest::Body::wrap_stream(futures_util::stream::iter(chunks));
    let answer = mcp.client.send(request.body(stream)).await;
    assert_eq!(answer.expect(413)["error"]["code"], -32000);
}

#[tokio::test]
async fn a_half_sent_message_is_nothing() {
    let app = TestApp::new().await;
    let mcp = endpoint(&app).await;
    let (address, key) = (app.address, app.project.key.clone());
    let path = mcp.path.clone();
    let said = tokio::task::spawn_blocking(move || {
        let mut socket = TcpStream::connect(address).unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {address}\r\nx-api-key: {key}\r\n\
             content-type: application/json\r\ncontent-length: 500\r\n\r\n{{\"jsonrpc\":"
        );
        socket.write_all(head.as_bytes()).unwrap();
        socket.shutdown(Shutdown::Write).unwrap();
        let mut said = String::new();
        socket.read_to_string(&mut said).unwrap();
        said
    })
    .await
    .unwrap();
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 400"), "{said}");
    mcp.result("ping", json!({})).await;
}

#[tokio::test]
async fn an_answer_to_nothing_and_an_unknown_notification_do_no_harm() {
    let app = TestApp::new().await;
    let mcp = endpoint(&app).await;
    for note in
        ["notifications/initialized", "notifications/nope", "notifications/roots/list_changed"]
    {
        assert_eq!(
            mcp.send(&json!({"jsonrpc": "2.0", "method": note})).await.status,
            202,
            "{note}"
        );
    }
    for request in [json!(1), json!("x"), json!(null), json!({"a": 1})] {
        let note = json!({"jsonrpc": "2.0", "method": "notifications/cancelled",
            "params": {"requestId": request}});
        let answer = mcp.header("mcp-session-id", "somebody").send(&note).await;
        assert!(matches!(answer.status, 202 | 400), "{request} {}", answer.text);
    }
}
