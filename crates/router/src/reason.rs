//! Why a server was chosen, and why the others were not.

use std::fmt;
use std::time::Duration;

use classifier::PinKind;

use crate::By;

/// Why a statement runs where it runs. Its label is the metric and the log field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Because {
    /// Its transaction is open there.
    Transaction,
    /// The session has `autocommit = 0`, so that every statement belongs to a transaction.
    NoAutocommit,
    /// A transaction at `READ COMMITTED`: it begins on a replica, or goes on on the primary (`routing.transaction_reads`).
    LazyTransaction,
    /// The session holds something on the primary.
    Pinned(PinKind),
    /// The statement itself needs the primary.
    NeedsPrimary,
    /// It asks about the statement before it, which ran there.
    PreviousStatement,
    /// A session change runs on a connection that the session has, or on the primary.
    SessionChange,
    /// A plain read or a read-only transaction: the balancer chose among the fresh replicas.
    FreshReplica,
    /// A plain read or a read-only transaction, and no active replica may answer: a backup does.
    Backup,
    /// A plain read, and no replica is fresh enough: the primary answers.
    NoFreshReplica,
    /// A plain read, and no fresh replica is known yet to have what this session wrote: the primary answers.
    OwnWrite,
    /// A plain read that must see what this session wrote: this replica is about to have it, and answers then.
    CausalWait,
    /// There is no primary: one of the most advanced replicas answers.
    NoPrimary,
    /// The primary does not answer: one of the most advanced replicas answers.
    SilentPrimary,
    /// It ends what the session has on a server that is no longer the primary.
    EndsState,
    /// `SET GLOBAL`, without a primary: the server that was the primary last.
    LastPrimary,
    /// A plain read, and a rule or a hint asks for this server.
    Steered(By),
}

impl Because {
    /// The name in metrics and logs.
    pub fn label(self) -> &'static str {
        match self {
            Self::Transaction => "transaction",
            Self::NoAutocommit => "no_autocommit",
            Self::LazyTransaction => "lazy_transaction",
            Self::Pinned(pin) => pin.label(),
            Self::NeedsPrimary => "needs_primary",
            Self::PreviousStatement => "previous_statement",
            Self::SessionChange => "session_change",
            Self::FreshReplica => "fresh_replica",
            Self::Backup => "backup",
            Self::NoFreshReplica => "no_fresh_replica",
            Self::OwnWrite => "own_write",
            Self::CausalWait => "causal_wait",
            Self::NoPrimary => "no_primary",
            Self::SilentPrimary => "silent_primary",
            Self::EndsState => "ends_state",
            Self::LastPrimary => "last_primary",
            Self::Steered(By::Hint) => "hint",
            Self::Steered(By::Rule(_)) => "rule",
        }
    }
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transaction => f.write_str("the session's transaction is open there"),
            Self::NoAutocommit => f.write_str("the session is pinned to the primary (no_autocommit)"),
            Self::LazyTransaction => f.write_str(
                "a transaction at READ COMMITTED reads on a replica until its first statement that is no plain read (routing.transaction_reads)",
            ),
            Self::Pinned(pin) => write!(f, "the session is pinned to the primary ({})", pin.label()),
            Self::NeedsPrimary => f.write_str("the statement needs the primary"),
            Self::PreviousStatement => f.write_str("it asks about the previous statement, which ran there"),
            Self::SessionChange => f.write_str("a session change, repeated on the session's other connections"),
            Self::FreshReplica => f.write_str("a plain read, and this replica's turn"),
            Self::Backup => f.write_str("a plain read, but no active replica may answer it: this backup does"),
            Self::NoFreshReplica => f.write_str("a plain read, but no replica is fresh enough"),
            Self::OwnWrite => f.write_str("a plain read, but no replica is known yet to have what this session wrote"),
            Self::CausalWait => f.write_str(
                "a plain read, and this replica is asked to answer once it has what this session wrote (routing.causal_wait)",
            ),
            Self::Steered(By::Hint) => f.write_str("a plain read, and its hint asks for this server"),
            Self::Steered(By::Rule(_)) => f.write_str("a plain read, and a rule asks for this server"),
            Self::NoPrimary => f.write_str("a plain read without a primary: this replica is among the most recent"),
            Self::SilentPrimary => {
                f.write_str("a plain read while the primary does not answer: this replica is among the most recent")
            }
            Self::EndsState => f.write_str("it lifts what the session has there"),
            Self::LastPrimary => f.write_str("it sets a server's variable, and this was the last primary"),
        }
    }
}

/// Why a server is no candidate for a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exclusion {
    /// It does not answer.
    Down,
    /// It has not answered for a moment.
    Silent,
    /// It is the primary, which answers reads only when no replica can.
    Primary,
    /// It is writable, but the replicas do not follow it.
    Stray,
    /// Its role is not known yet.
    UnknownRole,
    /// It has transactions that the primary does not have.
    Diverged,
    /// Replication filters keep some of the primary's writes from it.
    Filtered,
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
    /// It answers only while no active replica may.
    Backup,
    /// It gets nothing new, since a person drains it.
    Drain,
    /// A person has put it into maintenance.
    Maintenance,
    /// It has just failed this statement.
    JustFailed,
}

impl fmt::Display for Exclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Down => f.write_str("it is down"),
            Self::Silent => f.write_str("it has not answered for a moment"),
            Self::Primary => f.write_str("it is the primary"),
            Self::Stray => f.write_str("it is writable, but not the primary that the replicas follow"),
            Self::UnknownRole => f.write_str("its role is not known yet"),
            Self::Diverged => f.write_str("it has transactions that the primary does not have, so its data differs"),
            Self::Filtered => f.write_str("replication filters leave out some of what the primary writes"),
            Self::UnknownStaleness => f.write_str("it was never seen to have caught up"),
            Self::Stale { staleness, max_lag } => {
                write!(f, "it lags by {} ms, {} ms are allowed", millis_up(*staleness), max_lag.as_millis())
            }
            Self::LacksOwnWrite => f.write_str("it is not known yet to have what this session wrote"),
            Self::NoWeight => f.write_str("its weight is 0"),
            Self::Backup => f.write_str("it is a backup, for reads that no active replica may answer"),
            Self::Drain => f.write_str("it is being drained (its state)"),
            Self::Maintenance => f.write_str("it is in maintenance (its state)"),
            Self::JustFailed => f.write_str("it has just failed this statement"),
        }
    }
}

/// In milliseconds, rounded up, so that a value beyond a limit is also displayed as beyond it.
#[must_use]
pub fn millis_up(staleness: Duration) -> u128 {
    staleness.as_nanos().div_ceil(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_staleness_just_beyond_the_limit_reads_as_beyond_it() {
        let max_lag = Duration::from_secs(1);
        let stale = Exclusion::Stale { staleness: max_lag + Duration::from_nanos(1), max_lag };
        assert_eq!(stale.to_string(), "it lags by 1001 ms, 1000 ms are allowed");
    }
}
