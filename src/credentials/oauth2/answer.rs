//! What providers answer at the token endpoint: RFC 6749, and what else they send. `ok: false`
//! with HTTP 200, form-encoded bodies, lifetimes as text, in milliseconds or as a moment, missing
//! token types, nested tokens, further values worth keeping.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::token::TokenSet;
use crate::catalog::model::{TimeUnit, TokenResponse};

/// A token answer, sorted.
pub enum Answer {
    /// Tokens.
    Tokens(Box<TokenSet>),
    /// A refusal.
    Refused {
        /// The provider's code, or `http_<status>`.
        code: String,
        /// Its text.
        text: Option<String>,
    },
    /// The provider is not able to answer now.
    Unavailable,
    /// Nothing that can be read.
    Unusable(&'static str),
}

/// Error codes that say "later", not "no".
const PASSING: [&str; 6] = [
    "temporarily_unavailable",
    "server_error",
    "slow_down",
    "ratelimited",
    "rate_limited",
    "service_unavailable",
];

/// Error codes that say that a refresh token or a grant is dead, besides a definition's own.
const OVER: [&str; 21] = [
    "invalid_grant",
    "bad_refresh_token",
    "invalid_refresh_token",
    "expired_refresh_token",
    "refresh_token_expired",
    "refresh_token_invalid",
    "refresh_token_revoked",
    "token_expired",
    "token_revoked",
    "revoked_token",
    "expired_token",
    "invalid_token",
    "access_denied",
    "consent_required",
    "interaction_required",
    "login_required",
    "reauthentication_required",
    "account_inactive",
    "user_not_found",
    "user_disabled",
    "bad_verification_code",
];

/// Whether an error code means that asking again with the same thing can never help.
pub fn is_over(rule: &TokenResponse, code: &str) -> bool {
    let is = |known: &str| known.eq_ignore_ascii_case(code.trim());
    OVER.into_iter().any(is) || rule.permanent.iter().any(|known| is(known))
}

/// Reads an answer as the definition says.
pub fn read(rule: &TokenResponse, status: u16, body: &[u8], now: DateTime<Utc>) -> Answer {
    if status >= 500 || status == 429 || status == 408 {
        return Answer::Unavailable;
    }
    let Some(answer) = parse(body) else {
        return if status >= 400 {
            Answer::Refused { code: format!("http_{status}"), text: None }
        } else {
            Answer::Unusable("the answer is neither JSON nor form-encoded")
        };
    };
    let not_ok =
        rule.ok.as_ref().is_some_and(|p| answer.pointer(p).and_then(Value::as_bool) != Some(true));
    let error = answer.pointer(&rule.error).filter(|e| {
        !e.is_null()
            && **e != Value::Bool(false)
            && e.as_i64() != Some(0)
            && e.as_str().is_none_or(|s| !s.is_empty())
    });
    if status >= 400 || not_ok || error.is_some() {
        return refused(rule, &answer, error, status);
    }
    tokens(rule, &answer, now)
}

fn parse(body: &[u8]) -> Option<Value> {
    if let Ok(value) = serde_json::from_slice::<Value>(body) {
        return value.is_object().then_some(value);
    }
    let text = std::str::from_utf8(body).ok()?.trim();
    // A form has no markup and at least one pair; anything else is an error page.
    if text.is_empty() || text.contains(['<', '\n']) || !text.contains('=') {
        return None;
    }
    let pairs = url::form_urlencoded::parse(text.as_bytes());
    Some(Value::Object(pairs.map(|(k, v)| (k.into_owned(), Value::from(v.into_owned()))).collect()))
}

fn refused(rule: &TokenResponse, answer: &Value, error: Option<&Value>, status: u16) -> Answer {
    let first = |pointers: &[&str]| {
        pointers.iter().find_map(|p| answer.pointer(p).and_then(Value::as_str)).map(str::to_owned)
    };
    let plain = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let code = error
        .and_then(plain)
        .or_else(|| first(&["/error/code", "/error/type", "/code", "/error/message"]))
        .unwrap_or_else(|| format!("http_{status}"));
    if PASSING.contains(&code.as_str()) {
        return Answer::Unavailable;
    }
    let own = rule.error_text.as_deref().and_then(|p| first(&[p]));
    let text = own.or_else(|| {
        first(&["/error_description", "/error/message", "/message", "/error/description"])
    });
    Answer::Refused { code, text }
}

fn text<'a>(answer: &'a Value, pointer: &str) -> Option<&'a str> {
    answer.pointer(pointer).and_then(Value::as_str).filter(|t| !t.is_empty())
}

/// Seconds that a token lives.
fn lifetime(rule: &TokenResponse, value: &Value, now: DateTime<Utc>) -> Option<u64> {
    let number = value.as_f64().or_else(|| value.as_str().and_then(|s| s.trim().parse().ok()));
    let seconds = |n: f64| match rule.expires_unit {
        TimeUnit::Seconds => n,
        TimeUnit::Milliseconds => n / 1000.0,
    };
    let left = if rule.expires_absolute {
        let end = match number {
            Some(number) => seconds(number),
            None => DateTime::parse_from_rfc3339(value.as_str()?.trim()).ok()?.timestamp() as f64,
        };
        // One that is over already still has an end.
        (end - now.timestamp() as f64).max(1.0)
    } else {
        seconds(number?)
    };
    (left.is_finite() && left > 0.0).then(|| left.clamp(1.0, 1e9) as u64)
}

fn tokens(rule: &TokenResponse, answer: &Value, now: DateTime<Utc>) -> Answer {
    // A user's token has its companions beside it.
    let sibling = |pointer: &str, name: &str| match pointer.rsplit_once('/') {
        Some((parent, _)) => format!("{parent}/{name}"),
        None => format!("/{name}"),
    };
    let (token, refresh_at, expires_at, scope_at) = match text(answer, &rule.access_token) {
        Some(token) => {
            (token, rule.refresh_token.clone(), rule.expires_in.clone(), rule.scope.clone())
        }
        None => {
            let user = rule.user_access_token.as_deref();
            let Some((pointer, token)) = user.and_then(|p| Some((p, text(answer, p)?))) else {
                return Answer::Unusable("the answer has no access token");
            };
            (
                token,
                sibling(pointer, "refresh_token"),
                sibling(pointer, "expires_in"),
                sibling(pointer, "scope"),
            )
        }
    };
    let expires_in = answer
        .pointer(&expires_at)
        .and_then(|value| lifetime(rule, value, now))
        .or_else(|| rule.expires_default_s.and_then(|s| u64::try_from(s).ok()));
    let scope = match answer.pointer(&scope_at) {
        Some(Value::String(s)) => Some(s.replace(',', " ")),
        Some(Value::Array(items)) => {
            Some(items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "))
        }
        _ => None,
    };
    let kept: Map<String, Value> = rule
        .capture
        .iter()
        .filter_map(|(name, pointer)| Some((name.clone(), answer.pointer(pointer)?.clone())))
        .filter(|(_, value)| !value.is_null())
        .collect();
    Answer::Tokens(Box::new(TokenSet {
        access_token: token.to_owned(),
        refresh_token: text(answer, &refresh_at).map(str::to_owned),
        token_type: Some(text(answer, "/token_type").unwrap_or("bearer").to_lowercase()),
        expires_in,
        scope: scope.filter(|s| !s.trim().is_empty()),
        id_token: text(answer, "/id_token").map(str::to_owned),
        kept,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    fn ok(rule: &TokenResponse, body: &str) -> TokenSet {
        match read(rule, 200, body.as_bytes(), now()) {
            Answer::Tokens(set) => *set,
            _ => panic!("not tokens: {body}"),
        }
    }

    fn refusal(rule: &TokenResponse, status: u16, body: &str) -> String {
        match read(rule, status, body.as_bytes(), now()) {
            Answer::Refused { code, .. } => code,
            _ => panic!("not a refusal: {body}"),
        }
    }

    #[test]
    fn a_standard_answer_passes_with_its_lifetime() {
        let set = ok(
            &TokenResponse::default(),
            r#"{"access_token":"a","token_type":"Bearer","expires_in":"3600","refresh_token":"r","scope":"x,y"}"#,
        );
        assert_eq!(set.expires_in, Some(3600));
        assert_eq!(set.scope.as_deref(), Some("x y"));
        assert_eq!(set.refresh_token.as_deref(), Some("r"));
    }

    #[test]
    fn a_form_encoded_answer_without_type_or_lifetime_is_read() {
        let rule = TokenResponse { expires_default_s: Some(60), ..TokenResponse::default() };
        let set = ok(&rule, "access_token=a%2Bb&scope=repo%2Cuser");
        assert_eq!(set.access_token, "a+b");
        assert_eq!(set.token_type.as_deref(), Some("bearer"));
        assert_eq!(set.expires_in, Some(60));
        assert_eq!(set.scope.as_deref(), Some("repo user"));
    }

    #[test]
    fn lifetimes_come_in_milliseconds_and_as_moments() {
        let of = |unit, absolute, value: &str| {
            let rule = TokenResponse {
                expires_unit: unit,
                expires_absolute: absolute,
                ..TokenResponse::default()
            };
            ok(&rule, &format!(r#"{{"access_token":"a","expires_in":{value}}}"#)).expires_in
        };
        use TimeUnit::{Milliseconds, Seconds};
        assert_eq!(of(Milliseconds, false, "3600000"), Some(3600));
        assert_eq!(of(Seconds, true, "1800003600"), Some(3600));
        assert_eq!(of(Milliseconds, true, "\"1800003600000\""), Some(3600));
        assert_eq!(of(Seconds, true, "\"2027-01-15T08:01:00Z\""), Some(60));
        assert_eq!(of(Seconds, true, "5"), Some(1));
        for odd in ["0", "-1", "\"soon\"", "null", "[]"] {
            assert_eq!(of(Seconds, false, odd), None, "{odd}");
        }
        assert_eq!(of(Seconds, false, "1e300"), Some(1_000_000_000));
    }

    #[test]
    fn ok_false_and_an_error_with_http_200_are_refusals() {
        let slack = TokenResponse { ok: Some("/ok".into()), ..TokenResponse::default() };
        assert_eq!(refusal(&slack, 200, r#"{"ok":false,"error":"invalid_code"}"#), "invalid_code");
        let plain = TokenResponse::default();
        assert_eq!(
            refusal(&plain, 200, "error=bad_verification_code&error_description=no"),
            "bad_verification_code"
        );
        assert_eq!(refusal(&plain, 400, r#"{"error":{"code":"x","message":"m"}}"#), "x");
        assert_eq!(refusal(&plain, 403, "<html>no</html>"), "http_403");
        let numbered = TokenResponse { error: "/code".into(), ..TokenResponse::default() };
        assert_eq!(refusal(&numbered, 200, r#"{"code":10013,"message":"m"}"#), "10013");
        assert_eq!(ok(&numbered, r#"{"code":0,"access_token":"a"}"#).access_token, "a");
    }

    #[test]
    fn a_dead_grant_is_told_from_a_wrong_client() {
        let rule = TokenResponse {
            permanent: vec!["E1007".into(), "10013".into()],
            ..TokenResponse::default()
        };
        for code in ["invalid_grant", "INVALID_GRANT", "token_revoked", "e1007", "10013"] {
            assert!(is_over(&rule, code), "{code}");
        }
        for code in ["invalid_client", "unauthorized_client", "invalid_scope", "http_403", ""] {
            assert!(!is_over(&rule, code), "{code}");
        }
    }

    #[test]
    fn a_user_token_is_found_with_its_companions_and_values_are_captured() {
        let rule = TokenResponse {
            ok: Some("/ok".into()),
            user_access_token: Some("/authed_user/access_token".into()),
            capture: [("team_id".to_owned(), "/team/id".to_owned())].into(),
            ..TokenResponse::default()
        };
        let set = ok(
            &rule,
            r#"{"ok":true,"team":{"id":"T1"},"authed_user":{"access_token":"xoxp","scope":"a,b","refresh_token":"r2","expires_in":9}}"#,
        );
        assert_eq!(set.access_token, "xoxp");
        assert_eq!(set.refresh_token.as_deref(), Some("r2"));
        assert_eq!(set.expires_in, Some(9));
        assert_eq!(set.kept["team_id"], "T1");
    }

    #[test]
    fn overload_is_not_a_refusal() {
        let rule = TokenResponse::default();
        let of = |status, body: &str| read(&rule, status, body.as_bytes(), now());
        for (status, body) in
            [(503, ""), (429, r#"{"error":"x"}"#), (400, r#"{"error":"temporarily_unavailable"}"#)]
        {
            assert!(matches!(of(status, body), Answer::Unavailable));
        }
        assert!(matches!(of(200, "<html>"), Answer::Unusable(_)));
        assert!(matches!(of(200, "{}"), Answer::Unusable(_)));
        assert!(matches!(of(200, "[1]"), Answer::Unusable(_)));
    }
}
