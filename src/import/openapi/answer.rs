//! How answers are read.

use serde_json::{Map, Value, json};

use super::body::is_json;
use super::{Api, Operation, sparse, token};
use crate::import::schema::Use;

/// The `response` of a tool.
pub(super) fn rule<'a>(api: &Api<'a>, operation: &Operation<'a>) -> Value {
    let Some(Value::Object(responses)) = operation.value.get("responses") else { return json!({}) };
    let good = |code: &&String| code.starts_with('2');
    let code =
        responses.keys().filter(good).min().or_else(|| responses.keys().find(|c| *c == "default"));
    let Some(code) = code else { return json!({}) };
    let at = format!("{}/responses/{}", operation.at, token(code));
    let (response, at) = api.follow(&responses[code], &at);
    let content: Vec<(&String, &'a Value)> =
        response.get("content").and_then(Value::as_object).into_iter().flatten().collect();
    let lower = |kind: &str| kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let json_type = content.iter().copied().find(|(kind, _)| is_json(&lower(kind)));
    let any_type = content.iter().copied().find(|(kind, _)| lower(kind).contains('*'));
    let link = response
        .get("headers")
        .and_then(Value::as_object)
        .is_some_and(|headers| headers.keys().any(|name| name.eq_ignore_ascii_case("link")));
    let schema_of = |media: &'a Value| media.get("schema");
    let binary = |media: &'a Value| {
        let schema = schema_of(media).map(|schema| api.follow(schema, "").0);
        let format = schema.and_then(|s| s.get("format")).and_then(Value::as_str);
        let kind = schema.and_then(|s| s.get("type")).and_then(Value::as_str);
        format == Some("binary") || kind == Some("file")
    };
    let Some((kind, media)) = json_type.or(any_type).filter(|(_, media)| !binary(media)) else {
        let is_text = |kind: &str| {
            kind.starts_with("text/") || kind.ends_with("xml") || kind.ends_with("yaml")
        };
        let file = content.iter().any(|(kind, media)| binary(media) || !is_text(&lower(kind)));
        return sparse(json!({"file": file, "next_link": link}));
    };
    let mut properties = Map::new();
    let mut list = false;
    if let Some(schema) = schema_of(media) {
        let at = format!("{at}/content/{}/schema", token(kind));
        let mut converted = api.schema(schema, &at, Use::Output).schema;
        list = converted.get("type").and_then(Value::as_str) == Some("array");
        match converted.remove("properties") {
            Some(Value::Object(own)) if !converted.contains_key("also") => properties = own,
            _ if list => {
                converted.entry("description").or_insert_with(|| "The list.".into());
                properties.insert("items".to_owned(), converted.into());
            }
            _ => {}
        }
    }
    let pages = (link || list) && operation.method == "get";
    sparse(json!({"schema": properties, "next_link": pages}))
}
