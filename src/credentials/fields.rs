//! What templates see of an account: its own fields, what its auth config gives to every account,
//! and what of it is not secret.

use serde_json::{Map, Value};

use crate::catalog::model::AuthScheme;
use crate::domain::connection::{AuthConfig, SecretMap};
use crate::domain::scheme::AuthSchemeKind;
use crate::domain::secret::sounds_secret;

/// Credentials of an auth config that are its client's, not fields of the scheme.
const CLIENT: [&str; 9] = [
    "consumer_key",
    "consumer_secret",
    "client_id",
    "client_secret",
    "private_key",
    "key_id",
    "scopes",
    "user_scopes",
    "oauth_redirect_uri",
];

/// Names whose values are secret whatever a definition says.
const SECRET: [&str; 8] = [
    "access_token",
    "refresh_token",
    "id_token",
    "client_secret",
    "api_key",
    "generic_api_key",
    "token",
    "password",
];

/// Whether an auth config gives fields to its accounts.
pub fn gives(config: &AuthConfig) -> bool {
    !config.shared_credentials.0.is_empty() || own(config).next().is_some()
}

fn own(config: &AuthConfig) -> impl Iterator<Item = (&String, &Value)> {
    config.credentials.0.iter().filter(|(name, _)| !CLIENT.contains(&name.as_str()))
}

/// A connection's fields with those that the auth config gives to every account. The developer's
/// own fields stand over whatever a connection has under their names.
pub fn inherited(config: &AuthConfig, state: &SecretMap) -> SecretMap {
    let mut all = config.shared_credentials.clone();
    all.0.extend(state.0.iter().map(|(k, v)| (k.clone(), v.clone())));
    all.0.extend(own(config).map(|(k, v)| (k.clone(), v.clone())));
    all
}

/// Whether a field is given by the auth config, so that no connection chooses it.
pub fn is_given(config: &AuthConfig, name: &str, value: &str) -> bool {
    let given = |map: &SecretMap| map.text(name) == Some(value);
    given(&config.shared_credentials) || given(&config.credentials)
}

/// Fields that are not secret, with their defaults, and what was captured.
pub fn plain(scheme: &AuthScheme, all: &Map<String, Value>) -> Map<String, Value> {
    let fields = scheme.connect_fields.iter().chain(&scheme.config_fields);
    let mut conn = Map::new();
    for field in fields.filter(|f| !f.secret && !SECRET.contains(&f.name.as_str())) {
        let default = || field.default.clone().map(Value::String);
        if let Some(value) = all.get(&field.name).cloned().or_else(default) {
            conn.insert(field.name.clone(), value);
        }
    }
    for name in scheme.captured().filter(|name| !is_secret(name)) {
        if let Some(value) = all.get(name) {
            conn.insert(name.clone(), value.clone());
        }
    }
    if scheme.scheme == AuthSchemeKind::Basic
        && let Some(name) = all.get("username")
    {
        conn.entry("username").or_insert_with(|| name.clone());
    }
    conn
}

/// Whether a captured value of this name is a credential (another token of the same answer).
pub fn is_secret(name: &str) -> bool {
    SECRET.contains(&name) || sounds_secret(name)
}
