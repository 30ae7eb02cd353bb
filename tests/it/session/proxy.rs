//! Requests of the caller's own within a session.

use serde_json::json;

use super::world::World;

#[tokio::test]
async fn a_request_is_sent_with_the_sessions_account() {
    let world = World::new().await;
    let one = world.account("ann", "key-one", 10, |_| {}).await;
    world.account("ann", "key-two", 5, |_| {}).await;
    let agent = world.agent("ann", json!({})).await;
    let body = json!({"toolkit_slug": "mocs", "endpoint": "/mirror", "method": "GET",
        "parameters": [{"name": "X-A", "value": "b", "type": "header"}]});
    let answer = agent.post("proxy_execute", body).await.expect(200);
    assert_eq!(answer["status"], 200);
    assert_eq!(answer["data"]["you_sent"], "Bearer key-two");
    assert_eq!(answer["result_type"], "completed");
    assert_eq!(answer["headers"]["content-type"], "application/json");
    assert_eq!(world.provider.last().header("x-a"), Some("b"));
    for body in [
        json!({"toolkit_slug": "mocs", "connected_account_id": one.id, "endpoint": "/x", "method": "POST",
            "body": {"a": 1}}),
        json!({"connected_account_id": one.id, "endpoint": "/x", "method": "POST"}),
    ] {
        agent.post("proxy_execute", body).await.expect(200);
        assert_eq!(world.last_key(), "key-one");
    }
    let body = json!({"toolkit_slug": "mock", "endpoint": "/binary", "method": "GET",
        "custom_connection_data": {"authScheme": "API_KEY", "toolkitSlug": "mock",
            "val": {"generic_api_key": "own"}}});
    let answer = agent.post("proxy_execute", body).await.expect(200);
    assert_eq!(answer["binary_data"]["content_type"], "image/png", "{answer}");
}

#[tokio::test]
async fn what_the_session_does_not_allow_is_not_sent() {
    let world = World::new().await;
    world.account("ann", "key-ann", 10, |_| {}).await;
    let theirs = world.account("bob", "key-bob", 5, |_| {}).await;
    let get = |mut body: serde_json::Value| {
        body["endpoint"] = "/mirror".into();
        body["method"] = "GET".into();
        body
    };
    let agent = world.agent("ann", json!({})).await;
    for (body, status) in [
        (json!({}), 400),
        (json!({"toolkit_slug": "nope"}), 404),
        (json!({"toolkit_slug": "mopen"}), 400),
        (json!({"toolkit_slug": "mock"}), 400),
        (json!({"toolkit_slug": "mocs", "connected_account_id": theirs.id}), 404),
        (json!({"connected_account_id": theirs.id}), 404),
        (json!({"connected_account_id": "ca_never"}), 404),
    ] {
        agent.post("proxy_execute", get(body.clone())).await.expect_error(status);
    }
    for (config, status) in [
        (json!({"toolkits": {"disable": ["mocs"]}}), 403),
        (json!({"proxy_execute": {"enable": false}}), 403),
        (json!({"tools": {"mocs": {"enable": ["MOCS_ROWS"]}}}), 403),
        (json!({"tags": ["readOnlyHint"]}), 403),
    ] {
        let agent = world.agent("ann", config).await;
        let body = get(json!({"toolkit_slug": "mocs"}));
        agent.post("proxy_execute", body).await.expect_error(status);
    }
    let stranger = world.app.client_of(&world.app.another_project().await);
    let path = format!("{}/proxy_execute", agent.path);
    stranger.post(&path, get(json!({"toolkit_slug": "mocs"}))).await.expect_error(404);
    assert!(world.provider.seen().is_empty());
    // Said outright, it is allowed beside a list of tools.
    let config = json!({"proxy_execute": {"enable": true}, "tags": ["readOnlyHint"]});
    let agent = world.agent("ann", config).await;
    agent.post("proxy_execute", get(json!({"toolkit_slug": "mocs"}))).await.expect(200);
}

#[tokio::test]
async fn the_agent_sends_requests_only_where_that_is_switched_on() {
    const TOOL: &str = "COMPOSIO_PROXY_EXECUTE";
    let world = World::new().await;
    world.account("ann", "key-ann", 10, |_| {}).await;
    let call = json!({"toolkit_slug": "mocs", "method": "GET", "endpoint": "/mirror",
        "query": {"a": 1}, "headers": {"X-A": "b"}});
    let agent = world.agent("ann", json!({})).await;
    agent.execute(TOOL, call.clone()).await.expect_error(403);
    let agent = world.agent("ann", json!({"proxy_execute": {"enable": true}})).await;
    let data = agent.run(TOOL, call).await;
    assert_eq!(
        (&data["status"], &data["data"]["you_sent"]),
        (&json!(200), &json!("Bearer key-ann"))
    );
    let last = world.provider.last();
    assert_eq!((last.query.as_str(), last.header("x-a")), ("a=1", Some("b")));
    let call = json!({"toolkit_slug": "mocs", "method": "TRACE", "endpoint": "/mirror"});
    agent.execute(TOOL, call).await.expect_error(400);
}
