//! Prints what the monitor sees: once a second, and whenever a role or the health of a server changes.
//!
//! `cargo run -p monitor --example watch -- USER PASSWORD HOST:PORT...`; the servers are named a, b, c ... in this order.
#![allow(clippy::print_stdout)]

use std::time::{Duration, Instant};

use monitor::{Address, Failover, MonitoredServer, Settings, start};
use tokio_util::sync::CancellationToken;
use topology::{Health, Server, Snapshot};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    tracing_subscriber::fmt().init();
    let mut args = std::env::args().skip(1);
    let (Some(user), Some(password)) = (args.next(), args.next()) else {
        println!("usage: watch USER PASSWORD HOST:PORT...");
        return;
    };
    let settings =
        Settings::new(('a'..).zip(args).filter_map(|(name, address)| target(name, &address)).collect(), user, password);
    let stop = CancellationToken::new();
    let failover = Failover::none();
    let (mut snapshots, _control, _task) = start(settings, failover, stop);

    let mut printed = String::new();
    let mut printed_at = Instant::now();
    let mut most = Duration::ZERO;
    while snapshots.changed().await {
        let snapshot = snapshots.load();
        let now = Instant::now();
        most = snapshot.servers.iter().filter_map(|server| server.staleness(now)).max().unwrap_or_default().max(most);
        let state = snapshot.servers.iter().map(state).collect::<Vec<_>>().join("  ");
        if state != printed || printed_at.elapsed() >= Duration::from_secs(1) {
            print(&snapshot, &state, most, now);
            (printed, printed_at, most) = (state, now, Duration::ZERO);
        }
    }
}

fn target(name: char, address: &str) -> Option<MonitoredServer> {
    let (host, port) = address.rsplit_once(':')?;
    let port = port.parse().ok()?;
    let replication = Address { host: host.into(), port };
    Some(MonitoredServer {
        id: topology::ServerId(0),
        name: name.to_string(),
        host: host.into(),
        port,
        replication,
        share: topology::Share::default(),
    })
}

fn state(server: &Server) -> String {
    let health = match &server.health {
        Health::Unknown => "unknown",
        Health::Up => "up",
        Health::Down { .. } => "DOWN",
    };
    let silent = if server.silent_since.is_some() { ",silent" } else { "" };
    format!("{}={health},{}{silent}", server.name, server.role)
}

fn print(snapshot: &Snapshot, state: &str, most: Duration, now: Instant) {
    let staleness: Vec<String> = snapshot
        .servers
        .iter()
        .map(|server| server.staleness(now).map_or("-".into(), |staleness| format!("{}", staleness.as_millis())))
        .collect();
    let cpu = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let cpu = cpu.split(' ').next().and_then(|nanos| nanos.parse::<u64>().ok()).unwrap_or(0) / 1_000_000;
    println!(
        "#{:<6} {state}  stale ms {}  (most {})  cpu ms {cpu}  warnings {:?}",
        snapshot.generation,
        staleness.join(" "),
        most.as_millis(),
        snapshot.warnings
    );
}
