//! The record of every finding, decision and step, for people and for the next process.

use std::fmt;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use topology::Share;

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// By the clock of this machine.
    pub at: SystemTime,
    /// What happened.
    pub event: Event,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The finding has changed.
    Found {
        /// Its name, for programs.
        finding: &'static str,
        /// How bad it is: `info`, `warning` or `error`.
        severity: &'static str,
        /// What is seen, what is done, and what a person must do.
        text: String,
        /// What each server showed: its name, and its state in words.
        evidence: Vec<(String, String)>,
    },
    /// A step was tried.
    Step {
        /// Its name.
        step: &'static str,
        /// The server that it was done to.
        server: String,
        /// Further details, as text.
        detail: String,
        /// How long it took.
        took: Duration,
        /// Its outcome.
        outcome: Outcome,
    },
    /// The locks for changing roles were asked for.
    Locks {
        /// Whether we have it.
        held: bool,
        /// On which servers, or who refused.
        text: String,
    },
    /// A primary is about to be replaced.
    PromotionBegan {
        /// The old primary.
        from: String,
        /// A person asked for it.
        is_asked_for: bool,
    },
    /// A new primary takes writes.
    Promoted {
        /// The new primary.
        to: String,
        /// Since the beginning of the promotion.
        took: Duration,
        /// A person asked for it.
        is_asked_for: bool,
    },
    /// It was given up: the old primary goes on, or there is no primary.
    PromotionEnded {
        /// Why.
        why: String,
    },
    /// A person has changed a server's share of the traffic.
    ShareSet {
        /// Its name.
        server: String,
        /// As it was.
        before: Share,
        /// As it is now.
        after: Share,
    },
    /// A replica gets no reads for a while, as it is an outlier.
    Ejected {
        /// Its name.
        server: String,
        /// The key of the configuration by which it is one: `failures`, `errors` or `latency`.
        reason: &'static str,
        /// Why, in words.
        text: String,
        /// For how long, at first.
        lasts: Duration,
    },
    /// It gets reads again.
    EjectionEnded {
        /// Its name.
        server: String,
        /// Since the beginning of the ejection.
        took: Duration,
    },
    /// A command of the configuration was run.
    Hook {
        /// `before` or `after` a promotion.
        moment: &'static str,
        /// Its exit status, or why there is none.
        outcome: String,
    },
}

/// The outcome of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is about to be done.
    Begins,
    /// It is done.
    Done,
    /// It goes on; it is tried again.
    GoesOn,
    /// It failed; the servers are looked at again.
    Failed(String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Begins => f.write_str("begins"),
            Outcome::Done => f.write_str("done"),
            Outcome::GoesOn => f.write_str("goes on"),
            Outcome::Failed(why) => write!(f, "failed: {why}"),
        }
    }
}

/// When a command of the configuration is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before the first step of a promotion, which waits for it.
    Before,
    /// After the new primary was opened, which does not.
    After,
}

/// Work that is under way.
pub type Pending = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Keeps the journal. The monitor only reports what happened.
pub trait Recorder: fmt::Debug + Send + Sync {
    /// Takes an entry. It must not wait for a disk.
    fn record(&self, entry: &Entry);

    /// Waits until all entries are saved for the next process, or given up.
    fn flush(&self) -> Pending;

    /// Runs the command of the configuration for this moment, within its time limit.
    fn hook(&self, moment: Moment, entry: &Entry) -> Pending;
}

/// Keeps nothing and runs nothing.
#[derive(Debug)]
pub struct NoRecorder;

impl Recorder for NoRecorder {
    fn record(&self, _entry: &Entry) {}

    fn flush(&self) -> Pending {
        Box::pin(std::future::ready(()))
    }

    fn hook(&self, _moment: Moment, _entry: &Entry) -> Pending {
        Box::pin(std::future::ready(()))
    }
}
