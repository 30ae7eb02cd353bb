//! Background work at providers: how much of it is under way.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Most rows that are claimed at once: what is claimed is begun at once, and between two claims
/// it shows which toolkits are slow.
const BATCH: usize = 8;

/// What one server's worker has under way.
#[derive(Debug, Clone)]
pub struct Running {
    slots: Arc<Semaphore>,
    most: usize,
    /// Most of it that one toolkit may have: a provider that does not answer must not keep the
    /// others waiting.
    per_toolkit: usize,
    toolkits: Arc<Mutex<HashMap<String, usize>>>,
}

/// A part of it; gives its place back when it ends, however it does.
pub struct Place {
    toolkit: String,
    toolkits: Arc<Mutex<HashMap<String, usize>>>,
    _slot: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut toolkits = self.toolkits.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = toolkits.get_mut(&self.toolkit) {
            *count -= 1;
            if *count == 0 {
                toolkits.remove(&self.toolkit);
            }
        }
    }
}

impl Running {
    /// Room for `most` at a time.
    pub fn new(most: usize) -> Self {
        Self {
            slots: Arc::new(Semaphore::new(most)),
            most,
            per_toolkit: most.div_ceil(2),
            toolkits: Arc::default(),
        }
    }

    /// Toolkits that have as many as they may, and how many more the fullest other one may have.
    pub fn busy(&self) -> (Vec<String>, usize) {
        let toolkits = self.toolkits.lock().unwrap_or_else(PoisonError::into_inner);
        let (busy, free): (Vec<_>, Vec<_>) =
            toolkits.iter().partition(|(_, count)| **count >= self.per_toolkit);
        let fullest = free.iter().map(|(_, count)| **count).max().unwrap_or(0);
        (busy.into_iter().map(|(name, _)| name.clone()).collect(), self.per_toolkit - fullest)
    }

    pub fn place(&self, toolkit: &str, slot: OwnedSemaphorePermit) -> Place {
        let mut toolkits = self.toolkits.lock().unwrap_or_else(PoisonError::into_inner);
        *toolkits.entry(toolkit.to_owned()).or_default() += 1;
        Place { toolkit: toolkit.to_owned(), toolkits: self.toolkits.clone(), _slot: slot }
    }

    /// Room for a batch; empty when there is none.
    pub fn slots(&self, room: usize) -> Vec<OwnedSemaphorePermit> {
        let mut slots = Vec::new();
        while slots.len() < BATCH.min(room) {
            let Ok(slot) = self.slots.clone().try_acquire_owned() else { break };
            slots.push(slot);
        }
        slots
    }

    /// Waits until there is room for one more.
    pub async fn room(&self) {
        drop(self.slots.acquire().await);
    }

    /// Waits until nothing is under way.
    pub async fn idle(&self) {
        drop(self.slots.acquire_many(u32::try_from(self.most).unwrap_or(u32::MAX)).await);
    }
}
