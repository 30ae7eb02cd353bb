use serde_json::json;

use super::World;
use crate::support::TestApp;

#[tokio::test]
async fn a_custom_config_is_made_read_changed_switched_and_deleted() {
    let world = World::new().await;
    let client = world.client();
    let body = json!({"toolkit": {"slug": "LINEAR"}, "auth_config": {
        "type": "use_custom_auth", "auth_scheme": "OAUTH2", "name": "Mine",
        "credentials": {"client_id": "my-id", "client_secret": "my-secret", "scopes": "read, write"}}});
    let made = client.post("/api/v3.1/auth_configs", body).await.expect(201);
    assert_eq!(made["toolkit"]["slug"], "linear");
    assert_eq!(made["auth_config"]["auth_scheme"], "OAUTH2");
    assert_eq!(made["auth_config"]["is_composio_managed"], false);
    let id = made["auth_config"]["id"].as_str().unwrap();
    assert!(id.starts_with("ac_"));
    let path = format!("/api/v3/auth_configs/{id}");

    let read = client.get(&path).await.expect(200);
    assert_eq!(read["name"], "Mine");
    assert_eq!((&read["status"], &read["type"]), (&json!("ENABLED"), &json!("custom")));
    assert_eq!(read["credentials"]["client_id"], "my-id");
    assert_eq!(read["credentials"]["client_secret"], "my-s...");
    assert_eq!(read["credentials"]["scopes"], "read,write");
    assert_eq!(read["no_of_connections"], 0);
    assert_eq!(read["uuid"].as_str().unwrap().len(), 36);

    let change = json!({"type": "custom", "credentials": {"client_secret": "next-secret"},
        "restrict_to_following_tools": ["LINEAR_CREATE_LINEAR_ISSUE"]});
    client.patch(&path, change).await.expect(200);
    let read = client.get(&path).await.expect(200);
    assert_eq!(read["credentials"]["client_secret"], "next...");
    assert_eq!(read["credentials"]["client_id"], "my-id", "merged, not replaced");
    assert_eq!(
        read["tool_access_config"]["tools_available_for_execution"],
        read["restrict_to_following_tools"]
    );
    assert_eq!(read["restrict_to_following_tools"].as_array().unwrap().len(), 1);

    client.patch(&format!("{path}/DISABLED"), json!({})).await.expect(200);
    assert_eq!(client.get(&path).await.expect(200)["status"], "DISABLED");
    let refused = world.initiate(id, json!({"user_id": "u"})).await.expect_error(400);
    assert_eq!(refused["slug"], "AuthConfig_Disabled");
    client.patch(&format!("{path}/ENABLED"), json!({})).await.expect(200);
    client.patch(&format!("{path}/PERHAPS"), json!({})).await.expect_error(400);

    client.delete(&path).await.expect(200);
    client.get(&path).await.expect_error(404);
    client.delete(&path).await.expect_error(404);
}

#[tokio::test]
async fn managed_auth_uses_the_operators_client_and_never_shows_it() {
    let world = World::new().await;
    let kind = json!({"type": "use_composio_managed_auth", "credentials": {"scopes": ["read"]}});
    let id = world.auth_config("linear", kind).await;
    let read = world.client().get(&format!("/api/v3/auth_configs/{id}")).await;
    assert!(!read.text.contains("operator"), "{}", read.text);
    let read = read.expect(200);
    assert_eq!((&read["type"], &read["is_composio_managed"]), (&json!("default"), &json!(true)));
    let (_, url) = world.begin(&id, json!({"user_id": "u"})).await;
    assert_eq!(super::param(&url, "client_id"), "operator-id");
    assert_eq!(super::param(&url, "scope"), "read");
    let path = format!("/api/v3/auth_configs/{id}");
    let change = json!({"type": "default", "scopes": "read,write"});
    world.client().patch(&path, change).await.expect(200);
    assert_eq!(world.client().get(&path).await.expect(200)["credentials"]["scopes"], "read,write");
    let wrong = json!({"type": "custom", "credentials": {"client_id": "x"}});
    world.client().patch(&path, wrong).await.expect_error(400);
}

#[tokio::test]
async fn managed_auth_without_a_client_says_how_to_get_one() {
    let app = TestApp::new().await;
    let body = json!({"toolkit": {"slug": "github"},
        "auth_config": {"type": "use_composio_managed_auth"}});
    let error = app.client().post("/api/v3/auth_configs", body).await.expect_error(400);
    assert_eq!(error["slug"], "AuthConfig_ManagedAuthUnavailable");
    let fix = error["suggested_fix"].as_str().unwrap();
    assert!(fix.contains("github.managed") && fix.contains("PATCHBAY_PROVIDERS_FILE"), "{fix}");
}

#[tokio::test]
async fn without_auth_config_the_simplest_way_is_taken() {
    let app = TestApp::new().await;
    for (slug, scheme) in [("hackernews", "NO_AUTH"), ("exa", "API_KEY"), ("github", "API_KEY")] {
        let body = json!({"toolkit": {"slug": slug}});
        let made = app.client().post("/api/v3/auth_configs", body).await.expect(201);
        assert_eq!(made["auth_config"]["auth_scheme"], scheme, "{slug}");
    }
    let world = World::new().await;
    let body = json!({"toolkit": {"slug": "github"}});
    let made = world.client().post("/api/v3/auth_configs", body).await.expect(201);
    assert_eq!(made["auth_config"]["is_composio_managed"], true);
}

#[tokio::test]
async fn wrong_input_names_every_problem() {
    let app = TestApp::new().await;
    let post = async |body| app.client().post("/api/v3/auth_configs", body).await;
    let custom = |scheme: &str, credentials| {
        json!({"toolkit": {"slug": "linear"}, "auth_config": {"type": "use_custom_auth",
            "authScheme": scheme, "credentials": credentials}})
    };
    let error = post(custom("OAUTH2", json!({}))).await.expect_error(400);
    let errors = error["errors"].to_string();
    assert_eq!(error["errors"].as_array().unwrap().len(), 2, "{errors}");
    assert!(errors.contains("client_id") && errors.contains("client_secret"));

    let error = post(custom("BASIC", json!({}))).await.expect_error(400);
    assert_eq!(error["slug"], "AuthConfig_SchemeUnsupported");
    assert!(error["suggested_fix"].as_str().unwrap().contains("OAUTH2"));

    for uri in ["javascript:alert(1)", "https://u:p@a.com", "https://a.com/#f", "nonsense"] {
        let credentials =
            json!({"client_id": "a", "client_secret": "b", "oauth_redirect_uri": uri});
        let error = post(custom("OAUTH2", credentials)).await.expect_error(400);
        assert!(error["errors"][0].as_str().unwrap().contains("oauth_redirect_uri"));
    }
    post(json!({"toolkit": {"slug": "nope"}})).await.expect_error(404);
    post(json!({"toolkit": {}})).await.expect_error(400);
    post(json!({"toolkit": {"slug": "linear"}, "auth_config": {"type": "other"}}))
        .await
        .expect_error(400);
    let foreign = json!({"toolkit": {"slug": "exa"}, "auth_config": {"type": "use_custom_auth",
        "authScheme": "API_KEY", "restrict_to_following_tools": ["GITHUB_GET_THE_AUTHENTICATED_USER"]}});
    post(foreign).await.expect_error(400);
}

#[tokio::test]
async fn lists_filter_and_page() {
    let world = World::new().await;
    let client = world.client();
    let key = json!({"type": "use_custom_auth", "authScheme": "API_KEY", "name": "Blue one"});
    let exa = world.auth_config("exa", key.clone()).await;
    world.auth_config("firecrawl", key).await;
    world.auth_config("linear", json!({"type": "use_composio_managed_auth"})).await;
    let ids = async |query: &str| -> Vec<String> {
        let page = client.get(&format!("/api/v3/auth_configs?{query}")).await.expect(200);
        let items = page["items"].as_array().unwrap();
        items.iter().map(|i| i["toolkit"]["slug"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids("").await, ["linear", "firecrawl", "exa"]);
    assert_eq!(ids("toolkit_slug=EXA").await, ["exa"]);
    assert_eq!(ids("toolkit_slug=exa,linear").await, ["linear", "exa"]);
    assert_eq!(ids("is_composio_managed=true").await, ["linear"]);
    assert_eq!(ids("search=blue").await, ["firecrawl", "exa"]);
    client.patch(&format!("/api/v3/auth_configs/{exa}/DISABLED"), json!({})).await.expect(200);
    assert_eq!(ids("").await, ["linear", "firecrawl"]);
    assert_eq!(ids("show_disabled=true").await.len(), 3);
    let first = client.get("/api/v3/auth_configs?limit=1").await.expect(200);
    assert_eq!((&first["total_items"], &first["total_pages"]), (&json!(2), &json!(2)));
    let cursor = first["next_cursor"].as_str().unwrap();
    let last = client.get(&format!("/api/v3/auth_configs?cursor={cursor}")).await.expect(200);
    assert!(last.as_object().unwrap().contains_key("next_cursor") && last["next_cursor"].is_null());
    client.get("/api/v3/auth_configs?cursor=forged").await.expect_error(400);
}

#[tokio::test]
async fn another_projects_configs_do_not_exist() {
    let world = World::new().await;
    let id = world.oauth_config("linear").await;
    let other = world.app.client_of(&world.app.another_project().await);
    let path = format!("/api/v3/auth_configs/{id}");
    other.get(&path).await.expect_error(404);
    other.patch(&path, json!({"type": "custom", "credentials": {}})).await.expect_error(404);
    other.patch(&format!("{path}/DISABLED"), json!({})).await.expect_error(404);
    other.delete(&path).await.expect_error(404);
    let body = json!({"auth_config_id": id, "user_id": "u"});
    other.post("/api/v3/connected_accounts/link", body).await.expect_error(404);
    let body = json!({"auth_config": {"id": id}, "connection": {"user_id": "u"}});
    other.post("/api/v3/connected_accounts", body).await.expect_error(404);
    assert_eq!(other.get("/api/v3/auth_configs").await.expect(200)["total_items"], 0);
    world.client().get(&path).await.expect(200);
}
