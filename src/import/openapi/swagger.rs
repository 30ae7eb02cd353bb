//! Swagger 2.0 brought into the form of OpenAPI 3.0. What can stay where it is stays there, so that
//! places in reports are those of the document.

use std::cell::Cell;
use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::import::external::is_elsewhere;

const METHODS: [&str; 8] = ["get", "post", "put", "patch", "delete", "head", "options", "trace"];
/// Keys of a parameter that belong to its schema.
const SCHEMA_KEYS: [&str; 20] = [
    "type",
    "format",
    "items",
    "default",
    "enum",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minLength",
    "maxLength",
    "pattern",
    "minItems",
    "maxItems",
    "uniqueItems",
    "multipleOf",
    "x-nullable",
    "x-example",
    "example",
    "title",
];

/// Values that may be there several times, because many operations refer to one parameter or one schema is
/// sent in several ways.
const MOST_COPIED: usize = 2_000_000;

/// The document, and how many of its values may be copied.
struct Source<'a> {
    root: &'a Value,
    left: Cell<usize>,
}

impl Source<'_> {
    /// Whether there is room for another copy of a value.
    fn has_room(&self, value: &Value) -> bool {
        fn take(value: &Value, left: &mut usize) -> bool {
            let Some(less) = left.checked_sub(1) else { return false };
            *left = less;
            match value {
                Value::Array(items) => items.iter().all(|item| take(item, left)),
                Value::Object(fields) => fields.values().all(|item| take(item, left)),
                _ => true,
            }
        }
        let mut left = self.left.get();
        let fits = take(value, &mut left);
        self.left.set(left);
        fits
    }

    /// The media types of a body, each with the schema; of a schema that is too large for that, the first.
    fn media<'k>(&self, kinds: impl Iterator<Item = &'k str>, schema: &Value) -> Value {
        let mut media = Map::new();
        for kind in kinds {
            if !media.is_empty() && !self.has_room(schema) {
                break;
            }
            media.insert(kind.to_owned(), json!({"schema": schema}));
        }
        media.into()
    }
}

/// The document in the form of 3.0.
pub(super) fn convert(document: &Value) -> Value {
    let source = &Source { root: document, left: Cell::new(MOST_COPIED) };
    let mut out = document.as_object().cloned().unwrap_or_default();
    out.insert("servers".into(), servers(document));
    let consumes = list(document.get("consumes"));
    let produces = list(document.get("produces"));
    if let Some(Value::Object(definitions)) = out.get("securityDefinitions").cloned() {
        let schemes: Map<String, Value> =
            definitions.into_iter().map(|(name, scheme)| (name, security(scheme))).collect();
        out.insert("components".into(), json!({"securitySchemes": schemes}));
    }
    if let Some(Value::Object(responses)) = out.get_mut("responses") {
        responses.values_mut().for_each(|r| response(source, r, &produces));
    }
    let Some(Value::Object(mut paths)) = out.remove("paths") else { return out.into() };
    let mut elsewhere = BTreeSet::new();
    for item in paths.values_mut() {
        elsewhere.extend(external(document, item));
        path_item(source, item, &consumes, &produces);
    }
    out.insert("paths".into(), paths.into());
    let mut out = Value::Object(out);
    // What was in other documents is converted where it is, once.
    for pointer in &elsewhere {
        if let Some(item) = out.pointer_mut(pointer) {
            path_item(source, item, &consumes, &produces);
        }
    }
    let items = out["paths"].as_object().into_iter().flatten().map(|(_, item)| item);
    let items = items.chain(elsewhere.iter().filter_map(|pointer| out.pointer(pointer)));
    let operations = items.filter_map(Value::as_object).flatten().map(|(_, operation)| operation);
    let responses = operations.filter_map(|operation| operation.get("responses")?.as_object());
    let responses = responses.flatten().flat_map(|(_, r)| external(document, r));
    let responses: BTreeSet<String> = responses.collect();
    for pointer in &responses {
        if let Some(one) = out.pointer_mut(pointer) {
            response(source, one, &produces);
        }
    }
    out
}

/// Pointers to what a value refers to in other documents.
fn external(document: &Value, value: &Value) -> Vec<String> {
    let (mut value, mut pointers) = (value, Vec::new());
    for _ in 0..super::MOST_HOPS {
        let Some(reference) = value.get("$ref").and_then(Value::as_str) else { break };
        let Some(pointer) = reference.strip_prefix('#') else { break };
        let decoded = || percent_encoding::percent_decode_str(pointer).decode_utf8_lossy();
        let pointer = match document.pointer(pointer) {
            Some(_) => pointer.to_owned(),
            None => decoded().into_owned(),
        };
        let Some(target) = document.pointer(&pointer) else { break };
        if is_elsewhere(&pointer) {
            pointers.push(pointer);
        }
        value = target;
    }
    pointers
}

fn path_item(source: &Source<'_>, item: &mut Value, consumes: &[String], produces: &[String]) {
    let Value::Object(item) = item else { return };
    // A body that all operations of a path share is each one's own.
    let shared = parameters(source, item.get("parameters"));
    let (bodies, plain): (Vec<Value>, Vec<Value>) = shared.into_iter().partition(is_body);
    for (key, value) in item.iter_mut() {
        let lower = key.to_ascii_lowercase();
        if let (true, Value::Object(value)) = (METHODS.contains(&lower.as_str()), value) {
            let given = list(value.get("consumes"));
            let consumes = if given.is_empty() { consumes } else { &given };
            let given = list(value.get("produces"));
            let produces = if given.is_empty() { produces } else { &given };
            operation(source, value, &bodies, consumes, produces);
        }
    }
    if item.contains_key("parameters") {
        let plain: Vec<Value> = plain.into_iter().map(parameter).collect();
        item.insert("parameters".into(), plain.into());
    }
}

fn list(value: Option<&Value>) -> Vec<String> {
    let list = value.and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn servers(document: &Value) -> Value {
    let path = document["basePath"].as_str().unwrap_or("/");
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let Some(host) = document["host"].as_str().filter(|host| !host.is_empty()) else {
        return json!([{"url": path}]);
    };
    let schemes = list(document.get("schemes"));
    let scheme = match schemes.iter().any(|s| s == "https") || schemes.is_empty() {
        true => "https",
        false => "http",
    };
    json!([{"url": format!("{scheme}://{host}{path}")}])
}

fn security(scheme: Value) -> Value {
    let mut scheme = scheme;
    match scheme["type"].as_str() {
        Some("basic") => json!({"type": "http", "scheme": "basic"}),
        Some("oauth2") => {
            let name = match scheme["flow"].as_str().unwrap_or_default() {
                "application" => "clientCredentials",
                "accessCode" => "authorizationCode",
                "password" => "password",
                _ => "implicit",
            };
            let flow = json!({
                "authorizationUrl": scheme["authorizationUrl"].take(),
                "tokenUrl": scheme["tokenUrl"].take(),
                "scopes": scheme["scopes"].take(),
            });
            json!({"type": "oauth2", "flows": {name: flow}})
        }
        _ => scheme,
    }
}

/// A list of parameters with references followed.
fn parameters(source: &Source<'_>, value: Option<&Value>) -> Vec<Value> {
    let list = value.and_then(Value::as_array).into_iter().flatten();
    list.map(|parameter| {
        let target = parameter["$ref"].as_str().and_then(|r| super::find(source.root, r));
        target.filter(|target| source.has_room(target)).unwrap_or(parameter).clone()
    })
    .collect()
}

fn is_body(parameter: &Value) -> bool {
    matches!(parameter["in"].as_str(), Some("body" | "formData"))
}

fn operation(
    source: &Source<'_>,
    value: &mut Map<String, Value>,
    shared: &[Value],
    consumes: &[String],
    produces: &[String],
) {
    let own = parameters(source, value.get("parameters"));
    let (mut bodies, plain): (Vec<Value>, Vec<Value>) = own.into_iter().partition(is_body);
    let known = |p: &Value| (p["in"].clone(), p["name"].clone());
    for body in shared {
        let replaced = bodies
            .iter()
            .any(|own| known(own) == known(body) || (own["in"] == "body" && body["in"] == "body"));
        if !replaced {
            bodies.push(body.clone());
        }
    }
    let plain: Vec<Value> = plain.into_iter().map(parameter).collect();
    value.insert("parameters".into(), plain.into());
    if let Some(body) = body(source, bodies, consumes) {
        value.insert("requestBody".into(), body);
    }
    if let Some(Value::Object(responses)) = value.get_mut("responses") {
        responses.values_mut().for_each(|r| response(source, r, produces));
    }
}

fn body(source: &Source<'_>, parameters: Vec<Value>, consumes: &[String]) -> Option<Value> {
    if let Some(body) = parameters.iter().find(|p| p["in"] == "body") {
        let mut kinds: Vec<&str> = consumes.iter().map(String::as_str).collect();
        kinds.retain(|kind| !kind.contains("form"));
        if kinds.is_empty() {
            kinds.push("application/json");
        }
        let schema = body.get("schema").cloned().unwrap_or_else(|| json!({}));
        let media = source.media(kinds.into_iter(), &schema);
        return Some(json!({
            "description": body["description"],
            "required": body["required"] == true,
            "content": media,
        }));
    }
    if parameters.is_empty() {
        return None;
    }
    let files = parameters.iter().any(|p| p["type"] == "file" || p["items"]["type"] == "file");
    let multipart = files
        || !consumes.iter().any(|kind| kind.contains("urlencoded"))
            && consumes.iter().any(|kind| kind.contains("multipart"));
    let kind = if multipart { "multipart/form-data" } else { "application/x-www-form-urlencoded" };
    let (mut properties, mut required, mut encoding) = (Map::new(), Vec::new(), Map::new());
    for parameter in parameters {
        let Some(name) = parameter["name"].as_str().map(str::to_owned) else { continue };
        if parameter["required"] == true {
            required.push(Value::from(name.clone()));
        }
        let (style, explode) = style(&parameter, "form");
        if parameter["type"] == "array" {
            encoding.insert(name.clone(), json!({"style": style, "explode": explode}));
        }
        let mut schema = schema(&parameter);
        if let Value::Object(fields) = &mut schema
            && let Some(words) = parameter.get("description")
        {
            fields.insert("description".into(), words.clone());
        }
        properties.insert(name, schema);
    }
    let needed = !required.is_empty();
    let schema = json!({"type": "object", "properties": properties, "required": required});
    Some(json!({
        "required": needed,
        "content": {kind: {"schema": schema, "encoding": encoding}},
    }))
}

fn schema(parameter: &Value) -> Value {
    let fields = parameter.as_object().into_iter().flatten();
    let kept = fields.filter(|(key, _)| SCHEMA_KEYS.contains(&key.as_str()));
    Value::Object(kept.map(|(key, value)| (key.clone(), value.clone())).collect())
}

fn style(parameter: &Value, usual: &'static str) -> (&'static str, bool) {
    match parameter["collectionFormat"].as_str() {
        Some("multi") => (usual, true),
        Some("ssv") => ("spaceDelimited", false),
        Some("pipes") => ("pipeDelimited", false),
        _ => (usual, false),
    }
}

/// A parameter outside of the body.
fn parameter(parameter: Value) -> Value {
    let place = parameter["in"].as_str().unwrap_or_default().to_owned();
    if parameter.get("schema").is_some() || parameter.get("name").is_none() {
        return parameter;
    }
    let usual = if place == "query" { "form" } else { "simple" };
    let (style, explode) = style(&parameter, usual);
    let mut out = Map::new();
    for key in ["name", "in", "description", "required", "deprecated"] {
        if let Some(value) = parameter.get(key) {
            out.insert(key.into(), value.clone());
        }
    }
    out.insert("schema".into(), schema(&parameter));
    out.insert("style".into(), style.into());
    out.insert("explode".into(), explode.into());
    out.into()
}

fn response(source: &Source<'_>, response: &mut Value, produces: &[String]) {
    let Value::Object(fields) = response else { return };
    let Some(schema) = fields.remove("schema") else { return };
    let usual = ["application/json".to_owned()];
    let kinds = if produces.is_empty() { &usual[..] } else { produces };
    let media = source.media(kinds.iter().map(String::as_str), &schema);
    fields.insert("content".into(), media);
}
