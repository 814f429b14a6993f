//! Logins like one that a server has accepted a moment ago.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs, unreachable_pub, reason = "tests")]

mod common;

use std::time::Duration;

use common::{Setup, server, usual};
use frontend::Limits;
use testkit::fake::{Call, Character, Seen};
use testkit::{Action, Answer, FakeServer, LoginAs, RawClient};
use wire::{ErrOwned, StatusFlags};

/// Within the test nothing is forgotten by its age.
fn remembering(servers: Vec<FakeServer>) -> Setup {
    Setup::with_limits(servers, Limits { accepted_login: Duration::from_hours(1), ..Limits::default() }, 10)
}

fn into(schema: Option<&str>) -> LoginAs {
    LoginAs { schema: schema.map(str::to_owned), ..LoginAs::new("app", "secret") }
}

async fn log_in(setup: &Setup, login: &LoginAs) -> Result<RawClient, ErrOwned> {
    RawClient::login(setup.running.address(), login).await
}

/// How often it has been asked whether an account may log in.
fn asked(seen: &Seen) -> usize {
    let changes = seen.received.iter().filter(|received| received.payload.first() == Some(&wire::COM_CHANGE_USER)).count();
    seen.logins.len() + changes
}

#[tokio::test]
async fn the_same_login_asks_no_server_again_and_its_first_statement_does() {
    let setup = remembering(vec![server("primary").await]);
    let mut first = log_in(&setup, &into(Some("app"))).await.unwrap();
    first.query_one("SELECT a FROM t").await.expect_rows();
    let once = asked(&setup.servers[0].seen());
    let mut second = log_in(&setup, &into(Some("app"))).await.unwrap();
    assert_eq!(asked(&setup.servers[0].seen()), once);
    assert_eq!(second.query_one("SELECT a FROM t").await.expect_rows().single(), "primary");
    assert!(asked(&setup.servers[0].seen()) > once);
}

#[tokio::test]
async fn another_schema_and_a_wrong_password_are_no_such_login() {
    let setup = remembering(vec![server("primary").await]);
    let mut before = 0;
    for schema in [Some("app"), Some("other"), None] {
        log_in(&setup, &into(schema)).await.unwrap();
        let now = asked(&setup.servers[0].seen());
        assert!(now > before, "{schema:?}");
        before = now;
    }
    let wrong = LoginAs { password: "wrong".to_owned(), ..into(Some("app")) };
    assert_eq!(log_in(&setup, &wrong).await.expect_err("a wrong password").code, 1045);
}

#[tokio::test]
async fn none_is_remembered_without_a_time_or_a_place_for_it() {
    for limits in [
        Limits { accepted_login: Duration::ZERO, ..Limits::default() },
        Limits { accepted_login: Duration::from_hours(1), accepted_logins: 0, ..Limits::default() },
    ] {
        let setup = Setup::with_limits(vec![server("primary").await], limits, 10);
        for count in 1..4 {
            let client = log_in(&setup, &into(None)).await.unwrap();
            assert!(asked(&setup.servers[0].seen()) >= count);
            drop(client);
        }
    }
}

#[tokio::test]
async fn who_is_refused_meanwhile_is_told_at_the_first_statement_and_at_the_next_login() {
    let once = Character { logins: Some(1), ..Character::default() };
    let begins = |call: Call<'_>| match call.sql() {
        "BEGIN" => vec![Action::Answer(Answer::ok().with_status(StatusFlags::IN_TRANS))],
        _ => usual("primary", call),
    };
    let setup = remembering(vec![FakeServer::start(once, begins).await]);
    let mut first = log_in(&setup, &into(None)).await.unwrap();
    // It keeps the one connection that the server lets in.
    first.query_one("BEGIN").await.expect_ok();
    let mut second = log_in(&setup, &into(None)).await.unwrap();
    let refused = second.query_one("UPDATE t SET a = 1").await.expect_err();
    assert_eq!((refused.code, refused.message.as_slice()), (1045, b"Access denied".as_slice()));
    assert_eq!(setup.statements(0), ["BEGIN"]);
    assert_eq!(log_in(&setup, &into(None)).await.expect_err("it is forgotten").code, 1045);
}
