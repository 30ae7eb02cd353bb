//! Imported tools that are called otherwise in the next version, are obsolete, or need scopes.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{OriginalUri, State};
use axum::http::Method;
use serde_json::{Value, json};

use crate::support::TestApp;
use crate::support::client::TestClient;

/// A provider that notes what it is asked for.
async fn provider() -> (String, Arc<Mutex<Vec<String>>>) {
    async fn answer(
        State(asked): State<Arc<Mutex<Vec<String>>>>,
        method: Method,
        OriginalUri(uri): OriginalUri,
    ) -> axum::Json<Value> {
        asked.lock().unwrap().push(format!("{method} {uri}"));
        axum::Json(json!({"ok": true}))
    }
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let router = Router::new().fallback(answer).with_state(Arc::clone(&asked));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (format!("http://{address}"), asked)
}

/// A description whose operation on things has an id; `more` goes into it.
fn description(server: &str, id: &str, more: Value) -> Value {
    let mut get = json!({"operationId": id, "description": "All of the things.", "responses": {}, "parameters": [
        {"name": "limit", "in": "query", "schema": {"type": "integer"}}]});
    get.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"openapi": "3.0.3", "info": {"title": "Acme"}, "servers": [{"url": server}], "paths": {
        "/things": {"get": get},
        "/others": {"get": {"operationId": "listOthers", "responses": {}}},
    }})
}

async fn import(client: &TestClient, document: &Value, dry_run: bool) -> Value {
    // An address within a network would be each connection's own.
    let url = &document["servers"][0]["url"];
    let body = json!({"document": document, "base_url": url, "dry_run": dry_run});
    client.post("/api/v3/toolkits/import", body).await.expect(200)
}

#[tokio::test]
async fn an_operation_that_is_called_otherwise_is_executed_under_both_names() {
    let app = TestApp::new().await;
    let client = app.client();
    let (url, asked) = provider().await;
    let first = import(&client, &description(&url, "listThings", json!({})), false).await;
    let renamed = description(&url, "getAllThings", json!({}));
    // What would change is said before, and in the changelog after.
    let expected = json!([{"from": "ACME_LIST_THINGS", "to": "ACME_GET_ALL_THINGS"}]);
    let diff = import(&client, &renamed, true).await;
    assert_eq!(diff["changes"]["renamed"], expected, "{diff}");
    assert_eq!(
        diff["changes"]["counts"],
        json!({"added": 0, "removed": 0, "changed": 0, "renamed": 1})
    );
    let second = import(&client, &renamed, false).await;
    assert_eq!(second["changes"]["renamed"], expected);
    let changes = client.get("/api/v3/toolkits/changelog").await.expect(200);
    let items = changes["items"].as_array().unwrap();
    let acme = items.iter().find(|item| item["slug"] == "acme").unwrap();
    let words = &acme["versions"][0]["changelog"];
    assert_eq!(words, "Renamed: ACME_LIST_THINGS to ACME_GET_ALL_THINGS.");
    // The same once more is no new version, and a third name keeps the first two.
    let again = import(&client, &renamed, false).await;
    assert_eq!((&again["is_new"], &again["version"]), (&json!(false), &second["version"]));
    import(&client, &description(&url, "readThings", json!({})), false).await;
    let names = ["ACME_LIST_THINGS", "ACME_GET_ALL_THINGS", "ACME_READ_THINGS"];
    for (limit, name) in names.iter().enumerate() {
        let call = json!({"arguments": {"limit": limit}, "user_id": "ann"});
        let done = client.post(&format!("/api/v3/tools/execute/{name}"), call).await.expect(200);
        assert_eq!(done["successful"], true, "{done}");
        client.get(&format!("/api/v3/tools/{name}")).await.expect(200);
    }
    assert_eq!(
        *asked.lock().unwrap(),
        ["GET /things?limit=0", "GET /things?limit=1", "GET /things?limit=2"]
    );
    // Only the newest is listed.
    let list = client.get("/api/v3/tools?toolkit_slug=acme").await.expect(200);
    assert_eq!(list["total_items"], 2, "{list}");
    // Whoever pinned the first version has it as it was, also under a later name.
    let old = first["version"].as_str().unwrap();
    let call = json!({"arguments": {}, "user_id": "ann", "version": old});
    for name in names {
        let path = format!("/api/v3/tools/execute/{name}");
        assert_eq!(client.post(&path, call.clone()).await.expect(200)["successful"], true);
    }
}

#[tokio::test]
async fn a_name_that_another_operation_has_now_means_that_one() {
    let app = TestApp::new().await;
    let client = app.client();
    let (url, asked) = provider().await;
    import(&client, &description(&url, "listThings", json!({})), false).await;
    // The two operations exchange their names.
    let mut document = description(&url, "listOthers", json!({}));
    document["paths"]["/others"]["get"]["operationId"] = "listThings".into();
    let done = import(&client, &document, false).await;
    assert_eq!(done["changes"]["counts"]["renamed"], 0, "{done}");
    let call = json!({"arguments": {}, "user_id": "ann"});
    client.post("/api/v3/tools/execute/ACME_LIST_THINGS", call).await.expect(200);
    assert_eq!(*asked.lock().unwrap(), ["GET /others"]);
}

#[tokio::test]
async fn an_obsolete_operation_is_marked_and_executed_all_the_same() {
    let app = TestApp::new().await;
    let client = app.client();
    let (url, asked) = provider().await;
    let document = description(&url, "listThings", json!({"deprecated": true}));
    import(&client, &document, false).await;
    let tool = client.get("/api/v3/tools/ACME_LIST_THINGS").await.expect(200);
    assert_eq!(
        (&tool["is_deprecated"], &tool["deprecated"]["is_deprecated"]),
        (&json!(true), &json!(true))
    );
    let other = client.get("/api/v3/tools/ACME_LIST_OTHERS").await.expect(200);
    assert_eq!(other["is_deprecated"], false);
    let list = "/api/v3/tools?toolkit_slug=acme&include_deprecated";
    assert_eq!(client.get(&format!("{list}=true")).await.expect(200)["total_items"], 2);
    assert_eq!(client.get(&format!("{list}=false")).await.expect(200)["total_items"], 1);
    let call = json!({"arguments": {}, "user_id": "ann"});
    client.post("/api/v3/tools/execute/ACME_LIST_THINGS", call).await.expect(200);
    assert_eq!(*asked.lock().unwrap(), ["GET /things"]);
    // That it is so now is a change that the changelog has.
    let changed = import(&client, &description(&url, "listThings", json!({})), false).await;
    assert_eq!(changed["changes"]["changed"][0]["slug"], "ACME_LIST_THINGS");
}

#[tokio::test]
async fn scopes_of_imported_tools_are_those_of_the_description_and_of_the_version() {
    let app = TestApp::new().await;
    let client = app.client();
    let with = |security: Value| {
        let mut document =
            description("https://api.acme.example", "listThings", json!({"security": security}));
        let flow = json!({"authorizationUrl": "https://acme.example/authorize", "tokenUrl": "https://acme.example/token",
            "scopes": {"read": "Read", "write": "Write", "admin": "All"}});
        document["components"] = json!({"securitySchemes": {
            "o": {"type": "oauth2", "flows": {"authorizationCode": flow}},
            "k": {"type": "apiKey", "in": "header", "name": "X-Key"}}});
        document["security"] = json!([{"o": ["write"]}]);
        document
    };
    let first = import(
        &client,
        &with(json!([{"o": ["read", "write"]}, {"o": ["admin"]}, {"k": []}])),
        false,
    )
    .await;
    let tools = json!(["ACME_LIST_THINGS", "ACME_LIST_OTHERS"]);
    for path in ["/api/v3/tools/get_scopes_required", "/api/v3.1/tools/scopes/required"] {
        let answer = client.post(path, json!({"tools": tools})).await.expect(200);
        assert_eq!(answer["scopes_required"], json!(["read", "write"]), "{answer}");
        let needs = &answer["per_tool_requirements"];
        assert_eq!(
            needs[0]["scope_requirements"],
            json!({"all_of": [{"any_of": [{"all_of": ["read", "write"]}, "admin"]}]})
        );
        // What an operation does not say is said for all of them.
        assert_eq!(needs[1]["scope_requirements"], json!({"all_of": ["write"]}));
    }
    let tool = client.get("/api/v3/tools/ACME_LIST_THINGS").await.expect(200);
    assert_eq!(tool["scopes"], json!(["read", "write", "admin"]), "{tool}");
    // An operation that is open needs none, and the version before still needs its own.
    import(&client, &with(json!([])), false).await;
    let path = "/api/v3/tools/get_scopes_required";
    let one = json!(["ACME_LIST_THINGS"]);
    let answer = client.post(path, json!({"tools": one})).await.expect(200);
    assert_eq!(
        (&answer["scopes_required"], &answer["per_tool_requirements"][0]["scope_requirements"]),
        (&json!([]), &Value::Null)
    );
    let answer =
        client.post(path, json!({"tools": one, "version": first["version"]})).await.expect(200);
    assert_eq!(answer["scopes_required"], json!(["read", "write"]), "{answer}");
    client.post(path, json!({"tools": one, "version": "19990101_00"})).await.expect_error(404);
}
