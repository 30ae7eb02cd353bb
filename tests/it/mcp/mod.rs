//! The MCP endpoints, spoken to as clients do.

mod bad_input;
mod cancel;
mod changes;
mod gate;
mod server;
mod session;
mod slow;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::TestApp;
use crate::support::client::{TestClient, TestResponse};

pub const SESSIONS: &str = "/api/v3.1/tool_router/session";
pub const BOTH: &str = "application/json, text/event-stream";
/// Revisions with a handshake.
pub const OLDER: [&str; 3] = ["2025-03-26", "2025-06-18", "2025-11-25"];
pub const NEWEST: &str = "2026-07-28";
pub const PDF: &str = "TEXT_TO_PDF_CONVERT_TEXT_TO_PDF";

/// A client of one endpoint.
#[derive(Clone)]
pub struct Mcp {
    pub client: TestClient,
    pub path: String,
}

/// Makes a session; gives its id.
pub async fn session(app: &TestApp, config: Value) -> String {
    let made = app.client().post(SESSIONS, config).await.expect(201);
    made["session_id"].as_str().unwrap().to_owned()
}

impl Mcp {
    /// Of a new session.
    pub async fn of(app: &TestApp, config: Value) -> Self {
        let id = session(app, config).await;
        Self { client: app.client(), path: format!("/tool_router/{id}/mcp") }
    }

    pub fn header(&self, name: &str, value: &str) -> Self {
        Self { client: self.client.clone().header(name, value), path: self.path.clone() }
    }

    pub fn post(&self, accept: &str, body: &Value) -> reqwest::RequestBuilder {
        self.client.request(Method::POST, &self.path).header("accept", accept).json(body)
    }

    pub async fn send(&self, body: &Value) -> TestResponse {
        self.client.send(self.post(BOTH, body)).await
    }

    /// The result of an operation of a revision with a handshake.
    pub async fn result(&self, method: &str, params: Value) -> Value {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let answer = self.send(&body).await.expect(200);
        assert_eq!((&answer["jsonrpc"], &answer["id"]), (&json!("2.0"), &json!(1)), "{answer}");
        assert!(answer["error"].is_null(), "{answer}");
        answer["result"].clone()
    }

    /// The error of an operation: status and error.
    pub async fn error(&self, method: &str, params: Value) -> (u16, Value) {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let answer = self.send(&body).await;
        (answer.status, answer.json()["error"].clone())
    }

    pub async fn call(&self, tool: &str, arguments: Value) -> Value {
        self.result("tools/call", json!({"name": tool, "arguments": arguments})).await
    }

    /// A request of the newest revision, which carries everything itself.
    pub fn newest(&self, accept: &str, method: &str, params: Value) -> reqwest::RequestBuilder {
        let mut params = params;
        params["_meta"]["io.modelcontextprotocol/protocolVersion"] = NEWEST.into();
        params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({});
        params["_meta"]["io.modelcontextprotocol/clientInfo"] =
            json!({"name": "test", "version": "1"});
        let name = params["name"].as_str().map(str::to_owned);
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let request = self
            .post(accept, &body)
            .header("mcp-protocol-version", NEWEST)
            .header("mcp-method", method);
        match name {
            Some(name) => request.header("mcp-name", name),
            None => request,
        }
    }
}

/// The messages of a stream that has ended.
pub fn events(text: &str) -> Vec<Value> {
    let data = text.lines().filter_map(|line| line.strip_prefix("data:"));
    data.filter(|data| !data.trim().is_empty())
        .map(|data| serde_json::from_str(data).unwrap())
        .collect()
}
