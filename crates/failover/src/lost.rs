//! There is no primary, or it does not answer: is it lost?

use std::time::{Duration, Instant};

use topology::{Condition, DownCause, ServerId, ServerView, ThreadState};

use crate::facts::{channels, follows, io, is_free, is_offline, is_seen_after, is_writable, named};
use crate::promotion::{self, Ask, Cause, has_begun};
use crate::{Finding, Situation};

/// Why a primary is not given up yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Suspicion {
    /// It has been silent for too short a time.
    SilentBriefly,
    /// The replicas have to be looked at again.
    AwaitLooks,
    /// No replica that answers followed it: a single piece of evidence is not enough.
    NoWitness,
    /// It was never heard from, and is not known to be down.
    NotHeardOf,
    /// This process has never seen it, and has not run for long.
    MayBeStarting,
}

pub(crate) fn find(situation: &Situation<'_>, ask: Ask, now: Instant) -> Finding {
    // A server that follows another by now was replaced, by another proxy or by hand.
    let is_replica = |id: &ServerId| situation.server(*id).is_some_and(|server| server.answers() && !is_free(server));
    match situation
        .view
        .last_primary
        .filter(|last| !is_replica(last))
        .or_else(|| infer(situation))
        .and_then(|old| situation.server(old))
    {
        Some(old) => find_about(situation, old, ask, now),
        None if is_evident(situation, None) => promotion::find(situation, None, cause(ask, Cause::NoPrimary), ask, now),
        None => nobody_writable(situation),
    }
}

fn cause(ask: Ask, cause: Cause) -> Cause {
    if ask.is_asked { Cause::Asked } else { cause }
}

/// This process has never seen a primary. It is the server that does not answer and that replicas follow, or that we opened last, or that is the only
/// unknown one; or it is the one that we have closed.
fn infer(situation: &Situation<'_>) -> Option<ServerId> {
    let followers =
        |server: &ServerView| situation.servers().filter(|other| other.answers() && follows(other, server.id)).count();
    let is_lost = |server: &&ServerView| !is_alive(server);
    let followed =
        situation.servers().filter(is_lost).filter(|server| followers(server) > 0).max_by_key(|server| followers(server));
    let mut unknown = situation.servers().filter(|server| !is_alive(server) && server.seen.is_none());
    let only_unknown = match (unknown.next(), unknown.next()) {
        (Some(only), None) => Some(only),
        _ => None,
    };
    let closed = || {
        let is_closed =
            |server: &&ServerView| situation.history.closed.contains(&server.id) && is_free(server) && !is_writable(server);
        situation.servers().filter(is_closed).max_by_key(|server| followers(server))
    };
    // We fenced it, and it is back.
    let fenced =
        situation.servers().find(|server| server.answers() && server.is_deposed && is_free(server) && is_writable(server));
    // It was writable when this process last saw it.
    let was_writable = || situation.servers().find(|server| !is_alive(server) && is_free(server) && is_writable(server));
    // Roles may have changed since. A server that is writable now is not lost, but a candidate.
    let opened = || {
        let last = situation.history.opened.and_then(|id| situation.server(id));
        last.filter(|server| is_free(server) && !is_writable(server))
    };
    fenced.or(followed).or_else(opened).or_else(was_writable).or(only_unknown).or_else(closed).map(|server| server.id)
}

/// Something that has a process answers at its address.
pub(crate) fn is_alive(server: &ServerView) -> bool {
    matches!(server.condition, Condition::Up | Condition::Full { .. } | Condition::Blind { .. })
}

/// No server is writable because something was interrupted or died, and not because a person wants it so.
fn is_evident(situation: &Situation<'_>, old: Option<&ServerView>) -> bool {
    let history = situation.history;
    let is_stray = |server: &ServerView| server.answers() && is_free(server) && is_writable(server);
    old.is_some_and(|old| old.has_been_down || old.is_deposed)
        || !history.frozen.is_empty()
        || !history.closed.is_empty()
        || situation.servers().any(is_stray)
        || has_begun(situation, old.map(|old| old.id)) && old.is_some()
}

fn nobody_writable(situation: &Situation<'_>) -> Finding {
    let best = crate::candidates::choose(situation, None, None, false);
    let best = match best {
        crate::candidates::Choice::Candidate(id) => Some(situation.named(id)),
        _ => None,
    };
    Finding::NobodyWritable { best }
}

fn find_about(situation: &Situation<'_>, old: &ServerView, ask: Ask, now: Instant) -> Finding {
    match &old.condition {
        Condition::Full { .. } | Condition::Down { cause: DownCause::Full, .. } => Finding::Overloaded { primary: named(old) },
        Condition::Blind { why } => Finding::Blind { primary: named(old), why: why.clone() },
        Condition::Up if ask.is_asked || is_evident(situation, Some(old)) => {
            promotion::find(situation, Some(old.id), cause(ask, Cause::Begun), ask, now)
        }
        Condition::Up => nobody_writable(situation),
        Condition::Down { cause: DownCause::Offline, .. } if ask.is_asked || has_touched(situation, old) => {
            promotion::find(situation, Some(old.id), cause(ask, Cause::Begun), ask, now)
        }
        Condition::Down { cause: DownCause::Offline, .. } => Finding::OfflineByHand { primary: named(old) },
        Condition::Unknown => Finding::PrimarySuspect { primary: named(old), why: Suspicion::NotHeardOf },
        Condition::Silent { since } | Condition::Down { cause: DownCause::Silent, since, .. } => {
            find_dead(situation, old, (Cause::Hang, *since), ask, now)
        }
        Condition::Down { cause: DownCause::Gone, since, .. } => find_dead(situation, old, (Cause::Crash, *since), ask, now),
        // Its own word is enough: replicas may receive from it until the end, which can be seconds away.
        Condition::Down { cause: DownCause::ShuttingDown, .. } => {
            promotion::find(situation, Some(old.id), cause(ask, Cause::Shutdown), ask, now)
        }
    }
}

/// We have taken it out of service.
fn has_touched(situation: &Situation<'_>, old: &ServerView) -> bool {
    let history = situation.history;
    let is_stopped = |server: &ServerView| {
        server.answers()
            && channels(server).iter().any(|channel| channel.io == ThreadState::Stopped && channel.io_error.is_none())
    };
    is_offline(old)
        && (history.closed.contains(&old.id)
            || !history.frozen.is_empty()
            || old.is_deposed
            || situation.others(Some(old.id)).any(|server| is_stopped(server) || (server.answers() && is_free(server))))
}

/// The replicas of a primary that hangs notice only after their time-out, and we may look a moment before they say so.
const NOTICE: Duration = Duration::from_secs(1);

/// All of a set may be started at once, this process among them, and the primary may take longer than its replicas. It is dead only if it stays away
/// for this long, and a replica that has never received anything is no witness. A replica that has run for longer than `SETTLED` shows that only this
/// process has just started.
const STARTING: Duration = Duration::from_secs(15);
const SETTLED: Duration = Duration::from_mins(1);

/// A server that is gone or silent is dead if every replica that answers has lost it, in a look that began after we had.
fn find_dead(situation: &Situation<'_>, old: &ServerView, lost: (Cause, Instant), ask: Ask, now: Instant) -> Finding {
    let (why, since) = lost;
    let suspect = |why| Finding::PrimarySuspect { primary: named(old), why };
    let silence = now.saturating_duration_since(since);
    if why == Cause::Hang && silence < situation.policy.hang {
        return suspect(Suspicion::SilentBriefly);
    }
    // An interrupted promotion is continued at once.
    let may_be_starting =
        old.seen.is_none() && !ask.is_asked && situation.history.frozen.is_empty() && !has_begun(situation, Some(old.id));
    let has_long_run =
        |server: &ServerView| is_witness(server, old) && server.seen.as_ref().is_some_and(|seen| seen.uptime >= SETTLED);
    if may_be_starting && silence < STARTING && !situation.servers().any(has_long_run) {
        return suspect(Suspicion::MayBeStarting);
    }
    let has_followed = |server: &&ServerView| !may_be_starting || server.received().is_some_and(|received| !received.is_empty());
    let witnesses: Vec<&ServerView> =
        situation.others(Some(old.id)).filter(|server| is_witness(server, old)).filter(has_followed).collect();
    if witnesses.iter().any(|server| !is_seen_after(server, since)) {
        return suspect(Suspicion::AwaitLooks);
    }
    let connected = witnesses.iter().filter(|server| io(server) == Some(ThreadState::Running) && !follows_another(server, old));
    let seen_by: Vec<_> = connected.map(|server| named(server)).collect();
    if !seen_by.is_empty() {
        let notice = witnesses.iter().filter_map(|server| server.seen.as_ref()).map(|seen| seen.settings.net_timeout).max();
        let is_early = why == Cause::Hang && silence < notice.unwrap_or_default() + NOTICE;
        return if is_early {
            suspect(Suspicion::AwaitLooks)
        } else {
            Finding::PrimaryUnreachable { primary: named(old), seen_by }
        };
    }
    if witnesses.is_empty() && !ask.is_asked {
        return suspect(Suspicion::NoWitness);
    }
    promotion::find(situation, Some(old.id), cause(ask, why), ask, now)
}

/// It answers, and is or was a replica, so what it says about the primary counts.
fn is_witness(server: &ServerView, old: &ServerView) -> bool {
    server.answers() && !(is_free(server) && is_writable(server)) && server.id != old.id
}

fn follows_another(server: &ServerView, old: &ServerView) -> bool {
    matches!(server.follows, topology::Following::Server(source) if source != old.id)
}
