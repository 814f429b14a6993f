//! Failover in a simulated cluster, for many seeds.
//!
//! `POINTSMAN_SEED=17` runs one seed and prints all of it; `POINTSMAN_SEEDS=1000000` runs that many: `POINTSMAN_SEEDS=1000000 cargo test --release -p
//! testkit --test simulator every_seed -- --nocapture`

#![allow(clippy::panic, clippy::expect_used, clippy::print_stdout, reason = "a test")]

use std::sync::atomic::{AtomicU64, Ordering};

use testkit::simulator::{Breakage, Options, Summary, run};

/// Well within a minute on two cores that have nothing else to do; the crates that matter are optimised also in debug builds.
const SEEDS: u64 = 2000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// Shares the seeds among threads; the first failure ends it.
fn run_all(seeds: u64, options: Options) -> Result<Summary, String> {
    let next = AtomicU64::new(0);
    let work = || {
        let mut total = Summary::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds {
                return Ok(total);
            }
            let one = run(seed, options).inspect_err(|_| next.store(seeds, Ordering::Relaxed))?;
            total.events += one.events;
            total.acknowledged += one.acknowledged;
            total.opened += one.opened;
            total.operator += one.operator;
            total.lost += one.lost;
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let totals = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().expect("a worker")).collect::<Result<Vec<Summary>, String>>()
    })?;
    Ok(totals.into_iter().fold(Summary::default(), |sum, one| Summary {
        events: sum.events + one.events,
        acknowledged: sum.acknowledged + one.acknowledged,
        opened: sum.opened + one.opened,
        operator: sum.operator + one.operator,
        lost: sum.lost + one.lost,
    }))
}

#[test]
fn every_seed_keeps_the_promises() {
    if let Some(seed) = number("POINTSMAN_SEED") {
        let summary = run(seed, Options { is_traced: true, ..Options::default() }).unwrap_or_else(|why| panic!("{why}"));
        println!("seed {seed}: {summary:?}");
        return;
    }
    let seeds = number("POINTSMAN_SEEDS").unwrap_or(SEEDS);
    let start = std::time::Instant::now();
    let summary = run_all(seeds, Options::default()).unwrap_or_else(|why| panic!("{why}"));
    println!("{seeds} seeds in {:?}: {summary:?}", start.elapsed());
    assert!(summary.opened > 0 && summary.acknowledged > 0, "nothing has happened: {summary:?}");
}

/// The seeds that are tried until a broken planner does what it is expected to do.
const SEEDS_UNTIL_CAUGHT: u64 = 10_000;

/// Some seed ends with this complaint.
#[track_caller]
fn is_caught(breakage: Breakage, complaint: &str) {
    let options = Options { breakage: Some(breakage), ..Options::default() };
    let found = (0..SEEDS_UNTIL_CAUGHT).filter_map(|seed| run(seed, options).err()).find(|why| why.contains(complaint));
    let found = found.unwrap_or_else(|| panic!("no seed complains: {complaint}"));
    println!("{breakage:?}: {}", found.lines().rev().find(|line| line.contains("POINTSMAN_SEED=")).unwrap_or("no seed"));
}

#[test]
fn a_planner_that_skips_the_freeze_is_caught() {
    is_caught(Breakage::SkipFreeze, "still receives");
}

#[test]
fn a_planner_that_promotes_the_least_advanced_is_caught() {
    is_caught(Breakage::ChooseLeastAdvanced, "was opened, but");
}

#[test]
fn a_planner_that_skips_the_drain_is_caught() {
    is_caught(Breakage::SkipDrain, "which was acknowledged");
}

#[test]
fn a_planner_that_skips_the_quorum_is_caught() {
    is_caught(Breakage::SkipQuorum, "which was acknowledged");
}

#[test]
fn a_planner_that_ignores_the_fence_is_caught() {
    is_caught(Breakage::IgnoreFence, "which it was replacing");
}
