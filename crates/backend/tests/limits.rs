//! How many connections each server may have.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs, reason = "tests")]

use std::time::Duration;

use backend::{PoolSettings, PooledServer, Pools, ServerAddress, ServerCompression, ServerTls};
use topology::ServerId;

/// One for all servers, and those of single servers.
fn settings(all: usize, own: &[Option<usize>]) -> PoolSettings {
    let server = |(id, own): (ServerId, &Option<usize>)| PooledServer {
        id,
        address: ServerAddress { host: "127.0.0.1".into(), port: 1 },
        server_connections: *own,
    };
    PoolSettings {
        servers: (0..).map(ServerId).zip(own).map(server).collect(),
        server_connections: all,
        idle_server_connections: all,
        waiting: 0,
        accounts: Vec::new(),
        connect_timeout: Duration::from_secs(1),
        lease_timeout: Duration::from_secs(1),
        idle_timeout: Duration::from_secs(1),
        public_key_retrieval: false,
        tls: ServerTls::OFF,
        compression: ServerCompression::Off,
    }
}

#[test]
fn a_server_may_have_a_bound_of_its_own() {
    let pools = Pools::new(settings(20, &[None, Some(5), Some(50)]));
    let limits = || (0..3).map(|server| pools.limit(ServerId(server))).collect::<Vec<_>>();
    assert_eq!(limits(), [20, 5, 50]);
    // What the server itself takes counts, if it is less: some are for others.
    assert_eq!(pools.server_takes(ServerId(1), 1000), None);
    assert_eq!(pools.server_takes(ServerId(2), 40), Some(35));
    assert_eq!(limits(), [20, 5, 35]);
    pools.reload(settings(10, &[Some(12), None, Some(50)]));
    assert_eq!(limits(), [12, 10, 50]);
}
