//! What servers said of themselves while somebody called them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::domain::id::ProjectId;

/// Toolkits that can be waited for; of more, some are listed later.
const MOST: usize = 10_000;

/// A toolkit whose server has other tools than before.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Changed {
    /// Who called it.
    pub project: ProjectId,
    /// The toolkit.
    pub toolkit: String,
}

/// Toolkits to be listed again, each with the account whose call showed it.
#[derive(Debug, Default)]
pub struct News {
    waiting: Mutex<HashMap<Changed, Option<String>>>,
    told: Notify,
}

impl News {
    /// A server said that it has other tools now, or did not know one of those that it had.
    pub fn tell(&self, changed: Changed, account: Option<String>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < MOST || waiting.contains_key(&changed) {
            waiting.insert(changed, account);
            self.told.notify_one();
        }
    }

    /// Waits until there is something, and takes all of it.
    pub async fn take(&self) -> Vec<(Changed, Option<String>)> {
        loop {
            let told = self.told.notified();
            let all: Vec<_> = {
                let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                waiting.drain().collect()
            };
            if !all.is_empty() {
                return all;
            }
            told.await;
        }
    }
}
