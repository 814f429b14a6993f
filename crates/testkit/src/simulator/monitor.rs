//! How a proxy sees the servers.

use std::time::{Duration, Instant};

use topology::{FailureKind, ProbeFailure, Report, ServerId, ThreadState};

use super::proxy::Phase;
use super::{Event, Outcome, Probe, World};

const PROBE_INTERVAL: u64 = 250;
/// A question that is not answered by then is reported as silence.
const PROBE_TIMEOUT: u64 = 500;

impl World {
    pub(super) fn start_proxy(&mut self, proxy: usize) {
        let incarnation = self.proxies[proxy].incarnation;
        for server in 0..self.servers.len() {
            let delay = self.random.between(0, 50);
            self.after(delay, Event::ProbeTimer { proxy, incarnation, server });
        }
    }

    pub(super) fn probe_timer(&mut self, proxy: usize, incarnation: u32, server: usize) {
        if self.is_current(proxy, incarnation) {
            self.after(PROBE_INTERVAL, Event::ProbeTimer { proxy, incarnation, server });
            self.send_probe(proxy, server, None);
        }
    }

    pub(super) fn is_current(&self, proxy: usize, incarnation: u32) -> bool {
        self.proxies[proxy].is_alive && self.proxies[proxy].incarnation == incarnation
    }

    pub(super) fn send_probe(&mut self, proxy: usize, server: usize, round: Option<u64>) {
        self.numbers += 1;
        let incarnation = self.proxies[proxy].incarnation;
        let probe = Probe { proxy, incarnation, server, sent_at: self.now, round, number: self.numbers };
        self.after(PROBE_TIMEOUT, Event::ProbeEnds { probe, outcome: Outcome::Silent });
        if self.is_open(self.node(proxy), server) {
            let delay = self.random.between(1, 5);
            self.after(delay, Event::ProbeArrives { probe });
        }
    }

    pub(super) fn probe_arrives(&mut self, probe: Probe) {
        let server = &self.servers[probe.server];
        let outcome = if !server.is_alive {
            Outcome::Refused
        } else if server.is_hung {
            return;
        } else if server.is_full {
            Outcome::Full
        } else {
            let acknowledges = |other: &super::Server| {
                other.source == Some(probe.server) && other.io == ThreadState::Running && other.acknowledges
            };
            let clients = u32::try_from(self.servers.iter().filter(|other| acknowledges(other)).count()).unwrap();
            let uptime = Duration::from_millis(self.now.saturating_sub(server.started_at));
            Outcome::Seen(Box::new(server.observe(self.instant(probe.sent_at), uptime, &self.all, clients)))
        };
        if self.is_open(probe.server, self.node(probe.proxy)) {
            let delay = self.random.between(1, 5);
            self.after(delay, Event::ProbeEnds { probe, outcome });
        }
    }

    pub(super) fn probe_ends(&mut self, probe: Probe, outcome: Outcome) {
        if outcome == Outcome::Silent {
            // It was answered before, or not.
            if self.answered_probes.remove(&probe.number) {
                return;
            }
        } else if self.now >= probe.sent_at + PROBE_TIMEOUT {
            return;
        } else {
            self.answered_probes.insert(probe.number);
        }
        if !self.is_current(probe.proxy, probe.incarnation) {
            return;
        }
        self.report(&probe, outcome);
        let proxy = &mut self.proxies[probe.proxy];
        if proxy.phase == Phase::Looking && probe.round == Some(proxy.round) {
            proxy.pending -= 1;
            if proxy.pending == 0 {
                proxy.phase = Phase::Idle;
            }
        }
        self.decide(probe.proxy);
    }

    fn report(&mut self, probe: &Probe, outcome: Outcome) {
        let now = self.instant(self.now);
        let since: Instant = self.instant(probe.sent_at);
        let failed = |kind, why: &str| Report::Failed(ProbeFailure { kind, why: why.into() });
        let reports = match outcome {
            Outcome::Seen(observation) => vec![Report::Observed(observation)],
            Outcome::Refused => vec![failed(FailureKind::Gone, "refused")],
            Outcome::Full => vec![failed(FailureKind::Full, "full")],
            Outcome::Silent => vec![Report::Silent { since }, failed(FailureKind::Silent, "silent")],
        };
        let id = ServerId(u16::try_from(probe.server).unwrap());
        let before = self.proxies[probe.proxy].cluster.snapshot().primary;
        for report in reports {
            self.proxies[probe.proxy].cluster.observe(id, report, now);
        }
        let after = self.proxies[probe.proxy].cluster.snapshot().primary;
        if before != after {
            self.say(|| format!("proxy {}: primary {before:?} -> {after:?}", probe.proxy));
            // Another look at the servers decides who gets writes: so what was fenced before counts no more.
            if after.is_some() && after.map(ServerId::index) != self.proxies[probe.proxy].fenced {
                self.proxies[probe.proxy].fenced = None;
            }
        }
    }
}
