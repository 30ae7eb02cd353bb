//! Which version of a toolkit a caller means.

use chrono::{DateTime, NaiveDate, Utc};

use super::Toolkit;
use crate::error::{Error, Result, codes};

/// The version that stands for the server's default.
pub const DEFAULT: &str = "00000000_00";

impl Toolkit {
    /// The newest version.
    pub fn newest_version(&self) -> &str {
        self.file.versions.first().map_or(DEFAULT, String::as_str)
    }

    /// The version asked for: none, `00000000_00` and `latest` mean the newest.
    ///
    /// # Errors
    /// 404 that names the versions that exist.
    pub fn version(&self, asked: Option<&str>) -> Result<&str> {
        match asked {
            None | Some("" | "latest" | DEFAULT) => Ok(self.newest_version()),
            Some(asked) => self
                .file
                .versions
                .iter()
                .find(|known| *known == asked)
                .map(String::as_str)
                .ok_or_else(|| {
                    let what = format!("Version of the toolkit {}", self.file.slug);
                    Error::not_found(codes::TOOLKIT_VERSION_NOT_FOUND, &what, asked).fix(format!(
                        "Available versions: latest, {}",
                        self.file.versions.join(", ")
                    ))
                }),
        }
    }

    /// Day of the oldest version.
    pub fn created_at(&self) -> DateTime<Utc> {
        self.file.versions.last().and_then(|v| day(v)).unwrap_or_default()
    }

    /// Day of the newest version.
    pub fn updated_at(&self) -> DateTime<Utc> {
        self.file.versions.first().and_then(|v| day(v)).unwrap_or_default()
    }
}

/// The day in a version: `20251027_00`.
fn day(version: &str) -> Option<DateTime<Utc>> {
    let date = NaiveDate::parse_from_str(version.get(..8)?, "%Y%m%d").ok()?;
    Some(date.and_hms_opt(0, 0, 0)?.and_utc())
}

#[cfg(test)]
mod tests {
    use super::day;

    #[test]
    fn a_version_names_its_day() {
        assert_eq!(day("20251027_00").unwrap().to_rfc3339(), "2025-10-27T00:00:00+00:00");
        assert_eq!(day("ä"), None);
    }
}
