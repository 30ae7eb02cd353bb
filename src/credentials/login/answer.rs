//! Answers to the requests of a login.

use chrono::DateTime;
use serde_json::{Map, Value};

use crate::catalog::StepRule;
use crate::domain::outbound::OutboundResponse;
use crate::domain::time::now;

/// What an answer means.
#[derive(Debug, PartialEq)]
pub(super) enum Read {
    /// Go on with this.
    Good(Value),
    /// The credentials are wrong.
    Refused(String),
    /// Nobody can know yet.
    Unavailable(String),
}

/// Reads the answer of a step.
pub(super) fn read(rule: &StepRule, response: &OutboundResponse) -> Read {
    let status = response.status;
    if status == 408 || status == 425 || status == 429 || status >= 500 {
        return Read::Unavailable(format!("the provider answered HTTP {status}"));
    }
    if (300..400).contains(&status) {
        return Read::Unavailable(format!("the provider answered with a redirect (HTTP {status})"));
    }
    let value = value(response);
    let said = rule.error.iter().find_map(|at| match value.pointer(at)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    });
    let empty = |value: &Value| match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Number(_) => false,
    };
    let failed = status >= 400
        || rule.ok.as_ref().is_some_and(|at| value.pointer(at).is_none_or(empty))
        || rule.fail_if.as_ref().is_some_and(|at| value.pointer(at).is_some_and(|v| !empty(v)));
    if failed {
        return Read::Refused(
            said.unwrap_or_else(|| format!("the provider answered HTTP {status}")),
        );
    }
    Read::Good(value)
}

fn value(response: &OutboundResponse) -> Value {
    if let Ok(value) = serde_json::from_slice(&response.body) {
        return value;
    }
    let kind = response.headers.get("content-type").and_then(|v| v.to_str().ok());
    if kind.is_some_and(|k| k.starts_with("application/x-www-form-urlencoded")) {
        let pairs = url::form_urlencoded::parse(&response.body).into_owned();
        return Value::Object(pairs.map(|(k, v)| (k, Value::from(v))).collect());
    }
    let text = String::from_utf8_lossy(&response.body).into_owned();
    Value::Object(Map::from_iter([("text".to_owned(), text.into())]))
}

/// Headers of an answer by their names in lower case.
pub(super) fn headers(response: &OutboundResponse) -> Value {
    let mut all = Map::new();
    for (name, value) in &response.headers {
        if let Ok(value) = value.to_str() {
            all.entry(name.as_str()).or_insert_with(|| value.into());
        }
    }
    Value::Object(all)
}

/// Seconds that a token lives.
pub(super) fn lifetime(expires_in: Option<&Value>, expires_at: Option<&Value>) -> Option<i64> {
    /// Unix seconds do not reach this for three thousand years; milliseconds have long passed it.
    const MILLISECONDS: f64 = 1e11;
    let number = |value: &Value| match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let good = |seconds: &f64| seconds.is_finite() && *seconds > 0.0 && *seconds < 1e10;
    if let Some(seconds) = expires_in.and_then(number).filter(good) {
        return Some(seconds as i64);
    }
    let at = expires_at?;
    let end = match number(at) {
        Some(at) if at >= MILLISECONDS => at / 1000.0,
        Some(at) => at,
        None => DateTime::parse_from_rfc3339(at.as_str()?.trim()).ok()?.timestamp() as f64,
    };
    let left = end - now().timestamp() as f64;
    Some(left).filter(good).map(|left| left as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderMap;
    use serde_json::json;

    fn answer(status: u16, body: &str) -> OutboundResponse {
        OutboundResponse { status, headers: HeaderMap::new(), body: body.to_owned().into() }
    }

    #[test]
    fn who_is_at_fault_is_told_apart() {
        let rule = StepRule {
            ok: Some("/ok".into()),
            fail_if: Some("/errors".into()),
            error: vec!["/0/message".into(), "/message".into()],
        };
        assert_eq!(read(&rule, &answer(200, r#"{"ok": true}"#)), Read::Good(json!({"ok": true})));
        for (status, body, why) in [
            (401, r#"{"message": "wrong password"}"#, "wrong password"),
            (400, r#"[{"message": "no such user"}]"#, "no such user"),
            (403, "<html>", "the provider answered HTTP 403"),
            (200, r#"{"ok": false, "message": "no"}"#, "no"),
            (200, r#"{"ok": true, "errors": ["x"]}"#, "the provider answered HTTP 200"),
        ] {
            assert_eq!(read(&rule, &answer(status, body)), Read::Refused(why.into()));
        }
        for status in [302, 408, 429, 500, 503] {
            assert!(matches!(read(&rule, &answer(status, "{}")), Read::Unavailable(_)), "{status}");
        }
    }

    #[test]
    fn lifetimes_come_in_every_form() {
        let now = now().timestamp();
        assert_eq!(lifetime(Some(&json!(60)), None), Some(60));
        assert_eq!(lifetime(Some(&json!("60.5")), None), Some(60));
        for at in [json!(now + 90), json!((now + 90) * 1000), json!((now + 90).to_string())] {
            let left = lifetime(None, Some(&at)).unwrap();
            assert!((85..=90).contains(&left), "{at}");
        }
        let at = json!(crate::domain::time::iso(
            crate::domain::time::now() + chrono::TimeDelta::hours(1)
        ));
        assert!((3590..=3600).contains(&lifetime(Some(&json!(null)), Some(&at)).unwrap()));
        for wrong in [json!("soon"), json!(null), json!([]), json!("NaN")] {
            assert_eq!(lifetime(Some(&wrong), Some(&wrong)), None, "{wrong}");
        }
        assert_eq!(lifetime(None, Some(&json!(now - 5))), None, "over already");
    }
}
