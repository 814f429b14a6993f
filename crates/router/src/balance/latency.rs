//! In turn, by weight divided by the square of how many times slower than the quickest a server is: one that takes twice as long gets a quarter.
//!
//! The square, because what is left is to be small: with shares in simple proportion, a server that is ten times slower would still get one read of
//! twenty-one beside two quick ones, and the slowest hundredth of all reads would be its reads.

use std::time::Instant;

use topology::ServerId;

use super::Weighted;
use super::round_robin::Turns;
use crate::Load;

/// The least share is this part of the full one.
const LEAST: f32 = 1.0 / 1000.0;

/// Shares are in these parts of a unit of weight, as turns are counted in whole numbers.
const PARTS: f64 = 1024.0;

pub(super) fn choose(candidates: &[Weighted], load: &Load, turns: &mut Turns, now: Instant) -> Option<ServerId> {
    let quickest = load.quickest(candidates.iter().map(|candidate| candidate.server));
    turns.take(candidates.iter().map(|candidate| {
        let times = load.times_slower(candidate.server, quickest, now);
        candidate.scaled(f64::from((times * times).recip().max(LEAST)) * PARTS)
    }))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Case, shares};
    use crate::Balance::Latency;

    #[test]
    fn shares_follow_the_speed() {
        // Servers, and the share of each in per mille.
        let check = |cases: &[Case], expected: &[usize]| {
            for (share, expected) in shares(Latency, cases, 10_000).into_iter().zip(expected) {
                assert!((share / 10).abs_diff(*expected) <= 10, "{share} of 10000 are not {expected} per mille: {cases:?}");
            }
        };
        check(&[Case::of(1, 1), Case::of(2, 1).busy(9)], &[500, 500]);
        check(&[Case::of(1, 3), Case::of(2, 1)], &[750, 250]);
        check(&[Case::of(1, 1).slow(2), Case::of(2, 1)], &[200, 800]);
        check(&[Case::of(1, 1).slow(10), Case::of(2, 1), Case::of(3, 1)], &[5, 497, 497]);
        check(&[Case::of(1, 1).slow(10)], &[1000]);
        check(&[], &[]);
    }
}
