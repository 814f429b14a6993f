//! Waiting for a primary with a statement of which nothing was sent.
//!
//! It takes up no server connection meanwhile, except one on which something of the session lives.
//! It is woken when the servers look otherwise, not by the clock; only a primary that the monitor takes for well, and to which no
//! connection can be had, is tried again after a pause.

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

/// Before the first new try to connect to a primary that could not be reached. Each further pause is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// No pause is longer. Whoever waits also decides anew after this time, since replicas catch up without waking anybody.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// All the waiting of one statement.
#[derive(Debug)]
pub(super) struct Hold {
    /// What waits.
    bytes: usize,
    /// The most that it may wait.
    at_most: Duration,
    /// When that is over.
    end: Option<Instant>,
    pause: Duration,
}

/// Why it waits no longer, without having been sent.
#[derive(Debug)]
pub(super) enum GivenUp {
    /// The client is told this, and the session goes on.
    Told(Refusal),
    /// The client is told this, and the session ends.
    Dismissed(Refusal),
    /// The client is gone.
    Left,
}

impl Hold {
    /// Begins now, for a command of so many bytes.
    pub(super) fn new(bytes: usize, at_most: Duration) -> Self {
        // A time beyond what the clock can hold never ends.
        Self { bytes, at_most, end: Instant::now().checked_add(at_most), pause: FIRST_PAUSE }
    }

    /// When it decides anew, whatever happens.
    fn wake_at(&mut self, awaited: Awaited, limit: Option<&TimeLimit<'_>>) -> Instant {
        let pause = if awaited == Awaited::UnreachablePrimary { self.pause } else { LONGEST_PAUSE };
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        let ends = [self.end, limit.map(TimeLimit::end)];
        ends.into_iter().flatten().fold(Instant::now() + pause, Instant::min)
    }

    /// Why it is over by the clock.
    fn is_over(&self, awaited: Awaited, limit: Option<&TimeLimit<'_>>) -> Option<Refusal> {
        let now = Instant::now();
        if let Some(limit) = limit.filter(|limit| limit.end() <= now) {
            return Some(limit.refusal());
        }
        self.end.filter(|end| *end <= now).map(|_| Refusal::waited_in_vain(awaited, self.at_most))
    }
}

impl Core {
    /// Waits until the statement is to be decided anew. Servers that have failed it may be asked again then.
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

    /// What is about to wait leaves its server connections to others.
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

    /// Ready when nobody wants the answer any more.
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
                // Whoever serves the session looks at this one again.
                self.entry.signals.raise(signal & Signal::KILL_SESSION);
                return Poll::Ready(GivenUp::Told(Refusal::interrupted()));
            }
            self.drain.as_mut().poll(cx).map(|()| GivenUp::Dismissed(Refusal::shutting_down()))
        })
        .await
    }
}
