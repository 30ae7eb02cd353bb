//! Projects, their keys and settings.

use serde_json::{Value, json};

use crate::support::TestApp;
use crate::support::client::TestClient;

async fn create(client: &TestClient, name: &str) -> Value {
    let body = json!({"name": name, "should_create_api_key": true});
    client.post("/api/v3/org/owner/project/new", body).await.expect(200)
}

fn with_key(app: &TestApp, key: &Value) -> TestClient {
    app.anonymous().header("x-api-key", key.as_str().unwrap())
}

#[tokio::test]
async fn a_new_project_comes_with_a_key_that_works_at_once() {
    let app = TestApp::new().await;
    let project = create(&app.org_client(), "Second").await;
    let key = project["api_key"].as_str().unwrap();
    assert!(key.starts_with("ak_") && key.len() >= 27);
    let session = with_key(&app, &project["api_key"]).get("/api/v3.1/auth/session/info").await;
    let session = session.expect(200);
    assert_eq!(session["project"]["nano_id"], project["id"]);
    assert_eq!(session["project"]["name"], "Second");
    assert_eq!(session["project"]["org"]["name"], "Test organization");
    assert!(!session.to_string().contains(key));
    let client = app.org_client();
    let none = client.post("/api/v3/org/owner/project/new", json!({"name": "Third"}));
    assert_eq!(none.await.expect(200)["api_key"], Value::Null);
}

#[tokio::test]
async fn names_are_unique_and_sane() {
    let app = TestApp::new().await;
    let client = app.org_client();
    create(&client, "Twice").await;
    let long = "x".repeat(101);
    for name in ["Twice", " Twice ", "", "  ", "a\nb", long.as_str()] {
        let body = json!({"name": name});
        client.post("/api/v3/org/owner/project/new", body).await.expect_error(400);
    }
    client.post("/api/v3/org/owner/project/new", json!({})).await.expect_error(400);
    // The name of a deleted project is free again.
    let once = create(&client, "Once").await;
    let path = format!("/api/v3/org/owner/project/{}", once["id"].as_str().unwrap());
    assert_eq!(client.delete(&path).await.expect(200), json!({"status": "success"}));
    create(&client, "Once").await;
}

#[tokio::test]
async fn the_list_pages_under_the_key_data() {
    let app = TestApp::new().await;
    let client = app.org_client();
    for name in ["A", "B"] {
        create(&client, name).await;
    }
    let mut names = Vec::new();
    let mut path = "/api/v3/org/owner/project/list?limit=2".to_owned();
    loop {
        let page = client.get(&path).await.expect(200);
        assert_eq!((&page["total_items"], &page["total_pages"]), (&json!(3), &json!(2)));
        for project in page["data"].as_array().unwrap() {
            names.push(project["name"].as_str().unwrap().to_owned());
            assert_eq!(project["deleted"], false);
        }
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/api/v3/org/owner/project/list?cursor={cursor}");
    }
    assert_eq!(names, ["B", "A", "Test project"]);
    let alias = client.get("/api/v3/org/projects").await.expect(200);
    assert_eq!(alias["data"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn keys_are_masked_after_they_were_made() {
    let app = TestApp::new().await;
    let project = create(&app.org_client(), "Masked").await;
    let path = format!("/api/v3/org/owner/project/{}", project["id"].as_str().unwrap());
    let detail = app.org_client().get(&path).await.expect(200);
    let key = detail["api_keys"][0]["key"].as_str().unwrap();
    assert!(key.ends_with("...") && key.len() <= 10, "{key}");
    app.org_client().get("/api/v3/org/owner/project/pr_nothing").await.expect_error(404);
}

#[tokio::test]
async fn a_regenerated_key_replaces_the_old_one_on_every_replica() {
    let app = TestApp::new().await;
    let (replica, address) = app.replica(&[]).await;
    let project = create(&app.org_client(), "Rotating").await;
    let elsewhere =
        TestClient::new(address).header("x-api-key", project["api_key"].as_str().unwrap());
    let config = "/api/v3/org/project/config";
    elsewhere.get(config).await.expect(200);
    with_key(&app, &project["api_key"]).get(config).await.expect(200);
    let id = project["id"].as_str().unwrap();
    let path = format!("/api/v3/org/owner/project/{id}/regenerate_api_key");
    let renewed = app.org_client().post(&path, json!({})).await.expect(200);
    with_key(&app, &renewed["api_key"]["key"]).get(config).await.expect(200);
    with_key(&app, &project["api_key"]).get(config).await.expect_error(401);
    while elsewhere.get(config).await.status == 200 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    elsewhere.get(config).await.expect_error(401);
    replica.stop.cancel();
}

#[tokio::test]
async fn a_deleted_project_is_gone_with_its_keys() {
    let app = TestApp::new().await;
    let project = create(&app.org_client(), "Doomed").await;
    let path = format!("/api/v3.1/org/owner/project/{}", project["id"].as_str().unwrap());
    app.org_client().delete(&path).await.expect(200);
    with_key(&app, &project["api_key"]).get("/api/v3/org/project/config").await.expect_error(401);
    app.org_client().get(&path).await.expect_error(404);
    app.org_client().delete(&path).await.expect_error(404);
    let regenerate = format!("{path}/regenerate_api_key");
    app.org_client().post(&regenerate, json!({})).await.expect_error(404);
}

#[tokio::test]
async fn another_organization_sees_nothing() {
    let app = TestApp::new().await;
    // A second organization over the same database.
    use patchbay::db;
    use patchbay::domain::id::{ApiKeyId, OrgId};
    let org = OrgId::generate();
    db::project::insert_org(&app.app.db, &org, "Other").await.unwrap();
    let row = db::api_key::ApiKeyRow {
        hash: patchbay::vault::hash_token("oak_other"),
        id: ApiKeyId::generate(),
        org_id: org,
        project_id: None,
        name: "other".into(),
        hint: "oak_oth".into(),
        created_at: patchbay::domain::time::now(),
    };
    db::api_key::insert(&app.app.db, &row).await.unwrap();
    let other = app.anonymous().header("x-org-api-key", "oak_other");
    let path = format!("/api/v3/org/owner/project/{}", app.project.id);
    other.get(&path).await.expect_error(404);
    other.delete(&path).await.expect_error(404);
    other.post(&format!("{path}/regenerate_api_key"), json!({})).await.expect_error(404);
    assert_eq!(other.get("/api/v3/org/projects").await.expect(200)["total_items"], 0);
    app.client().get("/api/v3/org/project/config").await.expect(200);
}

#[tokio::test]
async fn settings_are_merged_checked_and_kept() {
    let app = TestApp::new().await;
    let client = app.client();
    let config = "/api/v3/org/project/config";
    let before = client.get(config).await.expect(200);
    assert_eq!(before["mask_secret_keys_in_connected_account"], true);
    let body = json!({"mask_secret_keys_in_connected_account": false, "display_name": "Shop"});
    client.patch(config, body).await.expect(200);
    let body = json!({"logo_url": "https://example.com/l.png", "display_name": null});
    client.patch("/api/v3.1/org/project/config", body).await.expect(200);
    let after = client.get(config).await.expect(200);
    assert_eq!(after["mask_secret_keys_in_connected_account"], false);
    assert_eq!(after["logo_url"], "https://example.com/l.png");
    assert_eq!(after.get("display_name"), None);
    for bad in [
        json!({"log_visibility_setting": "sometimes"}),
        json!({"logo_url": "javascript:alert(1)"}),
        json!({"logo_url": "https://user@example.com/"}),
        json!({"display_name": "x".repeat(201)}),
    ] {
        client.patch(config, bad).await.expect_error(400);
    }
    assert_eq!(client.get(config).await.expect(200), after);
}
