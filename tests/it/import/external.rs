//! Descriptions in several documents.

use patchbay::import::{Documents, import_with};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::mutated::{change, changes, survived_as, whole};
use super::{Imported, compiled, options};

const BASE: &str = "https://api.shop.io/spec/openapi.yaml";

/// Imports a description with documents by name; none: it cannot be had.
fn imported(root: Value, others: &[(&str, Option<Value>)]) -> Imported {
    let mut documents = Documents::of(Some(BASE), None);
    for (name, other) in others {
        let url = documents.address(name).unwrap();
        documents.add(&url, other.clone().ok_or_else(|| "it is not there".to_owned()));
    }
    assert_eq!(documents.wanted(&root), []);
    let (definition, report) = import_with(root, documents, &options(), &|_, _| {}).unwrap();
    let catalog = compiled(&definition).unwrap_or_else(|e| panic!("{e}"));
    Imported { definition, report, catalog }
}

fn left_out(shop: &Imported) -> Vec<(&str, &str, &str)> {
    let entries = shop.report.left_out.iter();
    entries.map(|l| (l.at.as_str(), l.what.as_str(), l.why.as_str())).collect()
}

#[test]
fn paths_parameters_and_bodies_of_other_documents_are_read_where_they_are() {
    let root = json!({
        "openapi": "3.0.3", "info": {"title": "Shop"}, "servers": [{"url": "https://api.shop.io"}],
        "paths": {
            "/things": {"$ref": "paths/things.yaml"},
            "/orders": {"post": {"summary": "Order", "requestBody": {"$ref": "bodies.yaml#/order"},
                "responses": {"200": {"$ref": "bodies.yaml#/answer"}}}},
        },
        "components": {"schemas": {"Name": {"type": "string", "maxLength": 9}}},
    });
    let things = json!({
        "parameters": [{"$ref": "../parameters.yaml#/limit"}],
        "get": {"summary": "List things", "responses": {}},
        "post": {"summary": "Create a thing", "responses": {}, "requestBody": {"content": {"application/json": {
            "schema": {"$ref": "#/x-thing"}}}}},
        "x-thing": {"type": "object", "properties": {
            "name": {"$ref": "../openapi.yaml#/components/schemas/Name"}, "parent": {"$ref": "#/x-thing"}}},
    });
    let shop = imported(
        root,
        &[
            ("paths/things.yaml", Some(things)),
            (
                "parameters.yaml",
                Some(
                    json!({"limit": {"name": "limit", "in": "query", "schema": {"type": "integer"}}}),
                ),
            ),
            (
                "bodies.yaml",
                Some(json!({
                    "order": {"content": {"application/json": {"schema": {"type": "object", "required": ["of"],
                        "properties": {"of": {"type": "string"}}}}}},
                    "answer": {"description": "", "content": {"application/json": {"schema": {"type": "object",
                        "properties": {"ok": {"type": "boolean"}}}}}},
                })),
            ),
        ],
    );
    assert!(left_out(&shop).is_empty(), "{:?}", shop.report);
    let (line, _) = shop.sent("SHOP_LIST_THINGS", json!({"limit": 3}));
    assert_eq!(line, "GET https://api.shop.io/things?limit=3");
    let (_, body) = shop.sent("SHOP_CREATE_A_THING", json!({"name": "a", "parent": {"name": "b"}}));
    assert_eq!(body, json!({"name": "a", "parent": {"name": "b"}}));
    assert_eq!(shop.param("SHOP_CREATE_A_THING", "name")["max_length"], 9);
    assert_eq!(shop.sent("SHOP_ORDER", json!({"of": "x"})).1, json!({"of": "x"}));
    let order = shop.definition.tools.iter().find(|t| t["slug"] == "SHOP_ORDER").unwrap();
    assert_eq!(order["response"]["schema"]["ok"]["type"], "boolean");
    // A place is told as whoever wrote it knows it.
    let places: Vec<&str> = shop.report.repaired.iter().map(|r| r.at.as_str()).collect();
    assert!(places.iter().all(|at| !at.contains("x-patchbay")), "{places:?}");
    assert!(places.iter().any(|at| at.starts_with("paths/things.yaml#/x-thing")), "{places:?}");
}

#[test]
fn swagger_in_several_documents_is_read_as_one() {
    let root = json!({
        "swagger": "2.0", "info": {"title": "Shop"}, "host": "api.shop.io",
        "paths": {"/things/{id}": {"$ref": "thing.json"}, "/others": {"get": {"summary": "List others",
            "parameters": [{"$ref": "thing.json#/x/limit"}],
            "responses": {"200": {"$ref": "thing.json#/x/answer"}}}}},
    });
    let thing = json!({
        "parameters": [{"name": "id", "in": "path", "required": true, "type": "string"}],
        "put": {"summary": "Put a thing", "parameters": [
            {"name": "thing", "in": "body", "schema": {"$ref": "#/x/Thing"}}], "responses": {}},
        "x": {
            "Thing": {"type": "object", "properties": {"name": {"type": "string"}}},
            "limit": {"name": "limit", "in": "query", "type": "array", "items": {"type": "integer"}, "collectionFormat": "multi"},
            "answer": {"description": "", "schema": {"$ref": "#/x/Thing"}},
        },
    });
    let shop = imported(root, &[("thing.json", Some(thing))]);
    assert!(left_out(&shop).is_empty(), "{:?}", shop.report);
    let (line, body) = shop.sent("SHOP_PUT_A_THING", json!({"id": "1", "name": "n"}));
    assert_eq!((line.as_str(), body), ("PUT https://api.shop.io/things/1", json!({"name": "n"})));
    let (line, _) = shop.sent("SHOP_LIST_OTHERS", json!({"limit": [1, 2]}));
    assert_eq!(line, "GET https://api.shop.io/others?limit=1&limit=2");
    let list = shop.definition.tools.iter().find(|t| t["slug"] == "SHOP_LIST_OTHERS").unwrap();
    assert_eq!(list["response"]["schema"]["name"]["type"], "string");
}

#[test]
fn what_is_not_there_leaves_out_the_operations_that_need_it_and_no_others() {
    let body = |schema: Value| json!({"content": {"application/json": {"schema": schema}}});
    let root = json!({
        "openapi": "3.1.0", "info": {"title": "Shop"}, "servers": [{"url": "https://api.shop.io"}],
        "paths": {
            "/a": {"$ref": "gone.yaml#/a"},
            "/b": {"post": {"summary": "B", "requestBody": body(json!({"$ref": "#/components/schemas/Outer"})), "responses": {}}},
            "/c": {"get": {"summary": "C", "parameters": [{"$ref": "gone.yaml#/p"}], "responses": {}}},
            "/d": {"get": {"summary": "D", "responses": {"200": {"$ref": "gone.yaml#/r"}}}},
            "/e": {"post": {"summary": "E", "requestBody": body(json!({"$ref": "#/components/schemas/Fine"})), "responses": {}}},
            "/f": {"get": {"summary": "F", "responses": {}}, "parameters": [{"$ref": "half.yaml#/nope"}]},
        },
        "components": {"schemas": {
            "Outer": {"type": "object", "properties": {"in": {"$ref": "#/components/schemas/Inner"}}},
            "Inner": {"type": "object", "properties": {"out": {"$ref": "#/components/schemas/Outer"}, "lost": {"$ref": "gone.yaml#/s"}}},
            "Fine": {"type": "object", "properties": {"x": {"type": "string"}}},
            "Unused": {"$ref": "never.yaml"},
        }},
    });
    let shop = imported(root, &[("gone.yaml", None), ("half.yaml", Some(json!({})))]);
    let tools: Vec<&str> =
        shop.definition.tools.iter().map(|t| t["slug"].as_str().unwrap()).collect();
    assert_eq!(tools, ["SHOP_D", "SHOP_E"]);
    assert_eq!(
        left_out(&shop),
        [
            ("/paths/~1a", "/a", "it needs gone.yaml#/a: it is not there"),
            (
                "/components/schemas/Inner/properties/lost",
                "POST /b",
                "it needs gone.yaml#/s: it is not there"
            ),
            ("/paths/~1c/get/parameters/0", "GET /c", "it needs gone.yaml#/p: it is not there"),
            (
                "/paths/~1f/parameters/0",
                "GET /f",
                "it needs half.yaml#/nope: the document has no such part"
            ),
        ]
    );
    assert_eq!((shop.report.operations, shop.report.tools), (6, 2));
}

#[test]
fn documents_that_refer_to_each_other_in_circles_end() {
    let root = json!({
        "openapi": "3.0.0", "info": {"title": "Shop"}, "servers": [{"url": "https://api.shop.io"}],
        "paths": {"/a": {"$ref": "one.yaml#/a"}, "/b": {"post": {"summary": "B", "responses": {},
            "requestBody": {"content": {"application/json": {"schema": {"$ref": "one.yaml#/S"}}}}}}},
    });
    let one = json!({"a": {"$ref": "two.yaml#/a"}, "S": {"type": "object", "properties": {
        "next": {"$ref": "two.yaml#/S"}, "name": {"type": "string"}}}});
    let two = json!({"a": {"$ref": "one.yaml#/a"}, "S": {"allOf": [{"$ref": "one.yaml#/S"}, {"$ref": "two.yaml#/S"}]}});
    let shop = imported(root, &[("one.yaml", Some(one)), ("two.yaml", Some(two))]);
    let (_, body) = shop.sent("SHOP_B", json!({"name": "x", "next": {"name": "y"}}));
    assert_eq!(body, json!({"name": "x", "next": {"name": "y"}}));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn anything_in_any_of_several_documents_is_survived(
        swagger in any::<bool>(),
        here in changes(),
        there in changes(),
    ) {
        let (mut root, mut other) = (whole(swagger), whole(swagger));
        let path = "/a/{id}/{n*}?x={y}";
        root["paths"]["/b"] = json!({"$ref": "other.json#/paths/~1a~1%7Bid%7D~1%7Bn*%7D?x=%7By%7D"});
        root["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"] =
            json!({"$ref": "other.json#/components/schemas/S"});
        other["components"]["schemas"]["S"]["properties"]["e"] = json!({"$ref": "openapi.yaml#/components/schemas/S"});
        change(&mut root, here);
        change(&mut other, there);
        let shown = format!("{root}\n{other}");
        let mut documents = Documents::of(Some(BASE), None);
        let mut other = Some(other);
        for _ in 0..5 {
            for url in documents.wanted(&root) {
                let found = other.take_if(|_| url.path().ends_with("/other.json"));
                documents.add(&url, found.ok_or_else(|| "it is not there".to_owned()));
            }
        }
        survived_as(import_with(root, documents, &options(), &|_, _| {}), &shown)?;
    }
}
