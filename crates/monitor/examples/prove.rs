//! Tries to catch the monitor lying: writes to the primary, waits until a replica is said to be fresh as of after the write, and
//! reads there. Every row must be found.
//!
//! `cargo run -p monitor --example prove -- SECONDS HOST:PORT...`, with the accounts of the database images in docker/.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::time::{Duration, Instant};

use monitor::{Address, Failover, MonitoredServer, Settings, start};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder};
use tokio_util::sync::CancellationToken;
use topology::Role;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut args = std::env::args().skip(1);
    let length = Duration::from_secs(args.next().unwrap().parse().unwrap());
    let targets: Vec<MonitoredServer> = args.map(|address| target(&address)).collect();
    let settings = Settings::new(targets.clone(), "monitor", "monitor");
    let (mut snapshots, _control, _task) = start(settings, Failover::none(), CancellationToken::new());
    let snapshot =
        snapshots.wait_until(|s| s.primary.is_some() && s.servers.iter().all(|s| s.fresh_as_of.is_some())).await.unwrap();
    let primary = snapshot.primary.unwrap();

    let mut conns = Vec::new();
    for target in &targets {
        conns.push(connect(target).await);
    }
    let writer = conns.get_mut(primary.index()).unwrap();
    writer.query_drop("CREATE TABLE IF NOT EXISTS prove (id BIGINT PRIMARY KEY)").await.unwrap();
    writer.query_drop("TRUNCATE prove").await.unwrap();

    let (begin, mut id, mut waits, mut lies) = (Instant::now(), 0_u64, Vec::new(), 0);
    while begin.elapsed() < length {
        id += 1;
        conns.get_mut(primary.index()).unwrap().query_drop(format!("INSERT INTO prove VALUES ({id})")).await.unwrap();
        let written_at = Instant::now();
        // The first replica that is proven to have the write.
        let is_proven =
            |s: &topology::Server| s.role == Role::Replica && s.fresh_as_of.is_some_and(|moment| moment >= written_at);
        let snapshot = snapshots.wait_until(|s| s.servers.iter().any(is_proven)).await.unwrap();
        waits.push(written_at.elapsed());
        for server in snapshot.servers.iter().filter(|server| is_proven(server)) {
            let reader = conns.get_mut(server.id.index()).unwrap();
            let found: Option<u64> = reader.query_first(format!("SELECT id FROM prove WHERE id = {id}")).await.unwrap();
            lies += u32::from(found.is_none());
        }
    }
    waits.sort();
    let percent = |percent: usize| waits.get(waits.len() * percent / 100).copied().unwrap_or_default();
    println!(
        "{id} writes, {lies} lies; proven fresh after: median {:?}, p95 {:?}, p99 {:?}",
        percent(50),
        percent(95),
        percent(99)
    );
}

fn target(address: &str) -> MonitoredServer {
    let (host, port) = address.rsplit_once(':').unwrap();
    let replication = Address { host: host.into(), port: port.parse().unwrap() };
    MonitoredServer {
        id: topology::ServerId(0),
        name: address.into(),
        host: host.into(),
        port: port.parse().unwrap(),
        replication,
        share: topology::Share::default(),
    }
}

async fn connect(target: &MonitoredServer) -> Conn {
    let options = OptsBuilder::default()
        .ip_or_hostname(target.host.clone())
        .tcp_port(target.port)
        .user(Some("app"))
        .pass(Some("app"))
        .db_name(Some("guestbook"))
        .prefer_socket(false);
    Conn::new(options).await.unwrap()
}
