use std::collections::HashMap;

use serde_json::{Value, json};

use super::{World, location, param};
use crate::support::client::TestResponse;

impl World {
    async fn link(&self, config: &str, more: Value) -> (String, String) {
        let mut body = json!({"auth_config_id": config, "user_id": "u"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let made = self.client().post("/api/v3/connected_accounts/link", body).await.expect(201);
        let url = made["redirect_url"].as_str().unwrap().to_owned();
        assert!(url.ends_with(made["link_token"].as_str().unwrap()), "{made}");
        assert!(url.starts_with(&self.app.url("/link/ln_")), "{url}");
        assert!(made["expires_at"].as_str().unwrap().ends_with('Z'));
        let id = made["connected_account_id"].as_str().unwrap().to_owned();
        assert_eq!(self.account(&id).await["status"], "INITIATED", "there at once");
        (id, url)
    }

    async fn open(&self, url: &str) -> TestResponse {
        self.app.anonymous().get(url).await
    }

    async fn send(&self, url: &str, form: &[(&str, &str)]) -> TestResponse {
        let client = self.app.anonymous();
        let form: HashMap<&str, &str> = form.iter().copied().collect();
        client.send(client.request(reqwest::Method::POST, url).form(&form)).await
    }
}

fn key() -> Value {
    json!({"type": "use_custom_auth", "authScheme": "API_KEY"})
}

#[tokio::test]
async fn an_api_key_is_collected_by_the_page() {
    let world = World::new().await;
    let settings = json!({"display_name": "Acme <App>", "logo_url": "https://acme.example/l.png"});
    world.client().patch("/api/v3/org/project/config", settings).await.expect(200);
    let config = world.auth_config("posthog", key()).await;
    let more = json!({"callback_url": "https://app.example/cb?user_id=1"});
    let (id, url) = world.link(&config, more).await;

    let page = world.open(&url).await;
    assert_eq!(page.status, 200);
    for expected in [
        "Acme &#60;App&#62;",
        "https://acme.example/l.png",
        "name=\"generic_api_key\"",
        "type=\"password\"",
        "name=\"subdomain\"",
        "name=\"viewport\"",
        "<label for=",
        "method=\"post\"",
        ".posthog.com",
    ] {
        assert!(page.text.contains(expected), "{expected} in {}", page.text);
    }
    assert!(!page.text.contains("<script"));
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
    assert_eq!(page.headers["cache-control"], "no-store");
    assert_eq!(page.headers["referrer-policy"], "no-referrer");
    assert_eq!(page.headers["x-frame-options"], "DENY");

    let wrong =
        world.send(&url, &[("subdomain", "EVIL/"), ("generic_api_key", "phx-secret-1")]).await;
    assert_eq!(wrong.status, 400);
    assert!(wrong.text.contains("value=\"EVIL/\"") && wrong.text.contains("aria-invalid"));
    assert!(!wrong.text.contains("phx-secret-1"), "a secret is never shown");
    assert_eq!(world.account(&id).await["status"], "INITIATED");

    let done = world.send(&url, &[("subdomain", "eu"), ("generic_api_key", "phx-secret-1")]).await;
    let expected =
        format!("https://app.example/cb?user_id=1&status=success&connected_account_id={id}");
    assert_eq!(location(&done).as_str(), expected);
    let account = world.account(&id).await;
    assert_eq!(account["status"], "ACTIVE");
    assert_eq!(account["state"]["val"]["api_key"], "phx-...");
    assert_eq!(account["state"]["val"]["subdomain"], "eu");

    let again = world.send(&url, &[("generic_api_key", "attacker")]).await;
    assert_eq!(again.status, 410);
    assert_eq!(world.open(&url).await.status, 410);
    assert_eq!(world.account(&id).await["state"]["val"]["api_key"], "phx-...");
}

#[tokio::test]
async fn every_other_scheme_connects_by_page_too() {
    let world = World::new().await;
    for (toolkit, scheme, form) in [
        ("googlecalendar", "BEARER_TOKEN", vec![("token", "tok-1")]),
        ("hackernews", "NO_AUTH", vec![]),
    ] {
        let body = json!({"type": "use_custom_auth", "authScheme": scheme});
        let config = world.auth_config(toolkit, body).await;
        let (id, url) = world.link(&config, json!({})).await;
        assert_eq!(world.open(&url).await.status, 200);
        let done = world.send(&url, &form).await;
        assert_eq!(done.status, 200, "{}", done.text);
        assert!(done.text.contains("is connected") && done.text.contains("close this page"));
        assert_eq!(world.account(&id).await["status"], "ACTIVE");
    }
    let body = json!({"type": "use_custom_auth", "authScheme": "BASIC"});
    let config = world.auth_config("jira", body).await;
    let (id, url) = world.link(&config, json!({})).await;
    let wrong = world.send(&url, &[("username", "me@a.com")]).await;
    assert_eq!(wrong.status, 400);
    assert!(wrong.text.contains("value=\"me@a.com\""));
    let page = world.open(&url).await.text;
    let mut form = vec![("username", "me@a.com"), ("password", "pw")];
    if page.contains("name=\"subdomain\"") {
        form.push(("subdomain", "acme"));
    }
    let done = world.send(&url, &form).await;
    assert_eq!(done.status, 200, "{}", done.text);
    assert_eq!(world.account(&id).await["status"], "ACTIVE");
}

#[tokio::test]
async fn oauth_continues_at_the_provider_and_comes_back() {
    let world = World::new().await;
    let config = world.oauth_config("linear").await;
    let back = json!({"callback_url": "https://app.example/cb"});
    let (id, url) = world.link(&config, back).await;
    let page = world.open(&url).await;
    assert!(page.text.contains("Continue to Linear"), "{}", page.text);
    let to = location(&world.send(&url, &[]).await);
    let code = world.provider.consent(&to);
    // Going back and on again is fine as long as nothing is connected.
    assert_eq!(world.open(&url).await.status, 200);
    let to_again = location(&world.send(&url, &[]).await);
    let response = world.callback(&[("code", &code), ("state", &param(&to, "state"))]).await;
    let back = location(&response);
    assert_eq!(param(&back, "connected_account_id"), id);
    assert_eq!(param(&back, "status"), "success");
    assert_eq!(world.account(&id).await["status"], "ACTIVE");
    // Now everything else of the attempt is void.
    assert_eq!(world.open(&url).await.status, 410);
    let code = world.provider.consent(&to_again);
    let late = world.callback(&[("code", &code), ("state", &param(&to_again, "state"))]).await;
    assert_eq!(late.status, 400);
}

#[tokio::test]
async fn fields_are_collected_before_the_provider() {
    let world = World::new().await;
    let config = world.oauth_config("jira").await;
    let (id, url) = world.link(&config, json!({})).await;
    assert!(world.open(&url).await.text.contains("name=\"cloud_id\""));
    assert_eq!(world.send(&url, &[("cloud_id", "nonsense")]).await.status, 400);
    let cloud = "11111111-2222-3333-4444-555555555555";
    let to = location(&world.send(&url, &[("cloud_id", cloud)]).await);
    let code = world.provider.consent(&to);
    world.callback(&[("code", &code), ("state", &param(&to, "state"))]).await;
    let account = world.account(&id).await;
    assert_eq!(account["status"], "ACTIVE");
    assert_eq!(account["state"]["val"]["cloud_id"], cloud);
}

#[tokio::test]
async fn values_given_beforehand_are_used_and_secrets_not_shown() {
    let world = World::new().await;
    let config = world.auth_config("posthog", key()).await;
    let given = json!({"connection_data": {"subdomain": "eu", "api_key": "phx-given-secret"}});
    let (id, url) = world.link(&config, given).await;
    let page = world.open(&url).await;
    assert!(page.text.contains("value=\"eu\"") && !page.text.contains("phx-given"));
    assert_eq!(world.send(&url, &[("subdomain", "eu"), ("generic_api_key", "")]).await.status, 200);
    world.unmask().await;
    assert_eq!(world.account(&id).await["state"]["val"]["api_key"], "phx-given-secret");
}

#[tokio::test]
async fn unknown_links_and_odd_forms_get_a_page() {
    let world = World::new().await;
    let config = world.auth_config("exa", key()).await;
    let (_, url) = world.link(&config, json!({})).await;
    for wrong in ["/link/nope", "/link/ln_a_b", "/link/ln_%2e%2e_x", "/link/st_x_y"] {
        let page = world.open(wrong).await;
        assert_eq!(page.status, 404, "{wrong}");
        assert!(page.text.contains("does not exist"));
    }
    let client = world.app.anonymous();
    let raw = client.request(reqwest::Method::POST, &url).body(vec![0xff, b'=', 0, b'&', b'&']);
    assert_eq!(client.send(raw).await.status, 400);
    assert_eq!(world.open(&url).await.status, 200);
    // A disabled auth config closes its links.
    let path = format!("/api/v3/auth_configs/{config}/DISABLED");
    world.client().patch(&path, json!({})).await.expect(200);
    assert_eq!(world.open(&url).await.status, 400);
}

#[tokio::test]
async fn two_people_who_send_one_link_at_once_connect_it_once() {
    let world = World::new().await;
    let config = world.auth_config("exa", key()).await;
    let (_, url) = world.link(&config, json!({})).await;
    let (a, b) = tokio::join!(
        world.send(&url, &[("generic_api_key", "first-key")]),
        world.send(&url, &[("generic_api_key", "other-key")])
    );
    let mut statuses = [a.status, b.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 410]);
}
