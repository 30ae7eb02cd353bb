//! The fields of forms: what a developer fills in for an auth config, and a person for a
//! connection. Some follow from the scheme, some stand in the definition.

use serde_json::{Map, Value};

use crate::catalog::model::{AuthScheme, ClientAuth, Field};
use crate::domain::connection::SecretMap;
use crate::domain::scheme::AuthSchemeKind;

/// Longest value of a field.
const MAX_VALUE: usize = 16 * 1024;

fn field(name: &str, label: &str, required: bool, secret: bool) -> Field {
    Field {
        name: name.to_owned(),
        label: Some(label.to_owned()),
        description: None,
        required,
        secret,
        default: None,
        pattern: None,
        suffix: None,
        aliases: Vec::new(),
        choices: Vec::new(),
    }
}

/// Fields of a connection: the definition's, in their order, then those that the scheme implies
/// and the definition does not name itself.
pub fn connect_fields(scheme: &AuthScheme) -> Vec<Field> {
    let implied = match scheme.scheme {
        AuthSchemeKind::ApiKey => vec![field("generic_api_key", "API key", true, true)],
        AuthSchemeKind::BearerToken => vec![field("token", "Access token", true, true)],
        AuthSchemeKind::Basic => {
            vec![field("username", "User name", true, false), field("password", "Password", true, true)]
        }
        _ => Vec::new(),
    };
    merge(&scheme.connect_fields, implied, scheme.scheme)
}

/// Fields of an auth config.
pub fn config_fields(scheme: &AuthScheme) -> Vec<Field> {
    let mut implied = Vec::new();
    if scheme.scheme == AuthSchemeKind::Oauth2 {
        let oauth = scheme.oauth2.as_ref();
        let public = oauth.is_some_and(|o| o.token.client_auth == ClientAuth::None);
        implied.push(field("client_id", "Client id", true, false));
        implied.push(field("client_secret", "Client secret", !public, true));
        let mut redirect = field("oauth_redirect_uri", "Redirect URI", false, false);
        redirect.description = Some("Defaults to this server's own callback.".to_owned());
        implied.push(redirect);
        let mut scopes = field("scopes", "Scopes", false, false);
        scopes.default = oauth.map(|o| o.scopes.join(",")).filter(|s| !s.is_empty());
        implied.push(scopes);
        if oauth.is_some_and(|o| o.authorize.user_scope_param.is_some()) {
            implied.push(field("user_scopes", "User scopes", false, false));
        }
    }
    merge(&scheme.config_fields, implied, scheme.scheme)
}

fn merge(named: &[Field], implied: Vec<Field>, kind: AuthSchemeKind) -> Vec<Field> {
    let mut fields = named.to_vec();
    for extra in implied {
        let name = stored_name(kind, &extra.name);
        match fields.iter_mut().find(|f| stored_name(kind, &f.name) == name) {
            // A definition that refines a secret cannot make it public by leaving a word out.
            Some(known) => known.secret |= extra.secret,
            None => fields.push(extra),
        }
    }
    fields
}

/// Name under which a connection's state keeps a field, and templates see it.
pub fn stored_name(kind: AuthSchemeKind, name: &str) -> &str {
    match (kind, name) {
        (AuthSchemeKind::ApiKey, "generic_api_key") => "api_key",
        (_, name) => name,
    }
}

/// Every name under which a field's value is taken, its own first.
fn names<'a>(kind: AuthSchemeKind, field: &'a Field) -> Vec<&'a str> {
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
pub fn given(scheme: &AuthScheme, field: &Field, val: &Map<String, Value>) -> bool {
    names(scheme.scheme, field).iter().any(|n| val.contains_key(*n))
}

/// Every name under which a field's value is taken or kept.
pub fn all_names(scheme: &AuthScheme, field: &Field) -> Vec<String> {
    let mut all: Vec<String> =
        names(scheme.scheme, field).into_iter().map(str::to_owned).collect();
    all.push(stored_name(scheme.scheme, &field.name).to_owned());
    all
}

/// A field's value as text, under any of its names.
pub fn value_of(scheme: &AuthScheme, field: &Field, val: &Map<String, Value>) -> Option<String> {
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
    let mut state = Map::new();
    let mut problems = Vec::new();
    for field in connect_fields(scheme) {
        let known = names(kind, &field);
        let value = known.iter().filter_map(|n| given.get(*n)).find_map(text);
        let value = value.map(|v| tidy(&field, v)).filter(|v| !v.is_empty());
        let stored = stored_name(kind, &field.name);
        let has_inherited = known.iter().any(|n| inherited.0.contains_key(*n));
        let value = match value {
            Some(value) => value,
            None if has_inherited => continue,
            None => match (&field.default, field.required) {
                (Some(default), _) => default.clone(),
                (None, false) => continue,
                (None, true) => {
                    problems.push(Problem { name: field.name, text: REQUIRED.to_owned() });
                    continue;
                }
            },
        };
        match wrong(&field, &value) {
            Some(text) => problems.push(Problem { name: field.name, text }),
            None => {
                state.insert(stored.to_owned(), value.into());
            }
        }
    }
    if problems.is_empty() { Ok(state) } else { Err(problems) }
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
fn tidy(field: &Field, value: String) -> String {
    let value = value.trim();
    let Some(suffix) = field.suffix.as_deref().filter(|s| s.starts_with('.')) else {
        return value.to_owned();
    };
    let value = value.trim_start_matches("https://").trim_end_matches('/');
    value.strip_suffix(suffix).unwrap_or(value).to_owned()
}

fn wrong(field: &Field, value: &str) -> Option<String> {
    if value.len() > MAX_VALUE {
        return Some("is too long".to_owned());
    }
    if value.chars().any(char::is_control) {
        return Some("must be one line without control characters".to_owned());
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
    fn what_the_auth_config_gives_is_not_asked_for() {
        let scheme = scheme(json!({"scheme": "API_KEY"}));
        let shared = SecretMap(map(json!({"api_key": "shared"})));
        assert!(collect(&scheme, &Map::new(), &shared).unwrap().is_empty());
    }

    #[test]
    fn an_oauth_client_has_its_usual_fields() {
        let scheme = scheme(json!({"scheme": "OAUTH2", "oauth2": {
            "authorize": {"url": "https://a"}, "token": {"url": "https://t", "client_auth": "none"},
            "scopes": ["a", "b"]}}));
        let fields = config_fields(&scheme);
        let secret = fields.iter().find(|f| f.name == "client_secret").unwrap();
        assert!(secret.secret && !secret.required);
        let scopes = fields.iter().find(|f| f.name == "scopes").unwrap();
        assert_eq!(scopes.default.as_deref(), Some("a,b"));
    }
}
