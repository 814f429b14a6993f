//! A statement that waits for a primary before anything of it was sent.
//!
//! Meanwhile it takes up no server connection, except one on which something of the session lives.
//! A change of the servers' state wakes it, not the clock. Only a primary that is up for the monitor, but cannot be connected to, is tried again after
//! a pause.

use std::future::{Future as _, poll_fn};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use classifier::Statement;
use net::Link;
use router::{Awaited, Decision, Steering};
use tokio::time::{Instant, sleep_until};
use topology::ServerId;

use super::Core;
use super::deadline::TimeLimit;
use super::exchange::READ_AHEAD;
use crate::registry::Signal;
use crate::reply::Refusal;

/// Pause before the first new attempt to connect to an unreachable primary. Each further pause is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// Longest pause. A waiting statement is also decided again after this time, since a replica that catches up wakes no statement.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// All the waiting of one statement.
#[derive(Debug)]
pub(super) struct Hold {
    /// What waits.
    bytes: usize,
    /// The most that it may wait.
    at_most: Duration,
    /// The end of that time. `None`: never.
    end: Option<Instant>,
    pause: Duration,
}

/// Why it stops waiting without having been sent.
#[derive(Debug)]
pub(super) enum GivenUp {
    /// The client gets this error, and the session goes on.
    Told(Refusal),
    /// The client gets this error, and the session ends.
    Dismissed(Refusal),
    /// The client is gone.
    Left,
}

impl Hold {
    /// Begins now, for a command of this many bytes.
    pub(super) fn new(bytes: usize, at_most: Duration) -> Self {
        // A time beyond what the clock can hold never ends.
        Self { bytes, at_most, end: Instant::now().checked_add(at_most), pause: FIRST_PAUSE }
    }

    /// When it is decided again at the latest.
    fn wake_at(&mut self, awaited: Awaited, limit: Option<&TimeLimit<'_>>) -> Instant {
        let pause = if awaited == Awaited::UnreachablePrimary { self.pause } else { LONGEST_PAUSE };
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        let ends = [self.end, limit.map(TimeLimit::end)];
        ends.into_iter().flatten().fold(Instant::now() + pause, Instant::min)
    }

    /// The error, if its time is over.
    fn is_over(&self, awaited: Awaited, limit: Option<&TimeLimit<'_>>) -> Option<Refusal> {
        let now = Instant::now();
        if let Some(limit) = limit.filter(|limit| limit.end() <= now) {
            return Some(limit.refusal());
        }
        self.end.filter(|end| *end <= now).map(|_| Refusal::waited_in_vain(awaited, self.at_most))
    }
}

impl Core {
    /// Waits until the statement has to be decided again. Servers that have failed it may then be tried again.
    pub(super) async fn hold(
        &mut self,
        client: &mut Link,
        statement: &Statement,
        (failed, steering): (&mut Vec<ServerId>, Steering<'_>),
        hold: &mut Hold,
        mut awaited: Awaited,
        limit: Option<&TimeLimit<'_>>,
    ) -> Result<(), GivenUp> {
        let worker = Arc::clone(&self.worker);
        let shared = &worker.shared;
        let _place = shared.held.admit(hold.bytes, awaited, &self.settings.limits).map_err(GivenUp::Told)?;
        tracing::debug!(connection = self.entry.id(), awaited = awaited.label(), "a statement waits");
        // A kill of the statement before this one came too late.
        self.entry.signals.take(Signal::KILL_QUERY);
        self.leave_connections().await;
        let mut changes = shared.held.changes();
        loop {
            changes.borrow_and_update();
            match self.decide(statement, failed, steering).0 {
                Decision::Wait { awaited: still, .. } => awaited = still,
                Decision::Forward(_) | Decision::Refuse(_) => return Ok(()),
            }
            if let Some(refusal) = hold.is_over(awaited, limit) {
                return Err(GivenUp::Told(refusal));
            }
            let wake_at = hold.wake_at(awaited, limit);
            tokio::select! {
                biased;
                given_up = self.is_given_up(client) => return Err(given_up),
                _ = changes.changed() => {}
                () = sleep_until(wake_at) => {}
            }
            failed.clear();
        }
    }

    /// Gives the server connections to others before the wait.
    async fn leave_connections(&mut self) {
        if let Some(transaction) = self.session.binding.transaction() {
            // A read-only one on a replica, which the statement would have ended implicitly: what else is open does not wait.
            self.end_transaction_on(transaction.server).await;
        }
        if let Some(home) = self.session.binding.home().filter(|_| self.session.binding.may_leave_home()) {
            let keeps_insert_id =
                !self.session.binding.insert_id_is_on(home) || (self.answers(home) && self.note_insert_id(home).await);
            if keeps_insert_id {
                self.forget(home);
            }
        }
        self.give_back(true).await;
    }

    /// Ready when the answer is no longer wanted.
    async fn is_given_up(&mut self, client: &mut Link) -> GivenUp {
        poll_fn(|cx| {
            while client.bytes().len() < READ_AHEAD {
                match client.poll_fill(cx) {
                    Poll::Pending => break,
                    Poll::Ready(Ok(1..)) => {}
                    Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(GivenUp::Left),
                }
            }
            if let Poll::Ready(signal) = self.entry.signals.poll(cx, Signal::KILL_QUERY | Signal::KILL_SESSION) {
                // The session handles this signal later.
                self.entry.signals.raise(signal & Signal::KILL_SESSION);
                return Poll::Ready(GivenUp::Told(Refusal::interrupted()));
            }
            self.drain.as_mut().poll(cx).map(|()| GivenUp::Dismissed(Refusal::shutting_down()))
        })
        .await
    }
}
