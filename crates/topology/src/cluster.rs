//! All servers over time: reports in, snapshots out.

mod lineage;
mod monitored;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::roles::{direct_source, filters_before};
use crate::{
    Before, Candidate, ClusterView, Epoch, Observation, PositionHistory, Report, Roles, Server, ServerId, ServerState, Share,
    ShareChange, Snapshot, Warning, assign_roles,
};
use monitored::Monitored;

/// A server of the configured list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name in the config.
    pub name: Arc<str>,
    /// `host:port`
    pub address: Arc<str>,
    /// `host:port` by which the other servers reach it, to replicate from it.
    pub replication_address: Arc<str>,
    /// Its share of the traffic, until a person changes it.
    pub share: Share,
}

/// What decides when a server counts as down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClusterSettings {
    /// This many looks in a row must go unanswered, unless the server is plainly gone.
    pub failures: u32,
    /// A server that is too full to let the monitor in keeps its state for this long. Not longer, because its role cannot be checked meanwhile.
    pub full_grace: Duration,
}

impl Default for ClusterSettings {
    fn default() -> ClusterSettings {
        ClusterSettings { failures: 3, full_grace: Duration::from_secs(10) }
    }
}

/// The state machine that produces the snapshots. All its input is given to it, the time included, and it does no IO.
#[derive(Clone, Debug)]
pub struct Cluster {
    settings: ClusterSettings,
    /// In the order of the config.
    servers: Vec<Monitored>,
    /// Positions of the server that was the primary at the time.
    history: PositionHistory,
    /// The last primary, even if it is down now.
    last_primary: Option<ServerId>,
    /// The reign of `last_primary`.
    epoch: Epoch,
    is_closing: bool,
    warnings: Vec<Warning>,
    /// The primary that the others' transactions were last compared with.
    compared_with: Option<ServerId>,
    snapshot: Snapshot,
}

impl Cluster {
    /// A cluster of which only the list is known. A number always means the same server.
    pub fn new(members: Vec<(ServerId, Member)>, settings: ClusterSettings) -> Cluster {
        let servers: Vec<Monitored> = members.into_iter().map(|(id, member)| Monitored::new(id, member)).collect();
        let shown = servers.iter().map(|watched| watched.server.clone()).collect();
        Cluster {
            settings,
            servers,
            history: PositionHistory::default(),
            last_primary: None,
            epoch: Epoch::default(),
            is_closing: false,
            warnings: Vec::new(),
            compared_with: None,
            snapshot: Snapshot { servers: shown, ..Snapshot::default() },
        }
    }

    /// Applies another list and other settings. What is known of a server that stays is kept. Returns the new snapshot as [`observe`](Self::observe)
    /// does.
    pub fn change(&mut self, members: Vec<(ServerId, Member)>, settings: ClusterSettings, now: Instant) -> Option<Snapshot> {
        self.settings = settings;
        let mut before = std::mem::take(&mut self.servers);
        for (id, member) in members {
            let known = before.iter().position(|watched| watched.server.id == id).map(|place| before.swap_remove(place));
            let share = member.share;
            let watched = known.map_or_else(|| Monitored::new(id, member), |known| known.configured(share, now));
            self.servers.push(watched);
        }
        let is_gone = |id: &ServerId| before.iter().any(|watched| watched.server.id == *id);
        self.last_primary = self.last_primary.filter(|last| !is_gone(last));
        self.compared_with = self.compared_with.filter(|last| !is_gone(last));
        self.settle(None)
    }

    /// A person changes a server's share of the traffic. It stays so until the list says something else than before. Returns the new snapshot as
    /// [`observe`](Self::observe) does.
    pub fn set(&mut self, id: ServerId, change: ShareChange, now: Instant) -> Option<Snapshot> {
        find(&mut self.servers, id)?.set(change, now);
        self.settle(None)
    }

    /// The latest snapshot.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The last full look at a server, however long ago.
    pub fn observation(&self, id: ServerId) -> Option<&Observation> {
        self.watched(id)?.observation.as_deref()
    }

    /// Takes in a report about a server. Returns the new snapshot, or `None` if it equals the last one for every reader.
    ///
    /// Reports of one server must arrive in the order in which they were made.
    pub fn observe(&mut self, id: ServerId, report: Report, now: Instant) -> Option<Snapshot> {
        let settings = self.settings;
        let watched = find(&mut self.servers, id)?;
        let is_full = matches!(report, Report::Observed(_));
        match report {
            Report::Observed(observation) => watched.take_observation(observation, now),
            Report::Sampled(sample) => watched.take_sample(sample, now),
            Report::Silent { since } => watched.take_silence(since),
            Report::Failed(failure) => watched.take_failure(&failure, settings, now),
        }
        self.settle(is_full.then_some(id))
    }

    /// Takes writes away from a server, whatever it says about itself, until it is seen following another. Returns the new snapshot as
    /// [`observe`](Self::observe) does.
    pub fn fence(&mut self, id: ServerId) -> Option<Snapshot> {
        let watched = find(&mut self.servers, id).filter(|watched| !watched.is_fenced)?;
        watched.is_fenced = true;
        self.settle(None)
    }

    /// Undoes [`fence`](Self::fence): the server was not replaced after all.
    pub fn unfence(&mut self, id: ServerId) -> Option<Snapshot> {
        let watched = find(&mut self.servers, id).filter(|watched| watched.is_fenced || watched.is_deposed)?;
        watched.is_fenced = false;
        watched.is_deposed = false;
        self.settle(None)
    }

    /// A server has been promoted. From now on it is the primary if it is writable and follows no other server, whichever server the others still
    /// follow, and even if it may have started writable. Only another writable server with more followers takes the role from it.
    pub fn accept(&mut self, id: ServerId) -> Option<Snapshot> {
        find(&mut self.servers, id)?.accept();
        self.depose_last_primary(id);
        self.settle(None)
    }

    /// Sets whether the primary is about to hand over: see [`Snapshot::is_closing`].
    pub fn close(&mut self, is_closing: bool) -> Option<Snapshot> {
        if self.is_closing == is_closing {
            return None;
        }
        self.is_closing = is_closing;
        self.settle(None)
    }

    /// All servers as failover sees them.
    pub fn view(&self) -> ClusterView {
        let candidates = self.candidates();
        ClusterView {
            epoch: self.epoch,
            primary: self.snapshot.primary,
            last_primary: self.last_primary,
            servers: self.servers.iter().map(|watched| watched.view(direct_source(&candidates, watched.server.id))).collect(),
            warnings: self.warnings.clone(),
        }
    }

    fn watched(&self, id: ServerId) -> Option<&Monitored> {
        self.servers.iter().find(|watched| watched.server.id == id)
    }

    fn candidates(&self) -> Vec<Candidate<'_>> {
        self.servers.iter().map(|watched| watched.candidate(self.settings)).collect()
    }

    fn settle(&mut self, looked_at: Option<ServerId>) -> Option<Snapshot> {
        let roles = self.settle_roles();
        self.record_position_of(roles.primary);
        self.settle_lineage(roles.primary, looked_at);
        self.settle_flaws();
        for watched in &mut self.servers {
            watched.settle_freshness(&self.history);
        }
        self.publish(&roles)
    }

    fn settle_roles(&mut self) -> Roles {
        let candidates = self.candidates();
        let roles = assign_roles(&candidates, Before { primary: self.last_primary });
        for (watched, role) in self.servers.iter_mut().zip(&roles.roles) {
            watched.take_role(*role, roles.primary.is_some());
        }
        if let Some(primary) = roles.primary {
            self.depose_last_primary(primary);
        }
        roles
    }

    /// A primary that loses its role while we cannot see it, down or not, may come back as it was, writable and followed by replicas that do not know
    /// of the change either. That must not give it the role again.
    fn depose_last_primary(&mut self, new: ServerId) {
        let last = self.last_primary.replace(new);
        if last != Some(new) {
            self.epoch = self.epoch.next();
        }
        let Some(last) = last.filter(|last| *last != new) else { return };
        if let Some(watched) = find(&mut self.servers, last) {
            watched.is_deposed = !watched.is_in_sight();
        }
    }

    /// The sample may be older than the decision that its server is the primary, but the server was writable at that time, too.
    fn record_position_of(&mut self, primary: Option<ServerId>) {
        let sample = primary.and_then(|id| self.observation(id)).map(|observation| &observation.sample);
        if let Some((sent_at, position)) = sample.and_then(|sample| Some((sample.sent_at, sample.written.clone()?))) {
            self.history.record(sent_at, position);
        }
    }

    /// After a full look at the primary, all others are compared with it; after a full look at another server, only that one. While there is no
    /// primary, the last results stay.
    fn settle_lineage(&mut self, primary: Option<ServerId>, looked_at: Option<ServerId>) {
        let Some(primary) = primary else { return };
        let is_new = self.compared_with.replace(primary) != Some(primary);
        if looked_at.is_none() && !is_new {
            return;
        }
        let Some(seen) = self.observation(primary).cloned() else { return };
        let everyone = is_new || looked_at == Some(primary);
        for watched in self.servers.iter_mut().filter(|watched| watched.server.id != primary) {
            if is_new {
                watched.forget_lineage();
            }
            if everyone || looked_at == Some(watched.server.id) {
                watched.judge(&seen);
            }
        }
    }

    fn settle_flaws(&mut self) {
        let candidates = self.candidates();
        let filters: Vec<Option<String>> =
            self.servers.iter().map(|watched| filters_before(&candidates, watched.server.id)).collect();
        for (watched, filters) in self.servers.iter_mut().zip(filters) {
            watched.settle_flaws(filters);
        }
    }

    fn publish(&mut self, roles: &Roles) -> Option<Snapshot> {
        let servers: Vec<Server> = self.servers.iter().map(|watched| watched.server.clone()).collect();
        self.warnings = self.warnings(roles);
        let generation = self.snapshot.generation;
        let snapshot = Snapshot {
            generation,
            servers,
            primary: roles.primary,
            last_primary: self.last_primary,
            epoch: self.epoch,
            is_closing: self.is_closing,
            warnings: self.warnings.iter().map(|warning| warning.to_string().into()).collect(),
        };
        if snapshot == self.snapshot {
            return None;
        }
        self.snapshot = Snapshot { generation: generation + 1, ..snapshot };
        Some(self.snapshot.clone())
    }

    fn warnings(&self, roles: &Roles) -> Vec<Warning> {
        let primary = roles.primary.and_then(|id| self.watched(id));
        let unproven = primary
            .filter(|watched| watched.server.position.is_none())
            .map(|watched| Warning::PrimaryWithoutPositions { name: watched.server.name.to_string() });
        // A person is at work on it, and knows.
        let is_looked_after = |watched: &&Monitored| watched.server.state != ServerState::Maintenance;
        let flaws = self.servers.iter().filter(is_looked_after).flat_map(Monitored::flaws);
        let blind = self.servers.iter().filter(is_looked_after).filter_map(Monitored::blindness);
        roles.warnings.iter().cloned().chain(unproven).chain(flaws).chain(blind).collect()
    }
}

fn find(servers: &mut [Monitored], id: ServerId) -> Option<&mut Monitored> {
    servers.iter_mut().find(|watched| watched.server.id == id)
}

#[cfg(test)]
mod tests;
