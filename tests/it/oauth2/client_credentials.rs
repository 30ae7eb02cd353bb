//! Clients that act for themselves: nobody consents in a browser.

use serde_json::json;

use super::World;
use crate::support::crowd::Crowd;

const SHARED: &str = r#"
oauth2:
  grant: client_credentials
  token: {url: "{url}/token", client_auth: basic, params: {audience: everything}}
  scopes: [read, write]"#;

const OWN: &str = r#"
connect_fields: [{name: tenant}]
oauth2:
  grant: client_credentials
  client_from: connection
  token: {url: "{url}/{{ conn.tenant }}/token"}"#;

#[tokio::test]
async fn an_account_of_the_auth_configs_client_is_active_at_once() {
    let world = World::with(SHARED).await;
    let config = world.config(json!({})).await;
    let made = world.initiate(&config, json!({})).await.expect(201);
    assert_eq!((&made["status"], &made["redirect_url"]), (&json!("ACTIVE"), &json!(null)));
    let form = world.provider.last().form();
    let expected =
        [("grant_type", "client_credentials"), ("scope", "read write"), ("audience", "everything")];
    assert_eq!(form.len(), expected.len(), "{form:?}");
    assert!(expected.iter().all(|(k, v)| form[*k] == *v), "{form:?}");
    let id = made["id"].as_str().unwrap();
    assert_eq!(world.execute(id).await, "Bearer access-1");
    assert_eq!(world.account(id).await["state"]["val"]["scope"], "read write");

    // The old token ended, or the provider refuses it: there is a new one without anybody.
    world.tokens_end().await;
    assert_eq!(world.execute(id).await, "Bearer access-2");
    world.provider.kill("access-2");
    assert_eq!(world.execute(id).await, "Bearer access-3");
    let refreshed = world.refresh(id).await.expect(200);
    assert_eq!(
        (&refreshed["status"], &refreshed["redirect_url"]),
        (&json!("ACTIVE"), &json!(null))
    );
    assert_eq!(world.provider.last().form()["grant_type"], "client_credentials");
}

#[tokio::test]
async fn a_connection_may_bring_its_own_client() {
    let world = World::with(OWN).await;
    let fields = world.client().get("/api/v3/toolkits/odd").await.expect(200);
    let fields = &fields["auth_config_details"][0]["fields"];
    let names = |of: &serde_json::Value| -> Vec<String> {
        of.as_array().unwrap().iter().map(|f| f["name"].as_str().unwrap().to_owned()).collect()
    };
    assert!(names(&fields["auth_config_creation"]["required"]).is_empty());
    let asked = names(&fields["connected_account_initiation"]["required"]);
    assert_eq!(asked, ["client_id", "client_secret", "tenant"]);

    let made = world.try_config(json!({})).await.expect(201);
    let config = made["auth_config"]["id"].as_str().unwrap();
    let missing = world.initiate(config, json!({"client_id": "mine"})).await.expect_error(400);
    let errors = missing["errors"].to_string();
    assert!(errors.contains("client_secret") && errors.contains("tenant"), "{errors}");
    let val = json!({"client_id": "mine", "client_secret": "my-secret", "tenant": "t1"});
    let made = world.initiate(config, val).await.expect(201);
    assert_eq!(made["status"], "ACTIVE");
    let seen = world.provider.last();
    assert_eq!(
        (seen.path.as_str(), seen.form()["client_secret"].as_str()),
        ("/t1/token", "my-secret")
    );
    let id = made["id"].as_str().unwrap();
    let shown = world.account(id).await;
    assert_eq!(shown["state"]["val"]["client_secret"], "my-s...");
    world.tokens_end().await;
    assert_eq!(world.execute(id).await, "Bearer access-2");
}

#[tokio::test]
async fn a_client_that_the_provider_does_not_take_connects_nothing() {
    let world = World::with(SHARED).await;
    let config = world.config(json!({})).await;
    let text = "c+secret/ is wrong";
    world.provider.answer(401, json!({"error": "invalid_client", "error_description": text}));
    let refused = world.initiate(&config, json!({})).await;
    assert!(!refused.text.contains("c+secret/"), "{}", refused.text);
    let error = refused.expect_error(400);
    assert!(error["message"].as_str().unwrap().contains("invalid_client"), "{error}");
    world.provider.answer(503, json!({}));
    let later = world.initiate(&config, json!({})).await;
    assert!(later.status >= 500, "{}", later.text);
    let all = world.client().get("/api/v3/connected_accounts").await.expect(200);
    assert_eq!(all["total_items"], 0, "{all}");
}

#[tokio::test]
async fn the_hosted_page_connects_without_a_provider_in_the_browser() {
    let world = World::with(OWN).await;
    let made = world.try_config(json!({})).await.expect(201);
    let config = &made["auth_config"]["id"];
    let body = json!({"auth_config_id": config, "user_id": "u"});
    let link = world.client().post("/api/v3/connected_accounts/link", body).await.expect(201);
    let (id, page) =
        (link["connected_account_id"].as_str().unwrap(), link["redirect_url"].as_str().unwrap());
    let browser = world.app.anonymous();
    let shown = browser.get(page).await;
    assert_eq!(shown.status, 200);
    assert!(shown.text.contains("name=\"client_secret\""), "{}", shown.text);
    let send = |form: &'static [(&str, &str)]| {
        let request = browser.request(reqwest::Method::POST, page).form(form);
        browser.send(request)
    };
    world.provider.answer(400, json!({"error": "invalid_client"}));
    let form = &[("client_id", "a"), ("client_secret", "b-secret"), ("tenant", "t")];
    let refused = send(form).await;
    assert!(refused.text.contains("invalid_client") && !refused.text.contains("b-secret"));
    assert_eq!(world.account(id).await["status"], "INITIATED", "the link can be used again");
    assert_eq!(send(form).await.status, 200);
    assert_eq!(world.account(id).await["status"], "ACTIVE");
}

#[tokio::test]
async fn an_expired_account_comes_back_by_a_refresh() {
    let world = World::with(SHARED).await;
    let config = world.config(json!({})).await;
    let made = world.initiate(&config, json!({})).await.expect(201);
    let id = made["id"].as_str().unwrap();
    world.provider.answer(400, json!({"error": "invalid_grant"}));
    world.refresh(id).await;
    assert_eq!(world.account(id).await["status"], "EXPIRED");
    let back = world.refresh(id).await.expect(200);
    assert_eq!((&back["status"], &back["redirect_url"]), (&json!("ACTIVE"), &json!(null)));
    assert_eq!(world.execute(id).await, "Bearer access-2");
}

#[tokio::test]
async fn what_needs_a_browser_cannot_do_without() {
    let world =
        World::with("oauth2:\n  authorize: {url: \"{url}/auth\"}\n  token: {url: \"{url}/token\"}")
            .await;
    let config = world.config(json!({})).await;
    let made = world.initiate(&config, json!({"status": "ACTIVE"})).await.expect(201);
    assert_eq!(made["status"], "INITIATED");
    assert!(made["redirect_url"].as_str().unwrap().contains("/auth?"));
    assert!(world.provider.seen().is_empty());
    let id = made["id"].as_str().unwrap();
    let body = json!({"connected_account_id": id, "arguments": {}});
    let refused = world.client().post("/api/v3/tools/execute/ODD_ME", body).await;
    assert_eq!(refused.status, 400, "{}", refused.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_executions_on_two_servers_ask_once_for_a_new_token() {
    for scheme in [SHARED, OWN] {
        let world = World::with(scheme).await;
        let own = json!({"client_id": "mine", "client_secret": "my-secret", "tenant": "t1"});
        let (config, val) = match scheme {
            SHARED => (world.config(json!({})).await, json!({})),
            _ => {
                let made = world.try_config(json!({})).await.expect(201);
                (made["auth_config"]["id"].as_str().unwrap().to_owned(), own)
            }
        };
        let made = world.initiate(&config, val).await.expect(201);
        let id = made["id"].as_str().unwrap();
        let servers = [world.client(), world.app.another_server().await.1];
        let asked = || world.provider.seen().len();
        assert_eq!(asked(), 1);

        // It ended, and everybody comes while the provider thinks.
        world.tokens_end().await;
        world.provider.gate().close();
        let crowd = Crowd::of(&servers, "ODD_ME", id);
        world.provider.gate().holds(1).await;
        crowd.gathers().await;
        world.provider.gate().open();
        crowd.served().await;
        assert_eq!(asked(), 2);

        // The provider does not take it any more.
        world.provider.kill("access-2");
        Crowd::of(&servers, "ODD_ME", id).served().await;
        assert_eq!(asked(), 3);
        assert_eq!(world.provider.api().header("authorization"), Some("Bearer access-3"));
    }
}
