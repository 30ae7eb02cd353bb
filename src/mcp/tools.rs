//! Tools and results in the protocol's words.

use std::ops::Range;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rmcp::model::{CallToolResult, ContentBlock, Tool, ToolAnnotations};
use serde_json::{Map, Value, json};

use crate::catalog;
use crate::error::Error;
use crate::execute::ExecuteOutcome;
use crate::session::meta::Spec;
use crate::session::tools::Listed;

/// Tools on one page. Many clients never ask for a second one, so it is large.
const PAGE: usize = 250;

/// A page of a list.
pub(super) struct Page {
    /// Which of the list are on it.
    pub(super) range: Range<usize>,
    /// Where the next begins; none: nowhere.
    pub(super) next: Option<String>,
}

/// The page after a cursor; none when the cursor is none of ours. It names the last tool that was
/// shown, so that nothing is left out or shown twice when the list changes in between; its number
/// helps when that tool is gone.
pub(super) fn page(slugs: &[&str], cursor: Option<&str>) -> Option<Page> {
    let start = match cursor {
        None => 0,
        Some(cursor) => {
            let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
            let (number, last) = text.split_once(' ')?;
            let number: usize = number.parse().ok()?;
            slugs.iter().position(|slug| *slug == last).map_or(number, |at| at + 1)
        }
    };
    let start = start.min(slugs.len());
    let end = (start + PAGE).min(slugs.len());
    let next =
        (end < slugs.len()).then(|| URL_SAFE_NO_PAD.encode(format!("{end} {}", slugs[end - 1])));
    Some(Page { range: start..end, next })
}

/// A tool that is listed.
#[derive(Clone, Copy)]
pub(super) enum Shown<'a> {
    /// One of the server's own.
    Own(&'static Spec),
    /// One of the catalogue.
    App(&'a catalog::Entry),
}

impl<'a> From<Listed<'a>> for Shown<'a> {
    fn from(listed: Listed<'a>) -> Self {
        match listed {
            Listed::Meta(meta) => Self::Own(meta.spec()),
            Listed::App(_, tool) => Self::App(tool),
        }
    }
}

impl Shown<'_> {
    /// Its slug.
    pub(super) fn slug(&self) -> &str {
        match self {
            Self::Own(spec) => spec.slug,
            Self::App(tool) => tool.slug(),
        }
    }

    /// In the protocol's words; none when it cannot be shown.
    pub(super) fn tool(&self) -> Option<Tool> {
        Some(match self {
            Self::Own(spec) => {
                let text = Text { slug: spec.slug, name: spec.name, description: spec.description };
                shown(text, &spec.input, &envelope(&spec.output), spec.tags)
            }
            Self::App(tool) => {
                let text = Text {
                    slug: tool.slug(),
                    name: &tool.def.name,
                    description: tool.def.description.trim(),
                };
                let tags: Vec<&str> = tool.tags.iter().map(String::as_str).collect();
                let opened = tool.open().ok()?;
                shown(text, &opened.input_schema, &opened.output_schema, &tags)
            }
        })
    }
}

struct Text<'a> {
    slug: &'a str,
    name: &'a str,
    description: &'a str,
}

fn shown(text: Text<'_>, input: &Value, output: &Value, tags: &[&str]) -> Tool {
    let mut input = input.clone();
    nullable(&mut input);
    let mut tool =
        Tool::new(text.slug.to_owned(), text.description.to_owned(), Arc::new(object(input)))
            .with_title(text.name)
            .with_annotations(annotations(text.name, tags));
    tool.output_schema = Some(Arc::new(object(result_schema(output))));
    tool
}

fn object(schema: Value) -> Map<String, Value> {
    match schema {
        Value::Object(schema) => schema,
        _ => Map::from_iter([("type".to_owned(), "object".into())]),
    }
}

/// What the behaviour tags say. A hint that is not given has a default of its own for clients, and
/// the worst one (destructive, open world), so each is said.
fn annotations(title: &str, tags: &[&str]) -> ToolAnnotations {
    let has = |tag: &str| tags.contains(&tag);
    ToolAnnotations::with_title(title)
        .read_only(has("readOnlyHint"))
        .destructive(has("destructiveHint"))
        .idempotent(has("idempotentHint"))
        .open_world(has("openWorldHint"))
}

/// The schema of a meta tool's whole result.
fn envelope(data: &Value) -> Value {
    json!({
        "type": "object",
        "properties": {
            "data": data,
            "error": {"type": "string", "description": "What went wrong."},
            "successful": {"type": "boolean", "description": "Whether the call succeeded."},
        },
        "required": ["data", "successful"],
    })
}

/// The schema of results. Clients refuse a result that does not fit, and what a provider gives next
/// year is not in our hands: what is inside of `data` is therefore described, not promised.
fn result_schema(schema: &Value) -> Value {
    let mut schema = schema.clone();
    nullable(&mut schema);
    if let Some(data) = schema.pointer_mut("/properties/data") {
        loosen(data);
    }
    schema
}

fn loosen(schema: &mut Value) {
    let Some(map) = schema.as_object_mut() else { return };
    for word in [
        "required",
        "enum",
        "const",
        "format",
        "pattern",
        "minimum",
        "maximum",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "uniqueItems",
        "multipleOf",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "anyOf",
        "oneOf",
        "allOf",
        "not",
    ] {
        map.remove(word);
    }
    map.retain(|word, value| word != "additionalProperties" || value.is_object());
    for (word, value) in map.iter_mut() {
        match (word.as_str(), value) {
            ("properties", Value::Object(properties)) => {
                for property in properties.values_mut() {
                    loosen(property);
                    or_null(property);
                }
            }
            ("items" | "additionalProperties", inner) => {
                loosen(inner);
                or_null(inner);
            }
            _ => {}
        }
    }
}

/// Lets null in where a type is named.
fn or_null(schema: &mut Value) {
    let Some(kind) = schema.get_mut("type") else { return };
    match kind {
        // A number in one year is a text in the next; a container stays one.
        Value::String(name) if !matches!(name.as_str(), "object" | "array") => {
            *kind = json!(["string", "number", "boolean", "null"]);
        }
        Value::String(name) => *kind = json!([name, "null"]),
        Value::Array(kinds) if !kinds.contains(&json!("null")) => kinds.push("null".into()),
        _ => {}
    }
}

/// Says `nullable`, a word of OpenAPI, in the way of JSON Schema.
fn nullable(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            // A property may be called so; the word itself has a boolean.
            let word = map.get("nullable").and_then(Value::as_bool);
            if word.is_some() {
                map.shift_remove("nullable");
            }
            if word == Some(true)
                && let Some(kind) = map.get_mut("type")
                && let Value::String(name) = kind
            {
                *kind = json!([name, "null"]);
            }
            map.values_mut().for_each(nullable);
        }
        Value::Array(items) => items.iter_mut().for_each(nullable),
        _ => {}
    }
}

/// The result of a call that was made.
pub(super) fn result(outcome: ExecuteOutcome) -> CallToolResult {
    let ExecuteOutcome { data, error, successful, log_id } = outcome;
    let mut body = Map::new();
    body.insert("successful".to_owned(), successful.into());
    body.insert("data".to_owned(), data.into());
    if let Some(error) = error {
        body.insert("error".to_owned(), error.into());
    }
    if !log_id.is_empty() {
        body.insert("log_id".to_owned(), log_id.into());
    }
    whole(body, !successful)
}

/// The result of a call that the model can correct.
pub(super) fn mistake(error: &Error) -> CallToolResult {
    let mut text = error.message.to_string();
    if !error.errors.is_empty() {
        text.push_str(": ");
        text.push_str(&error.errors.join("; "));
    }
    if let Some(fix) = &error.suggested_fix {
        text.push_str(". ");
        text.push_str(fix);
    }
    let mut body = Map::new();
    body.insert("successful".to_owned(), false.into());
    body.insert("data".to_owned(), json!({}));
    body.insert("error".to_owned(), text.into());
    body.insert("slug".to_owned(), error.code.slug.into());
    whole(body, true)
}

/// Text for clients that know nothing else, and the same as structure.
fn whole(body: Map<String, Value>, failed: bool) -> CallToolResult {
    let body = Value::Object(body);
    let content = vec![ContentBlock::text(body.to_string())];
    let mut result =
        if failed { CallToolResult::error(content) } else { CallToolResult::success(content) };
    result.structured_content = Some(body);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_hold_every_tool_once() {
        let slugs: Vec<String> = (0..2 * PAGE + 7).map(|n| format!("T_{n}")).collect();
        let slugs: Vec<&str> = slugs.iter().map(String::as_str).collect();
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let page = page(&slugs, cursor.as_deref()).unwrap();
            seen.extend_from_slice(&slugs[page.range]);
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, slugs);
        // A tool that is gone from the shown part moves nothing.
        let next = page(&slugs, None).unwrap().next;
        let later = page(&slugs[1..], next.as_deref()).unwrap();
        assert_eq!(slugs[1..][later.range][0], format!("T_{PAGE}"));
        assert!(page(&slugs, Some("nope!")).is_none() && page(&slugs, Some("bm9wZQ")).is_none());
        assert!(
            page(&slugs, Some(&URL_SAFE_NO_PAD.encode("99999999 X"))).unwrap().range.is_empty()
        );
    }

    #[test]
    fn results_may_be_looser_than_described() {
        let schema = json!({"type": "object", "required": ["data"], "properties": {
            "data": {"type": "object", "required": ["id"], "additionalProperties": false,
                "properties": {
                    "id": {"type": "integer", "description": "Id.", "minimum": 1},
                    "required": {"type": "array", "items": {"type": "object", "required": ["a"],
                        "properties": {"a": {"type": "string", "enum": ["x"]}}}},
                }},
            "error": {"type": "string", "nullable": true}}});
        let schema = result_schema(&schema);
        let validator = jsonschema::validator_for(&schema).unwrap();
        assert!(validator.is_valid(&json!({"data": {"id": "7", "more": 1,
            "required": [{"a": 1}, {}, null]}, "error": null})));
        assert!(!validator.is_valid(&json!({"data": 7})));
        assert!(!validator.is_valid(&json!({})));
        assert_eq!(schema["properties"]["data"]["properties"]["id"]["description"], "Id.");
    }

    #[test]
    fn every_hint_is_said() {
        let hints = annotations("List", &["readOnlyHint", "openWorldHint", "mail"]);
        let hints = serde_json::to_value(hints).unwrap();
        assert_eq!(
            hints,
            json!({"title": "List", "readOnlyHint": true, "destructiveHint": false,
            "idempotentHint": false, "openWorldHint": true})
        );
    }
}
