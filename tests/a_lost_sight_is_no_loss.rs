//! A server that the monitor cannot look at, but that serves, goes on serving; one that answers nothing is known soon.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "test code"
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use e2e::mysql_async::Conn;
use e2e::mysql_async::prelude::Queryable as _;
use e2e::{Cluster, Engine, Line, Proxy, Server, Start, eventually, promptly, unique};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

e2e::suite! {
    Alone: [
        another_password_for_the_monitor_stops_nothing,
        a_locked_account_of_the_monitor_stops_nothing,
        a_revoked_right_of_the_monitor_stops_nothing,
        an_expired_password_of_the_monitor_stops_nothing,
        a_replica_out_of_sight_gets_no_reads_once_it_may_lack_something,
        what_a_session_committed_is_read_from_replicas_while_the_primary_is_out_of_sight,
        a_look_that_hangs_takes_no_server_down,
        a_replica_whose_tables_are_locked_is_not_down,
        a_frozen_server_is_silent_before_it_is_down,
        the_check_of_the_monitors_account_says_what_to_grant,
    ],
}

const UNSEEN: &str = "cannot be looked at";
/// What three refused looks took before they were told from a server that is down, and far more.
const LONG: Duration = Duration::from_secs(2);

async fn another_password_for_the_monitor_stops_nothing(cluster: Arc<Cluster>) {
    let restore = "ALTER USER monitor@'%' IDENTIFIED BY 'monitor'";
    losing_sight_of_the_primary(&cluster, "ALTER USER monitor@'%' IDENTIFIED BY 'another'", restore).await;
}

async fn a_locked_account_of_the_monitor_stops_nothing(cluster: Arc<Cluster>) {
    let restore = "ALTER USER monitor@'%' ACCOUNT UNLOCK";
    losing_sight_of_the_primary(&cluster, "ALTER USER monitor@'%' ACCOUNT LOCK", restore).await;
}

async fn a_revoked_right_of_the_monitor_stops_nothing(cluster: Arc<Cluster>) {
    let right = match cluster.engine {
        Engine::MySql => "REPLICATION CLIENT",
        Engine::MariaDb => "REPLICA MONITOR",
    };
    let revoke = format!("REVOKE {right} ON *.* FROM monitor@'%'");
    losing_sight_of_the_primary(&cluster, &revoke, &format!("GRANT {right} ON *.* TO monitor@'%'")).await;
}

async fn an_expired_password_of_the_monitor_stops_nothing(cluster: Arc<Cluster>) {
    let restore = "ALTER USER monitor@'%' IDENTIFIED BY 'monitor'";
    losing_sight_of_the_primary(&cluster, "ALTER USER monitor@'%' PASSWORD EXPIRE", restore).await;
}

/// While a transaction is open and another session writes: both go on as if nothing had happened, and the log says it once.
async fn losing_sight_of_the_primary(cluster: &Cluster, hide: &str, restore: &str) {
    let mut proxy = Proxy::start(cluster).await;
    proxy.expect_in_log(UNSEEN);
    let table = new_table(cluster).await;
    let insert = format!("INSERT INTO {table} VALUES (1)");
    let (mut transaction, mut writer) = (proxy.client().await, proxy.client().await);
    transaction.query_drop("START TRANSACTION").await.unwrap();
    transaction.query_drop(&insert).await.unwrap();

    hide_from_monitor(cluster.primary(), hide).await;
    await_log(&proxy, UNSEEN).await;
    let mut written = 1;
    let since = Instant::now();
    while since.elapsed() < LONG {
        promptly("a write", writer.query_drop(&insert)).await.expect("writes go on");
        assert!(promptly("a read", count(&mut writer, &table)).await > 0);
        written += 1;
    }
    promptly("a commit", transaction.query_drop("COMMIT")).await.expect("the transaction commits");
    assert_eq!(promptly("a read", count(&mut writer, &table)).await, written);

    change_account(cluster.primary(), restore).await;
    await_log(&proxy, "no longer: db1 answers").await;
    proxy.wait_for_reads_on(cluster, &["db2", "db3"]).await;
    // Once by who watches the server, and once as what that means for a failover. A busy machine may add that the primary is silent for a moment.
    let is_warning = |line: &Line| line.fields["level"] == "WARN" && line.fields["finding"] != "primary_suspect";
    let warnings: Vec<_> = proxy.log().into_iter().filter(is_warning).collect();
    let findings = warnings.iter().filter(|line| line.fields["finding"] == "blind").count();
    assert_eq!((warnings.len(), findings), (2, 1));
    for client in [transaction, writer] {
        client.disconnect().await.unwrap();
    }
    proxy.finish().await;
}

async fn a_replica_out_of_sight_gets_no_reads_once_it_may_lack_something(cluster: Arc<Cluster>) {
    let mut proxy = Start::before(&cluster).config("routing.max_lag = '300ms'").start().await;
    proxy.expect_in_log(UNSEEN);
    let table = new_table(&cluster).await;
    let mut writer = proxy.client().await;
    let replica = &cluster.replicas()[0];
    hide_from_monitor(replica, "ALTER USER monitor@'%' ACCOUNT LOCK").await;
    await_log(&proxy, UNSEEN).await;
    writer.query_drop(format!("INSERT INTO {table} VALUES (1)")).await.unwrap();
    proxy.wait_for_reads_on(&cluster, &["db3"]).await;
    change_account(replica, "ALTER USER monitor@'%' ACCOUNT UNLOCK").await;
    proxy.wait_for_reads_on(&cluster, &["db2", "db3"]).await;
    writer.disconnect().await.unwrap();
    proxy.finish().await;
}

/// Where the primary stands is not known, so only what the server has said of the write itself tells that a replica has it.
async fn what_a_session_committed_is_read_from_replicas_while_the_primary_is_out_of_sight(cluster: Arc<Cluster>) {
    let mut proxy = Start::before(&cluster).config("routing.max_lag = '1h'").start().await;
    proxy.expect_in_log(UNSEEN);
    let table = new_table(&cluster).await;
    proxy.wait_for_reads_on(&cluster, &["db2", "db3"]).await;
    hide_from_monitor(cluster.primary(), "ALTER USER monitor@'%' ACCOUNT LOCK").await;
    await_log(&proxy, UNSEEN).await;
    let mut client = proxy.client().await;
    for transaction in [false, true] {
        if transaction {
            client.query_drop("START TRANSACTION").await.unwrap();
        }
        client.query_drop(format!("INSERT INTO {table} VALUES (1)")).await.unwrap();
        if transaction {
            client.query_drop("COMMIT").await.unwrap();
        }
        let written: usize = if transaction { 2 } else { 1 };
        eventually("a read on a replica", async || {
            let mark = unique("read");
            let found: Vec<i32> = client.query(format!("SELECT n AS {mark} FROM {table}")).await.unwrap();
            assert_eq!(found.len(), written, "a stale read");
            (cluster.who_ran(&mark).await != ["db1"]).then_some(())
        })
        .await;
    }
    change_account(cluster.primary(), "ALTER USER monitor@'%' ACCOUNT UNLOCK").await;
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

/// The servers of today answer `SHOW REPLICA STATUS` whatever they do, so its question is held on its way.
async fn a_look_that_hangs_takes_no_server_down(cluster: Arc<Cluster>) {
    let holds = Arc::new(AtomicBool::new(false));
    let relay = relay(cluster.primary().address(), Arc::clone(&holds)).await;
    let servers: Vec<String> = cluster
        .servers
        .iter()
        .map(|server| {
            let address = if server.name == "db1" { relay } else { server.address() };
            format!("{{ name = '{}', address = '{address}' }}", server.name)
        })
        .collect();
    let mut proxy = Start::before(&cluster).config(&format!("servers = [{}]", servers.join(", "))).start().await;
    proxy.expect_in_log(UNSEEN);
    let table = new_table(&cluster).await;
    let mut writer = proxy.client().await;
    holds.store(true, Ordering::Relaxed);
    await_log(&proxy, UNSEEN).await;
    let since = Instant::now();
    while since.elapsed() < 2 * LONG {
        writer.query_drop(format!("INSERT INTO {table} VALUES (1)")).await.expect("writes go on");
    }
    holds.store(false, Ordering::Relaxed);
    await_log(&proxy, "no longer: db1 answers").await;
    proxy.wait_for_reads_on(&cluster, &["db2", "db3"]).await;
    writer.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn a_replica_whose_tables_are_locked_is_not_down(cluster: Arc<Cluster>) {
    let mut proxy = Proxy::start(&cluster).await;
    // Between the end of the one and the beginning of the other, replication does stand still.
    proxy.expect_finding("replication_broken");
    let table = new_table(&cluster).await;
    let replica = &cluster.replicas()[0];
    let mut locker = replica.admin().await;
    locker.query_drop("FLUSH TABLES WITH READ LOCK").await.unwrap();
    cluster.primary().run(format!("INSERT INTO guestbook.{table} VALUES (1)")).await;
    let mut stopper = replica.admin().await;
    let stop = async {
        stopper.query_drop("STOP REPLICA").await.unwrap();
        stopper.query_drop("START REPLICA").await.unwrap();
    };
    let unlock = async {
        tokio::time::sleep(LONG).await;
        locker.query_drop("UNLOCK TABLES").await.unwrap();
    };
    promptly("the end of the locks", async { tokio::join!(stop, unlock) }).await;
    proxy.wait_for_reads_on(&cluster, &["db2", "db3"]).await;
    for conn in [locker, stopper] {
        conn.disconnect().await.unwrap();
    }
    // Any other warning in the log fails the test.
    proxy.finish().await;
}

async fn a_frozen_server_is_silent_before_it_is_down(cluster: Arc<Cluster>) {
    let mut proxy = Proxy::start(&cluster).await;
    proxy.expect_in_log("server is down");
    proxy.expect_loss_of_connections();
    let replica = &cluster.replicas()[0];
    let frozen = Instant::now();
    replica.freeze().await;
    await_log(&proxy, "server has fallen silent").await;
    let silent = frozen.elapsed();
    await_log(&proxy, "server is down").await;
    let down = frozen.elapsed();
    replica.thaw().await;
    let thawed = Instant::now();
    await_log(&proxy, "server has answered again").await;
    eprintln!("silent after {silent:?}, down after {down:?}, up {:?} after the thaw", thawed.elapsed());
    // Not at the first question without an answer.
    assert!(down > Duration::from_millis(2500), "down after {down:?}");
    let of_it = |line: &Line, text: &str| line.fields["server"] == *replica.name && line.text.contains(text);
    let place = |text: &str| proxy.log().iter().position(|line| of_it(line, text)).expect("it is in the log");
    assert!(place("server has fallen silent") < place("server is down"));
    proxy.wait_for_reads_on(&cluster, &["db2", "db3"]).await;
    proxy.finish().await;
}

async fn new_table(cluster: &Cluster) -> String {
    let table = unique("seen");
    cluster.prepare(format!("CREATE TABLE guestbook.{table} (n INT)")).await;
    table
}

/// What the monitor has open stays open whatever becomes of its account, so that is cut, too.
async fn hide_from_monitor(server: &Server, hide: &str) {
    change_account(server, hide).await;
    for id in server.rows::<u64>("SELECT id FROM information_schema.processlist WHERE user = 'monitor'", ()).await {
        server.run(format!("KILL {id}")).await;
    }
}

/// Also on a replica, and in no binary log.
async fn change_account(server: &Server, sql: &str) {
    let is_super_read_only = server.engine() == Engine::MySql && server.name != "db1";
    let [before, after] =
        if is_super_read_only { ["SET GLOBAL super_read_only = OFF; ", "; SET GLOBAL super_read_only = ON"] } else { ["", ""] };
    server.run(format!("SET sql_log_bin = 0; {before}{sql}{after}")).await;
}

async fn await_log(proxy: &Proxy, text: &str) {
    eventually(&format!("{text:?} in the log"), async || proxy.log().iter().any(|line| line.text.contains(text)).then_some(()))
        .await;
}

async fn count(client: &mut Conn, table: &str) -> usize {
    client.query_first(format!("SELECT COUNT(*) FROM {table}")).await.expect("a read").expect("a row")
}

/// A way to a server on which the question for its replication status gets no further while `holds`.
async fn relay(server: SocketAddr, holds: Arc<AtomicBool>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(pass_on(client, server, Arc::clone(&holds)));
        }
    });
    address
}

async fn pass_on(client: TcpStream, server: SocketAddr, holds: Arc<AtomicBool>) {
    let Ok(server) = TcpStream::connect(server).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
    let mut bytes = vec![0; 1 << 16];
    while let Ok(length @ 1..) = from_client.read(&mut bytes).await {
        let is_status = [&b"SHOW REPLICA STATUS"[..], b"SHOW ALL SLAVES STATUS"]
            .iter()
            .any(|text| bytes[..length].windows(text.len()).any(|window| window == *text));
        if is_status && holds.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        if to_server.write_all(&bytes[..length]).await.is_err() {
            return;
        }
    }
}

/// `pointsman check --connect`: what it says to grant is what it lacked, and no more is needed.
async fn the_check_of_the_monitors_account_says_what_to_grant(cluster: Arc<Cluster>) {
    let account = unique("m");
    cluster.prepare(format!("CREATE USER {account}@'%' IDENTIFIED BY 'm'")).await;
    let (code, said) = check_accounts(&cluster, &account).await;
    assert_eq!(code, Some(1), "{said}");
    let grants: Vec<&str> =
        said.lines().filter_map(|line| line.trim().split_once(" -- without it ").map(|(grant, _)| grant)).collect();
    let each = match cluster.engine {
        // Those for looking, and those for replacing a primary.
        Engine::MySql => 4 + 5,
        Engine::MariaDb => 5 + 6,
    };
    assert_eq!(grants.len(), each * cluster.servers.len(), "{said}");
    cluster.prepare(grants[..each].join(" ")).await;
    let (code, said) = check_accounts(&cluster, &account).await;
    assert_eq!((code, said.matches(": good").count()), (Some(0), cluster.servers.len()), "{said}");
    assert!(!said.contains("more than it needs"), "{said}");

    // And it is enough: nothing in the log complains.
    let proxy = Start::before(&cluster).config(&format!("monitor = {{ user = '{account}', password = 'm' }}")).start().await;
    proxy.finish().await;

    cluster.prepare(format!("GRANT SELECT ON *.* TO {account}@'%'")).await;
    let (code, said) = check_accounts(&cluster, &account).await;
    assert_eq!((code, said.matches("has more than it needs: SELECT ON *.*").count()), (Some(0), 3), "{said}");
    // The account of the images has what it needs, for looking and for acting.
    let (code, said) = check_accounts(&cluster, "monitor").await;
    assert_eq!((code, said.contains("note")), (Some(0), false), "{said}");
}

async fn check_accounts(cluster: &Cluster, account: &str) -> (Option<i32>, String) {
    let password = if account == "monitor" { "monitor" } else { "m" };
    let servers: Vec<String> = cluster
        .servers
        .iter()
        .map(|server| format!("{{ name = '{}', address = '{}' }}", server.name, server.address()))
        .collect();
    let config = format!(
        "servers = [{}]\nmonitor = {{ user = '{account}', password = '{password}' }}\nusers = [{{ name = 'a', password = 'a' }}]",
        servers.join(", ")
    );
    let file = std::env::temp_dir().join(format!("{account}-{}-{}.toml", cluster.engine.label(), std::process::id()));
    std::fs::write(&file, config).unwrap();
    let output = tokio::process::Command::new(e2e::binary()).arg("check").arg("--connect").arg("--config").arg(&file).output();
    let output = promptly("pointsman check", output).await.unwrap();
    std::fs::remove_file(&file).unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}
