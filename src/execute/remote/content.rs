//! What a tool of an MCP server gives, as data.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::execute::response;

/// Files of one answer.
const MOST_FILES: usize = 50;

/// An answer, understood.
pub(super) struct Told {
    /// Everything but the files.
    pub data: Map<String, Value>,
    /// The parts of text, joined.
    pub text: Option<String>,
    /// Images, sounds and what else is no text.
    pub files: Vec<File>,
}

/// A file among the parts.
pub(super) struct File {
    pub name: String,
    pub mimetype: String,
    pub content: Vec<u8>,
}

/// Reads the result of `tools/call`: its structured content where there is one, else the text, which
/// may be JSON.
pub(super) fn read(mut result: Value) -> Told {
    let structured = result.get_mut("structuredContent").map(Value::take);
    let parts = match result.get_mut("content").map(Value::take) {
        Some(Value::Array(parts)) => parts,
        _ => Vec::new(),
    };
    let mut texts: Vec<String> = Vec::new();
    let (mut links, mut resources, mut files) = (Vec::new(), Vec::new(), Vec::new());
    for mut part in parts {
        let kind = part.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        match kind.as_str() {
            "text" => {
                if let Some(Value::String(text)) = part.get_mut("text").map(Value::take) {
                    texts.push(text);
                }
            }
            "image" | "audio" => files.extend(file(&part, "data", &kind)),
            "resource_link" => links.push(without(part, &["type", "annotations", "_meta"])),
            "resource" => {
                let inner = part.get_mut("resource").map(Value::take).unwrap_or_default();
                if inner.get("blob").is_some() {
                    files.extend(file(&inner, "blob", "resource"));
                } else {
                    resources.push(without(inner, &["annotations", "_meta"]));
                }
            }
            _ => {}
        }
    }
    files.truncate(MOST_FILES);
    let text = (!texts.is_empty()).then(|| texts.join("\n"));
    let mut data = match structured {
        Some(value) if !value.is_null() => response::wrap(value, None),
        _ => text.as_deref().map(of_text).unwrap_or_default(),
    };
    for (name, list) in [("resources", resources), ("links", links)] {
        if !list.is_empty() {
            data.entry(name).or_insert(list.into());
        }
    }
    Told { data, text, files }
}

/// Text that is an object or a list is that.
fn of_text(text: &str) -> Map<String, Value> {
    if text.trim_start().starts_with(['{', '['])
        && let Ok(value) = serde_json::from_str::<Value>(text)
    {
        return response::wrap(value, None);
    }
    response::wrap(Value::String(text.to_owned()), None)
}

fn without(mut value: Value, names: &[&str]) -> Value {
    if let Value::Object(fields) = &mut value {
        names.iter().for_each(|name| drop(fields.remove(*name)));
    }
    value
}

fn file(part: &Value, at: &str, kind: &str) -> Option<File> {
    let text = |name: &str| part.get(name).and_then(Value::as_str);
    let encoded: String = text(at)?.chars().filter(|c| !c.is_whitespace()).collect();
    let content = STANDARD.decode(encoded).ok()?;
    let mimetype = text("mimeType").unwrap_or("application/octet-stream").to_owned();
    let named = text("uri").and_then(|uri| uri.rsplit('/').next()).filter(|name| !name.is_empty());
    let extension = response::extension(&mimetype);
    let name = named.map_or_else(|| format!("{kind}.{extension}"), str::to_owned);
    Some(File { name, mimetype, content })
}

/// Adds what was stored: one file under `file`, several under `files`.
pub(super) fn add_files(data: &mut Map<String, Value>, mut files: Vec<Value>) {
    match files.len() {
        0 => {}
        1 => drop(data.insert("file".to_owned(), files.remove(0))),
        _ => drop(data.insert("files".to_owned(), json!(files))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(result: Value) -> Value {
        Value::Object(read(result).data)
    }

    fn text(text: &str) -> Value {
        json!({"type": "text", "text": text})
    }

    #[test]
    fn structured_content_goes_before_text() {
        let both = json!({"structuredContent": {"a": 1}, "content": [text("{\"a\": 1}")]});
        assert_eq!(data(both), json!({"a": 1}));
        assert_eq!(data(json!({"content": [text("{\"a\": 2}")]})), json!({"a": 2}));
        assert_eq!(data(json!({"content": [text("[1]")]})), json!({"items": [1]}));
        assert_eq!(data(json!({"content": [text("a"), text("b")]})), json!({"text": "a\nb"}));
        assert_eq!(data(json!({"content": [text("{no json")]})), json!({"text": "{no json"}));
        assert_eq!(data(json!({})), json!({}));
        assert_eq!(data(json!({"content": 1})), json!({}));
    }

    #[test]
    fn what_is_no_text_is_a_file_or_a_link() {
        let told = read(json!({"content": [
            {"type": "image", "data": "aGk=", "mimeType": "image/png"},
            {"type": "resource", "resource": {"uri": "x://a/b.bin", "blob": "aGk="}},
            {"type": "resource", "resource": {"uri": "x://c", "text": "t", "_meta": {}}},
            {"type": "resource_link", "uri": "x://d", "name": "d"},
            {"type": "image", "data": "no base64!"},
            {"type": "unheard of"},
        ]}));
        let names: Vec<&str> = told.files.iter().map(|f| f.name.as_str()).collect();
        assert_eq!(names, ["image.png", "b.bin"]);
        assert_eq!(told.files[0].content, b"hi");
        let expected = json!({
            "resources": [{"uri": "x://c", "text": "t"}],
            "links": [{"uri": "x://d", "name": "d"}],
        });
        assert_eq!(Value::Object(told.data), expected);
    }
}
