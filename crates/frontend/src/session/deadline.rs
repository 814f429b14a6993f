//! The time that a rule gives to a statement.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use router::Steering;
use tokio::time::Instant;
use wire::error_code::{ER_QUERY_INTERRUPTED, ER_QUERY_TIMEOUT};

use crate::reply::Refusal;

/// A rule's time limit for an answer, over all servers that are tried. The supervision kills the statement when it is over.
#[derive(Debug)]
pub(crate) struct TimeLimit<'a> {
    time: Duration,
    end: Instant,
    rule: &'a str,
    is_over: AtomicBool,
}

impl<'a> TimeLimit<'a> {
    /// What the rules say of this statement, if they say anything. The time runs from now on.
    pub(super) fn of(steering: &Steering<'a>) -> Option<Self> {
        let (time, rule) = steering.timeout().zip(steering.rule())?;
        // A time beyond what the clock can hold never ends.
        let end = Instant::now().checked_add(time)?;
        Some(Self { time, end, rule: &rule.name, is_over: AtomicBool::new(false) })
    }

    /// When it is over.
    pub(super) fn end(&self) -> Instant {
        self.end
    }

    /// It is over now.
    pub(super) fn note_over(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// Whether this error is what came of it.
    pub(crate) fn ended(&self, code: u16) -> bool {
        code == ER_QUERY_INTERRUPTED && self.is_over.load(Ordering::Relaxed)
    }

    /// What the client is told instead.
    pub(crate) fn refusal(&self) -> Refusal {
        let why = format!("interrupted; the rule {:?} gives it {} ms", self.rule, self.time.as_millis());
        Refusal::new(ER_QUERY_TIMEOUT, why)
    }
}
