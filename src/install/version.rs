//! Names of versions: the day, and a number within it (`20260131_00`).

use chrono::{Days, NaiveDate};

use crate::domain::time::now;

/// Today's first version.
pub(super) fn today() -> String {
    format!("{}_00", now().format("%Y%m%d"))
}

/// The version after another one: today's first, or the next of the same day.
pub(super) fn next(before: Option<&str>) -> String {
    after(before, today())
}

fn after(before: Option<&str>, today: String) -> String {
    let Some(before) = before.filter(|before| *before >= today.as_str()) else { return today };
    let (day, number) = before.split_once('_').unwrap_or((before, "0"));
    match number.parse::<u32>().unwrap_or(0) + 1 {
        number @ ..100 => format!("{day}_{number:02}"),
        // A day has no more: the next one begins.
        _ => {
            let day = NaiveDate::parse_from_str(day, "%Y%m%d").unwrap_or_default();
            format!("{}_00", (day + Days::new(1)).format("%Y%m%d"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_go_up_also_when_many_are_made_on_one_day() {
        let after = |before| after(before, "20260131_00".to_owned());
        assert_eq!(after(None), "20260131_00");
        assert_eq!(after(Some("20251231_07")), "20260131_00");
        assert_eq!(after(Some("20260131_00")), "20260131_01");
        assert_eq!(after(Some("20260131_99")), "20260201_00");
        assert_eq!(after(Some("20260201_00")), "20260201_01");
    }
}
