//! One stage of a plan on real servers: the steps concurrently, then a look at all servers.

use std::time::Duration;

use failover::Step;
use futures_util::future::join_all;
use tokio::time::Instant;
use topology::{Observation, ProbeFailure, ServerId};

use crate::actor::{Actor, Done, Work};
use crate::settings::Address;

/// All servers with their actors.
#[derive(Clone, Debug)]
pub(super) struct Servers {
    pub(super) all: Vec<Told>,
    pub(super) step_timeout: Duration,
}

/// A server with its actor.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) id: ServerId,
    pub(super) actor: Actor,
    /// Where the others reach it.
    pub(super) address: Address,
}

/// The outcome of a step.
#[derive(Debug)]
pub(crate) struct Tried {
    pub(super) step: Step,
    pub(super) took: Duration,
    /// Whether it is done, or goes on.
    pub(super) outcome: Result<bool, ProbeFailure>,
}

/// The outcome of a stage.
#[derive(Debug, Default)]
pub(crate) struct StageEnd {
    /// Whether we had the locks to change roles; without them nothing was done.
    pub(super) had_locks: bool,
    pub(super) tried: Vec<Tried>,
    /// The looks that were taken after it. The probers report servers that could not be looked at.
    pub(super) looks: Vec<(ServerId, Box<Observation>)>,
}

/// The locks that allow changing roles.
#[derive(Debug)]
pub(crate) struct Locked {
    /// On how many servers.
    pub(super) text: String,
    /// What these showed once we had it.
    pub(super) looks: Vec<(ServerId, Box<Observation>)>,
}

impl Servers {
    pub(super) fn actor(&self, id: ServerId) -> Option<&Actor> {
        self.all.iter().find(|told| told.id == id).map(|told| &told.actor)
    }

    pub(super) fn address(&self, id: ServerId) -> Option<&Address> {
        self.all.iter().find(|told| told.id == id).map(|told| &told.address)
    }

    /// Does the steps, each on its server, and looks at all servers that answer. The fence of a server that does not answer is begun and not waited
    /// for.
    ///
    /// `sibling` helps to detach a replica.
    pub(super) async fn run(
        self,
        steps: Vec<Step>,
        answering: Vec<ServerId>,
        sibling: Option<ServerId>,
        accepts_loss: bool,
    ) -> StageEnd {
        // The connections that held the locks may have been replaced by now.
        if self.lock(Work::KeepLock, &answering, accepts_loss).await.is_err() {
            return StageEnd::default();
        }
        let (awaited, left): (Vec<Step>, Vec<Step>) =
            steps.into_iter().partition(|step| !matches!(step, Step::Fence { server } if !answering.contains(server)));
        for step in left {
            let servers = self.clone();
            tokio::spawn(async move { servers.execute(step, None).await });
        }
        let mut end = StageEnd { had_locks: true, ..StageEnd::default() };
        let servers = &self;
        for (tried, look) in join_all(awaited.into_iter().map(|step| servers.execute(step, sibling))).await {
            if let Some(observation) = look {
                end.looks.push((tried.step.server(), observation));
            }
            end.tried.push(tried);
        }
        // The others are looked at through the same connections, as the probers would take longer.
        let rest: Vec<ServerId> =
            answering.into_iter().filter(|id| end.looks.iter().all(|(looked_at, _)| looked_at != id)).collect();
        let looks = join_all(rest.into_iter().map(|id| async move { (id, servers.look(id).await) })).await;
        end.looks.extend(looks.into_iter().filter_map(|(id, look)| Some((id, look?))));
        end
    }

    async fn execute(&self, step: Step, sibling: Option<ServerId>) -> (Tried, Option<Box<Observation>>) {
        let begin = Instant::now();
        let other = match step {
            Step::Follow { source, .. } => Some(source),
            Step::Detach { .. } => sibling,
            _ => None,
        };
        let other = other.and_then(|id| self.address(id).cloned());
        let outcome = match self.actor(step.server()) {
            Some(actor) => actor.execute(Work::Step(step.clone(), other), self.limit(&step)).await,
            None => Err(ProbeFailure { kind: topology::FailureKind::Blind, why: "no such server".into() }),
        };
        let took = begin.elapsed();
        match outcome {
            Ok(done) => (Tried { step, took, outcome: Ok(done.is_complete) }, done.observation),
            Err(failure) => (Tried { step, took, outcome: Err(failure) }, None),
        }
    }

    /// A drain waits for a second by itself.
    fn limit(&self, step: &Step) -> Duration {
        match step {
            Step::Fence { .. } => self.step_timeout.min(Duration::from_secs(1)),
            _ => self.step_timeout,
        }
    }

    async fn look(&self, id: ServerId) -> Option<Box<Observation>> {
        let actor = self.actor(id)?;
        actor.execute(Work::Look, LOOK_TIMEOUT).await.ok()?.observation
    }

    /// The right to change roles: the lock on a majority of all servers. With two servers, of which one is to be replaced, the lock on the other
    /// decides, as it is the one to promote.
    ///
    /// A person who accepts that writes are lost (`accepts_loss`) speaks for the servers that do not answer, too: those that do are enough.
    pub(super) async fn take_lock(self, answering: Vec<ServerId>, accepts_loss: bool) -> Result<Locked, String> {
        self.lock(Work::Lock, &answering, accepts_loss).await
    }

    async fn lock(&self, work: Work, answering: &[ServerId], accepts_loss: bool) -> Result<Locked, String> {
        let needed = if accepts_loss || self.all.len() == 2 { 1 } else { self.all.len() / 2 + 1 };
        let asked = answering.iter().filter_map(|id| self.actor(*id).map(|actor| (*id, actor)));
        let answers = join_all(asked.map(|(id, actor)| {
            let work = work.clone();
            async move { (id, actor.execute(work, LOOK_TIMEOUT).await) }
        }))
        .await;
        let held: Vec<ServerId> =
            answers.iter().filter(|(_, answer)| matches!(answer, Ok(done) if done.is_complete)).map(|(id, _)| *id).collect();
        // No other Pointsman may hold a server that matters: it may be changing it.
        let is_contested = answers.iter().any(|(_, answer)| matches!(answer, Ok(done) if !done.is_complete));
        if held.len() >= needed && !is_contested {
            let text = format!("{} of {} servers", held.len(), self.all.len());
            let look = |(id, answer): (ServerId, Result<Done, ProbeFailure>)| Some((id, answer.ok()?.observation?));
            return Ok(Locked { text, looks: answers.into_iter().filter_map(look).collect() });
        }
        self.unlock(&held).await;
        Err(if is_contested {
            "another Pointsman is changing roles; its work is watched".to_owned()
        } else {
            format!(
                "only {} of the {needed} servers that it takes could be locked: start one of the others; \
                 `pointsman failover --accept-loss` does without",
                held.len()
            )
        })
    }

    /// Gives the right back.
    pub(super) async fn unlock(&self, held: &[ServerId]) {
        let actors = held.iter().filter_map(|id| self.actor(*id));
        join_all(actors.map(|actor| actor.execute(Work::Unlock, LOOK_TIMEOUT))).await;
    }
}

/// A server that does not answer a look within this time is left to the probers.
const LOOK_TIMEOUT: Duration = Duration::from_secs(1);
