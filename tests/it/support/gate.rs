//! Holds requests up at a provider in the test process, until the test lets them go.

use tokio::sync::watch;

/// A gate. It is open at first.
pub struct Gate {
    open: watch::Sender<bool>,
    /// Requests that came to wait.
    held: watch::Sender<usize>,
}

impl Default for Gate {
    fn default() -> Self {
        Self { open: watch::channel(true).0, held: watch::channel(0).0 }
    }
}

impl Gate {
    /// From now on, requests wait.
    pub fn close(&self) {
        self.open.send_replace(false);
        self.held.send_replace(0);
    }

    /// Lets go what waits, and what is yet to come.
    pub fn open(&self) {
        self.open.send_replace(true);
    }

    /// A request comes by, and waits while the gate is closed.
    pub async fn pass(&self) {
        self.held.send_modify(|held| *held += 1);
        self.open.subscribe().wait_for(|open| *open).await.unwrap();
    }

    /// Waits until so many requests have come.
    pub async fn holds(&self, count: usize) {
        self.held.subscribe().wait_for(|held| *held >= count).await.unwrap();
    }
}
