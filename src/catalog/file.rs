//! Files among the arguments: a caller uploads a file and hands its key in; a request carries its
//! bytes, as a part, as the body, or as text.

use std::collections::HashMap;

use axum::body::Bytes;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::{Map, Value};

use super::Tool;
use super::model::{BodyKind, FileEncoding, Location, Schema, SchemaType};
use super::plan::Body;

/// The content of uploaded files, by key.
pub type Files = HashMap<String, LoadedFile>;

/// An uploaded file.
#[derive(Debug, Clone)]
pub struct LoadedFile {
    /// The name that it was uploaded with.
    pub name: String,
    /// Its media type.
    pub mimetype: String,
    /// Its bytes.
    pub content: Bytes,
}

/// Calls `visit` with every file argument.
fn each(schema: &Schema, value: &mut Value, visit: &mut impl FnMut(&Schema, &mut Value)) {
    match value {
        Value::Object(_) if schema.kind == SchemaType::File => visit(schema, value),
        Value::Object(fields) => {
            for (name, inner) in &schema.properties.0 {
                if let Some(value) = fields.get_mut(name) {
                    each(inner, value, visit);
                }
            }
        }
        Value::Array(items) => {
            if let Some(inner) = &schema.items {
                items.iter_mut().for_each(|item| each(inner, item, visit));
            }
        }
        _ => {}
    }
}

fn has_files(schema: &Schema) -> bool {
    schema.kind == SchemaType::File
        || schema.items.as_deref().is_some_and(has_files)
        || schema.properties.0.iter().any(|(_, inner)| has_files(inner))
}

fn key(value: &Value) -> &str {
    value["s3key"].as_str().unwrap_or_default()
}

/// Keys of the files that checked arguments name, each once.
pub(super) fn keys(tool: &Tool, args: &Map<String, Value>) -> Vec<String> {
    let mut keys: Vec<String> = Vec::new();
    for (name, param) in tool.def.params.0.iter().filter(|(_, param)| has_files(&param.schema)) {
        let Some(mut value) = args.get(name).cloned() else { continue };
        each(&param.schema, &mut value, &mut |_, file| {
            let key = key(file).to_owned();
            if !keys.contains(&key) {
                keys.push(key);
            }
        });
    }
    keys
}

/// Puts the content of files where arguments carry it as text: in JSON, in forms, and for
/// templates, which see it as `data`.
pub(super) fn put(tool: &Tool, args: &mut Map<String, Value>, files: &Files) -> Result<(), String> {
    let mut missing = None;
    for (i, (name, param)) in tool.def.params.0.iter().enumerate() {
        let Some(value) = args.get_mut(name).filter(|_| has_files(&param.schema)) else { continue };
        let place = place(tool, i);
        // A file of its own, or a list of them, is sent as it is; deeper it is part of a JSON text.
        let of = |schema: &Schema| {
            schema.kind == SchemaType::File
                || schema.items.as_ref().is_some_and(|items| items.kind == SchemaType::File)
        };
        if place == Place::Bytes && of(&param.schema) {
            continue;
        }
        if place == Place::Bytes && param.at.as_deref() == Some("") {
            let deeper = param.schema.properties.0.iter().filter(|(_, inner)| !of(inner));
            for (name, inner) in deeper {
                if let Some(value) = value.get_mut(name) {
                    each(inner, value, &mut |schema, slot| {
                        fill(files, schema, slot, place, &mut missing)
                    });
                }
            }
            continue;
        }
        each(&param.schema, value, &mut |schema, slot| {
            fill(files, schema, slot, place, &mut missing);
        });
    }
    missing.map_or(Ok(()), Err)
}

/// Makes text of a file argument.
fn fill(
    files: &Files,
    schema: &Schema,
    slot: &mut Value,
    place: Place,
    missing: &mut Option<String>,
) {
    let text = match found(files, slot) {
        Ok(file) => text(schema, &file.content),
        Err(problem) => return *missing = Some(problem),
    };
    match (place, slot) {
        (Place::Template, Value::Object(fields)) => {
            fields.insert("data".to_owned(), text.into());
        }
        (_, slot) => *slot = text.into(),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Only templates see it.
    Template,
    /// Its bytes can be sent.
    Bytes,
    /// It has to be text.
    Text,
}

fn place(tool: &Tool, index: usize) -> Place {
    let call = tool.steps.first().map(|step| &step.call);
    let to = call.and_then(|call| call.placed.iter().find(|(i, _)| *i == index));
    match (to, call.map(|call| &call.body)) {
        (None | Some((_, Location::Arg)), _) => Place::Template,
        (
            Some((_, Location::Body)),
            Some(Body::Args(BodyKind::Multipart | BodyKind::Binary | BodyKind::Text)),
        ) => Place::Bytes,
        _ => Place::Text,
    }
}

fn text(schema: &Schema, content: &[u8]) -> String {
    match schema.encoding.unwrap_or_default() {
        FileEncoding::Base64 => STANDARD.encode(content),
        FileEncoding::Base64Url => URL_SAFE.encode(content),
    }
}

/// The content of a file argument.
pub(super) fn found<'a>(files: &'a Files, value: &Value) -> Result<&'a LoadedFile, String> {
    files.get(key(value)).ok_or_else(|| format!("there is no uploaded file `{}`", key(value)))
}

/// The name that a file is sent with: the argument's, else the upload's.
pub(super) fn file_name(value: &Value, file: &LoadedFile) -> String {
    let given = value["name"].as_str().unwrap_or_default();
    let name = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = name.chars().filter(|c| !c.is_control()).take(255).collect();
    if name.is_empty() { file.name.clone() } else { name }
}

/// The type that a file is sent with: the argument's, else the upload's.
pub(super) fn media_type(value: &Value, file: &LoadedFile) -> String {
    let given = value["mimetype"].as_str().unwrap_or_default().trim();
    [given, file.mimetype.as_str()]
        .into_iter()
        .find(|text| is_media_type(text))
        .unwrap_or("application/octet-stream")
        .to_owned()
}

/// `type/subtype`, perhaps with parameters, in characters that a header may have.
pub(super) fn is_media_type(text: &str) -> bool {
    let (kind, _) = text.split_once(';').unwrap_or((text, ""));
    let part = |part: &str| super::render::is_token(part.trim());
    text.len() <= 200
        && text.bytes().all(|b| (b' '..=b'~').contains(&b))
        && kind.split_once('/').is_some_and(|(a, b)| part(a) && part(b))
}
