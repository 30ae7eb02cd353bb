//! `identity` and `verify`: the calls that say whose an account is, and whether its credentials are
//! good.

use serde::Deserialize;

use super::Request;

/// The call that says whose account at the provider a connection is.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityCall {
    /// The request; its templates see `conn`.
    pub request: Request,
    /// Pointers to the provider's own id of the account, first match wins.
    #[serde(default)]
    pub id: Vec<String>,
    /// Pointers to how a person knows the account: login or name.
    #[serde(default)]
    pub label: Vec<String>,
    /// Pointers to its email address.
    #[serde(default)]
    pub email: Vec<String>,
    /// Whether the call proves the credentials, so that it serves as `verify` when there is none.
    #[serde(default = "yes")]
    pub proves: bool,
    /// Which answers mean that the credentials are wrong.
    #[serde(default)]
    pub refused: Refused,
}

/// The call that says whether credentials are good.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerifyCall {
    /// The request; its templates see `conn`.
    pub request: Request,
    /// Which answers mean that the credentials are wrong.
    #[serde(default)]
    pub refused: Refused,
}

/// Answers that mean that the credentials are wrong, and not that something else is.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Refused {
    /// HTTP statuses.
    pub status: Vec<u16>,
    /// Pointer to an error code in the answer, whatever its HTTP status.
    pub at: Option<String>,
    /// Values of that code.
    pub values: Vec<String>,
}

impl Default for Refused {
    fn default() -> Self {
        Self { status: vec![401], at: None, values: Vec::new() }
    }
}

fn yes() -> bool {
    true
}
