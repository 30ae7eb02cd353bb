//! Documents with anything anywhere: nothing panics, grows without end, or makes a tool that the
//! catalogue refuses.

use patchbay::import::{Definition, Failure, Report};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{compiled, import, options};

pub(super) fn whole(swagger: bool) -> Value {
    let schema = json!({"type": "object", "required": ["a"], "properties": {
        "a": {"type": "string", "enum": ["x", "y"], "default": "x"},
        "b": {"type": "array", "items": {"$ref": "#/components/schemas/S"}},
        "c": {"oneOf": [{"type": "string"}, {"type": "object", "properties": {"d": {"type": "integer", "minimum": 1}}}]},
    }});
    let mut document = json!({
        "info": {"title": "Shop", "description": "A shop"},
        "servers": [{"url": "https://{a}.shop.io/{b}", "variables": {"a": {"default": "x", "enum": ["x"]}, "b": {"default": "v1"}}}],
        "security": [{"k": []}, {"o": ["read"]}],
        "paths": {"/a/{id}/{n*}?x={y}": {
            "parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}],
            "post": {"summary": "Do it", "operationId": "doIt", "tags": ["t"], "parameters": [
                {"name": "q[]", "in": "query", "style": "deepObject", "explode": true, "schema": schema},
                {"name": "h", "in": "header", "type": "array", "items": {"type": "string"}, "schema": {"type": "array", "items": {"type": "string"}}},
                {"name": "f", "in": "body", "schema": schema, "required": true},
            ], "requestBody": {"required": true, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/S"}, "encoding": {"a": {"style": "form"}}}}},
            "responses": {"200": {"description": "", "content": {"application/json": {"schema": schema}}, "schema": schema, "headers": {"Link": {}}}}},
            "get": {"responses": {}},
        }},
        "components": {"schemas": {"S": schema}, "securitySchemes": {
            "k": {"type": "apiKey", "in": "header", "name": "X-Key"},
            "o": {"type": "oauth2", "flows": {"authorizationCode": {"authorizationUrl": "https://a.io/authorize", "tokenUrl": "https://a.io/token", "scopes": {"read": "r"}}}},
            "b": {"type": "http", "scheme": "basic"},
        }},
        "securityDefinitions": {"s": {"type": "oauth2", "flow": "accessCode", "authorizationUrl": "https://a.io/authorize", "tokenUrl": "https://a.io/token"}},
    });
    if swagger {
        document["swagger"] = "2.0".into();
    } else {
        document["openapi"] = "3.1.0".into();
    }
    document
}

/// Pointers to every value.
pub(super) fn places(value: &Value, at: String, out: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, inner)| {
            places(inner, format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), out);
        }),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, inner)| places(inner, format!("{at}/{i}"), out));
        }
        _ => {}
    }
    out.push(at);
}

pub(super) fn anything() -> impl Strategy<Value = Value> {
    let words = prop::sample::select(vec![
        "",
        "string",
        "object",
        "array",
        "#/components/schemas/S",
        "#/paths",
        "#",
        "$ref",
        "other.json#/components/schemas/S",
        "other.json#/paths/~1a~1{id}~1{n*}?x={y}",
        "other.json",
        "gone.json#/x",
        "path",
        "query",
        "header",
        "cookie",
        "body",
        "formData",
        "{",
        "}",
        "{{ x }}",
        "{a}",
        "/",
        "https://",
        "http://u:p@h",
        "//h",
        "\u{0}",
        "\u{202e}",
        "é ü",
        "a b",
        "binary",
        "file",
        "multipart/form-data",
        "text/xml",
        "*/*",
        "label",
        "matrix",
        "(",
        "^a|b$",
        "data",
        "important",
        "'",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        words.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 20, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((words.clone(), inner), 0..4).prop_map(|pairs| {
                Value::Object(pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
            }),
        ]
    })
}

/// A value at a place: instead of what is there, or beside its keys.
pub(super) type Replacement = (prop::sample::Index, Value, bool);

pub(super) fn changes() -> impl Strategy<Value = Vec<Replacement>> {
    prop::collection::vec((any::<prop::sample::Index>(), anything(), any::<bool>()), 1..5)
}

pub(super) fn change(document: &mut Value, changes: Vec<Replacement>) {
    for (place, value, wrap) in changes {
        let mut all = Vec::new();
        places(document, String::new(), &mut all);
        let Some(slot) = document.pointer_mut(place.get(&all).as_str()) else { continue };
        *slot = match (wrap, slot.take()) {
            (true, Value::Object(mut fields)) => {
                if let Value::Object(more) = value {
                    fields.extend(more);
                }
                Value::Object(fields)
            }
            _ => value,
        };
    }
}

/// Imports it: a refusal is fine; what is made is small, counted right, and compiles.
pub(super) fn survived(document: &[u8]) -> Result<bool, TestCaseError> {
    let made = import(document, &options(), &|_, _| {});
    survived_as(made, &String::from_utf8_lossy(document))
}

/// As [`survived`], of what was made of a document.
pub(super) fn survived_as(
    made: Result<(Definition, Report), Failure>,
    shown: &str,
) -> Result<bool, TestCaseError> {
    let Ok((definition, report)) = made else { return Ok(false) };
    prop_assert_eq!(report.tools, definition.tools.len());
    let size: usize = definition.tools.iter().map(|tool| tool.to_string().len()).sum();
    prop_assert!(size < 2_000_000);
    if let Err(problems) = compiled(&definition) {
        prop_assert!(false, "{}\n{}", problems, shown);
    }
    Ok(true)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn anything_anywhere_is_survived(
        swagger in any::<bool>(),
        changes in changes(),
    ) {
        let mut document = whole(swagger);
        change(&mut document, changes);
        survived(document.to_string().as_bytes())?;
    }
}

#[test]
fn large_and_circular_descriptions_end() {
    let parameters: Vec<Value> = (0..675)
        .map(|i| {
            let words = "x".repeat(600);
            json!({"name": format!("p{i}"), "in": "query", "description": words, "schema": {"type": "string"}})
        })
        .collect();
    let choices: Vec<String> = (0..20_000).map(|i| format!("choice {i}")).collect();
    let tree: Vec<Value> = (0..30)
        .map(|i| json!({"$ref": format!("#/components/schemas/T{}", (i * 7) % 30)}))
        .collect();
    let schemas: serde_json::Map<String, Value> = (0..30)
        .map(|i| {
            let inner: serde_json::Map<String, Value> =
                tree.iter().enumerate().map(|(k, v)| (format!("p{k}"), v.clone())).collect();
            (format!("T{i}"), json!({"type": "object", "properties": inner, "anyOf": tree, "allOf": [{"$ref": format!("#/components/schemas/T{}", (i + 1) % 30)}]}))
        })
        .collect();
    let document = json!({"openapi": "3.0.0", "info": {"title": "Big"}, "paths": {
        "/many": {"get": {"parameters": parameters}},
        "/choices": {"get": {"parameters": [{"name": "c", "in": "query", "schema": {"type": "string", "enum": choices}}]}},
        "/tree": {"post": {"requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/T0"}}}}}},
    }, "components": {"schemas": schemas}});
    let (definition, report) =
        import(document.to_string().as_bytes(), &options(), &|_, _| {}).unwrap();
    assert_eq!(definition.tools.len(), 3);
    for tool in &definition.tools {
        assert!(tool.to_string().len() < 200_000, "{}", tool["slug"]);
    }
    assert!(report.counts.repaired > 0);
    compiled(&definition).unwrap();
}
