//! Sessions that use the same server connections in turn.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs, unreachable_pub, reason = "tests")]

mod common;

use std::time::Duration;

use common::{Settings, Setup, scripted, server, usual};
use testkit::fake::{Call, Received};
use testkit::{Action, Answer, RawClient};

const SELECT: &str = "SELECT a FROM t";
const OWN_SETTINGS: &str = "SET session_track";

/// One server, and one connection to it for everybody.
async fn narrow() -> Setup {
    let settings = Settings { server_connections: 1, ..Settings::default() };
    Setup::configured(vec![server("only").await], settings)
}

/// The commands that the server got from `from` on, as text.
fn commands(setup: &Setup, from: usize) -> Vec<String> {
    let text = |received: &Received| match received.payload[0] {
        0x11 => "login".to_owned(),
        0x1f => "reset".to_owned(),
        0x02 => format!("use {}", String::from_utf8_lossy(&received.payload[1..])),
        0x16 => format!("prepare {}", received.sql().unwrap_or_default()),
        0x17 => format!("execute {}", u32::from_le_bytes(received.payload[1..5].try_into().unwrap())),
        0x19 => format!("close {}", u32::from_le_bytes(received.payload[1..5].try_into().unwrap())),
        _ => received.sql().unwrap_or("?").to_owned(),
    };
    let seen = setup.servers[0].seen();
    let all = seen.received.iter().skip(from).map(text);
    all.filter(|command| !command.starts_with(OWN_SETTINGS)).collect()
}

fn count(setup: &Setup) -> usize {
    setup.servers[0].seen().received.len()
}

async fn read(client: &mut RawClient) {
    assert_eq!(client.query_one(SELECT).await.expect_rows().single(), "only");
}

#[tokio::test]
async fn sessions_that_have_set_the_same_use_one_connection_as_it_is() {
    let setup = narrow().await;
    let (mut first, mut second) = (setup.client().await, setup.client().await);
    for client in [&mut first, &mut second] {
        client.query_one("SET time_zone = '+01:00'").await.expect_ok();
        read(client).await;
    }
    read(&mut first).await;
    let from = count(&setup);
    for _ in 0..3 {
        read(&mut first).await;
        read(&mut second).await;
    }
    assert_eq!(commands(&setup, from), [SELECT; 6]);
    assert_eq!(setup.servers[0].seen().accepted, 1);
}

#[tokio::test]
async fn what_differs_goes_out_before_the_statement() {
    let setup = narrow().await;
    let (mut first, mut second) = (setup.client().await, setup.client().await);
    first.query_one("SET time_zone = '+01:00'").await.expect_ok();
    second.query_one("SET time_zone = '+02:00'").await.expect_ok();
    second.query_one("SET sql_mode = ''").await.expect_ok();
    second.query_one("USE shop").await.expect_ok();
    read(&mut second).await;
    let from = count(&setup);
    read(&mut first).await;
    // What the other has set and this one has not is undone by a login.
    assert_eq!(commands(&setup, from), ["login", "SET time_zone = '+01:00'", SELECT]);
    let from = count(&setup);
    read(&mut second).await;
    assert_eq!(commands(&setup, from), ["SET time_zone = '+02:00'", "SET sql_mode = ''", "use shop", SELECT]);
}

#[tokio::test]
async fn a_connection_is_never_older_than_the_session_that_uses_it() {
    let setup = Setup::new(vec![server("primary").await, server("only").await]);
    let mut first = setup.client().await;
    read(&mut first).await;
    let logins = || setup.servers[1].seen().received.iter().filter(|received| received.payload[0] == 0x11).count();
    let mut second = setup.client().await;
    read(&mut second).await;
    assert_eq!(logins(), 1, "the account may have been changed since the replica was logged in to");
    read(&mut first).await;
    read(&mut second).await;
    assert_eq!((logins(), setup.servers[1].seen().accepted), (1, 1));
}

#[tokio::test]
async fn a_transaction_keeps_its_connection_and_the_others_wait_in_turn() {
    let setup = Setup::configured(vec![with_transactions().await], Settings { server_connections: 1, ..Settings::default() });
    let (mut first, mut second) = (setup.client().await, setup.client().await);
    first.query_one("BEGIN").await.expect_ok();
    let error = second.query_one(SELECT).await.expect_err();
    assert_eq!(error.code, 1040, "{error}");
    assert!(String::from_utf8_lossy(&error.message).contains("limits.server_connections"), "{error}");
    first.query_one("COMMIT").await.expect_ok();
    read(&mut second).await;
}

#[tokio::test]
async fn an_account_at_its_bound_waits_for_itself() {
    let settings = Settings { own_connections: Some(1), ..Settings::default() };
    let setup = Setup::configured(vec![with_transactions().await], settings);
    let (mut first, mut second) = (setup.client().await, setup.client().await);
    first.query_one("BEGIN").await.expect_ok();
    let error = second.query_one(SELECT).await.expect_err();
    let message = String::from_utf8_lossy(&error.message).into_owned();
    assert_eq!((error.code, error.sqlstate), (1040, *b"08004"), "{error}");
    assert!(message.starts_with("pointsman: all 1 connections of user app to "), "{message}");
    assert!(message.contains("(server_connections of its [[users]] entry, timeouts.lease)"), "{message}");
    first.query_one("COMMIT").await.expect_ok();
    read(&mut second).await;
    assert_eq!(setup.servers[0].seen().accepted, 1);
}

#[tokio::test]
async fn who_may_not_wait_is_told_so_at_once() {
    let settings = Settings { server_connections: 1, waiting: 0, ..Settings::default() };
    let setup = Setup::configured(vec![with_transactions().await], settings);
    let (mut first, mut second) = (setup.client().await, setup.client().await);
    first.query_one("BEGIN").await.expect_ok();
    let error = second.query_one(SELECT).await.expect_err();
    assert_eq!((error.code, error.sqlstate), (1040, *b"08004"), "{error}");
    assert!(String::from_utf8_lossy(&error.message).contains("(limits.waiting)"), "{error}");
    first.query_one("COMMIT").await.expect_ok();
    read(&mut second).await;
}

#[tokio::test]
async fn connections_are_ready_before_a_statement_needs_them() {
    let servers = vec![server("primary").await, server("only").await, server("down").await];
    let settings = Settings { warm_connections: 2, idle_timeout: Duration::ZERO, ..Settings::default() };
    let setup = Setup::configured(servers, settings);
    setup.publish(|snapshot| snapshot.servers[2].health = topology::Health::Down { why: "test".into() });
    let mut client = setup.client().await;
    for server in &setup.servers[..2] {
        server.wait_until("connections that are ready", |seen| seen.open == 2).await;
    }
    let seen = setup.servers[1].seen();
    assert!(seen.logins.iter().all(|(user, _)| user == "app") && seen.received.is_empty());
    for _ in 0..10 {
        read(&mut client).await;
    }
    // They are used as they are, kept when they are idle, and there are no others.
    let seen = setup.servers[1].seen();
    assert_eq!((seen.accepted, seen.open), (2, 2));
    assert!(seen.received.iter().all(|received| received.payload[0] != 0x11));
    assert_eq!(setup.servers[2].seen().accepted, 0);
    // As soon as it is there again, it gets some, and the others have kept theirs.
    setup.publish(|snapshot| snapshot.servers[2].health = topology::Health::Up);
    setup.servers[2].wait_until("connections that are ready", |seen| seen.open == 2).await;
    let kept: Vec<_> = setup.servers.iter().map(|server| server.seen().open).collect();
    assert_eq!(kept, [2, 2, 2]);
}

#[tokio::test]
async fn a_connection_that_is_lost_is_replaced_before_a_statement_needs_it() {
    let dying = |call: Call<'_>| if call.sql() == "SELECT death" { vec![Action::Close] } else { usual("only", call) };
    let settings = Settings { warm_connections: 1, ..Settings::default() };
    let setup = Setup::configured(vec![server("primary").await, scripted(dying).await], settings);
    let mut client = setup.client().await;
    setup.servers[1].wait_until("a connection that is ready", |seen| seen.accepted == 1).await;
    // The primary answers in its place.
    client.query_one("SELECT death").await;
    setup.servers[1].wait_until("another one", |seen| seen.accepted == 2 && seen.open == 1).await;
}

async fn with_transactions() -> testkit::FakeServer {
    let open = std::sync::atomic::AtomicBool::new(false);
    scripted(move |call| {
        use std::sync::atomic::Ordering::SeqCst;
        match call.sql() {
            "BEGIN" => open.store(true, SeqCst),
            "COMMIT" => open.store(false, SeqCst),
            _ => {}
        }
        let mut status = wire::StatusFlags::AUTOCOMMIT;
        status.set(wire::StatusFlags::IN_TRANS, open.load(SeqCst));
        let with_status = |action| match action {
            Action::Answer(answer) => Action::Answer(answer.with_status(status)),
            other => other,
        };
        usual("only", call).into_iter().map(with_status).collect()
    })
    .await
}

/// An insert makes 7; a later question for it gets 7.
async fn with_insert_ids() -> testkit::FakeServer {
    scripted(|call: Call<'_>| {
        if call.sql().starts_with("INSERT") {
            let Answer::Ok { status, .. } = Answer::ok() else { unreachable!() };
            return vec![Action::Bytes(ok_with_insert_id(status, call.capabilities))];
        }
        if call.sql() == "SELECT LAST_INSERT_ID()" {
            return vec![Action::Answer(Answer::rows(&["LAST_INSERT_ID()"], &[&["7"]]))];
        }
        usual("only", call)
    })
    .await
}

fn ok_with_insert_id(status: wire::StatusFlags, capabilities: wire::Capabilities) -> Vec<u8> {
    let mut packet = bytes::BytesMut::new();
    let ok = wire::OkPacket { affected_rows: 1, last_insert_id: 7, status, ..wire::OkPacket::default() };
    wire::put_packet_with(&mut packet, 1, |payload| ok.encode(0, capabilities, payload));
    packet.to_vec()
}

#[tokio::test]
async fn an_insert_id_is_noted_for_its_session_and_taken_from_the_next() {
    let settings = Settings { server_connections: 1, ..Settings::default() };
    let setup = Setup::configured(vec![with_insert_ids().await], settings);
    let (mut first, mut second) = (setup.client().await, setup.client().await);
    read(&mut second).await;
    first.query_one("INSERT INTO t VALUES (1)").await.expect_ok();
    let from = count(&setup);
    read(&mut second).await;
    assert_eq!(commands(&setup, from), ["SELECT LAST_INSERT_ID()", "SET last_insert_id = 0", SELECT]);
    let from = count(&setup);
    assert_eq!(first.query_one("SELECT LAST_INSERT_ID()").await.expect_rows().single(), "7");
    assert_eq!(commands(&setup, from), ["SET last_insert_id = 7", "SELECT LAST_INSERT_ID()"]);
}

#[tokio::test]
async fn what_was_counted_is_known_though_others_have_used_the_connection() {
    let setup = narrow().await;
    let (mut first, mut second) = (setup.client().await, setup.client().await);
    read(&mut first).await;
    read(&mut second).await;
    second.query_one("DELETE FROM t").await.expect_ok();
    let from = count(&setup);
    let mut ask = async |sql: &str| first.query_one(sql).await.expect_rows().single();
    assert_eq!(ask("SELECT FOUND_ROWS()").await, "1");
    assert_eq!(ask("SELECT ROW_COUNT()").await, "-1");
    assert_eq!(second.query_one("SELECT ROW_COUNT()").await.expect_rows().single(), "0");
    assert!(commands(&setup, from).is_empty());
    // Inside a longer statement it is no longer known.
    let error = second.query_one("SELECT ROW_COUNT() + 1").await;
    assert!(matches!(error, Answer::Err(_)), "{error:?}");
}

#[tokio::test]
async fn a_session_does_not_see_the_warnings_of_another() {
    let setup = narrow().await;
    let (mut first, mut second) = (setup.client().await, setup.client().await);
    read(&mut second).await;
    read(&mut first).await;
    let from = count(&setup);
    second.query_one("SHOW WARNINGS").await;
    assert_eq!(commands(&setup, from), ["DO (SELECT 1 FROM (SELECT 1) AS one)", "SHOW WARNINGS"]);
}

#[tokio::test]
async fn a_statement_is_prepared_once_for_all_sessions() {
    let setup = Setup::configured(
        vec![
            scripted(|call: Call<'_>| match call.payload[0] {
                0x16 => {
                    let statement_id = 40 + u32::try_from(call.number).unwrap();
                    let prepared = wire::PrepareOk { statement_id, columns: 0, params: 0, warnings: 0 };
                    vec![Action::Bytes(testkit::answer::prepared(prepared, call.capabilities))]
                }
                0x19 => vec![],
                _ => vec![Action::Answer(Answer::ok())],
            })
            .await,
        ],
        Settings { server_connections: 1, ..Settings::default() },
    );
    let (mut first, mut second) = (setup.client().await, setup.client().await);
    second.query_one("DO 1").await.expect_ok();
    let one = first.prepare("DELETE FROM t").await.unwrap().ok.statement_id;
    let other = second.prepare("DELETE FROM t").await.unwrap().ok.statement_id;
    let from = count(&setup);
    for _ in 0..2 {
        first.execute(one, &[]).await;
        second.execute(other, &[]).await;
    }
    let said = commands(&setup, from);
    let executed: Vec<_> = said.iter().filter(|command| command.starts_with("execute")).collect();
    assert!(executed.len() == 4 && executed.iter().all(|command| *command == executed[0]), "{said:?}");
    assert!(!said.iter().any(|command| command.starts_with("prepare")), "{said:?}");
    assert_eq!(said.iter().filter(|command| command.starts_with("close")).count(), 1, "the one that was replaced: {said:?}");
}

#[tokio::test]
async fn a_temporary_table_keeps_the_connection_until_it_is_dropped() {
    let setup = narrow().await;
    let (mut first, mut second) = (setup.client().await, setup.client().await);
    first.query_one("CREATE TEMPORARY TABLE mine (a INT)").await.expect_ok();
    assert_eq!(second.query_one(SELECT).await.expect_err().code, 1040);
    first.query_one("DROP TEMPORARY TABLE mine").await.expect_ok();
    read(&mut second).await;
}

/// The next statement of its kind needs the connection's memory of the first, and not even a login ends that.
#[tokio::test]
async fn a_connection_with_the_format_of_a_binary_log_serves_one_session_only() {
    let setup = narrow().await;
    let (mut first, mut second) = (setup.client().await, setup.client().await);
    first.query_one("BINLOG 'format'").await.expect_ok();
    assert_eq!(second.query_one(SELECT).await.expect_err().code, 1040);
    first.query_one("BINLOG 'rows'").await.expect_ok();
    let accepted = setup.servers[0].seen().accepted;
    drop(first);
    setup.servers[0].wait_until("the end of the connection", |seen| seen.open == 0).await;
    read(&mut second).await;
    assert_eq!(setup.servers[0].seen().accepted, accepted + 1);
}

#[tokio::test]
async fn a_known_user_variable_follows_its_session_and_no_other() {
    let setup = narrow().await;
    let (mut first, mut second) = (setup.client().await, setup.client().await);
    first.query_one("SET @a = 1").await.expect_ok();
    let from = count(&setup);
    read(&mut second).await;
    assert_eq!(commands(&setup, from), ["login", SELECT]);
    let from = count(&setup);
    first.query_one("SELECT @a").await;
    let said = commands(&setup, from);
    assert!(said.iter().any(|command| command.starts_with("SET @a")), "{said:?}");
}
