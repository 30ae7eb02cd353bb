//! Which account a call uses.

use chrono::TimeDelta;
use patchbay::domain::connection::Account;
use patchbay::domain::scheme::AuthSchemeKind;
use patchbay::domain::status::AccountStatus;
use patchbay::domain::time::now;
use serde_json::{Value, json};

use super::provider::{World, account, auth_config};

async fn with_account(world: &World, change: impl FnOnce(&mut Account)) -> Value {
    let state = json!({"api_key": "k-12345678"});
    let account = account(&world.app, &world.config, "bob", state, change).await;
    let body = json!({"arguments": {"name": "a"}, "connected_account_id": account.id});
    world.post("MOCK_GET_THING", body).await.expect_error(400)
}

#[tokio::test]
async fn the_newest_active_account_of_the_user_is_used() {
    let world = World::new().await;
    let newer = |a: &mut Account| a.created_at = now() + TimeDelta::seconds(5);
    account(&world.app, &world.config, "ann", json!({"api_key": "newer-key"}), newer).await;
    let unusable = |a: &mut Account| {
        a.created_at = now() + TimeDelta::seconds(9);
        a.status = AccountStatus::Expired;
    };
    account(&world.app, &world.config, "ann", json!({"api_key": "expired-key"}), unusable).await;
    world.run("MOCK_GET_THING", json!({"name": "a"})).await;
    assert_eq!(world.provider.last().header("authorization"), Some("Bearer newer-key"));
}

#[tokio::test]
async fn a_user_without_an_account_gets_the_number_that_sdks_know() {
    let world = World::new().await;
    for user in [json!("nobody"), json!(null)] {
        let body = json!({"arguments": {"name": "a"}, "user_id": user});
        let error = world.post("MOCK_GET_THING", body).await.expect_error(400);
        assert_eq!(error["code"], 1803);
        assert!(error["suggested_fix"].is_string());
    }
    assert!(world.provider.seen().is_empty());
}

#[tokio::test]
async fn every_state_that_cannot_be_used_has_its_own_error() {
    let world = World::new().await;
    for (status, slug, word) in [
        (AccountStatus::Inactive, "ConnectedAccount_Inactive", "INACTIVE"),
        (AccountStatus::Expired, "ConnectedAccount_NotActive", "EXPIRED"),
        (AccountStatus::Failed, "ConnectedAccount_NotActive", "failed"),
        (AccountStatus::Initiated, "ConnectedAccount_NotActive", "not connected yet"),
        (AccountStatus::Revoked, "ConnectedAccount_NotActive", "REVOKED"),
    ] {
        let error = with_account(&world, |a| a.status = status).await;
        assert_eq!(error["slug"], slug);
        assert!(error["message"].as_str().unwrap().contains(word), "{error}");
        assert!(error["suggested_fix"].is_string());
    }
    let error = with_account(&world, |a| a.is_disabled = true).await;
    assert_eq!(error["slug"], "ConnectedAccount_Inactive");
    assert!(world.provider.seen().is_empty());
}

#[tokio::test]
async fn an_account_must_be_of_the_tools_toolkit_and_the_named_user() {
    let world = World::new().await;
    let id = world.account.id.as_str();
    let body = json!({"arguments": {"name": "a"}, "connected_account_id": id});
    let error = world.post("MOCQ_ADD", body).await.expect_error(400);
    assert_eq!(error["slug"], "ConnectedAccount_Mismatch");
    let body =
        json!({"arguments": {"name": "a"}, "connected_account_id": id, "user_id": "someone"});
    let error = world.post("MOCK_GET_THING", body).await.expect_error(400);
    assert_eq!(error["slug"], "ConnectedAccount_Mismatch");
}

#[tokio::test]
async fn another_projects_account_does_not_exist() {
    let world = World::new().await;
    let other = world.app.another_project().await;
    let client = world.app.client_of(&other);
    let id = world.account.id.as_str();
    let body = json!({"arguments": {"name": "a"}, "connected_account_id": id});
    let theirs = client.post("/api/v3/tools/execute/MOCK_GET_THING", body).await;
    let error = theirs.expect_error(404);
    assert_eq!(error["code"], 1803);
    let body = json!({"arguments": {"name": "a"}, "connected_account_id": "ca_never"});
    let unknown = client.post("/api/v3/tools/execute/MOCK_GET_THING", body).await.expect_error(404);
    assert_eq!(unknown["slug"], error["slug"]);
    let body = json!({"endpoint": "/x", "method": "GET", "connected_account_id": id});
    client.post("/api/v3/tools/execute/proxy", body).await.expect_error(404);
    let body = json!({"arguments": {"name": "a"}, "user_id": "ann"});
    client.post("/api/v3/tools/execute/MOCK_GET_THING", body).await.expect_error(400);
    assert!(world.provider.seen().is_empty());
}

#[tokio::test]
async fn a_disabled_auth_config_disables_its_accounts() {
    let world = World::new().await;
    let project = &world.app.project.id;
    let off = |c: &mut patchbay::domain::connection::AuthConfig| c.is_enabled = false;
    let config = auth_config(&world.app, project, "mock", AuthSchemeKind::ApiKey, off).await;
    let account =
        account(&world.app, &config, "bob", json!({"api_key": "k-1234567"}), |_| {}).await;
    let body = json!({"arguments": {"name": "a"}, "connected_account_id": account.id});
    let error = world.post("MOCK_GET_THING", body).await.expect_error(400);
    assert_eq!(error["slug"], "AuthConfig_Disabled");
}

#[tokio::test]
async fn an_auth_config_can_allow_certain_tools_only() {
    let world = World::new().await;
    let project = &world.app.project.id;
    // An alias in the restriction means the tool.
    let only = |c: &mut patchbay::domain::connection::AuthConfig| {
        c.restrict_to_tools = Some(vec!["MOCK_THING_GET".into()]);
    };
    let config = auth_config(&world.app, project, "mock", AuthSchemeKind::ApiKey, only).await;
    let account =
        account(&world.app, &config, "bob", json!({"api_key": "k-1234567"}), |_| {}).await;
    let call = |arguments| json!({"arguments": arguments, "connected_account_id": account.id});
    world.post("MOCK_GET_THING", call(json!({"name": "a"}))).await.expect(200);
    let error = world.post("MOCK_LIST", call(json!({}))).await.expect_error(403);
    assert_eq!(error["slug"], "AuthConfig_ToolRestricted");
    let proxy = json!({"endpoint": "/x", "method": "GET", "connected_account_id": account.id});
    world.proxy(proxy).await.expect_error(403);
}

#[tokio::test]
async fn fields_that_the_auth_config_shares_are_used() {
    let world = World::new().await;
    let project = &world.app.project.id;
    let shared = |c: &mut patchbay::domain::connection::AuthConfig| {
        c.shared_credentials.0.insert("api_key".into(), "shared-key".into());
    };
    let config = auth_config(&world.app, project, "mock", AuthSchemeKind::ApiKey, shared).await;
    let account = account(&world.app, &config, "bob", json!({}), |_| {}).await;
    let body = json!({"arguments": {"name": "a"}, "connected_account_id": account.id});
    world.post("MOCK_GET_THING", body).await.expect(200);
    assert_eq!(world.provider.last().header("authorization"), Some("Bearer shared-key"));
}

async fn oauth_account(world: &World, refresh: &str, change: impl FnOnce(&mut Account)) -> Account {
    let project = &world.app.project.id;
    let config = auth_config(&world.app, project, "mock", AuthSchemeKind::Oauth2, |_| {}).await;
    let state = json!({"access_token": "token-1", "refresh_token": refresh});
    account(&world.app, &config, "bob", state, change).await
}

fn paths(world: &World) -> Vec<String> {
    world.provider.seen().into_iter().map(|seen| seen.path).collect()
}

#[tokio::test]
async fn a_401_renews_the_token_once_and_tries_again() {
    let world = World::new().await;
    let account = oauth_account(&world, "refresh-1", |_| {}).await;
    let body = json!({"arguments": {}, "connected_account_id": account.id});
    let answer = world.post("MOCK_GUARDED", body.clone()).await.expect(200);
    assert_eq!(answer["data"], json!({"good": true}));
    assert_eq!(paths(&world), ["/api/guarded", "/token", "/api/guarded"]);
    // The next call has the new token at once.
    world.post("MOCK_GUARDED", body).await.expect(200);
    assert_eq!(world.provider.last().header("authorization"), Some("Bearer token-2"));
    assert_eq!(world.provider.seen().len(), 4);
}

#[tokio::test]
async fn a_token_about_to_end_is_renewed_before_it_is_used() {
    let world = World::new().await;
    let ends = |a: &mut Account| a.token_expires_at = Some(now() + TimeDelta::seconds(5));
    let account = oauth_account(&world, "refresh-1", ends).await;
    let body = json!({"arguments": {}, "connected_account_id": account.id});
    let answer = world.post("MOCK_GUARDED", body).await.expect(200);
    assert_eq!(answer["successful"], true);
    assert_eq!(paths(&world), ["/token", "/api/guarded"]);
}

#[tokio::test]
async fn a_refused_refresh_after_a_401_leaves_the_providers_answer() {
    let world = World::new().await;
    let account = oauth_account(&world, "refresh-revoked", |_| {}).await;
    let body = json!({"arguments": {}, "connected_account_id": account.id});
    let answer = world.post("MOCK_GUARDED", body.clone()).await.expect(200);
    assert_eq!(answer["successful"], false);
    assert!(answer["error"].as_str().unwrap().contains("401"), "{answer}");
    assert_eq!(paths(&world), ["/api/guarded", "/token"]);
    // The account is of no use from now on, and says so.
    let error = world.post("MOCK_GUARDED", body).await.expect_error(400);
    assert_eq!(error["slug"], "ConnectedAccount_NotActive");
}

#[tokio::test]
async fn a_401_without_a_refresh_token_is_the_answer() {
    let world = World::new().await;
    let answer = world.run("MOCK_GUARDED", json!({})).await;
    assert_eq!(answer["error"], "Mock answered 401 Unauthorized: token is not valid");
    assert_eq!(paths(&world), ["/api/guarded"]);
}
