//! Pieces that the tests of several crates share: a client that speaks raw packets, a server that follows a script, and a simulated cluster.
//!
//! All are for tests only, so they panic with a message where a test cannot go on, and they wait with a deadline
//! ([`PATIENCE`]) instead of for ever. Neither decides anything about Pointsman: what is right is the test's business.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a test ends where something is not as it expects"
)]

pub mod answer;

pub mod raw;

pub mod fake;

pub mod random;

pub mod simulator;

use std::time::Duration;

pub use answer::{Answer, Rows};
pub use fake::{Action, FakeServer};
pub use raw::{LoginAs, RawClient};

/// How long anything is waited for before a test fails.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Waits for `work`, and panics with `what` after [`PATIENCE`].
pub async fn within_patience<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| panic!("waited {PATIENCE:?} in vain: {what}"))
}
