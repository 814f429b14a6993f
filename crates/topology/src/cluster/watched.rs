//! One server over time: its health, and how fresh it is proven to be.

use std::sync::Arc;
use std::time::Instant;

use super::{ClusterSettings, Member};
use crate::{
    Candidate, Failure, FailureKind, Health, Observation, Position, PositionHistory, Replication, Role, Sample, Server, ServerId,
    ThreadState,
};

/// What the cluster remembers of a server.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    /// What readers see.
    pub(super) server: Server,
    /// The last full look, its sample replaced by the latest.
    pub(super) observation: Option<Box<Observation>>,
    /// It lost the primary's role to another while it was down.
    pub(super) is_deposed: bool,
    /// Looks that failed since the last good one.
    failures: u32,
    full_since: Option<Instant>,
    /// Where it was when it was last proven to be fresh, and as of when.
    proof: Option<(Position, Instant)>,
}

impl Watched {
    pub(super) fn new(id: ServerId, member: Member) -> Watched {
        Watched {
            server: Server::new(id, member.name, member.address, member.weight),
            observation: None,
            is_deposed: false,
            failures: 0,
            full_since: None,
            proof: None,
        }
    }

    pub(super) fn candidate(&self) -> Candidate<'_> {
        Candidate {
            name: &self.server.name,
            address: &self.server.address,
            is_up: self.server.is_up(),
            is_pending: self.server.health == Health::Unknown,
            is_deposed: self.is_deposed,
            role_before: self.server.role,
            observation: self.observation.as_deref(),
        }
    }

    pub(super) fn take_observation(&mut self, observation: Box<Observation>) {
        let server = &mut self.server;
        server.engine = Some(observation.engine);
        server.version = observation.version;
        keep_or_replace(&mut server.version_text, &observation.version_text);
        keep_or_replace(&mut server.sql_mode, &observation.sql_mode);
        server.replication = worst(&observation.channels).cloned();
        self.is_deposed &= !observation.sample.read_only && observation.channels.is_empty();
        let sample = observation.sample.clone();
        self.observation = Some(observation);
        self.take_sample(sample);
    }

    /// Without a full look before it, a sample says too little and is ignored.
    pub(super) fn take_sample(&mut self, sample: Sample) {
        let Some(observation) = &mut self.observation else { return };
        self.failures = 0;
        self.full_since = None;
        self.is_deposed &= !sample.read_only;
        self.server.health = if sample.offline { Health::Down { why: OFFLINE.into() } } else { Health::Up };
        observation.sample = sample;
    }

    pub(super) fn take_failure(&mut self, failure: &Failure, settings: ClusterSettings, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        let is_down = match failure.kind {
            FailureKind::Gone => true,
            FailureKind::Suspect => self.failures >= settings.failures,
            FailureKind::Full => {
                let since = *self.full_since.get_or_insert(now);
                now.saturating_duration_since(since) >= settings.full_grace
            }
        };
        // What is down already gets the latest reason.
        if is_down || matches!(self.server.health, Health::Down { .. }) {
            self.server.health = Health::Down { why: Arc::clone(&failure.why) };
        }
    }

    /// Sets the position that fits the role, and as of when that makes the server fresh.
    pub(super) fn settle_freshness(&mut self, history: &PositionHistory) {
        let sample = self.observation.as_ref().map(|observation| &observation.sample);
        let position = match self.server.role {
            Role::Primary => sample.and_then(|sample| sample.written.as_ref()),
            Role::Replica | Role::Stray | Role::Unknown => sample.and_then(|sample| sample.applied.as_ref()),
        };
        self.proof = position.and_then(|position| self.prove(position, history));
        self.server.fresh_as_of = self.proof.as_ref().map(|(_, moment)| *moment);
        self.server.position = position.cloned();
    }

    /// What was proven of a position stays true of every later one that contains it, also when the history has forgotten. Only
    /// a server that went back, as a rebuilt one does, starts anew.
    fn prove(&self, position: &Position, history: &PositionHistory) -> Option<(Position, Instant)> {
        let kept = self.proof.as_ref().filter(|(at, _)| position.contains(at)).map(|(_, moment)| *moment);
        kept.max(history.fresh_as_of(position)).map(|moment| (position.clone(), moment))
    }
}

const OFFLINE: &str =
    "offline_mode is on: the server refuses applications; SET GLOBAL offline_mode = OFF when it may serve again";

/// Readers hold on to these texts, and they hardly ever change.
fn keep_or_replace(kept: &mut Option<Arc<str>>, new: &Arc<str>) {
    if kept.as_deref() != Some(&**new) {
        *kept = Some(Arc::clone(new));
    }
}

fn worst(channels: &[Replication]) -> Option<&Replication> {
    let rank = |state: ThreadState| match state {
        ThreadState::Running => 0,
        ThreadState::Connecting => 1,
        ThreadState::Stopped => 2,
    };
    // Of equals the first, so that it does not change from look to look.
    channels.iter().rev().max_by_key(|channel| rank(channel.io).max(rank(channel.applier)))
}
