//! Example arguments, made of nothing but a tool's definition.

use patchbay::catalog::Tool;
use patchbay::catalog::model::{Schema, SchemaType};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Map, Value, json};

/// Makes the same values in every run.
pub struct Samples {
    runner: TestRunner,
}

impl Samples {
    pub fn new() -> Self {
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        Self { runner: TestRunner::new_with_rng(Config::default(), rng) }
    }

    /// What a tool needs, or everything that it takes.
    pub fn arguments(&mut self, tool: &Tool, all: bool) -> Map<String, Value> {
        let params = &tool.def.params.0;
        let wanted = params.iter().filter(|(_, p)| !p.hidden && (all || p.required));
        let mut made = Map::new();
        for (name, param) in wanted {
            let mut value = self.value(&param.schema, 0);
            // With two items it shows how a list is written.
            let is_usual = param.schema.default.is_none() && param.schema.choices.is_empty();
            if let (Value::Array(items), Some(schema), true) =
                (&mut value, param.schema.items.as_deref(), is_usual)
                && items.len() == 1
                && param.schema.max_items.is_none_or(|most| most > 1)
            {
                let next = self.item(schema, 1, 1);
                if !items.contains(&next) {
                    items.push(next);
                }
            }
            made.insert(name.clone(), value);
        }
        made
    }

    fn value(&mut self, schema: &Schema, depth: usize) -> Value {
        if let Some(default) = &schema.default {
            return default.clone();
        }
        if let Some(choice) = schema.choices.first() {
            return choice.clone();
        }
        if let Some(example) = schema.examples.iter().find(|example| good(schema, example)) {
            return example.clone();
        }
        match schema.kind {
            SchemaType::String => self.text(schema).into(),
            SchemaType::Integer => json!(number(schema) as i64),
            SchemaType::Number => json!(number(schema)),
            SchemaType::Boolean => json!(true),
            SchemaType::File => {
                json!({"name": "a.txt", "mimetype": "text/plain", "s3key": "sample"})
            }
            SchemaType::Array => {
                let count = schema
                    .min_items
                    .unwrap_or(1)
                    .max(1)
                    .min(schema.max_items.unwrap_or(50))
                    .min(50);
                let items = schema.items.as_deref();
                items.map_or_else(
                    || json!([]),
                    |items| (0..count).map(|i| self.item(items, depth + 1, i)).collect(),
                )
            }
            SchemaType::Object => {
                let needed = |name: &String| schema.required_properties.contains(name);
                let inner = schema.properties.0.iter().filter(|(name, _)| needed(name));
                let inner: Map<String, Value> = inner
                    .map(|(name, schema)| (name.clone(), self.value(schema, depth + 1)))
                    .collect();
                inner.into()
            }
        }
    }

    /// An item of a list: no two are the same where that can be.
    fn item(&mut self, schema: &Schema, depth: usize, place: u64) -> Value {
        if let Some(choice) = schema.choices.get(place as usize) {
            return choice.clone();
        }
        let value = self.value(schema, depth);
        let high = schema.maximum.unwrap_or(f64::MAX);
        match &value {
            Value::Number(n) if place > 0 => {
                let step = if schema.kind == SchemaType::Integer {
                    place as f64
                } else {
                    place as f64 / 1_000.0
                };
                let next = n.as_f64().unwrap_or(0.0) + step;
                match schema.kind {
                    _ if next > high => value,
                    SchemaType::Integer => json!(next as i64),
                    _ => json!(next),
                }
            }
            Value::String(text)
                if place > 0
                    && schema.pattern.is_none()
                    && schema.format.is_none()
                    && schema.choices.is_empty() =>
            {
                let longer = format!("{text}{place}");
                let fits =
                    schema.max_length.is_none_or(|most| longer.chars().count() as u64 <= most);
                if fits { longer.into() } else { value }
            }
            _ => value,
        }
    }

    fn text(&mut self, schema: &Schema) -> String {
        let least = schema.min_length.unwrap_or(0).min(2_000) as usize;
        let most = schema.max_length.unwrap_or(u64::MAX).min(5_000) as usize;
        if let Some(pattern) = &schema.pattern
            && let Some(text) = self.matching(pattern, least, most)
        {
            return text;
        }
        let known = match schema.format.as_deref().unwrap_or_default() {
            "date-time" => "2026-01-31T09:00:00Z",
            "date" => "2026-01-31",
            "time" => "09:00:00Z",
            "uuid" => "5f0c3f9e-6d1c-4d5b-9b3f-0a1b2c3d4e5f",
            "email" => "person@example.com",
            "uri" | "url" | "uri-reference" => "https://example.com/",
            "hostname" => "example.com",
            "ipv4" | "ip" => "192.0.2.1",
            "ipv6" => "2001:db8::1",
            "byte" => "dGV4dA==",
            "duration" => "P1D",
            "json-pointer" => "/a",
            "regex" => "a",
            "uri-template" => "https://example.com/{a}",
            _ => "text",
        };
        let mut text: String = known.chars().take(most).collect();
        while text.chars().count() < least {
            text.push('x');
        }
        text
    }

    /// A text that matches, where one is found by making some.
    fn matching(&mut self, pattern: &str, least: usize, most: usize) -> Option<String> {
        let matcher =
            json!({"type": "string", "pattern": pattern, "minLength": least, "maxLength": most});
        let matcher = jsonschema::validator_for(&matcher).ok()?;
        let inner =
            pattern.strip_prefix("^[\\s\\S]*(?:").and_then(|p| p.strip_suffix(")[\\s\\S]*$"));
        let inner = inner.unwrap_or(pattern);
        let plain = inner.trim_start_matches('^').trim_end_matches('$');
        let bare: String = plain.replace("(?!)", "").replace("\\/", "/");
        let usual = [
            "text",
            "a",
            "A",
            "1",
            "ab",
            "abc-1",
            "ABCD",
            "12345",
            "2026-01-31",
            "2026-01-31T09:00:00Z",
            "https://example.com/",
            "person@example.com",
            "+15555550100",
            "1.0",
            "a/b",
            "/a/b",
            "arn:aws:iam::123456789012:role/a",
            "5f0c3f9e-6d1c-4d5b-9b3f-0a1b2c3d4e5f",
            "0x1",
            "#ffffff",
            "en",
            "US",
            "USD",
            "1.1.1.1",
        ];
        for text in usual {
            if matcher.is_valid(&json!(text)) {
                return Some(text.to_owned());
            }
        }
        let strategy = proptest::string::string_regex(&bare).ok()?;
        for _ in 0..40 {
            let text = strategy.new_tree(&mut self.runner).ok()?.current();
            let text: String = text.chars().take(most).collect();
            if matcher.is_valid(&json!(text)) && !text.chars().any(char::is_control) {
                return Some(text);
            }
        }
        None
    }
}

fn number(schema: &Schema) -> f64 {
    let low = schema.minimum.unwrap_or(f64::MIN);
    let high = schema.maximum.unwrap_or(f64::MAX);
    // Inside, where there is room: bounds may be exclusive.
    let middle = low / 2.0 + high / 2.0;
    let middle = if schema.kind == SchemaType::Integer { middle.floor() } else { middle };
    let seven = if low < 7.0 && high > 7.0 { 7.0 } else { middle };
    [seven, low + 1.0, high - 1.0, low, high]
        .into_iter()
        .find(|n| *n >= low && *n <= high)
        .unwrap_or(0.0)
}

/// Whether an example is one: descriptions have wrong ones.
fn good(schema: &Schema, example: &Value) -> bool {
    let text = example.as_str().map(str::chars).map(Iterator::count);
    let bounds = text.is_none_or(|n| {
        n as u64 >= schema.min_length.unwrap_or(0)
            && n as u64 <= schema.max_length.unwrap_or(u64::MAX)
    });
    let number = example.as_f64().is_none_or(|n| {
        n >= schema.minimum.unwrap_or(f64::MIN) && n <= schema.maximum.unwrap_or(f64::MAX)
    });
    let pattern = schema.pattern.as_deref().is_none_or(|pattern| {
        let matcher = json!({"type": "string", "pattern": pattern});
        jsonschema::validator_for(&matcher).is_ok_and(|m| m.is_valid(example))
    });
    let format = match (schema.format.as_deref(), example.as_str()) {
        (Some("date-time"), Some(text)) => text.contains('T'),
        (Some("uuid"), Some(text)) => text.len() == 36,
        (Some("uri"), Some(text)) => text.contains("://"),
        _ => true,
    };
    bounds && number && pattern && format
}
