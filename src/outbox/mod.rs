//! Events on their way in: stored, with their deliveries, before anybody is told that they were
//! taken.
//!
//! What many callers bring at the same time is one commit: while one is under way, the next one
//! gathers. Nobody is told before it is done, and when it fails, everybody is told that. What was
//! stored is handed to the [`Courier`] of this server, who has it claimed by the same statement;
//! what it has no room for is anybody's.

mod writer;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use sqlx::PgPool;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::db::event::{self, EventRow};
use crate::db::webhook_delivery::Letter;
use crate::domain::id::SubscriptionId;
use crate::error::{Error, Result, codes};

/// Callers that may wait for a commit.
const QUEUE: usize = 2048;

/// How long a caller waits for room in the queue, and then for the commit.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who sends what was stored here.
pub trait Courier: Send + Sync + std::fmt::Debug {
    /// Under which claim it takes what is stored next; none: it takes nothing.
    fn offer(&self) -> Option<Offer>;

    /// Takes letters, which are its own until `until`.
    fn take(&self, letters: Vec<Letter>, claim: Arc<str>, until: Instant);
}

/// See [`Courier::offer`].
#[derive(Debug)]
pub struct Offer {
    /// Name of the claim.
    pub claim: Arc<str>,
    /// How long it lasts.
    pub time: Duration,
    /// Subscriptions for which there is no room.
    pub full: Vec<SubscriptionId>,
}

type Slot = Arc<RwLock<Option<Arc<dyn Courier>>>>;

/// Takes events.
#[derive(Debug, Clone)]
pub struct Outbox {
    db: PgPool,
    queue: mpsc::Sender<Entry>,
    courier: Slot,
}

/// What one caller brought.
#[derive(Debug)]
struct Entry {
    rows: Vec<EventRow>,
    /// How many were new.
    stored: oneshot::Sender<Result<usize>>,
}

impl Outbox {
    /// Starts the writer over the database; at `stop` it writes what is queued and ends.
    pub fn start(db: PgPool, tasks: &TaskTracker, stop: &CancellationToken) -> Self {
        let (queue, entries) = mpsc::channel(QUEUE);
        let courier = Slot::default();
        tasks.spawn(writer::run(db.clone(), entries, courier.clone(), stop.clone()));
        Self { db, queue, courier }
    }

    /// Says who sends from now on.
    pub fn deliver_through(&self, courier: Option<Arc<dyn Courier>>) {
        *self.courier.write().unwrap_or_else(PoisonError::into_inner) = courier;
    }

    /// Stores events and their deliveries, and returns when that is committed: how many of them
    /// were not known before.
    ///
    /// # Errors
    /// When the database is away or too slow. Then they are either all stored or none of them, and
    /// bringing them again does no harm where they have a `dedupe_key`.
    pub async fn put(&self, rows: impl Into<Vec<EventRow>>) -> Result<usize> {
        let mut rows = rows.into();
        if rows.is_empty() {
            return Ok(0);
        }
        rows.iter_mut().for_each(EventRow::clean);
        let (stored, told) = oneshot::channel();
        match self.queue.send_timeout(Entry { rows, stored }, PATIENCE).await {
            Ok(()) => {}
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => return Err(not_stored()),
            // The server stops, and the writer has ended.
            Err(mpsc::error::SendTimeoutError::Closed(entry)) => {
                let found = event::insert_all(&self.db, &entry.rows, None).await?;
                return Ok(writer::count(&entry.rows, &found));
            }
        }
        match tokio::time::timeout(PATIENCE, told).await {
            Ok(Ok(answer)) => answer,
            _ => Err(not_stored()),
        }
    }
}

fn not_stored() -> Error {
    Error::new(codes::DATABASE_UNAVAILABLE, "The events could not be stored in time")
        .fix("Send them again in a few seconds")
        .retry_after(Duration::from_secs(1))
}
