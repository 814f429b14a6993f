//! Sampled statements, for whoever exports them as spans of OpenTelemetry.
//!
//! A session offers a statement once it has been answered, and waits for nobody: what there is no room for is dropped, and counted. The format of the
//! export is not known here.

mod parent;

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use classifier::{Digest, Verb};
use tokio::sync::mpsc;
use topology::Engine;

pub(crate) use self::parent::{TRACEPARENT, TraceParent};
use crate::rate::Rate;

/// Statements that may wait for their export, over all workers: some MiB at most.
const WAITING_MAX: usize = 4096;

/// One statement that was sampled.
#[derive(Debug, Clone)]
pub struct StatementSpan {
    /// Its numbers, by which a collector puts it in its place.
    pub numbers: SpanNumbers,
    /// When its answer had been passed on.
    pub ended: SystemTime,
    /// From its arrival until then.
    pub took: Duration,
    /// The last part of that time, since it was last sent to a server.
    pub served: Option<Duration>,
    /// The number of the session.
    pub session: u32,
    /// The account.
    pub user: Box<[u8]>,
    /// The client's address and port, or `socket`.
    pub peer: String,
    /// The session's default schema.
    pub schema: Option<Box<str>>,
    /// Where it ran last. `None` if it was not sent.
    pub server: Option<SpanServer>,
    /// Why there.
    pub because: &'static str,
    /// What the classifier found.
    pub verdict: &'static str,
    /// Its leading keyword.
    pub verb: Verb,
    /// What statements have in common that differ in their literals only.
    pub digest: Digest,
    /// Its normalised text, if statistics of digests are kept.
    pub text: Option<Arc<[u8]>>,
    /// Servers that were tried.
    pub tries: u16,
    /// The rows that the client got.
    pub rows: Option<u64>,
    /// The rows that it changed.
    pub changed: Option<u64>,
    /// The error that the client got.
    pub error: Option<u16>,
}

/// The numbers of a sampled statement.
#[derive(Debug, Clone)]
pub struct SpanNumbers {
    /// That of its trace: the application's, or a new one.
    pub trace: [u8; 16],
    /// That of the statement as the client sees it.
    pub span: [u8; 8],
    /// That of the part that a server took.
    pub server_span: [u8; 8],
    /// That of the application's span that it belongs to.
    pub parent: Option<[u8; 8]>,
}

/// A server as a span names it.
#[derive(Debug, Clone)]
pub struct SpanServer {
    /// Of the configuration.
    pub name: Arc<str>,
    /// Host and port.
    pub address: Arc<str>,
    /// MySQL or MariaDB, if it has been seen.
    pub engine: Option<Engine>,
}

/// Which statements are sampled.
#[derive(Debug, Clone)]
pub struct SpanSampling(Arc<Sampler>);

#[derive(Debug)]
struct Sampler {
    /// A random number below this is in the share; `None`: each is.
    below: Option<u64>,
    rate: Rate,
}

impl SpanSampling {
    /// This share (0 to 1) of the statements that come without a parent, and each whose parent is sampled; but no more than so many in a second, over
    /// all workers: a client decides on its parents.
    pub fn new(share: f64, per_second: u32) -> Self {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a share")]
        let below = (share < 1.0).then(|| (share.max(0.0) * u64::MAX as f64) as u64);
        Self(Arc::new(Sampler { below, rate: Rate::new(per_second, Instant::now()) }))
    }

    /// Whether this statement is one of them. If so, it counts.
    fn takes(&self, parent: Option<&TraceParent>, random: impl FnOnce() -> u64, now: Instant) -> bool {
        let is_sampled = match parent {
            Some(parent) => parent.is_sampled,
            None => self.0.below.is_none_or(|below| random() < below),
        };
        is_sampled && self.0.rate.take(now)
    }
}

/// What became of the sampled statements since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SpanCounts {
    /// The collector has them.
    pub exported: u64,
    /// There was no room, since the collector is too slow.
    pub dropped: u64,
    /// The collector could not be reached, or refused them.
    pub failed: u64,
}

/// Where sampled statements wait for their export.
#[derive(Debug)]
pub struct SpanQueue {
    sender: mpsc::Sender<StatementSpan>,
    random: RandomState,
    numbers: AtomicU64,
    exported: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
}

impl SpanQueue {
    /// An empty one, and its other end.
    pub fn new() -> (Arc<Self>, mpsc::Receiver<StatementSpan>) {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        // Keyed by the operating system's randomness: nobody can foresee the numbers.
        let random = RandomState::new();
        let [numbers, exported, dropped, failed] = [const { AtomicU64::new(0) }; 4];
        (Arc::new(Self { sender, random, numbers, exported, dropped, failed }), receiver)
    }

    /// The numbers for a statement, if it is sampled.
    pub(crate) fn sample(&self, sampling: &SpanSampling, parent: Option<&TraceParent>, now: Instant) -> Option<SpanNumbers> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        // Zero is no valid number.
        let random = |what: u8| self.random.hash_one((number, what));
        let bytes = |what: u8| random(what).max(1).to_be_bytes();
        sampling.takes(parent, || random(0), now).then(|| {
            let new_trace = || (u128::from(random(1).max(1)) << 64 | u128::from(random(2))).to_be_bytes();
            SpanNumbers {
                trace: parent.map_or_else(new_trace, |parent| parent.trace),
                span: bytes(3),
                server_span: bytes(4),
                parent: parent.map(|parent| parent.span),
            }
        })
    }

    /// Passes a statement on, if there is room.
    pub(crate) fn offer(&self, span: StatementSpan) {
        if self.sender.try_send(span).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The collector has so many more.
    pub fn note_exported(&self, count: u64) {
        self.exported.fetch_add(count, Ordering::Relaxed);
    }

    /// So many more could not be exported.
    pub fn note_failed(&self, count: u64) {
        self.failed.fetch_add(count, Ordering::Relaxed);
    }

    /// What became of them so far.
    pub fn counts(&self) -> SpanCounts {
        let [exported, dropped, failed] =
            [&self.exported, &self.dropped, &self.failed].map(|count| count.load(Ordering::Relaxed));
        SpanCounts { exported, dropped, failed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parent(is_sampled: bool) -> TraceParent {
        TraceParent { trace: [7; 16], span: [8; 8], is_sampled }
    }

    #[test]
    fn the_parent_decides_where_there_is_one() {
        let now = Instant::now();
        let none = SpanSampling::new(0.0, 100);
        assert!(none.takes(Some(&parent(true)), || 0, now) && !none.takes(None, || 0, now));
        let all = SpanSampling::new(1.0, 100);
        assert!(!all.takes(Some(&parent(false)), || 0, now) && all.takes(None, || u64::MAX, now));
        let half = SpanSampling::new(0.5, 100);
        assert!(half.takes(None, || u64::MAX / 2 - 1024, now) && !half.takes(None, || u64::MAX / 2 + 1024, now));
    }

    #[test]
    fn no_client_makes_more_of_them_than_the_limit() {
        let (now, sampling) = (Instant::now(), SpanSampling::new(1.0, 3));
        let taken = |parent: Option<&TraceParent>| (0..10).filter(|_| sampling.takes(parent, || 0, now)).count();
        assert_eq!((taken(Some(&parent(true))), taken(None)), (3, 0));
    }

    #[test]
    fn a_trace_goes_on_or_begins_anew() {
        let (queue, _receiver) = SpanQueue::new();
        let (now, sampling) = (Instant::now(), SpanSampling::new(1.0, 100));
        let sample = |parent| queue.sample(&sampling, parent, now).expect("all are");
        let (first, second) = (sample(None), sample(None));
        assert_ne!(first.trace, second.trace);
        assert_ne!(first.span, second.span);
        assert_ne!(first.span, first.server_span);
        assert_eq!(first.parent, None);
        let child = sample(Some(&parent(true)));
        assert_eq!((child.trace, child.parent), ([7; 16], Some([8; 8])));
    }

    #[test]
    fn what_has_no_room_is_dropped_and_counted() {
        let (queue, receiver) = SpanQueue::new();
        let span = StatementSpan {
            numbers: SpanNumbers { trace: [1; 16], span: [1; 8], server_span: [2; 8], parent: None },
            ended: SystemTime::UNIX_EPOCH,
            took: Duration::ZERO,
            served: None,
            session: 1,
            user: Box::default(),
            peer: String::new(),
            schema: None,
            server: None,
            because: "",
            verdict: "",
            verb: Verb::Other,
            digest: Digest::default(),
            text: None,
            tries: 0,
            rows: None,
            changed: None,
            error: None,
        };
        (0..WAITING_MAX + 2).for_each(|_| queue.offer(span.clone()));
        assert_eq!((receiver.len(), queue.counts()), (WAITING_MAX, SpanCounts { dropped: 2, ..SpanCounts::default() }));
        drop(receiver);
        queue.offer(span);
        assert_eq!(queue.counts().dropped, 3, "nobody takes them any more");
    }
}
