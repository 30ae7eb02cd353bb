//! What a provider granted, and why it did not.

use std::fmt;
use std::time::Duration;

use axum::http::{HeaderMap, header};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value};

use crate::credentials::renew::TOKEN_FIELDS;
use crate::domain::connection::SecretMap;

/// Longest time that a provider's `Retry-After` is believed.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(86_400);

/// What a provider granted.
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

/// Why there are no tokens.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenFailure {
    /// The provider said no; asking again does not help.
    #[error("{0}")]
    Refused(String),
    /// The provider could not be asked, or could not answer, or said no in a way that may pass.
    #[error("{why}")]
    Unavailable {
        /// For a person.
        why: String,
        /// When to ask again, as far as the provider says so.
        retry_after: Option<Duration>,
    },
}

impl TokenFailure {
    /// Nothing is known about when to ask again.
    pub(in crate::credentials) fn unavailable(why: impl Into<String>) -> Self {
        Self::Unavailable { why: why.into(), retry_after: None }
    }
}

/// What `Retry-After` says: seconds, or a date.
pub fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds.ceil()).ok()?,
        Err(_) => {
            let date = DateTime::parse_from_rfc2822(text).ok()?;
            (date.with_timezone(&Utc) - now).to_std().unwrap_or_default()
        }
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

/// A provider's text for a person: one line, short, without any secret that was sent.
pub(super) fn clean(text: &str, secrets: &[String]) -> String {
    let mut text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    for secret in secrets.iter().filter(|s| s.len() >= 4) {
        text = text.replace(secret.as_str(), "[secret]");
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
        let known = ["tok-123".to_owned(), "x".to_owned()];
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

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let of = |text: &str| {
            let headers = HeaderMap::from_iter([(header::RETRY_AFTER, text.parse().unwrap())]);
            retry_after(&headers, now).map(|d| d.as_secs())
        };
        assert_eq!(of("30"), Some(30));
        assert_eq!(of("0.4"), Some(1));
        assert_eq!(of("Fri, 15 Jan 2027 08:01:00 GMT"), Some(60));
        assert_eq!(of("Fri, 15 Jan 2021 08:01:00 GMT"), Some(0));
        assert_eq!(of("99999999"), Some(86_400));
        for odd in ["", "-5", "soon", "1e400"] {
            assert_eq!(of(odd), None, "{odd}");
        }
    }
}
