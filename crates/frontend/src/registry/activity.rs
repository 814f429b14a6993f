//! What a session does, for those who look at all of them. The session writes it when a statement begins and when it ends.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use classifier::Digest;
use topology::ServerId;

/// What others may know of a session besides its account.
#[derive(Debug, Clone)]
pub struct Activity {
    /// Since when it does what it does.
    pub since: Instant,
    /// A statement of it is under way; its digest, or the last one's.
    pub is_running: bool,
    /// The digest of that statement, or of the last one.
    pub digest: Digest,
    /// Where that statement runs, or where the last one ran.
    pub server: Option<ServerId>,
    /// What keeps the session on one server: the label of a pin, or `transaction`.
    pub pin: Option<&'static str>,
    /// The default schema.
    pub schema: Option<Box<str>>,
    /// Statements that have begun.
    pub statements: u64,
}

/// The present one. Only the session itself and those who look take the lock.
#[derive(Debug)]
pub(super) struct Current(Mutex<Activity>);

impl Current {
    pub(super) fn new(now: Instant) -> Self {
        let (digest, server, pin, schema) = (Digest::default(), None, None, None);
        Self(Mutex::new(Activity { since: now, is_running: false, digest, server, pin, schema, statements: 0 }))
    }

    pub(super) fn begin(&self, digest: Digest, now: Instant) {
        let mut activity = self.lock();
        activity.is_running = true;
        activity.since = now;
        activity.digest = digest;
        activity.statements += 1;
    }

    pub(super) fn end(&self, server: Option<ServerId>, pin: Option<&'static str>, schema: Option<&str>, now: Instant) {
        let mut activity = self.lock();
        activity.is_running = false;
        activity.since = now;
        activity.server = server;
        activity.pin = pin;
        if activity.schema.as_deref() != schema {
            activity.schema = schema.map(Box::from);
        }
    }

    pub(super) fn get(&self) -> Activity {
        self.lock().clone()
    }

    /// Whether a statement is under way, and the pin.
    pub(super) fn state(&self) -> (bool, Option<&'static str>) {
        let activity = self.lock();
        (activity.is_running, activity.pin)
    }

    fn lock(&self) -> MutexGuard<'_, Activity> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_last_statement_is_remembered_while_the_session_is_idle() {
        let now = Instant::now();
        let (current, later) = (Current::new(now), now + Duration::from_secs(1));
        current.begin(Digest(7), now);
        assert!(current.get().is_running);
        current.end(Some(ServerId(2)), Some("transaction"), Some("shop"), later);
        let Activity { since, is_running, digest, server, pin, schema, statements } = current.get();
        assert_eq!((since, is_running, digest, server, statements), (later, false, Digest(7), Some(ServerId(2)), 1));
        assert_eq!((pin, schema.as_deref()), (Some("transaction"), Some("shop")));
        current.end(None, None, None, later);
        assert_eq!(current.get().schema, None);
    }
}
