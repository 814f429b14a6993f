//! The signals of one session. Raising one wakes it; looking at them costs an idle or busy session one atomic load.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use atomic_waker::AtomicWaker;
use topology::ServerId;

bitflags::bitflags! {
    /// What a session can be told.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) struct Signal: u8 {
        /// Stop the statement under way.
        const KILL_QUERY = 1;
        /// End, the statement under way included.
        const KILL_SESSION = 1 << 1;
        /// The server of the statement under way does not answer the monitor.
        const SERVER_SICK = 1 << 2;
        /// Give back what connections hold nothing of the session.
        const GIVE_BACK = 1 << 3;
        /// Another session waits for a connection: give back even one that knows what the session may still ask for, but hardly will.
        const WANTED = 1 << 4;
    }
}

/// Not idle, or nothing to give back.
const BUSY: u64 = u64::MAX;

/// No statement is under way.
const NOWHERE: u64 = u64::MAX;

/// See the module.
#[derive(Debug)]
pub(crate) struct Signals {
    raised: AtomicU8,
    waker: AtomicWaker,
    /// The server of the statement under way, by number.
    busy_on: AtomicU64,
    /// Milliseconds of the registry's time.
    idle_since: AtomicU64,
    /// A bit for each server (the 64th and all beyond share one) to which an idle connection could be given back.
    holds: AtomicU64,
}

impl Default for Signals {
    fn default() -> Self {
        Self {
            raised: AtomicU8::new(0),
            waker: AtomicWaker::new(),
            busy_on: AtomicU64::new(NOWHERE),
            idle_since: AtomicU64::new(BUSY),
            holds: AtomicU64::new(0),
        }
    }
}

impl Signals {
    /// Tells the session.
    pub(crate) fn raise(&self, signal: Signal) {
        self.raised.fetch_or(signal.bits(), Ordering::AcqRel);
        self.waker.wake();
    }

    /// Takes those among `wanted` that are raised.
    pub(crate) fn take(&self, wanted: Signal) -> Signal {
        if self.raised.load(Ordering::Acquire) & wanted.bits() == 0 {
            return Signal::empty();
        }
        Signal::from_bits_truncate(self.raised.fetch_and(!wanted.bits(), Ordering::AcqRel)) & wanted
    }

    /// Waits for one of `wanted`.
    pub(crate) fn poll(&self, cx: &Context<'_>, wanted: Signal) -> Poll<Signal> {
        // Registered first: what is raised in between wakes.
        self.waker.register(cx.waker());
        let taken = self.take(wanted);
        if taken.is_empty() { Poll::Pending } else { Poll::Ready(taken) }
    }

    /// A statement begins on this server.
    pub(crate) fn note_busy_on(&self, server: ServerId) {
        self.busy_on.store(u64::from(server.0), Ordering::Relaxed);
        self.note_awake();
    }

    /// The statement has ended.
    pub(crate) fn note_done(&self) {
        self.busy_on.store(NOWHERE, Ordering::Relaxed);
    }

    /// The session waits for its client, since this moment of the registry's time.
    pub(super) fn note_idle(&self, since: Duration, servers: impl Iterator<Item = ServerId>) {
        let holds = servers.fold(0, |holds, server| holds | bit(server));
        self.holds.store(holds, Ordering::Relaxed);
        let millis = if holds == 0 { BUSY } else { u64::try_from(since.as_millis()).unwrap_or(BUSY) };
        self.idle_since.store(millis, Ordering::Relaxed);
    }

    /// Its client has sent something.
    pub(crate) fn note_awake(&self) {
        self.idle_since.store(BUSY, Ordering::Relaxed);
    }

    pub(super) fn busy_on(&self) -> Option<ServerId> {
        u16::try_from(self.busy_on.load(Ordering::Relaxed)).ok().map(ServerId)
    }

    pub(super) fn idle_since(&self) -> Option<Duration> {
        Some(self.idle_since.load(Ordering::Relaxed)).filter(|millis| *millis != BUSY).map(Duration::from_millis)
    }

    pub(super) fn may_give_back(&self, server: ServerId) -> bool {
        self.holds.load(Ordering::Relaxed) & bit(server) != 0
    }
}

fn bit(server: ServerId) -> u64 {
    1 << server.0.min(63)
}
