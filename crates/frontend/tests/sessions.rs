//! What a client sees of its session, whichever server answers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs, unreachable_pub, reason = "tests")]

mod common;

use std::os::fd::AsFd as _;
use std::time::Duration;

use common::{Setup, scripted, server};
use frontend::Limits;
use testkit::{Action, Answer, LoginAs, RawClient};
use wire::{Capabilities, StatusFlags};

#[tokio::test]
async fn reads_go_to_the_replicas_and_writes_to_the_primary() {
    let setup = Setup::new(vec![server("primary").await, server("one").await, server("two").await]);
    let mut client = setup.client().await;
    let mut answered = Vec::new();
    for _ in 0..4 {
        answered.push(client.query_one("SELECT a FROM t").await.expect_rows().single());
    }
    client.query_one("UPDATE t SET a = 1").await.expect_ok();
    assert_eq!(answered, ["one", "two", "one", "two"]);
    assert_eq!(setup.statements(0), ["UPDATE t SET a = 1"]);
}

#[tokio::test]
async fn settings_and_schema_follow_to_every_server() {
    let setup = Setup::new(vec![server("primary").await, server("replica").await]);
    let login = LoginAs { schema: Some("shop".to_owned()), ..LoginAs::new("app", "secret") };
    let mut client = setup.client_as(&login).await;
    client.query_one("SET time_zone = '+01:00'").await.expect_ok();
    client.query_one("SELECT a FROM t").await.expect_rows();
    client.query_one("SELECT a FROM t").await.expect_rows();
    let on_replica = setup.servers[1].seen().received;
    let schemas = on_replica.iter().filter(|received| received.payload == b"\x02shop").count();
    assert_eq!(schemas, 1);
    assert_eq!(setup.statements(1), ["SET time_zone = '+01:00'", "SELECT a FROM t", "SELECT a FROM t"]);
}

#[tokio::test]
async fn a_client_of_old_gets_eof_packets_in_order() {
    let setup = Setup::new(vec![server("primary").await]);
    let old = LoginAs {
        capabilities: testkit::raw::USUAL - Capabilities::DEPRECATE_EOF - Capabilities::SESSION_TRACK,
        ..LoginAs::new("app", "secret")
    };
    let mut client = setup.client_as(&old).await;
    client.send_command(b"\x03SELECT a FROM t").await;
    client.expect_response();
    // The client insists on the order of the sequence numbers by itself.
    let mut headers = Vec::new();
    for _ in 0..5 {
        headers.push(client.receive().await.expect("a packet")[0]);
    }
    assert_eq!((headers[0], headers[2], headers[4]), (1, 0xfe, 0xfe), "count, definition, EOF, row, EOF");
    assert_eq!(client.query_one("SELECT a FROM t").await.expect_rows().single(), "primary");
}

/// Their packets have a form that is not understood here.
#[tokio::test]
async fn definitions_that_may_be_left_out_are_not_offered() {
    let setup = Setup::new(vec![server("primary").await]);
    let left_out = Capabilities::OPTIONAL_RESULTSET_METADATA | Capabilities::MARIADB_CACHE_METADATA;
    let login = LoginAs { capabilities: testkit::raw::USUAL | left_out, ..LoginAs::new("app", "secret") };
    let mut client = setup.client_as(&login).await;
    assert!(!client.greeting.capabilities.intersects(left_out));
    assert_eq!(client.query_one("SELECT a FROM t").await.expect_rows().single(), "primary");
}

/// Before its rows have ended, whatever their size.
#[tokio::test]
async fn a_client_of_old_is_told_before_the_rows_that_another_result_follows() {
    let large = "x".repeat(2 << 20);
    let primary = scripted(move |call| match call.sql() {
        sql if sql.contains(';') => {
            let first = Answer::rows(&["a"], &[&[&large]]).with_status(StatusFlags::AUTOCOMMIT | StatusFlags::MORE_RESULTS);
            vec![Action::Answer(first), Action::Answer(Answer::rows(&["b"], &[&[&large]]))]
        }
        _ => vec![Action::Answer(Answer::ok())],
    });
    let setup = Setup::new(vec![primary.await]);
    let capabilities = testkit::raw::USUAL - Capabilities::DEPRECATE_EOF;
    let mut client = setup.client_as(&LoginAs { capabilities, ..LoginAs::new("app", "secret") }).await;
    client.send_command(b"\x03SELECT a FROM t; SELECT b FROM t").await;
    let mut announced = Vec::new();
    for _ in 0..2 {
        client.receive().await.expect("a count");
        client.receive().await.expect("a definition");
        let eof = client.receive().await.expect("the end of the definitions");
        announced.push(wire::EofPacket::decode(&eof).expect("EOF").status.contains(StatusFlags::MORE_RESULTS));
        client.receive().await.expect("a row");
        client.receive().await.expect("the end of the rows");
    }
    assert_eq!(announced, [true, false]);
}

#[tokio::test]
async fn pipelined_commands_are_answered_in_order() {
    let setup = Setup::new(vec![server("primary").await, server("replica").await]);
    let mut client = setup.client().await;
    let mut bytes = Vec::new();
    for command in [b"\x03SELECT a FROM t".as_slice(), b"\x03UPDATE t SET a = 1", b"\x0e", b"\x03SELECT b FROM t"] {
        bytes.extend_from_slice(&[u8::try_from(command.len()).unwrap(), 0, 0, 0]);
        bytes.extend_from_slice(command);
    }
    client.send_bytes(&bytes).await;
    let mut answers = Vec::new();
    for _ in 0..4 {
        client.expect_response();
        answers.push(client.answers(false).await.expect("an answer").remove(0));
    }
    assert_eq!(answers.remove(0).expect_rows().single(), "replica");
    answers.remove(0).expect_ok();
    answers.remove(0).expect_ok();
    assert_eq!(answers.remove(0).expect_rows().single(), "replica");
}

#[tokio::test]
async fn unknown_commands_get_an_error_and_never_ok() {
    let setup = Setup::new(vec![server("primary").await]);
    let mut client = setup.client().await;
    for command in [0x00, 0x05, 0x06, 0x07, 0x0d, 0x77, 0xfa] {
        let error = client.command(&[command, 1, 0]).await.expect_err();
        assert_eq!((error.code, command), (1047, command));
    }
    client.command(&[wire::COM_PING]).await.expect_ok();
    let is_own = |received: &testkit::fake::Received| received.sql().is_some_and(|sql| sql.starts_with("SET session_track"));
    assert!(setup.servers[0].seen().received.iter().all(is_own));
}

#[tokio::test]
async fn one_client_too_many_gets_an_error() {
    let limits = Limits { client_connections: 1, ..Limits::default() };
    let setup = Setup::with_limits(vec![server("primary").await], limits, 10);
    let _first = setup.client().await;
    let refused = RawClient::connect(setup.running.address()).await.expect_err("refused");
    assert_eq!(refused.code, 1040);
}

#[tokio::test]
async fn a_packet_over_the_limit_is_refused_before_it_is_read() {
    let limits = Limits { max_packet: 1000, ..Limits::default() };
    let setup = Setup::with_limits(vec![server("primary").await], limits, 10);
    let mut client = setup.client().await;
    client.send_bytes(&[0xff, 0xff, 0xff, 0, 3]).await;
    client.expect_response();
    let answer = client.answers(false).await.expect("an answer").remove(0);
    assert_eq!(answer.expect_err().code, 1153);
    client.expect_closed().await;
}

#[tokio::test]
async fn packets_out_of_order_end_the_session_with_an_error() {
    let setup = Setup::new(vec![server("primary").await]);
    let mut client = setup.client().await;
    client.send_bytes(&[1, 0, 0, 9, 0x0e]).await;
    client.expect_response();
    assert_eq!(client.answers(false).await.expect("an answer").remove(0).expect_err().code, 1156);
    client.expect_closed().await;
}

#[tokio::test]
async fn an_idle_client_gets_an_error_and_is_closed() {
    let limits = Limits { client_idle: Duration::from_millis(50), ..Limits::default() };
    let setup = Setup::with_limits(vec![server("primary").await], limits, 10);
    let mut client = setup.client().await;
    assert_eq!(last_words(&mut client).await, 4031);
}

#[tokio::test]
async fn a_login_that_takes_too_long_is_cut_off() {
    let limits = Limits { handshake: Duration::from_millis(50), ..Limits::default() };
    let setup = Setup::with_limits(vec![server("primary").await], limits, 10);
    let mut client = RawClient::connect(setup.running.address()).await.expect("a greeting");
    client.expect_closed().await;
}

#[tokio::test]
async fn the_client_gets_an_error_when_all_server_connections_are_in_use() {
    let in_transaction = scripted(|call| {
        let mut status = StatusFlags::AUTOCOMMIT;
        status.set(StatusFlags::IN_TRANS, call.sql() == "BEGIN");
        vec![Action::Answer(Answer::ok().with_status(status))]
    });
    let setup = Setup::with_limits(vec![in_transaction.await], Limits::default(), 1);
    let mut first = setup.client().await;
    first.query_one("BEGIN").await.expect_ok();
    let mut second = setup.client().await;
    let error = second.query_one("UPDATE t SET a = 2").await.expect_err();
    assert_eq!((error.code, &error.sqlstate), (1040, b"08004"));
    // It need not leave: idle, and with nothing on its connection, it gives that up to a waiting session.
    first.query_one("COMMIT").await.expect_ok();
    second.query_one("UPDATE t SET a = 2").await.expect_ok();
}

#[tokio::test]
async fn a_drain_lets_a_transaction_finish_and_sends_idle_clients_away() {
    let in_transaction = scripted(|call| {
        let mut status = StatusFlags::AUTOCOMMIT;
        status.set(StatusFlags::IN_TRANS, call.sql() == "BEGIN");
        vec![Action::Answer(Answer::ok().with_status(status))]
    });
    let setup = Setup::new(vec![in_transaction.await]);
    let mut idle = setup.client().await;
    let mut busy = setup.client().await;
    busy.query_one("BEGIN").await.expect_ok();
    let draining = tokio::spawn(setup.running.close().await.drain());
    assert_eq!(last_words(&mut idle).await, 1053);
    busy.query_one("COMMIT").await.expect_ok();
    assert_eq!(last_words(&mut busy).await, 1053);
    assert!(draining.await.expect("drained"), "the transaction ended in time");
}

#[tokio::test]
async fn sessions_go_on_while_another_process_accepts_the_clients() {
    let setup = Setup::new(vec![scripted(|_| vec![Action::Answer(Answer::ok())]).await]);
    let mut client = setup.client().await;
    let address = setup.running.address();
    let successors = setup.running.handles().tcp.as_fd().try_clone_to_owned().expect("a second hold on it");
    let mut closed = setup.running.close().await;
    assert_eq!(closed.clients(), 1);
    client.query_one("DO 1").await.expect_ok();
    // It is in the queue of those whom the other process accepts.
    tokio::net::TcpStream::connect(address).await.expect("not refused");
    drop(successors);
    tokio::net::TcpStream::connect(address).await.expect_err("nobody listens");
    drop(client);
    closed.empty().await;
    assert!(closed.drain().await);
}

/// The code of the error that is all that still comes before the connection is closed.
async fn last_words(client: &mut RawClient) -> u16 {
    let mut bytes = Vec::new();
    loop {
        match client.read_bytes(1024).await {
            more if more.is_empty() => break,
            more => bytes.extend(more),
        }
    }
    wire::ErrPacket::decode(&bytes[wire::HEADER..]).expect("an error").code
}
