//! Who is the primary: a pure function of what the servers say, with as little memory as possible.
//!
//! With one writable server this is easy. With two, one of them is a mistake, and a write to the wrong one is lost or splits the data. So the
//! replicas decide, by which server they follow, and memory only breaks a tie. If neither says anything, there is no primary, and a warning says so
//! until a person has chosen.

mod following;
mod warning;

use crate::{Observation, Role, ServerId};

pub use following::Following;
pub(crate) use following::{direct_source, filters_before};
use following::{is_followed_less, votes};
pub use warning::Warning;

/// A server as far as its role is concerned. All of them lie in a slice whose indexes are their [`ServerId`]s.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Candidate<'a> {
    /// Which one it is.
    pub id: ServerId,
    /// Its name in the config.
    pub name: &'a str,
    /// `host:port` in the config.
    pub address: &'a str,
    /// `host:port` by which the other servers reach it.
    pub replication_address: &'a str,
    /// It answers, and applications may log in.
    pub is_up: bool,
    /// Neither an answer nor enough failures yet: its role is open.
    pub is_pending: bool,
    /// It lost the primary's role to another server while it was down, and has not been seen read-only or following since.
    pub is_deposed: bool,
    /// It was down before it was seen writable. So it may simply start that way, and this is no sign of a promotion.
    pub came_back_writable: bool,
    /// It was seen to become writable while there was no primary, and there has been none since: it was promoted, although another server was
    /// writable at the time.
    pub was_promoted: bool,
    /// Its role until now.
    pub role_before: Role,
    /// What was last seen of it, also if it is down now.
    pub observation: Option<&'a Observation>,
}

/// What is remembered from the previous assignment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Before {
    /// The last server that was the primary.
    pub primary: Option<ServerId>,
}

/// The outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roles {
    /// One role for each candidate, in their order.
    pub roles: Vec<Role>,
    /// The one to write to.
    pub primary: Option<ServerId>,
    /// What a human should look at.
    pub warnings: Vec<Warning>,
}

/// Gives every server its role.
///
/// A writable server is the primary if
/// - more replicas follow it, directly or through others, than any other server, up or down; else
/// - it was the primary before, and no other writable server has more followers; if it was away in between, no other server at all; else
/// - it is the only one, and either there is no evidence against it or it was a replica until now, so it was promoted.
///
/// At the start there is no primary before every server has answered or is known to be down: otherwise the first writable server to
/// answer would get the role, and memory would keep it there.
///
/// A replica that is down still counts as a follower of its last source: otherwise a primary would lose its role to a stray server merely because its
/// own replicas fail. But it takes the role from no server, since it does not know what happened meanwhile.
pub fn assign_roles(servers: &[Candidate<'_>], before: Before) -> Roles {
    if before.primary.is_none() && servers.iter().any(|server| server.is_pending) {
        let roles = servers.iter().map(role_before_the_first_primary).collect();
        return Roles { roles, primary: None, warnings: Vec::new() };
    }
    let writable = eligible(servers, before);
    let votes = votes(servers, &writable, before);
    let primary = match choose_followed(&writable, &votes) {
        Some(followed) => Some(followed),
        None => before.primary.filter(|last| writable.contains(last)).or_else(|| match writable.as_slice() {
            [only] if is_credible(servers, *only, &votes, before) => Some(*only),
            _ => None,
        }),
    };
    let roles = ids(servers).map(|(id, server)| role_of(server, primary, id)).collect::<Vec<_>>();
    let warnings = warning::collect(servers, &roles, primary, before);
    Roles { roles, primary, warnings }
}

/// Servers that may become or stay the primary: writable ones that follow no other. If there is none, also one that follows another: the last
/// primary, and the writable half of a ring of two.
fn eligible(servers: &[Candidate<'_>], before: Before) -> Vec<ServerId> {
    let is_replaced = |id: ServerId| before.primary == Some(id) && is_left(servers, id);
    let writable =
        || ids(servers).filter(|(id, server)| server.is_up && !server.is_deposed && server.is_writable() && !is_replaced(*id));
    let free: Vec<ServerId> = writable().filter(|(_, server)| !server.follows_somebody()).map(|(id, _)| id).collect();
    if !free.is_empty() {
        return free;
    }
    writable().filter(|(id, _)| before.primary == Some(*id) || is_in_ring(servers, *id)).map(|(id, _)| id).collect()
}

/// Its source is up, read-only, and follows it in turn.
fn is_in_ring(servers: &[Candidate<'_>], id: ServerId) -> bool {
    let Following::Server(other) = direct_source(servers, id) else { return false };
    find(servers, other).is_some_and(|server| server.is_up && !server.is_writable())
        && direct_source(servers, other) == Following::Server(id)
}

/// The writable server that has strictly more followers than every other server, writable or not.
fn choose_followed(writable: &[ServerId], votes: &following::Votes) -> Option<ServerId> {
    let best = *writable.iter().max_by_key(|id| votes.of(**id))?;
    (votes.of(best) > votes.most_beside(best).max(votes.elsewhere)).then_some(best)
}

/// The last primary was away, and more replicas follow another since: so that one has replaced it, whether or not we can see it.
fn is_left(servers: &[Candidate<'_>], last: ServerId) -> bool {
    find(servers, last).is_some_and(|server| server.came_back_writable) && is_followed_less(servers, last)
}

/// Whether the only writable server is the primary, although most others do not follow it and it was not the primary before.
fn is_credible(servers: &[Candidate<'_>], only: ServerId, votes: &following::Votes, before: Before) -> bool {
    let role_before = find(servers, only).map_or(Role::Unknown, |server| server.role_before);
    let others_are_followed = votes.elsewhere > 0 || votes.most_beside(only) > 0;
    let last_gave_up = before.primary.and_then(|id| find(servers, id)).is_none_or(|last| last.is_up && !last.is_writable());
    match role_before {
        // We saw it become writable, and the previous primary no longer takes writes.
        Role::Replica if !find(servers, only).is_some_and(|server| server.came_back_writable) => true,
        Role::Stray if find(servers, only).is_some_and(|server| server.was_promoted) => true,
        // Another server is being replaced, or was. The one that takes over is seen to become writable, or is accepted.
        _ if is_another_deposed(servers, only) => false,
        // It was writable next to a primary that then went down, or starts writable, or was never seen. Its data may be anything.
        Role::Replica | Role::Stray => last_gave_up && !others_are_followed,
        Role::Unknown if before.primary.is_some() => last_gave_up && !others_are_followed,
        Role::Primary | Role::Unknown => !others_are_followed && !was_another_writable(servers, only),
    }
}

fn is_another_deposed(servers: &[Candidate<'_>], only: ServerId) -> bool {
    ids(servers).any(|(id, server)| id != only && server.is_deposed)
}

/// Another server that is down now was writable when last seen, and followed no other: it may have been the primary.
fn was_another_writable(servers: &[Candidate<'_>], only: ServerId) -> bool {
    ids(servers).any(|(id, server)| {
        id != only && !server.is_up && !server.is_deposed && server.is_writable() && !server.follows_somebody()
    })
}

fn role_before_the_first_primary(server: &Candidate<'_>) -> Role {
    let is_replica = server.observation.is_some() && (!server.is_writable() || server.follows_somebody());
    if is_replica { Role::Replica } else { Role::Unknown }
}

fn role_of(server: &Candidate<'_>, primary: Option<ServerId>, id: ServerId) -> Role {
    if primary == Some(id) {
        return Role::Primary;
    }
    if server.observation.is_none() {
        return Role::Unknown;
    }
    if !server.is_writable() || server.follows_somebody() {
        return Role::Replica;
    }
    match server.role_before {
        // No server has taken over yet, so it keeps its role.
        Role::Primary if !server.is_up && primary.is_none() => Role::Primary,
        _ => Role::Stray,
    }
}

fn ids<'s, 'c>(servers: &'s [Candidate<'c>]) -> impl Iterator<Item = (ServerId, &'s Candidate<'c>)> {
    servers.iter().map(|server| (server.id, server))
}

fn find<'s, 'c>(servers: &'s [Candidate<'c>], id: ServerId) -> Option<&'s Candidate<'c>> {
    servers.iter().find(|server| server.id == id)
}

impl Candidate<'_> {
    /// It was writable when last seen.
    pub(crate) fn is_writable(&self) -> bool {
        self.observation.is_some_and(|observation| !observation.sample.read_only)
    }

    /// It received from a source, or tried to, when last seen.
    pub(crate) fn receives(&self) -> bool {
        self.observation.is_some_and(|seen| seen.channels.iter().any(|channel| channel.io != crate::ThreadState::Stopped))
    }

    /// It had a replication source configured when last seen, whether or not its threads run.
    pub(crate) fn follows_somebody(&self) -> bool {
        self.observation.is_some_and(|observation| !observation.channels.is_empty())
    }
}

#[cfg(test)]
mod tests;
