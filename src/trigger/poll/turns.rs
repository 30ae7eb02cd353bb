//! How much a server has under way, by project and by toolkit.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::db::trigger_poll::{DueRow, Load};
use crate::domain::id::ProjectId;

/// Most rows that are claimed at once.
const BATCH: usize = 32;

/// Projects that are asked after at once while there is more due than one look shows.
pub const PROJECTS: usize = 100;

#[derive(Debug, Default)]
struct Counts {
    projects: HashMap<String, i64>,
    toolkits: HashMap<String, i64>,
    /// The project after which the next ones are asked after.
    after: String,
    /// There is more due than one look shows.
    backlog: bool,
}

/// What one server has under way.
#[derive(Debug, Clone)]
pub struct Turns {
    slots: Arc<Semaphore>,
    most: usize,
    counts: Arc<Mutex<Counts>>,
}

/// A poll under way; gives its place back when it ends, however it does.
#[derive(Debug)]
pub struct Place {
    project: String,
    toolkit: String,
    counts: Arc<Mutex<Counts>>,
    _slot: OwnedSemaphorePermit,
}

fn give_back(counts: &mut HashMap<String, i64>, name: &str) {
    if let Some(count) = counts.get_mut(name) {
        *count -= 1;
        if *count <= 0 {
            counts.remove(name);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        give_back(&mut counts.projects, &self.project);
        give_back(&mut counts.toolkits, &self.toolkit);
    }
}

impl Turns {
    /// Room for `most` at a time; half of them of one project, and half of one toolkit.
    pub fn new(most: usize) -> Self {
        Self { slots: Arc::new(Semaphore::new(most)), most, counts: Arc::default() }
    }

    fn counts(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is under way.
    pub fn load(&self) -> Load {
        let half = i64::try_from(self.most.div_ceil(2)).unwrap_or(i64::MAX);
        let counts = self.counts();
        let list = |map: &HashMap<String, i64>| map.iter().map(|(n, c)| (n.clone(), *c)).collect();
        Load {
            projects: list(&counts.projects),
            toolkits: list(&counts.toolkits),
            per_project: half,
            per_toolkit: half,
        }
    }

    /// Room for a batch; empty when there is none.
    pub fn slots(&self) -> Vec<OwnedSemaphorePermit> {
        let mut slots = Vec::new();
        while slots.len() < BATCH {
            let Ok(slot) = self.slots.clone().try_acquire_owned() else { break };
            slots.push(slot);
        }
        slots
    }

    /// Takes a place for a poll.
    pub fn place(&self, row: &DueRow, slot: OwnedSemaphorePermit) -> Place {
        let (project, toolkit) = (row.project_id.to_string(), row.toolkit_slug.clone());
        let mut counts = self.counts();
        *counts.projects.entry(project.clone()).or_default() += 1;
        *counts.toolkits.entry(toolkit.clone()).or_default() += 1;
        Place { project, toolkit, counts: self.counts.clone(), _slot: slot }
    }

    /// After which project the next ones are asked after; none: one look shows all that is due.
    pub fn after(&self) -> Option<String> {
        let half = i64::try_from(self.most.div_ceil(2)).unwrap_or(i64::MAX);
        let counts = self.counts();
        let full = counts.projects.values().any(|count| *count >= half);
        (counts.backlog || full).then(|| counts.after.clone())
    }

    /// Notes which projects were asked after; fewer than were wanted were the last ones.
    pub fn asked(&self, projects: &[ProjectId]) {
        let last = projects.last().filter(|_| projects.len() >= PROJECTS);
        self.counts().after = last.map(ToString::to_string).unwrap_or_default();
    }

    /// Notes whether a claim had as many rows as it wanted.
    pub fn claimed(&self, all: bool) {
        self.counts().backlog = all;
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
