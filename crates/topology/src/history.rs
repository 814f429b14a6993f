//! The primary's positions over time, which turn a replica's position into milliseconds.
//!
//! Before every look at the primary we note our own clock, t; then we ask for its position, P. A replica that has P has everything that the primary
//! had committed at t. So a replica is as fresh as the latest t whose P it contains. This bounds its staleness from above, by one clock, needs no
//! heartbeat table, and does not depend on any server's clock.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::Position;

/// Samples older than this, relative to the newest, are dropped. A replica that is further behind gets no proof from the history.
pub const HISTORY_AGE_MAX: Duration = Duration::from_mins(10);
/// The greatest number of samples. Reaching it triggers thinning.
pub const HISTORY_SAMPLES_MAX: usize = 1024;
/// Thinning leaves no gap longer than the age of its samples divided by this. So it overstates the staleness by at most 3 %.
pub const HISTORY_RESOLUTION: u32 = 32;

/// Positions of the primary with the moments before they were asked for, bounded in age and number.
///
/// Invariant: moments ascend strictly; two neighbours have different positions.
#[derive(Clone, Debug, Default)]
pub struct PositionHistory {
    samples: VecDeque<Known>,
}

#[derive(Clone, Debug)]
struct Known {
    moment: Instant,
    position: Position,
}

impl PositionHistory {
    /// The primary was at `position`, or further, when asked; `sent_at` was taken before the question left.
    ///
    /// A sample out of order is ignored. So is an empty position, which would prove any replica fresh, although it usually means a primary without
    /// GTIDs.
    pub fn record(&mut self, sent_at: Instant, position: Position) {
        if position.is_empty() || self.samples.back().is_some_and(|last| sent_at <= last.moment) {
            return;
        }
        match self.samples.back_mut() {
            // A replica with this position is fresh as of its latest moment, so the earlier one adds nothing.
            Some(last) if last.position == position => last.moment = sent_at,
            _ => self.samples.push_back(Known { moment: sent_at, position }),
        }
        self.forget_old(sent_at);
        if self.samples.len() >= HISTORY_SAMPLES_MAX {
            self.thin(sent_at);
        }
    }

    /// The latest moment at which `applied` included everything that the primary had; `None` if no kept sample proves one.
    pub fn fresh_as_of(&self, applied: &Position) -> Option<Instant> {
        // Searched from the newest, as nearly every replica has one of the last few. Positions of a primary only grow, but a new primary may start
        // below the old one's, so a binary search would be wrong.
        self.samples.iter().rev().find(|known| applied.contains(&known.position)).map(|known| known.moment)
    }

    /// How many samples are kept.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// No sample is kept.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    fn forget_old(&mut self, now: Instant) {
        while self.samples.front().is_some_and(|known| now.saturating_duration_since(known.moment) > HISTORY_AGE_MAX) {
            self.samples.pop_front();
        }
    }

    /// Drops the samples between neighbours that stay close enough for their age. If that frees too little, the oldest go.
    fn thin(&mut self, now: Instant) {
        let mut kept: VecDeque<Known> = VecDeque::with_capacity(HISTORY_SAMPLES_MAX);
        let mut older = std::mem::take(&mut self.samples);
        while let Some(known) = older.pop_back() {
            let is_spare = match (older.back(), kept.front()) {
                (Some(previous), Some(next)) => {
                    let age = now.saturating_duration_since(next.moment);
                    next.moment.saturating_duration_since(previous.moment) <= age / HISTORY_RESOLUTION
                }
                // The newest proves a caught-up replica, the oldest the slowest one.
                _ => false,
            };
            if !is_spare {
                kept.push_front(known);
            }
        }
        while kept.len() >= HISTORY_SAMPLES_MAX {
            kept.pop_front();
        }
        self.samples = kept;
    }
}

#[cfg(test)]
mod tests;
