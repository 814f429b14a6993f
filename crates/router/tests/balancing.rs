//! What the algorithms make of one slow replica, by simulation. `benches/balancing.rs` shows the figures.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs, unreachable_pub, reason = "tests")]

mod simulation;

use router::{Balance, Balancing, EjectionPolicy};
use simulation::{Figures, Scenario, run};

const ALL: [Balance; 5] =
    [Balance::RoundRobin, Balance::LeastConnections, Balance::Observed, Balance::RandomOfTwo, Balance::Latency];

fn with(balance: Balance, ejection: EjectionPolicy) -> Balancing {
    Balancing { balance, ejection, ..Balancing::default() }
}

/// Half a minute instead of two minutes: there are many of them.
fn one_slow(balancing: Balancing) -> Scenario {
    Scenario { seconds: 30, ..Scenario::with_one_slow(10, balancing) }
}

/// The p99 relative to that of the two good replicas alone, with the same clients.
#[allow(clippy::cast_precision_loss, reason = "milliseconds")]
fn relative(figures: &Figures, scenario: &Scenario) -> f64 {
    figures.percentile(990) as f64 / run(&scenario.without_the_slow()).percentile(990) as f64
}

#[test]
fn one_slow_replica_of_three_does_not_show_in_the_p99_of_the_default() {
    for clients in [16, 64] {
        let scenario = Scenario { clients, ..one_slow(Balancing::default()) };
        let figures = run(&scenario);
        assert!(relative(&figures, &scenario) <= 1.1, "{clients} clients: {}", relative(&figures, &scenario));
        assert!(figures.share(2, 1) < 0.5, "{clients} clients: {} %", figures.share(2, 1));
    }
}

#[test]
fn without_ejections_the_algorithms_differ_by_what_they_see() {
    let at_most = |balance, limit: f64| {
        let scenario = one_slow(with(balance, EjectionPolicy::OFF));
        let relative = relative(&run(&scenario), &scenario);
        assert!(relative <= limit, "{balance:?}: {relative}");
        relative
    };
    let round_robin = at_most(Balance::RoundRobin, f64::INFINITY);
    assert!(round_robin >= 7.0, "{round_robin}");
    let least_connections = at_most(Balance::LeastConnections, round_robin);
    for (balance, limit) in [(Balance::Observed, 1.1), (Balance::RandomOfTwo, 1.1), (Balance::Latency, 1.5)] {
        assert!(at_most(balance, limit) < least_connections);
    }
}

#[test]
fn with_ejections_each_algorithm_spares_a_slow_replica() {
    for balance in ALL {
        let scenario = one_slow(with(balance, EjectionPolicy::default()));
        let relative = relative(&run(&scenario), &scenario);
        assert!(relative <= 1.1, "{balance:?}: {relative}");
    }
}

#[test]
fn a_replica_that_recovers_gets_its_share_again() {
    for balance in ALL {
        for ejection in [EjectionPolicy::OFF, EjectionPolicy::default()] {
            let services = vec![(1000, 1000), (1000, 1000), (10_000, 1000)];
            let figures = run(&Scenario { services, seconds: 120, ..one_slow(with(balance, ejection)) });
            assert!(figures.share(2, 1) > 20.0, "{balance:?} {ejection:?}: {} %", figures.share(2, 1));
        }
    }
}

/// Those that look at what is under way even it out, and so give less to a heavy replica while others have nothing under way.
#[test]
fn equal_replicas_share_by_their_weights() {
    for balance in ALL {
        let tolerance = if matches!(balance, Balance::RoundRobin | Balance::Latency) { 1.0 } else { 10.0 };
        for ejection in [EjectionPolicy::OFF, EjectionPolicy::default()] {
            let services = vec![(1000, 1000); 3];
            let figures = run(&Scenario { services, weights: vec![1, 2, 1], ..one_slow(with(balance, ejection)) });
            for (replica, expected) in [(0, 25.0), (1, 50.0), (2, 25.0)] {
                let share = figures.share(replica, 1);
                assert!((share - expected).abs() < tolerance, "{balance:?}: {share} % instead of {expected} %");
            }
        }
    }
}

/// On replicas that need not queue them.
#[test]
fn long_reads_among_short_ones_eject_nobody() {
    let services = vec![(1000, 1000); 3];
    let kinds = vec![1, 1, 1, 1, 100];
    for balance in ALL {
        let balancing = with(balance, EjectionPolicy::default());
        let figures = run(&Scenario { services: services.clone(), kinds: kinds.clone(), cores: 16, ..one_slow(balancing) });
        for replica in 0..3 {
            let share = figures.share(replica, 1);
            assert!((share - 33.3).abs() < 5.0, "{balance:?}: {share} %");
        }
    }
}
