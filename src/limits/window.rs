//! The counts of one organization.

use std::collections::BTreeMap;

/// Length of the window in seconds.
pub const WINDOW_S: i64 = 600;
/// Length of a slice in seconds.
pub const SLICE_S: i64 = 10;
const SLICES: i64 = WINDOW_S / SLICE_S;

/// What is left, for the response headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Requests allowed in a window.
    pub limit: u64,
    /// Requests left in this one.
    pub remaining: u64,
    /// Seconds until the oldest counted requests leave the window.
    pub reset_s: u64,
}

#[derive(Debug, Default, Clone, Copy)]
struct Slice {
    own: u64,
    /// Part of `own` that is not in the database yet.
    unsent: u64,
    others: u64,
}

/// Slices by number (seconds since 1970 / [`SLICE_S`]).
#[derive(Debug, Default)]
pub struct Window {
    slices: BTreeMap<i64, Slice>,
}

impl Window {
    /// Counts a request at `second`, unless the limit is used up.
    pub fn count(&mut self, limit: u64, second: i64) -> Result<Usage, Usage> {
        let slice = second / SLICE_S;
        self.slices.retain(|&n, s| n > slice - SLICES || s.unsent > 0);
        let live = || self.slices.range(slice - SLICES + 1..);
        let used: u64 = live().map(|(_, s)| s.own + s.others).sum();
        let oldest = live().find(|(_, s)| s.own + s.others > 0).map_or(slice, |(n, _)| *n);
        let reset_s = u64::try_from((oldest + SLICES) * SLICE_S - second).unwrap_or(1).max(1);
        if used >= limit {
            return Err(Usage { limit, remaining: 0, reset_s });
        }
        let current = self.slices.entry(slice).or_default();
        current.own += 1;
        current.unsent += 1;
        Ok(Usage { limit, remaining: limit - used - 1, reset_s })
    }

    /// Counts that the database does not have yet, by slice; they count as written.
    pub fn take_unsent(&mut self) -> Vec<(i64, u64)> {
        self.slices
            .iter_mut()
            .filter(|(_, s)| s.unsent > 0)
            .map(|(n, s)| (*n, std::mem::take(&mut s.unsent)))
            .collect()
    }

    /// Undoes [`Window::take_unsent`] after a failed write.
    pub fn put_back(&mut self, unsent: &[(i64, u64)]) {
        for &(slice, count) in unsent {
            self.slices.entry(slice).or_default().unsent += count;
        }
    }

    /// Replaces what the other replicas counted.
    pub fn set_others(&mut self, others: &[(i64, u64)]) {
        for slice in self.slices.values_mut() {
            slice.others = 0;
        }
        for &(slice, used) in others {
            self.slices.entry(slice).or_default().others = used;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_holds_over_a_rolling_window() {
        let mut window = Window::default();
        assert_eq!(window.count(3, 1000).unwrap().remaining, 2);
        assert_eq!(window.count(3, 1300).unwrap().remaining, 1);
        assert_eq!(window.count(3, 1301).unwrap().remaining, 0);
        let refused = window.count(3, 1302).unwrap_err();
        assert_eq!((refused.remaining, refused.reset_s), (0, 298));
        // The first request has left the window; the refused one was never counted.
        assert_eq!(window.count(3, 1600).unwrap().remaining, 0);
        assert!(window.count(3, 1601).is_err());
    }

    #[test]
    fn other_replicas_count_too_and_a_failed_write_is_kept() {
        let mut window = Window::default();
        window.count(10, 1000).unwrap();
        let unsent = window.take_unsent();
        assert_eq!(unsent, [(100, 1)]);
        window.put_back(&unsent);
        assert_eq!(window.take_unsent(), [(100, 1)]);
        assert!(window.take_unsent().is_empty());
        window.set_others(&[(99, 9)]);
        assert!(window.count(10, 1001).is_err());
        window.set_others(&[]);
        assert_eq!(window.count(10, 1001).unwrap().remaining, 8);
    }
}
