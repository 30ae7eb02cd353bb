//! Arguments and connections made up from the definitions.

use patchbay::catalog::model::{Param, Schema, SchemaType};
use patchbay::catalog::{Files, LoadedFile, Tool, Toolkit, Trigger};
use serde_json::{Map, Value, json};

/// Fields of a connection of a toolkit.
pub fn connection(toolkit: &Toolkit) -> Map<String, Value> {
    let value = |name: &str| match name {
        "cloud_id" => "11223344-a1b2-3b33-c444-def123456789".into(),
        "subdomain" => "acme".into(),
        "instance_url" => "https://acme.my.salesforce.com".into(),
        name => Value::String(name.to_owned()),
    };
    toolkit.connection_names().into_iter().map(|name| (name.clone(), value(&name))).collect()
}

/// Arguments of a tool: all of them, or only those that it needs.
pub fn arguments(tool: &Tool, all: bool) -> Map<String, Value> {
    let wanted = |param: &Param| !param.hidden && (all || param.required);
    let params = tool.def.params.0.iter().filter(|(_, param)| wanted(param));
    params.map(|(name, param)| (name.clone(), value(&param.schema, name))).collect()
}

/// Configuration of a trigger type: all of it, or only what it needs.
pub fn config(trigger: &Trigger, all: bool) -> Map<String, Value> {
    let params = trigger.def.config.0.iter().filter(|(_, param)| all || param.required);
    params.map(|(name, param)| (name.clone(), value(&param.schema, name))).collect()
}

/// A value that a schema allows.
pub fn value(schema: &Schema, name: &str) -> Value {
    if let Some(example) = schema.examples.first() {
        return example.clone();
    }
    if let Some(default) = &schema.default {
        return default.clone();
    }
    if let Some(choice) = schema.choices.first() {
        return choice.clone();
    }
    match schema.kind {
        SchemaType::String => text(schema, name),
        SchemaType::Integer => json!(schema.minimum.unwrap_or(7.0).max(1.0) as i64),
        SchemaType::Number => json!(schema.minimum.unwrap_or(0.5)),
        SchemaType::Boolean => json!(true),
        SchemaType::Array => {
            let items = schema.items.as_ref().unwrap();
            let count = schema.min_items.unwrap_or(1).max(1);
            (0..count).map(|_| value(items, name)).collect()
        }
        SchemaType::File => {
            json!({"name": "a \"b\".txt", "mimetype": "text/plain", "s3key": format!("file_{name}")})
        }
        SchemaType::Object => {
            let inner = schema.properties.0.iter();
            inner.map(|(name, schema)| (name.clone(), value(schema, name))).collect()
        }
    }
}

fn text(schema: &Schema, name: &str) -> Value {
    let text = match schema.format.as_deref() {
        Some("date-time") => "2026-01-31T09:00:00Z".to_owned(),
        Some("date") => "2026-01-31".to_owned(),
        Some("email") => "jane@example.com".to_owned(),
        Some("uri") => "https://example.com/a?b=c".to_owned(),
        _ if name.contains("email") => "jane@example.com".to_owned(),
        _ => format!("{name} ä/?#%&+"),
    };
    let most = schema.max_length.unwrap_or(u64::MAX);
    text.chars().take(usize::try_from(most).unwrap_or(usize::MAX)).collect::<String>().into()
}

/// The files that arguments name.
pub fn files(tool: &Tool, args: &Map<String, Value>) -> Files {
    let loaded = |key: &String| LoadedFile {
        name: "stored.txt".to_owned(),
        mimetype: "text/plain".to_owned(),
        content: key.clone().into(),
    };
    tool.file_keys(args).iter().map(|key| (key.clone(), loaded(key))).collect()
}
