//! Accepting clients, and choosing the worker that serves each.
//!
//! The acceptor runs on the first worker's runtime, and that worker serves a client itself unless another one has noticeably fewer: waking another thread
//! costs a fourth of a login. A thread of the acceptor's own was measured, and costs that for every client.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use std::{io, iter};

use net::{SocketFile, TcpAcceptor};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};

use crate::admission::turn_away;
use crate::peer::Peer;
use crate::worker::{Accepted, Shared, Worker};

/// Accepted clients that wait for their worker at most; then accepting pauses.
const WAITING: usize = 256;

/// After a failed accept (no file descriptors left), so that the acceptor does not spin.
const PAUSE: Duration = Duration::from_millis(50);

/// A worker may have this fraction of its sessions more than another one.
const UNEVENNESS: usize = 16;

/// The sockets that listen, and those who serve who comes.
pub(crate) struct Acceptor {
    tcp: TcpAcceptor,
    unix: Option<SocketFile>,
    workers: Workers,
    /// Dropped once nobody listens any more.
    _listening: oneshot::Sender<Infallible>,
}

/// Who serves the clients.
pub(crate) struct Workers {
    /// On the runtime of the acceptor.
    own: Arc<Worker>,
    others: Vec<(Arc<Worker>, mpsc::Sender<Client>)>,
}

/// A client on its way to its worker.
pub(crate) type Client = (Accepted, Peer);

impl Acceptor {
    /// What ends when it has stopped listening comes with it.
    pub(crate) fn new(tcp: TcpAcceptor, unix: Option<SocketFile>, workers: Workers) -> (Self, oneshot::Receiver<Infallible>) {
        let (listening, ended) = oneshot::channel();
        (Self { tcp, unix, workers, _listening: listening }, ended)
    }

    fn shared(&self) -> &Shared {
        &self.workers.own.shared
    }

    /// Accepts clients until no more are wanted.
    pub(crate) async fn run(self) {
        tokio::select! {
            () = self.accept() => {}
            () = self.shared().closed.cancelled() => {}
        }
    }

    async fn accept(&self) {
        loop {
            let accepted = tokio::select! {
                accepted = self.tcp.accept() => accepted.map(|(stream, peer)| (Accepted::Tcp(stream), Peer::Tcp(peer))),
                accepted = self.accept_local() => accepted.and_then(from_local),
            };
            match accepted {
                Ok((stream, peer)) => {
                    if let Some(stream) = turn_away(stream, peer, self.shared()) {
                        self.workers.give((stream, peer)).await;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a client");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// The next client at the Unix socket; never, if there is none.
    async fn accept_local(&self) -> io::Result<UnixStream> {
        match &self.unix {
            Some(socket) => socket.listener.accept().await.map(|(stream, _)| stream),
            None => std::future::pending().await,
        }
    }
}

fn from_local(stream: UnixStream) -> io::Result<Client> {
    let uid = stream.peer_cred()?.uid();
    Ok((Accepted::Unix(stream.into_std()?), Peer::Local { uid }))
}

impl Workers {
    /// The acceptor's own, to begin with.
    pub(crate) fn new(own: Arc<Worker>) -> Self {
        Self { own, others: Vec::new() }
    }

    /// One more, with the clients that it will get.
    pub(crate) fn add(&mut self, worker: Arc<Worker>) -> mpsc::Receiver<Client> {
        let (sender, receiver) = mpsc::channel(WAITING);
        self.others.push((worker, sender));
        receiver
    }

    /// All of them.
    pub(crate) fn all(&self) -> Arc<[Arc<Worker>]> {
        iter::once(&self.own).chain(self.others.iter().map(|(worker, _)| worker)).map(Arc::clone).collect()
    }

    /// Seats the client before its worker hears of it, so that a burst is spread and cannot slip past the limit.
    async fn give(&self, client: Client) {
        let present = self.others.iter().filter(|(_, sender)| !sender.is_closed());
        let least_busy = present.min_by_key(|(worker, _)| worker.load());
        match least_busy.filter(|(worker, _)| is_uneven(self.own.load(), worker.load())) {
            None => {
                self.own.seat();
                self.own.adopt(client);
            }
            Some((worker, sender)) => {
                worker.seat();
                // It fails only if the worker's thread has just ended.
                let _ = sender.send(client).await;
            }
        }
    }
}

/// Whether a worker has noticeably more sessions than another.
fn is_uneven(own: usize, other: usize) -> bool {
    own.saturating_sub(other) > other / UNEVENNESS
}

#[cfg(test)]
mod tests {
    use super::is_uneven;

    #[test]
    fn few_sessions_are_spread_evenly_and_many_nearly() {
        assert!(!is_uneven(0, 0) && is_uneven(1, 0) && !is_uneven(15, 15) && is_uneven(16, 15));
        assert!(!is_uneven(17, 16) && is_uneven(18, 16));
        assert!(!is_uneven(1062, 1000) && is_uneven(1063, 1000));
        assert!(!is_uneven(0, 1000));
    }
}
