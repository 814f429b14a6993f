//! Looks without an answer: a server that is frozen, and a look that hangs alone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use common::{look_at_primary, target};
use monitor::{Failover, Settings, Snapshots, start};
use testkit::fake::{Call, Character};
use testkit::{Action, Answer, FakeServer};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use topology::{Server, ServerId, Snapshot};

const DEADLINE: Duration = Duration::from_secs(20);
const SILENCE: Duration = Duration::from_millis(200);
const QUERY_TIMEOUT: Duration = Duration::from_millis(300);

/// What the server does with what it is asked.
const ANSWERS: u8 = 0;
const HOLDS_REPLICA_STATUS: u8 = 1;
const IS_FROZEN: u8 = 2;

fn answer(call: Call<'_>, state: u8) -> Vec<Action> {
    let is_status = call.sql().starts_with("SHOW REPLICA STATUS");
    if state == IS_FROZEN || (state == HOLDS_REPLICA_STATUS && is_status) {
        return vec![Action::Hang];
    }
    vec![Action::Answer(match call.sql() {
        "" => Answer::ok(),
        sql => look_at_primary(sql),
    })]
}

struct World {
    server: FakeServer,
    state: Arc<AtomicU8>,
    snapshots: Snapshots,
    stop: CancellationToken,
}

impl World {
    async fn new() -> World {
        let state = Arc::new(AtomicU8::new(ANSWERS));
        let script = {
            let state = Arc::clone(&state);
            move |call: Call<'_>| answer(call, state.load(Ordering::Relaxed))
        };
        let server = FakeServer::start(Character::default(), script).await;
        let target = target(server.address());
        let settings = Settings {
            interval: Duration::from_millis(20),
            position_interval: Duration::from_millis(10),
            query_timeout: QUERY_TIMEOUT,
            silence: SILENCE,
            ..Settings::new(vec![target], "watcher", "secret")
        };
        let stop = CancellationToken::new();
        let (snapshots, _control, _task) = start(settings, Failover::none(), stop.clone());
        let mut world = World { server, state, snapshots, stop };
        world.wait_until(|server, snapshot| server.is_up() && snapshot.primary.is_some()).await;
        world
    }

    fn become_(&self, state: u8) {
        self.state.store(state, Ordering::Relaxed);
    }

    async fn wait_until(&mut self, is_so: impl Fn(&Server, &Snapshot) -> bool) -> Arc<Snapshot> {
        let seen = self.snapshots.wait_until(|snapshot| is_so(snapshot.server(ServerId(0)).unwrap(), snapshot));
        timeout(DEADLINE, seen).await.expect("it was never so").unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[tokio::test]
async fn a_frozen_server_is_silent_first_and_down_later() {
    let mut world = World::new().await;
    world.become_(IS_FROZEN);
    let snapshot = world.wait_until(|server, _| server.silent_since.is_some()).await;
    let silent_since = snapshot.servers[0].silent_since.unwrap();
    assert!(silent_since.elapsed() >= SILENCE);
    assert!(snapshot.servers[0].is_up() && snapshot.primary.is_some());

    let snapshot = world.wait_until(|server, _| !server.is_up()).await;
    assert!(silent_since.elapsed() >= 3 * QUERY_TIMEOUT);
    assert_eq!((snapshot.primary, snapshot.last_primary), (None, Some(ServerId(0))));
    // One snapshot says that it is silent, one that it is down; time alone makes none.
    let generation = snapshot.generation;
    tokio::time::sleep(3 * QUERY_TIMEOUT).await;
    assert_eq!(world.snapshots.load().generation, generation);

    world.become_(ANSWERS);
    world.wait_until(|server, snapshot| server.is_up() && server.silent_since.is_none() && snapshot.primary.is_some()).await;
}

#[tokio::test]
async fn a_look_that_hangs_alone_takes_no_server_down() {
    let mut world = World::new().await;
    world.become_(HOLDS_REPLICA_STATUS);
    let snapshot = world.wait_until(|_, snapshot| !snapshot.warnings.is_empty()).await;
    assert!(snapshot.warnings[0].contains("waits for a lock"), "{:?}", snapshot.warnings);
    let since = Instant::now();
    while since.elapsed() < 10 * QUERY_TIMEOUT {
        let snapshot = world.snapshots.load();
        assert!(snapshot.servers[0].is_up() && snapshot.servers[0].silent_since.is_none() && snapshot.primary.is_some());
        drop(snapshot);
        tokio::time::sleep(QUERY_TIMEOUT / 10).await;
    }
    // The first look, a second opinion that became the second look, and so on: far fewer than one for each look that is due.
    let accepted = world.server.seen().accepted;
    assert!(accepted <= 5, "{accepted} connections");

    world.become_(ANSWERS);
    world.wait_until(|server, snapshot| server.is_up() && snapshot.warnings.is_empty()).await;
}
