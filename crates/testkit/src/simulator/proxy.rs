//! A proxy: what it knows, and what it is doing.

use std::collections::BTreeSet;
use std::time::Duration;

use failover::{History, Request};
use topology::{Cluster, ClusterSettings, Member, ServerId};

use super::server::address_of;

/// What the executor of a proxy is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Idle,
    /// Steps are under way.
    Acting,
    /// All servers are looked at.
    Looking,
}

#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) is_alive: bool,
    pub(crate) incarnation: u32,
    pub(crate) cluster: Cluster,
    /// It survives a crash.
    pub(crate) history: History,
    pub(crate) request: Option<Request>,
    pub(crate) phase: Phase,
    /// Counts the phases: an answer to an earlier one is late.
    pub(crate) round: u64,
    /// Answers that the phase waits for.
    pub(crate) pending: usize,
    /// Steps of the stage that have not ended.
    pub(crate) open_steps: BTreeSet<usize>,
    /// It has decided that this server gets no more writes.
    pub(crate) fenced: Option<usize>,
    /// The stage is one of a promotion.
    pub(crate) is_promoting: bool,
    pub(crate) last_finding: String,
}

impl Proxy {
    pub(crate) fn new(servers: usize) -> Proxy {
        Proxy {
            is_alive: true,
            incarnation: 0,
            cluster: fresh(servers),
            history: History::default(),
            request: None,
            phase: Phase::Idle,
            round: 0,
            pending: 0,
            open_steps: BTreeSet::new(),
            fenced: None,
            is_promoting: false,
            last_finding: String::new(),
        }
    }

    /// All memory except the history is lost.
    pub(crate) fn crash(&mut self) {
        self.is_alive = false;
        self.incarnation += 1;
        self.request = None;
        self.phase = Phase::Idle;
        self.round += 1;
        self.fenced = None;
    }

    pub(crate) fn restart(&mut self, servers: usize) {
        self.is_alive = true;
        self.cluster = fresh(servers);
    }
}

fn fresh(servers: usize) -> Cluster {
    let member = |server: usize| Member {
        name: format!("db{}", server + 1).into(),
        address: address_of(server).into(),
        replication_address: address_of(server).into(),
        share: topology::Share::default(),
    };
    let settings = ClusterSettings { failures: 3, full_grace: Duration::from_secs(10) };
    Cluster::new((0..).map(ServerId).zip((0..servers).map(member)).collect(), settings)
}
