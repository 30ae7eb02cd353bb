//! What a large result is cut to: the same structure with less in it, so that an agent sees what
//! is there without its context being flooded. The whole is a file of the project.

use std::io;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::domain::id::ProjectId;
use crate::domain::session::Session;
use crate::domain::time::iso;
use crate::error::{Error, Result};

/// Fewest characters that anything is cut to: below that, nothing could be said.
pub const MIN_CHARS: usize = 200;

/// Characters that the reference to the file takes at most, about.
const REFERENCE: usize = 700;

/// Fewest characters that a session can ask for.
const MIN_THRESHOLD: usize = 2000;

/// Characters that the results of one call may have in a session.
pub fn threshold(app: &App, session: &Session) -> usize {
    match session.config.workbench.auto_offload_threshold {
        Some(own) => usize::try_from(own).unwrap_or(usize::MAX).max(MIN_THRESHOLD),
        None => app.config.result_preview_chars,
    }
}

/// Number of characters of a value's JSON text.
pub fn chars(value: &impl Serialize) -> usize {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.iter().filter(|byte| **byte & 0xC0 != 0x80).count();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    match serde_json::to_writer(&mut count, value) {
        Ok(()) => count.0,
        Err(_) => usize::MAX,
    }
}

/// How much of each part is kept.
#[derive(Clone, Copy)]
struct Keep {
    text: usize,
    items: usize,
    keys: usize,
    depth: usize,
}

/// A value whose JSON text has at most `max` characters, or [`MIN_CHARS`] if that is more. Long
/// texts, lists and objects say how much of them is missing.
pub fn cut(value: &Value, max: usize) -> Value {
    let max = max.max(MIN_CHARS);
    if chars(value) <= max {
        return value.clone();
    }
    let mut keep = Keep { text: max.min(4000), items: 100, keys: 200, depth: 12 };
    loop {
        let less = shorten(value, keep);
        if chars(&less) <= max {
            return less;
        }
        if keep.text <= 20 && keep.items <= 1 && keep.keys <= 4 && keep.depth <= 1 {
            return summary(value).into();
        }
        keep = Keep {
            text: (keep.text * 2 / 3).max(20),
            items: (keep.items * 2 / 3).max(1),
            keys: (keep.keys * 3 / 4).max(4),
            depth: keep.depth.saturating_sub(1).max(1),
        };
    }
}

fn shorten(value: &Value, keep: Keep) -> Value {
    match value {
        Value::String(text) => shorten_text(text, keep.text).into(),
        Value::Array(_) | Value::Object(_) if keep.depth == 0 => summary(value).into(),
        Value::Array(items) => {
            let inner = Keep { depth: keep.depth - 1, ..keep };
            let mut less: Vec<Value> =
                items.iter().take(keep.items).map(|item| shorten(item, inner)).collect();
            if items.len() > keep.items {
                let more = items.len() - keep.items;
                less.push(format!("… {more} more of {} items", items.len()).into());
            }
            less.into()
        }
        Value::Object(fields) => {
            let inner = Keep { depth: keep.depth - 1, ..keep };
            let mut less = Map::new();
            for (name, value) in fields.iter().take(keep.keys) {
                less.insert(shorten_text(name, keep.text.max(100)), shorten(value, inner));
            }
            if fields.len() > keep.keys {
                let more = fields.len() - keep.keys;
                less.insert(
                    "…".to_owned(),
                    format!("{more} more of {} fields", fields.len()).into(),
                );
            }
            less.into()
        }
        other => other.clone(),
    }
}

fn shorten_text(text: &str, most: usize) -> String {
    // One that is hardly longer is shorter than the note on what is missing.
    let Some((end, _)) = text.char_indices().nth(most + 30) else { return text.to_owned() };
    let kept: String = text.chars().take(most).collect();
    let more = 30 + text[end..].chars().count();
    format!("{kept}… ({more} more characters)")
}

fn summary(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{} items]", items.len()),
        Value::Object(fields) => format!("{{{} fields}}", fields.len()),
        Value::String(text) => shorten_text(text, 60),
        other => other.to_string(),
    }
}

/// A result that was cut, and where the whole is.
#[derive(Debug)]
pub struct Offloaded {
    /// What is left of it.
    pub data: Map<String, Value>,
    /// Where the whole is.
    pub file: Value,
}

/// Stores a result as a file of the project and cuts it, so that both together take about
/// `max` characters.
///
/// # Errors
/// When the database is away.
pub async fn offload(
    app: &App,
    project: &ProjectId,
    slug: &str,
    data: &Map<String, Value>,
    max: usize,
) -> Result<Offloaded> {
    let bytes = serde_json::to_vec(data).map_err(Error::internal)?;
    let size = bytes.len();
    let name = format!("{}.json", slug.to_ascii_lowercase());
    let stored = app.files.put(project, &name, "application/json", bytes).await?;
    let whole = json!({
        "url": stored.url,
        "expires_at": iso(stored.expires_at),
        "mimetype": "application/json",
        "size": size,
        "characters": chars(data),
        "message": "The result is long: `data` shows its structure with less in it. The whole is \
            the JSON file at `url`, which needs no key. Ask for less (filters, limit, fields) \
            rather than for all of it again.",
    });
    let room = max.saturating_sub(REFERENCE);
    let data = match cut(&Value::Object(data.clone()), room) {
        Value::Object(object) => object,
        other => Map::from_iter([("preview".to_owned(), other)]),
    };
    Ok(Offloaded { data, file: whole })
}

/// Cuts the result of one tool when the session's threshold is crossed; the link to the whole is
/// then its `full_result`.
///
/// # Errors
/// As [`offload`].
pub async fn fit(
    app: &App,
    session: &Session,
    slug: &str,
    data: Map<String, Value>,
) -> Result<Map<String, Value>> {
    let most = threshold(app, session);
    if !session.config.workbench.enable || chars(&data) <= most {
        return Ok(data);
    }
    let Offloaded { mut data, file } = offload(app, &session.project_id, slug, &data, most).await?;
    data.insert("full_result".to_owned(), file);
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "\\PC{0,300}".prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 400, 40, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..40).prop_map(Value::from),
                prop::collection::vec(("\\PC{0,40}", inner), 0..40)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn a_preview_fits_is_json_and_leaves_small_results_alone(
            value in any_json(), max in 0usize..5000,
        ) {
            let less = cut(&value, max);
            let text = serde_json::to_string(&less).unwrap();
            prop_assert!(text.chars().count() <= max.max(MIN_CHARS), "{}", text);
            prop_assert_eq!(&serde_json::from_str::<Value>(&text).unwrap(), &less);
            if serde_json::to_string(&value).unwrap().chars().count() <= max {
                prop_assert_eq!(less, value);
            }
        }
    }

    #[test]
    fn structure_stays_and_what_is_missing_is_counted() {
        let rows: Vec<Value> =
            (0..500).map(|n| json!({"id": n, "title": "x".repeat(50)})).collect();
        let less = cut(&json!({"total": 500, "rows": rows}), 3000);
        assert_eq!(less["total"], 500);
        assert_eq!(less["rows"][0]["id"], 0);
        let last = less["rows"].as_array().unwrap().last().unwrap().as_str().unwrap();
        assert!(last.ends_with("more of 500 items"), "{last}");
        assert_eq!(cut(&json!({"a": "ab"}), 3000), json!({"a": "ab"}));
        let text = cut(&json!("y".repeat(9000)), 1000);
        assert!(text.as_str().unwrap().ends_with("more characters)"));
        assert_eq!(chars(&json!("äöü")), 5);
    }
}
