//! Causal reads: what a session has written, it reads, wherever the read runs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "test code"
)]

use std::sync::Arc;
use std::time::Duration;

use e2e::mysql_async::Conn;
use e2e::mysql_async::prelude::Queryable as _;
use e2e::{APP, Cluster, Engine, Proxy, SCHEMA, Start, unique};
use testkit::{Answer, LoginAs, RawClient};
use wire::{COM_RESET_CONNECTION, StateChange};

e2e::suite! {
    Together: [
        every_write_is_read_back_at_once,
        replicas_answer_again_once_the_write_has_arrived,
        replicas_answer_soon_after_a_write,
        what_was_committed_is_reported_to_clients_that_ask_for_it,
    ],
    Alone: [
        a_write_that_never_arrives_keeps_the_session_on_the_primary,
        whatever_ends_a_transaction_makes_its_writes_the_sessions_own,
        an_account_reads_its_own_writes_over_all_its_sessions,
        everybody_reads_the_writes_of_everybody,
    ],
}

async fn new_table(cluster: &Cluster) -> String {
    let table = unique("own");
    cluster.prepare(format!("CREATE TABLE guestbook.{table} (id INT PRIMARY KEY, a INT)")).await;
    cluster.prepare(format!("INSERT INTO guestbook.{table} VALUES (1, 0)")).await;
    cluster.wait_for_replicas().await;
    table
}

async fn every_write_is_read_back_at_once(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let table = new_table(&cluster).await;
    let mut client = proxy.client().await;
    for value in 1..=300 {
        client.query_drop(format!("UPDATE {table} SET a = {value}")).await.unwrap();
        let read: Option<i32> = client.query_first(format!("SELECT a FROM {table}")).await.unwrap();
        assert_eq!(read, Some(value));
    }
    drop(client);
    proxy.finish().await;
}

/// Pointsman asks for it on every connection.
async fn what_was_committed_is_reported_to_clients_that_ask_for_it(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let table = new_table(&cluster).await;
    let ask = match cluster.engine {
        Engine::MySql => "SET session_track_gtids = OWN_GTID",
        Engine::MariaDb => "SET session_track_system_variables = 'last_gtid'",
    };
    let mut client = RawClient::login(proxy.address, &app()).await.unwrap();
    for (value, asks) in [(1, false), (2, true), (3, false)] {
        if asks {
            client.query_one(ask).await.expect_ok();
        } else {
            client.command(&[COM_RESET_CONNECTION]).await.expect_ok();
        }
        let answer = client.query_one(&format!("UPDATE {table} SET a = {value}")).await;
        let Answer::Ok { session_state, .. } = answer else { panic!("{answer:?}") };
        let changes: Vec<_> = wire::state_changes(&session_state).map(Result::unwrap).collect();
        let tells = changes
            .iter()
            .any(|change| matches!(change, StateChange::Gtids(_) | StateChange::SystemVariable { name: wire::LAST_GTID, .. }));
        assert_eq!(tells, asks, "{changes:?}");
    }
    drop(client);
    proxy.finish().await;
}

async fn replicas_answer_again_once_the_write_has_arrived(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let table = new_table(&cluster).await;
    let mut client = proxy.client().await;
    client.query_drop(format!("UPDATE {table} SET a = 5")).await.unwrap();
    let mut looks = 600;
    loop {
        let mark = unique("again");
        let read: Option<i32> = client.query_first(format!("SELECT a FROM {table} WHERE '{mark}' <> ''")).await.unwrap();
        assert_eq!(read, Some(5));
        if !cluster.who_ran(&mark).await.contains(&cluster.primary().name.as_str()) {
            break;
        }
        looks -= 1;
        assert!(looks > 0, "no replica answers any more");
    }
    drop(client);
    proxy.finish().await;
}

/// A replica that is about to have the write is asked to answer once it has, by text and prepared alike. `POINTSMAN_READS=N` for more of them.
async fn replicas_answer_soon_after_a_write(cluster: Arc<Cluster>) {
    let reads: u32 = std::env::var("POINTSMAN_READS").map_or(200, |reads| reads.parse().unwrap());
    // While other tests run in parallel, replicas may take longer than the default.
    let patient = "routing = { causal_wait = '2s', max_lag = '10s' }";
    let proxy = Start::before(&cluster).config(patient).start().await;
    let table = new_table(&cluster).await;
    let mut client = proxy.client().await;
    let mark = unique("soon");
    let prepared = client.prep(format!("SELECT a FROM {table} WHERE '{mark}' <> ''")).await.unwrap();
    for value in 1..=i32::try_from(reads).unwrap() {
        client.query_drop(format!("UPDATE {table} SET a = {value}")).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5 + u64::from(value.unsigned_abs() % 16))).await;
        let read: Option<i32> = if value % 2 == 0 {
            client.exec_first(&prepared, ()).await.unwrap()
        } else {
            client.query_first(format!("SELECT a FROM {table} WHERE '{mark}' <> ''")).await.unwrap()
        };
        assert_eq!(read, Some(value));
    }
    let mut on_replicas = 0;
    for replica in cluster.replicas() {
        on_replicas += replica.ran(&mark).await.iter().filter(|sql| !sql.contains("PREPARE")).count();
    }
    eprintln!("{on_replicas} of {reads} reads 5 to 20 ms after a write ran on replicas");
    assert!(on_replicas * 10 >= usize::try_from(reads).unwrap() * 6, "{on_replicas} of {reads}");
    drop(client);
    proxy.finish().await;
}

async fn a_write_that_never_arrives_keeps_the_session_on_the_primary(cluster: Arc<Cluster>) {
    let mut proxy = Proxy::start(&cluster).await;
    proxy.expect_finding("replication_broken");
    let table = new_table(&cluster).await;
    for replica in cluster.replicas() {
        replica.stop_applier().await;
    }
    let mut client = proxy.client().await;
    client.query_drop(format!("UPDATE {table} SET a = 7")).await.unwrap();
    for _ in 0..50 {
        let read: Option<i32> = client.query_first(format!("SELECT a FROM {table}")).await.unwrap();
        assert_eq!(read, Some(7));
    }
    for replica in cluster.replicas() {
        replica.start_applier().await;
    }
    cluster.wait_for_replicas().await;
    drop(client);
    proxy.finish().await;
}

/// Replicas that apply nothing, and are fresh enough all the same: a read on one of them does not see what is written now.
async fn with_stopped_replicas(cluster: &Cluster, causal_reads: &str) -> Proxy {
    let mut proxy =
        Start::before(cluster).config(&format!("routing = {{ max_lag = '1h', causal_reads = '{causal_reads}' }}")).start().await;
    proxy.expect_finding("replication_broken");
    for replica in cluster.replicas() {
        replica.stop_applier().await;
    }
    proxy
}

async fn start_replicas(cluster: &Cluster) {
    for replica in cluster.replicas() {
        replica.start_applier().await;
    }
    cluster.wait_for_replicas().await;
}

/// Each of these ends a transaction in its own way, many of them in passing (MySQL manual 15.3.3 "Statements That Cause an Implicit Commit").
async fn whatever_ends_a_transaction_makes_its_writes_the_sessions_own(cluster: Arc<Cluster>) {
    let table = new_table(&cluster).await;
    let other = unique("other");
    cluster.prepare(format!("CREATE TABLE guestbook.{other} (a INT)")).await;
    let mut ends = vec![
        "COMMIT".to_owned(),
        "BEGIN".to_owned(),
        "START TRANSACTION READ ONLY".to_owned(),
        "SET autocommit = 1".to_owned(),
        "SET SESSION autocommit = ON, time_zone = '+00:00'".to_owned(),
        format!("CREATE TABLE {other}_new (a INT)"),
        format!("ALTER TABLE {other} ADD b INT"),
        format!("CREATE INDEX i ON {other} (b)"),
        format!("DROP INDEX i ON {other}"),
        format!("RENAME TABLE {other}_new TO {other}_old"),
        format!("TRUNCATE TABLE {other}"),
        format!("CREATE VIEW {other}_view AS SELECT 1"),
        format!("DROP VIEW {other}_view"),
        format!("LOCK TABLES {table} WRITE"),
        format!("ANALYZE TABLE {other}"),
        format!("DROP TABLE {other}_old"),
        format!("CREATE TABLE {table} (a INT)"),
    ];
    if cluster.engine == Engine::MariaDb {
        ends.push("SET STATEMENT max_statement_time = 10 FOR COMMIT".to_owned());
    }
    let proxy = with_stopped_replicas(&cluster, "session").await;
    let mut lost = Vec::new();
    let mut value = 100;
    for (begin, end) in ["SET autocommit = 0", "BEGIN"].iter().flat_map(|begin| ends.iter().map(move |end| (begin, end))) {
        if *begin == "BEGIN" && end.contains("autocommit") {
            // It is on already, and that does not commit.
            continue;
        }
        // What the statement makes is there already in the second round, or not there any more: an error commits as well.
        value += 1;
        let mut client = proxy.client().await;
        client.query_drop(*begin).await.unwrap();
        client.query_drop(format!("UPDATE {table} SET a = {value}")).await.unwrap();
        let _ = client.query_drop(end).await;
        let _ = client.query_drop("UNLOCK TABLES").await;
        client.query_drop("ROLLBACK").await.unwrap();
        client.query_drop("SET autocommit = 1").await.unwrap();
        let written = cluster.primary().rows::<i32>(format!("SELECT a FROM guestbook.{table}"), ()).await[0];
        let read: Option<i32> = client.query_first(format!("SELECT a FROM {table}")).await.unwrap();
        if read != Some(written) {
            lost.push(format!("{begin}; {end}: {written} was written, {read:?} was read"));
        }
        client.disconnect().await.unwrap();
    }
    // XA, and a reset of the connection, which forgets all but what was written.
    let mut client = RawClient::login(proxy.address, &app()).await.unwrap();
    for sql in ["XA START 'x'", &format!("UPDATE {table} SET a = 7"), "XA END 'x'", "XA PREPARE 'x'", "XA COMMIT 'x'"] {
        client.query_one(sql).await.expect_ok();
    }
    let read = async |client: &mut RawClient| client.query_one(&format!("SELECT a FROM {table}")).await.expect_rows().single();
    assert_eq!(read(&mut client).await, "7");
    client.query_one(&format!("UPDATE {table} SET a = 8")).await.expect_ok();
    client.command(&[COM_RESET_CONNECTION]).await.expect_ok();
    let after_reset = read(&mut client).await;
    start_replicas(&cluster).await;
    assert_eq!(after_reset, "8");
    assert!(lost.is_empty(), "{}", lost.join("\n"));
    drop(client);
    proxy.finish().await;
}

fn app() -> LoginAs {
    LoginAs { schema: Some(SCHEMA.to_owned()), ..LoginAs::new(APP, APP) }
}

async fn read(client: &mut Conn, table: &str) -> Option<i32> {
    client.query_first(format!("SELECT a FROM {table}")).await.unwrap()
}

async fn an_account_reads_its_own_writes_over_all_its_sessions(cluster: Arc<Cluster>) {
    let table = new_table(&cluster).await;
    let proxy = with_stopped_replicas(&cluster, "user").await;
    let (mut early, mut writer) = (proxy.client().await, proxy.client().await);
    let before = read(&mut early, &table).await;
    writer.query_drop(format!("UPDATE {table} SET a = 5")).await.unwrap();
    let mut late = proxy.client().await;
    let after = (read(&mut early, &table).await, read(&mut late, &table).await);
    start_replicas(&cluster).await;
    assert_eq!((before, after), (Some(0), (Some(5), Some(5))));
    for client in [early, writer, late] {
        client.disconnect().await.unwrap();
    }
    proxy.finish().await;
}

async fn everybody_reads_the_writes_of_everybody(cluster: Arc<Cluster>) {
    let table = new_table(&cluster).await;
    let user = unique("guest");
    cluster.prepare(format!("CREATE USER {user}@'%' IDENTIFIED BY '{user}'; GRANT SELECT ON {SCHEMA}.* TO {user}@'%'")).await;
    let mut seen = Vec::new();
    for causal_reads in ["user", "global"] {
        let config = format!(
            "routing = {{ max_lag = '1h', causal_reads = '{causal_reads}' }}
            users = [{{ name = '{APP}', password = '{APP}' }}, {{ name = '{user}', password = '{user}' }}]"
        );
        let mut proxy = Start::before(&cluster).config(&config).start().await;
        proxy.expect_finding("replication_broken");
        let login = LoginAs { schema: Some(SCHEMA.to_owned()), ..LoginAs::new(&user, &user) };
        let mut guest = RawClient::login(proxy.address, &login).await.unwrap();
        for replica in cluster.replicas() {
            replica.stop_applier().await;
        }
        let mut writer = proxy.client().await;
        writer.query_drop(format!("UPDATE {table} SET a = a + 1")).await.unwrap();
        seen.push(guest.query_one(&format!("SELECT a FROM {table}")).await.expect_rows().single());
        start_replicas(&cluster).await;
        writer.disconnect().await.unwrap();
        drop(guest);
        proxy.finish().await;
    }
    // Another account's write is no concern of the first proxy's.
    assert_eq!(seen, ["0", "2"]);
}
