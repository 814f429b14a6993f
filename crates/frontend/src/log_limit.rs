//! Keeps what clients can bring about at will from flooding the log.

use std::time::{Duration, Instant};

/// Lines within a second at most. The next line says how many were left out.
const LINES: u32 = 10;

/// The second of the last line.
const SECOND: Duration = Duration::from_secs(1);

/// For one kind of line.
#[derive(Debug, Default)]
pub(crate) struct LogLimit {
    second: Option<Instant>,
    lines: u32,
    left_out: u64,
}

impl LogLimit {
    /// Whether there is room for a line now; if so, how many were left out before it.
    pub(crate) fn admit(&mut self, now: Instant) -> Option<u64> {
        if self.second.is_none_or(|begin| now.saturating_duration_since(begin) >= SECOND) {
            (self.second, self.lines) = (Some(now), 0);
        }
        if self.lines >= LINES {
            self.left_out += 1;
            return None;
        }
        self.lines += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_becomes_a_few_lines_and_a_number() {
        let (mut log, now) = (LogLimit::default(), Instant::now());
        let mut admitted = |later, count| (0..count).filter_map(|_| log.admit(now + later)).collect::<Vec<_>>();
        assert_eq!(admitted(Duration::ZERO, 1000), [0; LINES as usize]);
        assert_eq!(admitted(SECOND / 2, 5), []);
        assert_eq!(admitted(SECOND, 2), [1000 - u64::from(LINES) + 5, 0]);
    }
}
