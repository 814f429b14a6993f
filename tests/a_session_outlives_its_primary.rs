//! When its primary dies or hands over, a session goes on: what had to be lost is told once and truthfully, and what was not lost is there.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "test code"
)]

use std::sync::Arc;

use e2e::failover::{AUTOMATIC, EXPECTED};
use e2e::mysql_async::prelude::Queryable as _;
use e2e::mysql_async::{Conn, Error, ServerError, Statement};
use e2e::{APP, Cluster, Proxy, SCHEMA, Start, eventually, promptly, unique};

e2e::suite! {
    OwnLosslessCluster: [
        the_loss_of_what_was_open_on_a_killed_primary_is_reported,
        a_commit_in_flight_is_never_a_false_ok,
        what_a_session_has_set_outlives_switchover_and_kill,
    ],
}

async fn start(cluster: &Cluster) -> Proxy {
    Start::before(cluster).config(AUTOMATIC).start().await
}

async fn table(cluster: &Cluster) -> String {
    let table = unique("t");
    cluster.prepare(format!("CREATE TABLE {SCHEMA}.{table} (id INT PRIMARY KEY)")).await;
    table
}

async fn ids(server: &e2e::Server, table: &str) -> Vec<u32> {
    server.rows(format!("SELECT id FROM {SCHEMA}.{table} ORDER BY id"), ()).await
}

#[track_caller]
fn told<T: std::fmt::Debug>(outcome: Result<T, Error>) -> ServerError {
    match outcome {
        Err(Error::Server(error)) => error,
        other => panic!("no error of a server: {other:?}"),
    }
}

/// What the session had is lost: its connection was, or it is on another server than the primary.
fn is_lost(error: &ServerError) -> bool {
    matches!(error.code, 1158 | 1053)
        && error.message.contains("temporary tables")
        && error.message.contains("the session goes on")
}

/// A transaction, a temporary table, a session that does nothing, and one that comes only now.
async fn the_loss_of_what_was_open_on_a_killed_primary_is_reported(cluster: Arc<Cluster>) {
    let proxy = start(&cluster).await;
    let table = table(&cluster).await;
    let (mut writer, mut keeper, mut idle) = (proxy.client().await, proxy.client().await, proxy.client().await);
    writer.query_drop("BEGIN").await.unwrap();
    writer.query_drop(format!("INSERT INTO {table} VALUES (1)")).await.unwrap();
    keeper.query_drop(format!("CREATE TEMPORARY TABLE {table} (b INT)")).await.unwrap();
    idle.query_drop(format!("INSERT INTO {table} VALUES (2)")).await.unwrap();

    let old = cluster.primary();
    old.kill().await;
    // No server has taken over yet.
    let mut new = promptly("a login without a primary", Conn::new(proxy.options())).await.expect("a login waits");
    promptly("a write without a primary", new.query_drop(format!("INSERT INTO {table} VALUES (3)")))
        .await
        .expect("a write waits");
    let primary = cluster.next_primary(&proxy, old).await;

    let error = told(writer.query_drop(format!("INSERT INTO {table} VALUES (4)")).await);
    assert_eq!((error.code, &*error.state), (1213, "40001"), "{error}");
    writer.query_drop("BEGIN").await.unwrap();
    writer.query_drop(format!("INSERT INTO {table} VALUES (5)")).await.unwrap();
    writer.query_drop("COMMIT").await.unwrap();

    let error = told(keeper.query_drop(format!("INSERT INTO {table} VALUES (6)")).await);
    assert!(is_lost(&error), "{error}");
    keeper.query_drop(format!("INSERT INTO {table} VALUES (7)")).await.unwrap();
    idle.query_drop(format!("INSERT INTO {table} VALUES (8)")).await.unwrap();
    assert_eq!(ids(primary, &table).await, [2, 3, 5, 7, 8]);
    for client in [writer, keeper, idle, new] {
        client.disconnect().await.unwrap();
    }
    proxy.finish_with(&EXPECTED).await;
}

/// No replica acknowledges it, so it is in progress when the primary dies.
async fn a_commit_in_flight_is_never_a_false_ok(cluster: Arc<Cluster>) {
    let mut proxy = start(&cluster).await;
    for finding in ["replication_broken", "semi_sync_stall"] {
        proxy.expect_finding(finding);
    }
    let table = table(&cluster).await;
    let (mut client, mut autocommit) = (proxy.client().await, proxy.client().await);
    client.query_drop("BEGIN").await.unwrap();
    client.query_drop(format!("INSERT INTO {table} VALUES (1)")).await.unwrap();
    for replica in cluster.replicas() {
        replica.stop_receiving().await;
    }
    let old = cluster.primary();
    let insert = format!("INSERT INTO {table} VALUES (2)");
    let commits = async { tokio::join!(client.query_drop("COMMIT"), autocommit.query_drop(&insert)) };
    let kill = async {
        // In MySQL one of them waits on behalf of all that follow it.
        let waiting = format!(
            "SELECT COALESCE(SUM(state LIKE '%ACK%'), 0) > 0 AND COUNT(*) = 2 FROM information_schema.processlist \
             WHERE user = '{APP}' AND command = 'Query'"
        );
        eventually("two commits that wait", async || (old.rows::<bool>(&*waiting, ()).await == [true]).then_some(())).await;
        old.kill().await;
    };
    let ((commit, insert), ()) = promptly("the end of a commit", async { tokio::join!(commits, kill) }).await;
    for error in [told(commit), told(insert)] {
        assert_eq!(&*error.state, "08007", "{error}");
    }
    let primary = cluster.next_primary(&proxy, old).await;
    client.query_drop(format!("INSERT INTO {table} VALUES (3)")).await.unwrap();
    assert_eq!(ids(primary, &table).await, [3]);
    for client in [client, autocommit] {
        client.disconnect().await.unwrap();
    }
    proxy.finish_with(&EXPECTED).await;
}

/// What a session has that needs no server.
struct Equipped {
    client: Conn,
    statement: Statement,
    table: String,
    next: u32,
}

impl Equipped {
    async fn new(proxy: &Proxy, table: &str) -> Self {
        let mut client = proxy.client().await;
        // What a text is depends on the character set, so that one that is set first would not be known afterwards.
        client.query_drop("SET NAMES latin1").await.unwrap();
        client.query_drop("SET @x = 1, @y = 'two'").await.unwrap();
        client.query_drop("SET time_zone = '+03:00'").await.unwrap();
        client.query_drop(format!("USE {SCHEMA}")).await.unwrap();
        let statement = client.prep(format!("INSERT INTO {table} VALUES (? * @x)")).await.unwrap();
        Self { client, statement, table: table.to_owned(), next: 1 }
    }

    async fn check(&mut self) {
        let what = "SELECT CONCAT_WS(' ', @x, @y, @@time_zone, @@character_set_client, DATABASE())";
        let set = self.client.query_first::<String, _>(what).await.unwrap();
        assert_eq!(set, Some(format!("1 two +03:00 latin1 {SCHEMA}")));
        self.client.exec_drop(&self.statement, (self.next,)).await.unwrap();
        let last = format!("SELECT MAX(id) FROM {} FOR UPDATE", self.table);
        assert_eq!(self.client.query_first::<u32, _>(last).await.unwrap(), Some(self.next));
        self.next += 1;
    }
}

async fn what_a_session_has_set_outlives_switchover_and_kill(cluster: Arc<Cluster>) {
    let proxy = start(&cluster).await;
    let table = table(&cluster).await;
    let mut session = Equipped::new(&proxy, &table).await;
    let mut keeper = proxy.client().await;
    keeper.query_drop(format!("CREATE TEMPORARY TABLE {table}_t (b INT)")).await.unwrap();
    session.check().await;
    let (is_done, said) = proxy.ask(&["switchover", "--to", "db2"]).await;
    assert!(is_done, "{said}");
    let second = cluster.server("db2");
    session.check().await;
    assert_eq!(ids(second, &table).await, [1, 2]);
    cluster.wait_until_all_follow(second).await;

    let error = told(keeper.query_drop(format!("SELECT * FROM {table}_t")).await);
    assert!(is_lost(&error), "{error}");
    keeper.query_drop(format!("CREATE TEMPORARY TABLE {table}_t (b INT)")).await.unwrap();

    second.kill().await;
    session.check().await;
    let third = cluster.next_primary(&proxy, second).await;
    session.check().await;
    assert_eq!(ids(third, &table).await, [1, 2, 3, 4]);
    for client in [session.client, keeper] {
        client.disconnect().await.unwrap();
    }
    proxy.finish_with(&EXPECTED).await;
}
