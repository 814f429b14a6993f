//! What is known about a statement after it was answered.
//!
//! Logs, metrics and statistics are made from one record at the end of each statement. It is built from the session's [`Trail`], which is filled while
//! the statement is under way.

use std::time::{Duration, Instant};

use classifier::{Digest, Statement};
use router::{Ending, Route};
use session::{Outcome, RequestKind};
use topology::ServerId;

use crate::statistics::Event;
use crate::worker::Worker;

/// How far the statement under way has come.
#[derive(Debug)]
pub(crate) struct Trail {
    began: Instant,
    /// When a server had answered.
    ended: Option<Instant>,
    route: Option<Route>,
    tries: u16,
    served: Option<Duration>,
    rows: Option<u64>,
    changed: Option<u64>,
    bytes: u64,
    error: Option<u16>,
}

/// One statement that was answered by a server, or with an error of Pointsman's own.
#[derive(Debug)]
pub(crate) struct StatementRecord<'a> {
    /// What it is.
    pub(crate) statement: &'a Statement,
    /// How it was asked for.
    pub(crate) kind: RequestKind,
    /// When it was over.
    pub(crate) ended: Instant,
    /// Where it ran last, and why there. `None` if it was not sent.
    pub(crate) route: Option<Route>,
    /// Servers that were tried.
    pub(crate) tries: u16,
    /// From the arrival of the command until its answer had been passed on.
    pub(crate) took: Duration,
    /// The part of that time after it was last sent.
    pub(crate) served: Option<Duration>,
    /// The rows of its last result.
    pub(crate) rows: Option<u64>,
    /// The rows that it changed.
    pub(crate) changed: Option<u64>,
    /// The bytes of the answer that the client got from the server.
    pub(crate) bytes: u64,
    /// The error that the client got, from the server or from Pointsman.
    pub(crate) error: Option<u16>,
}

impl Trail {
    /// A statement begins.
    pub(crate) fn begin() -> Self {
        Self {
            began: Instant::now(),
            ended: None,
            route: None,
            tries: 0,
            served: None,
            rows: None,
            changed: None,
            bytes: 0,
            error: None,
        }
    }

    /// It is tried there.
    pub(crate) fn tried(&mut self, route: Route) {
        self.route = Some(route);
        self.ended = None;
        self.tries = self.tries.saturating_add(1);
    }

    /// A server has answered just now, this long after the statement was sent.
    pub(crate) fn answered(&mut self, outcome: &Outcome, served: Option<Duration>, now: Instant) {
        let Outcome { rows, changed, bytes, error, .. } = *outcome;
        *self = Self { ended: Some(now), served, rows, changed, bytes, error, ..*self };
    }

    /// When the statement began.
    pub(crate) fn began(&self) -> Instant {
        self.began
    }

    /// When a server had answered, or now.
    pub(crate) fn ended(&self) -> Instant {
        self.ended.unwrap_or_else(Instant::now)
    }

    /// The client got this error from Pointsman.
    pub(crate) fn failed(&mut self, code: u16) {
        self.error = Some(code);
    }

    /// It is over.
    pub(crate) fn record<'a>(&self, statement: &'a Statement, kind: RequestKind) -> StatementRecord<'a> {
        let Self { began, route, tries, served, rows, changed, bytes, error, .. } = *self;
        let ended = self.ended();
        let took = ended.saturating_duration_since(began);
        StatementRecord { statement, kind, ended, route, tries, took, served, rows, changed, bytes, error }
    }
}

/// In place of the reason for a route, of a statement that was not sent.
const NOT_SENT: &str = "not_sent";

impl StatementRecord<'_> {
    /// What it adds to the statistics.
    pub(crate) fn event(&self) -> Event {
        Event {
            server: self.route.map(|route| route.server),
            because: self.because(),
            verdict: self.statement.because.label(),
            tries: self.tries,
            ended: self.ended,
            took: self.took,
            is_error: self.error.is_some(),
            rows: self.rows.unwrap_or_default(),
            changed: self.changed.unwrap_or_default(),
            bytes: self.bytes,
        }
    }

    /// It belongs to a digest: it ran a text of its own.
    pub(crate) fn has_digest(&self) -> bool {
        self.kind.runs() && self.statement.digest != Digest::default()
    }

    /// Why it ran where it ran, or that it did not.
    pub(crate) fn because(&self) -> &'static str {
        self.route.map_or(NOT_SENT, |route| route.because.label())
    }

    /// Writes it to the log of every statement.
    pub(crate) fn log(&self, connection: u32) {
        let Self { statement, kind, route, tries, took, served, rows, changed, bytes, error, .. } = self;
        tracing::debug!(
            connection,
            server = route.map(|route| route.server.0),
            because = route.map(|route| route.because.label()),
            class = statement.because.label(),
            verb = ?statement.verb,
            digest = %statement.digest,
            ?kind,
            tries,
            ?took,
            ?served,
            rows,
            changed,
            bytes,
            error,
            "answered"
        );
    }
}

/// A statement that a worker has sent to a server, for the balancer. Dropping it ends the statement.
pub(crate) struct UnderWay<'a> {
    worker: &'a Worker,
    server: ServerId,
    ending: Ending,
}

impl<'a> UnderWay<'a> {
    pub(crate) fn begin(worker: &'a Worker, server: ServerId) -> Self {
        worker.balancer().begin(server);
        Self { worker, server, ending: Ending::GivenUp }
    }

    /// This is what became of it.
    pub(crate) fn ended(mut self, ending: Ending) {
        self.ending = ending;
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.worker.balancer().end(self.server, self.ending, Instant::now());
    }
}
