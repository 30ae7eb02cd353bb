use serde_json::{Value, json};

use super::{World, param};

#[tokio::test]
async fn nothing_is_asked_of_the_developer_and_everything_is_found() {
    let world = World::new().await;
    world.unmask().await;
    // No scheme, no client: the toolkit connects by itself.
    let body = json!({"toolkit": {"slug": "notion_mcp"}, "auth_config": {"type": "use_composio_managed_auth"}});
    let made = world.client().post("/api/v3/auth_configs", body).await.expect(201);
    assert_eq!(made["auth_config"]["auth_scheme"], "DCR_OAUTH");
    let config = made["auth_config"]["id"].as_str().unwrap();
    let (id, url) = world.begin(config).await;
    assert!(url.as_str().starts_with(&format!("{}/authorize?", world.server.url)));
    let resource = format!("{}/mcp", world.server.url);
    assert_eq!(param(&url, "resource"), resource);
    assert_eq!(param(&url, "scope"), "tools:read tools:call");
    assert_eq!(param(&url, "code_challenge_method"), "S256");
    let (client_id, asked) = world.server.registrations().pop().unwrap();
    assert_eq!(param(&url, "client_id"), client_id);
    assert_eq!(asked["redirect_uris"], json!([world.app.url("/api/v3/toolkits/auth/callback")]));
    assert_eq!(asked["grant_types"], json!(["authorization_code", "refresh_token"]));
    assert_eq!(asked["token_endpoint_auth_method"], "client_secret_basic");
    // The documented shape of an unfinished attempt.
    let val = world.account(&id).await["state"]["val"].clone();
    assert_eq!((&val["status"], &val["client_id"]), (&json!("INITIATED"), &json!(client_id)));
    assert_eq!(val["redirectUrl"], url.as_str());
    assert_eq!(val["client_secret_expires_at"], 0);

    let code = world.server.consent(&url);
    world.callback(&[("state", &param(&url, "state")), ("code", &code)]).await;
    let account = world.account(&id).await;
    assert_eq!(account["status"], "ACTIVE", "{account}");
    let val = &account["state"]["val"];
    assert!(val["access_token"].as_str().unwrap().starts_with("at-"));
    assert_eq!(val["client_secret"], format!("secret-of-{client_id}"));
    assert!(val["client_id_issued_at"].is_i64());
    // What is known of the server is nobody's business.
    assert!(val.get("dcr_server").is_none() && !account.to_string().contains("register"));
    let (headers, form) = world.server.last_token_request();
    assert!(headers["authorization"].to_str().unwrap().starts_with("Basic "));
    assert_eq!(form["resource"], resource);

    // A call through the proxy carries the token.
    let call = json!({"connected_account_id": id, "endpoint": "/", "method": "POST",
        "body": {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}});
    let done = world.client().post("/api/v3/tools/execute/proxy", call).await.expect(200);
    assert_eq!(done["data"]["result"], json!({"tools": []}), "{done}");
    let calls = world.server.seen.lock().unwrap().calls.clone();
    assert_eq!(calls, [format!("Bearer {}", val["access_token"].as_str().unwrap())]);

    // A refresh is for the same client and resource.
    world
        .client()
        .post(&format!("/api/v3/connected_accounts/{id}/refresh"), json!({}))
        .await
        .expect(200);
    let (_, form) = world.server.last_token_request();
    assert_eq!((form["grant_type"].as_str(), &form["resource"]), ("refresh_token", &resource));
    let renewed = world.account(&id).await;
    assert_ne!(renewed["state"]["val"]["access_token"], val["access_token"]);
}

#[tokio::test]
async fn masked_accounts_show_no_client_secret() {
    let world = World::new().await;
    let config = world.config("notion_mcp", json!({})).await;
    let id = world.connected(&config).await;
    let account = world.account(&id).await;
    assert!(!account.to_string().contains("secret-of-"), "{account}");
    let config = world.client().get(&format!("/api/v3/auth_configs/{config}")).await.expect(200);
    assert!(!config.to_string().contains("client-"), "{config}");
}

#[tokio::test]
async fn a_connect_link_leads_to_the_server_that_was_found() {
    let world = World::new().await;
    let config = world.config("notion_mcp", json!({})).await;
    let body =
        json!({"auth_config_id": config, "user_id": "u", "callback_url": "https://a.example/b"});
    let link = world.client().post("/api/v3/connected_accounts/link", body).await.expect(201);
    // Nothing is asked before the person is there.
    assert!(world.server.paths().is_empty());
    let page = link["redirect_url"].as_str().unwrap();
    let browser = world.app.anonymous();
    assert_eq!(browser.get(page).await.status, 200);
    let sent = browser.send(browser.request(reqwest::Method::POST, page)).await;
    let url: url::Url = sent.headers["location"].to_str().unwrap().parse().unwrap();
    let code = world.server.consent(&url);
    let back = world.callback(&[("state", &param(&url, "state")), ("code", &code)]).await;
    assert!(
        back.headers["location"]
            .to_str()
            .unwrap()
            .starts_with("https://a.example/b?status=success")
    );
}

#[tokio::test]
async fn scopes_are_the_developers_then_the_challenges() {
    let world = World::new().await;
    let url = world.server.url.clone();
    world.server.change(|w| {
        w.challenge = Some(format!(
            "Bearer error=\"invalid_token\", scope=\"files {{{{x}}}} files\", \
             resource_metadata=\"{url}/.well-known/oauth-protected-resource/mcp\""
        ));
    });
    let config = world.config("notion_mcp", json!({})).await;
    assert_eq!(param(&world.begin(&config).await.1, "scope"), "files");
    let own = world.config("notion_mcp", json!({"scopes": "one, two"})).await;
    assert_eq!(param(&world.begin(&own).await.1, "scope"), "one two");
}

#[tokio::test]
async fn an_answer_of_another_server_is_refused() {
    let world = World::new().await;
    world.server.metadata(json!({"authorization_response_iss_parameter_supported": true}));
    let config = world.config("notion_mcp", json!({})).await;
    let right = world.server.url.clone();
    for (iss, works) in
        [(None, false), (Some("https://evil.example"), false), (Some(right.as_str()), true)]
    {
        let (id, url) = world.begin(&config).await;
        let (state, code) = (param(&url, "state"), world.server.consent(&url));
        let mut pairs = vec![("state", state.as_str()), ("code", code.as_str())];
        pairs.extend(iss.map(|iss| ("iss", iss)));
        let before = world.server.seen.lock().unwrap().tokens.len();
        world.callback(&pairs).await;
        let account = world.account(&id).await;
        assert_eq!(account["status"] == "ACTIVE", works, "{iss:?}: {account}");
        let sent = world.server.seen.lock().unwrap().tokens.len() - before;
        assert_eq!(sent, usize::from(works), "the code of {iss:?} was sent");
    }
}

#[tokio::test]
async fn older_servers_and_openid_providers_are_found_too() {
    let world = World::new().await;
    let url = world.server.url.clone();
    // Neither a challenge nor metadata of the resource: the server is its own authorization server.
    world.server.change(|w| {
        w.challenge = None;
        w.pages.insert(
            "/.well-known/oauth-protected-resource/mcp".into(),
            (404, vec![], String::new()),
        );
    });
    let config = world.config("notion_mcp", json!({})).await;
    assert_eq!(param(&world.begin(&config).await.1, "resource"), format!("{url}/mcp"));
    // An issuer with a path, which only has an OpenID configuration below it.
    let issuer = format!("{url}/tenant/1");
    let metadata = json!({"issuer": issuer, "authorization_endpoint": format!("{url}/authorize"),
        "token_endpoint": format!("{url}/token"), "registration_endpoint": format!("{url}/register"),
        "code_challenge_methods_supported": ["plain", "S256"]});
    world.server.change(|w| {
        w.pages.clear();
        w.resource = json!({"authorization_servers": [issuer]}).as_object().unwrap().clone();
        let place = "/tenant/1/.well-known/openid-configuration".to_owned();
        w.pages.insert(place, (200, vec![], metadata.to_string()));
    });
    let config = world.config("notion_mcp", json!({})).await;
    world.connected(&config).await;
    let paths = world.server.paths();
    let asked = |path: &str| paths.iter().any(|p| p == &format!("GET {path}"));
    assert!(asked("/.well-known/oauth-authorization-server/tenant/1"), "{paths:?}");
    assert!(asked("/.well-known/openid-configuration/tenant/1"));
}

#[tokio::test]
async fn a_developers_own_client_is_used_where_none_can_be_registered() {
    let world = World::new().await;
    world.server.metadata(json!({"registration_endpoint": null}));
    let config = world.config("notion_mcp", json!({})).await;
    let error = world.initiate(&config).await.expect_error(400);
    assert!(error["message"].as_str().unwrap().contains("registration_endpoint"), "{error}");
    let own = json!({"client_id": "mine", "client_secret": "secret-of-mine"});
    let config = world.config("notion_mcp", own).await;
    world.connected(&config).await;
    assert!(world.server.registrations().is_empty());
}

#[tokio::test]
async fn toolkits_and_auth_configs_list_what_is_accepted() {
    let world = World::new().await;
    let toolkit = world.client().get("/api/v3/toolkits/notion_mcp").await.expect(200);
    assert_eq!(toolkit["composio_managed_auth_schemes"], json!(["DCR_OAUTH"]));
    let fields = &toolkit["auth_config_details"][0]["fields"];
    assert_eq!(fields["auth_config_creation"]["required"], json!([]));
    assert_eq!(fields["connected_account_initiation"]["required"], json!([]));
    let any = world.client().get("/api/v3/toolkits/mcp").await.expect(200);
    let fields = &any["auth_config_details"][0]["fields"];
    let names = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|f| f["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&fields["connected_account_initiation"]["required"]), ["server"]);
    // Whoever names the server would be shown the developer's secret.
    let optional = names(&fields["auth_config_creation"]["optional"]);
    assert!(!optional.iter().any(|n| n == "client_secret"), "{optional:?}");
}
