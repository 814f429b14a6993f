#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use testkit::fake::{Call, Character};
use testkit::{Action, Answer, FakeServer};

use super::*;

/// The answering time of a server that shuts down. It is longer than every time limit.
const SLOW: Duration = Duration::from_millis(100);

/// A server that shuts down as MySQL 9.7 does, from the moment at which `is_ending` is set.
fn answer(call: Call<'_>, is_ending: bool) -> Vec<Action> {
    let is_statement = !call.sql().is_empty();
    let answer = match call.sql() {
        _ if is_statement && is_ending => Answer::err(1053, *b"08S01", "Server shutdown in progress"),
        sql if sql.contains("version_comment") => Answer::rows(&["version", "version_comment"], &[&["9.7.4", "for a test"]]),
        _ => Answer::ok(),
    };
    let before = is_ending.then_some(Action::Pause(SLOW));
    let after = is_ending.then_some(Action::Close);
    before.into_iter().chain([Action::Answer(answer)]).chain(after).collect()
}

struct World {
    server: FakeServer,
    is_ending: Arc<AtomicBool>,
    worker: Worker,
}

impl World {
    /// The worker has its connection.
    async fn new() -> World {
        let is_ending = Arc::new(AtomicBool::new(false));
        let script = {
            let is_ending = Arc::clone(&is_ending);
            move |call: Call<'_>| answer(call, is_ending.load(Ordering::Relaxed))
        };
        World::before(FakeServer::start(Character::default(), script).await, is_ending).await
    }

    async fn before(server: FakeServer, is_ending: Arc<AtomicBool>) -> World {
        let address = Address { host: server.address().ip().to_string(), port: server.address().port() };
        let target = MonitoredServer {
            id: topology::ServerId(0),
            name: "a".into(),
            host: address.host.clone(),
            port: address.port,
            replication: address,
            share: topology::Share::default(),
        };
        let settings = Settings::new(vec![target.clone()], "watcher", "secret");
        let mut worker = Worker::new(target, settings, None);
        worker.keep_alive().await;
        assert!(worker.connection.is_some());
        World { server, is_ending, worker }
    }

    async fn execute(&mut self, work: Work) -> Result<Done, ProbeFailure> {
        let (reply, answer) = oneshot::channel();
        self.worker.serve(Job { work, limit: LAST_WORDS_TIMEOUT, reply }).await;
        answer.await.unwrap()
    }

    async fn listen(&mut self, let_in: Instant) -> Option<FailureKind> {
        self.execute(Work::Listen(let_in)).await.err().map(|failure| failure.kind)
    }
}

#[tokio::test]
async fn a_server_that_shuts_down_says_so_when_it_is_asked() {
    let mut world = World::new().await;
    let let_in = Instant::now();
    assert_eq!(world.listen(let_in).await, None);
    world.is_ending.store(true, Ordering::Relaxed);
    assert_eq!(world.listen(let_in).await, Some(FailureKind::ShuttingDown));
}

#[tokio::test]
async fn last_words_are_kept_whatever_was_asked() {
    for asks in [None, Some(Work::Look), Some(Work::Unlock)] {
        let mut world = World::new().await;
        let let_in = Instant::now();
        world.is_ending.store(true, Ordering::Relaxed);
        match asks.clone() {
            None => world.worker.keep_alive().await,
            Some(work) => drop(world.execute(work).await),
        }
        assert!(world.worker.connection.is_none(), "{asks:?}");
        assert_eq!(world.listen(let_in).await, Some(FailureKind::ShuttingDown), "{asks:?}");
        assert_eq!(world.listen(let_in).await, Some(FailureKind::Blind), "{asks:?}: they were heard before");
    }
}

#[tokio::test]
async fn last_words_that_come_too_late_are_heard_at_the_next_attempt() {
    let mut world = World::new().await;
    let let_in = Instant::now();
    world.is_ending.store(true, Ordering::Relaxed);
    let (reply, answer) = oneshot::channel();
    let give_up = async {
        world.server.wait_until("the question", |seen| seen.received.iter().any(|call| call.sql() == Some(SIGN_OF_LIFE))).await;
        drop(answer);
    };
    tokio::join!(world.worker.serve(Job { work: Work::Listen(let_in), limit: LAST_WORDS_TIMEOUT, reply }), give_up);
    assert_eq!(world.listen(let_in).await, Some(FailureKind::ShuttingDown));
}

/// Else a server that has come back would be taken for dead when a firewall hides it.
#[tokio::test]
async fn last_words_do_not_count_for_a_server_that_has_accepted_a_login_since() {
    let mut world = World::new().await;
    let let_in = Instant::now();
    world.is_ending.store(true, Ordering::Relaxed);
    world.worker.keep_alive().await;
    assert_eq!(world.listen(Instant::now()).await, Some(FailureKind::Blind));

    world.is_ending.store(false, Ordering::Relaxed);
    world.worker.keep_alive().await;
    assert_eq!(world.listen(let_in).await, None);
}

/// It has taken the lock on a connection that was opened for that, and hangs in the look after it.
#[tokio::test]
async fn a_connection_that_was_given_up_is_ended_by_the_next_one() {
    let hangs = Arc::new(AtomicBool::new(true));
    let script = {
        let hangs = Arc::clone(&hangs);
        move |call: Call<'_>| match call.sql() {
            sql if sql.contains("GET_LOCK") => vec![Action::Answer(Answer::rows(&["held"], &[&["1"]]))],
            sql if sql.contains("read_only") && hangs.load(Ordering::Relaxed) => vec![Action::Hang],
            _ => answer(call, false),
        }
    };
    let server = FakeServer::start(Character::default(), script).await;
    let mut world = World::before(server, Arc::default()).await;
    world.worker.connection = None;
    let (reply, outcome) = oneshot::channel();
    world.worker.serve(Job { work: Work::Lock, limit: Duration::from_millis(200), reply }).await;
    assert!(outcome.await.unwrap().is_err());
    let abandoned = world.worker.abandoned.clone();
    assert_eq!(abandoned.len(), 1);
    hangs.store(false, Ordering::Relaxed);
    let _ = world.execute(Work::Unlock).await;
    let kill = format!("KILL {}", abandoned[0]);
    assert!(world.server.seen().received.iter().any(|call| call.sql() == Some(&*kill)));
    assert!(world.worker.abandoned.is_empty());
}
