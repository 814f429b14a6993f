//! Why a statement cannot run on any server.

use std::fmt;

use crate::Exclusion;

/// A refusal. The frontend chooses its error number (`reply`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// The statement needs a primary and there is none.
    NoPrimary,
    /// The primary is about to hand over to another server, and statements do not wait.
    Handover,
    /// A read, and no server at all can answer.
    NoServer,
    /// The transaction's server is down or lost its role.
    TransactionLost,
    /// What the session had on a server is lost, since another server is the primary now.
    PinLost,
    /// A write inside `START TRANSACTION READ ONLY`.
    ReadOnlyTransaction,
    /// Inside a read-only transaction on a replica, a statement that can only run on the primary.
    PrimaryOnlyInReplicaTransaction,
    /// It asks for `LAST_INSERT_ID()`, and the connection that knew it was lost.
    InsertIdLost,
    /// It asks about the previous statement, and the connection that knew is gone.
    PreviousStatementLost,
    /// It needs the primary and asks about the previous statement, which ran on a replica.
    PreviousStatementElsewhere,
    /// A rule of the configuration refuses it: the place of the rule in the list.
    ByRule(usize),
    /// A hint asks for a replica, and this is no plain read.
    WriteToReplica(classifier::Reason),
    /// A replica is asked for and none may answer.
    NoReplica,
    /// The server that is asked for may not answer.
    Unfit(Exclusion),
    /// No server has the name that is asked for.
    NoSuchServer,
}

impl Denial {
    /// The name in metrics and logs.
    pub fn label(self) -> &'static str {
        match self {
            Self::NoPrimary => "no_primary",
            Self::Handover => "handover",
            Self::NoServer => "no_server",
            Self::TransactionLost => "transaction_lost",
            Self::PinLost => "pin_lost",
            Self::ReadOnlyTransaction => "read_only_transaction",
            Self::PrimaryOnlyInReplicaTransaction => "primary_only_in_replica_transaction",
            Self::InsertIdLost => "insert_id_lost",
            Self::PreviousStatementLost => "previous_statement_lost",
            Self::PreviousStatementElsewhere => "previous_statement_elsewhere",
            Self::ByRule(_) => "rule",
            Self::WriteToReplica(_) => "write_to_replica",
            Self::NoReplica => "no_replica",
            Self::Unfit(_) => "unfit_server",
            Self::NoSuchServer => "no_such_server",
        }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoPrimary => "no primary is available, so this statement cannot run now; plain reads still can",
            Self::Handover => "the primary is about to hand over to another server, and begins nothing new; try it again",
            Self::NoServer => "no server is available for this statement",
            Self::TransactionLost => "the primary was lost; the transaction was rolled back, try it again",
            Self::PinLost => {
                "another server is the primary now, and what this session had on the old one (temporary tables, locks, variables) is lost; the \
                 statement did not run, and the session goes on without these"
            }
            Self::ReadOnlyTransaction => "cannot execute this statement in a READ ONLY transaction",
            Self::PrimaryOnlyInReplicaTransaction => {
                "this statement needs the primary, but the READ ONLY transaction runs on a replica; begin it without READ ONLY"
            }
            Self::InsertIdLost => {
                "the server connection that knew the last insert id was lost, and another one would say 0; take it from the driver after the INSERT"
            }
            Self::PreviousStatementLost => {
                "the server connection that knew about the previous statement is gone: it broke, or it was given back while the session was idle \
                 (timeouts.session_idle); ask right after the statement"
            }
            Self::PreviousStatementElsewhere => {
                "the previous statement, which this one asks about, ran on a replica, and this one needs the primary; ask by a SELECT of its own, or \
                 put both in a transaction"
            }
            Self::ByRule(_) => "a rule of the configuration refuses this statement",
            Self::WriteToReplica(because) => {
                return write!(f, "a hint asks for a replica, but this statement can only run on the primary: {because}");
            }
            Self::NoReplica => "a replica is asked for, but none is up and fresh enough; EXPLAIN ROUTE tells why",
            Self::Unfit(exclusion) => return write!(f, "the server that is asked for cannot answer: {exclusion}"),
            Self::NoSuchServer => "no server has the name that is asked for",
        })
    }
}
