//! What the API itself does around an execution; the execution has tests of its own.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::routing::{any, post};
use serde_json::{Value, json};

use crate::support::TestApp;

/// A server of the test's own.
async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

/// A language model that always answers the same, and keeps what it was asked.
async fn model(answer: Value) -> (String, Arc<Mutex<Value>>) {
    let asked = Arc::new(Mutex::new(Value::Null));
    let handler = move |State(asked): State<Arc<Mutex<Value>>>, body: axum::Json<Value>| async move {
        *asked.lock().unwrap() = body.0;
        axum::Json(answer.clone())
    };
    let router = Router::new().route("/v1/chat/completions", post(handler));
    (format!("{}/v1", serve(router.with_state(asked.clone())).await), asked)
}

async fn app_with_model(url: &str) -> TestApp {
    TestApp::with(&[
        ("PATCHBAY_LLM_BASE_URL", url),
        ("PATCHBAY_LLM_API_KEY", "sk-test"),
        ("PATCHBAY_LLM_MODEL", "small"),
    ])
    .await
}

const INPUT: &str = "/api/v3.1/tools/execute/HACKERNEWS_GET_USER/input";

#[tokio::test]
async fn without_a_language_model_text_is_501_with_the_setting_to_make() {
    let app = TestApp::new().await;
    let client = app.client();
    let execute = "/api/v3/tools/execute/HACKERNEWS_GET_USER";
    for response in [
        client.post(INPUT, json!({"text": "user pg"})).await,
        client.post(execute, json!({"text": "user pg", "user_id": "u"})).await,
    ] {
        let error = response.expect_error(501);
        assert!(error["suggested_fix"].as_str().unwrap().contains("PATCHBAY_LLM_BASE_URL"));
        assert_eq!(response.headers["x-should-retry"], "false");
    }
    let both = json!({"text": "user pg", "arguments": {"username": "pg"}});
    client.post(execute, both).await.expect_error(400);
    client.post(INPUT, json!({})).await.expect_error(400);
    client.post(INPUT, json!({"text": "x", "version": "19990101_00"})).await.expect_error(404);
    client.post("/api/v3/tools/execute/NOPE/input", json!({"text": "x"})).await.expect_error(404);
}

#[tokio::test]
async fn a_language_model_makes_arguments_out_of_text() {
    let call = json!({"function": {"name": "x", "arguments": "{\"username\": \"pg\"}"}});
    let (url, asked) = model(json!({"choices": [{"message": {"tool_calls": [call]}}]})).await;
    let app = app_with_model(&url).await;
    let body = json!({"text": "who is pg?", "system_prompt": "Be brief"});
    let answer = app.client().post(INPUT, body).await.expect(200);
    assert_eq!(answer, json!({"arguments": {"username": "pg"}, "error": null}));
    let asked = asked.lock().unwrap().clone();
    assert_eq!(asked["model"], "small");
    assert_eq!(asked["messages"][0]["content"], "Be brief");
    assert_eq!(asked["messages"][1]["content"], "who is pg?");
    assert!(asked["tools"][0]["function"]["parameters"]["properties"].is_object());
}

#[tokio::test]
async fn a_language_model_that_fails_is_said_in_words() {
    let (url, _) = model(json!({"choices": [{"message": {"content": "Sorry"}}]})).await;
    let app = app_with_model(&url).await;
    let answer = app.client().post(INPUT, json!({"text": "x"})).await.expect(200);
    assert!(answer["error"].is_string());
    let execute = "/api/v3/tools/execute/HACKERNEWS_GET_USER";
    app.client().post(execute, json!({"text": "x"})).await.expect_error(422);
    let broken = serve(Router::new()).await;
    let app = app_with_model(&broken).await;
    let error = app.client().post(INPUT, json!({"text": "x"})).await.expect_error(502);
    assert!(!error.to_string().contains("sk-test"));
}

#[tokio::test]
async fn bodies_of_executions_are_checked() {
    let app = TestApp::new().await;
    let client = app.client();
    let execute = "/api/v3/tools/execute/HACKERNEWS_GET_USER";
    client.post("/api/v3/tools/execute/NOPE", json!({})).await.expect_error(404);
    for bad in [
        json!({"arguments": "username=pg"}),
        json!({"arguments": ["pg"]}),
        json!({"arguments": {}, "user_id": 7}),
        json!({"custom_connection_data": {"authScheme": "MAGIC", "toolkitSlug": "x", "val": {}}}),
        json!({"arguments": {}}),
    ] {
        client.post(execute, bad).await.expect_error(400);
    }
    let proxy = "/api/v3/tools/execute/proxy";
    for bad in [
        json!({}),
        json!({"endpoint": "/user", "method": "TRACE"}),
        json!({"endpoint": "/user", "method": "GET", "parameters": [{"name": "a", "value": {}, "in": "query"}]}),
        json!({"endpoint": "/user", "method": "GET", "parameters": [{"name": "a", "value": "b", "in": "cookie"}]}),
        json!({"endpoint": "/user", "method": "POST", "binary_body": {"base64": "***"}}),
        json!({"endpoint": "/user", "method": "POST", "binary_body": {}}),
        json!({"endpoint": "/user", "method": "POST", "body": {}, "binary_body": {"base64": ""}}),
        json!({"endpoint": "/user", "method": "POST", "binary_body": {"url": "file:///etc/passwd"}}),
    ] {
        client.post(proxy, bad).await.expect_error(400);
    }
    let gone = json!({"endpoint": "/user", "method": "GET", "connected_account_id": "ca_nothing"});
    client.post(proxy, gone).await.expect_error(404);
}

#[tokio::test]
async fn an_execution_is_logged_although_the_caller_hung_up() {
    let (reached, mut arrivals) = tokio::sync::mpsc::channel::<()>(1);
    let release = Arc::new(tokio::sync::Notify::new());
    let wait = release.clone();
    let handler = any(move || {
        let (reached, wait) = (reached.clone(), wait.clone());
        async move {
            let _ = reached.send(()).await;
            wait.notified().await;
            axum::Json(json!({"id": "pg", "karma": 1}))
        }
    });
    let provider = serve(Router::new().fallback_service(handler.with_state::<()>(()))).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("providers.yaml");
    std::fs::write(&file, format!("hackernews: {{base_url: '{provider}'}}\n")).unwrap();
    let app = TestApp::with(&[("PATCHBAY_PROVIDERS_FILE", file.to_str().unwrap())]).await;
    let client = app.client();
    let call = tokio::spawn(async move {
        let body = json!({"arguments": {"username": "pg"}, "user_id": "u"});
        client.post("/api/v3/tools/execute/HACKERNEWS_GET_USER", body).await
    });
    arrivals.recv().await.unwrap();
    call.abort();
    let _ = call.await;
    release.notify_one();
    loop {
        let logs = app.client().post("/api/v3.1/logs/tool_execution", json!({})).await.expect(200);
        if let Some(log) = logs["logs"].get(0) {
            assert_eq!(log["status"], "success", "{log}");
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
