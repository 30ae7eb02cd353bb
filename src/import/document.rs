//! Bytes to JSON, within limits.

use std::cell::Cell;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

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
    let text = text(bytes)?;
    let value = if is_json(text) {
        serde_json::from_str(text).map_err(|e| not_json(&e))?
    } else {
        yaml(text, &Cell::new(UNFOLDED + UNFOLDED_TIMES * text.len()))?
    };
    bounded(value)
}

/// As [`read`], one of several documents that may unfold to `left` bytes together.
///
/// # Errors
/// Too large, too deep, or neither.
pub fn read_within(bytes: &[u8], left: &Cell<usize>) -> Result<Value, Failure> {
    let text = text(bytes)?;
    let value = if is_json(text) {
        let mut reader = serde_json::Deserializer::from_str(text);
        let value = Bounded(left).deserialize(&mut reader);
        value.and_then(|value| reader.end().map(|()| value)).map_err(|e| not_json(&e))?
    } else {
        yaml(text, left)?
    };
    bounded(value)
}

fn text(bytes: &[u8]) -> Result<&str, Failure> {
    let text = std::str::from_utf8(bytes)
        .map_err(|e| Failure::of_all(format!("The description is not UTF-8: {e}")))?;
    Ok(text.trim_start_matches('\u{feff}'))
}

fn is_json(text: &str) -> bool {
    text.trim_start().starts_with(['{', '['])
}

fn not_json(error: &serde_json::Error) -> Failure {
    Failure::of_all(format!("The description is not valid JSON: {error}"))
}

fn bounded(value: Value) -> Result<Value, Failure> {
    if too_deep(&value, MOST_DEPTH) {
        return Err(Failure::of_all(format!("The description is nested deeper than {MOST_DEPTH}")));
    }
    Ok(value)
}

/// Values in a YAML text.
const MOST_NODES: usize = 5_000_000;
/// What a YAML text may unfold to, in bytes: its aliases mean more than they are long. This much is always
/// allowed, and this many times the text itself.
const UNFOLDED: usize = 16 * 1024 * 1024;
const UNFOLDED_TIMES: usize = 10;

/// YAML, within limits on what it unfolds to: those of the reader count values, not what is in them.
fn yaml(text: &str, left: &Cell<usize>) -> Result<Value, Failure> {
    let options = serde_saphyr::options! {
        with_snippet: false,
        budget: serde_saphyr::budget! { max_nodes: MOST_NODES, max_events: 3 * MOST_NODES },
    };
    serde_saphyr::with_deserializer_from_str_with_options(text, options, |reader| {
        Bounded(left).deserialize(reader)
    })
    .map_err(|e| {
        let place = e.location().map(|at| format!("line {}, column {}: ", at.line(), at.column()));
        let text = e.without_snippet().to_string();
        let text = text.lines().next().unwrap_or_default();
        Failure::of_all(format!(
            "The description is neither JSON nor valid YAML: {}{text}",
            place.unwrap_or_default()
        ))
    })
}

/// Reads a value as long as there are bytes left for it.
#[derive(Clone, Copy)]
struct Bounded<'a>(&'a Cell<usize>);

impl Bounded<'_> {
    fn take<E: de::Error>(self, more: usize) -> Result<(), E> {
        let left = self.0.get().checked_sub(more + size_of::<Value>());
        self.0.set(left.ok_or_else(|| E::custom("it unfolds to too much"))?);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Bounded<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Bounded<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value that JSON has too")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        self.take(0).map(|()| value.into())
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        self.take(0).map(|()| value.into())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        self.take(0).map(|()| value.into())
    }

    // What is larger than a JSON reader's integers is a float, as it is there.
    fn visit_i128<E: de::Error>(self, value: i128) -> Result<Value, E> {
        self.visit_f64(value as f64)
    }

    fn visit_u128<E: de::Error>(self, value: u128) -> Result<Value, E> {
        self.visit_f64(value as f64)
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        self.take(0).map(|()| value.into())
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        self.take(value.len()).map(|()| value.into())
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Value, E> {
        self.take(value.len()).map(|()| value.into())
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        self.take(0).map(|()| Value::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Value, E> {
        self.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        self.deserialize(from)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        self.take(0)?;
        let mut items = Vec::new();
        while let Some(item) = from.next_element_seed(self)? {
            items.push(item);
        }
        Ok(items.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        self.take(0)?;
        let mut fields = Map::new();
        while let Some(key) = from.next_key::<String>()? {
            self.take(key.len())?;
            fields.insert(key, from.next_value_seed(self)?);
        }
        Ok(fields.into())
    }
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
    fn documents_share_what_they_may_unfold_to() {
        let left = Cell::new(10_000);
        for text in [r#"{"a": [1, 2.5, null, true, "b"]}"#, "a: [1, 2.5, null, true, b]"] {
            let expected = json!({"a": [1, 2.5, null, true, "b"]});
            assert_eq!(read_within(text.as_bytes(), &left).unwrap(), expected);
        }
        assert!(left.get() < 10_000);
        assert!(read_within(b"{} {}", &left).is_err());
        let long = format!("[{}0]", "0,".repeat(1_000));
        assert!(read_within(long.as_bytes(), &left).unwrap_err().problem.contains("too much"));
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
