//! What is known apart from the statements themselves: the catalogue, and which statements have turned out to be writes.
//!
//! The reader of the definitions takes [`Knowledge::changes`] first and hands it in with the catalogue. So a catalogue that was being read while a
//! definition changed is known to be out of date. Until a newer one comes, no statement is trusted to be a read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::{ArcSwap, Guard};

use crate::{Catalogue, Effects, Reason, Statement, StatementKey};

/// See the module. Shared by all threads; classifying a statement takes no lock here.
#[derive(Debug)]
pub struct Knowledge {
    known: ArcSwap<Known>,
    /// Changes of definitions seen so far.
    changes: AtomicU64,
    /// How many of them the catalogue knows.
    known_changes: AtomicU64,
    learned: quick_cache::sync::Cache<StatementKey, ()>,
    learned_count: AtomicU64,
}

/// A catalogue in force.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) catalogue: Catalogue,
    pub(super) generation: u32,
}

impl Knowledge {
    pub(super) fn new(learned_digests: usize) -> Self {
        Self {
            known: ArcSwap::default(),
            changes: AtomicU64::new(0),
            known_changes: AtomicU64::new(0),
            learned: quick_cache::sync::Cache::new(learned_digests),
            learned_count: AtomicU64::new(0),
        }
    }

    /// A statement that may have changed definitions was answered, or nothing is known yet: the catalogue has to be read again.
    pub fn definitions_changed(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    /// Changes of definitions so far. Take it before a server is asked for its definitions.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Whether definitions have changed since the catalogue was read.
    pub fn is_out_of_date(&self) -> bool {
        self.known_changes.load(Ordering::Acquire) != self.changes()
    }

    /// Installs a catalogue that was read after [`Self::changes`] was `as_of`. One that equals its predecessor leaves all verdicts in the cache.
    pub fn learn_catalogue(&self, catalogue: Catalogue, as_of: u64) {
        let known = self.known.load();
        if known.catalogue != catalogue {
            let generation = known.generation.wrapping_add(1);
            self.known.store(Arc::new(Known { catalogue, generation }));
        }
        self.confirm_catalogue(as_of);
    }

    /// The definitions were read again after [`Self::changes`] was `as_of`, and are what they were.
    pub fn confirm_catalogue(&self, as_of: u64) {
        self.known_changes.fetch_max(as_of, Ordering::AcqRel);
    }

    /// A replica has refused the statement as a write. False if that was known.
    pub fn learn_write(&self, statement: &Statement) -> bool {
        let is_new = !self.is_learned(statement.key);
        self.learned.insert(statement.key, ());
        self.learned_count.fetch_add(1, Ordering::AcqRel);
        is_new
    }

    /// Statements that replicas have refused as writes.
    pub fn writes_learned(&self) -> u64 {
        self.learned_count.load(Ordering::Acquire)
    }

    /// Changes whenever a verdict may have changed: what was kept with an older value must be classified again.
    pub fn version(&self) -> u64 {
        self.changes()
            .wrapping_add(self.known_changes.load(Ordering::Acquire))
            .wrapping_add(u64::from(self.known.load().generation))
            .wrapping_add(self.writes_learned())
    }

    /// What makes a statement that seems to be a read more than that.
    pub(super) fn doubt(&self, statement: &Statement) -> Option<Reason> {
        if statement.effects.contains(Effects::READ_DATA) && self.is_out_of_date() {
            return Some(Reason::CatalogueUnknown);
        }
        (self.writes_learned() > 0 && self.is_learned(statement.key)).then_some(Reason::LearnedWrite)
    }

    pub(super) fn catalogue(&self) -> Guard<Arc<Known>> {
        self.known.load()
    }

    fn is_learned(&self, key: StatementKey) -> bool {
        self.learned.get(&key).is_some()
    }
}
