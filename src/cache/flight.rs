//! One at a time per account: who needs the same slow work waits for the first one instead of
//! doing it again, and shares its failure.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;

use crate::domain::id::{AccountId, ProjectId};
use crate::error::Error;

/// The turn at one account's work; holds the last failure and when it happened.
pub type Flight = tokio::sync::Mutex<Option<(Instant, Error)>>;

/// The turns that somebody holds or waits for.
#[derive(Debug, Default)]
pub struct Flights(Mutex<HashMap<(ProjectId, AccountId), Weak<Flight>>>);

/// Number of entries from which a new one clears out those that nobody holds.
const CROWDED: usize = 256;

impl Flights {
    /// The turn of one account.
    pub fn of(&self, project: &ProjectId, account: &AccountId) -> Arc<Flight> {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (project.clone(), account.clone());
        if let Some(flight) = map.get(&key).and_then(Weak::upgrade) {
            return flight;
        }
        if map.len() >= CROWDED {
            map.retain(|_, flight| flight.strong_count() > 0);
        }
        let flight = Arc::new(Flight::default());
        map.insert(key, Arc::downgrade(&flight));
        flight
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holders_share_a_turn_and_forgotten_ones_go() {
        let flights = Flights::default();
        let project = ProjectId::generate();
        let account = AccountId::generate();
        let first = flights.of(&project, &account);
        assert!(Arc::ptr_eq(&first, &flights.of(&project, &account)));
        for _ in 0..1000 {
            flights.of(&project, &AccountId::generate());
        }
        assert!(flights.0.lock().unwrap().len() <= CROWDED + 1);
        assert!(Arc::ptr_eq(&first, &flights.of(&project, &account)));
    }
}
