use serde_json::{Value, json};
use url::Url;

use super::World;
use crate::support::client::TestResponse;

impl World {
    async fn vinyl(&self) -> String {
        let credentials = json!({"consumer_key": "ck", "consumer_secret": "consumer-secret-1"});
        self.config("vinyl", "OAUTH1", credentials).await
    }

    /// Begins an attempt; returns the account's id and where the browser goes.
    async fn begin(&self, config: &str) -> (String, Url) {
        let body = json!({"auth_config": {"id": config}, "connection": {"user_id": "u"}});
        let made = self.client().post("/api/v3/connected_accounts", body).await.expect(201);
        assert_eq!(made["status"], "INITIATED", "{made}");
        let url = made["redirect_url"].as_str().unwrap().parse().unwrap();
        (made["id"].as_str().unwrap().to_owned(), url)
    }

    async fn back(&self, callback: &Url, more: &[(&str, &str)]) -> TestResponse {
        let mut url = callback.clone();
        url.query_pairs_mut().extend_pairs(more);
        self.app.anonymous().get(url.as_str()).await
    }
}

#[tokio::test]
async fn three_legs_connect_an_account_whose_requests_are_signed() {
    let world = World::new().await;
    let config = world.vinyl().await;
    let (id, url) = world.begin(&config).await;
    let (callback, token) = world.old.consent(&url);
    assert_eq!(callback.path(), "/api/v3/toolkits/auth/callback");
    let answer =
        world.back(&callback, &[("oauth_token", &token), ("oauth_verifier", "verifier")]).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let account = world.account(&id).await;
    assert_eq!(account["status"], "ACTIVE", "{account}");
    let val = &account["state"]["val"];
    assert_eq!(val["consumer_key"], "ck");
    assert_eq!(val["collector"], "DJ");
    assert_eq!(val["oauth_token"], "toke...");
    let text = account.to_string();
    assert!(!text.contains("token-secret-1") && !text.contains("consumer-secret"), "{text}");

    // Every request has a signature of its own, and the provider's echo of it is not passed on.
    for _ in 0..3 {
        let done = world.execute("VINYL_ME", &id, json!({})).await;
        assert_eq!(done["successful"], true, "{done}");
        assert!(!done.to_string().contains("token-secret-1"), "{done}");
    }
    let answer = world.proxy(&id, "/crates?page=2").await;
    assert_eq!(answer["status"], 200, "{answer}");

    // A state works once.
    let again =
        world.back(&callback, &[("oauth_token", &token), ("oauth_verifier", "verifier")]).await;
    again.expect_error(400);
}

#[tokio::test]
async fn a_callback_of_another_request_connects_nothing() {
    let world = World::new().await;
    let config = world.vinyl().await;
    let (id, url) = world.begin(&config).await;
    let (_, other_url) = world.begin(&config).await;
    let (callback, _) = world.old.consent(&url);
    let (_, other_token) = world.old.consent(&other_url);
    world.back(&callback, &[("oauth_token", &other_token), ("oauth_verifier", "verifier")]).await;
    let account = world.account(&id).await;
    assert_eq!(account["status"], "FAILED");
    assert!(account["status_reason"].as_str().unwrap().contains("another request"), "{account}");

    for (more, why) in [
        (vec![("denied", "x")], "denied access"),
        (vec![("oauth_problem", "user_refused")], "user_refused"),
        (vec![("code", "c")], "neither a code nor an error"),
        (vec![("oauth_token", "TOKEN"), ("oauth_verifier", "wrong")], "permission_denied"),
    ] {
        let (id, url) = world.begin(&config).await;
        let (callback, token) = world.old.consent(&url);
        let more: Vec<(&str, &str)> = more
            .into_iter()
            .map(|(k, v)| (k, if v == "TOKEN" { token.as_str() } else { v }))
            .collect();
        world.back(&callback, &more).await;
        let account = world.account(&id).await;
        assert_eq!(account["status"], "FAILED", "{account}");
        assert!(account["status_reason"].as_str().unwrap().contains(why), "{account}");
    }
}

#[tokio::test]
async fn a_consumer_that_the_provider_does_not_know_is_told_at_once() {
    let world = World::new().await;
    // The names that OAuth 2.0 has for them are taken too.
    let wrong = json!({"client_id": "other", "client_secret": "s"});
    let config = world.config("vinyl", "OAUTH1", wrong).await;
    let body =
        |config: &str| json!({"auth_config": {"id": config}, "connection": {"user_id": "u"}});
    let path = "/api/v3/connected_accounts";
    let refused = world.client().post(path, body(&config)).await.expect_error(400);
    assert_eq!(refused["slug"], "ConnectedAccount_CredentialsRefused");
    assert!(refused["message"].as_str().unwrap().contains("consumer_key_unknown"), "{refused}");
    let config = world.vinyl().await;
    *world.old.down.lock().unwrap() = true;
    world.client().post(path, body(&config)).await.expect_error(503);
    let list = world.client().get(path).await.expect(200);
    assert_eq!(list["items"], json!([]), "nothing was stored");
    // The page says so as well, and can be sent again.
    let body = json!({"auth_config_id": config, "user_id": "u"});
    let made = world.client().post("/api/v3/connected_accounts/link", body).await.expect(201);
    let link = made["redirect_url"].as_str().unwrap();
    let client = world.app.anonymous();
    let send = || client.send(client.request(reqwest::Method::POST, link));
    let page = send().await;
    assert!(page.status == 400 && page.text.contains("Try again"), "{}", page.text);
    *world.old.down.lock().unwrap() = false;
    let page = send().await;
    assert_eq!(page.status, 303, "{}", page.text);
    assert!(page.headers["location"].to_str().unwrap().contains("oauth_token=temp-"));
}

#[tokio::test]
async fn tokens_that_are_at_hand_are_imported() {
    let world = World::new().await;
    let config = world.vinyl().await;
    let import = |val: Value| {
        json!({"auth_config": {"id": config}, "connection": {"user_id": "u",
        "state": {"authScheme": "OAUTH1", "val": val}}})
    };
    let path = "/api/v3/connected_accounts";
    let val = json!({"status": "ACTIVE", "oauth_token": "token-9",
        "oauth_token_secret": "token-secret-9", "consumer_key": "ck"});
    let made = world.client().post(path, import(val)).await.expect(201);
    assert_eq!(made["status"], "ACTIVE", "{made}");
    let done = world.execute("VINYL_ME", made["id"].as_str().unwrap(), json!({})).await;
    assert_eq!(done["successful"], true, "{done}");
    let half = json!({"oauth_token": "token-9"});
    let refused = world.client().post(path, import(half)).await.expect_error(400);
    assert!(refused.to_string().contains("oauth_token_secret"), "{refused}");

    // The caller's own, for one call.
    let own = |val: Value| {
        json!({"arguments": {}, "custom_connection_data": {
        "authScheme": "OAUTH1", "toolkitSlug": "vinyl", "val": val}})
    };
    let path = "/api/v3/tools/execute/VINYL_ME";
    let val = json!({"consumer_key": "ck", "consumer_secret": "cs", "oauth_token": "token-9",
        "oauth_token_secret": "token-secret-9"});
    let done = world.client().post(path, own(val)).await.expect(200);
    assert_eq!(done["successful"], true, "{done}");
    let refused = world.client().post(path, own(json!({"oauth_token": "t"}))).await;
    refused.expect_error(400);
}

#[tokio::test]
async fn the_operators_consumer_signs_and_is_not_shown() {
    let world = World::with_providers(
        "vinyl: {managed: {client_id: ck, client_secret: consumer-secret-1}}",
    )
    .await;
    let body = json!({"toolkit": {"slug": "vinyl"},
        "auth_config": {"type": "use_composio_managed_auth"}});
    let made = world.client().post("/api/v3/auth_configs", body).await.expect(201);
    assert_eq!(made["auth_config"]["auth_scheme"], "OAUTH1");
    assert_eq!(made["auth_config"]["is_composio_managed"], true);
    let (id, url) = world.begin(made["auth_config"]["id"].as_str().unwrap()).await;
    let (callback, token) = world.old.consent(&url);
    let answer =
        world.back(&callback, &[("oauth_token", &token), ("oauth_verifier", "verifier")]).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let account = world.account(&id).await;
    assert_eq!(account["status"], "ACTIVE", "{account}");
    assert!(!account.to_string().contains("\"ck\""), "{account}");
    assert!(!account.to_string().contains("consumer-secret"), "{account}");
    let done = world.execute("VINYL_ME", &id, json!({})).await;
    assert_eq!(done["successful"], true, "{done}");
}
