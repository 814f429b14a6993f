//! Where the admin API listens: sockets of its own, or those that were passed to this process.

use std::net::SocketAddr;

use anyhow::Context as _;
use net::{ListenerHandle, SocketFile};
use tokio::net::{TcpListener, UnixListener};

use crate::config::Admin;
use crate::sockets::{ADMIN_ADDRESS, ADMIN_CONSOLE, ADMIN_SOCKET, Sockets};

/// The permissions of the admin socket: who may open it may do everything.
const MODE: u32 = 0o600;

/// What is bound, and what passes it on, by the keys of the configuration.
pub(crate) struct Bound {
    pub(crate) listeners: admin::Listeners,
    pub(crate) handles: Vec<(&'static str, ListenerHandle)>,
}

/// Binds what the configuration has and nobody has passed. Returns it with what removes the socket's file when that is dropped.
pub(crate) fn bind(config: &Admin, passed: &mut Sockets) -> anyhow::Result<(Bound, Option<impl Send + Sync + use<>>)> {
    let mut handles = Vec::new();
    let (socket, file) = match socket(config, passed)? {
        Some(socket) => {
            handles.push((ADMIN_SOCKET, socket.handle()?));
            let (listener, file) = socket.into_parts();
            (Some::<UnixListener>(listener), Some(file))
        }
        None => (None, None),
    };
    let mut listen = |address: Option<SocketAddr>, key, what: &str| -> anyhow::Result<_> {
        let Some(address) = address else { return Ok(None) };
        let listener = tcp(address, key, passed).with_context(|| format!("{key}: cannot listen on {address}"))?;
        tracing::info!(address = %listener.local_addr()?, "{what} listens");
        handles.push((key, ListenerHandle::new(&listener)?));
        Ok(Some(listener))
    };
    let address = listen(config.address, ADMIN_ADDRESS, "the admin API")?.map(|listener| (listener, config.token.clone()));
    // The configuration has no console without a token.
    let console = listen(config.console, ADMIN_CONSOLE, "the console")?.zip(config.token.clone());
    let listeners = admin::Listeners { socket, address, console, tls: config.tls.clone() };
    Ok((Bound { listeners, handles }, file))
}

fn socket(config: &Admin, passed: &mut Sockets) -> anyhow::Result<Option<SocketFile>> {
    let Some(path) = &config.socket else { return Ok(None) };
    let socket = match passed.unix(ADMIN_SOCKET, path) {
        Some(listener) => SocketFile::adopt(listener, path),
        None => SocketFile::bind(path, MODE),
    };
    Ok(Some(socket.with_context(|| format!("{ADMIN_SOCKET}: cannot listen on {}", path.display()))?))
}

fn tcp(address: SocketAddr, key: &str, passed: &mut Sockets) -> std::io::Result<TcpListener> {
    let listener = match passed.tcp(key, address) {
        Some(listener) => listener,
        // As tokio's own would: a restarted proxy must not wait for the old connections' TIME_WAIT.
        None => std::net::TcpListener::bind(address)?,
    };
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}
