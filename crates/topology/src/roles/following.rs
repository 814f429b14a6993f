//! Whom the replicas follow.

use super::{Candidate, ids};
use crate::{Replication, ServerId, SourceId, ThreadState};

/// Whom a replica follows, seen from the configured list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Following {
    /// A server of the list.
    Server(ServerId),
    /// One that is none of those of the list that were ever seen.
    Elsewhere,
    /// It does not say enough.
    Unknown,
}

/// How many replicas follow whom in the end, through however many intermediate servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Votes {
    /// Of each server.
    pub(super) by_server: Vec<usize>,
    /// Of servers that are not in the list, or were never seen.
    pub(super) elsewhere: usize,
}

pub(super) fn votes(servers: &[Candidate<'_>], eligible: &[ServerId]) -> Votes {
    let mut votes = Votes { by_server: vec![0; servers.len()], elsewhere: 0 };
    for (id, server) in ids(servers) {
        if !server.follows_somebody() {
            continue;
        }
        match root(servers, eligible, id) {
            // An eligible member of a ring is its own root, which is no evidence.
            Following::Server(root) if root != id => {
                if let Some(count) = votes.by_server.get_mut(root.index()) {
                    *count += 1;
                }
            }
            Following::Elsewhere => votes.elsewhere += 1,
            Following::Server(_) | Following::Unknown => {}
        }
    }
    votes
}

/// The first server up the chain that may be the primary or follows nobody. An intermediate replica that somebody forgot to make
/// read-only is not the end.
fn root(servers: &[Candidate<'_>], eligible: &[ServerId], from: ServerId) -> Following {
    let mut at = from;
    // A chain that is longer than the list is a ring.
    for _ in servers {
        let Following::Server(source) = direct_source(servers, at) else {
            return direct_source(servers, at);
        };
        if eligible.contains(&source) || servers.get(source.index()).is_none_or(|server| !server.follows_somebody()) {
            return Following::Server(source);
        }
        at = source;
    }
    Following::Unknown
}

/// The source of a server. Of several channels, one to a server of the list counts.
pub(super) fn direct_source(servers: &[Candidate<'_>], of: ServerId) -> Following {
    let channels =
        servers.get(of.index()).and_then(|server| server.observation).map(|observation| observation.channels.as_slice());
    let mut found = Following::Unknown;
    for channel in channels.unwrap_or_default() {
        match resolve(servers, of, channel) {
            Following::Server(id) => return Following::Server(id),
            Following::Elsewhere => found = Following::Elsewhere,
            Following::Unknown => {}
        }
    }
    found
}

/// Who a channel's source is. An identity beats an address, which may be another one than ours for the same server; but the
/// identity may be of the time before the replica was repointed, unless it is connected.
fn resolve(servers: &[Candidate<'_>], of: ServerId, channel: &Replication) -> Following {
    let others = || ids(servers).filter(|(id, _)| *id != of);
    let by_identity = || channel.source_id.map(|wanted| others().find(|(_, server)| has_identity(server, wanted)));
    let by_address = || others().find(|(_, server)| channel.source.as_deref() == Some(server.address));

    let found = match (channel.io, by_identity()) {
        (ThreadState::Running, Some(found)) => Some(found),
        (_, by_identity) => by_address().map(Some).or(by_identity),
    };
    match found {
        Some(Some((id, _))) => Following::Server(id),
        Some(None) => Following::Elsewhere,
        None => Following::Unknown,
    }
}

fn has_identity(server: &Candidate<'_>, wanted: SourceId) -> bool {
    server.observation.is_some_and(|observation| match wanted {
        SourceId::Uuid(uuid) => observation.server_uuid == Some(uuid),
        SourceId::ServerId(id) => observation.server_id == id,
    })
}
