//! What is written to the journal and sent by the API, as JSON.

pub(crate) mod clients;
pub(crate) mod doctor;
pub(crate) mod ejections;
pub(crate) mod live;
pub(crate) mod route;
pub(crate) mod rules;
pub(crate) mod statistics;

use std::time::{Duration, SystemTime};

use failover::Durability;
use monitor::{Entry, Event, Status};
use serde::{Deserialize, Serialize};
use topology::{ClusterView, Condition, DownCause, ServerView, Share, ThreadState};

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EntryView {
    /// RFC 3339, UTC.
    at: String,
    #[serde(flatten)]
    pub(crate) line: Line,
}

/// What happened; `event` names the kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Line {
    Found { finding: String, severity: String, text: String, evidence: Vec<Evidence> },
    Step { step: String, server: String, detail: String, took_ms: u64, outcome: String },
    Locks { held: bool, text: String },
    PromotionBegan { from: String, is_asked_for: bool },
    Promoted { to: String, took_ms: u64, is_asked_for: bool },
    PromotionEnded { why: String },
    ShareSet { server: String, before: ShareView, after: ShareView },
    Ejected { server: String, reason: String, text: String, lasts_ms: u64 },
    EjectionEnded { server: String, took_ms: u64 },
    Hook { moment: String, outcome: String },
}

/// What one server showed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Evidence {
    server: String,
    state: String,
}

/// A server's share of the traffic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ShareView {
    weight: u32,
    state: String,
}

impl From<Share> for ShareView {
    fn from(share: Share) -> ShareView {
        ShareView { weight: share.weight, state: share.state.name().to_owned() }
    }
}

impl From<&Entry> for EntryView {
    fn from(entry: &Entry) -> EntryView {
        let line = match entry.event.clone() {
            Event::Found { finding, severity, text, evidence } => {
                let evidence = evidence.into_iter().map(|(server, state)| Evidence { server, state }).collect();
                Line::Found { finding: finding.to_owned(), severity: severity.to_owned(), text, evidence }
            }
            Event::Step { step, server, detail, took, outcome } => {
                Line::Step { step: step.to_owned(), server, detail, took_ms: milliseconds(took), outcome: outcome.to_string() }
            }
            Event::Locks { held, text } => Line::Locks { held, text },
            Event::PromotionBegan { from, is_asked_for } => Line::PromotionBegan { from, is_asked_for },
            Event::Promoted { to, took, is_asked_for } => Line::Promoted { to, took_ms: milliseconds(took), is_asked_for },
            Event::PromotionEnded { why } => Line::PromotionEnded { why },
            Event::ShareSet { server, before, after } => Line::ShareSet { server, before: before.into(), after: after.into() },
            Event::Ejected { server, reason, text, lasts } => {
                Line::Ejected { server, reason: reason.to_owned(), text, lasts_ms: milliseconds(lasts) }
            }
            Event::EjectionEnded { server, took } => Line::EjectionEnded { server, took_ms: milliseconds(took) },
            Event::Hook { moment, outcome } => Line::Hook { moment: moment.to_owned(), outcome },
        };
        EntryView { at: humantime::format_rfc3339_millis(entry.at).to_string(), line }
    }
}

impl EntryView {
    /// When it was, by the clock of the machine that wrote it.
    pub(crate) fn moment(&self) -> Option<SystemTime> {
        humantime::parse_rfc3339(&self.at).ok()
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The status of the servers and of failover.
#[derive(Debug, Serialize)]
pub(crate) struct StatusView {
    epoch: u64,
    primary: Option<String>,
    finding: &'static str,
    severity: &'static str,
    text: String,
    /// What a promotion may cost: `lossless`, `bounded` or `manual`.
    durability: &'static str,
    servers: Vec<ServerStatus>,
    warnings: Vec<String>,
    /// What the promises need and the servers lack, as text.
    missing: Vec<String>,
}

#[derive(Debug, Serialize)]
struct ServerStatus {
    name: String,
    role: String,
    #[serde(flatten)]
    share: ShareView,
    /// `up`, `silent`, `full`, `blind`, `gone`, `shutting_down`, `offline` or `unknown`.
    condition: &'static str,
    /// What is wrong, if anything is.
    why: Option<String>,
    read_only: Option<bool>,
    /// GTIDs that it has applied, or written.
    position: Option<String>,
    follows: Option<String>,
    receiving: Option<&'static str>,
    applying: Option<&'static str>,
    semi_sync: Option<SemiSyncStatus>,
    diverged: Option<String>,
}

#[derive(Debug, Serialize)]
struct SemiSyncStatus {
    /// As a primary: commits wait for acknowledgements.
    source: bool,
    /// As a primary: replicas that acknowledge.
    clients: u32,
    /// As a replica: it acknowledges.
    replica: bool,
}

impl From<Status> for StatusView {
    fn from(status: Status) -> StatusView {
        let view = &status.view;
        let name = |id| view.server(id).map(|server: &ServerView| server.name.to_string());
        StatusView {
            epoch: view.epoch.0,
            primary: view.primary.and_then(name),
            finding: status.finding,
            severity: status.severity,
            servers: view.servers.iter().map(|server| server_status(view, server)).collect(),
            warnings: view.warnings.iter().map(ToString::to_string).collect(),
            missing: status.requirements.iter().map(ToString::to_string).collect(),
            durability: match status.durability {
                Durability::Auto | Durability::Bounded => "bounded",
                Durability::Lossless => "lossless",
                Durability::Manual => "manual",
            },
            text: status.text,
        }
    }
}

fn server_status(view: &ClusterView, server: &ServerView) -> ServerStatus {
    let seen = server.seen.as_deref();
    let channel = seen.and_then(|seen| seen.channels.first());
    let (condition, why) = condition(&server.condition);
    ServerStatus {
        name: server.name.to_string(),
        role: server.role.to_string(),
        share: server.share.into(),
        condition,
        why,
        read_only: seen.map(|seen| seen.sample.read_only),
        position: seen.and_then(|seen| seen.sample.written.as_ref().or(seen.sample.applied.as_ref())).map(ToString::to_string),
        follows: view.source_of(server).as_deref().map(str::to_owned),
        receiving: channel.map(|channel| thread(channel.io)),
        applying: channel.map(|channel| thread(channel.applier)),
        semi_sync: seen.and_then(|seen| seen.semi_sync).map(|semi_sync| SemiSyncStatus {
            source: semi_sync.source_enabled,
            clients: semi_sync.clients,
            replica: semi_sync.replica_enabled,
        }),
        diverged: server.diverged.as_deref().map(str::to_owned),
    }
}

fn condition(condition: &Condition) -> (&'static str, Option<String>) {
    match condition {
        Condition::Unknown => ("unknown", None),
        Condition::Up => ("up", None),
        Condition::Silent { .. } => ("silent", None),
        Condition::Full { .. } => ("full", None),
        Condition::Blind { why } => ("blind", Some(why.to_string())),
        Condition::Down { cause, why, .. } => {
            let cause = match cause {
                DownCause::Gone => "gone",
                DownCause::ShuttingDown => "shutting_down",
                DownCause::Silent => "silent",
                DownCause::Full => "full",
                DownCause::Offline => "offline",
            };
            (cause, Some(why.to_string()))
        }
    }
}

fn thread(state: ThreadState) -> &'static str {
    match state {
        ThreadState::Running => "running",
        ThreadState::Connecting => "connecting",
        ThreadState::Stopped => "stopped",
    }
}
