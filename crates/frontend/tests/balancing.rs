//! How reads are shared out among replicas of which one is slow.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs, unreachable_pub, reason = "tests")]

mod common;

use std::time::Duration;

use common::{Settings, Setup, scripted, server, usual};
use router::Balance;
use testkit::Action;
use testkit::fake::Call;

const SLOW: &str = "SELECT slow FROM t";

/// A primary and two replicas, of which the first never answers one statement.
async fn setup(balance: Balance) -> Setup {
    let slow = scripted(|call: Call<'_>| if call.sql() == SLOW { vec![Action::Hang] } else { usual("slow", call) });
    let servers = vec![server("primary").await, slow.await, server("other").await];
    Setup::configured(servers, Settings { balance, ..Settings::default() })
}

/// Who answers so many reads of one session.
async fn readers(setup: &Setup, count: usize) -> Vec<String> {
    let mut client = setup.client().await;
    let mut readers = Vec::new();
    for _ in 0..count {
        readers.push(client.query_one("SELECT a FROM t").await.expect_rows().single());
    }
    readers
}

#[tokio::test]
async fn a_slow_replica_is_spared_only_by_least_connections_and_only_while_it_is_busy() {
    for (balance, while_busy) in [(Balance::RoundRobin, ["other", "slow"]), (Balance::LeastConnections, ["other", "other"])] {
        let setup = setup(balance).await;
        let mut waits = setup.client().await;
        let stuck = tokio::spawn(async move { waits.query_one(SLOW).await.expect_rows().single() });
        testkit::within_patience("the statement that hangs", async {
            while !setup.statements(1).iter().any(|sql| sql == SLOW) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
        assert_eq!(readers(&setup, 2).await, while_busy, "{balance:?}");
        // Its client leaves: nothing is under way there any more.
        stuck.abort();
        testkit::within_patience("the slow replica's turn", async {
            while !readers(&setup, 2).await.contains(&"slow".to_owned()) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
    }
}
