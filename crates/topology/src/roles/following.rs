//! Which server each replica follows.

use super::{Before, Candidate, find, ids};
use crate::{Replication, ServerId, SourceId, ThreadState};

/// Which server a replica follows, in terms of the configured list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Following {
    /// A server of the list.
    Server(ServerId),
    /// A server that is none of those in the list that were ever seen.
    Elsewhere,
    /// The replica does not say enough.
    Unknown,
}

/// How many replicas follow each server in the end, through any number of intermediate servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Votes {
    /// For each replica that follows a server of the list, that server.
    by_server: Vec<ServerId>,
    /// Replicas of servers that are not in the list, or were never seen.
    pub(super) elsewhere: usize,
}

impl Votes {
    /// How many follow this server.
    pub(super) fn of(&self, id: ServerId) -> usize {
        self.by_server.iter().filter(|followed| **followed == id).count()
    }

    /// How many follow the server, other than this one, that most follow.
    pub(super) fn most_beside(&self, id: ServerId) -> usize {
        self.by_server.iter().filter(|followed| **followed != id).map(|followed| self.of(*followed)).max().unwrap_or(0)
    }
}

pub(super) fn votes(servers: &[Candidate<'_>], eligible: &[ServerId], before: Before) -> Votes {
    let incumbent = before.primary.filter(|last| eligible.contains(last));
    let is_outdated = |server: &Candidate<'_>, root: ServerId| !server.is_up && incumbent.is_some_and(|last| last != root);
    // A replica that receives nothing from a read-only server was left behind when that server was replaced.
    let is_over = |server: &Candidate<'_>, root: ServerId| {
        server.is_up && !server.receives() && find(servers, root).is_some_and(|root| root.is_up && !root.is_writable())
    };
    let mut votes = Votes { by_server: Vec::new(), elsewhere: 0 };
    for (id, server) in ids(servers) {
        if !server.follows_somebody() {
            continue;
        }
        match root(servers, eligible, id) {
            // An eligible member of a ring is its own root, which is no evidence.
            Following::Server(root) if root != id && !is_outdated(server, root) && !is_over(server, root) => {
                votes.by_server.push(root);
            }
            Following::Elsewhere => votes.elsewhere += 1,
            Following::Server(_) | Following::Unknown => {}
        }
    }
    votes
}

/// The first server up the chain that may be the primary or follows no other. An intermediate replica that is writable by mistake is not the end.
fn root(servers: &[Candidate<'_>], eligible: &[ServerId], from: ServerId) -> Following {
    end_of_chain(servers, from, |source| eligible.contains(&source))
}

/// The first server up the chain that follows no other, or that is an end for another reason.
fn end_of_chain(servers: &[Candidate<'_>], from: ServerId, is_end: impl Fn(ServerId) -> bool) -> Following {
    let mut at = from;
    // A chain that is longer than the list is a ring.
    for _ in servers {
        let Following::Server(source) = direct_source(servers, at) else {
            return direct_source(servers, at);
        };
        if is_end(source) || find(servers, source).is_none_or(|server| !server.follows_somebody()) {
            return Following::Server(source);
        }
        at = source;
    }
    Following::Unknown
}

/// Of the replicas that answer, fewer follow this server than another one that may be the primary by now: one that follows no other, or whose state
/// we cannot see.
pub(super) fn is_followed_less(servers: &[Candidate<'_>], last: ServerId) -> bool {
    let (mut stay, mut left) = (0_usize, 0_usize);
    for (id, _) in ids(servers).filter(|(id, server)| *id != last && server.is_up && server.follows_somebody()) {
        // The chain as far as it answers.
        match end_of_chain(servers, id, |source| find(servers, source).is_some_and(|server| !server.is_up)) {
            Following::Server(end) if end == last => stay += 1,
            Following::Server(end) if find(servers, end).is_some_and(|end| !end.is_deposed) => left += 1,
            _ => {}
        }
    }
    left > stay
}

/// What is left out on the way to a replica: by its own filters, by the binary log of its source, and so on up the chain.
pub(crate) fn filters_before(servers: &[Candidate<'_>], replica: ServerId) -> Option<String> {
    let observation = |id: ServerId| find(servers, id).and_then(|server| server.observation);
    let mut found: Vec<&str> = Vec::new();
    let mut at = replica;
    for _ in servers {
        let Some(seen) = observation(at).filter(|seen| !seen.channels.is_empty()) else { break };
        found.extend(seen.channels.iter().filter_map(|channel| channel.filters.as_deref()));
        let Following::Server(source) = direct_source(servers, at) else { break };
        found.extend(observation(source).and_then(|seen| seen.binlog_filters.as_deref()));
        at = source;
    }
    (!found.is_empty()).then(|| found.join("; "))
}

/// The source of a server. If there are several channels, one to a server of the list counts.
pub(crate) fn direct_source(servers: &[Candidate<'_>], of: ServerId) -> Following {
    let channels = find(servers, of).and_then(|server| server.observation).map(|observation| observation.channels.as_slice());
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

/// The server that is a channel's source. An identity counts more than an address, which may differ from ours for the same server. But unless the
/// replica is connected, the identity may date from before it was repointed.
fn resolve(servers: &[Candidate<'_>], of: ServerId, channel: &Replication) -> Following {
    let others = || ids(servers).filter(|(id, _)| *id != of);
    let by_identity = || channel.source_id.map(|wanted| others().find(|(_, server)| has_identity(server, wanted)));
    let is_at = |address: &str| channel.source.as_deref() == Some(address);
    let by_address = || others().find(|(_, server)| is_at(server.replication_address) || is_at(server.address));

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
