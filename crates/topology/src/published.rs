//! The one cell in which the control plane and the data plane meet: one writer publishes, readers borrow.
//!
//! Waiting for the next snapshot is not offered here, as that needs a runtime: `monitor` hands out a channel of generations.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use crate::Snapshot;

/// A borrowed snapshot. Cheap to take, but do not keep it across an await: it occupies one of a few fast slots of the thread.
pub type SnapshotGuard = Guard<Arc<Snapshot>>;

/// Makes a cell that holds `initial`, with its only writer and its first reader.
pub fn publishing(initial: Snapshot) -> (Publisher, Published) {
    let cell = Arc::new(ArcSwap::from_pointee(initial));
    (Publisher { cell: Arc::clone(&cell) }, Published { cell })
}

/// The reading side. Clones read the same cell.
#[derive(Clone, Debug)]
pub struct Published {
    cell: Arc<ArcSwap<Snapshot>>,
}

impl Published {
    /// A cell that nobody writes any more, for what runs without a monitor (`pointsman explain`, tests).
    pub fn fixed(snapshot: Snapshot) -> Published {
        publishing(snapshot).1
    }

    /// The latest snapshot: no lock, no allocation, no reference count on the usual path.
    pub fn load(&self) -> SnapshotGuard {
        self.cell.load()
    }

    /// The latest snapshot to keep for longer than a decision takes.
    pub fn load_full(&self) -> Arc<Snapshot> {
        self.cell.load_full()
    }
}

/// The writing side. There is exactly one for a cell: it cannot be cloned.
#[derive(Debug)]
pub struct Publisher {
    cell: Arc<ArcSwap<Snapshot>>,
}

impl Publisher {
    /// Replaces the snapshot for all readers at once.
    pub fn publish(&mut self, snapshot: Arc<Snapshot>) {
        self.cell.store(snapshot);
    }

    /// One more reader.
    pub fn reader(&self) -> Published {
        Published { cell: Arc::clone(&self.cell) }
    }
}
