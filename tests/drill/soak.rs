//! Clients that come and go for a long time, and leave in every way there is: at the end no answer was wrong, no server connection is left over, and
//! memory has stopped growing.
//!
//! `tests/soak` builds what it takes and runs this.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "test code"
)]

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use e2e::mysql_async::prelude::Queryable as _;
use e2e::mysql_async::{Conn, Error, TxOpts};
use e2e::{Cluster, Engine, SCHEMA, Start, eventually};
use testkit::random::Random;
use testkit::{LoginAs, RawClient};

/// Clients at once.
const CLIENTS: u64 = 48;

/// Fewer server connections than clients, so that some wait.
const CONFIG: &str = "limits.server_connections = 24\ntimeouts.server_idle = '5s'";

/// Between two looks at the memory, and two changes of the configuration.
const LOOK: Duration = Duration::from_secs(10);

/// Memory may still grow by so much after a third of the time.
const GROWTH_MAX: u64 = 8 << 20;

#[derive(Debug, Default)]
struct Told {
    is_over: Cell<bool>,
    sessions: Cell<u64>,
    statements: Cell<u64>,
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let minutes: f64 = arguments.next().map_or(15.0, |text| text.parse().expect("minutes"));
    let named: Vec<String> = arguments.collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    for engine in Engine::ALL.into_iter().filter(|engine| named.is_empty() || named.iter().any(|name| name == engine.label())) {
        let cluster = runtime.block_on(Cluster::start(engine)).expect("servers");
        let time = Duration::from_secs_f64(minutes * 60.0);
        runtime.block_on(tokio::task::LocalSet::new().run_until(soak(&cluster, time)));
        // Not among local tasks, where testcontainers cannot take anything away.
        runtime.block_on(cluster.remove());
    }
}

async fn soak(cluster: &Cluster, time: Duration) {
    let mut proxy = Start::before(cluster).config(CONFIG).start().await;
    cluster.prepare(format!("CREATE TABLE {SCHEMA}.soak (client INT PRIMARY KEY, value INT)")).await;
    let rows = (0..CLIENTS).map(|number| format!("({number}, 0)")).collect::<Vec<_>>().join(", ");
    cluster.prepare(format!("INSERT INTO {SCHEMA}.soak VALUES {rows}")).await;
    cluster.wait_for_replicas().await;
    let told = Rc::new(Told::default());
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| tokio::task::spawn_local(come_and_go(proxy.options(), proxy.address, number, Rc::clone(&told))))
        .collect();
    let (all, fewer) = (proxy.servers_toml(&["db1", "db2", "db3"]), proxy.servers_toml(&["db1", "db2"]));
    let mut has_all = true;
    let begin = Instant::now();
    let mut after_a_third = None;
    while begin.elapsed() < time {
        tokio::time::sleep(LOOK).await;
        let memory = proxy.resident_bytes();
        println!(
            "{} {:>5} s: {:>6.1} MiB, {:>8} sessions, {:>9} statements, {:>3} server connections",
            cluster.engine.label(),
            begin.elapsed().as_secs(),
            mebibytes(memory),
            told.sessions.get(),
            told.statements.get(),
            connections(cluster).await
        );
        if begin.elapsed() * 3 > time {
            after_a_third.get_or_insert(memory);
        }
        has_all = !has_all;
        let (is_done, said) = proxy.reload(if has_all { &all } else { &fewer }).await;
        assert!(is_done, "{said}");
    }
    told.is_over.set(true);
    for client in clients {
        client.await.expect("no wrong answer");
    }
    let end = proxy.resident_bytes();
    let before = after_a_third.unwrap_or(end);
    eventually("no server connections to be left", async || (connections(cluster).await == 0).then_some(())).await;
    println!(
        "{}: {} sessions, {} statements, no wrong answer; {:.1} MiB after a third of the time, {:.1} MiB at the end",
        cluster.engine.label(),
        told.sessions.get(),
        told.statements.get(),
        mebibytes(before),
        mebibytes(end)
    );
    assert!(end < before + GROWTH_MAX, "memory still grows");
    proxy.finish_with(&["lost a server during a statement", "no connection for a statement"]).await;
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// The application's connections to all servers.
async fn connections(cluster: &Cluster) -> u64 {
    let mut count = 0;
    for server in &cluster.servers {
        let rows: Vec<u64> = server.rows("SELECT COUNT(*) FROM information_schema.processlist WHERE user = ?", (e2e::APP,)).await;
        count += rows[0];
    }
    count
}

/// A client's row, whose value grows.
#[derive(Debug)]
struct Own {
    number: u64,
    value: i32,
    /// The session has written it: then it reads just that. Otherwise an older one may be seen, by `max_lag`.
    is_known: bool,
}

impl Own {
    fn check(&self, seen: Option<i32>) {
        let is_right = seen.is_some_and(|seen| seen == self.value || (!self.is_known && seen < self.value));
        assert!(is_right, "{self:?} is seen as {seen:?}");
    }

    fn written(&mut self, value: i32) {
        (self.value, self.is_known) = (value, true);
    }
}

/// One client after the other. Each has a row of its own.
async fn come_and_go(options: e2e::mysql_async::OptsBuilder, address: std::net::SocketAddr, number: u64, told: Rc<Told>) {
    let mut dice = Random::new(number);
    let mut own = Own { number, value: 0, is_known: false };
    while !told.is_over.get() {
        if dice.percent(10) {
            leave_in_the_middle(address, &mut dice).await;
            continue;
        }
        let mut client = Conn::new(options.clone()).await.expect("a login");
        own.is_known = false;
        told.sessions.set(told.sessions.get() + 1);
        for _ in 0..dice.between(1, 20) {
            told.statements.set(told.statements.get() + 1);
            act(&mut client, &mut own, &mut dice).await.expect("a statement");
        }
        // Else the connection is dropped without a word.
        if dice.percent(70) {
            client.disconnect().await.expect("a goodbye");
        }
    }
}

async fn act(client: &mut Conn, own: &mut Own, dice: &mut Random) -> Result<(), Error> {
    let number = own.number;
    let read = format!("SELECT value FROM soak WHERE client = {number}");
    match dice.between(0, 9) {
        0 | 1 => {
            let next = own.value + 1;
            client.query_drop(format!("UPDATE soak SET value = {next} WHERE client = {number}")).await?;
            own.written(next);
        }
        2 | 3 => own.check(client.query_first(&read).await?),
        4 => own.check(client.exec_first("SELECT value FROM soak WHERE client = ?", (number,)).await?),
        5 => {
            let zone = format!("+{:02}:00", dice.between(1, 12));
            client.query_drop(format!("SET time_zone = '{zone}', @mine = {number}")).await?;
            assert_eq!(client.query_first("SELECT @@time_zone, @mine").await?, Some((zone, number)));
        }
        6 => {
            let mut transaction = client.start_transaction(TxOpts::default()).await?;
            let next = own.value + 1;
            transaction.query_drop(format!("UPDATE soak SET value = {next} WHERE client = {number}")).await?;
            assert_eq!(transaction.query_first(&read).await?, Some(next), "{number}");
            if dice.percent(50) {
                transaction.commit().await?;
                own.written(next);
            } else {
                transaction.rollback().await?;
            }
        }
        7 => {
            client.query_drop("CREATE TEMPORARY TABLE own (a INT)").await?;
            client.query_drop(format!("INSERT INTO own VALUES ({number})")).await?;
            assert_eq!(client.query_first("SELECT a FROM own").await?, Some(number));
            client.query_drop("DROP TEMPORARY TABLE own").await?;
        }
        8 => {
            let error = client.query_drop("SELECT nothing FROM soak").await.expect_err("no such column");
            assert!(matches!(&error, Error::Server(error) if error.code == 1054), "{error}");
        }
        _ => {
            let size = dice.between(1, 300_000);
            let text: Option<String> = client.query_first(format!("SELECT REPEAT('x', {size})")).await?;
            assert_eq!(text.map(|text| text.len() as u64), Some(size));
        }
    }
    Ok(())
}

/// Leaves without having read the answer, or during the login.
async fn leave_in_the_middle(address: std::net::SocketAddr, dice: &mut Random) {
    if dice.percent(30) {
        let _ = RawClient::connect(address).await;
        return;
    }
    let login = LoginAs { schema: Some(SCHEMA.to_owned()), ..LoginAs::new(e2e::APP, e2e::APP) };
    let Ok(mut client) = RawClient::login(address, &login).await else { return };
    let sql = ["SELECT SLEEP(0.05)", "SELECT REPEAT('x', 1000000)", "START TRANSACTION", "SELECT GET_LOCK('soak', 0)"];
    let place = usize::try_from(dice.between(0, 3)).unwrap();
    client.send_command(&[b"\x03", sql[place].as_bytes()].concat()).await;
}
