//! Requests per organization over a rolling ten-minute window.
//!
//! Sixty slices of ten seconds, counted in memory. Once a second every replica adds what it
//! counted to the database and reads what the others did, so that the limit holds for all of them
//! together: exact on one replica, a second behind on several. Without a database the counting goes
//! on alone.

mod tries;
mod window;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::db;
use crate::domain::id::{OrgId, random_text};
use crate::domain::time::now;

pub use tries::{Address, Tries, TriesByAddress};
use window::{SLICE_S, Window};
pub use window::{Usage, WINDOW_S};

/// How often replicas tell each other what they counted.
const SHARE_EVERY: Duration = Duration::from_secs(1);
/// How many rounds of sharing go by between two deletions of old slices.
const ROUNDS_PER_CLEANUP: u32 = 60;

/// Counts requests; see the module.
pub struct RateLimiter {
    limit: u64,
    replica: String,
    windows: RwLock<HashMap<OrgId, Arc<Mutex<Window>>>>,
}

impl std::fmt::Debug for RateLimiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RateLimiter").field("limit", &self.limit).finish_non_exhaustive()
    }
}

impl RateLimiter {
    /// Starts counting, and the task that shares the counts with other replicas until `stop`.
    pub fn start(
        config: &Config,
        db: PgPool,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Arc<Self> {
        let limiter = Arc::new(Self::new(config.rate_limit));
        if config.rate_limit > 0 {
            tasks.spawn(share(limiter.clone(), db, stop.clone()));
        }
        limiter
    }

    fn new(limit: u64) -> Self {
        Self { limit, replica: random_text(12), windows: RwLock::default() }
    }

    /// Counts one request of an organization. `None`: there is no limit.
    ///
    /// # Errors
    /// The limit is used up; the request was not counted.
    pub fn count(&self, org: &OrgId) -> Option<Result<Usage, Usage>> {
        (self.limit > 0).then(|| {
            let window = self.window(org);
            let mut window = window.lock().unwrap_or_else(PoisonError::into_inner);
            window.count(self.limit, now().timestamp())
        })
    }

    fn window(&self, org: &OrgId) -> Arc<Mutex<Window>> {
        if let Some(known) = self.windows.read().unwrap_or_else(PoisonError::into_inner).get(org) {
            return known.clone();
        }
        let mut windows = self.windows.write().unwrap_or_else(PoisonError::into_inner);
        windows.entry(org.clone()).or_default().clone()
    }

    fn all(&self) -> Vec<(OrgId, Arc<Mutex<Window>>)> {
        let windows = self.windows.read().unwrap_or_else(PoisonError::into_inner);
        windows.iter().map(|(org, window)| (org.clone(), window.clone())).collect()
    }

    /// Adds the own counts to the database. What could not be written is kept for the next time.
    async fn publish(&self, db: &PgPool) -> sqlx::Result<()> {
        let (mut orgs, mut slices, mut counts) = (Vec::new(), Vec::new(), Vec::new());
        let mut taken = Vec::new();
        for (org, window) in self.all() {
            let unsent = window.lock().unwrap_or_else(PoisonError::into_inner).take_unsent();
            for &(slice, count) in &unsent {
                orgs.push(org.to_string());
                slices.push(slice_start(slice));
                counts.push(i64::try_from(count).unwrap_or(i64::MAX));
            }
            taken.push((window, unsent));
        }
        if orgs.is_empty() {
            return Ok(());
        }
        let written = db::rate_slice::add(db, &self.replica, &orgs, &slices, &counts).await;
        if written.is_err() {
            for (window, unsent) in taken {
                window.lock().unwrap_or_else(PoisonError::into_inner).put_back(&unsent);
            }
        }
        written
    }

    /// Learns what the other replicas counted.
    async fn learn(&self, db: &PgPool) -> sqlx::Result<()> {
        let from = now() - TimeDelta::seconds(WINDOW_S);
        let mut by_org: HashMap<OrgId, Vec<(i64, u64)>> = HashMap::new();
        for (org, at, used) in db::rate_slice::others(db, &self.replica, from).await? {
            let used = u64::try_from(used).unwrap_or(0);
            by_org.entry(org).or_default().push((at.timestamp() / SLICE_S, used));
        }
        for org in by_org.keys() {
            self.window(org);
        }
        for (org, window) in self.all() {
            let others = by_org.remove(&org).unwrap_or_default();
            window.lock().unwrap_or_else(PoisonError::into_inner).set_others(&others);
        }
        Ok(())
    }
}

fn slice_start(slice: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(slice * SLICE_S, 0).unwrap_or_default()
}

async fn share(limiter: Arc<RateLimiter>, db: PgPool, stop: CancellationToken) {
    let mut round = 0u32;
    loop {
        let stopping = tokio::select! {
            () = stop.cancelled() => true,
            () = tokio::time::sleep(SHARE_EVERY) => false,
        };
        let shared = async {
            limiter.publish(&db).await?;
            if round.is_multiple_of(ROUNDS_PER_CLEANUP) {
                let before = now() - TimeDelta::seconds(2 * WINDOW_S);
                db::rate_slice::delete_before(&db, before).await?;
            }
            limiter.learn(&db).await
        };
        if let Err(error) = shared.await {
            tracing::debug!(%error, "request counts not shared");
        }
        round = round.wrapping_add(1);
        if stopping {
            return;
        }
    }
}
