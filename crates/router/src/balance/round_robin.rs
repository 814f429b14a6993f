//! In turn, by weight: smooth weighted round robin.
//!
//! Each turn, every candidate gains its weight, the one that has gained most is chosen and pays the sum of all weights. Servers of weights 5, 1, 1
//! are chosen as a a b a c a a: never five of the same in a row. A server that was no candidate for a while keeps what it had, so that it is neither
//! flooded nor starved when it comes back.

use topology::ServerId;

use super::Weighted;

/// Whose turn it is.
#[derive(Debug, Clone, Default)]
pub(super) struct Turns {
    /// Credit by server number; grows to the number of servers.
    credit: Vec<i64>,
}

impl Turns {
    /// Takes a turn. `None` if there are no candidates.
    pub(super) fn take(&mut self, candidates: impl Iterator<Item = Weighted>) -> Option<ServerId> {
        let mut total = 0;
        let mut best: Option<(ServerId, i64)> = None;
        for Weighted { server, weight } in candidates {
            let weight = i64::try_from(weight).unwrap_or(i64::MAX);
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

    fn credit_of(&mut self, server: ServerId) -> &mut i64 {
        let index = server.index();
        if index >= self.credit.len() {
            self.credit.resize(index + 1, 0);
        }
        #[expect(clippy::indexing_slicing, reason = "resized just above")]
        &mut self.credit[index]
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Case, check};
    use super::*;
    use crate::Balance::RoundRobin;

    #[test]
    fn turns_follow_the_weights_smoothly() {
        check(RoundRobin, &[Case::of(0, 5), Case::of(1, 1), Case::of(2, 1)], &[0, 0, 1, 0, 2, 0, 0]);
        check(RoundRobin, &[Case::of(1, 1), Case::of(2, 1)], &[1, 2, 1, 2]);
        check(RoundRobin, &[], &[]);
    }

    #[test]
    fn neither_load_nor_slowness_counts() {
        check(RoundRobin, &[Case::of(1, 1).busy(9), Case::of(2, 1).slow(10)], &[1, 2, 1, 2]);
    }

    #[test]
    fn a_returning_server_is_not_flooded() {
        let mut turns = Turns::default();
        let mut take = |servers: &[u16], count: usize| {
            let candidates = || servers.iter().map(|server| Weighted { server: ServerId(*server), weight: 1 });
            (0..count).filter_map(|_| turns.take(candidates())).filter(|server| server.0 == 2).count()
        };
        take(&[1, 2], 10);
        take(&[1], 1000);
        assert_eq!(take(&[1, 2], 10), 5);
    }
}
