//! `gtid_binlog_state` of MariaDB: the last transaction of each server in each domain, as far as a server's binary log knows.
//!
//! A position (`gtid_binlog_pos`, `gtid_slave_pos`) only names the last transaction of a domain. Two servers may both be at number 120
//! of a domain and have different transactions up to there; the state of one tells whether it has the last of the other.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::gtid_position::parse_gtid;
use crate::{Gtid, GtidPosition, ParsePositionError};

/// The last sequence number of each domain and server id, for example `0-1-100,0-2-120`. Cloning is cheap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BinlogState {
    last: Arc<BTreeMap<(u32, u32), u64>>,
}

impl BinlogState {
    /// The last transaction that this server has written in this domain.
    pub fn last(&self, domain: u32, server_id: u32) -> Option<u64> {
        self.last.get(&(domain, server_id)).copied()
    }

    /// The domain has transactions.
    pub fn has_domain(&self, domain: u32) -> bool {
        self.last.range((domain, 0)..=(domain, u32::MAX)).next().is_some()
    }

    /// Domains and transactions, by domain and server id.
    pub fn iter(&self) -> impl Iterator<Item = (u32, Gtid)> + '_ {
        self.last.iter().map(|((domain, server_id), sequence)| (*domain, Gtid { server_id: *server_id, sequence: *sequence }))
    }

    /// Adds a transaction, unless a later one of the same server is known.
    pub fn add(&mut self, domain: u32, gtid: Gtid) {
        let last = Arc::make_mut(&mut self.last).entry((domain, gtid.server_id)).or_insert(gtid.sequence);
        *last = gtid.sequence.max(*last);
    }

    /// Adds the transactions of a position.
    pub fn add_all(&mut self, position: &GtidPosition) {
        for (domain, gtid) in position.iter() {
            self.add(domain, gtid);
        }
    }
}

impl FromStr for BinlogState {
    type Err = ParsePositionError;

    fn from_str(text: &str) -> Result<BinlogState, ParsePositionError> {
        let mut state = BinlogState::default();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (domain, gtid) = parse_gtid(part)?;
            state.add(domain, gtid);
        }
        Ok(state)
    }
}

impl fmt::Display for BinlogState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (domain, gtid)) in self.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            write!(f, "{comma}{domain}-{}-{}", gtid.server_id, gtid.sequence)?;
        }
        Ok(())
    }
}
