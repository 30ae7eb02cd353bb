//! How fast one subscription is sent to. Pure: the time comes from outside.
//!
//! A receiver that answers fast gets more requests at a time, up to a limit; one that fails or is
//! slow gets fewer. After some failures in a row it gets one at a time, with growing pauses, until
//! one succeeds: a dead receiver costs next to nothing, and what waits for it keeps its attempts.

use std::time::{Duration, Instant};

/// Requests at a time in the beginning.
const FIRST: f64 = 8.0;
/// Failures in a row after which there is one at a time.
const TRIP: u32 = 8;
/// The first pause; each further failure doubles it.
const PAUSE: Duration = Duration::from_millis(250);
/// The longest one.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Answers up to this are fast, from the other on slow.
const FAST: Duration = Duration::from_secs(1);
const SLOW: Duration = Duration::from_secs(5);
/// What is queued here is to be sent within this time.
const QUEUE_SECONDS: f64 = 10.0;
/// Least and most that is queued here.
const QUEUE: (usize, usize) = (16, 2000);

/// The pace of one subscription.
#[derive(Debug)]
pub struct Pace {
    at_once: f64,
    running: usize,
    failures: u32,
    paused_until: Option<Instant>,
    /// Seconds of an attempt, smoothed.
    takes: f64,
}

impl Default for Pace {
    fn default() -> Self {
        Self { at_once: FIRST, running: 0, failures: 0, paused_until: None, takes: 0.1 }
    }
}

impl Pace {
    fn most(&self) -> usize {
        if self.failures >= TRIP { 1 } else { (self.at_once as usize).max(1) }
    }

    /// Requests under way.
    pub fn running(&self) -> usize {
        self.running
    }

    /// Whether it waits before it tries again.
    pub fn is_paused(&self, now: Instant) -> bool {
        self.paused_until.is_some_and(|until| until > now)
    }

    /// Whether it has failed so often that it waits between attempts.
    pub fn is_tripped(&self) -> bool {
        self.failures >= TRIP
    }

    /// Whether one more may begin.
    pub fn may_begin(&self, now: Instant) -> bool {
        self.running < self.most() && !self.is_paused(now)
    }

    /// One begins.
    pub fn begin(&mut self) {
        self.running += 1;
    }

    /// One ends without having been made.
    pub fn leave(&mut self) {
        self.running -= 1;
    }

    /// One ends.
    pub fn end(&mut self, success: bool, took: Duration, now: Instant, limit: usize) {
        self.running -= 1;
        self.takes = self.takes * 0.8 + took.as_secs_f64() * 0.2;
        let limit = limit as f64;
        if success {
            self.failures = 0;
            self.paused_until = None;
            if took <= FAST {
                self.at_once += 1.0 / self.at_once;
            } else if took >= SLOW {
                self.at_once *= 0.9;
            }
        } else {
            self.failures = self.failures.saturating_add(1);
            self.at_once /= 2.0;
            if self.failures >= TRIP {
                let doublings = (self.failures - TRIP).min(12);
                self.paused_until = Some(now + (PAUSE * (1 << doublings)).min(LONGEST_PAUSE));
            }
        }
        self.at_once = self.at_once.clamp(1.0_f64.min(limit), limit);
    }

    /// How many more may be queued here, besides those that are.
    pub fn room(&self, now: Instant, queued: usize) -> usize {
        if self.is_paused(now) {
            return 0;
        }
        if self.is_tripped() {
            return 1usize.saturating_sub(self.running + queued);
        }
        let in_time = (self.at_once / self.takes.max(0.001) * QUEUE_SECONDS) as usize;
        in_time.clamp(QUEUE.0, QUEUE.1).saturating_sub(queued)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn after(results: &[bool], took: Duration) -> (Pace, Instant) {
        let (mut pace, now) = (Pace::default(), Instant::now());
        for result in results {
            pace.begin();
            pace.end(*result, took, now, 64);
        }
        (pace, now)
    }

    #[test]
    fn a_fast_receiver_gets_more_at_a_time_up_to_the_limit() {
        let (mut pace, now) = after(&[true; 5000], MS);
        assert_eq!(pace.most(), 64);
        for _ in 0..64 {
            assert!(pace.may_begin(now));
            pace.begin();
        }
        assert!(!pace.may_begin(now));
        assert!(pace.room(now, 0) > 1000 && pace.room(now, 2000) == 0);
    }

    #[test]
    fn a_slow_receiver_gets_few_at_a_time_and_little_is_queued_for_it() {
        let (pace, now) = after(&[true; 100], 14_000 * MS);
        assert_eq!(pace.most(), 1);
        assert_eq!(pace.room(now, 0), 16);
    }

    #[test]
    fn a_dead_receiver_is_tried_by_one_request_at_a_time_with_pauses_until_one_succeeds() {
        let (mut pace, now) = after(&[false; 8], MS);
        assert!(!pace.may_begin(now) && pace.room(now, 0) == 0);
        let later = now + 250 * MS;
        assert!(pace.may_begin(later) && pace.room(later, 0) == 1 && pace.room(later, 1) == 0);
        pace.begin();
        assert!(!pace.may_begin(later));
        pace.end(false, MS, later, 64);
        assert!(pace.is_paused(later + 499 * MS) && !pace.is_paused(later + 500 * MS));
        let (mut pace, now) = after(&[false; 100], MS);
        assert!(!pace.is_paused(now + LONGEST_PAUSE));
        pace.begin();
        pace.end(true, MS, now, 64);
        assert!(pace.may_begin(now) && pace.room(now, 0) > 16);
    }

    #[test]
    fn a_few_failures_do_not_stop_a_receiver() {
        let (pace, now) = after(&[false, true, false, false, true, false], MS);
        assert!(pace.may_begin(now) && !pace.is_tripped());
    }
}
