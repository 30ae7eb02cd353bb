//! Filters and tests of our own.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use chrono::{DateTime, Duration, NaiveDate, NaiveDateTime, SecondsFormat};
use minijinja::value::{Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind};
use sha2::{Digest, Sha256};
use url::Url;

use super::{mime, template};
use crate::domain::id::random_text;
use crate::domain::time::{iso, now};

/// Registers them.
pub(super) fn add(env: &mut Environment<'static>) {
    env.add_filter("base64", |value: &Value| bytes(value).map(|b| STANDARD.encode(b)));
    env.add_filter("base64url", |value: &Value| bytes(value).map(|b| URL_SAFE.encode(b)));
    env.add_filter("from_base64url", from_base64url);
    env.add_filter("from_json", from_json);
    env.add_filter("mime", mime_message);
    env.add_filter("csv", csv);
    env.add_filter("compact", compact);
    env.add_filter("objects", objects);
    env.add_filter("isoformat", isoformat);
    env.add_filter("plus_minutes", plus_minutes);
    env.add_filter("named", named);
    env.add_filter("tree", tree);
    env.add_filter("reshape", reshape);
    env.add_filter("numbered", numbered);
    env.add_filter("sha256", sha256);
    env.add_filter("url_param", url_param);
    env.add_function("now", || iso(now()));
    env.add_function("unique", || random_text(32));
    env.add_test("none", |value: &Value| is_none(value));
}

fn wrong(detail: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidOperation, detail)
}

fn is_none(value: &Value) -> bool {
    value.is_none() || value.is_undefined()
}

fn bytes(value: &Value) -> Result<Vec<u8>, Error> {
    if let Some(raw) = value.as_bytes() {
        return Ok(raw.to_vec());
    }
    match value.kind() {
        ValueKind::None | ValueKind::Undefined => Ok(Vec::new()),
        ValueKind::Number | ValueKind::Bool => Ok(value.to_string().into_bytes()),
        _ => Err(wrong("only text can be encoded")),
    }
}

/// Text of base64 in either alphabet, padded or not.
fn from_base64url(text: &str) -> Result<String, Error> {
    let plain: String = text
        .chars()
        .filter(|c| !c.is_whitespace() && *c != '=')
        .map(|c| match c {
            '+' => '-',
            '/' => '_',
            other => other,
        })
        .collect();
    let decoded = URL_SAFE_NO_PAD.decode(plain).map_err(|_| wrong("not base64"))?;
    Ok(String::from_utf8_lossy(&decoded).into_owned())
}

/// The value that a JSON text holds; what is no text stays as it is.
fn from_json(value: &Value) -> Result<Value, Error> {
    let Some(text) = value.as_str() else { return Ok(value.clone()) };
    // The text may be a secret, and the parser's message may quote it.
    let parsed: serde_json::Value = serde_json::from_str(text).map_err(|_| wrong("not JSON"))?;
    Ok(Value::from(minijinja::value::Serde(&parsed)))
}

fn mime_message(value: &Value) -> Result<String, Error> {
    let fields = template::to_json(value).map_err(wrong)?;
    mime::message(&fields).map_err(wrong)
}

/// The items joined by commas; text stays as it is.
fn csv(value: &Value) -> Result<Value, Error> {
    match value.kind() {
        ValueKind::None | ValueKind::Undefined => Ok(().into()),
        ValueKind::String => Ok(value.clone()),
        _ => {
            let items: Vec<String> =
                value.try_iter()?.filter(|v| !is_none(v)).map(|v| v.to_string()).collect();
            Ok(items.join(",").into())
        }
    }
}

/// Without the none values of an object or a list, one level deep.
fn compact(value: &Value) -> Result<Value, Error> {
    match value.kind() {
        ValueKind::Map => {
            let mut kept = Vec::new();
            for key in value.try_iter()? {
                let item = value.get_item(&key)?;
                if !is_none(&item) {
                    kept.push((key, item));
                }
            }
            Ok(Value::from_pairs(kept))
        }
        ValueKind::None | ValueKind::Undefined => Ok(().into()),
        _ => Ok(value.try_iter()?.filter(|item| !is_none(item)).collect::<Vec<_>>().into()),
    }
}

/// A list of values as a list of objects with one key: `['a'] | objects('email')`.
fn objects(value: &Value, key: &str) -> Result<Value, Error> {
    if is_none(value) {
        return Ok(().into());
    }
    let list: Vec<Value> =
        value.try_iter()?.map(|item| Value::from_pairs([(key.to_owned(), item)])).collect();
    Ok(list.into())
}

/// The value of the first item `{name, value}` with this name, in any case: a header in a list.
fn named(value: &Value, name: &str) -> Result<Value, Error> {
    if is_none(value) {
        return Ok(().into());
    }
    for item in value.try_iter()? {
        let own = item.get_attr("name")?;
        if own.as_str().is_some_and(|own| own.eq_ignore_ascii_case(name)) {
            return item.get_attr("value");
        }
    }
    Ok(().into())
}

/// An object and what hangs below it by one key, depth first: the parts of a mail.
fn tree(value: &Value, key: &str) -> Result<Value, Error> {
    const MOST: usize = 10_000;
    let mut all: Vec<Value> = Vec::new();
    let mut next: Vec<Value> = if is_none(value) { Vec::new() } else { Vec::from([value.clone()]) };
    while let Some(one) = next.pop() {
        let below = one.get_attr(key)?;
        if below.kind() == ValueKind::Seq {
            let at = next.len();
            next.extend(below.try_iter()?);
            if let Some(new) = next.get_mut(at..) {
                new.reverse();
            }
        }
        all.push(one);
        if all.len() + next.len() > MOST {
            return Err(wrong("too many parts"));
        }
    }
    Ok(all.into())
}

/// A list of objects as a list of objects with other keys, whose values are found by dotted paths.
fn reshape(value: &Value, keys: &Value) -> Result<Value, Error> {
    if is_none(value) {
        return Ok(Vec::<Value>::new().into());
    }
    let mut list = Vec::new();
    for item in value.try_iter()? {
        let mut object = Vec::new();
        for key in keys.try_iter()? {
            let path = keys.get_item(&key)?;
            let path = path.as_str().ok_or_else(|| wrong("a path must be text"))?;
            let mut found = item.clone();
            for name in path.split('.') {
                found = if is_none(&found) { ().into() } else { found.get_attr(name)? };
            }
            object.push((key, if found.is_undefined() { ().into() } else { found }));
        }
        list.push(Value::from_pairs(object));
    }
    Ok(list.into())
}

/// A list as a list of `{number, value}`, counted from `first`.
fn numbered(value: &Value, first: i64) -> Result<Value, Error> {
    if is_none(value) {
        return Ok(Vec::<Value>::new().into());
    }
    let list: Vec<Value> = (first..)
        .zip(value.try_iter()?)
        .map(|(number, value)| {
            Value::from_pairs([("number", Value::from(number)), ("value", value)])
        })
        .collect();
    Ok(list.into())
}

/// The SHA-256 of a text, or of the JSON of anything else, in hexadecimal.
fn sha256(value: &Value) -> Result<String, Error> {
    let text = match value.as_str() {
        Some(text) => text.to_owned(),
        None => template::to_json(value).map_err(wrong)?.to_string(),
    };
    Ok(hex::encode(Sha256::digest(text.as_bytes())))
}

/// A parameter of a URL's query: some providers give the next page as a whole URL.
fn url_param(value: &Value, name: &str) -> Result<Value, Error> {
    let Some(text) = value.as_str() else { return Ok(().into()) };
    let url = Url::parse(text).map_err(|_| wrong("not a URL"))?;
    let found = url.query_pairs().find(|(key, _)| key == name);
    Ok(found.map_or(().into(), |(_, value)| value.into_owned().into()))
}

/// A moment as it was written.
enum Moment {
    /// With an offset; whether it was `Z`.
    Fixed(DateTime<chrono::FixedOffset>, bool),
    /// Without an offset.
    Local(NaiveDateTime),
}

fn moment(text: &str) -> Result<Moment, Error> {
    let text = text.trim();
    let text = if text.as_bytes().get(10) == Some(&b' ') {
        text.replacen(' ', "T", 1)
    } else {
        text.to_owned()
    };
    let zulu = text.ends_with('Z') || text.ends_with('z');
    for format in ["%Y-%m-%dT%H:%M:%S%.f%:z", "%Y-%m-%dT%H:%M%:z", "%Y-%m-%dT%H:%M:%S%.f%z"] {
        let spelled =
            if zulu { format!("{}+00:00", &text[..text.len() - 1]) } else { text.clone() };
        if let Ok(at) = DateTime::parse_from_str(&spelled, format) {
            return Ok(Moment::Fixed(at, zulu));
        }
    }
    for format in ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M"] {
        if let Ok(at) = NaiveDateTime::parse_from_str(&text, format) {
            return Ok(Moment::Local(at));
        }
    }
    NaiveDate::parse_from_str(&text, "%Y-%m-%d")
        .ok()
        .and_then(|day| day.and_hms_opt(0, 0, 0))
        .map(Moment::Local)
        .ok_or_else(|| wrong(format!("`{text}` is not a date-time such as 2026-01-31T09:00:00Z")))
}

fn written(moment: &Moment) -> String {
    match moment {
        Moment::Fixed(at, zulu) => at.to_rfc3339_opts(SecondsFormat::AutoSi, *zulu),
        Moment::Local(at) => at.format("%Y-%m-%dT%H:%M:%S%.f").to_string(),
    }
}

/// RFC 3339 with an offset; Unix seconds and times without an offset count as UTC.
fn isoformat(value: &Value) -> Result<Value, Error> {
    if is_none(value) {
        return Ok(().into());
    }
    if let Ok(seconds) = i64::try_from(value.clone()) {
        let at = DateTime::from_timestamp(seconds, 0).ok_or_else(|| wrong("not a time"))?;
        return Ok(at.to_rfc3339_opts(SecondsFormat::AutoSi, true).into());
    }
    let at = match moment(&value.to_string())? {
        Moment::Local(at) => Moment::Fixed(at.and_utc().fixed_offset(), true),
        fixed => fixed,
    };
    Ok(written(&at).into())
}

/// The date-time some minutes later, written in the same manner.
fn plus_minutes(text: &str, minutes: f64) -> Result<String, Error> {
    let far = || wrong("that is too far in time");
    if !minutes.is_finite() || minutes.abs() > 1e9 {
        return Err(far());
    }
    #[expect(clippy::cast_possible_truncation, reason = "bounded above")]
    let delta = Duration::seconds((minutes * 60.0).round() as i64);
    let later = match moment(text)? {
        Moment::Fixed(at, zulu) => {
            Moment::Fixed(at.checked_add_signed(delta).ok_or_else(far)?, zulu)
        }
        Moment::Local(at) => Moment::Local(at.checked_add_signed(delta).ok_or_else(far)?),
    };
    Ok(written(&later))
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::super::template::{Expr, Names, Text};

    fn eval(expression: &str) -> Result<Value, String> {
        let conn = Map::from_iter([("x".to_owned(), json!({"a": 1, "n": null}))]);
        Expr::compile(expression)?.value(&Names::of_conn(&conn))
    }

    #[test]
    fn filters_give_what_the_format_says() {
        for (expression, expected) in [
            ("'a?>' | base64", json!("YT8+")),
            ("'a?>' | base64url", json!("YT8-")),
            ("'YT8-' | from_base64url", json!("a?>")),
            ("'w6Q' | from_base64url", json!("ä")),
            ("['a', none, 3] | csv", json!("a,3")),
            ("none | csv", json!(null)),
            ("['a', none, conn.y] | compact", json!(["a"])),
            ("conn.x | compact", json!({"a": 1})),
            ("['a', 'b'] | objects('email')", json!([{"email": "a"}, {"email": "b"}])),
            ("0 | isoformat", json!("1970-01-01T00:00:00Z")),
            ("'2026-01-31' | isoformat", json!("2026-01-31T00:00:00Z")),
            ("'2026-01-31T09:00:00+02:00' | isoformat", json!("2026-01-31T09:00:00+02:00")),
            ("'2026-01-31T23:30:00Z' | plus_minutes(45)", json!("2026-02-01T00:15:00Z")),
            ("'2026-01-31T23:30:00' | plus_minutes(45)", json!("2026-02-01T00:15:00")),
            ("'2026-01-31T23:30' | plus_minutes(-30)", json!("2026-01-31T23:00:00")),
            ("'2026-01-31T23:30:00-05:00' | plus_minutes(0.5)", json!("2026-01-31T23:30:30-05:00")),
            ("conn.nothing is none", json!(true)),
            ("conn.nothing.deeper.still or 'x'", json!("x")),
            ("(conn.nothing or {}).y", json!(null)),
            ("dict(conn.x, **{'b': 2})", json!({"a": 1, "n": null, "b": 2})),
            ("{'b': 2} | chain({'c': 3})", json!({"b": 2, "c": 3})),
            ("2 ** 40", json!(1_099_511_627_776_i64)),
            ("[{'name': 'FROM', 'value': 'a'}] | named('From')", json!("a")),
            ("[{'name': 'To', 'value': 'a'}] | named('From')", json!(null)),
            ("none | named('From')", json!(null)),
            (
                "{'n': 1, 'p': [{'n': 2, 'p': [{'n': 3}]}, {'n': 4}]} | tree('p') | map(attribute='n') | list",
                json!([1, 2, 3, 4]),
            ),
            ("none | tree('p')", json!([])),
            (
                "'' | sha256",
                json!("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            ),
            ("{'a': 1} | sha256 == '{\"a\":1}' | sha256", json!(true)),
            ("'https://a.example/x?p=1&token=a%3Db' | url_param('token')", json!("a=b")),
            ("none | url_param('token')", json!(null)),
            ("unique() != unique() and unique() | length == 32", json!(true)),
            ("now() < now() | plus_minutes(1)", json!(true)),
            (
                "[conn.x, none] | reshape({'b': 'a', 'c': 'y.z'})",
                json!([{"b": 1, "c": null}, {"b": null, "c": null}]),
            ),
            ("none | reshape({'b': 'a'})", json!([])),
            (
                "['a', 'b'] | numbered(7)",
                json!([{"number": 7, "value": "a"}, {"number": 8, "value": "b"}]),
            ),
        ] {
            assert_eq!(eval(expression), Ok(expected), "{expression}");
        }
    }

    #[test]
    fn wrong_input_is_an_error_and_no_panic() {
        for expression in [
            "'ä' | plus_minutes(1)",
            "'2026-01-31T23:30:00Z' | plus_minutes(1e300)",
            "'9999-12-31T23:59:59Z' | plus_minutes(999999999999)",
            "'!' | from_base64url",
            "[1] | base64",
            "{'to': 'nobody'} | mime",
            "{'to': 'a@b.example', 'attachments': [{'data': '!'}]} | mime",
            "{'to': 'a@b.example', 'attachments': [{'mime_type': 'a/b\r\nX: y'}]} | mime",
        ] {
            assert!(eval(expression).is_err(), "{expression}");
        }
    }

    #[test]
    fn a_loop_without_end_runs_out_of_fuel() {
        let text = Text::template(
            "{% for a in range(9999) %}{% for b in range(9999) %}{{ a * b }}{% endfor %}{% endfor %}",
        );
        assert!(text.unwrap().text(&Names::of_conn(&Map::new())).is_err());
    }

    #[test]
    fn there_is_no_way_to_another_template_or_file() {
        for source in ["{% include 'x' %}", "{% extends 'x' %}", "{% import 'x' as y %}{{ y }}"] {
            let text = Text::template(source);
            let rendered = text.and_then(|text| text.text(&Names::of_conn(&Map::new())));
            assert!(rendered.is_err(), "{source}");
        }
    }

    #[test]
    fn attachments_make_a_message_of_parts() {
        let message = eval(
            "{'to': ['Ann <ann@example.com>', none], 'subject': 'ä' * 40, 'body': 'x', 'is_html': true,
              'attachments': [{'filename': 'a\"b.txt', 'mime_type': 'text/plain', 'data': 'aGk'}]} | mime",
        )
        .unwrap();
        let message = message.as_str().unwrap();
        assert!(message.contains("multipart/mixed; boundary="), "{message}");
        assert!(message.contains("filename=\"a_b.txt\"") && message.contains("\r\n\r\naGk=\r\n"));
        assert!(message.contains("Content-Type: text/html; charset=utf-8"));
        assert!(message.lines().all(|line| line.len() <= 78), "{message}");
    }
}
