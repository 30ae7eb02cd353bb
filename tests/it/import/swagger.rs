//! Swagger 2.0.

use serde_json::{Value, json};

use super::imported;

#[test]
fn swagger_is_imported_with_its_bodies_forms_and_lists() {
    let shop = imported(&json!({
        "swagger": "2.0",
        "info": {"title": "Shop", "version": "1"},
        "host": "api.shop.io",
        "basePath": "/v2",
        "schemes": ["http", "https"],
        "consumes": ["application/json"],
        "securityDefinitions": {"token": {"type": "apiKey", "in": "header", "name": "X-Token"}},
        "parameters": {"limit": {"name": "limit", "in": "query", "type": "integer", "maximum": 10}},
        "definitions": {"Thing": {"type": "object", "required": ["name"], "properties": {
            "name": {"type": "string"}, "parent": {"$ref": "#/definitions/Thing"}}}},
        "paths": {
            "/things": {
                "get": {"summary": "List things", "produces": ["application/json"], "parameters": [
                    {"$ref": "#/parameters/limit"},
                    {"name": "ids", "in": "query", "type": "array", "items": {"type": "integer"}},
                    {"name": "tags", "in": "query", "type": "array", "items": {"type": "string"}, "collectionFormat": "multi"},
                ], "responses": {"200": {"description": "", "schema": {"type": "array", "items": {"$ref": "#/definitions/Thing"}}}}},
                "post": {"summary": "Create a thing", "parameters": [
                    {"name": "thing", "in": "body", "required": true, "schema": {"$ref": "#/definitions/Thing"}},
                ], "responses": {"200": {"description": ""}}},
            },
            "/things/{id}/photo": {"post": {
                "summary": "Upload a photo", "consumes": ["multipart/form-data"], "parameters": [
                    {"name": "id", "in": "path", "required": true, "type": "string"},
                    {"name": "photo", "in": "formData", "type": "file", "required": true},
                    {"name": "title", "in": "formData", "type": "string"},
                ], "responses": {"200": {"description": ""}}}},
        },
    }));
    assert_eq!(shop.report.format, "Swagger 2.0");
    let (line, body) =
        shop.sent("SHOP_LIST_THINGS", json!({"limit": 5, "ids": [1, 2], "tags": ["a", "b"]}));
    assert_eq!(line, "GET https://api.shop.io/v2/things?limit=5&ids=1,2&tags=a&tags=b");
    assert_eq!(body, json!(null));
    let (line, body) =
        shop.sent("SHOP_CREATE_A_THING", json!({"name": "n", "parent": {"name": "p"}}));
    assert_eq!(line, "POST https://api.shop.io/v2/things");
    assert_eq!(body, json!({"name": "n", "parent": {"name": "p"}}));
    let file = json!({"name": "a.png", "mimetype": "image/png", "s3key": "k"});
    let (line, body) =
        shop.sent("SHOP_UPLOAD_A_PHOTO", json!({"id": 3, "photo": file, "title": "t"}));
    assert_eq!(line, "POST https://api.shop.io/v2/things/3/photo");
    assert_eq!(body, json!([["photo", "a.png", "\u{fffd}PNG"], ["title", "-", "t"]]));
    let injection = &shop.definition.toolkit["auth"][0]["inject"];
    assert_eq!(injection, &json!({"headers": {"X-Token": "{{ cred.api_key }}"}}));
}

#[test]
fn a_parameter_that_everything_refers_to_does_not_grow_with_what_refers_to_it() {
    let fields: serde_json::Map<String, Value> =
        (0..2_000).map(|i| (format!("field{i}"), json!({"type": "string"}))).collect();
    let kinds: Vec<String> = (0..2_000).map(|i| format!("application/x{i}+json")).collect();
    let paths: serde_json::Map<String, Value> = (0..3_000)
        .map(|i| {
            let post = json!({"operationId": format!("do{i}"), "parameters": [{"$ref": "#/parameters/big"}],
                "consumes": kinds[..i % 20], "responses": {}});
            (format!("/do/{i}"), json!({"post": post}))
        })
        .collect();
    let document = json!({
        "swagger": "2.0", "info": {"title": "Shop"}, "host": "api.shop.io", "produces": kinds, "paths": paths,
        "parameters": {"big": {"name": "b", "in": "body", "schema": {"type": "object", "properties": fields}}},
        "responses": {"r": {"description": "", "schema": {"type": "object", "properties": fields}}},
    });
    let before = peak();
    let (definition, _) =
        patchbay::import::import(document.to_string().as_bytes(), &super::options(), &|_, _| {})
            .unwrap();
    assert_eq!(definition.tools.len(), 3_000);
    // Two thousand fields three thousand times would be gigabytes.
    assert!(peak().saturating_sub(before) < 2_000_000, "{} KB", peak() - before);
}

/// The most memory that this process had, in KB; 0 where that is not known.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}
