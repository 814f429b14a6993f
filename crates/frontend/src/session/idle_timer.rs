//! How long a client may be silent, at the price of one timer for the whole session instead of one for each command.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// The limit between two commands. The timer is set once and looks, when it fires, whether there was a command meanwhile.
#[derive(Debug)]
pub(super) struct IdleTimer {
    limit: Duration,
    since: Instant,
    timer: Pin<Box<Sleep>>,
}

impl IdleTimer {
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, since: Instant::now(), timer: Box::pin(sleep(limit)) }
    }

    /// Another limit, from the next silence on.
    pub(super) fn limit_to(&mut self, limit: Duration) {
        self.limit = limit;
        if let Some(end) = Instant::now().checked_add(limit) {
            self.timer.as_mut().reset(end);
        }
    }

    /// The silence begins now.
    pub(super) fn start(&mut self) {
        self.since = Instant::now();
    }

    /// Ready when it has lasted for the limit.
    pub(super) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            // A limit beyond what the clock can hold never ends.
            let Some(end) = self.since.checked_add(self.limit) else { return Poll::Pending };
            if end <= Instant::now() {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(end);
        }
    }
}
