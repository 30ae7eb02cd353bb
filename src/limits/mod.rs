//! Requests per organization over a rolling ten-minute window.
//!
//! The window is sixty slices of ten seconds. Each replica counts in memory and is exact by
//! itself; once a second it adds what it counted to the table and reads what the others did, so
//! that several replicas share one limit with about a second's delay.

mod window;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::db::rate_slice;
use crate::domain::id::{OrgId, random_text};
use crate::domain::time::now;

use window::{SLICE_SECONDS, SLICES, Window};

/// Length of the window in seconds.
pub const WINDOW_SECONDS: u64 = (SLICES as i64 * SLICE_SECONDS) as u64;

/// How often the replicas exchange their counts.
const EXCHANGE: Duration = Duration::from_secs(1);

/// Organizations are spread over this many locks.
const SHARDS: usize = 16;

/// Counts requests; see the module.
#[derive(Debug)]
pub struct RateLimiter {
    limit: u64,
    replica: String,
    shards: [Mutex<HashMap<OrgId, Window>>; SHARDS],
}

/// What the limit says about one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Requests per window.
    pub limit: u64,
    /// How many of them are left after this one.
    pub remaining: u64,
    /// Seconds to wait, when this one is refused.
    pub retry_after: Option<u64>,
}

impl RateLimiter {
    /// Starts counting, and the task that shares the counts with other replicas.
    pub fn start(
        config: &Config,
        db: PgPool,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Arc<Self> {
        let limiter = Arc::new(Self::new(config.rate_limit));
        if limiter.limit > 0 {
            tasks.spawn(share(limiter.clone(), db, stop.clone()));
        }
        limiter
    }

    fn new(limit: u64) -> Self {
        Self {
            limit,
            replica: random_text(12),
            shards: std::array::from_fn(|_| Mutex::new(HashMap::new())),
        }
    }

    /// Counts one request of an organization; none when there is no limit. A refused request
    /// does not count.
    pub fn check(&self, org: &OrgId) -> Option<Verdict> {
        (self.limit > 0).then(|| self.check_at(org, now()))
    }

    fn check_at(&self, org: &OrgId, at: DateTime<Utc>) -> Verdict {
        let slice = at.timestamp().div_euclid(SLICE_SECONDS);
        let mut shard = self.shard(org).lock().unwrap_or_else(PoisonError::into_inner);
        if !shard.contains_key(org) {
            shard.insert(org.clone(), Window::default());
        }
        let Some(window) = shard.get_mut(org) else {
            return Verdict { limit: self.limit, remaining: 0, retry_after: None };
        };
        let used = window.used(slice);
        if used >= self.limit {
            let free = window.free_at(slice, self.limit) * SLICE_SECONDS;
            let wait = u64::try_from(free - at.timestamp()).unwrap_or(1).max(1);
            return Verdict { limit: self.limit, remaining: 0, retry_after: Some(wait) };
        }
        window.count(slice);
        Verdict { limit: self.limit, remaining: self.limit - used - 1, retry_after: None }
    }

    fn shard(&self, org: &OrgId) -> &Mutex<HashMap<OrgId, Window>> {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        org.hash(&mut hasher);
        let index = usize::try_from(hasher.finish() % SHARDS as u64).unwrap_or(0);
        &self.shards[index]
    }

    /// Counts that the table does not have yet, as columns. Windows in which nothing is left
    /// are forgotten.
    fn take_unshared(&self, slice: i64) -> (Vec<String>, Vec<DateTime<Utc>>, Vec<i64>) {
        let (mut orgs, mut slices, mut counts) = (Vec::new(), Vec::new(), Vec::new());
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.retain(|org, window| {
                for (at, count) in window.take_unshared() {
                    if let Some(start) = DateTime::from_timestamp(at * SLICE_SECONDS, 0) {
                        orgs.push(org.as_str().to_owned());
                        slices.push(start);
                        counts.push(i64::try_from(count).unwrap_or(i64::MAX));
                    }
                }
                window.used(slice) > 0
            });
        }
        (orgs, slices, counts)
    }

    /// Gives counts back that could not be written.
    fn give_back(&self, orgs: &[String], slices: &[DateTime<Utc>], counts: &[i64]) {
        for ((org, start), count) in orgs.iter().zip(slices).zip(counts) {
            let org = OrgId::from(org.as_str());
            let mut shard = self.shard(&org).lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(window) = shard.get_mut(&org) {
                let slice = start.timestamp().div_euclid(SLICE_SECONDS);
                window.give_back(slice, u64::try_from(*count).unwrap_or(0));
            }
        }
    }

    /// Takes over what the other replicas counted.
    fn learn(&self, others: Vec<(OrgId, DateTime<Utc>, i64)>) {
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.values_mut().for_each(Window::forget_others);
        }
        for (org, start, count) in others {
            let slice = start.timestamp().div_euclid(SLICE_SECONDS);
            let mut shard = self.shard(&org).lock().unwrap_or_else(PoisonError::into_inner);
            let window = shard.entry(org).or_default();
            window.learn(slice, u64::try_from(count).unwrap_or(0));
        }
    }

    async fn exchange(&self, db: &PgPool) -> sqlx::Result<()> {
        let at = now();
        let slice = at.timestamp().div_euclid(SLICE_SECONDS);
        let (orgs, slices, counts) = self.take_unshared(slice);
        if !orgs.is_empty()
            && let Err(error) = rate_slice::add(db, &self.replica, &orgs, &slices, &counts).await
        {
            self.give_back(&orgs, &slices, &counts);
            return Err(error);
        }
        let oldest = at - Duration::from_secs(WINDOW_SECONDS + 10);
        self.learn(rate_slice::others(db, &self.replica, oldest).await?);
        Ok(())
    }
}

async fn share(limiter: Arc<RateLimiter>, db: PgPool, stop: CancellationToken) {
    let mut rounds = 0_u32;
    let mut failing = false;
    loop {
        let last = tokio::select! {
            () = tokio::time::sleep(EXCHANGE) => false,
            () = stop.cancelled() => true,
        };
        match limiter.exchange(&db).await {
            Ok(()) => failing = false,
            Err(error) if !failing => {
                failing = true;
                tracing::warn!(%error, "rate counts are not shared with other replicas for now");
            }
            Err(_) => {}
        }
        if last {
            return;
        }
        rounds = rounds.wrapping_add(1);
        if rounds.is_multiple_of(60) {
            let before = now() - Duration::from_secs(WINDOW_SECONDS + 60);
            let _ = rate_slice::delete_before(&db, before).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    #[test]
    fn the_limit_is_exact_and_rolls() {
        let limiter = RateLimiter::new(3);
        let org = OrgId::from("ok_a");
        let remaining: Vec<_> =
            [0, 5, 10].iter().map(|s| limiter.check_at(&org, at(*s)).remaining).collect();
        assert_eq!(remaining, [2, 1, 0]);
        let refused = limiter.check_at(&org, at(20));
        assert_eq!(refused.retry_after, Some(580));
        // Being refused does not prolong the wait, and other organizations do not matter.
        assert_eq!(limiter.check_at(&org, at(590)).retry_after, Some(10));
        assert_eq!(limiter.check_at(&OrgId::from("ok_b"), at(590)).remaining, 2);
        // The first slice, with two requests, has left the window.
        assert_eq!(limiter.check_at(&org, at(600)).remaining, 1);
    }

    #[test]
    fn the_counts_of_other_replicas_weigh_as_much_as_ones_own() {
        let limiter = RateLimiter::new(10);
        let org = OrgId::from("ok_a");
        limiter.check_at(&org, at(0));
        limiter.learn(vec![(org.clone(), at(0), 5)]);
        assert_eq!(limiter.check_at(&org, at(1)).remaining, 3);
        // What is learnt replaces what was known.
        limiter.learn(vec![(org.clone(), at(0), 8)]);
        assert!(limiter.check_at(&org, at(2)).retry_after.is_some());
    }

    #[test]
    fn every_count_is_shared_once_and_comes_back_when_it_could_not_be() {
        let limiter = RateLimiter::new(10);
        let org = OrgId::from("ok_a");
        limiter.check_at(&org, at(0));
        limiter.check_at(&org, at(1));
        let slice = at(1).timestamp() / SLICE_SECONDS;
        let (orgs, slices, counts) = limiter.take_unshared(slice);
        assert_eq!(counts, [2]);
        assert!(limiter.take_unshared(slice).2.is_empty());
        limiter.give_back(&orgs, &slices, &counts);
        assert_eq!(limiter.take_unshared(slice).2, [2]);
        assert_eq!(limiter.check_at(&org, at(2)).remaining, 7);
    }
}
