//! Bad bodies at every operation that takes one.

use reqwest::Method;
use serde_json::{Value, json};

use super::world::World;
use crate::support::client::{TestClient, TestResponse};

/// Every documented operation that takes a JSON body: method, path, and its schema.
fn operations() -> Vec<(Method, String, Value)> {
    let spec = serde_json::from_str::<Value>(&patchbay::api::openapi()).unwrap();
    let mut found = Vec::new();
    for (path, item) in spec["paths"].as_object().unwrap() {
        for method in [Method::POST, Method::PATCH, Method::PUT] {
            let operation = &item[method.as_str().to_lowercase()];
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            if schema.is_object() {
                let schema = resolved(&spec, schema);
                found.push((method, path.clone(), schema));
            }
        }
    }
    assert!(found.len() > 20, "{}", found.len());
    found
}

fn resolved(spec: &Value, schema: &Value) -> Value {
    match schema["$ref"].as_str() {
        Some(pointer) => spec.pointer(pointer.trim_start_matches('#')).unwrap().clone(),
        None => schema.clone(),
    }
}

/// The path with ids that lead nowhere.
fn filled(path: &str) -> String {
    let mut out = String::new();
    for part in path.split('/').skip(1) {
        out.push('/');
        match part {
            "{tool_slug}" => out.push_str("HACKERNEWS_GET_USER"),
            part if part.starts_with('{') => out.push_str("nothing"),
            part => out.push_str(part),
        }
    }
    out
}

struct Both {
    project: TestClient,
    org: TestClient,
}

impl Both {
    fn of(world: &World) -> Self {
        Self { project: world.app.client(), org: world.app.org_client() }
    }

    async fn send(&self, method: &Method, path: &str, body: Vec<u8>) -> TestResponse {
        let client = if super::world::wants_org(path) { &self.org } else { &self.project };
        let request = client
            .request(method.clone(), path)
            .header("content-type", "application/json")
            .body(body);
        client.send(request).await
    }
}

#[tokio::test]
async fn no_operation_takes_a_body_that_is_not_a_json_object() {
    let world = World::new().await;
    let both = Both::of(&world);
    let deep = format!("{{\"a\":{}", "[".repeat(200_000));
    let deep_closed = format!("{{\"a\":{}{}}}", "[".repeat(5_000), "]".repeat(5_000));
    for (method, path, _) in operations() {
        let path = filled(&path);
        for (what, body) in [
            ("truncated", b"{\"a\": \"b".as_slice()),
            ("not JSON", b"hello"),
            ("a list", b"[1]"),
            ("a text", b"\"text\""),
            ("a number", b"5"),
            ("two documents", b"{}{}"),
            ("invalid UTF-8", b"{\"a\": \"\xff\xfe\"}"),
            ("a raw NUL", b"{\"a\": \"\0\"}"),
            ("a trailing comma", b"{\"a\": 1,}"),
            ("a lone surrogate", b"{\"a\": \"\\ud800\"}"),
            ("NaN", b"{\"a\": NaN}"),
            ("deep", deep.as_bytes()),
            ("deep and closed", deep_closed.as_bytes()),
        ] {
            let answer = both.send(&method, &path, body.to_vec()).await;
            // An unknown field is skipped without being read, whatever it holds and how deep.
            if ["a lone surrogate", "deep and closed"].contains(&what) {
                assert!(answer.status < 500, "{what} at {method} {path}: {}", answer.text);
                continue;
            }
            assert_eq!(answer.status, 400, "{what} at {method} {path}: {}", answer.text);
            answer.expect_error(400);
        }
    }
    world.client.get("/api/v3/auth/session/info").await.expect(200);
}

/// Values of every type; none is right for every property.
fn oddities() -> Vec<Value> {
    vec![
        Value::Null,
        json!(true),
        json!(-1),
        json!(1.5),
        json!(1e300),
        json!(u64::MAX),
        json!(""),
        json!("a\u{0}b"),
        json!("\u{202e}\u{feff}\u{10ffff}"),
        json!("x".repeat(100_000)),
        json!([]),
        json!([null, 1, "a", {}]),
        json!({}),
        json!({"a": {"b": [1, null]}}),
        json!({"a\u{0}b": "c\u{0}d", "": ""}),
    ]
}

#[tokio::test]
async fn wrong_types_never_break_an_operation() {
    let world = World::new().await;
    let account = world.connect("exa").await;
    let both = Both::of(&world);
    for (method, path, schema) in operations() {
        if path.ends_with("/regenerate_api_key") || path.ends_with("/api-keys") {
            continue;
        }
        let names: Vec<String> = schema["properties"]
            .as_object()
            .map(|p| p.keys().cloned().collect())
            .unwrap_or_default();
        let mut base = serde_json::Map::new();
        for (name, value) in [
            ("auth_config_id", json!(account.config)),
            ("connected_account_id", json!(account.account)),
            ("user_id", json!("u1")),
            ("auth_config", json!({"id": account.config})),
            ("toolkit", json!({"slug": "exa"})),
            ("endpoint", json!("/x")),
            ("method", json!("GET")),
            ("text", json!("x")),
            ("name", json!("a name")),
        ] {
            if names.iter().any(|n| n == name) {
                base.insert(name.to_owned(), value);
            }
        }
        if path.contains("/execute/{tool_slug}") && !path.ends_with("/input") {
            base.remove("text");
        }
        let id = if path.contains("auth_configs") { &account.config } else { &account.account };
        let path = filled(&path).replace("nothing", id);
        for name in names.iter().map(String::as_str).chain(["unknown_field"]) {
            for odd in oddities() {
                let mut body = base.clone();
                body.insert(name.to_owned(), odd.clone());
                let text = serde_json::to_vec(&body).unwrap();
                let answer = both.send(&method, &path, text).await;
                let shown: String = odd.to_string().chars().take(60).collect();
                let what = format!("{name} = {shown} at {method} {path}: {}", answer.text);
                assert!(answer.status < 500 || answer.status == 501, "{what}");
                if answer.status >= 400 {
                    answer.expect_error(answer.status);
                }
            }
        }
    }
    world.client.get("/api/v3/connected_accounts?limit=1").await.expect(200);
    world.client.get("/api/v3/auth_configs?limit=1").await.expect(200);
}

#[tokio::test]
async fn ten_megabytes_are_refused_by_every_operation() {
    let world = World::with(&[("PATCHBAY_MAX_BODY_BYTES", "1000000")]).await;
    let both = Both::of(&world);
    let body = format!("{{\"text\": \"{}\"}}", "x".repeat(10_000_000)).into_bytes();
    for (method, path, _) in operations() {
        // Descriptions of APIs may be large.
        if path.ends_with("/toolkits/import") {
            let larger = vec![b' '; 66 * 1024 * 1024];
            both.send(&method, &path, larger).await.expect_error(413);
            continue;
        }
        let answer = both.send(&method, &filled(&path), body.clone()).await;
        assert_eq!(answer.status, 413, "{method} {path}: {}", answer.text);
        answer.expect_error(413);
    }
    world.client.get("/api/v3/auth/session/info").await.expect(200);
}

#[tokio::test]
async fn a_key_that_comes_twice_is_never_read_in_two_ways() {
    let world = World::new().await;
    let text = br#"{"auth_config_id": "a", "auth_config_id": "b", "user_id": "u"}"#;
    let answer = world.client.post_raw("/api/v3/connected_accounts/link", text.to_vec()).await;
    assert!(answer.expect_error(400)["message"].as_str().unwrap().contains("duplicate"));
}

#[tokio::test]
async fn arguments_of_every_shape_are_checked() {
    let world = World::new().await;
    let account = world.connect("exa").await.account;
    for arguments in [
        json!({}),
        json!({"query": null}),
        json!({"query": 5}),
        json!({"query": {"a": 1}}),
        json!({"query": ["a"]}),
        json!({"query": "x", "numResults": "many"}),
        json!({"query": "x", "num_results": {}}),
        json!({"query": "x", "no_such_argument": 1}),
    ] {
        let answer = world.execute("EXA_SEARCH", &account, arguments.clone()).await;
        if answer.status == 200 {
            continue; // Some are taken leniently (unknown names, numbers as text).
        }
        let error = answer.expect_error(400);
        assert!(!error["errors"].as_array().unwrap().is_empty(), "{arguments}: {error}");
    }
    let body = json!({"connected_account_id": account, "arguments": "text"});
    world.client.post("/api/v3/tools/execute/EXA_SEARCH", body).await.expect_error(400);
    let missing = world.execute("EXA_SEARCH", &account, json!({})).await.expect_error(400);
    assert!(missing["errors"][0].as_str().unwrap().contains("query"), "{missing}");
    let both = json!({"arguments": {}, "text": "x"});
    world.client.post("/api/v3/tools/execute/EXA_SEARCH", both).await.expect_error(400);
}

#[tokio::test]
async fn endless_ids_are_unknown_and_do_not_fill_the_memory() {
    let world = World::new().await;
    for i in 0..5 {
        let long = format!("{i}{}", "x".repeat(100_000));
        let by_user = json!({"user_id": long, "arguments": {"query": "x"}});
        let error = world.client.post("/api/v3/tools/execute/EXA_SEARCH", by_user).await;
        assert_eq!(error.expect_error(400)["code"], 1803);
        assert!(error.text.len() < 2000, "the id is not repeated in full");
        let error = world.execute("EXA_SEARCH", &long, json!({"query": "x"})).await;
        error.expect_error(404);
        assert!(error.text.len() < 2000, "the id is not repeated in full");
    }
    let kept = format!("{:?}", world.app.app.cache);
    assert!(kept.contains("accounts: 0, usable: 0"), "{kept}");
    world.connect("exa").await;
    let by_user = json!({"user_id": "u1", "arguments": {"query": "x"}});
    world.client.post("/api/v3/tools/execute/EXA_SEARCH", by_user).await.expect(200);
}
