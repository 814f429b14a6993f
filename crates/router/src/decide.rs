//! The decision, in its fixed order: rules and hints -> pin -> role -> lag gate -> causal -> balance.

use std::time::{Duration, Instant};

use classifier::{Effects, SessionEffect, Statement, Track};
use topology::{Role, Server, ServerId, Snapshot};

use crate::session::OpenTransaction;
use crate::{Balancer, Because, By, Denial, Exclusion, SessionView, Target};

/// What the configuration says about routing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// A replica answers reads while its staleness is at most this.
    pub max_lag: Duration,
    /// A session's reads see what it wrote: `causal_reads = "session"`.
    pub reads_own_writes: bool,
}

/// What is to be done with a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Send it there.
    Forward(Route),
    /// It can run nowhere.
    Refuse(Denial),
}

/// A server, and why it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The server.
    pub server: ServerId,
    /// The reason.
    pub because: Because,
    /// A read-only transaction on this other server ends first: the statement would have ended it implicitly.
    pub end_first: Option<ServerId>,
}

/// Decides where a statement runs. It sees one snapshot, never waits, and touches nothing but the balancer's memory.
pub fn decide(
    statement: &Statement,
    session: &SessionView<'_>,
    snapshot: &Snapshot,
    policy: &Policy,
    now: Instant,
    balancer: &mut Balancer,
) -> Decision {
    if let Some(denial) = refusal(statement, session, snapshot) {
        return Decision::Refuse(denial);
    }
    let mut end_first = None;
    if let Some(transaction) = session.transaction {
        match in_transaction(statement, transaction, snapshot) {
            InTransaction::Stay(decision) => return decision,
            InTransaction::EndFirst(server) => end_first = Some(server),
        }
    }
    if let (Some(home), Some(primary)) = (session.home, snapshot.primary)
        && home != primary
    {
        return Decision::Refuse(Denial::PinLost);
    }
    let begins_reading = begins_read_only_transaction(statement);
    if let Some(bond) = session.bond
        && !(begins_reading && bond == crate::Bond::NoAutocommit)
    {
        return primary(snapshot, Because::Pinned(bond), end_first);
    }
    match statement.track() {
        Track::Replica => read(session, snapshot, policy, now, balancer, end_first),
        Track::Primary if begins_reading => read(session, snapshot, policy, now, balancer, end_first),
        Track::Primary => primary(snapshot, Because::NeedsPrimary, end_first),
        Track::Previous => previous(session, snapshot, policy, now, balancer),
        Track::Session => session_change(session, snapshot, policy, now, balancer),
    }
}

/// Each server with the reason for which it may not answer a read, or `None` if it may.
pub fn candidates<'a>(
    session: &'a SessionView<'_>,
    snapshot: &'a Snapshot,
    policy: &Policy,
    now: Instant,
) -> impl Iterator<Item = (&'a Server, Option<Exclusion>)> + use<'a> {
    let max_lag = session.steering.max_lag().unwrap_or(policy.max_lag);
    let horizon = freshness_horizon(snapshot, now);
    // Without a primary there is nothing newer to be had: then a read that may miss the session's last write is better than none.
    let wrote_at = session.wrote_at.filter(|_| policy.reads_own_writes && snapshot.primary.is_some());
    snapshot.servers.iter().map(move |server| (server, exclusion(server, session, max_lag, horizon, wrote_at)))
}

/// What rules and hints do not allow, whatever else the session is bound to.
fn refusal(statement: &Statement, session: &SessionView<'_>, snapshot: &Snapshot) -> Option<Denial> {
    let steering = &session.steering;
    if let Some(rule) = steering.refusal() {
        return Some(Denial::ByRule(rule));
    }
    let (target, by) = steering.target()?;
    let server = match target {
        Target::Primary => return None,
        Target::Replica => None,
        Target::Server(name) => match named(snapshot, name) {
            Some(server) => Some(server.id),
            None => return Some(Denial::NoSuchServer),
        },
    };
    let is_elsewhere = server.is_none_or(|server| snapshot.primary != Some(server));
    let is_write = statement.track() == Track::Primary && !only_controls_transaction(statement);
    (by == By::Hint && is_elsewhere && is_write).then_some(Denial::WriteToReplica(statement.because))
}

fn named<'s>(snapshot: &'s Snapshot, name: &str) -> Option<&'s Server> {
    snapshot.servers.iter().find(|server| &*server.name == name)
}

/// `BEGIN`, `COMMIT` and the like, which run where their transaction is.
fn only_controls_transaction(statement: &Statement) -> bool {
    (Effects::TRANSACTION | Effects::CHANGE_SESSION).contains(statement.effects)
}

enum InTransaction {
    Stay(Decision),
    EndFirst(ServerId),
}

/// A transaction keeps its server; on a replica it keeps out what only the primary may run.
fn in_transaction(statement: &Statement, transaction: OpenTransaction, snapshot: &Snapshot) -> InTransaction {
    let stay = |decision| InTransaction::Stay(decision);
    let here = Decision::Forward(Route { server: transaction.server, because: Because::Transaction, end_first: None });
    let Some(server) = snapshot.server(transaction.server).filter(|server| server.is_up()) else {
        return stay(Decision::Refuse(Denial::TransactionLost));
    };
    if server.role == Role::Primary {
        return stay(here);
    }
    if !transaction.read_only || server.role != Role::Replica {
        return stay(Decision::Refuse(Denial::TransactionLost));
    }
    if statement.session.iter().any(|effect| matches!(effect, SessionEffect::Begin { .. })) {
        return InTransaction::EndFirst(transaction.server);
    }
    let only_transaction_control = Effects::TRANSACTION | Effects::CHANGE_SESSION | Effects::READ_DATA;
    match statement.track() {
        Track::Replica | Track::Previous | Track::Session => stay(here),
        Track::Primary
            if statement.effects.contains(Effects::TRANSACTION) && only_transaction_control.contains(statement.effects) =>
        {
            stay(here)
        }
        Track::Primary if statement.effects.contains(Effects::WRITE_DATA) => stay(Decision::Refuse(Denial::ReadOnlyTransaction)),
        Track::Primary => stay(Decision::Refuse(Denial::PrimaryOnlyInReplicaTransaction)),
    }
}

/// `START TRANSACTION READ ONLY`, alone: the whole transaction may run on a replica.
fn begins_read_only_transaction(statement: &Statement) -> bool {
    matches!(statement.session.as_slice(), [SessionEffect::Begin { read_only: true }]) && only_controls_transaction(statement)
}

fn primary(snapshot: &Snapshot, because: Because, end_first: Option<ServerId>) -> Decision {
    match snapshot.primary_server() {
        Some(server) => Decision::Forward(Route { server: server.id, because, end_first }),
        None => Decision::Refuse(Denial::NoPrimary),
    }
}

/// A plain read: a fresh replica, else the primary. Without a primary, the replicas that got furthest.
fn read(
    session: &SessionView<'_>,
    snapshot: &Snapshot,
    policy: &Policy,
    now: Instant,
    balancer: &mut Balancer,
    end_first: Option<ServerId>,
) -> Decision {
    match session.steering.target() {
        Some((Target::Primary, by)) => return primary(snapshot, Because::Steered(by), end_first),
        Some((Target::Server(name), by)) => return read_on(name, by, session, snapshot, policy, now, end_first),
        Some((Target::Replica, _)) | None => {}
    }
    let mut because = Because::NoFreshReplica;
    let fresh = candidates(session, snapshot, policy, now).filter_map(|(server, exclusion)| match exclusion {
        None => Some((server.id, server.weight)),
        Some(Exclusion::LacksOwnWrite) => {
            because = Because::OwnWrite;
            None
        }
        Some(_) => None,
    });
    let chosen = balancer.choose(fresh);
    let forward = |server, because| Decision::Forward(Route { server, because, end_first });
    match (chosen, snapshot.primary_server()) {
        (Some(server), Some(_)) => forward(server, Because::FreshReplica),
        (Some(server), None) => forward(server, Because::NoPrimary),
        (None, _) if session.steering.target().is_some() => Decision::Refuse(Denial::NoReplica),
        (None, Some(server)) => forward(server.id, because),
        (None, None) => Decision::Refuse(Denial::NoServer),
    }
}

/// On one server and no other: the primary, or a replica that may answer. Its weight does not count.
fn read_on(
    name: &str,
    by: By,
    session: &SessionView<'_>,
    snapshot: &Snapshot,
    policy: &Policy,
    now: Instant,
    end_first: Option<ServerId>,
) -> Decision {
    let found = candidates(session, snapshot, policy, now).find(|(server, _)| &*server.name == name);
    let forward = |server: &Server| Decision::Forward(Route { server: server.id, because: Because::Steered(by), end_first });
    match found {
        None => Decision::Refuse(Denial::NoSuchServer),
        Some((server, _)) if snapshot.primary == Some(server.id) => forward(server),
        Some((server, None | Some(Exclusion::NoWeight))) => forward(server),
        Some((_, Some(exclusion))) => Decision::Refuse(Denial::Unfit(exclusion)),
    }
}

/// Where the previous statement ran. Without one, there is nothing to ask about, and any server says so.
fn previous(session: &SessionView<'_>, snapshot: &Snapshot, policy: &Policy, now: Instant, balancer: &mut Balancer) -> Decision {
    match session.previous {
        Some(server) => Decision::Forward(Route { server, because: Because::PreviousStatement, end_first: None }),
        None => session_change(session, snapshot, policy, now, balancer),
    }
}

/// A connection that the session has, the primary's if possible; else the primary; else any replica.
fn session_change(
    session: &SessionView<'_>,
    snapshot: &Snapshot,
    policy: &Policy,
    now: Instant,
    balancer: &mut Balancer,
) -> Decision {
    let is_usable = |id: &ServerId| snapshot.server(*id).is_some_and(Server::is_up) && !session.avoid.contains(id);
    let held = || session.held.iter().copied().filter(is_usable);
    let held_primary = held().find(|id| snapshot.primary == Some(*id));
    match held_primary.or_else(|| held().next()).or(snapshot.primary) {
        Some(server) => Decision::Forward(Route { server, because: Because::SessionChange, end_first: None }),
        None => read(session, snapshot, policy, now, balancer, None),
    }
}

/// Since when a replica must have everything: the present; without a primary, the moment that the best replica reached.
fn freshness_horizon(snapshot: &Snapshot, now: Instant) -> Option<Instant> {
    if snapshot.primary.is_some() {
        return Some(now);
    }
    snapshot
        .servers
        .iter()
        .filter(|server| server.is_up() && server.role == Role::Replica)
        .filter_map(|server| server.fresh_as_of)
        .max()
}

fn exclusion(
    server: &Server,
    session: &SessionView<'_>,
    max_lag: Duration,
    horizon: Option<Instant>,
    wrote_at: Option<Instant>,
) -> Option<Exclusion> {
    if !server.is_up() {
        return Some(Exclusion::Down);
    }
    match server.role {
        Role::Replica => {}
        Role::Primary => return Some(Exclusion::Primary),
        Role::Stray => return Some(Exclusion::Stray),
        Role::Unknown => return Some(Exclusion::UnknownRole),
    }
    if session.avoid.contains(&server.id) {
        return Some(Exclusion::JustFailed);
    }
    // The last reason of all: a server without weight answers a read that asks for it by name.
    let no_weight = (server.weight == 0).then_some(Exclusion::NoWeight);
    let (Some(fresh_as_of), Some(horizon)) = (server.fresh_as_of, horizon) else {
        // Started while no primary was up: nothing tells the replicas apart, and old data is better than none.
        return if horizon.is_none() { no_weight } else { Some(Exclusion::UnknownStaleness) };
    };
    let staleness = horizon.saturating_duration_since(fresh_as_of);
    if staleness > max_lag {
        return Some(Exclusion::Stale { staleness, max_lag });
    }
    if wrote_at.is_some_and(|moment| fresh_as_of < moment) {
        return Some(Exclusion::LacksOwnWrite);
    }
    no_weight
}

#[cfg(test)]
mod tests;
