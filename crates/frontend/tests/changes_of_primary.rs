//! What clients notice of a primary that dies, falls silent or hands over: statements that wait, transactions that are lost, OKs that do not count.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs, unreachable_pub, reason = "tests")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::{Settings, Setup, scripted, server, status, usual};
use frontend::{Limits, Pooling};
use router::Rule;
use testkit::fake::Call;
use testkit::{Action, Answer, FakeServer, LoginAs, RawClient};
use topology::{Health, ServerId};
use wire::StatusFlags;

const OPEN: StatusFlags = StatusFlags::AUTOCOMMIT.union(StatusFlags::IN_TRANS);
const INSERT: &str = "INSERT INTO t VALUES (1)";

/// A server that knows whether a transaction is open on a connection.
fn transactional(name: &str, call: Call<'_>) -> Vec<Action> {
    static OPEN_ON: std::sync::Mutex<Vec<(String, usize)>> = std::sync::Mutex::new(Vec::new());
    let mut open = OPEN_ON.lock().expect("no panic");
    let key = (name.to_owned(), call.connection);
    let first = call.sql().split(' ').next().unwrap_or_default().to_ascii_uppercase();
    if matches!(first.as_str(), "BEGIN" | "START") {
        open.push(key.clone());
    }
    if matches!(first.as_str(), "COMMIT" | "ROLLBACK") || call.number == 0 {
        open.retain(|other| *other != key);
    }
    let status = if open.contains(&key) { OPEN } else { StatusFlags::AUTOCOMMIT };
    drop(open);
    usual(name, call)
        .into_iter()
        .map(|action| match action {
            Action::Answer(answer) => Action::Answer(answer.with_status(status)),
            other => other,
        })
        .collect()
}

/// A server with transactions; its name is unique among the tests.
async fn with_transactions(name: &'static str) -> FakeServer {
    scripted(move |call| transactional(name, call)).await
}

async fn send(client: &mut RawClient, sql: &str) {
    client.send_command(&[&[wire::COM_QUERY], sql.as_bytes()].concat()).await;
    client.expect_response();
}

async fn answer(client: &mut RawClient) -> Answer {
    client.answers(false).await.expect("an answer").remove(0)
}

/// The code, the SQLSTATE and the message of an error.
#[track_caller]
fn error(answer: Answer) -> (u16, String, String) {
    let error = answer.expect_err();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (error.code, text(&error.sqlstate), text(&error.message))
}

#[track_caller]
fn assert_error(answer: Answer, code: u16, sqlstate: &str, says: &str) {
    let (got, state, message) = error(answer);
    assert_eq!((got, state.as_str()), (code, sqlstate), "{message}");
    assert!(message.starts_with("pointsman: ") && message.contains(says), "{message}");
}

async fn two() -> Setup {
    Setup::new(vec![server("old").await, server("new").await])
}

// --- Waiting ---

#[tokio::test]
async fn a_write_without_a_primary_runs_on_the_next_one() {
    let setup = two().await;
    let mut client = setup.client().await;
    setup.lose_primary();
    send(&mut client, INSERT).await;
    setup.wait_for_held(1).await;
    setup.promote(1);
    answer(&mut client).await.expect_ok();
    assert_eq!((setup.statements(0), setup.statements(1)), (vec![], vec![INSERT.to_owned()]));
    assert_eq!(setup.running.overview().held(), 0);
}

#[tokio::test]
async fn a_prepared_write_waits_as_well() {
    let setup = two().await;
    let mut client = setup.client().await;
    setup.lose_primary();
    client.send_command(&[&[wire::COM_STMT_PREPARE], INSERT.as_bytes()].concat()).await;
    client.expect_response();
    setup.wait_for_held(1).await;
    setup.promote(1);
    client.receive().await.expect("an answer");
    assert_eq!(setup.statements(1), [INSERT]);
}

#[tokio::test]
async fn reads_go_on_while_writes_wait() {
    let setup = Setup::new(vec![server("old").await, server("new").await]);
    let (mut writer, mut reader) = (setup.client().await, setup.client().await);
    setup.lose_primary();
    send(&mut writer, INSERT).await;
    setup.wait_for_held(1).await;
    assert_eq!(reader.query_one("SELECT a FROM t").await.expect_rows().single(), "new");
    let rows = reader.query_one(&format!("EXPLAIN ROUTE {INSERT}")).await.expect_rows();
    let decision = rows.rows.last().expect("a row").clone();
    let text = |column: usize| String::from_utf8(decision[column].clone().expect("text")).expect("text");
    assert_eq!((text(1), text(2)), ("wait".to_owned(), "primary".to_owned()));
    assert!(text(3).contains("it waits for a primary"), "{}", text(3));
}

#[tokio::test]
async fn a_statement_that_waits_too_long_is_told_what_it_waited_for() {
    let hold_writes = Duration::from_millis(20);
    let setup =
        Setup::configured(vec![server("old").await, server("new").await], Settings { hold_writes, ..Settings::default() });
    let (mut one, mut two) = (setup.client().await, setup.client().await);
    setup.lose_primary();
    send(&mut one, INSERT).await;
    send(&mut two, "BEGIN").await;
    for client in [&mut one, &mut two] {
        assert_error(answer(client).await, 1290, "HY000", "waited 20ms for a primary: no server is one now");
    }
    setup.promote(1);
    one.query_one(INSERT).await.expect_ok();
    assert_eq!(setup.statements(1), [INSERT]);
}

#[tokio::test]
async fn without_waiting_the_error_comes_at_once() {
    let settings = Settings { hold_writes: Duration::ZERO, ..Settings::default() };
    let setup = Setup::configured(vec![server("old").await, server("new").await], settings);
    let mut client = setup.client().await;
    setup.lose_primary();
    assert_error(client.query_one(INSERT).await, 1290, "HY000", "no primary is available");
}

#[tokio::test]
async fn what_waits_is_bounded_in_number_and_bytes() {
    for (limits, says) in [
        (Limits { held_statements: 1, ..Limits::default() }, "limits.held_statements is 1"),
        (Limits { held_bytes: 40, ..Limits::default() }, "limits.held_bytes is 40"),
    ] {
        let setup = Setup::configured(vec![server("old").await, server("new").await], Settings { limits, ..Settings::default() });
        let (mut first, mut second) = (setup.client().await, setup.client().await);
        setup.lose_primary();
        send(&mut first, INSERT).await;
        setup.wait_for_held(1).await;
        assert_error(second.query_one(INSERT).await, 1290, "HY000", says);
        setup.promote(1);
        answer(&mut first).await.expect_ok();
    }
}

#[tokio::test]
async fn a_kill_and_the_clients_departure_end_the_wait() {
    let setup = two().await;
    let (mut held, mut leaving, mut killer) = (setup.client().await, setup.client().await, setup.client().await);
    setup.lose_primary();
    let id = held.greeting.connection_id;
    send(&mut held, INSERT).await;
    send(&mut leaving, INSERT).await;
    setup.wait_for_held(2).await;
    drop(leaving);
    setup.wait_for_held(1).await;
    killer.query_one(&format!("KILL QUERY {id}")).await.expect_ok();
    assert_error(answer(&mut held).await, 1317, "70100", "interrupted");
    send(&mut held, INSERT).await;
    setup.wait_for_held(1).await;
    killer.query_one(&format!("KILL {id}")).await.expect_ok();
    assert_error(answer(&mut held).await, 1317, "70100", "interrupted");
    held.expect_closed().await;
    setup.promote(1);
    killer.query_one("DELETE FROM t").await.expect_ok();
    assert_eq!(setup.statements(1), ["DELETE FROM t"]);
}

#[tokio::test]
async fn the_end_of_the_process_ends_the_wait() {
    let setup = two().await;
    let mut client = setup.client().await;
    setup.lose_primary();
    send(&mut client, INSERT).await;
    setup.wait_for_held(1).await;
    assert!(setup.running.close().await.drain().await);
    assert_error(answer(&mut client).await, 1053, "08S01", "shutting down");
}

#[tokio::test]
async fn a_rules_time_counts_while_a_statement_waits() {
    let rule = Rule { name: "short".to_owned(), timeout: Some(Duration::from_millis(20)), ..Rule::default() };
    let setup = Setup::with_rules(vec![server("old").await, server("new").await], vec![rule]);
    let mut client = setup.client().await;
    setup.lose_primary();
    assert_error(client.query_one(INSERT).await, 3024, "HY000", "short");
}

#[tokio::test]
async fn a_statement_waits_for_a_silent_primary_until_it_answers() {
    let setup = two().await;
    let mut client = setup.client().await;
    setup.publish(|snapshot| snapshot.servers[0].silent_since = Some(Instant::now()));
    send(&mut client, INSERT).await;
    setup.wait_for_held(1).await;
    assert!(setup.statements(0).is_empty());
    setup.publish(|snapshot| snapshot.servers[0].silent_since = None);
    answer(&mut client).await.expect_ok();
    assert_eq!(setup.statements(0), [INSERT]);
}

/// The monitor does not know yet, the socket does.
#[tokio::test]
async fn what_cannot_reach_the_primary_runs_on_the_next_one() {
    let mut setup = two().await;
    let mut client = setup.client().await;
    setup.servers.remove(0).die().await;
    send(&mut client, INSERT).await;
    setup.wait_for_held(1).await;
    setup.promote(1);
    answer(&mut client).await.expect_ok();
    assert_eq!(setup.statements(0), [INSERT]);
}

#[tokio::test]
async fn what_waits_occupies_no_connection() {
    let servers = vec![server("old").await, server("new").await];
    let setup = Setup::configured(servers, Settings { pooling: Pooling::Session, ..Settings::default() });
    let mut client = setup.client().await;
    assert_eq!(client.query_one("SELECT a FROM t").await.expect_rows().single(), "new");
    client.query_one(INSERT).await.expect_ok();
    setup.publish(|snapshot| snapshot.is_closing = true);
    send(&mut client, INSERT).await;
    setup.wait_for_held(1).await;
    // Both are reset, which is how they are given back.
    for server in &setup.servers {
        server
            .wait_until("a reset", |seen| seen.received.iter().any(|received| received.payload == [wire::COM_RESET_CONNECTION]))
            .await;
    }
    setup.promote(1);
    answer(&mut client).await.expect_ok();
}

// --- Handover ---

#[tokio::test]
async fn a_handover_holds_what_begins_and_lets_what_is_open_finish() {
    let setup = Setup::new(vec![with_transactions("handover-old").await, with_transactions("handover-new").await]);
    let (mut open, mut new) = (setup.client().await, setup.client().await);
    open.query_one("BEGIN").await.expect_ok();
    setup.publish(|snapshot| snapshot.is_closing = true);
    send(&mut new, "BEGIN").await;
    setup.wait_for_held(1).await;
    open.query_one(INSERT).await.expect_ok();
    assert_eq!(status(open.query_one("COMMIT").await), StatusFlags::AUTOCOMMIT);
    send(&mut open, "DELETE FROM t").await;
    setup.wait_for_held(2).await;
    setup.publish(|snapshot| snapshot.primary = None);
    setup.promote(1);
    assert_eq!(status(answer(&mut new).await), OPEN);
    answer(&mut open).await.expect_ok();
    assert_eq!(setup.statements(0), ["BEGIN", INSERT, "COMMIT"]);
    let mut on_new = setup.statements(1);
    on_new.sort();
    assert_eq!(on_new, ["BEGIN", "DELETE FROM t"]);
}

/// A write that was on its way when its server was closed to writes, and is refused.
async fn refused_by_a_closed_primary(insert: &str) -> (Setup, RawClient) {
    let message = "The MySQL server is running with the --super-read-only option";
    refused_by_the_primary(insert, message, |setup| setup.publish(|snapshot| snapshot.primary = None)).await
}

async fn refused_by_the_primary(insert: &str, message: &'static str, before: impl FnOnce(&Setup)) -> (Setup, RawClient) {
    let refuses = Arc::new(AtomicBool::new(false));
    let asked = Arc::new(tokio::sync::Notify::new());
    let (is_closed, told) = (Arc::clone(&refuses), Arc::clone(&asked));
    let old = scripted(move |call| {
        if !call.sql().starts_with(INSERT) {
            return usual("old", call);
        }
        told.notify_one();
        while !is_closed.load(Ordering::Acquire) {
            std::thread::sleep(Duration::from_millis(1));
        }
        vec![Action::Answer(Answer::err(1290, *b"HY000", message))]
    });
    let setup = Setup::new(vec![on_a_thread_of_its_own(old).await, server("new").await]);
    let mut client = setup.client().await;
    send(&mut client, insert).await;
    asked.notified().await;
    before(&setup);
    refuses.store(true, Ordering::Release);
    (setup, client)
}

/// Another Pointsman, or a person, has closed it, and no look has shown that yet.
#[tokio::test]
async fn a_write_that_is_refused_before_we_know_why_runs_on_the_next_primary() {
    let (setup, mut client) = refused_by_the_primary(INSERT, "running with the --read-only option", |_| {}).await;
    while !setup.suspects().contains(&ServerId(0)) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    setup.publish(|snapshot| snapshot.primary = None);
    setup.wait_for_held(1).await;
    setup.promote(1);
    answer(&mut client).await.expect_ok();
    assert_eq!(setup.statements(1), [INSERT]);
}

#[tokio::test]
async fn a_refusal_by_a_primary_that_stays_one_is_passed_on() {
    for (message, is_looked_at) in [("running with the --read-only option", true), ("the --secure-file-priv option", false)] {
        let (setup, mut client) = refused_by_the_primary(INSERT, message, |_| {}).await;
        let error = answer(&mut client).await.expect_err();
        assert_eq!((error.code, error.message), (1290, message.as_bytes().to_vec()));
        assert_eq!(setup.suspects().contains(&ServerId(0)), is_looked_at, "{message}");
        client.query_one("DO 1").await.expect_ok();
    }
}

#[tokio::test]
async fn a_write_that_a_closed_primary_refuses_runs_on_the_next_one() {
    let (setup, mut client) = refused_by_a_closed_primary(INSERT).await;
    setup.wait_for_held(1).await;
    setup.promote(1);
    answer(&mut client).await.expect_ok();
    assert_eq!(setup.statements(1), [INSERT]);
}

/// It is not kept until it is answered.
#[tokio::test]
async fn a_long_write_that_a_closed_primary_refuses_is_told_so() {
    let long = format!("{INSERT} /* {} */", "x".repeat(5_000));
    let (setup, mut client) = refused_by_a_closed_primary(&long).await;
    assert_eq!(answer(&mut client).await.expect_err().code, 1290);
    setup.promote(1);
    client.query_one(INSERT).await.expect_ok();
    assert_eq!(setup.statements(1), [INSERT]);
}

/// Its script blocks.
async fn on_a_thread_of_its_own(server: impl Future<Output = FakeServer> + Send + 'static) -> FakeServer {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async move {
            let _ = sender.send(server.await);
            std::future::pending::<()>().await;
        });
    });
    receiver.await.expect("it starts")
}

// --- What is lost ---

#[tokio::test]
async fn an_idle_transaction_on_a_lost_primary_ends_as_after_a_deadlock() {
    let setup = Setup::new(vec![with_transactions("idle-old").await, with_transactions("idle-new").await]);
    let (mut client, mut other) = (setup.client().await, setup.client().await);
    for client in [&mut client, &mut other] {
        client.query_one("BEGIN").await.expect_ok();
        client.query_one(INSERT).await.expect_ok();
    }
    setup.lose_primary();
    assert_error(
        client.query_one("COMMIT").await,
        1213,
        "40001",
        "the primary was lost; the transaction was rolled back, try it again",
    );
    // A `ROLLBACK` has its effect already.
    assert_eq!(status(other.query_one("ROLLBACK").await), StatusFlags::AUTOCOMMIT);
    setup.promote(1);
    for client in [&mut client, &mut other] {
        assert_eq!(status(client.query_one(INSERT).await), StatusFlags::AUTOCOMMIT);
    }
    assert_eq!(setup.statements(1), [INSERT, INSERT]);
}

/// A primary that dies of one statement.
async fn dying(name: &'static str, of: &'static str) -> FakeServer {
    scripted(move |call| if call.sql() == of { vec![Action::Close] } else { transactional(name, call) }).await
}

#[tokio::test]
async fn a_statement_in_flight_in_a_transaction_ends_as_after_a_deadlock() {
    let setup = Setup::new(vec![dying("flight-old", INSERT).await, with_transactions("flight-new").await]);
    let mut client = setup.client().await;
    client.query_one("BEGIN").await.expect_ok();
    assert_error(client.query_one(INSERT).await, 1213, "40001", "try it again");
    setup.promote(1);
    client.query_one(INSERT).await.expect_ok();
    assert_eq!(setup.statements(1), [INSERT]);
}

#[tokio::test]
async fn a_commit_in_flight_has_an_unknown_outcome() {
    for (name, statement) in [("commit", "COMMIT"), ("ddl", "CREATE TABLE u (a INT)"), ("call", "CALL p()")] {
        let setup = Setup::new(vec![dying(name, statement).await, server("new").await]);
        let mut client = setup.client().await;
        client.query_one("BEGIN").await.expect_ok();
        assert_error(client.query_one(statement).await, 1158, "08007", "may or may not have taken effect");
        setup.promote(1);
        // The session lives on, without the transaction.
        assert_eq!(status(client.query_one(INSERT).await), StatusFlags::AUTOCOMMIT);
        assert_eq!(setup.statements(1), [INSERT]);
    }
}

#[tokio::test]
async fn the_loss_of_a_connections_state_is_reported_once() {
    let setup = two().await;
    let mut client = setup.client().await;
    client.query_one("CREATE TEMPORARY TABLE t (a INT)").await.expect_ok();
    setup.lose_primary();
    send(&mut client, INSERT).await;
    // It may still come back with everything.
    setup.wait_for_held(1).await;
    setup.promote(1);
    assert_error(answer(&mut client).await, 1053, "08S01", "temporary tables");
    client.query_one(INSERT).await.expect_ok();
    assert_eq!(setup.statements(1), [INSERT]);
    assert_eq!(client.query_one("SELECT a FROM t").await.expect_rows().rows.len(), 1);
}

#[tokio::test]
async fn user_variables_with_known_values_move_along() {
    let setup = two().await;
    let mut client = setup.client().await;
    client.query_one("SET @a = 5, @b = 'x'").await.expect_ok();
    client.query_one("SET @a = 6").await.expect_ok();
    setup.lose_primary();
    setup.promote(1);
    client.query_one("SELECT @a").await.expect_rows();
    let on_new: Vec<_> = setup.statements(1);
    assert_eq!(on_new, ["SET @b = 'x'", "SET @a = 6", "SELECT @a"]);
    // From then on every new connection is told, until they change.
    client.query_one("SET @a = 7").await.expect_ok();
    setup.lose_primary();
    setup.promote(0);
    client.query_one(INSERT).await.expect_ok();
    let on_old = setup.statements(0);
    assert_eq!(on_old[on_old.len() - 3..], ["SET @b = 'x'", "SET @a = 7", INSERT]);
}

/// It does not write on the old primary until the last moment, as one with a temporary table may.
#[tokio::test]
async fn a_session_with_known_user_variables_waits_for_the_handover() {
    let setup = two().await;
    let mut client = setup.client().await;
    client.query_one("SET @a = 5").await.expect_ok();
    setup.publish(|snapshot| snapshot.is_closing = true);
    send(&mut client, INSERT).await;
    setup.wait_for_held(1).await;
    setup.promote(1);
    answer(&mut client).await.expect_ok();
    assert_eq!((setup.statements(0), setup.statements(1)), (vec!["SET @a = 5".into()], vec!["SET @a = 5".into(), INSERT.into()]));
}

#[tokio::test]
async fn the_loss_of_an_unknown_user_variable_is_reported() {
    let setup = two().await;
    let mut client = setup.client().await;
    client.query_one("SET @a = 5").await.expect_ok();
    client.query_one("SELECT @a := @a + 1").await.expect_rows();
    setup.lose_primary();
    setup.promote(1);
    // A plain read cannot miss it.
    setup.publish(|snapshot| snapshot.servers[0].health = Health::Up);
    assert_eq!(client.query_one("SELECT a FROM t").await.expect_rows().single(), "old");
    assert_error(client.query_one("SELECT @a").await, 1053, "08S01", "variables");
    client.query_one("SELECT @a").await.expect_rows();
    assert_eq!(setup.statements(1), ["SELECT @a"]);
}

#[tokio::test]
async fn an_idle_session_notices_nothing() {
    let setup = two().await;
    let mut client = setup.client_as(&LoginAs { schema: Some("shop".to_owned()), ..LoginAs::new("app", "secret") }).await;
    client.query_one("SET time_zone = '+01:00'").await.expect_ok();
    client.query_one(INSERT).await.expect_ok();
    setup.lose_primary();
    setup.promote(1);
    client.query_one(INSERT).await.expect_ok();
    assert_eq!(setup.statements(1), ["SET time_zone = '+01:00'", INSERT]);
}

// --- Acknowledgements ---

/// A primary that answers what `is_asked` says only after the test has done something.
async fn late(is_asked: fn(&str) -> bool, answers: fn() -> Answer) -> (FakeServer, Arc<tokio::sync::Notify>, Arc<AtomicBool>) {
    let (asked, goes_on) = (Arc::new(tokio::sync::Notify::new()), Arc::new(AtomicBool::new(false)));
    let (told, may_answer) = (Arc::clone(&asked), Arc::clone(&goes_on));
    let server = scripted(move |call| {
        if !is_asked(call.sql()) {
            return usual("old", call);
        }
        told.notify_one();
        while !may_answer.load(Ordering::Acquire) {
            std::thread::sleep(Duration::from_millis(1));
        }
        vec![Action::Answer(answers())]
    });
    (on_a_thread_of_its_own(server).await, asked, goes_on)
}

/// A look that begins now sees whether there are replicas that could have confirmed what was acknowledged until now.
fn look(setup: &Setup, acks_trusted: bool) {
    setup.publish(|snapshot| {
        let server = &mut snapshot.servers[0];
        (server.acks_trusted, server.acks_seen_at) = (acks_trusted, Some(std::time::Instant::now()));
    });
}

/// The monitor is asked for a look.
async fn is_suspected(setup: &Setup) {
    let suspected = async {
        while setup.suspects().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    testkit::within_patience("a suspect", suspected).await;
}

#[tokio::test]
async fn the_ok_of_a_deposed_primary_is_not_passed_on() {
    type Change = fn(&Setup);
    let changes: [(Change, &str); 4] = [
        (|setup| setup.publish(|snapshot| snapshot.primary = None), "no longer the primary"),
        (|setup| setup.publish(|snapshot| snapshot.epoch = snapshot.epoch.next()), "no longer the primary"),
        (|setup| setup.publish(|snapshot| snapshot.primary = Some(ServerId(1))), "primary"),
        (
            |setup| {
                setup.publish(|snapshot| {
                    snapshot.servers[0].acks_trusted = false;
                    snapshot.servers[0].health = Health::Down { why: Arc::from("test") };
                });
            },
            "shutting down",
        ),
    ];
    for (change, says) in changes {
        let (old, asked, goes_on) = late(|sql| sql == INSERT, Answer::ok).await;
        let setup = Setup::new(vec![old, server("new").await]);
        let mut client = setup.client().await;
        send(&mut client, INSERT).await;
        asked.notified().await;
        change(&setup);
        goes_on.store(true, Ordering::Release);
        assert_error(answer(&mut client).await, 1158, "08007", says);
        // The session lives on.
        assert_eq!(client.query_one("SELECT a FROM t").await.expect_rows().single(), "new");
    }
}

/// Rows that a writing function has made are passed on; the end of the result is not.
#[tokio::test]
async fn the_end_of_a_result_counts_as_an_ok() {
    let (old, asked, goes_on) = late(|sql| sql.contains("somebodys"), || Answer::rows(&["a"], &[&["1"], &["2"]])).await;
    let setup = Setup::new(vec![old, server("new").await]);
    for capabilities in [testkit::raw::USUAL, testkit::raw::USUAL - wire::Capabilities::DEPRECATE_EOF] {
        goes_on.store(false, Ordering::Release);
        look(&setup, true);
        let mut client = setup.client_as(&LoginAs { capabilities, ..LoginAs::new("app", "secret") }).await;
        send(&mut client, "SELECT somebodys(1)").await;
        asked.notified().await;
        look(&setup, false);
        goes_on.store(true, Ordering::Release);
        is_suspected(&setup).await;
        look(&setup, false);
        assert_error(answer(&mut client).await, 1158, "08007", "may or may not");
        assert_eq!(client.query_one("SELECT a FROM t").await.expect_rows().single(), "new");
    }
}

#[tokio::test]
async fn reads_and_what_commits_nothing_need_no_trust() {
    let setup = Setup::new(vec![with_transactions("trust-old").await]);
    let mut client = setup.client().await;
    look(&setup, false);
    assert_eq!(client.query_one("SELECT a FROM t").await.expect_rows().single(), "trust-old");
    client.query_one("BEGIN").await.expect_ok();
    client.query_one(INSERT).await.expect_ok();
    send(&mut client, "COMMIT").await;
    is_suspected(&setup).await;
    look(&setup, false);
    assert_error(answer(&mut client).await, 1158, "08007", "may not survive");
}

/// A replica has connected since the last look: it is what the commits had waited for.
#[tokio::test]
async fn an_ok_that_a_later_look_explains_is_passed_on() {
    let setup = two().await;
    let mut client = setup.client().await;
    look(&setup, false);
    send(&mut client, INSERT).await;
    is_suspected(&setup).await;
    // What was asked before the OK came tells nothing of it.
    setup.publish(|snapshot| snapshot.servers[0].weight += 1);
    is_suspected(&setup).await;
    look(&setup, true);
    assert!(matches!(answer(&mut client).await, Answer::Ok { .. }));
}

/// A statement that hangs on a server whose successor has begun is not waited for.
#[tokio::test]
async fn a_commit_that_hangs_on_a_deposed_primary_is_left() {
    let hanging = scripted(|call| if call.sql() == INSERT { vec![Action::Hang] } else { usual("old", call) }).await;
    let setup = Setup::new(vec![hanging, server("new").await]);
    let mut client = setup.client().await;
    send(&mut client, INSERT).await;
    setup.servers[0].wait_until("the write", |seen| seen.received.iter().any(|received| received.sql() == Some(INSERT))).await;
    setup.promote(1);
    assert_error(answer(&mut client).await, 1158, "08007", "another server is the primary now");
}

// --- Connections of another epoch ---

#[tokio::test]
async fn a_connection_of_an_earlier_reign_is_not_used_again() {
    let setup = two().await;
    let mut client = setup.client().await;
    client.query_one(INSERT).await.expect_ok();
    setup.promote(1);
    client.query_one(INSERT).await.expect_ok();
    setup.promote(0);
    let before = setup.servers[0].seen().accepted;
    client.query_one(INSERT).await.expect_ok();
    assert_eq!(setup.servers[0].seen().accepted, before + 1, "the session's own connection");
    // And none from the pool.
    drop(client);
    setup.promote(1);
    setup.promote(0);
    let before = setup.servers[0].seen().accepted;
    setup.client().await.query_one(INSERT).await.expect_ok();
    assert_eq!(setup.servers[0].seen().accepted, before + 1, "a fresh one");
}

/// The server that is promoted is led to by connections that were good for reading, and are good for writing now.
#[tokio::test]
async fn connections_to_a_replica_outlast_its_promotion() {
    let setup = two().await;
    let mut client = setup.client().await;
    assert_eq!(client.query_one("SELECT a FROM t").await.expect_rows().single(), "new");
    setup.promote(1);
    client.query_one(INSERT).await.expect_ok();
    assert_eq!(setup.servers[1].seen().accepted, 1);
}

#[tokio::test]
async fn a_transaction_of_an_earlier_reign_is_lost() {
    let setup = Setup::new(vec![with_transactions("reign-old").await, with_transactions("reign-new").await]);
    let mut client = setup.client().await;
    client.query_one("BEGIN").await.expect_ok();
    setup.promote(1);
    setup.promote(0);
    assert_error(client.query_one("COMMIT").await, 1213, "40001", "try it again");
    assert_eq!(setup.statements(0), ["BEGIN"]);
}

// --- Logins ---

/// A replica may not know the account yet, and no other server can be asked.
#[tokio::test]
async fn a_login_that_a_replica_refuses_waits_for_a_primary() {
    let refuses = Arc::new(AtomicBool::new(true));
    let is_new = Arc::clone(&refuses);
    let knows_no_schema = scripted(move |call| match call.command() {
        wire::Command::InitDb(_) if is_new.load(Ordering::Acquire) => {
            vec![Action::Answer(Answer::err(1049, *b"42000", "Unknown database 'shop'"))]
        }
        _ => usual("new", call),
    })
    .await;
    let setup = Setup::new(vec![server("old").await, knows_no_schema]);
    setup.lose_primary();
    let login = LoginAs { schema: Some("shop".to_owned()), ..LoginAs::new("app", "secret") };
    let address = setup.running.address();
    let client = tokio::spawn(async move { RawClient::login(address, &login).await });
    setup.wait_for_held(1).await;
    refuses.store(false, Ordering::Release);
    setup.promote(1);
    client.await.expect("no panic").expect("logged in").query_one(INSERT).await.expect_ok();
}

#[tokio::test]
async fn a_login_that_a_replica_accepts_does_not_wait() {
    let setup = two().await;
    setup.lose_primary();
    let mut client = setup.client().await;
    assert_eq!(client.query_one("SELECT a FROM t").await.expect_rows().single(), "new");
}
