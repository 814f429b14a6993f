//! Connections of a load balancer: each begins with a PROXY header (`wire::proxy_header`), which says whose it is.
//!
//! From a trusted network the header is demanded, and nothing is sent before it has come. The protocol forbids a receiver to guess whether there is one
//! ("must not try to guess whether the protocol header is present or not"); HAProxy (`accept-proxy`) and Percona Server (`proxy_protocol_networks`) demand
//! it as well. MariaDB greets first and takes the header if there is one. Then a load balancer that was not told to send it would seem to work, and each
//! of its clients could begin with a header of its own and so take any address. A failed-login limit by address also has to know it before the greeting.
//!
//! From all others a header is the malformed login that it always was.

use std::net::SocketAddr;

use net::{Exchange, Link, LinkError};
use tokio::time::timeout;
use wire::{ProxyHeader, proxy_header};

use super::{LARGEST_LOGIN_PACKET, LoginError, tell};
use crate::firewall::contain;
use crate::peer::Peer;
use crate::reply::Refusal;
use crate::worker::Shared;

/// It must say for whom it connects.
pub(crate) fn is_proxy(peer: Peer, shared: &Shared) -> bool {
    matches!(peer, Peer::Tcp(address) if contain(&shared.settings.load().proxy_networks, address.ip()))
}

/// Takes the header off the connection, within the time for a login: where the client is, or this peer if the connection is its own.
pub(crate) async fn proxied_client(mut link: Link, peer: Peer, shared: &Shared) -> Result<(Link, Peer), LoginError> {
    let limits = shared.settings.load().limits.clone();
    let error = match timeout(limits.handshake, receive(&mut link)).await.unwrap_or(Err(LoginError::NoProxyHeader)) {
        Ok(client) => {
            let client = client.map_or(peer, |client| Peer::Tcp(SocketAddr::new(client.ip().to_canonical(), client.port())));
            tracing::debug!(peer = %client, proxy = %peer, "took the client's address from a PROXY header");
            return Ok((link, client));
        }
        Err(error) => error,
    };
    let refusal = match &error {
        LoginError::NoProxyHeader => Refusal::no_proxy_header(),
        LoginError::BadProxyHeader(what) => Refusal::bad_proxy_header(*what),
        _ => return Err(error),
    };
    // Whoever takes Pointsman for a server waits for its greeting, and shows an error in its place.
    let _ = timeout(limits.client_write, tell(Exchange::new(link, LARGEST_LOGIN_PACKET), &refusal)).await;
    Err(error)
}

/// The header, and not one byte more.
async fn receive(link: &mut Link) -> Result<Option<SocketAddr>, LoginError> {
    loop {
        match proxy_header(link.bytes()).map_err(LoginError::BadProxyHeader)? {
            ProxyHeader::Whole { length, client } => {
                link.consume(length);
                return Ok(client);
            }
            ProxyHeader::Incomplete => {}
        }
        if link.fill().await.map_err(LinkError::from)? == 0 {
            return Err(LinkError::Closed.into());
        }
    }
}
