//! The project's own check of who came back from a provider.

use serde_json::{Value, json};

use super::provider::Style;
use super::{World, location, param};
use crate::support::client::TestResponse;

const VERIFIER: &str = "https://app.example.com/verify?tenant=7";

async fn world() -> World {
    let world = World::new().await;
    let body = json!({"oauth_callback_verifier_url": VERIFIER});
    let config = world.client().patch("/api/v3/org/project/config", body).await.expect(200);
    assert_eq!(config["oauth_callback_verifier_url"], VERIFIER);
    world
}

async fn redeem(world: &World, session: &str, user: &str) -> TestResponse {
    let body = json!({"session_uri": session, "user_id": user});
    world.client().post("/api/v3.1/connected_accounts/complete_auth", body).await
}

/// An attempt whose person consented: the account and the session URI.
async fn deferred(world: &World) -> (String, String) {
    let config = world.oauth_config("linear").await;
    let connection = json!({"user_id": "u1", "callback_url": "https://app.example.com/done"});
    let (id, url) = world.begin(&config, connection).await;
    let code = world.provider.consent(&url);
    let state = param(&url, "state");
    let back = world.callback(&[("state", &state), ("code", &code)]).await;
    let to = location(&back);
    assert!(to.as_str().starts_with(VERIFIER), "{to}");
    assert!(!to.as_str().contains(&code), "the code is not passed on");
    // The state is spent, also for the verifier.
    assert_eq!(world.callback(&[("state", &state), ("code", &code)]).await.status, 400);
    (id, param(&to, "session_uri"))
}

#[tokio::test]
async fn an_attempt_waits_for_the_verifier_and_is_completed_once() {
    let world = world().await;
    let (id, session) = deferred(&world).await;
    assert_eq!(world.account(&id).await["status"], "INITIATED");
    let answer = redeem(&world, &session, "u1").await.expect(200);
    assert_eq!(answer, json!({"connected_account_id": id, "toolkit_slug": "linear"}));
    assert_eq!(world.account(&id).await["status"], "ACTIVE");
    assert_eq!(redeem(&world, &session, "u1").await.expect_error(404)["code"], 1604);
}

#[tokio::test]
async fn nobody_else_can_complete_it() {
    let world = world().await;
    let (id, session) = deferred(&world).await;
    redeem(&world, &session, "u2").await.expect_error(404);
    let other = world.app.another_project().await;
    let body = json!({"session_uri": session, "user_id": "u1"});
    let path = "/api/v3.1/connected_accounts/complete_auth";
    world.app.client_of(&other).post(path, body.clone()).await.expect_error(404);
    world.app.anonymous().post(path, body).await.expect_error(401);
    let token = session.strip_prefix("patchbay-session:").unwrap();
    for forged in [
        token,
        "patchbay-session:",
        "patchbay-session:se_x_y",
        &session.replace("se_", "st_"),
        &format!("{session}0"),
        "https://app.example.com",
    ] {
        redeem(&world, forged, "u1").await.expect_error(404);
    }
    for wrong in [
        json!({}),
        json!({"session_uri": session}),
        json!({"session_uri": "", "user_id": "u1"}),
        json!({"session_uri": session, "user_id": ""}),
        json!({"session_uri": 5, "user_id": "u1"}),
        json!([]),
    ] {
        world.client().post(path, wrong).await.expect_error(400);
    }
    // None of that spent it.
    assert_eq!(world.account(&id).await["status"], "INITIATED");
    redeem(&world, &session, "u1").await.expect(200);
}

#[tokio::test]
async fn a_denial_needs_no_verifier_and_a_failed_exchange_fails_the_account() {
    let world = world().await;
    let config = world.oauth_config("linear").await;
    let connection = json!({"user_id": "u1", "callback_url": "https://app.example.com/done"});
    let (id, url) = world.begin(&config, connection).await;
    let pairs = [("state", param(&url, "state")), ("error", "access_denied".to_owned())];
    let pairs: Vec<(&str, &str)> = pairs.iter().map(|(k, v)| (*k, v.as_str())).collect();
    let to = location(&world.callback(&pairs).await);
    assert_eq!(param(&to, "status"), "failed");
    assert_eq!(world.account(&id).await["status"], "FAILED");

    let (id, session) = deferred(&world).await;
    world.provider.style(Style::Html);
    redeem(&world, &session, "u1").await.expect_error(400);
    let account = world.account(&id).await;
    assert_eq!(account["status"], "FAILED");
    assert!(account["status_reason"].as_str().unwrap().contains("token exchange"), "{account}");
}

#[tokio::test]
async fn only_one_of_many_gets_the_session_and_it_ends_with_the_attempt() {
    let world = world().await;
    let (_, session) = deferred(&world).await;
    let all = (0..8).map(|_| redeem(&world, &session, "u1"));
    let answers = futures_util::future::join_all(all).await;
    let won = answers.iter().filter(|a| a.status == 200).count();
    assert_eq!(won, 1);
    assert!(answers.iter().all(|a| a.status == 200 || a.status == 404));

    let (id, session) = deferred(&world).await;
    sqlx::query(
        "update connect_token set expires_at = now() - interval '1 second' where kind = 'session'",
    )
    .execute(&world.app.app.db)
    .await
    .unwrap();
    redeem(&world, &session, "u1").await.expect_error(404);
    assert_eq!(world.account(&id).await["status"], "INITIATED");
}

#[tokio::test]
async fn a_verifier_is_a_plain_web_address_and_can_be_taken_away() {
    let world = world().await;
    let path = "/api/v3/org/project/config";
    for wrong in ["javascript:alert(1)", "/verify", "https://u:p@a.com/", "ftp://a.com"] {
        let body = json!({"oauth_callback_verifier_url": wrong});
        world.client().patch(path, body).await.expect_error(400);
    }
    let body = json!({"oauth_callback_verifier_url": null});
    let config = world.client().patch(path, body).await.expect(200);
    assert_eq!(config.get("oauth_callback_verifier_url"), None::<&Value>);
    world.connected("linear").await;
}
