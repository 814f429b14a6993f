//! What a human should look at, in words that say what to do.

use super::{Before, Candidate, find, ids};
use crate::{Role, ServerId};

/// Something about the servers' roles that a human should look at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// A writable server besides the primary.
    #[error(
        "{name} accepts writes, but {primary} is the primary: {name} gets no traffic; set it read-only and make it a replica"
    )]
    StrayBesidePrimary {
        /// The server that gets nothing.
        name: String,
        /// The server that is written to.
        primary: String,
    },
    /// A writable server, and no primary.
    #[error(
        "{name} accepts writes, but nothing shows that it is the primary: no writes are sent to it; \
         make the others its replicas, or set it read-only"
    )]
    StrayAlone {
        /// The server that gets nothing.
        name: String,
    },
    /// A server came back writable after another had become the primary.
    #[error(
        "{name} came back writable after it lost its role: its data may have diverged; set it read-only and compare its GTIDs"
    )]
    DeposedCameBack {
        /// The server that gets nothing.
        name: String,
    },
    /// Applications could write to a replica directly.
    #[error("{name} is a replica, but accepts writes: set read_only; if it was promoted, remove its source with {remove}")]
    WritableReplica {
        /// The replica.
        name: String,
        /// The statement of its engine that removes its replication source.
        remove: &'static str,
    },
    /// There is no server to write to.
    #[error("no primary: every server that answers is read-only; if one is to be the primary, set read_only = OFF on it")]
    NobodyWritable,
    /// There is no server to write to.
    #[error("no primary: {name} is down")]
    PrimaryDown {
        /// The last primary.
        name: String,
    },
    /// A replica whose data is not the primary's.
    #[error(
        "{name} has transactions that the primary does not have ({transactions}), so its data differs and it gets no reads: \
         {remedy}"
    )]
    Diverged {
        /// The replica.
        name: String,
        /// The transactions that the primary does not have.
        transactions: String,
        /// How to repair it.
        remedy: &'static str,
    },
    /// A replica that does not have everything by design.
    #[error("{name} does not get everything that the primary writes ({filters}), so it gets no reads")]
    Filtered {
        /// The replica.
        name: String,
        /// What is left out.
        filters: String,
    },
    /// A server that answers, but that we cannot see.
    #[error("{name} answers, but cannot be looked at, so it stays what it was last known to be ({seen}): {why}")]
    Blind {
        /// The server.
        name: String,
        /// Its role when it was last seen.
        seen: Role,
        /// What keeps us from looking, and what to do.
        why: String,
    },
    /// No replica can be proven fresh.
    #[error(
        "{name} is the primary, but keeps no GTIDs: no replica can be proven fresh, so none gets reads; \
         it needs log_bin, and on MySQL gtid_mode = ON"
    )]
    PrimaryWithoutPositions {
        /// The primary.
        name: String,
    },
}

pub(super) fn collect(servers: &[Candidate<'_>], roles: &[Role], primary: Option<ServerId>, before: Before) -> Vec<Warning> {
    let primary_name = primary.and_then(|id| find(servers, id)).map(|server| server.name);
    let mut warnings: Vec<Warning> = servers
        .iter()
        .zip(roles)
        .filter(|(server, _)| server.is_up)
        .filter_map(|(server, role)| about_server(server, *role, primary_name))
        .collect();
    if primary.is_none() {
        warnings.extend(about_absence(servers, roles, before));
    }
    warnings
}

fn about_server(server: &Candidate<'_>, role: Role, primary: Option<&str>) -> Option<Warning> {
    let name = server.name.to_owned();
    match (role, primary) {
        (Role::Stray, _) if server.is_deposed => Some(Warning::DeposedCameBack { name }),
        (Role::Stray, Some(primary)) => Some(Warning::StrayBesidePrimary { name, primary: primary.to_owned() }),
        (Role::Stray, None) => Some(Warning::StrayAlone { name }),
        (Role::Replica, _) if server.is_writable() => Some(Warning::WritableReplica { name, remove: remove_source(server) }),
        _ => None,
    }
}

fn remove_source(server: &Candidate<'_>) -> &'static str {
    match server.observation.map(|observation| observation.engine) {
        Some(crate::Engine::MariaDb) => "RESET SLAVE ALL",
        _ => "RESET REPLICA ALL",
    }
}

/// Strays are already reported; this is about the absence of a primary.
fn about_absence(servers: &[Candidate<'_>], roles: &[Role], before: Before) -> Option<Warning> {
    let last = before.primary.and_then(|id| find(servers, id));
    if let Some(last) = last.filter(|last| !last.is_up) {
        return Some(Warning::PrimaryDown { name: last.name.to_owned() });
    }
    let is_anyone_up = ids(servers).any(|(_, server)| server.is_up);
    let is_stray_up = servers.iter().zip(roles).any(|(server, role)| server.is_up && *role == Role::Stray);
    (is_anyone_up && !is_stray_up).then_some(Warning::NobodyWritable)
}
