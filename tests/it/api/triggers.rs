//! Trigger types, their schemas and names.

use serde_json::Value;

use crate::support::TestApp;

fn slugs(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|t| t["slug"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn trigger_types_are_listed_with_what_an_sdk_reads() {
    let app = TestApp::new().await;
    let client = app.client();
    let page = client.get("/api/v3/triggers_types?toolkit_slugs=github").await.expect(200);
    assert!(slugs(&page).contains(&"GITHUB_COMMIT_EVENT"));
    assert!(slugs(&page).iter().all(|s| s.starts_with("GITHUB_")));
    assert!(page["total_pages"].is_u64() && page["next_cursor"].is_null());
    for item in page["items"].as_array().unwrap() {
        for key in ["slug", "name", "description", "instructions", "version", "status"] {
            assert!(item[key].is_string(), "{key}: {item}");
        }
        for key in ["logo", "name", "slug"] {
            assert!(item["toolkit"][key].is_string(), "{key}: {item}");
        }
        assert!(item["type"] == "webhook" || item["type"] == "poll", "{item}");
        assert!(item["config"]["properties"].is_object());
        assert!(item["payload"]["properties"].is_object());
        assert_eq!(item["requires_webhook_endpoint_setup"], false);
    }
    let v31 = client.get("/api/v3.1/triggers_types?toolkit_slugs=GitHub").await.expect(200);
    assert_eq!(slugs(&v31), slugs(&page));
    let both = client
        .get("/api/v3/triggers_types?toolkit_slugs=github,gmail&limit=1000")
        .await
        .expect(200);
    assert!(slugs(&both).len() > slugs(&page).len());
    let none = client.get("/api/v3/triggers_types?toolkit_slugs=nope").await.expect(200);
    assert!(slugs(&none).is_empty());
    client.get("/api/v3/triggers_types?limit=x").await.expect_error(400);
    client.get("/api/v3/triggers_types?cursor=zzz").await.expect_error(400);
}

#[tokio::test]
async fn pages_of_trigger_types_follow_one_another() {
    let app = TestApp::new().await;
    let client = app.client();
    let all = client.get("/api/v3/triggers_types?limit=1000").await.expect(200);
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/api/v3/triggers_types?limit=7{cursor}");
        let page = client.get(&path).await.expect(200);
        assert_eq!(page["total_items"], all["total_items"]);
        seen.extend(slugs(&page).into_iter().map(str::to_owned));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, slugs(&all));
}

#[tokio::test]
async fn a_trigger_type_answers_by_every_name() {
    let app = TestApp::new().await;
    let client = app.client();
    let names = client.get("/api/v3/triggers_types/list/enum").await.expect(200);
    let names: Vec<&str> = names.as_array().unwrap().iter().map(|n| n.as_str().unwrap()).collect();
    assert!(names.is_sorted());
    for toolkit in app.app.catalogs.server().toolkits() {
        for trigger in &toolkit.triggers {
            for name in std::iter::once(&trigger.def.slug).chain(&trigger.def.aliases) {
                assert!(names.contains(&name.as_str()), "{name}");
                let one = client.get(&format!("/api/v3.1/triggers_types/{name}")).await.expect(200);
                assert_eq!(one["slug"], *name);
                assert_eq!(one["name"], trigger.def.name);
                assert_eq!(one["toolkit"]["slug"], toolkit.file.slug);
            }
        }
    }
}

/// The TypeScript SDK makes an error of its own of a 404 here.
#[tokio::test]
async fn an_unknown_trigger_type_is_not_found() {
    let app = TestApp::new().await;
    let client = app.client();
    for slug in ["NO_SUCH_TRIGGER", "github_commit_event", "..%2f..%2fetc", "list"] {
        let error = client.get(&format!("/api/v3/triggers_types/{slug}")).await.expect_error(404);
        assert_eq!(error["slug"], "TriggerType_NotFound");
        assert!(error["suggested_fix"].as_str().unwrap().contains("list/enum"), "{error}");
    }
}

#[tokio::test]
async fn versions_of_trigger_types_are_those_of_the_toolkit() {
    let app = TestApp::new().await;
    let client = app.client();
    let path = "/api/v3/triggers_types/GITHUB_COMMIT_EVENT";
    let newest = client.get(path).await.expect(200);
    let github = client.get("/api/v3/toolkits/github").await.expect(200);
    assert_eq!(newest["version"], github["meta"]["version"]);
    for query in ["toolkit_versions=latest", "toolkit_versions[github]=latest"] {
        assert_eq!(client.get(&format!("{path}?{query}")).await.expect(200), newest);
    }
    let oldest = github["meta"]["available_versions"].as_array().unwrap().last().unwrap();
    let oldest = oldest.as_str().unwrap();
    let asked = format!("{path}?toolkit_versions[github]={oldest}");
    assert_eq!(client.get(&asked).await.expect(200)["version"], oldest);
    client.get(&format!("{path}?toolkit_versions[github]=19990101_00")).await.expect_error(404);
}

#[tokio::test]
async fn a_toolkit_counts_its_trigger_types() {
    let app = TestApp::new().await;
    let client = app.client();
    let own = app.app.catalogs.server().toolkit("github").unwrap().triggers.len();
    let detail = client.get("/api/v3/toolkits/github").await.expect(200);
    assert_eq!(detail["meta"]["triggers_count"], own);
    let list = client.get("/api/v3/toolkits?limit=1000").await.expect(200);
    let listed = list["items"].as_array().unwrap().iter().find(|t| t["slug"] == "github").unwrap();
    assert_eq!(listed["meta"]["triggers_count"], own);
}

#[tokio::test]
async fn trigger_types_are_for_those_with_a_key() {
    let app = TestApp::new().await;
    let client = app.anonymous().header("x-api-key", "ak_wrong");
    for path in ["triggers_types", "triggers_types/list/enum", "triggers_types/GITHUB_COMMIT_EVENT"]
    {
        client.get(&format!("/api/v3/{path}")).await.expect_error(401);
    }
}
