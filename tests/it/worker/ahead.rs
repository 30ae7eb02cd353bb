//! Tokens are refreshed before they end, and some accounts are left alone.

use chrono::{DateTime, Utc};
use patchbay::worker::refresh::all_due;
use serde_json::json;

use super::{all_are_due, events, sql, value};
use crate::credentials::World;
use crate::credentials::provider::Fault;

#[tokio::test]
async fn a_new_token_is_due_before_its_end_and_refreshed_then() {
    let world = World::new().await;
    let id = world.connected("u").await;
    let early: f64 =
        value(&world, "extract(epoch from token_expires_at - refresh_due)::float8", &id).await;
    assert!((600.0..=900.0).contains(&early), "{early}");
    all_due(&world.app.app).await.unwrap();
    assert_eq!(world.provider.refreshes(), 0, "not yet");
    all_are_due(&world).await;
    all_due(&world.app.app).await.unwrap();
    assert_eq!(world.provider.refreshes(), 1);
    world.works(&id).await;
    all_due(&world.app.app).await.unwrap();
    assert_eq!(world.provider.refreshes(), 1, "the next time is an hour away");
}

#[tokio::test]
async fn a_definition_says_how_early() {
    let world = World::with(&[], &["refresh: {early_s: 1800}"]).await;
    let id = world.connected("u").await;
    let early: f64 =
        value(&world, "extract(epoch from token_expires_at - refresh_due)::float8", &id).await;
    assert!((1800.0..=2200.0).contains(&early), "{early}");
}

#[tokio::test]
async fn what_is_switched_off_is_left_alone_until_it_is_on_again() {
    let world = World::new().await;
    let id = world.connected("u").await;
    let client = world.client();
    let account = format!("/api/v3/connected_accounts/{id}/status");
    client.patch(&account, json!({"enabled": false})).await.expect(200);
    all_are_due(&world).await;
    all_due(&world.app.app).await.unwrap();
    assert_eq!(world.provider.refreshes(), 0);
    client.patch(&account, json!({"enabled": true})).await.expect(200);
    let config = |status: &str| format!("/api/v3/auth_configs/{}/{status}", world.config);
    client.patch(&config("DISABLED"), json!({})).await.expect(200);
    all_are_due(&world).await;
    all_due(&world.app.app).await.unwrap();
    assert_eq!(world.provider.refreshes(), 0);
    let due: Option<DateTime<Utc>> = value(&world, "refresh_due", &id).await;
    assert!(due.is_none(), "nobody looks at it again and again");
    client.patch(&config("ENABLED"), json!({})).await.expect(200);
    let due: Option<DateTime<Utc>> = value(&world, "refresh_due", &id).await;
    assert!(due.is_some());
    all_are_due(&world).await;
    all_due(&world.app.app).await.unwrap();
    assert_eq!(world.provider.refreshes(), 1);
}

#[tokio::test]
async fn a_provider_that_does_not_answer_is_not_asked_again_and_again() {
    let world = World::new().await;
    let id = world.connected("u").await;
    world.provider.always(Some(Fault::text(503, "down")));
    all_are_due(&world).await;
    all_due(&world.app.app).await.unwrap();
    all_due(&world.app.app).await.unwrap();
    assert_eq!(world.provider.refreshes(), 1);
    world.works(&id).await;
    assert_eq!(world.status(&id).await.0, "ACTIVE");
    let mut waits = Vec::new();
    for _ in 0..4 {
        let wait = "extract(epoch from refresh_due - now())::float8";
        waits.push(value::<f64>(&world, wait, &id).await);
        sql(&world, "update connected_account set refresh_after = null").await;
        all_are_due(&world).await;
        all_due(&world.app.app).await.unwrap();
    }
    assert!(waits[3] > 2.0 * waits[0], "{waits:?}");
    assert_eq!(value::<i32>(&world, "refresh_failures", &id).await, 5);
    world.provider.always(None);
    sql(&world, "update connected_account set refresh_after = null").await;
    all_are_due(&world).await;
    all_due(&world.app.app).await.unwrap();
    assert_eq!(value::<i32>(&world, "refresh_failures", &id).await, 0);
}

#[tokio::test]
async fn a_token_that_cannot_be_refreshed_ends_its_account_when_it_ends() {
    let world = World::new().await;
    let body = json!({"auth_config": {"id": world.config}, "connection": {"user_id": "u",
        "state": {"authScheme": "OAUTH2", "val": {"status": "ACTIVE", "access_token": "at",
            "expires_in": 3600}}}});
    let made = world.client().post("/api/v3/connected_accounts", body).await.expect(201);
    let id = made["id"].as_str().unwrap();
    all_are_due(&world).await;
    all_due(&world.app.app).await.unwrap();
    assert_eq!(world.status(id).await.0, "ACTIVE");
    world.tokens_end().await;
    all_are_due(&world).await;
    all_due(&world.app.app).await.unwrap();
    let (status, reason) = world.status(id).await;
    assert_eq!(status, "EXPIRED");
    assert!(reason.starts_with("Permanent auth error during token refresh"), "{reason}");
    assert_eq!(events(&world, id).await.len(), 1);
    assert_eq!(world.provider.refreshes(), 0);
}

#[tokio::test]
async fn one_toolkits_trouble_takes_half_of_the_room() {
    let world = World::with(&[("PATCHBAY_REFRESH_CONCURRENCY", "4")], &[]).await;
    for n in 0..6 {
        world.connected(&format!("u{n}")).await;
    }
    all_are_due(&world).await;
    world.provider.always(Some(Fault::Held));
    let running = patchbay::credentials::Running::new(4);
    let app = &world.app.app;
    assert_eq!(patchbay::credentials::round(app, &running).await.unwrap(), 2);
    world.provider.holds(2).await;
    assert_eq!(patchbay::credentials::round(app, &running).await.unwrap(), 0);
    world.provider.always(None);
    world.provider.open_gate();
    running.idle().await;
    all_due(app).await.unwrap();
    assert_eq!(world.provider.refreshes(), 6);
}
