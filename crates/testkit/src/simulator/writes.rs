//! The writes of clients, through a proxy to a server and back.

use std::collections::BTreeSet;

use failover::Durability;
use topology::ServerId;

use super::server::{ReplyTo, Transaction, Tx, Waiting};
use super::{Event, World};

impl World {
    pub(super) fn client_writes(&mut self, proxy: usize) {
        let delay = self.random.between(20, 60);
        self.after(delay, Event::ClientWrites { proxy });
        let snapshot = self.proxies[proxy].cluster.snapshot();
        let Some(to) = snapshot.primary.filter(|_| self.proxies[proxy].is_alive && !snapshot.is_closing) else { return };
        let reply = ReplyTo { proxy, incarnation: self.proxies[proxy].incarnation, epoch: snapshot.epoch.0 };
        let to = to.index();
        let node = self.node(proxy);
        if self.is_open(node, to) {
            let delay = self.random.between(1, 2);
            self.after(delay, Event::WriteArrives { to, reply });
        }
    }

    pub(super) fn write_arrives(&mut self, to: usize, reply: ReplyTo) {
        let server = &self.servers[to];
        if !server.is_alive || server.read_only || server.offline {
            return;
        }
        if server.is_hung {
            return self.after(100, Event::WriteArrives { to, reply });
        }
        let tx = self.write(to, false);
        if self.servers[to].source_enabled {
            self.servers[to].waiting.push(Waiting { tx, acks: BTreeSet::new(), reply: Some(reply) });
        } else {
            // `Auto` promises nothing for a server that started writable by itself and was never set up.
            self.all[tx].is_excused = self.policy.durability == Durability::Auto;
            self.commit(to, tx, Some(reply));
        }
        self.wake_followers(to);
    }

    /// A new transaction in the binary log of a server.
    pub(super) fn write(&mut self, to: usize, is_errant: bool) -> Tx {
        let tx = self.all.len();
        let number = self.servers[to].next_number(&self.all);
        self.all.push(Transaction {
            origin: to,
            number,
            acked_at: None,
            written_at: self.now,
            is_errant,
            is_excused: false,
            discarded_by: BTreeSet::new(),
        });
        self.servers[to].append(tx, &self.all);
        tx
    }

    pub(super) fn commit(&mut self, server: usize, tx: Tx, reply: Option<ReplyTo>) {
        self.servers[server].commit(tx, &self.all);
        if let Some(reply) = reply {
            let delay = self.random.between(1, 2);
            self.after(delay, Event::Reply { from: server, tx, reply });
        }
    }

    /// The proxy passes on an answer only if nothing has changed since the write was sent.
    pub(super) fn reply(&mut self, from: usize, tx: Tx, reply: ReplyTo) {
        let proxy = &self.proxies[reply.proxy];
        if !proxy.is_alive || proxy.incarnation != reply.incarnation {
            return;
        }
        let node = self.node(reply.proxy);
        if !self.is_open(from, node) {
            // It is sent again until the connection ends.
            return self.after(200, Event::Reply { from, tx, reply });
        }
        let snapshot = proxy.cluster.snapshot();
        if snapshot.primary != Some(ServerId(u16::try_from(from).unwrap())) || snapshot.epoch.0 != reply.epoch {
            return;
        }
        self.all[tx].acked_at = Some(self.now);
        self.summary.acknowledged += 1;
        self.check_ack(from, tx, reply.proxy);
    }
}
