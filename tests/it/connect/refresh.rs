use std::sync::Arc;

use patchbay::app::AppState;
use patchbay::credentials;
use patchbay::domain::connection::Account;
use patchbay::domain::id::AccountId;
use patchbay::error::codes;
use serde_json::json;

use super::World;
use super::provider::Style;

async fn read(app: &AppState, world: &World, id: &str) -> Arc<Account> {
    let id = AccountId::from(id);
    app.cache.account(&world.app.project.id, &id).await.unwrap().unwrap()
}

fn token(account: &Account) -> String {
    account.state.text("access_token").unwrap().to_owned()
}

/// An account whose token is about to end.
async fn ending(world: &World) -> String {
    let id = world.connected("linear").await;
    let ends = "update connected_account set token_expires_at = now() + interval '5 seconds',
        refreshed_at = refreshed_at - interval '1 hour'";
    sqlx::query(ends).execute(&world.app.app.db).await.unwrap();
    world.app.app.cache.clear();
    id
}

/// As if the time to wait after a failure were over.
async fn wait_is_over(world: &World) {
    let over = "update connected_account set refresh_after = null";
    sqlx::query(over).execute(&world.app.app.db).await.unwrap();
    world.app.app.cache.clear();
}

#[tokio::test]
async fn two_hundred_callers_on_two_replicas_refresh_once() {
    let world = World::new().await;
    let id = ending(&world).await;
    let file = world.providers_file();
    let (replica, _) = world.app.replica(&[("PATCHBAY_PROVIDERS_FILE", &file)]).await;
    let old = token(&*read(&world.app.app, &world, &id).await);
    let mut calls = tokio::task::JoinSet::new();
    for i in 0..200 {
        let app = if i % 2 == 0 { world.app.app.clone() } else { replica.clone() };
        let account = read(&app, &world, &id).await;
        calls.spawn(async move { credentials::fresh(&app, account, None).await });
    }
    let mut tokens = std::collections::HashSet::new();
    while let Some(done) = calls.join_next().await {
        tokens.insert(token(&done.unwrap().unwrap()));
    }
    assert_eq!(world.provider.refreshes(), 1);
    assert_eq!(tokens.len(), 1);
    assert!(!tokens.contains(&old));
    replica.stop.cancel();
}

#[tokio::test]
async fn a_rejected_token_is_refreshed_and_a_newer_one_is_not() {
    let world = World::new().await;
    let id = world.connected("linear").await;
    let app = &world.app.app;
    let account = read(app, &world, &id).await;
    let same = credentials::fresh(app, account.clone(), None).await.unwrap();
    assert_eq!(token(&same), token(&account), "a good token stays");
    let version = account.state_version;
    let newer = credentials::fresh(app, account.clone(), Some(version)).await.unwrap();
    assert_ne!(token(&newer), token(&account));
    let late = credentials::fresh(app, account, Some(version)).await.unwrap();
    assert_eq!(token(&late), token(&newer), "somebody else has refreshed already");
    assert_eq!(world.provider.refreshes(), 1);
}

#[tokio::test]
async fn a_refused_refresh_expires_the_account_without_leaking_the_token() {
    let world = World::new().await;
    let id = ending(&world).await;
    world.provider.style(Style::Revoked);
    let app = &world.app.app;
    let account = read(app, &world, &id).await;
    let secret = account.state.text("refresh_token").unwrap().to_owned();
    let error = credentials::fresh(app, account, None).await.unwrap_err();
    assert_eq!(error.code, codes::REFRESH_FAILED);
    assert!(!format!("{error:?}").contains(&secret));
    let account = world.account(&id).await;
    assert_eq!(account["status"], "EXPIRED");
    let reason = account["status_reason"].as_str().unwrap();
    assert!(reason.contains("invalid_grant") && !reason.contains(&secret), "{reason}");

    // The person connects again, on the same account.
    world.provider.style(Style::Standard);
    let path = format!("/api/v3/connected_accounts/{id}/refresh");
    let again = world.client().post(&path, json!({})).await.expect(200);
    assert_eq!(again["status"], "INITIATED");
    let url: url::Url = again["redirect_url"].as_str().unwrap().parse().unwrap();
    let code = world.provider.consent(&url);
    world.callback(&[("code", &code), ("state", &super::param(&url, "state"))]).await;
    assert_eq!(world.account(&id).await["status"], "ACTIVE");
}

#[tokio::test]
async fn a_provider_that_is_down_leaves_the_account_active() {
    let world = World::new().await;
    let id = ending(&world).await;
    world.provider.style(Style::Down);
    let app = &world.app.app;
    let account = read(app, &world, &id).await;
    let version = account.state_version;
    let kept = credentials::fresh(app, account.clone(), None).await.unwrap();
    assert_eq!(token(&kept), token(&account), "what has not ended can still be used");
    let error = credentials::fresh(app, account.clone(), Some(version)).await.unwrap_err();
    assert_eq!(error.code, codes::REFRESH_UNAVAILABLE);
    assert_eq!(error.code.status, 503);
    assert_eq!(world.account(&id).await["status"], "ACTIVE");
    world.provider.style(Style::Standard);
    wait_is_over(&world).await;
    let newer = credentials::fresh(app, account.clone(), Some(version)).await.unwrap();
    assert_ne!(token(&newer), token(&account));
}

#[tokio::test]
async fn a_refresh_survives_that_its_caller_goes_away() {
    let world = World::new().await;
    let id = ending(&world).await;
    let app = world.app.app.clone();
    let account = read(&app, &world, &id).await;
    let old = token(&account);
    let caller = {
        let app = app.clone();
        tokio::spawn(async move { credentials::fresh(&app, account, None).await })
    };
    while world.provider.refreshes() == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    caller.abort();
    let again = credentials::fresh(&app, read(&app, &world, &id).await, None).await.unwrap();
    assert_ne!(token(&again), old);
    assert_eq!(world.provider.refreshes(), 1);
}

#[tokio::test]
async fn switching_an_account_off_during_a_refresh_loses_no_token() {
    let world = World::new().await;
    let id = ending(&world).await;
    let app = world.app.app.clone();
    let account = read(&app, &world, &id).await;
    let old = token(&account);
    let work = {
        let app = app.clone();
        tokio::spawn(async move { credentials::fresh(&app, account, None).await })
    };
    while world.provider.refreshes() == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let path = format!("/api/v3/connected_accounts/{id}/status");
    world.client().patch(&path, json!({"enabled": false})).await.expect(200);
    work.await.unwrap().unwrap();
    let stored = app
        .cache
        .read_account(&world.app.project.id, &AccountId::from(id.as_str()))
        .await
        .unwrap()
        .unwrap();
    assert_ne!(token(&stored), old, "the new tokens are kept");
    assert_eq!(stored.status.as_str(), "INACTIVE", "and so is what the developer did");
}

#[tokio::test]
async fn the_api_refreshes_a_token_on_demand() {
    let world = World::new().await;
    let id = ending(&world).await;
    world.unmask().await;
    let before = world.account(&id).await["state"]["val"]["access_token"].clone();
    let path = format!("/api/v3/connected_accounts/{id}/refresh");
    let done = world.client().post(&path, json!({})).await.expect(200);
    assert_eq!((&done["status"], &done["id"]), (&json!("ACTIVE"), &json!(id)));
    assert!(done["redirect_url"].is_null());
    assert_ne!(world.account(&id).await["state"]["val"]["access_token"], before);
    assert_eq!(world.provider.refreshes(), 1);
}

#[tokio::test]
async fn a_second_consent_that_is_denied_does_not_break_what_works() {
    let world = World::new().await;
    world.provider.style(Style::Form);
    let id = world.connected("github").await;
    let path = format!("/api/v3/connected_accounts/{id}/refresh?redirect_url=https://a.example/x");
    let again = world.client().post(&path, json!({})).await.expect(200);
    assert_eq!(again["status"], "ACTIVE");
    let url: url::Url = again["redirect_url"].as_str().unwrap().parse().unwrap();
    let state = super::param(&url, "state");
    let back = world.callback(&[("error", "access_denied"), ("state", &state)]).await;
    assert_eq!(super::param(&super::location(&back), "status"), "failed");
    assert_eq!(world.account(&id).await["status"], "ACTIVE");
}
