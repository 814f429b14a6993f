//! One check for all algorithms, and what is the same for all of them.

use super::*;

/// Reads of this digest take a millisecond on a usual server.
const DIGEST: Digest = Digest(1);
const USUAL: Duration = Duration::from_millis(1);

/// A candidate, what is under way there, and how many times slower than others it was.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case {
    server: u16,
    weight: u32,
    busy: u32,
    slow: u32,
    back_since: Option<Instant>,
}

impl Case {
    pub(super) fn of(server: u16, weight: u32) -> Self {
        Self { server, weight, busy: 0, slow: 1, back_since: None }
    }

    pub(super) fn busy(self, busy: u32) -> Self {
        Self { busy, ..self }
    }

    pub(super) fn slow(self, slow: u32) -> Self {
        Self { slow, ..self }
    }
}

/// A balancer that has seen all this.
fn balancer(cases: &[Case], now: Instant) -> Balancer {
    let mut balancer = Balancer::seeded(1);
    for _ in 0..50 {
        for case in cases {
            let ending = Ending::Read { digest: DIGEST, response: USUAL * case.slow };
            balancer.begin(ServerId(case.server));
            balancer.end(ServerId(case.server), ending, now);
        }
    }
    for case in cases {
        (0..case.busy).for_each(|_| balancer.begin(ServerId(case.server)));
    }
    balancer
}

fn candidates(cases: &[Case]) -> impl Iterator<Item = Candidate> + '_ {
    let candidate = |case: &Case| Candidate { server: ServerId(case.server), weight: case.weight, back_since: case.back_since };
    cases.iter().map(candidate)
}

fn chosen(balance: Balance, cases: &[Case], count: usize) -> Vec<u16> {
    let now = Instant::now();
    let mut balancer = balancer(cases, now);
    let balancing = Balancing { balance, ejection: EjectionPolicy::OFF, ..Balancing::default() };
    (0..count).filter_map(|_| balancer.choose(&balancing, candidates(cases), now)).map(|server| server.0).collect()
}

/// The servers that are chosen one after another.
#[track_caller]
pub(super) fn check(balance: Balance, cases: &[Case], expected: &[u16]) {
    assert_eq!(chosen(balance, cases, expected.len()), expected, "{balance:?} {cases:?}");
}

/// How often each is chosen.
pub(super) fn shares(balance: Balance, cases: &[Case], count: usize) -> Vec<usize> {
    let chosen = chosen(balance, cases, count);
    cases.iter().map(|case| chosen.iter().filter(|server| **server == case.server).count()).collect()
}

const ALL: [Balance; 5] =
    [Balance::RoundRobin, Balance::LeastConnections, Balance::Observed, Balance::RandomOfTwo, Balance::Latency];

#[test]
fn each_algorithm_has_its_name_of_the_configuration() {
    assert_eq!(ALL.map(Balance::name), ["round_robin", "least_connections", "observed", "random_of_two", "latency"]);
}

#[test]
fn what_is_under_way_can_be_seen() {
    let under_way = |cases: &[Case]| balancer(cases, Instant::now()).load().under_way(ServerId(1));
    assert_eq!(under_way(&[Case::of(1, 1), Case::of(2, 1).busy(3)]), 0);
    assert_eq!(under_way(&[Case::of(1, 1).busy(2), Case::of(2, 1).busy(3)]), 2);
}

#[test]
fn a_server_that_comes_back_gets_a_growing_share() {
    let now = Instant::now();
    for balance in ALL {
        for (back, expected) in [(0, 9), (2, 17), (5, 33), (9, 47), (10, 50), (1000, 50)] {
            let balancing = Balancing { balance, slow_start: Duration::from_secs(10), ejection: EjectionPolicy::OFF };
            let cases = [Case { back_since: now.checked_sub(Duration::from_secs(back)), ..Case::of(1, 1) }, Case::of(2, 1)];
            let mut balancer = balancer(&cases, now);
            let chosen = (0..10_000).filter_map(|_| balancer.choose(&balancing, candidates(&cases), now));
            let share = chosen.filter(|server| server.0 == 1).count() / 100;
            assert!(share.abs_diff(expected) <= 2, "{balance:?}, {back} s after its return: {share} %");
        }
    }
}

#[test]
fn servers_that_come_back_together_share_equally() {
    let now = Instant::now();
    for balance in ALL {
        let balancing = Balancing { balance, slow_start: Duration::from_secs(10), ejection: EjectionPolicy::OFF };
        let cases = [1, 2].map(|server| Case { back_since: Some(now), ..Case::of(server, 1) });
        let mut balancer = balancer(&cases, now);
        let chosen = (0..10_000).filter_map(|_| balancer.choose(&balancing, candidates(&cases), now));
        let share = chosen.filter(|server| server.0 == 1).count() / 100;
        assert!(share.abs_diff(50) <= 2, "{balance:?}: {share} %");
    }
}

#[test]
fn a_choice_allocates_nothing_once_all_servers_were_seen() {
    let now = Instant::now();
    let cases = [Case::of(1, 1), Case::of(2, 3), Case::of(3, 1)];
    let mut balancer = balancer(&cases, now);
    let room = |balancer: &Balancer| (balancer.candidates.as_ptr(), balancer.weighted.as_ptr());
    balancer.choose(&Balancing::default(), candidates(&cases), now);
    let before = room(&balancer);
    for balance in ALL {
        let balancing = Balancing { balance, ..Balancing::default() };
        (0..100).for_each(|_| assert!(balancer.choose(&balancing, candidates(&cases), now).is_some()));
    }
    assert_eq!(room(&balancer), before);
}

#[test]
fn balancers_of_different_seeds_choose_differently() {
    let now = Instant::now();
    let cases = [Case::of(1, 1), Case::of(2, 1), Case::of(3, 1)];
    let balancing = Balancing { balance: Balance::RandomOfTwo, ..Balancing::default() };
    let choices = |seed| {
        let mut balancer = Balancer::seeded(seed);
        (0..50).filter_map(|_| balancer.choose(&balancing, candidates(&cases), now)).collect::<Vec<_>>()
    };
    assert_eq!(choices(1), choices(1));
    assert_ne!(choices(1), choices(2));
}

#[test]
fn a_replica_that_was_late_is_not_waited_for_again_for_a_while() {
    let (mut balancer, now) = (Balancer::seeded(1), Instant::now());
    let may_wait = |balancer: &Balancer, after| balancer.may_wait(ServerId(1), now + after);
    assert!(may_wait(&balancer, Duration::ZERO));
    balancer.note_late(ServerId(1), now);
    assert!(!may_wait(&balancer, LATE / 2) && may_wait(&balancer, LATE) && balancer.may_wait(ServerId(2), now));
    balancer.note_late(ServerId(1), now + LATE);
    assert!(!may_wait(&balancer, LATE) && balancer.late.len() == 1);
}
