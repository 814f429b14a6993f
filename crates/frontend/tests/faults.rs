//! What becomes of a statement when a server or a client fails in the middle of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs, unreachable_pub, reason = "tests")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{Settings, Setup, scripted, server, usual};
use frontend::Pooling;
use testkit::fake::{Call, Received};
use testkit::{Action, Answer, LoginAs, RawClient};
use wire::Capabilities;

/// Half of an answer with rows.
fn half_a_result(capabilities: Capabilities) -> Vec<Action> {
    let whole = Answer::rows(&["a"], &[&["1"], &["2"], &["3"]]).to_bytes(capabilities);
    vec![Action::Bytes(whole[..whole.len() - 12].to_vec()), Action::Close]
}

fn is_statement(call: &Call<'_>) -> bool {
    !call.sql().is_empty() && !call.sql().starts_with("SET session_track")
}

#[tokio::test]
async fn a_read_that_got_no_answer_is_answered_by_another_server() {
    let dying = scripted(|call| if is_statement(&call) { vec![Action::Close] } else { usual("dying", call) }).await;
    let setup = Setup::new(vec![server("primary").await, dying]);
    let mut client = setup.client().await;
    assert_eq!(client.query_one("SELECT a FROM t").await.expect_rows().single(), "primary");
    assert_eq!(setup.statements(1), ["SELECT a FROM t"]);
}

#[tokio::test]
async fn half_a_result_is_never_followed_by_a_second_try() {
    let dying = scripted(|call| if is_statement(&call) { half_a_result(call.capabilities) } else { usual("dying", call) }).await;
    let setup = Setup::new(vec![server("primary").await, dying]);
    let mut client = setup.client().await;
    client.send_command(b"\x03SELECT a FROM t").await;
    let got = client.read_bytes(1 << 16).await;
    let whole = Answer::rows(&["a"], &[&["1"], &["2"], &["3"]]).to_bytes(client.capabilities);
    assert!(whole.starts_with(&got), "{got:?}");
    assert!(setup.statements(0).is_empty(), "the primary got a second try");
}

#[tokio::test]
async fn a_write_is_sent_once_and_the_client_is_told_that_its_outcome_is_unknown() {
    let dying = scripted(|call| if is_statement(&call) { vec![Action::Close] } else { usual("dying", call) }).await;
    let setup = Setup::new(vec![dying, server("replica").await]);
    let mut client = setup.client().await;
    let error = client.query_one("INSERT INTO t VALUES (1)").await.expect_err();
    assert_eq!((error.code, &error.sqlstate), (1158, b"08007"));
    assert!(error.message.starts_with(b"pointsman: "));
    assert_eq!(setup.statements(0), ["INSERT INTO t VALUES (1)"]);
    assert!(setup.statements(1).is_empty());
    // The session lives on.
    setup.lose_primary();
    assert_eq!(client.query_one("SELECT a FROM t").await.expect_rows().single(), "replica");
}

#[tokio::test]
async fn the_statement_of_a_client_that_has_left_is_stopped_and_its_connection_used_again() {
    let killed = Arc::new(AtomicBool::new(false));
    let kill = Arc::clone(&killed);
    let endless = scripted(move |call| {
        if call.sql().starts_with("KILL QUERY 1") {
            kill.store(true, Ordering::Release);
        }
        if call.sql() != "SELECT a FROM t" {
            return usual("endless", call);
        }
        let whole = Answer::rows(&["a"], &[&["1"]]).to_bytes(call.capabilities);
        let (most, rest) = whole.split_at(whole.len() - 12);
        let pause = Action::Pause(Duration::from_millis(200));
        vec![Action::Bytes(most.to_vec()), pause, Action::Bytes(rest.to_vec())]
    })
    .await;
    let setup = Setup::new(vec![endless]);
    let mut client = setup.client().await;
    client.send_command(b"\x03SELECT a FROM t").await;
    client.expect_response();
    client.receive().await.expect("the first packet");
    drop(client);
    let is_reset = |received: &Received| (received.connection, received.payload[0]) == (0, wire::COM_RESET_CONNECTION);
    setup.servers[0].wait_until("a reset", |seen| seen.received.iter().any(is_reset)).await;
    assert!(killed.load(Ordering::Acquire), "it was stopped by its number");
}

#[tokio::test]
async fn a_connection_that_was_used_well_serves_the_next_client_after_a_reset() {
    let by_session = Settings { pooling: Pooling::Session, ..Settings::default() };
    let setup = Setup::configured(vec![server("primary").await], by_session);
    let mut first = setup.client().await;
    first.query_one("SET time_zone = '+01:00'").await.expect_ok();
    drop(first);
    setup.servers[0]
        .wait_until("a reset", |seen| seen.received.iter().any(|received| received.payload == [wire::COM_RESET_CONNECTION]))
        .await;
    let mut second = setup.client().await;
    // The answer to the reset may still be on its way; then a second connection is opened, which is as good.
    second.query_one("SELECT a FROM t").await.expect_rows();
    assert_eq!(setup.statements(0).iter().filter(|sql| sql.contains("time_zone")).count(), 1, "the setting was carried over");
}

#[tokio::test]
async fn an_idle_connection_that_its_server_closed_is_replaced() {
    let closing = scripted(|call| {
        let mut actions = usual("closing", call);
        if call.connection == 0 && is_statement(&call) {
            actions.push(Action::Close);
        }
        actions
    })
    .await;
    let setup = Setup::new(vec![closing]);
    let mut client = setup.client().await;
    client.query_one("INSERT INTO t VALUES (1)").await.expect_ok();
    setup.servers[0].wait_until("the close", |seen| seen.open == 0).await;
    // Whether the close has already reached the proxy is not known here: it is told apart by nothing but time.
    tokio::task::yield_now().await;
    client.query_one("INSERT INTO t VALUES (2)").await.expect_ok();
}

#[tokio::test]
async fn the_loss_of_a_transactions_server_is_reported_as_a_deadlock_and_the_session_goes_on() {
    let dying = scripted(|call| {
        if call.sql() == "SELECT a FROM t" {
            return vec![Action::Close];
        }
        let status = wire::StatusFlags::AUTOCOMMIT | wire::StatusFlags::IN_TRANS;
        vec![Action::Answer(Answer::ok().with_status(status))]
    })
    .await;
    let setup = Setup::new(vec![dying, server("replica").await]);
    let mut client = setup.client().await;
    client.query_one("BEGIN").await.expect_ok();
    let error = client.query_one("SELECT a FROM t").await.expect_err();
    assert_eq!((error.code, &error.sqlstate), (1213, b"40001"));
    assert_eq!(error.message, b"pointsman: the primary was lost; the transaction was rolled back, try it again");
    assert!(setup.statements(1).is_empty());
    // The transaction is gone, as after any deadlock.
    setup.lose_primary();
    assert_eq!(client.query_one("SELECT a FROM t").await.expect_rows().single(), "replica");
}

#[tokio::test]
async fn a_server_that_refuses_the_login_is_reported_in_its_own_words() {
    let refusing = testkit::fake::Character { password: "another".to_owned(), ..testkit::fake::Character::default() };
    let primary = testkit::FakeServer::start(refusing, |_| vec![]).await;
    let setup = Setup::new(vec![primary]);
    let refused = RawClient::login(setup.running.address(), &LoginAs::new("app", "secret")).await.expect_err("refused");
    assert_eq!((refused.code, refused.message.as_slice()), (1045, b"Access denied".as_slice()));
}

/// By default a statement waits for an hour here, so this test ends only if it does not wait.
#[tokio::test]
async fn a_read_does_not_wait_for_a_primary_that_lets_the_account_in_no_more() {
    let once = testkit::fake::Character { logins: Some(1), ..testkit::fake::Character::default() };
    let closing = testkit::FakeServer::start(once, |call| {
        let mut actions = usual("closing", call);
        if is_statement(&call) {
            actions.push(Action::Close);
        }
        actions
    });
    let setup = Setup::new(vec![closing.await]);
    let mut client = setup.client().await;
    client.query_one("SELECT a FROM t").await.expect_rows();
    setup.servers[0].wait_until("the close", |seen| seen.open == 0).await;
    let refused = client.query_one("SELECT a FROM t").await.expect_err();
    assert_eq!((refused.code, refused.message.as_slice()), (1045, b"Access denied".as_slice()));
}

#[tokio::test]
async fn a_server_that_sends_garbage_is_never_believed() {
    let garbage =
        scripted(|call| if is_statement(&call) { vec![Action::Bytes(vec![2, 0, 0, 1, 0x00, 0xfe])] } else { usual("", call) })
            .await;
    let setup = Setup::new(vec![garbage]);
    let mut client = setup.client().await;
    let first = client.query_one("UPDATE t SET a = 1").await;
    let error = first.expect_err();
    assert_eq!((error.code, &error.sqlstate), (1158, b"08007"));
}

/// Counts that promise more than the packet has, values that end early, unknown types.
#[tokio::test]
async fn malformed_query_attributes_end_the_session_with_an_error() {
    let with_attributes =
        LoginAs { capabilities: testkit::raw::USUAL | Capabilities::QUERY_ATTRIBUTES, ..LoginAs::new("app", "secret") };
    for garbage in [
        &b"\x03"[..],
        b"\x03\x01",
        b"\x03\xfe\xff\xff\xff\xff\xff\xff\xff\x7f\x01",
        b"\x03\x02\x01\x00\x01\xfe\x00\x01a\xfe\x00\x01b\x05abc",
        b"\x03\x01\x01\x00\x00",
        b"\x03\x01\x02\x00\x01\xfe\x00\x01a\x01xSELECT 1",
    ] {
        let setup = Setup::new(vec![server("primary").await]);
        let mut client = setup.client_as(&with_attributes).await;
        client.send_command(garbage).await;
        client.expect_response();
        let error = client.answers(false).await.expect("an answer").remove(0).expect_err();
        assert!(String::from_utf8_lossy(&error.message).starts_with("pointsman: "), "{error:?}");
        client.expect_closed().await;
    }
}
