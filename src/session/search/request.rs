//! What a search may ask.

use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::error::{Error, Result};

/// Most use cases of one search.
pub const MAX_QUERIES: usize = 10;
/// Longest use case, in characters.
pub const MAX_USE_CASE: usize = 1024;
/// Longest list of known fields, in characters.
pub const MAX_KNOWN_FIELDS: usize = 500;
/// Longest id of a task.
const MAX_ID: usize = 64;

/// One thing that somebody wants to do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, ToSchema)]
pub struct UseCase {
    /// What it is, with the names of apps if they are known; at most 1024 characters.
    pub use_case: String,
    /// What is known already, such as `channel_name:general, user_email:ann@example.com`; at most
    /// 500 characters.
    #[serde(default)]
    pub known_fields: Option<String>,
}

/// A search.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SearchRequest {
    /// What is wanted.
    pub use_cases: Vec<UseCase>,
    /// Id of the task that the search belongs to; none: it begins one.
    pub task: Option<String>,
}

/// The refusal of a search.
fn invalid(problems: Vec<String>) -> Error {
    Error::invalid("Invalid search", problems).fix(format!(
        "Send `queries`: 1 to {MAX_QUERIES} objects with a `use_case` of 1 to {MAX_USE_CASE} characters each"
    ))
}

impl SearchRequest {
    /// A search that is within its limits.
    ///
    /// # Errors
    /// 400 with everything that is wrong.
    pub fn checked(use_cases: Vec<UseCase>, task: Option<String>) -> Result<Self> {
        let mut problems = Vec::new();
        if !(1..=MAX_QUERIES).contains(&use_cases.len()) {
            problems.push(format!("queries: must be 1 to {MAX_QUERIES}, not {}", use_cases.len()));
        }
        for (at, one) in use_cases.iter().take(MAX_QUERIES).enumerate() {
            let long = |text: &str, most: usize| text.chars().nth(most).is_some();
            if one.use_case.trim().is_empty() {
                problems.push(format!("queries[{at}].use_case: must not be empty"));
            } else if long(&one.use_case, MAX_USE_CASE) {
                problems.push(format!("queries[{at}].use_case: at most {MAX_USE_CASE} characters"));
            }
            if one.known_fields.as_deref().is_some_and(|text| long(text, MAX_KNOWN_FIELDS)) {
                let problem =
                    format!("queries[{at}].known_fields: at most {MAX_KNOWN_FIELDS} characters");
                problems.push(problem);
            }
        }
        let plain = |id: &String| {
            let fine = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
            !id.is_empty() && id.len() <= MAX_ID && id.bytes().all(fine)
        };
        if task.as_ref().is_some_and(|id| !plain(id)) {
            let problem =
                format!("session.id: 1 to {MAX_ID} letters, digits, dots, dashes and underscores");
            problems.push(problem);
        }
        if problems.is_empty() { Ok(Self { use_cases, task }) } else { Err(invalid(problems)) }
    }

    /// A search as models write it: `queries` may be objects or texts, one or several, `use_case`
    /// may stand alone, and a JSON text may stand for what it holds.
    ///
    /// # Errors
    /// 400 with everything that is wrong.
    pub fn of_model(mut arguments: Map<String, Value>) -> Result<Self> {
        let known_fields = arguments.remove("known_fields").filter(|given| !given.is_null());
        let lone = arguments.remove("use_case").filter(|given| !given.is_null());
        let given = match arguments.remove("queries").filter(|given| !given.is_null()) {
            Some(queries) => queries,
            None => lone.unwrap_or_default(),
        };
        let mut problems = Vec::new();
        let mut use_cases = Vec::new();
        for (at, one) in list(given).into_iter().enumerate() {
            match read(one, known_fields.as_ref()) {
                Some(one) => use_cases.push(one),
                None => problems.push(format!("queries[{at}]: must have a text `use_case`")),
            }
        }
        let task = match arguments.remove("session").map(opened) {
            Some(Value::Object(mut session)) => match session.remove("id") {
                Some(Value::String(id)) if !id.trim().is_empty() => Some(id.trim().to_owned()),
                Some(Value::String(_) | Value::Null) | None => None,
                Some(_) => {
                    problems.push("session.id: must be text".to_owned());
                    None
                }
            },
            Some(Value::Null) | None => None,
            Some(_) => {
                problems.push("session: must be an object with `id` or `generate_id`".to_owned());
                None
            }
        };
        if problems.is_empty() { Self::checked(use_cases, task) } else { Err(invalid(problems)) }
    }
}

/// What a JSON text holds; anything else as it is.
fn opened(given: Value) -> Value {
    match given {
        Value::String(text) if text.trim_start().starts_with(['{', '[']) => {
            serde_json::from_str(&text).unwrap_or(Value::String(text))
        }
        other => other,
    }
}

fn list(given: Value) -> Vec<Value> {
    match opened(given) {
        Value::Array(items) => items,
        Value::Null => Vec::new(),
        one => vec![one],
    }
}

fn read(one: Value, known_fields: Option<&Value>) -> Option<UseCase> {
    let (use_case, own) = match one {
        Value::String(text) => (text, None),
        Value::Object(mut object) => match object.remove("use_case")? {
            Value::String(text) => (text, object.remove("known_fields")),
            _ => return None,
        },
        _ => return None,
    };
    let fields = match own.as_ref().filter(|given| !given.is_null()).or(known_fields) {
        None => None,
        Some(Value::String(text)) => Some(text.clone()),
        // {"channel": "general"} says as much as "channel:general".
        Some(Value::Object(fields)) => {
            let pairs = fields.iter().map(|(name, value)| match value {
                Value::String(text) => format!("{name}:{text}"),
                other => format!("{name}:{other}"),
            });
            Some(pairs.collect::<Vec<_>>().join(", "))
        }
        Some(_) => return None,
    };
    Some(UseCase { use_case, known_fields: fields })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(arguments: Value) -> Result<SearchRequest> {
        SearchRequest::of_model(arguments.as_object().unwrap().clone())
    }

    #[test]
    fn the_ways_in_which_models_ask_mean_the_same() {
        let usual = of(json!({"queries": [{"use_case": "send mail"}]})).unwrap();
        for other in [
            json!({"queries": ["send mail"]}),
            json!({"queries": "send mail"}),
            json!({"queries": {"use_case": "send mail", "known_fields": null}}),
            json!({"queries": "[{\"use_case\": \"send mail\"}]"}),
            json!({"use_case": "send mail", "session": {"generate_id": true}}),
            json!({"use_case": "send mail", "session": "{\"id\": \"\"}"}),
        ] {
            assert_eq!(of(other.clone()).unwrap(), usual, "{other}");
        }
        let full = of(json!({"queries": [{"use_case": "a b", "known_fields": {"to": "x"}}],
            "session": {"id": "task-1"}}))
        .unwrap();
        assert_eq!(full.use_cases[0].known_fields.as_deref(), Some("to:x"));
        assert_eq!(full.task.as_deref(), Some("task-1"));
    }

    #[test]
    fn what_cannot_be_is_named() {
        for wrong in [
            json!({}),
            json!({"queries": []}),
            json!({"queries": [{}]}),
            json!({"queries": [{"use_case": "  "}]}),
            json!({"queries": [1]}),
            json!({"queries": vec!["x"; 11]}),
            json!({"queries": ["x".repeat(1025)]}),
            json!({"queries": [{"use_case": "x", "known_fields": "y".repeat(501)}]}),
            json!({"use_case": "x", "session": {"id": "a b"}}),
            json!({"use_case": "x", "session": {"id": 5}}),
            json!({"use_case": "x", "session": 5}),
        ] {
            let error = of(wrong.clone()).unwrap_err();
            assert_eq!(error.code.status.as_u16(), 400, "{wrong}");
            assert!(!error.errors.is_empty(), "{wrong}");
        }
        assert!(of(json!({"queries": ["é".repeat(1024)]})).is_ok());
    }
}
