//! JSON Schemas: the flat ones that models are shown, and the one that arguments are checked by.

use serde_json::{Map, Value, json};

use super::model::{ResponseRule, Schema, SchemaType, Tool};

/// Whom a schema is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    /// Models and SDKs: with titles, descriptions and `nullable`.
    Model,
    /// The same, for what they get: a file is one to download.
    Result,
    /// The validator: constraints only, `null` spelled as a type.
    Validator,
}

/// Schema of a tool's arguments.
pub(super) fn input(tool: &Tool, reader: Reader) -> Value {
    let shown = || tool.params.0.iter().filter(|(_, param)| !param.hidden);
    let properties: Map<String, Value> =
        shown().map(|(name, param)| (name.clone(), one(&param.schema, name, reader))).collect();
    let required: Vec<&str> =
        shown().filter(|(_, param)| param.required).map(|(name, _)| name.as_str()).collect();
    let mut schema = Map::new();
    schema.insert("type".into(), "object".into());
    if reader == Reader::Model {
        schema.insert("title".into(), format!("{}Request", camel(&tool.slug)).into());
    }
    schema.insert("properties".into(), properties.into());
    if !required.is_empty() {
        schema.insert("required".into(), required.into());
    }
    schema.into()
}

/// Schema of `{data, error, successful}`.
pub(super) fn output(tool: &Tool, rule: &ResponseRule) -> Value {
    let mut properties = Map::new();
    if rule.file {
        properties
            .insert("file".into(), file("File", "What the provider answered.", Reader::Result));
    }
    for (name, schema) in &rule.schema.0 {
        properties.insert(name.clone(), one(schema, name, Reader::Result));
    }
    if rule.next_link {
        properties.insert(
            "next_link".into(),
            json!({
                "type": "string",
                "title": "Next Link",
                "description": "URL of the next page; not there on the last one.",
                "nullable": true,
            }),
        );
    }
    json!({
        "type": "object",
        "title": format!("{}Response", camel(&tool.slug)),
        "properties": {
            "data": {
                "type": "object",
                "title": "Data",
                "description": "What the tool gives.",
                "properties": properties,
                "additionalProperties": true,
            },
            "error": {
                "type": "string",
                "title": "Error",
                "description": "What went wrong; null when the call succeeded.",
                "nullable": true,
                "default": null,
            },
            "successful": {
                "type": "boolean",
                "title": "Successful",
                "description": "Whether the call succeeded.",
            },
        },
        "required": ["data", "successful"],
    })
}

/// Schema of an object with these properties; those that are never null are always there.
pub(super) fn object(title: &str, fields: &[(String, Schema)]) -> Value {
    let properties: Map<String, Value> = fields
        .iter()
        .map(|(name, schema)| (name.clone(), one(schema, name, Reader::Result)))
        .collect();
    let required: Vec<&str> = fields
        .iter()
        .filter(|(_, schema)| !schema.nullable)
        .map(|(name, _)| name.as_str())
        .collect();
    json!({"type": "object", "title": title, "properties": properties, "required": required})
}

/// The format that every model provider knows.
const EVERYBODYS: &str = "date-time";

/// What a value is, in words. Examples and most formats are among them: Gemini's API refuses the whole
/// request over keywords that it does not know, and its providers send what they get.
fn description(schema: &Schema) -> Option<String> {
    let format = schema.format.as_deref().filter(|format| *format != EVERYBODYS);
    let format = format.map(|format| format!("Format: {format}."));
    let examples: Vec<String> = schema
        .examples
        .iter()
        .map(|example| example.as_str().map_or_else(|| example.to_string(), str::to_owned))
        .collect();
    let examples = (!examples.is_empty()).then(|| format!("For example: {}.", examples.join(", ")));
    let also: Vec<&str> = schema.also.iter().map(|kind| type_name(*kind)).collect();
    let also = (!also.is_empty()).then(|| format!("Also accepted: {}.", also.join(", ")));
    let mut text = schema.description.as_deref().unwrap_or_default().trim().to_owned();
    for more in [format, also, examples].into_iter().flatten() {
        if !text.is_empty() {
            text.push_str(if text.ends_with(['.', '!', '?', ':']) { " " } else { ". " });
        }
        text.push_str(&more);
    }
    (!text.is_empty()).then_some(text)
}

/// A file: one that the caller uploads before, or one to download. The marks are what SDKs look for.
fn file(title: &str, description: &str, reader: Reader) -> Value {
    let (mark, at, meaning) = match reader {
        Reader::Result => ("file_downloadable", "s3url", "Where it can be downloaded."),
        _ => ("file_uploadable", "s3key", "Key that the upload was given."),
    };
    let text = |title: &str, description: &str| match reader {
        Reader::Validator => json!({"type": "string"}),
        _ => json!({"type": "string", "title": title, "description": description}),
    };
    let mut out = Map::new();
    out.insert("type".into(), "object".into());
    if reader != Reader::Validator {
        out.insert("title".into(), title.into());
        if !description.is_empty() {
            out.insert("description".into(), description.into());
        }
        out.insert(mark.into(), true.into());
    }
    let properties = json!({
        "name": text("Name", "Name of the file."),
        "mimetype": text("Mimetype", "Media type of the file."),
        at: text(if at == "s3url" { "S3Url" } else { "S3Key" }, meaning),
    });
    out.insert("properties".into(), properties);
    out.insert("required".into(), json!(["name", "mimetype", at]));
    if reader != Reader::Validator {
        out.insert("additionalProperties".into(), false.into());
    }
    out.into()
}

fn one(schema: &Schema, name: &str, reader: Reader) -> Value {
    let model = reader != Reader::Validator;
    if schema.kind == SchemaType::File {
        let title = schema.title.clone().unwrap_or_else(|| title(name));
        let mut out = file(&title, &description(schema).unwrap_or_default(), reader);
        if schema.nullable {
            match model {
                true => out["nullable"] = true.into(),
                false => out["type"] = json!(["object", "null"]),
            }
        }
        return out;
    }
    let mut out = Map::new();
    out.insert("type".into(), kind(schema, model));
    if model {
        let title = schema.title.clone().unwrap_or_else(|| title(name));
        out.insert("title".into(), title.into());
        if let Some(text) = description(schema) {
            out.insert("description".into(), text.into());
        }
        if let Some(value) = &schema.default {
            out.insert("default".into(), value.clone());
        }
        if schema.nullable {
            out.insert("nullable".into(), true.into());
        }
        if let Some(format) = schema.format.as_deref().filter(|format| *format == EVERYBODYS) {
            out.insert("format".into(), format.into());
        }
    }
    if !schema.choices.is_empty() {
        let mut choices = schema.choices.clone();
        if schema.nullable && !model {
            choices.push(Value::Null);
        }
        if !model && !schema.also.is_empty() {
            // The choices are the first type's.
            out.insert("if".into(), json!({"type": type_name(schema.kind)}));
            out.insert("then".into(), json!({"enum": choices}));
        } else {
            out.insert("enum".into(), choices.into());
        }
    }
    if let Some(pattern) = &schema.pattern {
        out.insert("pattern".into(), anchored(pattern).into());
    }
    for (key, value) in [("minimum", schema.minimum), ("maximum", schema.maximum)] {
        if let Some(value) = value {
            out.insert(key.into(), number(value));
        }
    }
    for (key, value) in [
        ("minLength", schema.min_length),
        ("maxLength", schema.max_length),
        ("minItems", schema.min_items),
        ("maxItems", schema.max_items),
    ] {
        if let Some(value) = value {
            out.insert(key.into(), value.into());
        }
    }
    if let Some(items) = &schema.items
        && (schema.kind == SchemaType::Array || !model)
    {
        out.insert("items".into(), one(items, &singular(name), reader));
    }
    let object = schema.kind == SchemaType::Object || !schema.properties.0.is_empty();
    if object && (schema.kind == SchemaType::Object || !model) {
        let properties: Map<String, Value> = schema
            .properties
            .0
            .iter()
            .map(|(name, inner)| (name.clone(), one(inner, name, reader)))
            .collect();
        // Clients make a class of `properties`, also of none, and drop what it does not name: an
        // object of any shape must not have the keyword.
        if !properties.is_empty() || schema.additional_properties == Some(false) {
            out.insert("properties".into(), properties.into());
        }
        if !schema.required_properties.is_empty() {
            out.insert("required".into(), schema.required_properties.clone().into());
        }
        if let Some(more) = schema.additional_properties {
            out.insert("additionalProperties".into(), more.into());
        }
    }
    out.into()
}

fn kind(schema: &Schema, model: bool) -> Value {
    let name = type_name(schema.kind);
    if model || (!schema.nullable && schema.also.is_empty()) {
        return name.into();
    }
    let mut names: Vec<&str> =
        std::iter::once(&schema.kind).chain(&schema.also).map(|k| type_name(*k)).collect();
    if schema.nullable {
        names.push("null");
    }
    names.dedup();
    json!(names)
}

/// The JSON Schema name of a type.
pub(super) fn type_name(kind: SchemaType) -> &'static str {
    match kind {
        SchemaType::String => "string",
        SchemaType::Integer => "integer",
        SchemaType::Number => "number",
        SchemaType::Boolean => "boolean",
        SchemaType::Array => "array",
        SchemaType::Object | SchemaType::File => "object",
    }
}

/// JSON Schema patterns match anywhere; the ones of the format match the whole text.
pub(super) fn anchored(pattern: &str) -> String {
    let inner = pattern.strip_prefix('^').unwrap_or(pattern);
    let inner = match inner.strip_suffix('$') {
        Some(rest) if !rest.ends_with('\\') => rest,
        _ => inner,
    };
    if inner.contains('|') { format!("^(?:{inner})$") } else { format!("^{inner}$") }
}

fn number(value: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "whole and small")]
    if value.fract() == 0.0 && value.abs() < 9e15 {
        Value::from(value as i64)
    } else {
        Value::from(value)
    }
}

/// `issue_number` and `issueNumber` as `Issue Number`.
fn title(name: &str) -> String {
    let mut out = String::new();
    let mut start = true;
    let mut lower_before = false;
    for c in name.chars() {
        if !c.is_alphanumeric() {
            start = true;
            continue;
        }
        if (start || (c.is_uppercase() && lower_before)) && !out.is_empty() {
            out.push(' ');
        }
        if start {
            out.extend(c.to_uppercase())
        } else {
            out.push(c)
        }
        lower_before = c.is_lowercase() || c.is_numeric();
        start = false;
    }
    out
}

fn singular(name: &str) -> String {
    name.strip_suffix('s').filter(|rest| rest.len() > 1).unwrap_or(name).to_owned()
}

/// `GITHUB_CREATE_ISSUE` as `GithubCreateIssue`.
fn camel(slug: &str) -> String {
    slug.split('_')
        .map(|word| {
            let mut chars = word.chars();
            let head: String = chars.next().into_iter().collect();
            format!("{head}{}", chars.as_str().to_lowercase())
        })
        .collect()
}
