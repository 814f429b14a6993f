//! All servers as failover sees them: what was seen and why something was not, typed, where a [`Snapshot`](crate::Snapshot) has what
//! routing needs.

use std::sync::Arc;
use std::time::Instant;

use crate::{Epoch, Following, Observation, Position, Role, ServerId, Warning};

/// All servers as last seen.
///
/// Invariants: `servers[i].id == ServerId(i)`; `primary` and `last_primary` are those of the snapshot that was published with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterView {
    /// The reign of the present primary, or of the last one.
    pub epoch: Epoch,
    /// The server to write to: up, writable, not fenced, and the one that the others follow.
    pub primary: Option<ServerId>,
    /// The last server that was the primary. Equals `primary` when there is one.
    pub last_primary: Option<ServerId>,
    /// In the order of the config.
    pub servers: Vec<ServerView>,
    /// What a human should look at.
    pub warnings: Vec<Warning>,
}

/// One server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerView {
    /// Its place in the list.
    pub id: ServerId,
    /// Its name in the config.
    pub name: Arc<str>,
    /// Its role in the snapshot.
    pub role: Role,
    /// Whether it answers, and if not, why.
    pub condition: Condition,
    /// It lost the primary's role, and has not been seen read-only or following somebody since; or it was fenced, and has not been seen
    /// following somebody since.
    pub is_deposed: bool,
    /// The last full look, however long ago, its sample replaced by the latest. Look at `condition` for whether it still holds.
    pub seen: Option<Arc<Observation>>,
    /// When the question of the last full look was sent, by our own clock: what it shows of replication was true then or later.
    pub seen_at: Option<Instant>,
    /// Whom it follows.
    pub follows: Following,
    /// What it has that the present (or last) primary does not, in words; `None` if nothing is known to be.
    pub diverged: Option<Arc<str>>,
    /// Compared with the present (or last) primary, by looks that prove it, it has nothing that this one lacks. False until that is known.
    pub shares_history: bool,
    /// It has been gone or silent since it was last seen writable: that it is read-only now may be how it starts.
    pub has_been_down: bool,
    /// What is left out on the way from the primary to it, in words.
    pub filters: Option<Arc<str>>,
}

/// Whether a server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Neither an answer nor enough failures yet.
    Unknown,
    /// It answers.
    Up,
    /// A question that was sent at this moment has had no answer, for longer than answers take. It is still up for routing.
    Silent {
        /// When the question was sent.
        since: Instant,
    },
    /// It answers, but lets nobody in (1040, 1203, 1226): overload is not death.
    Full {
        /// The first refusal.
        since: Instant,
    },
    /// It answers, but we may not look (1045, 1227, a look that hangs alone): nothing is said against it.
    Blind {
        /// What keeps us from looking, and what to do.
        why: Arc<str>,
    },
    /// It does not serve.
    Down {
        /// Why.
        cause: DownCause,
        /// Since this moment.
        since: Instant,
        /// What is wrong and where to look, for a human.
        why: Arc<str>,
    },
}

/// Why a server is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DownCause {
    /// Connections are refused or reset: the process is gone.
    Gone,
    /// It has said that it shuts down: the process is going, although its replicas may still receive.
    ShuttingDown,
    /// No answer of any kind for several looks: frozen, cut off, or its host is.
    Silent,
    /// Too full to let us in for too long.
    Full,
    /// `offline_mode` is on: fenced, by us or by a human.
    Offline,
}

impl ClusterView {
    /// The server with this id.
    pub fn server(&self, id: ServerId) -> Option<&ServerView> {
        self.servers.iter().find(|server| server.id == id)
    }
}

impl ClusterView {
    /// Whom a server follows, by our name for it, else by the address that the server has for it; `None` if it follows nobody.
    pub fn source_of(&self, server: &ServerView) -> Option<Arc<str>> {
        let known = match server.follows {
            Following::Server(id) => self.server(id).map(|source| Arc::clone(&source.name)),
            Following::Elsewhere | Following::Unknown => None,
        };
        known.or_else(|| server.seen.as_ref()?.channels.first()?.source.clone())
    }
}

impl ServerView {
    /// The last full look, if the server still answers.
    pub fn now(&self) -> Option<&Observation> {
        self.seen.as_deref().filter(|_| self.answers())
    }

    /// It answers and can be told what to do.
    pub fn answers(&self) -> bool {
        matches!(self.condition, Condition::Up)
    }

    /// It may be reached: whether it does what it is told is another question.
    pub fn is_reachable(&self) -> bool {
        match self.condition {
            Condition::Up | Condition::Full { .. } | Condition::Blind { .. } => true,
            // Fenced, but there.
            Condition::Down { cause, .. } => cause == DownCause::Offline,
            Condition::Unknown | Condition::Silent { .. } => false,
        }
    }

    /// Everything that it has received, applied or not: what it would have after its promotion.
    pub fn received(&self) -> Option<&Position> {
        self.seen.as_deref().and_then(|seen| seen.received.as_ref())
    }
}
