//! What a provider granted, and why it did not.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::credentials::renew::TOKEN_FIELDS;
use crate::domain::connection::SecretMap;
use crate::net::NetError;

/// What a provider granted.
#[derive(Clone, Serialize, Deserialize)]
pub struct TokenSet {
    pub(in crate::credentials) access_token: String,
    pub(in crate::credentials) refresh_token: Option<String>,
    pub(in crate::credentials) token_type: Option<String>,
    pub(in crate::credentials) expires_in: Option<u64>,
    pub(in crate::credentials) scope: Option<String>,
    pub(in crate::credentials) id_token: Option<String>,
    pub(in crate::credentials) kept: Map<String, Value>,
}

impl fmt::Debug for TokenSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSet").field("expires_in", &self.expires_in).finish_non_exhaustive()
    }
}

impl TokenSet {
    /// A token that was made of stored secrets, with what else the answers held.
    pub(in crate::credentials) fn made(
        access_token: String,
        expires_in: Option<u64>,
        kept: Map<String, Value>,
    ) -> Self {
        Self {
            access_token,
            refresh_token: None,
            token_type: None,
            expires_in,
            scope: None,
            id_token: None,
            kept,
        }
    }

    /// Writes the tokens into a connection's state; returns when the access token ends. A
    /// refresh token that the provider did not replace stays.
    pub fn write(&self, state: &mut SecretMap, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let map = &mut state.0;
        for (name, value) in &self.kept {
            if !TOKEN_FIELDS.contains(&name.as_str()) {
                map.insert(name.clone(), value.clone());
            }
        }
        map.insert("access_token".into(), self.access_token.clone().into());
        let optional = [
            ("refresh_token", &self.refresh_token),
            ("token_type", &self.token_type),
            ("scope", &self.scope),
            ("id_token", &self.id_token),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                map.insert(name.into(), value.clone().into());
            }
        }
        match self.expires_in {
            Some(seconds) => map.insert("expires_in".into(), seconds.into()),
            None => map.remove("expires_in"),
        };
        let seconds = i64::try_from(self.expires_in?).ok()?;
        now.checked_add_signed(TimeDelta::try_seconds(seconds)?)
    }

    /// A later answer over an earlier one: what the later one does not have stays.
    pub(super) fn over(self, earlier: Self) -> Self {
        let mut kept = earlier.kept;
        kept.extend(self.kept);
        Self {
            refresh_token: self.refresh_token.or(earlier.refresh_token),
            scope: self.scope.or(earlier.scope),
            id_token: self.id_token.or(earlier.id_token),
            kept,
            ..self
        }
    }
}

/// Why there are no tokens. The texts hold no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenFailure {
    /// What was sent is dead (`invalid_grant` and its dialects): only the person can help.
    #[error("{0}")]
    Over(String),
    /// The provider said no to something else: the client, perhaps, which the developer or the
    /// operator can set right.
    #[error("{0}")]
    Refused(String),
    /// The provider could not be asked, or could not answer.
    #[error("{why}")]
    Unavailable {
        /// For a person.
        why: String,
        /// How long the provider wants to be left alone.
        retry_after: Option<Duration>,
        /// Whether it may have done what was asked, and only its answer was lost.
        lost: bool,
    },
}

impl TokenFailure {
    /// The provider answered that it cannot.
    pub fn unavailable(why: impl Into<String>, retry_after: Option<Duration>) -> Self {
        Self::Unavailable { why: why.into(), retry_after, lost: false }
    }

    /// There is no answer that can be read.
    pub fn lost(why: impl Into<String>) -> Self {
        Self::Unavailable { why: why.into(), retry_after: None, lost: true }
    }
}

impl From<NetError> for TokenFailure {
    fn from(error: NetError) -> Self {
        match error {
            // Nothing was sent.
            NetError::Refused(why) | NetError::Invalid(why) => Self::unavailable(why, None),
            NetError::Timeout(why) | NetError::Connection(why) | NetError::TooLarge(why) => {
                Self::lost(why)
            }
        }
    }
}

/// A provider's text for a person: one line, short, without any secret that was sent.
pub(in crate::credentials) fn clean(text: &str, secrets: &[Option<&str>]) -> String {
    let mut text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    for secret in secrets.iter().flatten().filter(|s| s.len() >= 4) {
        text = text.replace(secret, "[secret]");
    }
    text.chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn set(access: &str) -> TokenSet {
        TokenSet {
            access_token: access.into(),
            refresh_token: None,
            token_type: None,
            expires_in: Some(60),
            scope: None,
            id_token: None,
            kept: json!({"access_token": "evil", "team": 1}).as_object().unwrap().clone(),
        }
    }

    #[test]
    fn texts_of_providers_are_cleaned() {
        let known = [Some("tok-123"), Some("x"), None];
        assert_eq!(clean("bad token tok-123\r\nx", &known), "bad token [secret]  x");
        assert_eq!(clean(&"x".repeat(1000), &[]).len(), 300);
    }

    #[test]
    fn a_refresh_token_that_was_not_replaced_stays() {
        let mut state = SecretMap(
            json!({"access_token": "a", "refresh_token": "r", "expires_in": 1, "subdomain": "s"})
                .as_object()
                .unwrap()
                .clone(),
        );
        let now = crate::domain::time::now();
        assert_eq!(set("b").write(&mut state, now), Some(now + TimeDelta::seconds(60)));
        assert_eq!(state.text("access_token"), Some("b"));
        assert_eq!(state.text("refresh_token"), Some("r"));
        assert_eq!(state.text("subdomain"), Some("s"));
        assert_eq!(state.0["team"], 1);
    }

    #[test]
    fn a_later_answer_keeps_what_it_does_not_have() {
        let first = TokenSet { refresh_token: Some("r".into()), ..set("short") };
        let long = TokenSet { expires_in: None, ..set("long") };
        let both = long.over(first);
        assert_eq!((both.access_token.as_str(), both.expires_in), ("long", None));
        assert_eq!(both.refresh_token.as_deref(), Some("r"));
    }
}
