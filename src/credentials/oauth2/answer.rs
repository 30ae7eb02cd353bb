//! What providers answer at the token endpoint, brought into the shape of RFC 6749 before the
//! OAuth library reads it: `ok: false` with HTTP 200, form-encoded bodies, missing or textual
//! lifetimes, missing token types, nested tokens, further values worth keeping.

use serde_json::{Map, Value, json};

use crate::catalog::model::TokenResponse;

/// Key under which captured values travel through the library.
pub const KEPT: &str = "patchbay_kept";

/// A token answer, sorted.
#[derive(PartialEq)]
pub enum Answer {
    /// Tokens, as RFC 6749 section 5.1 writes them.
    Tokens(Value),
    /// A refusal, as section 5.2 writes it.
    Refused(Value),
    /// The provider is not able to answer now.
    Unavailable(u16),
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
const OVER: [&str; 17] = [
    "invalid_grant",
    "bad_refresh_token",
    "invalid_refresh_token",
    "expired_refresh_token",
    "refresh_token_expired",
    "token_expired",
    "token_revoked",
    "expired_token",
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
    OVER.iter().any(|c| c.eq_ignore_ascii_case(code))
        || rule.permanent.iter().any(|c| c.eq_ignore_ascii_case(code))
}

/// Reads an answer as the definition says.
pub fn read(rule: &TokenResponse, status: u16, body: &[u8]) -> Answer {
    if status >= 500 || status == 429 || status == 408 {
        return Answer::Unavailable(status);
    }
    let Some(answer) = parse(body) else {
        return if status >= 400 {
            Answer::Refused(json!({ "error": format!("http_{status}") }))
        } else {
            Answer::Unusable("the answer is neither JSON nor form-encoded")
        };
    };
    let not_ok =
        rule.ok.as_ref().is_some_and(|p| answer.pointer(p).and_then(Value::as_bool) != Some(true));
    let error = answer.pointer(&rule.error).filter(|e| {
        !e.is_null() && **e != Value::Bool(false) && e.as_str().is_none_or(|s| !s.is_empty())
    });
    if status >= 400 || not_ok || error.is_some() {
        return refused(&answer, error, status);
    }
    tokens(rule, &answer)
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

fn refused(answer: &Value, error: Option<&Value>, status: u16) -> Answer {
    let first = |pointers: &[&str]| {
        pointers.iter().find_map(|p| answer.pointer(p).and_then(Value::as_str)).map(str::to_owned)
    };
    let code = error
        .and_then(Value::as_str)
        .map(str::to_owned)
        .or_else(|| first(&["/error/code", "/error/type", "/code", "/error/message"]))
        .unwrap_or_else(|| format!("http_{status}"));
    if PASSING.contains(&code.as_str()) {
        return Answer::Unavailable(status);
    }
    let description =
        first(&["/error_description", "/error/message", "/message", "/error/description"]);
    Answer::Refused(json!({ "error": code, "error_description": description }))
}

fn text<'a>(answer: &'a Value, pointer: &str) -> Option<&'a str> {
    answer.pointer(pointer).and_then(Value::as_str).filter(|t| !t.is_empty())
}

fn tokens(rule: &TokenResponse, answer: &Value) -> Answer {
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
    let mut out = Map::new();
    out.insert("access_token".into(), token.into());
    out.insert("token_type".into(), text(answer, "/token_type").unwrap_or("bearer").into());
    let lifetime = answer
        .pointer(&expires_at)
        .and_then(|v| v.as_f64().or_else(|| v.as_str().and_then(|s| s.trim().parse().ok())))
        .filter(|s| s.is_finite() && *s > 0.0)
        .map(|s| s.min(1e9) as u64)
        .or_else(|| rule.expires_default_s.and_then(|s| u64::try_from(s).ok()));
    if let Some(seconds) = lifetime {
        out.insert("expires_in".into(), seconds.into());
    }
    if let Some(refresh) = text(answer, &refresh_at) {
        out.insert("refresh_token".into(), refresh.into());
    }
    let scope = match answer.pointer(&scope_at) {
        Some(Value::String(s)) => Some(s.replace(',', " ")),
        Some(Value::Array(items)) => {
            Some(items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "))
        }
        _ => None,
    };
    if let Some(scope) = scope {
        out.insert("scope".into(), scope.into());
    }
    if let Some(id_token) = text(answer, "/id_token") {
        out.insert("id_token".into(), id_token.into());
    }
    let kept: Map<String, Value> = rule
        .capture
        .iter()
        .filter_map(|(name, pointer)| Some((name.clone(), answer.pointer(pointer)?.clone())))
        .filter(|(_, value)| !value.is_null())
        .collect();
    out.insert(KEPT.into(), kept.into());
    Answer::Tokens(out.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ok(rule: &TokenResponse, body: &str) -> Value {
        match read(rule, 200, body.as_bytes()) {
            Answer::Tokens(value) => value,
            _ => panic!("not tokens: {body}"),
        }
    }

    fn refusal(rule: &TokenResponse, status: u16, body: &str) -> String {
        match read(rule, status, body.as_bytes()) {
            Answer::Refused(value) => value["error"].as_str().unwrap().to_owned(),
            _ => panic!("not a refusal: {body}"),
        }
    }

    #[test]
    fn a_standard_answer_passes_with_its_lifetime() {
        let value = ok(
            &TokenResponse::default(),
            r#"{"access_token":"a","token_type":"Bearer","expires_in":"3600","refresh_token":"r","scope":"x,y"}"#,
        );
        assert_eq!(value["expires_in"], 3600);
        assert_eq!(value["scope"], "x y");
        assert_eq!(value["refresh_token"], "r");
    }

    #[test]
    fn a_form_encoded_answer_without_type_or_lifetime_is_read() {
        let rule = TokenResponse { expires_default_s: Some(60), ..TokenResponse::default() };
        let value = ok(&rule, "access_token=a%2Bb&scope=repo%2Cuser");
        assert_eq!(value["access_token"], "a+b");
        assert_eq!(value["token_type"], "bearer");
        assert_eq!(value["expires_in"], 60);
        assert_eq!(value["scope"], "repo user");
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
    }

    #[test]
    fn a_user_token_is_found_with_its_companions_and_values_are_captured() {
        let rule = TokenResponse {
            ok: Some("/ok".into()),
            user_access_token: Some("/authed_user/access_token".into()),
            capture: [("team_id".to_owned(), "/team/id".to_owned())].into(),
            ..TokenResponse::default()
        };
        let value = ok(
            &rule,
            r#"{"ok":true,"team":{"id":"T1"},"authed_user":{"access_token":"xoxp","scope":"a,b","refresh_token":"r2","expires_in":9}}"#,
        );
        assert_eq!(value["access_token"], "xoxp");
        assert_eq!(value["refresh_token"], "r2");
        assert_eq!(value["expires_in"], 9);
        assert_eq!(value[KEPT]["team_id"], "T1");
    }

    #[test]
    fn a_dead_grant_is_told_from_a_wrong_client() {
        let rule = TokenResponse { permanent: vec!["E1007".into()], ..TokenResponse::default() };
        for code in ["invalid_grant", "INVALID_GRANT", "token_revoked", "e1007"] {
            assert!(is_over(&rule, code), "{code}");
        }
        for code in ["invalid_client", "unauthorized_client", "invalid_scope", "http_403", ""] {
            assert!(!is_over(&rule, code), "{code}");
        }
    }

    #[test]
    fn overload_is_not_a_refusal() {
        let rule = TokenResponse::default();
        for (status, body) in
            [(503, ""), (429, r#"{"error":"x"}"#), (400, r#"{"error":"temporarily_unavailable"}"#)]
        {
            assert!(matches!(read(&rule, status, body.as_bytes()), Answer::Unavailable(_)));
        }
        assert!(matches!(read(&rule, 200, b"<html>"), Answer::Unusable(_)));
        assert!(matches!(read(&rule, 200, b"{}"), Answer::Unusable(_)));
        assert!(matches!(read(&rule, 200, b"[1]"), Answer::Unusable(_)));
    }
}
