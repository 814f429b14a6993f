//! The situation, as one of a fixed list: the first entry that fits.

mod words;

use std::sync::Arc;
use std::time::Instant;

use topology::Condition;

use crate::beside::Rejoin;
use crate::candidates::Exclusion;
use crate::facts::{Named, named};
use crate::lost::{Suspicion, is_alive};
use crate::promotion::{Ask, Cause, Hold, Promotion};
use crate::switchover::{Asked, Handover};
use crate::{Request, Situation, beside, lost, switchover};

/// The situation. In this order: at the start, while a person asks for something, without a primary, with one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Not every server has been heard from, and no primary is known yet.
    Starting {
        /// The servers that have not been heard from.
        unheard: Vec<Named>,
    },
    /// No server answers at all: it is our own network.
    NobodyAnswers,

    /// The request is being carried out.
    SwitchingOver {
        /// The old primary.
        from: Named,
        /// The next primary. If the request names no server, the caller writes this one into it, so that it stays the same.
        to: Named,
        /// What comes next.
        doing: Handover,
    },
    /// The request cannot be carried out any more: writes open again on the old primary.
    RollingBack {
        /// The old primary.
        from: Named,
        /// The one that should have been the next.
        to: Named,
        /// Why.
        why: Arc<str>,
    },
    /// The request was given up, and the old primary goes on. The request has to be dropped.
    RolledBack {
        /// The primary.
        primary: Named,
        /// Why.
        why: Arc<str>,
    },
    /// The request cannot be carried out. The request has to be dropped.
    Refused {
        /// Why, one sentence each.
        reasons: Vec<Arc<str>>,
    },
    /// The request is carried out. The request has to be dropped.
    Done {
        /// The primary.
        primary: Named,
    },

    /// There is no sign of life of the primary, but too little proof of its death yet.
    PrimarySuspect {
        /// The primary.
        primary: Named,
        /// What is missing.
        why: Suspicion,
    },
    /// We cannot reach the primary, but its replicas can.
    PrimaryUnreachable {
        /// The primary.
        primary: Named,
        /// These receive from it.
        seen_by: Vec<Named>,
    },
    /// A person has taken the primary out of service.
    OfflineByHand {
        /// The primary.
        primary: Named,
    },
    /// The primary answers, but has no room for us.
    Overloaded {
        /// The primary.
        primary: Named,
    },
    /// The primary answers, but we may not look.
    Blind {
        /// The primary.
        primary: Named,
        /// What keeps us from looking.
        why: Arc<str>,
    },
    /// The primary is dead, but must not be replaced without a person.
    Held {
        /// The primary.
        primary: Option<Named>,
        /// Why.
        why: Hold,
    },
    /// The primary is dead, but acknowledged writes may be on servers that do not answer.
    NotRevoked {
        /// The primary.
        primary: Option<Named>,
        /// These may have what no other server has.
        missing: Vec<Named>,
        /// Fewer than this may be missing.
        acks: usize,
    },
    /// The remaining servers have different histories.
    SplitHistory {
        /// Each has what the other lacks.
        servers: Vec<Named>,
    },
    /// The primary is dead, and no server can take over.
    NoCandidate {
        /// The primary.
        primary: Option<Named>,
        /// All servers, each with the reason.
        excluded: Vec<Exclusion>,
    },
    /// The primary is dead: it is fenced, and its replicas are made to receive no more.
    Revoking {
        /// The primary.
        primary: Option<Named>,
        /// Why.
        cause: Cause,
    },
    /// A server takes over.
    Promoting(Promotion),
    /// The last primary is back, and goes on.
    PrimaryBack {
        /// The primary.
        primary: Named,
        /// It takes no writes and will be opened.
        opens: bool,
    },
    /// All servers are read-only, perhaps on purpose.
    NobodyWritable {
        /// The server to open, if it is clear which one.
        best: Option<Named>,
    },

    /// A second server accepts writes.
    TwoWritable {
        /// The primary.
        primary: Named,
        /// The other.
        stray: Named,
        /// It has nothing of its own, or was the primary once, and is set read-only.
        closes: bool,
    },
    /// A server follows no other and is read-only, like a former primary that has come back.
    FormerPrimaryReturned {
        /// The server.
        server: Named,
        /// The primary.
        primary: Named,
        /// Its engine, for the statements.
        mariadb: bool,
        /// What becomes of it.
        next: Rejoin,
    },
    /// A replica follows a server that is no longer the primary: it is repointed.
    WrongSource {
        /// The replica.
        server: Named,
        /// Its source.
        source: Named,
        /// The primary.
        primary: Named,
    },
    /// An interrupted plan has left replicas that receive nothing: they are made to receive again.
    LeftFrozen {
        /// The primary.
        primary: Named,
        /// The replicas.
        servers: Vec<Named>,
    },
    /// `durability = lossless` is configured, but the primary does not wait for acknowledgements: it is made to.
    MissingAcks {
        /// The primary.
        primary: Named,
        /// As many as it waits for.
        acks: u32,
    },
    /// Commits wait for acknowledgements, and there are too few replicas to give them.
    SemiSyncStall {
        /// The primary.
        primary: Named,
        /// Commits that wait.
        waiting: u32,
        /// Replicas that acknowledge.
        clients: u32,
        /// Acknowledgements that a commit needs.
        acks: u32,
    },
    /// A former primary has transactions that the primary does not have: it stays out.
    FormerPrimaryDiverged {
        /// The server.
        server: Named,
        /// The primary.
        primary: Named,
        /// Its engine, for the statements.
        mariadb: bool,
        /// The transactions that the primary does not have.
        transactions: Arc<str>,
    },
    /// The primary's binary logs no longer have what a server lacks.
    NeedsRebuild {
        /// The server.
        server: Named,
        /// The primary.
        primary: Named,
        /// Its engine, for the statements.
        mariadb: bool,
    },
    /// The replication of a server has stopped.
    ReplicationBroken {
        /// The server.
        server: Named,
        /// The primary.
        primary: Named,
        /// Its engine, for the statements.
        mariadb: bool,
        /// The error; `None` if a person has stopped it.
        error: Option<Arc<str>>,
    },
    /// A replica has transactions that the primary does not have.
    ErrantReplica {
        /// The server.
        server: Named,
        /// The primary.
        primary: Named,
        /// Its engine, for the statements.
        mariadb: bool,
        /// The transactions that the primary does not have.
        transactions: Arc<str>,
    },
    /// There is a primary and nothing is wrong.
    Healthy {
        /// The primary.
        primary: Named,
    },
}

/// How urgent a finding is for a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Nothing is wrong, or it is being repaired as planned.
    Info,
    /// Writes go on, but something is wrong.
    Warning,
    /// Writes have stopped, or will stop.
    Error,
}

impl Severity {
    /// The name in the journal and the API.
    pub fn label(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

/// Names the situation.
pub fn find(situation: &Situation<'_>, now: Instant) -> Finding {
    let view = situation.view;
    let unheard = || situation.servers().filter(|server| server.condition == Condition::Unknown);
    if view.last_primary.is_none() && unheard().next().is_some() {
        return Finding::Starting { unheard: unheard().map(named).collect() };
    }
    let is_back = |server: &topology::ServerView| crate::facts::is_offline(server);
    if !situation.servers().any(|server| is_alive(server) || is_back(server)) {
        return Finding::NobodyAnswers;
    }
    match situation.request {
        None => find_unasked(situation, Ask::default(), now),
        Some(Request::Switchover { to, drain_until, give_up_at }) => {
            switchover::find(situation, &Asked { to, drain_until, give_up_at }, now)
        }
        Some(Request::Failover { to, accept_loss }) => {
            find_asked(situation, Ask { is_asked: true, to, accepts_loss: accept_loss }, now)
        }
    }
}

fn find_unasked(situation: &Situation<'_>, ask: Ask, now: Instant) -> Finding {
    let primary = situation.view.primary.and_then(|primary| situation.server(primary));
    match primary.filter(|primary| !matches!(primary.condition, Condition::Silent { .. })) {
        Some(primary) => beside::find(situation, primary),
        None => lost::find(situation, ask, now),
    }
}

/// A person asks for a promotion in place of a dead primary.
fn find_asked(situation: &Situation<'_>, ask: Ask, now: Instant) -> Finding {
    let primary = situation.view.primary.and_then(|primary| situation.server(primary));
    if let Some(primary) = primary.filter(|primary| !matches!(primary.condition, Condition::Silent { .. })) {
        return match ask.to {
            Some(to) if to != primary.id => refused(format!("{} is the primary and answers: ask for a switchover", primary.name)),
            _ => Finding::Done { primary: named(primary) },
        };
    }
    match find_unasked(situation, ask, now) {
        found @ (Finding::NotRevoked { .. }
        | Finding::NoCandidate { .. }
        | Finding::SplitHistory { .. }
        | Finding::Overloaded { .. }
        | Finding::Blind { .. }
        | Finding::PrimaryUnreachable { .. }) => refused(found.to_string()),
        found => found,
    }
}

fn refused(why: String) -> Finding {
    Finding::Refused { reasons: vec![why.into()] }
}
