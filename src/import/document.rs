//! Bytes to JSON, within limits.

use serde_json::Value;

use super::Failure;

/// Largest description, in bytes. The largest public one that is known has 34 MB.
pub const MOST_BYTES: usize = 64 * 1024 * 1024;
/// Deepest nesting. JSON text deeper than serde_json's own limit (128) is refused by it first.
pub const MOST_DEPTH: usize = 100;

/// Reads JSON or YAML.
///
/// # Errors
/// Too large, too deep, or neither.
pub fn read(bytes: &[u8]) -> Result<Value, Failure> {
    if bytes.len() > MOST_BYTES {
        return Err(Failure::of_all(format!(
            "The description has {} MB; at most {} MB are read",
            bytes.len() / (1024 * 1024),
            MOST_BYTES / (1024 * 1024)
        )));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|e| Failure::of_all(format!("The description is not UTF-8: {e}")))?;
    let text = text.trim_start_matches('\u{feff}');
    let value = if text.trim_start().starts_with(['{', '[']) {
        serde_json::from_str(text)
            .map_err(|e| Failure::of_all(format!("The description is not valid JSON: {e}")))?
    } else {
        yaml(text)?
    };
    if too_deep(&value, MOST_DEPTH) {
        return Err(Failure::of_all(format!("The description is nested deeper than {MOST_DEPTH}")));
    }
    Ok(value)
}

/// Bytes of a YAML text that aliases may mean, and how often each may stand for its anchor. Together they
/// bound what a text unfolds to; the reader's own limits count aliases and not what is in them.
const MOST_ANCHORED: usize = 128 * 1024;
const MOST_MEANT: usize = 2_000;
/// Values in a YAML text.
const MOST_NODES: usize = 5_000_000;

/// YAML, within limits on what it unfolds to.
fn yaml(text: &str) -> Result<Value, Failure> {
    let options = serde_saphyr::options! {
        with_snippet: false,
        budget: serde_saphyr::budget! {
            max_nodes: MOST_NODES,
            max_events: 3 * MOST_NODES,
            max_depth: MOST_DEPTH + 1,
            max_recorded_anchor_bytes: MOST_ANCHORED,
        },
        alias_limits: serde_saphyr::alias_limits! { max_alias_expansions_per_anchor: MOST_MEANT },
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|e| {
        let place = e.location().map(|at| format!("line {}, column {}: ", at.line(), at.column()));
        let text = e.without_snippet().to_string();
        let text = text.lines().next().unwrap_or_default();
        Failure::of_all(format!(
            "The description is neither JSON nor valid YAML: {}{text}",
            place.unwrap_or_default()
        ))
    })
}

fn too_deep(value: &Value, left: usize) -> bool {
    let Some(below) = left.checked_sub(1) else { return true };
    match value {
        Value::Array(items) => items.iter().any(|item| too_deep(item, below)),
        Value::Object(fields) => fields.values().any(|item| too_deep(item, below)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn json_and_yaml_are_read() {
        let expected = json!({"openapi": "3.0.0", "paths": {"/a": {}}});
        assert_eq!(read(br#"{"openapi": "3.0.0", "paths": {"/a": {}}}"#).unwrap(), expected);
        assert_eq!(read(b"openapi: 3.0.0\npaths:\n  /a: {}\n").unwrap(), expected);
        let marked = [b"\xef\xbb\xbf".as_slice(), b"{\"a\": 1}"].concat();
        assert_eq!(read(&marked).unwrap(), json!({"a": 1}));
    }

    #[test]
    fn what_unfolds_without_end_is_refused() {
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
        for i in 1..12 {
            let last = format!("*a{}", i - 1);
            bomb.push_str(&format!("a{i}: &a{i} [{}]\n", vec![last; 9].join(", ")));
        }
        assert!(read(bomb.as_bytes()).is_err());
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(read(deep.as_bytes()).is_err());
        assert!(read(format!("a: {deep}").as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }

        #[test]
        fn no_text_makes_it_panic(text in "[\\-:{}\\[\\]&*!|>'\"%@`#?, \na-c0-9]{0,80}") {
            let _ = read(text.as_bytes());
        }
    }
}
