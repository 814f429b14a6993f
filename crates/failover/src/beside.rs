//! There is a primary: what is wrong with the other servers. What can be repaired automatically comes before what only a person can repair.

use std::sync::Arc;

use topology::{Condition, DownCause, Following, ServerState, ServerView, ThreadState};

use crate::facts::{channels, follows, io, is_free, is_offline, is_writable, named, semi_sync};
use crate::promotion::follow_step;
use crate::quorum::durability;
use crate::{Durability, Finding, Plan, Situation, Step};

/// What happens to a former primary, or to another server that follows no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rejoin {
    /// It is made a replica.
    Follow,
    /// It has to be compared with the primary first.
    AwaitLooks,
    /// A person has to make it a replica: there is no account for it.
    NeedAccount,
}

type Check = fn(&Situation<'_>, &ServerView, &ServerView) -> Option<Finding>;

/// In this order; the first check that finds something about any server decides.
const CHECKS: &[Check] = &[closable_stray, rejoin_now, wrong_source, left_frozen, missing_acks, semi_sync_stall, stray];

/// After these, what only a person can repair. It is not said of a server in maintenance: a person is at work on it.
const REPORTS: &[Check] = &[diverged_former, purged, waiting, broken, errant];

pub(crate) fn find(situation: &Situation<'_>, primary: &ServerView) -> Finding {
    match &primary.condition {
        Condition::Full { .. } | Condition::Down { cause: DownCause::Full, .. } => {
            return Finding::Overloaded { primary: named(primary) };
        }
        Condition::Blind { why } => return Finding::Blind { primary: named(primary), why: Arc::clone(why) },
        _ => {}
    }
    let others = || situation.others(Some(primary.id)).filter(|server| situation.is_reachable(server));
    let reported = || others().filter(|server| server.share.state != ServerState::Maintenance);
    let check_others = |check: &Check| others().find_map(|server| check(situation, primary, server));
    let check_reported = |check: &Check| reported().find_map(|server| check(situation, primary, server));
    let repairable = CHECKS.iter().find_map(check_others);
    repairable.or_else(|| REPORTS.iter().find_map(check_reported)).unwrap_or(Finding::Healthy { primary: named(primary) })
}

fn is_stray(server: &ServerView) -> bool {
    is_free(server) && is_writable(server)
}

/// Closing loses nothing on our own former primaries, and on servers without transactions of their own.
fn closable_stray(situation: &Situation<'_>, primary: &ServerView, server: &ServerView) -> Option<Finding> {
    let is_ours = was_ours(situation, server) || server.shares_history;
    let is_allowed = situation.policy.durability != Durability::Manual;
    (is_stray(server) && is_ours && is_allowed).then(|| Finding::TwoWritable {
        primary: named(primary),
        stray: named(server),
        closes: true,
    })
}

fn stray(_: &Situation<'_>, primary: &ServerView, server: &ServerView) -> Option<Finding> {
    is_stray(server).then(|| Finding::TwoWritable { primary: named(primary), stray: named(server), closes: false })
}

/// It was the primary, or we have closed it before.
fn was_ours(situation: &Situation<'_>, server: &ServerView) -> bool {
    server.is_deposed || situation.history.closed.contains(&server.id)
}

/// A former primary is cut off from its applications, as it may have commits that wait for ever; any other server is only set read-only.
pub(crate) fn plan_closing(situation: &Situation<'_>, stray: topology::ServerId) -> Plan {
    let is_former = situation.server(stray).is_some_and(|server| was_ours(situation, server));
    let step = if is_former { Step::Retire { server: stray } } else { Step::CloseWrites { server: stray } };
    Plan { stage: vec![step], ..Plan::default() }
}

/// It follows no other server and takes no writes.
fn is_outside(server: &ServerView) -> bool {
    is_free(server) && !is_writable(server)
}

fn rejoin_now(situation: &Situation<'_>, primary: &ServerView, server: &ServerView) -> Option<Finding> {
    let can_follow = server.shares_history && !is_purged(primary, server) && situation.policy.has_replication_account;
    (is_outside(server) && can_follow).then(|| returned(primary, server, Rejoin::Follow))
}

fn waiting(situation: &Situation<'_>, primary: &ServerView, server: &ServerView) -> Option<Finding> {
    let next =
        if situation.policy.has_replication_account || !server.shares_history { Rejoin::AwaitLooks } else { Rejoin::NeedAccount };
    is_outside(server).then(|| returned(primary, server, next))
}

fn returned(primary: &ServerView, server: &ServerView, next: Rejoin) -> Finding {
    Finding::FormerPrimaryReturned { server: named(server), primary: named(primary), mariadb: is_mariadb(server), next }
}

fn is_mariadb(server: &ServerView) -> bool {
    server.seen.as_ref().is_some_and(|seen| seen.engine == topology::Engine::MariaDb)
}

fn diverged_former(_: &Situation<'_>, primary: &ServerView, server: &ServerView) -> Option<Finding> {
    let transactions = server.diverged.clone().filter(|_| is_free(server))?;
    Some(Finding::FormerPrimaryDiverged {
        server: named(server),
        primary: named(primary),
        mariadb: is_mariadb(server),
        transactions,
    })
}

/// The primary's binary logs no longer have what the server lacks.
fn is_purged(primary: &ServerView, server: &ServerView) -> bool {
    let purged = primary.seen.as_ref().and_then(|seen| seen.settings.purged.as_ref());
    let has = server.seen.as_ref().and_then(|seen| seen.sample.applied.as_ref());
    matches!((purged, has), (Some(purged), Some(has)) if !has.contains(purged))
}

/// `Last_IO_Errno` of a replica whose source has purged what it needs, on both servers. Here and not with the protocol's error codes, since this crate
/// knows nothing of the protocol.
const ER_SOURCE_FATAL_ERROR_READING_BINLOG: u32 = 1236;

fn purged(_: &Situation<'_>, primary: &ServerView, server: &ServerView) -> Option<Finding> {
    let has_said_so = channels(server).iter().any(|channel| channel.io_error == Some(ER_SOURCE_FATAL_ERROR_READING_BINLOG));
    ((is_outside(server) && is_purged(primary, server)) || has_said_so).then(|| Finding::NeedsRebuild {
        server: named(server),
        primary: named(primary),
        mariadb: is_mariadb(server),
    })
}

/// It follows a server of ours that is not the primary and does not follow it either.
fn wrong_source(situation: &Situation<'_>, primary: &ServerView, server: &ServerView) -> Option<Finding> {
    let Following::Server(source) = server.follows else { return None };
    let root = situation.root(server).id;
    // A replica that we have frozen gets nothing from its source any more, whatever that source is now.
    let is_frozen = situation.history.frozen.contains(&server.id) && io(server) == Some(ThreadState::Stopped);
    let is_wrong = !is_free(server) && source != primary.id && (root != primary.id || is_frozen);
    (is_wrong && server.shares_history && server.answers() && !is_purged(primary, server)).then(|| Finding::WrongSource {
        server: named(server),
        source: situation.named(source),
        primary: named(primary),
    })
}

/// Its IO thread was stopped on purpose while its applier runs: a plan of ours does that, and a person hardly ever.
fn only_applies(server: &ServerView, primary: &ServerView) -> bool {
    let is_stopped = |channel: &topology::Replication| {
        channel.io == ThreadState::Stopped && channel.io_error.is_none() && channel.applier == ThreadState::Running
    };
    follows(server, primary.id) && channels(server).iter().all(is_stopped)
}

fn left_frozen(situation: &Situation<'_>, primary: &ServerView, server: &ServerView) -> Option<Finding> {
    let replicas: Vec<&ServerView> =
        situation.others(Some(primary.id)).filter(|other| other.answers() && follows(other, primary.id)).collect();
    let are_all = replicas.iter().all(|replica| only_applies(replica, primary));
    let is_ours = |server: &ServerView| situation.history.frozen.contains(&server.id) && io(server) == Some(ThreadState::Stopped);
    let is_left =
        |server: &ServerView| (only_applies(server, primary) && are_all) || (follows(server, primary.id) && is_ours(server));
    let servers: Vec<_> = replicas.into_iter().filter(|replica| is_left(replica)).map(named).collect();
    is_left(server).then(|| Finding::LeftFrozen { primary: named(primary), servers })
}

/// Lossless is configured, and the primary does not wait for acknowledgements, perhaps after a restart. Here the operator decides how many it waits
/// for, unlike before writes are opened (`require_acks`).
fn missing_acks(situation: &Situation<'_>, primary: &ServerView, _: &ServerView) -> Option<Finding> {
    let is_wanted = situation.policy.durability == Durability::Lossless;
    let semi_sync = semi_sync(primary)?;
    let is_missing = !semi_sync.source_enabled || !semi_sync.after_sync || semi_sync.timeout < topology::LOSSLESS_TIMEOUT_MIN;
    (is_wanted && is_missing && durability(situation, Some(primary.id)) == Durability::Lossless)
        .then(|| Finding::MissingAcks { primary: named(primary), acks: semi_sync.acks.max(1) })
}

fn semi_sync_stall(_: &Situation<'_>, primary: &ServerView, _: &ServerView) -> Option<Finding> {
    let semi_sync = semi_sync(primary)?;
    (semi_sync.source_active && semi_sync.waiting > 0 && semi_sync.clients < semi_sync.acks).then(|| Finding::SemiSyncStall {
        primary: named(primary),
        waiting: semi_sync.waiting,
        clients: semi_sync.clients,
        acks: semi_sync.acks,
    })
}

fn broken(_: &Situation<'_>, primary: &ServerView, server: &ServerView) -> Option<Finding> {
    let is_stopped = |channel: &&topology::Replication| {
        channel.io == ThreadState::Stopped
            || channel.applier == ThreadState::Stopped
            || channel.io_error.is_some()
            || channel.applier_error.is_some()
    };
    let channel = channels(server).iter().find(is_stopped)?;
    let error = channel.last_error.clone().filter(|_| channel.io_error.is_some() || channel.applier_error.is_some());
    Some(Finding::ReplicationBroken { server: named(server), primary: named(primary), mariadb: is_mariadb(server), error })
}

fn errant(_: &Situation<'_>, primary: &ServerView, server: &ServerView) -> Option<Finding> {
    let transactions = server.diverged.clone()?;
    Some(Finding::ErrantReplica { server: named(server), primary: named(primary), mariadb: is_mariadb(server), transactions })
}

/// Makes a server a replica of the primary.
pub(crate) fn plan_follow(
    situation: &Situation<'_>,
    server: topology::ServerId,
    primary: topology::ServerId,
    was_primary: bool,
) -> Plan {
    let (Some(replica), Some(source)) = (situation.server(server), situation.server(primary)) else { return Plan::default() };
    Plan { stage: vec![follow_step(replica, source, was_primary || is_offline(replica))], ..Plan::default() }
}
