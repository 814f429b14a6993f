//! The raw client and the fake server against each other.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where something is not as it expects")]

use testkit::answer::{Rows, prepared};
use testkit::fake::{Call, Character};
use testkit::{Action, Answer, FakeServer, LoginAs, RawClient};
use wire::auth::Plugin;
use wire::result::{ErrOwned, PrepareOk};
use wire::{Capabilities, Command, StatusFlags};

fn secret() -> LoginAs {
    LoginAs::new("app", "secret")
}

fn answer(call: Call<'_>) -> Vec<Action> {
    let answer = match call.command() {
        Command::Query { sql: b"two", .. } => {
            let first = Answer::rows(&["a"], &[&["1"]]).with_status(StatusFlags::MORE_RESULTS);
            return vec![Action::Answer(first), Action::Answer(Answer::ok())];
        }
        Command::Query { sql: b"broken", .. } => {
            let mut bytes = Answer::rows(&["a"], &[&["1"]]).to_bytes(call.capabilities);
            bytes.truncate(bytes.len() - 3);
            return vec![Action::Bytes(bytes), Action::Close];
        }
        Command::Prepare(_) => {
            let statement = PrepareOk { statement_id: 7, columns: 1, params: 2, warnings: 0 };
            return vec![Action::Bytes(prepared(statement, call.capabilities))];
        }
        Command::Execute(_) => Answer::ok(),
        Command::Query { sql, .. } => Answer::rows(&["sql", "n"], &[&[std::str::from_utf8(sql).unwrap(), "1"]]),
        _ => Answer::err(1047, *b"08S01", "Unknown command"),
    };
    vec![Action::Answer(answer)]
}

#[tokio::test]
async fn both_logins_and_both_ends_of_results_work() {
    for plugin in [Plugin::Native, Plugin::CachingSha2] {
        for without in [Capabilities::empty(), Capabilities::DEPRECATE_EOF, Capabilities::SESSION_TRACK] {
            let server = FakeServer::start(Character { plugin, ..Character::default() }, answer).await;
            let mut login = secret();
            login.capabilities -= without;
            login.schema = Some("shop".to_owned());
            let mut client = RawClient::login(server.address(), &login).await.unwrap();
            let rows = client.query_one("SELECT 1").await.expect_rows();
            assert_eq!(rows.columns, ["sql", "n"]);
            assert_eq!(rows.rows, [[Some(b"SELECT 1".to_vec()), Some(b"1".to_vec())]]);
            let answers = client.query("two").await;
            assert!(matches!(&answers[..], [Answer::Rows(Rows { .. }), Answer::Ok { .. }]), "{answers:?}");
            let statement = client.prepare("SELECT ?, ?").await.unwrap();
            assert_eq!((statement.ok.statement_id, statement.columns.len()), (7, 1));
            assert_eq!(client.execute(7, &[Some("a"), None]).await, [Answer::ok()]);
            assert_eq!(client.command(&[0x77]).await.expect_err().code, 1047);
            let seen = server.seen();
            assert_eq!(seen.logins, [("app".to_owned(), Some("shop".to_owned()))]);
            assert_eq!(seen.received.len(), 5);
            assert_eq!(seen.received[0].sql(), Some("SELECT 1"));
        }
    }
}

#[tokio::test]
async fn a_wrong_password_is_denied_and_a_client_of_another_plugin_is_switched() {
    let server = FakeServer::always_ok().await;
    let wrong = LoginAs::new("app", "guess");
    assert_eq!(RawClient::login(server.address(), &wrong).await.unwrap_err().code, 1045);
    for plugin in ["caching_sha2_password", "mysql_native_password", "parsec"] {
        let login = LoginAs { plugin: Some(plugin.to_owned()), ..secret() };
        RawClient::login(server.address(), &login).await.unwrap().query_one("x").await.expect_ok();
    }
}

#[tokio::test]
async fn a_server_can_die_in_the_middle_of_a_result() {
    let server = FakeServer::start(Character::default(), answer).await;
    let mut client = RawClient::login(server.address(), &secret()).await.unwrap();
    client.send_command(b"\x03broken").await;
    assert!(client.answers(false).await.is_err());
    server.wait_until("the connection to be gone", |seen| seen.open == 0).await;
}

#[tokio::test]
async fn a_server_can_refuse_or_die() {
    let refusal = Some(ErrOwned { code: 1040, sqlstate: *b"08004", message: b"Too many connections".to_vec() });
    let server = FakeServer::start(Character { refusal, ..Character::default() }, answer).await;
    assert_eq!(RawClient::connect(server.address()).await.unwrap_err().code, 1040);

    let server = FakeServer::always_ok().await;
    let mut client = RawClient::login(server.address(), &secret()).await.unwrap();
    server.die().await;
    client.expect_closed().await;
}
