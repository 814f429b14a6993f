//! What a decision depends on besides the servers: the configuration, the history, and what a person asks for.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use topology::{ClusterView, ServerId};

use crate::StepKind;

/// What the configuration says about replacing a primary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What a promotion may cost.
    pub durability: Durability,
    /// Settings of each server; a server that is not here has the default.
    pub members: Vec<(ServerId, Member)>,
    /// A primary that does not answer is dead once it has been silent for this long and its replicas have lost it, too.
    pub hang: Duration,
    /// After an automatic promotion no other follows for this long.
    pub cooldown: Duration,
    /// Automatic promotions within 24 hours at most.
    pub daily_max: usize,
    /// An account is configured with which a former primary, or a rebuilt server, can be made a replica. Without it, servers that already
    /// replicate are repointed with the account that they have.
    pub has_replication_account: bool,
}

/// What a promotion may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Durability {
    /// `Lossless` where the last primary was set up for it (`AFTER_SYNC`, no timeout, replicas that acknowledge), else `Bounded`.
    #[default]
    Auto,
    /// No acknowledged write may be lost: no server is promoted unless the remaining replicas provably hold all of them.
    Lossless,
    /// The most advanced remaining replica is promoted, and what may be lost is reported.
    Bounded,
    /// No server is promoted unless a person asks for it.
    Manual,
}

/// What the configuration says about one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Among replicas that have received the same, the one with the highest priority is promoted.
    pub priority: u8,
    /// It is never promoted; it may acknowledge.
    pub never_promote: bool,
}

impl Default for Member {
    fn default() -> Member {
        Member { priority: 100, never_promote: false }
    }
}

/// What has happened before. It is kept on disk and only adds caution: a lost history makes no decision unsafe.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// The times of automatic promotions, oldest first.
    pub promotions: Vec<Instant>,
    /// Replicas that we have stopped receiving, and have neither promoted, nor repointed, nor started again since.
    pub frozen: BTreeSet<ServerId>,
    /// Servers that we have closed to writes or fenced, and have neither opened nor made replicas since.
    pub closed: BTreeSet<ServerId>,
    /// The server that we have opened to writes last, which made it the primary.
    pub opened: Option<ServerId>,
}

impl History {
    /// A step is about to be done. This has to be saved first: after a crash it is unknown whether the step was done.
    pub fn begin(&mut self, step: StepKind, server: ServerId) {
        match step {
            StepKind::Freeze => drop(self.frozen.insert(server)),
            StepKind::CloseWrites | StepKind::Fence | StepKind::Retire => drop(self.closed.insert(server)),
            _ => {}
        }
    }

    /// A step is done.
    pub fn end(&mut self, step: StepKind, server: ServerId) {
        match step {
            StepKind::Thaw | StepKind::Detach => drop(self.frozen.remove(&server)),
            StepKind::OpenWrites => {
                self.frozen.remove(&server);
                self.closed.remove(&server);
                self.opened = Some(server);
            }
            StepKind::Follow => {
                self.frozen.remove(&server);
                self.closed.remove(&server);
            }
            _ => {}
        }
    }
}

/// What a person asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Another primary while the present one is healthy.
    Switchover {
        /// The next primary; `None` for the best candidate.
        to: Option<ServerId>,
        /// Open transactions may end until this moment; then the rest is cut off.
        drain_until: Instant,
        /// If the new primary cannot take over by this moment, the old one goes on.
        give_up_at: Instant,
    },
    /// A promotion in place of a dead primary, where none happens by itself (`Durability::Manual`, cooldown, or a loss that has to be
    /// accepted).
    Failover {
        /// The next primary; `None` for the best candidate.
        to: Option<ServerId>,
        /// Go on although acknowledged writes may be lost.
        accept_loss: bool,
    },
}

/// Everything that a decision sees.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// The servers.
    pub view: &'a ClusterView,
    /// The configuration.
    pub policy: &'a Policy,
    /// The past.
    pub history: &'a History,
    /// What a person asks for, until it is done or refused.
    pub request: Option<Request>,
}
