//! One server over time: its health, and how fresh it is proven to be.

use std::sync::Arc;
use std::time::Instant;

use super::lineage::Transactions;
use super::{ClusterSettings, Member};
use crate::{
    Candidate, Condition, DownCause, Engine, FailureKind, Following, Health, Observation, Position, PositionHistory,
    ProbeFailure, Replication, Role, Sample, Server, ServerId, ServerView, Share, ShareChange, ThreadState, Warning,
};

/// What the cluster remembers of a server.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Monitored {
    /// What readers see.
    pub(super) server: Server,
    /// Its share of the traffic in the config. `server` has what a person has made of it.
    share: Share,
    /// `host:port` for the other servers.
    replication_address: Arc<str>,
    /// The last full look, its sample replaced by the latest.
    pub(super) observation: Option<Arc<Observation>>,
    /// It lost the primary's role to another server while it was down.
    pub(super) is_deposed: bool,
    /// It is being replaced. Unlike `is_deposed`, this does not end when it is read-only for a while, as it may start writable.
    pub(super) is_fenced: bool,
    /// Why it is down, and since when.
    down: Option<(DownCause, Instant)>,
    /// Looks without any answer since the last answer.
    silences: u32,
    /// Looks that were answered by a refusal, since the last good one.
    refusals: u32,
    full_since: Option<Instant>,
    /// Why we cannot see it although it answers. Only a full look ends this, because samples may get through although a full look does not.
    blind: Option<Arc<str>>,
    /// Whether what it has is on the primary's history.
    lineage: Lineage,
    /// It has been gone or silent since it was last seen writable.
    has_been_down: bool,
    /// It was down before, and writable in the first look since.
    came_back_writable: bool,
    /// It became writable while another server was writable and there was no primary.
    was_promoted: bool,
    /// When the last full look was taken in.
    observed_at: Option<Instant>,
    /// When the question of that look was sent.
    asked_at: Option<Instant>,
    /// Its position when it was last proven to be fresh, and the moment as of which.
    proof: Option<(Position, Instant)>,
}

/// How a server's transactions relate to the primary's.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Lineage {
    /// Not compared with this primary yet.
    Unjudged,
    /// None is foreign.
    Shared,
    /// These seemed foreign at this moment, compared with a look at the primary that had begun before it. The former result stays until the next look
    /// decides.
    Suspect { foreign: Transactions, seen_at: Instant, is_shared: bool },
    /// These are.
    Diverged(Transactions),
}

impl Monitored {
    pub(super) fn new(id: ServerId, member: Member) -> Monitored {
        let Share { weight, state } = member.share;
        Monitored {
            server: Server { state, ..Server::new(id, member.name, member.address, weight) },
            share: member.share,
            replication_address: member.replication_address,
            observation: None,
            is_deposed: false,
            is_fenced: false,
            down: None,
            silences: 0,
            refusals: 0,
            full_since: None,
            blind: None,
            lineage: Lineage::Unjudged,
            has_been_down: false,
            came_back_writable: false,
            was_promoted: false,
            observed_at: None,
            asked_at: None,
            proof: None,
        }
    }

    /// The same server with another share in the config, the only thing that the config can change about a server. What the config leaves as it was stays
    /// as a person has set it.
    pub(super) fn configured(mut self, share: Share, now: Instant) -> Monitored {
        let change = self.share.change_to(share);
        self.share = share;
        self.set(change, now);
        self
    }

    /// A person changes its share.
    pub(super) fn set(&mut self, change: ShareChange, now: Instant) {
        let before = self.server.share();
        let after = before.with(change);
        Share { weight: self.server.weight, state: self.server.state } = after;
        if after.takes_reads() && (!before.takes_reads() || before.state != after.state) {
            self.server.back_since = Some(now);
        }
    }

    /// After `settings.failures` refusals in a row, its role counts as unknowable and no longer as pending.
    pub(super) fn candidate(&self, settings: ClusterSettings) -> Candidate<'_> {
        Candidate {
            id: self.server.id,
            name: &self.server.name,
            address: &self.server.address,
            replication_address: &self.replication_address,
            is_up: self.server.is_up(),
            is_pending: self.server.health == Health::Unknown && self.refusals < settings.failures,
            is_deposed: self.is_deposed || self.is_fenced,
            came_back_writable: self.came_back_writable,
            was_promoted: self.was_promoted,
            role_before: self.server.role,
            observation: self.observation.as_deref(),
        }
    }

    /// Ignores a look that is older than the last: the executor of a plan takes looks, too. A later quick look stays in force.
    pub(super) fn take_observation(&mut self, mut observation: Box<Observation>, now: Instant) {
        if self.asked_at.is_some_and(|last| observation.sample.sent_at < last) {
            return;
        }
        let asked_at = observation.sample.sent_at;
        if let Some(last) = self.observation.as_ref().filter(|last| last.sample.sent_at > asked_at) {
            observation.sample = last.sample.clone();
        }
        self.observed_at = Some(now);
        self.asked_at = Some(asked_at);
        self.server.acks_trusted = !observation.semi_sync.is_some_and(|semi_sync| semi_sync.may_answer_unasked());
        self.server.acks_seen_at = Some(asked_at);
        let server = &mut self.server;
        server.engine = Some(observation.engine);
        server.keeps_commit_order = observation.settings.keeps_commit_order;
        server.version = observation.version;
        keep_or_replace(&mut server.version_text, &observation.version_text);
        keep_or_replace(&mut server.sql_mode, &observation.sql_mode);
        if server.defaults != observation.defaults {
            server.defaults.clone_from(&observation.defaults);
        }
        server.replication = worst(&observation.channels).cloned();
        self.is_deposed &= !observation.sample.read_only && observation.channels.is_empty();
        self.is_fenced &= observation.channels.is_empty();
        let sample = observation.sample.clone();
        self.observation = Some(observation.into());
        self.blind = None;
        self.refusals = 0;
        self.take_sample(sample, now);
    }

    fn is_outdated(&self, sample: &Sample) -> bool {
        self.observation.as_ref().is_some_and(|last| sample.sent_at < last.sample.sent_at)
    }

    /// Without a full look before it, a sample says too little and is ignored.
    pub(super) fn take_sample(&mut self, sample: Sample, now: Instant) {
        if self.observation.is_none() || self.is_outdated(&sample) {
            return;
        }
        self.take_answer();
        self.full_since = None;
        self.is_deposed &= !sample.read_only;
        let was_lost = matches!(self.down, Some((DownCause::Gone | DownCause::Silent, _)));
        self.came_back_writable = !sample.read_only && (self.came_back_writable || was_lost);
        self.has_been_down &= sample.read_only;
        if sample.offline {
            self.goes_down(DownCause::Offline, OFFLINE.into(), now);
        } else {
            if let Health::Down { .. } = std::mem::replace(&mut self.server.health, Health::Up) {
                self.server.back_since = Some(now);
            }
            self.down = None;
        }
        if let Some(observation) = &mut self.observation {
            Arc::make_mut(observation).sample = sample;
        }
    }

    /// It was promoted, and counts as a replica that was seen to become writable.
    pub(super) fn accept(&mut self) {
        self.server.role = Role::Replica;
        self.came_back_writable = false;
        self.is_fenced = false;
        self.is_deposed = false;
    }

    pub(super) fn take_role(&mut self, role: Role, has_primary: bool) {
        let is_promoted = self.server.role == Role::Replica && !self.came_back_writable;
        self.was_promoted = role == Role::Stray && !has_primary && (self.was_promoted || is_promoted);
        self.server.role = role;
    }

    /// The first of several unanswered questions counts; repeating it changes nothing.
    pub(super) fn take_silence(&mut self, since: Instant) {
        self.server.silent_since.get_or_insert(since);
    }

    pub(super) fn take_failure(&mut self, failure: &ProbeFailure, settings: ClusterSettings, now: Instant) {
        if failure.kind != FailureKind::Silent {
            self.take_answer();
        }
        let is_down = match failure.kind {
            FailureKind::Gone | FailureKind::ShuttingDown | FailureKind::Offline => true,
            FailureKind::Silent => {
                self.silences = self.silences.saturating_add(1);
                self.silences >= settings.failures
            }
            FailureKind::Full => {
                let since = *self.full_since.get_or_insert(now);
                now.saturating_duration_since(since) >= settings.full_grace
            }
            FailureKind::Blind => {
                self.refusals = self.refusals.saturating_add(1);
                false
            }
        };
        if is_down || matches!(self.server.health, Health::Down { .. }) {
            // A server that is already down gets the latest reason, and no further warning.
            let cause = match failure.kind {
                // That it said it was shutting down says more than the refusals after it.
                FailureKind::Gone if matches!(self.down, Some((DownCause::ShuttingDown, _))) => DownCause::ShuttingDown,
                FailureKind::Gone => DownCause::Gone,
                FailureKind::ShuttingDown => DownCause::ShuttingDown,
                FailureKind::Offline => DownCause::Offline,
                // Its machine went after it. That it refused connections, or said goodbye, stays true while it does not answer.
                FailureKind::Silent => match self.down {
                    Some((cause @ (DownCause::Gone | DownCause::ShuttingDown), _)) => cause,
                    _ => DownCause::Silent,
                },
                FailureKind::Full => DownCause::Full,
                // It was down before, and its answer does not say otherwise.
                FailureKind::Blind => self.down.map_or(DownCause::Silent, |(cause, _)| cause),
            };
            self.goes_down(cause, Arc::clone(&failure.why), now);
            self.blind = None;
        } else if failure.kind == FailureKind::Blind {
            keep_or_replace(&mut self.blind, &failure.why);
        }
    }

    fn goes_down(&mut self, cause: DownCause, why: Arc<str>, now: Instant) {
        // The time counts from the first question that it did not answer.
        let noticed = self.server.silent_since.unwrap_or(now);
        let since = self.down.map_or(noticed, |(_, since)| since);
        self.has_been_down |= matches!(cause, DownCause::Gone | DownCause::ShuttingDown | DownCause::Silent);
        self.down = Some((cause, since));
        self.server.health = Health::Down { why };
    }

    /// What failover sees of it.
    pub(super) fn view(&self, follows: Following) -> ServerView {
        ServerView {
            id: self.server.id,
            name: Arc::clone(&self.server.name),
            share: self.server.share(),
            role: self.server.role,
            condition: self.condition(),
            is_deposed: self.is_deposed || self.is_fenced,
            seen: self.observation.clone(),
            seen_at: self.asked_at,
            follows,
            diverged: match &self.lineage {
                Lineage::Diverged(foreign) => Some(foreign.to_string().into()),
                Lineage::Unjudged | Lineage::Shared | Lineage::Suspect { .. } => None,
            },
            shares_history: self.lineage == Lineage::Shared,
            has_been_down: self.has_been_down,
            filters: self.server.filters.clone(),
        }
    }

    fn condition(&self) -> Condition {
        match (&self.server.health, self.down) {
            (Health::Unknown, _) if self.blind.is_some() => Condition::Blind { why: self.blind.clone().unwrap_or_default() },
            // A server that is down has a cause for it.
            (Health::Unknown, _) | (Health::Down { .. }, None) => Condition::Unknown,
            (Health::Down { why }, Some((cause, since))) => Condition::Down { cause, since, why: Arc::clone(why) },
            (Health::Up, _) => match (self.server.silent_since, self.full_since, &self.blind) {
                (Some(since), _, _) => Condition::Silent { since },
                (None, Some(since), _) => Condition::Full { since },
                (None, None, Some(why)) => Condition::Blind { why: Arc::clone(why) },
                (None, None, None) => Condition::Up,
            },
        }
    }

    /// An answer of any kind ends the silence.
    fn take_answer(&mut self) {
        self.silences = 0;
        self.server.silent_since = None;
    }

    /// What is known about it is current.
    pub(super) fn is_in_sight(&self) -> bool {
        self.server.is_up() && self.blind.is_none()
    }

    pub(super) fn blindness(&self) -> Option<Warning> {
        let why = self.blind.as_deref()?.to_owned();
        Some(Warning::Blind { name: self.server.name.to_string(), seen: self.server.role, why })
    }

    /// Sets the position that fits the role, and as of when that makes the server fresh.
    pub(super) fn settle_freshness(&mut self, history: &PositionHistory) {
        let sample = self.observation.as_ref().map(|observation| &observation.sample);
        let position = match self.server.role {
            Role::Primary => sample.and_then(|sample| sample.written.as_ref()),
            Role::Replica | Role::Stray | Role::Unknown => sample.and_then(|sample| sample.applied.as_ref()),
        };
        let is_comparable = self.server.role == Role::Primary || self.lineage.is_shared();
        self.proof = position.filter(|_| is_comparable).and_then(|position| self.prove(position, history));
        self.server.fresh_as_of = self.proof.as_ref().map(|(_, moment)| *moment);
        self.server.position = position.cloned();
    }

    /// A proof for a position holds for every later one that contains it, even after the history has dropped the sample. Only a server whose position
    /// went back, such as a rebuilt one, loses its proof.
    fn prove(&self, position: &Position, history: &PositionHistory) -> Option<(Position, Instant)> {
        let kept = self.proof.as_ref().filter(|(at, _)| position.contains(at)).map(|(_, moment)| *moment);
        kept.max(history.fresh_as_of(position)).map(|moment| (position.clone(), moment))
    }
}

impl Monitored {
    /// Another server is the primary now, so comparisons with the old one no longer count.
    pub(super) fn forget_lineage(&mut self) {
        self.lineage = Lineage::Unjudged;
    }

    /// Compares with the last full look at the primary.
    pub(super) fn judge(&mut self, primary: &Observation) {
        let (Some(observation), Some(observed_at)) = (&self.observation, self.observed_at) else { return };
        let asked_after = |moment: Instant| primary.sample.sent_at >= moment;
        // An existing suspicion is decided first. Otherwise each new look could fall between a question to the primary and its answer, and none would
        // ever be decided.
        if let Lineage::Suspect { foreign, seen_at, .. } = &self.lineage
            && asked_after(*seen_at)
            && let Some(foreign) = foreign.foreign_to(primary)
        {
            self.lineage = Lineage::Diverged(foreign);
        }
        let foreign = Transactions::of(observation).and_then(|all| all.foreign_to(primary));
        self.lineage = match (foreign, std::mem::replace(&mut self.lineage, Lineage::Unjudged)) {
            (None, _) => Lineage::Shared,
            (Some(foreign), Lineage::Diverged(_)) => Lineage::Diverged(foreign),
            (Some(foreign), _) if asked_after(observed_at) => Lineage::Diverged(foreign),
            (Some(_), Lineage::Suspect { foreign, seen_at, is_shared }) if !asked_after(seen_at) => {
                Lineage::Suspect { foreign, seen_at, is_shared }
            }
            (Some(foreign), before) => Lineage::Suspect { foreign, seen_at: observed_at, is_shared: before.is_shared() },
        };
    }

    /// Notes what excludes a replica from reads, whatever its staleness.
    pub(super) fn settle_flaws(&mut self, filters: Option<String>) {
        let is_replica = self.server.role == Role::Replica;
        show(&mut self.server.filters, filters.filter(|_| is_replica));
        let diverged = match &self.lineage {
            Lineage::Diverged(foreign) if is_replica => Some(shortened(foreign.to_string())),
            _ => None,
        };
        show(&mut self.server.diverged, diverged);
    }

    /// Warnings about them.
    pub(super) fn flaws(&self) -> impl Iterator<Item = Warning> {
        let server = &self.server;
        let name = || server.name.to_string();
        let diverged = server.diverged.as_ref().map(|transactions| Warning::Diverged {
            name: name(),
            transactions: transactions.to_string(),
            remedy: match server.engine {
                Some(Engine::MariaDb) => "rebuild it from the primary",
                _ => "rebuild it from the primary, or commit empty transactions with these GTIDs there if the difference does not matter",
            },
        });
        let filtered = server.filters.as_ref().map(|filters| Warning::Filtered { name: name(), filters: filters.to_string() });
        diverged.into_iter().chain(filtered).filter(|_| server.is_up())
    }
}

impl Lineage {
    fn is_shared(&self) -> bool {
        matches!(self, Lineage::Shared | Lineage::Suspect { is_shared: true, .. })
    }
}

/// Bytes of a set that are shown to people. A set with many gaps may be much longer.
const SHOWN_MAX: usize = 256;

fn shortened(text: String) -> String {
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

fn show(kept: &mut Option<Arc<str>>, new: Option<String>) {
    if kept.as_deref() != new.as_deref() {
        *kept = new.map(Into::into);
    }
}

const OFFLINE: &str =
    "offline_mode is on: the server refuses applications; SET GLOBAL offline_mode = OFF when it may serve again";

/// Keeps the old text if it is the same: readers hold references to it, and it hardly ever changes.
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
    // Among equals the first, so that the choice is stable from look to look.
    channels.iter().rev().max_by_key(|channel| rank(channel.io).max(rank(channel.applier)))
}
