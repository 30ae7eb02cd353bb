//! Arguments as a model wrote them, made into what the definition asks for.

use std::collections::HashMap;

use jsonschema::error::{TypeKind, ValidationErrorKind};
use serde_json::{Map, Number, Value};

use super::Tool;
use super::check_params::fits;
use super::model::{Param, Schema, SchemaType};
use super::schema::{self, Reader};

/// Index of every accepted name of the arguments.
pub(super) fn names(params: &[(String, Param)]) -> HashMap<String, usize> {
    let mut names = HashMap::new();
    for (i, (_, param)) in params.iter().enumerate() {
        names.extend(param.aliases.iter().map(|alias| (alias.clone(), i)));
    }
    names.extend(params.iter().enumerate().map(|(i, (name, _))| (name.clone(), i)));
    names
}

/// The compiled validator, made on first use: most tools of a catalogue are never called.
pub(super) fn validator(tool: &Tool) -> Result<&jsonschema::Validator, String> {
    if let Some(validator) = tool.validator.get() {
        return Ok(validator);
    }
    let compiled = jsonschema::validator_for(&schema::input(&tool.def, Reader::Validator))
        .map_err(|e| format!("{}: the schema of its arguments is wrong: {e}", tool.def.slug))?;
    Ok(tool.validator.get_or_init(|| compiled))
}

/// Aliases, coercion, defaults, validation.
pub(super) fn check(
    tool: &Tool,
    args: Map<String, Value>,
) -> Result<Map<String, Value>, Vec<String>> {
    let params = &tool.def.params.0;
    let mut given: Vec<Option<Value>> = vec![None; params.len()];
    let mut aliased: Vec<(usize, Value)> = Vec::new();
    let mut flattened: Vec<((usize, Vec<String>), Value)> = Vec::new();
    for (name, value) in args {
        match tool.aliases.get(&name) {
            Some(i) if params[*i].0 == name => given[*i] = Some(value),
            Some(i) => aliased.push((*i, value)),
            None => {
                let found = nested(tool, &name, &value);
                if found.is_empty() {
                    flattened.extend(flat(tool, &name).map(|place| (place, value)));
                }
                aliased.extend(found);
            }
        }
    }
    for (i, value) in aliased {
        if given[i].as_ref().is_none_or(Value::is_null) {
            given[i] = Some(value);
        }
    }
    for ((i, path), value) in flattened {
        put(&mut given[i], &path, value);
    }
    let mut checked = Map::new();
    for ((name, param), value) in params.iter().zip(given) {
        // The caller does not know a hidden argument, so cannot have meant it.
        let value = value.filter(|value| !value.is_null() && !param.hidden);
        if let Some(value) = value {
            checked.insert(name.clone(), coerced(&param.schema, value));
        } else if let Some(default) = &param.schema.default {
            checked.insert(name.clone(), default.clone());
        }
    }
    let validator = validator(tool).map_err(|e| vec![e])?;
    let checked = Value::Object(checked);
    if !validator.is_valid(&checked) {
        return Err(validator.iter_errors(&checked).map(|error| told(tool, &error)).collect());
    }
    match checked {
        Value::Object(checked) => Ok(checked),
        _ => Err(vec!["the arguments must be an object".into()]),
    }
}

/// Arguments found inside an object: the alias `config.url` is the `url` of `config`.
fn nested(tool: &Tool, name: &str, value: &Value) -> Vec<(usize, Value)> {
    let Value::Object(fields) = value else { return Vec::new() };
    fields
        .iter()
        .filter_map(|(key, inner)| {
            let i = tool.aliases.get(&format!("{name}.{key}"))?;
            Some((*i, inner.clone()))
        })
        .collect()
}

/// The place of an argument that a caller wrote flat: `config_url` is the `url` of the object `config`, and
/// `a_b_c` may be two levels deep. None where that is not clear.
fn flat(tool: &Tool, name: &str) -> Option<(usize, Vec<String>)> {
    fn inside(schema: &Schema, name: &str, levels: usize) -> Option<Vec<String>> {
        if schema.properties.0.iter().any(|(known, _)| known == name) {
            return Some(vec![name.to_owned()]);
        }
        schema.properties.0.iter().filter(|_| levels > 1).find_map(|(known, inner)| {
            let rest = name.strip_prefix(known.as_str())?.strip_prefix('_')?;
            let mut path = inside(inner, rest, levels - 1)?;
            path.insert(0, known.clone());
            Some(path)
        })
    }
    let params = tool.def.params.0.iter().enumerate();
    params
        .filter(|(_, (_, param))| param.schema.kind == SchemaType::Object && !param.hidden)
        .find_map(|(i, (known, param))| {
            let rest = name.strip_prefix(known.as_str())?.strip_prefix('_')?;
            Some((i, inside(&param.schema, rest, 2)?))
        })
}

/// Puts a value into an object where nothing is yet, making the objects on the way.
fn put(slot: &mut Option<Value>, path: &[String], value: Value) {
    let mut place = slot.get_or_insert(Value::Null);
    for key in path {
        if place.is_null() {
            *place = Value::Object(Map::new());
        }
        let Value::Object(fields) = place else { return };
        place = fields.entry(key.clone()).or_insert(Value::Null);
    }
    if place.is_null() {
        *place = value;
    }
}

/// The value in the type that is asked for, where it plainly means that.
fn coerced(schema: &Schema, value: Value) -> Value {
    // What is of another type that is accepted is meant so.
    if !fits(schema.kind, &value) && schema.also.iter().any(|kind| fits(*kind, &value)) {
        return value;
    }
    let value = match (schema.kind, value) {
        (SchemaType::Integer, Value::String(text)) => match text.trim().parse::<i64>() {
            Ok(number) => number.into(),
            Err(_) => Value::String(text),
        },
        (SchemaType::Integer, Value::Number(number)) => whole(number),
        (SchemaType::Number, Value::String(text)) => {
            let parsed = text.trim().parse::<f64>().ok().and_then(Number::from_f64);
            match (text.trim().parse::<i64>(), parsed) {
                (Ok(number), _) => number.into(),
                (Err(_), Some(number)) => Value::Number(number),
                (Err(_), None) => Value::String(text),
            }
        }
        (SchemaType::Boolean, Value::String(text)) => match text.trim().to_lowercase().as_str() {
            "true" => true.into(),
            "false" => false.into(),
            _ => Value::String(text),
        },
        (SchemaType::String, Value::Number(number)) => Value::String(number.to_string()),
        (SchemaType::String, Value::Bool(flag)) => Value::String(flag.to_string()),
        (SchemaType::Array, Value::String(text)) => listed(schema, text),
        (SchemaType::Array, scalar @ (Value::Number(_) | Value::Bool(_))) => {
            Value::Array(vec![scalar])
        }
        (SchemaType::Object | SchemaType::File, Value::String(text)) => {
            match serde_json::from_str::<Map<String, Value>>(&text) {
                Ok(fields) => Value::Object(fields),
                Err(_) => Value::String(text),
            }
        }
        (_, value) => value,
    };
    match value {
        Value::String(text) => chosen(schema, text),
        Value::Array(items) => match &schema.items {
            Some(inner) => items.into_iter().map(|item| coerced(inner, item)).collect(),
            None => Value::Array(items),
        },
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .filter_map(|(name, value)| property(schema, &name, value).map(|v| (name, v)))
                .collect(),
        ),
        value => value,
    }
}

/// A property of an object; null is absent unless the property may be null.
fn property(schema: &Schema, name: &str, value: Value) -> Option<Value> {
    match schema.properties.0.iter().find(|(known, _)| known == name) {
        Some((_, inner)) if value.is_null() && !inner.nullable => None,
        Some((_, inner)) if !value.is_null() => Some(coerced(inner, value)),
        _ => Some(value),
    }
}

/// JSON text as a list; any other text as a list of one where the items are scalars.
fn listed(schema: &Schema, text: String) -> Value {
    if let Ok(items) = serde_json::from_str::<Vec<Value>>(&text) {
        return Value::Array(items);
    }
    let scalars = schema
        .items
        .as_ref()
        .is_some_and(|items| !matches!(items.kind, SchemaType::Array | SchemaType::Object));
    if scalars && !text.trim_start().starts_with('[') {
        return Value::Array(vec![Value::String(text)]);
    }
    Value::String(text)
}

/// `5.0` as `5`.
fn whole(number: Number) -> Value {
    match number.as_f64() {
        #[expect(clippy::cast_possible_truncation, reason = "whole and small")]
        Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 9e15 => {
            (float as i64).into()
        }
        _ => Value::Number(number),
    }
}

/// The choice that the text means, whatever its case.
fn chosen(schema: &Schema, text: String) -> Value {
    let choices = || schema.choices.iter().filter_map(Value::as_str);
    if schema.choices.is_empty() || choices().any(|choice| choice == text) {
        return Value::String(text);
    }
    let mut close = choices().filter(|choice| choice.eq_ignore_ascii_case(text.trim()));
    match (close.next(), close.next()) {
        (Some(choice), None) => Value::String(choice.to_owned()),
        _ => Value::String(text),
    }
}

/// A problem in words that a model can act on.
fn told(tool: &Tool, error: &jsonschema::ValidationError<'_>) -> String {
    let path = readable(error.instance_path().as_str());
    let got = shown(error.instance());
    match error.kind() {
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            let full = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
            let help = if path.is_empty() { help(tool, name) } else { String::new() };
            format!("`{full}` is required{help}")
        }
        ValidationErrorKind::Type { kind } => {
            format!("`{path}` must be {}, got {got}", article(kind))
        }
        ValidationErrorKind::Enum { options } => {
            let options = options.as_array().map(Vec::as_slice).unwrap_or_default();
            let names: Vec<String> = options
                .iter()
                .filter(|v| !v.is_null())
                .map(|v| match v {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                })
                .collect();
            format!("`{path}` must be one of {}; got {got}", names.join(", "))
        }
        ValidationErrorKind::Minimum { limit } => {
            format!("`{path}` must be at least {limit}, got {got}")
        }
        ValidationErrorKind::Maximum { limit } => {
            format!("`{path}` must be at most {limit}, got {got}")
        }
        ValidationErrorKind::MinLength { limit: 1 } => format!("`{path}` must not be empty"),
        ValidationErrorKind::MinLength { limit } => {
            format!("`{path}` must have at least {limit} characters, got {got}")
        }
        ValidationErrorKind::MaxLength { limit } => {
            let length = error.instance().as_str().map_or(0, |text| text.chars().count());
            format!("`{path}` must have at most {limit} characters, got {length}")
        }
        ValidationErrorKind::MinItems { limit: 1 } => {
            format!("`{path}` must have at least one item")
        }
        ValidationErrorKind::MinItems { limit } => {
            format!("`{path}` must have at least {limit} items")
        }
        ValidationErrorKind::MaxItems { limit } => {
            let length = error.instance().as_array().map_or(0, Vec::len);
            format!("`{path}` must have at most {limit} items, got {length}")
        }
        ValidationErrorKind::Pattern { pattern } => {
            format!("`{path}` must match the pattern {pattern}, got {got}")
        }
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            format!("`{path}` must not have {}", unexpected.join(", "))
        }
        _ => format!("`{path}`: {error}"),
    }
}

/// `/labels/0/name` as `labels[0].name`.
fn readable(pointer: &str) -> String {
    let mut out = String::new();
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        if part.parse::<usize>().is_ok() && !out.is_empty() {
            out.push_str(&format!("[{part}]"));
        } else {
            if !out.is_empty() {
                out.push('.');
            }
            out.push_str(&part);
        }
    }
    out
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= 60 {
        return text;
    }
    let head: String = text.chars().take(60).collect();
    format!("{head}…")
}

fn article(kind: &TypeKind) -> String {
    let name = match kind {
        TypeKind::Single(kind) => kind.to_string(),
        TypeKind::Multiple(kinds) => {
            let names: Vec<String> = kinds.iter().map(|kind| kind.to_string()).collect();
            names.join(" or ")
        }
    };
    let vowel = name.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {name}", if vowel { "an" } else { "a" })
}

/// The start of an argument's description.
fn help(tool: &Tool, name: &str) -> String {
    let description = tool
        .def
        .params
        .0
        .iter()
        .find(|(known, _)| known == name)
        .and_then(|(_, param)| param.schema.description.as_deref())
        .unwrap_or_default();
    let first = description.split(['\n', ';']).next().unwrap_or_default();
    let first = first.split(". ").next().unwrap_or_default().trim_end_matches('.').trim();
    if first.is_empty() {
        String::new()
    } else {
        format!(": {}", first.chars().take(120).collect::<String>())
    }
}
