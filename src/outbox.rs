//! Events on their way in: stored, with their deliveries, before anybody is told that they were
//! taken.

use sqlx::PgPool;

use crate::db::event::{self, EventRow};
use crate::error::Result;

/// Takes events.
#[derive(Debug, Clone)]
pub struct Outbox {
    db: PgPool,
}

impl Outbox {
    /// Over the database.
    pub fn new(db: PgPool) -> Self {
        Self { db }
    }

    /// Stores events and their deliveries, and returns when that is committed: how many of them
    /// were not known before.
    ///
    /// # Errors
    /// When the database is away; then none of them is stored.
    pub async fn put(&self, rows: &[EventRow]) -> Result<usize> {
        let stored = event::insert_all(&self.db, rows, None).await?;
        let mut ids: Vec<_> = stored.iter().map(|new| &new.id).collect();
        ids.dedup();
        Ok(ids.len())
    }
}
