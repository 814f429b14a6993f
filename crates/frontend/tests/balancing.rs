//! How reads are shared out among replicas of which one is slow.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs, unreachable_pub, reason = "tests")]

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::{Settings, Setup, scripted, server, usual};
use router::Balance;
use testkit::fake::Call;
use testkit::{Action, Answer};
use topology::ServerId;

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

#[tokio::test]
async fn a_read_that_a_replica_cannot_answer_since_it_is_not_well_is_answered_by_another() {
    // Disk full, out of memory, a temporary file that cannot be written.
    for code in [1021, 1041, 3] {
        let unwell = scripted(move |call: Call<'_>| match usual("unwell", call) {
            _ if call.sql().starts_with("SELECT") => vec![Action::Answer(Answer::err(code, *b"HY000", "no room"))],
            answer => answer,
        });
        let servers = vec![server("primary").await, unwell.await, server("other").await];
        let setup = Setup::configured(servers, Settings::default());
        assert_eq!(readers(&setup, 50).await, ["other"; 50], "{code}");
        assert_eq!(setup.running.overview().totals().ejections, [((ServerId(1), "failures"), 1)], "{code}");
    }
}

#[tokio::test]
async fn an_error_that_is_the_statements_fault_reaches_the_client_and_ejects_nobody() {
    let faulty = || {
        scripted(|call: Call<'_>| match usual("faulty", call) {
            _ if call.sql().starts_with("SELECT a") => vec![Action::Answer(Answer::err(1146, *b"42S02", "no such table"))],
            answer => answer,
        })
    };
    let setup = Setup::configured(vec![server("primary").await, faulty().await, faulty().await], Settings::default());
    let mut client = setup.client().await;
    for _ in 0..50 {
        assert_eq!(client.query_one("SELECT a FROM t").await.expect_err().code, 1146);
    }
    assert_eq!(setup.running.overview().totals().ejections, []);
}

#[tokio::test]
async fn a_replica_that_fails_at_every_second_statement_is_left_alone() {
    let count = AtomicUsize::new(0);
    let broken = scripted(move |call: Call<'_>| match usual("broken", call) {
        _ if call.sql().starts_with("SELECT") && count.fetch_add(1, Ordering::Relaxed) % 2 == 1 => vec![Action::Close],
        answer => answer,
    });
    let servers = vec![server("primary").await, broken.await, server("other").await];
    let setup = Setup::configured(servers, Settings { balance: Balance::RoundRobin, ..Settings::default() });
    let all = readers(&setup, 200).await;
    assert!(!all.contains(&"primary".to_owned()), "{all:?}");
    assert_eq!(all[150..], ["other"; 50].map(str::to_owned));
    let overview = setup.running.overview();
    assert_eq!(overview.totals().ejections, [((ServerId(1), "errors"), 1)]);
    assert_eq!(overview.pools().iter().map(|pool| pool.ejected_by).collect::<Vec<_>>(), [0, 1, 0]);
    let ejections = overview.ejections();
    assert_eq!(ejections.iter().map(|line| line.count).collect::<Vec<_>>(), [0, 1, 0]);
    let present = ejections.iter().map(|line| line.present.as_ref().map(|present| (&*present.reasons, present.workers)));
    assert_eq!(present.collect::<Vec<_>>(), [None, Some((&["errors"][..], 1)), None]);
    let rows = setup.client().await.query_one("EXPLAIN ROUTE SELECT a FROM t").await.expect_rows().rows;
    let reasons: Vec<_> = rows.iter().filter_map(|row| row[3].as_deref().map(String::from_utf8_lossy)).collect();
    assert!(reasons.iter().any(|why| why.contains("statements have failed; this worker gives it no reads")), "{reasons:?}");
}
