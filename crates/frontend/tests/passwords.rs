//! Clients whose passwords only the servers know (`security.auth = "passthrough"`).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    reason = "tests"
)]

mod common;
#[path = "common/logins.rs"]
mod logins;

use std::sync::Arc;
use std::time::Duration;

use common::{Settings, Setup, usual};
use frontend::ClientTls;
use logins::{acceptor, encrypted, log_in};
use testkit::FakeServer;
use testkit::fake::{Character, Seen};
use tokio::task::JoinSet;

/// Questions about passwords that may be under way at once.
const AT_ONCE: usize = 4;

/// The primary answers no login but those of the configured user.
async fn setup() -> Arc<Setup> {
    let character = Character { answers_only: Some("app".to_owned()), ..Character::default() };
    let primary = FakeServer::start(character, |call| usual("primary", call)).await;
    let settings =
        Settings { tls: ClientTls::Offered(acceptor()), remembered_login: Some(Duration::from_mins(1)), ..Settings::default() };
    Arc::new(Setup::configured(vec![primary], settings))
}

/// Clients of users that the configuration does not list.
fn strangers(setup: &Arc<Setup>, count: usize) -> JoinSet<u16> {
    let mut clients = JoinSet::new();
    for number in 0..count {
        let setup = Arc::clone(setup);
        clients.spawn(async move { log_in(encrypted(&setup).await, &format!("stranger{number}"), "secret").await });
    }
    clients
}

/// Each such question takes a server connection, and whoever comes may ask one.
#[tokio::test(flavor = "multi_thread")]
async fn few_passwords_are_asked_about_at_once_and_the_others_wait_for_their_turn() {
    let setup = setup().await;
    let primary = &setup.servers[0];
    let mut clients = strangers(&setup, AT_ONCE + 3);
    primary.wait_until("questions", |seen| seen.unanswered == AT_ONCE).await;
    for ended in 1..=3 {
        primary.answer_logins(1);
        let is_next = |seen: &Seen| seen.logins.len() == ended && seen.unanswered == AT_ONCE;
        primary.wait_until("the next question", is_next).await;
        assert_eq!(clients.join_next().await.unwrap().unwrap(), 0);
        assert_eq!(primary.seen().unanswered, AT_ONCE);
    }
    primary.answer_logins(AT_ONCE);
    assert_eq!(clients.join_all().await, [0; AT_ONCE]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configured_user_does_not_wait_for_the_passwords_of_others() {
    let setup = setup().await;
    let primary = &setup.servers[0];
    let mut clients = strangers(&setup, AT_ONCE + 1);
    primary.wait_until("questions", |seen| seen.unanswered == AT_ONCE).await;
    let mut app = setup.client().await;
    assert_eq!(app.query_one("SELECT a FROM t").await.expect_rows().single(), "primary");
    assert_eq!(primary.seen().unanswered, AT_ONCE);
    assert!(clients.try_join_next().is_none(), "nobody was let in or sent away");
    primary.answer_logins(AT_ONCE + 1);
    assert_eq!(clients.join_all().await, [0; AT_ONCE + 1]);
}
