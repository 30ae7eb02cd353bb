//! A Connect Link is no way to try credentials out.

use std::collections::HashMap;

use serde_json::json;

use super::World;
use crate::support::client::{TestClient, TestResponse};

/// A link to connect GitHub by a key.
async fn link(world: &World) -> (String, String) {
    let body = json!({"type": "use_custom_auth", "authScheme": "API_KEY"});
    let config = world.auth_config("github", body).await;
    let body = json!({"auth_config_id": config, "user_id": "u"});
    let made = world.client().post("/api/v3/connected_accounts/link", body).await.expect(201);
    let id = made["connected_account_id"].as_str().unwrap().to_owned();
    (id, format!("/link/{}", made["link_token"].as_str().unwrap()))
}

async fn send(client: &TestClient, link: &str, key: &str) -> TestResponse {
    let form = HashMap::from([("generic_api_key", key)]);
    client.send(client.request(reqwest::Method::POST, link).form(&form)).await
}

fn refuses(world: &World) {
    world.provider.answer("/user", 401, json!({"message": "Bad credentials"}));
}

fn accepts(world: &World) {
    world.provider.answer("/user", 200, json!({"id": 1, "login": "octocat"}));
}

#[tokio::test]
async fn a_link_is_closed_after_some_wrong_keys_and_says_so() {
    let world = World::with(&[("PATCHBAY_LINK_MAX_TRIES", "3")]).await;
    let (id, link) = link(&world).await;
    let person = world.app.anonymous();
    refuses(&world);
    for _ in 0..2 {
        let page = send(&person, &link, "ghp-wrong").await;
        assert_eq!(page.status, 400, "{}", page.text);
        assert!(page.text.contains("generic_api_key"), "the form again");
    }
    let page = send(&person, &link, "ghp-wrong").await;
    // A right one does not help any more, and the provider is not asked.
    accepts(&world);
    for page in [page, send(&person, &link, "ghp-right").await, person.get(&link).await] {
        assert_eq!(page.status, 410, "{}", page.text);
        assert!(page.text.contains("This link no longer works"), "{}", page.text);
        assert!(page.text.contains("ask for a new link"), "{}", page.text);
        assert!(!page.text.contains("<form") && !page.text.contains("ghp-"), "{}", page.text);
        assert_eq!(page.headers["cache-control"], "no-store");
    }
    assert_eq!(world.provider.calls().len(), 3);
    assert_ne!(world.account(&id).await["status"], "ACTIVE");
    // A new link is not affected.
    let (id, another) = self::link(&world).await;
    assert!(send(&person, &another, "ghp-right").await.status < 400);
    assert_eq!(world.account(&id).await["status"], "ACTIVE");
}

#[tokio::test]
async fn all_servers_count_together_and_many_at_once_are_not_more() {
    let world = World::with(&[("PATCHBAY_LINK_MAX_TRIES", "5")]).await;
    let file = world.providers_file();
    let settings = [("PATCHBAY_PROVIDERS_FILE", file.as_str()), ("PATCHBAY_LINK_MAX_TRIES", "5")];
    let (replica, address) = world.app.replica(&settings).await;
    let (_, link) = link(&world).await;
    refuses(&world);
    let mut tries = tokio::task::JoinSet::new();
    for n in 0..30 {
        let client = if n % 2 == 0 { world.app.anonymous() } else { TestClient::new(address) };
        let link = link.clone();
        tries.spawn(async move { send(&client, &link, &format!("ghp-{n}")).await.status });
    }
    let statuses = tries.join_all().await;
    assert_eq!(world.provider.calls().len(), 5, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|s| **s == 400).count(), 4, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|s| **s == 410).count(), 26, "{statuses:?}");
    replica.stop.cancel();
}

#[tokio::test]
async fn only_wrong_credentials_count() {
    let world = World::with(&[("PATCHBAY_LINK_MAX_TRIES", "2")]).await;
    let (id, link) = link(&world).await;
    let person = world.app.anonymous();
    // Nothing filled in: the provider is not asked.
    for _ in 0..4 {
        assert_eq!(send(&person, &link, " ").await.status, 400);
    }
    refuses(&world);
    assert_eq!(send(&person, &link, "ghp-wrong").await.status, 400);
    let tries: i32 = sqlx::query_scalar("select tries from connect_token where kind = 'link'")
        .fetch_one(&world.app.app.db)
        .await
        .unwrap();
    assert_eq!(tries, 1);
    accepts(&world);
    assert!(send(&person, &link, "ghp-right").await.status < 400);
    assert_eq!(world.account(&id).await["status"], "ACTIVE");
    let page = send(&person, &link, "ghp-right").await;
    assert!(page.text.contains("used already"), "{}", page.text);
}

#[tokio::test]
async fn a_provider_that_is_away_costs_no_try() {
    let world = World::with(&[("PATCHBAY_LINK_MAX_TRIES", "2")]).await;
    let body = json!({"type": "use_custom_auth", "authScheme": "CALCOM_AUTH"});
    let config = world.auth_config("cal", body).await;
    let body = json!({"auth_config_id": config, "user_id": "u"});
    let made = world.client().post("/api/v3/connected_accounts/link", body).await.expect(201);
    let link = format!("/link/{}", made["link_token"].as_str().unwrap());
    let person = world.app.anonymous();
    let send = || {
        let form =
            HashMap::from([("client_id", "c"), ("client_secret", "s"), ("email", "a@example.com")]);
        person.send(person.request(reqwest::Method::POST, &link).form(&form))
    };
    world.provider.answer("/v2/oauth-clients/c/users", 503, json!({}));
    for _ in 0..4 {
        let page = send().await;
        assert_eq!(page.status, 400, "{}", page.text);
        assert!(page.text.contains("could not be checked"), "{}", page.text);
    }
    world.provider.answer("/v2/oauth-clients/c/users", 401, json!({"message": "no"}));
    assert_eq!([send().await.status, send().await.status], [400, 410]);
}
