//! The balancer's own chance: xorshift64*, seeded from outside. Good enough to spread reads; nothing here is secret.

/// A sequence of numbers.
#[derive(Debug, Clone)]
pub(super) struct Chance(u64);

impl Chance {
    /// The sequence of this seed.
    pub(super) fn seeded(seed: u64) -> Self {
        // The state must not be zero. Mixed, so that seeds that differ in a few bits lead to different sequences.
        Self(seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `end`; `None` if there is none.
    pub(super) fn below(&mut self, end: u64) -> Option<u64> {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = (u128::from(self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)) * u128::from(end)) >> 64;
        u64::try_from(high).ok().filter(|_| end > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spread_evenly_and_below_the_end() {
        let mut chance = Chance::seeded(0);
        let mut counts = [0_u32; 7];
        for _ in 0..70_000 {
            counts[usize::try_from(chance.below(7).expect("a number")).unwrap()] += 1;
        }
        assert!(counts.iter().all(|count| count.abs_diff(10_000) < 500), "{counts:?}");
        assert_eq!(chance.below(0), None);
    }

    #[test]
    fn every_number_is_followed_by_every_other_as_often() {
        let mut chance = Chance::seeded(1);
        let mut counts = [[0_u32; 16]; 16];
        let mut before = 0;
        for _ in 0..256 * 1000 {
            let next = usize::try_from(chance.below(16).expect("a number")).unwrap();
            counts[before][next] += 1;
            before = next;
        }
        assert!(counts.as_flattened().iter().all(|count| count.abs_diff(1000) < 200), "{counts:?}");
    }

    #[test]
    fn no_seed_makes_a_sequence_stand_still() {
        // Among them the two that the mixing alone would make 0 and 1.
        for seed in [0, 1, u64::MAX, 0xF1DE_83E1_9937_733C] {
            let mut chance = Chance::seeded(seed);
            let first = chance.below(1 << 32);
            assert!((0..10).any(|_| chance.below(1 << 32) != first), "{seed:x}");
        }
    }
}
