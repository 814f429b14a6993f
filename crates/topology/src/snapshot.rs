//! The state of all servers at one moment, which the control plane publishes for the data plane.

use std::sync::Arc;

use crate::{Epoch, Server, ServerId};

/// All servers as last seen. A statement is routed by exactly one snapshot.
///
/// Invariants: `servers[i].id == ServerId(i)`; `primary` names a server that is up and has [`Role::Primary`](crate::Role);
/// a later snapshot has a greater `generation`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Counts up from 0, which is the snapshot before anything was seen.
    pub generation: u64,
    /// In the order of the config.
    pub servers: Vec<Server>,
    /// The server to write to: up, writable, and the one that the others follow.
    pub primary: Option<ServerId>,
    /// The last server that was the primary, also while it is down, read-only or silent. Equals `primary` when there is one.
    pub last_primary: Option<ServerId>,
    /// The reign of `last_primary`: an answer of a server counts as the primary's only if neither the primary nor the epoch has changed since
    /// the question.
    pub epoch: Epoch,
    /// The primary is about to hand over to another server: transactions that are open may finish on it, and no new one begins.
    pub is_closing: bool,
    /// What a human should look at, for example two writable servers.
    pub warnings: Vec<Arc<str>>,
}

impl Snapshot {
    /// The server with this id.
    pub fn server(&self, id: ServerId) -> Option<&Server> {
        self.servers.iter().find(|server| server.id == id)
    }

    /// The server to write to.
    pub fn primary_server(&self) -> Option<&Server> {
        self.primary.and_then(|id| self.server(id))
    }
}
