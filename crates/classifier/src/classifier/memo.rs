//! Fingerprints by the exact bytes of a text, bounded.
//!
//! Applications that bind parameters send the same bytes again and again, and hashing bytes is many times as fast as cutting them into
//! tokens. Only for texts of which cutting takes longer than a lookup that finds nothing. Texts have literals in them, which strangers may
//! choose; so the hash has a secret key (`SipHash`), unlike the digest, in which literals do not count.

use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::ops::RangeInclusive;

use quick_cache::UnitWeighter;
use siphasher::sip128::{Hasher128 as _, SipHasher13};

use super::cache::AsItIs;
use crate::Digest;
use crate::digest::{Fingerprint, fingerprint};
use crate::lexer::{Kind, Rules, Token};

/// Sizes of the texts that are remembered. Longer ones are mostly literals, which do not come again.
const SIZES: RangeInclusive<usize> = 256..=65_536;

/// The bytes, and all else on which their fingerprint depends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Key {
    text: u128,
    length: usize,
    rules: Rules,
}

impl Hash for Key {
    #[allow(clippy::cast_possible_truncation, reason = "the low half is wanted")]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.text as u64);
    }
}

/// A fingerprint whose first token is a place in the text.
#[derive(Debug, Clone, Copy)]
struct Known {
    digest: Digest,
    kind: Kind,
    start: usize,
    end: usize,
    gap: bool,
    is_batch: bool,
    is_odd: bool,
}

/// What [`fingerprint`] has said.
#[derive(Debug)]
pub(super) struct Memo {
    key: [u8; 16],
    known: quick_cache::sync::Cache<Key, Known, UnitWeighter, BuildHasherDefault<AsItIs>>,
}

impl Memo {
    pub(super) fn new(entries: usize, key: u128) -> Self {
        let known = quick_cache::sync::Cache::with(
            entries,
            entries as u64,
            UnitWeighter,
            BuildHasherDefault::default(),
            quick_cache::sync::DefaultLifecycle::default(),
        );
        Self { key: key.to_le_bytes(), known }
    }

    /// The fingerprint of `sql`, remembered or found.
    pub(super) fn fingerprint<'a>(&self, sql: &'a [u8], rules: Rules) -> Fingerprint<'a> {
        if !SIZES.contains(&sql.len()) {
            return fingerprint(sql, rules);
        }
        let key = Key { text: self.hash(sql), length: sql.len(), rules };
        if let Some(known) = self.known.get(&key) {
            return known.of(sql);
        }
        let found = fingerprint(sql, rules);
        self.known.insert(key, Known::from(&found));
        found
    }

    fn hash(&self, sql: &[u8]) -> u128 {
        let mut hasher = SipHasher13::new_with_key(&self.key);
        hasher.write(sql);
        hasher.finish128().as_u128()
    }
}

impl From<&Fingerprint<'_>> for Known {
    fn from(found: &Fingerprint<'_>) -> Self {
        let first = found.first;
        Self {
            digest: found.digest,
            kind: first.kind,
            start: first.start,
            end: first.end(),
            gap: first.gap,
            is_batch: found.is_batch,
            is_odd: found.is_odd,
        }
    }
}

impl Known {
    fn of(self, sql: &[u8]) -> Fingerprint<'_> {
        let text = sql.get(self.start..self.end).unwrap_or_default();
        Fingerprint {
            digest: self.digest,
            first: Token { kind: self.kind, text, start: self.start, gap: self.gap },
            is_batch: self.is_batch,
            is_odd: self.is_odd,
        }
    }
}
