//! GTID sets of MySQL: intervals of transaction numbers per origin, as `GTID_SUBSET`, `GTID_SUBTRACT` and union need them.
//!
//! Text form: `uuid:1-5:7,\nuuid:1-55:tag1:1-2` (tags since MySQL 8.3). Gaps are legal, so counts and maxima prove nothing.
//! <https://dev.mysql.com/doc/refman/9.7/en/replication-gtids-concepts.html>

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::{ParsePositionError, Uuid};

/// The greatest transaction number that MySQL gives out: 2^63 - 2.
const NUMBER_MAX: u64 = (1 << 63) - 2;
/// The longest tag that MySQL takes.
const TAG_LEN_MAX: usize = 32;

/// Transaction numbers `first..=last`, with `1 <= first <= last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// The first number in it.
    pub first: u64,
    /// The last number in it.
    pub last: u64,
}

/// The tag of `uuid:tag:1-2`, in lower case, as MySQL keeps it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(Arc<str>);

/// The server that numbered the transactions, and the tag. No tag sorts before all tags, as MySQL prints it.
type Origin = (Uuid, Option<Tag>);

/// A set of transactions. Cloning is cheap.
///
/// Invariants: no origin without intervals; the intervals of an origin ascend, with at least one number missing between two.
/// So equal sets are equal values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GtidSet {
    origins: Arc<BTreeMap<Origin, Vec<Interval>>>,
}

impl GtidSet {
    /// It has no transaction.
    pub fn is_empty(&self) -> bool {
        self.origins.is_empty()
    }

    /// Who numbered transactions of this set, and which.
    pub fn iter(&self) -> impl Iterator<Item = (Uuid, Option<&Tag>, &[Interval])> {
        self.origins.iter().map(|((uuid, tag), intervals)| (*uuid, tag.as_ref(), intervals.as_slice()))
    }

    /// `GTID_SUBSET(other, self)`
    pub fn contains(&self, other: &GtidSet) -> bool {
        // Samples of an idle server share their map.
        Arc::ptr_eq(&self.origins, &other.origins)
            || other.origins.iter().all(|(origin, theirs)| self.origins.get(origin).is_some_and(|mine| covers(mine, theirs)))
    }

    /// The transactions of both.
    #[must_use]
    pub fn union(&self, other: &GtidSet) -> GtidSet {
        let mut all = self.clone();
        all.merge(other);
        all
    }

    /// Adds the transactions of `other`.
    pub fn merge(&mut self, other: &GtidSet) {
        if self.contains(other) {
            return;
        }
        if self.is_empty() {
            self.origins = Arc::clone(&other.origins);
            return;
        }
        let mine = Arc::make_mut(&mut self.origins);
        for (origin, theirs) in other.origins.iter() {
            let intervals = mine.entry(origin.clone()).or_default();
            for interval in theirs {
                insert(intervals, *interval);
            }
        }
    }

    /// `GTID_SUBTRACT(self, other)`: what this one has and `other` lacks.
    #[must_use]
    pub fn subtract(&self, other: &GtidSet) -> GtidSet {
        let left = |(origin, mine): (&Origin, &Vec<Interval>)| {
            let rest = match other.origins.get(origin) {
                Some(theirs) => without(mine, theirs),
                None => mine.clone(),
            };
            (!rest.is_empty()).then(|| (origin.clone(), rest))
        };
        GtidSet { origins: Arc::new(self.origins.iter().filter_map(left).collect()) }
    }

    /// The transactions that this server did not number, with any tag.
    #[must_use]
    pub fn without_origin(&self, uuid: Uuid) -> GtidSet {
        let others = self.origins.iter().filter(|((origin, _), _)| *origin != uuid);
        GtidSet { origins: Arc::new(others.map(|(origin, intervals)| (origin.clone(), intervals.clone())).collect()) }
    }

    /// Adds the transactions `first..=last` of an origin.
    pub fn add(&mut self, uuid: Uuid, tag: Option<Tag>, interval: Interval) {
        insert(Arc::make_mut(&mut self.origins).entry((uuid, tag)).or_default(), interval);
    }
}

impl Interval {
    /// `None` unless `1 <= first <= last < 2^63 - 1`.
    pub fn new(first: u64, last: u64) -> Option<Interval> {
        (1 <= first && first <= last && last <= NUMBER_MAX).then_some(Interval { first, last })
    }

    fn parse(text: &str) -> Option<Interval> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        Interval::new(parse_number(first.trim())?, parse_number(last.trim())?)
    }
}

impl Tag {
    /// Letters, digits and underscores, not starting with a digit, at most 32; upper and lower case are the same.
    pub fn new(text: &str) -> Option<Tag> {
        let is_first = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
        let fits = (1..=TAG_LEN_MAX).contains(&text.len())
            && text.bytes().next().is_some_and(is_first)
            && text.bytes().all(|byte| is_first(byte) || byte.is_ascii_digit());
        fits.then(|| Tag(text.to_ascii_lowercase().into()))
    }

    /// In lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Every number of `theirs` is in `mine`. Both ascend without touching, so one of mine must hold one of theirs as a whole.
fn covers(mine: &[Interval], theirs: &[Interval]) -> bool {
    theirs.iter().all(|their| {
        let candidate = mine.partition_point(|my| my.last < their.first);
        mine.get(candidate).is_some_and(|my| my.first <= their.first && their.last <= my.last)
    })
}

/// Adds an interval and joins what then touches.
fn insert(intervals: &mut Vec<Interval>, new: Interval) {
    // Those from `start` to `end` touch or overlap the new one and become one with it.
    let start = intervals.partition_point(|old| old.last + 1 < new.first);
    let end = intervals.partition_point(|old| old.first <= new.last + 1);
    let touched = intervals.get(start..end).unwrap_or_default();
    let first = touched.first().map_or(new.first, |old| old.first.min(new.first));
    let last = touched.last().map_or(new.last, |old| old.last.max(new.last));
    intervals.splice(start..end.max(start), [Interval { first, last }]);
}

fn without(mine: &[Interval], theirs: &[Interval]) -> Vec<Interval> {
    let mut rest = Vec::new();
    for my in mine {
        let mut first = my.first;
        let start = theirs.partition_point(|their| their.last < my.first);
        for their in theirs.iter().skip(start).take_while(|their| their.first <= my.last) {
            if first < their.first {
                rest.push(Interval { first, last: their.first - 1 });
            }
            first = their.last + 1;
        }
        if first <= my.last {
            rest.push(Interval { first, last: my.last });
        }
    }
    rest
}

impl FromStr for GtidSet {
    type Err = ParsePositionError;

    fn from_str(text: &str) -> Result<GtidSet, ParsePositionError> {
        let mut set = GtidSet::default();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let mut fields = part.split(':').map(str::trim);
            let uuid: Uuid = fields.next().unwrap_or_default().parse()?;
            let mut tag = None;
            for field in fields {
                if field.starts_with(|c: char| c.is_ascii_digit()) {
                    let interval = Interval::parse(field).ok_or_else(|| ParsePositionError::Interval(shown(field)))?;
                    set.add(uuid, tag.clone(), interval);
                } else {
                    tag = Some(Tag::new(field).ok_or_else(|| ParsePositionError::Tag(shown(field)))?);
                }
            }
        }
        Ok(set)
    }
}

/// Digits only: `parse` alone would take a `+`.
fn parse_number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn shown(field: &str) -> String {
    field.chars().take(64).collect()
}

impl fmt::Display for GtidSet {
    /// As MySQL prints it, but without the line breaks.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = None;
        for ((uuid, tag), intervals) in self.origins.iter() {
            if before != Some(uuid) {
                let comma = if before.is_none() { "" } else { "," };
                write!(f, "{comma}{uuid}")?;
                before = Some(uuid);
            }
            if let Some(tag) = tag {
                write!(f, ":{}", tag.as_str())?;
            }
            for Interval { first, last } in intervals {
                if first == last { write!(f, ":{first}")? } else { write!(f, ":{first}-{last}")? }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
