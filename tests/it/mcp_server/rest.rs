//! Making, listing, changing and deleting MCP servers.

use serde_json::{Value, json};

use crate::support::TestApp;
use crate::support::client::TestClient;

pub const SERVERS: &str = "/api/v3/mcp/servers";

/// A server of two toolkits that need no account.
async fn custom(client: &TestClient, name: &str) -> Value {
    let body = json!({
        "name": name,
        "toolkits": ["hackernews", "text_to_pdf"],
        "auth_config_ids": [],
        "custom_tools": ["HACKERNEWS_GET_USER", "TEXT_TO_PDF_CONVERT_TEXT_TO_PDF"],
        "managed_auth_via_composio": true,
    });
    client.post(&format!("{SERVERS}/custom"), body).await.expect(201)
}

fn names(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_server_is_made_read_changed_and_deleted() {
    let app = TestApp::new().await;
    let client = app.client();
    let made = custom(&client, "First server").await;
    let id = made["id"].as_str().unwrap().to_owned();
    let url = app.url(&format!("/v3/mcp/{id}"));
    assert_eq!(made["mcp_url"], url);
    assert_eq!(
        made["allowed_tools"],
        json!(["HACKERNEWS_GET_USER", "TEXT_TO_PDF_CONVERT_TEXT_TO_PDF"])
    );
    for kind in ["cursor", "claude", "windsurf"] {
        let command = made["commands"][kind].as_str().unwrap();
        assert!(command.contains(&format!("{url}?user_id=")), "{command}");
    }
    for version in ["v3", "v3.1"] {
        let got = client.get(&format!("/api/{version}/mcp/{id}")).await.expect(200);
        assert_eq!(got["toolkits"], json!(["hackernews", "text_to_pdf"]));
        assert_eq!(got["managed_auth_via_composio"], true);
        assert_eq!(got["server_instance_count"], 0);
        assert_eq!(got["deleted"], false);
        let icons = got["toolkit_icons"].as_object().unwrap();
        assert!(icons.values().all(Value::is_string));
    }
    let path = format!("/api/v3/mcp/{id}");
    let body = json!({"name": "Renamed", "custom_tools": [], "managed_auth_via_composio": false});
    let changed = client.patch(&path, body).await.expect(200);
    assert_eq!((&changed["name"], &changed["allowed_tools"]), (&json!("Renamed"), &json!([])));
    assert_eq!(changed["managed_auth_via_composio"], false);
    let changed = client.patch(&path, json!({"toolkits": ["HackerNews"]})).await.expect(200);
    assert_eq!(
        (&changed["name"], &changed["toolkits"]),
        (&json!("Renamed"), &json!(["hackernews"]))
    );
    let gone = client.delete(&path).await.expect(200);
    assert_eq!(gone, json!({"id": id, "deleted": true}));
    client.get(&path).await.expect_error(404);
    client.delete(&path).await.expect_error(404);
    client.patch(&path, json!({"name": "Again"})).await.expect_error(404);
    // A deleted server's name is free again.
    custom(&client, "Renamed").await;
}

#[tokio::test]
async fn other_projects_see_nothing_of_a_server() {
    let app = TestApp::new().await;
    let made = custom(&app.client(), "Mine alone").await;
    let id = made["id"].as_str().unwrap();
    let stranger = app.client_of(&app.another_project().await);
    let path = format!("/api/v3/mcp/{id}");
    stranger.get(&path).await.expect_error(404);
    stranger.patch(&path, json!({"name": "Taken"})).await.expect_error(404);
    stranger.delete(&path).await.expect_error(404);
    stranger.get(&format!("{SERVERS}/{id}/instances")).await.expect_error(404);
    let user = json!({"user_id": "ann"});
    stranger.post(&format!("{SERVERS}/{id}/instances"), user).await.expect_error(404);
    stranger.delete(&format!("{SERVERS}/{id}/instances/ann")).await.expect_error(404);
    let body = json!({"mcp_server_id": id, "user_ids": ["ann"]});
    stranger.post(&format!("{SERVERS}/generate"), body).await.expect_error(404);
    assert!(names(&stranger.get(SERVERS).await.expect(200)).is_empty());
    assert!(names(&stranger.get("/api/v3/mcp/app/hackernews").await.expect(200)).is_empty());
    // Names are a project's own.
    custom(&stranger, "Mine alone").await;
    app.anonymous().get(&path).await.expect_error(401);
    app.client().get(&path).await.expect(200);
}

#[tokio::test]
async fn everything_that_is_wrong_is_said_at_once() {
    let app = TestApp::new().await;
    let client = app.client();
    let body = json!({"name": "Good name", "toolkits": ["nope", "hackernews"],
        "allowed_tools": ["NOPE_TOOL", "HACKERNEWS_GET_USER"], "auth_config_ids": ["ac_nope"]});
    let error = client.post(&format!("{SERVERS}/custom"), body).await.expect_error(400);
    assert_eq!(error["errors"].as_array().unwrap().len(), 3, "{error}");
    for name in ["abc", "with_underscore", "näme", "", "1234567890123456789012345678901"] {
        let body = json!({"name": name, "toolkits": ["hackernews"]});
        let error = client.post(&format!("{SERVERS}/custom"), body).await.expect_error(400);
        assert!(error["errors"][0].as_str().unwrap().starts_with("name:"), "{error}");
    }
    let body = json!({"name": "Nothing in it", "toolkits": []});
    client.post(&format!("{SERVERS}/custom"), body).await.expect_error(400);
    custom(&client, "Taken name").await;
    let body = json!({"name": "taken NAME", "toolkits": ["hackernews"]});
    let error = client.post(&format!("{SERVERS}/custom"), body).await.expect_error(400);
    assert!(error["errors"][0].as_str().unwrap().contains("is taken"), "{error}");
    // An auth config of another project does not exist.
    let other = app.another_project().await;
    let body = json!({"toolkit": {"slug": "github"}, "auth_config": {"type": "use_custom_auth",
        "authScheme": "BEARER_TOKEN", "credentials": {}}});
    let foreign = app.client_of(&other).post("/api/v3/auth_configs", body).await.expect(201);
    let body = json!({"name": "Foreign config", "auth_config_ids": [foreign["auth_config"]["id"]]});
    let error = client.post(SERVERS, body).await.expect_error(400);
    assert!(error["errors"][0].as_str().unwrap().contains("unknown auth config"), "{error}");
    for id in ["nope", "", "mcp_000000", "00000000-0000-4000-8000-000000000000", "a%00b"] {
        assert!(matches!(client.get(&format!("/api/v3/mcp/{id}")).await.status, 400 | 404), "{id}");
    }
}

#[tokio::test]
async fn lists_are_filtered_ordered_and_paged() {
    let app = TestApp::new().await;
    let client = app.client();
    for number in 0..3 {
        custom(&client, &format!("Server {number}")).await;
    }
    let body = json!({"name": "Only pdf", "toolkits": ["text_to_pdf"]});
    client.post(&format!("{SERVERS}/custom"), body).await.expect(201);
    let got = client.get(&format!("{SERVERS}?limit=3&page_no=1")).await.expect(200);
    assert_eq!((&got["current_page"], &got["total_pages"]), (&json!(1), &json!(2)));
    assert_eq!(names(&got), ["Only pdf", "Server 2", "Server 1"]);
    let got = client.get(&format!("{SERVERS}?limit=3&page_no=2")).await.expect(200);
    assert_eq!(names(&got), ["Server 0"]);
    let got = client.get(&format!("{SERVERS}?toolkits=hackernews,jira&name=SERVER")).await;
    assert_eq!(names(&got.expect(200)), ["Server 2", "Server 1", "Server 0"]);
    let got = client
        .get(&format!("{SERVERS}?name=1&order_by=created_at&order_direction=asc"))
        .await
        .expect(200);
    assert_eq!(names(&got), ["Server 1"]);
    // No wildcards.
    assert!(names(&client.get(&format!("{SERVERS}?name=%25")).await.expect(200)).is_empty());
    assert!(
        names(&client.get(&format!("{SERVERS}?auth_config_ids=ac_x")).await.expect(200)).is_empty()
    );
    let got = client.get("/api/v3/mcp/app/hackernews?limit=100").await.expect(200);
    assert_eq!(names(&got).len(), 3);
    client.get("/api/v3/mcp/app/nope").await.expect_error(404);
    client.get(&format!("{SERVERS}?page_no=0")).await.expect_error(400);
    client.get(&format!("{SERVERS}?order_by=name")).await.expect_error(400);
}

#[tokio::test]
async fn generated_urls_carry_the_user_whatever_its_id_looks_like() {
    let app = TestApp::new().await;
    let client = app.client();
    let made = custom(&client, "With urls").await;
    let user = "ann&admin=1 ö/#?+%";
    let body = json!({"mcp_server_id": made["id"], "user_ids": [user, "bob"],
        "managed_auth_by_composio": true});
    let urls = client.post(&format!("{SERVERS}/generate"), body).await.expect(200);
    assert_eq!(urls["mcp_url"], made["mcp_url"]);
    assert_eq!(urls["connected_account_urls"], json!([]));
    let url = url::Url::parse(urls["user_ids_url"][0].as_str().unwrap()).unwrap();
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    assert_eq!(
        pairs,
        [
            ("user_id".to_owned(), user.to_owned()),
            ("include_composio_helper_actions".to_owned(), "true".to_owned())
        ]
    );
    assert!(url.fragment().is_none());
    let body = json!({"mcp_server_id": made["id"], "user_ids": ["bob"]});
    let urls = client.post(&format!("{SERVERS}/generate"), body).await.expect(200);
    let expected = format!("{}?user_id=bob", made["mcp_url"].as_str().unwrap());
    assert_eq!(urls["user_ids_url"], json!([expected]));
    let body = json!({"mcp_server_id": made["id"], "user_ids": [""],
        "connected_account_ids": ["ca_nope"]});
    client.post(&format!("{SERVERS}/generate"), body).await.expect_error(400);
    let body = json!({"mcp_server_id": made["id"], "connected_account_ids": ["ca_1", "ca_2"]});
    let error = client.post(&format!("{SERVERS}/generate"), body).await.expect_error(400);
    assert_eq!(error["errors"].as_array().unwrap().len(), 2);
}
