//! Clients and sessions as numbers, for the metrics and for the dashboard.

use std::collections::BTreeMap;

use frontend::{Overview, SessionCounts};
use serde::Serialize;

/// How many there are, at one look.
#[derive(Debug, Serialize)]
pub(crate) struct Clients {
    /// Clients, those that are about to log in included.
    pub(crate) connected: usize,
    /// How many there may be.
    pub(crate) limit: usize,
    /// Statements and logins that wait for a primary.
    pub(crate) held: usize,
    /// Sessions with a statement under way.
    pub(crate) running: usize,
    /// Sessions without.
    pub(crate) idle: usize,
    /// Sessions by the label of what keeps them on one server.
    pub(crate) pinned: BTreeMap<&'static str, usize>,
}

impl Clients {
    /// Looks at all sessions.
    pub(crate) fn look(overview: &Overview) -> Self {
        let SessionCounts { running, idle, pinned } = overview.session_counts();
        Self { connected: overview.clients(), limit: overview.clients_max(), held: overview.held(), running, idle, pinned }
    }
}
