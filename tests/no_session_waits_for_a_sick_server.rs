//! A server that is killed, paused or cut off stops no session that can do without it, and no other for longer than it takes to be sure.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "test code"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use e2e::mysql_async::prelude::Queryable as _;
use e2e::mysql_async::{Conn, Error};
use e2e::{APP, Cluster, Proxy, SCHEMA, Server, Start, eventually, promptly, unique};
use testkit::{LoginAs, RawClient};

e2e::suite! {
    Together: [
        the_statement_of_a_client_that_left_is_stopped,
        idle_sessions_give_their_connections_to_those_who_wait,
        an_idle_session_gives_its_connection_back_after_a_while,
    ],
    OwnCluster: [
        reads_go_on_while_a_replica_is_paused,
        reads_go_on_while_the_primary_is_paused,
        reads_go_on_when_a_replica_is_killed,
        reads_go_on_when_the_primary_is_killed,
        reads_go_on_while_a_replica_is_cut_off,
        reads_go_on_while_the_primary_is_cut_off,
        a_write_on_a_paused_primary_ends_with_an_error,
        a_server_without_room_is_waited_for,
    ],
}

/// The state of the harmed server.
const WELL: u8 = 0;
const SILENT: u8 = 1;
const DOWN: u8 = 2;

#[derive(Clone, Copy)]
enum Harm {
    Pause,
    Kill,
    CutOff,
}

async fn reads_go_on_while_a_replica_is_paused(cluster: Arc<Cluster>) {
    reads_go_on(&cluster, &cluster.replicas()[0], Harm::Pause).await;
}

async fn reads_go_on_while_the_primary_is_paused(cluster: Arc<Cluster>) {
    reads_go_on(&cluster, cluster.primary(), Harm::Pause).await;
}

async fn reads_go_on_when_a_replica_is_killed(cluster: Arc<Cluster>) {
    reads_go_on(&cluster, &cluster.replicas()[0], Harm::Kill).await;
}

async fn reads_go_on_when_the_primary_is_killed(cluster: Arc<Cluster>) {
    reads_go_on(&cluster, cluster.primary(), Harm::Kill).await;
}

async fn reads_go_on_while_a_replica_is_cut_off(cluster: Arc<Cluster>) {
    reads_go_on(&cluster, &cluster.replicas()[0], Harm::CutOff).await;
}

async fn reads_go_on_while_the_primary_is_cut_off(cluster: Arc<Cluster>) {
    reads_go_on(&cluster, cluster.primary(), Harm::CutOff).await;
}

/// Sessions that only read see no error and no long wait: on connections that they have, and on new ones.
async fn reads_go_on(cluster: &Cluster, victim: &Server, harm: Harm) {
    let mut proxy = Proxy::start(cluster).await;
    proxy.expect_loss_of_the_primary();
    proxy.expect_in_log("server is down");
    proxy.expect_in_log("does not answer");
    proxy.expect_in_log("cannot read the definitions");
    proxy.expect_in_log("cannot stop");
    let stop = Arc::new(AtomicBool::new(false));
    let reads = Arc::new(AtomicU32::new(0));
    let state = Arc::new(AtomicU8::new(WELL));
    let reader = |number| {
        let (reads, state, stop) = (Arc::clone(&reads), Arc::clone(&state), Arc::clone(&stop));
        tokio::task::spawn_local(read_on(proxy.options(), number, reads, state, stop))
    };
    let readers: Vec<_> = (0..8).map(reader).collect();
    // Enough for every reader to have connections everywhere.
    progress(&reads, 400).await;
    match harm {
        Harm::Pause => victim.freeze().await,
        Harm::Kill => victim.kill().await,
        Harm::CutOff => victim.cut_off().await,
    }
    if matches!(harm, Harm::Pause) {
        proxy.await_line("server has fallen silent: it answers neither looks nor logins").await;
        state.store(SILENT, Ordering::Relaxed);
    }
    proxy.await_line("server is down").await;
    state.store(DOWN, Ordering::Relaxed);
    progress(&reads, 400).await;
    match harm {
        Harm::Pause => victim.thaw().await,
        Harm::Kill => victim.start().await,
        Harm::CutOff => victim.rejoin().await,
    }
    progress(&reads, 400).await;
    stop.store(true, Ordering::Relaxed);
    let (mut longest, mut held) = (Duration::ZERO, 0);
    for reader in readers {
        let (slowest, was_held) = reader.await.expect("a reader ends");
        (longest, held) = (longest.max(slowest), held + u32::from(was_held));
    }
    eprintln!("{} reads, the longest took {longest:?}", reads.load(Ordering::Relaxed));
    // A read leaves a server that is silent, and does not wait until it is down.
    assert!(held == 0 || !matches!(harm, Harm::Pause), "{held} readers were held until the server was down");
    proxy.finish().await;
}

/// Waits for this many more reads.
async fn progress(reads: &AtomicU32, more: u32) {
    let goal = reads.load(Ordering::Relaxed) + more;
    eventually("more reads", async || (reads.load(Ordering::Relaxed) >= goal).then_some(())).await;
}

/// Reads until it is stopped; every other reader takes a new connection every fourth time. Returns what the slowest read took, its login
/// included, and whether one began before the server was silent and ended after it was down.
async fn read_on(
    options: e2e::mysql_async::OptsBuilder,
    reader: u32,
    reads: Arc<AtomicU32>,
    state: Arc<AtomicU8>,
    stop: Arc<AtomicBool>,
) -> (Duration, bool) {
    let (mut count, mut slowest, mut was_held) = (0_u32, Duration::ZERO, false);
    let mut client: Option<Conn> = None;
    while !stop.load(Ordering::Relaxed) {
        let (begin, before) = (Instant::now(), state.load(Ordering::Relaxed));
        let conn = match &mut client {
            Some(conn) => conn,
            None => client.insert(Conn::new(options.clone()).await.expect("a login")),
        };
        let value: Option<u32> =
            conn.query_first(format!("SELECT {count}")).await.unwrap_or_else(|error| panic!("{reader}: {error}"));
        assert_eq!(value, Some(count));
        slowest = slowest.max(begin.elapsed());
        was_held |= before == WELL && state.load(Ordering::Relaxed) == DOWN;
        count += 1;
        reads.fetch_add(1, Ordering::Relaxed);
        if count % 4 == reader % 4 && reader.is_multiple_of(2) {
            client.take().expect("it is there").disconnect().await.expect("a goodbye");
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    (slowest, was_held)
}

async fn a_write_on_a_paused_primary_ends_with_an_error(cluster: Arc<Cluster>) {
    let mut proxy = Proxy::start(&cluster).await;
    proxy.expect_loss_of_the_primary();
    proxy.expect_in_log("does not answer");
    proxy.expect_in_log("cannot read the definitions");
    let table = unique("t");
    cluster.prepare(format!("CREATE TABLE {SCHEMA}.{table} (a INT)")).await;
    let mut client = proxy.client().await;
    client.query_drop(format!("INSERT INTO {table} VALUES (1)")).await.unwrap();
    cluster.primary().freeze().await;
    let begin = Instant::now();
    let write = client.query_drop(format!("INSERT INTO {table} VALUES (2)"));
    let error = promptly("an error", write).await.expect_err("nobody has answered");
    let took = begin.elapsed();
    cluster.primary().thaw().await;
    let Error::Server(error) = error else { panic!("{error}") };
    assert_eq!((error.code, error.state.as_str()), (1158, "08007"), "{error}");
    eprintln!("a write on a paused primary was given up after {took:?}");
    proxy.finish().await;
}

async fn the_statement_of_a_client_that_left_is_stopped(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
    let mark = unique("slow");
    let mut client =
        RawClient::login(proxy.address, &LoginAs { schema: Some(SCHEMA.to_owned()), ..LoginAs::new(APP, APP) }).await.unwrap();
    client.send_command(format!("\x03SELECT SLEEP(300), '{mark}'").as_bytes()).await;
    let running = format!(
        "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE '%{mark}%' AND info NOT LIKE '%processlist%'"
    );
    let count = async || {
        let mut count = 0;
        for server in &cluster.servers {
            count += server.rows::<u32>(&*running, ()).await[0];
        }
        count
    };
    eventually("the statement to run", async || (count().await == 1).then_some(())).await;
    drop(client);
    eventually("the statement to be stopped", async || (count().await == 0).then_some(())).await;
    proxy.finish().await;
}

async fn idle_sessions_give_their_connections_to_those_who_wait(cluster: Arc<Cluster>) {
    let proxy = Start::before(&cluster).config("limits.server_connections = 3\ntimeouts.lease = '5s'").start().await;
    let mut clients = Vec::new();
    for _ in 0..30 {
        let mut client = proxy.client().await;
        client.query_drop("SELECT 1 FOR UPDATE").await.unwrap();
        client.query_drop("SELECT 1").await.unwrap();
        clients.push(client);
    }
    // All of them are still connected, and served.
    for client in &mut clients {
        client.query_drop("SELECT 2 FOR UPDATE").await.unwrap();
    }
    // Three that hold something shut the others out, who are told.
    for client in clients.iter_mut().take(3) {
        client.query_drop("BEGIN").await.unwrap();
    }
    let outcome = clients[3].query_drop("SELECT 3 FOR UPDATE").await;
    assert!(matches!(&outcome, Err(Error::Server(error)) if error.code == 1040), "{outcome:?}");
    clients[0].query_drop("COMMIT").await.unwrap();
    clients[3].query_drop("SELECT 3 FOR UPDATE").await.unwrap();
    for client in clients {
        client.disconnect().await.unwrap();
    }
    proxy.finish_with(&["no connection for a statement"]).await;
}

/// So long that no two statements of the test are that far apart on a busy machine, unless they are meant to be.
const IDLE: Duration = Duration::from_secs(3);

async fn an_idle_session_gives_its_connection_back_after_a_while(cluster: Arc<Cluster>) {
    let proxy = Start::before(&cluster)
        .config(&format!("timeouts.session_idle = '{}s'\nlisten.threads = 1\nrouting.pooling = 'session'", IDLE.as_secs()))
        .start()
        .await;
    let table = unique("t");
    cluster.prepare(format!("CREATE TABLE {SCHEMA}.{table} (id INT AUTO_INCREMENT PRIMARY KEY, a INT)")).await;
    let connection = "SELECT CONNECTION_ID() + 0";
    let mut one = proxy.client().await;
    one.query_drop(format!("INSERT INTO {table} (a) VALUES (1)")).await.unwrap();
    one.query_drop("SET time_zone = '+03:00'").await.unwrap();
    let first: Option<u64> = one.query_first(connection).await.unwrap();
    // What only a lost connection knew is not made up. The question itself restarts the idle time.
    eventually("the return of a connection", async || {
        tokio::time::sleep(IDLE + Duration::from_secs(1)).await;
        match one.query_first::<i64, _>("SELECT ROW_COUNT()").await {
            Err(Error::Server(error)) if error.code == 1105 && error.message.contains("timeouts.session_idle") => Some(()),
            Ok(_) => None,
            other => panic!("{other:?}"),
        }
    })
    .await;
    // Another session gets it; what the first has set, and its insert id, are there all the same when it comes back.
    let mut two = proxy.client().await;
    two.query_drop("BEGIN").await.unwrap();
    assert_eq!(two.query_first::<u64, _>(connection).await.unwrap(), first);
    assert_eq!(one.query_first::<String, _>("SELECT @@time_zone").await.unwrap().as_deref(), Some("+03:00"));
    assert_ne!(one.query_first::<u64, _>(connection).await.unwrap(), first);
    assert_eq!(one.query_first::<u64, _>("SELECT LAST_INSERT_ID()").await.unwrap(), Some(1));
    one.query_drop(format!("INSERT INTO {table} (a) VALUES (LAST_INSERT_ID() + 100)")).await.unwrap();
    assert_eq!(cluster.primary().rows::<u32>(format!("SELECT a FROM {SCHEMA}.{table} WHERE id = 2"), ()).await, [101]);
    one.query_drop("SHOW WARNINGS").await.unwrap();
    one.query_drop("DO 1").await.unwrap();
    assert_eq!(one.query_first::<i64, _>("SELECT ROW_COUNT()").await.unwrap(), Some(0));
    // Warnings keep it, also those of a replica while only the primary's connection knows the insert id.
    let on_replica = "/* pointsman: replica */ SELECT 1 + '1x'";
    eventually("a replica that has the session's write", async || one.query_drop(on_replica).await.ok()).await;
    tokio::time::sleep(IDLE + Duration::from_secs(1)).await;
    assert_eq!(one.query::<(String, u16, String), _>("SHOW WARNINGS").await.unwrap().len(), 1);
    one.disconnect().await.unwrap();
    two.disconnect().await.unwrap();
    proxy.finish().await;
}

/// Others have taken all of the server's connections.
async fn a_server_without_room_is_waited_for(cluster: Arc<Cluster>) {
    let proxy = Start::before(&cluster).config("timeouts.lease = '20s'").start().await;
    let primary = cluster.primary();
    let mut client = proxy.client().await;
    client.query_drop("SELECT 1").await.unwrap();
    let used = primary.rows::<u32>("SELECT COUNT(*) FROM information_schema.processlist", ()).await[0];
    // Room for the monitor and the present connections, and none for one more of the application.
    primary.run(format!("SET GLOBAL max_connections = {}", used + 3)).await;
    let mut others = Vec::new();
    while let Ok(other) = RawClient::login(primary.address(), &LoginAs::new(APP, APP)).await {
        others.push(other);
        assert!(others.len() < 50, "it lets everybody in");
    }
    let begin = Instant::now();
    let options = proxy.options();
    let waiting = tokio::task::spawn_local(async move {
        let mut late = Conn::new(options).await?;
        late.query_drop("DO 1").await?;
        late.disconnect().await
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    drop(others);
    waiting.await.unwrap().expect("room in time");
    eprintln!("it waited for {:?}", begin.elapsed());
    client.disconnect().await.unwrap();
    proxy.finish_with(&["no room", "server is", "max_connections"]).await;
}
