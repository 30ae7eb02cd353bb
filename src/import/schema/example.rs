//! A value that fits a converted schema.

use serde_json::{Map, Value, json};

/// With what is required, and nothing else.
pub fn of(schema: &Map<String, Value>, depth: usize) -> Value {
    let listed = |key: &str| schema.get(key).and_then(Value::as_array).and_then(|l| l.first());
    if let Some(value) = schema.get("default").or_else(|| listed("enum")).or(listed("examples")) {
        return value.clone();
    }
    let number = |key: &str| schema.get(key).and_then(Value::as_u64);
    match schema.get("type").and_then(Value::as_str).unwrap_or_default() {
        "object" if depth < 8 => {
            let properties = schema.get("properties").and_then(Value::as_object);
            let required = schema.get("required_properties").and_then(Value::as_array);
            let mut out = Map::new();
            for name in required.into_iter().flatten().filter_map(Value::as_str) {
                if let Some(Value::Object(inner)) = properties.and_then(|p| p.get(name)) {
                    out.insert(name.to_owned(), of(inner, depth + 1));
                }
            }
            out.into()
        }
        "object" => json!({}),
        "array" => {
            let count = number("min_items").unwrap_or(0).min(5);
            let inner = schema.get("items").and_then(Value::as_object);
            inner.map_or_else(
                || json!([]),
                |inner| (0..count).map(|_| of(inner, depth + 1)).collect(),
            )
        }
        "integer" | "number" => within(schema),
        "boolean" => json!(true),
        _ => text(schema, number).into(),
    }
}

/// A number inside of its bounds, which may not be allowed themselves.
fn within(schema: &Map<String, Value>) -> Value {
    let bound = |key: &str| schema.get(key).and_then(Value::as_f64);
    let number = match (bound("minimum"), bound("maximum")) {
        (Some(low), Some(high)) if high - low > 2.0 => low + 1.0,
        (Some(low), Some(high)) => low / 2.0 + high / 2.0,
        (Some(low), None) => low + 1.0,
        (None, Some(high)) => high.min(2.0) - 1.0,
        (None, None) => 1.0,
    };
    if schema.get("type").and_then(Value::as_str) == Some("number") {
        return json!(number);
    }
    #[expect(clippy::cast_possible_truncation, reason = "bounds are within what is exact")]
    let whole = number.floor() as i64;
    json!(whole)
}

fn text(schema: &Map<String, Value>, number: impl Fn(&str) -> Option<u64>) -> String {
    let known = match schema.get("format").and_then(Value::as_str).unwrap_or_default() {
        "date-time" => "2026-01-31T09:00:00Z",
        "date" => "2026-01-31",
        "time" => "09:00:00Z",
        "uuid" => "5f0c3f9e-6d1c-4d5b-9b3f-0a1b2c3d4e5f",
        "email" => "person@example.com",
        "uri" | "url" => "https://example.com/",
        "hostname" => "example.com",
        "ipv4" | "ip" => "192.0.2.1",
        "ipv6" => "2001:db8::1",
        "byte" => "dGV4dA==",
        _ => "text",
    };
    let most = number("max_length").and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX);
    let least = number("min_length").and_then(|n| usize::try_from(n).ok()).unwrap_or(0).min(2_000);
    let mut out: String = known.chars().take(most).collect();
    while out.chars().count() < least {
        out.push('x');
    }
    out
}
