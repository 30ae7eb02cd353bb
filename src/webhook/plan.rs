//! When a delivery that failed is tried again. Pure: the dice come from outside.

use std::time::Duration;

/// The longest wait that a receiver can wish for with `Retry-After`.
const LONGEST_WISH: Duration = Duration::from_secs(10 * 3600);

/// How long to wait after so many attempts that failed before this one; none: it was the last.
/// `dice` is between 0 and 1 and spreads what failed together by a tenth to both sides.
pub fn wait(
    schedule: &[Duration],
    before: i32,
    wish: Option<Duration>,
    dice: f64,
) -> Option<Duration> {
    let usual = schedule.get(usize::try_from(before).unwrap_or(0))?.mul_f64(0.9 + 0.2 * dice);
    Some(usual.max(wish.unwrap_or_default().min(LONGEST_WISH)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_follow_the_schedule_and_end_with_it() {
        let schedule = [5, 300, 1800].map(Duration::from_secs);
        let secs = |before, wish: Option<u64>, dice| {
            wait(&schedule, before, wish.map(Duration::from_secs), dice).map(|w| w.as_secs_f64())
        };
        assert_eq!(
            [0, 1, 2, 3].map(|n| secs(n, None, 0.5)),
            [Some(5.0), Some(300.0), Some(1800.0), None]
        );
        assert_eq!((secs(0, None, 0.0), secs(0, None, 1.0)), (Some(4.5), Some(5.5)));
        assert_eq!((secs(0, Some(60), 0.5), secs(1, Some(60), 0.5)), (Some(60.0), Some(300.0)));
        assert_eq!(secs(0, Some(u64::MAX), 0.5), Some(36_000.0));
        assert_eq!(secs(3, Some(60), 0.5), None);
    }
}
