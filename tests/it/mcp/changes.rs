//! Clients hear that the list of tools changed.

use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::{Mcp, SESSIONS, events, session};
use crate::support::TestApp;

async fn next(stream: &mut Response) -> Value {
    loop {
        let chunk = stream.chunk().await.unwrap().expect("the stream goes on");
        let text = String::from_utf8(chunk.to_vec()).unwrap();
        if let Some(event) = events(&text).into_iter().next() {
            return event;
        }
    }
}

async fn watched(app: &TestApp) {
    while app.app.cache.watches.is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_open_stream_hears_of_the_session_and_its_users_accounts() {
    let app = TestApp::new().await;
    let id = session(&app, json!({"user_id": "ann"})).await;
    let path = format!("/tool_router/{id}/mcp");
    let (_other, elsewhere) = app.another_server().await;
    let open = |client: &crate::support::client::TestClient| {
        client.request(Method::GET, &path).header("accept", "text/event-stream")
    };
    let mut here = open(&app.client()).send().await.unwrap();
    assert_eq!(here.status(), 200);
    assert_eq!(here.headers()["content-type"], "text/event-stream");
    let mut there = open(&elsewhere).send().await.unwrap();
    // Somebody else's account is nothing to them.
    let connect = async |user: &str| {
        let config = json!({"toolkit": {"slug": "serpapi"},
            "auth_config": {"type": "use_custom_auth", "authScheme": "API_KEY"}});
        let made = app.client().post("/api/v3/auth_configs", config).await.expect(201);
        let account = json!({"auth_config": {"id": made["auth_config"]["id"]},
            "connection": {"user_id": user, "state":
                {"authScheme": "API_KEY", "val": {"status": "ACTIVE", "api_key": "k-123456"}}}});
        app.client().post("/api/v3/connected_accounts", account).await.expect(201);
    };
    connect("bob").await;
    connect("ann").await;
    for stream in [&mut here, &mut there] {
        let said = next(stream).await;
        assert_eq!(said["method"], "notifications/tools/list_changed", "{said}");
    }
    drop(here);
    app.client().delete(&format!("{SESSIONS}/{id}")).await.expect(200);
    assert_eq!(next(&mut there).await["method"], "notifications/tools/list_changed");
    while !app.app.cache.watches.is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_newest_revision_subscribes() {
    let app = TestApp::new().await;
    let id = session(&app, json!({"user_id": "ann"})).await;
    let mcp = Mcp { client: app.client(), path: format!("/tool_router/{id}/mcp") };
    let params = json!({"notifications": {"toolsListChanged": true}});
    let request = mcp.newest("application/json, text/event-stream", "subscriptions/listen", params);
    let mut stream = request.send().await.unwrap();
    assert_eq!(stream.status(), 200);
    let said = next(&mut stream).await;
    assert_eq!(said["method"], "notifications/subscriptions/acknowledged", "{said}");
    watched(&app).await;
    app.client().delete(&format!("{SESSIONS}/{id}")).await.expect(200);
    let said = next(&mut stream).await;
    assert_eq!(said["method"], "notifications/tools/list_changed", "{said}");
    drop(stream);
    while !app.app.cache.watches.is_empty() {
        tokio::task::yield_now().await;
    }
    let params = json!({"notifications": {"toolsListChanged": true}});
    let request = mcp.newest("application/json", "subscriptions/listen", params);
    let refused = mcp.client.send(request).await;
    assert!(matches!(refused.status, 404 | 406), "{}", refused.text);
}

#[tokio::test]
async fn streams_end_when_the_server_stops() {
    let app = TestApp::new().await;
    let id = session(&app, json!({"user_id": "ann"})).await;
    let request = app.client().request(Method::GET, &format!("/tool_router/{id}/mcp"));
    let stream = request.header("accept", "text/event-stream").send().await.unwrap();
    watched(&app).await;
    app.app.draining.cancel();
    stream.text().await.unwrap();
}

#[tokio::test]
async fn a_get_without_events_is_refused() {
    let app = TestApp::new().await;
    let id = session(&app, json!({"user_id": "ann"})).await;
    let path = format!("/tool_router/{id}/mcp");
    assert_eq!(app.client().get(&path).await.status, 405);
    let newest = app.client().header("accept", "text/event-stream");
    let newest = newest.header("mcp-protocol-version", "2026-07-28");
    assert_eq!(newest.get(&path).await.status, 405);
    let stranger = app.client_of(&app.another_project().await);
    assert_eq!(stranger.header("accept", "text/event-stream").get(&path).await.status, 404);
}
