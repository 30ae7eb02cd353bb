//! Waking those who wait for a change of a user's accounts.

use std::hash::{BuildHasher, RandomState};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::domain::id::ProjectId;

/// Users share a bell with others: whoever is woken looks whether it was for them.
const BELLS: usize = 64;

/// See the module.
#[derive(Debug)]
pub struct Bell {
    hasher: RandomState,
    bells: Vec<Notify>,
}

impl Default for Bell {
    fn default() -> Self {
        Self { hasher: RandomState::new(), bells: (0..BELLS).map(|_| Notify::new()).collect() }
    }
}

impl Bell {
    fn of(&self, project: &ProjectId, user: &str) -> &Notify {
        let hash = self.hasher.hash_one((project, user));
        // The remainder is less than the number of bells.
        &self.bells[(hash % BELLS as u64) as usize]
    }

    /// The next change of the user's accounts. A change is heard from the moment that the future
    /// is made, before it is first polled.
    pub fn next(&self, project: &ProjectId, user: &str) -> Notified<'_> {
        self.of(project, user).notified()
    }

    /// Wakes who waits for the user's accounts.
    pub(super) fn ring(&self, project: &ProjectId, user: &str) {
        self.of(project, user).notify_waiters();
    }

    /// Wakes everybody.
    pub(super) fn ring_all(&self) {
        self.bells.iter().for_each(Notify::notify_waiters);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_change_is_heard_by_those_who_began_to_listen_before_it() {
        let (bell, project) = (Bell::default(), ProjectId::generate());
        let next = bell.next(&project, "ann");
        bell.ring(&project, "ann");
        next.await;
        let next = bell.next(&project, "ann");
        bell.ring_all();
        next.await;
    }
}
