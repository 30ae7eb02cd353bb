//! Alternatives made into one schema that takes all of them.

use serde_json::{Map, Value};

use super::emit::add_sentence;
use super::gather::Gathered;
use super::{Trail, Use, Walk, example};
use crate::import::text;

/// Alternatives of one value that are looked at.
const MOST_VARIANTS: usize = 60;

impl<'a> Walk<'_, 'a> {
    /// A schema with `oneOf` or `anyOf`.
    pub(super) fn alternatives(
        &self,
        gathered: &Gathered<'a>,
        hint: Option<&'static str>,
        trail: &mut Trail,
    ) -> Map<String, Value> {
        let own = gathered.first("type").and_then(Value::as_str);
        let hint = match own {
            Some("object") => Some("object"),
            Some("string") => Some("string"),
            Some("array") => Some("array"),
            Some("integer") => Some("integer"),
            Some("number") => Some("number"),
            Some("boolean") => Some("boolean"),
            _ if !gathered.properties.is_empty() => Some("object"),
            _ => hint,
        };
        let mut united: Option<Map<String, Value>> = None;
        let mut nullable = false;
        let mut needs: Vec<String> = Vec::new();
        for group in &gathered.groups {
            let mut variants = Vec::new();
            for (i, variant) in group.iter().take(MOST_VARIANTS).enumerate() {
                if is_null(variant) {
                    nullable = true;
                } else if let Some(names) = only_required(variant) {
                    needs.extend((!names.is_empty()).then(|| names.join(" and ")));
                } else {
                    let length = trail.at.len();
                    trail.at.push_str(&format!("/oneOf/{i}"));
                    variants.push(self.all_of(&[variant], hint, trail));
                    trail.at.truncate(length);
                }
            }
            if group.len() > MOST_VARIANTS {
                self.cut.set(true);
            }
            let Some(group) = self.unite(variants, trail) else { continue };
            united = Some(match united {
                Some(before) => both(before, group),
                None => group,
            });
        }
        // What stands beside the alternatives holds for all of them.
        let mut schema = match united {
            None => self.emit(gathered, hint, trail),
            Some(united) if gathered.properties.is_empty() => united,
            Some(united) => both(self.emit(gathered, Some("object"), trail), united),
        };
        let required: Vec<Value> = gathered
            .required
            .iter()
            .filter(|name| schema.get("properties").is_some_and(|p| p.get(**name).is_some()))
            .map(|name| Value::from(*name))
            .collect();
        require(&mut schema, required);
        let before = schema.get("description").cloned();
        self.describe(gathered, &mut schema);
        if needs.len() > 1 && self.purpose != Use::Output {
            let mut words =
                schema.get("description").and_then(Value::as_str).unwrap_or_default().to_owned();
            needs.truncate(8);
            add_sentence(&mut words, &format!("Needs {}.", needs.join(", or ")));
            schema.insert("description".into(), text::clean(&words, self.limits.text).into());
        } else if let (None, Some(before)) = (schema.get("description"), before) {
            schema.insert("description".into(), before);
        }
        if nullable || gathered.nullable {
            schema.insert("nullable".into(), true.into());
        }
        schema
    }

    /// One schema that takes what any of `variants` takes.
    fn unite(
        &self,
        mut variants: Vec<Map<String, Value>>,
        trail: &Trail,
    ) -> Option<Map<String, Value>> {
        dedup(&mut variants);
        if variants.len() < 2 {
            return variants.pop();
        }
        if trail.depth == 0 && variants.iter().filter(|v| is(v, "object")).count() > 1 {
            self.alternatives.set(true);
        }
        self.repair(trail, "alternatives are made into one schema that takes all of them");
        Some(unite(variants))
    }
}

fn is(schema: &Map<String, Value>, kind: &str) -> bool {
    schema.get("type").and_then(Value::as_str) == Some(kind)
}

fn is_null(variant: &Value) -> bool {
    let null = variant.get("enum").is_some_and(|list| list == &serde_json::json!([null]));
    variant.get("type").and_then(Value::as_str) == Some("null") || null
}

/// The names of a variant that says nothing but which properties are needed.
fn only_required(variant: &Value) -> Option<Vec<&str>> {
    let fields = variant.as_object()?;
    let silent = ["required", "title", "description", "not"];
    let names = fields.get("required")?.as_array()?;
    let only = fields.keys().all(|key| silent.contains(&key.as_str()));
    only.then(|| names.iter().filter_map(Value::as_str).take(8).collect())
}

fn dedup(variants: &mut Vec<Map<String, Value>>) {
    let mut kept: Vec<Map<String, Value>> = Vec::new();
    for variant in variants.drain(..) {
        if !kept.contains(&variant) {
            kept.push(variant);
        }
    }
    *variants = kept;
}

fn unite(mut variants: Vec<Map<String, Value>>) -> Map<String, Value> {
    dedup(&mut variants);
    let nullable = variants.iter().any(|v| v.contains_key("nullable"));
    let mut kinds: Vec<String> = Vec::new();
    for variant in &variants {
        let also = variant.get("also").and_then(Value::as_array).into_iter().flatten();
        for kind in variant.get("type").into_iter().chain(also).filter_map(Value::as_str) {
            if !kinds.iter().any(|known| known == kind) {
                kinds.push(kind.to_owned());
            }
        }
    }
    if kinds.iter().any(|kind| kind == "number") {
        kinds.retain(|kind| kind != "integer");
    }
    let words = variants.iter().find_map(|v| v.get("description")).cloned();
    let mut main = None;
    for kind in ["file", "object", "array"] {
        let (of_kind, rest): (Vec<_>, Vec<_>) = variants.into_iter().partition(|v| is(v, kind));
        variants = rest;
        if main.is_none() && !of_kind.is_empty() {
            main = Some(match kind {
                "object" => objects(of_kind),
                "array" => arrays(of_kind),
                _ => of_kind.into_iter().next().unwrap_or_default(),
            });
        }
    }
    let mut schema = match main {
        Some(schema) => schema,
        None => scalars(variants, &kinds),
    };
    let own = schema.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    let also: Vec<Value> =
        kinds.into_iter().filter(|k| *k != own && k != "file").map(Value::from).collect();
    schema.remove("also");
    if !also.is_empty() && own != "file" {
        schema.insert("also".into(), also.into());
    }
    if nullable {
        schema.insert("nullable".into(), true.into());
    }
    if let Some(words) = words {
        schema.entry("description").or_insert(words);
    }
    schema
}

fn names(schema: &Map<String, Value>) -> Vec<&str> {
    let list = schema.get("required_properties").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).collect()
}

fn require(schema: &mut Map<String, Value>, names: Vec<Value>) {
    let mut all = match schema.remove("required_properties") {
        Some(Value::Array(all)) => all,
        _ => Vec::new(),
    };
    for name in names {
        if !all.contains(&name) {
            all.push(name);
        }
    }
    if !all.is_empty() {
        schema.insert("required_properties".into(), all.into());
    }
}

/// A value that is one of the alternatives, since what belongs together cannot be said any more: of the
/// one that needs something, or else with a property that only its own alternative has.
fn sample(variants: &[Map<String, Value>], common: usize) -> Option<Value> {
    if variants.iter().any(|v| names(v).len() > common) {
        let first = variants.iter().max_by_key(|v| usize::from(!names(v).is_empty()))?;
        return Some(example::of(first, 0));
    }
    let all: Vec<_> =
        variants.iter().map(|v| v.get("properties").and_then(Value::as_object)).collect();
    let choice = |own: &Value| own.get("enum").and_then(|list| list.get(0)).cloned();
    // No other has it, or none takes the value that this one would have.
    let tells = |place: usize, name: &String, own: &Value| {
        let value = choice(own);
        let takes = |other: &Value| {
            let list = other.get("enum").and_then(Value::as_array);
            value.as_ref().is_none_or(|value| list.is_none_or(|list| list.contains(value)))
        };
        let others = all.iter().enumerate().filter(|(i, _)| *i != place);
        !others.filter_map(|(_, other)| (*other)?.get(name)).any(takes)
    };
    let (place, name, own) = all.iter().enumerate().find_map(|(place, own)| {
        let (name, own) = (*own)?.iter().find(|(name, own)| tells(place, name, own))?;
        Some((place, name, own.as_object()?))
    })?;
    let mut sample = example::of(variants.get(place)?, 0);
    sample.as_object_mut()?.insert(name.clone(), example::of(own, 1));
    Some(sample)
}

fn objects(mut variants: Vec<Map<String, Value>>) -> Map<String, Value> {
    if variants.len() == 1 {
        return variants.pop().unwrap_or_default();
    }
    let common: Vec<Value> = names(&variants[0])
        .into_iter()
        .filter(|name| variants.iter().all(|v| names(v).contains(name)))
        .map(Value::from)
        .collect();
    let sample = sample(&variants, common.len());
    let open = variants.iter().any(|v| v.get("additional_properties") == Some(&Value::Bool(true)));
    let closed =
        variants.iter().all(|v| v.get("additional_properties") == Some(&Value::Bool(false)));
    let mut properties: Vec<(String, Vec<Map<String, Value>>)> = Vec::new();
    let mut known = std::collections::HashMap::new();
    for variant in variants {
        let Some((_, Value::Object(own))) = variant.into_iter().find(|(k, _)| k == "properties")
        else {
            continue;
        };
        for (name, schema) in own {
            let Value::Object(schema) = schema else { continue };
            let place = *known.entry(name.clone()).or_insert(properties.len());
            match properties.get_mut(place) {
                Some((_, list)) => list.push(schema),
                None => properties.push((name, vec![schema])),
            }
        }
    }
    let mut schema = Map::new();
    schema.insert("type".into(), "object".into());
    if properties.is_empty() {
        schema.insert("additional_properties".into(), true.into());
        return schema;
    }
    let united = properties.into_iter().map(|(name, mut list)| {
        let one = if list.len() == 1 { list.pop().unwrap_or_default() } else { unite(list) };
        (name, Value::Object(one))
    });
    schema.insert("properties".into(), Value::Object(united.collect()));
    require(&mut schema, common);
    if open || closed {
        schema.insert("additional_properties".into(), open.into());
    }
    if let Some(sample) = sample
        && sample.to_string().len() <= 1_000
    {
        schema.insert("examples".into(), vec![sample].into());
    }
    schema
}

fn arrays(variants: Vec<Map<String, Value>>) -> Map<String, Value> {
    let mut schema = Map::new();
    schema.insert("type".into(), "array".into());
    let mut items = Vec::new();
    for mut variant in variants {
        if let Some(Value::Object(inner)) = variant.remove("items") {
            items.push(inner);
        }
    }
    let inner = if items.len() == 1 { items.pop().unwrap_or_default() } else { unite(items) };
    schema.insert("items".into(), inner.into());
    schema
}

fn scalars(variants: Vec<Map<String, Value>>, kinds: &[String]) -> Map<String, Value> {
    let mut schema = Map::new();
    let kind = kinds.first().map_or("string", String::as_str);
    schema.insert("type".into(), kind.into());
    if kinds.len() > 1 {
        return schema;
    }
    let mut choices: Vec<Value> = Vec::new();
    for variant in &variants {
        match variant.get("enum").and_then(Value::as_array) {
            Some(list) => {
                for value in list {
                    if !choices.contains(value) {
                        choices.push(value.clone());
                    }
                }
            }
            // Another takes any: the choices of one are no limit, but they are good to know.
            None => {
                let examples: Vec<Value> = variants
                    .iter()
                    .filter_map(|v| v.get("examples").or(v.get("enum"))?.as_array())
                    .flatten()
                    .take(3)
                    .cloned()
                    .collect();
                if !examples.is_empty() {
                    schema.insert("examples".into(), examples.into());
                }
                for key in ["format", "pattern"] {
                    let first = variants[0].get(key);
                    if let Some(value) =
                        first.filter(|_| variants.iter().all(|v| v.get(key) == first))
                    {
                        schema.insert(key.into(), value.clone());
                    }
                }
                return schema;
            }
        }
    }
    if choices.len() <= 200 && !choices.is_empty() {
        schema.insert("enum".into(), choices.into());
    }
    schema
}

/// The schema of what both hold for.
fn both(mut base: Map<String, Value>, other: Map<String, Value>) -> Map<String, Value> {
    if !is(&base, "object") || !is(&other, "object") {
        return if is(&base, "object") { base } else { other };
    }
    let required: Vec<Value> = names(&other).into_iter().map(Value::from).collect();
    let mut other = other;
    if let Some(Value::Object(more)) = other.remove("properties") {
        let held = base.entry("properties").or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(held) = held {
            for (name, schema) in more {
                held.entry(name).or_insert(schema);
            }
        }
    }
    require(&mut base, required);
    if let Some(Value::Array(samples)) = other.remove("examples") {
        let sample = samples.into_iter().next().unwrap_or_default();
        let mut whole = example::of(&base, 0);
        if let (Value::Object(whole), Value::Object(sample)) = (&mut whole, sample) {
            whole.extend(sample);
        }
        base.insert("examples".into(), vec![whole].into());
    }
    base.remove("additional_properties");
    if base.get("properties").and_then(Value::as_object).is_none_or(Map::is_empty) {
        base.remove("properties");
        base.insert("additional_properties".into(), true.into());
    }
    base
}
