//! Which of several replicas answers a read.
//!
//! Smooth weighted round robin: each turn, every candidate gains its weight, the one that has gained most is chosen and pays the sum of all weights.
//! Servers of weights 5, 1, 1 are chosen as a a b a c a a: never five of the same in a row. A server that was no candidate
//! for a while keeps what it had, so that it is neither flooded nor starved when it comes back.

use std::time::{Duration, Instant};

use topology::ServerId;

use crate::Load;

/// How one of several servers is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Balance {
    /// In turn, by weight.
    #[default]
    RoundRobin,
    /// The one with the fewest statements of this worker under way for its weight; in turn among several.
    LeastConnections,
}

/// The balancer's memory. One for each worker thread, so it needs no lock shared between threads.
#[derive(Debug, Clone, Default)]
pub struct Balancer {
    /// Credit by server number; grows to the number of servers.
    credit: Vec<i64>,
    load: Load,
    /// Replicas that did not catch up in time, and when.
    late: Vec<(ServerId, Instant)>,
}

/// For this long, no statement waits again for a replica that did not catch up in time.
const LATE: Duration = Duration::from_secs(1);

impl Balancer {
    /// Chooses one of the candidates, given with their weights (each at least 1). `None` if there are none.
    pub fn choose(&mut self, balance: Balance, candidates: impl Iterator<Item = (ServerId, u32)>) -> Option<ServerId> {
        match balance {
            Balance::RoundRobin => self.in_turn(candidates),
            Balance::LeastConnections => self.least_connections(candidates),
        }
    }

    /// The load of the servers, as this worker sees it.
    pub fn load(&self) -> &Load {
        &self.load
    }

    /// The same, for noting statements.
    pub fn load_mut(&mut self) -> &mut Load {
        &mut self.load
    }

    fn least_connections(&mut self, candidates: impl Iterator<Item = (ServerId, u32)>) -> Option<ServerId> {
        let candidates = candidates.collect::<Vec<_>>();
        // Compared as fractions, each of statements by weight, without dividing.
        let is_less = |(a, a_weight): (ServerId, u32), (b, b_weight): (ServerId, u32)| {
            let statements = |server, weight| u64::from(self.load.under_way(server)) * u64::from(weight);
            statements(a, b_weight) < statements(b, a_weight)
        };
        let is_least = |candidate: &(ServerId, u32)| !candidates.iter().any(|other| is_less(*other, *candidate));
        let least = candidates.iter().copied().filter(is_least).collect::<Vec<_>>();
        self.in_turn(least.into_iter())
    }

    fn in_turn(&mut self, candidates: impl Iterator<Item = (ServerId, u32)>) -> Option<ServerId> {
        let mut total = 0;
        let mut best: Option<(ServerId, i64)> = None;
        for (server, weight) in candidates {
            let weight = i64::from(weight);
            total += weight;
            let credit = self.credit_of(server);
            *credit += weight;
            let credit = *credit;
            if best.is_none_or(|(_, most)| credit > most) {
                best = Some((server, credit));
            }
        }
        let (server, _) = best?;
        *self.credit_of(server) -= total;
        Some(server)
    }

    /// Whether waiting for this replica to catch up is worth a try.
    pub fn may_wait(&self, server: ServerId, now: Instant) -> bool {
        self.late.iter().all(|(late, since)| *late != server || now.saturating_duration_since(*since) >= LATE)
    }

    /// Notes that this replica did not catch up in time.
    pub fn note_late(&mut self, server: ServerId, now: Instant) {
        self.late.retain(|(late, _)| *late != server);
        self.late.push((server, now));
    }

    fn credit_of(&mut self, server: ServerId) -> &mut i64 {
        let index = usize::from(server.0);
        if index >= self.credit.len() {
            self.credit.resize(index + 1, 0);
        }
        #[expect(clippy::indexing_slicing, reason = "resized just above")]
        &mut self.credit[index]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(balancer: &mut Balancer, weights: &[(u16, u32)], count: usize) -> Vec<u16> {
        (0..count)
            .filter_map(|_| {
                balancer.choose(Balance::RoundRobin, weights.iter().map(|&(server, weight)| (ServerId(server), weight)))
            })
            .map(|server| server.0)
            .collect()
    }

    #[test]
    fn turns_follow_the_weights_smoothly() {
        let mut balancer = Balancer::default();
        assert_eq!(turns(&mut balancer, &[(0, 5), (1, 1), (2, 1)], 7), [0, 0, 1, 0, 2, 0, 0]);
    }

    #[test]
    fn equal_weights_take_turns() {
        let mut balancer = Balancer::default();
        assert_eq!(turns(&mut balancer, &[(1, 1), (2, 1)], 4), [1, 2, 1, 2]);
    }

    #[test]
    fn a_replica_that_was_late_is_not_waited_for_again_for_a_while() {
        let (mut balancer, now) = (Balancer::default(), Instant::now());
        let may_wait = |balancer: &Balancer, after| balancer.may_wait(ServerId(1), now + after);
        assert!(may_wait(&balancer, Duration::ZERO));
        balancer.note_late(ServerId(1), now);
        assert!(!may_wait(&balancer, LATE / 2) && may_wait(&balancer, LATE) && balancer.may_wait(ServerId(2), now));
        balancer.note_late(ServerId(1), now + LATE);
        assert!(!may_wait(&balancer, LATE) && balancer.late.len() == 1);
    }

    #[test]
    fn no_candidate_no_choice() {
        for balance in [Balance::RoundRobin, Balance::LeastConnections] {
            assert_eq!(Balancer::default().choose(balance, std::iter::empty()), None);
        }
    }

    #[test]
    fn a_returning_server_is_not_flooded() {
        let mut balancer = Balancer::default();
        turns(&mut balancer, &[(1, 1), (2, 1)], 10);
        turns(&mut balancer, &[(1, 1)], 1000);
        let after = turns(&mut balancer, &[(1, 1), (2, 1)], 10);
        assert_eq!(after.iter().filter(|&&server| server == 2).count(), 5);
    }

    #[test]
    fn the_server_with_the_fewest_statements_for_its_weight_is_chosen() {
        // Server, weight, statements under way.
        let check = |servers: &[(u16, u32, u32)], expected: &[u16]| {
            let mut balancer = Balancer::default();
            for (server, _, count) in servers {
                (0..*count).for_each(|_| balancer.load_mut().begin(ServerId(*server)));
            }
            let candidates = || servers.iter().map(|&(server, weight, _)| (ServerId(server), weight));
            let chosen = (0..expected.len()).filter_map(|_| balancer.choose(Balance::LeastConnections, candidates()));
            assert_eq!(chosen.map(|server| server.0).collect::<Vec<_>>(), expected, "{servers:?}");
        };
        check(&[(1, 1, 3), (2, 1, 2)], &[2, 2]);
        check(&[(1, 1, 2), (2, 1, 2)], &[1, 2, 1]);
        check(&[(1, 3, 3), (2, 1, 2)], &[1, 1]);
        check(&[(1, 2, 2), (2, 1, 1)], &[1, 2, 1]);
        check(&[(1, 1, 0), (2, 5, 1)], &[1]);
        check(&[(1, 1, u32::MAX >> 16), (2, 1, 0)], &[2]);
    }
}
