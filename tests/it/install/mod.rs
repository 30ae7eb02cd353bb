//! Toolkits that are installed while the server runs.

mod documents;
mod names;

use serde_json::{Value, json};

use crate::support::TestApp;
use crate::support::client::TestClient;

fn definition(texts: &[&str]) -> Value {
    let tools: Vec<Value> = texts
        .iter()
        .enumerate()
        .map(|(number, text)| {
            json!({
                "slug": format!("ACME_GET_{number}"), "name": format!("Get {number}"),
                "description": text, "hints": {"read_only": true}, "tags": ["important"],
                "params": {"id": {"type": "string", "required": true, "description": "Which one."}},
                "request": {"method": "GET", "path": "/things/{id}"},
            })
        })
        .collect();
    json!({
        "toolkit": {"spec": 1, "slug": "acme", "name": "Acme", "description": "Things of Acme.",
            "versions": ["20200101_00"], "base_url": "http://127.0.0.1:9", "auth": [{"scheme": "NO_AUTH"}]},
        "tools": tools,
    })
}

async fn import(client: &TestClient, document: &Value) -> Value {
    let body = json!({"document": document});
    client.post("/api/v3/toolkits/import", body).await.expect(200)
}

#[tokio::test]
async fn what_a_project_installs_is_its_own() {
    let app = TestApp::new().await;
    let client = app.client();
    let done = import(&client, &definition(&["Gets a zorblax."])).await;
    assert_eq!((&done["slug"], &done["tools"]), (&json!("acme"), &json!(1)), "{done}");
    let tool = client.get("/api/v3/tools/ACME_GET_0").await.expect(200);
    assert_eq!(tool["input_parameters"]["required"], json!(["id"]));
    let list = client.get("/api/v3/tools?toolkit_slug=acme").await.expect(200);
    assert_eq!(list["total_items"], 1);
    let found = client.get("/api/v3/tools?query=zorblax").await.expect(200);
    assert_eq!(found["items"][0]["slug"], "ACME_GET_0");
    let other = app.another_project().await;
    let other = app.client_of(&other);
    other.get("/api/v3/tools/ACME_GET_0").await.expect(404);
    other.get("/api/v3/toolkits/acme").await.expect(404);
    let list = other.get("/api/v3/tools?toolkit_slug=acme").await.expect(200);
    assert_eq!(list["total_items"], 0);
    let found = other.get("/api/v3/tools?query=zorblax").await.expect(200);
    assert!(!found.to_string().contains("ACME"), "{found}");
    let call = json!({"arguments": {"id": "1"}, "user_id": "ann"});
    other.post("/api/v3/tools/execute/ACME_GET_0", call).await.expect(404);
    other.delete("/api/v3.1/custom/toolkits/acme").await.expect(404);
    client.delete("/api/v3.1/custom/toolkits/acme").await.expect(200);
    client.get("/api/v3/tools/ACME_GET_0").await.expect(404);
}

#[tokio::test]
async fn every_version_stays_and_the_newest_is_meant() {
    let app = TestApp::new().await;
    let client = app.client();
    let first = import(&client, &definition(&["Old words."])).await;
    let again = import(&client, &definition(&["Old words."])).await;
    assert_eq!((&again["version"], &again["is_new"]), (&first["version"], &json!(false)));
    let second = import(&client, &definition(&["New words.", "One more."])).await;
    assert_eq!(second["changes"]["added"], json!(["ACME_GET_1"]), "{second}");
    assert_eq!(second["changes"]["changed"][0]["slug"], "ACME_GET_0");
    let newest = client.get("/api/v3/tools/ACME_GET_0").await.expect(200);
    assert_eq!(newest["description"], "New words.");
    assert_eq!(newest["available_versions"], json!([second["version"], first["version"]]));
    let old = first["version"].as_str().unwrap();
    let path = format!("/api/v3/tools/ACME_GET_0?version={old}");
    assert_eq!(client.get(&path).await.expect(200)["description"], "Old words.");
    let path = format!("/api/v3/tools/ACME_GET_1?version={old}");
    client.get(&path).await.expect(404);
    // Another server over the same database has it too.
    let (replica, client) = app.another_server().await;
    replica.shelf.sync().await.unwrap();
    let tool = client.get("/api/v3/tools/ACME_GET_1").await.expect(200);
    assert_eq!(tool["description"], "One more.");
}

#[tokio::test]
async fn a_tool_that_is_wrong_is_left_out_with_the_reason() {
    let app = TestApp::new().await;
    let mut document = definition(&["Good.", "Bad."]);
    document["tools"][1]["request"]["path"] = "/things/{nope}".into();
    let done = import(&app.client(), &document).await;
    assert_eq!(done["tools"], 1);
    let left = &done["report"]["left_out"][0];
    assert_eq!(left["what"], "ACME_GET_1");
    assert!(left["why"].as_str().unwrap().contains("nope"), "{left}");
}

#[tokio::test]
async fn bad_imports_are_refused_in_words() {
    let app = TestApp::new().await;
    let client = app.client();
    let post = |body: Value| client.post("/api/v3/toolkits/import", body);
    post(json!({})).await.expect(400);
    post(json!({"document": 7})).await.expect(400);
    post(json!({"url": "file:///etc/passwd"})).await.expect(400);
    post(json!({"document": "nothing"})).await.expect(422);
    post(json!({"url": "http://169.254.169.254/spec.json"})).await.expect(422);
}

#[tokio::test]
async fn what_the_operator_installs_is_everybodys_and_adds_to_a_built_in_toolkit() {
    let app = TestApp::new().await;
    let mut document = definition(&["Gets a zorblax.", "Shadows another."]);
    document["toolkit"]["slug"] = "github".into();
    document["toolkit"]["base_url"] = "https://uploads.github.com".into();
    document["tools"][0]["slug"] = "GITHUB_GET_A_ZORBLAX".into();
    document["tools"][0]["aliases"] = json!(["GITHUB_ZORBLAX", "GITHUB_CREATE_AN_ISSUE"]);
    document["tools"][1]["slug"] = "GITHUB_GET_A_REPOSITORY".into();
    document["tools"][1]["aliases"] = json!(["GITHUB_ONE_REPOSITORY"]);
    let client = app.client();
    let before = client.get("/api/v3/tools/GITHUB_GET_A_REPOSITORY").await.expect(200);
    let old = before["version"].as_str().unwrap();
    let done = import(&app.org_client(), &document).await;
    assert_eq!((&done["tools"], &done["slug"]), (&json!(1), &json!("github")), "{done}");
    let notes = done["report"]["notes"].to_string();
    assert!(notes.contains("1 operations have a tool written by hand"), "{notes}");
    // The new tool is there under both of its names, and the old one as it was, with one name more.
    for name in ["GITHUB_GET_A_ZORBLAX", "GITHUB_ZORBLAX"] {
        let tool = client.get(&format!("/api/v3/tools/{name}")).await.expect(200);
        assert_eq!(tool["description"], "Gets a zorblax.");
        assert_eq!(tool["version"], done["version"]);
    }
    for name in ["GITHUB_GET_A_REPOSITORY", "GITHUB_ONE_REPOSITORY"] {
        let tool = client.get(&format!("/api/v3/tools/{name}")).await.expect(200);
        assert_eq!(tool["description"], before["description"]);
    }
    let tool = client.get("/api/v3/tools/GITHUB_CREATE_AN_ISSUE").await.expect(200);
    assert_eq!(tool["slug"], "GITHUB_CREATE_AN_ISSUE");
    // Trigger types stay, and so does the version before; it does not know the new tool.
    client.get("/api/v3/triggers_types/GITHUB_COMMIT_EVENT").await.expect(200);
    let at = |tool: &str| format!("/api/v3/tools/{tool}?version={old}");
    client.get(&at("GITHUB_GET_A_REPOSITORY")).await.expect(200);
    client.get(&at("GITHUB_GET_A_ZORBLAX")).await.expect(404);
    // Credentials of the toolkit go to the host that the description added.
    let toolkit = app.app.catalogs.server().toolkit("github").unwrap().clone();
    let url = "https://uploads.github.com/x".parse().unwrap();
    assert!(toolkit.allows_host(&serde_json::Map::new(), &url));
    // A project cannot do that: its own toolkit stands in front of the built-in one, for itself.
    let own = import(&client, &document).await;
    assert!(own["report"]["notes"].to_string().contains("hides the built-in"), "{own}");
    let toolkit = client.get("/api/v3/toolkits/github").await.expect(200);
    assert_eq!(toolkit["auth_config_details"][0]["mode"], "NO_AUTH", "{toolkit}");
    app.org_client().delete("/api/v3.1/custom/toolkits/github").await.expect(200);
    client.delete("/api/v3.1/custom/toolkits/github").await.expect(200);
    client.get("/api/v3/tools/GITHUB_ONE_REPOSITORY").await.expect(404);
    client.get("/api/v3/tools/GITHUB_GET_A_REPOSITORY").await.expect(200);
}

#[tokio::test]
async fn a_changelog_says_what_each_version_changed() {
    let app = TestApp::new().await;
    let client = app.client();
    let first = import(&client, &definition(&["Old words."])).await;
    let second = import(&client, &definition(&["New words.", "One more."])).await;
    let changes = client.get("/api/v3/toolkits/changelog").await.expect(200);
    let items = changes["items"].as_array().unwrap();
    let acme = items.iter().find(|item| item["slug"] == "acme").unwrap();
    assert_eq!(
        acme["versions"],
        json!([
            {"version": second["version"], "changelog": "Added: ACME_GET_1. Changed: ACME_GET_0."},
            {"version": first["version"], "changelog": "The first version, with 1 tools."},
        ])
    );
    let versions = client.get("/api/v3/toolkits/installed/acme").await.expect(200);
    assert_eq!(versions["items"].as_array().unwrap().len(), 2);
    assert!(versions["items"][0]["report"].is_object(), "{versions}");
    let other = app.another_project().await;
    let other = app.client_of(&other);
    other.get("/api/v3/toolkits/installed/acme").await.expect(404);
    let changes = other.get("/api/v3/toolkits/changelog").await.expect(200);
    assert!(!changes.to_string().contains("ACME"));
}

#[tokio::test]
async fn whoever_listens_hears_how_far_an_import_is() {
    let app = TestApp::new().await;
    let client = app.client().header("accept", "application/x-ndjson");
    let lines = |body: Value| {
        let client = &client;
        async move {
            let request = client.request(axum::http::Method::POST, "/api/v3/toolkits/import");
            let answer = request.json(&body).send().await.unwrap();
            assert_eq!(answer.headers()["content-type"], "application/x-ndjson");
            let text = answer.text().await.unwrap();
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
        }
    };
    let good = lines(json!({"document": definition(&["Good."])})).await;
    assert_eq!(good.last().unwrap()["result"]["slug"], "acme", "{good:?}");
    assert!(good.iter().rev().skip(1).all(|line| line["stage"].is_string()), "{good:?}");
    let bad = lines(json!({"document": "nothing"})).await;
    let error = &bad.last().unwrap()["error"];
    assert_eq!((&error["status"], &error["slug"]), (&json!(422), &json!("Toolkit_ImportFailed")));
    assert!(!error["request_id"].as_str().unwrap().is_empty());
}

#[tokio::test]
async fn a_description_may_be_larger_than_other_bodies() {
    let app = TestApp::with(&[("PATCHBAY_MAX_BODY_BYTES", "20000")]).await;
    let client = app.client();
    let words = "Long. ".repeat(100);
    let texts: Vec<&str> = std::iter::repeat_n(words.as_str(), 60).collect();
    let done = import(&client, &definition(&texts)).await;
    assert_eq!(done["tools"], 60);
    // Everything else keeps its limit.
    let call = json!({"arguments": {"id": "x".repeat(30_000)}, "user_id": "ann"});
    client.post("/api/v3/tools/execute/ACME_GET_0", call).await.expect(413);
}
