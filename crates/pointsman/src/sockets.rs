//! Sockets that listen before this process begins: systemd's (socket activation, `sd_listen_fds(3)`), or a predecessor's (`upgrade`).
//!
//! Each has a name: the key of the configuration whose place it takes. One of any other name, as systemd gives where a unit has none, takes the place of
//! `listen.address`, or of `listen.socket` if it is a Unix socket.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::Path;

use anyhow::bail;
use listenfd::ListenFd;

/// The keys of the configuration that name a place to listen.
pub(crate) const LISTEN_ADDRESS: &str = "listen.address";
pub(crate) const LISTEN_SOCKET: &str = "listen.socket";
pub(crate) const ADMIN_SOCKET: &str = "admin.socket";
pub(crate) const ADMIN_ADDRESS: &str = "admin.address";
pub(crate) const ADMIN_CONSOLE: &str = "admin.console";

const KEYS: [&str; 5] = [LISTEN_ADDRESS, LISTEN_SOCKET, ADMIN_SOCKET, ADMIN_ADDRESS, ADMIN_CONSOLE];

/// What was passed to this process, and is not used yet.
#[derive(Debug)]
pub(crate) struct Sockets {
    tcp: Vec<(String, TcpListener)>,
    unix: Vec<(String, UnixListener)>,
    /// Of a process whose place this one takes.
    is_successor: bool,
}

impl Sockets {
    /// Takes them out of the environment.
    pub(crate) fn inherited(is_successor: bool) -> anyhow::Result<Self> {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let mut passed = ListenFd::from_env();
        let mut sockets = Self { tcp: Vec::new(), unix: Vec::new(), is_successor };
        for index in 0..passed.len() {
            let name = names.next().unwrap_or_default().to_owned();
            if let Ok(Some(listener)) = passed.take_tcp_listener(index) {
                sockets.tcp.push((known(&name, LISTEN_ADDRESS), listener));
            } else if let Ok(Some(listener)) = passed.take_unix_listener(index) {
                sockets.unix.push((known(&name, LISTEN_SOCKET), listener));
            } else {
                bail!("a socket that was passed on ({name:?}) is neither TCP nor a Unix socket, or does not listen");
            }
        }
        Ok(sockets)
    }

    /// The socket in place of one that would be bound to this address. A predecessor's counts only if its address is the configured one: the key may have
    /// changed since.
    pub(crate) fn tcp(&mut self, key: &str, configured: SocketAddr) -> Option<TcpListener> {
        let place = self.tcp.iter().position(|(name, _)| name == key)?;
        let (_, listener) = self.tcp.swap_remove(place);
        let is_same = |address: SocketAddr| configured.port() == 0 || address == configured;
        (!self.is_successor || listener.local_addr().is_ok_and(is_same)).then_some(listener)
    }

    /// The socket in place of one with its file there. It counts only if it is that file's.
    pub(crate) fn unix(&mut self, key: &str, configured: &Path) -> Option<UnixListener> {
        let place = self.unix.iter().position(|(name, _)| name == key)?;
        let (_, listener) = self.unix.swap_remove(place);
        listener.local_addr().is_ok_and(|address| address.as_pathname() == Some(configured)).then_some(listener)
    }

    /// Closes those that no key has asked for, and says so.
    pub(crate) fn close_rest(self) {
        let names = self.tcp.into_iter().map(|(name, _)| name).chain(self.unix.into_iter().map(|(name, _)| name));
        for name in names {
            tracing::warn!(
                name,
                "a socket that was passed on is not used: the configuration does not have this key, or has it once"
            );
        }
    }
}

fn known(name: &str, other: &str) -> String {
    KEYS.into_iter().find(|key| *key == name).unwrap_or(other).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sockets(is_successor: bool, names: &[&str]) -> (Sockets, Vec<SocketAddr>) {
        let bound = |name: &&str| ((*name).to_owned(), TcpListener::bind("127.0.0.1:0").expect("a port"));
        let tcp: Vec<_> = names.iter().map(bound).collect();
        let addresses = tcp.iter().map(|(_, listener)| listener.local_addr().expect("an address")).collect();
        (Sockets { tcp, unix: Vec::new(), is_successor }, addresses)
    }

    #[test]
    fn each_key_gets_its_own_socket_once() {
        let (mut sockets, addresses) = sockets(false, &[ADMIN_ADDRESS, LISTEN_ADDRESS]);
        let any = ([0, 0, 0, 0], 3306).into();
        let mut taken = |key| sockets.tcp(key, any).map(|listener| listener.local_addr().expect("an address"));
        assert_eq!(taken(LISTEN_ADDRESS), Some(addresses[1]));
        assert_eq!(taken(LISTEN_ADDRESS), None);
        assert_eq!(taken(ADMIN_CONSOLE), None);
        assert_eq!(taken(ADMIN_ADDRESS), Some(addresses[0]));
    }

    #[test]
    fn a_predecessors_socket_counts_at_the_configured_address_only() {
        for (configured, expected) in [(0, true), (1, false)] {
            let (mut sockets, _) = sockets(true, &[LISTEN_ADDRESS]);
            assert_eq!(sockets.tcp(LISTEN_ADDRESS, ([127, 0, 0, 1], configured).into()).is_some(), expected);
        }
        let (mut sockets, addresses) = sockets(true, &[LISTEN_ADDRESS]);
        assert!(sockets.tcp(LISTEN_ADDRESS, addresses[0]).is_some());
    }

    #[test]
    fn a_socket_without_a_known_name_is_for_clients() {
        assert_eq!(known("pointsman.socket", LISTEN_ADDRESS), LISTEN_ADDRESS);
        assert_eq!(known("", LISTEN_SOCKET), LISTEN_SOCKET);
        assert_eq!(known(ADMIN_CONSOLE, LISTEN_ADDRESS), ADMIN_CONSOLE);
    }
}
