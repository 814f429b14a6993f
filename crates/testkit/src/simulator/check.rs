//! What must hold.
//!
//! 1. After every acknowledgement: the server that gave it has the last write that another server's acknowledgement was passed on for, or that
//!    one has this write. In
//!    lossless always; else unless that write was lost in a failover, that is, acknowledged before this server took writes. (Without
//!    lossless this and 3 are checked while one proxy has seen everything.)
//! 2. After a proxy has begun to replace a primary, it passes on no acknowledgement of that one.
//! 3. No server is opened that has an errant transaction, or less than another reachable replica.
//! 4. No replica is detached for a promotion while another reachable one still receives from the old primary.
//! 5. At the end, in lossless, the primary has every acknowledged write.
//! 6. Once faults stop the cluster heals: one writable primary, all others its replicas, or out because they have what it lacks.

use failover::{Finding, Situation, find};
use topology::{ServerId, ThreadState};

use super::server::Tx;
use super::{Event, World};

/// It must have been healed for this long before a run ends, in milliseconds.
const STABLE: u64 = 1500;

impl World {
    pub(super) fn check_ack(&mut self, from: usize, tx: Tx, proxy: usize) {
        if self.proxies[proxy].fenced == Some(from) {
            self.fail(format!("proxy {proxy} passed on an answer of db{}, which it was replacing", from + 1));
        }
        if let Some((last, by)) = self.last_acked
            && by != from
            && !self.servers[from].has(last)
        {
            // Committed before the other server took over, and answered late.
            if self.servers[by].has(tx) {
                return;
            }
            let acked_at = self.all[last].acked_at.unwrap_or(0);
            let is_concurrent = acked_at > self.servers[from].writable_since && self.is_all_known();
            if (self.is_lossless && !self.is_excused(last)) || is_concurrent {
                let why = format!("db{} acknowledged {tx}, but lacks {last}, which db{} had acknowledged", from + 1, by + 1);
                self.fail(why);
            }
        }
        self.last_acked = Some((tx, from));
    }

    /// The only proxy has seen all that happened. Without acknowledgements of replicas nothing else tells two proxies, or one that has just
    /// started, that a server which they cannot see has been opened.
    fn is_all_known(&self) -> bool {
        self.proxies.len() == 1 && self.proxies[0].incarnation == 0
    }

    /// For the time between a look and the step that follows from it.
    pub(super) fn check_detached(&mut self, proxy: usize, id: usize) {
        // An intermediate source is a replica, and frozen itself.
        let Some(source) = self.servers[id].source.filter(|source| self.servers[*source].source.is_none()) else { return };
        let node = self.node(proxy);
        let receives = |other: &&super::Server| other.source == Some(source) && other.io != ThreadState::Stopped;
        let is_there = |other: &&super::Server| {
            other.id != id
                && other.works()
                && !other.is_full
                && self.is_open_both_ways(node, other.id)
                && other.disturbed_at + 3000 < self.now
        };
        if let Some(other) = self.servers.iter().filter(is_there).find(receives) {
            self.fail(format!("db{} was detached, but db{} still receives from db{}", id + 1, other.id + 1, source + 1));
        }
    }

    fn is_excused(&self, tx: Tx) -> bool {
        self.all[tx].is_excused || !self.all[tx].discarded_by.is_empty()
    }

    pub(super) fn check_opened(&mut self, proxy: usize, id: usize) {
        self.summary.opened += 1;
        let server = &self.servers[id];
        if let Some(tx) = server.log.iter().find(|tx| self.is_known_errant(**tx, id)) {
            return self.fail(format!("db{} was opened, but has the errant transaction {tx}", id + 1));
        }
        let node = self.node(proxy);
        for other in &self.servers {
            let is_there = other.id != id
                && other.works()
                && !other.is_full
                && other.source.is_some()
                && self.is_open_both_ways(node, other.id);
            let is_errant = other.log.iter().any(|tx| self.all[*tx].is_errant);
            if !is_there || is_errant {
                continue;
            }
            let missing =
                other.log.iter().chain(&other.relay).find(|tx| !server.logged.contains(tx) && self.all[**tx].acked_at.is_some());
            if let Some(tx) = missing.filter(|tx| !self.was_lost(**tx, id) && (self.is_lossless || self.is_all_known())) {
                return self.fail(format!("db{} was opened, but db{} has {tx}, which it lacks", id + 1, other.id + 1));
            }
        }
    }

    /// An earlier failover has lost it: the servers went another way since.
    fn was_lost(&self, tx: Tx, id: usize) -> bool {
        !self.is_lossless
            && self.servers[id].log.iter().any(|later| self.all[*later].origin != self.all[tx].origin && *later > tx)
    }

    /// Written long enough before for a proxy to have seen it together with a primary that lacks it.
    fn is_known_errant(&self, tx: Tx, id: usize) -> bool {
        let one = &self.all[tx];
        one.is_errant && one.written_at + 2000 < self.now && self.is_all_known() && self.is_only_on(tx, id)
    }

    fn is_only_on(&self, tx: Tx, id: usize) -> bool {
        self.servers.iter().all(|server| server.id == id || !server.has(tx))
    }

    /// All proxies know the same primary, and every other server follows it or is rightly out.
    pub(super) fn has_healed(&mut self) -> bool {
        let is_well = self.is_well();
        self.healed_since = if is_well { self.healed_since.or(Some(self.now)) } else { None };
        self.healed_since.is_some_and(|since| self.now >= since + STABLE)
    }

    fn is_well(&self) -> bool {
        let primaries: Vec<Option<ServerId>> = self.proxies.iter().map(|proxy| proxy.cluster.snapshot().primary).collect();
        let Some(primary) = primaries.first().copied().flatten() else { return false };
        let id = primary.index();
        primaries.iter().all(|other| *other == Some(primary))
            && !self.servers[id].read_only
            && self
                .servers
                .iter()
                .all(|server| server.id == id || self.is_replica_of(server, id) || self.is_rightly_out(server, id))
    }

    fn is_replica_of(&self, server: &super::Server, primary: usize) -> bool {
        let is_connected = server.io == ThreadState::Running && server.sql && server.read_only && !server.offline;
        let mut at = server;
        for _ in &self.servers {
            match at.source {
                Some(source) if source == primary => return is_connected,
                Some(source) => at = &self.servers[source],
                None => return false,
            }
        }
        false
    }

    /// It has what the primary lacks, so it stays out, or follows with an error, until a person rebuilds it.
    fn is_rightly_out(&self, server: &super::Server, primary: usize) -> bool {
        let has_more = server.log.iter().any(|tx| !self.servers[primary].logged.contains(tx));
        let is_quiet = server.read_only || server.offline || server.source.is_some() || has_more;
        let waits_for_ever = server.offline && !server.waiting.is_empty();
        waits_for_ever || has_more && is_quiet || server.io_error || server.applier_error
    }

    pub(super) fn check_end(&mut self) -> Result<(), String> {
        let primary = self.proxies[0].cluster.snapshot().primary.map_or(0, ServerId::index);
        let lost: Vec<Tx> = (0..self.all.len())
            .filter(|tx| {
                self.all[*tx].acked_at.is_some_and(|at| at + 200 < self.now) && !self.servers[primary].logged.contains(tx)
            })
            .collect();
        self.summary.lost = lost.len();
        match lost.iter().find(|tx| self.is_lossless && !self.is_excused(**tx)) {
            Some(tx) => {
                Err(format!("db{} is the primary, but lacks {tx}, which was acknowledged: {:?}", primary + 1, self.all[*tx]))
            }
            None => Ok(()),
        }
    }

    /// A person does what a finding says that a person must do.
    pub(super) fn operator(&mut self) {
        let proxy = &self.proxies[0];
        let view = proxy.cluster.view();
        let situation = Situation { view: &view, policy: &self.policy, history: &proxy.history, request: None };
        let best = match find(&situation, self.instant(self.now)) {
            Finding::NobodyWritable { best: Some(best) } => Some(best.id.index()),
            // The person knows what clients were told.
            Finding::NobodyWritable { best: None } | Finding::SplitHistory { .. } | Finding::NoCandidate { .. } => {
                let acked = |id: usize| self.servers[id].log.iter().filter(|tx| self.all[**tx].acked_at.is_some()).count();
                (0..self.servers.len()).max_by_key(|id| (acked(*id), self.servers[*id].log.len()))
            }
            _ => None,
        };
        if let Some(best) = best {
            self.say(|| format!("a person opens db{}", best + 1));
            self.summary.operator += 1;
            for other in 0..self.servers.len() {
                if other != best && self.servers[other].source.is_none() {
                    self.servers[other].read_only = true;
                } else if other != best {
                    self.servers[other].source = Some(best);
                    self.servers[other].io = ThreadState::Connecting;
                    self.after(1, Event::ConnectIo { replica: other });
                }
            }
            self.servers[best].read_only = false;
            self.servers[best].offline = false;
            self.servers[best].source = None;
            self.servers[best].io = ThreadState::Stopped;
            self.servers[best].writable_since = self.now;
        }
        self.after(10_000, Event::Operator);
    }

    pub(super) fn describe(&self) -> String {
        let proxies = self.proxies.iter().map(|proxy| {
            let view = proxy.cluster.view();
            let situation = Situation { view: &view, policy: &self.policy, history: &proxy.history, request: proxy.request };
            let finding = find(&situation, self.instant(self.now));
            format!("\n  proxy: {:?} primary {:?} last {:?}: {finding}", proxy.phase, view.primary, view.last_primary)
        });
        let servers = self.servers.iter().map(|server| {
            format!(
                "\n  db{}: {} {} follows {:?} io {:?} sql {} log {} relay {} waiting {} errors {} {} last {:?}",
                server.id + 1,
                if server.read_only { "read-only" } else { "writable" },
                if server.offline { "offline" } else { "" },
                server.source.map(|source| source + 1),
                server.io,
                server.sql,
                server.log.len(),
                server.relay.len(),
                server.waiting.len(),
                server.io_error,
                server.applier_error,
                server.log.last(),
            )
        });
        proxies.chain(servers).collect()
    }
}
