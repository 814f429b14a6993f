//! Reads that wait on a replica until it has what their session wrote.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs, unreachable_pub, reason = "tests")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use common::{Settings, Setup, scripted, usual};
use testkit::fake::Call;
use testkit::{Action, Answer, RawClient};
use topology::{Engine, Position};
use wire::StatusFlags;

const UUID: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
const SELECT: &str = "SELECT a FROM t";
const WAIT: &str = "SELECT WAIT_FOR_EXECUTED_GTID_SET('3e11fa47-71ca-11e1-9e33-c80aa9429562:23', 0.01)";

/// What the replica says when it is asked to wait.
const HAS_IT: u8 = 0;
const TOO_LATE: u8 = 1;
const ERROR: u8 = 2;
const CLOSE: u8 = 3;
const NO_ROW: u8 = 4;

/// A primary that says what it has committed, and a replica that was last seen before that.
struct Pair {
    setup: Setup,
    replica: Arc<AtomicU8>,
}

impl Pair {
    async fn start() -> Self {
        let primary = scripted(|call: Call<'_>| match call.sql() {
            sql if sql.starts_with("INSERT") => {
                let mut answer = Answer::ok().with_status(StatusFlags::AUTOCOMMIT | StatusFlags::SESSION_STATE_CHANGED);
                if let Answer::Ok { session_state, .. } = &mut answer {
                    *session_state = [&b"\x03\x29\x00\x27"[..], UUID.as_bytes(), b":23"].concat();
                }
                vec![Action::Answer(answer)]
            }
            _ => usual("primary", call),
        });
        let replica = Arc::new(AtomicU8::new(HAS_IT));
        let waits = Arc::clone(&replica);
        let other = scripted(move |call: Call<'_>| {
            if !call.sql().starts_with("SELECT WAIT_FOR") {
                return usual("replica", call);
            }
            match waits.load(Ordering::SeqCst) {
                ERROR => vec![Action::Answer(Answer::err(1772, *b"HY000", "malformed"))],
                CLOSE => vec![Action::Close],
                NO_ROW => vec![Action::Answer(Answer::rows(&["wait"], &[]))],
                number => vec![Action::Answer(Answer::rows(&["wait"], &[&[&number.to_string()]]))],
            }
        });
        let settings = Settings { causal_wait: Duration::from_millis(10), ..Settings::default() };
        let setup = Setup::configured(vec![primary.await, other.await], settings);
        let seen_at = Instant::now();
        setup.publish(|snapshot| {
            let server = &mut snapshot.servers[1];
            server.fresh_as_of = Some(seen_at);
            server.position = Some(Position::parse(Engine::MySql, &format!("{UUID}:1-22")).unwrap());
            server.keeps_commit_order = true;
        });
        Self { setup, replica }
    }

    /// A session that has written a moment ago.
    async fn writer(&self) -> RawClient {
        let mut client = self.setup.client().await;
        client.query_one("INSERT INTO t VALUES (1)").await.expect_ok();
        tokio::time::sleep(Duration::from_millis(5)).await;
        client
    }

    async fn read(client: &mut RawClient) -> String {
        client.query_one(SELECT).await.expect_rows().single()
    }
}

#[tokio::test]
async fn a_replica_is_asked_to_wait_in_front_of_the_read() {
    let pair = Pair::start().await;
    let mut client = pair.writer().await;
    assert_eq!(Pair::read(&mut client).await, "replica");
    assert_eq!(pair.setup.statements(1), [WAIT, SELECT]);
    // Others have not written.
    assert_eq!(Pair::read(&mut pair.setup.client().await).await, "replica");
    assert_eq!(pair.setup.statements(1), [WAIT, SELECT, SELECT]);
    // It has said that it has the write: it is asked again only after the next one.
    assert_eq!(Pair::read(&mut client).await, "replica");
    assert_eq!(pair.setup.statements(1), [WAIT, SELECT, SELECT, SELECT]);
    client.query_one("INSERT INTO t VALUES (2)").await.expect_ok();
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(Pair::read(&mut client).await, "replica");
    assert_eq!(pair.setup.statements(1), [WAIT, SELECT, SELECT, SELECT, WAIT, SELECT]);
}

#[tokio::test]
async fn one_that_is_too_late_or_fails_costs_the_read_nothing() {
    for answer in [TOO_LATE, ERROR, CLOSE, NO_ROW] {
        let pair = Pair::start().await;
        pair.replica.store(answer, Ordering::SeqCst);
        let mut client = pair.writer().await;
        assert_eq!(Pair::read(&mut client).await, "primary", "{answer}");
        pair.replica.store(HAS_IT, Ordering::SeqCst);
        // The connection that had an answer left is not used again.
        assert_eq!(Pair::read(&mut pair.setup.client().await).await, "replica", "{answer}");
    }
}
