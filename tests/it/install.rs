//! Toolkits that are installed while the server runs.

use serde_json::{Value, json};

use crate::support::{TestApp, TestClient};

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
    let other = TestClient::new(app.address).header("x-api-key", &other.key);
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
