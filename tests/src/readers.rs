//! Clients that read, so that one can see where their reads go and whether any of them fails.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Instant;

use mysql_async::prelude::Queryable as _;

use crate::wait::PATIENCE;
use crate::{Cluster, Proxy, SCHEMA, eventually, unique};

/// In its place in a statement comes what tells the reads of one moment from those of another.
pub const MARK: &str = "{mark}";

/// Looks at the shares of the servers before they count as not what is wanted, however long that takes.
const LOOKS_MIN: usize = 10;
const READS_OF_A_LOOK: usize = 60;

/// Clients that read all the time.
#[derive(Debug)]
pub struct Readers {
    /// What their statements bear now.
    mark: Rc<RefCell<String>>,
    reads: Rc<Cell<usize>>,
    stop: Rc<Cell<bool>>,
    tasks: Vec<tokio::task::JoinHandle<Result<(), String>>>,
}

impl Readers {
    /// A table whose reads take what a processor needs for them.
    pub async fn table(cluster: &Cluster) -> String {
        let table = unique("t");
        cluster.prepare(format!("CREATE TABLE {SCHEMA}.{table} (id INT PRIMARY KEY)")).await;
        let rows: Vec<String> = (0..400).map(|id| format!("({id})")).collect();
        cluster.prepare(format!("INSERT INTO {SCHEMA}.{table} VALUES {}", rows.join(", "))).await;
        table
    }

    /// A read of such a table.
    pub fn statement(table: &str) -> String {
        format!("SELECT COUNT(*), '{MARK}' FROM {table} a, {table} b")
    }

    /// So many of them, which read from a [`Readers::table`].
    pub async fn start(proxy: &Proxy, table: &str, count: usize) -> Self {
        Self::start_with(proxy, &Self::statement(table), count).await
    }

    /// So many of them, with a statement of the test's own, which has a [`MARK`] in it.
    pub async fn start_with(proxy: &Proxy, sql: &str, count: usize) -> Self {
        let (mark, reads, stop) = (Rc::<RefCell<String>>::default(), Rc::<Cell<usize>>::default(), Rc::<Cell<bool>>::default());
        let mut tasks = Vec::new();
        for _ in 0..count {
            let mut client = proxy.client().await;
            let sql = sql.to_owned();
            let (mark, reads, stop) = (Rc::clone(&mark), Rc::clone(&reads), Rc::clone(&stop));
            tasks.push(tokio::task::spawn_local(async move {
                while !stop.get() {
                    let sql = sql.replace(MARK, &RefCell::borrow(&mark));
                    client.query_drop(sql).await.map_err(|error| told(&error))?;
                    reads.set(reads.get() + 1);
                }
                client.disconnect().await.map_err(|error| error.to_string())
            }));
        }
        Self { mark, reads, stop, tasks }
    }

    /// Waits until db1, db2 and db3 get shares of the reads that are wanted. A look takes as long as a server that was made slow makes it take.
    pub async fn shared(&self, cluster: &Cluster, what: &str, is_wanted: impl Fn([usize; 3]) -> bool) {
        let (begun, mut seen) = (Instant::now(), Vec::new());
        while seen.len() < LOOKS_MIN || begun.elapsed() < PATIENCE {
            let shares = self.shares(cluster, READS_OF_A_LOOK).await;
            if is_wanted(shares) {
                return;
            }
            seen.push(shares);
        }
        panic!("waited in vain: {what}; reads on db1, db2 and db3: {seen:?}");
    }

    /// How many of the next reads, which are this many at least, db1, db2 and db3 get.
    async fn shares(&self, cluster: &Cluster, count: usize) -> [usize; 3] {
        let mark = unique("slow");
        mark.clone_into(&mut self.mark.borrow_mut());
        self.progress(count).await;
        let ran = cluster.who_ran(&mark).await;
        ["db1", "db2", "db3"].map(|name| ran.iter().filter(|server| **server == name).count())
    }

    /// Waits for so many more reads.
    pub async fn progress(&self, count: usize) {
        let before = self.reads.get();
        for number in 1..=count {
            eventually(&format!("read {number} of {count}"), async || (self.reads.get() >= before + number).then_some(())).await;
        }
    }

    /// Ends them, and returns the errors that they got.
    pub async fn finish(self) -> Vec<String> {
        self.stop.set(true);
        let mut errors = Vec::new();
        for task in self.tasks {
            errors.extend(task.await.expect("a reader").err());
        }
        errors
    }
}

/// Told at once, as a test may wait in vain for those who have ended.
fn told(error: &mysql_async::Error) -> String {
    eprintln!("a reader got an error: {error}");
    error.to_string()
}
