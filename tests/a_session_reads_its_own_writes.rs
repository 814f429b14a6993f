//! Causal reads: what a session has written, it reads, wherever the read runs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

use std::sync::Arc;

use e2e::mysql_async::prelude::Queryable as _;
use e2e::{Cluster, Proxy, unique};

e2e::suite! {
    Together: [
        every_write_is_read_back_at_once,
        replicas_answer_again_once_the_write_has_arrived,
    ],
    Alone: [a_write_that_never_arrives_keeps_the_session_on_the_primary],
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

async fn a_write_that_never_arrives_keeps_the_session_on_the_primary(cluster: Arc<Cluster>) {
    let proxy = Proxy::start(&cluster).await;
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
