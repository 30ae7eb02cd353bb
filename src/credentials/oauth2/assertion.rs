//! The assertion by which a client authenticates itself with its private key (RFC 7523).

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::provider::OauthClient;
use crate::catalog::Unsigned;
use crate::catalog::model::{Assertion, KeyEncoding};
use crate::credentials::jwt;
use crate::domain::id::random_text;
use crate::domain::secret::ExposeSecret;
use crate::domain::time::now;

/// `client_assertion_type`.
pub const KIND: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Signs an assertion for a token endpoint.
///
/// # Errors
/// What is wrong with the key, for a person.
pub fn make(client: &OauthClient, rule: &Assertion, endpoint: &str) -> Result<String, String> {
    let key = client.private_key.as_ref().ok_or("the client has no private key")?;
    let issued = now().timestamp();
    let exp = issued + i64::from(rule.lifetime_s.clamp(10, 3600));
    let audience = rule.audience.as_deref().unwrap_or(endpoint);
    let claims: [(&str, Value); 6] = [
        ("iss", client.id.as_str().into()),
        ("sub", client.id.as_str().into()),
        ("aud", audience.into()),
        ("iat", issued.into()),
        ("exp", exp.into()),
        // Each is good once.
        ("jti", random_text(32).into()),
    ];
    jwt::sign(&Unsigned {
        alg: rule.alg,
        key: key.expose_secret().to_owned(),
        key_encoding: KeyEncoding::Text,
        key_id: client.key_id.clone(),
        headers: BTreeMap::new(),
        claims: claims.into_iter().map(|(k, v)| (k.to_owned(), v)).collect::<Map<_, _>>(),
        exp,
    })
}
