//! Wrong credentials are refused when they are given, and accounts say whose they are.

use serde_json::{Value, json};

use super::provider::Style;
use super::{World, location, param};
use crate::support::client::TestResponse;

async fn key_config(world: &World, toolkit: &str) -> String {
    world.auth_config(toolkit, json!({"type": "use_custom_auth", "authScheme": "API_KEY"})).await
}

async fn connect(world: &World, config: &str, key: &str) -> TestResponse {
    let state = json!({"authScheme": "API_KEY", "val": {"generic_api_key": key}});
    world.initiate(config, json!({"user_id": "u1", "state": state})).await
}

fn octocat(world: &World) {
    let body = json!({"id": 583231, "login": "octocat", "email": null});
    world.provider.answer("/user", 200, body);
}

#[tokio::test]
async fn an_account_shows_whose_it_is() {
    let world = World::new().await;
    octocat(&world);
    let config = key_config(&world, "github").await;
    let made = connect(&world, &config, "ghp-1234567").await.expect(201);
    let expected = json!({"id": "583231", "label": "octocat", "email": null});
    assert_eq!(made["identity"], expected);
    let id = made["id"].as_str().unwrap();
    let account = world.account(id).await;
    assert_eq!(account["identity"], expected);
    assert!(!account["state"].to_string().contains("octocat"), "{account}");
    let (path, headers) = world.provider.calls().pop().unwrap();
    assert_eq!(path, "/user");
    assert_eq!(headers["authorization"], "Bearer ghp-1234567");
    // A database dump does not say it.
    let rows: Vec<String> =
        sqlx::query_scalar("select row_to_json(a)::text from connected_account a")
            .fetch_all(&world.app.app.db)
            .await
            .unwrap();
    assert!(!rows.concat().contains("octocat"));

    // By the browser too, and again when the person connects anew.
    let id = world.connected("github").await;
    assert_eq!(world.account(&id).await["identity"]["label"], "octocat");
    world.provider.answer("/user", 200, json!({"id": 1, "login": "hubot"}));
    let state = json!({"authScheme": "API_KEY", "val": {"generic_api_key": "ghp-other"}});
    let key = made["id"].as_str().unwrap();
    let path = format!("/api/v3.1/connected_accounts/{key}");
    world.client().patch(&path, json!({"connection": {"state": state}})).await.expect(200);
    assert_eq!(world.account(key).await["identity"]["label"], "hubot");
}

#[tokio::test]
async fn a_wrong_key_is_refused_and_nothing_is_stored() {
    let world = World::new().await;
    world.provider.answer("/user", 401, json!({"message": "Bad credentials ghp-secret-9"}));
    let config = key_config(&world, "github").await;
    let error = connect(&world, &config, "ghp-secret-9").await.expect_error(400);
    assert_eq!(error["code"], 1807);
    assert!(error["message"].as_str().unwrap().contains("GitHub"), "{error}");
    assert!(!error.to_string().contains("ghp-secret-9"), "{error}");
    let page = world.client().get("/api/v3/connected_accounts?account_type=ALL").await.expect(200);
    assert_eq!(page["total_items"], 0);

    // An account that works keeps what it has.
    octocat(&world);
    world.unmask().await;
    let made = connect(&world, &config, "ghp-good").await.expect(201);
    world.provider.answer("/user", 401, json!({}));
    let path = format!("/api/v3.1/connected_accounts/{}", made["id"].as_str().unwrap());
    let state = json!({"authScheme": "API_KEY", "val": {"generic_api_key": "ghp-bad"}});
    world.client().patch(&path, json!({"connection": {"state": state}})).await.expect_error(400);
    let account = world.account(made["id"].as_str().unwrap()).await;
    assert_eq!(account["state"]["val"]["api_key"], "ghp-good");
    assert_eq!(account["identity"]["label"], "octocat");
}

#[tokio::test]
async fn only_an_answer_about_the_credentials_refuses_them() {
    let world = World::new().await;
    let config = key_config(&world, "github").await;
    for (status, body) in [
        (403, json!({"message": "Resource not accessible by integration"})),
        (404, json!({})),
        (429, json!({})),
        (500, json!("oops")),
        (200, json!([1, 2])),
        (200, json!({"login": {"deep": 1}, "id": ["x"]})),
    ] {
        world.provider.answer("/user", status, body.clone());
        let made = connect(&world, &config, "ghp-1").await.expect(201);
        assert!(made["identity"].is_null(), "{status} {body}: {made}");
    }
    world.provider.answer(
        "/user",
        200,
        json!({"login": format!(" a\r\nb\u{0} {}", "x".repeat(999))}),
    );
    let made = connect(&world, &config, "ghp-1").await.expect(201);
    let label = made["identity"]["label"].as_str().unwrap();
    assert!(label.starts_with("ab x") && label.len() <= 200, "{label}");
    // A provider that cannot be reached keeps nobody out.
    let config = key_config(&world, "serpapi").await;
    connect(&world, &config, "k-1").await.expect(201);
}

#[tokio::test]
async fn a_provider_that_refuses_in_a_200_is_understood() {
    let world = World::new().await;
    world.provider.style(Style::Slack);
    let path = "/api/auth.test";
    world.provider.answer(path, 200, json!({"ok": false, "error": "ratelimited"}));
    let id = world.connected("slack").await;
    assert!(world.account(&id).await["identity"].is_null());
    let good = json!({"ok": true, "user": "ada", "user_id": "U1", "team_id": "T1"});
    world.provider.answer(path, 200, good);
    let id = world.connected("slack").await;
    assert_eq!(world.account(&id).await["identity"]["label"], "ada");

    world.provider.answer(path, 200, json!({"ok": false, "error": "invalid_auth"}));
    let config = world.oauth_config("slack").await;
    let connection = json!({"user_id": "u1", "callback_url": "https://app.example.com/done"});
    let (id, url) = world.begin(&config, connection).await;
    let code = world.provider.consent(&url);
    let back = world.callback(&[("state", &param(&url, "state")), ("code", &code)]).await;
    assert_eq!(param(&location(&back), "status"), "failed");
    let account = world.account(&id).await;
    assert_eq!(account["status"], "FAILED");
    assert!(account["status_reason"].as_str().unwrap().contains("Slack"), "{account}");
}

#[tokio::test]
async fn tokens_that_are_brought_along_may_have_ended_when_they_can_be_renewed() {
    let world = World::new().await;
    world.provider.answer("/user", 401, json!({}));
    let config = world.oauth_config("github").await;
    let import = async |val: Value| {
        let state = json!({"authScheme": "OAUTH2", "val": val});
        world.initiate(&config, json!({"user_id": "u1", "state": state})).await
    };
    import(json!({"access_token": "old", "refresh_token": "rt-1"})).await.expect(201);
    import(json!({"access_token": "old"})).await.expect_error(400);
}

#[tokio::test]
async fn the_page_asks_again_when_the_key_is_wrong_and_says_whose_account_it_became() {
    let world = World::new().await;
    let config = key_config(&world, "github").await;
    let body = json!({"auth_config_id": config, "user_id": "u1"});
    let path = "/api/v3/connected_accounts/link";
    let made = world.client().post(path, body).await.expect(201);
    let url = made["redirect_url"].as_str().unwrap();
    let send = async |key: &str| {
        let form = world.app.anonymous().request(reqwest::Method::POST, url);
        world.app.anonymous().send(form.form(&[("generic_api_key", key)])).await
    };
    world.provider.answer("/user", 401, json!({}));
    let page = send("ghp-wrong-key").await;
    assert_eq!(page.status, 400);
    assert!(page.text.contains("GitHub does not accept these credentials"), "{}", page.text);
    assert!(page.text.contains("role=\"alert\"") && !page.text.contains("ghp-wrong-key"));
    let id = made["connected_account_id"].as_str().unwrap();
    assert_eq!(world.account(id).await["status"], "INITIATED");

    let name = "<b>octo & cat</b>";
    world.provider.answer("/user", 200, json!({"id": 1, "login": name}));
    let page = send("ghp-right").await;
    assert_eq!(page.status, 200, "{}", page.text);
    assert!(
        page.text.contains("octo &#38; cat") && !page.text.contains("<b>octo"),
        "{}",
        page.text
    );
    assert_eq!(world.account(id).await["identity"]["label"], name);
}

#[tokio::test]
async fn a_grant_that_another_account_lives_on_is_not_revoked_by_a_deletion() {
    let world = World::new().await;
    octocat(&world);
    let (first, second) = (world.connected("github").await, world.connected("github").await);
    let delete = async |id: &str| {
        world.client().delete(&format!("/api/v3/connected_accounts/{id}")).await.expect(200);
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        world.provider.revoked().len()
    };
    assert_eq!(delete(&first).await, 0);
    assert!(delete(&second).await > 0);
}

#[tokio::test]
async fn pages_wear_the_projects_name_and_logo() {
    let world = World::new().await;
    octocat(&world);
    let path = "/api/v3/org/project/config";
    for wrong in [
        "http://cdn.example.com/logo.svg",
        "javascript:alert(1)",
        "data:image/svg+xml,<svg/>",
        "https://u:p@a.com/x.png",
        "https://a.com/x y.png",
        "//a.com/x.png",
    ] {
        world.client().patch(path, json!({"logo_url": wrong})).await.expect_error(400);
    }
    let logo = "https://cdn.example.com/logo;1.svg?v=2";
    let brand = json!({"logo_url": logo, "display_name": "Acme <Desk>"});
    world.client().patch(path, brand).await.expect(200);
    let config = key_config(&world, "github").await;
    let body = json!({"auth_config_id": config, "user_id": "u1"});
    let made = world.client().post("/api/v3/connected_accounts/link", body).await.expect(201);
    let url = made["redirect_url"].as_str().unwrap();
    let form = world.app.anonymous().get(url).await;
    let request = world.app.anonymous().request(reqwest::Method::POST, url);
    let done = request.form(&[("generic_api_key", "ghp-1")]);
    let done = world.app.anonymous().send(done).await;
    for page in [form, done] {
        assert_eq!(page.status, 200, "{}", page.text);
        assert!(page.text.contains("https://cdn.example.com/logo;1.svg?v=2"), "{}", page.text);
        assert!(page.text.contains("Acme &#60;Desk&#62;"), "{}", page.text);
        let policy = page.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("img-src https://cdn.example.com/logo%3B1.svg"), "{policy}");
        assert!(!policy.contains("img-src https:;") && !policy.contains("script"), "{policy}");
    }
}
