use std::time::Duration;

use serde_json::{Value, json};

use super::provider::Style;
use super::{World, param};

async fn revoke(world: &World, id: &str) -> crate::support::client::TestResponse {
    world.client().post(&format!("/api/v3.1/connected_accounts/{id}/revoke"), json!({})).await
}

async fn execute(world: &World, id: &str) -> Value {
    let body = json!({"connected_account_id": id, "arguments": {}});
    let path = "/api/v3/tools/execute/LINEAR_LIST_LINEAR_TEAMS";
    world.client().post(path, body).await.expect_error(400)
}

/// Waits for what happens in the background.
async fn eventually(mut done: impl FnMut() -> bool) {
    for _ in 0..500 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it did not happen");
}

#[tokio::test]
async fn a_revoked_account_is_revoked_at_the_provider_and_of_no_use() {
    let world = World::new().await;
    let id = world.connected("linear").await;
    let answer = revoke(&world, &id).await.expect(200);
    assert_eq!(
        answer,
        json!({"revoked_tokens": ["refresh_token", "access_token"],
            "connected_account": {"id": id, "status": "REVOKED"}})
    );
    let told = world.provider.revoked();
    assert!(told[0].starts_with("rt-") && told[1].starts_with("at-") && told.len() == 2);
    let account = world.account(&id).await;
    assert_eq!(account["status"], "REVOKED");
    assert_eq!(account["status_reason"], "Revoked via user-initiated revoke endpoint");
    assert!(account["state"]["val"]["revoked_at"].is_string(), "{account}");
    assert!(account["state"]["val"].get("access_token").is_none(), "{account}");
    assert_eq!(execute(&world, &id).await["code"], 1802);

    // A second time there is nothing to do.
    let answer = revoke(&world, &id).await.expect(200);
    assert_eq!(answer["revoked_tokens"], json!([]));
    assert_eq!(world.provider.revoked().len(), 2);
    let page = world.client().get("/api/v3/connected_accounts?statuses=REVOKED").await.expect(200);
    assert_eq!(page["total_items"], 1);
}

#[tokio::test]
async fn a_revoked_account_comes_back_by_connecting_it_again() {
    let world = World::new().await;
    let id = world.connected("linear").await;
    revoke(&world, &id).await.expect(200);
    let path = format!("/api/v3/connected_accounts/{id}/refresh");
    let again = world.client().post(&path, json!({})).await.expect(200);
    assert_eq!(again["status"], "INITIATED");
    let url: url::Url = again["redirect_url"].as_str().unwrap().parse().unwrap();
    let code = world.provider.consent(&url);
    world.callback(&[("state", &param(&url, "state")), ("code", &code)]).await;
    let account = world.account(&id).await;
    assert_eq!(account["status"], "ACTIVE");
    assert!(account["status_reason"].is_null());
    assert!(account["state"]["val"].get("revoked_at").is_none(), "{account}");
}

#[tokio::test]
async fn what_cannot_be_revoked_says_why() {
    let world = World::new().await;
    let body = json!({"type": "use_custom_auth", "authScheme": "API_KEY"});
    let config = world.auth_config("exa", body).await;
    let state = json!({"authScheme": "API_KEY", "val": {"api_key": "key-1"}});
    let made = world.initiate(&config, json!({"user_id": "u", "state": state})).await.expect(201);
    let error = revoke(&world, made["id"].as_str().unwrap()).await.expect_error(400);
    assert_eq!(error["code"], 1823);

    let config = world.oauth_config("linear").await;
    let (id, _) = world.begin(&config, json!({"user_id": "u"})).await;
    let response = revoke(&world, &id).await;
    assert_eq!(response.headers["x-should-retry"], "false");
    assert_eq!(response.expect_error(409)["code"], 1822);
    revoke(&world, "ca_nothing").await.expect_error(404);
}

#[tokio::test]
async fn a_provider_that_is_away_is_told_later_and_the_account_is_revoked_at_once() {
    let world = World::new().await;
    let id = world.connected("linear").await;
    world.provider.style(Style::Down);
    let answer = revoke(&world, &id).await.expect(200);
    assert_eq!(answer["revoked_tokens"], json!([]));
    assert_eq!(answer["connected_account"]["status"], "REVOKED");
    assert_eq!(execute(&world, &id).await["code"], 1802);
    assert!(world.provider.revoked().is_empty());
    world.provider.style(Style::Standard);
    world.carry_out().await;
    assert_eq!(world.provider.revoked().len(), 2);
}

#[tokio::test]
async fn two_revocations_at_once_tell_the_provider_once() {
    let world = World::new().await;
    let id = world.connected("linear").await;
    let answers = tokio::join!(revoke(&world, &id), revoke(&world, &id));
    for answer in [answers.0, answers.1] {
        assert_eq!(answer.expect(200)["connected_account"]["status"], "REVOKED");
    }
    assert_eq!(world.provider.revoked().len(), 2);
}

#[tokio::test]
async fn a_deletion_revokes_unless_it_is_told_not_to() {
    let world = World::new().await;
    for (query, revoked, named) in [
        ("", true, false),
        ("?revoke_on_delete=true", true, true),
        ("?revoke_on_delete=false", false, false),
    ] {
        let before = world.provider.revoked().len();
        let id = world.connected("linear").await;
        let path = format!("/api/v3.1/connected_accounts/{id}{query}");
        let answer = world.client().delete(&path).await.expect(200);
        assert_eq!(answer["success"], true);
        assert_eq!(answer.get("revoke_job_id").is_some_and(Value::is_string), named, "{answer}");
        if revoked {
            eventually(|| world.provider.revoked().len() == before + 2).await;
        } else {
            tokio::time::sleep(Duration::from_millis(300)).await;
            assert_eq!(world.provider.revoked().len(), before);
        }
    }
    let id = world.connected("linear").await;
    let config = world.account(&id).await["auth_config"]["id"].as_str().unwrap().to_owned();
    let before = world.provider.revoked().len();
    let path = format!("/api/v3.1/auth_configs/{config}?revoke_on_delete=true");
    let answer = world.client().delete(&path).await.expect(200);
    assert!(answer["revoke_job_id"].as_str().unwrap().starts_with("rj_"));
    eventually(|| world.provider.revoked().len() == before + 2).await;
    let path = "/api/v3.1/connected_accounts/x?revoke_on_delete=maybe";
    world.client().delete(path).await.expect_error(400);
}
