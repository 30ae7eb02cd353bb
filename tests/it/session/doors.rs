//! Every route of a session, for those who have no business there.

use reqwest::Method;
use serde_json::{Value, json};

use super::{SESSIONS, session};
use crate::support::TestApp;
use crate::support::client::TestClient;

/// Routes below a session, with a body that would be fine.
fn routes() -> Vec<(Method, &'static str, Value)> {
    let call = json!({"tool_slug": "HACKERNEWS_GET_USER", "arguments": {"username": "pg"}});
    vec![
        (Method::GET, "", json!(null)),
        (Method::PATCH, "", json!({"toolkits": null})),
        (Method::POST, "/attach", json!({})),
        (Method::GET, "/config_history", json!(null)),
        (Method::GET, "/toolkits", json!(null)),
        (Method::GET, "/tools", json!(null)),
        (Method::POST, "/search", json!({"queries": [{"use_case": "find an issue"}]})),
        (Method::POST, "/execute", call.clone()),
        (Method::POST, "/execute_meta", call),
        (Method::POST, "/link", json!({"toolkit": "github"})),
        (
            Method::POST,
            "/proxy_execute",
            json!({"toolkit_slug": "github", "endpoint": "/user", "method": "GET"}),
        ),
        (Method::GET, "/mounts/files/items", json!(null)),
        (Method::POST, "/mounts/files/upload_url", json!({"mount_relative_path": "a.txt"})),
        (Method::POST, "/mounts/files/download_url", json!({"mount_relative_path": "a.txt"})),
        (Method::POST, "/mounts/files/delete", json!({"mount_relative_path": "a.txt"})),
        (Method::DELETE, "", json!(null)),
    ]
}

async fn all_refuse(client: &TestClient, session: &str, status: u16) {
    for version in ["v3", "v3.1"] {
        for (method, route, body) in routes() {
            let path = format!("{}{route}", session.replace("v3.1", version));
            let mut request = client.request(method.clone(), &path);
            if !body.is_null() {
                request = request.json(&body);
            }
            let error = client.send(request).await.expect_error(status);
            assert!(error["request_id"].is_string(), "{method} {path}: {error}");
        }
    }
}

#[tokio::test]
async fn a_session_that_is_unknown_deleted_or_anothers_is_not_found_by_any_route() {
    let app = TestApp::new().await;
    let client = app.client();
    let own = session(&client, "ann", json!({})).await;
    all_refuse(&app.client_of(&app.another_project().await), &own, 404).await;
    all_refuse(&app.anonymous(), &own, 401).await;
    all_refuse(&client, &format!("{SESSIONS}/trs_never"), 404).await;
    let deleted = session(&client, "ann", json!({})).await;
    client.delete(&deleted).await.expect(200);
    all_refuse(&client, &deleted, 404).await;
    // What was refused changed nothing.
    assert_eq!(client.get(&own).await.expect(200)["config_version"], 1);
}

#[tokio::test]
async fn an_id_is_only_an_id() {
    let app = TestApp::new().await;
    let client = app.client();
    session(&client, "ann", json!({})).await;
    let long = "x".repeat(3000);
    for id in ["%00", "trs_%25", "trs_'%20or%20''='", "%2e%2e%2fsession", "trs_\u{202e}", &long] {
        let answer = client.get(&format!("{SESSIONS}/{id}")).await;
        assert!([400, 404].contains(&answer.status), "{id}: {}", answer.status);
        assert!(answer.json()["error"]["message"].is_string(), "{id}");
    }
}

#[tokio::test]
async fn bodies_that_are_no_configuration_are_refused_in_the_envelope() {
    let app = TestApp::new().await;
    let client = app.client();
    let own = session(&client, "ann", json!({})).await;
    for body in
        ["", "[]", "null", "\"text\"", "{\"user_id\": \"a\", \"toolkits\": [", "{\"user_id\": 7}"]
    {
        client.post_raw(SESSIONS, body).await.expect_error(400);
    }
    let many: Vec<String> = (0..3000).map(|n| format!("toolkit_{n}")).collect();
    let body = json!({"user_id": "ann", "toolkits": many});
    let error = client.post(SESSIONS, body).await.expect_error(400);
    assert!(error["errors"][0].as_str().unwrap().contains("at most 2000 names"), "{error}");
    let body = json!({"user_id": "a\u{0}b"});
    client.post(SESSIONS, body).await.expect_error(400);
    let body = json!({"experimental": {"custom_tools": "grep"}});
    client.post(&format!("{own}/attach"), body).await.expect_error(400);
}
