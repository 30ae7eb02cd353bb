//! Apps of the developer's own, and the operator's, which nobody sees.

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::response::Redirect;
use axum::routing::get;
use serde_json::{Value, json};

use super::{World, param};

const USUAL: &str = "oauth2:\n  authorize: {url: \"{url}/auth\"}\n  token: {url: \"{url}/token\"}\n  \
                     scopes: [read]";

/// The developer's own site: sends the browser on to the server with everything it brought.
async fn passing_on(to: String) -> String {
    async fn on(State(to): State<String>, RawQuery(query): RawQuery) -> Redirect {
        Redirect::temporary(&format!("{to}?{}", query.unwrap_or_default()))
    }
    let router = Router::new().route("/api/composio-redirect", get(on)).with_state(to);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/api/composio-redirect", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

#[tokio::test]
async fn the_browser_may_come_back_over_the_developers_own_domain() {
    let world = World::with(USUAL).await;
    let own = passing_on(world.app.url("/api/v3/toolkits/auth/callback")).await;
    let config = world.config(json!({"oauth_redirect_uri": own})).await;
    let body = json!({"auth_config": {"id": config}, "connection": {"user_id": "u",
        "callback_url": "https://app.example/done"}});
    let made = world.client().post("/api/v3/connected_accounts", body).await.expect(201);
    let url: url::Url = made["redirect_url"].as_str().unwrap().parse().unwrap();
    assert_eq!(param(&url, "redirect_uri"), own);

    // What the provider does: back to the redirect URI with the code and the state.
    let mut back: url::Url = own.parse().unwrap();
    back.query_pairs_mut()
        .append_pair("code", "c&d=e /+ä")
        .append_pair("state", &param(&url, "state"));
    let browser = world.app.anonymous();
    let first = browser.get(back.as_str()).await;
    assert_eq!(first.status, 307);
    let second = browser.get(first.headers["location"].to_str().unwrap()).await;
    assert_eq!(second.status, 303);
    let done = second.headers["location"].to_str().unwrap();
    assert!(done.starts_with("https://app.example/done?status=success"), "{done}");
    // The exchange names the redirect URI of the authorization request, as RFC 6749 wants it.
    let form = world.provider.last().form();
    assert_eq!((form["redirect_uri"].as_str(), form["code"].as_str()), (own.as_str(), "c&d=e /+ä"));
    let id = made["id"].as_str().unwrap();
    assert_eq!(world.account(id).await["status"], "ACTIVE");

    // A browser that comes a second time gets nothing.
    let again = browser.get(first.headers["location"].to_str().unwrap()).await;
    assert_eq!(again.status, 400, "{}", again.text);
}

#[tokio::test]
async fn the_redirect_uri_of_an_attempt_stays_when_the_auth_config_changes() {
    let world = World::with(USUAL).await;
    let config = world.config(json!({"oauth_redirect_uri": "https://one.example/cb"})).await;
    let (id, url) = world.begin(&config, json!({})).await;
    let change =
        json!({"type": "custom", "credentials": {"oauth_redirect_uri": "https://two.example/cb"}});
    world.client().patch(&format!("/api/v3/auth_configs/{config}"), change).await.expect(200);
    world.callback(&[("code", "c"), ("state", &param(&url, "state"))]).await;
    assert_eq!(world.provider.last().form()["redirect_uri"], "https://one.example/cb");
    assert_eq!(world.account(&id).await["status"], "ACTIVE");
    let (_, url) = world.begin(&config, json!({})).await;
    assert_eq!(param(&url, "redirect_uri"), "https://two.example/cb");
}

const SERVER: &str = r#"
config_fields: [{name: server, label: Server, host: true}]
oauth2:
  authorize: {url: "https://{{ conn.server }}/oauth/authorize"}
  token: {url: "https://{{ conn.server }}/oauth/token"}"#;

#[tokio::test]
async fn a_server_of_ones_own_is_the_developers_to_name() {
    let world = World::with(SERVER).await;
    let errors = |answer: Value| answer["errors"].to_string();
    let client = json!({"client_id": "a", "client_secret": "b"});
    let missing = world.try_config(client.clone()).await.expect_error(400);
    assert!(errors(missing).contains("server: is required"));
    for evil in ["a/b", "a@b.example", "https://a.example/x", "a b", "é.example"] {
        let mut with = client.clone();
        with["server"] = evil.into();
        let wrong = world.try_config(with).await.expect_error(400);
        assert!(errors(wrong).contains("server: must be a host name"), "{evil}");
    }
    let config = world.config(json!({"server": "https://Git.Acme.example:8443/"})).await;
    let read = world.client().get(&format!("/api/v3/auth_configs/{config}")).await.expect(200);
    assert_eq!(read["credentials"]["server"], "git.acme.example:8443");
    // Nobody who connects can name another one.
    for val in [json!({}), json!({"server": "evil.example"})] {
        let (_, url) = world.begin(&config, val).await;
        assert_eq!(url.host_str(), Some("git.acme.example"));
        assert_eq!(url.port(), Some(8443));
    }
}

#[tokio::test]
async fn the_operators_secret_does_not_go_to_a_server_that_a_project_names() {
    let managed = "{managed: {client_id: operator-id, client_secret: operator-secret}}";
    let world = World::operated(SERVER, managed).await;
    let body = json!({"toolkit": {"slug": "odd"}, "auth_config": {
        "type": "use_composio_managed_auth", "credentials": {"server": "evil.example"}}});
    let made = world.client().post("/api/v3/auth_configs", body).await.expect(201);
    let config = made["auth_config"]["id"].as_str().unwrap();
    let refused = world.initiate(config, json!({})).await.expect_error(400);
    assert!(refused["errors"].to_string().contains("evil.example"), "{refused}");
}

#[tokio::test]
async fn the_operators_client_is_never_shown() {
    let managed = "{managed: {client_id: operator-id, client_secret: operator-secret}}";
    let world = World::operated(USUAL, managed).await;
    let unmask = json!({"mask_secret_keys_in_connected_account": false});
    world.client().patch("/api/v3/org/project/config", unmask).await.expect(200);
    let body = json!({"toolkit": {"slug": "odd"},
        "auth_config": {"type": "use_composio_managed_auth"}});
    let mut texts = Vec::new();
    let made = world.client().post("/api/v3/auth_configs", body).await;
    texts.push(made.text.clone());
    let config = made.expect(201)["auth_config"]["id"].as_str().unwrap().to_owned();
    // The authorization request is the one place that has to name the client.
    let (id, url) = world.begin(&config, json!({})).await;
    assert_eq!(param(&url, "client_id"), "operator-id");
    assert!(!url.as_str().contains("operator-secret"));
    let text = "operator-secret operator-id";
    world.provider.answer(400, json!({"error": "invalid_client", "error_description": text}));
    texts.push(world.callback(&[("code", "c"), ("state", &param(&url, "state"))]).await.text);
    let failed = world.account(&id).await;
    assert_eq!(failed["status"], "FAILED");
    texts.push(failed.to_string());
    let id = world.connected(&config, json!({})).await;
    assert_eq!(world.provider.last().form()["client_secret"], "operator-secret");
    world.execute(&id).await;
    world.refresh(&id).await.expect(200);
    let link = json!({"auth_config_id": config, "user_id": "v"});
    let link = world.client().post("/api/v3/connected_accounts/link", link).await;
    let page = link.json()["redirect_url"].as_str().unwrap().to_owned();
    texts.push(link.text);
    texts.push(world.app.anonymous().get(&page).await.text);
    for path in [
        format!("/api/v3/auth_configs/{config}"),
        "/api/v3/auth_configs".to_owned(),
        format!("/api/v3/connected_accounts/{id}"),
        "/api/v3/toolkits/odd".to_owned(),
        "/api/v3/toolkits".to_owned(),
    ] {
        let answer = world.client().get(&path).await;
        assert_eq!(answer.status, 200, "{path}");
        texts.push(answer.text);
    }
    let logs = world.client().post("/api/v3/internal/action_execution/logs", json!({})).await;
    texts.push(logs.text);
    let stored: Vec<String> = sqlx::query_scalar(
        "select row_to_json(a)::text from auth_config a union all
         select row_to_json(c)::text from connected_account c",
    )
    .fetch_all(&world.app.app.db)
    .await
    .unwrap();
    assert!(stored.len() >= 3);
    texts.extend(stored);
    for text in texts {
        // An unfinished account shows where the browser has to go, and so the client's id.
        let text = text.replace("client_id=operator-id", "");
        assert!(!text.contains("operator-secret") && !text.contains("operator-id"), "{text}");
    }
}
