//! The assertion by which a client authenticates itself with its private key (RFC 7523).

use super::provider::OauthClient;
use crate::catalog::model::Assertion;

/// `client_assertion_type`.
pub const KIND: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Signs an assertion for a token endpoint.
pub fn make(_: &OauthClient, _: &Assertion, _: &str) -> Result<String, String> {
    Err("this server cannot sign client assertions".to_owned())
}
