//! Meta tools with a user id and no session: which session such a call belongs to.

use serde_json::{Value, json};

use super::{SESSIONS, session};
use crate::support::TestApp;
use crate::support::client::{TestClient, TestResponse};

async fn call(client: &TestClient, slug: &str, user: &str, arguments: Value) -> TestResponse {
    let body = json!({"user_id": user, "arguments": arguments});
    client.post(&format!("/api/v3.1/tools/execute/{slug}"), body).await
}

async fn search(client: &TestClient, user: &str, more: Value) -> Value {
    let mut arguments = json!({"queries": [{"use_case": "create a github issue"}]});
    arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    call(client, "COMPOSIO_SEARCH_TOOLS", user, arguments).await.expect(200)
}

/// The tools that a search found first.
fn first(answer: &Value) -> &str {
    answer["data"]["results"][0]["primary_tool_slugs"][0].as_str().unwrap_or_default()
}

async fn sessions(app: &TestApp, user: &str) -> i64 {
    let text = "select count(*) from session where project_id = $1 and user_id = $2";
    let count = sqlx::query_scalar(text).bind(&app.project.id).bind(user);
    count.fetch_one(&app.app.db).await.unwrap()
}

#[tokio::test]
async fn schemas_of_meta_tools_are_given_like_those_of_any_tool() {
    let app = TestApp::new().await;
    let client = app.client();
    let listed = client.post(SESSIONS, json!({"user_id": "ann"})).await.expect(201);
    let path = format!("{SESSIONS}/{}/tools", listed["session_id"].as_str().unwrap());
    let listed = client.get(&path).await.expect(200);
    let slugs: Vec<&str> =
        listed["items"].as_array().unwrap().iter().map(|t| t["slug"].as_str().unwrap()).collect();
    for version in ["v3", "v3.1"] {
        for (slug, listed) in slugs.iter().zip(listed["items"].as_array().unwrap()) {
            let one = client.get(&format!("/api/{version}/tools/{slug}?version=latest")).await;
            assert_eq!(one.expect(200), *listed);
        }
        let query = format!("HACKERNEWS_GET_USER,{},NO_SUCH_TOOL", slugs.join(","));
        let page =
            client.get(&format!("/api/{version}/tools?tool_slugs={query}")).await.expect(200);
        let found: Vec<&str> =
            page["items"].as_array().unwrap().iter().map(|t| t["slug"].as_str().unwrap()).collect();
        assert_eq!(found[0], "HACKERNEWS_GET_USER");
        assert_eq!(found[1..], slugs);
    }
    let alias = client.get("/api/v3/tools/COMPOSIO_CREATE_RECIPE").await.expect(200);
    assert_eq!(alias["slug"], "COMPOSIO_CREATE_RECIPE");
    client.get("/api/v3/tools/COMPOSIO_REMOTE_WORKBENCH").await.expect_error(404);
    app.anonymous().get("/api/v3/tools/COMPOSIO_SEARCH_TOOLS").await.expect_error(401);
}

#[tokio::test]
async fn a_user_without_a_session_gets_one_that_is_used_again() {
    let app = TestApp::new().await;
    let (_second, there) = app.another_server().await;
    let client = app.client();
    let calls = (0..6).map(|n| search(if n % 2 == 0 { &client } else { &there }, "ann", json!({})));
    for answer in futures_util::future::join_all(calls).await {
        assert_eq!(first(&answer), "GITHUB_CREATE_AN_ISSUE", "{answer}");
        assert!(answer["log_id"].as_str().unwrap().starts_with("log_"));
    }
    assert_eq!(sessions(&app, "ann").await, 1);
    // What is noted in one call is there in the next.
    let noted = json!({"tools": [{"tool_slug": "TEXT_TO_PDF_CONVERT_TEXT_TO_PDF",
        "arguments": {"text": "Hello", "file_type": "txt"}}], "memory": {"github": ["repo is a/b"]}});
    let done = call(&client, "COMPOSIO_MULTI_EXECUTE_TOOL", "ann", noted).await.expect(200);
    assert_eq!(done["successful"], true, "{done}");
    let memory = &search(&there, "ann", json!({})).await["data"]["results"][0]["memory"];
    assert_eq!(memory["github"], json!(["repo is a/b"]));
    let bobs = &search(&client, "bob", json!({})).await["data"]["results"][0];
    assert!(bobs.get("memory").is_none(), "{bobs}");
}

#[tokio::test]
async fn the_newest_session_decides_what_is_allowed() {
    let app = TestApp::new().await;
    let client = app.client();
    session(&client, "ann", json!({})).await;
    let config = json!({"toolkits": ["linear"], "manage_connections": {"enable": false}});
    let newest = session(&client, "ann", config).await;
    let found = search(&client, "ann", json!({})).await;
    assert!(first(&found).starts_with("LINEAR_"), "{found}");
    assert!(!found.to_string().contains("GITHUB_"));
    let arguments = json!({"toolkits": ["linear"]});
    let refused = call(&client, "COMPOSIO_MANAGE_CONNECTIONS", "ann", arguments.clone()).await;
    assert_eq!(refused.expect_error(403)["slug"], "ToolRouter_ToolNotAllowed");
    let tools =
        json!({"tools": [{"tool_slug": "HACKERNEWS_GET_USER", "arguments": {"username": "pg"}}]});
    let done = call(&client, "COMPOSIO_MULTI_EXECUTE_TOOL", "ann", tools).await.expect(200);
    assert!(done["data"]["results"][0].to_string().contains("does not allow"), "{done}");
    // Another user's calls have nothing to do with it, and a change holds at once.
    assert_eq!(first(&search(&client, "bob", json!({})).await), "GITHUB_CREATE_AN_ISSUE");
    client.patch(&newest, json!({"toolkits": null})).await.expect(200);
    assert_eq!(first(&search(&client, "ann", json!({})).await), "GITHUB_CREATE_AN_ISSUE");
    client.delete(&newest).await.expect(200);
    call(&client, "COMPOSIO_MANAGE_CONNECTIONS", "ann", arguments).await.expect(200);
    assert_eq!(sessions(&app, "ann").await, 2);
}

#[tokio::test]
async fn a_session_is_named_by_its_own_user_alone() {
    let app = TestApp::new().await;
    let client = app.client();
    let id = |path: &str| path.rsplit('/').next().unwrap().to_owned();
    let linear = id(&session(&client, "ann", json!({"toolkits": ["linear"]})).await);
    session(&client, "ann", json!({"toolkits": ["github"]})).await;
    let bobs = id(&session(&client, "bob", json!({"toolkits": ["jira"]})).await);
    let stranger = app.client_of(&app.another_project().await);
    let foreign = id(&session(&stranger, "ann", json!({"toolkits": ["notion"]})).await);
    for own in [json!({"session_id": linear}), json!({"session": {"id": linear}})] {
        assert!(first(&search(&client, "ann", own).await).starts_with("LINEAR_"));
    }
    // What is not the user's own is as if it had not been named.
    for other in [&bobs, &foreign, &"trs_never".to_owned(), &"abcd2345".to_owned()] {
        let found = search(&client, "ann", json!({"session": {"id": other}})).await;
        assert_eq!(first(&found), "GITHUB_CREATE_AN_ISSUE", "{other}: {found}");
    }
    let found = search(&stranger, "bob", json!({"session": {"id": bobs}})).await;
    assert_eq!(first(&found), "GITHUB_CREATE_AN_ISSUE");
}

#[tokio::test]
async fn what_such_a_call_lacks_or_has_too_much_is_named() {
    let app = TestApp::new().await;
    let client = app.client();
    let path = "/api/v3/tools/execute/COMPOSIO_SEARCH_TOOLS";
    let arguments = json!({"queries": [{"use_case": "x"}]});
    for (body, problem) in [
        (json!({"arguments": arguments}), "user_id: "),
        (json!({"user_id": "a", "text": "find"}), "text: "),
        (json!({"user_id": "a", "connected_account_id": "ca_1"}), "connected_account_id: "),
        (json!({"user_id": "a", "custom_auth_params": {}}), "custom_auth_params: "),
        (json!({"user_id": "a\u{0}b", "arguments": arguments}), "user_id: "),
        (json!({"user_id": "x".repeat(513), "arguments": arguments}), "user_id: "),
    ] {
        let error = client.post(path, body).await.expect_error(400);
        assert!(error["errors"][0].as_str().unwrap().starts_with(problem), "{error}");
    }
    let body = json!({"user_id": "a", "arguments": {"queries": 7}});
    client.post(path, body.clone()).await.expect_error(400);
    let old = json!({"entity_id": "old", "arguments": arguments, "version": "latest"});
    client.post(path, old).await.expect(200);
    app.anonymous().post(path, body).await.expect_error(401);
    assert_eq!(sessions(&app, "x").await, 0);
}
