//! Accepting clients that another runtime serves.
//!
//! tokio's listener registers each socket with the runtime that accepts it. Here the sockets go on to a worker's runtime, and would be registered and
//! taken out again in vain: two system calls for each client.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};

use rustix::net::{SocketFlags, acceptfrom_with};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A listening TCP socket.
#[derive(Debug)]
pub struct TcpAcceptor(AsyncFd<TcpListener>);

impl TcpAcceptor {
    /// Takes the socket over. To be called on a tokio runtime. An error says that it cannot be registered there.
    pub fn new(listener: TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe; a listener meets the condition, as it has the same descriptor until it is dropped"
        )]
        AsyncFd::with_interest(listener, Interest::READABLE).map(Self)
    }

    /// Where it listens.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.get_ref().local_addr()
    }

    /// The next client. Its socket does not block, and no runtime knows of it. May be dropped while it waits: no client is lost.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.0.async_io(Interest::READABLE, accept).await
    }
}

impl AsFd for TcpAcceptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let (socket, address) = acceptfrom_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC)?;
    let address = address.and_then(|address| SocketAddr::try_from(address).ok());
    let address = address.ok_or_else(|| io::Error::other("a client without an IP address"))?;
    Ok((socket.into(), address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_client_is_accepted_with_its_address_and_does_not_block() {
        let acceptor = TcpAcceptor::new(TcpListener::bind("127.0.0.1:0").unwrap()).unwrap();
        let address = acceptor.local_addr().unwrap();
        for _ in 0..3 {
            let (client, accepted) = tokio::join!(tokio::net::TcpStream::connect(address), acceptor.accept());
            let (client, (socket, peer)) = (client.unwrap(), accepted.unwrap());
            assert_eq!(client.local_addr().unwrap(), peer);
            assert_eq!(std::io::Read::read(&mut &socket, &mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        }
    }
}
