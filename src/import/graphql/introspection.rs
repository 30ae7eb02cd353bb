//! The answer of the introspection query.

use serde_json::Value;

use super::schema::{Field, Input, Kind, MOST_WRAPPERS, Schema, Type, TypeRef, is_name};
use crate::import::Failure;

/// Reads `{data: {__schema}}`, `{__schema}`; what is not understood in it is left out.
pub(super) fn read(document: &Value) -> Result<Schema, Failure> {
    let root = document
        .pointer("/data/__schema")
        .or_else(|| document.get("__schema"))
        .ok_or_else(|| Failure::of_all("The introspection answer has no `__schema`"))?;
    let Some(types) = root.get("types").and_then(Value::as_array) else {
        return Err(Failure {
            at: "/__schema/types".to_owned(),
            problem: "The introspection answer has no types".to_owned(),
        });
    };
    let root_name = |key: &str| text(root.get(key)?, "name").filter(|name| is_name(name));
    let mut schema = Schema {
        query: root_name("queryType"),
        mutation: root_name("mutationType"),
        subscription: root_name("subscriptionType"),
        description: text(root, "description"),
        ..Schema::default()
    };
    for value in types {
        let Some(name) = text(value, "name").filter(|name| is_name(name)) else { continue };
        if !name.starts_with("__") {
            schema.types.insert(name, one(value));
        }
    }
    Ok(schema)
}

fn text(value: &Value, key: &str) -> Option<String> {
    value.get(key)?.as_str().filter(|text| !text.trim().is_empty()).map(str::to_owned)
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn one(value: &Value) -> Type {
    let kind = match value.get("kind").and_then(Value::as_str).unwrap_or_default() {
        "OBJECT" => Kind::Object,
        "INTERFACE" => Kind::Interface,
        "UNION" => Kind::Union,
        "ENUM" => Kind::Enum,
        "INPUT_OBJECT" => Kind::Input,
        _ => Kind::Scalar,
    };
    let names = |key: &str| -> Vec<String> {
        let names = list(value, key).iter().filter_map(|item| text(item, "name"));
        names.filter(|name| is_name(name)).collect()
    };
    Type {
        kind,
        description: text(value, "description"),
        fields: list(value, "fields").iter().filter_map(field).collect(),
        inputs: list(value, "inputFields").iter().filter_map(input).collect(),
        values: names("enumValues"),
        members: names("possibleTypes"),
    }
}

fn field(value: &Value) -> Option<Field> {
    let deprecated = value.get("isDeprecated").and_then(Value::as_bool).unwrap_or_default();
    let reason = || text(value, "deprecationReason").unwrap_or_else(|| "Deprecated.".to_owned());
    Some(Field {
        name: text(value, "name").filter(|name| is_name(name))?,
        description: text(value, "description"),
        deprecated: deprecated.then(reason),
        args: list(value, "args").iter().filter_map(input).collect(),
        ty: type_ref(value.get("type")?, MOST_WRAPPERS)?,
    })
}

fn input(value: &Value) -> Option<Input> {
    Some(Input {
        name: text(value, "name").filter(|name| is_name(name))?,
        description: text(value, "description"),
        default: text(value, "defaultValue"),
        deprecated: value.get("isDeprecated").and_then(Value::as_bool).unwrap_or_default(),
        ty: type_ref(value.get("type")?, MOST_WRAPPERS)?,
    })
}

fn type_ref(value: &Value, left: usize) -> Option<TypeRef> {
    let left = left.checked_sub(1)?;
    let inner = || type_ref(value.get("ofType")?, left).map(Box::new);
    match value.get("kind").and_then(Value::as_str) {
        Some("NON_NULL") => Some(TypeRef::NonNull(inner()?)),
        Some("LIST") => Some(TypeRef::List(inner()?)),
        _ => Some(TypeRef::Named(text(value, "name").filter(|name| is_name(name))?)),
    }
}
