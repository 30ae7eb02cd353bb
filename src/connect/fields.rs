//! Reading the fields of a connection, under every name that they go by.

use serde_json::{Map, Value};

use crate::catalog::fields::{FieldSpec, connect_fields};
use crate::catalog::model::AuthScheme;
use crate::domain::connection::SecretMap;
use crate::domain::scheme::AuthSchemeKind;

/// Longest value of a field.
const MAX_VALUE: usize = 16 * 1024;

/// Name under which a connection's state keeps a field, and templates see it.
pub fn stored_name(kind: AuthSchemeKind, name: &str) -> &str {
    match (kind, name) {
        (AuthSchemeKind::ApiKey, "generic_api_key") => "api_key",
        (_, name) => name,
    }
}

/// Every name under which a field's value is taken, its own first.
fn names(kind: AuthSchemeKind, field: &FieldSpec) -> Vec<&str> {
    let mut names = vec![field.name.as_str()];
    names.extend(field.aliases.iter().map(String::as_str));
    names.extend(match (kind, stored_name(kind, &field.name)) {
        (AuthSchemeKind::ApiKey, "api_key") => {
            &["generic_api_key", "api_key", "apiKey", "bearer_token", "token"][..]
        }
        (AuthSchemeKind::BearerToken, "token") => &["bearer_token", "access_token", "api_key"][..],
        (AuthSchemeKind::Basic, "username") => &["user", "email"][..],
        _ => &[],
    });
    names
}

/// Whether `val` has the field, under any of its names.
pub fn given(scheme: &AuthScheme, field: &FieldSpec, val: &Map<String, Value>) -> bool {
    names(scheme.scheme, field).iter().any(|n| val.contains_key(*n))
}

/// Every name under which a field's value is taken or kept.
pub fn all_names(scheme: &AuthScheme, field: &FieldSpec) -> Vec<String> {
    let mut all: Vec<String> = names(scheme.scheme, field).into_iter().map(str::to_owned).collect();
    all.push(stored_name(scheme.scheme, &field.name).to_owned());
    all
}

/// A field's value as text, under any of its names.
pub fn value_of(
    scheme: &AuthScheme,
    field: &FieldSpec,
    val: &Map<String, Value>,
) -> Option<String> {
    names(scheme.scheme, field).iter().filter_map(|n| val.get(*n)).find_map(text)
}

/// Text of the problem that a field was not filled in.
pub const REQUIRED: &str = "is required";

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The field.
    pub name: String,
    /// For a person.
    pub text: String,
}

impl Problem {
    /// As an entry of `errors`.
    pub fn line(&self) -> String {
        format!("{}: {}", self.name, self.text)
    }
}

/// Reads the fields of a connection from what was given, under any of their names; an absent one
/// takes its default. `inherited` holds what the auth config gives to every account.
///
/// # Errors
/// One entry per field.
pub fn collect(
    scheme: &AuthScheme,
    given: &Map<String, Value>,
    inherited: &SecretMap,
) -> Result<Map<String, Value>, Vec<Problem>> {
    let kind = scheme.scheme;
    // What a login would be made with is not needed where its token is at hand.
    let imported = has_token(scheme, given);
    let mut state = Map::new();
    let mut problems = Vec::new();
    for field in connect_fields(scheme) {
        let known = names(kind, &field);
        let mut value = known.iter().filter_map(|n| given.get(*n)).find_map(text);
        // A key file that was sent as the object that it is.
        if let (None, true, Some(object)) =
            (&value, field.multiline, given.get(&field.name).filter(|v| v.is_object()))
        {
            value = Some(object.to_string());
        }
        let value = value.map(|v| tidy(&field, v)).filter(|v| !v.is_empty());
        let stored = stored_name(kind, &field.name);
        let has_inherited = known.iter().any(|n| inherited.0.contains_key(*n));
        let value = match value {
            Some(value) => value,
            None if has_inherited => continue,
            None => match (&field.default, field.required) {
                (Some(default), _) => default.clone(),
                (None, false) => continue,
                (None, true) if imported => continue,
                (None, true) => {
                    problems.push(Problem { name: field.name, text: REQUIRED.to_owned() });
                    continue;
                }
            },
        };
        let shared_secret = || {
            let secrets = connect_fields(scheme).into_iter().filter(|f| f.secret);
            secrets
                .into_iter()
                .any(|f| names(kind, &f).iter().any(|n| inherited.0.contains_key(*n)))
        };
        let wrong = if field.host && shared_secret() {
            // Whoever names the server would be sent the developer's secret.
            Some("is the developer's to give, because the auth config shares a secret".to_owned())
        } else {
            wrong(&field, &value)
        };
        match wrong {
            Some(text) => problems.push(Problem { name: field.name, text }),
            None => {
                state.insert(stored.to_owned(), value.into());
            }
        }
    }
    if problems.is_empty() { Ok(state) } else { Err(problems) }
}

/// Name under which the token of a scheme that logs in is kept.
pub fn token_name(scheme: &AuthScheme) -> Option<&str> {
    let login = scheme.login.as_ref()?;
    Some(login.token.name.as_deref().unwrap_or("access_token"))
}

fn has_token(scheme: &AuthScheme, given: &Map<String, Value>) -> bool {
    token_name(scheme).and_then(|name| given.get(name)).and_then(text).is_some()
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// Without what people paste along: blanks, and the fixed rest of a host name.
pub(super) fn tidy(field: &FieldSpec, value: String) -> String {
    let value = value.trim();
    if field.host {
        return value.trim_start_matches("https://").trim_end_matches('/').to_lowercase();
    }
    let Some(suffix) = field.suffix.as_deref().filter(|s| s.starts_with('.')) else {
        return value.to_owned();
    };
    let value = value.trim_start_matches("https://").trim_end_matches('/');
    value.strip_suffix(suffix).unwrap_or(value).to_owned()
}

/// What is wrong with a value.
pub(super) fn wrong(field: &FieldSpec, value: &str) -> Option<String> {
    if value.len() > MAX_VALUE {
        return Some("is too long".to_owned());
    }
    let of_lines = |c: char| field.multiline && matches!(c, '\n' | '\r' | '\t');
    if value.chars().any(|c| c.is_control() && !of_lines(c)) {
        return Some("must be one line without control characters".to_owned());
    }
    if field.host && !is_host(value) {
        return Some("must be a host name, such as git.example.com".to_owned());
    }
    if !field.choices.is_empty() && !field.choices.iter().any(|c| c == value) {
        return Some(format!("must be one of {}", field.choices.join(", ")));
    }
    let pattern = field.pattern.as_ref()?;
    let schema = serde_json::json!({ "type": "string", "pattern": format!("^(?:{pattern})$") });
    let matches = jsonschema::validator_for(&schema)
        .is_ok_and(|v| v.is_valid(&Value::String(value.to_owned())));
    (!matches).then(|| format!("does not have the expected form ({pattern})"))
}

/// A host name with or without a port.
fn is_host(value: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ':' | '[' | ']');
    let url = url::Url::parse(&format!("https://{value}")).ok();
    value.chars().all(plain)
        && url.is_some_and(|u| {
            let named = match (u.host_str(), u.port()) {
                (Some(host), Some(port)) => format!("{host}:{port}"),
                (Some(host), None) => host.to_owned(),
                (None, _) => return false,
            };
            named.eq_ignore_ascii_case(value)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn scheme(value: Value) -> AuthScheme {
        serde_json::from_value(value).unwrap()
    }

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn an_api_key_is_taken_under_each_of_its_names() {
        let scheme = scheme(json!({"scheme": "API_KEY"}));
        for name in ["generic_api_key", "api_key", "apiKey", "bearer_token"] {
            let mut given = Map::new();
            given.insert(name.to_owned(), "k-1".into());
            let state = collect(&scheme, &given, &SecretMap::default()).unwrap();
            assert_eq!(state["api_key"], "k-1", "{name}");
        }
        let problems = collect(&scheme, &Map::new(), &SecretMap::default()).unwrap_err();
        assert_eq!(problems[0].line(), "generic_api_key: is required");
    }

    #[test]
    fn defaults_suffixes_patterns_and_line_breaks() {
        let scheme = scheme(json!({"scheme": "API_KEY", "connect_fields": [
            {"name": "subdomain", "default": "us", "suffix": ".example.com", "pattern": "[a-z]+"},
            {"name": "generic_api_key", "label": "Key"}]}));
        let read = |given| collect(&scheme, &map(given), &SecretMap::default());
        assert_eq!(read(json!({"api_key": "k"})).unwrap()["subdomain"], "us");
        let pasted = json!({"api_key": " k ", "subdomain": "https://eu.example.com/"});
        assert_eq!(read(pasted.clone()).unwrap()["subdomain"], "eu");
        assert_eq!(read(pasted).unwrap()["api_key"], "k");
        for evil in ["EU", "a.b", "a/b", "a\nb", "a@b"] {
            assert!(read(json!({"api_key": "k", "subdomain": evil})).is_err(), "{evil}");
        }
        assert!(read(json!({"api_key": "k\r\nX-Evil: 1"})).is_err());
        assert!(connect_fields(&scheme).iter().any(|f| f.name == "generic_api_key" && f.secret));
    }

    #[test]
    fn a_host_is_a_host_and_never_gets_the_developers_secret() {
        let scheme = scheme(json!({"scheme": "API_KEY", "connect_fields": [
            {"name": "host", "host": true}]}));
        let read = |host: &str| {
            let given = map(json!({"api_key": "k", "host": host}));
            collect(&scheme, &given, &SecretMap::default())
        };
        assert_eq!(read("https://Git.acme.dev:8443/").unwrap()["host"], "git.acme.dev:8443");
        for evil in ["a/b", "a@b", "a?b", "a b", "", "http://a.b", "a:x", "a:99999", "a\\b"] {
            assert!(read(evil).is_err(), "{evil}");
        }
        let shared = SecretMap(map(json!({"api_key": "shared"})));
        assert!(collect(&scheme, &map(json!({"host": "evil.com"})), &shared).is_err());
    }

    #[test]
    fn what_the_auth_config_gives_is_not_asked_for() {
        let scheme = scheme(json!({"scheme": "API_KEY"}));
        let shared = SecretMap(map(json!({"api_key": "shared"})));
        assert!(collect(&scheme, &Map::new(), &shared).unwrap().is_empty());
    }
}
