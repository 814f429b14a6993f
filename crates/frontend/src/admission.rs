//! From an accepted socket to a login: whether the client may come from where it is, and whether there is room for it.
//!
//! Who may not come from a network is turned away by the acceptor, before a worker hears of it. The client of a load balancer is known only after its
//! PROXY header.

use std::io::Write as _;
use std::time::Instant;

use net::Link;
use tokio::time::timeout;

use crate::firewall::Place;
use crate::login::{Subject, is_proxy, proxied_client};
use crate::peer::Peer;
use crate::reply::Refusal;
use crate::worker::{Accepted, Shared};

/// The reason for a closed connection, as metrics name it.
const NETWORK: &str = "network";

/// A client that may begin its login.
pub(crate) struct Admission {
    pub(crate) link: Link,
    pub(crate) peer: Peer,
    /// Among the connections of its address.
    pub(crate) of_address: Place<Subject>,
    /// Among those that have proved nothing yet.
    pub(crate) unproven: Place<()>,
}

/// Closes the connection of a client that may not connect from its address. Returns all others.
pub(crate) fn turn_away(stream: Accepted, peer: Peer, shared: &Shared) -> Option<Accepted> {
    let settings = shared.settings.load();
    let Peer::Tcp(address) = peer else { return Some(stream) };
    if settings.firewall.admits(address.ip()) || is_proxy(peer, shared) {
        return Some(stream);
    }
    if let (true, Accepted::Tcp(mut stream)) = (settings.firewall.tells, stream) {
        // Whoever cannot take a few bytes at once is not told.
        let _ = stream.write(&Refusal::host_not_allowed(&peer.host()).packet(0));
    }
    note(peer, NETWORK, shared);
    None
}

/// Finds room for the client, and its address behind a load balancer. `None`: it was refused, or has left.
pub(crate) async fn admit(link: Link, peer: Peer, shared: &Shared) -> Option<Admission> {
    let settings = shared.settings();
    let limits = &settings.limits;
    if shared.client_count() > limits.client_connections {
        let refusal = Refusal::too_many_connections(limits.client_connections);
        return refuse(link, peer, shared, "client_connections", Some(refusal)).await;
    }
    let Some(unproven) = shared.unproven.enter((), limits.logins) else {
        return refuse(link, peer, shared, "logins", Some(Refusal::too_many_logins(limits.logins))).await;
    };
    let (link, peer) = if is_proxy(peer, shared) {
        match Box::pin(proxied_client(link, peer, shared)).await {
            Ok((link, client)) if !settings.firewall.admits(client.ip()) => {
                let refusal = settings.firewall.tells.then(|| Refusal::host_not_allowed(&client.host()));
                return refuse(link, client, shared, NETWORK, refusal).await;
            }
            Ok(named) => named,
            Err(error) => {
                shared.note_failed_login(peer, &error);
                return None;
            }
        }
    } else {
        (link, peer)
    };
    let Some(of_address) = shared.of_address.enter(peer.into(), limits.address_connections) else {
        let refusal = Refusal::too_many_of_address(limits.address_connections);
        return refuse(link, peer, shared, "address_connections", Some(refusal)).await;
    };
    Some(Admission { link, peer, of_address, unproven })
}

async fn refuse(mut link: Link, peer: Peer, shared: &Shared, reason: &'static str, told: Option<Refusal>) -> Option<Admission> {
    if let Some(refusal) = told {
        let limit = shared.settings.load().limits.client_write;
        let _ = timeout(limit, link.send(&refusal.packet(0))).await;
    }
    link.close().await;
    note(peer, reason, shared);
    None
}

/// Counts a refused connection, and logs it unless many are.
fn note(peer: Peer, reason: &'static str, shared: &Shared) {
    shared.logins.note_failure(reason);
    let admitted = shared.refused_log().admit(Instant::now());
    if let Some(left_out) = admitted {
        tracing::warn!(%peer, reason, left_out, "refused a connection");
    }
}
