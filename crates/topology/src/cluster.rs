//! All servers over time: reports in, snapshots out.

mod watched;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::{Before, Candidate, Observation, PositionHistory, Report, Roles, Server, ServerId, Snapshot, Warning, assign_roles};
use watched::Watched;

/// A server of the configured list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name in the config.
    pub name: Arc<str>,
    /// `host:port`
    pub address: Arc<str>,
    /// Its share of the reads, relative to those of the others.
    pub weight: u32,
}

/// When a server counts as down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClusterSettings {
    /// So many looks in a row must fail, unless the server is plainly gone.
    pub failures: u32,
    /// A server that is too full to let the monitor in stays as it was for so long. Not for ever, as its role cannot be checked
    /// meanwhile.
    pub full_grace: Duration,
}

impl Default for ClusterSettings {
    fn default() -> ClusterSettings {
        ClusterSettings { failures: 3, full_grace: Duration::from_secs(10) }
    }
}

/// The state machine behind the snapshots. It is told everything, the time included, and does nothing by itself.
#[derive(Clone, Debug)]
pub struct Cluster {
    settings: ClusterSettings,
    /// In the order of the config.
    servers: Vec<Watched>,
    /// Of whoever was the primary at the time.
    history: PositionHistory,
    /// The last primary, although it may be down now.
    last_primary: Option<ServerId>,
    snapshot: Snapshot,
}

impl Cluster {
    /// Nothing is known yet but the list.
    pub fn new(members: Vec<Member>, settings: ClusterSettings) -> Cluster {
        let servers: Vec<Watched> = (0..).map(ServerId).zip(members).map(|(id, member)| Watched::new(id, member)).collect();
        let shown = servers.iter().map(|watched| watched.server.clone()).collect();
        Cluster {
            settings,
            servers,
            history: PositionHistory::default(),
            last_primary: None,
            snapshot: Snapshot { servers: shown, ..Snapshot::default() },
        }
    }

    /// The latest snapshot.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The last full look at a server, however long ago.
    pub fn observation(&self, id: ServerId) -> Option<&Observation> {
        self.servers.get(id.index())?.observation.as_deref()
    }

    /// Takes in what was seen of a server. Returns the new snapshot, or `None` if no reader could tell it from the last one.
    ///
    /// Reports of one server must arrive in the order in which they were made.
    pub fn observe(&mut self, id: ServerId, report: Report, now: Instant) -> Option<Snapshot> {
        let settings = self.settings;
        let watched = self.servers.get_mut(id.index())?;
        match report {
            Report::Observed(observation) => watched.take_observation(observation),
            Report::Sampled(sample) => watched.take_sample(sample),
            Report::Failed(failure) => watched.take_failure(&failure, settings, now),
        }
        let roles = self.settle_roles();
        self.record_position_of(roles.primary);
        for watched in &mut self.servers {
            watched.settle_freshness(&self.history);
        }
        self.publish(&roles)
    }

    fn settle_roles(&mut self) -> Roles {
        let candidates: Vec<Candidate<'_>> = self.servers.iter().map(Watched::candidate).collect();
        let roles = assign_roles(&candidates, Before { primary: self.last_primary });
        for (watched, role) in self.servers.iter_mut().zip(&roles.roles) {
            watched.server.role = *role;
        }
        if let Some(primary) = roles.primary {
            self.depose_last_primary(primary);
        }
        roles
    }

    /// A primary that loses its role while nobody can see it may come back as it was, writable and followed by replicas that
    /// have not heard either. That must not give it the role again.
    fn depose_last_primary(&mut self, new: ServerId) {
        let Some(last) = self.last_primary.replace(new).filter(|last| *last != new) else { return };
        if let Some(watched) = self.servers.get_mut(last.index()) {
            watched.is_deposed = !watched.server.is_up();
        }
    }

    /// The sample may be older than the knowledge that it is the primary's: it was writable then, too.
    fn record_position_of(&mut self, primary: Option<ServerId>) {
        let sample = primary.and_then(|id| self.observation(id)).map(|observation| &observation.sample);
        if let Some((sent_at, position)) = sample.and_then(|sample| Some((sample.sent_at, sample.written.clone()?))) {
            self.history.record(sent_at, position);
        }
    }

    fn publish(&mut self, roles: &Roles) -> Option<Snapshot> {
        let servers: Vec<Server> = self.servers.iter().map(|watched| watched.server.clone()).collect();
        let warnings = self.warnings(roles);
        let last = &self.snapshot;
        if last.servers == servers && last.primary == roles.primary && last.warnings == warnings {
            return None;
        }
        self.snapshot = Snapshot { generation: last.generation + 1, servers, primary: roles.primary, warnings };
        Some(self.snapshot.clone())
    }

    fn warnings(&self, roles: &Roles) -> Vec<Arc<str>> {
        let primary = roles.primary.and_then(|id| self.servers.get(id.index()));
        let blind = primary
            .filter(|watched| watched.server.position.is_none())
            .map(|watched| Warning::PrimaryWithoutPositions { name: watched.server.name.to_string() });
        roles.warnings.iter().chain(&blind).map(|warning| warning.to_string().into()).collect()
    }
}

#[cfg(test)]
mod tests;
