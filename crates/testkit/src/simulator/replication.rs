//! How transactions get from one server to another.

use topology::ThreadState;
use wire::error_code::ER_SOURCE_FATAL_ERROR_READING_BINLOG;

use super::server::Tx;
use super::{Event, NET_TIMEOUT, World};

impl World {
    /// The replica's IO thread tries to reach its source.
    pub(super) fn connect_io(&mut self, replica: usize) {
        let server = &self.servers[replica];
        let Some(source) = server.source else { return };
        if !server.is_alive || server.io != ThreadState::Connecting {
            return;
        }
        let other = &self.servers[source];
        if server.is_hung || !other.works() || other.offline || !self.is_open_both_ways(replica, source) {
            return self.after(300, Event::ConnectIo { replica });
        }
        let place = server.place_in(other);
        let server = &mut self.servers[replica];
        let Some(place) = place else {
            server.io = ThreadState::Stopped;
            server.io_error = true;
            return self
                .say(|| format!("db{} cannot follow db{}: {ER_SOURCE_FATAL_ERROR_READING_BINLOG}", replica + 1, source + 1));
        };
        server.cursor = place;
        server.io = ThreadState::Running;
        server.cut_since = None;
        server.acknowledges = server.replica_enabled;
        self.say(|| format!("db{} receives from db{}", replica + 1, source + 1));
        self.wake(replica);
    }

    /// Something new is there for it.
    pub(super) fn wake(&mut self, replica: usize) {
        if !self.servers[replica].is_pull_due {
            self.servers[replica].is_pull_due = true;
            let delay = self.random.between(1, 3);
            self.after(delay, Event::Pull { replica });
        }
    }

    pub(super) fn wake_followers(&mut self, source: usize) {
        for replica in 0..self.servers.len() {
            if self.servers[replica].source == Some(source) && self.servers[replica].io == ThreadState::Running {
                self.wake(replica);
            }
        }
    }

    pub(super) fn pull(&mut self, replica: usize) {
        self.servers[replica].is_pull_due = false;
        let server = &self.servers[replica];
        let Some(source) = server.source.filter(|_| server.is_alive && server.io == ThreadState::Running) else { return };
        if server.is_hung || !self.servers[source].works() || !self.is_open(source, replica) {
            // What ends this wakes it again.
            return;
        }
        let new: Vec<Tx> = self.servers[source].log[self.servers[replica].cursor.min(self.servers[source].log.len())..].to_vec();
        let incarnation = self.servers[source].incarnation;
        self.servers[replica].cursor = self.servers[source].log.len();
        for tx in new {
            if !self.servers[replica].has(tx) {
                self.servers[replica].relay.push_back(tx);
                self.all[tx].discarded_by.remove(&replica);
            }
            if self.servers[replica].acknowledges {
                let delay = self.random.between(1, 2);
                self.after(delay, Event::Ack { source, incarnation, replica, tx });
            }
        }
        self.wake_applier(replica);
    }

    pub(super) fn ack(&mut self, source: usize, incarnation: u32, replica: usize, tx: Tx) {
        let server = &self.servers[source];
        if !server.is_alive || server.incarnation != incarnation {
            return;
        }
        if server.is_hung || !self.is_open(replica, source) {
            // It waits in a socket, for as long as the connection lives.
            if self.servers[replica].is_alive && self.servers[replica].source == Some(source) {
                self.after(100, Event::Ack { source, incarnation, replica, tx });
            }
            return;
        }
        let server = &mut self.servers[source];
        if let Some(waiting) = server.waiting.iter_mut().find(|waiting| waiting.tx == tx) {
            waiting.acks.insert(replica);
        }
        self.settle_waiting(source);
    }

    /// Commits that have enough acknowledgements succeed, in their order.
    pub(super) fn settle_waiting(&mut self, source: usize) {
        let needed = usize::try_from(self.servers[source].acks).unwrap();
        let (done, left): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.servers[source].waiting).into_iter().partition(|waiting| waiting.acks.len() >= needed);
        self.servers[source].waiting = left;
        for waiting in done {
            self.commit(source, waiting.tx, waiting.reply);
        }
    }

    pub(super) fn wake_applier(&mut self, replica: usize) {
        let server = &self.servers[replica];
        if server.is_apply_due || server.relay.is_empty() {
            return;
        }
        let delay = 1 + server.apply_delay;
        self.servers[replica].is_apply_due = true;
        self.after(delay, Event::Apply { replica });
    }

    pub(super) fn apply(&mut self, replica: usize) {
        let all = std::mem::take(&mut self.all);
        let server = &mut self.servers[replica];
        server.is_apply_due = false;
        let does_apply = server.works() && server.sql && server.apply_next(&all);
        self.all = all;
        if does_apply {
            self.wake_applier(replica);
            self.wake_followers(replica);
        }
    }

    /// The replicas of a server whose process has ended notice at once.
    pub(super) fn lose_source(&mut self, source: usize) {
        for replica in 0..self.servers.len() {
            let server = &mut self.servers[replica];
            if server.source == Some(source) && server.is_alive && server.io == ThreadState::Running {
                server.io = ThreadState::Connecting;
                let delay = self.random.between(20, 400);
                self.after(delay, Event::ConnectIo { replica });
            }
        }
    }

    /// Whether the source of each replica can be heard has changed.
    pub(super) fn recheck_connections(&mut self) {
        for replica in 0..self.servers.len() {
            let server = &self.servers[replica];
            let Some(source) = server.source else { continue };
            let is_cut = !self.servers[source].works() || !self.is_open_both_ways(replica, source);
            let since = server.cut_since;
            self.servers[replica].cut_since = if is_cut { since.or(Some(self.now)) } else { None };
            if is_cut && since.is_none() {
                self.after(NET_TIMEOUT, Event::CheckIo { replica });
            }
            if !is_cut && self.servers[replica].io == ThreadState::Running {
                self.wake(replica);
            }
            self.wake_applier(replica);
        }
    }

    pub(super) fn check_io(&mut self, replica: usize) {
        let server = &mut self.servers[replica];
        let is_over = server.cut_since.is_some_and(|since| self.now >= since + NET_TIMEOUT);
        if is_over && server.is_alive && server.io == ThreadState::Running {
            server.io = ThreadState::Connecting;
            self.after(100, Event::ConnectIo { replica });
            self.say(|| format!("db{} has lost its source", replica + 1));
        }
    }
}
