//! Pointsman may be killed at any step, may be down when the primary dies, and may have a twin: there is one primary in the end, and nothing that
//! was acknowledged is lost.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "test code"
)]

use std::sync::Arc;
use std::time::Instant;

use e2e::failover::{AUTOMATIC, EXPECTED};
use e2e::writers::Load;
use e2e::{Cluster, Proxy, Start};

e2e::suite! {
    OwnLosslessCluster: [
        a_failover_goes_on_from_its_first_steps,
        a_failover_goes_on_from_its_last_steps,
        a_switchover_is_finished_or_undone_from_every_step,
        a_primary_that_died_unseen_is_replaced,
        of_two_pointsmen_one_promotes,
    ],
}

async fn start(cluster: &Cluster) -> Proxy {
    Start::before(cluster).config(AUTOMATIC).on_a_lasting_port().start().await
}

async fn a_failover_goes_on_from_its_first_steps(cluster: Arc<Cluster>) {
    interrupt_failovers(&cluster, &["freeze", "detach", "require_acks"]).await;
}

async fn a_failover_goes_on_from_its_last_steps(cluster: Arc<Cluster>) {
    interrupt_failovers(&cluster, &["follow", "open_writes"]).await;
}

/// For each of the steps: kills the primary, kills Pointsman as soon as it has done the step, and starts both again.
async fn interrupt_failovers(cluster: &Cluster, steps: &[&str]) {
    let mut proxy = start(cluster).await;
    let load = Load::start(cluster, &proxy, 4, 2).await;
    for step in steps {
        let old = cluster.present_primary(&proxy).await;
        load.rest().await;
        let lines = proxy.log().len();
        old.kill().await;
        load.go_on();
        let killed = Instant::now();
        proxy.await_step(step, lines).await;
        proxy = proxy.kill(&EXPECTED).await.start_again().await;
        let primary = cluster.next_primary(&proxy, old).await;
        load.progress(50).await;
        eprintln!("interrupted after {step}: no write for {:?}", load.gap_after(killed));
        // What might be taken for a person's work was written down before it was done.
        assert!(proxy.journal().iter().any(|entry| entry["step"] == "freeze"), "the freeze is not in the journal");
        old.start().await;
        cluster.wait_until_all_follow(primary).await;
    }
    let primary = cluster.present_primary(&proxy).await;
    load.finish(primary).await.check_writes();
    proxy.finish_with(&EXPECTED).await;
}

async fn a_switchover_is_finished_or_undone_from_every_step(cluster: Arc<Cluster>) {
    let mut proxy = start(&cluster).await;
    let mut load = Load::start(&cluster, &proxy, 4, 2).await;
    load.add_transactions(&proxy, 2);
    for step in ["await_transactions", "close_writes", "detach", "require_acks", "follow", "open_writes"] {
        let old = cluster.present_primary(&proxy).await;
        let next = cluster.servers.iter().find(|server| server.name != old.name).expect("another server");
        let (begun, lines) = (Instant::now(), proxy.log().len());
        {
            let asked = ["switchover", "--to", &next.name];
            let asking = proxy.ask(&asked);
            tokio::select! {
                biased;
                () = proxy.await_step(step, lines) => {}
                (_, said) = asking => eprintln!("{step}: {said}"),
            }
        }
        proxy = proxy.kill(&EXPECTED).await.start_again().await;
        load.progress(50).await;
        let primary = cluster.present_primary(&proxy).await;
        eprintln!("interrupted after {step}: {} is the primary; no write for {:?}", primary.name, load.gap_after(begun));
        cluster.wait_until_all_are_seen_to_follow(&proxy, primary).await;
    }
    let primary = cluster.present_primary(&proxy).await;
    load.finish(primary).await.check_writes();
    proxy.finish_with(&EXPECTED).await;
}

async fn a_primary_that_died_unseen_is_replaced(cluster: Arc<Cluster>) {
    let proxy = start(&cluster).await;
    let load = Load::start(&cluster, &proxy, 4, 2).await;
    let killed = proxy.kill(&EXPECTED).await;
    let old = cluster.primary();
    old.kill().await;
    let started = Instant::now();
    let mut proxy = killed.start_again().await;
    proxy.expect_in_log("no primary was found");
    let primary = cluster.next_primary(&proxy, old).await;
    load.progress(50).await;
    eprintln!("no write for {:?} after the start", load.gap_after(started));
    old.start().await;
    cluster.wait_until_all_follow_but_diverged(&proxy, primary, old).await;
    load.finish(primary).await.check_writes();
    proxy.finish_with(&EXPECTED).await;
}

async fn of_two_pointsmen_one_promotes(cluster: Arc<Cluster>) {
    let (one, two) = (start(&cluster).await, start(&cluster).await);
    let load = Load::start_through(cluster.primary(), &[&one, &two], 2, 1).await;
    for turn in 1..=3 {
        let old = cluster.present_primary(&one).await;
        load.rest().await;
        old.kill().await;
        load.go_on();
        let killed = Instant::now();
        let primary = cluster.next_primary(&one, old).await;
        assert_eq!(cluster.next_primary(&two, old).await.name, primary.name);
        load.progress(50).await;
        eprintln!("turn {turn}: no write for {:?}", load.gap_after(killed));
        assert_eq!(one.steps("open_writes") + two.steps("open_writes"), turn, "both have promoted");
        assert_eq!(one.steps("detach") + two.steps("detach"), turn, "both have promoted");
        old.start().await;
        cluster.wait_until_all_follow(primary).await;
    }
    let primary = cluster.present_primary(&one).await;
    load.finish(primary).await.check();
    one.finish_with(&EXPECTED).await;
    two.finish_with(&EXPECTED).await;
}
