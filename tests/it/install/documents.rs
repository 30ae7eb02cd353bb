//! Descriptions whose parts are in other documents, fetched or sent along.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{OriginalUri, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::support::TestApp;

/// What a host has: text, or the address that it redirects to.
#[derive(Clone)]
enum Page {
    Text(String),
    Moved(String),
}

/// A host, and what it was asked for.
struct Host {
    address: SocketAddr,
    pages: Arc<Mutex<BTreeMap<String, Page>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

type Shared = (Arc<Mutex<BTreeMap<String, Page>>>, Arc<Mutex<Vec<String>>>);

async fn answer(State((pages, asked)): State<Shared>, OriginalUri(uri): OriginalUri) -> Response {
    asked.lock().unwrap().push(uri.path().to_owned());
    // Each of these refers to the next one, without end.
    if let Some(number) = uri.path().strip_prefix("/endless/") {
        let next = number.trim_end_matches(".json").parse::<usize>().unwrap_or(0) + 1;
        return json!({"S": {"properties": {"a": {"$ref": format!("{next}.json#/S")}}}})
            .to_string()
            .into_response();
    }
    match pages.lock().unwrap().get(uri.path()).cloned() {
        Some(Page::Text(text)) => text.into_response(),
        Some(Page::Moved(to)) => (StatusCode::FOUND, [(header::LOCATION, to)]).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

impl Host {
    async fn start() -> Self {
        let (pages, asked) = (Arc::default(), Arc::default());
        let shared: Shared = (Arc::clone(&pages), Arc::clone(&asked));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(answer).with_state(shared);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, pages, asked }
    }

    fn has(&self, path: &str, page: impl Into<Page>) -> &Self {
        self.pages.lock().unwrap().insert(path.to_owned(), page.into());
        self
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn asked(&self) -> Vec<String> {
        let mut asked = std::mem::take(&mut *self.asked.lock().unwrap());
        asked.sort();
        asked
    }
}

impl From<Value> for Page {
    fn from(value: Value) -> Self {
        Self::Text(value.to_string())
    }
}

impl From<&str> for Page {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// A description with an operation for each schema.
fn description(schemas: &[&str]) -> Value {
    let paths: serde_json::Map<String, Value> = schemas
        .iter()
        .enumerate()
        .map(|(i, reference)| {
            let body = json!({"content": {"application/json": {"schema": {"$ref": reference}}}});
            let post = json!({"summary": format!("Do {i}"), "requestBody": body, "responses": {}});
            (format!("/do/{i}"), json!({"post": post}))
        })
        .collect();
    json!({"openapi": "3.0.3", "info": {"title": "Acme"}, "servers": [{"url": "https://api.acme.example"}],
        "paths": paths})
}

fn left_out(done: &Value) -> Vec<(String, String)> {
    let text = |one: &Value, key: &str| one[key].as_str().unwrap().to_owned();
    let list = done["report"]["left_out"].as_array().unwrap();
    list.iter().map(|one| (text(one, "what"), text(one, "why"))).collect()
}

#[tokio::test]
async fn what_a_description_refers_to_is_fetched_from_its_host() {
    let (app, host) = (TestApp::new().await, Host::start().await);
    host.has("/spec/openapi.json", description(&["schemas/a.yaml#/A", "/root.json"]))
        .has(
            "/spec/schemas/a.yaml",
            "A: {type: object, properties: {b: {$ref: '../b.yaml#/B'}}}\nZ: {$ref: z.yaml}",
        )
        .has("/spec/b.yaml", "B: {type: string, maxLength: 7}")
        .has("/root.json", json!({"type": "object", "properties": {"r": {"type": "integer"}}}));
    let body = json!({"url": host.url("/spec/openapi.json")});
    let done = app.client().post("/api/v3/toolkits/import", body).await.expect(200);
    assert_eq!((&done["tools"], left_out(&done)), (&json!(2), vec![]), "{done}");
    let tool = app.client().get("/api/v3/tools/ACME_DO_0").await.expect(200);
    assert_eq!(tool["input_parameters"]["properties"]["b"]["maxLength"], 7, "{tool}");
    // Each once, and what nothing leads to not at all.
    let all = ["/root.json", "/spec/b.yaml", "/spec/openapi.json", "/spec/schemas/a.yaml"];
    assert_eq!(host.asked(), all);
}

#[tokio::test]
async fn another_host_is_asked_only_when_it_is_named() {
    let (app, host, other) = (TestApp::new().await, Host::start().await, Host::start().await);
    let elsewhere = format!("{}#/A", other.url("/a.json"));
    host.has("/openapi.json", description(&[&elsewhere, "moved.json#/A", "near.json#/A"]))
        .has("/moved.json", Page::Moved(other.url("/a.json")))
        .has("/near.json", Page::Moved("/nearer.json".to_owned()))
        .has(
            "/nearer.json",
            json!({"A": {"type": "object", "properties": {"n": {"type": "string"}}}}),
        );
    other.has("/a.json", json!({"A": {"type": "object", "properties": {"o": {"type": "string"}}}}));
    let url = host.url("/openapi.json");
    let client = app.client();
    let import = |body: Value| client.post("/api/v3/toolkits/import", body);
    let done = import(json!({"url": url, "dry_run": true})).await.expect(200);
    let left = left_out(&done);
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(left.iter().all(|(_, why)| why.contains("not where the description is")), "{left:?}");
    assert_eq!(
        done["report"]["left_out"][0]["at"],
        "/paths/~1do~10/post/requestBody/content/application~1json/schema"
    );
    assert_eq!(other.asked(), Vec::<String>::new());
    let allow = ["127.0.0.1"];
    let done = import(json!({"url": url, "dry_run": true, "allow": allow})).await.expect(200);
    assert_eq!((&done["tools"], left_out(&done)), (&json!(3), vec![]));
    assert!(!other.asked().is_empty());
}

#[tokio::test]
async fn a_description_that_moved_is_read_with_what_lies_where_it_moved_to() {
    let (app, host, other) = (TestApp::new().await, Host::start().await, Host::start().await);
    host.has("/latest", Page::Moved(other.url("/v2/openapi.json")));
    other
        .has("/v2/openapi.json", description(&["a.json"]))
        .has("/v2/a.json", json!({"type": "object", "properties": {"n": {"type": "string"}}}));
    let body = json!({"url": host.url("/latest"), "dry_run": true});
    let done = app.client().post("/api/v3/toolkits/import", body).await.expect(200);
    assert_eq!((&done["tools"], left_out(&done)), (&json!(1), vec![]));
    assert_eq!(host.asked(), ["/latest"]);
}

#[tokio::test]
async fn documents_without_end_are_given_up() {
    let (app, host) = (TestApp::new().await, Host::start().await);
    let fine = "fine.json#/S";
    host.has("/openapi.json", description(&["endless/0.json#/S", fine])).has(
        "/fine.json",
        json!({"S": {"type": "object", "properties": {"n": {"type": "string"}}}}),
    );
    let body = json!({"url": host.url("/openapi.json"), "dry_run": true});
    let done = app.client().post("/api/v3/toolkits/import", body).await.expect(200);
    let left = left_out(&done);
    assert_eq!((&done["tools"], left.len()), (&json!(1), 1), "{left:?}");
    assert!(left[0].1.contains("in a row"), "{left:?}");
    assert!(host.asked().len() < 30);
    // Far more than anybody fetches, all at once.
    let many: Vec<String> = (0..700).map(|i| format!("many/{i}.json#/S")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    host.has("/many.json", description(&many));
    for i in 0..700 {
        let path = format!("/many/{i}.json");
        host.has(&path, json!({"S": {"type": "object", "properties": {"n": {"type": "string"}}}}));
    }
    let body = json!({"url": host.url("/many.json"), "dry_run": true});
    let done = app.client().post("/api/v3/toolkits/import", body).await.expect(200);
    assert_eq!((&done["tools"], left_out(&done).len()), (&json!(500), 200));
    assert_eq!(host.asked().len(), 501);
}

#[tokio::test]
async fn documents_are_sent_along_with_a_description() {
    let app = TestApp::new().await;
    let client = app.client();
    let document =
        description(&["schemas/a.yaml#/A", "schemas/missing.yaml", "file:///etc/passwd"]);
    let documents = json!({
        "schemas/a.yaml": "A: {type: object, properties: {b: {$ref: b.json}}}",
        "schemas/b.json": {"type": "string", "maxLength": 7},
    });
    let body = json!({"document": document, "file": "openapi.json", "documents": documents});
    let done = client.post("/api/v3/toolkits/import", body).await.expect(200);
    let left = left_out(&done);
    assert_eq!((&done["tools"], left.len()), (&json!(1), 2), "{left:?}");
    assert!(left.iter().all(|(_, why)| why.contains("not sent along")), "{left:?}");
    let tool = client.get("/api/v3/tools/ACME_DO_0").await.expect(200);
    assert_eq!(tool["input_parameters"]["properties"]["b"]["maxLength"], 7, "{tool}");
    for documents in [json!({"": "a"}), json!({"a": 7}), json!({"#/a": "a: 1"}), json!([])] {
        let body = json!({"document": document, "documents": documents});
        client.post("/api/v3/toolkits/import", body).await.expect(400);
    }
    // The guard holds for them as for everything.
    let document = description(&["http://169.254.169.254/a.json#/A"]);
    let body = json!({"document": document, "allow": ["169.254.169.254"]});
    client.post("/api/v3/toolkits/import", body).await.expect(422);
}
