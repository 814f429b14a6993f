//! All servers as failover sees them: what was seen, and why something was not, in types. A [`Snapshot`](crate::Snapshot) has only what routing
//! needs.

use std::sync::Arc;
use std::time::Instant;

use crate::{Epoch, Following, Observation, Position, Role, ServerId, Share, Warning};

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
    /// Its share of the traffic.
    pub share: Share,
    /// Its role in the snapshot.
    pub role: Role,
    /// Whether it answers, and if not, why.
    pub condition: Condition,
    /// It lost the primary's role, and has not been seen read-only or following another server since; or it was fenced, and has not been seen
    /// following another server since.
    pub is_deposed: bool,
    /// The last full look, however long ago, its sample replaced by the latest. Look at `condition` for whether it still holds.
    pub seen: Option<Arc<Observation>>,
    /// When the question of the last full look was sent, by our own clock: what it shows of replication was true then or later.
    pub seen_at: Option<Instant>,
    /// The server that it follows.
    pub follows: Following,
    /// What it has and the present (or last) primary does not, for display; `None` if nothing of the kind is known.
    pub diverged: Option<Arc<str>>,
    /// Looks prove that it has nothing that the present (or last) primary lacks. False until that is known.
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
    /// It answers, but has no room (1040, 1203, 1226): overloaded, not dead.
    Full {
        /// The first refusal.
        since: Instant,
    },
    /// It answers, but we may not look (1045, 1227, or only the look hangs): no evidence against it.
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
    /// It has said that it is shutting down. Its replicas may still receive for a moment.
    ShuttingDown,
    /// No answer of any kind for several looks: the server or its host is frozen or cut off.
    Silent,
    /// It has been too full to let us in for too long.
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
    /// The source of a server: its name here, or else the address that the server has for it; `None` if it follows no other.
    pub fn source_of(&self, server: &ServerView) -> Option<Arc<str>> {
        let known = match server.follows {
            Following::Server(id) => self.server(id).map(|source| Arc::clone(&source.name)),
            Following::Elsewhere | Following::Unknown => None,
        };
        known.or_else(|| server.seen.as_ref()?.channels.first()?.source.clone())
    }
}

impl ServerView {
    /// It answers, so steps can be executed on it.
    pub fn answers(&self) -> bool {
        matches!(self.condition, Condition::Up)
    }

    /// It may be reached, although steps may still fail on it.
    pub fn is_reachable(&self) -> bool {
        match self.condition {
            Condition::Up | Condition::Full { .. } | Condition::Blind { .. } => true,
            // Fenced, but reachable.
            Condition::Down { cause, .. } => cause == DownCause::Offline,
            Condition::Unknown | Condition::Silent { .. } => false,
        }
    }

    /// Everything that it has received, applied or not: what it would have after its promotion.
    pub fn received(&self) -> Option<&Position> {
        self.seen.as_deref().and_then(|seen| seen.received.as_ref())
    }
}
