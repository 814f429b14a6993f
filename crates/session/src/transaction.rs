//! An open transaction: where it is, and what ending it early would lose.

use topology::ServerId;

/// A transaction lives on one server until it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenTransaction {
    /// The server.
    pub server: ServerId,
    /// What it may have done there.
    pub kind: TransactionKind,
}

/// What a transaction may have done on its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionKind {
    /// It may have written, locked, or read what it relies on.
    Ordinary,
    /// Begun with `READ ONLY`, on a replica: ending it early loses nothing.
    ReadOnly,
    /// On a replica, where it has only read, each time what was committed by then (`READ COMMITTED`). It can go on on another server as if it began there.
    Lazy {
        /// By `BEGIN`, which has to be repeated there. If not, `autocommit = 0` began it.
        is_explicit: bool,
    },
}

impl OpenTransaction {
    /// It was begun with `READ ONLY`, on a replica.
    pub fn is_read_only(self) -> bool {
        self.kind == TransactionKind::ReadOnly
    }

    /// It can go on on another server.
    pub fn is_lazy(self) -> bool {
        matches!(self.kind, TransactionKind::Lazy { .. })
    }
}
