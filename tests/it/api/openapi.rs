//! The server's own description.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::TestApp;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// `UPDATE_OPENAPI=1` writes the file anew.
#[test]
fn the_committed_description_is_current() {
    let path = root().join("openapi/server.json");
    let current = patchbay::api::openapi();
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(&path, &current).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == current,
        "openapi/server.json is out of date: run the tests once with UPDATE_OPENAPI=1"
    );
}

fn operations(api: &Value) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for (path, item) in api["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if operation.is_object() {
                found.push((format!("{method} {path}"), operation.clone()));
            }
        }
    }
    found
}

#[test]
fn every_operation_is_complete_and_stands_under_both_versions() {
    let api: Value = serde_json::from_str(&patchbay::api::openapi()).unwrap();
    let operations = operations(&api);
    let mut ids = Vec::new();
    for (name, operation) in &operations {
        let id = operation["operationId"].as_str().unwrap_or_else(|| panic!("{name} has no id"));
        ids.push(id.to_owned());
        let has_key = operation["security"] != serde_json::json!([{}]);
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.keys().any(|s| s.starts_with('2') || s.starts_with('3')), "{name}");
        if has_key && name.contains("/api/v3") {
            for status in ["400", "401", "429", "500", "503"] {
                assert!(responses.contains_key(status), "{name} does not document {status}");
            }
        }
        if let Some(twin) = name.strip_prefix("get /api/v3/") {
            let twin = format!("get /api/v3.1/{twin}");
            assert!(operations.iter().any(|(n, _)| *n == twin), "{twin} is missing");
        }
    }
    ids.sort();
    let before = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), before, "operation ids must differ");
}

fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
            map.values().for_each(|v| references(v, found));
        }
        Value::Array(list) => list.iter().for_each(|v| references(v, found)),
        _ => {}
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let api: Value = serde_json::from_str(&patchbay::api::openapi()).unwrap();
    let mut found = Vec::new();
    references(&api, &mut found);
    found.retain(|r| api.pointer(r.trim_start_matches('#')).is_none());
    assert!(found.is_empty(), "{found:?}");
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// Two schemas of one name would silently become one of them.
#[test]
fn schema_names_are_unique() {
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for part in text.split("ToSchema").skip(1) {
            let at = [part.find("struct "), part.find("enum ")].into_iter().flatten().min();
            let Some((attributes, rest)) = at.map(|at| part.split_at(at)) else { continue };
            // An import or a mention, not a derive.
            if !attributes.starts_with([')', ',']) || attributes.contains(';') {
                continue;
            }
            let name = match attributes.split_once("schema(as = ") {
                Some((_, name)) => name,
                None => rest.split_once(' ').unwrap().1,
            };
            let name: String = name.chars().take_while(|c| c.is_alphanumeric()).collect();
            names.entry(name).or_default().push(file.display().to_string());
        }
    }
    names.retain(|_, files| files.len() > 1);
    assert!(names.is_empty(), "{names:#?}");
}

#[tokio::test]
async fn the_description_and_its_page_are_served_without_a_key() {
    let app = TestApp::new().await;
    let api = app.anonymous().get("/openapi.json").await.expect(200);
    assert_eq!(api["info"]["title"], "Patchbay");
    let page = app.anonymous().get("/docs/").await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("swagger-ui"));
    let initializer = app.anonymous().get("/docs/swagger-initializer.js").await.text;
    assert!(initializer.contains("/openapi.json"), "{initializer}");
    for text in [&page.text, &initializer] {
        assert!(!text.contains("https://"), "the page loads something from elsewhere: {text}");
    }
}
