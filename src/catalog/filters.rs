//! Filters and tests of our own.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use chrono::{DateTime, Duration, NaiveDate, NaiveDateTime, SecondsFormat};
use minijinja::value::{Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind};

use super::{mime, template};

/// Registers them.
pub(super) fn add(env: &mut Environment<'static>) {
    env.add_filter("base64", |value: &Value| bytes(value).map(|b| STANDARD.encode(b)));
    env.add_filter("base64url", |value: &Value| bytes(value).map(|b| URL_SAFE.encode(b)));
    env.add_filter("from_base64url", from_base64url);
    env.add_filter("mime", mime_message);
    env.add_filter("csv", csv);
    env.add_filter("compact", compact);
    env.add_filter("objects", objects);
    env.add_filter("isoformat", isoformat);
    env.add_filter("plus_minutes", plus_minutes);
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
