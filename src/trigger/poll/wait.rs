//! When an instance is polled again. Pure: the dice come from outside.

use std::time::Duration;

/// Longest time that a provider's own wish to be left alone is granted.
const LONGEST_WISH: Duration = Duration::from_secs(24 * 3600);

/// A poll that has more to do goes on after this.
const SOON: Duration = Duration::from_millis(500);

/// Why a poll came to nothing, or to less than there was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The account cannot be used now. Nobody is asked to find that out.
    Account,
    /// The provider refused: 401 or 403.
    Refused,
    /// It wants to be left alone: 429 or Retry-After.
    Limited(Option<Duration>),
    /// It did not answer, or not with what was asked for.
    Outage,
}

impl Cause {
    /// Longest time between two attempts.
    fn longest(self) -> Duration {
        Duration::from_secs(match self {
            Self::Account => 300,
            Self::Refused | Self::Limited(_) => 3600,
            Self::Outage => 900,
        })
    }
}

/// After a poll that went well.
pub fn next(interval: Duration, goes_on: bool, dice: f64) -> Duration {
    if goes_on { SOON.mul_f64(0.5 + dice) } else { interval.mul_f64(0.9 + 0.2 * dice) }
}

/// After one more failure over `failures` in a row.
pub fn again(interval: Duration, cause: Cause, failures: i32, dice: f64) -> Duration {
    let times = u32::try_from(failures.clamp(0, 16)).unwrap_or(0);
    let doubled = interval.saturating_mul(1 << times).min(cause.longest()).max(interval);
    let wait = doubled.mul_f64(0.75 + 0.5 * dice);
    match cause {
        // Never earlier than it wants, and those that it told the same are not to come at once.
        Cause::Limited(Some(wish)) => {
            let wish = wish.min(LONGEST_WISH);
            wish.max(interval) + wish.max(interval).mul_f64(0.1 * dice)
        }
        _ => wait,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn polls_are_spread_around_their_interval() {
        assert_eq!(next(MINUTE, false, 0.0), Duration::from_secs(54));
        assert_eq!(next(MINUTE, false, 1.0), Duration::from_secs(66));
        assert!(next(MINUTE, true, 1.0) < Duration::from_secs(1));
    }

    #[test]
    fn failures_are_tried_again_ever_more_rarely_but_never_given_up() {
        let wait = |cause, failures| again(MINUTE, cause, failures, 0.5).as_secs();
        assert_eq!((wait(Cause::Outage, 0), wait(Cause::Outage, 1)), (60, 120));
        assert_eq!(wait(Cause::Outage, i32::MAX), 900);
        assert_eq!(wait(Cause::Refused, 30), 3600);
        assert_eq!(wait(Cause::Account, 30), 300);
        let day = Duration::from_secs(86_400);
        assert_eq!(again(day, Cause::Outage, 3, 0.5), day, "never more often than the interval");
    }

    #[test]
    fn a_wish_of_the_provider_is_granted() {
        let wish = |secs| Cause::Limited(Some(Duration::from_secs(secs)));
        for dice in [0.0, 0.5, 1.0] {
            let granted = again(MINUTE, wish(600), 0, dice);
            assert!(granted >= Duration::from_secs(600) && granted <= Duration::from_secs(660));
            assert!(again(MINUTE, wish(1), 5, dice) >= MINUTE);
            assert!(again(MINUTE, wish(u64::MAX), 0, dice) <= LONGEST_WISH.mul_f64(1.1));
        }
        assert_eq!(again(MINUTE, Cause::Limited(None), 0, 0.5), MINUTE);
    }
}
