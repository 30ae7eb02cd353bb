use serde_json::json;

use super::{World, param};
use crate::support::client::TestClient;

#[tokio::test]
async fn two_replicas_at_once_register_one_client() {
    let world = World::new().await;
    world.server.change(|w| w.slow_ms = 400);
    let path = world.providers_file();
    let (_other, address) = world.app.replica(&[("PATCHBAY_PROVIDERS_FILE", &path)]).await;
    let there = TestClient::new(address).header("x-api-key", &world.app.project.key);
    // The same redirect URI on both, as behind one public address.
    let uri = world.app.url("/api/v3/toolkits/auth/callback");
    let config = world.config("notion_mcp", json!({"oauth_redirect_uri": uri})).await;
    let here = world.client();
    let attempts = (0..20).map(|i| {
        let client = if i % 2 == 0 { here.clone() } else { there.clone() };
        let (world, config) = (&world, &config);
        async move { world.initiate_with(&client, config, json!({})).await.expect(201) }
    });
    let made = futures_util::future::join_all(attempts).await;
    let registered = world.server.registrations();
    assert_eq!(registered.len(), 1);
    for answer in made {
        let url = answer["redirect_url"].as_str().unwrap().parse().unwrap();
        assert_eq!(param(&url, "client_id"), registered[0].0);
    }
    // Another auth config has a client of its own.
    let config = world.config("notion_mcp", json!({})).await;
    world.begin(&config).await;
    assert_eq!(world.server.registrations().len(), 2);
}

#[tokio::test]
async fn a_new_redirect_uri_needs_a_new_client_and_old_accounts_keep_theirs() {
    let world = World::new().await;
    let config = world.config("notion_mcp", json!({})).await;
    let old = world.connected(&config).await;
    let change = json!({"type": "custom", "credentials": {"oauth_redirect_uri": "https://white.example/cb"}});
    world.client().patch(&format!("/api/v3/auth_configs/{config}"), change).await.expect(200);
    let (_, url) = world.begin(&config).await;
    let registered = world.server.registrations();
    assert_eq!(registered.len(), 2);
    assert_eq!(registered[1].1["redirect_uris"], json!(["https://white.example/cb"]));
    assert_eq!(param(&url, "redirect_uri"), "https://white.example/cb");
    // The refresh token of the old account is the old client's.
    world
        .client()
        .post(&format!("/api/v3/connected_accounts/{old}/refresh"), json!({}))
        .await
        .expect(200);
    let (_, form) = world.server.last_token_request();
    assert_eq!(form["refresh_token"], format!("rt-{}", registered[0].0));
    // So is it while somebody connects it again with the new one, and gives up.
    let account = world.account(&old).await;
    assert_eq!(account["status"], "ACTIVE");
}

#[tokio::test]
async fn a_client_that_its_server_forgot_is_replaced() {
    let world = World::new().await;
    let config = world.config("notion_mcp", json!({})).await;
    let id = world.connected(&config).await;
    let first = world.server.registrations()[0].0.clone();
    world.server.change(|w| w.forgotten.push(first.clone()));
    // Before the exchange.
    let (failed, url) = world.begin(&config).await;
    assert_eq!(param(&url, "client_id"), first);
    let code = world.server.consent(&url);
    world.callback(&[("state", &param(&url, "state")), ("code", &code)]).await;
    let account = world.account(&failed).await;
    assert_eq!(account["status"], "FAILED");
    assert!(account["status_reason"].as_str().unwrap().contains("invalid_client"), "{account}");
    world.connected(&config).await;
    let second = world.server.registrations().pop().unwrap().0;
    assert_ne!(second, first);
    // By a refresh: the account is over with a reason, and the next one gets another client.
    let path = format!("/api/v3/connected_accounts/{id}/refresh");
    world.client().post(&path, json!({})).await.expect_error(400);
    let account = world.account(&id).await;
    assert_eq!(account["status"], "EXPIRED");
    assert!(account["status_reason"].as_str().unwrap().contains("invalid_client"));
    // The client that is in use now stays.
    world.connected(&config).await;
    assert_eq!(world.server.registrations().len(), 2);
    world.server.change(|w| w.forgotten.push(second));
    let dead = world.begin(&config).await.0;
    assert_eq!(world.account(&dead).await["status"], "INITIATED");
}

#[tokio::test]
async fn a_secret_that_ends_is_avoided_or_renewed() {
    let world = World::new().await;
    let soon = patchbay::domain::time::now().timestamp() + 120;
    let ends = json!({"client_secret_expires_at": soon});
    world.server.change(|w| w.registration = ends.as_object().unwrap().clone());
    // The server offers public clients too, and those do not end.
    let config = world.config("notion_mcp", json!({})).await;
    world.connected(&config).await;
    let (_, asked) = world.server.registrations().pop().unwrap();
    assert_eq!(asked["token_endpoint_auth_method"], "none");
    // Where it does not, the next connection registers again.
    world
        .server
        .metadata(json!({"token_endpoint_auth_methods_supported": ["client_secret_basic"]}));
    let config = world.config("notion_mcp", json!({})).await;
    let before = world.server.registrations().len();
    for n in 1..=2 {
        world.begin(&config).await;
        assert_eq!(world.server.registrations().len(), before + n);
    }
}

#[tokio::test]
async fn clients_are_sealed_and_go_with_their_auth_config() {
    let world = World::new().await;
    let config = world.config("notion_mcp", json!({})).await;
    world.connected(&config).await;
    let sealed: Vec<u8> = sqlx::query_scalar("select client from oauth_client")
        .fetch_one(&world.app.app.db)
        .await
        .unwrap();
    let text = String::from_utf8_lossy(&sealed);
    assert!(!text.contains("client-") && !text.contains("secret-of-"));
    world.client().delete(&format!("/api/v3/auth_configs/{config}")).await.expect(200);
    let left: i64 = sqlx::query_scalar("select count(*) from oauth_client")
        .fetch_one(&world.app.app.db)
        .await
        .unwrap();
    assert_eq!(left, 0);
}
