//! What a session is bound to, as far as routing has to know it.

use std::time::Instant;

use topology::ServerId;

use crate::Steering;

/// A session's view of itself at the moment of one statement.
#[derive(Debug, Clone, Copy, Default)]
pub struct SessionView<'a> {
    /// The open transaction.
    pub transaction: Option<OpenTransaction>,
    /// What else binds its reads to the primary, the first of several.
    pub bond: Option<Bond>,
    /// The server on whose connection the session has what it can have nowhere else (temporary tables, user variables ...).
    pub home: Option<ServerId>,
    /// Where its previous statement ran, if that connection is still held.
    pub previous: Option<ServerId>,
    /// The servers to which it holds connections.
    pub held: &'a [ServerId],
    /// When its last statement that may have written was answered: a replica must have everything from before that.
    pub wrote_at: Option<Instant>,
    /// Servers that have just failed this statement.
    pub avoid: &'a [ServerId],
    /// What rules and hints ask for.
    pub steering: Steering<'a>,
}

/// A transaction lives on one server until it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenTransaction {
    /// The server.
    pub server: ServerId,
    /// Begun with `READ ONLY`, on a replica: ending it early loses nothing.
    pub read_only: bool,
}

/// A kind of thing that lives on the primary's connection and that a read elsewhere would miss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Bond {
    /// `autocommit = 0`: every statement belongs to a transaction.
    NoAutocommit,
    /// A temporary table hides or adds a table.
    TemporaryTable,
    /// A named lock is held.
    NamedLock,
    /// `LOCK TABLES` is in force.
    TableLocks,
    /// `LOCK INSTANCE FOR BACKUP`, `BACKUP STAGE`.
    InstanceLock,
    /// `SET TRANSACTION` waits for its transaction.
    NextTransaction,
    /// A session variable has a value that cannot be repeated elsewhere.
    SessionVariable,
    /// A `HANDLER` is open.
    Handler,
    /// An XA transaction is under way.
    Xa,
    /// The connection has a state that cannot be described (`SET ROLE`, a procedure that changed variables ...).
    Connection,
}

impl Bond {
    /// The name in metrics and logs.
    pub fn label(self) -> &'static str {
        match self {
            Self::NoAutocommit => "no_autocommit",
            Self::TemporaryTable => "temporary_table",
            Self::NamedLock => "named_lock",
            Self::TableLocks => "table_locks",
            Self::InstanceLock => "instance_lock",
            Self::NextTransaction => "next_transaction",
            Self::SessionVariable => "session_variable",
            Self::Handler => "handler",
            Self::Xa => "xa",
            Self::Connection => "connection",
        }
    }
}
