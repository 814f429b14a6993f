//! As `least_connections`, where a slow server counts as loaded: by what is under way and by how long reads take, together.
//!
//! A read that is given to a server waits for about as many reads as are under way there, itself included, each as many times longer as the server is
//! slower than the quickest. So a server that is ten times slower gets its first read when nine are under way at each of the others.

use std::time::Instant;

use topology::ServerId;

use super::Weighted;
use super::least_connections::least;
use super::round_robin::Turns;
use crate::Load;

pub(super) fn choose(candidates: &[Weighted], load: &Load, turns: &mut Turns, now: Instant) -> Option<ServerId> {
    let quickest = load.quickest(candidates.iter().map(|candidate| candidate.server));
    least(candidates, turns, |candidate| observed(candidate, load, quickest, now))
}

/// The load of a server for its weight. Zero for each quick one with nothing under way, so that they take turns by their weights.
pub(super) fn observed(candidate: &Weighted, load: &Load, quickest: f32, now: Instant) -> f64 {
    let penalty = f64::from(load.penalty(candidate.server, quickest, now));
    ((f64::from(load.under_way(candidate.server)) + 1.0) * penalty - 1.0) / candidate.share()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Case, check};
    use crate::Balance::Observed;

    #[test]
    fn a_slow_server_counts_as_loaded() {
        // As least_connections while all are equally quick, give or take some noise.
        check(Observed, &[Case::of(1, 1).busy(3), Case::of(2, 1).busy(2)], &[2, 2]);
        check(Observed, &[Case::of(1, 5), Case::of(2, 1), Case::of(3, 1)], &[1, 1, 2, 1, 3, 1, 1]);
        check(Observed, &[Case::of(1, 2).busy(2), Case::of(2, 1).busy(1)], &[1, 2, 1]);
        // Ten times slower: nine under way at the quick one are still less.
        check(Observed, &[Case::of(1, 1).slow(10), Case::of(2, 1)], &[2, 2, 2]);
        check(Observed, &[Case::of(1, 1).slow(10), Case::of(2, 1).busy(6)], &[2]);
        check(Observed, &[Case::of(1, 1).slow(10), Case::of(2, 1).busy(12)], &[1]);
        // Its weight does not help it while the others are idle.
        check(Observed, &[Case::of(1, 3).slow(10), Case::of(2, 1)], &[2, 2]);
        check(Observed, &[], &[]);
    }
}
