//! Keeping credentials out of errors, logs and answers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use url::form_urlencoded;

/// What takes the place of a secret.
const MARK: &str = "[REDACTED]";
/// What RFC 3986 leaves as it is.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Shorter values are not looked for: they would turn up by chance.
const SHORTEST: usize = 6;

/// The secret texts of one call.
#[derive(Default, Clone)]
pub(super) struct Secrets(Vec<String>);

impl Secrets {
    /// Adds a secret, also as it looks inside JSON and a URL.
    pub(super) fn add(&mut self, secret: &str) {
        if secret.len() < SHORTEST || self.0.iter().any(|known| known == secret) {
            return;
        }
        self.0.push(secret.to_owned());
        if secret.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_' || b == b'.')
        {
            return;
        }
        let json = Value::from(secret).to_string();
        let json = json[1..json.len() - 1].to_owned();
        // In a path a blank is not a plus, and a colon may stand as it is.
        let path = utf8_percent_encode(secret, UNRESERVED).to_string();
        let forms = [
            json.replace('/', "\\/"),
            json,
            path.replace("%3A", ":"),
            path,
            form_urlencoded::byte_serialize(secret.as_bytes()).collect(),
        ];
        for form in forms {
            if !self.0.contains(&form) {
                self.0.push(form);
            }
        }
    }

    /// Adds every text inside a value.
    pub(super) fn add_all(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.add(text),
            Value::Number(number) => self.add(&number.to_string()),
            Value::Array(items) => items.iter().for_each(|v| self.add_all(v)),
            Value::Object(fields) => fields.values().for_each(|v| self.add_all(v)),
            Value::Null | Value::Bool(_) => {}
        }
    }

    /// Adds what HTTP basic authentication makes of a pair.
    pub(super) fn add_basic(&mut self, username: &str, password: &str) {
        self.add(password);
        self.add(&STANDARD.encode(format!("{username}:{password}")));
    }

    /// A text without the secrets. Longer ones go first, so that none leaves a part behind.
    pub(super) fn clean(&self, text: String) -> String {
        if !self.0.iter().any(|secret| text.contains(secret.as_str())) {
            return text;
        }
        let mut sorted: Vec<&String> = self.0.iter().collect();
        sorted.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        sorted.into_iter().fold(text, |text, secret| text.replace(secret.as_str(), MARK))
    }

    /// Whether bytes hold a secret: cheap enough to ask for every answer.
    pub(super) fn occur_in(&self, bytes: &[u8]) -> bool {
        // An answer that is not UTF-8 becomes a file or is read lossily; both are cleaned as text.
        std::str::from_utf8(bytes)
            .is_ok_and(|text| self.0.iter().any(|secret| text.contains(secret.as_str())))
    }

    /// Cleans every text inside a value.
    pub(super) fn clean_value(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.clean(std::mem::take(text)),
            Value::Array(items) => items.iter_mut().for_each(|v| self.clean_value(v)),
            Value::Object(fields) => fields.values_mut().for_each(|v| self.clean_value(v)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_vanish_from_texts_and_values() {
        let mut secrets = Secrets::default();
        secrets.add("sk-live-1");
        secrets.add("sk-live-1234");
        secrets.add("abc");
        secrets.add_basic("user", "hunter22");
        assert_eq!(secrets.clean("key sk-live-1234 bad".into()), "key [REDACTED] bad");
        assert_eq!(secrets.clean("abc stays".into()), "abc stays");
        assert_eq!(secrets.clean("Basic dXNlcjpodW50ZXIyMg==".into()), "Basic [REDACTED]");
        let mut value = json!({"a": ["x sk-live-1"], "b": 1});
        assert!(secrets.occur_in(value.to_string().as_bytes()));
        secrets.clean_value(&mut value);
        assert_eq!(value, json!({"a": ["x [REDACTED]"], "b": 1}));
    }
}
