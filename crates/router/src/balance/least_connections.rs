//! The one with the fewest statements of this worker under way for its weight; in turn among several.

use topology::ServerId;

use super::Weighted;
use super::round_robin::Turns;
use crate::Load;

pub(super) fn choose(candidates: &[Weighted], load: &Load, turns: &mut Turns) -> Option<ServerId> {
    least(candidates, turns, |candidate| f64::from(load.under_way(candidate.server)) / candidate.share())
}

/// In turn among those for which `load` is least.
pub(super) fn least(candidates: &[Weighted], turns: &mut Turns, load: impl Fn(&Weighted) -> f64) -> Option<ServerId> {
    let least = candidates.iter().map(&load).fold(f64::INFINITY, f64::min);
    turns.take(candidates.iter().copied().filter(|candidate| load(candidate) <= least))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Case, check};
    use crate::Balance::LeastConnections;

    #[test]
    fn the_server_with_the_fewest_statements_for_its_weight_is_chosen() {
        let check = |servers: &[(u16, u32, u32)], expected: &[u16]| {
            let cases: Vec<Case> = servers.iter().map(|(id, weight, busy)| Case::of(*id, *weight).busy(*busy)).collect();
            check(LeastConnections, &cases, expected);
        };
        check(&[(1, 1, 3), (2, 1, 2)], &[2, 2]);
        check(&[(1, 1, 2), (2, 1, 2)], &[1, 2, 1]);
        check(&[(1, 3, 3), (2, 1, 2)], &[1, 1]);
        check(&[(1, 2, 2), (2, 1, 1)], &[1, 2, 1]);
        check(&[(1, 1, 0), (2, 5, 1)], &[1]);
        check(&[(1, 7, 0), (2, 5, 0)], &[1, 2, 1]);
        check(&[(1, 1, u32::MAX >> 16), (2, 1, 0)], &[2]);
        check(&[], &[]);
    }
}
