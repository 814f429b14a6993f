//! Which steps come next.

use std::time::Instant;

use topology::ServerId;

use crate::beside::{Rejoin, plan_closing, plan_follow};
use crate::facts::{follows, io, semi_sync};
use crate::promotion::{plan_revocation, require_acks};
use crate::quorum::durability;
use crate::{Durability, Finding, Situation, Step, promotion, switchover};

/// What is to be done now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// This server gets no more writes, and its OKs no longer count, whatever it says about itself.
    pub fence: Option<ServerId>,
    /// This server was fenced, and goes on: the fence is removed before the steps.
    pub unfence: Option<ServerId>,
    /// This server has taken over, and is to be accepted as the primary although the others do not follow it yet.
    pub accept: Option<ServerId>,
    /// No new transaction begins on the primary.
    pub is_closing: bool,
    /// The steps of the first stage, done concurrently. Then the servers are looked at again. Empty: nothing is to be done now.
    pub stage: Vec<Step>,
}

/// What to do about a finding: the first stage of the remaining steps. Doing a stage twice does no harm.
pub fn plan(finding: &Finding, situation: &Situation<'_>, now: Instant) -> Plan {
    let _ = now;
    let history = situation.history;
    let has_begun = situation.request.is_some() || !history.frozen.is_empty() || !history.closed.is_empty();
    if situation.policy.durability == Durability::Manual && !has_begun {
        return Plan::default();
    }
    match finding {
        Finding::Revoking { primary, .. } => plan_revocation(situation, primary.as_ref().map(|primary| primary.id)),
        Finding::Promoting(promotion) => promotion::plan(promotion, situation),
        Finding::PrimaryBack { primary, opens } => plan_back(situation, primary.id, *opens),
        Finding::SwitchingOver { from, to, doing } => switchover::plan(situation, from.id, to.id, *doing),
        Finding::RollingBack { from, .. } => switchover::plan_back(from.id),
        Finding::TwoWritable { stray, closes: true, .. } => plan_closing(situation, stray.id),
        Finding::FormerPrimaryReturned { server, primary, next: Rejoin::Follow, .. } => {
            plan_follow(situation, server.id, primary.id, true)
        }
        Finding::WrongSource { server, primary, .. } => plan_follow(situation, server.id, primary.id, false),
        Finding::LeftFrozen { servers, .. } => steps(servers.iter().map(|server| Step::Thaw { server: server.id }).collect()),
        Finding::MissingAcks { primary, acks } => steps(vec![Step::RequireAcks { server: primary.id, acks: *acks }]),
        _ => Plan::default(),
    }
}

fn steps(stage: Vec<Step>) -> Plan {
    Plan { stage, ..Plan::default() }
}

/// The old primary goes on: its replicas receive again, and if it takes no writes, it is opened once its commits wait for them as before. Replicas
/// that follow another server by now are repointed once it is known as the primary.
fn plan_back(situation: &Situation<'_>, primary: ServerId, opens: bool) -> Plan {
    let stopped = |server: &&topology::ServerView| follows(server, primary) && io(server) == Some(topology::ThreadState::Stopped);
    let thaw = situation.others(Some(primary)).filter(|server| server.answers()).filter(stopped);
    let mut stage: Vec<Step> = thaw.map(|server| Step::Thaw { server: server.id }).collect();
    let promise = durability(situation, Some(primary));
    let server = situation.server(primary);
    let acks = server.and_then(semi_sync).map_or(1, |semi_sync| semi_sync.acks);
    match server.filter(|_| opens).and_then(|server| require_acks(situation, server, promise, acks.max(1))) {
        Some(step) => stage.push(step),
        None if opens => stage.push(Step::OpenWrites { server: primary }),
        None => {}
    }
    Plan { unfence: Some(primary), accept: Some(primary), stage, ..Plan::default() }
}
