//! Times, counted in buckets.

use std::time::Duration;

/// The upper bounds of the buckets. The last bucket, which has none, is for all that took longer.
const BOUNDS: [Duration; 16] = [
    Duration::from_micros(100),
    Duration::from_micros(250),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2_500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_millis(2_500),
    Duration::from_secs(5),
    Duration::from_secs(10),
];

/// How often something took how long.
///
/// Invariant: the buckets add up to `count`, and `least <= sum / count <= most`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram {
    buckets: [u64; BOUNDS.len() + 1],
    count: u64,
    sum: Duration,
    least: Duration,
    most: Duration,
}

/// Of nothing.
impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: [0; BOUNDS.len() + 1], count: 0, sum: Duration::ZERO, least: Duration::MAX, most: Duration::ZERO }
    }
}

impl Histogram {
    /// One more.
    pub(crate) fn note(&mut self, took: Duration) {
        let place = BOUNDS.partition_point(|bound| *bound < took);
        if let Some(bucket) = self.buckets.get_mut(place) {
            *bucket += 1;
        }
        self.count += 1;
        self.sum += took;
        self.least = self.least.min(took);
        self.most = self.most.max(took);
    }

    /// Those of another one as well.
    pub(crate) fn add(&mut self, other: &Self) {
        self.buckets.iter_mut().zip(&other.buckets).for_each(|(bucket, more)| *bucket += more);
        self.count += other.count;
        self.sum += other.sum;
        self.least = self.least.min(other.least);
        self.most = self.most.max(other.most);
    }

    /// Each bucket's upper bound, which the last one does not have, and how many took at most that long and longer than the bound before.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<Duration>, u64)> {
        let bounds = BOUNDS.iter().copied().map(Some).chain([None]);
        bounds.zip(self.buckets)
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// All times together.
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// The shortest; `None` if there is none.
    pub fn least(&self) -> Option<Duration> {
        (self.count > 0).then_some(self.least)
    }

    /// The longest; `None` if there is none.
    pub fn most(&self) -> Option<Duration> {
        (self.count > 0).then_some(self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(times: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        for microseconds in times {
            histogram.note(Duration::from_micros(*microseconds));
        }
        histogram
    }

    #[test]
    fn a_time_counts_in_the_first_bucket_whose_bound_it_does_not_exceed() {
        let histogram = of(&[0, 100, 101, 10_000_000, 10_000_001]);
        let filled: Vec<_> = histogram.buckets().filter(|(_, count)| *count > 0).collect();
        let bound = |microseconds| Some(Duration::from_micros(microseconds));
        assert_eq!(filled, [(bound(100), 2), (bound(250), 1), (bound(10_000_000), 1), (None, 1)]);
        assert_eq!((histogram.count(), histogram.buckets().count()), (5, BOUNDS.len() + 1));
    }

    #[test]
    fn extremes_and_sum_are_kept() {
        let (histogram, us) = (of(&[7, 3, 5]), Duration::from_micros);
        assert_eq!((histogram.least(), histogram.most(), histogram.sum()), (Some(us(3)), Some(us(7)), us(15)));
        assert_eq!((Histogram::default().least(), Histogram::default().most()), (None, None));
    }

    #[test]
    fn two_of_them_add_up_to_one_of_all() {
        let check = |first: &[u64], second: &[u64]| {
            let mut sum = of(first);
            sum.add(&of(second));
            assert_eq!(sum, of(&[first, second].concat()), "{first:?} {second:?}");
        };
        check(&[], &[]);
        check(&[1, 900], &[]);
        check(&[], &[1, 900]);
        check(&[1, 900], &[20_000_000, 900]);
    }
}
