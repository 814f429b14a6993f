//! How many statements an account may begin in a second.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// A bucket that fills evenly, and holds what may come within a second.
#[derive(Debug)]
pub(crate) struct Rate {
    per_second: u32,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    left: f64,
    at: Instant,
}

impl Rate {
    pub(crate) fn new(per_second: u32, now: Instant) -> Self {
        Self { per_second, state: Mutex::new(State { left: f64::from(per_second), at: now }) }
    }

    /// What it was made with.
    pub(crate) fn per_second(&self) -> u32 {
        self.per_second
    }

    /// Whether one more may begin now. If so, it counts.
    pub(crate) fn take(&self, now: Instant) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let most = f64::from(self.per_second);
        let gained = now.saturating_duration_since(state.at).as_secs_f64() * most;
        state.left = (state.left + gained).min(most);
        state.at = state.at.max(now);
        let may = state.left >= 1.0;
        if may {
            state.left -= 1.0;
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_second_brings_what_may_be_used_in_it() {
        let now = Instant::now();
        let rate = Rate::new(10, now);
        let taken = |later: u64, tries: usize| (0..tries).filter(|_| rate.take(now + Duration::from_millis(later))).count();
        assert_eq!(taken(0, 50), 10);
        assert_eq!(taken(99, 50), 0);
        assert_eq!(taken(1100, 50), 10, "no more than a second's worth is saved up");
        assert_eq!(taken(1350, 50), 2);
        assert_eq!(taken(1000, 50), 0, "a clock that another thread has read earlier");
        assert_eq!(taken(60_000, 50), 10);
    }
}
