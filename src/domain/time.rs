//! The clock, and the API's way of writing a time.

use chrono::{DateTime, SecondsFormat, Utc};

/// The present moment. The only place that asks the system's clock.
#[expect(clippy::disallowed_methods, reason = "the one place")]
pub fn now() -> DateTime<Utc> {
    Utc::now()
}

/// ISO 8601 in UTC with milliseconds and `Z`, as the API writes every time.
pub fn iso(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}
