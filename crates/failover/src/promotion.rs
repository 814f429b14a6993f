//! Another server takes over: whether it may, which one, and the steps.
//!
//! Its progress shows in the servers: replicas that receive no more, one that follows no other, others that follow that one. So a process that has
//! just started continues where the last one stopped.

use std::fmt;
use std::time::{Duration, Instant};

use topology::{Condition, LOSSLESS_TIMEOUT_MIN, ServerId, ServerView, ThreadState};

use crate::candidates::{Choice, Unfit, choose, unfit};
use crate::facts::{Named, channels, follows, io, is_drained, is_free, is_settled, is_writable, named, semi_sync};
use crate::order::{contains, has_all_of};
use crate::quorum::{Quorum, durability};
use crate::{Durability, Finding, Plan, Situation, Step};

/// Why the old primary is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// Its process is gone, and its replicas have lost it.
    Crash,
    /// It has said that it shuts down.
    Shutdown,
    /// It has not answered for too long.
    Hang,
    /// A replacement had begun and is continued.
    Begun,
    /// No server can be identified as the primary.
    NoPrimary,
    /// A person asked for it.
    Asked,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Cause::Crash => "its process is gone, and its replicas have lost it",
            Cause::Shutdown => "it shuts down",
            Cause::Hang => "it answers nobody, and its replicas have lost it",
            Cause::Begun => "its replacement had begun",
            Cause::NoPrimary => "no server is known to be the primary",
            Cause::Asked => "a person asked for it",
        })
    }
}

/// Why no server is promoted although one could be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hold {
    /// `durability = manual`
    Manual,
    /// The last promotion was too recent.
    Cooldown {
        /// It ends in this time.
        left: Duration,
    },
    /// The limit of promotions in 24 hours is reached.
    DailyMax,
}

/// A replacement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promotion {
    /// The server that is replaced, if it is known.
    pub old: Option<Named>,
    /// Why.
    pub cause: Cause,
    /// The server that takes over.
    pub to: Named,
    /// `Lossless`: it has every acknowledged write. `Bounded`: that is not proven.
    pub durability: Durability,
    /// Acknowledgements that each commit needed under the old primary.
    pub acks: u32,
    /// These must apply what they have received before the choice is final.
    pub compares: Vec<ServerId>,
}

/// What a person has asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ask {
    pub(crate) is_asked: bool,
    pub(crate) to: Option<ServerId>,
    pub(crate) accepts_loss: bool,
}

const DAY: Duration = Duration::from_hours(24);

pub(crate) fn find(situation: &Situation<'_>, old: Option<ServerId>, cause: Cause, ask: Ask, now: Instant) -> Finding {
    let found = find_promotion(situation, old, cause, ask, now);
    match (&found, old.and_then(|old| situation.server(old))) {
        // Fenced, but no server can take its place: it goes on.
        (
            Finding::NotRevoked { .. } | Finding::NoCandidate { .. } | Finding::Held { .. } | Finding::SplitHistory { .. },
            Some(old),
        ) if old.answers()
            && is_free(old)
            && is_writable(old)
            && is_nobody_elsewhere(situation, old.id)
            && situation.view.last_primary.is_none_or(|last| last == old.id) =>
        {
            Finding::PrimaryBack { primary: named(old), opens: false }
        }
        _ => found,
    }
}

fn find_promotion(situation: &Situation<'_>, old: Option<ServerId>, cause: Cause, ask: Ask, now: Instant) -> Finding {
    let promise = if ask.accepts_loss { Durability::Bounded } else { durability(situation, old) };
    let quorum = Quorum::of(situation, old);
    let choice = match choose(situation, old, ask.to, ask.accepts_loss) {
        Choice::Split(servers) => prefer_last(situation, old, servers),
        choice => choice,
    };
    let is_proven = |candidate: &ServerView| match promise {
        Durability::Lossless => quorum.is_revoked(situation, candidate),
        _ => Ok(()),
    };
    // It is back, takes no writes yet, and no server has more.
    if let (Choice::Candidate(id), true) = (&choice, ask.to.is_none())
        && Some(*id) == old
        && is_nobody_elsewhere(situation, *id)
        && let Some(server) = situation.server(*id)
    {
        return match is_proven(server) {
            Ok(()) => Finding::PrimaryBack { primary: named(server), opens: is_to_be_opened(server) },
            Err(missing) => not_revoked(situation, &quorum, missing),
        };
    }
    if !ask.is_asked
        && let Some(why) = hold(situation, now)
        && (why == Hold::Manual || !has_begun(situation, old))
    {
        return Finding::Held { primary: old.map(|old| situation.named(old)), why };
    }
    if let Choice::Nobody(excluded) = choice {
        return Finding::NoCandidate { primary: old.map(|old| situation.named(old)), excluded };
    }
    if promise == Durability::Lossless
        && let Err(missing) = quorum.is_within_reach(situation)
        && !has_all_of_old(&quorum, situation, &choice)
    {
        return not_revoked(situation, &quorum, missing);
    }
    // If no server is known to be lost, one of them may be the primary, whose replicas must not be frozen.
    if let (Choice::Split(servers), None) = (&choice, old) {
        return Finding::SplitHistory { servers: servers.clone() };
    }
    let to = match &choice {
        Choice::Candidate(id) => Some(*id),
        _ => None,
    };
    if unfrozen(situation, old, to).next().is_some() {
        return Finding::Revoking { primary: old.map(|old| situation.named(old)), cause };
    }
    let promotion = |to: ServerId, compares: Vec<ServerId>| {
        Finding::Promoting(Promotion {
            old: old.map(|old| situation.named(old)),
            cause,
            to: situation.named(to),
            durability: promise,
            acks: u32::try_from(quorum.acks).unwrap_or(u32::MAX),
            compares,
        })
    };
    match choice {
        Choice::Nobody(excluded) => Finding::NoCandidate { primary: old.map(|old| situation.named(old)), excluded },
        Choice::Split(servers) => Finding::SplitHistory { servers },
        Choice::Compare(ids) => ids.first().map_or(Finding::NobodyAnswers, |first| promotion(*first, ids.clone())),
        Choice::Candidate(id) => match situation.server(id).map_or(Err(Vec::new()), is_proven) {
            Ok(()) => promotion(id, Vec::new()),
            Err(missing) => not_revoked(situation, &quorum, missing),
        },
    }
}

/// No replica receives from a server that we cannot see: another proxy may have opened that one.
fn is_nobody_elsewhere(situation: &Situation<'_>, old: ServerId) -> bool {
    let others = situation.others(Some(old)).filter(|server| server.answers());
    others.into_iter().all(|server| follows(server, old) || is_settled(situation, server, Some(old), None))
}

/// If each of several servers has what another lacks, the last primary has every acknowledged write.
fn prefer_last(situation: &Situation<'_>, old: Option<ServerId>, servers: Vec<Named>) -> Choice {
    let last = situation.view.last_primary.or(situation.history.opened).filter(|last| Some(*last) == old);
    let is_fit = |server: &&ServerView| !is_writable(server) && unfit(situation, server, old).is_none();
    // Unless another proxy has opened one of the others, perhaps one out of our sight.
    let is_opened = |server: &ServerView| {
        Some(server.id) != old && (!situation.is_reachable(server) || (is_free(server) && is_writable(server)))
    };
    match last.and_then(|last| situation.server(last)).filter(is_fit).filter(|_| !situation.servers().any(is_opened)) {
        Some(last) => Choice::Candidate(last.id),
        None => Choice::Split(servers),
    }
}

fn has_all_of_old(quorum: &Quorum, situation: &Situation<'_>, choice: &Choice) -> bool {
    let Choice::Candidate(id) = choice else { return false };
    situation.server(*id).is_some_and(|candidate| quorum.is_revoked(situation, candidate).is_ok())
}

fn not_revoked(situation: &Situation<'_>, quorum: &Quorum, missing: Vec<Named>) -> Finding {
    Finding::NotRevoked { primary: quorum.old.map(|old| situation.named(old)), missing, acks: quorum.acks }
}

/// A server other than the old primary was detached, which is done only to the one that takes over.
pub(crate) fn has_begun(situation: &Situation<'_>, old: Option<ServerId>) -> bool {
    let is_detached = |server: &ServerView| {
        server.answers() && is_free(server) && !is_writable(server) && !server.is_deposed && server.diverged.is_none()
    };
    // A former primary that stays out is detached, too, but it soon has less than the others.
    let is_top = |server: &ServerView| {
        let others = situation.others(Some(server.id)).filter(|other| other.answers() && Some(other.id) != old);
        let seen = server.seen.as_deref();
        others
            .filter(|other| other.diverged.is_none())
            .all(|other| matches!((seen, other.seen.as_deref()), (Some(mine), Some(theirs)) if contains(mine, theirs)))
    };
    situation.others(old).any(|server| is_detached(server) && is_top(server))
}

pub(crate) fn hold(situation: &Situation<'_>, now: Instant) -> Option<Hold> {
    let policy = situation.policy;
    if policy.durability == Durability::Manual {
        return Some(Hold::Manual);
    }
    let promotions = &situation.history.promotions;
    let age = |moment: &Instant| now.saturating_duration_since(*moment);
    if promotions.iter().filter(|moment| age(moment) < DAY).count() >= policy.daily_max {
        return Some(Hold::DailyMax);
    }
    let left = policy.cooldown.saturating_sub(age(promotions.last()?));
    (!left.is_zero()).then_some(Hold::Cooldown { left })
}

/// Replicas that may still receive from the old primary.
fn unfrozen<'a>(
    situation: &Situation<'a>,
    old: Option<ServerId>,
    to: Option<ServerId>,
) -> impl Iterator<Item = &'a ServerView> + use<'a> {
    let situation = *situation;
    situation.others(old).filter(move |server| server.answers() && !is_settled(&situation, server, old, to))
}

/// The first stage of what is left to be done.
pub(crate) fn plan(promotion: &Promotion, situation: &Situation<'_>) -> Plan {
    let fence = promotion.old.as_ref().map(|old| old.id).filter(|old| *old != promotion.to.id);
    let unfence = situation.server(promotion.to.id).filter(|to| to.is_deposed).map(|to| to.id);
    let stage = stage(promotion, situation);
    let accept = is_open(promotion, situation).then_some(promotion.to.id).filter(|_| stage.is_empty());
    Plan { fence, unfence, accept, stage, ..Plan::default() }
}

fn is_open(promotion: &Promotion, situation: &Situation<'_>) -> bool {
    let candidate = situation.server(promotion.to.id);
    promotion.compares.is_empty() && candidate.is_some_and(|to| to.answers() && is_free(to) && is_writable(to))
}

/// Replicas are frozen, and the old primary is fenced as far as it can be reached.
pub(crate) fn plan_revocation(situation: &Situation<'_>, old: Option<ServerId>) -> Plan {
    let freeze = unfrozen(situation, old, None).map(|server| Step::Freeze { server: server.id });
    let stage = freeze.chain(old.and_then(|old| fence_step(situation, old))).collect();
    Plan { fence: old, stage, ..Plan::default() }
}

fn fence_step(situation: &Situation<'_>, old: ServerId) -> Option<Step> {
    let server = situation.server(old)?;
    let is_worth_trying = !matches!(server.condition, Condition::Unknown | Condition::Down { .. });
    (is_worth_trying && is_free(server) && is_writable(server)).then_some(Step::Fence { server: old })
}

fn stage(promotion: &Promotion, situation: &Situation<'_>) -> Vec<Step> {
    let Some(candidate) = situation.server(promotion.to.id) else { return Vec::new() };
    let drains: Vec<Step> = promotion.compares.iter().filter_map(|id| drain(situation.server(*id)?)).collect();
    if !promotion.compares.is_empty() {
        return drains;
    }
    if let Some(step) = drain(candidate) {
        return vec![step];
    }
    if !is_free(candidate) {
        return vec![Step::Detach { server: candidate.id }];
    }
    if let Some(step) = require_acks(situation, candidate, promotion.durability, promotion.acks) {
        return vec![step];
    }
    finish(promotion, situation, candidate)
}

fn drain(server: &ServerView) -> Option<Step> {
    let seen = server.seen.as_deref().filter(|seen| !is_drained(seen))?;
    Some(Step::Drain { server: server.id, up_to: seen.received.clone()? })
}

/// The others are made to follow. Once enough of them do, or no more can, writes are opened.
fn finish(promotion: &Promotion, situation: &Situation<'_>, candidate: &ServerView) -> Vec<Step> {
    let old = promotion.old.as_ref().map(|old| old.id);
    let mut stage = follow_steps(situation, candidate, old);
    let closing: Vec<Step> = situation
        .others(Some(candidate.id))
        .filter(|server| Some(server.id) != old && is_lesser_writable(server, candidate))
        .map(|server| Step::Fence { server: server.id })
        .collect();
    if !closing.is_empty() {
        return closing;
    }
    let enough = usize::try_from(promotion.acks).unwrap_or(1).max(1);
    let is_served = stage.is_empty() || situation.followers(candidate.id).count() >= enough;
    if is_served && is_to_be_opened(candidate) {
        stage.push(Step::OpenWrites { server: candidate.id });
    }
    if stage.is_empty() {
        stage.extend(rejoin_old(situation, candidate, old));
    }
    stage
}

/// The new primary is open, but not yet recognised as the primary because of the old one, which has nothing more than it.
pub(crate) fn rejoin_old(situation: &Situation<'_>, candidate: &ServerView, old: Option<ServerId>) -> Option<Step> {
    let server = old.and_then(|old| situation.server(old)).filter(|old| old.answers() && is_free(old) && !is_writable(old))?;
    let may_follow = has_all_of(candidate, server) && situation.policy.has_replication_account;
    may_follow.then(|| follow_step(server, candidate, true))
}

fn is_to_be_opened(candidate: &ServerView) -> bool {
    !is_writable(candidate) || crate::facts::is_offline(candidate)
}

fn is_lesser_writable(server: &ServerView, candidate: &ServerView) -> bool {
    server.answers() && is_free(server) && is_writable(server) && has_all_of(candidate, server)
}

/// Every other replica that answers and does not follow the candidate yet.
pub(crate) fn follow_steps(situation: &Situation<'_>, candidate: &ServerView, old: Option<ServerId>) -> Vec<Step> {
    situation
        .others(Some(candidate.id))
        .filter(|server| Some(server.id) != old && server.answers() && !is_free(server))
        .filter(|server| unfit(situation, server, old) != Some(Unfit::Diverged))
        .filter(|server| !follows(server, candidate.id) || (io(server) == Some(ThreadState::Stopped) && !has_io_error(server)))
        .map(|server| follow_step(server, candidate, false))
        .collect()
}

/// It acknowledges if it did before, or if its source waits for acknowledgements.
pub(crate) fn follow_step(server: &ServerView, source: &ServerView, is_former_primary: bool) -> Step {
    let waits = semi_sync(source).is_some_and(|source| source.source_enabled);
    let acknowledges = semi_sync(server).is_some_and(|its| its.replica_enabled || waits);
    Step::Follow { server: server.id, source: source.id, acknowledges, is_former_primary }
}

/// It was made to follow, and cannot: repeating the step changes nothing.
fn has_io_error(server: &ServerView) -> bool {
    channels(server).iter().any(|channel| channel.io_error.is_some())
}

/// Before writes open, commits must wait for as many acknowledgements as before; in `Bounded` only if there are replicas to give them.
pub(crate) fn require_acks(situation: &Situation<'_>, candidate: &ServerView, promise: Durability, acks: u32) -> Option<Step> {
    let its = semi_sync(candidate)?;
    let may_acknowledge = |server: &&ServerView| {
        promise == Durability::Lossless || (server.answers() && semi_sync(server).is_some_and(|its| its.replica_enabled))
    };
    let others = situation.others(Some(candidate.id)).filter(may_acknowledge).count();
    let wanted = acks.min(u32::try_from(others).unwrap_or(u32::MAX));
    let is_done = its.source_enabled
        && its.after_sync
        && its.acks == wanted
        && (promise == Durability::Bounded || its.timeout >= LOSSLESS_TIMEOUT_MIN);
    (wanted > 0 && !is_done).then_some(Step::RequireAcks { server: candidate.id, acks: wanted })
}
