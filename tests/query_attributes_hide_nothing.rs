//! The statement after query attributes that is looked at is the one that the server runs, and no other.
//!
//! Types and lengths of attributes say where the statement begins. They are sent in all forms, right and wrong, to a real server, which says in
//! its complaint about the statement what it took for one. MariaDB has no query attributes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

use std::net::SocketAddr;
use std::sync::Arc;

use e2e::{APP, Cluster, Engine, Proxy};
use testkit::{Answer, LoginAs, RawClient};
use wire::command::{COM_QUERY, COM_STMT_EXECUTE};
use wire::{Capabilities, Command, Execute, execute_parameters};

e2e::suite! {
    Together: [
        a_server_runs_the_statement_that_is_seen,
        through_the_proxy_it_is_the_same_or_refused,
        a_value_after_a_parameter_is_the_one_that_the_server_reads,
    ],
}

/// Second bytes of a type: without and with the flag for unsigned, and with bits that no type has.
const SECOND_BYTES: [u8; 4] = [0x00, 0x80, 0x01, 0x7f];

/// Beginnings of a value: the lengths of everything that has one, some that nothing has, and longer forms.
const BEGINNINGS: &[&[u8]] = &[
    &[0],
    &[1],
    &[4],
    &[7],
    &[8],
    &[11],
    &[12],
    &[13],
    &[250],
    &[0xfb],
    &[0xff],
    &[0xfc, 4, 0],
    &[0xfd, 4, 0, 0],
    &[0xfe, 4, 0, 0, 0, 0, 0, 0, 0],
];

/// The server shows this much of what it does not understand.
const SHOWN: usize = 80;

async fn a_server_runs_the_statement_that_is_seen(cluster: Arc<Cluster>) {
    if cluster.engine == Engine::MariaDb {
        return;
    }
    let server = cluster.primary();
    // The server then knows the account, and asks for no more than the quick proof.
    server.run("SELECT 1").await;
    let mut client = connect(server.address(), "e2e_admin").await;
    for kind in 0..=u8::MAX {
        for second in SECOND_BYTES {
            let mut agreed = 0;
            for beginning in BEGINNINGS {
                let payload = query(kind, second, beginning);
                let Some(ran) = ran(&mut client, &payload).await else { continue };
                match seen(&payload) {
                    Some(seen) => {
                        assert_eq!(ran, &seen[..seen.len().min(SHOWN)], "{kind:#x} {second:#x} {beginning:?}");
                        agreed += 1;
                    }
                    // Refused, though the server would not mind: it reads a broken length as another one.
                    None => assert!(beginning[0] >= 0xfb, "{kind:#x} {second:#x} {beginning:?} is not understood"),
                }
            }
            let exists = (kind, second & 0x7f) != (0xf4, 0);
            assert_eq!(agreed > 0, exists, "{kind:#x} {second:#x}: {agreed} statements");
        }
    }
}

async fn through_the_proxy_it_is_the_same_or_refused(cluster: Arc<Cluster>) {
    if cluster.engine == Engine::MariaDb {
        return;
    }
    let proxy = Proxy::start(&cluster).await;
    let mut client = connect(proxy.address, APP).await;
    for kind in 0..=u8::MAX {
        for second in [0x00, 0x80, 0x01] {
            for beginning in [&[4][..], &[8], &[0xfb]] {
                let payload = query(kind, second, beginning);
                match (ran(&mut client, &payload).await, seen(&payload)) {
                    (Some(ran), Some(seen)) => {
                        assert_eq!(ran, &seen[..seen.len().min(SHOWN)], "{kind:#x} {second:#x} {beginning:?}");
                    }
                    (None, None) => client = connect(proxy.address, APP).await,
                    (ran, seen) => panic!("{kind:#x} {second:#x} {beginning:?}: {ran:?} ran of {seen:?}"),
                }
            }
        }
    }
    proxy.finish().await;
}

/// A parameter of any type, and a text after it. To the server both are parameters; here the second is read as an attribute.
async fn a_value_after_a_parameter_is_the_one_that_the_server_reads(cluster: Arc<Cluster>) {
    if cluster.engine == Engine::MariaDb {
        return;
    }
    let server = cluster.primary();
    server.run("SELECT 1").await;
    let mut client = connect(server.address(), "e2e_admin").await;
    let statement = client.prepare("SELECT ? IS NULL, HEX(?)").await.expect("a statement").ok.statement_id;
    let mut agreed = 0;
    for kind in 0..=u8::MAX {
        for second in SECOND_BYTES {
            for beginning in [&[4][..], &[8], &[0]] {
                // Wherever the second value begins, its length and its first byte tell the place.
                let values = (0..400_u16).map(|at| 20 + (at % 60) as u8);
                let values: Vec<u8> = beginning.iter().copied().chain(values).collect();
                let rest = [&[2, 0, 1, kind, second, 0, 0xfe, 0, 0][..], &values].concat();
                let start = [&[COM_STMT_EXECUTE][..], &statement.to_le_bytes(), &[0, 1, 0, 0, 0]].concat();
                client.send_command(&[&start[..], &rest].concat()).await;
                let Answer::Rows(rows) = client.answers(true).await.expect("an answer").remove(0) else { continue };
                let read = rows.rows[0][1].clone().map(|hex| String::from_utf8(hex).expect("digits"));
                let execute = Execute { statement_id: statement, flags: 0, iterations: 1, rest: &rest };
                let parameters = execute_parameters(&execute, 1, Capabilities::QUERY_ATTRIBUTES).expect("parameters");
                let mut found = Vec::new();
                let walked =
                    parameters.attributes(1, parameters.types).each(|_| false, |_, value| found.push(value.map(hexadecimal)));
                walked
                    .unwrap_or_else(|error| panic!("{kind:#x} {second:#x} {beginning:?}: {error}, but the server read {read:?}"));
                assert_eq!(found, [read], "{kind:#x} {second:#x} {beginning:?}");
                agreed += 1;
            }
        }
    }
    // The server refuses a parameter of a type that it does not know, unlike an attribute.
    assert!(agreed > 100, "only {agreed} executions");
}

async fn connect(address: SocketAddr, account: &str) -> RawClient {
    let capabilities = testkit::raw::USUAL | Capabilities::QUERY_ATTRIBUTES;
    let client = RawClient::login(address, &LoginAs { capabilities, ..LoginAs::new(account, account) }).await.expect("a login");
    assert!(client.capabilities.contains(Capabilities::QUERY_ATTRIBUTES));
    client
}

/// A statement that no server understands after one attribute. Each place in it begins another text.
fn query(kind: u8, second: u8, beginning: &[u8]) -> Vec<u8> {
    let text: String = (0..100).flat_map(|at: u8| ['a', '0', char::from(b'0' + at / 10), char::from(b'0' + at % 10)]).collect();
    [&[COM_QUERY, 1, 1, 0, 1, kind, second, 1, b'n'][..], beginning, text.as_bytes()].concat()
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(half.into(), 16).expect("four bits").to_ascii_uppercase();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn seen(payload: &[u8]) -> Option<&[u8]> {
    match Command::parse(payload, Capabilities::QUERY_ATTRIBUTES) {
        // The complaint ends at a NUL.
        Ok(Command::Query { sql, .. }) => sql.split(|&byte| byte == 0).next(),
        Ok(other) => panic!("{other:?}"),
        Err(_) => None,
    }
}

/// The beginning of what the server took for the statement; `None` if it took nothing for one.
async fn ran(client: &mut RawClient, payload: &[u8]) -> Option<Vec<u8>> {
    client.send_command(payload).await;
    let error = client.answers(false).await.expect("an answer").remove(0).expect_err();
    match error.code {
        // ER_PARSE_ERROR
        1064 => {
            let message = String::from_utf8(error.message).expect("text");
            let (_, near) = message.split_once("near '").expect("the statement");
            Some(near.rsplit_once("' at line").expect("its end").0.as_bytes().to_vec())
        }
        // ER_EMPTY_QUERY
        1065 => Some(Vec::new()),
        // ER_MALFORMED_PACKET
        1835 => None,
        _ => panic!("{error}"),
    }
}
