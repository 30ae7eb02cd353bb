//! Toolkits.

use serde_json::{Value, json};

use crate::support::TestApp;

fn slugs(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|t| t["slug"].as_str().unwrap()).collect()
}

/// Settings with an operator's OAuth client for GitHub.
async fn app_with_client() -> (TestApp, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("providers.yaml");
    std::fs::write(
        &file,
        "github: {managed: {client_id: id-of-operator, client_secret: hush-hush, scopes: [repo]}}\n",
    )
    .unwrap();
    let app = TestApp::with(&[("PATCHBAY_PROVIDERS_FILE", file.to_str().unwrap())]).await;
    (app, folder)
}

#[tokio::test]
async fn the_list_has_every_toolkit_with_its_numbers() {
    let app = TestApp::new().await;
    for prefix in ["/api/v3", "/api/v3.1"] {
        let page = app.client().get(&format!("{prefix}/toolkits?limit=1000")).await.expect(200);
        let all = slugs(&page);
        for slug in ["github", "gmail", "hackernews", "slack", "stripe"] {
            assert!(all.contains(&slug), "{slug}");
        }
        assert_eq!(page["total_items"], all.len());
        assert_eq!(page["next_cursor"], Value::Null);
        for item in page["items"].as_array().unwrap() {
            let catalog = app.app.catalogs.server();
            let toolkit = catalog.toolkit(item["slug"].as_str().unwrap()).unwrap();
            assert_eq!(item["meta"]["tools_count"], toolkit.tools.len(), "{item}");
            assert_eq!(
                (&item["is_local_toolkit"], &item["type"]),
                (&json!(false), &json!("native"))
            );
            for date in ["created_at", "updated_at"] {
                assert!(item["meta"][date].as_str().unwrap().ends_with("T00:00:00.000Z"), "{item}");
            }
        }
    }
}

#[tokio::test]
async fn pages_follow_each_other_without_gaps() {
    let app = TestApp::new().await;
    let client = app.client();
    let all = client.get("/api/v3/toolkits?limit=9999").await.expect(200);
    let mut seen = Vec::new();
    let mut path = "/api/v3/toolkits?limit=4".to_owned();
    loop {
        let page = client.get(&path).await.expect(200);
        seen.extend(slugs(&page).into_iter().map(str::to_owned));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/api/v3/toolkits?limit=4&cursor={cursor}");
    }
    assert_eq!(seen, slugs(&all));
    for bad in ["cursor=forged", "limit=many", "managed_by=nobody", "sort_by=chance", "type=odd"] {
        client.get(&format!("/api/v3/toolkits?{bad}")).await.expect_error(400);
    }
}

#[tokio::test]
async fn filters_and_order_apply() {
    let app = TestApp::new().await;
    let client = app.client();
    let get = |query: &'static str| {
        let client = client.clone();
        async move { client.get(&format!("/api/v3/toolkits?limit=1000&{query}")).await.expect(200) }
    };
    let found = get("search=github").await;
    assert_eq!(slugs(&found)[0], "github");
    assert!(slugs(&get("search=zzzzzz").await).is_empty());
    assert!(slugs(&get("managed_by=project").await).is_empty());
    let names: Vec<String> = get("sort_by=alphabetically").await["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| t["name"].as_str().unwrap().to_lowercase())
        .collect();
    assert!(names.is_sorted(), "{names:?}");
    let categories = client.get("/api/v3/toolkits/categories").await.expect(200);
    let first = categories["items"][0].clone();
    assert!(first["id"].is_string() && first["name"].is_string());
    for by in ["id", "name"] {
        let wanted = first[by].as_str().unwrap().replace(' ', "%20");
        let path = format!("/api/v3/toolkits?limit=1000&category={wanted}");
        let page = client.get(&path).await.expect(200);
        assert!(!slugs(&page).is_empty());
        for item in page["items"].as_array().unwrap() {
            let own = item["meta"]["categories"].as_array().unwrap();
            assert!(own.iter().any(|c| c["id"] == first["id"]), "{item}");
        }
    }
}

#[tokio::test]
async fn one_toolkit_shows_the_fields_of_its_schemes() {
    let (app, _folder) = app_with_client().await;
    let client = app.client();
    let github = client.get("/api/v3/toolkits/github").await.expect(200);
    assert!(!github.to_string().contains("hush-hush"));
    assert_eq!(github["composio_managed_auth_schemes"], json!(["OAUTH2"]));
    assert_eq!(github["composio_managed_auth"][0]["scopes"]["available"], json!(["repo"]));
    assert_eq!(github["meta"]["version"], github["meta"]["available_versions"][0]);
    let oauth = github["auth_config_details"]
        .as_array()
        .unwrap()
        .iter()
        .find(|d| d["mode"] == "OAUTH2")
        .unwrap();
    let names = |form: &str, kind: &str| -> Vec<String> {
        let fields = oauth["fields"][form][kind].as_array().unwrap();
        fields.iter().map(|f| f["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("auth_config_creation", "required"), ["client_id", "client_secret"]);
    assert!(names("auth_config_creation", "optional").contains(&"scopes".to_owned()));
    let exa = client.get("/api/v3.1/toolkits/exa").await.expect(200);
    assert_eq!(exa["composio_managed_auth_schemes"], json!([]));
    let key =
        &exa["auth_config_details"][0]["fields"]["connected_account_initiation"]["required"][0];
    assert_eq!((&key["name"], &key["is_secret"]), (&json!("generic_api_key"), &json!(true)));
    let hackernews = client.get("/api/v3/toolkits/hackernews").await.expect(200);
    assert_eq!(hackernews["no_auth"], true);
    // Slugs are found in any case.
    client.get("/api/v3/toolkits/GITHUB").await.expect(200);
}

#[tokio::test]
async fn unknown_toolkits_and_versions_are_404() {
    let app = TestApp::new().await;
    let client = app.client();
    let error = client.get("/api/v3/toolkits/nope").await.expect_error(404);
    assert_eq!(error["slug"], "Toolkit_NotFound");
    let error = client.get("/api/v3/toolkits/github?version=19990101_00").await.expect_error(404);
    assert_eq!(error["slug"], "Toolkit_VersionNotFound");
    assert!(error["suggested_fix"].as_str().unwrap().contains("latest"));
    let github = client.get("/api/v3/toolkits/github?version=latest").await.expect(200);
    let oldest = github["meta"]["available_versions"].as_array().unwrap().last().unwrap().clone();
    let path = format!("/api/v3/toolkits/github?version={}", oldest.as_str().unwrap());
    assert_eq!(client.get(&path).await.expect(200)["meta"]["version"], oldest);
}

#[tokio::test]
async fn several_toolkits_come_at_once_and_the_changelog_names_versions() {
    let app = TestApp::new().await;
    let client = app.client();
    let body = json!({"toolkits": ["slack", "nope", "github", "slack"]});
    let page = client.post("/api/v3.1/toolkits/multi", body).await.expect(200);
    assert_eq!(slugs(&page), ["slack", "github"]);
    let page = client.post("/api/v3/toolkits/multi", json!({"limit": 2})).await.expect(200);
    assert_eq!(page["items"].as_array().unwrap().len(), 2);
    client.post("/api/v3/toolkits/multi", json!({"toolkits": "slack"})).await.expect_error(400);
    let changes = client.get("/api/v3.1/toolkits/changelog").await.expect(200);
    assert!(changes["items"][0]["versions"][0]["version"].is_string());
}
