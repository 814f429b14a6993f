//! Statements and logins that wait for a primary: how many there may be, and what wakes them.
//!
//! The monitor publishes a snapshot some twenty times a second, and hardly any of them helps a waiting statement. So one task looks at each, and
//! wakes the others only when something has changed on which a decision to wait depends.

use std::sync::atomic::{AtomicUsize, Ordering};

use router::Awaited;
use tokio::sync::watch;
use topology::{Epoch, Published, Server, ServerId, Snapshot};

use crate::limits::Limits;
use crate::reply::Refusal;

/// All of them, over all workers.
#[derive(Debug)]
pub(crate) struct HeldStatements {
    count: AtomicUsize,
    bytes: AtomicUsize,
    /// Counts the changes that may release a waiting statement.
    changes: watch::Sender<u64>,
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub(crate) struct HeldPlace<'a> {
    held: &'a HeldStatements,
    bytes: usize,
}

impl HeldStatements {
    pub(crate) fn new() -> Self {
        Self { count: AtomicUsize::new(0), bytes: AtomicUsize::new(0), changes: watch::Sender::new(0) }
    }

    /// Admits one more, of this many bytes, or refuses because there are too many.
    pub(crate) fn admit(&self, bytes: usize, awaited: Awaited, limits: &Limits) -> Result<HeldPlace<'_>, Refusal> {
        let count = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        let sum = self.bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        let place = HeldPlace { held: self, bytes };
        if count > limits.held_statements {
            return Err(Refusal::too_many_held(awaited, "limits.held_statements", limits.held_statements));
        }
        if sum > limits.held_bytes {
            return Err(Refusal::too_many_held(awaited, "limits.held_bytes", limits.held_bytes));
        }
        Ok(place)
    }

    /// Wakes those who wait whenever they may be released, for as long as there are new generations.
    pub(crate) async fn wake_on(&self, servers: &Published, mut generations: watch::Receiver<u64>) {
        let mut last = prospect(servers);
        while generations.changed().await.is_ok() {
            let now = prospect(servers);
            if last != now {
                last = now;
                self.changes.send_modify(|count| *count = count.wrapping_add(1));
            }
        }
    }

    /// How many there are now.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Sees every change from now on. To be asked before the decision to wait is made.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

impl Drop for HeldPlace<'_> {
    fn drop(&mut self) {
        self.held.count.fetch_sub(1, Ordering::Relaxed);
        self.held.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// What a decision to wait depends on.
#[derive(Debug, PartialEq, Eq)]
struct Prospect {
    primary: Option<ServerId>,
    epoch: Epoch,
    is_closing: bool,
    /// The servers that answer.
    answering: Vec<ServerId>,
}

impl Prospect {
    fn of(snapshot: &Snapshot) -> Self {
        Self {
            primary: snapshot.primary,
            epoch: snapshot.epoch,
            is_closing: snapshot.is_closing,
            answering: snapshot.servers.iter().filter(|server| Server::answers(server)).map(|server| server.id).collect(),
        }
    }
}

fn prospect(servers: &Published) -> Prospect {
    Prospect::of(&servers.load())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn places_are_bounded_in_number_and_bytes_and_come_back() {
        let held = HeldStatements::new();
        let limits = Limits { held_statements: 2, held_bytes: 100, ..Limits::default() };
        let admit = |bytes| held.admit(bytes, Awaited::Primary, &limits);
        let first = admit(60).expect("room");
        assert!(admit(50).expect_err("too many bytes").message.contains("limits.held_bytes"));
        let second = admit(40).expect("room");
        assert!(admit(0).expect_err("too many").message.contains("limits.held_statements"));
        drop((first, second));
        assert_eq!((held.count(), held.bytes.load(Ordering::Relaxed)), (0, 0));
        admit(100).expect("room again");
    }

    #[tokio::test]
    async fn a_new_primary_wakes_and_a_new_position_does_not() {
        let held = HeldStatements::new();
        let (mut publisher, servers) = topology::publishing(Snapshot::default());
        let (generations, announced) = watch::channel(0);
        let mut changes = held.changes();
        let publish = async {
            for (generation, primary, wakes) in [(1, None, false), (2, Some(ServerId(0)), true), (3, Some(ServerId(0)), false)] {
                publisher.publish(Arc::new(Snapshot { generation, primary, ..Snapshot::default() }));
                generations.send_replace(generation);
                for _ in 0..10 {
                    tokio::task::yield_now().await;
                }
                assert_eq!(changes.has_changed().expect("the sender lives"), wakes, "{generation}");
                changes.borrow_and_update();
            }
        };
        tokio::select! {
            () = held.wake_on(&servers, announced) => unreachable!("generations go on"),
            () = publish => {}
        }
    }

    #[test]
    fn a_snapshot_with_nothing_but_new_positions_wakes_nobody() {
        let server = Server { health: topology::Health::Up, ..Server::new(ServerId(0), "db0", "h:1", 1) };
        let before = Snapshot { generation: 1, servers: vec![server], primary: Some(ServerId(0)), ..Snapshot::default() };
        let mut after = Snapshot { generation: 2, ..before.clone() };
        assert_eq!(Prospect::of(&before), Prospect::of(&after));
        after.servers[0].silent_since = Some(std::time::Instant::now());
        assert_ne!(Prospect::of(&before), Prospect::of(&after));
        for after in [
            Snapshot { epoch: Epoch(1), ..before.clone() },
            Snapshot { is_closing: true, ..before.clone() },
            Snapshot { primary: None, ..before.clone() },
        ] {
            assert_ne!(Prospect::of(&before), Prospect::of(&after));
        }
    }
}
