//! When a provider is asked again. Pure: the dice come from outside.

use std::time::Duration;

/// The first pause after a failure; each further one is twice as long.
const FIRST: u64 = 2;

/// The longest one, also when the provider wishes for more.
const LONGEST: Duration = Duration::from_secs(3600);

/// Attempts in a row after which a registration that cannot be renewed is given up, and the
/// instance disabled: after about two hours.
pub(super) const RENEWALS: i32 = 13;

/// As many attempts count for an account that cannot be used now: about two minutes between two.
pub(super) const WAITING: i32 = 7;

/// Attempts after which a registration that was interrupted is given up.
pub(super) const REGISTRATIONS: i32 = 5;

/// Attempts after which the provider is no longer told to stop: after about a day.
pub(super) const REMOVALS: i32 = 34;

/// How long to wait after so many attempts in a row. `dice` is between 0 and 1.
pub(super) fn wait(attempts: i32, wish: Option<Duration>, dice: f64) -> Duration {
    let doublings = u32::try_from((attempts - 1).clamp(0, 12)).unwrap_or(0);
    let usual = Duration::from_secs(FIRST << doublings).min(LONGEST).mul_f64(0.75 + 0.5 * dice);
    usual.max(wish.unwrap_or_default().min(LONGEST))
}

/// When a registration that ends after `left` is renewed: in its last fifth, at least a minute and
/// at most a day before its end, and not all at once.
pub(super) fn renewal(left: Duration, dice: f64) -> Duration {
    let before = (left / 5).clamp(Duration::from_secs(60), Duration::from_secs(86_400));
    left.saturating_sub(before.mul_f64(1.0 + 0.5 * dice)).max(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registrations_are_renewed_before_their_end_and_not_all_at_once() {
        let hours = |n: u64| Duration::from_secs(n * 3600);
        for left in [hours(1), hours(24), hours(24 * 7), hours(24 * 365)] {
            let (early, late) = (renewal(left, 1.0), renewal(left, 0.0));
            assert!(early < late && late <= left - Duration::from_secs(60), "{left:?}");
            assert!(early >= left.mul_f64(0.65), "{left:?} {early:?}");
        }
        assert_eq!(renewal(Duration::from_secs(30), 0.5), Duration::from_secs(1));
    }

    #[test]
    fn pauses_double_and_the_wish_of_the_provider_is_granted() {
        let secs = |attempts, wish: Option<u64>| {
            wait(attempts, wish.map(Duration::from_secs), 0.5).as_secs()
        };
        assert_eq!([1, 2, 3, 20].map(|n| secs(n, None)), [2, 4, 8, 3600]);
        assert_eq!(secs(1, Some(90)), 90);
        let hours = |attempts: i32| (1..attempts).map(|n| secs(n, None)).sum::<u64>() / 3600;
        assert!((1..4).contains(&hours(RENEWALS)), "{}", hours(RENEWALS));
        assert!((20..30).contains(&hours(REMOVALS)), "{}", hours(REMOVALS));
    }
}
