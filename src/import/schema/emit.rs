//! One value's keywords in the words of the toolkit format.

use serde_json::{Map, Value};

use super::gather::Gathered;
use super::{Trail, Use, Walk, anything, open_object};
use crate::import::text;

/// More choices than this are told in words: models' providers refuse longer lists.
const MOST_CHOICES: usize = 200;
/// Longest example of a scalar, of anything else.
const EXAMPLE: (usize, usize) = (100, 400);

impl<'a> Walk<'_, 'a> {
    /// A schema without alternatives.
    pub(super) fn emit(
        &self,
        gathered: &Gathered<'a>,
        hint: Option<&'static str>,
        trail: &mut Trail,
    ) -> Map<String, Value> {
        let mut types = self.types(gathered, trail);
        if types.is_empty() {
            types.extend(inferred(gathered).or(hint));
        }
        let (mut nullable, mut kinds) = (gathered.nullable, Vec::new());
        for kind in types {
            match kind {
                "null" => nullable = true,
                kind if kinds.contains(&kind) => {}
                kind => kinds.push(kind),
            }
        }
        // Every integer is a number.
        if kinds.contains(&"number") {
            kinds.retain(|kind| *kind != "integer");
        }
        let mut schema = match kinds.iter().position(|kind| *kind == "object" || *kind == "array") {
            None if kinds.is_empty() => {
                let mut schema = anything();
                self.describe(gathered, &mut schema);
                return schema;
            }
            // The richest of several types is the one that is shown.
            Some(i) => {
                let kind = kinds.remove(i);
                kinds.insert(0, kind);
                if kind == "object" {
                    self.object(gathered, trail)
                } else {
                    self.array(gathered, trail)
                }
            }
            None => self.scalar(kinds[0], kinds.len() == 1, gathered, trail),
        };
        if kinds.len() > 1 {
            let also: Vec<Value> =
                kinds[1..].iter().filter(|k| **k != "file").map(|k| (*k).into()).collect();
            if !also.is_empty() {
                schema.insert("also".into(), also.into());
            }
        }
        if nullable {
            schema.insert("nullable".into(), true.into());
        }
        self.describe(gathered, &mut schema);
        self.values(gathered, &mut schema);
        schema
    }

    /// Types that the schema names, in our words.
    fn types(&self, gathered: &Gathered<'a>, trail: &Trail) -> Vec<&'static str> {
        let names: Vec<&str> = match gathered.first("type") {
            Some(Value::String(name)) => vec![name],
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            _ => return Vec::new(),
        };
        if names.contains(&"any") {
            return Vec::new();
        }
        let types = names.into_iter().map(|name| {
            kind(name).unwrap_or_else(|| {
                let shown: String = name.chars().take(40).collect();
                self.repair(trail, format!("`{shown}` is no type; taken as text"));
                "string"
            })
        });
        types.collect()
    }

    /// The description, with what there are no keywords for.
    pub(super) fn describe(&self, gathered: &Gathered<'a>, schema: &mut Map<String, Value>) {
        let words = gathered.first("description").or_else(|| gathered.first("title"));
        let mut out = words.and_then(Value::as_str).unwrap_or_default().trim().to_owned();
        if self.purpose != Use::Output {
            for (key, before, after) in [
                ("multipleOf", "A multiple of ", "."),
                ("exclusiveMinimum", "More than ", "."),
                ("exclusiveMaximum", "Less than ", "."),
                ("default", "Default: ", "."),
            ] {
                let said = gathered.first(key).filter(|v| v.is_number() || key == "default");
                let Some(value) = said.filter(|v| !v.is_null() && !v.is_object()) else { continue };
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                let told =
                    out.to_lowercase().contains(&before[..before.len().min(7)].to_lowercase());
                if !value.is_empty() && value.len() <= 60 && !(key == "default" && told) {
                    add_sentence(&mut out, &format!("{before}{value}{after}"));
                }
            }
        }
        let out = text::clean(&out, self.limits.text);
        if !out.is_empty() {
            schema.insert("description".into(), out.into());
        }
    }

    /// `examples`.
    fn values(&self, gathered: &Gathered<'a>, schema: &mut Map<String, Value>) {
        if self.purpose == Use::Output || schema.contains_key("enum") || schema["type"] == "file" {
            return;
        }
        let given = |key: &str| gathered.first(key);
        let listed = given("examples").and_then(Value::as_array).into_iter().flatten();
        let single = given("example").into_iter().chain(given("x-example"));
        let mut examples: Vec<Value> = Vec::new();
        for example in single.chain(listed) {
            let example = fitting(schema, example).filter(|example| !example.is_null());
            let Some(example) = example else { continue };
            let most =
                if example.is_object() || example.is_array() { EXAMPLE.1 } else { EXAMPLE.0 };
            // `{{ID}}` and `<id>` stand for something.
            let harmless = example.as_str().is_none_or(|t| {
                text::clean(t, most) == t && !t.contains("{{") && !t.starts_with('<')
            });
            if examples.len() < 3
                && harmless
                && example.to_string().len() <= most
                && !examples.contains(&example)
            {
                examples.push(example);
            }
        }
        if !examples.is_empty() {
            schema.insert("examples".into(), examples.into());
        }
    }

    fn object(&self, gathered: &Gathered<'a>, trail: &mut Trail) -> Map<String, Value> {
        let shown: Vec<_> = gathered
            .properties
            .iter()
            .filter(|(name, parts)| !name.is_empty() && !self.is_hidden(parts, 0))
            // What nothing can be.
            .filter(|(_, parts)| !parts.contains(&&Value::Bool(false)))
            .collect();
        if shown.is_empty() {
            return open_object();
        }
        if trail.depth + 1 >= self.limits.depth {
            self.cut.set(true);
            return open_object();
        }
        let mut properties = Map::new();
        for (name, parts) in shown {
            let token = format!("/properties/{}", super::token(name));
            properties.insert((*name).to_owned(), self.below(parts, &token, trail).into());
        }
        for name in gathered.required.iter().filter(|_| self.purpose != Use::Output) {
            let declared = gathered.properties.iter().any(|(known, _)| known == name);
            if !declared && !name.is_empty() && !properties.contains_key(*name) {
                self.repair(trail, "a required property that is not declared may be anything");
                properties.insert((*name).to_owned(), anything().into());
            }
        }
        let mut required: Vec<Value> = Vec::new();
        for name in &gathered.required {
            let new = Value::from(*name);
            if properties.contains_key(*name) && !required.contains(&new) {
                required.push(new);
            }
        }
        let mut schema = Map::new();
        schema.insert("type".into(), "object".into());
        schema.insert("properties".into(), properties.into());
        if !required.is_empty() {
            schema.insert("required_properties".into(), required.into());
        }
        match gathered.first("additionalProperties") {
            // A combination is closed by one of its parts although the others add to it.
            Some(Value::Bool(false)) if gathered.parts.len() == 1 => {
                schema.insert("additional_properties".into(), false.into());
            }
            Some(Value::Bool(true) | Value::Object(_)) => {
                schema.insert("additional_properties".into(), true.into());
            }
            _ => {}
        }
        schema
    }

    fn array(&self, gathered: &Gathered<'a>, trail: &mut Trail) -> Map<String, Value> {
        let first = gathered.first("items").filter(|items| !items.is_boolean());
        let items = match first.or_else(|| gathered.first("prefixItems")) {
            // Places with their own schemas: the first one's stands for all.
            Some(Value::Array(places)) => places.first(),
            other => other,
        };
        let mut schema = Map::new();
        schema.insert("type".into(), "array".into());
        let mut inner = match items {
            Some(items) if trail.depth < self.limits.depth => self.below(&[items], "/items", trail),
            Some(_) => {
                self.cut.set(true);
                open_object()
            }
            None => {
                self.repair(trail, "a list without `items`; its items may be anything");
                anything()
            }
        };
        // Choices that are no lists are meant for the items.
        let listed = gathered.first("enum").and_then(Value::as_array);
        let are_items = listed.is_some_and(|l| l.iter().all(|v| v.is_string() || v.is_number()));
        if are_items
            && !inner.contains_key("enum")
            && let Some(kind) = inner.get("type").and_then(Value::as_str).and_then(kind)
        {
            self.choices(kind, gathered, &mut inner, trail);
        }
        schema.insert("items".into(), inner.into());
        bounds(gathered, &mut schema, ["minItems", "maxItems"], ["min_items", "max_items"]);
        if gathered.first("uniqueItems") == Some(&Value::Bool(true))
            && self.purpose != Use::Output
            && schema.get("min_items").and_then(Value::as_u64).is_some_and(|n| n > 1)
        {
            self.repair(trail, "`uniqueItems` is left to the provider");
        }
        schema
    }

    fn scalar(
        &self,
        kind: &'static str,
        alone: bool,
        gathered: &Gathered<'a>,
        trail: &Trail,
    ) -> Map<String, Value> {
        let mut schema = Map::new();
        let format = gathered.first("format").and_then(Value::as_str).unwrap_or_default();
        let binary = kind == "string" && format == "binary";
        if kind == "file" || (binary && self.purpose == Use::InputWithFiles) {
            let kind = if self.purpose == Use::InputWithFiles { "file" } else { "string" };
            schema.insert("type".into(), kind.into());
            return schema;
        }
        schema.insert("type".into(), kind.into());
        if !alone {
            return schema;
        }
        if format == "int-or-string" {
            schema.insert("also".into(), serde_json::json!(["integer"]));
            return schema;
        }
        self.choices(kind, gathered, &mut schema, trail);
        if schema.contains_key("enum") {
            return schema;
        }
        if kind == "string" {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
            if !format.is_empty() && format.len() <= 40 && format.chars().all(plain) {
                schema.insert("format".into(), format.into());
            }
            bounds(gathered, &mut schema, ["minLength", "maxLength"], ["min_length", "max_length"]);
            if let Some(pattern) = gathered.first("pattern").and_then(Value::as_str)
                && self.purpose != Use::Output
                && !pattern.is_empty()
            {
                let whole = whole(pattern);
                if self.converter.is_pattern(&whole) {
                    schema.insert("pattern".into(), whole.into());
                } else {
                    self.repair(trail, "a `pattern` that is no regular expression is left out");
                }
            }
        } else if kind != "boolean" {
            numbers(kind == "integer", gathered, &mut schema);
        }
        schema
    }

    /// `enum` and `const`.
    fn choices(
        &self,
        kind: &'static str,
        gathered: &Gathered<'a>,
        schema: &mut Map<String, Value>,
        trail: &Trail,
    ) {
        let single;
        let listed = match (gathered.first("const"), gathered.first("enum")) {
            (Some(value), _) if !value.is_null() => {
                single = vec![value.clone()];
                &single
            }
            (_, Some(Value::Array(values))) => values,
            _ => return,
        };
        let mut choices: Vec<Value> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for value in listed {
            if value.is_null() {
                schema.insert("nullable".into(), true.into());
                continue;
            }
            let Some(value) = fitting(schema, value) else {
                self.repair(trail, format!("a choice that is no {kind} is left out"));
                continue;
            };
            if seen.insert(value.to_string()) {
                choices.push(value);
            }
        }
        if kind == "boolean" && choices.len() != 1 {
            return;
        }
        let bytes: usize = choices.iter().map(|value| value.to_string().len()).sum();
        if choices.len() > MOST_CHOICES || bytes > 6_000 {
            self.repair(trail, format!("{} choices are too many to be listed", choices.len()));
            choices.truncate(3);
            schema.insert("examples".into(), choices.into());
        } else if !choices.is_empty() {
            schema.insert("enum".into(), choices.into());
        }
    }
}

pub(super) fn add_sentence(text: &mut String, sentence: &str) {
    if !text.is_empty() {
        text.push_str(if text.ends_with(['.', '!', '?', ':']) { " " } else { ". " });
    }
    text.push_str(sentence);
}

/// Our name for a type.
fn kind(name: &str) -> Option<&'static str> {
    Some(match name.to_ascii_lowercase().as_str() {
        "string" | "str" | "text" | "char" | "date" | "datetime" | "date-time" | "uuid" | "uri"
        | "url" | "email" | "enum" | "byte" => "string",
        "integer" | "int" | "int32" | "int64" | "long" => "integer",
        "number" | "float" | "double" | "decimal" => "number",
        "boolean" | "bool" => "boolean",
        "array" | "list" => "array",
        "object" | "map" | "dict" | "hash" | "json" => "object",
        "file" => "file",
        "null" => "null",
        _ => return None,
    })
}

/// The type that the other keywords are about.
fn inferred(gathered: &Gathered<'_>) -> Option<&'static str> {
    let has = |key: &str| gathered.first(key).is_some();
    if !gathered.properties.is_empty() || has("additionalProperties") || has("patternProperties") {
        return Some("object");
    }
    if has("items") || has("prefixItems") || has("minItems") {
        return Some("array");
    }
    let choices = gathered.first("enum").and_then(Value::as_array);
    let first = choices.and_then(|list| list.iter().find(|value| !value.is_null()));
    match gathered.first("const").or(first) {
        Some(Value::String(_)) => return Some("string"),
        Some(Value::Bool(_)) => return Some("boolean"),
        Some(Value::Number(n)) => return Some(if n.is_f64() { "number" } else { "integer" }),
        _ => {}
    }
    if has("pattern") || has("minLength") || has("maxLength") {
        return Some("string");
    }
    if has("minimum") || has("maximum") || has("multipleOf") {
        return Some("number");
    }
    match gathered.first("format").and_then(Value::as_str) {
        Some("int32" | "int64") => Some("integer"),
        Some("float" | "double") => Some("number"),
        Some("binary" | "date-time" | "date" | "uuid" | "uri" | "email" | "byte" | "password") => {
            Some("string")
        }
        _ => None,
    }
}

/// The value in the schema's type, where it is one or plainly means one.
pub(in crate::import) fn fitting(schema: &Map<String, Value>, value: &Value) -> Option<Value> {
    let kind = schema.get("type").and_then(Value::as_str).unwrap_or_default();
    let inner = |key: &str| schema.get(key).and_then(Value::as_object);
    let good = match (kind, value) {
        ("string", Value::String(text)) => return Some(dated(schema, text).into()),
        ("integer", value) => value.is_i64() || value.is_u64(),
        ("number", value) => value.is_number(),
        ("boolean", value) => value.is_boolean(),
        ("array", Value::Array(list)) => {
            let Some(items) = inner("items") else { return Some(value.clone()) };
            let list: Option<Vec<Value>> = list.iter().map(|item| fitting(items, item)).collect();
            return list.map(Value::from);
        }
        ("object", Value::Object(fields)) => {
            let known = |name: &String| inner("properties")?.get(name)?.as_object();
            let fields = fields.iter().map(|(name, value)| {
                let value = known(name).map_or_else(|| Some(value.clone()), |s| fitting(s, value));
                Some((name.clone(), value?))
            });
            return fields.collect::<Option<Map<String, Value>>>().map(Value::from);
        }
        (_, Value::Null) => schema.contains_key("nullable"),
        _ => false,
    };
    let mut also = schema.get("also").and_then(Value::as_array).into_iter().flatten();
    if good || also.any(|kind| is_of(kind, value)) {
        return Some(value.clone());
    }
    match (kind, value) {
        ("string", Value::Number(_) | Value::Bool(_)) => Some(value.to_string().into()),
        ("integer", Value::Number(number)) => {
            let float = number.as_f64().filter(|f| f.fract() == 0.0 && f.abs() < 9e15)?;
            #[expect(clippy::cast_possible_truncation, reason = "whole and small")]
            Some((float as i64).into())
        }
        ("integer", Value::String(text)) => text.trim().parse::<i64>().ok().map(Value::from),
        ("number", Value::String(text)) => {
            let float = text.trim().parse::<f64>().ok()?;
            serde_json::Number::from_f64(float).map(Value::Number)
        }
        ("boolean", Value::String(text)) => text.trim().parse::<bool>().ok().map(Value::from),
        _ => None,
    }
}

fn is_of(kind: &Value, value: &Value) -> bool {
    match kind.as_str().unwrap_or_default() {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}

/// Where YAML became JSON, dates became times.
fn dated(schema: &Map<String, Value>, text: &str) -> String {
    let is_date = schema.get("format").and_then(Value::as_str) == Some("date");
    match text.split_once('T') {
        Some((date, _)) if is_date && date.len() == 10 => date.to_owned(),
        _ => text.to_owned(),
    }
}

/// Patterns of the toolkit format match the whole text, those of JSON Schema anywhere in it.
fn whole(pattern: &str) -> String {
    let inner = pattern.strip_prefix('^').and_then(|p| p.strip_suffix('$'));
    match inner {
        Some(inner) if !inner.contains('|') && !inner.ends_with('\\') => pattern.to_owned(),
        _ => format!("^[\\s\\S]*(?:{pattern})[\\s\\S]*$"),
    }
}

/// A pair of bounds in whole numbers; those that nothing can be within are dropped.
fn bounds(
    gathered: &Gathered<'_>,
    schema: &mut Map<String, Value>,
    from: [&str; 2],
    to: [&str; 2],
) {
    let read = |key: &str| {
        let value = gathered.first(key)?;
        value.as_u64().or_else(|| {
            let float = value.as_f64().filter(|f| *f >= 0.0 && *f < 9e15)?;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
            Some(float as u64)
        })
    };
    let (low, high) = (read(from[0]).filter(|n| *n > 0), read(from[1]));
    if low.zip(high).is_some_and(|(low, high)| low > high) {
        return;
    }
    for (key, value) in to.into_iter().zip([low, high]) {
        if let Some(value) = value {
            schema.insert(key.into(), value.into());
        }
    }
}

fn numbers(whole: bool, gathered: &Gathered<'_>, schema: &mut Map<String, Value>) {
    let read = |key: &str| gathered.first(key).and_then(Value::as_f64);
    let excluded = |key: &str| gathered.first(key) == Some(&Value::Bool(true));
    let step = |value: f64, by: f64| if whole { value + by } else { value };
    let mut low = read("minimum");
    let mut high = read("maximum");
    if excluded("exclusiveMinimum") {
        low = low.map(|value| step(value, 1.0));
    } else if let Some(value) = read("exclusiveMinimum") {
        low = Some(step(value, 1.0));
    }
    if excluded("exclusiveMaximum") {
        high = high.map(|value| step(value, -1.0));
    } else if let Some(value) = read("exclusiveMaximum") {
        high = Some(step(value, -1.0));
    }
    if low.zip(high).is_some_and(|(low, high)| low > high) {
        return;
    }
    for (key, value) in [("minimum", low), ("maximum", high)] {
        // Bounds of the type itself tell nothing, and large ones are no exact numbers.
        let Some(value) = value.filter(|v| v.is_finite() && v.abs() < 9e15) else { continue };
        #[expect(clippy::cast_possible_truncation, reason = "whole and small")]
        let value =
            if value.fract() == 0.0 { Value::from(value as i64) } else { Value::from(value) };
        schema.insert(key.into(), value);
    }
}
