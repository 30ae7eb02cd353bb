//! Checks of arguments: names, schemas, and whether they can stand where they go.

use std::collections::HashSet;

use serde_json::Value;

use super::check::MAX_SLUG;
use super::file::is_media_type;
use super::model::{
    BodyKind, Location, Map2, Param, ParamList, Request, Schema, SchemaType, Tool as Def,
};
use super::path::PathTemplate;
use super::render::is_token;
use super::schema::{anchored, type_name};
use super::{plan, style};

/// Headers that belong to the connection.
const CONNECTION: [&str; 8] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Checks the arguments of a tool.
pub(super) fn params(def: &Def, say: &mut impl FnMut(String)) {
    let mut seen: HashSet<&str> = def.params.0.iter().map(|(name, _)| name.as_str()).collect();
    for (name, param) in &def.params.0 {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-' || c == '.';
        if name.is_empty() || name.len() > MAX_SLUG || !name.chars().all(plain) {
            say(format!("`{name}` must be made of letters, digits, _, - and ."));
        }
        for alias in &param.aliases {
            if !seen.insert(alias) {
                say(format!("alias `{alias}` of `{name}` is another argument's name"));
            }
        }
        placement(name, param, say);
        schema(&param.schema, name, say);
        if let Some(request) = &def.request {
            placed(request, name, param, say);
        }
    }
}

fn placement(name: &str, param: &Param, say: &mut impl FnMut(String)) {
    if param.hidden && param.schema.default.is_none() {
        say(format!("`{name}` is hidden and so needs a default"));
    }
    if param.hidden && param.required {
        say(format!("`{name}` is hidden and so cannot be required"));
    }
    if param.at.as_ref().is_some_and(|at| !at.is_empty() && !at.starts_with('/')) {
        say(format!("`{name}`: `at` is a JSON pointer: it starts with a slash, or is empty"));
    }
    if param.schema.description.as_deref().is_none_or(|text| text.trim().is_empty()) {
        say(format!("`{name}` needs a description"));
    }
}

/// Checks properties.
pub(super) fn schemas(map: &Map2<Schema>, place: &str, say: &mut impl FnMut(String)) {
    for (name, inner) in &map.0 {
        schema(inner, &format!("{place}.{name}"), say);
    }
}

fn schema(schema: &Schema, name: &str, say: &mut impl FnMut(String)) {
    let array = schema.kind == SchemaType::Array;
    let may_be = |kind| schema.kind == kind || schema.also.contains(&kind);
    match &schema.items {
        None if array => say(format!("`{name}` is an array and needs `items`")),
        None => {}
        Some(_) if !may_be(SchemaType::Array) => {
            say(format!("`{name}` has `items` but is no array"));
        }
        Some(items) => self::schema(items, &format!("{name}[]"), say),
    }
    let file = schema.kind == SchemaType::File;
    if schema.also.contains(&SchemaType::File) || (file && !schema.also.is_empty()) {
        say(format!("`{name}`: a file cannot be something else instead"));
    }
    if file
        && (!schema.choices.is_empty() || !schema.examples.is_empty() || schema.default.is_some())
    {
        say(format!("`{name}`: a file has no enum, examples or default"));
    }
    if !file && schema.encoding.is_some() {
        say(format!("`{name}`: `encoding` goes with type file"));
    }
    let object = may_be(SchemaType::Object);
    if schema.kind == SchemaType::Object
        && schema.properties.0.is_empty()
        && schema.additional_properties != Some(true)
    {
        say(format!("`{name}` is an object and needs properties or additional_properties: true"));
    }
    if !object && (!schema.properties.0.is_empty() || schema.additional_properties.is_some()) {
        say(format!("`{name}` has properties but is no object"));
    }
    for required in &schema.required_properties {
        if !schema.properties.0.iter().any(|(known, _)| known == required) {
            say(format!("`{name}`: required property `{required}` is not declared"));
        }
    }
    for (key, values) in [("enum", &schema.choices), ("examples", &schema.examples)] {
        for value in values.iter().filter(|value| !suits(schema, value)) {
            say(format!("`{name}`: {key}: {value} is no {}", type_name(schema.kind)));
        }
    }
    if let Some(default) = &schema.default {
        let listed = schema.choices.is_empty() || schema.choices.contains(default);
        if !suits(schema, default) || !listed {
            say(format!("`{name}`: the default {default} does not fit the schema"));
        }
    }
    if let Some(pattern) = &schema.pattern
        && let Err(e) = pattern_error(pattern)
    {
        say(format!("`{name}`: {e}"));
    }
    schemas(&schema.properties, name, say);
}

fn suits(schema: &Schema, value: &Value) -> bool {
    fits(schema.kind, value) || schema.also.iter().any(|kind| fits(*kind, value))
}

/// Whether a value is of a type.
pub(super) fn fits(kind: SchemaType, value: &Value) -> bool {
    match kind {
        SchemaType::String => value.is_string(),
        SchemaType::Integer => value.is_i64() || value.is_u64(),
        SchemaType::Number => value.is_number(),
        SchemaType::Boolean => value.is_boolean(),
        SchemaType::Array => value.is_array(),
        SchemaType::Object | SchemaType::File => value.is_object(),
    }
}

/// Whether a pattern of a definition is a regular expression.
pub(super) fn pattern_error(pattern: &str) -> Result<(), String> {
    let schema = serde_json::json!({"type": "string", "pattern": anchored(pattern)});
    jsonschema::validator_for(&schema)
        .map(drop)
        .map_err(|_| format!("`{pattern}` is not a regular expression"))
}

/// Checks what stands in a request's place.
fn placed(request: &Request, name: &str, param: &Param, say: &mut impl FnMut(String)) {
    let place = plan::place(request, name, param);
    let wire = param.wire.as_deref().unwrap_or(name);
    if let Some(written) = param.style
        && !style::fits(written, place, request.body)
    {
        say(format!("`{name}`: style {written:?} cannot stand in {place:?}"));
    }
    if param.allow_reserved && place != Location::Query {
        say(format!("`{name}`: allow_reserved goes with arguments in the query"));
    }
    if param.at.is_some() && place != Location::Body {
        say(format!("`{name}`: `at` goes with arguments in the body"));
    }
    let header = place == Location::Header;
    if (header || place == Location::Cookie) && !is_token(wire) {
        say(format!("`{name}`: `{wire}` cannot be the name of a header or a cookie"));
    }
    if header && CONNECTION.iter().any(|own| own.eq_ignore_ascii_case(wire)) {
        say(format!("`{name}`: the header `{wire}` belongs to the connection"));
    }
    let slashes = format!("{{{wire}*}}");
    if place == Location::Path
        && request.path.contains(&slashes)
        && param.schema.kind != SchemaType::String
    {
        say(format!("`{name}`: only text can have slashes in a path"));
    }
}

/// Checks the body of the one request.
pub(super) fn request(def: &Def, say: &mut impl FnMut(String)) {
    let requests = def.request.iter().chain(def.steps.iter().map(|step| &step.request));
    for request in requests {
        let Some(kind) = &request.content_type else { continue };
        if !is_media_type(kind) {
            say(format!("content_type: {kind:?} is no media type"));
        }
        if matches!(request.body, BodyKind::Form | BodyKind::Multipart) || request.raw.is_some() {
            say("content_type goes with a json, text or binary body".into());
        }
    }
    let Some(request) = &def.request else { return };
    let body = || {
        def.params
            .0
            .iter()
            .filter(|(name, param)| plan::place(request, name, param) == Location::Body)
    };
    let single = matches!(request.body, BodyKind::Text | BodyKind::Binary);
    let templated = request.json.is_some() || request.graphql.is_some() || request.raw.is_some();
    if single && !templated && body().count() != 1 {
        say("a text or binary body is made of one argument".into());
    }
    let mut bound = HashSet::new();
    for placeholder in PathTemplate::placeholders(&request.path) {
        bound.extend(plan::bound(def, &placeholder).map(|(name, _)| name.as_str()));
    }
    for (name, param) in &def.params.0 {
        if plan::place(request, name, param) == Location::Path && !bound.contains(name.as_str()) {
            say(format!("`{name}` is to go in the path, where another argument has its place"));
        }
    }
}

/// Refuses files, for arguments that are not those of a call.
pub(super) fn no_files(params: &ParamList, say: &mut dyn FnMut(String)) {
    fn has(schema: &Schema) -> bool {
        schema.kind == SchemaType::File
            || schema.items.as_deref().is_some_and(has)
            || schema.properties.0.iter().any(|(_, inner)| has(inner))
    }
    for (name, _) in params.0.iter().filter(|(_, param)| has(&param.schema)) {
        say(format!("`{name}`: a file can be an argument of a tool only"));
    }
}
