use serde_json::{Value, json};

use super::World;

fn custom(scheme: &str) -> Value {
    json!({"type": "use_custom_auth", "authScheme": scheme})
}

#[tokio::test]
async fn every_scheme_without_a_browser_is_active_at_once() {
    let world = World::new().await;
    for (toolkit, scheme, val, masked) in [
        ("exa", "API_KEY", json!({"generic_api_key": "key-123456"}), ("api_key", "key-...")),
        ("exa", "API_KEY", json!({"api_key": "key-123456"}), ("generic_api_key", "key-...")),
        ("exa", "API_KEY", json!({"api_key": "abc", "status": "ACTIVE"}), ("api_key", "REDACTED")),
        ("googlecalendar", "BEARER_TOKEN", json!({"token": "tok-123456"}), ("token", "tok-...")),
        ("hackernews", "NO_AUTH", json!({}), ("status", "ACTIVE")),
    ] {
        let config = world.auth_config(toolkit, custom(scheme)).await;
        let state = json!({"authScheme": scheme, "val": val});
        let made =
            world.initiate(&config, json!({"user_id": "u", "state": state})).await.expect(201);
        assert_eq!(made["status"], "ACTIVE", "{made}");
        assert_eq!(made["connectionData"]["val"]["status"], "ACTIVE");
        assert!(made["redirect_url"].is_null() && made["redirectUrl"].is_null());
        assert!(made["deprecated"]["authConfigUuid"].is_string());
        let account = world.account(made["id"].as_str().unwrap()).await;
        assert_eq!(account["state"]["val"][masked.0], masked.1, "{account}");
        assert_eq!(account["state"]["authScheme"], scheme);
        assert!(!account.to_string().contains("123456"));
        assert_eq!(account["user_id"], "u");
        assert!(account["params"].is_object() && account["data"].is_object());
    }
}

#[tokio::test]
async fn basic_credentials_and_further_fields_are_read_and_checked() {
    let world = World::new().await;
    let config = world.auth_config("jira", custom("BASIC")).await;
    let fields = world.client().get(&format!("/api/v3/auth_configs/{config}")).await.expect(200);
    let names: Vec<&str> = fields["expected_input_fields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f["name"].as_str().unwrap())
        .collect();
    assert!(names.contains(&"username") && names.contains(&"password"), "{names:?}");
    let state = json!({"authScheme": "BASIC", "val": {"username": "me@a.com"}});
    let error = world.initiate(&config, json!({"state": state})).await.expect_error(400);
    assert!(error["errors"].to_string().contains("password"), "{error}");

    let config = world.auth_config("posthog", custom("API_KEY")).await;
    let make = async |val: Value| {
        let state = json!({"auth_scheme": "API_KEY", "val": val});
        world.initiate(&config, json!({"user_id": "u", "state": state})).await
    };
    let made = make(json!({"api_key": "phx_abc"})).await.expect(201);
    assert_eq!(made["connectionData"]["val"]["subdomain"], "us");
    let made = make(json!({"api_key": "phx_abc", "subdomain": "eu.posthog.com"})).await.expect(201);
    assert_eq!(made["connectionData"]["val"]["subdomain"], "eu");
    for evil in ["a/b", "evil.com#", "x@evil.com", "a\r\nHost: b"] {
        make(json!({"api_key": "k", "subdomain": evil})).await.expect_error(400);
    }
    make(json!({"api_key": "k\r\nX-Evil: 1"})).await.expect_error(400);
    make(json!({"api_key": {"deep": 1}})).await.expect_error(400);
}

#[tokio::test]
async fn older_and_imported_forms_work() {
    let world = World::new().await;
    let key = world.auth_config("exa", custom("API_KEY")).await;
    let body = json!({"user_id": "u", "data": {"api_key": "old-form-key"}});
    assert_eq!(world.initiate(&key, body).await.expect(201)["status"], "ACTIVE");

    let oauth = world.oauth_config("linear").await;
    let state = json!({"authScheme": "OAUTH2", "val": {"status": "ACTIVE",
        "access_token": "imported-at", "refresh_token": "imported-rt", "expires_in": "3600",
        "scope": ["read"], "account_url": "https://x"}});
    let made = world.initiate(&oauth, json!({"user_id": "u", "state": state})).await.expect(201);
    assert_eq!(made["status"], "ACTIVE");
    assert_eq!(made["connectionData"]["val"]["access_token"], "impo...");
    world.unmask().await;
    let account = world.account(made["id"].as_str().unwrap()).await;
    assert_eq!(account["state"]["val"]["access_token"], "imported-at");
    assert_eq!(account["state"]["val"]["refresh_token"], "imported-rt");

    let wrong = json!({"state": {"authScheme": "BASIC", "val": {"username": "a"}}});
    world.initiate(&key, wrong).await.expect_error(400);
    let wrong = json!({"state": {"authScheme": "NONSENSE", "val": {}}});
    world.initiate(&key, wrong).await.expect_error(400);
    world.initiate("ac_unknown", json!({})).await.expect_error(404);
}

#[tokio::test]
async fn without_the_needed_fields_the_hosted_page_is_offered() {
    let world = World::new().await;
    let config = world.auth_config("exa", custom("API_KEY")).await;
    let made = world.initiate(&config, json!({"user_id": "u"})).await.expect(201);
    assert_eq!(made["status"], "INITIATED");
    let url = made["connectionData"]["val"]["redirectUrl"].as_str().unwrap();
    assert!(url.starts_with(&world.app.url("/link/ln_")), "{url}");
    let config = world.oauth_config("jira").await;
    let made = world.initiate(&config, json!({"user_id": "u"})).await.expect(201);
    assert!(made["redirect_url"].as_str().unwrap().contains("/link/ln_"));
}

#[tokio::test]
async fn lists_take_joined_and_repeated_filters() {
    let world = World::new().await;
    let exa = world.auth_config("exa", custom("API_KEY")).await;
    let news = world.auth_config("hackernews", custom("NO_AUTH")).await;
    let mut ids = Vec::new();
    for (config, user) in [(&exa, "a"), (&exa, "b"), (&news, "a")] {
        let state = json!({"val": {"api_key": "k"}});
        let made =
            world.initiate(config, json!({"user_id": user, "state": state})).await.expect(201);
        ids.push(made["id"].as_str().unwrap().to_owned());
    }
    let found = async |query: String| -> Vec<usize> {
        let path = format!("/api/v3/connected_accounts?{query}");
        let page = world.client().get(&path).await.expect(200);
        let items = page["items"].as_array().unwrap();
        items.iter().map(|i| ids.iter().position(|id| i["id"] == id.as_str()).unwrap()).collect()
    };
    assert_eq!(found(String::new()).await, [2, 1, 0]);
    assert_eq!(found("order_direction=asc".into()).await, [0, 1, 2]);
    assert_eq!(found("user_ids=a".into()).await, [2, 0]);
    assert_eq!(found("user_ids=a,b".into()).await, found("user_ids=a&user_ids=b".into()).await);
    assert_eq!(found("toolkit_slugs=EXA".into()).await, [1, 0]);
    assert_eq!(found(format!("auth_config_ids={news}&statuses=ACTIVE")).await, [2]);
    assert!(found("statuses=FAILED,EXPIRED".into()).await.is_empty());
    assert_eq!(found(format!("connected_account_ids={},{}", ids[0], ids[2])).await, [2, 0]);
    assert_eq!(found("limit=&cursor=".into()).await.len(), 3);
    for bad in ["statuses=NOPE", "order_by=price", "cursor=zz", "limit=x"] {
        world.client().get(&format!("/api/v3/connected_accounts?{bad}")).await.expect_error(400);
    }
}

#[tokio::test]
async fn an_account_is_switched_renamed_updated_and_deleted() {
    let world = World::new().await;
    let config = world.auth_config("exa", custom("API_KEY")).await;
    let state = json!({"val": {"api_key": "first-key"}});
    let body = json!({"user_id": "u", "state": state});
    let id = world.initiate(&config, body.clone()).await.expect(201)["id"].clone();
    let id = id.as_str().unwrap();
    let other = world.initiate(&config, body).await.expect(201)["id"].clone();
    let path = format!("/api/v3.1/connected_accounts/{id}");
    let client = world.client();

    let done = client.patch(&format!("{path}/status"), json!({"enabled": false})).await.expect(200);
    assert_eq!(done["success"], true);
    let account = world.account(id).await;
    assert_eq!((&account["status"], &account["is_disabled"]), (&json!("INACTIVE"), &json!(true)));
    client.patch(&format!("{path}/status"), json!({"enabled": true})).await.expect(200);
    assert_eq!(world.account(id).await["status"], "ACTIVE");
    client.patch(&format!("{path}/status"), json!({"enabled": "yes"})).await.expect_error(400);

    let done = client.patch(&path, json!({"alias": "work"})).await.expect(200);
    assert_eq!((&done["success"], &done["id"]), (&json!(true), &json!(id)));
    assert_eq!(world.account(id).await["alias"], "work");
    let twin = format!("/api/v3.1/connected_accounts/{}", other.as_str().unwrap());
    client.patch(&twin, json!({"alias": "work"})).await.expect_error(400);
    client.patch(&path, json!({"alias": ""})).await.expect(200);
    assert!(world.account(id).await["alias"].is_null());

    let change = json!({"connection": {"state": {"authScheme": "API_KEY",
        "val": {"generic_api_key": "second-key"}}}});
    client.patch(&path, change).await.expect(200);
    world.unmask().await;
    assert_eq!(world.account(id).await["state"]["val"]["api_key"], "second-key");

    let refreshed = client.post(&format!("{path}/refresh"), json!({})).await.expect(200);
    assert_eq!(
        (&refreshed["status"], &refreshed["redirect_url"]),
        (&json!("ACTIVE"), &Value::Null)
    );

    assert_eq!(client.delete(&path).await.expect(200)["success"], true);
    client.get(&path).await.expect_error(404);
    client.delete(&path).await.expect_error(404);
    client.delete(&format!("/api/v3/auth_configs/{config}")).await.expect(200);
    client.get(&twin).await.expect_error(404);
}

#[tokio::test]
async fn shared_credentials_are_not_asked_for_and_not_shown() {
    let world = World::new().await;
    let mut body = custom("API_KEY");
    body["credentials"] = json!({"api_key": "company-key"});
    let config = world.auth_config("exa", body).await;
    let read = world.client().get(&format!("/api/v3/auth_configs/{config}")).await;
    assert!(!read.text.contains("company-key"), "{}", read.text);
    assert_eq!(read.expect(200)["expected_input_fields"], json!([]));
    let made = world.initiate(&config, json!({"user_id": "u"})).await.expect(201);
    assert_eq!(made["status"], "ACTIVE");
}

#[tokio::test]
async fn another_projects_accounts_do_not_exist() {
    let world = World::new().await;
    let id = world.connected("linear").await;
    let other = world.app.client_of(&world.app.another_project().await);
    let path = format!("/api/v3/connected_accounts/{id}");
    other.get(&path).await.expect_error(404);
    other.delete(&path).await.expect_error(404);
    other.patch(&path, json!({"alias": "x"})).await.expect_error(404);
    other.patch(&format!("{path}/status"), json!({"enabled": false})).await.expect_error(404);
    other.post(&format!("{path}/refresh"), json!({})).await.expect_error(404);
    assert_eq!(other.get("/api/v3/connected_accounts").await.expect(200)["items"], json!([]));
    assert_eq!(world.account(&id).await["status"], "ACTIVE");
}

#[tokio::test]
async fn callback_urls_that_could_harm_are_refused() {
    let world = World::new().await;
    let config = world.oauth_config("linear").await;
    for url in [
        "javascript:alert(1)",
        "data:text/html,<script>alert(1)</script>",
        "https://user:pw@evil.com/",
        "https://good.com@evil.com/",
        "https://a.com/\r\nSet-Cookie: a=b",
        "https://a.com\\@evil.com",
        "//evil.com",
        "/relative",
        "file:///etc/passwd",
    ] {
        let error = world.initiate(&config, json!({"callback_url": url})).await.expect_error(400);
        assert!(error["errors"][0].as_str().unwrap().starts_with("callback_url"), "{error}");
        world.initiate(&config, json!({"redirect_uri": url})).await.expect_error(400);
        let body = json!({"auth_config_id": config, "user_id": "u", "callback_url": url});
        world.client().post("/api/v3/connected_accounts/link", body).await.expect_error(400);
    }
    let page = world.client().get("/api/v3/connected_accounts").await.expect(200);
    assert_eq!(page["total_items"], 0);
}
