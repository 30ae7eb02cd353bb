//! Requests of the caller's own.

use serde_json::json;

use super::provider::{KEY, Provider, World};

#[tokio::test]
async fn a_relative_endpoint_goes_below_the_toolkits_root_with_credentials() {
    let world = World::new().await;
    let answer = world
        .proxy(json!({"endpoint": "/things?a=1", "method": "POST", "body": {"x": 1},
        "parameters": [
            {"name": "X-Own", "value": "v", "type": "header"},
            {"name": "b", "value": "2 3", "in": "query"},
        ]}))
        .await
        .expect(200);
    assert_eq!(answer["status"], 200);
    assert_eq!(answer["data"]["path"], "/api/things");
    assert_eq!(answer["headers"]["content-type"], "application/json");
    let seen = world.provider.last();
    assert_eq!((seen.method.as_str(), seen.query.as_str()), ("POST", "a=1&b=2+3"));
    assert_eq!(seen.header("authorization"), Some(format!("Bearer {KEY}").as_str()));
    assert_eq!(seen.header("x-own"), Some("v"));
    assert_eq!(seen.body, r#"{"x":1}"#);
}

#[tokio::test]
async fn an_absolute_endpoint_must_lie_on_the_toolkits_hosts() {
    let world = World::new().await;
    let own = format!("http://{}/elsewhere", world.provider.address);
    world.proxy(json!({"endpoint": own, "method": "GET"})).await.expect(200);
    let sent = world.provider.seen().len();
    let port = world.provider.address.port();
    for endpoint in [
        "https://example.com/x".to_owned(),
        format!("http://localhost:{port}/x"),
        format!("https://127.0.0.1:{port}/x"),
        "http://127.0.0.1:1/x".to_owned(),
        format!("http://127.0.0.1:{port}@example.com/x"),
        format!("http://user:pw@127.0.0.1:{port}/x"),
        "http://169.254.169.254/latest/meta-data".to_owned(),
        "file:///etc/passwd".to_owned(),
        "//example.com/x".to_owned(),
        "/\\example.com/x".to_owned(),
        "/../outside".to_owned(),
        "/a/%2e%2e/%2e%2e/outside".to_owned(),
        "/a\r\nb".to_owned(),
    ] {
        let answer = world.proxy(json!({"endpoint": endpoint, "method": "GET"})).await;
        answer.expect_error(400);
    }
    assert_eq!(world.provider.seen().len(), sent);
}

#[tokio::test]
async fn headers_of_the_connection_and_line_breaks_are_refused() {
    let world = World::new().await;
    for (name, value) in [
        ("Host", "evil.example"),
        ("content-length", "5"),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "close"),
        ("X-A", "b\r\nX-Evil: 1"),
        ("X-A\r\nX-Evil", "1"),
    ] {
        let parameters = json!([{"name": name, "value": value, "type": "header"}]);
        let body = json!({"endpoint": "/x", "method": "GET", "parameters": parameters});
        world.proxy(body).await.expect_error(400);
    }
    assert!(world.provider.seen().is_empty());
}

#[tokio::test]
async fn the_callers_own_authorization_does_not_replace_the_accounts() {
    let world = World::new().await;
    let parameters = json!([{"name": "authorization", "value": "Bearer own", "type": "header"}]);
    let body = json!({"endpoint": "/x", "method": "GET", "parameters": parameters});
    world.proxy(body).await.expect(200);
    let seen = world.provider.last();
    assert_eq!(seen.header("authorization"), Some(format!("Bearer {KEY}").as_str()));
}

#[tokio::test]
async fn an_error_of_the_provider_is_passed_on() {
    let world = World::new().await;
    let answer = world.proxy(json!({"endpoint": "/guarded", "method": "GET"})).await.expect(200);
    assert_eq!(answer["status"], 401);
    assert_eq!(answer["data"]["error"]["message"], "token is not valid");
}

#[tokio::test]
async fn bytes_go_up_and_come_down() {
    let world = World::new().await;
    let binary = json!({"base64": "AAEC/w==", "content_type": "application/zip"});
    world
        .proxy(json!({"endpoint": "/up", "method": "PUT", "binary_body": binary}))
        .await
        .expect(200);
    let seen = world.provider.last();
    assert_eq!(seen.header("content-type"), Some("application/zip"));
    assert_eq!(seen.header("content-length"), Some("4"));

    let answer = world.proxy(json!({"endpoint": "/binary", "method": "GET"})).await.expect(200);
    assert_eq!(answer["data"], json!(null));
    let file = &answer["binary_data"];
    assert_eq!(
        (file["content_type"].as_str(), file["size"].as_u64()),
        (Some("image/png"), Some(10))
    );
    let fetched = reqwest::get(file["url"].as_str().unwrap()).await.unwrap();
    assert_eq!(fetched.bytes().await.unwrap().len(), 10);
}

#[tokio::test]
async fn a_form_is_sent_where_the_caller_says_so() {
    let world = World::new().await;
    let kind = "application/x-www-form-urlencoded";
    let parameters = json!([{"name": "Content-Type", "value": kind, "type": "header"}]);
    let body = json!({"endpoint": "/x", "method": "POST", "parameters": parameters,
        "body": {"a": "1 2", "b": 3}});
    world.proxy(body).await.expect(200);
    let seen = world.provider.last();
    assert_eq!(seen.body, "a=1+2&b=3");
    assert_eq!(seen.header("content-type"), Some(kind));
}

#[tokio::test]
async fn a_proxy_call_leaves_a_log_row_without_credentials() {
    let world = World::new().await;
    let parameters = json!([{"name": "X-Own", "value": "own-secret-9", "type": "header"}]);
    let body = json!({"endpoint": "/mirror?q=1", "method": "GET", "parameters": parameters});
    world.proxy(body).await.expect(200);
    let filter = patchbay::db::execution_log::Filter::default();
    let (db, project) = (&world.app.app.db, &world.app.project.id);
    let row = patchbay::db::execution_log::list(db, project, &filter, 5).await.unwrap().remove(0);
    assert_eq!((row.kind.as_str(), row.tool_slug.as_str()), ("proxy", "GET /mirror"));
    assert_eq!(row.provider_status, Some(200));
    let text = format!("{row:?}");
    assert!(!text.contains(KEY) && !text.contains("own-secret-9"), "{text}");
}

#[tokio::test]
async fn a_provider_that_is_away_is_a_502() {
    let world = World::new().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = listener.local_addr().unwrap();
    drop(listener);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("providers.yaml");
    std::fs::write(&file, format!("mock: {{base_url: 'http://{closed}'}}\n")).unwrap();
    let (app, address) = {
        let app = world.provider.app(&[("PATCHBAY_PROVIDERS_FILE", file.to_str().unwrap())]).await;
        let address = app.address;
        (app, address)
    };
    let data = json!({"authScheme": "API_KEY", "toolkitSlug": "mock",
        "val": {"generic_api_key": "own-key-1"}});
    let body = json!({"endpoint": "/x", "method": "GET", "custom_connection_data": data});
    let error = app.client().post("/api/v3/tools/execute/proxy", body).await.expect_error(502);
    assert!(error["message"].as_str().unwrap().contains("127.0.0.1"), "{error} {address}");
}

/// A service that only its OAuth facts are known of; Twitch wants the client beside the token.
#[tokio::test]
async fn a_toolkit_without_tools_is_called_with_the_token_and_its_client() {
    let provider = Provider::start().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = format!(
        "twitch: {{base_url: 'http://{}', managed: {{client_id: operators, client_secret: s}}}}",
        provider.address
    );
    std::fs::write(file.path(), text).unwrap();
    let app = provider.app(&[("PATCHBAY_PROVIDERS_FILE", file.path().to_str().unwrap())]).await;
    let client = app.client();
    for (client_id, kind) in
        [("own", "use_custom_auth"), ("operators", "use_composio_managed_auth")]
    {
        let mut config = json!({"type": kind, "authScheme": "OAUTH2"});
        if client_id == "own" {
            config["credentials"] = json!({"client_id": "own", "client_secret": "s"});
        }
        let body = json!({"toolkit": {"slug": "twitch"}, "auth_config": config});
        let made = client.post("/api/v3/auth_configs", body).await.expect(201);
        let val = json!({"status": "ACTIVE", "access_token": "t-1", "client_id": "forged"});
        let body = json!({"auth_config": {"id": made["auth_config"]["id"]},
            "connection": {"user_id": "u", "state": {"authScheme": "OAUTH2", "val": val}}});
        let account = client.post("/api/v3/connected_accounts", body).await.expect(201);
        let body = json!({"connected_account_id": account["id"], "endpoint": "/users",
            "method": "GET"});
        let answer = client.post("/api/v3/tools/execute/proxy", body).await.expect(200);
        assert_eq!(answer["status"], 200);
        let seen = provider.last();
        assert_eq!(seen.header("authorization"), Some("Bearer t-1"));
        assert_eq!(seen.header("client-id"), Some(client_id));
        // The call that asks whose account it is shows it too.
        assert!(provider.seen().iter().all(|seen| seen.header("client-id").is_some()));
    }
}
