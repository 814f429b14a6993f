//! With `routing.transaction_reads = "lazy"` a transaction at READ COMMITTED reads on a replica until it does something else, and nothing else changes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

use std::sync::Arc;

use e2e::mysql_async::prelude::Queryable as _;
use e2e::mysql_async::{Conn, Error, TxOpts};
use e2e::{Cluster, Proxy, SCHEMA, Start, clients, eventually, unique};

e2e::suite! {
    Together: [
        a_transaction_that_only_reads_never_sees_the_primary,
        a_transaction_goes_on_on_the_primary_with_its_first_write,
        a_transaction_that_is_rolled_back_leaves_nothing,
        locks_and_savepoints_are_the_primarys,
        a_transaction_at_another_level_reads_on_the_primary,
        the_next_transaction_reads_what_this_one_wrote,
        a_failed_first_write_leaves_the_transaction_open,
        drivers_without_autocommit_read_on_replicas,
    ],
}

const LAZY: &str = "routing = { transaction_reads = 'lazy' }";
const READ_COMMITTED: &str = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";

/// A proxy, and a table with the row 1.
async fn start(cluster: &Cluster) -> (Proxy, String) {
    let table = unique("t");
    cluster.prepare(format!("CREATE TABLE {SCHEMA}.{table} (a INT PRIMARY KEY); INSERT INTO {SCHEMA}.{table} VALUES (1)")).await;
    (Start::before(cluster).config(LAZY).start().await, table)
}

/// How a session's transactions begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begin {
    /// By `BEGIN`.
    Explicitly,
    /// By the first statement: `autocommit = 0`.
    Implicitly,
}

const BOTH: [Begin; 2] = [Begin::Explicitly, Begin::Implicitly];

async fn client(proxy: &Proxy, begin: Begin) -> Conn {
    let mut client = proxy.client().await;
    client.query_drop(READ_COMMITTED).await.unwrap();
    if begin == Begin::Implicitly {
        client.query_drop("SET autocommit = 0").await.unwrap();
    }
    client
}

async fn begin(client: &mut Conn, how: Begin) {
    if how == Begin::Explicitly {
        client.query_drop("BEGIN").await.unwrap();
    }
}

/// Runs a statement once, and says which servers ran it.
async fn who_runs<'c>(cluster: &'c Cluster, client: &mut Conn, sql: &str) -> Vec<&'c str> {
    let mark = unique("mark");
    client.query_drop(format!("{sql} /* {mark} */")).await.unwrap();
    eventually("the statement in a log", async || {
        let names = cluster.who_ran(&mark).await;
        (!names.is_empty()).then_some(names)
    })
    .await
}

async fn rows(client: &mut Conn, table: &str) -> Vec<u32> {
    client.query(format!("SELECT a FROM {table} ORDER BY a")).await.unwrap()
}

async fn a_transaction_that_only_reads_never_sees_the_primary(cluster: Arc<Cluster>) {
    let (proxy, table) = start(&cluster).await;
    for how in BOTH {
        let mut client = client(&proxy, how).await;
        for end in ["COMMIT", "ROLLBACK"] {
            begin(&mut client, how).await;
            let first = who_runs(&cluster, &mut client, &format!("SELECT * FROM {table}")).await;
            assert_ne!(first, ["db1"], "{how:?}");
            // It stays where it is.
            for _ in 0..3 {
                assert_eq!(who_runs(&cluster, &mut client, &format!("SELECT * FROM {table}")).await, first, "{how:?}");
            }
            assert_eq!(who_runs(&cluster, &mut client, end).await, first, "{how:?}");
        }
        client.disconnect().await.unwrap();
    }
    proxy.finish().await;
}

async fn a_transaction_goes_on_on_the_primary_with_its_first_write(cluster: Arc<Cluster>) {
    let (proxy, table) = start(&cluster).await;
    let mut other = proxy.client().await;
    for (id, how) in (10..).zip(BOTH) {
        let mut client = client(&proxy, how).await;
        begin(&mut client, how).await;
        let read = format!("SELECT * FROM {table}");
        assert_ne!(who_runs(&cluster, &mut client, &read).await, ["db1"], "{how:?}");
        assert_eq!(who_runs(&cluster, &mut client, &format!("INSERT INTO {table} VALUES ({id})")).await, ["db1"]);
        // From here on it is like any other transaction: nobody else sees the write before its end, and it sees it itself.
        assert_eq!(who_runs(&cluster, &mut client, &read).await, ["db1"], "{how:?}");
        assert!(rows(&mut client, &table).await.contains(&id), "{how:?}");
        let seen = other.query_first::<u32, _>(format!("SELECT COUNT(*) FROM {table} WHERE a = {id}")).await.unwrap();
        assert_eq!(seen, Some(0), "{how:?}");
        assert_eq!(who_runs(&cluster, &mut client, "COMMIT").await, ["db1"], "{how:?}");
        assert!(cluster.primary().rows::<u32>(format!("SELECT a FROM {SCHEMA}.{table}"), ()).await.contains(&id));
        client.disconnect().await.unwrap();
    }
    proxy.finish().await;
}

async fn a_transaction_that_is_rolled_back_leaves_nothing(cluster: Arc<Cluster>) {
    let (proxy, table) = start(&cluster).await;
    for (id, how) in (20..).zip(BOTH) {
        let mut client = client(&proxy, how).await;
        begin(&mut client, how).await;
        rows(&mut client, &table).await;
        client.query_drop(format!("INSERT INTO {table} VALUES ({id})")).await.unwrap();
        client.query_drop(format!("UPDATE {table} SET a = a + 100")).await.unwrap();
        client.query_drop("ROLLBACK").await.unwrap();
        // The same where the client leaves.
        begin(&mut client, how).await;
        rows(&mut client, &table).await;
        client.query_drop(format!("INSERT INTO {table} VALUES ({id})")).await.unwrap();
        client.disconnect().await.unwrap();
        eventually("the lock is gone", async || {
            let mut admin = cluster.primary().admin().await;
            admin.query_drop(format!("SELECT a FROM {SCHEMA}.{table} WHERE a = {id} FOR UPDATE NOWAIT")).await.ok()
        })
        .await;
        assert_eq!(cluster.primary().rows::<u32>(format!("SELECT a FROM {SCHEMA}.{table}"), ()).await, [1], "{how:?}");
    }
    proxy.finish().await;
}

async fn locks_and_savepoints_are_the_primarys(cluster: Arc<Cluster>) {
    let (proxy, table) = start(&cluster).await;
    for how in BOTH {
        let mut client = client(&proxy, how).await;
        begin(&mut client, how).await;
        rows(&mut client, &table).await;
        let locking = format!("SELECT a FROM {table} WHERE a = 1 FOR UPDATE");
        assert_eq!(who_runs(&cluster, &mut client, &locking).await, ["db1"], "{how:?}");
        client.query_drop("COMMIT").await.unwrap();

        begin(&mut client, how).await;
        rows(&mut client, &table).await;
        client.query_drop("SAVEPOINT one").await.unwrap();
        client.query_drop(format!("INSERT INTO {table} VALUES (30)")).await.unwrap();
        client.query_drop("ROLLBACK TO SAVEPOINT one").await.unwrap();
        client.query_drop(format!("INSERT INTO {table} VALUES (31)")).await.unwrap();
        client.query_drop("COMMIT").await.unwrap();
        assert_eq!(rows(&mut client, &table).await, [1, 31], "{how:?}");
        client.query_drop(format!("DELETE FROM {table} WHERE a = 31")).await.unwrap();
        client.query_drop("COMMIT").await.unwrap();
        client.disconnect().await.unwrap();
    }
    proxy.finish().await;
}

async fn a_transaction_at_another_level_reads_on_the_primary(cluster: Arc<Cluster>) {
    let (proxy, table) = start(&cluster).await;
    let read = format!("SELECT * FROM {table}");
    let levels = ["REPEATABLE READ", "SERIALIZABLE", "READ UNCOMMITTED"];
    for level in
        levels.map(|level| format!("SET SESSION TRANSACTION ISOLATION LEVEL {level}")).iter().map(String::as_str).chain(["DO 1"])
    {
        let mut client = proxy.client().await;
        client.query_drop(level).await.unwrap();
        client.query_drop("BEGIN").await.unwrap();
        assert_eq!(who_runs(&cluster, &mut client, &read).await, ["db1"], "{level}");
        client.query_drop("COMMIT").await.unwrap();
        client.query_drop("SET autocommit = 0").await.unwrap();
        assert_eq!(who_runs(&cluster, &mut client, &read).await, ["db1"], "{level}");
        client.disconnect().await.unwrap();
    }
    // For the next transaction only.
    let mut client = client(&proxy, Begin::Explicitly).await;
    client.query_drop("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ").await.unwrap();
    client.query_drop("BEGIN").await.unwrap();
    assert_eq!(who_runs(&cluster, &mut client, &read).await, ["db1"]);
    client.query_drop("COMMIT").await.unwrap();
    client.disconnect().await.unwrap();
    // The level changes while the transaction has only read: it cannot be begun as it was any more.
    let mut client = self::client(&proxy, Begin::Explicitly).await;
    client.query_drop("BEGIN").await.unwrap();
    assert_ne!(who_runs(&cluster, &mut client, &read).await, ["db1"]);
    client.query_drop("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ").await.unwrap();
    let Err(Error::Server(error)) = client.query_drop(format!("INSERT INTO {table} VALUES (40)")).await else { panic!("it ran") };
    assert_eq!((error.code, &*error.state), (1213, "40001"));
    assert_eq!(rows(&mut client, &table).await, [1]);
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn the_next_transaction_reads_what_this_one_wrote(cluster: Arc<Cluster>) {
    let (proxy, table) = start(&cluster).await;
    for (base, how) in [(1000, BOTH[0]), (2000, BOTH[1])] {
        let mut client = client(&proxy, how).await;
        for id in base..base + 50 {
            begin(&mut client, how).await;
            let before = rows(&mut client, &table).await;
            assert!(id == base || before.contains(&(id - 1)), "{how:?} {id} {before:?}");
            client.query_drop(format!("INSERT INTO {table} VALUES ({id})")).await.unwrap();
            client.query_drop("COMMIT").await.unwrap();
        }
        client.disconnect().await.unwrap();
    }
    proxy.finish().await;
}

async fn a_failed_first_write_leaves_the_transaction_open(cluster: Arc<Cluster>) {
    let (proxy, table) = start(&cluster).await;
    for (id, how) in (50..).zip(BOTH) {
        let mut client = client(&proxy, how).await;
        begin(&mut client, how).await;
        rows(&mut client, &table).await;
        let Err(Error::Server(error)) = client.query_drop(format!("INSERT INTO {table} VALUES (1)")).await else {
            panic!("a duplicate")
        };
        assert_eq!(error.code, 1062);
        client.query_drop(format!("INSERT INTO {table} VALUES ({id})")).await.unwrap();
        client.query_drop("ROLLBACK").await.unwrap();
        assert_eq!(cluster.primary().rows::<u32>(format!("SELECT a FROM {SCHEMA}.{table}"), ()).await, [1], "{how:?}");
        client.disconnect().await.unwrap();
    }
    // The driver's own transactions.
    let mut client = client(&proxy, Begin::Explicitly).await;
    let mut transaction = client.start_transaction(TxOpts::default()).await.unwrap();
    assert_eq!(transaction.query::<u32, _>(format!("SELECT a FROM {table}")).await.unwrap(), [1]);
    transaction.exec_drop(format!("INSERT INTO {table} VALUES (?)"), (60,)).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(cluster.primary().rows::<u32>(format!("SELECT a FROM {SCHEMA}.{table} ORDER BY a"), ()).await, [1, 60]);
    proxy.finish().await;
}

/// PyMySQL and mysql-connector-python switch autocommit off by default.
async fn drivers_without_autocommit_read_on_replicas(cluster: Arc<Cluster>) {
    let (proxy, table) = start(&cluster).await;
    let said = clients::python("lazy_client.py", &proxy, &table, &[]).await;
    assert_eq!(said.output(), "good\n", "{}", said.errors());
    proxy.finish().await;
}
