//! Another primary while the present one is healthy, because a person asks for it.
//!
//! Until the next primary is detached from its source, everything can be undone: writes open again on the old one. From then on it can only go
//! forward, as a promotion does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use topology::{ServerId, ServerView, ThreadState};

use crate::candidates::unfit;
use crate::facts::{channels, follows, is_free, is_writable, named, semi_sync};
use crate::order::{all, has_all_of};
use crate::promotion::{follow_steps, rejoin_old, require_acks};
use crate::quorum::durability;
use crate::{Finding, Plan, Situation, Step};

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Handover {
    /// Open transactions on the old primary may end.
    AwaitTransactions,
    /// Writes are taken away from the old primary.
    CloseWrites,
    /// The next primary applies the rest.
    CatchUp,
    /// The next primary is detached from its source.
    Detach,
    /// The next primary is set up, and the others are made its replicas.
    Finish,
}

/// A replica that is further behind than this would make writes wait for too long.
const BEHIND_MAX: Duration = Duration::from_secs(5);

pub(crate) struct Asked {
    pub(crate) to: Option<ServerId>,
    pub(crate) drain_until: Instant,
    pub(crate) give_up_at: Instant,
}

pub(crate) fn find(situation: &Situation<'_>, asked: &Asked, now: Instant) -> Finding {
    let view = situation.view;
    let Some(from) = view.last_primary.and_then(|from| situation.server(from)) else {
        return refused("no primary is known: nothing can be handed over");
    };
    let to = match asked.to {
        Some(to) => situation.server(to),
        None => best_target(situation, from),
    };
    let Some(to) = to else { return refused("no other server can take over") };
    if view.primary == Some(to.id) {
        return Finding::Done { primary: named(to) };
    }
    if to.id == from.id {
        return refused(&format!("{} was the primary already, and does not take writes now", from.name));
    }
    if !from.answers() {
        return refused(&format!("{} has ceased to answer: this is no switchover any more", from.name));
    }
    if view.primary == Some(from.id) { find_open(situation, from, to, asked, now) } else { find_closed(from, to, asked, now) }
}

fn best_target<'a>(situation: &Situation<'a>, from: &ServerView) -> Option<&'a ServerView> {
    let fit = situation.others(Some(from.id)).filter(|server| preflight(situation, from, server).is_empty());
    fit.max_by_key(|server| (situation.member(server.id).priority, std::cmp::Reverse(server.id)))
}

fn refused(why: &str) -> Finding {
    Finding::Refused { reasons: vec![why.into()] }
}

fn find_open(situation: &Situation<'_>, from: &ServerView, to: &ServerView, asked: &Asked, now: Instant) -> Finding {
    if now >= asked.give_up_at {
        let why = format!("{} could not take over in time", to.name);
        return Finding::RolledBack { primary: named(from), why: why.into() };
    }
    let reasons = preflight(situation, from, to);
    if !reasons.is_empty() {
        return Finding::Refused { reasons };
    }
    let doing = if now < asked.drain_until { Handover::AwaitTransactions } else { Handover::CloseWrites };
    Finding::SwitchingOver { from: named(from), to: named(to), doing }
}

/// The old primary takes no writes, so what it has is all that there will be.
fn find_closed(from: &ServerView, to: &ServerView, asked: &Asked, now: Instant) -> Finding {
    let going = |doing| Finding::SwitchingOver { from: named(from), to: named(to), doing };
    if is_writable(from) || !is_free(from) {
        // It was fenced in between, or someone else changes it: then what the servers say decides.
        return refused(&format!("{} has lost its role in the meantime", from.name));
    }
    if to.answers() && is_free(to) && has_all_of(to, from) {
        return going(Handover::Finish);
    }
    let back = |why: String| Finding::RollingBack { from: named(from), to: named(to), why: why.into() };
    if now >= asked.give_up_at {
        return back(format!("{} could not take over in time", to.name));
    }
    if !to.answers() || !follows(to, from.id) {
        return back(format!("{} cannot take over any more", to.name));
    }
    if let Some(channel) = channels(to).iter().find(|channel| channel.applier_error.is_some() || channel.io_error.is_some()) {
        let why = channel.last_error.clone().unwrap_or_else(|| "its replication has stopped".into());
        return back(format!("{} cannot take over: {why}", to.name));
    }
    if has_applied_all(to, from) { going(Handover::Detach) } else { going(Handover::CatchUp) }
}

fn has_applied_all(to: &ServerView, from: &ServerView) -> bool {
    let applied = to.seen.as_ref().and_then(|seen| seen.sample.applied.as_ref());
    let written = from.seen.as_deref().and_then(all);
    matches!((applied, written), (Some(applied), Some(written)) if applied.contains(&written))
}

/// The reasons against it, for display.
fn preflight(situation: &Situation<'_>, from: &ServerView, to: &ServerView) -> Vec<Arc<str>> {
    let mut reasons: Vec<Arc<str>> = Vec::new();
    if let Some(why) = unfit(situation, to, Some(from.id)) {
        reasons.push(format!("{}: {why}", to.name).into());
    }
    if to.answers() && !follows(to, from.id) {
        reasons.push(format!("{} is not a replica of {}", to.name, from.name).into());
    }
    let is_running =
        channels(to).iter().all(|channel| channel.io == ThreadState::Running && channel.applier == ThreadState::Running);
    if to.answers() && !is_running {
        reasons.push(format!("the replication of {} does not run: START REPLICA (MariaDB: START SLAVE) on it", to.name).into());
    }
    let behind = channels(to).iter().filter_map(|channel| channel.seconds_behind).max().unwrap_or(0);
    if behind > BEHIND_MAX.as_secs() {
        reasons.push(format!("{} is {behind} s behind", to.name).into());
    }
    if !situation.policy.has_replication_account {
        reasons.push(format!("no replication account is configured, with which {} could be made a replica", from.name).into());
    }
    reasons
}

pub(crate) fn plan(situation: &Situation<'_>, from: ServerId, to: ServerId, doing: Handover) -> Plan {
    let (Some(old), Some(new)) = (situation.server(from), situation.server(to)) else { return Plan::default() };
    let (fence, stage) = match doing {
        Handover::AwaitTransactions => (None, vec![Step::AwaitTransactions { server: from }]),
        Handover::CloseWrites => (None, vec![Step::CloseWrites { server: from }]),
        Handover::CatchUp => {
            let up_to = old.seen.as_deref().and_then(all);
            (None, up_to.map(|up_to| Step::Drain { server: to, up_to }).into_iter().collect())
        }
        Handover::Detach => (Some(from), vec![Step::Detach { server: to }]),
        Handover::Finish => (Some(from), finish(situation, old, new)),
    };
    let unfence = Some(to).filter(|_| new.is_deposed && doing == Handover::Finish);
    let accept = Some(to).filter(|_| doing == Handover::Finish && stage.is_empty() && is_writable(new));
    Plan { fence, unfence, accept, is_closing: true, stage }
}

fn finish(situation: &Situation<'_>, from: &ServerView, to: &ServerView) -> Vec<Step> {
    let acks = semi_sync(from).map_or(1, |semi_sync| semi_sync.acks);
    if let Some(step) = require_acks(situation, to, durability(situation, Some(from.id)), acks) {
        return vec![step];
    }
    let mut stage = follow_steps(situation, to, Some(from.id));
    let enough = usize::try_from(acks).unwrap_or(1).max(1);
    if stage.is_empty() || situation.followers(to.id).count() >= enough {
        if is_writable(to) {
            stage.extend(rejoin_old(situation, to, Some(from.id)));
        } else {
            stage.push(Step::OpenWrites { server: to.id });
        }
    }
    stage
}

/// Writes open again on the old primary.
pub(crate) fn plan_back(from: ServerId) -> Plan {
    Plan { unfence: Some(from), stage: vec![Step::OpenWrites { server: from }], ..Plan::default() }
}
