//! Positions of MariaDB: one GTID per replication domain.
//!
//! Within a domain the sequence number alone is the order. The server id says which server wrote the transaction, and is kept for display:
//! `MASTER_GTID_WAIT('0-77-3')` is satisfied at `0-1-3` (tried on 10.11 and 11.8). So after a failover that lost transactions, a position that
//! includes lost transactions can look contained; [`BinlogState`](crate::BinlogState) tells whether it is.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::ParsePositionError;

/// The last transaction of a domain, without the domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gtid {
    /// The server that wrote it.
    pub server_id: u32,
    /// Its number in the domain.
    pub sequence: u64,
}

/// The last transaction of every domain, for example `0-1-100,5-2-7`. Cloning is cheap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GtidPosition {
    domains: Arc<BTreeMap<u32, Gtid>>,
}

impl GtidPosition {
    /// It names no transaction.
    pub fn is_empty(&self) -> bool {
        self.domains.is_empty()
    }

    /// The last transaction of this domain.
    pub fn last(&self, domain: u32) -> Option<Gtid> {
        self.domains.get(&domain).copied()
    }

    /// Domains and their last transactions, by domain.
    pub fn iter(&self) -> impl Iterator<Item = (u32, Gtid)> + '_ {
        self.domains.iter().map(|(domain, gtid)| (*domain, *gtid))
    }

    /// Whether this position is as far or further in every domain of `other`.
    pub fn contains(&self, other: &GtidPosition) -> bool {
        Arc::ptr_eq(&self.domains, &other.domains)
            || other.iter().all(|(domain, theirs)| self.last(domain).is_some_and(|mine| mine.sequence >= theirs.sequence))
    }

    /// The further of both, in every domain.
    #[must_use]
    pub fn union(&self, other: &GtidPosition) -> GtidPosition {
        let mut all = self.clone();
        all.merge(other);
        all
    }

    /// Advances to `other` wherever that is further.
    pub fn merge(&mut self, other: &GtidPosition) {
        if self.contains(other) {
            return;
        }
        for (domain, theirs) in other.iter() {
            self.advance(domain, theirs);
        }
    }

    /// Advances one domain, never back.
    pub fn advance(&mut self, domain: u32, to: Gtid) {
        let last = Arc::make_mut(&mut self.domains).entry(domain).or_insert(to);
        if last.sequence < to.sequence {
            *last = to;
        }
    }
}

impl FromStr for GtidPosition {
    type Err = ParsePositionError;

    /// Reads `domain-server-sequence` with commas between. A binlog state has several entries for one domain; the furthest counts.
    fn from_str(text: &str) -> Result<GtidPosition, ParsePositionError> {
        let mut position = GtidPosition::default();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (domain, gtid) = parse_gtid(part)?;
            position.advance(domain, gtid);
        }
        Ok(position)
    }
}

/// Reads `domain-server-sequence`.
pub(crate) fn parse_gtid(text: &str) -> Result<(u32, Gtid), ParsePositionError> {
    parse_parts(text).ok_or_else(|| ParsePositionError::Gtid(text.chars().take(64).collect()))
}

fn parse_parts(text: &str) -> Option<(u32, Gtid)> {
    let mut parts = text.split('-');
    let domain = parse_number(parts.next()?)?;
    let server_id = parse_number(parts.next()?)?;
    let sequence = parse_number(parts.next()?)?;
    parts.next().is_none().then_some((domain, Gtid { server_id, sequence }))
}

/// Digits only: `parse` alone would take a `+`.
fn parse_number<T: FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

impl fmt::Display for GtidPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (domain, gtid)) in self.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            write!(f, "{comma}{domain}-{}-{}", gtid.server_id, gtid.sequence)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
