//! Every schema of the catalogue is one that OpenAI, Gemini, Anthropic and the released SDKs take.

use patchbay::session::meta::Meta;
use serde_json::Value;

use super::built_in;

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
fn walk(schema: &Value, path: &str, problem: &mut impl FnMut(String)) {
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
fn open_objects(schema: &Value, path: &str, problem: &mut impl FnMut(String)) {
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
fn strict(schema: &Value) -> Value {
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

fn depth(schema: &Value) -> usize {
    let inner = schema["properties"].as_object().into_iter().flat_map(|p| p.values());
    1 + inner.chain(schema.get("items")).map(depth).max().unwrap_or(0)
}

#[test]
fn schemas_suit_every_reader() {
    let catalog = built_in();
    let mut problems = Vec::new();
    for tool in catalog.toolkits().iter().flat_map(|toolkit| &toolkit.tools) {
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
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn schemas_of_trigger_types_suit_every_reader_too() {
    let catalog = built_in();
    let mut problems = Vec::new();
    for trigger in catalog.toolkits().iter().flat_map(|toolkit| &toolkit.triggers) {
        for (which, schema) in
            [("config", &trigger.config_schema), ("payload", &trigger.payload_schema)]
        {
            let mut say = |text| problems.push(format!("{} {which}{text}", trigger.slug()));
            walk(schema, "", &mut say);
            open_objects(schema, "", &mut say);
            if !jsonschema::meta::is_valid(schema) {
                say(": no JSON Schema".into());
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn schemas_of_the_meta_tools_suit_every_reader_too() {
    let mut problems = Vec::new();
    for meta in Meta::ALL {
        let spec = meta.spec();
        for (which, schema) in [("in", &spec.input), ("out", &spec.output)] {
            walk(schema, "", &mut |text| problems.push(format!("{} {which}{text}", spec.slug)));
            if schema["type"] != "object" || !jsonschema::meta::is_valid(schema) {
                problems.push(format!("{} {which}: no JSON Schema of type object", spec.slug));
            }
        }
        let mut say = |text| problems.push(format!("{} in{text}", spec.slug));
        open_objects(&spec.input, "", &mut say);
        let closed = strict(&spec.input);
        if !jsonschema::meta::is_valid(&closed) || depth(&closed) > 10 {
            problems.push(format!("{}: not convertible to strict", spec.slug));
        }
        let plain = spec.slug.chars().all(|c| c.is_ascii_uppercase() || c == '_');
        if !plain || spec.slug.len() > 64 || spec.description.chars().count() > 1024 {
            problems.push(format!("{}: slug or description", spec.slug));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn names_are_ones_that_models_may_call() {
    let catalog = built_in();
    for tool in catalog.toolkits().iter().flat_map(|toolkit| &toolkit.tools) {
        // An alias may be longer: callers that know it send it, no model is shown it.
        for name in std::iter::once(&tool.def.slug).chain(&tool.def.aliases) {
            let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
            let most = if *name == tool.def.slug { 64 } else { 200 };
            assert!(plain && !name.is_empty() && name.len() <= most, "{name}");
        }
        assert!(tool.def.description.chars().count() <= 1024, "{}", tool.slug());
    }
}

#[test]
fn outputs_have_data_error_and_successful() {
    let catalog = built_in();
    for tool in catalog.toolkits().iter().flat_map(|toolkit| &toolkit.tools) {
        let properties = &tool.output_schema["properties"];
        assert_eq!(properties["data"]["type"], "object", "{}", tool.slug());
        assert_eq!(properties["error"]["nullable"], true);
        assert_eq!(properties["successful"]["type"], "boolean");
    }
}

#[test]
fn hints_are_tags() {
    let catalog = built_in();
    let (_, create) = catalog.tool("GITHUB_CREATE_AN_ISSUE").unwrap();
    assert!(create.tags.iter().any(|tag| tag == "createHint"));
    assert!(create.tags.iter().any(|tag| tag == "openWorldHint"));
    let (_, read) = catalog.tool("HACKERNEWS_GET_USER").unwrap();
    assert!(read.tags.iter().any(|tag| tag == "readOnlyHint"));
    let (_, pdf) = catalog.tool("TEXT_TO_PDF_CONVERT_TEXT_TO_PDF").unwrap();
    assert!(pdf.tags.iter().all(|tag| tag != "openWorldHint"));
    for toolkit in catalog.toolkits() {
        for tool in &toolkit.tools {
            let hints = &tool.def.hints;
            assert!(!(hints.read_only && (hints.create || hints.destructive)), "{}", tool.slug());
        }
        let any = toolkit.tools.iter().any(|t| t.def.tags.iter().any(|tag| tag == "important"));
        assert!(any || toolkit.tools.is_empty(), "{} has no default set", toolkit.slug());
    }
}
