//! Verdicts on reads by their keys, bounded.

use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::UnitWeighter;

use crate::digest::Fingerprint;
use crate::schema::SchemaClass;
use crate::{Dialect, Effects, Reason, SqlMode, Statement, StatementKey, Verb};

/// How often verdicts were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheStats {
    /// Statements whose verdict was there.
    pub hits: u64,
    /// Reads that had to be classified.
    pub misses: u64,
    /// Verdicts kept now.
    pub entries: u64,
}

/// Everything on which the verdict of a read depends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) statement: StatementKey,
    pub(super) dialect: Dialect,
    pub(super) sql_mode: SqlMode,
    pub(super) schema: SchemaClass,
    /// Of the catalogue.
    pub(super) generation: u32,
}

impl Hash for Key {
    /// The statement's key is a hash already; the other fields hardly ever differ.
    #[allow(clippy::cast_possible_truncation, reason = "the low half is wanted")]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.statement.0 as u64 ^ u64::from(self.sql_mode.bits()));
    }
}

/// Takes the digest as it is.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// A statement without its digest.
#[derive(Debug, Clone, Copy)]
pub(super) struct Verdict {
    pub(super) verb: Verb,
    pub(super) effects: Effects,
    pub(super) because: Reason,
}

impl Verdict {
    pub(super) fn into_statement(self, found: &Fingerprint<'_>) -> Statement {
        Statement {
            verb: self.verb,
            effects: self.effects,
            because: self.because,
            digest: found.digest,
            key: found.key,
            first_definition: 0,
            session: Vec::new(),
        }
    }
}

/// A cache with a limited number of entries, whose keys are hashes already.
pub(super) type Bounded<K, V> = quick_cache::sync::Cache<K, V, UnitWeighter, BuildHasherDefault<AsItIs>>;

pub(super) fn bounded<K: Eq + Hash, V: Clone>(entries: usize) -> Bounded<K, V> {
    let lifecycle = quick_cache::sync::DefaultLifecycle::default();
    Bounded::with(entries, entries as u64, UnitWeighter, BuildHasherDefault::default(), lifecycle)
}

#[derive(Debug)]
pub(super) struct Cache {
    verdicts: Bounded<Key, Verdict>,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl Cache {
    pub(super) fn new(entries: usize) -> Self {
        Self { verdicts: bounded(entries), hits: AtomicU64::new(0), misses: AtomicU64::new(0) }
    }

    pub(super) fn find(&self, key: &Key) -> Option<Verdict> {
        let verdict = self.verdicts.get(key);
        let counter = if verdict.is_some() { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        verdict
    }

    pub(super) fn keep(&self, key: Key, verdict: Verdict) {
        self.verdicts.insert(key, verdict);
    }

    pub(super) fn stats(&self) -> CacheStats {
        CacheStats {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            entries: self.verdicts.len() as u64,
        }
    }
}
