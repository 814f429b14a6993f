//! Both ends of a real connection.

use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::version::TLS12;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::*;
use crate::{Link, LinkError};

/// A certificate authority.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    roots: Authorities,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(params.self_signed(&key).unwrap().der().clone()).unwrap();
        Self { issuer: Issuer::new(params, key), roots: Authorities(Arc::new(roots)) }
    }

    fn identity(&self, name: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        Identity { chain: vec![certificate.der().clone()], key: PrivateKeyDer::Pkcs8(key.serialize_der().into()) }
    }
}

async fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap());
    let (client, server) = tokio::join!(client, listener.accept());
    (client.unwrap(), server.unwrap().0)
}

async fn links() -> (Link, Link) {
    let (client, server) = sockets().await;
    (Link::new(client).unwrap(), Link::new(server).unwrap())
}

fn acceptor() -> TlsAcceptor {
    TlsAcceptor::new(&Identity::self_signed("pointsman").unwrap(), ClientCertificates::Off).unwrap()
}

fn connector() -> TlsConnector {
    TlsConnector::new(Trust::Anybody, None).unwrap()
}

async fn secure(acceptor: &TlsAcceptor, connector: &TlsConnector) -> (Result<Link, LinkError>, Result<Link, LinkError>) {
    let (client, server) = links().await;
    tokio::join!(client.connect_tls(connector, "db1"), server.accept_tls(acceptor))
}

async fn secured() -> (Link, Link) {
    let (client, server) = secure(&acceptor(), &connector()).await;
    (client.unwrap(), server.unwrap())
}

async fn receive(link: &mut Link, count: usize) -> Vec<u8> {
    while link.bytes().len() < count {
        let read = timeout(Duration::from_secs(10), link.fill()).await.expect("bytes").unwrap();
        assert_ne!(read, 0, "closed after {} of {count} bytes", link.bytes().len());
    }
    link.take(count).to_vec()
}

#[tokio::test]
async fn what_goes_in_comes_out_and_an_idle_link_holds_no_buffer() {
    let (mut client, mut server) = secured().await;
    assert!(client.is_encrypted() && server.is_encrypted());
    for length in [1, 100, 16_383, 16_384, 16_385, 70_000, 3_000_000] {
        let sent: Vec<u8> = (0..length).map(|place: u32| (place % 251) as u8).collect();
        let (sending, received) = tokio::join!(client.send(&sent), receive(&mut server, sent.len()));
        sending.unwrap();
        assert!(received == sent, "{length} bytes came out as others");
        let (sending, received) = tokio::join!(server.send(&received), receive(&mut client, sent.len()));
        sending.unwrap();
        assert!(received == sent);
        assert!(client.bytes().is_empty() && server.bytes().is_empty());
    }
}

#[tokio::test]
async fn tickets_do_not_disturb_and_anything_else_does() {
    let (mut client, mut server) = secured().await;
    // The server has sent its tickets with the end of the handshake. They may still be under way.
    for _ in 0..50 {
        assert!(client.is_quiet() && server.is_quiet());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    server.send(b"4031").await.unwrap();
    client.stir().await.unwrap();
    assert!(!client.is_quiet());
    // The bytes that were read meanwhile are not lost.
    assert_eq!(receive(&mut client, 4).await, b"4031");
    assert!(client.is_quiet());
    server.close().await;
    client.stir().await.unwrap();
    assert!(!client.is_quiet());
    assert_eq!(client.fill().await.unwrap(), 0);
}

#[tokio::test]
async fn an_end_without_close_notify_is_an_end() {
    let (mut client, server) = secured().await;
    drop(server);
    client.stir().await.unwrap();
    assert!(!client.is_quiet());
    assert_eq!(client.fill().await.unwrap(), 0);
    assert_eq!(client.fill().await.unwrap(), 0);
}

#[test]
fn a_link_goes_on_under_another_runtime() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (first, second) = (runtime(), runtime());
    let (mut client, mut server) = first.block_on(secured());
    let server = std::thread::spawn(move || {
        second.block_on(async {
            server.move_here().unwrap();
            assert_eq!(receive(&mut server, 5).await, b"hello");
            server.send(b"there").await.unwrap();
            server
        })
    });
    first.block_on(async {
        client.send(b"hello").await.unwrap();
        assert_eq!(receive(&mut client, 5).await, b"there");
    });
    server.join().unwrap();
}

/// A client need not wait between its request for TLS and its first record, so both may come in one read.
#[tokio::test]
async fn the_beginning_of_the_handshake_may_have_come_with_what_was_read_before() {
    let (client, mut server) = links().await;
    let (connector, acceptor) = (connector(), acceptor());
    let handshake = async {
        server.fill().await.unwrap();
        assert!(!server.bytes().is_empty());
        server.accept_tls(&acceptor).await
    };
    let (client, server) = tokio::join!(client.connect_tls(&connector, "db1"), handshake);
    let (mut client, mut server) = (client.unwrap(), server.unwrap());
    client.send(b"hello").await.unwrap();
    assert_eq!(receive(&mut server, 5).await, b"hello");
}

#[tokio::test]
async fn bytes_in_clear_never_count_as_the_clients() {
    let (mut client, server) = sockets().await;
    let mut server = Link::new(server).unwrap();
    // A whole packet, as an attacker in between may have inserted it.
    client.write_all(b"\x0a\x00\x00\x02\x03SELECT 42").await.unwrap();
    server.fill().await.unwrap();
    let error = server.accept_tls(&acceptor()).await.unwrap_err();
    assert!(matches!(error, LinkError::Tls(_)), "{error}");
}

#[tokio::test]
async fn a_server_that_sends_more_than_its_greeting_in_clear_is_refused() {
    let (client, mut server) = sockets().await;
    let mut client = Link::new(client).unwrap();
    server.write_all(b"\x07\x00\x00\x02\x00\x00\x00\x02\x00\x00\x00").await.unwrap();
    client.fill().await.unwrap();
    let error = client.connect_tls(&connector(), "db1").await.unwrap_err();
    assert!(matches!(error, LinkError::ClearBeforeTls), "{error}");
}

#[tokio::test]
async fn garbage_is_answered_with_an_alert() {
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0; 500], &[0x16, 3, 1, 0xff, 0xff, 1, 2], &[0x15, 3, 3, 0, 2, 2, 40]] {
        let (mut client, server) = sockets().await;
        client.write_all(garbage).await.unwrap();
        client.shutdown().await.unwrap();
        let acceptor = acceptor();
        let outcome = timeout(Duration::from_secs(10), Link::new(server).unwrap().accept_tls(&acceptor)).await;
        assert!(matches!(outcome.unwrap(), Err(LinkError::Tls(_) | LinkError::Closed)), "{garbage:?}");
        let mut answer = Vec::new();
        let _ = client.read_to_end(&mut answer).await;
        assert!(answer.is_empty() || answer[0] == 0x15, "{answer:?}");
    }
}

#[tokio::test]
async fn a_peer_of_tls_1_2_is_served() {
    let older = ClientConfig::builder_with_provider(provider()).with_protocol_versions(&[&TLS12]).unwrap().dangerous();
    let config = older.with_custom_certificate_verifier(Arc::new(Anybody(provider()))).with_no_client_auth();
    let (client, server) = secure(&acceptor(), &TlsConnector(Arc::new(config))).await;
    let (mut client, mut server) = (client.unwrap(), server.unwrap());
    client.send(b"hello").await.unwrap();
    assert_eq!(receive(&mut server, 5).await, b"hello");
    assert!(client.is_quiet() && server.is_quiet());
}

#[tokio::test]
async fn servers_are_verified_as_configured() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let server = |identity| TlsAcceptor::new(&identity, ClientCertificates::Off).unwrap();
    let signed = |authority: &Authority| Trust::Signed(authority.roots.clone());
    let named = |authority: &Authority| Trust::SignedForName(authority.roots.clone());
    for (trust, name, is_good) in [
        (Trust::Anybody, "db2", true),
        (signed(&ours), "db1", true),
        (signed(&ours), "db2", true),
        (signed(&theirs), "db1", false),
        (named(&ours), "db1", true),
        (named(&ours), "db2", false),
        (named(&theirs), "db1", false),
    ] {
        let connector = TlsConnector::new(trust.clone(), None).unwrap();
        let (client, _) = secure(&server(ours.identity(name)), &connector).await;
        assert_eq!(client.is_ok(), is_good, "{trust:?}, {name}: {client:?}");
    }
}

#[tokio::test]
async fn client_certificates_are_verified_as_configured() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let optional = || ClientCertificates::Optional(ours.roots.clone());
    let required = || ClientCertificates::Required(ours.roots.clone());
    for (clients, identity, is_good) in [
        (ClientCertificates::Off, Some(theirs.identity("c")), true),
        (optional(), None, true),
        (optional(), Some(ours.identity("c")), true),
        (optional(), Some(theirs.identity("c")), false),
        (required(), None, false),
        (required(), Some(ours.identity("c")), true),
        (required(), Some(theirs.identity("c")), false),
    ] {
        let acceptor = TlsAcceptor::new(&ours.identity("db1"), clients.clone()).unwrap();
        let (client, server) = secure(&acceptor, &TlsConnector::new(Trust::Anybody, identity.as_ref()).unwrap()).await;
        assert_eq!(server.is_ok(), is_good, "{clients:?}, {identity:?}: {client:?}");
    }
}

#[tokio::test]
async fn a_session_is_resumed_and_each_server_has_its_own() {
    let (acceptor, connector) = (acceptor(), connector());
    for (connector, is_resumed) in [(&connector, false), (&connector, true), (&connector.with_own_sessions(), false)] {
        let (client, server) = secure(&acceptor, connector).await;
        let (mut client, mut server) = (client.unwrap(), server.unwrap());
        server.send(b"x").await.unwrap();
        receive(&mut client, 1).await;
        assert_eq!(client.is_resumed(), is_resumed);
    }
}

#[tokio::test]
async fn a_peer_that_does_not_read_fills_no_memory() {
    let (mut client, server) = secured().await;
    let whole = vec![7; 64 << 20];
    assert!(timeout(Duration::from_millis(300), client.send(&whole)).await.is_err(), "nobody reads, and all was sent");
    drop(server);
}

#[tokio::test]
async fn names_that_no_certificate_can_have_are_refused() {
    let (client, _server) = links().await;
    let error = client.connect_tls(&connector(), "no such name").await.unwrap_err();
    assert!(matches!(error, LinkError::NoTlsName(_)), "{error}");
}

#[test]
fn an_error_about_pem_does_not_show_it() {
    let secret = b"-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";
    let error = Identity::from_pem(secret, secret).unwrap_err();
    assert!(matches!(error, TlsError::NoCertificate), "{error}");
    assert!(Authorities::from_pem(b"").is_err() && Authorities::from_pem(b"\xff\xfe").is_err());
    let identity = Identity::self_signed("a").unwrap();
    assert_eq!(format!("{identity:?}"), "Identity(1 certificates)");
    // The key of another certificate.
    let other = Identity { chain: identity.chain.clone(), key: Identity::self_signed("a").unwrap().key.clone_key() };
    let error = TlsAcceptor::new(&other, ClientCertificates::Off).unwrap_err();
    assert!(error.to_string().contains("cannot be used"), "{error}");
}
