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
async fn a_replica_with_a_statement_under_way_is_spared_by_those_that_look_at_it() {
    let cases = [
        (Balance::RoundRobin, ["other", "slow"]),
        (Balance::LeastConnections, ["other", "other"]),
        (Balance::Observed, ["other", "other"]),
    ];
    for (balance, while_busy) in cases {
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

/// A primary, and two replicas of which the first closes the connection when it is asked.
async fn with_a_broken_replica() -> Setup {
    let broken = scripted(|call: Call<'_>| match usual("broken", call) {
        _ if call.sql().starts_with("SELECT") => vec![Action::Close],
        answer => answer,
    });
    let servers = vec![server("primary").await, broken.await, server("other").await];
    Setup::configured(servers, Settings::default())
}

#[tokio::test]
async fn a_replica_that_fails_again_and_again_is_left_alone_and_no_client_notices() {
    let setup = with_a_broken_replica().await;
    assert_eq!(readers(&setup, 50).await, ["other"; 50]);
    let asked = setup.statements(1).iter().filter(|sql| sql.starts_with("SELECT")).count();
    assert_eq!(asked, usize::try_from(router::EjectionPolicy::default().failures).unwrap());
    // EXPLAIN ROUTE says why.
    let mut client = setup.client().await;
    let rows = client.query_one("EXPLAIN ROUTE SELECT a FROM t").await.expect_rows().rows;
    let reasons: Vec<_> = rows.iter().filter_map(|row| row[3].as_deref().map(String::from_utf8_lossy)).collect();
    assert!(
        reasons.iter().any(|why| why.starts_with("it has failed 5 times in a row; this worker gives it no reads")),
        "{reasons:?}"
    );
}
