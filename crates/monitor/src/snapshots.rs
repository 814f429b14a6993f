//! What the monitor publishes: the snapshots, and notice of new ones.

use std::sync::Arc;

use tokio::sync::watch;
use topology::{Published, Snapshot, SnapshotGuard};

/// The latest snapshot, and a way to wait for the next. Clones wait independently of each other.
#[derive(Clone, Debug)]
pub struct Snapshots {
    published: Published,
    generations: watch::Receiver<u64>,
}

impl Snapshots {
    pub(crate) fn new(published: Published, generations: watch::Receiver<u64>) -> Snapshots {
        Snapshots { published, generations }
    }

    /// The cell alone, for code that must not depend on the monitor.
    pub fn published(&self) -> Published {
        self.published.clone()
    }

    /// The channel of generations alone. A snapshot is readable before its generation is announced.
    pub fn generations(&self) -> watch::Receiver<u64> {
        self.generations.clone()
    }

    /// The latest snapshot, without a lock.
    pub fn load(&self) -> SnapshotGuard {
        self.published.load()
    }

    /// Waits for a snapshot later than the last one that this handle waited for. False when the monitor has ended.
    ///
    /// If there were several snapshots in the meantime, only the latest is seen.
    pub async fn changed(&mut self) -> bool {
        self.generations.changed().await.is_ok()
    }

    /// Waits for a snapshot with this property, the present one included. `None` when the monitor has ended without one.
    pub async fn wait_until(&mut self, mut has: impl FnMut(&Snapshot) -> bool) -> Option<Arc<Snapshot>> {
        loop {
            self.generations.borrow_and_update();
            let snapshot = self.published.load_full();
            if has(&snapshot) {
                return Some(snapshot);
            }
            if !self.changed().await {
                return None;
            }
        }
    }
}
