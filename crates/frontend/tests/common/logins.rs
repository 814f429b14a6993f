//! Clients that log in, in clear or over TLS.

use std::time::Duration;

use bytes::BytesMut;
use net::{ClientCertificates, Exchange, Identity, Link, TlsAcceptor, TlsConnector, Trust};
use testkit::raw::USUAL;
use tokio::net::TcpStream;
use tokio::time::timeout;
use wire::{ClientLogin, ClientStep, ErrOwned, Greeted, Greeting, Login};

use crate::common::Setup;

const LARGEST: usize = 64 * 1024;
pub const PATIENCE: Duration = Duration::from_secs(10);

pub fn acceptor() -> TlsAcceptor {
    TlsAcceptor::new(&Identity::self_signed("pointsman").unwrap(), ClientCertificates::Off).unwrap()
}

fn connector() -> TlsConnector {
    TlsConnector::new(Trust::Anybody, None).unwrap()
}

/// A client that has been greeted.
pub async fn greeted(setup: &Setup) -> (Exchange, Greeting) {
    let socket = TcpStream::connect(setup.running.address()).await.unwrap();
    let mut exchange = Exchange::new(Link::new(socket).unwrap(), LARGEST);
    let greeting = match wire::decode_greeting(&exchange.receive().await.unwrap()).unwrap() {
        Greeted::Greeting(greeting) => greeting,
        Greeted::Refused(error) => panic!("{error}"),
    };
    (exchange, greeting)
}

pub fn login(greeting: &Greeting, user: &str, proof: &[u8], asks_for_tls: bool) -> BytesMut {
    let login = Login {
        capabilities: USUAL & greeting.capabilities,
        max_packet: 1 << 24,
        collation: 45,
        user: user.as_bytes(),
        auth_response: proof,
        schema: None,
        auth_plugin: Some(b"caching_sha2_password"),
        attributes: None,
        zstd_level: 0,
    };
    let mut payload = BytesMut::new();
    if asks_for_tls {
        login.encode_ssl_request(&mut payload);
    } else {
        login.encode(&mut payload);
    }
    payload
}

pub async fn encrypted(setup: &Setup) -> (Exchange, Greeting) {
    let (mut exchange, greeting) = greeted(setup).await;
    exchange.send(&login(&greeting, "", &[], true)).await.unwrap();
    (exchange.connect_tls(&connector(), "127.0.0.1").await.unwrap(), greeting)
}

/// Logs in: 0, or the error's number.
pub async fn log_in(client: (Exchange, Greeting), user: &str, password: &str) -> u16 {
    try_to_log_in(client, user, password).await.err().map_or(0, |error| error.code)
}

/// The same, with the whole error. In clear, a password that the server asks for is never the right one.
pub async fn try_to_log_in((mut exchange, greeting): (Exchange, Greeting), user: &str, password: &str) -> Result<(), ErrOwned> {
    let mut proof = ClientLogin::start(password.as_bytes(), &greeting, exchange.is_encrypted());
    exchange.send(&login(&greeting, user, &proof.first_response(), false)).await.unwrap();
    loop {
        let packet = timeout(PATIENCE, exchange.receive()).await.expect("an answer").unwrap();
        match proof.on_packet(&packet, USUAL & greeting.capabilities).unwrap() {
            ClientStep::Send(payload) => exchange.send(&payload).await.unwrap(),
            ClientStep::RequestPublicKey(request) => exchange.send(&[request]).await.unwrap(),
            ClientStep::EncryptPassword { .. } => exchange.send(&[1; 256]).await.unwrap(),
            ClientStep::Await => {}
            ClientStep::Done(_) => return Ok(()),
            ClientStep::Failed(error) => return Err(error),
            other @ (ClientStep::DeriveKey(_) | ClientStep::Unsupported(_)) => panic!("{other:?}"),
        }
    }
}
