//! When a token is refreshed, and when again after it could not be. Pure: the clock and the dice
//! come from outside.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::domain::connection::{Account, RefreshRecord};

/// How long before its end a token is no longer given to anybody.
const AHEAD: TimeDelta = TimeDelta::seconds(60);

/// How long before its end a worker refreshes a token, unless the definition says otherwise.
const EARLY: TimeDelta = TimeDelta::minutes(10);

/// Longest time that a provider's own wish to be left alone is granted.
const LONGEST_WISH: Duration = Duration::from_secs(3600);

/// How long after a failure the next call may ask again, at most: a provider that recovers is
/// noticed soon, and is not asked by every call.
const PROBE: Duration = Duration::from_secs(60);

/// Longest time between two attempts of the workers at a provider that does not answer.
const LONGEST_OUTAGE: Duration = Duration::from_secs(600);

/// Longest time between two attempts at a provider that refuses.
const LONGEST_REFUSAL: Duration = Duration::from_secs(3600);

/// What a definition says about the times of its tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timing {
    /// How long before its end a token is refreshed.
    pub early: Option<Duration>,
    /// How old it must be.
    pub min_age: Option<Duration>,
}

fn delta(time: Duration) -> TimeDelta {
    TimeDelta::from_std(time).unwrap_or(TimeDelta::MAX)
}

fn part(time: TimeDelta, share: f64) -> TimeDelta {
    TimeDelta::milliseconds((time.num_milliseconds() as f64 * share) as i64)
}

/// When a worker takes up a token that was obtained `now` and ends at `end`. `dice` is between 0
/// and 1 and spreads tokens that were obtained together.
pub fn due(
    timing: Timing,
    end: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
    dice: f64,
) -> Option<DateTime<Utc>> {
    let end = end?;
    let lifetime = (end - now).max(TimeDelta::zero());
    let early = match timing.early {
        Some(early) => delta(early).min(part(lifetime, 0.8)),
        None => EARLY.min(part(lifetime, 0.2)),
    };
    let earlier = part(early, 0.5 * dice).min(part(lifetime, 0.1));
    let due = end - early - earlier;
    Some(match timing.min_age {
        Some(age) => due.max(now + delta(age).min(lifetime)),
        None => due,
    })
}

/// Whether a token is about to end. One that never lives long is given out for most of its life.
pub fn ends_soon(account: &Account, now: DateTime<Utc>) -> bool {
    let Some(end) = account.token_expires_at else { return false };
    if end > now + AHEAD {
        return false;
    }
    let lifetime = account.refresh.refreshed_at.map_or(TimeDelta::MAX, |from| end - from);
    end <= now + AHEAD.min(part(lifetime.min(TimeDelta::days(1)), 0.2))
}

/// Why an attempt brought no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The provider did not answer, or not with yes or no.
    Outage {
        /// How long it wants to be left alone.
        wish: Option<Duration>,
    },
    /// It said no.
    Refusal,
}

/// How long to wait after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// Nobody asks the provider for this long.
    pub after: Duration,
    /// The workers do not for this long.
    pub due: Duration,
}

/// How long to wait after one more failure over those in `record`.
pub fn wait(record: &RefreshRecord, failure: Failure, dice: f64) -> Wait {
    let doubled = |first: u64, times: i32, longest: Duration| {
        let times = u32::try_from(times.clamp(0, 16)).unwrap_or(0);
        Duration::from_secs(first << times).min(longest).mul_f64(0.75 + 0.5 * dice)
    };
    match failure {
        Failure::Outage { wish } => {
            let due = doubled(5, record.failures, LONGEST_OUTAGE);
            let wish = wish.map(|w| w.clamp(Duration::from_secs(1), LONGEST_WISH));
            Wait { after: wish.unwrap_or(due.min(PROBE)), due: wish.map_or(due, |w| w.max(due)) }
        }
        Failure::Refusal => {
            let due = doubled(60, record.refusals, LONGEST_REFUSAL);
            Wait { after: due, due }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn due_after(timing: Timing, lifetime: i64, dice: f64) -> i64 {
        let now = at("2026-01-01T00:00:00Z");
        let end = now + TimeDelta::seconds(lifetime);
        (due(timing, Some(end), now, dice).unwrap() - now).num_seconds()
    }

    #[test]
    fn a_token_is_taken_up_well_before_its_end_and_not_with_all_others() {
        let plain = Timing::default();
        assert_eq!(due_after(plain, 3600, 0.0), 3000);
        assert_eq!(due_after(plain, 3600, 1.0), 2700);
        assert_eq!(due_after(plain, 60, 0.0), 48);
        assert_eq!(due_after(plain, 60, 1.0), 42);
        assert_eq!(due_after(plain, 86_400, 0.0), 85_800);
        assert_eq!(due_after(plain, 0, 0.5), 0);
        assert_eq!(due_after(plain, -5, 0.5), -5);
        assert_eq!(due(plain, None, at("2026-01-01T00:00:00Z"), 0.5), None);
    }

    #[test]
    fn a_definition_says_how_early_and_how_old() {
        let early = Timing { early: Some(Duration::from_secs(1800)), min_age: None };
        assert_eq!(due_after(early, 3600, 0.0), 1800);
        assert_eq!(due_after(early, 600, 0.0), 120, "not as soon as it is there");
        let old = Timing { early: None, min_age: Some(Duration::from_secs(86_400)) };
        assert_eq!(due_after(old, 5_184_000, 0.0), 5_183_400);
        assert_eq!(due_after(old, 90_000, 1.0), 89_100);
        let young = Timing { early: Some(Duration::from_secs(3000)), ..old };
        assert_eq!(due_after(young, 86_600, 1.0), 86_400);
        assert_eq!(due_after(young, 60, 0.0), 60, "never after its end");
    }

    #[test]
    fn outages_are_probed_and_refusals_are_not() {
        let mut record = RefreshRecord::default();
        let wait_of = |record: &RefreshRecord, failure| wait(record, failure, 0.5);
        let outage = Failure::Outage { wish: None };
        assert_eq!(wait_of(&record, outage).after, Duration::from_secs(5));
        record.failures = 5;
        let late = wait_of(&record, outage);
        assert_eq!((late.after.as_secs(), late.due.as_secs()), (60, 160));
        record.failures = i32::MAX;
        assert_eq!(wait_of(&record, outage).due, LONGEST_OUTAGE);
        assert_eq!(wait_of(&record, Failure::Refusal).after, Duration::from_secs(60));
        record.refusals = 11;
        let hour = wait_of(&record, Failure::Refusal);
        assert_eq!((hour.after, hour.due), (LONGEST_REFUSAL, LONGEST_REFUSAL));
        assert!(wait(&record, Failure::Refusal, 1.0).due > hour.due);
    }

    #[test]
    fn a_wish_of_the_provider_is_granted_within_reason() {
        let record = RefreshRecord::default();
        for (wish, granted) in [(0, 1), (30, 30), (86_400, 3600)] {
            let wish = Some(Duration::from_secs(wish));
            let wait = wait(&record, Failure::Outage { wish }, 0.5);
            assert_eq!(wait.after, Duration::from_secs(granted));
            assert!(wait.due >= wait.after);
        }
    }

    #[test]
    fn refusals_take_hours_to_end_an_account() {
        let mut record = RefreshRecord::default();
        let mut all = Duration::ZERO;
        for refusals in 0..11 {
            record.refusals = refusals;
            all += wait(&record, Failure::Refusal, 0.0).due;
        }
        assert!(all > Duration::from_secs(4 * 3600), "{all:?}");
    }
}
