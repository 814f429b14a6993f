//! Logins at a server that speaks TLS well, badly, or not at all.

use std::time::{Duration, Instant};

use bytes::BytesMut;
use net::{ClientCertificates, Exchange, Identity, Link, TlsAcceptor, Trust};
use session::LoginDetails;
use testkit::raw::USUAL;
use tokio::net::TcpListener;
use wire::{Capabilities, Greeting, Login, OkPacket, Plugin, StatusFlags};

use super::*;
use crate::login::{Terms, change_user, connect};
use crate::{Account, ConnectError, ConnectOptions};

const LARGEST: usize = 64 * 1024;
const NONCE: [u8; 20] = [7; 20];
/// The first of a client's two words, and what the server answers when it wants the password itself.
const FULL_AUTHENTICATION: &[u8] = &[1, 4];

/// What a server does with a client that asks for TLS.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    Good,
    /// It does not offer it.
    Plain,
    /// It stops when it is asked.
    Frozen,
    /// It says OK in clear.
    InClear,
}

/// Serves clients one after the other, and says how many asked for TLS.
async fn serve(listener: TcpListener, manner: Manner) {
    let acceptor = TlsAcceptor::new(&Identity::self_signed("db1").unwrap(), ClientCertificates::Off).unwrap();
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        // A client may leave at any point.
        let _ = serve_one(Exchange::new(Link::new(socket).unwrap(), LARGEST), manner, &acceptor).await;
    }
}

async fn serve_one(mut exchange: Exchange, manner: Manner, acceptor: &TlsAcceptor) -> Result<(), net::LinkError> {
    let offered = if manner == Manner::Plain { Capabilities::empty() } else { Capabilities::SSL };
    let greeting = Greeting {
        server_version: b"8.4.0".to_vec(),
        connection_id: 1,
        nonce: NONCE,
        capabilities: USUAL | Capabilities::CONNECT_ATTRS | offered,
        charset: 45,
        status: StatusFlags::AUTOCOMMIT,
        auth_plugin: Plugin::CachingSha2.name().into(),
    };
    let mut payload = BytesMut::new();
    greeting.encode(&mut payload);
    exchange.send(&payload).await?;
    let mut packet = exchange.receive().await?;
    if Login::is_ssl_request(&packet) {
        match manner {
            Manner::Frozen => std::future::pending().await,
            Manner::InClear => return say_ok(&mut exchange).await,
            Manner::Good | Manner::Plain => {}
        }
        exchange = exchange.accept_tls(acceptor).await?;
        packet = exchange.receive().await?;
        assert!(Login::decode(&packet).unwrap().capabilities.contains(Capabilities::SSL));
    }
    prove(&mut exchange).await?;
    let mut link = exchange.into_link();
    // A second login on the same connection.
    while link.fill().await? > 0 {
        let mut again = Exchange::new(link, LARGEST);
        again.receive().await?;
        prove(&mut again).await?;
        link = again.into_link();
    }
    Ok(())
}

/// Wants the password itself, in clear.
async fn prove(exchange: &mut Exchange) -> Result<(), net::LinkError> {
    exchange.send(FULL_AUTHENTICATION).await?;
    let password = exchange.receive().await?;
    // Without TLS it would be the request for a key.
    assert_eq!(**password, *b"secret\0");
    say_ok(exchange).await
}

async fn say_ok(exchange: &mut Exchange) -> Result<(), net::LinkError> {
    let ok = OkPacket {
        affected_rows: 0,
        last_insert_id: 0,
        status: StatusFlags::AUTOCOMMIT,
        warnings: 0,
        info: &[],
        session_state: &[],
    };
    let mut payload = BytesMut::new();
    ok.encode(0x00, USUAL, &mut payload);
    exchange.send(&payload).await
}

async fn server(manner: Manner) -> ServerAddress {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, manner));
    ServerAddress { host: address.ip().to_string(), port: address.port() }
}

fn options() -> ConnectOptions {
    let account = Account { user: b"app".to_vec(), password: b"secret".to_vec() };
    ConnectOptions { account: Arc::new(account), capabilities: Capabilities::empty(), client: None }
}

fn terms(tls: &ServerTls) -> Terms {
    Terms {
        limit: Duration::from_millis(500),
        public_key_retrieval: false,
        tls: tls.clone(),
        compression: crate::ServerCompression::Off,
    }
}

fn anybody() -> TlsConnector {
    TlsConnector::new(Trust::Anybody, None).unwrap()
}

async fn log_in(server: &ServerAddress, tls: &ServerTls) -> Result<bool, ConnectError> {
    let connection = connect(server, &options(), &LoginDetails::default(), &terms(tls)).await?;
    let is_encrypted = connection.link.is_encrypted();
    let connection = change_user(connection, server, &options(), (&LoginDetails::default(), b""), &terms(tls)).await?;
    assert_eq!(connection.link.is_encrypted(), is_encrypted);
    Ok(is_encrypted)
}

#[tokio::test]
async fn over_tls_the_password_goes_out_as_it_is() {
    let good = server(Manner::Good).await;
    for tls in [ServerTls::preferred(anybody()), ServerTls::demanded(anybody())] {
        // The second time with the session of the first.
        for _ in 0..2 {
            assert!(log_in(&good, &tls).await.unwrap());
        }
    }
}

#[tokio::test]
async fn in_clear_it_never_does() {
    let plain = server(Manner::Plain).await;
    for tls in [ServerTls::OFF, ServerTls::preferred(anybody())] {
        let error = log_in(&plain, &tls).await.unwrap_err();
        assert!(matches!(error, ConnectError::KeyNotTrusted { .. }), "{error}");
    }
}

#[tokio::test]
async fn where_it_is_demanded_there_is_no_connection_in_clear() {
    let plain = server(Manner::Plain).await;
    let error = log_in(&plain, &ServerTls::demanded(anybody())).await.unwrap_err();
    assert!(matches!(error, ConnectError::NotEncrypted { .. }), "{error}");
    assert!(error.to_string().contains("offers no TLS"), "{error}");
}

/// Neither does an offer that is not kept make it one in clear.
#[tokio::test]
async fn a_server_that_goes_on_in_clear_is_not_believed() {
    let odd = server(Manner::InClear).await;
    for tls in [ServerTls::preferred(anybody()), ServerTls::demanded(anybody())] {
        let error = log_in(&odd, &tls).await.unwrap_err();
        assert!(matches!(error, ConnectError::Tls { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_freezes_in_the_handshake_is_given_up_in_time() {
    let frozen = server(Manner::Frozen).await;
    let since = Instant::now();
    let error = log_in(&frozen, &ServerTls::demanded(anybody())).await.unwrap_err();
    assert!(matches!(error, ConnectError::Timeout { .. }), "{error}");
    assert!(since.elapsed() < Duration::from_secs(5));
}

#[test]
fn connections_by_other_terms_are_told_apart() {
    let (one, other) = (ServerTls::demanded(anybody()), ServerTls::demanded(anybody()));
    assert!(one.is_same(&one.clone()) && ServerTls::OFF.is_same(&ServerTls::OFF));
    assert!(!one.is_same(&other) && !one.is_same(&ServerTls::OFF) && !ServerTls::OFF.is_same(&one));
}
