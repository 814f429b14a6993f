//! What goes wrong.

use std::time::Duration;

use failover::Request;
use topology::{Engine, ServerId, ThreadState};

use super::{CALM_AT, Event, FAULTS_UNTIL, World};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fault {
    Crash {
        server: usize,
    },
    /// MySQL acknowledges what waits for acknowledgements when it is shut down.
    Shutdown {
        server: usize,
    },
    Hang {
        server: usize,
    },
    Overload {
        server: usize,
    },
    /// Nothing gets from one node to the other; in the other direction only if it is one way.
    Cut {
        from: usize,
        to: usize,
        is_one_way: bool,
    },
    /// No node reaches this server, or only the proxies do not.
    Isolate {
        server: usize,
    },
    Errant {
        server: usize,
    },
    Lag {
        server: usize,
        delay: u64,
    },
    StopApplier {
        server: usize,
    },
    ProxyCrash {
        proxy: usize,
    },
    Switchover {
        proxy: usize,
        to: Option<usize>,
        patience: u64,
    },
}

impl World {
    pub(super) fn plan_faults(&mut self) {
        let count = self.random.between(1, 6);
        let mut calm = 0;
        for _ in 0..count {
            let at = self.random.between(1500, FAULTS_UNTIL);
            let fault = self.random_fault();
            let repeats = if matches!(fault, Fault::Crash { .. }) && self.random.percent(15) { 3 } else { 1 };
            for repeat in 0..repeats {
                let begin = at + repeat * 1500;
                let lasts = if self.random.percent(40) { self.random.between(20, 600) } else { self.random.between(600, 8000) };
                self.at(begin, Event::Begin { fault });
                let end = (begin + lasts).min(CALM_AT - 1);
                calm = calm.max(end + 1);
                self.at(end, Event::End { fault });
            }
        }
        self.at(calm, Event::Calm);
    }

    fn random_fault(&mut self) -> Fault {
        let count = self.servers.len();
        let nodes = count + self.proxies.len();
        // The primary at first is hit as often as all others together.
        let server = if self.random.percent(50) { 0 } else { self.random.index(count) };
        match self.random.between(0, 99) {
            0..30 => Fault::Crash { server },
            30..38 => Fault::Hang { server },
            38..42 => Fault::Shutdown { server },
            42..45 => Fault::Overload { server },
            45..58 => {
                let to = self.random.index(nodes);
                let is_one_way = self.random.percent(40);
                let (from, to) = if self.random.percent(50) { (server, to) } else { (to, server) };
                Fault::Cut { from, to, is_one_way }
            }
            58..65 => Fault::Isolate { server },
            65..69 => Fault::Errant { server },
            69..75 => Fault::Lag { server, delay: self.random.between(20, 200) },
            75..80 => Fault::StopApplier { server },
            80..90 => Fault::ProxyCrash { proxy: self.random.index(self.proxies.len()) },
            _ => {
                let proxy = self.random.index(self.proxies.len());
                let to = if self.random.percent(50) { Some(self.random.index(count)) } else { None };
                Fault::Switchover { proxy, to, patience: self.random.between(20, 3000) }
            }
        }
    }

    pub(super) fn begin(&mut self, fault: Fault) {
        if self.is_calm {
            return;
        }
        self.say(|| format!("fault: {fault:?}"));
        self.disturb(fault);
        match fault {
            Fault::Crash { server } => self.crash(server),
            Fault::Shutdown { server } => {
                if self.servers[server].works() && self.servers[server].engine == Engine::MySql {
                    for waiting in std::mem::take(&mut self.servers[server].waiting) {
                        self.all[waiting.tx].is_excused = true;
                        self.commit(server, waiting.tx, waiting.reply);
                    }
                }
                self.crash(server);
            }
            Fault::Hang { server } => self.servers[server].is_hung = self.servers[server].is_alive,
            Fault::Overload { server } => self.servers[server].is_full = true,
            Fault::Cut { from, to, is_one_way } => {
                self.blocked.insert((from, to));
                if !is_one_way {
                    self.blocked.insert((to, from));
                }
            }
            Fault::Isolate { server } => {
                for node in 0..self.servers.len() + self.proxies.len() {
                    if node != server {
                        self.blocked.extend([(node, server), (server, node)]);
                    }
                }
            }
            Fault::Errant { server } => self.errant(server),
            Fault::Lag { server, delay } => self.servers[server].apply_delay = delay,
            Fault::StopApplier { server } => self.servers[server].sql = false,
            Fault::ProxyCrash { proxy } => {
                self.proxies[proxy].crash();
                self.release_locks(proxy);
            }
            Fault::Switchover { proxy, to, patience } => {
                let now = self.instant(self.now);
                let to = to.map(|to| ServerId(u16::try_from(to).unwrap()));
                let drain_until = now + Duration::from_millis(patience / 2);
                let give_up_at = now + Duration::from_millis(patience);
                if self.proxies[proxy].is_alive {
                    self.proxies[proxy].request = Some(Request::Switchover { to, drain_until, give_up_at });
                }
            }
        }
        self.recheck_connections();
    }

    fn disturb(&mut self, fault: Fault) {
        let nodes = match fault {
            Fault::Crash { server }
            | Fault::Shutdown { server }
            | Fault::Hang { server }
            | Fault::Overload { server }
            | Fault::Isolate { server }
            | Fault::Errant { server }
            | Fault::Lag { server, .. }
            | Fault::StopApplier { server } => vec![server],
            Fault::Cut { from, to, .. } => vec![from, to],
            Fault::ProxyCrash { .. } | Fault::Switchover { .. } => vec![],
        };
        let now = self.now;
        for server in &mut self.servers {
            // A proxy is never cut off alone, because its clients could then not see its answers anyway.
            if nodes.contains(&server.id) || matches!(fault, Fault::Cut { .. }) {
                server.disturbed_at = now;
            }
        }
    }

    /// A direct write to a replica.
    fn errant(&mut self, server: usize) {
        let is_replica = self.servers[server].source.is_some() && self.servers[server].works();
        if is_replica {
            let tx = self.write(server, true);
            self.commit(server, tx, None);
            self.wake_followers(server);
        }
    }

    fn crash(&mut self, server: usize) {
        if !self.servers[server].is_alive {
            return;
        }
        self.servers[server].crash();
        self.lose_source(server);
        // Its connections are reset, which is noticed at once.
        for proxy in 0..self.proxies.len() {
            if self.proxies[proxy].is_alive && self.is_open_both_ways(self.node(proxy), server) {
                for id in 0..self.servers.len() {
                    self.send_probe(proxy, id, None);
                }
            }
        }
    }

    pub(super) fn end(&mut self, fault: Fault) {
        self.say(|| format!("over: {fault:?}"));
        self.disturb(fault);
        match fault {
            Fault::Crash { server } | Fault::Shutdown { server } => self.restart(server),
            Fault::Hang { server } => self.servers[server].is_hung = false,
            Fault::Overload { server } => self.servers[server].is_full = false,
            Fault::Cut { from, to, .. } => {
                self.blocked.remove(&(from, to));
                self.blocked.remove(&(to, from));
            }
            Fault::Isolate { server } => self.blocked.retain(|(from, to)| *from != server && *to != server),
            Fault::Lag { server, .. } => self.servers[server].apply_delay = 0,
            Fault::StopApplier { server } => {
                let mut all = std::mem::take(&mut self.all);
                if self.servers[server].is_alive {
                    self.servers[server].start_sql(&mut all);
                }
                self.all = all;
            }
            Fault::ProxyCrash { proxy } => self.restart_proxy(proxy),
            Fault::Errant { .. } | Fault::Switchover { .. } => {}
        }
        self.recheck_connections();
    }

    fn restart(&mut self, server: usize) {
        if self.servers[server].is_alive {
            return;
        }
        let mut all = std::mem::take(&mut self.all);
        self.servers[server].restart(self.now, &mut all);
        self.all = all;
        if self.servers[server].io == ThreadState::Connecting {
            self.after(5, Event::ConnectIo { replica: server });
        }
    }

    fn restart_proxy(&mut self, proxy: usize) {
        if !self.proxies[proxy].is_alive {
            self.proxies[proxy].restart(self.servers.len());
            self.start_proxy(proxy);
        }
    }

    /// All faults are over.
    pub(super) fn calm(&mut self) {
        self.say(|| "calm".to_owned());
        self.is_calm = true;
        self.blocked.clear();
        for server in 0..self.servers.len() {
            self.servers[server].is_hung = false;
            self.servers[server].is_full = false;
            self.servers[server].apply_delay = 0;
            self.restart(server);
            let mut all = std::mem::take(&mut self.all);
            self.servers[server].start_sql(&mut all);
            self.all = all;
        }
        for proxy in 0..self.proxies.len() {
            self.restart_proxy(proxy);
        }
        self.recheck_connections();
    }
}
