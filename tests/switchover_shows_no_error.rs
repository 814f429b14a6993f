//! A planned change of the primary costs clients a pause at a transaction boundary, and no error; what cannot be done is refused or undone,
//! and says why.

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

use e2e::failover::AUTOMATIC;
use e2e::mysql_async::prelude::Queryable as _;
use e2e::mysql_async::{Conn, Error};
use e2e::writers::Load;
use e2e::{Cluster, Proxy, SCHEMA, Start, eventually, unique};

e2e::suite! {
    OwnLosslessCluster: [
        clients_see_a_pause_and_no_error,
        an_open_transaction_gets_time_to_end,
        what_cannot_be_done_is_refused,
        a_switchover_that_cannot_be_finished_is_undone,
    ],
}

/// What the log may say when a person asks for another primary; and where the machine is so busy that servers do not answer in time.
const EXPECTED: [&str; 5] = [
    "the primary is about to be replaced",
    "a new primary takes writes",
    "may be lost, nothing is done yet",
    "a step failed",
    "no server answers",
];

/// As many as it takes for a p99 that is the worst of them.
const SWITCHOVERS: usize = 10;

async fn start(cluster: &Cluster) -> Proxy {
    Start::before(cluster).config(AUTOMATIC).start().await
}

async fn switch(proxy: &Proxy, to: &str) {
    ask_until_done(proxy, &["switchover", "--to", to]).await;
}

/// A server that has just become a replica may be behind for a moment on a busy machine: then the switchover is refused, and asked for again.
async fn ask_until_done(proxy: &Proxy, command: &[&str]) {
    eventually("a switchover", async || {
        let (is_done, said) = proxy.ask(command).await;
        assert!(is_done || said.contains(BEHIND), "{said}");
        is_done.then_some(())
    })
    .await;
}

const BEHIND: &str = " s behind";

async fn clients_see_a_pause_and_no_error(cluster: Arc<Cluster>) {
    // However long the pause is on a busy machine, no write is refused for it, and no server is taken for silent.
    let patient = format!("{AUTOMATIC}\nrouting.hold_writes = '1m'\nmonitor.silence = '20s'\nmonitor.query_timeout = '20s'");
    let proxy = Start::before(&cluster).config(&patient).start().await;
    let mut load = Load::start(&cluster, &proxy, 4, 2).await;
    load.add_transactions(&proxy, 2);
    let mut pauses = Vec::new();
    for turn in 0..SWITCHOVERS {
        let old = cluster.present_primary(&proxy).await;
        let begun = Instant::now();
        // Sometimes back to the former primary, sometimes to the best candidate.
        let next = cluster.servers.iter().find(|server| server.name != old.name).expect("another server");
        let mut command = vec!["switchover", "--drain", "20s", "--limit", "20s"];
        if turn % 2 == 0 {
            command.extend(["--to", &next.name]);
        }
        ask_until_done(&proxy, &command).await;
        load.progress(50).await;
        pauses.push(load.gap_after(begun));
        let primary = cluster.present_primary(&proxy).await;
        assert_ne!(primary.name, old.name);
        cluster.wait_until_all_are_seen_to_follow(&proxy, primary).await;
    }
    pauses.sort();
    eprintln!("pauses: p50 {:?}, p99 {:?}", pauses[SWITCHOVERS / 2], pauses[SWITCHOVERS - 1]);
    let primary = cluster.present_primary(&proxy).await;
    load.finish(primary).await.check_nothing_seen();
    proxy.finish_with(&[&EXPECTED[..], &[BEHIND]].concat()).await;
}

async fn table(cluster: &Cluster) -> String {
    let table = unique("t");
    cluster.prepare(format!("CREATE TABLE {SCHEMA}.{table} (id INT PRIMARY KEY)")).await;
    table
}

async fn begin(client: &mut Conn, table: &str, id: u32) {
    client.query_drop("BEGIN").await.unwrap();
    client.query_drop(format!("INSERT INTO {table} VALUES ({id})")).await.unwrap();
}

async fn an_open_transaction_gets_time_to_end(cluster: Arc<Cluster>) {
    let proxy = start(&cluster).await;
    let table = table(&cluster).await;
    let (mut quick, mut slow) = (proxy.client().await, proxy.client().await);

    begin(&mut quick, &table, 1).await;
    let ends_in_time = async {
        await_closing(&proxy).await;
        quick.query_drop(format!("INSERT INTO {table} VALUES (2)")).await.unwrap();
        quick.query_drop("COMMIT").await.unwrap();
    };
    tokio::join!(switch(&proxy, "db2"), ends_in_time);
    let (old, new) = (cluster.server("db1"), cluster.server("db2"));
    cluster.wait_until_all_are_seen_to_follow(&proxy, new).await;
    assert_eq!(new.rows::<u32>(format!("SELECT id FROM {SCHEMA}.{table} ORDER BY id"), ()).await, [1, 2]);

    // The other one does nothing until it is too late, and is told so at the next statement; then it goes on.
    begin(&mut slow, &table, 3).await;
    let begun = Instant::now();
    switch(&proxy, "db1").await;
    eprintln!("a transaction that did not end held the switchover up for {:?}", begun.elapsed());
    let Err(Error::Server(error)) = slow.query_drop(format!("INSERT INTO {table} VALUES (4)")).await else {
        panic!("the transaction has outlived its server")
    };
    assert_eq!((error.code, &*error.state), (1213, "40001"), "{error}");
    begin(&mut slow, &table, 5).await;
    slow.query_drop("COMMIT").await.unwrap();
    cluster.wait_until_all_follow(old).await;
    assert_eq!(old.rows::<u32>(format!("SELECT id FROM {SCHEMA}.{table} ORDER BY id"), ()).await, [1, 2, 5]);
    slow.disconnect().await.unwrap();
    quick.disconnect().await.unwrap();
    proxy.finish_with(&[&EXPECTED[..], &[BEHIND]].concat()).await;
}

/// Waits until new transactions have to wait.
async fn await_closing(proxy: &Proxy) {
    eventually("the begin of a switchover", async || {
        let log = proxy.log();
        log.iter().any(|line| line.fields["finding"] == "switching_over").then_some(())
    })
    .await;
}

async fn what_cannot_be_done_is_refused(cluster: Arc<Cluster>) {
    let mut proxy = start(&cluster).await;
    proxy.expect_finding("replication_broken");
    proxy.expect_finding("refused");
    let table = table(&cluster).await;
    let refused = async |to: &str, why: &str| {
        let (is_done, said) = proxy.ask(&["switchover", "--to", to]).await;
        assert!(!is_done && said.contains(why), "{said}");
    };
    refused("db7", "no server has the name \"db7\"").await;
    cluster.server("db3").stop_applier().await;
    proxy.await_finding("replication_broken").await;
    refused("db3", "the replication of db3 does not run").await;
    cluster.server("db3").start_applier().await;
    proxy.await_finding("healthy").await;
    let (is_done, said) = proxy.ask(&["switchover", "--to", "db1"]).await;
    assert!(is_done && said == "done: db1 is the primary", "{said}");

    let mut client = proxy.client().await;
    begin(&mut client, &table, 1).await;
    let second = async {
        await_closing(&proxy).await;
        refused("db3", "another change is under way").await;
        client.query_drop("COMMIT").await.unwrap();
    };
    tokio::join!(switch(&proxy, "db2"), second);
    assert_eq!(proxy.primary().await.as_deref(), Some("db2"));
    client.disconnect().await.unwrap();
    proxy.finish_with(&[&EXPECTED[..], &[BEHIND]].concat()).await;
}

/// The next primary cannot apply the rest, as a lock blocks it.
async fn a_switchover_that_cannot_be_finished_is_undone(cluster: Arc<Cluster>) {
    let mut proxy = start(&cluster).await;
    for finding in ["rolling_back", "rolled_back"] {
        proxy.expect_finding(finding);
    }
    proxy.expect_in_log("the primary is not replaced");
    let mut load = Load::start(&cluster, &proxy, 4, 2).await;
    load.add_transactions(&proxy, 2);
    let mut locker = cluster.server("db2").admin().await;
    locker.query_drop("FLUSH TABLES WITH READ LOCK").await.unwrap();
    load.progress(20).await;
    let begun = Instant::now();
    let (is_done, said) = proxy.ask(&["switchover", "--to", "db2"]).await;
    assert!(!is_done && said.contains("db2 could not take over in time") && said.contains("db1 goes on"), "{said}");
    load.progress(50).await;
    eprintln!("no write for {:?} until it was undone", load.gap_after(begun));
    assert_eq!(proxy.primary().await.as_deref(), Some("db1"));
    locker.query_drop("UNLOCK TABLES").await.unwrap();
    locker.disconnect().await.unwrap();
    cluster.wait_until_all_follow(cluster.primary()).await;
    load.finish(cluster.primary()).await.check_nothing_seen();
    proxy.finish_with(&[&EXPECTED[..], &[BEHIND]].concat()).await;
}
