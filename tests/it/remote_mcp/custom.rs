//! Remote MCP servers as toolkits of a project: added, listed again, taken away.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use url::Url;

use super::server::{Server, Ways};
use crate::mcp_oauth::{Client, location, session};
use crate::support::TestApp;
use crate::support::client::{TestClient, TestResponse};

fn open() -> Ways {
    Ways { token: None, sessions: true }
}

fn body(server: &Server, auth: Value) -> Value {
    json!({"slug": "My Kit", "toolkit_config": {
        "name": "My kit", "app_url": server.url, "auth_schemes": auth}})
}

async fn upsert(client: &TestClient, body: Value) -> TestResponse {
    client.post("/api/v3.1/custom/toolkits/upsert", body).await
}

async fn sync(client: &TestClient, account: Option<&str>) -> Value {
    let body = json!({"slug": "custom_my_kit", "connected_account_id": account});
    client.post("/api/v3.1/custom/toolkits/sync", body).await.expect(200)
}

#[tokio::test]
async fn a_server_is_added_executed_and_taken_away() {
    let (app, server) = (TestApp::new().await, Server::start(open()).await);
    let client = app.client();
    let done = upsert(&client, body(&server, json!([{"mode": "NO_AUTH"}]))).await.expect(200);
    assert_eq!(done, json!({"slug": "custom_my_kit"}));
    let toolkit = client.get("/api/v3/toolkits/custom_my_kit").await.expect(200);
    assert_eq!((&toolkit["name"], &toolkit["type"]), (&json!("My kit"), &json!("custom")));
    let call = json!({"arguments": {"a": 2, "b": 3}, "user_id": "u"});
    let path = "/api/v3/tools/execute/CUSTOM_MY_KIT_ADD_NUMBERS";
    let done = client.post(path, call.clone()).await.expect(200);
    assert_eq!(done["data"], json!({"sum": 5.0}), "{done}");
    // Nobody else has it.
    let other = app.another_project().await;
    let other = TestClient::new(app.address).header("x-api-key", &other.key);
    other.post(path, call.clone()).await.expect(404);
    let asked = json!({"slug": "custom_my_kit"});
    other.post("/api/v3.1/custom/toolkits/sync", asked).await.expect(404);
    client.delete("/api/v3.1/custom/toolkits/custom_my_kit").await.expect(200);
    client.post(path, call).await.expect(404);
}

#[tokio::test]
async fn what_a_server_has_later_comes_by_sync() {
    let (app, server) = (TestApp::new().await, Server::start(open()).await);
    let client = app.client();
    upsert(&client, body(&server, json!([{"mode": "NO_AUTH"}]))).await.expect(200);
    let first = sync(&client, None).await;
    assert_eq!(first["synced_count"], 4);
    let again = sync(&client, None).await;
    assert_eq!(again["version"], first["version"]);
    server.swap();
    let later = sync(&client, None).await;
    assert_eq!(later["synced_count"], 4);
    assert_ne!(later["version"], first["version"]);
    client.get("/api/v3/tools/CUSTOM_MY_KIT_FRESH").await.expect(200);
}

#[tokio::test]
async fn a_server_that_does_not_know_its_tool_any_more_is_listed_again() {
    let (app, server) = (TestApp::new().await, Server::start(open()).await);
    let client = app.client();
    upsert(&client, body(&server, json!([{"mode": "NO_AUTH"}]))).await.expect(200);
    patchbay::worker::relist::start(&app.app);
    server.swap();
    let call = json!({"arguments": {}, "user_id": "u"});
    let done = client.post("/api/v3/tools/execute/CUSTOM_MY_KIT_FAIL", call).await.expect(200);
    assert_eq!(done["successful"], false);
    for _ in 0..200 {
        if client.get("/api/v3/tools/CUSTOM_MY_KIT_FRESH").await.status == 200 {
            client.get("/api/v3/tools/CUSTOM_MY_KIT_FAIL").await.expect(404);
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it was not listed again");
}

#[tokio::test]
async fn a_closed_server_is_listed_with_an_accounts_key() {
    let app = TestApp::new().await;
    let server = Server::start(Ways { token: Some("good-token-1"), sessions: true }).await;
    let client = app.client();
    let refused = upsert(&client, body(&server, json!([{"mode": "NO_AUTH"}]))).await.expect(400);
    assert!(refused.to_string().contains("API_KEY"), "{refused}");
    let key = json!([{"mode": "API_KEY", "headers": {"Authorization": "Bearer {{generic_api_key}}"},
        "api_key_field": {"display_name": "Token"}}]);
    upsert(&client, body(&server, key.clone())).await.expect(200);
    let list = client.get("/api/v3/tools?toolkit_slug=custom_my_kit").await.expect(200);
    assert_eq!(list["total_items"], 0);
    let asked = json!({"slug": "custom_my_kit"});
    let refused = client.post("/api/v3.1/custom/toolkits/sync", asked).await.expect(400);
    assert!(refused.to_string().contains("connected_account_id"), "{refused}");
    let config = json!({"toolkit": {"slug": "custom_my_kit"},
        "auth_config": {"type": "use_custom_auth", "authScheme": "API_KEY", "credentials": {}}});
    let config = client.post("/api/v3/auth_configs", config).await.expect(201);
    let account = |key: &str| {
        json!({"auth_config": {"id": config["auth_config"]["id"]}, "connection": {"user_id": "u",
            "state": {"authScheme": "API_KEY", "val": {"status": "ACTIVE", "generic_api_key": key}}}})
    };
    let account =
        client.post("/api/v3/connected_accounts", account("good-token-1")).await.expect(201);
    let id = account["id"].as_str().unwrap();
    assert_eq!(sync(&client, Some(id)).await["synced_count"], 4);
    let call = json!({"arguments": {"a": 2, "b": 3}, "user_id": "u"});
    let path = "/api/v3/tools/execute/CUSTOM_MY_KIT_ADD_NUMBERS";
    let done = client.post(path, call).await.expect(200);
    assert_eq!(done["data"], json!({"sum": 5.0}), "{done}");
    // Described anew it keeps what the account found.
    upsert(&client, body(&server, key)).await.expect(200);
    client.get("/api/v3/tools/CUSTOM_MY_KIT_ADD_NUMBERS").await.expect(200);
}

#[tokio::test]
async fn a_server_that_connects_by_oauth_is_listed_with_an_accounts_token() {
    // The endpoint of another Patchbay's session is such a server.
    let (app, other) = (TestApp::new().await, TestApp::new().await);
    let client = app.client();
    let (_, url) = session(&other).await;
    let done = client.post("/api/v3/toolkits/import", json!({"url": url, "slug": "kit"})).await;
    assert_eq!(done.expect(200)["tools"], 0);
    let toolkit = client.get("/api/v3/toolkits/kit").await.expect(200);
    assert_eq!(toolkit["auth_config_details"][0]["mode"], "DCR_OAUTH", "{toolkit}");
    let managed =
        json!({"toolkit": {"slug": "kit"}, "auth_config": {"type": "use_composio_managed_auth"}});
    let config = client.post("/api/v3/auth_configs", managed).await.expect(201);
    let begun = json!({"auth_config": {"id": config["auth_config"]["id"]}, "connection": {"user_id": "u",
        "state": {"authScheme": "DCR_OAUTH", "val": {"status": "INITIALIZING"}}}});
    let begun = client.post("/api/v3/connected_accounts", begun).await.expect(201);
    let page: Url = begun["redirect_url"].as_str().unwrap().parse().unwrap();
    let person = Client::register(&other).await;
    let form = [("api_key", other.project.key.as_str()), ("action", "allow")];
    let back = location(&person.person(page.as_str(), &form).await);
    app.anonymous().header("accept", "text/html").get(&back).await;
    let id = begun["id"].as_str().unwrap();
    let account = client.get(&format!("/api/v3/connected_accounts/{id}")).await.expect(200);
    assert_eq!(account["status"], "ACTIVE", "{account}");
    let body = json!({"slug": "kit", "connected_account_id": id});
    let done = client.post("/api/v3.1/custom/toolkits/sync", body).await.expect(200);
    assert!(done["synced_count"].as_u64().unwrap() > 2, "{done}");
    let call = json!({"arguments": {"queries": [{"use_case": "send an email"}]}, "user_id": "u"});
    let path = "/api/v3/tools/execute/KIT_COMPOSIO_SEARCH_TOOLS";
    let done = client.post(path, call).await.expect(200);
    assert_eq!(done["successful"], true, "{done}");
}

#[tokio::test]
async fn a_url_of_a_server_is_imported_like_that_of_a_description() {
    let (app, server) = (TestApp::new().await, Server::start(open()).await);
    let client = app.client();
    let wish = json!({"url": server.url, "slug": "kit"});
    let done = client.post("/api/v3/toolkits/import", wish).await.expect(200);
    assert_eq!((&done["slug"], &done["tools"]), (&json!("kit"), &json!(4)), "{done}");
    let asked = json!({"slug": "kit"});
    client.post("/api/v3.1/custom/toolkits/sync", asked).await.expect(200);
}

#[tokio::test]
async fn bad_servers_are_refused_in_words() {
    let (app, server) = (TestApp::new().await, Server::start(open()).await);
    let client = app.client();
    let with = |change: &dyn Fn(&mut Value)| {
        let mut body = body(&server, json!([{"mode": "NO_AUTH"}]));
        change(&mut body);
        body
    };
    for (key, body) in [
        ("slug", with(&|b| b["slug"] = "a-b".into())),
        ("app_url", with(&|b| b["toolkit_config"]["app_url"] = "http://example.com/mcp".into())),
        ("app_url", with(&|b| b["toolkit_config"]["app_url"] = "file:///etc/passwd".into())),
        ("app_url", with(&|b| b["toolkit_config"]["app_url"] = "https://a:b@c.io/".into())),
        ("guard", with(&|b| b["toolkit_config"]["app_url"] = "https://169.254.169.254/".into())),
        ("auth_schemes", with(&|b| b["toolkit_config"]["auth_schemes"] = json!([]))),
        (
            "twice",
            with(&|b| {
                b["toolkit_config"]["auth_schemes"] =
                    json!([{"mode": "NO_AUTH"}, {"mode": "NO_AUTH"}]);
            }),
        ),
        (
            "headers",
            with(&|b| {
                b["toolkit_config"]["auth_schemes"] =
                    json!([{"mode": "API_KEY", "headers": {"A": "{{ cred.x }}"}}]);
            }),
        ),
        (
            "logo_file",
            with(&|b| {
                b["toolkit_config"]["logo_file"] =
                    json!({"mime_type": "image/png", "content": "PHN2Zz4="});
            }),
        ),
        (
            "logo_file",
            with(&|b| {
                b["toolkit_config"]["logo_file"] =
                    json!({"mime_type": "image/svg+xml", "content": "PHN2Zz4="});
            }),
        ),
    ] {
        let refused = upsert(&client, body).await;
        assert!((400..500).contains(&refused.status), "{key}: {}", refused.text);
        if key != "guard" {
            assert!(refused.text.contains(key), "{key}: {}", refused.text);
        }
    }
    let no_server = with(&|b| b["toolkit_config"]["app_url"] = app.url("/api/v3/nowhere").into());
    let refused = upsert(&client, no_server).await;
    assert!(refused.text.contains("cannot be listed"), "{}", refused.text);
}

#[tokio::test]
async fn a_logo_is_kept_shown_and_taken_away_with_the_toolkit() {
    let (app, server) = (TestApp::new().await, Server::start(open()).await);
    let client = app.client();
    let with = |image: &[u8]| {
        let mut body = body(&server, json!([{"mode": "NO_AUTH"}]));
        let content = STANDARD.encode(image);
        body["toolkit_config"]["logo_file"] = json!({"mime_type": "image/png", "content": content});
        body
    };
    let shown = || async {
        let toolkit = client.get("/api/v3/toolkits/custom_my_kit").await.expect(200);
        toolkit["meta"]["logo"].as_str().unwrap().to_owned()
    };
    let image = [b"\x89PNG\r\n\x1a\n".as_slice(), &[7; 3 * 1024 * 1024 - 8]].concat();
    upsert(&client, with(&image)).await.expect(200);
    let first = shown().await;
    assert!(first.starts_with(&app.url("/api/v3.1/custom/toolkits/logos/")), "{first}");
    // As a browser asks: without a key. It is an image and can be nothing else.
    let answer = app.anonymous().request(axum::http::Method::GET, &first).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "image/png");
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    assert_eq!(answer.bytes().await.unwrap(), image);
    // Listing the tools again does not lose it, in lists it is shown too.
    sync(&client, None).await;
    assert_eq!(shown().await, first);
    let tool = client.get("/api/v3/tools/CUSTOM_MY_KIT_ADD_NUMBERS").await.expect(200);
    assert_eq!(tool["toolkit"]["logo"], first.as_str());
    // Another image has another address, and the old one is gone.
    upsert(&client, with(b"\x89PNG\r\n\x1a\nanother")).await.expect(200);
    let second = shown().await;
    assert_ne!(first, second);
    app.anonymous().get(&first).await.expect(404);
    app.anonymous().get(&second).await;
    // Nobody finds it by guessing, nor below another project.
    let other = app.another_project().await;
    for wrong in [
        second.replace(app.project.id.as_str(), other.id.as_str()),
        second.replace("custom_my_kit", "custom_other"),
        format!("{}{}", &second[..second.len() - 64], "0".repeat(64)),
        format!("{}{}", &second[..second.len() - 64], "zz"),
    ] {
        app.anonymous().get(&wrong).await.expect(404);
    }
    let other = TestClient::new(app.address).header("x-api-key", &other.key);
    upsert(&other, body(&server, json!([{"mode": "NO_AUTH"}]))).await.expect(200);
    other.delete("/api/v3.1/custom/toolkits/custom_my_kit").await.expect(200);
    assert_eq!(app.anonymous().get(&second).await.status, 200);
    client.delete("/api/v3.1/custom/toolkits/custom_my_kit").await.expect(200);
    app.anonymous().get(&second).await.expect(404);
    // Without one, none is shown.
    upsert(&client, body(&server, json!([{"mode": "NO_AUTH"}]))).await.expect(200);
    assert_eq!(shown().await, "");
}
