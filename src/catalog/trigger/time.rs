//! Moments as providers write them.

use chrono::{DateTime, NaiveDateTime, Utc};
use serde_json::Value;

/// A moment: seconds, milliseconds or microseconds since 1970 (as a number or as text), or
/// ISO 8601; without an offset it is UTC.
pub fn moment(value: &Value) -> Option<DateTime<Utc>> {
    match value {
        Value::Number(number) => since_1970(number.as_f64()?),
        Value::String(text) => {
            let text = text.trim();
            if let Ok(number) = text.parse::<f64>() {
                return since_1970(number);
            }
            if let Ok(at) = DateTime::parse_from_rfc3339(text) {
                return Some(at.to_utc());
            }
            for format in ["%Y-%m-%dT%H:%M:%S%.f%z", "%Y-%m-%d %H:%M:%S%.f%z"] {
                if let Ok(at) = DateTime::parse_from_str(text, format) {
                    return Some(at.to_utc());
                }
            }
            ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"]
                .iter()
                .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
                .map(|at| at.and_utc())
        }
        _ => None,
    }
}

/// The unit follows from the size: seconds reach the year 5138, milliseconds begin in 1973.
fn since_1970(number: f64) -> Option<DateTime<Utc>> {
    if !number.is_finite() || number < 0.0 {
        return None;
    }
    let micros = match number {
        n if n < 1e11 => n * 1e6,
        n if n < 1e14 => n * 1e3,
        n => n,
    };
    #[expect(clippy::cast_possible_truncation, reason = "out of range becomes none below")]
    DateTime::from_timestamp_micros(micros.round() as i64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::moment;

    #[test]
    fn every_way_to_write_a_moment_is_understood() {
        for value in [
            json!(1_700_000_000),
            json!("1700000000"),
            json!("1700000000.000"),
            json!(1_700_000_000_000_i64),
            json!("1700000000000"),
            json!(1_700_000_000_000_000_i64),
            json!("2023-11-14T22:13:20Z"),
            json!("2023-11-14T22:13:20"),
            json!("2023-11-14T23:13:20.000+0100"),
            json!("2023-11-14T23:13:20+01:00"),
        ] {
            assert_eq!(moment(&value).map(|at| at.timestamp()), Some(1_700_000_000), "{value}");
        }
        for value in [json!(null), json!("soon"), json!(-5), json!("NaN"), json!(1e300)] {
            assert_eq!(moment(&value), None, "{value}");
        }
    }
}
