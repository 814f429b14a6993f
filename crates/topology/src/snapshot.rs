//! What all servers looked like at one moment: the only thing that the data plane and the control plane share.

use std::sync::Arc;

use crate::{Server, ServerId};

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
    /// What a human should look at, for example two writable servers.
    pub warnings: Vec<Arc<str>>,
}

impl Snapshot {
    /// The server with this id.
    pub fn server(&self, id: ServerId) -> Option<&Server> {
        self.servers.get(id.index())
    }

    /// The server to write to.
    pub fn primary_server(&self) -> Option<&Server> {
        self.primary.and_then(|id| self.server(id))
    }
}
