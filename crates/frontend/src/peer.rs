//! Who is at the other end of a client's connection.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Where a client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    /// At this address, by its socket or by a load balancer's word.
    Tcp(SocketAddr),
    /// On this machine, at the Unix socket, as this user.
    Local { uid: u32 },
}

impl Peer {
    /// Where it is in the network. `None`: nowhere.
    pub(crate) fn address(self) -> Option<IpAddr> {
        match self {
            Self::Tcp(address) => Some(address.ip()),
            Self::Local { .. } => None,
        }
    }

    /// For rules: who comes by the Unix socket is on this machine.
    pub(crate) fn ip(self) -> IpAddr {
        self.address().unwrap_or(Ipv4Addr::LOCALHOST.into())
    }

    /// For errors. The servers call clients of their sockets so.
    pub(crate) fn host(self) -> String {
        match self {
            Self::Tcp(address) => address.ip().to_string(),
            Self::Local { .. } => "localhost".to_owned(),
        }
    }
}

/// For the log.
impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Local { .. } => f.write_str("socket"),
        }
    }
}
