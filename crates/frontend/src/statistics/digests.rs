//! What is counted of the statements of one digest, for each account, schema and server.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::Instant;

use classifier::Digest;
use topology::ServerId;

use super::{Event, Histogram};

/// Bytes of a digest's text that are kept.
pub(crate) const TEXT_MAX: usize = 1024;

/// What tells one line of the statistics from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct DigestKey<'a> {
    pub(crate) digest: Digest,
    pub(crate) user: &'a [u8],
    /// The session's default schema.
    pub(crate) schema: Option<&'a [u8]>,
    /// Where it ran; `None` if it was not sent.
    pub(crate) server: Option<ServerId>,
}

/// One line of the statistics.
#[derive(Debug, Clone)]
pub struct DigestLine {
    /// What its statements have in common. Zero, with everything else that names them empty, for those that found the table full.
    pub digest: Digest,
    /// The normalised text; its first bytes, if it is long.
    pub text: Arc<[u8]>,
    /// The account.
    pub user: Box<[u8]>,
    /// The session's default schema.
    pub schema: Option<Box<[u8]>>,
    /// Where they ran. `None`: they were not sent.
    pub server: Option<ServerId>,
    /// Why the last one ran there, or why it did not.
    pub because: &'static str,
    /// Those that ended in an error.
    pub errors: u64,
    /// Rows that clients got. Of several results of one statement, those of the last.
    pub rows: u64,
    /// Rows that were changed.
    pub changed: u64,
    /// Bytes that clients got.
    pub bytes: u64,
    /// From the arrival of each command until its answer had been passed on.
    pub times: Histogram,
    /// The first one's end.
    pub first_seen: Instant,
    /// The last one's.
    pub last_seen: Instant,
}

impl DigestLine {
    fn new(key: &DigestKey<'_>, event: &Event) -> Self {
        Self {
            digest: key.digest,
            text: Arc::default(),
            user: key.user.into(),
            schema: key.schema.map(Box::from),
            server: key.server,
            because: event.because,
            errors: 0,
            rows: 0,
            changed: 0,
            bytes: 0,
            times: Histogram::default(),
            first_seen: event.ended,
            last_seen: event.ended,
        }
    }

    fn note(&mut self, event: &Event) {
        self.because = event.because;
        self.errors += u64::from(event.is_error);
        self.rows = self.rows.saturating_add(event.rows);
        self.changed = self.changed.saturating_add(event.changed);
        self.bytes = self.bytes.saturating_add(event.bytes);
        self.times.note(event.took);
        self.last_seen = event.ended;
    }

    /// Another worker's line of the same key.
    fn add(&mut self, other: &Self) {
        if self.text.is_empty() {
            self.text = Arc::clone(&other.text);
        }
        if other.last_seen > self.last_seen {
            self.because = other.because;
        }
        self.errors += other.errors;
        self.rows = self.rows.saturating_add(other.rows);
        self.changed = self.changed.saturating_add(other.changed);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.times.add(&other.times);
        self.first_seen = self.first_seen.min(other.first_seen);
        self.last_seen = self.last_seen.max(other.last_seen);
    }

    fn key(&self) -> DigestKey<'_> {
        DigestKey { digest: self.digest, user: &self.user, schema: self.schema.as_deref(), server: self.server }
    }
}

/// One worker's lines.
///
/// A digest has no secret key, and neither has what clients choose; so lines are found by a keyed hash. A full table takes no new lines: an account
/// that makes up statements cannot push out what the others do. What finds no line is counted in one for all of these, as the servers do in
/// `events_statements_summary_by_digest` (MySQL manual 29.12.20.3).
#[derive(Debug, Default)]
pub(crate) struct Digests {
    hasher: RandomState,
    lines: HashMap<u64, DigestLine>,
    rest: Option<Box<DigestLine>>,
    texts: HashMap<Digest, Arc<[u8]>>,
}

impl Digests {
    /// Keeps the normalised text of a digest, of at most `limit` of them. It is to be called while the statement is at hand, and `text` only if it is new.
    pub(crate) fn learn(&mut self, limit: usize, digest: Digest, text: impl FnOnce() -> Vec<u8>) {
        if !self.texts.contains_key(&digest) && self.texts.len() < limit {
            self.texts.insert(digest, text().into());
        }
    }

    /// Counts a statement, in at most `limit` lines.
    pub(crate) fn note(&mut self, limit: usize, key: &DigestKey<'_>, event: &Event) {
        let hash = self.hasher.hash_one(key);
        if let Some(line) = self.lines.get_mut(&hash) {
            return line.note(event);
        }
        if self.lines.len() < limit {
            return self.lines.entry(hash).or_insert_with(|| DigestLine::new(key, event)).note(event);
        }
        let nobody = DigestKey { digest: Digest::default(), user: &[], schema: None, server: None };
        self.rest.get_or_insert_with(|| Box::new(DigestLine::new(&nobody, event))).note(event);
    }

    /// The normalised text of a digest, if it was kept.
    pub(crate) fn text(&self, digest: Digest) -> Option<Arc<[u8]>> {
        self.texts.get(&digest).cloned()
    }

    /// Forgets all of them.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }

    /// Adds copies of all lines, with their texts, to those of other workers.
    pub(crate) fn add_to(&self, all: &mut MergedDigests) {
        let with_text =
            |line: &DigestLine| DigestLine { text: self.texts.get(&line.digest).cloned().unwrap_or_default(), ..line.clone() };
        for line in self.lines.values().chain(self.rest.as_deref()).map(with_text) {
            match all.lines.entry(all.hasher.hash_one(line.key())) {
                Entry::Occupied(mut known) => known.get_mut().add(&line),
                Entry::Vacant(new) => drop(new.insert(line)),
            }
        }
    }
}

/// The lines of all workers.
#[derive(Debug, Default)]
pub(crate) struct MergedDigests {
    hasher: RandomState,
    lines: HashMap<u64, DigestLine>,
}

impl MergedDigests {
    /// Those that took most time together come first.
    pub(crate) fn into_lines(self) -> Vec<DigestLine> {
        let mut lines: Vec<_> = self.lines.into_values().collect();
        lines.sort_by_key(|line| Reverse(line.times.sum()));
        lines
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const LIMIT: usize = 2;

    fn key(digest: u128, user: &'static str, server: u16) -> DigestKey<'static> {
        DigestKey { digest: Digest(digest), user: user.as_bytes(), schema: Some(b"shop"), server: Some(ServerId(server)) }
    }

    fn event(ended: Instant, milliseconds: u64) -> Event {
        Event {
            server: Some(ServerId(1)),
            because: "fresh_replica",
            verdict: "read",
            tries: 1,
            ended,
            took: Duration::from_millis(milliseconds),
            is_error: milliseconds == 3,
            rows: 2,
            changed: 0,
            bytes: 100,
        }
    }

    fn merged(workers: &[&Digests]) -> Vec<DigestLine> {
        let mut all = MergedDigests::default();
        for digests in workers {
            digests.add_to(&mut all);
        }
        all.into_lines()
    }

    #[test]
    fn statements_of_one_digest_account_schema_and_server_share_a_line() {
        let (mut digests, now) = (Digests::default(), Instant::now());
        digests.learn(LIMIT, Digest(1), || b"SELECT ?".to_vec());
        digests.learn(LIMIT, Digest(1), || panic!("it is known"));
        for (milliseconds, later) in [(5, 0), (3, 1), (4, 2)] {
            digests.note(LIMIT, &key(1, "app", 1), &event(now + Duration::from_secs(later), milliseconds));
        }
        digests.note(LIMIT, &key(1, "app", 2), &event(now, 1));
        let lines = merged(&[&digests]);
        let [first, second] = lines.as_slice() else { panic!("{lines:?}") };
        assert_eq!((first.times.count(), first.errors, first.rows, first.bytes), (3, 1, 6, 300));
        assert_eq!((first.first_seen, first.last_seen), (now, now + Duration::from_secs(2)));
        assert_eq!((&*first.text, &*first.user, first.server), (&b"SELECT ?"[..], &b"app"[..], Some(ServerId(1))));
        assert_eq!((second.times.count(), second.server), (1, Some(ServerId(2))));
    }

    #[test]
    fn a_full_table_counts_new_digests_together_and_keeps_the_old_ones() {
        let (mut digests, now) = (Digests::default(), Instant::now());
        for digest in [1, 2, 3, 4, 1] {
            digests.note(LIMIT, &key(digest, "app", 1), &event(now, 1));
        }
        let mut counts: Vec<_> = merged(&[&digests]).iter().map(|line| (line.digest.0, line.times.count())).collect();
        counts.sort_unstable();
        assert_eq!(counts, [(0, 2), (1, 2), (2, 1)]);
        digests.reset();
        assert!(merged(&[&digests]).is_empty());
    }

    #[test]
    fn lines_of_several_workers_are_added_up() {
        let (mut first, mut second, now) = (Digests::default(), Digests::default(), Instant::now());
        let later = now + Duration::from_secs(1);
        first.note(LIMIT, &key(1, "app", 1), &event(now, 1));
        second.note(LIMIT, &key(1, "app", 1), &Event { because: "own_write", ..event(later, 3) });
        second.note(LIMIT, &key(1, "other", 1), &event(now, 9));
        let lines = merged(&[&first, &second]);
        assert_eq!(
            lines.iter().map(|line| (&*line.user, line.times.count())).collect::<Vec<_>>(),
            [(&b"other"[..], 1), (b"app", 2)]
        );
        let both = &lines[1];
        assert_eq!((both.because, both.errors, both.first_seen, both.last_seen), ("own_write", 1, now, later));
        assert_eq!((both.times.least(), both.times.most()), (Some(Duration::from_millis(1)), Some(Duration::from_millis(3))));
    }
}
