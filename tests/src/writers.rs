//! Clients that write and read while something happens to the servers, and remember the answers.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Error};
use tokio::task::JoinHandle;

use crate::{Cluster, Engine, Proxy, SCHEMA, Server, eventually, unique};

/// SQLSTATE: whether the transaction was committed is not known.
const UNKNOWN: &str = "08007";

/// Writers and readers, each with a connection of its own, on one table.
#[derive(Debug)]
pub struct Load {
    /// The table of what is written.
    pub table: String,
    told: Rc<Told>,
    tasks: Vec<JoinHandle<()>>,
}

/// The answers that all of them got.
#[derive(Debug, Default)]
struct Told {
    stop: Cell<bool>,
    /// No client may begin a write; and how many are in the middle of one.
    rests: Cell<bool>,
    busy: Cell<usize>,
    next: Cell<u64>,
    /// Numbers whose write succeeded, and when.
    acknowledged: RefCell<Vec<(u64, Instant)>>,
    /// Numbers whose write has an unknown outcome, as far as the clients know.
    unknown: RefCell<Vec<u64>>,
    /// Numbers that were refused, and why.
    refused: RefCell<Vec<(u64, String)>>,
    read_errors: RefCell<Vec<String>>,
    reads: Cell<u64>,
}

/// The result of a load.
#[derive(Debug)]
pub struct Account {
    /// Writes that succeeded.
    pub acknowledged: usize,
    /// Of those, what the server has not.
    pub lost: Vec<u64>,
    /// What the server has more than once.
    pub duplicated: Vec<u64>,
    /// What was refused, and is there all the same.
    pub refused_but_done: Vec<u64>,
    /// Writes of unknown outcome.
    pub unknown: usize,
    /// What was refused, in words.
    pub refusals: Vec<String>,
    /// Errors that reads got instead of an answer.
    pub read_errors: Vec<String>,
    /// Plain reads that were answered.
    pub reads: u64,
}

impl Load {
    /// Begins, and waits until everybody has been served.
    pub async fn start(cluster: &Cluster, proxy: &Proxy, writers: u32, readers: u32) -> Self {
        Self::start_through(cluster.primary(), &[proxy], writers, readers).await
    }

    /// The same, where this server is the primary, with so many of them at each of these proxies.
    pub async fn start_through(primary: &Server, proxies: &[&Proxy], writers: u32, readers: u32) -> Self {
        let table = unique("load");
        // No key: what was done twice shall show.
        primary.run(format!("CREATE TABLE {SCHEMA}.{table} (id BIGINT UNSIGNED)")).await;
        let mut client = proxies[0].client().await;
        // Readers shall find it wherever they read.
        eventually("the table on all servers", async || {
            for _ in 0..6 {
                client.query_drop(format!("SELECT COUNT(*) FROM {table}")).await.ok()?;
            }
            Some(())
        })
        .await;
        let _ = client.disconnect().await;
        let told = Rc::new(Told::default());
        let mut tasks = Vec::new();
        for proxy in proxies {
            for _ in 0..writers {
                tasks.push(tokio::task::spawn_local(write(proxy.options(), table.clone(), Rc::clone(&told))));
            }
            for _ in 0..readers {
                tasks.push(tokio::task::spawn_local(read(proxy.options(), table.clone(), Rc::clone(&told))));
            }
        }
        let load = Self { table, told, tasks };
        load.progress(50).await;
        load
    }

    /// Adds clients whose every transaction writes twice.
    pub fn add_transactions(&mut self, proxy: &Proxy, clients: u32) {
        for _ in 0..clients {
            self.tasks.push(tokio::task::spawn_local(transact(proxy.options(), self.table.clone(), Rc::clone(&self.told))));
        }
    }

    /// Waits until no write is under way, and lets none begin before [`Load::go_on`].
    ///
    /// A write that a killed primary did not replicate keeps it from coming back as a replica. Where it must come back, no write may be in progress.
    pub async fn rest(&self) {
        self.told.rests.set(true);
        eventually("the end of writes", async || (self.told.busy.get() == 0).then_some(())).await;
    }

    /// Ends [`Load::rest`].
    pub fn go_on(&self) {
        self.told.rests.set(false);
    }

    /// Waits for this many more acknowledged writes.
    pub async fn progress(&self, more: usize) {
        let goal = self.told.acknowledged.borrow().len() + more;
        eventually("more writes", async || (self.told.acknowledged.borrow().len() >= goal).then_some(())).await;
    }

    /// The time from this moment to the first write that succeeded after a pause which includes it: the longest time between two writes that
    /// ended after the moment.
    pub fn gap_after(&self, moment: Instant) -> Duration {
        let acknowledged = self.told.acknowledged.borrow();
        let mut moments: Vec<Instant> = acknowledged.iter().map(|(_, at)| *at).collect();
        moments.sort();
        let pairs = moments.iter().zip(moments.iter().skip(1));
        pairs
            .filter(|(_, after)| **after > moment)
            .map(|(before, after)| *after - (*before).max(moment))
            .max()
            .unwrap_or_default()
    }

    /// Ends the load, and compares the clients' answers with what a server has.
    pub async fn finish(self, server: &Server) -> Account {
        self.told.stop.set(true);
        for task in self.tasks {
            crate::promptly("the end of a client", task).await.expect("a client ends");
        }
        let stored: Vec<(u64, u64)> =
            server.rows(format!("SELECT id, COUNT(*) FROM {SCHEMA}.{} GROUP BY id ORDER BY id", self.table), ()).await;
        let has = |id: &u64| stored.binary_search_by_key(id, |(id, _)| *id).is_ok();
        let told = &self.told;
        let account = Account {
            acknowledged: told.acknowledged.borrow().len(),
            lost: told.acknowledged.borrow().iter().map(|(id, _)| *id).filter(|id| !has(id)).collect(),
            duplicated: stored.iter().filter(|(_, count)| *count > 1).map(|(id, _)| *id).collect(),
            refused_but_done: told.refused.borrow().iter().map(|(id, _)| *id).filter(|id| has(id)).collect(),
            unknown: told.unknown.borrow().len(),
            refusals: told.refused.borrow().iter().map(|(_, why)| why.clone()).collect(),
            read_errors: told.read_errors.borrow().clone(),
            reads: told.reads.get(),
        };
        eprintln!(
            "{} acknowledged, {} lost, {} unknown, {} refused, {} reads, {} read errors",
            account.acknowledged,
            account.lost.len(),
            account.unknown,
            account.refusals.len(),
            account.reads,
            account.read_errors.len()
        );
        account
    }
}

impl Account {
    /// No acknowledged write is lost, none was done twice, none that was refused was done, and no read failed.
    pub fn check(&self) {
        self.check_writes();
        assert_eq!(self.read_errors, Vec::<String>::new(), "reads that failed");
    }

    /// As [`Account::check`], and no client got an error.
    pub fn check_nothing_seen(&self) {
        self.check();
        assert_eq!(self.refusals, Vec::<String>::new(), "refused");
        assert_eq!(self.unknown, 0, "writes of unknown outcome");
    }

    /// As [`Account::check`], where reads may fail, as the proxy was gone.
    pub fn check_writes(&self) {
        assert_eq!(self.lost, Vec::<u64>::new(), "acknowledged, and lost");
        assert_eq!(self.duplicated, Vec::<u64>::new(), "done twice");
        assert_eq!(self.refused_but_done, Vec::<u64>::new(), "refused, and done");
    }
}

async fn write(options: mysql_async::OptsBuilder, table: String, told: Rc<Told>) {
    let mut client: Option<Conn> = None;
    while !told.stop.get() {
        let Some(conn) = connected(&mut client, &options, &told).await else { continue };
        let id = told.next_id();
        if told.begin() {
            let outcome = conn.query_drop(format!("INSERT INTO {table} VALUES ({id})")).await;
            if !told.end(&[id], outcome) {
                client = None;
            }
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    if let Some(conn) = client {
        let _ = conn.disconnect().await;
    }
}

async fn transact(options: mysql_async::OptsBuilder, table: String, told: Rc<Told>) {
    let mut client: Option<Conn> = None;
    while !told.stop.get() {
        let Some(conn) = connected(&mut client, &options, &told).await else { continue };
        let ids = [told.next_id(), told.next_id()];
        if told.begin() {
            let outcome = write_twice(conn, &table, ids).await;
            if !told.end(&ids, outcome) {
                client = None;
            }
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    if let Some(conn) = client {
        let _ = conn.disconnect().await;
    }
}

async fn write_twice(client: &mut Conn, table: &str, ids: [u64; 2]) -> mysql_async::Result<()> {
    client.query_drop("BEGIN").await?;
    for id in ids {
        client.query_drop(format!("INSERT INTO {table} VALUES ({id})")).await?;
    }
    client.query_drop("COMMIT").await
}

impl Told {
    fn next_id(&self) -> u64 {
        self.next.replace(self.next.get() + 1)
    }

    /// Whether a write may begin now.
    fn begin(&self) -> bool {
        if !self.rests.get() {
            self.busy.set(self.busy.get() + 1);
        }
        !self.rests.get()
    }

    /// Notes the outcome. Returns whether the connection is still good.
    fn end(&self, ids: &[u64], outcome: mysql_async::Result<()>) -> bool {
        self.busy.set(self.busy.get() - 1);
        match outcome {
            Ok(()) => self.acknowledged.borrow_mut().extend(ids.iter().map(|id| (*id, Instant::now()))),
            Err(Error::Server(error)) if error.state == UNKNOWN => self.unknown.borrow_mut().extend(ids),
            Err(Error::Server(error)) => self.refused.borrow_mut().extend(ids.iter().map(|id| (*id, error.to_string()))),
            Err(_) => {
                self.unknown.borrow_mut().extend(ids);
                return false;
            }
        }
        true
    }
}

/// `ER_NO_SUCH_TABLE`
const NO_SUCH_TABLE: u16 = 1146;

async fn read(options: mysql_async::OptsBuilder, table: String, told: Rc<Told>) {
    let mut client: Option<Conn> = None;
    // The table is new, and this session has not made it.
    let mut has_seen_table = false;
    while !told.stop.get() {
        let Some(conn) = connected(&mut client, &options, &told).await else { continue };
        match conn.query_first::<u64, _>(format!("SELECT COUNT(*) FROM {table}")).await {
            Ok(_) => {
                has_seen_table = true;
                told.reads.set(told.reads.get() + 1);
            }
            Err(Error::Server(error)) if error.code == NO_SUCH_TABLE && !has_seen_table => {}
            Err(error) => {
                told.read_errors.borrow_mut().push(error.to_string());
                client = None;
            }
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    if let Some(conn) = client {
        let _ = conn.disconnect().await;
    }
}

async fn connected<'c>(client: &'c mut Option<Conn>, options: &mysql_async::OptsBuilder, told: &Told) -> Option<&'c mut Conn> {
    if client.is_none() {
        match Conn::new(options.clone()).await {
            Ok(conn) => *client = Some(conn),
            Err(error) => {
                told.read_errors.borrow_mut().push(format!("login: {error}"));
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
    client.as_mut()
}

/// Whether a server is a replica of another, and both its threads run.
pub async fn follows(server: &Server, source: &Server) -> bool {
    let (sql, host, io, applier) = match server.engine() {
        Engine::MySql => ("SHOW REPLICA STATUS", "Source_Host", "Replica_IO_Running", "Replica_SQL_Running"),
        Engine::MariaDb => ("SHOW SLAVE STATUS", "Master_Host", "Slave_IO_Running", "Slave_SQL_Running"),
    };
    // A former primary cuts all its clients off.
    let Ok(mut admin) = server.try_admin().await else { return false };
    let Ok(Some(row)) = admin.query_first::<mysql_async::Row, _>(sql).await else { return false };
    let _ = admin.disconnect().await;
    let text = |column: &str| row.get::<String, _>(column).unwrap_or_default();
    text(host) == source.host_inside() && text(io) == "Yes" && text(applier) == "Yes"
}
