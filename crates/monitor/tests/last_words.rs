//! A server that shuts down as MySQL 9.7 does: it accepts no new login, cuts the looks without an error, and answers the next statement on another
//! connection with 1053.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use common::{look_at_primary, target};
use monitor::{Control, Failover, Settings, Snapshots, start};
use testkit::fake::{Call, Character};
use testkit::{Action, Answer, FakeServer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use topology::{Condition, DownCause};

const DEADLINE: Duration = Duration::from_secs(20);

/// What the server does.
const SERVES: u8 = 0;
const SHUTS_DOWN: u8 = 1;
const LOSES_LOOKS: u8 = 2;

fn answer(call: Call<'_>, state: u8) -> Vec<Action> {
    let is_ping = call.sql().is_empty();
    let is_look = call.sql().starts_with("SELECT") || call.sql().starts_with("SHOW");
    let is_ending = state == SHUTS_DOWN;
    if state != SERVES && is_look {
        return vec![Action::Close];
    }
    let answer = match call.sql() {
        _ if is_ping => Answer::ok(),
        _ if is_ending => Answer::err(1053, *b"08S01", "Server shutdown in progress"),
        sql if is_look => look_at_primary(sql),
        _ => Answer::ok(),
    };
    let end = is_ending.then_some(Action::Close);
    [Action::Answer(answer)].into_iter().chain(end).collect()
}

struct World {
    // Ends when it is dropped.
    _server: FakeServer,
    state: Arc<AtomicU8>,
    /// What lets new connections through to the server. Those that it has let through stay without it.
    door: JoinHandle<()>,
    snapshots: Snapshots,
    control: Control,
    stop: CancellationToken,
}

impl World {
    async fn new() -> World {
        let state = Arc::new(AtomicU8::new(SERVES));
        let script = {
            let state = Arc::clone(&state);
            move |call: Call<'_>| answer(call, state.load(Ordering::Relaxed))
        };
        let server = FakeServer::start(Character::default(), script).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (behind, address) = (server.address(), listener.local_addr().unwrap());
        let door = tokio::spawn(async move {
            while let Ok((mut outside, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut inside = TcpStream::connect(behind).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
                });
            }
        });
        let target = target(address);
        let settings = Settings::new(vec![target], "watcher", "secret");
        let stop = CancellationToken::new();
        let (mut snapshots, control, _task) = start(settings, Failover::none(), stop.clone());
        let seen = snapshots.wait_until(|snapshot| snapshot.primary.is_some());
        timeout(DEADLINE, seen).await.expect("there is no primary").unwrap();
        // The prober's connection and the actor's.
        server.wait_until("two connections", |seen| seen.logins.len() >= 2).await;
        World { state, _server: server, door, snapshots, control, stop }
    }

    /// From now on it does this, and accepts no login.
    async fn become_(&mut self, state: u8) {
        self.door.abort();
        let _ = (&mut self.door).await;
        self.state.store(state, Ordering::Relaxed);
    }

    async fn down_cause(&mut self) -> DownCause {
        let down = self.snapshots.wait_until(|snapshot| snapshot.primary.is_none());
        timeout(DEADLINE, down).await.expect("the server is not reported down").unwrap();
        let condition = self.control.status().await.unwrap().view.servers.remove(0).condition;
        match condition {
            Condition::Down { cause, .. } => cause,
            other => panic!("{other:?}"),
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[tokio::test]
async fn the_other_connection_is_asked_where_the_looks_are_cut_without_a_word() {
    let mut world = World::new().await;
    world.become_(SHUTS_DOWN).await;
    assert_eq!(world.down_cause().await, DownCause::ShuttingDown);
}

/// A firewall may cut one connection and refuse others. The server itself is asked, and says nothing of the kind.
#[tokio::test]
async fn a_server_that_is_only_hidden_does_not_count_as_shutting_down() {
    let mut world = World::new().await;
    world.become_(LOSES_LOOKS).await;
    assert_eq!(world.down_cause().await, DownCause::Gone);
}
