//! Which of two servers has more.
//!
//! MySQL's GTID sets are enough to compare. A position of MariaDB orders transactions by number only: `0-1-150` looks further than `0-2-120`,
//! although server 2 may have gone its own way from 100. So a position with another server id counts as contained only if the binary log's state
//! knows that server up to there.

use topology::{Observation, Position, ServerView};

use crate::facts::is_drained;

/// How a server's transactions compare with another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Equal,
    Ahead,
    Behind,
    /// Each has what the other lacks.
    Apart,
    /// One of them must apply what it has received before they can be compared.
    Unclear,
}

/// All that a server would have after it has applied what it has received.
pub(crate) fn all(seen: &Observation) -> Option<Position> {
    let mut all = seen.sample.applied.clone().or_else(|| seen.received.clone())?;
    for more in [&seen.received, &seen.sample.written].into_iter().flatten() {
        all.merge(more);
    }
    Some(all)
}

/// Whether `mine` has all that `theirs` has; `None` if that is not known yet.
fn has_all(mine: &Observation, theirs: &Observation) -> Option<bool> {
    let (Some(my), Some(their)) = (all(mine), all(theirs)) else { return Some(false) };
    match (my, their) {
        // It has its own transactions even while they wait for acknowledgements, and are not in its own set yet.
        (Position::MySql(my), Position::MySql(their)) => Some(match mine.server_uuid {
            Some(own) => my.contains(&their.without_origin(own)),
            None => my.contains(&their),
        }),
        (Position::MariaDb(my), Position::MariaDb(their)) => {
            // The same here: its own last transaction is in its binary log, even if the position was read earlier.
            let mut is_clear = true;
            for (domain, wanted) in their.iter().filter(|(_, wanted)| wanted.server_id != mine.server_id) {
                let Some(last) = my.last(domain).filter(|last| last.sequence >= wanted.sequence) else { return Some(false) };
                let known = mine.binlog_state.as_ref().and_then(|state| state.last(domain, wanted.server_id));
                is_clear &= last.server_id == wanted.server_id || known.is_some_and(|known| known >= wanted.sequence);
            }
            match (is_clear, is_drained(mine)) {
                (true, _) => Some(true),
                (false, true) => Some(false),
                (false, false) => None,
            }
        }
        _ => Some(false),
    }
}

pub(crate) fn compare(mine: &Observation, theirs: &Observation) -> Order {
    match (has_all(mine, theirs), has_all(theirs, mine)) {
        (Some(true), Some(true)) => Order::Equal,
        (Some(true), _) => Order::Ahead,
        (_, Some(true)) => Order::Behind,
        (Some(false), Some(false)) => Order::Apart,
        _ => Order::Unclear,
    }
}

/// `mine` surely has all that `theirs` has.
pub(crate) fn contains(mine: &Observation, theirs: &Observation) -> bool {
    matches!(compare(mine, theirs), Order::Equal | Order::Ahead)
}

/// When last seen, `mine` surely had all that `theirs` had.
pub(crate) fn has_all_of(mine: &ServerView, theirs: &ServerView) -> bool {
    matches!((mine.seen.as_deref(), theirs.seen.as_deref()), (Some(mine), Some(theirs)) if contains(mine, theirs))
}

/// `mine` has all that `theirs` has, except for what that server has written itself. For a server that was written to by mistake, this is what
/// counts.
pub(crate) fn contains_but_own(mine: &Observation, theirs: &Observation) -> bool {
    if contains(mine, theirs) {
        return true;
    }
    match (all(mine), all(theirs), theirs.server_uuid, &theirs.binlog_state) {
        (Some(Position::MySql(my)), Some(Position::MySql(their)), Some(own), _) => {
            let their = their.without_origin(own);
            my.contains(&mine.server_uuid.map_or_else(|| their.clone(), |uuid| their.without_origin(uuid)))
        }
        (Some(Position::MariaDb(my)), Some(Position::MariaDb(their)), _, Some(state)) => {
            let mut logged = state.clone();
            logged.add_all(&their);
            let knows = |domain: u32, server_id: u32| {
                let last = my.last(domain).filter(|last| last.server_id == server_id).map(|last| last.sequence);
                mine.binlog_state.as_ref().and_then(|state| state.last(domain, server_id)).max(last)
            };
            let others = |gtid: &topology::Gtid| gtid.server_id != theirs.server_id;
            logged
                .iter()
                .filter(|(_, gtid)| others(gtid))
                .all(|(domain, gtid)| knows(domain, gtid.server_id) >= Some(gtid.sequence))
        }
        _ => false,
    }
}
