//! The one cell that the control plane and the data plane share: one writer publishes, readers borrow.
//!
//! Waiting for the next snapshot is not offered here, as that needs a runtime: `monitor` hands out a channel of generations.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use arc_swap::{ArcSwap, Guard};

use crate::{ServerId, Snapshot};

/// A borrowed snapshot. Cheap to take, but do not keep it across an await: it occupies one of a few fast slots of the thread.
pub type SnapshotGuard = Guard<Arc<Snapshot>>;

/// Makes a cell that holds `initial`, with its only writer and its first reader.
pub fn publishing(initial: Snapshot) -> (Publisher, Published) {
    let readable =
        Published { cell: Arc::new(ArcSwap::from_pointee(initial)), writes: Writes::default(), suspects: Suspects::default() };
    (Publisher { readable: readable.clone() }, readable)
}

/// The reading side. Clones read the same cell.
#[derive(Clone, Debug)]
pub struct Published {
    cell: Arc<ArcSwap<Snapshot>>,
    writes: Writes,
    suspects: Suspects,
}

impl Published {
    /// A cell without a writer, for code that runs without a monitor (`pointsman explain`, tests).
    pub fn fixed(snapshot: Snapshot) -> Published {
        publishing(snapshot).1
    }

    /// The latest snapshot: no lock, no allocation, no reference count on the usual path.
    pub fn load(&self) -> SnapshotGuard {
        self.cell.load()
    }

    /// The sessions' statements and transactions in progress on the primary.
    pub fn writes(&self) -> &Writes {
        &self.writes
    }

    /// Servers that sessions have lost.
    pub fn suspects(&self) -> &Suspects {
        &self.suspects
    }

    /// The latest snapshot to keep for longer than a decision takes.
    pub fn load_full(&self) -> Arc<Snapshot> {
        self.cell.load_full()
    }
}

/// The writing side. There is exactly one for a cell: it cannot be cloned.
#[derive(Debug)]
pub struct Publisher {
    readable: Published,
}

/// How many statements and transactions of this process's sessions are in progress on the primary.
///
/// A server does not show a transaction that has begun and done nothing yet, nor a statement that is still on its way. So before a switchover both
/// the server and this counter are asked.
#[derive(Clone, Debug, Default)]
pub struct Writes(Arc<AtomicUsize>);

impl Writes {
    /// Counts one more until the returned guard is dropped. Call it before reading the snapshot that decides the statement: then the publisher of the
    /// next snapshot sees it.
    pub fn begin(&self) -> WriteUnderWay {
        self.0.fetch_add(1, Ordering::SeqCst);
        WriteUnderWay(self.clone())
    }

    /// Whether nothing is in progress.
    pub fn are_none(&self) -> bool {
        self.0.load(Ordering::SeqCst) == 0
    }
}

/// One of [`Writes`].
#[derive(Debug)]
pub struct WriteUnderWay(Writes);

impl Drop for WriteUnderWay {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Servers to which sessions have lost a connection, or could not connect, since this last caused a look. That proves nothing yet, but a session may
/// notice a failure before the next look is due.
#[derive(Clone, Debug, Default)]
pub struct Suspects(Arc<AtomicU64>);

impl Suspects {
    /// There are 64 bits; servers beyond that are looked at when their look is due.
    pub fn add(&self, server: ServerId) {
        if let Some(bit) = 1_u64.checked_shl(u32::from(server.0)) {
            self.0.fetch_or(bit, Ordering::Relaxed);
        }
    }

    /// Returns all of them, and clears them.
    pub fn take(&self) -> impl Iterator<Item = ServerId> + use<> {
        let all = if self.0.load(Ordering::Relaxed) == 0 { 0 } else { self.0.swap(0, Ordering::Relaxed) };
        (0..64).filter(move |bit| all & (1 << bit) != 0).map(ServerId)
    }
}

impl Publisher {
    /// Replaces the snapshot for all readers at once.
    pub fn publish(&mut self, snapshot: Arc<Snapshot>) {
        self.readable.cell.store(snapshot);
    }

    /// One more reader.
    pub fn reader(&self) -> Published {
        self.readable.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suspects_are_taken_once() {
        let (publisher, readable) = publishing(Snapshot::default());
        for id in [0, 5, 63, 64, 65_535] {
            readable.suspects().add(ServerId(id));
        }
        let take = || publisher.reader().suspects().take().map(|id| id.0).collect::<Vec<u16>>();
        assert_eq!(take(), [0, 5, 63]);
        assert_eq!(take(), []);
    }

    #[test]
    fn all_readers_see_what_was_published_last() {
        let snapshot = |generation| Snapshot { generation, ..Snapshot::default() };
        let (mut publisher, readable) = publishing(snapshot(1));
        let reader = publisher.reader();
        let seen = |readable: &Published| (readable.load().generation, readable.load_full().generation);
        assert_eq!((seen(&readable), seen(&reader)), ((1, 1), (1, 1)));
        publisher.publish(Arc::new(snapshot(2)));
        assert_eq!((seen(&readable), seen(&reader)), ((2, 2), (2, 2)));
        assert_eq!(seen(&Published::fixed(snapshot(3))), (3, 3));
    }

    #[test]
    fn writes_count_until_their_guards_are_dropped() {
        let (publisher, readable) = publishing(Snapshot::default());
        let are_none = || publisher.reader().writes().are_none();
        assert!(are_none());
        let (one, other) = (readable.writes().begin(), readable.writes().begin());
        assert!(!are_none());
        drop(one);
        assert!(!are_none());
        drop(other);
        assert!(are_none());
    }
}
