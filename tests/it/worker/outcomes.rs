//! What a failed refresh does to the account, and what its project is told.

use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;

use super::{events, replica, sql, value};
use crate::credentials::provider::Fault;
use crate::credentials::{World, callback, execute, state_of, usable};

fn invalid_grant() -> Fault {
    Fault::json(400, &json!({"error": "invalid_grant", "error_description": "gone"}))
}

fn invalid_client() -> Fault {
    Fault::json(401, &json!({"error": "invalid_client"}))
}

async fn wait_is_over(world: &World) {
    sql(world, "update connected_account set refresh_after = null").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wish_to_be_left_alone_is_granted_by_all_replicas() {
    let world = World::new().await;
    let id = world.connected("u").await;
    let (other, client) = replica(&world).await;
    world.tokens_end().await;
    let later = Fault::Answer(429, vec![("retry-after", "120".into())], String::new());
    world.provider.always(Some(later));
    for _ in 0..10 {
        for client in [&world.client(), &client] {
            let answer = execute(client, &id).await;
            let error = answer.expect_error(503);
            assert_eq!(error["slug"], "ConnectedAccount_RefreshUnavailable", "{error}");
            let wait: u64 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
            assert!((60..=120).contains(&wait), "{wait}");
        }
    }
    assert_eq!(world.provider.refreshes(), 1);
    assert_eq!(world.status(&id).await, ("ACTIVE".to_owned(), String::new()));
    // It is in the row, so a server that starts now knows.
    let (fresh, client) = replica(&world).await;
    assert_eq!(execute(&client, &id).await.status, 503);
    assert_eq!(world.provider.refreshes(), 1);
    for app in [other, fresh] {
        app.stop.cancel();
    }
}

#[tokio::test]
async fn a_refused_client_ends_no_account_until_the_threshold() {
    let world = World::with(&[("PATCHBAY_REFRESH_MAX_REFUSALS", "3")], &[]).await;
    let id = world.connected("u").await;
    world.tokens_end().await;
    world.provider.always(Some(invalid_client()));
    for turn in 1..=2 {
        for _ in 0..5 {
            let error = world.execute(&id).await.expect_error(503);
            assert!(error["message"].as_str().unwrap().contains("invalid_client"), "{error}");
        }
        assert_eq!(world.provider.refreshes(), turn);
        assert_eq!(world.status(&id).await.0, "ACTIVE");
        wait_is_over(&world).await;
    }
    assert_eq!(world.execute(&id).await.status, 400);
    let (status, reason) = world.status(&id).await;
    assert_eq!(status, "EXPIRED");
    assert!(reason.starts_with("Max auth failures reached"), "{reason}");
    assert!(reason.contains("invalid_client"), "{reason}");
    assert_eq!(events(&world, &id).await.len(), 1);
}

#[tokio::test]
async fn a_corrected_auth_config_is_tried_at_once() {
    let world = World::new().await;
    let id = world.connected("u").await;
    world.tokens_end().await;
    world.provider.next([invalid_client()]);
    assert_eq!(world.execute(&id).await.status, 503);
    assert_eq!(world.execute(&id).await.status, 503);
    assert_eq!(world.provider.refreshes(), 1);
    let body = json!({"type": "custom", "credentials": {"client_secret": "csecret"}});
    let path = format!("/api/v3/auth_configs/{}", world.config);
    world.client().patch(&path, body).await.expect(200);
    world.app.app.cache.clear();
    world.works(&id).await;
    assert_eq!(world.provider.refreshes(), 2);
    assert_eq!(value::<i32>(&world, "refresh_refusals", &id).await, 0);
}

#[tokio::test]
async fn whoever_asks_for_a_refresh_after_a_refusal_gets_one_and_is_not_counted() {
    let world = World::with(&[("PATCHBAY_REFRESH_MAX_REFUSALS", "1")], &[]).await;
    let id = world.connected("u").await;
    world.provider.next([invalid_client(), invalid_client()]);
    let path = format!("/api/v3/connected_accounts/{id}/refresh");
    for turn in 1..=2 {
        assert_eq!(world.client().post(&path, json!({})).await.status, 503);
        assert_eq!(world.provider.refreshes(), turn);
    }
    assert_eq!(world.status(&id).await.0, "ACTIVE");
    let done = world.client().post(&path, json!({})).await.expect(200);
    assert_eq!(done["status"], "ACTIVE");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_an_account_is_told_once_in_the_documented_shape() {
    let world = World::new().await;
    let id = world.connected("u").await;
    let (other, client) = replica(&world).await;
    world.tokens_end().await;
    other.cache.clear();
    world.provider.always(Some(invalid_grant()));
    let mut calls = JoinSet::new();
    for n in 0..60 {
        let client = if n % 2 == 0 { world.client() } else { client.clone() };
        let id = id.clone();
        calls.spawn(async move { execute(&client, &id).await.status });
    }
    while let Some(status) = calls.join_next().await {
        assert_eq!(status.unwrap(), 400);
    }
    let told = events(&world, &id).await;
    assert_eq!(told.len(), 1);
    let event = &told[0];
    assert_eq!(event["type"], "composio.connected_account.expired");
    assert!(event["id"].as_str().unwrap().starts_with("evt_"));
    assert_eq!(event["metadata"]["project_id"], world.app.project.id.as_str());
    assert_eq!(event["metadata"]["org_id"], world.app.org_id.as_str());
    assert!(event["timestamp"].as_str().unwrap().ends_with('Z'));
    // As the account reads, but for what may be secret.
    let account = world.account(&id).await;
    for name in [
        "id",
        "user_id",
        "toolkit",
        "auth_config",
        "status",
        "status_reason",
        "is_disabled",
        "created_at",
        "deprecated",
        "alias",
    ] {
        assert_eq!(event["data"][name], account[name], "{name}");
    }
    assert_eq!(event["data"]["state"]["authScheme"], "OAUTH2");
    assert_eq!(event["data"]["state"]["val"], json!({"status": "EXPIRED"}));
    let text = event.to_string();
    assert!(!text.contains("at-") && !text.contains("rt-"), "{text}");
    other.stop.cancel();
}

#[tokio::test]
async fn a_person_who_connects_again_brings_the_same_account_back() {
    let world = World::new().await;
    let id = world.connected("u").await;
    let client = world.client();
    for turn in 1..=2 {
        world.tokens_end().await;
        world.provider.next([Fault::text(503, ""), invalid_grant()]);
        assert_eq!(world.execute(&id).await.status, 503);
        wait_is_over(&world).await;
        assert_eq!(world.execute(&id).await.status, 400);
        assert_eq!(world.status(&id).await.0, "EXPIRED");
        assert_eq!(events(&world, &id).await.len(), turn);
        let path = format!("/api/v3/connected_accounts/{id}/refresh");
        let again = client.post(&path, json!({})).await.expect(200);
        assert_eq!((&again["status"], &again["id"]), (&json!("INITIATED"), &json!(id)));
        let url: url::Url = again["redirect_url"].as_str().unwrap().parse().unwrap();
        let code = world.provider.consent(&url);
        let back = callback(&client, &[("state", &state_of(&url)), ("code", &code)]).await;
        assert_eq!(back.status, 200, "{}", back.text);
        assert_eq!(world.status(&id).await, ("ACTIVE".to_owned(), String::new()));
        assert_eq!(value::<i32>(&world, "refresh_failures", &id).await, 0);
        assert!(value::<Option<String>>(&world, "refresh_error", &id).await.is_none());
        world.works(&id).await;
    }
}

#[tokio::test]
async fn an_attempt_that_nobody_finished_is_named_in_the_reason() {
    let world = World::new().await;
    let id = world.connected("u").await;
    world.tokens_end().await;
    let dead = "update connected_account set refresh_claim = 'dead',
        refresh_claimed_until = now() - interval '1 second'";
    sql(&world, dead).await;
    // What lies between does not make it forgotten.
    world.provider.next([Fault::text(503, ""), invalid_grant()]);
    assert_eq!(world.execute(&id).await.status, 503);
    wait_is_over(&world).await;
    assert_eq!(world.execute(&id).await.status, 400);
    let (status, reason) = world.status(&id).await;
    assert_eq!(status, "EXPIRED");
    assert!(reason.contains("interrupted") && reason.contains("invalid_grant"), "{reason}");
}

#[tokio::test]
async fn a_claim_keeps_others_away_and_ends_by_itself() {
    let world = World::new().await;
    let id = world.connected("u").await;
    world.tokens_end().await;
    let alive = "update connected_account set refresh_claim = 'alive',
        refresh_claimed_until = now() + interval '2 seconds'";
    sql(&world, alive).await;
    let mut call = std::pin::pin!(world.execute(&id));
    let early = tokio::time::timeout(Duration::from_millis(500), &mut call).await;
    assert!(early.is_err());
    assert_eq!(world.provider.refreshes(), 0);
    assert!(usable(&call.await));
    assert_eq!(world.provider.refreshes(), 1);
}

#[tokio::test]
async fn connecting_again_during_a_refresh_keeps_the_newer_tokens() {
    let world = World::new().await;
    let id = world.connected("u").await;
    let client = world.client();
    let path = format!("/api/v3/connected_accounts/{id}/refresh?redirect_url=https://a.example/x");
    world.provider.always(Some(Fault::Held));
    let asked = tokio::spawn({
        let client = client.clone();
        let path = path.clone();
        async move { client.post(&path, json!({})).await }
    });
    world.provider.holds(1).await;
    let folder = json!({"connection": {"state": {"authScheme": "OAUTH2", "val": {
        "access_token": "brought", "refresh_token": "rt-brought"}}}});
    client.patch(&format!("/api/v3/connected_accounts/{id}"), folder).await.expect(200);
    world.provider.open_gate();
    assert_eq!(asked.await.unwrap().expect(200)["status"], "ACTIVE");
    let id = patchbay::domain::id::AccountId::from(id.as_str());
    let found = world.app.app.cache.read_account(&world.app.project.id, &id).await;
    assert_eq!(found.unwrap().unwrap().state.text("access_token"), Some("brought"));
}

#[tokio::test]
async fn old_events_are_forgotten() {
    let world = World::new().await;
    let id = world.connected("u").await;
    world.tokens_end().await;
    world.provider.next([invalid_grant()]);
    assert_eq!(world.execute(&id).await.status, 400);
    let day = Duration::from_secs(86_400);
    let db = &world.app.app.db;
    assert_eq!(patchbay::db::event::delete_older(db, day, 100).await.unwrap(), 0);
    sql(&world, "update event set created_at = now() - interval '2 days'").await;
    assert_eq!(patchbay::db::event::delete_older(db, day, 100).await.unwrap(), 1);
    assert!(events(&world, &id).await.is_empty());
}
