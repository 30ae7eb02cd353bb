//! Versions of a toolkit.

use crate::error::{Error, Result, codes};

/// What the API calls "no version in particular".
const UNPINNED: &str = "00000000_00";

/// The version that runs, out of those that the toolkit has, newest first.
pub(super) fn resolve<'a>(
    toolkit: &str,
    versions: &'a [String],
    asked: Option<&str>,
) -> Result<&'a str> {
    let newest = versions.first().map_or(UNPINNED, String::as_str);
    match asked.map(str::trim) {
        None | Some("" | UNPINNED | "latest") => Ok(newest),
        Some(asked) => versions
            .iter()
            .find(|known| *known == asked)
            .map(String::as_str)
            .ok_or_else(|| unknown(toolkit, versions, asked)),
    }
}

fn unknown(toolkit: &str, versions: &[String], asked: &str) -> Error {
    let asked: String = asked.chars().take(40).collect();
    Error::new(
        codes::TOOLKIT_VERSION_NOT_FOUND,
        format!(
            "Toolkit {toolkit} has no version {asked:?}; available: {}",
            versions.join(", ")
        ),
    )
    .fix("Use one of the available versions, or `latest`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unset_and_latest_mean_the_newest_and_an_unknown_pin_names_the_others() {
        let versions = ["20260101_00".to_owned(), "20250909_00".to_owned()];
        for asked in [None, Some(""), Some("00000000_00"), Some("latest"), Some("20260101_00")] {
            assert_eq!(resolve("x", &versions, asked).unwrap(), "20260101_00");
        }
        assert_eq!(resolve("x", &versions, Some("20250909_00")).unwrap(), "20250909_00");
        let error = resolve("x", &versions, Some("20200101_00")).unwrap_err();
        assert_eq!(error.code, codes::TOOLKIT_VERSION_NOT_FOUND);
        assert!(error.message.contains("20250909_00"), "{error}");
    }
}
