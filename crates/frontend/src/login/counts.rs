//! How many clients have come, and what became of them.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::statistics::count_of;

/// Since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoginCounts {
    /// Logins that ended well, over TLS.
    pub encrypted: u64,
    /// Those without, over TCP or the Unix socket.
    pub clear: u64,
    /// Those that had to wait, since others had failed, however they ended.
    pub delayed: u64,
    /// Those that did not end well, by reason.
    pub failed: Vec<(&'static str, u64)>,
}

/// The present counts. A login is rare enough for a lock.
#[derive(Debug, Default)]
pub(crate) struct Logins(Mutex<LoginCounts>);

impl Logins {
    pub(crate) fn note_success(&self, is_encrypted: bool) {
        let mut counts = self.lock();
        let count = if is_encrypted { &mut counts.encrypted } else { &mut counts.clear };
        *count += 1;
    }

    pub(crate) fn note_delay(&self) {
        self.lock().delayed += 1;
    }

    pub(crate) fn note_failure(&self, reason: &'static str) {
        *count_of(&mut self.lock().failed, reason) += 1;
    }

    pub(crate) fn counts(&self) -> LoginCounts {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, LoginCounts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_count_by_their_end() {
        let logins = Logins::default();
        logins.note_success(true);
        logins.note_success(false);
        logins.note_delay();
        for reason in ["denied", "timeout", "denied"] {
            logins.note_failure(reason);
        }
        let expected = LoginCounts { encrypted: 1, clear: 1, delayed: 1, failed: vec![("denied", 2), ("timeout", 1)] };
        assert_eq!(logins.counts(), expected);
    }
}
