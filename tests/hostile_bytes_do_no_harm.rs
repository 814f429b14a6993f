//! No input from the network panics, hangs, or grows memory without bound; and no broken connection is used again.
//!
//! That nothing panics is checked by every test here: a panic is an unexpected line in the proxy's log.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use e2e::mysql_async::prelude::Queryable as _;
use e2e::mysql_async::{Conn, Error};
use e2e::{APP, Cluster, Proxy, SCHEMA, Start, eventually, promptly, unique};
use testkit::{Answer, LoginAs, RawClient};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use wire::command::{COM_INIT_DB, COM_QUERY, COM_QUIT, COM_STMT_EXECUTE};

e2e::suite! {
    Together: [
        a_login_that_is_cut_short,
        a_login_that_never_ends,
        a_login_that_is_too_long,
        a_login_out_of_order,
        random_bytes_instead_of_a_login,
        random_bytes_after_the_login,
        random_bodies_of_every_command,
        commands_out_of_order,
        a_command_that_is_too_long,
        commands_that_are_not_supported,
        commands_in_a_burst_are_answered_in_order,
        one_client_too_many,
        one_prepared_statement_too_many,
        one_server_connection_too_many,
        a_client_that_is_idle_for_too_long,
        a_client_that_does_not_read_is_waited_for_and_then_closed,
        a_client_that_vanishes_inside_its_result,
        a_client_that_vanishes_during_its_statement,
        statements_that_are_deep_or_long,
        an_open_statement_and_an_open_transaction_outlive_sigterm,
        what_takes_too_long_is_cut_off_after_sigterm,
    ],
    OwnCluster: [
        a_server_killed_inside_a_result,
        a_server_killed_during_a_write,
        a_transaction_whose_server_died_is_not_continued,
    ],
}

// --- Before the login ---

async fn a_login_that_is_cut_short(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let whole = login_packet();
    for length in (0..whole.len()).step_by(3) {
        let mut stream = greeted(&proxy).await;
        stream.write_all(&whole[..length]).await.unwrap();
        stream.shutdown().await.unwrap();
        promptly("the end of the connection", drain(&mut stream)).await;
    }
    assert_serves(&proxy).await;
    proxy.finish().await;
}

async fn a_login_that_never_ends(cluster: Arc<Cluster>) {
    let proxy = Start::before(&cluster).config("timeouts.handshake = '400ms'").start().await;
    let whole = login_packet();
    for length in [0, 1, whole.len() / 2, whole.len() - 1] {
        let since = Instant::now();
        let mut stream = greeted(&proxy).await;
        stream.write_all(&whole[..length]).await.unwrap();
        promptly("the end of the connection", drain(&mut stream)).await;
        assert!(since.elapsed() >= Duration::from_millis(400), "closed before its time");
    }
    assert_serves(&proxy).await;
    proxy.finish().await;
}

async fn a_login_that_is_too_long(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let before = proxy.resident_bytes();
    let mut streams = Vec::new();
    for _ in 0..50 {
        let mut stream = greeted(&proxy).await;
        // It says 16 MiB, and sends what it can of it.
        stream.write_all(&[0xff, 0xff, 0xff, 1]).await.unwrap();
        let _ = stream.write_all(&vec![b'a'; 100_000]).await;
        streams.push(stream);
    }
    for mut stream in streams {
        let mut answer = Vec::new();
        let _ = promptly("the end of the connection", stream.read_to_end(&mut answer)).await;
        // The error gets lost where the client has sent more than was read.
        assert!(answer.is_empty() || error_code(&answer) == 1153, "{answer:?}");
    }
    let grown = proxy.resident_bytes().saturating_sub(before);
    assert!(grown < 32 << 20, "{grown} bytes more");
    assert_serves(&proxy).await;
    proxy.finish().await;
}

async fn a_login_out_of_order(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    for sequence in [0, 2, 255] {
        let mut packet = login_packet();
        packet[3] = sequence;
        let mut stream = greeted(&proxy).await;
        stream.write_all(&packet).await.unwrap();
        let mut answer = Vec::new();
        promptly("the end of the connection", stream.read_to_end(&mut answer)).await.unwrap();
        assert_eq!(error_code(&answer), 1156);
    }
    assert_serves(&proxy).await;
    proxy.finish().await;
}

async fn random_bytes_instead_of_a_login(cluster: Arc<Cluster>) {
    let proxy = Start::before(&cluster).config("timeouts.handshake = '500ms'").start().await;
    let mut chance = Chance::new();
    for _ in 0..300 {
        let mut stream = greeted(&proxy).await;
        let mut bytes = chance.bytes(300);
        if chance.below(2) == 0 {
            // Framed as it should be, so that the body is looked at.
            let length = u32::try_from(bytes.len()).unwrap().to_le_bytes();
            bytes.splice(0..0, [length[0], length[1], length[2], 1]);
        }
        if chance.below(4) == 0 {
            // The right beginning, and a random rest.
            let login = login_packet();
            let kept = chance.below(login.len());
            let length = bytes.len().min(login.len() - kept);
            bytes = [&login[..kept], &bytes[..length]].concat();
        }
        let _ = stream.write_all(&bytes).await;
        let _ = stream.shutdown().await;
        promptly("the end of the connection", drain(&mut stream)).await;
    }
    assert_serves(&proxy).await;
    proxy.finish().await;
}

// --- After the login ---

async fn random_bytes_after_the_login(cluster: Arc<Cluster>) {
    let mut proxy = Start::before(&cluster).config("limits.max_packet = '1MiB'").start().await;
    expect_random_failures(&mut proxy);
    let mut chance = Chance::new();
    let before = proxy.resident_bytes();
    for _ in 0..100 {
        let mut client = raw(&proxy).await;
        let mut bytes = chance.bytes(2000);
        if chance.below(2) == 0 {
            bytes.extend(b"\x09\0\0\0\x03SELECT 1");
        }
        // No answer is waited for: the bytes may be the beginning of a long packet.
        client.send_bytes(&bytes).await;
        drop(client);
    }
    let grown = proxy.resident_bytes().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes more");
    assert_serves(&proxy).await;
    proxy.finish().await;
}

async fn random_bodies_of_every_command(cluster: Arc<Cluster>) {
    let mut proxy = Proxy::start(&cluster).await;
    expect_random_failures(&mut proxy);
    let mut chance = Chance::new();
    for command in 0..=u8::MAX {
        for _ in 0..4 {
            let mut client = raw(&proxy).await;
            client.query_one("SET @before = 1").await.expect_ok();
            let _ = client.prepare("SELECT ?, ?").await.unwrap();
            let mut body = vec![command];
            body.extend(chance.bytes(40));
            if command == COM_STMT_EXECUTE && chance.below(2) == 0 {
                // The statement that there is.
                body.splice(1.., [1, 0, 0, 0, 0, 1, 0, 0, 0].into_iter().chain(chance.bytes(30)));
            }
            client.send_command(&body).await;
            // Whatever comes of it: it is answered, or the connection ends.
            client.send_command(&[COM_QUIT]).await;
            let sent = format!("an end after {body:02x?}");
            promptly(&sent, async { while !client.read_bytes(usize::MAX).await.is_empty() {} }).await;
        }
    }
    assert_serves(&proxy).await;
    proxy.finish().await;
}

async fn commands_out_of_order(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    for sequence in [1, 7, 255] {
        let mut client = raw(&proxy).await;
        let mut packet = packet(&[&[COM_QUERY][..], b"SELECT 1"].concat());
        packet[3] = sequence;
        client.send_bytes(&packet).await;
        client.expect_response();
        assert_eq!(error_code(&framed(client.receive().await.unwrap())), 1156);
        client.expect_closed().await;
    }
    assert_serves(&proxy).await;
    proxy.finish().await;
}

async fn a_command_that_is_too_long(cluster: Arc<Cluster>) {
    let proxy = Start::before(&cluster).config("limits.max_packet = '1MiB'").start().await;
    let limit = 1 << 20;
    let fits = format!("SELECT LENGTH('{}')", "x".repeat(limit - 20));
    let mut client = raw(&proxy).await;
    assert_eq!(client.query_one(&fits).await.expect_rows().single(), (limit - 20).to_string());
    // Just the header of a longer one is enough.
    let length = u32::try_from(limit + 1).unwrap().to_le_bytes();
    client.send_bytes(&[length[0], length[1], length[2], 0, COM_QUERY]).await;
    client.expect_response();
    let answer = framed(client.receive().await.unwrap());
    assert_eq!(error_code(&answer), 1153);
    assert!(String::from_utf8_lossy(&answer).contains("limits.max_packet, which is 1048576 bytes"));
    client.expect_closed().await;
    assert_serves(&proxy).await;
    proxy.finish().await;
}

async fn commands_that_are_not_supported(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let mut client = raw(&proxy).await;
    for command in [0x00, 0x05, 0x07, 0x0b, 0x0d, 0x1d, 0x77, 0xff] {
        let error = client.command(&[command, 1, 2, 3]).await.expect_err();
        assert_eq!((error.code, &error.sqlstate), (1047, b"08S01"), "0x{command:02x}");
        assert_eq!(String::from_utf8(error.message).unwrap(), format!("pointsman: command 0x{command:02x} is not supported"));
    }
    // It is still the same session.
    assert_eq!(client.query_one("SELECT DATABASE()").await.expect_rows().single(), SCHEMA);
    client.command(&[COM_INIT_DB]).await.expect_err();
    assert_eq!(client.query_one("SELECT DATABASE()").await.expect_rows().single(), SCHEMA);
    proxy.finish().await;
}

async fn commands_in_a_burst_are_answered_in_order(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let table = unique("t");
    cluster.prepare(format!("CREATE TABLE guestbook.{table} (a INT)")).await;
    let mut client = raw(&proxy).await;
    let mut burst = Vec::new();
    for turn in 0..200 {
        let sql = if turn % 10 == 9 { format!("INSERT INTO {table} VALUES ({turn})") } else { format!("SELECT {turn}") };
        burst.extend(packet(&[&[COM_QUERY], sql.as_bytes()].concat()));
    }
    client.send_bytes(&burst).await;
    for turn in 0..200 {
        client.expect_response();
        match client.answers(false).await.unwrap().remove(0) {
            Answer::Ok { affected_rows, .. } => assert_eq!((turn % 10, affected_rows), (9, 1)),
            answer => assert_eq!(answer.expect_rows().single(), turn.to_string()),
        }
    }
    assert_eq!(cluster.primary().rows::<u32>(format!("SELECT COUNT(*) FROM guestbook.{table}"), ()).await, [20]);
    proxy.finish().await;
}

// --- Limits ---

async fn one_client_too_many(cluster: Arc<Cluster>) {
    let mut proxy = Start::before(&cluster).config("limits.client_connections = 3").start().await;
    proxy.expect_in_log("refused a connection");
    // The one that waited for the proxy may not have left yet.
    let mut clients = Vec::new();
    while clients.len() < 3 {
        if let Ok(client) = RawClient::login(proxy.address, &app()).await {
            clients.push(client);
        }
    }
    let error = RawClient::login(proxy.address, &app()).await.unwrap_err();
    assert_eq!((error.code, &error.sqlstate), (1040, b"08004"));
    assert_eq!(error.message, b"pointsman: too many connections; limits.client_connections is 3");
    clients.pop();
    eventually("a free place", async || RawClient::login(proxy.address, &app()).await.ok()).await;
    for client in &mut clients {
        assert_eq!(client.query_one("SELECT 1").await.expect_rows().single(), "1");
    }
    proxy.finish().await;
}

async fn one_prepared_statement_too_many(cluster: Arc<Cluster>) {
    let proxy = Start::before(&cluster).config("limits.prepared_statements = 5").start().await;
    let mut client = raw(&proxy).await;
    for _ in 0..5 {
        client.prepare("SELECT 1").await.unwrap();
    }
    assert_eq!(client.prepare("SELECT 1").await.unwrap_err().code, 1461);
    assert_eq!(client.query_one("SELECT 1").await.expect_rows().single(), "1");
    proxy.finish().await;
}

async fn one_server_connection_too_many(cluster: Arc<Cluster>) {
    let mut proxy = Start::before(&cluster).config("limits.server_connections = 1\ntimeouts.lease = '300ms'").start().await;
    proxy.expect_in_log("no connection for a statement");
    let mut one = raw(&proxy).await;
    // The connection that the proxy was waited for with may still be on its way back.
    eventually("the connection to the primary", async || match one.query_one("BEGIN").await {
        Answer::Ok { .. } => Some(()),
        _ => None,
    })
    .await;
    let mut two = raw(&proxy).await;
    let error = two.query_one("SET @a = 1").await.expect_err();
    assert_eq!((error.code, &error.sqlstate), (1040, b"08004"));
    assert!(String::from_utf8_lossy(&error.message).starts_with("pointsman: all 1 connections to "), "{error:?}");
    drop(one);
    eventually("the connection to the primary", async || match two.query_one("SET @a = 1").await {
        Answer::Ok { .. } => Some(()),
        _ => None,
    })
    .await;
    proxy.finish().await;
}

async fn a_client_that_is_idle_for_too_long(cluster: Arc<Cluster>) {
    let proxy = Start::before(&cluster).config("timeouts.client_idle = '300ms'").start().await;
    let mut client = raw(&proxy).await;
    client.query_one("SELECT 1").await.expect_rows();
    expect_farewell(&mut client, 4031).await;
    proxy.finish().await;
}

/// An unrequested error, and the end of the connection.
async fn expect_farewell(client: &mut RawClient, code: u16) {
    let mut bytes = Vec::new();
    loop {
        let more = client.read_bytes(usize::MAX).await;
        if more.is_empty() {
            break;
        }
        bytes.extend(more);
    }
    assert_eq!(error_code(&bytes), code);
}

// --- Clients that go wrong ---

/// 256 rows of a megabyte each.
fn huge_read(mark: &str) -> String {
    let four = "(SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4)";
    format!("SELECT REPEAT('{mark:_<64}', 16384) FROM {four} a, {four} b, {four} c, {four} d")
}

const HUGE: usize = 256 << 20;

async fn a_client_that_does_not_read_is_waited_for_and_then_closed(cluster: Arc<Cluster>) {
    let proxy = Start::before(&cluster).config("timeouts.client_write = '5s'").start().await;
    assert_serves(&proxy).await;
    let before = proxy.resident_bytes();
    let mut lazy = Vec::new();
    for _ in 0..4 {
        let mut client = raw(&proxy).await;
        client.send_command(&[&[COM_QUERY], huge_read("lazy").as_bytes()].concat()).await;
        lazy.push(client);
    }
    let closed = || proxy.log().iter().filter(|line| line.text.contains("timeouts.client_write")).count();
    let (mut others, mut most) = (0, 0);
    while closed() == 0 {
        assert_serves(&proxy).await;
        others += 1;
        most = most.max(proxy.resident_bytes().saturating_sub(before));
    }
    // The first one who had to wait would be served only now, and be the last.
    assert!(others > 1, "the other clients had to wait");
    assert!(most < 32 << 20, "{most} bytes more, with results of {HUGE} bytes");
    eventually("the end of their sessions", async || (closed() == lazy.len()).then_some(())).await;
    for client in &mut lazy {
        // What is left in the buffers of the system, and then the end before the result's end.
        let mut read = 0;
        while let Ok(payload) = promptly("bytes or an end", client.receive()).await {
            read += payload.len();
        }
        assert!(read < HUGE, "the whole result arrived");
    }
    assert_serves(&proxy).await;
    proxy.finish().await;
}

async fn a_client_that_vanishes_inside_its_result(cluster: Arc<Cluster>) {
    // One connection to each server: the next session gets what the last one left.
    let proxy = Start::before(&cluster).config("limits.server_connections = 1\nlisten.threads = 1").start().await;
    for turn in 0..4 {
        let mut client = raw(&proxy).await;
        client.send_command(&[&[COM_QUERY], huge_read("gone").as_bytes()].concat()).await;
        client.receive().await.unwrap();
        drop(client);
        let mut next = raw(&proxy).await;
        for value in 0..4 {
            let mark = format!("{turn}-{value}");
            assert_eq!(next.query_one(&format!("SELECT '{mark}'")).await.expect_rows().single(), mark);
        }
    }
    proxy.finish().await;
}

async fn a_client_that_vanishes_during_its_statement(cluster: Arc<Cluster>) {
    let proxy = Start::before(&cluster).config("limits.server_connections = 1\nlisten.threads = 1").start().await;
    let table = unique("t");
    cluster.prepare(format!("CREATE TABLE guestbook.{table} (a INT)")).await;
    for sql in [
        "SELECT SLEEP(1000)".to_owned(),
        format!("INSERT INTO {table} SELECT SLEEP(1000)"),
        "SELECT GET_LOCK('gone', 1) + SLEEP(1000)".to_owned(),
    ] {
        let mut client = raw(&proxy).await;
        client.query_one("SET @a = 'of the one who left'").await.expect_ok();
        client.send_command(&[&[COM_QUERY], sql.as_bytes()].concat()).await;
        eventually("the statement to run", async || (!cluster.who_ran("SLEEP(1000)").await.is_empty()).then_some(())).await;
        drop(client);
        // A session that waits in vain for `timeouts.lease` gets an error.
        let mut next = raw(&proxy).await;
        assert_eq!(next.query_one("SELECT COALESCE(@a, 'nothing')").await.expect_rows().single(), "nothing");
        for value in 0..3 {
            assert_eq!(next.query_one(&format!("SELECT {value}")).await.expect_rows().single(), value.to_string());
        }
    }
    // The servers may still sleep.
    for server in &cluster.servers {
        let ids = server
            .rows::<u64>(
                format!("SELECT id FROM information_schema.processlist WHERE user = '{APP}' AND info LIKE '%SLEEP(1000)%'"),
                (),
            )
            .await;
        for id in ids {
            server.run(format!("KILL {id}")).await;
        }
    }
    proxy.finish().await;
}

async fn statements_that_are_deep_or_long(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let before = proxy.resident_bytes();
    for sql in [
        format!("SELECT {}1{}", "(".repeat(20_000), ")".repeat(20_000)),
        format!("SELECT 1{}", "+1".repeat(50_000)),
        format!("SELECT 1 FROM t{}", " JOIN t".repeat(5_000)),
        format!("SELECT 1{}", " UNION SELECT 1".repeat(20_000)),
        format!("SELECT {}1", "NOT ".repeat(50_000)),
        format!("SELECT {}1", "-".repeat(30_001)),
        format!("SELECT 1 IN ({})", vec!["1"; 200_000].join(",")),
        format!("SELECT '{}", "x".repeat(200_000)),
        format!("SELECT 1 /*{}", "*".repeat(200_000)),
        format!("{}SELECT 1", "/*!".repeat(10_000)),
        "SELECT 1;".repeat(2_000),
        format!("WITH a AS (SELECT 1){} SELECT 1", ", a AS (SELECT 1)".repeat(3_000)),
        format!("SELECT {}1{}", "CASE WHEN 1 THEN ".repeat(3_000), " END".repeat(3_000)),
        "\0".repeat(10_000),
        String::new(),
    ] {
        // The server may take it or not; it may also end the connection.
        let mut client = raw(&proxy).await;
        client.send_command(&[&[COM_QUERY], sql.as_bytes()].concat()).await;
        let start: String = sql.chars().take(40).collect();
        let _ = promptly(&start, client.answers(false)).await;
    }
    let grown = proxy.resident_bytes().saturating_sub(before);
    assert!(grown < 128 << 20, "{grown} bytes more");
    assert_serves(&proxy).await;
    let mut proxy = proxy;
    proxy.expect_in_log("lost a server during a statement");
    proxy.finish().await;
}

// --- Servers that die ---

async fn a_server_killed_inside_a_result(cluster: Arc<Cluster>) {
    let mut proxy = Proxy::start(&cluster).await;
    proxy.expect_in_log("server is down");
    proxy.expect_loss_of_connections();
    let mark = unique("half");
    let mut client = raw(&proxy).await;
    client.send_command(&[&[COM_QUERY], huge_read(&mark).as_bytes()].concat()).await;
    client.receive().await.unwrap();
    let who = eventually("the read in a log", async || cluster.who_ran(&mark).await.first().copied()).await;
    let replica = cluster.replicas().iter().find(|replica| replica.name == who).expect("a replica answers a read");
    replica.kill().await;
    // A closed connection, and never the beginning of another answer.
    let mut read = 0;
    while let Ok(payload) = promptly("rows or an end", client.receive()).await {
        read += payload.len();
        assert!(read < HUGE, "a whole result of a dead server");
        assert_ne!(payload.first(), Some(&0xff), "an error where a row was expected");
    }
    let mut next = raw(&proxy).await;
    for value in 0..6 {
        assert_eq!(next.query_one(&format!("SELECT {value}")).await.expect_rows().single(), value.to_string());
    }
    let others = cluster.servers.iter().filter(|server| server.name != who);
    for other in others {
        assert!(other.ran(&mark).await.is_empty(), "half a result was followed by a second try on {}", other.name);
    }
    proxy.finish().await;
}

async fn a_server_killed_during_a_write(cluster: Arc<Cluster>) {
    let mut proxy = Proxy::start(&cluster).await;
    proxy.expect_loss_of_the_primary();
    let table = unique("t");
    cluster.prepare(format!("CREATE TABLE guestbook.{table} (a INT)")).await;
    let mut client = raw(&proxy).await;
    let insert = format!("INSERT INTO {table} SELECT SLEEP(1000)");
    client.send_command(&[&[COM_QUERY], insert.as_bytes()].concat()).await;
    eventually("the write to run", async || (!cluster.who_ran(&insert).await.is_empty()).then_some(())).await;
    cluster.primary().kill().await;
    let error = client.answers(false).await.unwrap().remove(0).expect_err();
    assert_eq!((error.code, &error.sqlstate), (1158, b"08007"), "{error:?}");
    assert!(String::from_utf8_lossy(&error.message).contains("may or may not have taken effect"));
    // The session lives on.
    client.query_one("SELECT 1").await.expect_rows();

    cluster.primary().start().await;
    let mut next = proxy.client().await;
    eventually("writes", async || next.query_drop(format!("INSERT INTO {table} VALUES (1)")).await.ok()).await;
    assert_eq!(cluster.who_ran(&insert).await, ["db1"], "the write was tried again");
    next.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn a_transaction_whose_server_died_is_not_continued(cluster: Arc<Cluster>) {
    let mut proxy = Proxy::start(&cluster).await;
    proxy.expect_loss_of_the_primary();
    let table = unique("t");
    cluster.prepare(format!("CREATE TABLE guestbook.{table} (a INT)")).await;
    let (mut one, mut two) = (proxy.client().await, proxy.client().await);
    for client in [&mut one, &mut two] {
        client.query_drop("BEGIN").await.unwrap();
        client.query_drop(format!("INSERT INTO {table} VALUES (1)")).await.unwrap();
    }
    cluster.primary().kill().await;
    // Neither a read on a replica, nor a COMMIT after the return, may look like the rest of the transaction.
    let error = one.query_drop(format!("SELECT * FROM {table}")).await.unwrap_err();
    assert_lost(&error);
    cluster.primary().start().await;
    let mut probe = proxy.client().await;
    eventually("writes", async || probe.query_drop(format!("INSERT INTO {table} VALUES (2)")).await.ok()).await;
    assert_lost(&two.query_drop("COMMIT").await.unwrap_err());
    let seen = cluster.primary().rows::<u32>(format!("SELECT DISTINCT a FROM guestbook.{table}"), ()).await;
    assert_eq!(seen, [2]);
    probe.disconnect().await.unwrap();
    proxy.finish().await;
}

#[track_caller]
fn assert_lost(error: &Error) {
    match error {
        Error::Server(error) => assert_eq!((error.code, error.state.as_str()), (1213, "40001"), "{error}"),
        Error::Io(_) => {}
        other => panic!("{other}"),
    }
}

// --- The end of the process ---

async fn an_open_statement_and_an_open_transaction_outlive_sigterm(cluster: Arc<Cluster>) {
    let mut proxy = Proxy::start(&cluster).await;
    let table = unique("t");
    cluster.prepare(format!("CREATE TABLE guestbook.{table} (a INT)")).await;
    let mut idle = raw(&proxy).await;
    let (mut busy, mut transaction) = (proxy.client().await, proxy.client().await);
    let mark = unique("busy");
    transaction.query_drop("BEGIN").await.unwrap();
    transaction.query_drop(format!("INSERT INTO {table} VALUES (1)")).await.unwrap();
    let sql = format!("SELECT '{mark}', SLEEP(2)");
    let statement = tokio::spawn(async move { busy.query_first::<(String, u32), _>(sql).await });
    eventually("the statement to run", async || (!cluster.who_ran(&mark).await.is_empty()).then_some(())).await;

    proxy.terminate();
    proxy.await_line("draining: no new clients, open statements and transactions may finish").await;
    expect_farewell(&mut idle, 1053).await;
    eventually("the end of listening", async || TcpStream::connect(proxy.address).await.is_err().then_some(())).await;
    assert_eq!(promptly("the statement", statement).await.unwrap().unwrap(), Some((mark, 0)));
    transaction.query_drop(format!("INSERT INTO {table} VALUES (2)")).await.unwrap();
    transaction.query_drop("COMMIT").await.unwrap();
    assert_eq!(cluster.primary().rows::<u32>(format!("SELECT COUNT(*) FROM guestbook.{table}"), ()).await, [2]);
    assert_eq!(proxy.ended().await.code(), Some(0));
    proxy.check_ended();
}

async fn what_takes_too_long_is_cut_off_after_sigterm(cluster: Arc<Cluster>) {
    let mut proxy = Start::before(&cluster).config("timeouts.drain = '500ms'").start().await;
    let mut client = proxy.client().await;
    let mark = unique("long");
    let sql = format!("SELECT '{mark}', SLEEP(600)");
    let statement = tokio::spawn(async move { client.query_drop(sql).await });
    eventually("the statement to run", async || (!cluster.who_ran(&mark).await.is_empty()).then_some(())).await;
    proxy.terminate();
    let since = Instant::now();
    assert_eq!(proxy.ended().await.code(), Some(0));
    // Without this setting it would be 30 s.
    assert!(since.elapsed() < Duration::from_secs(15), "it took {:?}", since.elapsed());
    promptly("the client's error", statement).await.unwrap().unwrap_err();
    proxy.check_ended();
}

// --- Helpers ---

fn app() -> LoginAs {
    LoginAs { schema: Some(SCHEMA.to_owned()), ..LoginAs::new(APP, APP) }
}

async fn raw(proxy: &Proxy) -> RawClient {
    RawClient::login(proxy.address, &app()).await.expect("the application can log in")
}

/// The proxy is as good as before.
async fn assert_serves(proxy: &Proxy) {
    let mut client = promptly("a login", Conn::new(proxy.options())).await.expect("the application can log in");
    for value in 0..3_u32 {
        let seen: Option<u32> = promptly("an answer", client.query_first(format!("SELECT {value}"))).await.unwrap();
        assert_eq!(seen, Some(value));
    }
    client.disconnect().await.unwrap();
}

/// Random bytes may be a statement or a state that a server refuses.
fn expect_random_failures(proxy: &mut Proxy) {
    proxy.expect_in_log("a server refused the session's state");
}

/// A connection whose greeting was read.
async fn greeted(proxy: &Proxy) -> TcpStream {
    let mut stream = promptly("a connection", TcpStream::connect(proxy.address)).await.unwrap();
    let mut header = [0; 4];
    promptly("a greeting", stream.read_exact(&mut header)).await.unwrap();
    let mut payload = vec![0; u32::from_le_bytes([header[0], header[1], header[2], 0]) as usize];
    promptly("a greeting", stream.read_exact(&mut payload)).await.unwrap();
    stream
}

/// Reads until the end; a reset is an end.
async fn drain(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
}

/// A whole login, with a proof that is wrong.
fn login_packet() -> Vec<u8> {
    let mut payload = Vec::new();
    payload.extend(testkit::raw::USUAL.bits().to_le_bytes()[..4].iter());
    payload.extend((1_u32 << 24).to_le_bytes());
    payload.push(45);
    payload.extend([0; 23]);
    payload.extend(b"app\0");
    payload.push(32);
    payload.extend([7; 32]);
    payload.extend(b"caching_sha2_password\0");
    let mut packet = packet(&payload);
    packet[3] = 1;
    packet
}

fn packet(payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_le_bytes();
    [&[length[0], length[1], length[2], 0][..], payload].concat()
}

fn framed(payload: Vec<u8>) -> Vec<u8> {
    [vec![0; 4], payload].concat()
}

/// The code of an error packet, given with its header.
#[track_caller]
fn error_code(packet: &[u8]) -> u16 {
    assert_eq!(packet.get(4), Some(&0xff), "not an error: {packet:?}");
    u16::from_le_bytes([packet[5], packet[6]])
}

/// Pseudo-random numbers (xorshift64*), whose seed a failing test prints.
struct Chance {
    seed: u64,
    state: u64,
}

impl Chance {
    fn new() -> Self {
        use std::hash::{BuildHasher as _, RandomState};
        let given = std::env::var("POINTSMAN_E2E_SEED").ok().and_then(|text| text.parse().ok());
        let seed: u64 = given.unwrap_or_else(|| RandomState::new().hash_one(0_u8) | 1);
        Self { seed, state: seed }
    }

    fn next(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound).unwrap()).unwrap()
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        let length = self.below(most + 1);
        (0..length).map(|_| self.next().to_le_bytes()[7]).collect()
    }
}

impl Drop for Chance {
    #[allow(clippy::print_stderr, reason = "a failing test says how to repeat it")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("to repeat it: POINTSMAN_E2E_SEED={}", self.seed);
        }
    }
}
