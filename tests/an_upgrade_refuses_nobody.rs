//! A new process takes over from the one that runs: no client is refused, no session is cut off, and if the new one cannot start, nothing has happened.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use e2e::failover::AUTOMATIC;
use e2e::mysql_async::prelude::Queryable as _;
use e2e::mysql_async::{Conn, Error};
use e2e::writers::Load;
use e2e::{Cluster, Proxy, SCHEMA, Start, eventually, unique};
use tokio::task::JoinHandle;

e2e::suite! {
    Together: [
        clients_come_and_go_meanwhile,
        a_session_keeps_all_it_has,
        the_former_process_ends_after_its_time,
        a_process_that_cannot_start_changes_nothing,
        a_process_that_fails_late_leaves_the_sockets,
    ],
    OwnLosslessCluster: [the_former_process_follows_a_new_primary],
}

async fn clients_come_and_go_meanwhile(cluster: Arc<Cluster>) {
    let mut proxy = Proxy::start(&cluster).await;
    let mut load = Load::start(&cluster, &proxy, 2, 2).await;
    load.add_transactions(&proxy, 2);
    let comers = Comers::start(&proxy, 4);
    comers.progress(20).await;
    // What a person has set is passed on.
    let (is_done, said) = proxy.ask(&["set", "db3", "--state", "drain", "--weight", "7"]).await;
    assert!(is_done, "{said}");
    for _ in 0..2 {
        proxy.upgrade().await;
        comers.progress(50).await;
        load.progress(20).await;
        let (_, status) = proxy.ask(&["status"]).await;
        assert!(status.contains("weight 7    drain"), "{status}");
    }
    assert!(proxy.has_former(), "it has sessions");
    let account = load.finish(cluster.primary()).await;
    account.check_nothing_seen();
    proxy.former_ended().await;
    assert_eq!(comers.finish().await, Vec::<String>::new());
    // The admin socket is still there.
    assert_eq!(proxy.primary().await.as_deref(), Some("db1"));
    proxy.finish().await;
}

/// Clients that connect, ask, and leave, again and again.
struct Comers {
    served: Rc<Cell<usize>>,
    stop: Rc<Cell<bool>>,
    errors: Rc<RefCell<Vec<String>>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Comers {
    fn start(proxy: &Proxy, count: usize) -> Self {
        let (served, stop, errors) =
            (Rc::<Cell<usize>>::default(), Rc::<Cell<bool>>::default(), Rc::<RefCell<Vec<String>>>::default());
        let tasks = (0..count).map(|_| {
            let (options, served, stop, errors) = (proxy.options(), Rc::clone(&served), Rc::clone(&stop), Rc::clone(&errors));
            tokio::task::spawn_local(async move {
                while !stop.get() {
                    let visit = async {
                        let mut client = Conn::new(options.clone()).await?;
                        client.query_drop("SELECT 1").await?;
                        client.disconnect().await
                    };
                    match visit.await {
                        Ok(()) => served.set(served.get() + 1),
                        Err(error) => errors.borrow_mut().push(Error::to_string(&error)),
                    }
                }
            })
        });
        let tasks = tasks.collect();
        Self { served, stop, errors, tasks }
    }

    /// Waits for so many more that were served.
    async fn progress(&self, more: usize) {
        let enough = self.served.get() + more;
        eventually("clients", async || (self.served.get() >= enough).then_some(())).await;
    }

    /// The errors that they got.
    async fn finish(self) -> Vec<String> {
        self.stop.set(true);
        for task in self.tasks {
            task.await.expect("a client");
        }
        self.errors.take()
    }
}

async fn a_session_keeps_all_it_has(cluster: Arc<Cluster>) {
    let mut proxy = Proxy::start(&cluster).await;
    let table = unique("t");
    cluster.prepare(format!("CREATE TABLE {SCHEMA}.{table} (id INT PRIMARY KEY)")).await;
    let mut client = proxy.client().await;
    client.query_drop("CREATE TEMPORARY TABLE mine (id INT)").await.unwrap();
    let prepared = client.prep(format!("INSERT INTO {table} VALUES (?)")).await.unwrap();
    client.query_drop("BEGIN").await.unwrap();
    client.exec_drop(&prepared, (1,)).await.unwrap();
    proxy.upgrade().await;
    client.exec_drop(&prepared, (2,)).await.unwrap();
    client.query_drop("COMMIT").await.unwrap();
    assert_eq!(client.query_first::<u32, _>("SELECT COUNT(*) FROM mine").await.unwrap(), Some(0));
    // A client of the new process sees what one of the old has written.
    let mut other = proxy.client().await;
    assert_eq!(other.query_first::<u32, _>(format!("SELECT COUNT(*) FROM {table} FOR UPDATE")).await.unwrap(), Some(2));
    assert!(proxy.has_former());
    client.disconnect().await.unwrap();
    proxy.former_ended().await;
    other.query_drop("SELECT 1").await.unwrap();
    other.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn the_former_process_ends_after_its_time(cluster: Arc<Cluster>) {
    let mut proxy = Start::before(&cluster).config("timeouts.upgrade = '100ms'").start().await;
    let mut idle = proxy.client().await;
    proxy.upgrade().await;
    proxy.former_ended().await;
    idle.query_drop("SELECT 1").await.unwrap_err();
    let mut client = proxy.client().await;
    client.query_drop("SELECT 1").await.unwrap();
    client.disconnect().await.unwrap();
    proxy.finish().await;
}

async fn a_process_that_cannot_start_changes_nothing(cluster: Arc<Cluster>) {
    let mut proxy = Start::before(&cluster).config("reload.on_change = false").start().await;
    proxy.expect_in_log("no other process has taken over");
    let comers = Comers::start(&proxy, 2);
    proxy.reconfigure("routing.max_lagg = '1s'");
    proxy.ask_for_an_upgrade();
    let line = proxy.await_line("no other process has taken over, this one goes on").await;
    assert!(line.fields["why"].as_str().unwrap().contains("ended before it accepted clients"), "{}", line.text);
    let (is_done, said) = proxy.ask(&["upgrade"]).await;
    assert!(!is_done && said.contains("ended before it accepted clients (exit status: 2)"), "{said}");
    comers.progress(20).await;
    // It still decides about the servers.
    let (is_done, said) = proxy.ask(&["switchover", "--to", "db1"]).await;
    assert!(is_done, "{said}");
    assert_eq!(comers.finish().await, Vec::<String>::new());
    proxy.finish_with(&["has 1 mistake", "max_lagg"]).await;
}

/// It has adopted the admin socket before it finds that it cannot listen.
async fn a_process_that_fails_late_leaves_the_sockets(cluster: Arc<Cluster>) {
    let mut proxy = Start::before(&cluster).config("reload.on_change = false").start().await;
    proxy.expect_in_log("no other process has taken over");
    let occupied = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    proxy.reconfigure(&format!("listen.address = '{}'", occupied.local_addr().unwrap()));
    let (is_done, said) = proxy.ask(&["upgrade"]).await;
    assert!(!is_done && said.contains("ended before it accepted clients (exit status: 1)"), "{said}");
    assert!(proxy.admin_socket().exists());
    assert_eq!(proxy.primary().await.as_deref(), Some("db1"));
    let mut client = proxy.client().await;
    client.query_drop("SELECT 1").await.unwrap();
    client.disconnect().await.unwrap();
    proxy.finish_with(&["cannot listen", "is not used"]).await;
}

async fn the_former_process_follows_a_new_primary(cluster: Arc<Cluster>) {
    let mut proxy = Start::before(&cluster).config(&format!("{AUTOMATIC}\nrouting.hold_writes = '1m'")).start().await;
    for expected in ["the primary is about to be replaced", "a new primary takes writes", "no primary", "acknowledgement"] {
        proxy.expect_in_log(expected);
    }
    let load = Load::start(&cluster, &proxy, 2, 2).await;
    proxy.upgrade().await;
    let (is_done, said) = proxy.ask(&["switchover", "--to", "db2", "--drain", "20s", "--limit", "20s"]).await;
    assert!(is_done, "{said}");
    load.progress(20).await;
    assert!(proxy.has_former(), "it has sessions");
    let db2 = cluster.server("db2");
    cluster.wait_until_all_are_seen_to_follow(&proxy, db2).await;
    // Both processes saw to it that writes waited. An OK that was on its way may be told as unknown by the one that did not decide.
    let account = load.finish(db2).await;
    account.check();
    assert_eq!(account.refusals, Vec::<String>::new());
    proxy.former_ended().await;
    proxy.finish().await;
}
