//! What the end-to-end tests have in common: servers in containers, the real binary in front of them, and a harness that removes all of it again,
//! even after a failure.
//!
//! A test file holds one promise of Pointsman. Each of its tests runs once against MySQL and once against MariaDB:
//!
//! ```ignore
//! e2e::suite! { Together: [a_test], Alone: [stops_a_replica], OwnCluster: [kills_the_primary] }
//!
//! async fn a_test(cluster: Arc<Cluster>) {
//!     let proxy = Proxy::start(&cluster).await;
//!     let mut client = proxy.client().await;
//!     ...
//!     proxy.finish().await;
//! }
//! ```
//!
//! Where a statement ran is not asked from the proxy: the servers' general logs say it ([`Cluster::who_ran`]).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::missing_panics_doc,
    reason = "this is test code: whatever is not as it should be ends the test"
)]

pub mod browser;
pub mod clients;
mod cluster;
pub mod collector;
pub mod differential;
pub mod failover;
pub mod http;
mod proxy;
pub mod readers;
mod server;
pub mod suite;
pub mod tls;
mod wait;
pub mod writers;

pub use cluster::{Cluster, Engine, Replication, mariadb_version};
pub use proxy::{Killed, Line, PATIENT, Proxy, Start, binary};
pub use server::Server;
pub use wait::{PATIENCE, eventually, promptly};

pub use mysql_async;

/// What the application logs in as, and its schema; the images' defaults.
pub const APP: &str = "app";
/// The application's schema.
pub const SCHEMA: &str = "guestbook";

/// A new name: for tables, and to find a statement in the servers' logs.
pub fn unique(what: &str) -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("{what}_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}
