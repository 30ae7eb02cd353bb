//! OpenAPI 3.0 and 3.1, and Swagger 2.0, which is brought into the form of 3.0 first.
//!
//! | module | knows |
//! |---|---|
//! | `swagger` | Swagger 2.0 to OpenAPI 3.0 |
//! | `operation` | one operation to one tool |
//! | `params` | parameters to arguments: names, places, styles |
//! | `body` | request bodies to arguments |
//! | `answer` | answers to output schemas and files |
//! | `names` | slugs, aliases, names for people |
//! | `servers` | servers and their variables to a root and connection fields |
//! | `auth`, `oauth` | security schemes to ways to authenticate |
//! | `lost` | what needs a document that could not be had |
//! | `toolkit` | `toolkit.yaml` |

mod answer;
mod auth;
mod body;
mod lost;
mod names;
mod oauth;
mod operation;
mod params;
mod servers;
mod swagger;
mod toolkit;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::external::{self, Bundled};
use super::schema::{Converted, Converter, Limits, Use, size, token};
use super::{Definition, Failure, Format, Options, Progress, Report, text};

/// Largest schema of one argument or answer that is written out in full detail.
const USUAL_BYTES: usize = 32 * 1024;
/// Largest of all.
const MOST_BYTES: usize = 100 * 1024;
/// References that may follow each other.
const MOST_HOPS: usize = 20;
/// Methods that tools can have, and those that descriptions can have besides.
const METHODS: [&str; 7] = ["get", "post", "put", "patch", "delete", "head", "options"];
const OTHER_METHODS: [&str; 1] = ["trace"];

/// A description, and what is known while it is read.
struct Api<'a> {
    root: &'a Value,
    bundled: &'a Bundled,
    converter: &'a Converter<'a>,
    report: RefCell<Report>,
    /// The level of detail with which a schema was small enough the last time.
    levels: RefCell<HashMap<(String, bool), usize>>,
    /// Bytes of schemas so far: the more there are, the terser the next ones are.
    written: Cell<usize>,
}

/// One operation of the description.
struct Operation<'a> {
    /// JSON pointer.
    at: String,
    method: &'static str,
    path: &'a str,
    item: &'a Map<String, Value>,
    value: &'a Map<String, Value>,
}

/// Imports a document.
pub(super) fn import(
    document: &Value,
    bundled: &Bundled,
    format: Format,
    options: &Options,
    progress: Progress<'_>,
) -> Result<(Definition, Report), Failure> {
    let converted;
    let (root, label) = match format {
        Format::Swagger => {
            let version = version(document, "swagger", "2.")?;
            converted = swagger::convert(document);
            (&converted, format!("Swagger {version}"))
        }
        _ => (document, format!("OpenAPI {}", version(document, "openapi", "3.")?)),
    };
    let resolve = |reference: &str| find(root, reference);
    let converter = Converter::new(&resolve);
    let api = Api {
        root,
        bundled,
        converter: &converter,
        report: RefCell::new(Report::of(label)),
        levels: RefCell::default(),
        written: Cell::new(0),
    };
    let definition = toolkit::definition(&api, options, progress)?;
    let mut report = api.report.into_inner();
    report.tools = definition.tools.len();
    Ok((definition, report))
}

fn version(document: &Value, key: &str, start: &str) -> Result<String, Failure> {
    let version = match &document[key] {
        Value::String(text) => text.trim().to_owned(),
        other => other.to_string(),
    };
    let version: String = version.chars().take(20).collect();
    // YAML makes 3.0 a number.
    if version.starts_with(start) || version == start.trim_end_matches('.') {
        return Ok(version);
    }
    Err(Failure {
        at: format!("/{key}"),
        problem: format!(
            "Version {version:?} is not known; OpenAPI 3.0 and 3.1 and Swagger 2.0 are"
        ),
    })
}

/// What a reference within the document means.
fn find<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    external::part(root, reference.strip_prefix('#')?)
}

impl<'a> Api<'a> {
    /// The value, or what it refers to, with its JSON pointer.
    fn follow(&self, value: &'a Value, at: &str) -> (&'a Value, String) {
        let (mut value, mut at) = (value, at.to_owned());
        for _ in 0..MOST_HOPS {
            let Some(reference) = value.get("$ref").and_then(Value::as_str) else {
                return (value, at);
            };
            let Some(found) = find(self.root, reference) else {
                let shown: String = reference.chars().take(120).collect();
                let why = self.bundled.lost.get(reference).map(|why| format!(": {why}"));
                let why = why.unwrap_or_default();
                self.repaired(&at, format!("`$ref` leads nowhere: {shown}{why}"));
                return (&Value::Null, at);
            };
            value = found;
            reference.trim_start_matches('#').clone_into(&mut at);
        }
        (&Value::Null, at)
    }

    fn repaired(&self, at: &str, what: impl Into<String>) {
        self.report.borrow_mut().repaired(at, what);
    }

    fn note(&self, note: impl Into<String>) {
        let note = note.into();
        let mut report = self.report.borrow_mut();
        if report.notes.len() < 100 && !report.notes.contains(&note) {
            report.notes.push(note);
        }
    }

    /// A schema in the toolkit format's words, no larger than is sensible.
    fn schema(&self, schema: &'a Value, at: &str, purpose: Use) -> Converted {
        let output = purpose == Use::Output;
        let written = self.written.get();
        let usual = match written {
            _ if output => USUAL_BYTES / 2,
            0..33_554_432 => USUAL_BYTES,
            _ => USUAL_BYTES / 4,
        };
        let usual = if written > 2 * 33_554_432 { usual / 8 } else { usual };
        let most = if output { USUAL_BYTES / 2 } else { MOST_BYTES };
        let name = schema.get("$ref").and_then(Value::as_str);
        let key = name.map(|name| (name.to_owned(), output));
        let known = key.as_ref().and_then(|key| self.levels.borrow().get(key).copied());
        let first = known.unwrap_or(if output { 3 } else { 0 });
        let last = Limits::LEVELS.len() - 1;
        let mut level = first;
        let converted = loop {
            // Details are worth more than brevity until it becomes a matter of what can be sent.
            let bound = if level >= 3 && written <= 33_554_432 { most } else { usual };
            let limits = Limits { nodes: bound / 24, ..Limits::LEVELS[level] };
            let converted = self.converter.convert(schema, at, purpose, limits);
            let bytes = size(&converted.schema);
            if (bytes <= bound && !converted.too_large) || level == last {
                self.written.set(written + bytes);
                break converted;
            }
            level += 1;
        };
        if let Some(key) = key
            && level > first
        {
            self.levels.borrow_mut().insert(key, level);
        }
        if level > first && !output {
            self.repaired(at, "a large schema is told in less detail");
        }
        if !output {
            let mut report = self.report.borrow_mut();
            for (at, what) in &converted.repairs {
                report.repaired(at, what.as_str());
            }
        }
        converted
    }

    /// Every operation, in the order of the description.
    fn operations(&self) -> Vec<Operation<'a>> {
        let mut operations = Vec::new();
        let Some(Value::Object(paths)) = self.root.get("paths") else { return operations };
        for (path, item) in paths.iter().filter(|(path, _)| !path.starts_with("x-")) {
            let at = format!("/paths/{}", token(path));
            let (item, at) = match lost::item(self, item, &at) {
                Some((place, why)) => {
                    let mut report = self.report.borrow_mut();
                    report.operations += 1;
                    report.left_out(&place, path.as_str(), why);
                    continue;
                }
                None => self.follow(item, &at),
            };
            let Value::Object(item) = item else { continue };
            for (key, value) in item {
                let Value::Object(value) = value else { continue };
                let lower = key.to_ascii_lowercase();
                if let Some(method) = METHODS.into_iter().find(|m| *m == lower) {
                    let at = format!("{at}/{}", token(key));
                    operations.push(Operation { at, method, path, item, value });
                } else if OTHER_METHODS.contains(&lower.as_str()) {
                    let mut report = self.report.borrow_mut();
                    report.operations += 1;
                    let what = format!("{} {path}", lower.to_uppercase());
                    report.left_out(&format!("{at}/{key}"), what, "tools have no such method");
                }
            }
        }
        operations
    }
}

/// A text of an object, trimmed; none when it is empty.
fn said<'v>(value: &'v Map<String, Value>, key: &str) -> Option<&'v str> {
    value.get(key).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty())
}

/// The first letter in upper case, the words apart: `user_id` as `User id`.
fn words(name: &str) -> String {
    let spaced = super::slug::words(name).replace(|c: char| !c.is_alphanumeric(), " ");
    let mut out = String::new();
    for word in spaced.split_whitespace() {
        if out.is_empty() {
            let mut chars = word.chars();
            out.extend(chars.next().into_iter().flat_map(char::to_uppercase));
            out.push_str(chars.as_str());
        } else {
            out.push(' ');
            out.push_str(&word.to_lowercase());
        }
    }
    text::clean(&out, text::NAME)
}

/// An object of the toolkit format without what is empty.
fn sparse(value: Value) -> Value {
    let Value::Object(mut fields) = value else { return value };
    fields.retain(|_, value| match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(inner) => !inner.is_empty(),
        _ => true,
    });
    json!(fields)
}
