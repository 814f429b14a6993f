//! When something was last written, by one account or by anybody: sessions that must see it ask for a replica that has all from before then.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A moment that only moves forward, shared between threads.
#[derive(Debug)]
pub(crate) struct Moment {
    epoch: Instant,
    /// Nanoseconds after the epoch; 0 for never.
    last: AtomicU64,
}

impl Moment {
    /// Never so far.
    pub(crate) fn never() -> Self {
        Self { epoch: Instant::now(), last: AtomicU64::new(0) }
    }

    /// At this time, or before it.
    pub(crate) fn at(time: Instant) -> Self {
        let moment = Self::never();
        moment.note(time);
        moment
    }

    /// Something was written at this time, or before it.
    pub(crate) fn note(&self, at: Instant) {
        let nanos = at.saturating_duration_since(self.epoch).as_nanos();
        self.last.fetch_max(u64::try_from(nanos).unwrap_or(u64::MAX).max(1), Ordering::AcqRel);
    }

    /// The latest of them.
    pub(crate) fn last(&self) -> Option<Instant> {
        let nanos = Some(self.last.load(Ordering::Acquire)).filter(|nanos| *nanos != 0)?;
        self.epoch.checked_add(Duration::from_nanos(nanos))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_counts_in_whatever_order_they_are_noted() {
        let moment = Moment::never();
        assert_eq!(moment.last(), None);
        let (earlier, later) = (moment.epoch + Duration::from_secs(1), moment.epoch + Duration::from_secs(2));
        moment.note(later);
        moment.note(earlier);
        assert_eq!(moment.last(), Some(later));
    }
}
