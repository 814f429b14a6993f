//! Two at random, by weight; of these the one with less load, as `observed` measures it ("the power of two choices").
//!
//! Many balancers that do not know of each other, here the workers of many proxies, would all choose the one server that seems least loaded at the
//! moment. Chance keeps them apart.

use std::time::Instant;

use topology::ServerId;

use super::Weighted;
use super::chance::Chance;
use super::observed::observed;
use crate::Load;

pub(super) fn choose(candidates: &[Weighted], load: &Load, chance: &mut Chance, now: Instant) -> Option<ServerId> {
    let one = draw(candidates, None, chance)?;
    let Some(other) = draw(candidates, Some(one.server), chance) else { return Some(one.server) };
    let quickest = load.quickest(candidates.iter().map(|candidate| candidate.server));
    let of = |candidate: &Weighted| observed(candidate, load, quickest, now);
    // The first one of equals, so that their shares follow the weights.
    Some(if of(&other) < of(&one) { other.server } else { one.server })
}

/// One of the candidates but `except`, with a probability by weight.
fn draw(candidates: &[Weighted], except: Option<ServerId>, chance: &mut Chance) -> Option<Weighted> {
    let eligible = || candidates.iter().copied().filter(|candidate| Some(candidate.server) != except);
    let mut left = chance.below(eligible().map(|candidate| candidate.weight).sum())?;
    eligible().find(|candidate| {
        let is_it = left < candidate.weight;
        left = left.saturating_sub(candidate.weight);
        is_it
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Case, shares};
    use crate::Balance::RandomOfTwo;

    #[test]
    fn the_less_loaded_of_two_is_chosen() {
        // Servers, and the share of each in per cent.
        let check = |cases: &[Case], expected: &[usize]| {
            for (share, expected) in shares(RandomOfTwo, cases, 10_000).into_iter().zip(expected) {
                assert!((share / 100).abs_diff(*expected) <= 2, "{share} of 10000 are not {expected} %: {cases:?}");
            }
        };
        check(&[Case::of(1, 1), Case::of(2, 1), Case::of(3, 1)], &[33, 33, 33]);
        check(&[Case::of(1, 3), Case::of(2, 1)], &[75, 25]);
        check(&[Case::of(1, 1).busy(1), Case::of(2, 1)], &[0, 100]);
        check(&[Case::of(1, 1).busy(2), Case::of(2, 1).busy(1), Case::of(3, 1)], &[0, 33, 67]);
        check(&[Case::of(1, 1).slow(10), Case::of(2, 1), Case::of(3, 1)], &[0, 50, 50]);
        check(&[Case::of(1, 1).slow(10)], &[100]);
        check(&[], &[]);
    }
}
