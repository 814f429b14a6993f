//! Repeats a fault of the primary again and again, under load, and says how long no write succeeded, and what was lost.
//!
//! `tests/failover-drill` builds what it takes and runs this.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "test code"
)]

use std::time::{Duration, Instant};

use e2e::writers::{Account, Load, follows};
use e2e::{Cluster, Engine, Proxy, Replication, Start, eventually};

const CONFIG: &str =
    "failover = { durability = 'lossless', user = 'replication', password = 'replication', cooldown = '0s', daily_max = 100000 }";

/// Writers and readers.
const WRITERS: u32 = 4;
const READERS: u32 = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Kill,
    ShutDown,
    Freeze,
    CutOff,
    Switchover,
}

impl Fault {
    const ALL: [(&'static str, Fault); 5] = [
        ("kill", Fault::Kill),
        ("shutdown", Fault::ShutDown),
        ("freeze", Fault::Freeze),
        ("cut", Fault::CutOff),
        ("switchover", Fault::Switchover),
    ];

    fn label(self) -> &'static str {
        Self::ALL.iter().find(|(_, fault)| *fault == self).map_or("", |(label, _)| label)
    }
}

/// Of all repetitions of one fault on one engine.
#[derive(Debug, Default)]
struct Total {
    gaps: Vec<Duration>,
    acknowledged: usize,
    lost: usize,
    duplicated: usize,
    unknown: usize,
    refused: usize,
    reads: u64,
    failed_reads: usize,
    /// Former primaries that had transactions that no other server had.
    diverged: usize,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let count: usize = arguments.first().map_or(50, |text| text.parse().expect("the number of repetitions"));
    let wanted = arguments.get(1..).unwrap_or_default();
    let engines = those(Engine::ALL.map(|engine| (engine.label(), engine)), wanted);
    let faults = those(Fault::ALL, wanted);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    println!(
        "| engine | fault | times | no write, p50 | p99 | longest | acknowledged | lost | twice | unknown | refused | reads failed | diverged |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|---|");
    for engine in engines {
        for fault in &faults {
            let mut cluster = runtime.block_on(Cluster::start_with(engine, Replication::Lossless)).expect("servers");
            let total = runtime.block_on(tokio::task::LocalSet::new().run_until(drill(&mut cluster, *fault, count)));
            // Not among local tasks, where testcontainers cannot take anything away.
            runtime.block_on(cluster.remove());
            print(engine, *fault, total);
        }
    }
}

/// Those that are named, or all.
fn those<T: Copy, const N: usize>(all: [(&str, T); N], wanted: &[String]) -> Vec<T> {
    let named: Vec<T> = all.iter().filter(|(label, _)| wanted.iter().any(|word| word == label)).map(|(_, one)| *one).collect();
    if named.is_empty() { all.map(|(_, one)| one).to_vec() } else { named }
}

async fn drill(cluster: &mut Cluster, fault: Fault, count: usize) -> Total {
    let engine = cluster.engine;
    let proxy = Start::before(cluster).config(CONFIG).start().await;
    let mut total = Total::default();
    for turn in 0..count {
        let (gap, account, is_diverged) = once(cluster, &proxy, fault).await;
        eprintln!("{} {} {}/{count}: {gap:?}", engine.label(), fault.label(), turn + 1);
        total.gaps.push(gap);
        total.acknowledged += account.acknowledged;
        total.lost += account.lost.len();
        total.duplicated += account.duplicated.len();
        total.unknown += account.unknown;
        total.refused += account.refusals.len();
        total.reads += account.reads;
        total.failed_reads += account.read_errors.len();
        for error in &account.read_errors {
            eprintln!("a read failed: {error}");
        }
        total.diverged += usize::from(is_diverged);
    }
    proxy.finish_with(&[""]).await;
    total
}

async fn once(cluster: &mut Cluster, proxy: &Proxy, fault: Fault) -> (Duration, Account, bool) {
    let old = place_of_primary(cluster, proxy).await;
    let load = Load::start_through(&cluster.servers[old], &[proxy], WRITERS, READERS).await;
    let begin = Instant::now();
    let server = &cluster.servers[old];
    match fault {
        Fault::Kill => server.kill().await,
        Fault::ShutDown => server.shut_down().await,
        Fault::Freeze => server.freeze().await,
        Fault::CutOff => server.cut_off().await,
        Fault::Switchover => {
            let (is_done, said) = proxy.ask(&["switchover"]).await;
            assert!(is_done, "{said}");
        }
    }
    let new = eventually("a new primary", async || {
        let now = proxy.primary().await?;
        cluster.servers.iter().position(|server| server.name == now).filter(|place| *place != old)
    })
    .await;
    load.progress(100).await;
    let gap = load.gap_after(begin);
    let account = load.finish(&cluster.servers[new]).await;
    match fault {
        Fault::Kill | Fault::ShutDown => cluster.servers[old].start().await,
        Fault::Freeze => cluster.servers[old].thaw().await,
        Fault::CutOff => cluster.servers[old].rejoin().await,
        Fault::Switchover => {}
    }
    let is_diverged = eventually("the old primary to come back", async || {
        if proxy.ask(&["status"]).await.1.contains("former_primary_diverged") {
            return Some(true);
        }
        follows(&cluster.servers[old], &cluster.servers[new]).await.then_some(false)
    })
    .await;
    if is_diverged {
        cluster.replace(old, new).await.expect("a new server");
    }
    cluster.wait_until_all_are_seen_to_follow(proxy, &cluster.servers[new]).await;
    proxy.await_finding("healthy").await;
    (gap, account, is_diverged)
}

async fn place_of_primary(cluster: &Cluster, proxy: &Proxy) -> usize {
    eventually("a primary", async || {
        let now = proxy.primary().await?;
        cluster.servers.iter().position(|server| server.name == now)
    })
    .await
}

fn print(engine: Engine, fault: Fault, mut total: Total) {
    total.gaps.sort();
    let at = |percent: usize| total.gaps[(total.gaps.len() * percent / 100).min(total.gaps.len() - 1)].as_millis();
    println!(
        "| {} | {} | {} | {} ms | {} ms | {} ms | {} | {} | {} | {} | {} | {} of {} | {} |",
        engine.label(),
        fault.label(),
        total.gaps.len(),
        at(50),
        at(99),
        total.gaps.last().expect("at least one").as_millis(),
        total.acknowledged,
        total.lost,
        total.duplicated,
        total.unknown,
        total.refused,
        total.failed_reads,
        total.reads,
        total.diverged
    );
}
