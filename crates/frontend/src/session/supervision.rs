//! What may happen while a server works on a statement: a rule's time limit is reached, the statement is killed, or the server falls silent.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use classifier::Statement;
use net::LinkError;
use router::{Because, Decision, Policy, SessionView};
use session::Outcome;
use tokio::time::{Instant, sleep_until, timeout};
use topology::{Server, Snapshot};

use super::deadline::TimeLimit;
use super::exchange::Destination;
use super::failure::Failure;
use crate::registry::{Entry, Signal};
use crate::reply::Refusal;
use crate::worker::Worker;

/// How long a killed statement may take to answer.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// How long a read waits for a silent server if other servers are up, but none of them may answer it.
const NO_ALTERNATIVE: Duration = Duration::from_millis(1200);

/// How far one try has come. The try writes it, its supervision reads it.
#[derive(Debug)]
pub(crate) struct Progress {
    /// When the statement, of which this may be a further try, began.
    began: std::time::Instant,
    /// When the statement was sent, in nanoseconds after that.
    sent_after: AtomicU64,
    /// The server's number for the connection; 0 until the statement is sent.
    thread_id: AtomicU32,
    begun: AtomicBool,
    /// Results that ended well.
    results: AtomicU16,
}

impl Progress {
    /// One more result has ended well.
    pub(crate) fn result_ended(&self) {
        // More of them than can be counted are as many as can be.
        let _ = self.results.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |results| results.checked_add(1));
    }

    /// Results that have ended well.
    pub(super) fn results(&self) -> u16 {
        self.results.load(Ordering::Relaxed)
    }

    /// A try begins.
    pub(super) fn begin_try(began: std::time::Instant) -> Self {
        Self {
            began,
            sent_after: AtomicU64::new(0),
            thread_id: AtomicU32::new(0),
            begun: AtomicBool::new(false),
            results: AtomicU16::new(0),
        }
    }

    /// The time since the statement was sent, if it was.
    pub(super) fn served(&self, now: std::time::Instant) -> Option<Duration> {
        let sent = Duration::from_nanos(self.sent_after.load(Ordering::Relaxed));
        self.is_sent().then(|| now.saturating_duration_since(self.began).saturating_sub(sent))
    }

    /// The statement goes out on this connection.
    pub(super) fn sent(&self, thread_id: u32) {
        let sent_after = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.sent_after.store(sent_after, Ordering::Relaxed);
        self.thread_id.store(thread_id, Ordering::Relaxed);
    }

    /// The client has got the first bytes of the answer.
    pub(crate) fn begin(&self) {
        self.begun.store(true, Ordering::Relaxed);
    }

    /// The statement has gone out, or may have.
    pub(super) fn is_sent(&self) -> bool {
        self.thread_id().is_some()
    }

    fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Relaxed)
    }

    fn thread_id(&self) -> Option<u32> {
        Some(self.thread_id.load(Ordering::Relaxed)).filter(|id| *id != 0)
    }
}

/// One try, with what it takes to stop or to leave it.
pub(super) struct Supervision<'a> {
    pub(super) worker: &'a Arc<Worker>,
    pub(super) policy: &'a Policy,
    pub(super) entry: &'a Entry,
    pub(super) statement: &'a Statement,
    pub(super) destination: &'a Destination,
    /// For asking where else it could run.
    pub(super) view: SessionView<'a>,
    /// A read that another server may answer as well, while the client has got nothing.
    pub(super) may_move: bool,
    /// Nothing of the session lives on this server: until the statement is sent, it may as well wait for another primary.
    pub(super) may_wait: bool,
    pub(super) progress: &'a Progress,
    pub(super) limit: Option<&'a TimeLimit<'a>>,
}

enum Event {
    Ended(Result<Outcome, Failure>),
    TimeIsOver,
    Told(Signal),
}

impl Supervision<'_> {
    /// Sees the try through to its end, or to the point where it is given up.
    pub(super) async fn see_through<A>(&self, mut attempt: Pin<&mut A>) -> Result<Outcome, Failure>
    where
        A: Future<Output = Result<Outcome, Failure>>,
    {
        let mut clock = self.limit.map(|limit| Box::pin(sleep_until(limit.end())));
        // A kill of the statement before this one came too late.
        self.entry.signals.take(Signal::KILL_QUERY);
        self.entry.signals.note_busy_on(self.destination.route.server);
        let wanted = Signal::KILL_QUERY | Signal::KILL_SESSION | Signal::SERVER_SICK;
        let ended = loop {
            let event = std::future::poll_fn(|cx| {
                if let Poll::Ready(ended) = attempt.as_mut().poll(cx) {
                    return Poll::Ready(Event::Ended(ended));
                }
                if let Poll::Ready(signal) = self.entry.signals.poll(cx, wanted) {
                    return Poll::Ready(Event::Told(signal));
                }
                match &mut clock {
                    Some(clock) => clock.as_mut().poll(cx).map(|()| Event::TimeIsOver),
                    None => Poll::Pending,
                }
            })
            .await;
            match event {
                Event::Ended(ended) => break ended,
                Event::TimeIsOver => {
                    let refusal = self.limit.map(|limit| {
                        limit.note_over();
                        limit.refusal()
                    });
                    break Box::pin(self.stop(attempt, refusal.unwrap_or_else(Refusal::interrupted))).await;
                }
                Event::Told(signal) if signal.intersects(Signal::KILL_QUERY | Signal::KILL_SESSION) => {
                    // The session handles this signal later.
                    self.entry.signals.raise(signal & Signal::KILL_SESSION);
                    break Box::pin(self.stop(attempt, Refusal::interrupted())).await;
                }
                Event::Told(_) => {
                    let (sent, begun) = (self.progress.is_sent(), self.progress.has_begun());
                    let snapshot = self.worker.shared.servers.load();
                    if self.must_leave(&snapshot) {
                        break Err(Failure::Silent { sent, begun });
                    }
                    if self.is_deposed(&snapshot) {
                        break Err(Failure::Deposed { sent, begun });
                    }
                }
            }
        };
        self.entry.signals.note_done();
        ended
    }

    /// Kills the statement on its server and reads its answer. A statement that has not been sent is just dropped.
    async fn stop(&self, attempt: impl Future<Output = Result<Outcome, Failure>>, refusal: Refusal) -> Result<Outcome, Failure> {
        let Some(thread_id) = self.progress.thread_id() else { return Err(Failure::Interrupted(refusal)) };
        let server = self.destination.route.server;
        let kill = async {
            let killed = self.worker.pool.kill_query(server, self.entry.options(), thread_id).await;
            let why = match killed {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error.to_string(),
                Err(error) => error.to_string(),
            };
            tracing::warn!(server = server.0, error = why, "cannot stop a statement");
        };
        let (answered, ()) = tokio::join!(timeout(LAST_WORDS, attempt), kill);
        let late = |_| Failure::Lost { error: LinkError::Timeout(LAST_WORDS), begun: self.progress.has_begun() };
        answered.map_err(late)?
    }

    /// The server is gone for the monitor as well, or it does not answer and a read need not wait for it.
    fn must_leave(&self, snapshot: &Snapshot) -> bool {
        let Some(server) = snapshot.server(self.destination.route.server).filter(|server| server.is_up()) else { return true };
        if self.may_wait && server.silent_since.is_some() && !self.progress.is_sent() {
            return true;
        }
        let Some(since) = server.silent_since.filter(|_| self.may_move && !self.progress.has_begun()) else { return false };
        let mut avoid = self.view.avoid.to_vec();
        avoid.push(server.id);
        let elsewhere = self.worker.preview(self.policy, self.statement, &SessionView { avoid: &avoid, ..self.view }, snapshot);
        if matches!(elsewhere, Decision::Forward(route) if route.server != server.id) {
            return true;
        }
        // If no server answers, the fault is not this server's, and an error would not help.
        let answers = |other: &&Server| other.id != server.id && other.answers();
        let is_alone = !snapshot.servers.iter().any(|other| answers(&other));
        !is_alone && Instant::now().into_std().saturating_duration_since(since) >= NO_ALTERNATIVE
    }

    /// Another server is the primary now: what this one still says to a write, or in a transaction, does not count.
    fn is_deposed(&self, snapshot: &Snapshot) -> bool {
        let is_the_primarys = self.destination.may_commit || self.destination.route.because == Because::Transaction;
        self.destination.is_on_primary()
            && is_the_primarys
            && snapshot.primary.is_some_and(|now| now != self.destination.route.server)
    }
}
