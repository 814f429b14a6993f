//! Whether a replica's transactions are part of the primary's history.
//!
//! A replica that has everything which the primary had at some moment may still have wrong data, because it may have more. A former primary whose
//! last writes no replica received, or a replica that was written to directly, answers with rows that the primary does not have. On MariaDB it is
//! worse, as a position orders transactions by number only: `0-1-150` is further than `0-2-120`, whatever was lost in between.
//!
//! So a replica is proven fresh only while none of its transactions is *foreign*, that is, neither known to the primary nor numbered by the primary
//! itself. The primary's own transactions do not count, because we may see them on a replica first: the replica was asked later, or the primary still
//! waits for the acknowledgement of another replica. Any other transaction must have come through the primary. It is foreign if a look at the primary
//! that began after it was seen on the replica does not show it.
//!
//! On MySQL the transactions are `gtid_executed`. On MariaDB they are `gtid_slave_pos` and `gtid_binlog_state`, by domain and server id. Before a
//! server became the primary it applied what others wrote, so its `gtid_binlog_state` (or, without `log_slave_updates`, its `gtid_slave_pos`) names
//! the last transaction of each former primary that it has. Later transactions of that server on a replica were lost on the primary, and sequence
//! numbers of other servers say nothing about that. A server that is not in that state at all may have written before the primary's log begins. In a
//! replica's own log such a transaction is history; as the last one that a replica has applied it cannot be compared, so it counts as foreign, too.
//! Domains that the primary does not have are local by design, or belong to another source.

use std::fmt;

use crate::{BinlogState, Gtid, GtidPosition, GtidSet, Observation, Position};

/// Transactions that a server has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Transactions {
    MySql(GtidSet),
    MariaDb { applied: GtidPosition, logged: BinlogState },
}

impl Transactions {
    /// All transactions of a server other than the primary. `None` if it keeps no positions, or follows more than one source and so has more by
    /// design.
    pub(super) fn of(replica: &Observation) -> Option<Transactions> {
        if replica.channels.len() > 1 {
            return None;
        }
        match replica.sample.applied.clone()? {
            Position::MySql(executed) => Some(Transactions::MySql(executed)),
            Position::MariaDb(mut applied) => {
                // A server that follows no other has written the last transaction of its log itself, or applied it last.
                if let (true, Some(Position::MariaDb(written))) = (replica.channels.is_empty(), &replica.sample.written) {
                    applied.merge(written);
                }
                Some(Transactions::MariaDb { applied, logged: replica.binlog_state.clone().unwrap_or_default() })
            }
        }
    }

    /// The transactions that are neither known to the primary nor its own; `None` if there are none.
    pub(super) fn foreign_to(&self, primary: &Observation) -> Option<Transactions> {
        match self {
            Transactions::MySql(executed) => {
                let Some(Position::MySql(known)) = &primary.sample.applied else { return None };
                let foreign = executed.subtract(known);
                let foreign = match primary.server_uuid {
                    Some(own) => foreign.without_origin(own),
                    None => foreign,
                };
                (!foreign.is_empty()).then_some(Transactions::MySql(foreign))
            }
            Transactions::MariaDb { applied, logged } => foreign_to_mariadb(applied, logged, primary),
        }
    }
}

fn foreign_to_mariadb(applied: &GtidPosition, logged: &BinlogState, primary: &Observation) -> Option<Transactions> {
    let mut known = primary.binlog_state.clone()?;
    for position in [&primary.sample.applied, &primary.sample.written] {
        let Some(Position::MariaDb(position)) = position else { return None };
        known.add_all(position);
    }
    let is_others = |gtid: &Gtid| gtid.server_id != primary.server_id;
    let last = |domain: u32, gtid: &Gtid| known.last(domain, gtid.server_id);
    let mut foreign = (GtidPosition::default(), BinlogState::default());
    for (domain, gtid) in applied.iter().filter(|(domain, gtid)| is_others(gtid) && known.has_domain(*domain)) {
        if last(domain, &gtid).is_none_or(|last| last < gtid.sequence) {
            foreign.0.advance(domain, gtid);
        }
    }
    for (domain, gtid) in logged.iter().filter(|(_, gtid)| is_others(gtid)) {
        if last(domain, &gtid).is_some_and(|last| last < gtid.sequence) {
            foreign.1.add(domain, gtid);
        }
    }
    let (applied, logged) = foreign;
    (applied != GtidPosition::default() || logged != BinlogState::default()).then_some(Transactions::MariaDb { applied, logged })
}

impl fmt::Display for Transactions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Transactions::MySql(set) => set.fmt(f),
            Transactions::MariaDb { applied, logged } => {
                let mut all = logged.clone();
                all.add_all(applied);
                all.fmt(f)
            }
        }
    }
}

#[cfg(test)]
mod tests;
