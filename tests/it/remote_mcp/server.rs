//! A remote MCP server: the one that `rmcp` brings, and what happened at it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use rmcp::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ErrorData,
    Implementation, ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig,
    Tool, ToolAnnotations,
};
use rmcp::service::{RequestContext, RoleServer};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde_json::{Map, Value, json};

/// What happened.
#[derive(Default)]
pub struct Seen {
    /// Method and `Mcp-Session-Id` of each request.
    pub requests: Mutex<Vec<(String, Option<String>)>>,
    /// Calls that the client cancelled, or that were dropped.
    pub dropped: AtomicUsize,
    /// Calls that came to the tools.
    pub calls: AtomicUsize,
}

#[derive(Clone)]
pub struct Server {
    pub url: String,
    pub seen: Arc<Seen>,
    sessions: Arc<LocalSessionManager>,
}

/// What a client must send along.
#[derive(Clone, Copy, Default)]
pub struct Ways {
    pub token: Option<&'static str>,
    pub sessions: bool,
}

impl Server {
    pub async fn start(ways: Ways) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let seen = Arc::new(Seen::default());
        let sessions = Arc::new(LocalSessionManager::default());
        let config = StreamableHttpServerConfig::default()
            .with_legacy_session_mode(ways.sessions)
            .with_json_response(!ways.sessions)
            .with_sse_keep_alive(Some(Duration::from_millis(200)));
        let tools = Tools(seen.clone());
        let service =
            StreamableHttpService::new(move || Ok(tools.clone()), sessions.clone(), config);
        let gate = axum::middleware::from_fn_with_state((ways, seen.clone()), watched);
        let router = Router::new().nest_service("/mcp", service).layer(gate);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, seen, sessions }
    }

    /// Forgets every session, as a server does that was started anew.
    pub async fn forget(&self) {
        self.sessions.sessions.write().await.clear();
    }

    /// How many sessions were begun.
    pub fn begun(&self) -> usize {
        let seen = self.seen.requests.lock().unwrap();
        seen.iter().filter(|(method, id)| method == "POST" && id.is_none()).count()
    }
}

async fn watched(
    State((ways, seen)): State<(Ways, Arc<Seen>)>,
    request: Request,
    next: Next,
) -> Response {
    let (session, token) = {
        let header = |name: &str| {
            request.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned)
        };
        (header("mcp-session-id"), header("authorization"))
    };
    seen.requests.lock().unwrap().push((request.method().to_string(), session));
    if let Some(wanted) = ways.token
        && token != Some(format!("Bearer {wanted}"))
    {
        return (StatusCode::UNAUTHORIZED, "no").into_response();
    }
    next.run(request).await
}

#[derive(Clone)]
struct Tools(Arc<Seen>);

/// Counts calls that end before they have an answer.
struct Dropped(Arc<Seen>, bool);

impl Drop for Dropped {
    fn drop(&mut self) {
        if !self.1 {
            self.0.dropped.fetch_add(1, Ordering::SeqCst);
        }
    }
}

fn schema(properties: Value, required: Value) -> Arc<Map<String, Value>> {
    let schema = json!({"type": "object", "properties": properties, "required": required});
    Arc::new(schema.as_object().unwrap().clone())
}

impl ServerHandler for Tools {
    fn get_info(&self) -> ServerConfig {
        let tools = ServerCapabilities::builder().enable_tools().build();
        ServerConfig::new(tools).with_server_info(Implementation::new("test-kit", "1.2.3"))
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        // Two pages.
        if request.and_then(|request| request.cursor).is_some() {
            let slow = Tool::new("slow", "Takes its time", schema(json!({}), json!([])));
            return Ok(ListToolsResult::with_all_items(vec![slow]));
        }
        let mut add = Tool::new(
            "add-numbers",
            "Adds two numbers",
            schema(json!({"a": {"type": "number"}, "b": {"type": "number"}}), json!(["a", "b"])),
        );
        add.annotations = Some(ToolAnnotations::from_raw(None, Some(true), None, Some(true), None));
        let none = || schema(json!({}), json!([]));
        let mut list = ListToolsResult::with_all_items(vec![
            add,
            Tool::new("picture", "Gives a picture", none()),
            Tool::new("fail", "Fails", none()),
        ]);
        list.next_cursor = Some("2".into());
        Ok(list)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        self.0.calls.fetch_add(1, Ordering::SeqCst);
        let args = request.arguments.unwrap_or_default();
        let result = match request.name.as_ref() {
            "add-numbers" => {
                let of = |name: &str| args.get(name).and_then(Value::as_f64).unwrap_or_default();
                let sum = json!({"sum": of("a") + of("b")});
                CallToolResult::success(vec![ContentBlock::text(sum.to_string())])
            }
            "picture" => CallToolResult::success(vec![
                ContentBlock::text("Here it is"),
                ContentBlock::image("aGVsbG8=", "image/png"),
            ]),
            "fail" => CallToolResult::error(vec![ContentBlock::text("no such thing as luck")]),
            "slow" => {
                let mut dropped = Dropped(self.0.clone(), false);
                tokio::select! {
                    () = context.ct.cancelled() => {
                        return Err(ErrorData::internal_error("cancelled", None));
                    }
                    () = tokio::time::sleep(Duration::from_secs(60)) => dropped.1 = true,
                }
                CallToolResult::success(vec![ContentBlock::text("at last")])
            }
            other => return Err(ErrorData::invalid_params(format!("Unknown tool: {other}"), None)),
        };
        Ok(result.into())
    }
}
