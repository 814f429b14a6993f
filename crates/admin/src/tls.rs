//! TLS at the addresses of the API and of the console.
//!
//! [`net::Link`] drives rustls for packets, and hyper wants a stream. So one task for each connection passes bytes between a link and the other end of a
//! pipe that hyper has. It costs one more copy, and no second implementation of TLS.

use std::io;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use net::{Link, LinkError, TlsAcceptor};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The certificate, and which clients are believed. A copy is of the same.
#[derive(Clone, Debug)]
pub struct AdminTls {
    acceptor: Arc<RwLock<TlsAcceptor>>,
    demands_certificates: bool,
}

impl AdminTls {
    /// `demands_certificates`: the acceptor lets no client without one through its handshake.
    pub fn new(acceptor: TlsAcceptor, demands_certificates: bool) -> Self {
        Self { acceptor: Arc::new(RwLock::new(acceptor)), demands_certificates }
    }

    /// No client without a certificate gets through the handshake.
    pub fn demands_certificates(&self) -> bool {
        self.demands_certificates
    }

    /// From the next connection on, the files count that another one was made of, if that asks for the same of clients.
    pub fn renew(&self, newer: &Self) {
        if newer.demands_certificates == self.demands_certificates {
            *self.acceptor.write().unwrap_or_else(PoisonError::into_inner) = newer.acceptor();
        }
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        self.acceptor.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// For the handshake.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// Bytes that wait on each way.
const PIPE: usize = 32 * 1024;

/// A stream of what the client sends inside of TLS. An error: there was no handshake.
pub(crate) async fn accept(stream: TcpStream, acceptor: &TlsAcceptor) -> Result<DuplexStream, LinkError> {
    let handshake = async { Link::new(stream)?.accept_tls(acceptor).await };
    let link = timeout(HANDSHAKE, handshake).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    let (ours, theirs) = duplex(PIPE);
    tokio::spawn(pass(link, ours));
    Ok(theirs)
}

/// Passes bytes both ways until one side has ended, or the other end of the pipe is dropped.
async fn pass(mut link: Link, pipe: DuplexStream) {
    let (mut from_server, mut to_server) = tokio::io::split(pipe);
    let mut answer = Vec::with_capacity(PIPE);
    let mut is_open = true;
    loop {
        while !link.bytes().is_empty() {
            // The server reads all of a request before it answers, so this cannot wait for an answer that nobody takes.
            if to_server.write_all(link.bytes()).await.is_err() {
                break;
            }
            let count = link.bytes().len();
            link.consume(count);
        }
        tokio::select! {
            filled = link.fill(), if is_open => match filled {
                Ok(1..) => {}
                // It may still read.
                Ok(0) => {
                    is_open = false;
                    let _ = to_server.shutdown().await;
                }
                Err(_) => return,
            },
            count = from_server.read_buf(&mut answer) => {
                if !matches!(count, Ok(1..)) {
                    break;
                }
                if link.send(&answer).await.is_err() {
                    return;
                }
                answer.clear();
            }
        }
    }
    link.close().await;
}

#[cfg(test)]
mod tests {
    use net::{ClientCertificates, Identity, TlsConnector, Trust};
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (Link, DuplexStream) {
        let identity = Identity::self_signed("test").expect("an identity");
        let acceptor = TlsAcceptor::new(&identity, ClientCertificates::Off).expect("an acceptor");
        let connector = TlsConnector::new(Trust::Anybody, None).expect("a connector");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let stream = TcpStream::connect(listener.local_addr().expect("an address")).await.expect("a connection");
        let (accepted, _) = listener.accept().await.expect("a client");
        let client = Link::new(stream).expect("a link");
        let (client, server) = tokio::join!(client.connect_tls(&connector, "test"), accept(accepted, &acceptor));
        (client.expect("TLS"), server.expect("TLS"))
    }

    #[tokio::test]
    async fn bytes_pass_both_ways_and_ends_as_well() {
        let (mut client, mut server) = pair().await;
        client.send(b"question").await.expect("sent");
        let mut question = [0; 8];
        server.read_exact(&mut question).await.expect("it comes");
        assert_eq!(&question, b"question");
        // More than the pipe and the socket hold at once.
        let answer = vec![7; 1 << 20];
        let sending = tokio::spawn(async move {
            server.write_all(&answer).await.expect("it is taken");
        });
        let mut got = 0;
        while client.fill().await.expect("it goes on") > 0 {
            got += client.bytes().len();
            assert!(client.bytes().iter().all(|byte| *byte == 7));
            let count = client.bytes().len();
            client.consume(count);
        }
        sending.await.expect("sent");
        assert_eq!(got, 1 << 20);
    }

    #[tokio::test]
    async fn the_end_of_a_client_is_the_end_of_its_stream() {
        let (client, mut server) = pair().await;
        client.close().await;
        assert_eq!(server.read(&mut [0; 8]).await.expect("an end"), 0);
    }

    #[tokio::test]
    async fn a_client_without_tls_gets_nowhere() {
        let identity = Identity::self_signed("test").expect("an identity");
        let acceptor = TlsAcceptor::new(&identity, ClientCertificates::Off).expect("an acceptor");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let mut client = TcpStream::connect(listener.local_addr().expect("an address")).await.expect("a connection");
        let (accepted, _) = listener.accept().await.expect("a client");
        client.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").await.expect("sent");
        assert!(accept(accepted, &acceptor).await.is_err());
    }
}
