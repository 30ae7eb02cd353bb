//! Codes and tokens: what they open, how long, and what ends them.

use serde_json::json;

use super::{Client, opens, opens_at, refused, session};
use crate::support::TestApp;

async fn run(app: &TestApp, statement: &'static str) {
    sqlx::query(statement).execute(&app.app.db).await.unwrap();
}

#[tokio::test]
async fn a_person_lets_a_client_in_to_one_endpoint() {
    let app = TestApp::new().await;
    let client = Client::register(&app).await;
    let (path, url) = session(&app).await;
    let tokens = client.tokens(&url, &app.project.key).await;
    assert_eq!((&tokens["token_type"], &tokens["scope"]), (&json!("Bearer"), &json!("mcp")));
    assert_eq!(tokens["expires_in"], 3600);
    let access = tokens["access_token"].as_str().unwrap();
    assert_eq!(opens(&app, access, &path).await.as_deref(), Some(app.project.id.as_str()));
    let (other, _) = session(&app).await;
    assert_eq!(opens(&app, access, &other).await, None);
    assert_eq!(opens(&app, access, "/v3/mcp/0f0e9a3c-1111-4222-8333-444455556666").await, None);
    // It is no API key, and a refresh token is no access token.
    let api = app.anonymous().header("x-api-key", access);
    api.get("/api/v3/tool_router/session/x").await.expect_error(401);
    let refresh = tokens["refresh_token"].as_str().unwrap();
    assert_eq!(opens(&app, refresh, &path).await, None);
    // Nothing is stored that could be used.
    let stored: Vec<Vec<u8>> = sqlx::query_scalar("select hash from mcp_oauth_token")
        .fetch_all(&app.app.db)
        .await
        .unwrap();
    assert!(stored.iter().all(|hash| hash.len() == 32));
}

#[tokio::test]
async fn without_a_resource_a_client_gets_the_project_and_the_page_says_so() {
    let app = TestApp::new().await;
    let client = Client::register(&app).await;
    let mut parameters = client.parameters("");
    parameters.retain(|(name, _)| name != "resource");
    let page = Client::page_of(&parameters);
    let shown = client.http.get(&page).await;
    assert!(shown.text.contains("all sessions and MCP servers"), "{}", shown.text);
    let form = [("api_key", app.project.key.as_str()), ("action", "allow")];
    let back = super::location(&client.person(&page, &form).await);
    let tokens = client.exchange(&super::query_of(&back)["code"]).await.expect(200);
    let access = tokens["access_token"].as_str().unwrap();
    let (path, _) = session(&app).await;
    assert!(opens(&app, access, &path).await.is_some());
}

#[tokio::test]
async fn a_code_works_once_and_a_second_use_ends_everything() {
    let app = TestApp::new().await;
    let client = Client::register(&app).await;
    let (path, url) = session(&app).await;
    let code = client.code(&url, &app.project.key).await;
    let tokens = client.exchange(&code).await.expect(200);
    let access = tokens["access_token"].as_str().unwrap();
    assert!(opens(&app, access, &path).await.is_some());
    refused(&client.exchange(&code).await, "invalid_grant");
    assert_eq!(opens(&app, access, &path).await, None);
    refused(&client.renew(tokens["refresh_token"].as_str().unwrap()).await, "invalid_grant");
}

#[tokio::test]
async fn of_many_who_exchange_a_code_at_once_nobody_keeps_a_token() {
    let app = TestApp::new().await;
    let client = Client::register(&app).await;
    let (path, url) = session(&app).await;
    let code = client.code(&url, &app.project.key).await;
    let answers = futures_util::future::join_all((0..8).map(|_| client.exchange(&code))).await;
    let good: Vec<_> = answers.iter().filter(|a| a.status == 200).collect();
    assert!(good.len() <= 1, "{good:?}");
    for answer in good {
        let tokens = answer.json();
        assert_eq!(opens(&app, tokens["access_token"].as_str().unwrap(), &path).await, None);
    }
}

#[tokio::test]
async fn a_refresh_token_is_replaced_by_every_use_and_its_copy_ends_the_sign_in() {
    let app = TestApp::new().await;
    let client = Client::register(&app).await;
    let (path, url) = session(&app).await;
    let first = client.tokens(&url, &app.project.key).await;
    let first = first["refresh_token"].as_str().unwrap();
    let second = client.renew(first).await.expect(200);
    assert_ne!(second["refresh_token"], first);
    assert!(opens(&app, second["access_token"].as_str().unwrap(), &path).await.is_some());
    // Requests that run side by side renew with the same token.
    let beside = client.renew(first).await.expect(200);
    assert!(opens(&app, beside["access_token"].as_str().unwrap(), &path).await.is_some());
    run(&app, "update mcp_oauth_token set consumed_at = consumed_at - interval '1 minute'").await;
    refused(&client.renew(first).await, "invalid_grant");
    for tokens in [second, beside] {
        assert_eq!(opens(&app, tokens["access_token"].as_str().unwrap(), &path).await, None);
        refused(&client.renew(tokens["refresh_token"].as_str().unwrap()).await, "invalid_grant");
    }
}

#[tokio::test]
async fn codes_and_tokens_end_with_their_time() {
    let app = TestApp::new().await;
    let client = Client::register(&app).await;
    let (path, url) = session(&app).await;
    let code = client.code(&url, &app.project.key).await;
    let over = "update mcp_oauth_token set expires_at = now() - interval '1 second'";
    run(&app, over).await;
    refused(&client.exchange(&code).await, "invalid_grant");
    let tokens = client.tokens(&url, &app.project.key).await;
    run(&app, over).await;
    assert_eq!(opens(&app, tokens["access_token"].as_str().unwrap(), &path).await, None);
    refused(&client.renew(tokens["refresh_token"].as_str().unwrap()).await, "invalid_grant");
    run(&app, "update mcp_oauth_token set expires_at = now() - interval '2 days'").await;
    run(&app, "update mcp_oauth_grant set created_at = now() - interval '2 days'").await;
    let mut db = app.app.db.acquire().await.unwrap();
    patchbay::db::mcp_oauth::delete_ended(&mut db).await.unwrap();
    for table in ["select count(*) from mcp_oauth_token", "select count(*) from mcp_oauth_grant"] {
        let left: i64 = sqlx::query_scalar(table).fetch_one(&app.app.db).await.unwrap();
        assert_eq!(left, 0, "{table}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_opens_nothing_on_any_replica() {
    let app = TestApp::new().await;
    let (other, _) = app.replica(&[]).await;
    // The other replica's listener clears the cache when it is ready; from then on it hears all.
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let client = Client::register(&app).await;
    let (path, url) = session(&app).await;
    let tokens = client.tokens(&url, &app.project.key).await;
    let access = tokens["access_token"].as_str().unwrap();
    assert!(opens_at(&app.app, access, &path).await.is_some());
    assert!(opens_at(&other, access, &path).await.is_some());
    let stranger = Client::register(&app).await;
    let form = [("token", access), ("client_id", stranger.id.as_str())];
    let revoke = |form: &[(&str, &str)]| {
        client.http.send(client.http.request(reqwest::Method::POST, "/oauth/revoke").form(form))
    };
    assert_eq!(revoke(&form).await.status, 200);
    assert!(opens_at(&app.app, access, &path).await.is_some(), "another client revoked it");
    let refresh = tokens["refresh_token"].as_str().unwrap();
    let form = [("token", refresh), ("client_id", client.id.as_str())];
    assert_eq!(revoke(&form).await.status, 200);
    assert_eq!(opens_at(&app.app, access, &path).await, None);
    refused(&client.renew(refresh).await, "invalid_grant");
    assert_eq!(revoke(&[("token", "mat_unknown")]).await.status, 200);
    for _ in 0..100 {
        if opens_at(&other, access, &path).await.is_none() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the other replica still accepts the token after a second");
}

#[tokio::test]
async fn tokens_end_with_the_key_that_signed_in() {
    let app = TestApp::new().await;
    let client = Client::register(&app).await;
    let (path, url) = session(&app).await;
    let tokens = client.tokens(&url, &app.project.key).await;
    let access = tokens["access_token"].as_str().unwrap();
    assert!(opens(&app, access, &path).await.is_some());
    let path_of_keys = format!("/api/v3/org/owner/project/{}/regenerate_api_key", app.project.id);
    let regenerated = app.org_client().post(&path_of_keys, json!({})).await;
    assert!(matches!(regenerated.status, 200 | 201), "{}", regenerated.text);
    assert_eq!(opens(&app, access, &path).await, None);
    refused(&client.renew(tokens["refresh_token"].as_str().unwrap()).await, "invalid_grant");
}

#[tokio::test]
async fn a_known_token_and_server_are_let_in_without_the_database() {
    let app = TestApp::new().await;
    let client = Client::register(&app).await;
    let body = json!({"name": "Warm server", "toolkits": ["hackernews"]});
    let made = app.client().post("/api/v3/mcp/servers/custom", body).await.expect(201);
    let path = format!("/v3/mcp/{}", made["id"].as_str().unwrap());
    let tokens = client.tokens(&app.url(&path), &app.project.key).await;
    let access = tokens["access_token"].as_str().unwrap();
    let address = patchbay::mcp_server::Address {
        user_id: Some("ann".to_owned()),
        ..patchbay::mcp_server::Address::default()
    };
    let enter = async || {
        assert!(opens(&app, access, &format!("{path}/mcp")).await.is_some());
        let project = app.app.cache.project(&app.project.id).await.unwrap().unwrap();
        let id = made["id"].as_str().unwrap();
        let served = patchbay::mcp_server::open(&app.app, id, Some(&project), &address).await;
        assert!(!served.unwrap().tools(&app.app.catalogs.server()).is_empty());
    };
    enter().await;
    // Somebody holds every connection that there is.
    let mut held = Vec::new();
    let second = std::time::Duration::from_secs(1);
    while let Ok(Ok(connection)) = tokio::time::timeout(second, app.app.db.acquire()).await {
        held.push(connection);
    }
    assert!(!held.is_empty());
    enter().await;
}
