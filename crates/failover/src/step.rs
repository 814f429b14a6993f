//! The smallest changes of a server. Each may be done twice, and each shows in the next look at its server.

use topology::{Position, ServerId};

/// One step. The documentation gives the statements of MySQL / MariaDB, and what shows that the step is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The replica receives no more, so it acknowledges no more: `STOP REPLICA IO_THREAD` / `START SLAVE SQL_THREAD` if that does not run, and only
    /// then `STOP SLAVE IO_THREAD`, as MariaDB discards what it has received if it starts with both threads stopped. Done: `io == Stopped`.
    Freeze {
        /// The replica.
        server: ServerId,
    },
    /// The replica receives again, and applies: `START REPLICA`, `START SLAVE`; an interrupted detachment has stopped both threads. Done: `io !=
    /// Stopped`.
    Thaw {
        /// The replica.
        server: ServerId,
    },
    /// Cuts applications off a primary that is to be replaced, as far as it can be reached, and never waits long for it: MySQL `offline_mode`
    /// and `super_read_only`; MariaDB `read_only`, then `KILL` of what waits.
    /// Done: read-only or offline, or not reached.
    Fence {
        /// The old primary.
        server: ServerId,
    },
    /// Makes a former primary read-only for good, once another one takes writes: cuts off all clients, lets commits that still wait for
    /// acknowledgements end (no client sees their OK), then `super_read_only` / `read_only`. What they wrote is compared before the server is used
    /// again. Done: read-only.
    Retire {
        /// The former primary.
        server: ServerId,
    },
    /// Takes writes away from a primary that answers, for a switchover: `super_read_only` / `read_only`, given up after a moment if commits
    /// wait. Done: read-only.
    CloseWrites {
        /// The primary.
        server: ServerId,
    },
    /// Waits a moment for the transactions that are open on a primary. Done: there is none.
    AwaitTransactions {
        /// The primary.
        server: ServerId,
    },
    /// The replica applies what it has received, at least up to here: `START REPLICA SQL_THREAD`, then a wait of at most a second.
    /// Done: `applied` contains the position.
    Drain {
        /// The replica.
        server: ServerId,
        /// What it must have applied.
        up_to: Position,
    },
    /// The replica follows no other server any more: `STOP REPLICA; RESET REPLICA ALL` / `STOP SLAVE; RESET SLAVE ALL`. Done: no channels.
    Detach {
        /// The replica, which has applied all that it has received.
        server: ServerId,
    },
    /// Its commits will wait for acknowledgements: semi-synchronous replication as a source, `AFTER_SYNC`, without a timeout.
    /// Done: `source_enabled`, with these values.
    RequireAcks {
        /// The next primary.
        server: ServerId,
        /// Acknowledgements for each commit; MariaDB knows only 1.
        acks: u32,
    },
    /// The server replicates from another: `CHANGE REPLICATION SOURCE TO` / `CHANGE MASTER TO`, by GTID. Done: it follows `source`, with its IO
    /// thread not stopped.
    Follow {
        /// The server.
        server: ServerId,
        /// Its source.
        source: ServerId,
        /// It acknowledges what it receives.
        acknowledges: bool,
        /// It was a primary: what it wrote counts as applied (MariaDB `MASTER_DEMOTE_TO_SLAVE`), and its `offline_mode` ends once it is
        /// read-only.
        is_former_primary: bool,
    },
    /// The server accepts writes: `super_read_only`, `read_only` and `offline_mode` off. Done: writable.
    OpenWrites {
        /// The new primary.
        server: ServerId,
    },
}

impl Step {
    /// The server that it is done to.
    pub fn server(&self) -> ServerId {
        match *self {
            Step::Freeze { server }
            | Step::Thaw { server }
            | Step::Fence { server }
            | Step::Retire { server }
            | Step::CloseWrites { server }
            | Step::AwaitTransactions { server }
            | Step::Drain { server, .. }
            | Step::Detach { server }
            | Step::RequireAcks { server, .. }
            | Step::Follow { server, .. }
            | Step::OpenWrites { server } => server,
        }
    }

    /// Its kind, without the server.
    pub fn kind(&self) -> StepKind {
        match self {
            Step::Freeze { .. } => StepKind::Freeze,
            Step::Thaw { .. } => StepKind::Thaw,
            Step::Fence { .. } => StepKind::Fence,
            Step::Retire { .. } => StepKind::Retire,
            Step::CloseWrites { .. } => StepKind::CloseWrites,
            Step::AwaitTransactions { .. } => StepKind::AwaitTransactions,
            Step::Drain { .. } => StepKind::Drain,
            Step::Detach { .. } => StepKind::Detach,
            Step::RequireAcks { .. } => StepKind::RequireAcks,
            Step::Follow { .. } => StepKind::Follow,
            Step::OpenWrites { .. } => StepKind::OpenWrites,
        }
    }

    /// Without a note that we began it, another process would take its effect for a person's work.
    pub fn must_be_noted(&self) -> bool {
        matches!(self.kind(), StepKind::Freeze | StepKind::Fence | StepKind::Retire | StepKind::CloseWrites)
    }

    /// Its name in logs, the journal and metrics.
    pub fn label(&self) -> &'static str {
        self.kind().label()
    }
}

/// A [`Step`] without its server: as much of it as the journal keeps for the next process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "see the steps of the same names")]
pub enum StepKind {
    Freeze,
    Thaw,
    Fence,
    Retire,
    CloseWrites,
    AwaitTransactions,
    Drain,
    Detach,
    RequireAcks,
    Follow,
    OpenWrites,
}

impl StepKind {
    const ALL: [StepKind; 11] = [
        StepKind::Freeze,
        StepKind::Thaw,
        StepKind::Fence,
        StepKind::Retire,
        StepKind::CloseWrites,
        StepKind::AwaitTransactions,
        StepKind::Drain,
        StepKind::Detach,
        StepKind::RequireAcks,
        StepKind::Follow,
        StepKind::OpenWrites,
    ];

    /// The name in logs, the journal and metrics.
    pub fn label(self) -> &'static str {
        match self {
            StepKind::Freeze => "freeze",
            StepKind::Thaw => "thaw",
            StepKind::Fence => "fence",
            StepKind::Retire => "retire",
            StepKind::CloseWrites => "close_writes",
            StepKind::AwaitTransactions => "await_transactions",
            StepKind::Drain => "drain",
            StepKind::Detach => "detach",
            StepKind::RequireAcks => "require_acks",
            StepKind::Follow => "follow",
            StepKind::OpenWrites => "open_writes",
        }
    }

    /// The step of this name, if it is one.
    pub fn of_label(label: &str) -> Option<StepKind> {
        StepKind::ALL.into_iter().find(|kind| kind.label() == label)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journals_names_lead_back_to_the_steps() {
        for kind in StepKind::ALL {
            assert_eq!(StepKind::of_label(kind.label()), Some(kind));
        }
        assert_eq!(StepKind::of_label("rebuild"), None);
    }
}
