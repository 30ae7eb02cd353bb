//! Tools of remote MCP servers: listed, imported, executed.

mod server;

use std::sync::atomic::Ordering;
use std::time::Duration;

use patchbay::execute::{Listing, list_remote_tools};
use patchbay::import::{Options, mcp};
use serde_json::{Value, json};

use self::server::{Server, Ways};
use crate::support::TestApp;

/// A Patchbay whose toolkit `kit` is what was imported from the server.
struct World {
    app: TestApp,
    server: Server,
    _folder: tempfile::TempDir,
}

async fn listed(app: &TestApp, server: &Server, headers: &[(String, String)]) -> Value {
    let url = server.url.parse().unwrap();
    match list_remote_tools(&app.app, &url, headers).await.unwrap() {
        Listing::Tools(tools) => tools,
        Listing::Closed { .. } => panic!("closed"),
    }
}

impl World {
    async fn new(ways: Ways) -> Self {
        let server = Server::start(ways).await;
        let first = TestApp::new().await;
        let headers: Vec<(String, String)> = ways
            .token
            .map(|token| ("Authorization".to_owned(), format!("Bearer {token}")))
            .into_iter()
            .collect();
        let mut document = listed(&first, &server, &headers).await;
        let auth = if ways.token.is_some() { json!(["BEARER_TOKEN"]) } else { json!([]) };
        document["mcp"] = json!({"url": server.url, "auth": auth});
        let options = Options {
            slug: Some("kit".into()),
            version: "20261101_00".into(),
            ..Options::default()
        };
        let (definition, report) = mcp::import(&document, &options, &|_, _| {}).unwrap();
        assert_eq!((report.operations, report.tools), (4, 4), "{report:?}");
        // One that the server has no more.
        let mut tools = definition.tools;
        let mut gone = tools[0].clone();
        gone["slug"] = "KIT_GONE".into();
        gone["mcp"]["tool"] = "gone".into();
        tools.push(gone);
        let mut quick = tools[3].clone();
        assert_eq!(quick["slug"], "KIT_SLOW");
        quick["slug"] = "KIT_IMPATIENT".into();
        quick["mcp"]["timeout_s"] = 1.into();
        tools.push(quick);
        let folder = tempfile::tempdir().unwrap();
        let kit = folder.path().join("kit");
        std::fs::create_dir_all(kit.join("tools")).unwrap();
        std::fs::write(kit.join("toolkit.yaml"), definition.toolkit.to_string()).unwrap();
        let tools = json!({"tools": tools}).to_string();
        std::fs::write(kit.join("tools/tools.yaml"), tools).unwrap();
        let path = folder.path().to_str().unwrap();
        let app = TestApp::with(&[("PATCHBAY_TOOLKITS_DIR", path)]).await;
        server.seen.requests.lock().unwrap().clear();
        Self { app, server, _folder: folder }
    }

    async fn execute(&self, tool: &str, body: Value) -> Value {
        self.app.client().post(&format!("/api/v3/tools/execute/{tool}"), body).await.expect(200)
    }
}

fn open() -> Ways {
    Ways { token: None, sessions: true }
}

#[tokio::test]
async fn a_session_is_used_again_and_made_anew_when_the_server_forgot_it() {
    let world = World::new(open()).await;
    let add = json!({"arguments": {"a": 2, "b": 3}, "user_id": "u"});
    for _ in 0..3 {
        let done = world.execute("KIT_ADD_NUMBERS", add.clone()).await;
        assert_eq!(
            (&done["successful"], &done["data"]),
            (&json!(true), &json!({"sum": 5.0})),
            "{done}"
        );
    }
    assert_eq!(world.server.begun(), 1);
    world.server.forget().await;
    let done = world.execute("KIT_ADD_NUMBERS", add).await;
    assert_eq!(done["data"], json!({"sum": 5.0}), "{done}");
    assert_eq!(world.server.begun(), 2);
    assert_eq!(world.server.seen.calls.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn what_a_tool_gives_becomes_data_and_files_and_its_failure_an_error() {
    let world = World::new(open()).await;
    let picture = world.execute("KIT_PICTURE", json!({"arguments": {}})).await;
    assert_eq!(picture["data"]["text"], "Here it is");
    let file = &picture["data"]["file"];
    assert_eq!((&file["name"], &file["mimetype"]), (&json!("image.png"), &json!("image/png")));
    let link = file["s3url"].as_str().unwrap().split_once("/api/").unwrap().1;
    let content = world.app.client().get(&format!("/api/{link}")).await;
    assert_eq!(content.text, "hello");
    let failed = world.execute("KIT_FAIL", json!({"arguments": {}})).await;
    assert_eq!(failed["successful"], false);
    assert_eq!(failed["error"], "test-kit reported an error: no such thing as luck");
    let gone = world.execute("KIT_GONE", json!({"arguments": {"a": 1, "b": 1}})).await;
    assert!(gone["error"].as_str().unwrap().contains("Unknown tool: gone. Import"), "{gone}");
    let wrong = json!({"arguments": {"a": "x"}});
    world.app.client().post("/api/v3/tools/execute/KIT_ADD_NUMBERS", wrong).await.expect(400);
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_cancelled_at_the_server() {
    let world = World::new(open()).await;
    let done = world.execute("KIT_IMPATIENT", json!({"arguments": {}})).await;
    assert_eq!(done["successful"], false);
    assert!(done["error"].as_str().unwrap().contains("did not answer in time"), "{done}");
    let dropped = || world.server.seen.dropped.load(Ordering::SeqCst);
    for _ in 0..200 {
        if dropped() > 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the server was not told");
}

#[tokio::test]
async fn a_server_without_sessions_is_called_too() {
    let world = World::new(Ways { token: None, sessions: false }).await;
    for _ in 0..2 {
        let add = json!({"arguments": {"a": 2, "b": 3}});
        let done = world.execute("KIT_ADD_NUMBERS", add).await;
        assert_eq!(done["data"], json!({"sum": 5.0}), "{done}");
    }
}

#[tokio::test]
async fn a_closed_server_is_called_with_the_accounts_credentials() {
    let world = World::new(Ways { token: Some("good-token-1"), sessions: true }).await;
    let url = world.server.url.parse().unwrap();
    let closed = list_remote_tools(&world.app.app, &url, &[]).await.unwrap();
    assert!(matches!(closed, Listing::Closed { oauth: false }), "{closed:?}");
    let add = json!({"a": 2, "b": 3});
    let data = |token: &str| {
        json!({"arguments": add, "custom_connection_data": {
            "authScheme": "BEARER_TOKEN", "toolkitSlug": "kit", "val": {"token": token}}})
    };
    let done = world.execute("KIT_ADD_NUMBERS", data("good-token-1")).await;
    assert_eq!(done["data"], json!({"sum": 5.0}), "{done}");
    let refused = world.execute("KIT_ADD_NUMBERS", data("wrong-token")).await;
    assert_eq!(refused["successful"], false);
    assert!(refused["error"].as_str().unwrap().contains("401"), "{refused}");
    assert!(!refused.to_string().contains("wrong-token"));
}

#[tokio::test]
async fn what_is_no_mcp_server_is_told_apart() {
    let app = TestApp::new().await;
    for path in ["/", "/health/ready", "/api/v3/nowhere"] {
        let url = app.url(path).parse().unwrap();
        let error = list_remote_tools(&app.app, &url, &[]).await.unwrap_err();
        assert!(error.message.contains("cannot be listed"), "{}", error.message);
    }
    let inside = "http://169.254.169.254/mcp".parse().unwrap();
    let error = list_remote_tools(&app.app, &inside, &[]).await.unwrap_err();
    assert!(error.to_string().contains("cannot be listed"), "{error}");
}
