//! A replica that is sick, but answers its monitor, gets no reads while it fails at them (`[ejection]`), no client notices anything, and it gets reads again
//! after it is healed. What is a statement's own fault speaks against no replica.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use e2e::http::get;
use e2e::mysql_async::prelude::Queryable as _;
use e2e::mysql_async::{Conn, Error};
use e2e::readers::{MARK, Readers};
use e2e::{Cluster, Engine, PATIENT, Proxy, SCHEMA, Server, Start, eventually, unique};
use serde_json::Value;

e2e::suite! {
    Alone: [
        one_that_can_start_no_thread_is_left_alone_until_it_is_healed,
        one_without_room_for_connections_is_left_alone_until_it_is_healed,
        one_without_room_for_temporary_files_is_left_alone_until_it_is_healed,
        one_that_loses_its_connections_is_left_alone_until_it_is_healed,
        one_that_lacks_a_table_is_not_left_alone,
    ],
}

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// The replica that gets sick.
const SICK: &str = "db2";

/// Clients that read, and a way to ask what Pointsman thinks of its servers.
struct World {
    proxy: Proxy,
    admin: SocketAddr,
    readers: Readers,
}

impl World {
    /// By the share of statements that fail, not by failures in a row, which come sooner.
    async fn start(cluster: &Cluster, sql: &str, more: &str) -> Self {
        let config = format!(
            "admin.address = '127.0.0.1:0'\nadmin.token = '{TOKEN}'\nlisten.threads = 1\nrouting.slow_start = '0s'\n{PATIENT}\n\
             ejection.failures = 0\nejection.time = '2s'\nejection.time_max = '2s'\n{more}"
        );
        let mut proxy = Start::before(cluster).config(&config).start().await;
        let admin = proxy.await_address("the admin API listens").await;
        let readers = Readers::start_with(&proxy, sql, 3).await;
        readers.progress(20).await;
        Self { proxy, admin, readers }
    }

    /// Reads go on while it is ejected.
    async fn await_ejection(&self) {
        eventually("the ejection of the sick replica", async || {
            (ejection(self.admin).await["reasons"] == serde_json::json!(["errors"])).then_some(())
        })
        .await;
        self.readers.progress(20).await;
    }

    /// It gets reads again, and no reader has seen an error.
    async fn comes_back(self, cluster: &Cluster, expected: &[&'static str]) {
        self.readers.shared(cluster, "reads on the healed replica", |[_, healed, good]| healed * 2 > good).await;
        eventually("the end of its ejection", async || (ejection(self.admin).await["ejected_by"] == 0).then_some(())).await;
        assert_eq!(self.readers.finish().await, Vec::<String>::new());
        let of_it = |entry: &Value, event: &str| entry["event"] == event && entry["server"] == SICK;
        let journal = self.proxy.journal();
        let began = journal.iter().find(|entry| of_it(entry, "ejected")).expect("the ejection is in the journal");
        assert_eq!(began["reason"], "errors", "{began}");
        assert!(journal.iter().any(|entry| of_it(entry, "ejection_ended")), "and its end");
        self.proxy.finish_with(expected).await;
    }
}

/// What the API says of the sick replica's ejections.
async fn ejection(admin: SocketAddr) -> Value {
    let answer = get(admin, "/api/ejections", Some(TOKEN)).await;
    let all: Value = serde_json::from_str(&answer.body).expect("JSON");
    all.as_array().unwrap().iter().find(|line| line["server"] == SICK).expect("the server").clone()
}

/// A plain read of a table that has what it needs on each server.
async fn small_read(cluster: &Cluster) -> String {
    let table = unique("t");
    cluster.prepare(format!("CREATE TABLE {SCHEMA}.{table} (id INT PRIMARY KEY)")).await;
    format!("SELECT COUNT(*), '{MARK}' FROM {table}")
}

/// Ends the application's connections to it.
async fn kill_all(admin: &mut Conn) {
    let ids: Vec<u64> = admin.query("SELECT id FROM information_schema.processlist WHERE user = 'app'").await.unwrap();
    for id in ids {
        // It may be gone.
        let _ = admin.query_drop(format!("KILL {id}")).await;
    }
}

/// Threads of ended connections are not kept for new ones (error 1135).
async fn one_that_can_start_no_thread_is_left_alone_until_it_is_healed(cluster: Arc<Cluster>) {
    let sick = cluster.server(SICK);
    let world = World::start(&cluster, &small_read(&cluster).await, "").await;
    let mut admin = sick.admin().await;
    let threads: u64 = admin.query_first("SELECT @@GLOBAL.thread_cache_size").await.unwrap().unwrap();
    admin.query_drop("SET GLOBAL thread_cache_size = 0").await.unwrap();
    sick.deny_threads().await;
    kill_all(&mut admin).await;
    world.await_ejection().await;
    sick.allow_threads().await;
    admin.query_drop(format!("SET GLOBAL thread_cache_size = {threads}")).await.unwrap();
    admin.disconnect().await.unwrap();
    world.comes_back(&cluster, &["no connection for a statement", "lost a server during a statement"]).await;
}

/// Others have all its connections (error 1040).
async fn one_without_room_for_connections_is_left_alone_until_it_is_healed(cluster: Arc<Cluster>) {
    let sick = cluster.server(SICK);
    let world = World::start(&cluster, &small_read(&cluster).await, "timeouts.lease = '100ms'").await;
    let mut admin = sick.admin().await;
    let most: u64 = admin.query_first("SELECT @@GLOBAL.max_connections").await.unwrap().unwrap();
    let others = others(sick).await;
    // The least that both servers take.
    admin.query_drop("SET GLOBAL max_connections = 10").await.unwrap();
    kill_all(&mut admin).await;
    world.await_ejection().await;
    admin.query_drop(format!("SET GLOBAL max_connections = {most}")).await.unwrap();
    for other in others {
        other.disconnect().await.unwrap();
    }
    admin.disconnect().await.unwrap();
    world.comes_back(&cluster, &["no connection for a statement", "lost a server during a statement"]).await;
}

async fn others(server: &Server) -> Vec<Conn> {
    let mut others = Vec::new();
    for _ in 0..12 {
        others.push(server.admin().await);
    }
    others
}

/// It can sort nothing that does not fit into memory: the statement is answered with an error.
async fn one_without_room_for_temporary_files_is_left_alone_until_it_is_healed(cluster: Arc<Cluster>) {
    let sick = cluster.server(SICK);
    let table = Readers::table(&cluster).await;
    let size: Vec<u64> = sick.rows("SELECT @@GLOBAL.sort_buffer_size", ()).await;
    sick.run("SET GLOBAL sort_buffer_size = 32768").await;
    sick.separate_temporary_files().await;
    let sql = format!("SELECT REPEAT(id, 500) AS text, '{MARK}' FROM {table} ORDER BY text DESC");
    let world = World::start(&cluster, &sql, "").await;
    sick.fill_temporary_files().await;
    world.await_ejection().await;
    sick.empty_temporary_files().await;
    world.comes_back(&cluster, &["a replica is not well, and could not answer a read"]).await;
    sick.reunite_temporary_files().await;
    sick.run(format!("SET GLOBAL sort_buffer_size = {}", size[0])).await;
}

/// Some reads get through, so that failures in a row alone would not show it.
async fn one_that_loses_its_connections_is_left_alone_until_it_is_healed(cluster: Arc<Cluster>) {
    let sick = cluster.server(SICK);
    let table = Readers::table(&cluster).await;
    let world = World::start(&cluster, &Readers::statement(&table), "ejection.errors = 20").await;
    let stop = Rc::new(Cell::new(false));
    let mut admin = sick.admin().await;
    let killing = tokio::task::spawn_local({
        let stop = Rc::clone(&stop);
        async move {
            while !stop.get() {
                kill_all(&mut admin).await;
            }
            admin.disconnect().await
        }
    });
    world.await_ejection().await;
    stop.set(true);
    killing.await.unwrap().unwrap();
    world.comes_back(&cluster, &["no connection for a statement", "lost a server during a statement"]).await;
}

async fn one_that_lacks_a_table_is_not_left_alone(cluster: Arc<Cluster>) {
    let table = unique("t");
    let create = format!("CREATE TABLE {SCHEMA}.{table} (id INT PRIMARY KEY)");
    cluster.prepare(&create).await;
    let World { proxy, admin, readers } = World::start(&cluster, &small_read(&cluster).await, "").await;
    // Only what fails is to count.
    assert_eq!(readers.finish().await, Vec::<String>::new());
    let mut sick = cluster.server(SICK).admin().await;
    sick.query_drop("SET sql_log_bin = 0").await.unwrap();
    writable(&cluster, &mut sick, true).await;
    sick.query_drop(format!("DROP TABLE {SCHEMA}.{table}")).await.unwrap();
    let mut client = proxy.client().await;
    let mut errors = Vec::new();
    for _ in 0..60 {
        match client.query_drop(format!("SELECT COUNT(*) FROM {table}")).await {
            Ok(()) => {}
            Err(Error::Server(error)) => errors.push(error.code),
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(errors, [1146; 30], "of each second read");
    client.disconnect().await.unwrap();
    sick.query_drop(create).await.unwrap();
    writable(&cluster, &mut sick, false).await;
    sick.disconnect().await.unwrap();
    let said = ejection(admin).await;
    assert_eq!((&said["ejected_by"], &said["count"]), (&0.into(), &0.into()));
    proxy.finish().await;
}

/// Whether this test may write to a replica. MariaDB lets its account do so at any time.
async fn writable(cluster: &Cluster, replica: &mut Conn, is_writable: bool) {
    if cluster.engine == Engine::MySql {
        replica.query_drop(format!("SET GLOBAL super_read_only = {}", u8::from(!is_writable))).await.unwrap();
    }
}
