//! Types of variables as arguments of a tool.

use serde_json::{Map, Value, json};

use super::schema::{Input, Kind, Schema, TypeRef};
use crate::import::text;

/// Levels of input objects that are written out.
const DEPTH: usize = 3;
/// Values of an enum that are listed; with more, any text is taken.
const MOST_VALUES: usize = 300;
/// Bytes of all arguments of one tool.
const MOST_BYTES: usize = 60_000;
/// Values of all arguments of one tool: where a schema has more, it is not even tried.
const MOST_NODES: usize = 2_000;

/// Values of all arguments of all tools. A schema that goes on for ever in every direction is not
/// followed for each of its fields.
pub(super) const MOST_IN_ALL: usize = 400_000;

/// The arguments of a field, by name, and whether some were made shorter than the schema has them.
pub(super) fn of(
    schema: &Schema,
    args: &[Input],
    budget: &mut usize,
) -> (Map<String, Value>, bool) {
    let mut cut = false;
    let deepest = if *budget == 0 { 0 } else { DEPTH };
    for depth in (0..=deepest).rev() {
        let mut walk = Walk { schema, left: MOST_NODES, cut: false };
        let mut params = Map::new();
        for arg in args {
            let mut param = walk.input(arg, depth);
            if arg.is_required() {
                param.insert("required".to_owned(), true.into());
            }
            if param.get("description").is_none() {
                let about = format!("Of the type {}.", arg.ty);
                param.insert("description".to_owned(), text::clean(&about, text::NAME).into());
            }
            params.insert(arg.name.clone(), param.into());
        }
        cut |= walk.cut;
        *budget = budget.saturating_sub(MOST_NODES - walk.left);
        let fits = walk.left > 0 && Value::Object(params.clone()).to_string().len() <= MOST_BYTES;
        if fits || depth == 0 {
            return (params, cut);
        }
        cut = true;
    }
    (Map::new(), cut)
}

struct Walk<'a> {
    schema: &'a Schema,
    left: usize,
    cut: bool,
}

impl Walk<'_> {
    fn input(&mut self, input: &Input, depth: usize) -> Map<String, Value> {
        let mut out = self.ty(&input.ty, depth);
        let mut about = input.description.clone().unwrap_or_default();
        if input.deprecated {
            about = format!("Deprecated. {about}");
        }
        if let Some(default) = &input.default {
            about = format!("{about} Without it: {default}.");
        }
        let about = text::clean(&about, text::ARGUMENT);
        if !about.is_empty() {
            out.insert("description".to_owned(), about.into());
        }
        if !input.ty.is_required() {
            out.insert("nullable".to_owned(), true.into());
        }
        out
    }

    fn ty(&mut self, ty: &TypeRef, depth: usize) -> Map<String, Value> {
        self.left = self.left.saturating_sub(1);
        match ty {
            TypeRef::NonNull(inner) => self.ty(inner, depth),
            TypeRef::List(inner) => {
                let items = self.ty(inner, depth);
                Map::from_iter([
                    ("type".to_owned(), "array".into()),
                    ("items".to_owned(), items.into()),
                ])
            }
            TypeRef::Named(name) => self.named(name, depth),
        }
    }

    fn named(&mut self, name: &str, depth: usize) -> Map<String, Value> {
        let known = self.schema.types.get(name);
        let about = known.and_then(|ty| ty.description.as_deref()).unwrap_or_default();
        let about = text::clean(about, 200);
        match known.map(|ty| (ty.kind, ty)) {
            Some((Kind::Enum, ty)) if (1..=MOST_VALUES).contains(&ty.values.len()) => {
                let mut values = ty.values.clone();
                let mut seen = std::collections::HashSet::new();
                values.retain(|value| seen.insert(value.clone()));
                self.left = self.left.saturating_sub(values.len());
                object(json!({"type": "string", "enum": values}), &about)
            }
            Some((Kind::Input, ty)) if depth > 0 && self.left > 0 && !ty.inputs.is_empty() => {
                let mut properties = Map::new();
                let mut required = Vec::new();
                for input in &ty.inputs {
                    if self.left == 0 {
                        self.cut = true;
                        break;
                    }
                    if input.is_required() && !properties.contains_key(&input.name) {
                        required.push(Value::from(input.name.clone()));
                    }
                    properties.insert(input.name.clone(), self.input(input, depth - 1).into());
                }
                let mut out = json!({"type": "object", "properties": properties});
                if !required.is_empty() {
                    out["required_properties"] = required.into();
                }
                object(out, &about)
            }
            Some((Kind::Input, ty)) => {
                self.cut |= !ty.inputs.is_empty();
                let named = if about.is_empty() { format!("A {name}.") } else { about };
                object(json!({"type": "object", "additional_properties": true}), &named)
            }
            _ => object(scalar(name), &about),
        }
    }
}

fn object(value: Value, about: &str) -> Map<String, Value> {
    let Value::Object(mut out) = value else { return Map::new() };
    if !about.is_empty() {
        out.insert("description".to_owned(), about.into());
    }
    out
}

/// A scalar: those of the specification, those that are called the same everywhere, and the rest as
/// text that may be something else.
fn scalar(name: &str) -> Value {
    match name {
        "Int" => json!({"type": "integer"}),
        "Float" => json!({"type": "number"}),
        "Boolean" => json!({"type": "boolean"}),
        "String" => json!({"type": "string"}),
        "ID" => json!({"type": "string", "also": ["integer"]}),
        "JSON" | "JSONObject" | "Map" | "Object" => {
            json!({"type": "object", "additional_properties": true,
                   "also": ["string", "number", "boolean", "array"]})
        }
        "DateTime" | "Timestamp" | "TimestampTZ" | "ISO8601DateTime" => {
            json!({"type": "string", "format": "date-time"})
        }
        "BigInt" | "Long" | "Int64" | "UInt64" => json!({"type": "string", "also": ["integer"]}),
        _ => json!({"type": "string", "also": ["number", "boolean", "object", "array"]}),
    }
}
