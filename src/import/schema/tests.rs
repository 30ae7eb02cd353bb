use proptest::prelude::*;
use serde_json::json;

use super::*;

fn converted(schema: &Value, purpose: Use) -> Converted {
    let root = json!({"defs": schema.get("defs").cloned().unwrap_or_default()});
    let resolve = |reference: &str| {
        let found = root.pointer(reference.strip_prefix('#')?)?;
        // Only for as long as the test runs.
        Some(&*Box::leak(Box::new(found.clone())))
    };
    let schema: &'static Value = Box::leak(Box::new(schema.clone()));
    Converter::new(&resolve).convert(schema, "", purpose, Limits::LEVELS[0])
}

fn input(schema: Value) -> Value {
    converted(&schema, Use::Input).schema.into()
}

#[test]
fn types_of_31_become_one_type() {
    let schema = json!({"type": ["integer", "string", "null"], "description": "An id"});
    let expected =
        json!({"type": "integer", "also": ["string"], "nullable": true, "description": "An id"});
    assert_eq!(input(schema), expected);
    assert_eq!(
        input(json!({})),
        json!({"type": "string", "also": ["number", "boolean", "object", "array"]})
    );
    assert_eq!(input(json!({"const": 3})), json!({"type": "integer", "enum": [3]}));
}

#[test]
fn combinations_are_put_together() {
    let schema = json!({
        "defs": {"a": {"type": "object", "properties": {"x": {"type": "string"}}, "required": ["x"]}},
        "allOf": [{"$ref": "#/defs/a"}, {"properties": {"y": {"type": "integer"}}}],
    });
    let expected = json!({
        "type": "object",
        "properties": {"x": {"type": "string"}, "y": {"type": "integer"}},
        "required_properties": ["x"],
    });
    assert_eq!(input(schema), expected);
}

#[test]
fn alternatives_become_one_schema() {
    let schema = json!({"oneOf": [
        {"type": "object", "properties": {"kind": {"enum": ["a"]}, "x": {"type": "string"}}, "required": ["kind", "x"]},
        {"type": "object", "properties": {"kind": {"enum": ["b"]}, "y": {"type": "string"}}, "required": ["kind"]},
    ]});
    let expected = json!({
        "type": "object",
        "properties": {
            "kind": {"type": "string", "enum": ["a", "b"]},
            "x": {"type": "string"},
            "y": {"type": "string"},
        },
        "required_properties": ["kind"],
        "examples": [{"kind": "b"}],
    });
    let converted = converted(&schema, Use::Input);
    assert!(converted.alternatives);
    assert_eq!(Value::from(converted.schema), expected);
    let schema = json!({"anyOf": [{"type": "string", "enum": ["all"]}, {"type": "integer"}, {"type": "null"}]});
    assert_eq!(input(schema), json!({"type": "string", "also": ["integer"], "nullable": true}));
    let schema =
        json!({"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]});
    let expected = json!({"type": "array", "items": {"type": "string"}, "also": ["string"]});
    assert_eq!(input(schema), expected);
}

#[test]
fn alternatives_without_requirements_are_shown_by_what_only_one_has() {
    let schema = input(json!({"oneOf": [
        {"type": "object", "properties": {"name": {"type": "string"}}},
        {"type": "object", "properties": {"name": {"type": "string"}, "size": {"type": "integer"}}},
    ]}));
    assert_eq!(schema["examples"], json!([{"size": 1}]));
    let kind = |kind: &str| json!({"properties": {"kind": {"type": "string", "enum": [kind]}}});
    let schema = input(json!({"type": "object", "oneOf": [kind("on"), kind("off")]}));
    assert_eq!(schema["examples"], json!([{"kind": "on"}]));
}

#[test]
fn a_property_that_nothing_can_be_is_none() {
    let schema = input(json!({"properties": {"a": {"type": "string"}, "b": false}}));
    assert_eq!(schema["properties"].as_object().unwrap().keys().collect::<Vec<_>>(), ["a"]);
}

#[test]
fn examples_fit_or_are_no_examples() {
    let day = json!({"type": "string", "format": "date", "example": "2026-01-31T00:00:00.000Z"});
    assert_eq!(input(day)["examples"], json!(["2026-01-31"]));
    let list = |example: Value| {
        input(json!({"type": "array", "items": {"type": "integer"}, "example": example}))
    };
    assert_eq!(list(json!(["1", 2]))["examples"], json!([[1, 2]]));
    assert_eq!(list(json!(["id1"])).get("examples"), None);
    let none =
        json!({"type": "object", "nullable": true, "example": null, "properties": {"a": {}}});
    assert_eq!(input(none).get("examples"), None);
}

#[test]
fn what_contains_itself_ends() {
    let node = json!({"type": "object", "properties": {
        "left": {"$ref": "#/defs/node"}, "right": {"allOf": [{"$ref": "#/defs/node"}]},
    }});
    let schema = json!({"defs": {"node": node, "loop": {"$ref": "#/defs/loop"}, "both": {"oneOf": [{"$ref": "#/defs/both"}]}},
    "type": "object", "properties": {
        "tree": {"$ref": "#/defs/node"}, "loop": {"$ref": "#/defs/loop"}, "both": {"$ref": "#/defs/both"},
        "nothing": {"$ref": "#/defs/absent"},
    }});
    let converted = converted(&schema, Use::Input);
    assert!(converted.cut && size(&converted.schema) < 20_000);
    assert!(
        converted
            .repairs
            .iter()
            .any(|(at, what)| at.starts_with("/defs/node/") && what.contains("itself"))
    );
    assert!(converted.repairs.iter().any(|(_, what)| what.contains("nowhere")));
}

#[test]
fn arguments_have_nothing_that_is_read_only_and_answers_nothing_that_is_written() {
    let schema = json!({"type": "object", "properties": {
        "id": {"type": "string", "readOnly": true}, "password": {"type": "string", "writeOnly": true},
    }});
    assert!(input(schema.clone())["properties"].get("id").is_none());
    let output = Value::from(converted(&schema, Use::Output).schema);
    assert!(output["properties"].get("password").is_none());
}

#[test]
fn choices_beside_a_list_are_those_of_its_items() {
    let schema = json!({"type": "array", "items": {"type": "string"}, "enum": ["open", "sent"]});
    assert_eq!(input(schema)["items"], json!({"type": "string", "enum": ["open", "sent"]}));
    let schema = json!({"type": "array", "items": {"type": "string"}, "enum": [["open"], []]});
    assert_eq!(input(schema)["items"], json!({"type": "string"}));
}

#[test]
fn bounds_choices_and_patterns_are_kept_where_they_mean_something() {
    let schema = json!({"type": "integer", "minimum": 0, "exclusiveMinimum": true, "maximum": 10, "default": 5, "multipleOf": 5});
    let expected = json!({"type": "integer", "minimum": 1, "maximum": 10,
        "description": "A multiple of 5. Default: 5."});
    assert_eq!(input(schema), expected);
    let schema = json!({"enum": [null, "a", "b"]});
    assert_eq!(input(schema), json!({"type": "string", "nullable": true, "enum": ["a", "b"]}));
    let schema = json!({"type": "string", "enum": ["a", 1, null, "a"], "example": "a"});
    assert_eq!(input(schema), json!({"type": "string", "nullable": true, "enum": ["a", "1"]}));
    let schema = json!({"type": "string", "pattern": "[a-z]+"});
    assert_eq!(input(schema)["pattern"], "^[\\s\\S]*(?:[a-z]+)[\\s\\S]*$");
    assert_eq!(input(json!({"type": "string", "pattern": "^a$"}))["pattern"], "^a$");
    assert_eq!(input(json!({"type": "string", "pattern": "(["})), json!({"type": "string"}));
}

#[test]
fn files_are_files_where_a_body_can_carry_them() {
    let schema = json!({"type": "string", "format": "binary"});
    assert_eq!(
        Value::from(converted(&schema, Use::InputWithFiles).schema),
        json!({"type": "file"})
    );
    assert_eq!(input(schema)["type"], "string");
}

fn any_json() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "string", "object", "array", "integer", "null", "#/defs/a", "#/defs/b", "a", "file",
        "binary", "(",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 6, |inner| {
        let key = prop::sample::select(vec![
            "type",
            "properties",
            "items",
            "allOf",
            "oneOf",
            "anyOf",
            "$ref",
            "enum",
            "required",
            "default",
            "example",
            "examples",
            "minimum",
            "maximum",
            "minLength",
            "maxItems",
            "pattern",
            "format",
            "additionalProperties",
            "const",
            "nullable",
            "readOnly",
            "a",
            "b",
            "description",
            "exclusiveMinimum",
            "prefixItems",
            "not",
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..6).prop_map(|pairs| Value::Object(
                pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()
            )),
        ]
    })
}

/// Whether every value has a type, lists have items and objects have a shape.
fn is_sound(schema: &Value) -> bool {
    let kind = schema["type"].as_str().unwrap_or_default();
    let below = schema["properties"].as_object().into_iter().flat_map(Map::values);
    let listed = (kind == "array") == schema["items"].is_object();
    let shaped = kind != "object"
        || schema["properties"].as_object().is_some_and(|p| !p.is_empty())
        || schema["additional_properties"] == true;
    ["string", "integer", "number", "boolean", "array", "object", "file"].contains(&kind)
        && listed
        && shaped
        && below.chain(schema.get("items")).all(is_sound)
}

proptest! {
    #[test]
    fn no_schema_makes_it_panic_or_grow_without_end(a in any_json(), b in any_json(), top in any_json()) {
        let mut top = top;
        if let Some(fields) = top.as_object_mut() {
            fields.insert("defs".into(), json!({"a": a, "b": b}));
        }
        for purpose in [Use::Input, Use::InputWithFiles, Use::Output] {
            let converted = converted(&top, purpose);
            prop_assert!(is_sound(&converted.schema.clone().into()), "{:?}", converted.schema);
            prop_assert!(size(&converted.schema) < 20_000_000);
            let _ = example::of(&converted.schema, 0);
        }
    }
}
