//! The decision, in its fixed order: rules and hints -> pin -> role -> lag gate -> causal -> balance -> wait.

use std::time::{Duration, Instant};

use classifier::{Effects, Placement, SessionEffect, Statement, Verb};
use session::{OpenTransaction, TransactionKind};
use topology::{Position, Role, Server, ServerId, ServerState, Snapshot};

use crate::view::{Isolation, Previous};
use crate::{Awaited, Balancer, Balancing, Because, By, Candidate, Denial, Exclusion, SessionView, Target};

/// What the configuration says about routing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// A replica answers reads while its staleness is at most this.
    pub max_lag: Duration,
    /// A session's reads see what it wrote: `causal_reads = "session"`.
    pub reads_own_writes: bool,
    /// Replicas with replication filters answer reads too. The application does not read through Pointsman what they leave out.
    pub filtered_replicas: bool,
    /// How long a read that must see its session's write may wait for a replica to apply it. Zero: it goes to the primary.
    pub causal_wait: Duration,
    /// How reads are shared out among the replicas that may answer them.
    pub balancing: Balancing,
    /// A transaction at `READ COMMITTED` begins on a replica, and goes on on the primary with its first statement that is no plain read.
    pub lazy_transactions: bool,
    /// A statement that needs the primary waits for it for at most this long. Zero: it does not wait.
    pub hold_writes: Duration,
}

/// A replica that keeps up has a write after this time.
const REPLICATED: Duration = Duration::from_millis(2);

/// How long a replica's own report counts. Restoring a replica from a backup and starting it again takes longer.
const PROVEN: Duration = Duration::from_secs(1);

/// What to do with a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Send it there.
    Forward(Route),
    /// Send nothing now, and decide again when the servers' state has changed.
    Wait {
        /// What for.
        awaited: Awaited,
        /// For all waits of this statement together.
        at_most: Duration,
    },
    /// It can run nowhere.
    Refuse(Denial),
}

/// A server, and why it was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The server.
    pub server: ServerId,
    /// The reason.
    pub because: Because,
    /// A read-only transaction on this other server ends first: the statement would have ended it implicitly.
    pub end_first: Option<ServerId>,
    /// That transaction goes on here, so it is begun here before the statement.
    pub begin_first: bool,
}

impl Route {
    /// Without anything before the statement.
    fn to(server: ServerId, because: Because) -> Self {
        Self { server, because, end_first: None, begin_first: false }
    }
}

/// Decides where a statement runs. It sees one snapshot, does not block, and touches nothing but the balancer's memory.
pub fn decide(
    statement: &Statement,
    session: &SessionView<'_>,
    snapshot: &Snapshot,
    policy: &Policy,
    now: Instant,
    balancer: &mut Balancer,
) -> Decision {
    let decision = place(statement, session, snapshot, policy, now, balancer);
    match awaited(&decision, statement, session, snapshot) {
        Some(awaited) if !policy.hold_writes.is_zero() => Decision::Wait { awaited, at_most: policy.hold_writes },
        Some(Awaited::Handover) => Decision::Refuse(Denial::Handover),
        Some(_) | None => decision,
    }
}

/// What the statement waits for, if the decision is not carried out at once. Only a statement for the primary waits, and only before it was sent.
fn awaited(decision: &Decision, statement: &Statement, session: &SessionView<'_>, snapshot: &Snapshot) -> Option<Awaited> {
    let route = match decision {
        Decision::Refuse(Denial::NoPrimary | Denial::NoServer) => return Some(Awaited::Primary),
        Decision::Forward(route) => route,
        Decision::Refuse(_) | Decision::Wait { .. } => return None,
    };
    let primary = snapshot.primary_server().filter(|primary| primary.id == route.server)?;
    let is_free = session.home.is_none() || session.may_leave_home;
    if route.because == Because::Transaction {
        None
    } else if primary.silent_since.is_some() {
        Some(Awaited::SilentPrimary)
    } else if session.avoid.contains(&primary.id) {
        Some(Awaited::UnreachablePrimary)
    } else if snapshot.is_closing && is_free && begins_a_write(statement, session) {
        Some(Awaited::Handover)
    } else {
        None
    }
}

/// Whether, outside a transaction, it writes or begins a transaction, which may write. A question about the state of the primary's connection does
/// neither, nor does a `COMMIT` that has nothing to commit.
fn begins_a_write(statement: &Statement, session: &SessionView<'_>) -> bool {
    match statement.placement() {
        Placement::Primary if only_ends_transaction(statement) => false,
        Placement::Replica | Placement::Primary if session.is_autocommit_off => true,
        Placement::Primary => !only_asks(statement.effects),
        Placement::Replica | Placement::Session | Placement::Previous => false,
    }
}

/// Whether the statement only reads, perhaps something that only the primary's connection knows.
fn only_asks(effects: Effects) -> bool {
    let asks = Effects::READ_DATA | Effects::PRIMARY_SESSION | Effects::THIS_SERVER | Effects::CONNECTION_MEMORY;
    asks.contains(effects)
}

/// The choice by itself, as if there were no need to wait.
fn place(
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
    if let Some(denial) = lost_memory(statement, session, snapshot) {
        return Decision::Refuse(denial);
    }
    let Some(transaction) = session.transaction else {
        return place_outside(statement, session, snapshot, policy, now, balancer, None);
    };
    match in_transaction(statement, transaction, session, snapshot, policy, now) {
        InTransaction::Stay(decision) => decision,
        InTransaction::EndFirst(server) => place_outside(statement, session, snapshot, policy, now, balancer, Some(server)),
        InTransaction::MoveFrom(server, begin_first) => {
            match primary(statement, snapshot, Because::LazyTransaction, Some(server)) {
                Decision::Forward(route) => Decision::Forward(Route { begin_first, ..route }),
                decision => decision,
            }
        }
    }
}

/// The choice where no transaction is open, or `end_first` will have ended the one that is.
fn place_outside(
    statement: &Statement,
    session: &SessionView<'_>,
    snapshot: &Snapshot,
    policy: &Policy,
    now: Instant,
    balancer: &mut Balancer,
    end_first: Option<ServerId>,
) -> Decision {
    if let Some(home) = session.home.filter(|home| snapshot.primary != Some(*home)) {
        if ends_state(statement) && snapshot.server(home).is_some_and(Server::is_up) {
            return Decision::Forward(Route::to(home, Because::EndsState));
        }
        // A plain read of a session that only has user variables there, which it does not name, needs nothing of it.
        let needs_home = session.is_autocommit_off || session.pin.is_some() || statement.placement() != Placement::Replica;
        if snapshot.primary.is_some() && needs_home {
            return Decision::Refuse(Denial::PinLost);
        }
    }
    if policy.lazy_transactions
        && may_be_lazy(statement, session)
        && let Some(server) = replica_for_transaction(session, snapshot, policy, now, balancer)
    {
        return Decision::Forward(Route { end_first, ..Route::to(server, Because::LazyTransaction) });
    }
    let begins_reading = only_begins_transaction(statement, true);
    if session.is_autocommit_off && !begins_reading {
        return primary(statement, snapshot, Because::NoAutocommit, end_first);
    }
    if let Some(pin) = session.pin {
        return primary(statement, snapshot, Because::Pinned(pin), end_first);
    }
    match statement.placement() {
        Placement::Replica => read(statement, session, snapshot, policy, now, balancer, end_first),
        Placement::Primary if begins_reading => read(statement, session, snapshot, policy, now, balancer, end_first),
        Placement::Primary => primary(statement, snapshot, Because::NeedsPrimary, end_first),
        Placement::Previous => previous(statement, session, snapshot, policy, now, balancer),
        // If one of its statements fails, the state of its connection is unknown: only the primary's connection may be kept then.
        Placement::Session if statement.verb == Verb::Batch => primary(statement, snapshot, Because::SessionChange, end_first),
        Placement::Session => session_change(statement, session, snapshot, policy, now, balancer),
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
    let takes_filtered = policy.filtered_replicas;
    snapshot
        .servers
        .iter()
        .map(move |server| (server, exclusion(server, session, max_lag, horizon, wrote_at, (now, takes_filtered))))
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
    let is_write = statement.placement() == Placement::Primary && !only_controls_transaction(statement);
    (by == By::Hint && is_elsewhere && is_write).then_some(Denial::WriteToReplica(statement.because))
}

fn named<'s>(snapshot: &'s Snapshot, name: &str) -> Option<&'s Server> {
    snapshot.servers.iter().find(|server| &*server.name == name)
}

/// `BEGIN`, `COMMIT` and the like, which run where their transaction is.
fn only_controls_transaction(statement: &Statement) -> bool {
    (Effects::TRANSACTION | Effects::CHANGE_SESSION | Effects::USER_VARIABLES).contains(statement.effects)
}

enum InTransaction {
    Stay(Decision),
    EndFirst(ServerId),
    /// It goes on on the primary. Whether it has to be begun there.
    MoveFrom(ServerId, bool),
}

/// A transaction keeps its server; on a replica it keeps out what only the primary may run.
fn in_transaction(
    statement: &Statement,
    transaction: OpenTransaction,
    session: &SessionView<'_>,
    snapshot: &Snapshot,
    policy: &Policy,
    now: Instant,
) -> InTransaction {
    let stay = |decision| InTransaction::Stay(decision);
    let here = Decision::Forward(Route::to(transaction.server, Because::Transaction));
    let Some(server) = snapshot.server(transaction.server).filter(|server| server.is_up()) else {
        return stay(Decision::Refuse(Denial::TransactionLost));
    };
    // A primary that has been deposed may still take itself for one.
    if snapshot.primary == Some(server.id) || statement.verb == Verb::Rollback {
        return stay(here);
    }
    if transaction.kind == TransactionKind::Ordinary || server.role != Role::Replica {
        return stay(Decision::Refuse(Denial::TransactionLost));
    }
    if statement.session.iter().any(|effect| matches!(effect, SessionEffect::Begin { .. })) {
        return InTransaction::EndFirst(transaction.server);
    }
    if let TransactionKind::Lazy { is_explicit } = transaction.kind {
        let is_fresh =
            || candidates(session, snapshot, policy, now).any(|(server, why)| server.id == transaction.server && may_go_on(why));
        return match statement.placement() {
            Placement::Previous | Placement::Session => stay(here),
            Placement::Replica if snapshot.primary.is_none() || is_fresh() => stay(here),
            Placement::Primary if only_ends_transaction(statement) => stay(here),
            // Begun on the primary now, it would be another transaction than the one that began here.
            _ if session.isolation != Isolation::ReadCommitted => stay(Decision::Refuse(Denial::TransactionLost)),
            Placement::Replica | Placement::Primary => InTransaction::MoveFrom(transaction.server, is_explicit),
        };
    }
    let only_transaction_control = Effects::TRANSACTION | Effects::CHANGE_SESSION | Effects::USER_VARIABLES | Effects::READ_DATA;
    match statement.placement() {
        Placement::Replica | Placement::Previous | Placement::Session => stay(here),
        Placement::Primary
            if statement.effects.contains(Effects::TRANSACTION) && only_transaction_control.contains(statement.effects) =>
        {
            stay(here)
        }
        Placement::Primary if statement.effects.contains(Effects::WRITE_DATA) => {
            stay(Decision::Refuse(Denial::ReadOnlyTransaction))
        }
        Placement::Primary => stay(Decision::Refuse(Denial::PrimaryOnlyInReplicaTransaction)),
    }
}

/// Whether it begins a transaction that can read on a replica until it does something else. Each statement of a transaction at `READ COMMITTED` reads what
/// is committed when it begins, so to read there is the same as to read outside of a transaction.
fn may_be_lazy(statement: &Statement, session: &SessionView<'_>) -> bool {
    let is_free = session.pin.is_none() && session.home.is_none() && session.steering.target().is_none();
    let begins = only_begins_transaction(statement, false);
    let begins_implicitly = session.is_autocommit_off && statement.placement() == Placement::Replica;
    session.isolation == Isolation::ReadCommitted && is_free && (begins || begins_implicitly)
}

/// Whether a read that is on a replica already may stay: it gets no new ones, but its data is good.
fn may_go_on(exclusion: Option<Exclusion>) -> bool {
    exclusion.is_none_or(|why| matches!(why, Exclusion::NoWeight | Exclusion::Backup | Exclusion::Drain | Exclusion::Maintenance))
}

/// A fresh replica that has what the session wrote.
fn replica_for_transaction(
    session: &SessionView<'_>,
    snapshot: &Snapshot,
    policy: &Policy,
    now: Instant,
    balancer: &mut Balancer,
) -> Option<ServerId> {
    snapshot.primary?;
    let of = |wanted: Option<Exclusion>| {
        let all = candidates(session, snapshot, policy, now);
        all.filter(move |(server, exclusion)| server.role == Role::Replica && *exclusion == wanted)
            .map(|(server, _)| Candidate::from(server))
    };
    let balancing = balancing(session, policy);
    balancer.choose(&balancing, of(None), now).or_else(|| balancer.choose(&balancing, of(Some(Exclusion::Backup)), now))
}

/// How reads are shared out, in this case.
fn balancing(session: &SessionView<'_>, policy: &Policy) -> Balancing {
    Balancing { balance: session.steering.balance().unwrap_or(policy.balancing.balance), ..policy.balancing }
}

/// `COMMIT` or `ROLLBACK`, alone.
fn only_ends_transaction(statement: &Statement) -> bool {
    matches!(statement.session.as_slice(), [SessionEffect::End]) && only_controls_transaction(statement)
}

/// `START TRANSACTION`, alone, with or without `READ ONLY`. With it, the whole transaction may run on a replica.
fn only_begins_transaction(statement: &Statement, wanted: bool) -> bool {
    matches!(statement.session.as_slice(), [SessionEffect::Begin { read_only }] if *read_only == wanted)
        && only_controls_transaction(statement)
}

/// What the statement asks about was on a connection that is gone: any other one would answer as if nothing had been there.
fn lost_memory(statement: &Statement, session: &SessionView<'_>, snapshot: &Snapshot) -> Option<Denial> {
    if session.insert_id_is_lost && statement.effects.contains(Effects::INSERT_ID) {
        return Some(Denial::InsertIdLost);
    }
    if !statement.effects.contains(Effects::PREVIOUS_STATEMENT) {
        return None;
    }
    match (session.previous, statement.placement()) {
        (Previous::Lost, _) => Some(Denial::PreviousStatementLost),
        (Previous::On(server), Placement::Primary) if snapshot.primary.is_some_and(|primary| primary != server) => {
            Some(Denial::PreviousStatementElsewhere)
        }
        _ => None,
    }
}

/// It lifts something that the session has on a server, and does nothing else.
fn ends_state(statement: &Statement) -> bool {
    let lifts =
        |effect: &SessionEffect| matches!(effect, SessionEffect::Unpin(_) | SessionEffect::End | SessionEffect::Disconnect);
    let is_harmless = !statement.effects.intersects(Effects::WRITE_DATA | Effects::UNKNOWN | Effects::SESSION_UNSEEN);
    is_harmless && !statement.session.is_empty() && statement.session.iter().all(lifts)
}

/// `SET GLOBAL`: a setting of the server, which must be reachable while the server is read-only because of it.
fn sets_server(statement: &Statement) -> bool {
    statement.verb == Verb::Set && (Effects::WRITE_DATA | Effects::CHANGE_SESSION).contains(statement.effects)
}

fn primary(statement: &Statement, snapshot: &Snapshot, because: Because, end_first: Option<ServerId>) -> Decision {
    if let Some(server) = snapshot.primary_server() {
        return Decision::Forward(Route { end_first, ..Route::to(server.id, because) });
    }
    let last = snapshot.last_primary.and_then(|id| snapshot.server(id)).filter(|server| server.is_up());
    match last.filter(|_| sets_server(statement)) {
        Some(server) => Decision::Forward(Route { end_first, ..Route::to(server.id, Because::LastPrimary) }),
        None => Decision::Refuse(Denial::NoPrimary),
    }
}

/// A plain read: a fresh replica, else the primary. Without a primary, the replicas that got furthest.
fn read(
    statement: &Statement,
    session: &SessionView<'_>,
    snapshot: &Snapshot,
    policy: &Policy,
    now: Instant,
    balancer: &mut Balancer,
    end_first: Option<ServerId>,
) -> Decision {
    match session.steering.target() {
        Some((Target::Primary, by)) => return primary(statement, snapshot, Because::Steered(by), end_first),
        Some((Target::Server(name), by)) => return read_on(name, by, session, snapshot, policy, now, end_first),
        Some((Target::Replica, _)) | None => {}
    }
    let mut because = Because::NoFreshReplica;
    let mut has_backup = false;
    let forward = |server, because| Decision::Forward(Route { end_first, ..Route::to(server, because) });
    let fresh = candidates(session, snapshot, policy, now).filter_map(|(server, exclusion)| {
        has_backup |= exclusion == Some(Exclusion::Backup);
        if exclusion == Some(Exclusion::LacksOwnWrite) {
            because = Because::OwnWrite;
        }
        exclusion.is_none().then(|| Candidate::from(server))
    });
    let balancing = balancing(session, policy);
    let chosen = balancer.choose(&balancing, fresh, now);
    if chosen.is_none() && has_backup {
        let backups = candidates(session, snapshot, policy, now).filter(|(_, exclusion)| *exclusion == Some(Exclusion::Backup));
        if let Some(server) = balancer.choose(&balancing, backups.map(|(server, _)| Candidate::from(server)), now) {
            return forward(server, Because::Backup);
        }
    }
    if because == Because::OwnWrite
        && chosen.is_none()
        && let Some(server) = about_to_have(statement, session, snapshot, policy, now, balancer)
    {
        return forward(server, Because::CausalWait);
    }
    match (chosen, snapshot.primary_server()) {
        (Some(server), Some(primary)) if primary.silent_since.is_some() => forward(server, Because::SilentPrimary),
        (Some(server), Some(_)) => forward(server, Because::FreshReplica),
        (Some(server), None) => forward(server, Because::NoPrimary),
        (None, _) if session.steering.target().is_some() => Decision::Refuse(Denial::NoReplica),
        (None, Some(server)) => forward(server.id, because),
        (None, None) => Decision::Refuse(Denial::NoServer),
    }
}

/// A replica that has, or is about to have, what the session wrote, and can be asked to answer once it has. Not so soon after the write that it would
/// be waited for in earnest: until then the primary answers sooner.
fn about_to_have(
    statement: &Statement,
    session: &SessionView<'_>,
    snapshot: &Snapshot,
    policy: &Policy,
    now: Instant,
    balancer: &mut Balancer,
) -> Option<ServerId> {
    let is_due = session.wrote_at.is_some_and(|moment| now.saturating_duration_since(moment) >= REPLICATED);
    if policy.causal_wait.is_zero() || !session.avoid.is_empty() || !is_due || statement.placement() != Placement::Replica {
        return None;
    }
    let may_wait = |server: &Server| {
        let takes_reads =
            server.weight > 0 && server.state == ServerState::Active && (server.filters.is_none() || policy.filtered_replicas);
        takes_reads && session.committed.is_some() && is_one_line(server) && balancer.may_wait(server.id, now)
    };
    let late = candidates(session, snapshot, policy, now)
        .filter(|(server, exclusion)| *exclusion == Some(Exclusion::LacksOwnWrite) && may_wait(server))
        .map(|(server, _)| Candidate::from(server))
        .collect::<Vec<_>>();
    balancer.choose(&balancing(session, policy), late.into_iter(), now)
}

/// A read on exactly this server: the primary, or a replica that may answer. Neither its weight counts nor that it is a backup.
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
    let forward = |server: &Server| Decision::Forward(Route { end_first, ..Route::to(server.id, Because::Steered(by)) });
    match found {
        None => Decision::Refuse(Denial::NoSuchServer),
        Some((server, _)) if snapshot.primary == Some(server.id) => forward(server),
        Some((server, None | Some(Exclusion::NoWeight | Exclusion::Backup))) => forward(server),
        Some((_, Some(exclusion))) => Decision::Refuse(Denial::Unfit(exclusion)),
    }
}

/// Where the previous statement ran. Without one, there is nothing to ask about, and any server says so.
fn previous(
    statement: &Statement,
    session: &SessionView<'_>,
    snapshot: &Snapshot,
    policy: &Policy,
    now: Instant,
    balancer: &mut Balancer,
) -> Decision {
    match session.previous {
        Previous::On(server) => Decision::Forward(Route::to(server, Because::PreviousStatement)),
        Previous::Nothing | Previous::Lost => session_change(statement, session, snapshot, policy, now, balancer),
    }
}

/// A connection that the session has, the primary's if possible; else the primary; else any replica.
fn session_change(
    statement: &Statement,
    session: &SessionView<'_>,
    snapshot: &Snapshot,
    policy: &Policy,
    now: Instant,
    balancer: &mut Balancer,
) -> Decision {
    let is_usable = |id: &ServerId| snapshot.server(*id).is_some_and(Server::answers) && !session.avoid.contains(id);
    let held = || session.held.iter().copied().filter(is_usable);
    let held_primary = held().find(|id| snapshot.primary == Some(*id));
    match held_primary.or_else(|| held().next()).or_else(|| snapshot.primary.filter(is_usable)) {
        Some(server) => Decision::Forward(Route::to(server, Because::SessionChange)),
        None => read(statement, session, snapshot, policy, now, balancer, None),
    }
}

/// Since when a replica must have everything: the present; without a primary that answers, the moment that the best replica reached.
fn freshness_horizon(snapshot: &Snapshot, now: Instant) -> Option<Instant> {
    if snapshot.primary_server().is_some_and(|primary| primary.silent_since.is_none()) {
        return Some(now);
    }
    snapshot
        .servers
        .iter()
        .filter(|server| server.is_up() && server.role == Role::Replica)
        .filter_map(|server| server.fresh_as_of)
        .max()
}

/// Whether the monitor has seen that it has what the session committed, or it has just reported so itself.
fn has_committed(server: &Server, session: &SessionView<'_>, now: Instant) -> bool {
    let (Some(committed), Some(position)) = (session.committed, &server.position) else { return false };
    let says_so =
        |(replica, since): &(ServerId, Instant)| *replica == server.id && now.saturating_duration_since(*since) < PROVEN;
    is_one_line(server) && (position.contains(committed) || session.proven.iter().any(says_so))
}

/// What it has applied tells that it has applied everything before. A position of MariaDB with several domains tells nothing of their order.
fn is_one_line(server: &Server) -> bool {
    match &server.position {
        Some(Position::MySql(_)) => server.keeps_commit_order,
        Some(Position::MariaDb(position)) => position.iter().count() <= 1,
        None => false,
    }
}

/// What excludes a server whose data is good: the last reason of all. What is after `Filtered` keeps no read from going on there, and what is after
/// `Drain`, none that asks for it by name.
fn last_reason(server: &Server, takes_filtered: bool) -> Option<Exclusion> {
    match server.state {
        _ if server.filters.is_some() && !takes_filtered => Some(Exclusion::Filtered),
        ServerState::Maintenance => Some(Exclusion::Maintenance),
        ServerState::Drain => Some(Exclusion::Drain),
        _ if server.weight == 0 => Some(Exclusion::NoWeight),
        ServerState::Backup => Some(Exclusion::Backup),
        ServerState::Active => None,
    }
}

fn exclusion(
    server: &Server,
    session: &SessionView<'_>,
    max_lag: Duration,
    horizon: Option<Instant>,
    wrote_at: Option<Instant>,
    (now, takes_filtered): (Instant, bool),
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
    if server.silent_since.is_some() {
        return Some(Exclusion::Silent);
    }
    if session.avoid.contains(&server.id) {
        return Some(Exclusion::JustFailed);
    }
    if server.diverged.is_some() {
        return Some(Exclusion::Diverged);
    }
    let last_reason = last_reason(server, takes_filtered);
    let (Some(fresh_as_of), Some(horizon)) = (server.fresh_as_of, horizon) else {
        // Started while no primary was up: nothing tells the replicas apart, and old data is better than none.
        return if horizon.is_none() { last_reason } else { Some(Exclusion::UnknownStaleness) };
    };
    let staleness = horizon.saturating_duration_since(fresh_as_of);
    if staleness > max_lag {
        return Some(Exclusion::Stale { staleness, max_lag });
    }
    if wrote_at.is_some_and(|moment| fresh_as_of < moment) && !has_committed(server, session, now) {
        return Some(Exclusion::LacksOwnWrite);
    }
    last_reason
}

#[cfg(test)]
mod tests;
