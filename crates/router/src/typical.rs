//! How long reads usually take, by digest and over all servers, as one worker sees it.

use std::time::Duration;

use classifier::Digest;

/// Digests that are remembered; a power of two. One more takes the place of another one.
const DIGESTS: usize = 1024;

/// The averages are over about this many reads.
const MEMORY: f32 = 64.0;

/// The most that one read counts as slower, or quicker, than usual: one extreme read must not decide about a server, so it stays below what
/// [`crate::load`] takes for noise.
const EXTREME: f32 = 12.0;

/// Each digest has one place, by its lowest bits. So looking one up takes no search, and there is nothing to evict.
#[derive(Debug, Clone, Default)]
pub(crate) struct Typical {
    /// Empty before the first read.
    places: Vec<Place>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Place {
    /// Other bits of the digest than those that chose the place.
    digest: u64,
    /// In seconds.
    mean: f32,
    /// Reads that `mean` is based on, at most [`MEMORY`]. 0: the place is free.
    count: f32,
}

impl Typical {
    /// How many times as long as usual this read took; `None` if none of its digest is remembered. It counts for those after it.
    pub(crate) fn compare(&mut self, digest: Digest, response: Duration) -> Option<f32> {
        if self.places.is_empty() {
            self.places.resize(DIGESTS, Place::default());
        }
        let [high, low] = [digest.0 >> 64, digest.0].map(low_bits);
        let index = usize::try_from(low).unwrap_or_default() & (DIGESTS - 1);
        let place = self.places.get_mut(index)?;
        // The clock may not resolve the shortest ones.
        let seconds = response.as_secs_f32().max(1e-6);
        if place.digest != high || place.count == 0.0 {
            *place = Place { digest: high, mean: seconds, count: 1.0 };
            return None;
        }
        let times = (seconds / place.mean).clamp(1.0 / EXTREME, EXTREME);
        place.count = (place.count + 1.0).min(MEMORY);
        place.mean += (times * place.mean - place.mean) / place.count;
        Some(times)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the low bits are what is wanted")]
fn low_bits(number: u128) -> u64 {
    number as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    fn about(times: Option<f32>, expected: f32) {
        assert!(times.is_some_and(|times| (times / expected - 1.0).abs() < 0.05), "{times:?} is not {expected}");
    }

    #[test]
    fn reads_are_compared_with_those_of_their_digest() {
        let mut typical = Typical::default();
        assert_eq!(typical.compare(Digest(1), ms(1)), None);
        assert_eq!(typical.compare(Digest(2), ms(500)), None);
        about(typical.compare(Digest(1), ms(1)), 1.0);
        about(typical.compare(Digest(2), ms(1000)), 2.0);
        about(typical.compare(Digest(1), ms(3)), 3.0);
    }

    #[test]
    fn as_many_digests_are_remembered_as_there_are_places() {
        let mut typical = Typical::default();
        let digests = || (0..DIGESTS as u128).map(|number| Digest(u128::MAX - number));
        assert!(digests().all(|digest| typical.compare(digest, ms(1)).is_none()));
        digests().for_each(|digest| about(typical.compare(digest, ms(1)), 1.0));
    }

    #[test]
    fn what_is_usual_follows_a_change_but_no_single_read() {
        let mut typical = Typical::default();
        (0..100).for_each(|_| assert!(typical.compare(Digest(1), ms(1)).is_none_or(f32::is_finite)));
        about(typical.compare(Digest(1), Duration::from_secs(1000)), EXTREME);
        about(typical.compare(Digest(1), ms(1)), 1.0 / (1.0 + (EXTREME - 1.0) / MEMORY));
        (0..500).for_each(|_| assert!(typical.compare(Digest(1), ms(20)).is_some()));
        about(typical.compare(Digest(1), ms(20)), 1.0);
    }

    #[test]
    fn a_digest_that_needs_the_place_of_another_takes_it() {
        let mut typical = Typical::default();
        let (one, other) = (Digest(5), Digest((1 << 64) | 5));
        typical.compare(one, ms(1));
        about(typical.compare(one, ms(1)), 1.0);
        assert_eq!(typical.compare(other, ms(7)), None);
        about(typical.compare(other, ms(7)), 1.0);
        assert_eq!(typical.compare(one, ms(1)), None);
        assert_eq!(typical.places.len(), DIGESTS);
    }

    #[test]
    fn times_that_the_clock_cannot_tell_are_equal() {
        let mut typical = Typical::default();
        typical.compare(Digest(1), Duration::ZERO);
        about(typical.compare(Digest(1), Duration::ZERO), 1.0);
    }
}
