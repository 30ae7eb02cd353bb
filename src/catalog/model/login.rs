//! `login` of a scheme: how a token is made of stored secrets.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Basic, Method, RawBody};

/// A login: an assertion when there is one, then requests in order, then the token.
///
/// Templates see `cred` (everything that the auth config and the connection hold), `conn` (what of
/// it is not secret), `scopes` (joined by blanks), `now` (Unix seconds), `uuid` (random),
/// `assertion`, the answers of earlier steps by their ids, and `headers.<id>` with the headers of
/// those answers in lower case.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// A signed JWT.
    #[serde(default)]
    pub assertion: Option<LoginAssertion>,
    /// Requests before the token is there. None at all: the assertion itself is the token.
    #[serde(default)]
    pub steps: Vec<LoginStep>,
    /// Where the token is.
    #[serde(default)]
    pub token: LoginToken,
    /// Scopes asked for when the auth config names none.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Scopes that a person can choose from; informational.
    #[serde(default)]
    pub available_scopes: Vec<String>,
}

/// A JWT signed with a stored key.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoginAssertion {
    /// Signature algorithm.
    pub alg: SigningAlg,
    /// Template of the key: a PEM text, or the secret of an HS algorithm.
    pub key: String,
    /// How the secret of an HS algorithm is written.
    #[serde(default)]
    pub key_encoding: KeyEncoding,
    /// Template of the `kid` header; left out when it comes out as none.
    #[serde(default)]
    pub key_id: Option<String>,
    /// Further headers, constant.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Claims, besides `iat` and `exp`; one that comes out as none is left out.
    #[serde(default)]
    pub claims: Map<String, Value>,
    /// Seconds from now to `exp`.
    #[serde(default = "ttl")]
    pub ttl_s: u32,
    /// Seconds that `iat` lies in the past, for providers whose clock is behind.
    #[serde(default)]
    pub backdate_s: u32,
}

/// Signature algorithms (RFC 7518).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum SigningAlg {
    /// RSA PKCS #1 with SHA-256.
    RS256,
    /// RSA PKCS #1 with SHA-384.
    RS384,
    /// RSA PKCS #1 with SHA-512.
    RS512,
    /// P-256 with SHA-256.
    ES256,
    /// P-384 with SHA-384.
    ES384,
    /// HMAC with SHA-256.
    HS256,
    /// HMAC with SHA-384.
    HS384,
    /// HMAC with SHA-512.
    HS512,
}

/// How the secret of an HS algorithm is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyEncoding {
    /// The text's own bytes.
    #[default]
    Text,
    /// Hexadecimal (Ghost's admin keys).
    Hex,
    /// Base64, in either alphabet.
    Base64,
}

/// One request of a login.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoginStep {
    /// Name under which later templates see the answer: its JSON or form, otherwise
    /// `{text: …}`.
    pub id: String,
    /// The request.
    pub request: LoginRequest,
    /// The answer is a refusal unless this pointer holds a true value.
    #[serde(default)]
    pub ok: Option<String>,
    /// The answer is a refusal if this pointer holds anything but none, false and empty.
    #[serde(default)]
    pub fail_if: Option<String>,
    /// Pointers to the error text, first match wins.
    #[serde(default)]
    pub error: Vec<String>,
}

/// What a step sends. Values are templates.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoginRequest {
    /// HTTP method.
    #[serde(default = "post")]
    pub method: Method,
    /// Absolute address, without query; may hold `{{ conn.<field> }}` when it stays on the
    /// toolkit's hosts.
    #[serde(default)]
    pub url: Option<String>,
    /// Path below the toolkit's `base_url` (or below `url`); `{cred.<field>}` is one segment.
    #[serde(default)]
    pub path: Option<String>,
    /// Headers; one that comes out as none is left out.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Query parameters; one that comes out as none is left out.
    #[serde(default)]
    pub query: BTreeMap<String, String>,
    /// URL-encoded body.
    #[serde(default)]
    pub form: Option<Map<String, Value>>,
    /// JSON body.
    #[serde(default)]
    pub json: Option<Value>,
    /// Any other body; write `{{ value | e }}` in XML.
    #[serde(default)]
    pub raw: Option<RawBody>,
    /// HTTP basic authentication.
    #[serde(default)]
    pub basic: Option<Basic>,
}

/// Where the token of a login is. Values are templates.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoginToken {
    /// The token; `{{ <last step>.access_token }}`, or the assertion, when absent.
    pub value: Option<String>,
    /// Name under which it is kept as well (`sessionId`); always `cred.access_token`.
    pub name: Option<String>,
    /// Lifetime in seconds.
    pub expires_in: Option<String>,
    /// End: an RFC 3339 time, or Unix seconds or milliseconds.
    pub expires_at: Option<String>,
    /// Lifetime in seconds when neither gives one. `None`: until the provider refuses it.
    pub expires_default_s: Option<u32>,
    /// Further values kept with the credential, not secret: name to template.
    pub capture: BTreeMap<String, String>,
}

fn ttl() -> u32 {
    300
}

fn post() -> Method {
    Method::Post
}
