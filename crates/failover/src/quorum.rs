//! Whether the remaining servers provably have every acknowledged write.
//!
//! A commit was acknowledged once `w` of the ackers `A` had received it. The servers `F` no longer receive from the old primary. If `|A| - |F| < w`,
//! what they have together includes every acknowledged commit, and no further commit can be acknowledged (Vitess' `haveRevoked`).

use std::time::Instant;

use topology::{Condition, Observation, ServerId, ServerView};

use crate::facts::{Named, is_free, is_frozen, is_seen_after, is_settled, is_writable, named, semi_sync};
use crate::order::{contains, contains_but_own};
use crate::{Durability, Situation};

/// The rule for acknowledgements under the old primary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Quorum {
    /// Acknowledgements that a commit needed.
    pub(crate) acks: usize,
    /// The servers that may have acknowledged.
    pub(crate) ackers: Vec<ServerId>,
    pub(crate) old: Option<ServerId>,
    /// When the old primary was lost.
    pub(crate) since: Option<Instant>,
}

/// The durability that holds for replacing this primary: never `Auto` or `Manual`.
pub fn durability(situation: &Situation<'_>, old: Option<ServerId>) -> Durability {
    let promise = situation.policy.durability;
    if matches!(promise, Durability::Lossless | Durability::Bounded) {
        return promise;
    }
    let has_acker = situation.others(old).any(acknowledges);
    let is_lossless = match old.and_then(|old| situation.server(old)).and_then(|old| old.seen.as_ref()) {
        Some(seen) => seen.semi_sync.is_some_and(|semi_sync| semi_sync.is_lossless()),
        None => true,
    };
    if has_acker && is_lossless { Durability::Lossless } else { Durability::Bounded }
}

/// It acknowledged what it received when it was last seen.
fn acknowledges(server: &ServerView) -> bool {
    semi_sync(server).is_some_and(|its| its.replica_enabled)
}

impl Quorum {
    pub(crate) fn of(situation: &Situation<'_>, old: Option<ServerId>) -> Quorum {
        let server = old.and_then(|old| situation.server(old));
        let acks = server.and_then(semi_sync).map_or(1, |semi_sync| semi_sync.acks);
        let ackers = situation.others(old).filter(|server| may_acknowledge(server)).map(|server| server.id).collect();
        let since = server.and_then(|server| match server.condition {
            Condition::Silent { since } | Condition::Down { since, .. } => Some(since),
            _ => None,
        });
        Quorum { acks: usize::try_from(acks).unwrap_or(1).max(1), ackers, old, since }
    }

    /// The ackers whose transactions do not count; `is_counted` decides for those that answer.
    fn missing(&self, situation: &Situation<'_>, is_counted: impl Fn(&ServerView) -> bool) -> Vec<Named> {
        let ackers = self.ackers.iter().filter_map(|id| situation.server(*id));
        ackers.filter(|server| !is_counted(server)).map(named).collect()
    }

    /// Enough ackers answer, so that freezing them can suffice; else those that are missing.
    pub(crate) fn is_within_reach(&self, situation: &Situation<'_>) -> Result<(), Vec<Named>> {
        let others = self.ackers.iter().filter_map(|id| situation.server(*id)).filter(|server| server.answers());
        let best: Vec<&Observation> = others.filter_map(|server| server.seen.as_deref()).collect();
        let missing = self
            .missing(situation, |server| server.answers() || best.iter().any(|candidate| self.left_frozen(server, candidate)));
        if missing.len() < self.acks { Ok(()) } else { Err(missing) }
    }

    /// The candidate has every acknowledged write; else the ackers that are missing.
    pub(crate) fn is_revoked(&self, situation: &Situation<'_>, candidate: &ServerView) -> Result<(), Vec<Named>> {
        let Some(seen) = candidate.seen.as_deref() else { return Err(Vec::new()) };
        if self.has_all_of_old(situation, candidate, seen) {
            return Ok(());
        }
        let missing = self.missing(situation, |server| {
            let has_no_more = server.seen.as_deref().is_some_and(|theirs| contains_but_own(seen, theirs));
            (server.answers() && is_settled(situation, server, self.old, Some(candidate.id)) && has_no_more)
                || self.left_frozen(server, seen)
        });
        if missing.len() < self.acks { Ok(()) } else { Err(missing) }
    }

    /// The old primary itself answers: it takes no writes, and has nothing that the candidate lacks.
    fn has_all_of_old(&self, situation: &Situation<'_>, candidate: &ServerView, seen: &Observation) -> bool {
        // A server that we have closed, or opened last, was the primary, unless another was opened since by someone else. So all must answer.
        let are_all_there = situation.servers().all(|server| situation.is_reachable(server));
        let history = situation.history;
        let is_in_history = |old: ServerId| are_all_there && (history.closed.contains(&old) || history.opened == Some(old));
        let is_known = self.old.is_some_and(|old| situation.view.last_primary == Some(old) || is_in_history(old));
        let Some(old) = self.old.and_then(|old| situation.server(old)).filter(|old| is_known && situation.is_reachable(old))
        else {
            return false;
        };
        !is_writable(old)
            && is_free(old)
            && (old.id == candidate.id || old.seen.as_deref().is_some_and(|theirs| contains(seen, theirs)))
    }

    /// It does not answer, but was frozen when last seen, and had nothing that the candidate lacks.
    fn left_frozen(&self, server: &ServerView, candidate: &Observation) -> bool {
        let is_recent = self.since.is_some_and(|since| is_seen_after(server, since));
        let has_no_more = server.seen.as_deref().is_some_and(|seen| contains(candidate, seen));
        !server.answers() && is_recent && is_frozen(server) && has_no_more
    }
}

/// Unknown servers may have acknowledged, too; so may one that was last seen before it was made a replica.
fn may_acknowledge(server: &ServerView) -> bool {
    match server.seen.as_ref() {
        None => true,
        Some(_) if !server.answers() && is_free(server) => true,
        Some(_) => acknowledges(server),
    }
}
