//! Fingerprints by the outline of a text, bounded.
//!
//! Applications send the same text again and again, with other literals at most, and hashing bytes is many times as fast as cutting them into tokens.
//! It is used only for texts that take longer to cut than a lookup that finds nothing. Strangers may choose words in texts and outlines, so the hash
//! has a secret key (`SipHash`), unlike the digest, in which literals do not count.

mod outline;

use std::cell::RefCell;
use std::hash::{Hash, Hasher};
use std::ops::RangeInclusive;

use super::cache::{Bounded, bounded};
use crate::digest::{Fingerprint, Secret, fingerprint};
use crate::lexer::{Kind, Rules, Token};
use crate::{Digest, StatementKey};

/// Sizes of the texts that are remembered, in bytes. Longer ones are mostly literals, which do not come again.
const SIZES: RangeInclusive<usize> = 256..=65_536;

/// The text, and all else on which its fingerprint depends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Key {
    text: u128,
    length: usize,
    is_outline: bool,
    rules: Rules,
}

impl Hash for Key {
    #[allow(clippy::cast_possible_truncation, reason = "the low half is wanted")]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.text as u64);
    }
}

/// A fingerprint that has an offset in the text in place of its first token.
#[derive(Debug, Clone, Copy)]
struct Known {
    digest: Digest,
    key: StatementKey,
    kind: Kind,
    start: usize,
    end: usize,
    gap: bool,
    is_batch: bool,
    is_odd: bool,
}

/// Remembers what [`fingerprint`] returned.
#[derive(Debug)]
pub(super) struct Memo {
    secret: Secret,
    known: Bounded<Key, Known>,
}

impl Memo {
    pub(super) fn new(entries: usize, secret: Secret) -> Self {
        Self { secret, known: bounded(entries) }
    }

    /// The fingerprint of `sql`, remembered or found.
    pub(super) fn fingerprint<'a>(&self, sql: &'a [u8], rules: Rules) -> Fingerprint<'a> {
        if !SIZES.contains(&sql.len()) {
            return fingerprint(sql, rules, &self.secret);
        }
        let key = self.key(sql, rules);
        if let Some(known) = self.known.get(&key) {
            return known.of(sql);
        }
        let found = fingerprint(sql, rules, &self.secret);
        // Up to its first word a text is its own outline; a literal there may differ the next time.
        if found.first.kind != Kind::Literal {
            self.known.insert(key, Known::from(&found));
        }
        found
    }

    fn key(&self, sql: &[u8], rules: Rules) -> Key {
        thread_local! {
            static OUTLINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
        }
        OUTLINE.with_borrow_mut(|outline| {
            let is_outline = outline::draw(sql, rules, outline);
            let text = if is_outline { outline } else { sql };
            Key { text: self.secret.hash(text), length: text.len(), is_outline, rules }
        })
    }
}

impl From<&Fingerprint<'_>> for Known {
    fn from(found: &Fingerprint<'_>) -> Self {
        let first = found.first;
        Self {
            digest: found.digest,
            key: found.key,
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
            key: self.key,
            first: Token { kind: self.kind, text, start: self.start, gap: self.gap },
            is_batch: self.is_batch,
            is_odd: self.is_odd,
        }
    }
}
