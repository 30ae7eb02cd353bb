//! JSON Schema, of any draft and as OpenAPI has it, made into the one form that the toolkit format
//! knows: one type each, no references, no alternatives, bounded in depth and size.
//!
//! | module | knows |
//! |---|---|
//! | `gather` | what applies to one value: `$ref` followed, `allOf` put together |
//! | `emit` | one value's keywords in the toolkit format's words |
//! | `unite` | alternatives made into one schema |
//! | `example` | a value that fits a schema |

mod emit;
pub mod example;
mod gather;
mod unite;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use serde_json::{Map, Value};

pub(super) use emit::fitting;
use gather::Gathered;

/// From this depth on, what contains itself becomes an object of any shape.
pub const RECURSION: usize = 5;
/// Values of one schema, before it is taken for too large.
const MOST_NODES: usize = 6_000;
/// References and combinations that may follow each other at one place.
const MOST_HOPS: usize = 40;

/// How far a schema is written out.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Levels of objects and lists.
    pub depth: usize,
    /// Characters of a description.
    pub text: usize,
    /// Values that are written out before the schema is taken for too large.
    pub nodes: usize,
}

impl Limits {
    /// From generous to terse: the first one is taken with which a schema is small enough.
    pub const LEVELS: [Self; 6] = [
        Self { depth: 8, text: super::text::ARGUMENT, nodes: MOST_NODES },
        Self { depth: 6, text: 300, nodes: MOST_NODES },
        Self { depth: 5, text: 200, nodes: MOST_NODES },
        Self { depth: 4, text: 150, nodes: MOST_NODES },
        Self { depth: 3, text: 100, nodes: MOST_NODES },
        Self { depth: 2, text: 60, nodes: MOST_NODES },
    ];
}

/// What a schema is converted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Arguments of a request: what is read-only is left out.
    Input,
    /// Arguments of a request that can carry files: `format: binary` is one.
    InputWithFiles,
    /// Answers: what is write-only is left out.
    Output,
}

/// A schema in the words of the toolkit format.
#[derive(Debug, Clone, Default)]
pub struct Converted {
    /// `type`, `properties`, `required_properties`, …
    pub schema: Map<String, Value>,
    /// What was changed: JSON pointer and words.
    pub repairs: Vec<(String, String)>,
    /// Whether the value itself was one of several objects of different shape.
    pub alternatives: bool,
    /// Whether something was cut for its depth or size.
    pub cut: bool,
    /// Whether it has more values than were to be written out.
    pub too_large: bool,
}

/// Follows a `$ref`.
pub type Resolver<'a> = &'a dyn Fn(&str) -> Option<&'a Value>;

/// Converts the schemas of one description.
pub struct Converter<'a> {
    resolve: Resolver<'a>,
    patterns: RefCell<HashMap<String, bool>>,
}

/// The state of one conversion.
struct Walk<'c, 'a> {
    converter: &'c Converter<'a>,
    purpose: Use,
    limits: Limits,
    left: Cell<usize>,
    cut: Cell<bool>,
    alternatives: Cell<bool>,
    repairs: RefCell<Vec<(String, String)>>,
}

/// Where a conversion is.
struct Trail {
    /// References that were followed to get here, with the depth at which.
    refs: Vec<(String, usize)>,
    /// JSON pointer.
    at: String,
    depth: usize,
}

impl<'a> Converter<'a> {
    /// `resolve` gives what a `$ref` means, if it is there.
    pub fn new(resolve: Resolver<'a>) -> Self {
        Self { resolve, patterns: RefCell::default() }
    }

    /// Converts the schema at the JSON pointer `at`.
    pub fn convert(&self, schema: &'a Value, at: &str, purpose: Use, limits: Limits) -> Converted {
        let walk = Walk {
            converter: self,
            purpose,
            limits,
            left: Cell::new(limits.nodes),
            cut: Cell::new(false),
            alternatives: Cell::new(false),
            repairs: RefCell::default(),
        };
        let mut trail = Trail { refs: Vec::new(), at: at.to_owned(), depth: 0 };
        let schema = walk.all_of(&[schema], None, &mut trail);
        Converted {
            schema,
            repairs: walk.repairs.into_inner(),
            alternatives: walk.alternatives.get(),
            cut: walk.cut.get(),
            too_large: walk.left.get() == 0,
        }
    }

    /// Converts with the first of [`Limits::LEVELS`] with which the schema has at most `most` bytes.
    pub fn convert_within(
        &self,
        schema: &'a Value,
        at: &str,
        purpose: Use,
        most: usize,
    ) -> Converted {
        let mut last = Converted::default();
        for limits in Limits::LEVELS {
            last = self.convert(schema, at, purpose, limits);
            if size(&last.schema) <= most {
                return last;
            }
        }
        last
    }

    /// Whether the validator can use a regular expression.
    fn is_pattern(&self, pattern: &str) -> bool {
        if let Some(known) = self.patterns.borrow().get(pattern) {
            return *known;
        }
        let schema = serde_json::json!({"type": "string", "pattern": pattern});
        let good = pattern.len() <= 500 && jsonschema::validator_for(&schema).is_ok();
        let mut patterns = self.patterns.borrow_mut();
        if patterns.len() < 10_000 {
            patterns.insert(pattern.to_owned(), good);
        }
        good
    }
}

/// Bytes of the JSON text of a schema.
pub fn size(schema: &Map<String, Value>) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // A count cannot fail.
    let _ = serde_json::to_writer(&mut count, schema);
    count.0
}

/// A token of a JSON pointer.
pub fn token(text: &str) -> String {
    text.replace('~', "~0").replace('/', "~1")
}

impl<'a> Walk<'_, 'a> {
    /// Says what was changed; the same thing once.
    fn repair(&self, trail: &Trail, what: impl Into<String>) {
        let mut repairs = self.repairs.borrow_mut();
        let new = (trail.at.clone(), what.into());
        if repairs.len() < 200 && !repairs.contains(&new) {
            repairs.push(new);
        }
    }

    /// The schema of a value that all of `parts` apply to. `hint` is its type where nothing else
    /// says it.
    fn all_of(
        &self,
        parts: &[&'a Value],
        hint: Option<&'static str>,
        trail: &mut Trail,
    ) -> Map<String, Value> {
        let Some(left) = self.left.get().checked_sub(1) else {
            self.cut.set(true);
            return open_object();
        };
        self.left.set(left);
        let (followed, at) = (trail.refs.len(), trail.at.clone());
        let mut gathered = Gathered::default();
        for part in parts {
            self.gather(part, &mut gathered, trail, 0);
        }
        let schema = self.gathered(&gathered, hint, trail);
        trail.refs.truncate(followed);
        trail.at = at;
        schema
    }

    fn gathered(
        &self,
        gathered: &Gathered<'a>,
        hint: Option<&'static str>,
        trail: &mut Trail,
    ) -> Map<String, Value> {
        if gathered.recursive {
            self.cut.set(true);
            self.repair(trail, "contains itself; cut to an object of any shape");
            let mut schema = open_object();
            self.describe(gathered, &mut schema);
            return schema;
        }
        if gathered.groups.is_empty() {
            return self.emit(gathered, hint, trail);
        }
        self.alternatives(gathered, hint, trail)
    }

    /// The schema below a property or the items.
    fn below(&self, parts: &[&'a Value], token: &str, trail: &mut Trail) -> Map<String, Value> {
        let length = trail.at.len();
        trail.at.push_str(token);
        trail.depth += 1;
        let schema = self.all_of(parts, None, trail);
        trail.depth -= 1;
        trail.at.truncate(length);
        schema
    }
}

/// An object of any shape.
fn open_object() -> Map<String, Value> {
    let mut schema = Map::new();
    schema.insert("type".into(), "object".into());
    schema.insert("additional_properties".into(), true.into());
    schema
}

/// Any value at all. Text comes first: it is what most callers have.
fn anything() -> Map<String, Value> {
    let mut schema = Map::new();
    schema.insert("type".into(), "string".into());
    schema.insert("also".into(), serde_json::json!(["number", "boolean", "object", "array"]));
    schema
}

#[cfg(test)]
mod tests;
