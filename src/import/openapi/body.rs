//! Request bodies as arguments.

use serde_json::{Map, Value, json};

use super::params::{Argument, Arguments, constant, default};
use super::{Api, Operation, said, token};
use crate::import::schema::{Converted, Use, fitting};
use crate::import::text;

/// Longest example of a whole body.
const MOST_EXAMPLE: usize = 1_500;

/// How the body is sent.
#[derive(Default)]
pub(super) struct Sent {
    pub kind: Option<&'static str>,
    pub content_type: Option<String>,
}

/// One way to send the body.
struct Media<'a> {
    /// Media type in lower case without parameters.
    kind: String,
    at: String,
    value: &'a Value,
}

/// Adds the arguments of the body.
pub(super) fn add<'a>(api: &Api<'a>, operation: &Operation<'a>, arguments: &mut Arguments) -> Sent {
    let Some(body) = operation.value.get("requestBody") else { return Sent::default() };
    let (body, at) = api.follow(body, &format!("{}/requestBody", operation.at));
    let Value::Object(body) = body else { return Sent::default() };
    let needed = body.get("required") == Some(&Value::Bool(true));
    // Something is sent as soon as there is a body, so it has to be what the schema asks for; many
    // descriptions forget to say that theirs is required.
    let needed = needed || operation.method != "get";
    let Some(media) = chosen(api, body, &at) else { return Sent::default() };
    let (schema, _) = api.follow(media.value.get("schema").unwrap_or(&Value::Null), &media.at);
    let is_object = schema.get("properties").is_some_and(Value::is_object);
    let sent = kind_of(&media, is_object);
    let words = said(body, "description").unwrap_or_default();
    match sent.kind {
        Some("text") | Some("binary") => {
            let fields = match sent.kind {
                Some("text") => written(api, &media),
                _ => Map::from_iter([("type".to_owned(), json!("file"))]),
            };
            let usual = match &sent.content_type {
                Some(kind) => format!("The body, as {kind}."),
                None => "The body.".to_owned(),
            };
            let required = body.get("required") == Some(&Value::Bool(true));
            whole(
                arguments,
                &media,
                fields,
                required,
                if words.is_empty() { &usual } else { words },
            );
            return sent;
        }
        _ => {}
    }
    let purpose = if sent.kind == Some("multipart") { Use::InputWithFiles } else { Use::Input };
    let schema = media.value.get("schema").unwrap_or(&Value::Null);
    let schema_at = format!("{}/schema", media.at);
    let converted = match schema {
        Value::Null => Converted { schema: open(), ..Converted::default() },
        schema => api.schema(schema, &schema_at, purpose),
    };
    let explicit = body.get("required") == Some(&Value::Bool(true));
    if is_flat(&converted) {
        flat(api, &media, converted.schema, &sent, needed, arguments);
    } else if sent.kind == Some("multipart") && is_file(&converted.schema) {
        part(&media, converted.schema, &sent, needed, words, arguments);
    } else {
        let mut fields = converted.schema;
        exemplified(api, &media, &mut fields);
        whole(arguments, &media, fields, explicit, words);
    }
    sent
}

/// A body of text: what the description says of it, or any text where it describes what the text means (XML).
fn written<'a>(api: &Api<'a>, media: &Media<'a>) -> Map<String, Value> {
    let any = Map::from_iter([("type".to_owned(), json!("string"))]);
    let Some(schema) = media.value.get("schema") else { return any };
    let mut fields = api.schema(schema, &format!("{}/schema", media.at), Use::Input).schema;
    if fields.get("type") != any.get("type") {
        fields = any;
    }
    fields.remove("also");
    exemplified(api, media, &mut fields);
    fields
}

fn exemplified<'a>(api: &Api<'a>, media: &Media<'a>, fields: &mut Map<String, Value>) {
    if !fields.contains_key("examples")
        && let Some(example) = example(api, media.value)
        && example.to_string().len() <= MOST_EXAMPLE
        && let Some(example) = fitting(fields, &example)
        && !example.is_null()
    {
        fields.insert("examples".into(), vec![example].into());
    }
}

fn open() -> Map<String, Value> {
    Map::from_iter([
        ("type".to_owned(), json!("object")),
        ("additional_properties".to_owned(), json!(true)),
    ])
}

/// An example of the whole body.
fn example<'a>(api: &Api<'a>, media: &'a Value) -> Option<Value> {
    let named = media.get("examples").and_then(Value::as_object).and_then(|e| e.values().next());
    // Examples in other documents are not fetched.
    let here = |e: &&Value| e["$ref"].as_str().is_none_or(|reference| reference.starts_with('#'));
    let named = named.filter(here).map(|e| api.follow(e, "").0).and_then(|e| e.get("value"));
    let schema = media.get("schema").and_then(|s| api.follow(s, "").0.get("example"));
    media.get("example").or(named).or(schema).cloned()
}

/// Whether the properties can be arguments of their own.
fn is_flat(converted: &Converted) -> bool {
    let schema = &converted.schema;
    let properties = schema.get("properties").and_then(Value::as_object);
    schema.get("type").and_then(Value::as_str) == Some("object")
        && properties.is_some_and(|p| !p.is_empty())
        && !schema.contains_key("also")
        && !converted.alternatives
}

/// The media type that suits best.
fn chosen<'a>(api: &Api<'a>, body: &'a Map<String, Value>, at: &str) -> Option<Media<'a>> {
    let content = body.get("content").and_then(Value::as_object)?;
    let mut all: Vec<Media<'a>> = content
        .iter()
        .map(|(name, value)| Media {
            kind: name.split(';').next().unwrap_or_default().trim().to_ascii_lowercase(),
            at: format!("{at}/content/{}", token(name)),
            value,
        })
        .collect();
    let files =
        |media: &Media<'a>| media.kind == "multipart/form-data" && has_file(api, media.value);
    let any_files = all.iter().any(files);
    all.sort_by_key(|media| match media.kind.as_str() {
        "multipart/form-data" if any_files => 0,
        "application/json" => 1,
        kind if is_json(kind) => 2,
        "*/*" | "" | "application/*" => 3,
        "application/x-www-form-urlencoded" => 4,
        "multipart/form-data" => 5,
        "text/plain" => 7,
        kind if kind.starts_with("text/") || kind.ends_with("xml") || kind.ends_with("yaml") => 8,
        _ => 6,
    });
    all.into_iter().next()
}

fn has_file<'a>(api: &Api<'a>, media: &'a Value) -> bool {
    let Some(schema) = media.get("schema") else { return false };
    let (schema, _) = api.follow(schema, "");
    let properties = schema.get("properties").and_then(Value::as_object);
    properties.into_iter().flatten().any(|(_, property)| {
        let (property, _) = api.follow(property, "");
        let items = property.get("items").map(|items| api.follow(items, "").0);
        [Some(property), items].into_iter().flatten().any(|schema| {
            schema.get("format").and_then(Value::as_str) == Some("binary")
                || schema.get("type").and_then(Value::as_str) == Some("file")
        })
    })
}

pub(super) fn is_json(kind: &str) -> bool {
    kind == "application/json"
        || kind == "text/json"
        || kind.ends_with("+json")
        || kind.ends_with("/json")
}

fn kind_of(media: &Media<'_>, is_object: bool) -> Sent {
    let kind = media.kind.as_str();
    let spelled = |fallback: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "+-._".contains(c);
        let part = |part: &str| !part.is_empty() && part.chars().all(plain);
        let good = kind.split_once('/').is_some_and(|(kind, of)| part(kind) && part(of));
        Some(if good { kind.to_owned() } else { fallback.to_owned() })
    };
    let (kind, content_type) = match kind {
        "application/json" => (None, None),
        "*/*" | "" | "application/*" if is_binary(media.value) => {
            (Some("binary"), spelled("application/octet-stream"))
        }
        "*/*" | "" | "application/*" => (None, None),
        kind if is_json(kind) => (None, spelled("application/json")),
        "application/x-www-form-urlencoded" => (Some("form"), None),
        "multipart/form-data" => (Some("multipart"), None),
        kind if kind.starts_with("multipart/") && !is_binary(media.value) => {
            (Some("multipart"), None)
        }
        kind if kind.starts_with("text/")
            || kind.ends_with("xml")
            || kind.ends_with("yaml")
            || kind.ends_with("javascript")
            || kind.contains("graphql")
            || kind.ends_with("jwt") =>
        {
            (Some("text"), spelled("text/plain"))
        }
        // What goes along with an upload is JSON; the type is that of what is uploaded.
        _ if is_object => (None, None),
        _ => (Some("binary"), spelled("application/octet-stream")),
    };
    Sent { kind, content_type }
}

fn is_binary(media: &Value) -> bool {
    media.pointer("/schema/format").and_then(Value::as_str) == Some("binary")
}

/// The whole body as one argument.
fn whole(
    arguments: &mut Arguments,
    media: &Media<'_>,
    mut fields: Map<String, Value>,
    required: bool,
    words: &str,
) {
    let words = text::clean(words, text::ARGUMENT);
    if !words.is_empty() {
        fields.insert("description".into(), words.into());
    } else {
        fields.entry("description").or_insert_with(|| "The body of the request.".into());
    }
    fields.insert("at".into(), "".into());
    let name =
        if arguments.list.iter().any(|a| a.wire == "body") { "request_body" } else { "body" };
    arguments.list.push(Argument {
        at: media.at.clone(),
        place: "body",
        wire: name.to_owned(),
        fields,
        required,
        aliases: Vec::new(),
    });
}

/// A file, or a list of them.
fn is_file(schema: &Map<String, Value>) -> bool {
    let kind =
        |schema: &Map<String, Value>| schema.get("type").and_then(Value::as_str) == Some("file");
    kind(schema) || schema.get("items").and_then(Value::as_object).is_some_and(kind)
}

/// A form whose only part has no name in the description: `file`, as nearly everybody calls it.
fn part(
    media: &Media<'_>,
    mut fields: Map<String, Value>,
    sent: &Sent,
    required: bool,
    words: &str,
    arguments: &mut Arguments,
) {
    let words = text::clean(words, text::ARGUMENT);
    let words = if words.is_empty() { "What is uploaded.".to_owned() } else { words };
    fields.insert("description".into(), words.into());
    style(None, sent, &mut fields);
    arguments.list.push(Argument {
        at: media.at.clone(),
        place: "body",
        wire: "file".to_owned(),
        fields,
        required,
        aliases: Vec::new(),
    });
}

/// The properties as arguments. What is wrapped into a single `data` is taken out of it.
fn flat<'a>(
    api: &Api<'a>,
    media: &Media<'a>,
    mut schema: Map<String, Value>,
    sent: &Sent,
    needed: bool,
    arguments: &mut Arguments,
) {
    let mut wrapper = None;
    let mut at = format!("{}/schema", media.at);
    if sent.kind.is_none()
        && let Some(inner) = wrapped(&schema)
    {
        api.repaired(&at, "the properties of its only one, `data`, are the arguments");
        schema = inner;
        wrapper = Some("data");
        at.push_str("/properties/data");
    }
    let required: Vec<Value> = match schema.remove("required_properties") {
        Some(Value::Array(names)) => names,
        _ => Vec::new(),
    };
    let Some(Value::Object(properties)) = schema.remove("properties") else { return };
    let encodings = media.value.get("encoding").and_then(Value::as_object);
    let (raw, _) = api.follow(media.value.get("schema").unwrap_or(&Value::Null), "");
    for (name, fields) in properties {
        let Value::Object(mut fields) = fields else { continue };
        if let Some(wrapper) = wrapper {
            fields.insert("at".into(), format!("/{wrapper}/{}", token(&name)).into());
        }
        if sent.kind.is_some() {
            style(encodings.and_then(|e| e.get(&name)), sent, &mut fields);
        }
        let mut argument = Argument {
            at: format!("{at}/properties/{}", token(&name)),
            place: "body",
            required: needed && required.iter().any(|known| *known == *name),
            aliases: wrapper.map(|wrapper| format!("{wrapper}.{name}")).into_iter().collect(),
            wire: name,
            fields,
        };
        constant(&mut argument);
        if wrapper.is_none() {
            let property = raw.get("properties").and_then(|p| p.get(&argument.wire));
            default(property.map(|p| api.follow(p, "").0), &mut argument);
        }
        arguments.list.push(argument);
    }
}

/// The inside of `{"data": {…}}`.
fn wrapped(schema: &Map<String, Value>) -> Option<Map<String, Value>> {
    let properties = schema.get("properties")?.as_object()?;
    let inner = properties.get("data").filter(|_| properties.len() == 1)?.as_object()?;
    let fields = inner.get("properties")?.as_object()?;
    let plain = inner.get("type")? == "object" && !inner.contains_key("also");
    (plain && !fields.is_empty()).then(|| inner.clone())
}

/// How a list or an object stands in a form.
fn style(encoding: Option<&Value>, sent: &Sent, fields: &mut Map<String, Value>) {
    let kind = fields.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    if kind != "object" && kind != "array" {
        return;
    }
    let of = |key: &str| encoding.and_then(|e| e.get(key));
    let content_type = of("contentType").and_then(Value::as_str).unwrap_or_default();
    let explode = of("explode").and_then(Value::as_bool);
    let simple_items = fields
        .get("items")
        .and_then(|items| items.get("type"))
        .is_none_or(|kind| kind != "object" && kind != "array");
    let style = match of("style").and_then(Value::as_str) {
        _ if is_json(content_type) => "json",
        Some("deepObject") => "deep",
        Some("spaceDelimited") => "spaces",
        Some("pipeDelimited") => "pipes",
        Some("form") if explode == Some(false) => "csv",
        _ if sent.kind == Some("multipart") && (kind == "object" || !simple_items) => "json",
        _ if kind == "array" && simple_items && explode == Some(false) => "csv",
        _ if kind == "array" && simple_items => "repeat",
        // Nested keys in brackets, as most take them.
        _ => return,
    };
    fields.insert("style".into(), style.into());
}
