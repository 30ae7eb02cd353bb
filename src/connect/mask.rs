//! Credentials as responses show them: what is not known to be harmless is masked.

use serde_json::{Map, Value};

use crate::catalog::fields::{config_fields, connect_fields};
use crate::catalog::model::AuthScheme;
use crate::credentials::fields::is_secret;
use crate::domain::secret::mask;

/// Names that hold no secret in any scheme.
const PLAIN: [&str; 22] = [
    "status",
    "token_type",
    "expires_in",
    "scope",
    "scopes",
    "user_scopes",
    "client_id",
    "client_id_issued_at",
    "client_secret_expires_at",
    "oauth_redirect_uri",
    "username",
    "callbackUrl",
    "callback_url",
    "redirectUrl",
    "error",
    "error_description",
    "expired_at",
    "revoked_at",
    "subdomain",
    "region",
    "domain",
    "base_url",
];

/// Names that are secret whatever a definition says.
const SECRET: [&str; 9] = [
    "access_token",
    "refresh_token",
    "id_token",
    "api_key",
    "generic_api_key",
    "bearer_token",
    "token",
    "password",
    "client_secret",
];

/// Masks the values of an object whose names are not known to be harmless.
pub fn masked(scheme: Option<&AuthScheme>, map: &Map<String, Value>) -> Map<String, Value> {
    map.iter()
        .map(|(name, value)| {
            let value = if is_plain(scheme, name) { value.clone() } else { masked_value(value) };
            (name.clone(), value)
        })
        .collect()
}

fn is_plain(scheme: Option<&AuthScheme>, name: &str) -> bool {
    if SECRET.contains(&name) {
        return false;
    }
    let Some(scheme) = scheme else { return PLAIN.contains(&name) };
    let declared =
        connect_fields(scheme).into_iter().chain(config_fields(scheme)).find(|f| f.is_named(name));
    match declared {
        Some(field) => !field.secret,
        None => {
            let captured = scheme.captured().any(|c| c == name);
            PLAIN.contains(&name) || (captured && !is_secret(name))
        }
    }
}

fn masked_value(value: &Value) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::String(text) => mask(text).into(),
        Value::Array(items) => items.iter().map(masked_value).collect(),
        Value::Object(map) => {
            Value::Object(map.iter().map(|(k, v)| (k.clone(), masked_value(v))).collect())
        }
        Value::Number(_) | Value::Bool(_) => "REDACTED".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_not_known_to_be_harmless_is_masked() {
        let scheme: AuthScheme = serde_json::from_value(json!({"scheme": "API_KEY",
            "connect_fields": [{"name": "site"}, {"name": "pin", "secret": true}]}))
        .unwrap();
        let map = json!({"api_key": "sk-live-1", "site": "acme", "pin": "123", "odd": "secret-x",
            "nested": {"token": "tok-abcdef", "n": 5}, "scope": "a b", "token": null});
        let out = masked(Some(&scheme), map.as_object().unwrap());
        let expected = json!({"api_key": "sk-l...", "site": "acme", "pin": "REDACTED",
            "odd": "secr...", "nested": {"token": "tok-...", "n": "REDACTED"}, "scope": "a b",
            "token": null});
        assert_eq!(Value::Object(out), expected);
    }
}
