//! How often a client may speak: a bucket that fills again.

use std::time::Duration;

use tokio::time::Instant;

/// Messages that may come at once. A client sends one per channel and now and then a ping.
const BURST: u32 = 60;

/// One more after this time.
const REFILL: Duration = Duration::from_millis(200);

/// The bucket.
#[derive(Debug)]
pub struct Rate {
    left: u32,
    since: Instant,
}

impl Rate {
    /// A full one.
    pub fn new(now: Instant) -> Self {
        Self { left: BURST, since: now }
    }

    /// Whether one more message may come.
    pub fn take(&mut self, now: Instant) -> bool {
        let refills = now.duration_since(self.since).as_millis() / REFILL.as_millis();
        let refills = u32::try_from(refills).unwrap_or(u32::MAX);
        if refills >= BURST - self.left {
            (self.left, self.since) = (BURST, now);
        } else {
            self.left += refills;
            self.since += REFILL * refills;
        }
        let may = self.left > 0;
        self.left = self.left.saturating_sub(1);
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_allowed_and_then_a_steady_rate() {
        let start = Instant::now();
        let mut rate = Rate::new(start);
        assert!((0..BURST).all(|_| rate.take(start)));
        assert!(!rate.take(start));
        assert!(rate.take(start + REFILL));
        assert!(!rate.take(start + REFILL));
        let later = start + REFILL * 10_000;
        assert!((0..BURST).all(|_| rate.take(later)));
        assert!(!rate.take(later));
    }
}
