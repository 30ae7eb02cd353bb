//! The rolling window of one organization.

/// Length of one slice.
pub const SLICE_SECONDS: i64 = 10;

/// Slices of a window.
pub const SLICES: usize = 60;

/// One slice; `at` is its number since the epoch.
#[derive(Debug, Clone, Copy, Default)]
struct Slice {
    at: i64,
    /// Counted here.
    own: u64,
    /// Part of `own` that the table does not have yet.
    unshared: u64,
    /// Counted by other replicas.
    others: u64,
}

/// A ring of slices.
#[derive(Debug, Clone)]
pub struct Window {
    ring: [Slice; SLICES],
}

impl Default for Window {
    fn default() -> Self {
        Self { ring: [Slice::default(); SLICES] }
    }
}

impl Window {
    fn place(at: i64) -> usize {
        usize::try_from(at.rem_euclid(SLICES as i64)).unwrap_or(0)
    }

    /// The slice with this number; none when its place is held by a newer one.
    fn slice(&mut self, at: i64) -> Option<&mut Slice> {
        let slice = &mut self.ring[Self::place(at)];
        if slice.at < at {
            *slice = Slice { at, ..Slice::default() };
        }
        (slice.at == at).then_some(slice)
    }

    fn inside(slice: &Slice, now: i64) -> bool {
        slice.at <= now && slice.at > now - SLICES as i64
    }

    /// Requests in the window that ends with slice `now`.
    pub fn used(&self, now: i64) -> u64 {
        let slices = self.ring.iter().filter(|s| Self::inside(s, now));
        slices.map(|s| s.own + s.others).sum()
    }

    /// Number of the slice with which enough of the window has gone by for one more request.
    pub fn free_at(&self, now: i64, limit: u64) -> i64 {
        let mut used = self.used(now);
        for at in (now - SLICES as i64 + 1)..=now {
            let slice = &self.ring[Self::place(at)];
            if slice.at == at {
                used = used.saturating_sub(slice.own + slice.others);
            }
            if used < limit {
                return at + SLICES as i64;
            }
        }
        now + SLICES as i64
    }

    /// Counts one request.
    pub fn count(&mut self, now: i64) {
        if let Some(slice) = self.slice(now) {
            slice.own += 1;
            slice.unshared += 1;
        }
    }

    /// What the table does not have yet: slice and count.
    pub fn take_unshared(&mut self) -> Vec<(i64, u64)> {
        let slices = self.ring.iter_mut().filter(|s| s.unshared > 0);
        slices.map(|s| (s.at, std::mem::take(&mut s.unshared))).collect()
    }

    /// Undoes [`Window::take_unshared`] for one slice.
    pub fn give_back(&mut self, at: i64, count: u64) {
        if let Some(slice) = self.slice(at) {
            slice.unshared += count;
        }
    }

    /// Drops what other replicas counted.
    pub fn forget_others(&mut self) {
        self.ring.iter_mut().for_each(|s| s.others = 0);
    }

    /// Notes what other replicas counted in a slice.
    pub fn learn(&mut self, at: i64, count: u64) {
        if let Some(slice) = self.slice(at) {
            slice.others = count;
        }
    }
}
