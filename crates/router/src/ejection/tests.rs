//! Who is ejected, for how long, and how it comes back.

use classifier::Digest;

use super::*;
use crate::balance::{Balance, Balancer, Balancing, Ending};

const DIGEST: Digest = Digest(1);
const POLICY: EjectionPolicy = EjectionPolicy {
    failures: 5,
    errors: 50,
    latency: 5,
    latency_min: Duration::from_millis(5),
    share: 50,
    time: Duration::from_secs(10),
    time_max: Duration::from_mins(1),
};

/// Servers 0, 1, ... in turn, and the time that each takes for a read; `None`: it fails.
struct World {
    balancer: Balancer,
    policy: EjectionPolicy,
    responses: Vec<Option<Duration>>,
    now: Instant,
}

impl World {
    fn new(milliseconds: &[Option<u64>]) -> Self {
        let responses = milliseconds.iter().map(|response| response.map(Duration::from_millis)).collect();
        Self { balancer: Balancer::seeded(1), policy: POLICY, responses, now: Instant::now() }
    }

    /// A read, and where it went.
    fn read(&mut self) -> u16 {
        let balancing = Balancing { balance: Balance::RoundRobin, slow_start: Duration::ZERO, ejection: self.policy };
        let all = (0..).map(ServerId).take(self.responses.len());
        let candidates = all.map(|server| Candidate { server, weight: 1, back_since: None });
        let server = self.balancer.choose(&balancing, candidates, self.now).expect("a server");
        self.balancer.begin(server);
        let ending = match self.responses[server.index()] {
            Some(response) => Ending::Read { digest: DIGEST, response },
            None => Ending::Failed,
        };
        self.balancer.end(server, ending, self.now);
        server.0
    }

    fn reads(&mut self, count: usize) {
        for _ in 0..count {
            self.read();
        }
    }

    /// Those that get no reads now.
    fn ejected(&self) -> Vec<u16> {
        let all = (0..).map(ServerId).take(self.responses.len());
        all.filter(|server| self.balancer.ejection(*server, self.now).is_some()).map(|server| server.0).collect()
    }

    /// Lets this time pass, then reads until some server is ejected again, and returns for how long it is.
    fn ejected_again_after(&mut self, pause: u64) -> Duration {
        self.now += Duration::from_secs(pause);
        self.balancer.take_news();
        (0..1000)
            .find_map(|_| {
                self.read();
                self.balancer.take_news()
            })
            .expect("an ejection")
            .lasts
    }
}

#[test]
fn outliers_are_ejected() {
    let check = |responses: &[Option<u64>], policy: EjectionPolicy, expected: &[u16]| {
        let mut world = World { policy, ..World::new(responses) };
        world.reads(300);
        assert_eq!(world.ejected(), expected, "{responses:?} {policy:?}");
        world.balancer.take_news();
        let readers: Vec<u16> = (0..30).map(|_| world.read()).collect();
        assert!(expected.iter().all(|server| !readers.contains(server)) || expected.len() == responses.len(), "{readers:?}");
    };
    let (quick, slow, fails) = (Some(10), Some(100), None);
    check(&[quick, quick, slow], POLICY, &[2]);
    check(&[slow, quick], POLICY, &[0]);
    check(&[quick, fails, quick], POLICY, &[1]);
    // Not by as much as that, or quick enough for all purposes.
    check(&[quick, quick, Some(40)], POLICY, &[]);
    check(&[Some(1), Some(1), Some(4)], EjectionPolicy { latency: 2, ..POLICY }, &[]);
    check(&[Some(1), Some(1), Some(4)], EjectionPolicy { latency: 2, latency_min: Duration::ZERO, ..POLICY }, &[2]);
    // Just as long as that.
    check(&[Some(1), Some(1), Some(5)], EjectionPolicy { latency: 2, ..POLICY }, &[2]);
    // Compared with the median of the others, not with the quickest.
    check(&[quick, slow, slow, slow], POLICY, &[]);
    check(&[slow, slow, quick, quick], POLICY, &[0, 1]);
    // The very first read has none to be compared with, so its server is judged last, when two of five are out.
    check(&[slow, slow, slow, quick, quick], POLICY, &[1, 2]);
    // All slow is usual, and one alone has nobody to be compared with.
    check(&[slow, slow, slow], POLICY, &[]);
    check(&[slow], POLICY, &[]);
    check(&[fails], POLICY, &[]);
    // Never more than the share, and never all.
    check(&[fails, fails], POLICY, &[0]);
    check(&[fails, fails, fails], POLICY, &[0]);
    check(&[fails, fails, fails, quick], POLICY, &[0, 1]);
    check(&[fails, fails, fails], EjectionPolicy { share: 100, ..POLICY }, &[0, 1]);
    check(&[fails, quick, quick, quick], EjectionPolicy { share: 20, ..POLICY }, &[]);
    // One criterion alone.
    check(&[quick, quick, slow], EjectionPolicy { failures: 0, errors: 0, ..POLICY }, &[2]);
    check(&[quick, quick, fails], EjectionPolicy { latency: 0, errors: 0, ..POLICY }, &[2]);
    // Switched off.
    check(&[quick, quick, slow], EjectionPolicy { latency: 0, ..POLICY }, &[]);
    check(&[quick, quick, fails], EjectionPolicy { failures: 0, errors: 0, ..POLICY }, &[]);
    check(&[quick, fails, slow], EjectionPolicy::OFF, &[]);
}

#[test]
fn failures_that_are_not_in_a_row_eject_nobody_by_their_number() {
    let mut world = World { policy: EjectionPolicy { errors: 0, ..POLICY }, ..World::new(&[Some(10), Some(10)]) };
    for _ in 0..50 {
        world.responses[1] = None;
        world.reads(8);
        world.responses[1] = Some(Duration::from_millis(10));
        world.reads(2);
    }
    assert_eq!(world.ejected(), [0_u16; 0]);
}

#[test]
fn each_ejection_lasts_longer_until_a_server_has_done_well_for_long() {
    let mut world = World::new(&[Some(10), Some(10), Some(100)]);
    for (pause, seconds) in [(0, 10), (10, 20), (20, 40), (40, 60), (60, 60)] {
        assert_eq!(world.ejected_again_after(pause), Duration::from_secs(seconds), "after {pause} s");
    }
    world.responses[2] = Some(Duration::from_millis(10));
    world.now += Duration::from_mins(1);
    world.reads(100);
    assert_eq!(world.ejected(), [0_u16; 0]);
    // Not long enough, and then long enough.
    world.responses[2] = Some(Duration::from_millis(100));
    assert_eq!(world.ejected_again_after(59), Duration::from_mins(1));
    world.responses[2] = Some(Duration::from_millis(10));
    world.now += Duration::from_mins(1);
    world.reads(100);
    world.responses[2] = Some(Duration::from_millis(100));
    assert_eq!(world.ejected_again_after(60), Duration::from_secs(10));
}

#[test]
fn a_server_that_is_left_alone_answers_although_it_is_ejected() {
    let mut world = World::new(&[Some(10), Some(100)]);
    world.reads(100);
    assert_eq!(world.ejected(), [1]);
    let only = [Candidate { server: ServerId(1), weight: 1, back_since: None }];
    let balancing = Balancing { ejection: POLICY, ..Balancing::default() };
    assert_eq!(world.balancer.choose(&balancing, only.into_iter(), world.now), Some(ServerId(1)));
}

#[test]
fn switching_it_off_ends_all_ejections() {
    let without_criteria = EjectionPolicy { failures: 0, errors: 0, latency: 0, ..POLICY };
    for off in [EjectionPolicy::OFF, EjectionPolicy { share: 0, ..POLICY }, without_criteria] {
        let mut world = World::new(&[Some(10), Some(10), Some(100)]);
        world.reads(100);
        assert_eq!(world.ejected(), [2]);
        world.policy = off;
        world.reads(1);
        assert_eq!(world.ejected(), [0_u16; 0], "{off:?}");
    }
}

#[test]
fn an_ejection_is_told_once_and_says_why() {
    let mut world = World::new(&[Some(10), Some(10), None]);
    world.reads(100);
    let news = world.balancer.take_news().expect("news");
    assert_eq!((news.server, news.why, news.lasts), (ServerId(2), Outlier::Fails(5), POLICY.time));
    assert_eq!(news.why.to_string(), "it has failed 5 times in a row");
    let end = world.now + POLICY.time;
    let ejection = Ejection { why: Outlier::Fails(5), since: world.now, until: end };
    assert_eq!(world.balancer.ejection(ServerId(2), world.now), Some(ejection));
    assert_eq!(world.balancer.ejection(ServerId(2), end), None);
    assert_eq!(world.balancer.take_news(), None);
    let slow = Outlier::Slow(9.96).to_string();
    assert_eq!(slow, "its answers take 10.0 times as long as those of the others");
}

/// Server 0 answers; server 1 fails at every `nth` of its statements, so never five times in a row.
fn with_failures(nth: usize, statements: usize, pause: Duration, policy: EjectionPolicy) -> (World, Option<Ejected>) {
    let mut world = World { policy, ..World::new(&[Some(10), Some(10)]) };
    let mut ejected = None;
    for count in 1..=2 * statements {
        world.responses[1] = if (count / 2).is_multiple_of(nth) { None } else { Some(Duration::from_millis(10)) };
        world.now += pause;
        world.read();
        ejected = ejected.or(world.balancer.take_news());
    }
    (world, ejected)
}

#[test]
fn a_replica_of_whose_statements_too_many_fail_is_ejected() {
    let check = |nth: usize, statements: usize, policy: EjectionPolicy, is_expected: bool| {
        let (_, ejected) = with_failures(nth, statements, Duration::ZERO, policy);
        let is_ejected = ejected.is_some_and(|ejected| ejected.server == ServerId(1) && ejected.why.label() == "errors");
        assert_eq!(is_ejected, is_expected, "every {nth}th of {statements}: {ejected:?}");
    };
    check(2, 60, POLICY, true);
    check(3, 60, POLICY, false);
    check(3, 60, EjectionPolicy { errors: 30, ..POLICY }, true);
    // Too few to say anything.
    check(2, 15, POLICY, false);
    check(2, 60, EjectionPolicy { errors: 0, ..POLICY }, false);
    check(2, 60, EjectionPolicy { failures: 0, latency: 0, ..POLICY }, true);
}

#[test]
fn failures_of_long_ago_count_no_more() {
    // Half of the statements, but never twenty within ten seconds.
    let (_, ejected) = with_failures(2, 60, Duration::from_millis(600), POLICY);
    assert_eq!(ejected, None);
    // And enough of them.
    let (_, ejected) = with_failures(2, 60, Duration::from_millis(100), POLICY);
    assert!(ejected.is_some());
}

#[test]
fn a_failure_counts_for_at_least_five_and_less_than_ten_seconds() {
    let check = |milliseconds: u64, is_expected: bool| {
        let mut world = World::new(&[Some(10), Some(10)]);
        for _ in 0..10 {
            for ending in [Ending::Failed, Ending::Answered] {
                world.balancer.begin(ServerId(1));
                world.balancer.end(ServerId(1), ending, world.now);
            }
        }
        world.now += Duration::from_millis(milliseconds);
        world.read();
        assert_eq!(world.balancer.take_news().is_some(), is_expected, "after {milliseconds} ms");
    };
    check(0, true);
    check(4999, true);
    check(5000, true);
    check(9999, true);
    check(10_000, false);
    check(60_000, false);
}

#[test]
fn a_server_that_was_ejected_comes_back_slowly() {
    let check = |seconds_after: u64, expected: usize| {
        let mut world = World::new(&[Some(10), None]);
        world.reads(20);
        assert_eq!(world.ejected(), [1]);
        let balancing = Balancing { balance: Balance::RoundRobin, slow_start: Duration::from_secs(10), ejection: POLICY };
        let both = || [0, 1].map(|id| Candidate { server: ServerId(id), weight: 1, back_since: None }).into_iter();
        let back = world.now + POLICY.time;
        world.balancer.choose(&balancing, both(), back);
        let now = back + Duration::from_secs(seconds_after);
        let chosen = (0..1000).filter(|_| world.balancer.choose(&balancing, both(), now) == Some(ServerId(1))).count() / 10;
        assert!(chosen.abs_diff(expected) <= 2, "{chosen} % after {seconds_after} s");
    };
    check(0, 9);
    check(5, 33);
    check(10, 50);
}

#[test]
fn what_was_before_an_ejection_does_not_count_after_it() {
    let (mut world, ejected) = with_failures(2, 60, Duration::ZERO, POLICY);
    assert!(ejected.is_some() && world.ejected() == [1]);
    world.responses[1] = Some(Duration::from_millis(10));
    world.now += POLICY.time;
    world.reads(100);
    assert_eq!(world.ejected(), [0; 0]);
}
