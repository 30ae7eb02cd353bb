//! Forged states, links and callback addresses.

use reqwest::Method;
use serde_json::{Value, json};

use super::provider::Mode;
use super::world::{SECRET, World, config, oauth_config};
use crate::net::fault::response;

const CALLBACK: &str = "/api/v3/toolkits/auth/callback";

/// Begins an OAuth2 connection; its account and state.
async fn begin(world: &World, callback_url: Option<&str>) -> (String, String) {
    let config = oauth_config(&world.client).await;
    let body = json!({"auth_config": {"id": config},
        "connection": {"user_id": "u1", "callback_url": callback_url}});
    let made = world.client.post("/api/v3/connected_accounts", body).await.expect(201);
    let url = url::Url::parse(made["redirect_url"].as_str().unwrap()).unwrap();
    assert!(!url.as_str().contains(SECRET));
    let state = url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    (made["id"].as_str().unwrap().to_owned(), state)
}

async fn status(world: &World, id: &str) -> Value {
    world.client.get(&format!("/api/v3/connected_accounts/{id}")).await.expect(200)["status"]
        .clone()
}

fn tokens() -> Mode {
    let body = br#"{"access_token": "at-fresh-0123456789", "token_type": "bearer"}"#;
    Mode::Bytes(response("200 OK", &[("content-type", "application/json")], body))
}

#[tokio::test]
async fn a_forged_state_connects_nothing() {
    let world = World::new().await;
    let (id, state) = begin(&world, Some("https://app.example/done")).await;
    let (_, random) = state.rsplit_once('_').unwrap();
    let other = world.app.another_project().await;
    let foreign = format!("st_{}_{random}", other.id.as_str().trim_start_matches("pr_"));
    let mut changed = state.clone();
    changed.replace_range(state.len() - 1.., if state.ends_with('a') { "b" } else { "a" });
    world.provider.set(tokens());
    world.provider.take();
    let anonymous = world.app.anonymous();
    for forged in [
        "",
        "st_",
        "x",
        "st_a_b",
        "%00",
        "%ff",
        "'--",
        "st_%00_",
        &foreign,
        &changed,
        &state[..20],
        &state.replace("st_", "ln_"),
        &state.to_uppercase(),
        &format!("{state}x"),
        &"s".repeat(10_000),
    ] {
        let path = format!("{CALLBACK}?code=c&state={forged}");
        let answer = anonymous.get(&path).await;
        assert!((400..500).contains(&answer.status), "{forged}: {} {}", answer.status, answer.text);
        assert!(!answer.headers.contains_key("location"), "{forged}");
        answer.expect_error(answer.status);
    }
    let twice = format!("{CALLBACK}?code=c&state=x&state={state}");
    assert!((400..500).contains(&anonymous.get(&twice).await.status));
    assert!(world.provider.take().is_empty(), "no code was exchanged");
    assert_eq!(status(&world, &id).await, "INITIATED");
    // The right one still works after all that.
    let answer = anonymous.get(&format!("{CALLBACK}?code=c&state={state}")).await;
    assert_eq!(answer.status, 303, "{}", answer.text);
    let location = answer.headers["location"].to_str().unwrap();
    assert_eq!(location.split('?').next(), Some("https://app.example/done"));
    assert!(!location.contains(&state) && !location.contains("at-fresh"), "{location}");
    assert_eq!(status(&world, &id).await, "ACTIVE");
}

#[tokio::test]
async fn a_state_works_once_even_when_it_comes_many_times_at_once() {
    let world = World::new().await;
    let (id, state) = begin(&world, None).await;
    world.provider.set(tokens());
    world.provider.take();
    let path = format!("{CALLBACK}?code=c&state={state}");
    let clients: Vec<_> = (0..8).map(|_| world.app.anonymous()).collect();
    let answers = futures_util::future::join_all(clients.iter().map(|c| c.get(&path))).await;
    let good = answers.iter().filter(|a| a.status == 200).count();
    assert_eq!(good, 1, "{:?}", answers.iter().map(|a| a.status).collect::<Vec<_>>());
    let seen = world.provider.take();
    let exchanges = seen.iter().filter(|s| s.target() == "/token").count();
    assert_eq!(exchanges, 1, "the code was exchanged once");
    let late = world.app.anonymous().get(&path).await;
    assert!((400..500).contains(&late.status));
    let denied = format!("{CALLBACK}?error=access_denied&state={state}");
    assert!((400..500).contains(&world.app.anonymous().get(&denied).await.status));
    assert_eq!(status(&world, &id).await, "ACTIVE", "a replayed denial changes nothing");
}

#[tokio::test]
async fn what_a_provider_says_is_shown_as_text() {
    let world = World::new().await;
    for error in ["<script>alert(1)</script>", "a\r\nSet-Cookie: x=1", "\"><img src=x>", "\0"] {
        let (id, state) = begin(&world, None).await;
        let query: String = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("state", &state)
            .append_pair("error", error)
            .append_pair("error_description", error)
            .finish();
        let answer = world
            .app
            .anonymous()
            .header("accept", "text/html")
            .get(&format!("{CALLBACK}?{query}"))
            .await;
        assert!(answer.status < 500, "{}", answer.text);
        assert!(
            !answer.text.contains("<script>") && !answer.text.contains("<img"),
            "{}",
            answer.text
        );
        assert!(!answer.headers.contains_key("set-cookie"));
        let csp = answer.headers["content-security-policy"].to_str().unwrap();
        assert!(csp.contains("default-src 'none'") && csp.contains("frame-ancestors 'none'"));
        assert!(!csp.contains("unsafe-inline"), "{csp}");
        assert_eq!(status(&world, &id).await, "FAILED");
    }
}

#[tokio::test]
async fn a_token_endpoint_that_fails_is_a_failed_connection_without_secrets() {
    let world = World::new().await;
    let html = response("500 Oops", &[("content-type", "text/html")], b"<script>x</script>");
    for mode in [Mode::Hang, Mode::Reset, Mode::Echo, Mode::Endless, Mode::Bytes(html), Mode::Good]
    {
        let (id, state) = begin(&world, Some("https://app.example/done?keep=1")).await;
        world.provider.set(mode.clone());
        let path = format!("{CALLBACK}?code=code-0123456789&state={state}");
        let answer = world.app.anonymous().get(&path).await;
        assert_eq!(answer.status, 303, "{mode:?}: {}", answer.text);
        let location = answer.headers["location"].to_str().unwrap();
        assert!(
            location.starts_with("https://app.example/done?keep=1&status=failed"),
            "{location}"
        );
        let account = world.client.get(&format!("/api/v3/connected_accounts/{id}")).await;
        assert_eq!(account.expect(200)["status"], "FAILED", "{mode:?}");
        assert!(!account.text.contains(SECRET), "{mode:?}: {}", account.text);
        assert!(!account.text.contains("code-0123456789"), "{mode:?}: {}", account.text);
    }
}

#[tokio::test]
async fn callback_urls_that_run_or_leak_are_refused_at_every_way_in() {
    let world = World::new().await;
    let id = oauth_config(&world.client).await;
    let (account, _) = begin(&world, None).await;
    for evil in [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        " javascript:alert(1)",
        "java\nscript:alert(1)",
        "data:text/html,<script>alert(1)</script>",
        "vbscript:x",
        "file:///etc/passwd",
        "ftp://a.b",
        "https://user:pw@evil.example/",
        "https://user@evil.example/",
        "https://a.b\r\nSet-Cookie: x",
        "https://a.b/\0",
        "//evil.example",
        "/relative",
        "https:\\\\evil.example",
        "https://",
        "x",
        &format!("https://a.b/{}", "x".repeat(10_000)),
    ] {
        let link = json!({"auth_config_id": id, "user_id": "u1", "callback_url": evil});
        world.client.post("/api/v3/connected_accounts/link", link).await.expect_error(400);
        for name in ["callback_url", "redirect_uri"] {
            let body =
                json!({"auth_config": {"id": id}, "connection": {"user_id": "u1", name: evil}});
            world.client.post("/api/v3/connected_accounts", body).await.expect_error(400);
        }
        let body = json!({"redirect_url": evil});
        let path = format!("/api/v3/connected_accounts/{account}/refresh");
        world.client.post(&path, body).await.expect_error(400);
        let body = json!({"toolkit": {"slug": "github"}, "auth_config": {"type": "use_custom_auth",
            "authScheme": "OAUTH2", "credentials": {"client_id": "c", "client_secret": "s-123456",
            "oauth_redirect_uri": evil}}});
        world.client.post("/api/v3/auth_configs", body).await.expect_error(400);
    }
}

#[tokio::test]
async fn a_link_page_cannot_be_forged_and_shows_no_secret_and_no_markup() {
    let world = World::new().await;
    let named = json!({"display_name": "<script>alert(1)</script>",
        "logo_url": "https://x.example/a.png?\"><script>"});
    world.client.patch("/api/v3/org/project/config", named).await;
    let id = config(&world.client, "exa", "API_KEY", json!({})).await;
    let body = json!({"auth_config_id": id, "user_id": "u1",
        "connection_data": {"generic_api_key": SECRET}});
    let made = world.client.post("/api/v3/connected_accounts/link", body).await.expect(201);
    let token = made["link_token"].as_str().unwrap();
    let path = format!("/link/{token}");
    let anonymous = world.app.anonymous();
    let page = anonymous.get(&path).await;
    assert_eq!(page.status, 200, "{}", page.text);
    assert!(!page.text.contains(SECRET) && !page.text.contains("<script"), "{}", page.text);
    assert_eq!(page.headers["referrer-policy"], "no-referrer");
    assert_eq!(page.headers["cache-control"], "no-store");
    for forged in [
        "x",
        "ln_",
        "ln_a_b",
        "%00",
        "%ff",
        "..%2f..",
        &token.replace("ln_", "st_"),
        &token[..token.len() - 1],
        &format!("{token}x"),
        &"l".repeat(5000),
    ] {
        let path = format!("/link/{forged}");
        for method in [Method::GET, Method::POST] {
            let answer = anonymous.send(anonymous.request(method, &path).body("a=b")).await;
            assert!((400..500).contains(&answer.status), "{forged}: {}", answer.text);
        }
    }
    let sent = |text: &'static [u8]| {
        let request = anonymous.request(Method::POST, &path).body(text);
        anonymous.send(request.header("content-type", "application/x-www-form-urlencoded"))
    };
    for bad in [b"generic_api_key=a%0d%0aX-Evil:+1".as_slice(), b"generic_api_key=%00"] {
        let answer = sent(bad).await;
        assert_eq!(answer.status, 400, "{}", answer.text);
    }
    let good = sent(b"generic_api_key=k-from-the-person&status=FAILED&access_token=x").await;
    assert_eq!(good.status, 200, "{}", good.text);
    assert!(!good.text.contains("k-from-the-person"));
    assert!((400..500).contains(&sent(b"generic_api_key=k-second").await.status), "works once");
    assert!((400..500).contains(&anonymous.get(&path).await.status));
    let account = made["connected_account_id"].as_str().unwrap();
    world.execute("EXA_SEARCH", account, json!({"query": "x"})).await.expect(200);
    assert_eq!(world.provider.take()[0].header("x-api-key"), ["k-from-the-person"]);
}

#[tokio::test]
async fn credentials_with_line_breaks_are_refused_before_they_become_headers() {
    let world = World::new().await;
    let id = config(&world.client, "exa", "API_KEY", json!({})).await;
    for evil in ["k\r\nX-Evil: 1", "k\n", "k\u{0}k", ""] {
        let body = json!({"auth_config": {"id": id}, "connection": {"user_id": "u1",
            "state": {"authScheme": "API_KEY", "val": {"generic_api_key": evil}}}});
        let answer = world.client.post("/api/v3/connected_accounts", body).await;
        // Blanks at the ends are people's pasting and are taken off.
        if answer.status == 201 {
            let account = answer.json()["id"].as_str().unwrap().to_owned();
            assert!(evil.trim() == "k" && answer.json()["status"] == "ACTIVE", "{evil:?}");
            world.execute("EXA_SEARCH", &account, json!({"query": "x"})).await.expect(200);
            assert_eq!(world.provider.take()[0].header("x-api-key"), ["k"]);
        } else {
            answer.expect_error(400);
        }
        let data = json!({"authScheme": "API_KEY", "toolkitSlug": "exa",
            "val": {"generic_api_key": evil}});
        let body = json!({"arguments": {"query": "x"}, "custom_connection_data": data});
        let answer = world.client.post("/api/v3/tools/execute/EXA_SEARCH", body).await;
        answer.expect_error(400);
        assert!(world.provider.take().is_empty());
    }
}
