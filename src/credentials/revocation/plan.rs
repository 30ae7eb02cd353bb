//! When a provider that was not told is told again. Pure: the dice come from outside.

use std::time::Duration;

/// The first pause; each further one is twice as long.
const FIRST: u64 = 2;

/// The longest one, also when the provider wishes for more.
const LONGEST: Duration = Duration::from_secs(3600);

/// How long to wait after so many attempts that told nothing. `dice` is between 0 and 1 and
/// spreads orders that were given together.
pub fn wait(attempts: i32, wish: Option<Duration>, dice: f64) -> Duration {
    let doublings = u32::try_from((attempts - 1).clamp(0, 12)).unwrap_or(0);
    let usual = Duration::from_secs(FIRST << doublings).min(LONGEST).mul_f64(0.75 + 0.5 * dice);
    usual.max(wish.unwrap_or_default().min(LONGEST))
}

/// Whether there is no further attempt: the next one would come when the order is older than
/// `ttl`.
pub fn is_over(age: Duration, wait: Duration, ttl: Duration) -> bool {
    age + wait > ttl
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_an_hour_and_a_wish_is_granted_within_that() {
        let secs = |attempts, wish: Option<u64>| {
            wait(attempts, wish.map(Duration::from_secs), 0.5).as_secs()
        };
        assert_eq!([1, 2, 3, 4].map(|n| secs(n, None)), [2, 4, 8, 16]);
        assert_eq!(secs(i32::MAX, None), 3600);
        assert_eq!(secs(0, None), 2);
        assert_eq!((secs(1, Some(60)), secs(6, Some(1)), secs(1, Some(86_400))), (60, 64, 3600));
        assert!(wait(5, None, 0.0) < wait(5, None, 1.0));
    }

    #[test]
    fn an_order_is_tried_about_thirty_times_in_a_day() {
        let day = Duration::from_secs(86_400);
        let (mut age, mut attempts) = (Duration::ZERO, 1);
        while !is_over(age, wait(attempts, None, 0.5), day) {
            age += wait(attempts, None, 0.5);
            attempts += 1;
        }
        assert!((30..40).contains(&attempts), "{attempts}");
    }

    #[test]
    fn an_order_that_is_old_already_is_tried_once() {
        let day = Duration::from_secs(86_400);
        assert!(is_over(2 * day, wait(1, None, 0.0), day));
    }
}
