//! A server's position, of either engine.

use std::fmt;

use crate::{Engine, GtidPosition, GtidSet};

/// All transactions that a server has, as its GTIDs name them.
///
/// Positions are partially ordered: of two, it may be that neither contains the other. Positions of different engines are not comparable: neither
/// contains the other, and they cannot be merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Position {
    /// `@@gtid_executed`
    MySql(GtidSet),
    /// `@@gtid_binlog_pos` of a primary, `@@gtid_slave_pos` of a replica
    MariaDb(GtidPosition),
}

/// The text is no position of that engine. It names the part that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParsePositionError {
    /// A MySQL GTID set starts each part with a UUID.
    #[error("not a UUID: {0:?}")]
    Uuid(String),
    /// Tags have 1 to 32 letters, digits and underscores, and do not start with a digit.
    #[error("not a GTID tag: {0:?}")]
    Tag(String),
    /// Intervals are `n` or `n-m` with 1 <= n <= m < 2^63 - 1.
    #[error("not a GTID interval: {0:?}")]
    Interval(String),
    /// A MariaDB GTID is `domain-server-sequence`.
    #[error("not a MariaDB GTID: {0:?}")]
    Gtid(String),
}

impl Position {
    /// Reads what a server of this engine prints.
    pub fn parse(engine: Engine, text: &str) -> Result<Position, ParsePositionError> {
        match engine {
            Engine::MySql => text.parse().map(Position::MySql),
            Engine::MariaDb => text.parse().map(Position::MariaDb),
        }
    }

    /// The position of a server of this engine that has nothing yet.
    pub fn empty(engine: Engine) -> Position {
        match engine {
            Engine::MySql => Position::MySql(GtidSet::default()),
            Engine::MariaDb => Position::MariaDb(GtidPosition::default()),
        }
    }

    /// The engine whose GTIDs these are.
    pub fn engine(&self) -> Engine {
        match self {
            Position::MySql(_) => Engine::MySql,
            Position::MariaDb(_) => Engine::MariaDb,
        }
    }

    /// It names no transaction at all. Beware: every position of the engine contains it.
    pub fn is_empty(&self) -> bool {
        match self {
            Position::MySql(set) => set.is_empty(),
            Position::MariaDb(position) => position.is_empty(),
        }
    }

    /// A server at `self` has everything that `other` names. `GTID_SUBSET(other, self)` of MySQL.
    pub fn contains(&self, other: &Position) -> bool {
        match (self, other) {
            (Position::MySql(mine), Position::MySql(theirs)) => mine.contains(theirs),
            (Position::MariaDb(mine), Position::MariaDb(theirs)) => mine.contains(theirs),
            _ => false,
        }
    }

    /// Adds what `other` names. False, and no change, for different engines.
    pub fn merge(&mut self, other: &Position) -> bool {
        match (self, other) {
            (Position::MySql(mine), Position::MySql(theirs)) => mine.merge(theirs),
            (Position::MariaDb(mine), Position::MariaDb(theirs)) => mine.merge(theirs),
            _ => return false,
        }
        true
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Position::MySql(set) => set.fmt(f),
            Position::MariaDb(position) => position.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENGINES: [Engine; 2] = [Engine::MySql, Engine::MariaDb];

    /// The first `last` transactions of a server.
    fn at(engine: Engine, last: u64) -> Position {
        let text = match engine {
            Engine::MySql => format!("3e11fa47-71ca-11e1-9e33-c80aa9429562:1-{last}"),
            Engine::MariaDb => format!("0-1-{last}"),
        };
        Position::parse(engine, &text).unwrap()
    }

    #[test]
    fn positions_of_one_engine_are_compared_and_merged() {
        for engine in ENGINES {
            let (less, more) = (at(engine, 5), at(engine, 7));
            assert!(more.contains(&less) && more.contains(&more) && !less.contains(&more));
            let mut merged = less.clone();
            assert!(merged.merge(&more));
            assert_eq!(merged, more);
            assert!(merged.merge(&less));
            assert_eq!(merged, more);
            assert_eq!((more.engine(), more.is_empty(), Position::empty(engine).is_empty()), (engine, false, true));
        }
    }

    #[test]
    fn positions_of_different_engines_have_nothing_in_common() {
        for (mine, theirs) in [ENGINES, [Engine::MariaDb, Engine::MySql]].map(|[mine, theirs]| (at(mine, 9), at(theirs, 1))) {
            assert!(!mine.contains(&theirs));
            let mut merged = mine.clone();
            assert!(!merged.merge(&theirs));
            assert_eq!(merged, mine);
        }
    }

    #[test]
    fn a_position_is_shown_as_its_server_prints_it() {
        let shown = ENGINES.map(|engine| at(engine, 5).to_string());
        assert_eq!(shown, ["3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5", "0-1-5"]);
    }
}
