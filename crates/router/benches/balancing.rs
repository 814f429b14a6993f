//! How each algorithm does with one slow replica: `cargo bench -p router --bench balancing`.
//!
//! A simulation, and so the same figures on every machine. The last column is the p99 of all reads, relative to that of the two good replicas alone with
//! the same clients.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs,
    reason = "a bench"
)]
#![allow(unreachable_pub, reason = "the simulation is a module of the test, too")]

#[path = "../tests/simulation/mod.rs"]
mod simulation;

use std::time::{Duration, Instant};

use classifier::Digest;
use router::{Balance, Balancer, Balancing, Candidate, EjectionPolicy, Ending};
use simulation::{Scenario, run};
use topology::ServerId;

const ALL: [Balance; 5] =
    [Balance::RoundRobin, Balance::LeastConnections, Balance::Observed, Balance::RandomOfTwo, Balance::Latency];

#[allow(clippy::cast_precision_loss, reason = "for people")]
fn table(title: &str, scenario: impl Fn(Balancing) -> Scenario) {
    println!("\n{title}\n{:<20}{:<10}{:>9}{:>9}{:>9}{:>10}", "balance", "ejection", "p50 ms", "p99 ms", "slow %", "p99 rel.");
    let good = run(&scenario(Balancing::default()).without_the_slow()).percentile(990);
    for balance in ALL {
        for ejection in [EjectionPolicy::OFF, EjectionPolicy::default()] {
            let balancing = Balancing { balance, ejection, ..Balancing::default() };
            let figures = run(&scenario(balancing));
            let [median, high] = [500, 990].map(|percentile| figures.percentile(percentile) as f64 / 1000.0);
            println!(
                "{:<20}{:<10}{median:>9.2}{high:>9.2}{:>9.2}{:>10.2}",
                format!("{balance:?}"),
                if ejection == EjectionPolicy::OFF { "off" } else { "on" },
                figures.share(figures.reads.len() - 1, 1),
                high * 1000.0 / good as f64,
            );
        }
    }
}

/// What a choice and its ending cost.
fn costs() {
    const COUNT: u32 = 1_000_000;
    println!("\na choice among three, with its beginning and its end");
    for balance in ALL {
        let balancing = Balancing { balance, ..Balancing::default() };
        let mut balancer = Balancer::seeded(1);
        let began = Instant::now();
        for round in 0..COUNT {
            let candidates = (0..3).map(|server| Candidate { server: ServerId(server), weight: 1, back_since: None });
            let server = balancer.choose(&balancing, candidates, began).expect("a server");
            balancer.begin(server);
            let ending = Ending::Read { digest: Digest(u128::from(round % 100)), response: Duration::from_millis(1) };
            balancer.end(server, ending, began);
        }
        println!("{:<20}{:>6.1} ns", format!("{balance:?}"), began.elapsed().as_secs_f64() * 1e9 / f64::from(COUNT));
    }
}

fn main() {
    let idle = |balancing| Scenario::with_one_slow(10, balancing);
    table("one of three is 10 times slower; 16 clients, 2 workers, little load", idle);
    table("the same with 64 clients", |balancing| Scenario { clients: 64, ..idle(balancing) });
    table("one of three is 3 times slower", |balancing| Scenario::with_one_slow(3, balancing));
    table("10 times slower, reads of 1 ms and of 50 ms", |balancing| Scenario { kinds: vec![1, 1, 1, 50], ..idle(balancing) });
    table("10 times slower, 8 workers", |balancing| Scenario { workers: 8, ..idle(balancing) });
    table("all three are equal", |balancing| Scenario::with_one_slow(1, balancing));
    table("all three are equal and busy, reads of 1 ms and of 50 ms", |balancing| Scenario {
        kinds: vec![1, 1, 1, 50],
        clients: 12,
        ..Scenario::with_one_slow(1, balancing)
    });
    table("the same, and overloaded", |balancing| Scenario {
        kinds: vec![1, 1, 1, 50],
        clients: 32,
        ..Scenario::with_one_slow(1, balancing)
    });
    table("10 times slower in the first half, then as good as the others", |balancing| {
        let services = vec![(1000, 1000), (1000, 1000), (10_000, 1000)];
        Scenario { services, ..idle(balancing) }
    });
    costs();
}
