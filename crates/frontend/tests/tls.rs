//! Clients with and without TLS: who is let in, what the others are told, and what is no login.

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

use std::time::{Duration, Instant};

use bytes::BytesMut;
use common::{Settings, Setup, server};
use frontend::{ClientTls, Limits};
use logins::{PATIENCE, acceptor, encrypted, greeted, log_in, login, try_to_log_in};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use wire::{Capabilities, ClientLogin, ErrPacket, Greeted, Greeting};

async fn setup(tls: ClientTls, demands_tls: bool, limits: Limits) -> Setup {
    Setup::configured(vec![server("db1").await], Settings { limits, tls, demands_tls, ..Settings::default() })
}

async fn offering() -> Setup {
    setup(ClientTls::Offered(acceptor()), false, Limits::default()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_wants_tls_gets_it_where_it_is_offered() {
    let setup = offering().await;
    assert_eq!(log_in(greeted(&setup).await, "app", "secret").await, 0);
    assert_eq!(log_in(encrypted(&setup).await, "app", "secret").await, 0);
    assert_eq!(log_in(encrypted(&setup).await, "app", "wrong").await, 1045);
    assert_eq!(log_in(encrypted(&setup).await, "nobody", "secret").await, 1045);
    let off = setup_off().await;
    assert!(!greeted(&off).await.1.capabilities.contains(Capabilities::SSL));
}

async fn setup_off() -> Setup {
    setup(ClientTls::Off, false, Limits::default()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_tls_is_sent_away_where_it_is_required() {
    let setup = setup(ClientTls::Required(acceptor()), false, Limits::default()).await;
    for (user, password) in [("app", "secret"), ("app", "wrong"), ("nobody", "secret")] {
        assert_eq!(log_in(greeted(&setup).await, user, password).await, 3159, "{user}");
    }
    assert_eq!(log_in(encrypted(&setup).await, "app", "secret").await, 0);
}

/// Neither whether the password is right nor whether the account exists can be told without TLS, from the packets at least.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_demands_tls_is_none_without_it() {
    let setup = setup(ClientTls::Offered(acceptor()), true, Limits::default()).await;
    let mut answers = Vec::new();
    for (user, password) in [("app", "secret"), ("app", "wrong"), ("bpp", "secret")] {
        let error = try_to_log_in(greeted(&setup).await, user, password).await.unwrap_err();
        answers.push((error.code, error.sqlstate, String::from_utf8_lossy(&error.message).replace(user, "?")));
    }
    assert_eq!(answers[0].0, 1045);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(log_in(encrypted(&setup).await, "app", "secret").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_password_comes_in_clear_inside_of_tls() {
    let setup = setup_with_full_authentication().await;
    assert_eq!(log_in(encrypted(&setup).await, "app", "secret").await, 0);
    assert_eq!(log_in(encrypted(&setup).await, "app", "wrong").await, 1045);
    assert_eq!(log_in(encrypted(&setup).await, "nobody", "secret").await, 1045);
}

async fn setup_with_full_authentication() -> Setup {
    let settings = Settings { tls: ClientTls::Offered(acceptor()), force_full_authentication: true, ..Settings::default() };
    Setup::configured(vec![server("db1").await], settings)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_request_for_tls_is_no_login() {
    let setup = offering().await;
    let (mut exchange, greeting) = encrypted(&setup).await;
    exchange.send(&login(&greeting, "", &[], true)).await.unwrap();
    assert_eq!(ErrPacket::decode(&exchange.receive().await.unwrap()).unwrap().code, 1043);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_for_tls_that_is_not_offered_is_refused() {
    let setup = setup_off().await;
    let (mut exchange, greeting) = greeted(&setup).await;
    exchange.send(&login(&greeting, "", &[], true)).await.unwrap();
    assert_eq!(ErrPacket::decode(&exchange.receive().await.unwrap()).unwrap().code, 3159);
}

/// What somebody in between has put after the client's request for TLS never runs, and the client's login does not go on.
#[tokio::test(flavor = "multi_thread")]
async fn what_comes_in_clear_after_the_request_is_never_taken_for_the_clients() {
    let setup = offering().await;
    let proof = |greeting: &Greeting| ClientLogin::start(b"secret", greeting, false).first_response();
    for is_in_one_write in [true, false] {
        let mut socket = TcpStream::connect(setup.running.address()).await.unwrap();
        let mut buffer = [0; 1000];
        let length = socket.read(&mut buffer).await.unwrap();
        let Greeted::Greeting(greeting) = wire::decode_greeting(&buffer[4..length]).unwrap() else { panic!("no greeting") };
        let mut request = BytesMut::new();
        wire::put_packet(&mut request, 1, &login(&greeting, "", &[], true));
        let mut rest = BytesMut::new();
        wire::put_packet(&mut rest, 2, &login(&greeting, "app", &proof(&greeting), false));
        wire::put_packet(&mut rest, 0, b"\x03SELECT 1");
        if is_in_one_write {
            socket.write_all(&[&request[..], &rest].concat()).await.unwrap();
        } else {
            socket.write_all(&request).await.unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
            socket.write_all(&rest).await.unwrap();
        }
        let mut answer = Vec::new();
        let _ = timeout(PATIENCE, socket.read_to_end(&mut answer)).await.expect("an end");
        // A TLS alert at the most.
        assert!(answer.is_empty() || answer[0] == 0x15, "{answer:?}");
    }
    assert_eq!(setup.servers[0].seen().accepted, 0, "a login went on");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stops_in_the_middle_of_the_handshake_is_cut_off_at_the_logins_limit() {
    let limit = Duration::from_millis(400);
    let limits = Limits { handshake: limit, ..Limits::default() };
    let setup = setup(ClientTls::Offered(acceptor()), false, limits).await;
    // Nothing at all, and the beginning of a record.
    for part in [&b""[..], &[0x16, 3, 1, 2, 0, 1, 0]] {
        let since = Instant::now();
        let mut socket = TcpStream::connect(setup.running.address()).await.unwrap();
        let mut buffer = [0; 1000];
        let length = socket.read(&mut buffer).await.unwrap();
        let Greeted::Greeting(greeting) = wire::decode_greeting(&buffer[4..length]).unwrap() else { panic!("no greeting") };
        let mut packet = BytesMut::new();
        wire::put_packet(&mut packet, 1, &login(&greeting, "", &[], true));
        packet.extend_from_slice(part);
        socket.write_all(&packet).await.unwrap();
        let _ = timeout(PATIENCE, socket.read_to_end(&mut Vec::new())).await.expect("an end");
        assert!(since.elapsed() >= limit, "{:?}", since.elapsed());
    }
    // After the handshake, and before the login.
    let since = Instant::now();
    let (mut exchange, _) = encrypted(&setup).await;
    assert!(timeout(PATIENCE, exchange.receive()).await.expect("an end").is_err());
    assert!(since.elapsed() >= limit);
    // Their places are free a moment after their connections were closed.
    let all_left = async {
        while setup.running.overview().clients() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, all_left).await.expect("no client is left");
}
