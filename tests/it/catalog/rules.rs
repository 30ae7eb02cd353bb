//! What models' providers and the released SDKs take of a schema. The import benchmark uses it too.

use patchbay::catalog::Tool;
use serde_json::Value;

const TYPES: [&str; 6] = ["string", "integer", "number", "boolean", "array", "object"];
/// What may stand in a shown schema. Composition and references may not: models and SDKs differ
/// in what they make of them. Examples and other formats than `date-time` belong into descriptions: Gemini's
/// API refuses the whole request over them, and its providers send what they get.
/// The last two mark files, for the SDKs, which look for them.
const KEYWORDS: [&str; 21] = [
    "type",
    "title",
    "description",
    "default",
    "nullable",
    "format",
    "enum",
    "pattern",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "items",
    "properties",
    "required",
    "additionalProperties",
    "deprecated",
    "file_uploadable",
    "file_downloadable",
];

/// Walks a schema and calls `problem` for everything that some reader would refuse.
pub fn walk(schema: &Value, path: &str, problem: &mut impl FnMut(String)) {
    let Some(fields) = schema.as_object() else {
        return problem(format!("{path}: no object"));
    };
    for key in fields.keys().filter(|key| !KEYWORDS.contains(&key.as_str())) {
        problem(format!("{path}: keyword {key}"));
    }
    let kind = schema["type"].as_str().unwrap_or_default();
    if !TYPES.contains(&kind) {
        problem(format!("{path}: type {kind:?}"));
    }
    for (key, good) in [
        ("title", schema["title"].is_string()),
        ("description", schema["description"].as_str().is_some_and(|t| !t.trim().is_empty())),
        ("nullable", schema["nullable"].is_boolean()),
        ("format", schema["format"] == "date-time"),
        ("enum", schema["enum"].as_array().is_some_and(|list| !list.is_empty())),
        ("required", schema["required"].is_array()),
        ("additionalProperties", schema["additionalProperties"].is_boolean()),
        ("minimum", schema["minimum"].is_number()),
        ("maximum", schema["maximum"].is_number()),
    ] {
        if fields.contains_key(key) && !good {
            problem(format!("{path}: {key} is {}", fields[key]));
        }
    }
    match kind {
        "array" => match fields.get("items") {
            Some(items) => walk(items, &format!("{path}[]"), problem),
            None => problem(format!("{path}: an array without items")),
        },
        "object" => match schema["properties"].as_object() {
            Some(properties) => {
                for (name, inner) in properties {
                    walk(inner, &format!("{path}.{name}"), problem);
                }
                for name in schema["required"].as_array().into_iter().flatten() {
                    if !properties.contains_key(name.as_str().unwrap_or_default()) {
                        problem(format!("{path}: required {name} is not there"));
                    }
                }
            }
            None if path.is_empty() => problem("an object without properties".to_owned()),
            None => {}
        },
        _ => {}
    }
}

/// Objects of any shape that an agent sends have no `properties`: clients make a class of them, also
/// of none, and drop what it does not name.
pub fn open_objects(schema: &Value, path: &str, problem: &mut impl FnMut(String)) {
    let properties = schema["properties"].as_object();
    let closed = schema["additionalProperties"] == false;
    if !path.is_empty() && !closed && properties.is_some_and(serde_json::Map::is_empty) {
        problem(format!("{path}: empty properties of an object of any shape"));
    }
    for (name, inner) in properties.into_iter().flatten() {
        open_objects(inner, &format!("{path}.{name}"), problem);
    }
    if let Some(items) = schema.get("items") {
        open_objects(items, &format!("{path}[]"), problem);
    }
}

/// What the SDKs do for OpenAI's strict mode: every object closed, every property required.
pub fn strict(schema: &Value) -> Value {
    let mut out = schema.as_object().unwrap().clone();
    for key in ["default", "examples", "nullable", "title"] {
        out.remove(key);
    }
    if let Some(items) = out.get("items").map(strict) {
        out.insert("items".into(), items);
    }
    if let Some(properties) = out.get("properties").and_then(Value::as_object).cloned() {
        let names: Vec<Value> = properties.keys().map(|name| name.as_str().into()).collect();
        let closed = properties.iter().map(|(name, inner)| (name.clone(), strict(inner)));
        out.insert("properties".into(), Value::Object(closed.collect()));
        out.insert("required".into(), names.into());
        out.insert("additionalProperties".into(), false.into());
    }
    Value::Object(out)
}

pub fn depth(schema: &Value) -> usize {
    let inner = schema["properties"].as_object().into_iter().flat_map(|p| p.values());
    1 + inner.chain(schema.get("items")).map(depth).max().unwrap_or(0)
}

/// What is wrong with the schemas of a tool.
pub fn of_tool(tool: &Tool) -> Vec<String> {
    let mut problems = Vec::new();
    for (which, schema) in [("in", &tool.input_schema), ("out", &tool.output_schema)] {
        let mut say = |text| problems.push(format!("{} {which}{text}", tool.slug()));
        walk(schema, "", &mut say);
        if schema["type"] != "object" || !schema["properties"].is_object() {
            say(": no object at the top".into());
        }
        if !jsonschema::meta::is_valid(schema) {
            say(": no JSON Schema".into());
        }
    }
    let mut say = |text| problems.push(format!("{} in{text}", tool.slug()));
    open_objects(&tool.input_schema, "", &mut say);
    let closed = strict(&tool.input_schema);
    if !jsonschema::meta::is_valid(&closed) || depth(&closed) > 10 {
        problems.push(format!("{}: not convertible to strict", tool.slug()));
    }
    let names = tool.input_schema["properties"].as_object().unwrap().keys();
    for name in names {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
            problems.push(format!("{}: property {name}", tool.slug()));
        }
    }
    problems
}
