//! `oauth1` of a scheme.

use std::collections::BTreeMap;

use serde::Deserialize;

/// OAuth 1.0a (RFC 5849) of one provider: three legs, then a signature on every request.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OAuth1 {
    /// First leg: temporary credentials.
    pub request: OAuth1Endpoint,
    /// Second leg, in the person's browser.
    pub authorize: OAuth1Endpoint,
    /// Third leg: token credentials.
    pub access: OAuth1Endpoint,
    /// How requests are signed.
    #[serde(default)]
    pub signature: OAuth1Signature,
    /// `realm` of the `Authorization` header.
    #[serde(default)]
    pub realm: Option<String>,
    /// Further values of the last answer kept with the credential: name in the connection to
    /// name in the answer.
    #[serde(default)]
    pub capture: BTreeMap<String, String>,
}

/// An endpoint with constant parameters.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OAuth1Endpoint {
    /// URL, without query; may hold `{{ conn.<field> }}`.
    pub url: String,
    /// Constant parameters: of the form for the first and the last leg, of the query for the
    /// browser's.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
}

/// Signature methods.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum OAuth1Signature {
    /// HMAC-SHA1.
    #[default]
    #[serde(rename = "HMAC-SHA1")]
    HmacSha1,
    /// HMAC-SHA256.
    #[serde(rename = "HMAC-SHA256")]
    HmacSha256,
    /// The secrets themselves, over TLS.
    #[serde(rename = "PLAINTEXT")]
    Plaintext,
}
