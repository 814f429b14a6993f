//! Whether an OK for a commit may be passed on to the client.
//!
//! A server that is no longer the primary may still answer, but its OK is worthless: the commit may be missing on all servers that remain. A client
//! that got it would believe that its write lasts. So the snapshot is checked again when such an OK is about to go out. If the last look at the
//! primary does not settle what its OK is worth, the OK waits for the next look.

use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::timeout;
use topology::{Epoch, Published, Server, ServerId};

use crate::reply::Refusal;

/// An OK waits no longer for a look at the server that gave it. A look takes some milliseconds, and begins at once.
const LOOK_TIMEOUT: Duration = Duration::from_secs(2);

/// So long a refusal is kept back, until a look shows why the primary has become read-only.
const CLOSING_TIMEOUT: Duration = Duration::from_secs(1);

/// The conditions under which one statement was sent that may commit something.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Acknowledgement<'a> {
    pub(crate) servers: &'a Published,
    /// Announces each of their snapshots after it was published.
    pub(crate) generations: &'a watch::Receiver<u64>,
    /// The primary that it was sent to.
    pub(crate) server: ServerId,
    /// The epoch in which that was.
    pub(crate) epoch: Epoch,
}

/// What an OK is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Worth {
    Counts,
    /// The server was short of replicas when it was last looked at.
    Open,
    /// It is still the primary, and may have answered though no replica has the commit.
    Unproven,
    Deposed,
}

impl Acknowledgement<'_> {
    /// The server has been closed to writes meanwhile, or will be.
    pub(crate) fn is_closed(&self) -> bool {
        let snapshot = self.servers.load();
        snapshot.primary != Some(self.server) || snapshot.epoch != self.epoch || snapshot.is_closing
    }

    /// The server refuses writes: waits until a look shows that it was closed to them, which another process or a person may have done just now.
    pub(crate) async fn await_closing(&self) {
        // If it takes too long, the refusal is what it seems to be.
        let _ = self.look_until(CLOSING_TIMEOUT, || self.is_closed().then_some(())).await;
    }

    /// Whether the OK may go out as it is, as nearly all do.
    pub(crate) fn counts(&self) -> bool {
        self.worth(None) == Worth::Counts
    }

    /// The error for the client in place of an OK that has just come, if the OK may not be passed on.
    pub(crate) async fn doubt(&self) -> Option<Refusal> {
        let came_at = Instant::now();
        let settled = || Some(self.worth(Some(came_at))).filter(|worth| *worth != Worth::Open);
        match self.look_until(LOOK_TIMEOUT, settled).await.unwrap_or(Worth::Unproven) {
            Worth::Counts => None,
            Worth::Deposed => Some(Refusal::unconfirmed("the server that acknowledged it is no longer the primary")),
            Worth::Unproven | Worth::Open => Some(Refusal::unconfirmed(
                "the primary acknowledged it, but is shutting down or has no replica to confirm it, so that it may not survive",
            )),
        }
    }

    /// Has the server looked at until something is settled. `None` if that takes too long, or nobody looks any more.
    async fn look_until<T>(&self, limit: Duration, settled: impl Fn() -> Option<T>) -> Option<T> {
        let mut generations = self.generations.clone();
        let looks = async {
            loop {
                generations.borrow_and_update();
                if let Some(settled) = settled() {
                    return Some(settled);
                }
                self.servers.suspects().add(self.server);
                generations.changed().await.ok()?;
            }
        };
        timeout(limit, looks).await.ok().flatten()
    }

    /// By what is known now; of an OK that came at this moment, if it was not just now.
    fn worth(&self, came_at: Option<Instant>) -> Worth {
        let snapshot = self.servers.load();
        if snapshot.primary != Some(self.server) || snapshot.epoch != self.epoch {
            return Worth::Deposed;
        }
        let Some(server) = snapshot.server(self.server) else { return Worth::Deposed };
        let is_settled = |server: &Server| came_at.is_some_and(|came_at| server.acks_seen_at > Some(came_at));
        match server.acks_trusted {
            true => Worth::Counts,
            // It cannot be looked at any more.
            false if is_settled(server) || !server.answers() => Worth::Unproven,
            false => Worth::Open,
        }
    }
}
