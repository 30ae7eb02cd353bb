//! Tools, their schemas and scopes.

use serde_json::{Value, json};

use crate::support::TestApp;

fn slugs(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|t| t["slug"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_list_takes_every_spelling_of_its_filters() {
    let app = TestApp::new().await;
    let client = app.client();
    let one = client.get("/api/v3/tools?toolkit_slug=hackernews&limit=1000").await.expect(200);
    assert!(slugs(&one).iter().all(|s| s.starts_with("HACKERNEWS_")) && !slugs(&one).is_empty());
    let joined =
        client.get("/api/v3/tools?toolkit_slug=hackernews,exa&limit=1000").await.expect(200);
    let repeated = client
        .get("/api/v3.1/tools?toolkit_slug=hackernews&toolkit_slug=exa&limit=1000")
        .await
        .expect(200);
    assert_eq!(joined, repeated);
    assert!(slugs(&joined).len() > slugs(&one).len());
    let default = client.get("/api/v3/tools?toolkit_slug=github").await.expect(200);
    assert_eq!(slugs(&default).len(), 20);
    let all = client.get("/api/v3/tools?limit=9999").await.expect(200);
    assert_eq!(all["total_items"].as_u64().unwrap().min(1000), slugs(&all).len() as u64);
    for bad in ["limit=x", "cursor=zzz", "important=perhaps"] {
        client.get(&format!("/api/v3/tools?{bad}")).await.expect_error(400);
    }
}

#[tokio::test]
async fn named_tools_come_under_the_names_they_were_asked_by() {
    let app = TestApp::new().await;
    let client = app.client();
    let query = "tool_slugs=HACKERNEWS_GET_USER,NO_SUCH_TOOL,GITHUB_CREATE_AN_ISSUE&limit=9999";
    let page = client.get(&format!("/api/v3/tools?{query}")).await.expect(200);
    assert_eq!(slugs(&page), ["HACKERNEWS_GET_USER", "GITHUB_CREATE_AN_ISSUE"]);
    let one = client.get("/api/v3/tools/HACKERNEWS_GET_USER").await.expect(200);
    assert_eq!(one["slug"], "HACKERNEWS_GET_USER");
    assert_eq!(one["toolkit"]["slug"], "hackernews");
    assert_eq!(one["no_auth"], true);
    assert_eq!(one["input_parameters"]["type"], "object");
    assert!(one["output_parameters"]["properties"]["successful"].is_object());
    let error = client.get("/api/v3/tools/hackernews_get_user").await.expect_error(404);
    assert_eq!(error["slug"], "Tool_NotFound");
    client.get("/api/v3/tools/..%2f..%2fetc%2fpasswd").await.expect_error(404);
}

#[tokio::test]
async fn every_alias_answers_by_its_own_name() {
    let app = TestApp::new().await;
    let catalog = app.app.catalogs.server();
    for toolkit in catalog.toolkits() {
        for tool in &toolkit.tools {
            for alias in &tool.def.aliases {
                let (_, found) = catalog.tool(alias).unwrap();
                assert_eq!(found.def.slug, tool.def.slug);
            }
        }
    }
    let names = app.client().get("/api/v3/tools/enum").await.expect(200);
    let names: Vec<&str> = names.as_array().unwrap().iter().map(|n| n.as_str().unwrap()).collect();
    assert!(names.is_sorted());
    assert!(names.contains(&"HACKERNEWS_GET_USER"));
    let alias = catalog.toolkits().iter().flat_map(|t| &t.tools);
    let alias = alias.flat_map(|t| &t.def.aliases).next().unwrap();
    assert!(names.contains(&alias.as_str()));
    let tool = app.client().get(&format!("/api/v3/tools/{alias}")).await.expect(200);
    assert_eq!(tool["slug"], *alias);
}

#[tokio::test]
async fn tags_importance_and_search_narrow_the_list() {
    let app = TestApp::new().await;
    let client = app.client();
    let list = |query: &'static str| {
        let client = client.clone();
        async move { client.get(&format!("/api/v3/tools?limit=1000&{query}")).await.expect(200) }
    };
    let all = list("toolkit_slug=github").await;
    let important = list("toolkit_slug=github&important=true").await;
    assert!(!slugs(&important).is_empty() && slugs(&important).len() < slugs(&all).len());
    for item in important["items"].as_array().unwrap() {
        assert!(item["tags"].as_array().unwrap().contains(&json!("important")), "{item}");
    }
    let reading = list("toolkit_slug=github&tags=readOnlyHint").await;
    assert!(!slugs(&reading).is_empty() && slugs(&reading).len() < slugs(&all).len());
    let found = list("toolkit_slug=github&search=create%20issue").await;
    assert!(slugs(&found)[0].contains("ISSUE"), "{:?}", slugs(&found));
    assert_eq!(found, list("toolkit_slug=github&query=create+issue").await);
    assert!(slugs(&list("query=zzzzzzz").await).is_empty());
    assert!(slugs(&list("toolkit_slug=nope").await).is_empty());
    let scope = list("toolkit_slug=github&scopes=repo").await;
    assert!(!slugs(&scope).is_empty());
}

/// An SDK asks for the important tools of a toolkit when nothing else is said.
#[tokio::test]
async fn every_toolkit_with_tools_has_important_ones() {
    let app = TestApp::new().await;
    for toolkit in app.app.catalogs.server().toolkits().iter().filter(|t| !t.tools.is_empty()) {
        let important = toolkit.tools.iter().any(|t| t.tags.iter().any(|tag| tag == "important"));
        assert!(important, "{}", toolkit.file.slug);
    }
}

#[tokio::test]
async fn versions_are_checked_on_reads() {
    let app = TestApp::new().await;
    let client = app.client();
    let tool = client.get("/api/v3/tools/HACKERNEWS_GET_USER").await.expect(200);
    let oldest = tool["available_versions"].as_array().unwrap().last().unwrap();
    let oldest = oldest.as_str().unwrap();
    for query in [
        format!("version={oldest}"),
        format!("toolkit_versions={oldest}"),
        format!("toolkit_versions[hackernews]={oldest}"),
        format!("toolkit_versions%5Bhackernews%5D={oldest}"),
    ] {
        let path = format!("/api/v3/tools/HACKERNEWS_GET_USER?{query}");
        assert_eq!(client.get(&path).await.expect(200)["version"], oldest, "{query}");
    }
    for query in ["version=19990101_00", "toolkit_versions[hackernews]=19990101_00"] {
        let path = format!("/api/v3/tools/HACKERNEWS_GET_USER?{query}");
        client.get(&path).await.expect_error(404);
    }
    let list = "/api/v3/tools?toolkit_slug=hackernews&toolkit_versions";
    client.get(&format!("{list}[hackernews]=19990101_00")).await.expect_error(404);
    // A version pinned for a toolkit that is not asked for does not matter.
    client.get(&format!("{list}[github]=19990101_00")).await.expect(200);
    let page = client.get(&format!("{list}=latest")).await.expect(200);
    assert_eq!(page["items"][0]["version"], tool["version"]);
}

#[tokio::test]
async fn an_unknown_auth_config_is_404() {
    let app = TestApp::new().await;
    app.client().get("/api/v3/tools?auth_config_ids=ac_nothing").await.expect_error(404);
}

#[tokio::test]
async fn scopes_are_told_for_tools_of_one_toolkit() {
    let app = TestApp::new().await;
    let client = app.client();
    for path in ["/api/v3/tools/get_scopes_required", "/api/v3.1/tools/scopes/required"] {
        let body = json!({"tools": ["GITHUB_CREATE_AN_ISSUE"]});
        let answer = client.post(path, body).await.expect(200);
        assert!(!answer["scopes_required"].as_array().unwrap().is_empty(), "{answer}");
        assert_eq!(answer["per_tool_requirements"][0]["tool"], "GITHUB_CREATE_AN_ISSUE");
        let none = json!({"tools": ["HACKERNEWS_GET_USER"]});
        let answer = client.post(path, none).await.expect(200);
        assert_eq!(answer["per_tool_requirements"][0]["scope_requirements"], Value::Null);
        let mixed = json!({"tools": ["GITHUB_CREATE_AN_ISSUE", "HACKERNEWS_GET_USER"]});
        client.post(path, mixed).await.expect_error(400);
        client.post(path, json!({"tools": []})).await.expect_error(400);
        client.post(path, json!({"tools": ["NOPE"]})).await.expect_error(404);
    }
}
