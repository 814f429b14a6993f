//! Why a server was chosen, and why the others were not.

use std::fmt;
use std::time::Duration;

use crate::{Bond, By};

/// Why a statement runs where it runs. Its label is the metric and the log field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Because {
    /// Its transaction is open there.
    Transaction,
    /// The session holds something on the primary.
    Pinned(Bond),
    /// The statement itself needs the primary.
    NeedsPrimary,
    /// It asks about the statement before it, which ran there.
    PreviousStatement,
    /// A session change runs on a connection that the session has, or on the primary.
    SessionChange,
    /// A plain read or a read-only transaction: the balancer chose among the fresh replicas.
    FreshReplica,
    /// A plain read, and no replica is fresh enough: the primary answers.
    NoFreshReplica,
    /// A plain read, and no fresh replica is known yet to have what this session wrote: the primary answers.
    OwnWrite,
    /// There is no primary: of the replicas, one of those that got furthest.
    NoPrimary,
    /// A plain read, and a rule or a hint asks for this server.
    Steered(By),
}

impl Because {
    /// The name in metrics and logs.
    pub fn label(self) -> &'static str {
        match self {
            Self::Transaction => "transaction",
            Self::Pinned(bond) => bond.label(),
            Self::NeedsPrimary => "needs_primary",
            Self::PreviousStatement => "previous_statement",
            Self::SessionChange => "session_change",
            Self::FreshReplica => "fresh_replica",
            Self::NoFreshReplica => "no_fresh_replica",
            Self::OwnWrite => "own_write",
            Self::NoPrimary => "no_primary",
            Self::Steered(By::Hint) => "hint",
            Self::Steered(By::Rule(_)) => "rule",
        }
    }
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transaction => f.write_str("the session's transaction is open there"),
            Self::Pinned(bond) => write!(f, "the session is pinned to the primary ({})", bond.label()),
            Self::NeedsPrimary => f.write_str("the statement needs the primary"),
            Self::PreviousStatement => f.write_str("it asks about the previous statement, which ran there"),
            Self::SessionChange => f.write_str("a session change, repeated on the session's other connections"),
            Self::FreshReplica => f.write_str("a plain read, and this replica's turn"),
            Self::NoFreshReplica => f.write_str("a plain read, but no replica is fresh enough"),
            Self::OwnWrite => f.write_str("a plain read, but no replica is known yet to have what this session wrote"),
            Self::Steered(By::Hint) => f.write_str("a plain read, and its hint asks for this server"),
            Self::Steered(By::Rule(_)) => f.write_str("a plain read, and a rule asks for this server"),
            Self::NoPrimary => f.write_str("a plain read without a primary: this replica is among the most recent"),
        }
    }
}

/// Why a server is no candidate for a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exclusion {
    /// It does not answer.
    Down,
    /// It is the primary, which answers reads only when no replica can.
    Primary,
    /// It is writable, but the replicas do not follow it.
    Stray,
    /// Its role is not known yet.
    UnknownRole,
    /// Its staleness is not known: it was never seen to have what the primary had.
    UnknownStaleness,
    /// It lags.
    Stale {
        /// By how much.
        staleness: Duration,
        /// How much is allowed.
        max_lag: Duration,
    },
    /// It is not known yet to have what this session wrote.
    LacksOwnWrite,
    /// Its weight is 0.
    NoWeight,
    /// It has just failed this statement.
    JustFailed,
}

impl fmt::Display for Exclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Down => f.write_str("it is down"),
            Self::Primary => f.write_str("it is the primary"),
            Self::Stray => f.write_str("it is writable, but not the primary that the replicas follow"),
            Self::UnknownRole => f.write_str("its role is not known yet"),
            Self::UnknownStaleness => f.write_str("it was never seen to have caught up"),
            Self::Stale { staleness, max_lag } => {
                write!(f, "it lags by {} ms, {} ms are allowed", staleness.as_millis(), max_lag.as_millis())
            }
            Self::LacksOwnWrite => f.write_str("it is not known yet to have what this session wrote"),
            Self::NoWeight => f.write_str("its weight is 0"),
            Self::JustFailed => f.write_str("it has just failed this statement"),
        }
    }
}
