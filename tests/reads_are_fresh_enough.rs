//! A read runs on a replica only if its staleness, by our own clock, is within `max_lag`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use e2e::mysql_async::prelude::Queryable as _;
use e2e::mysql_async::{self, Conn, Error};
use e2e::{Cluster, Engine, Proxy, Start, eventually, promptly, unique};

e2e::suite! {
    Alone: [
        a_replica_that_stops_applying_gets_no_reads_until_it_has_caught_up,
        a_replica_that_stops_receiving_gets_no_reads_until_it_has_caught_up,
        a_replica_that_stands_still_with_the_primary_stays_in_use,
        the_primary_answers_when_every_replica_is_stale,
        no_answer_is_older_than_max_lag,
        a_filtered_replica_gets_no_reads,
        a_transaction_of_its_own_keeps_reads_from_a_replica_until_the_primary_has_it,
    ],
    OwnCluster: [
        a_dead_replica_costs_no_read_and_comes_back,
        a_dead_primary_refuses_writes_at_once_while_reads_go_on,
        a_frozen_primary_is_noticed,
        a_diverged_former_primary_gets_no_reads,
    ],
}

const HALF_A_SECOND: &str = "routing.max_lag = '500ms'";

async fn a_replica_that_stops_applying_gets_no_reads_until_it_has_caught_up(cluster: Arc<Cluster>) {
    stale_replica(&cluster, "STOP REPLICA SQL_THREAD", "START REPLICA SQL_THREAD").await;
}

async fn a_replica_that_stops_receiving_gets_no_reads_until_it_has_caught_up(cluster: Arc<Cluster>) {
    stale_replica(&cluster, "STOP REPLICA IO_THREAD", "START REPLICA IO_THREAD").await;
}

async fn stale_replica(cluster: &Cluster, stop: &str, start: &str) {
    let mut proxy = Start::before(cluster).config(HALF_A_SECOND).start().await;
    proxy.expect_finding("replication_broken");
    let counter = Counter::new(cluster).await;
    let mut client = proxy.client().await;
    cluster.replicas()[0].run(stop).await;
    counter.set(&mut client, 1).await;
    proxy.wait_for_reads_on(cluster, &["db3"]).await;

    for _ in 0..10 {
        assert_eq!(counter.read(&mut client).await.unwrap(), 1);
    }
    assert_eq!(counter.who_answered(cluster).await, ["db3"; 10]);

    cluster.replicas()[0].run(start).await;
    proxy.wait_for_reads_on(cluster, &["db2", "db3"]).await;
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

/// Staleness is about what is missing, not about when it was last heard of.
async fn a_replica_that_stands_still_with_the_primary_stays_in_use(cluster: Arc<Cluster>) {
    // Looks are far more frequent, so that a busy machine does not make all replicas stale.
    const MAX_LAG: Duration = Duration::from_secs(2);
    let mut proxy = Start::before(&cluster).config(&format!("routing.max_lag = '{}s'", MAX_LAG.as_secs())).start().await;
    proxy.expect_finding("replication_broken");
    let counter = Counter::new(&cluster).await;
    let mut client = proxy.client().await;
    cluster.replicas()[0].stop_applier().await;
    let since = Instant::now();
    while since.elapsed() < 2 * MAX_LAG {
        counter.read(&mut client).await.unwrap();
    }
    let answered = counter.who_answered(&cluster).await;
    let share = answered.iter().filter(|name| **name == "db2").count();
    assert!(share * 2 >= answered.len() - 1, "db2 answered {share} of {}", answered.len());
    assert!(!answered.contains(&"db1"));
    cluster.replicas()[0].start_applier().await;
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn the_primary_answers_when_every_replica_is_stale(cluster: Arc<Cluster>) {
    let mut proxy = Start::before(&cluster).config(HALF_A_SECOND).start().await;
    proxy.expect_finding("replication_broken");
    let counter = Counter::new(&cluster).await;
    let mut client = proxy.client().await;
    for replica in cluster.replicas() {
        replica.stop_applier().await;
    }
    counter.set(&mut client, 1).await;
    proxy.wait_for_reads_on(&cluster, &["db1"]).await;
    assert_eq!(counter.read(&mut client).await.unwrap(), 1);
    assert_eq!(counter.who_answered(&cluster).await, ["db1"]);
    for replica in cluster.replicas() {
        replica.start_applier().await;
    }
    proxy.wait_for_reads_on(&cluster, &["db2", "db3"]).await;
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

/// The promise itself, measured: while a replica stops and goes on, no answer misses what was committed `max_lag` before.
async fn no_answer_is_older_than_max_lag(cluster: Arc<Cluster>) {
    const MAX_LAG: Duration = Duration::from_millis(500);
    let mut proxy = Start::before(&cluster).config(HALF_A_SECOND).start().await;
    proxy.expect_finding("replication_broken");
    let counter = Arc::new(Counter::new(&cluster).await);
    let is_over = Arc::new(AtomicBool::new(false));

    let writer = tokio::spawn({
        let (counter, is_over, mut client) = (Arc::clone(&counter), Arc::clone(&is_over), proxy.client().await);
        async move {
            let mut committed = vec![Instant::now()];
            while !is_over.load(Ordering::Relaxed) {
                counter.set(&mut client, committed.len()).await;
                committed.push(Instant::now());
            }
            client.disconnect().await.unwrap();
            committed
        }
    });
    let reader = tokio::spawn({
        let (counter, is_over, mut client) = (Arc::clone(&counter), Arc::clone(&is_over), proxy.client().await);
        async move {
            let mut answers = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                let asked = Instant::now();
                answers.push((asked, counter.read(&mut client).await.unwrap()));
            }
            client.disconnect().await.unwrap();
            answers
        }
    });
    // Long enough that the replica falls behind by more than `max_lag`, with reads before, meanwhile and afterwards.
    cluster.replicas()[0].stop_applier().await;
    proxy.wait_for_reads_on(&cluster, &["db3"]).await;
    tokio::time::sleep(2 * MAX_LAG).await;
    cluster.replicas()[0].start_applier().await;
    proxy.wait_for_reads_on(&cluster, &["db2", "db3"]).await;
    is_over.store(true, Ordering::Relaxed);

    let committed = promptly("the writer", writer).await.unwrap();
    let answers = promptly("the reader", reader).await.unwrap();
    let answered = counter.who_answered(&cluster).await;
    assert!(answered.contains(&"db2") && answered.contains(&"db3"), "only one replica has answered");
    for (asked, seen) in &answers {
        // What was written next was committed at this moment, and the answer does not have it.
        if let Some(next) = committed.get(seen + 1) {
            let missed_for = asked.saturating_duration_since(*next);
            assert!(
                missed_for <= MAX_LAG,
                "an answer was {missed_for:?} behind, {} writes of {}",
                committed.len() - 1 - seen,
                committed.len()
            );
        }
    }
    proxy.finish().await;
}

async fn a_dead_replica_costs_no_read_and_comes_back(cluster: Arc<Cluster>) {
    let mut proxy = Proxy::start(&cluster).await;
    proxy.expect_in_log("server is down");
    proxy.expect_loss_of_connections();
    let counter = Counter::new(&cluster).await;
    let mut client = proxy.client().await;
    counter.read(&mut client).await.unwrap();
    counter.read(&mut client).await.unwrap();

    let is_over = Arc::new(AtomicBool::new(false));
    let mut loops = Vec::new();
    for _ in 0..4 {
        let (counter, is_over, mut client) = (counter.clone(), Arc::clone(&is_over), proxy.client().await);
        loops.push(tokio::spawn(async move {
            while !is_over.load(Ordering::Relaxed) {
                counter.read(&mut client).await.expect("a read survives the death of a replica");
            }
            client.disconnect().await.unwrap();
        }));
    }
    cluster.replicas()[0].kill().await;
    for _ in 0..10 {
        // Also on a session that is idle meanwhile, and on a new one.
        counter.read(&mut client).await.expect("a read survives the death of a replica");
        let mut new = proxy.client().await;
        counter.read(&mut new).await.expect("a new session finds the other replica");
        new.disconnect().await.unwrap();
    }
    is_over.store(true, Ordering::Relaxed);
    for reading in loops {
        promptly("the readers", reading).await.unwrap();
    }

    cluster.replicas()[0].start().await;
    proxy.wait_for_reads_on(&cluster, &["db2", "db3"]).await;
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn a_dead_primary_refuses_writes_at_once_while_reads_go_on(cluster: Arc<Cluster>) {
    let mut proxy = Start::before(&cluster).config("routing.hold_writes = '0s'").start().await;
    proxy.expect_loss_of_the_primary();
    let counter = Counter::new(&cluster).await;
    let mut client = proxy.client().await;
    counter.set(&mut client, 7).await;
    cluster.wait_for_replicas().await;
    cluster.primary().kill().await;

    // The session that was connected to the primary has lost nothing but that, so it goes on after an error.
    let mut new = proxy.client().await;
    await_refusal(&mut new, &counter).await;
    for client in [&mut client, &mut new] {
        let asked = Instant::now();
        let refused = counter.try_set(client, 8).await.expect_err("there is no primary");
        // No waiting for another primary, which would be 10 s.
        assert!(asked.elapsed() < Duration::from_secs(5), "the refusal took {:?}", asked.elapsed());
        assert_refused_for_lack_of_a_primary(&refused);
        assert_eq!(counter.read(client).await.unwrap(), 7);
    }

    cluster.primary().start().await;
    eventually("writes after the primary's return", async || counter.try_set(&mut new, 9).await.ok()).await;
    proxy.wait_for_reads_on(&cluster, &["db2", "db3"]).await;
    cluster.wait_for_replicas().await;
    assert_eq!(counter.read(&mut client).await.unwrap(), 9);
    client.disconnect().await.unwrap();
    new.disconnect().await.unwrap();
    proxy.finish().await;
}

/// It accepts connections and answers nothing, which is how a machine dies that swaps itself to death.
async fn a_frozen_primary_is_noticed(cluster: Arc<Cluster>) {
    let quick = "monitor = { connect_timeout = '500ms', query_timeout = '300ms' }\ntimeouts.connect = '500ms'\nrouting.hold_writes = '0s'";
    let mut proxy = Start::before(&cluster).config(quick).start().await;
    // A busy machine may need longer than such a quick first look.
    proxy.expect_in_log("no primary was found");
    proxy.expect_loss_of_the_primary();
    let counter = Counter::new(&cluster).await;
    cluster.wait_for_replicas().await;
    cluster.primary().freeze().await;
    let mut client = proxy.client().await;
    await_refusal(&mut client, &counter).await;
    for _ in 0..4 {
        assert_eq!(promptly("a read", counter.read(&mut client)).await.unwrap(), 0);
    }
    cluster.primary().thaw().await;
    eventually("writes after the primary's return", async || counter.try_set(&mut client, 1).await.ok()).await;
    proxy.wait_for_reads_on(&cluster, &["db2", "db3"]).await;
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

/// Until the monitor has noticed, the error may be another one.
async fn await_refusal(client: &mut Conn, counter: &Counter) {
    eventually("a refusal of writes", async || match counter.try_set(client, 8).await {
        Ok(()) => panic!("a write was acknowledged without a primary"),
        Err(Error::Server(error)) if error.code == 1290 => Some(()),
        Err(_) => None,
    })
    .await;
}

#[track_caller]
fn assert_refused_for_lack_of_a_primary(error: &Error) {
    match error {
        Error::Server(error) => {
            assert_eq!(error.code, 1290, "{error}");
            assert!(error.message.starts_with("pointsman: no primary is available"), "{error}");
        }
        other => panic!("not a server's error: {other}"),
    }
}

/// A table with one number, which begins at 0.
#[derive(Clone)]
struct Counter {
    table: String,
}

impl Counter {
    async fn new(cluster: &Cluster) -> Self {
        let table = unique("counter");
        cluster.prepare(format!("CREATE TABLE guestbook.{table} (n INT); INSERT INTO guestbook.{table} VALUES (0)")).await;
        Self { table }
    }

    async fn set(&self, client: &mut Conn, to: usize) {
        self.try_set(client, to).await.unwrap();
    }

    async fn try_set(&self, client: &mut Conn, to: usize) -> mysql_async::Result<()> {
        promptly("an answer to a write", client.query_drop(format!("UPDATE {} SET n = {to}", self.table))).await
    }

    async fn read(&self, client: &mut Conn) -> mysql_async::Result<usize> {
        let read = promptly("an answer to a read", client.query_first(format!("SELECT n FROM {}", self.table))).await;
        Ok(read?.expect("a row"))
    }

    async fn who_answered<'c>(&self, cluster: &'c Cluster) -> Vec<&'c str> {
        cluster.who_ran(&format!("SELECT n FROM {}", self.table)).await
    }
}

/// The worst result of a manual repair: the former primary becomes a replica although it has transactions that no other server received. It
/// replicates without an error, and its position looks as far as any other.
async fn a_diverged_former_primary_gets_no_reads(cluster: Arc<Cluster>) {
    let mut proxy = Proxy::start(&cluster).await;
    proxy.expect_loss_of_the_primary();
    proxy.expect_in_log("no primary: every server that answers is read-only");
    proxy.expect_in_log("has transactions that the primary does not have");
    proxy.expect_finding("former_primary_diverged");
    proxy.expect_finding("errant_replica");
    let (counter, lost) = (Counter::new(&cluster).await, Counter::new(&cluster).await);
    let [former, promoted, other] = [&cluster.servers[0], &cluster.servers[1], &cluster.servers[2]];

    // No replica receives these.
    for replica in [promoted, other] {
        replica.run("STOP REPLICA").await;
    }
    for n in 1..=30 {
        former.run(format!("UPDATE guestbook.{} SET n = {n}", lost.table)).await;
    }
    former.run(set_read_only(cluster.engine, true)).await;
    // Otherwise it may see the new primary first, and would rightly complain of two.
    proxy.await_line("there is no primary to write to").await;
    let forget = if cluster.engine == Engine::MySql { "RESET REPLICA ALL" } else { "RESET SLAVE ALL" };
    promoted.run(format!("{forget}; {}", set_read_only(cluster.engine, false))).await;
    promoted.run(format!("UPDATE guestbook.{} SET n = 1000", counter.table)).await;
    other.run(cluster.follow_sql(promoted)).await;
    let mut client = proxy.client().await;
    eventually("writes to the new primary", async || counter.try_set(&mut client, 1001).await.ok()).await;
    proxy.wait_for_reads_on(&cluster, &["db3"]).await;

    let from = match cluster.engine {
        Engine::MySql => String::new(),
        // As if it had only what the new primary has, which is what a human would set to make replication start.
        Engine::MariaDb => {
            let had = promoted.rows::<String>("SELECT @@global.gtid_slave_pos", ()).await.remove(0);
            format!("SET GLOBAL gtid_strict_mode = OFF; SET GLOBAL gtid_slave_pos = '{had}'; ")
        }
    };
    former.run(format!("{from}{}", cluster.follow_sql(promoted))).await;
    let mark = format!("SELECT n FROM guestbook.{}", counter.table);
    eventually("the former primary to replicate", async || (former.rows::<u32>(&mark, ()).await == [1001]).then_some(())).await;
    let warning = "db1 has transactions that the primary does not have";
    eventually("the warning", async || proxy.log().iter().any(|line| line.text.contains(warning)).then_some(())).await;
    for _ in 0..20 {
        assert_eq!(counter.read(&mut client).await.unwrap(), 1001);
    }
    assert!(!counter.who_answered(&cluster).await.contains(&"db1"));
    let log = proxy.log();
    let lines = |text: &str| log.iter().filter(|line| line.text.contains(text)).count();
    assert_eq!((lines("db2 has transactions"), lines("db3 has transactions")), (0, 0), "the others share the primary's history");
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn a_transaction_of_its_own_keeps_reads_from_a_replica_until_the_primary_has_it(cluster: Arc<Cluster>) {
    if cluster.engine == Engine::MariaDb {
        // What is written on a replica is in its own log under its own number, which says nothing about the order.
        return;
    }
    let mut proxy = Proxy::start(&cluster).await;
    proxy.expect_in_log("has transactions that the primary does not have");
    proxy.expect_finding("errant_replica");
    let replica = &cluster.replicas()[0];
    replica
        .run("SET GLOBAL super_read_only = OFF; CREATE DATABASE own; DROP DATABASE own; SET GLOBAL super_read_only = ON")
        .await;
    proxy.wait_for_reads_on(&cluster, &["db3"]).await;
    // The cure for what does no harm: the primary is given empty transactions of the same names.
    let uuid = replica.rows::<String>("SELECT @@server_uuid", ()).await.remove(0);
    for number in 1..=2 {
        let next = format!("SET gtid_next = '{uuid}:{number}'; BEGIN; COMMIT; SET gtid_next = AUTOMATIC");
        cluster.primary().run(next).await;
    }
    proxy.wait_for_reads_on(&cluster, &["db2", "db3"]).await;
    proxy.finish().await;
}

async fn a_filtered_replica_gets_no_reads(cluster: Arc<Cluster>) {
    let mut proxy = Proxy::start(&cluster).await;
    proxy.expect_in_log("does not get everything that the primary writes");
    // A look may fall between the stop and the start of its applier.
    proxy.expect_finding("replication_broken");
    let replica = &cluster.replicas()[0];
    let set = |schema: &str| match cluster.engine {
        Engine::MySql => {
            let list = if schema.is_empty() { "()".to_owned() } else { format!("({schema})") };
            format!("STOP REPLICA SQL_THREAD; CHANGE REPLICATION FILTER REPLICATE_IGNORE_DB = {list}; START REPLICA SQL_THREAD")
        }
        Engine::MariaDb => format!("STOP SLAVE; SET GLOBAL replicate_ignore_db = '{schema}'; START SLAVE"),
    };
    replica.run(set("elsewhere")).await;
    proxy.wait_for_reads_on(&cluster, &["db3"]).await;
    replica.run(set("")).await;
    proxy.wait_for_reads_on(&cluster, &["db2", "db3"]).await;
    // Schemas of the server itself are no application's data.
    replica.run(set("mysql")).await;
    proxy.wait_for_reads_on(&cluster, &["db2", "db3"]).await;
    replica.run(set("")).await;
    proxy.finish().await;
}

fn set_read_only(engine: Engine, on: bool) -> String {
    match engine {
        Engine::MySql if on => "SET GLOBAL super_read_only = ON".to_owned(),
        _ => format!("SET GLOBAL read_only = {}", if on { "ON" } else { "OFF" }),
    }
}
