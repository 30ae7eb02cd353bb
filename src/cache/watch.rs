//! Whoever wants to hear of a change, beside the cache that drops it: streams of MCP clients,
//! and calls that can be cancelled.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::domain::id::{ProjectId, SessionId};
use crate::domain::mcp_server::McpServerId;

/// What can be watched.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Topic {
    /// The accounts of a user.
    Accounts(ProjectId, String),
    /// A session.
    Session(ProjectId, SessionId),
    /// An MCP server.
    Server(McpServerId),
    /// A call that its client may cancel.
    Call(ProjectId, String),
}

/// The watchers of this replica.
#[derive(Debug, Default)]
pub struct Watches {
    by_topic: Mutex<HashMap<Topic, Vec<Arc<Notify>>>>,
}

/// One watcher; dropping it ends it.
#[derive(Debug)]
pub struct Watch {
    watches: Arc<Watches>,
    topics: Vec<Topic>,
    notify: Arc<Notify>,
}

impl Watches {
    /// Watches topics from now on.
    pub fn watch(self: &Arc<Self>, topics: Vec<Topic>) -> Watch {
        let notify = Arc::new(Notify::new());
        let mut by_topic = self.by_topic.lock().unwrap_or_else(PoisonError::into_inner);
        for topic in &topics {
            by_topic.entry(topic.clone()).or_default().push(notify.clone());
        }
        Watch { watches: self.clone(), topics, notify }
    }

    /// Wakes the watchers of a topic; whether there were any.
    pub fn tell(&self, topic: &Topic) -> bool {
        let by_topic = self.by_topic.lock().unwrap_or_else(PoisonError::into_inner);
        let watchers = by_topic.get(topic);
        // A permit is kept for a watcher that is not waiting just now.
        watchers.into_iter().flatten().for_each(|watcher| watcher.notify_one());
        watchers.is_some()
    }

    /// Number of watched topics.
    pub fn len(&self) -> usize {
        self.by_topic.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether nobody watches anything.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Watch {
    /// Waits for the next change; several that nobody waited for are one.
    pub async fn changed(&self) {
        self.notify.notified().await;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut by_topic = self.watches.by_topic.lock().unwrap_or_else(PoisonError::into_inner);
        for topic in &self.topics {
            if let Some(watchers) = by_topic.get_mut(topic) {
                watchers.retain(|watcher| !Arc::ptr_eq(watcher, &self.notify));
                if watchers.is_empty() {
                    by_topic.remove(topic);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_watcher_hears_its_topics_until_it_is_dropped() {
        let watches = Arc::new(Watches::default());
        let topic = |user: &str| Topic::Accounts(ProjectId::from("pr_a"), user.to_owned());
        let watch = watches.watch(vec![topic("ann"), topic("bob")]);
        let other = watches.watch(vec![topic("bob")]);
        assert!(!watches.tell(&topic("eve")));
        assert!(watches.tell(&topic("bob")) && watches.tell(&topic("bob")));
        watch.changed().await;
        other.changed().await;
        drop(watch);
        assert!(!watches.tell(&topic("ann")));
        drop(other);
        assert!(watches.is_empty());
    }
}
