//! Bodies of requests, made of the arguments or of templates.

use axum::body::Bytes;
use serde_json::{Map, Value, json};

use super::file::{self, Files};
use super::model::{BodyKind, Location, Param, Schema, SchemaType, Style};
use super::plan::{Body, Call};
use super::render::placed;
use super::style::{self, push, scalar};
use super::template::Names;
use super::{Scope, Tool};
use crate::domain::outbound::{OutboundBody, Part};

/// The type of a text that has none.
const TEXT: &str = "text/plain; charset=utf-8";
/// The type of bytes that have none.
const OCTETS: &str = "application/octet-stream";

/// The body of a request.
pub(super) fn made(
    tool: &Tool,
    call: &Call,
    names: &Names<'_>,
    scope: &Scope<'_>,
    files: &Files,
) -> Result<OutboundBody, String> {
    match &call.body {
        Body::Args(kind) => of_args(*kind, tool, call, scope, files),
        Body::Tree(kind, tree) => match tree.render(names, true)? {
            Value::Null => Ok(OutboundBody::Empty),
            value => Ok(encoded(*kind, value)),
        },
        Body::Raw { content_type, text, delimiters } => {
            let text = text.text(names)?.unwrap_or_default();
            if content_type == "application/json" {
                let value = serde_json::from_str(&text).map_err(|e| {
                    format!("the definition's body template made no valid JSON: {e}")
                })?;
                return Ok(OutboundBody::Json(value));
            }
            if delimiters.as_ref().is_some_and(|(mark, n)| text.matches(mark).count() != *n) {
                return Err("an argument has the text that separates the parts of the body".into());
            }
            let bytes = Bytes::from(text);
            Ok(OutboundBody::Raw { content_type: content_type.clone(), bytes })
        }
        Body::GraphQl { query, variables } => {
            let variables = variables.render(names, true)?;
            Ok(OutboundBody::Json(json!({"query": query, "variables": variables})))
        }
    }
}

fn of_args(
    kind: BodyKind,
    tool: &Tool,
    call: &Call,
    scope: &Scope<'_>,
    files: &Files,
) -> Result<OutboundBody, String> {
    let mut declared = call.placed.iter().filter(|(_, to)| *to == Location::Body).peekable();
    if declared.peek().is_none() {
        return Ok(OutboundBody::Empty);
    }
    let whole = |param: &Param| param.at.as_deref() == Some("");
    let only_whole =
        declared.all(|(i, _)| tool.def.params.0.get(*i).is_some_and(|(_, param)| whole(param)));
    let given: Vec<(&str, &Param, &Value)> = placed(tool, call, scope, Location::Body).collect();
    // A body that is one argument is not there without it; one that is made of several is empty.
    let single = only_whole || matches!(kind, BodyKind::Text | BodyKind::Binary);
    if single && given.is_empty() {
        return Ok(OutboundBody::Empty);
    }
    if let (BodyKind::Text | BodyKind::Binary, Some((_, param, value))) = (kind, given.first()) {
        return bytes(kind, call, param, value, files);
    }
    let mut root = Value::Object(Map::new());
    for (wire, param, value) in &given {
        let pointer = match &param.at {
            Some(pointer) => pointer.clone(),
            None => format!("/{}", wire.replace('~', "~0").replace('/', "~1")),
        };
        put_at(&mut root, &pointer, (*value).clone());
    }
    let Value::Object(fields) = &root else { return Ok(encoded(kind, root)) };
    match kind {
        BodyKind::Form => {
            let mut pairs = Vec::new();
            for (name, value) in fields {
                let style = field(&given, name).and_then(|(_, style)| style);
                let style = style.unwrap_or(style::usual(Location::Body));
                push(&mut pairs, name, value, style, style::Text::Plain);
            }
            Ok(OutboundBody::Form(pairs))
        }
        BodyKind::Multipart => {
            let mut parts = Vec::new();
            for (name, value) in fields {
                let (schema, style) = field(&given, name).unzip();
                push_part(&mut parts, name, value, schema.flatten(), style.flatten(), files)?;
            }
            Ok(OutboundBody::Multipart(parts))
        }
        _ => Ok(encoded(kind, root)),
    }
}

/// The schema and the style of a top-level field of the body, from the argument that fills it.
fn field<'a>(
    given: &[(&str, &'a Param, &Value)],
    name: &str,
) -> Option<(Option<&'a Schema>, Option<Style>)> {
    given.iter().find_map(|(wire, param, _)| match param.at.as_deref() {
        None => (*wire == name).then_some((Some(&param.schema), param.style)),
        Some("") => {
            let schema = param.schema.properties.0.iter().find(|(known, _)| known == name);
            let known = schema.is_some() || param.style.is_some();
            known.then(|| (schema.map(|(_, schema)| schema), param.style))
        }
        Some(pointer) => {
            let mut keys = pointer.split('/').skip(1);
            let first = keys.next()?.replace("~1", "/").replace("~0", "~");
            let leaf = keys.next().is_none();
            (first == name).then_some((leaf.then_some(&param.schema), param.style))
        }
    })
}

/// A body that is the text or the bytes of one argument.
fn bytes(
    kind: BodyKind,
    call: &Call,
    param: &Param,
    value: &Value,
    files: &Files,
) -> Result<OutboundBody, String> {
    let given = || call.content_type.clone();
    if param.schema.kind == SchemaType::File {
        let file = file::found(files, value)?;
        let content_type = given().unwrap_or_else(|| file::media_type(value, file));
        return Ok(OutboundBody::Raw { content_type, bytes: file.content.clone() });
    }
    let usual = if kind == BodyKind::Text { TEXT } else { OCTETS };
    let content_type = given().unwrap_or_else(|| usual.to_owned());
    Ok(OutboundBody::Raw { content_type, bytes: scalar(value).into() })
}

/// A value in the encoding of a body.
pub(super) fn encoded(kind: BodyKind, value: Value) -> OutboundBody {
    let raw = |value: &Value, content_type: &str| OutboundBody::Raw {
        content_type: content_type.to_owned(),
        bytes: scalar(value).into(),
    };
    let none = Map::new();
    let fields = value.as_object().unwrap_or(&none);
    match kind {
        BodyKind::Json => OutboundBody::Json(value),
        BodyKind::Form => {
            let mut pairs = Vec::new();
            for (name, value) in fields {
                push(&mut pairs, name, value, style::usual(Location::Body), style::Text::Plain);
            }
            OutboundBody::Form(pairs)
        }
        BodyKind::Multipart => {
            let mut parts = Vec::new();
            fields.iter().for_each(|(name, value)| push_plain(&mut parts, name, value));
            OutboundBody::Multipart(parts)
        }
        BodyKind::Text => raw(&value, TEXT),
        BodyKind::Binary => raw(&value, OCTETS),
    }
}

/// Appends the parts of one field.
fn push_part(
    parts: &mut Vec<Part>,
    name: &str,
    value: &Value,
    schema: Option<&Schema>,
    style: Option<Style>,
    files: &Files,
) -> Result<(), String> {
    if let Some(schema) = schema {
        if schema.kind == SchemaType::File && value.is_object() {
            parts.push(file_part(name, value, files)?);
            return Ok(());
        }
        let of_files = schema.items.as_ref().is_some_and(|items| items.kind == SchemaType::File);
        if let (true, Value::Array(items)) = (of_files, value) {
            let name = match style {
                Some(Style::Brackets | Style::Deep) => format!("{name}[]"),
                _ => name.to_owned(),
            };
            for item in items.iter().filter(|item| !item.is_null()) {
                parts.push(file_part(&name, item, files)?);
            }
            return Ok(());
        }
    }
    match style {
        None => push_plain(parts, name, value),
        Some(Style::Json) => push_json(parts, name, value),
        Some(style) => {
            let mut pairs = Vec::new();
            push(&mut pairs, name, value, style, style::Text::Plain);
            parts.extend(pairs.into_iter().map(|(name, value)| Part::text(name, value)));
        }
    }
    Ok(())
}

fn file_part(name: &str, value: &Value, files: &Files) -> Result<Part, String> {
    let file = file::found(files, value)?;
    Ok(Part {
        name: name.to_owned(),
        file_name: Some(file::file_name(value, file)),
        content_type: Some(file::media_type(value, file)),
        content: file.content.clone(),
    })
}

/// A part for each item of a list; objects as JSON.
fn push_plain(parts: &mut Vec<Part>, name: &str, value: &Value) {
    match value {
        Value::Null => {}
        Value::Array(items) => {
            for item in items {
                match item {
                    Value::Array(_) => push_json(parts, name, item),
                    item => push_plain(parts, name, item),
                }
            }
        }
        Value::Object(_) => push_json(parts, name, value),
        other => parts.push(Part::text(name.to_owned(), scalar(other))),
    }
}

fn push_json(parts: &mut Vec<Part>, name: &str, value: &Value) {
    if matches!(value, Value::Array(_) | Value::Object(_)) {
        let content_type = Some("application/json".to_owned());
        parts.push(Part { content_type, ..Part::text(name.to_owned(), value.to_string()) });
    } else {
        push_plain(parts, name, value);
    }
}

/// Puts a value at a JSON pointer, making the objects on the way; `0` makes a list. The empty
/// pointer is the whole.
fn put_at(root: &mut Value, pointer: &str, value: Value) {
    let mut slot = root;
    for raw in pointer.split('/').skip(1) {
        let key = raw.replace("~1", "/").replace("~0", "~");
        let index = key.parse::<usize>().ok().filter(|i| *i < 64);
        match index {
            Some(i) if slot.is_array() || slot.is_null() => {
                if slot.is_null() {
                    *slot = Value::Array(Vec::new());
                }
                let Value::Array(items) = slot else { return };
                while items.len() <= i {
                    items.push(Value::Null);
                }
                slot = &mut items[i];
            }
            _ => {
                if !slot.is_object() {
                    *slot = Value::Object(Map::new());
                }
                let Value::Object(fields) = slot else { return };
                slot = fields.entry(key).or_insert(Value::Null);
            }
        }
    }
    match (slot, value) {
        // Two arguments may fill one object.
        (Value::Object(held), Value::Object(more)) => held.extend(more),
        (slot, value) => *slot = value,
    }
}
