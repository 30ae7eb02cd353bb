//! What applies to one value: references followed, `allOf` put together. Nothing is copied.

use serde_json::{Map, Value};

use super::{MOST_HOPS, RECURSION, Trail, Use, Walk};

/// Properties of one object that are looked at.
const MOST_PROPERTIES: usize = 2_000;

/// The keywords that apply to a value, outermost first.
#[derive(Default)]
pub(super) struct Gathered<'a> {
    /// The schemas, each without what is taken out of it here.
    pub parts: Vec<&'a Map<String, Value>>,
    /// Properties in order, each with everything that applies to it.
    pub properties: Vec<(&'a str, Vec<&'a Value>)>,
    /// Names of required properties.
    pub required: Vec<&'a str>,
    /// Lists of alternatives (`oneOf`, `anyOf`), one of each applies.
    pub groups: Vec<&'a Vec<Value>>,
    /// Whether null is taken besides.
    pub nullable: bool,
    /// Whether a reference leads back to what is being written out.
    pub recursive: bool,
    known: std::collections::HashMap<&'a str, usize>,
}

impl<'a> Gathered<'a> {
    /// The first value of a keyword.
    pub fn first(&self, key: &str) -> Option<&'a Value> {
        self.parts.iter().find_map(|part| part.get(key))
    }
}

impl<'a> Walk<'_, 'a> {
    /// Adds a schema.
    pub(super) fn gather(
        &self,
        schema: &'a Value,
        into: &mut Gathered<'a>,
        trail: &mut Trail,
        hops: usize,
    ) {
        let Value::Object(part) = schema else {
            if !schema.is_boolean() {
                self.repair(trail, "is no schema; any value is taken");
            }
            return;
        };
        if hops > MOST_HOPS || into.parts.len() > MOST_HOPS {
            into.recursive = into.parts.is_empty();
            return;
        }
        into.parts.push(part);
        if let Some(Value::String(reference)) = part.get("$ref") {
            self.follow(reference, into, trail, hops);
        }
        let null = |key: &str| part.get(key) == Some(&Value::Bool(true));
        if null("nullable") || null("x-nullable") {
            into.nullable = true;
        }
        if let Some(Value::Array(names)) = part.get("required") {
            into.required.extend(names.iter().filter_map(Value::as_str));
        }
        if let Some(Value::Object(properties)) = part.get("properties") {
            for (name, schema) in properties {
                self.property(name, schema, into);
            }
        }
        if let Some(Value::Array(all)) = part.get("allOf") {
            for schema in all {
                self.gather(schema, into, trail, hops + 1);
            }
        }
        for key in ["oneOf", "anyOf"] {
            match part.get(key) {
                Some(Value::Array(list)) if !list.is_empty() => into.groups.push(list),
                _ => {}
            }
        }
    }

    fn property(&self, name: &'a str, schema: &'a Value, into: &mut Gathered<'a>) {
        match into.known.get(name) {
            Some(i) => into.properties[*i].1.push(schema),
            None if into.properties.len() < MOST_PROPERTIES => {
                into.known.insert(name, into.properties.len());
                into.properties.push((name, vec![schema]));
            }
            None => self.cut.set(true),
        }
    }

    fn follow(&self, reference: &str, into: &mut Gathered<'a>, trail: &mut Trail, hops: usize) {
        let depth = trail.depth;
        let mut before = trail.refs.iter().filter(|(known, _)| known == reference).peekable();
        let inside = before.peek().is_some();
        // Without a level between, it says nothing but itself.
        if before.any(|(_, at)| *at == depth) {
            return;
        }
        if inside && depth >= RECURSION {
            into.recursive = true;
            return;
        }
        let Some(target) = (self.converter.resolve)(reference) else {
            let shown: String = reference.chars().take(120).collect();
            self.repair(trail, format!("`$ref` leads nowhere: {shown}"));
            return;
        };
        trail.refs.push((reference.to_owned(), depth));
        if let Some(pointer) = reference.strip_prefix('#') {
            pointer.clone_into(&mut trail.at);
        }
        self.gather(target, into, trail, hops + 1);
    }

    /// Whether a property is none of an argument's, or none of an answer's.
    pub(super) fn is_hidden(&self, parts: &[&'a Value], hops: usize) -> bool {
        let key = if self.purpose == Use::Output { "writeOnly" } else { "readOnly" };
        parts.iter().any(|part| {
            let says = part.get(key) == Some(&Value::Bool(true));
            let target = part.get("$ref").and_then(Value::as_str).filter(|_| hops < 5);
            let target = target.and_then(|reference| (self.converter.resolve)(reference));
            says || target.is_some_and(|target| self.is_hidden(&[target], hops + 1))
        })
    }
}
