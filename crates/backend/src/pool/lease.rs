//! A server connection that one session uses.

use std::ops::{Deref, DerefMut};
use std::time::{Duration, Instant};

use tokio::time::timeout;
use topology::ServerId;

use super::server::ServerPool;
use super::{Idle, WorkerPool};
use crate::ConnectError;
use crate::connection::{Rest, ServerConnection};

/// A server connection that one session uses. Dropping it closes the connection: only [`Lease::share`] and [`Lease::give_back`] keep it for others.
#[derive(Debug)]
pub struct Lease {
    pub(super) held: Idle,
    pub(super) pool: WorkerPool,
    pub(super) keeps_idle: bool,
}

impl Lease {
    /// The server it leads to.
    pub fn server(&self) -> ServerId {
        self.held.server
    }

    /// Gives it as it is to the next session that needs one: what the session has set there is known, and it has left nothing else. If that is not so,
    /// the connection is reset first.
    pub fn share(self) {
        if !self.held.connection.state.is_known() {
            self.give_back();
        } else if self.is_worth_keeping() {
            self.put_back(false);
        }
    }

    /// Whether others may use it after this session.
    pub fn may_be_shared(&self) -> bool {
        self.is_worth_keeping() && self.held.connection.state.is_known()
    }

    /// Closes it after this session's use: the session has left something that no reset takes away.
    pub fn keep_from_others(&mut self) {
        self.keeps_idle = false;
    }

    /// Ends the session's use. The connection is reset in the background, and kept for the next session. A connection with an outstanding response is
    /// closed instead.
    pub fn give_back(self) {
        if self.is_worth_keeping() {
            tokio::spawn(self.clear());
        }
    }

    /// Ends the use by a session whose client left while a statement was running. In the background it stops the statement and keeps the connection's
    /// place until the statement has stopped, for at most `limit`. Then it calls `ended` with the end of the response, if that was read.
    pub fn abandon(mut self, limit: Duration, ended: impl FnOnce(Option<Rest>) + Send + 'static) {
        tokio::spawn(async move {
            let Self { held, pool, .. } = &mut self;
            let Idle { server, options, connection, .. } = held;
            let (server, thread_id) = (*server, connection.thread_id());
            let kill = pool.kill_query(server, options, thread_id);
            let (killed, stopped) = tokio::join!(kill, timeout(limit, connection.discard_unfinished()));
            if matches!(killed, Err(ConnectError::NotConfigured)) {
                let server = server.0;
                tracing::info!(
                    server,
                    "a client has left a server that is no longer configured; its statement may run to its end"
                );
            } else if !matches!(killed, Ok(Ok(()))) {
                tracing::warn!(server = server.0, ?killed, "cannot stop the statement of a client that has left");
            }
            let rest = stopped.ok().and_then(Result::ok).flatten();
            ended(rest);
            if rest.is_some() && self.is_worth_keeping() {
                self.clear().await;
            }
        });
    }

    fn is_worth_keeping(&self) -> bool {
        self.held.connection.is_clean() && self.keeps_idle && self.held.connection.is_reusable()
    }

    async fn clear(mut self) {
        let limit = self.pool.terms().limit;
        if let Ok(true) = self.held.connection.clear(limit).await
            && self.held.connection.is_clean()
        {
            self.put_back(true);
        }
    }

    fn put_back(self, must_log_in: bool) {
        let Self { mut held, pool, .. } = self;
        held.connection.idle_since = Instant::now();
        held.connection.state.left();
        held.must_log_in = must_log_in;
        held.worker = pool.worker;
        ServerPool::put_back(held);
    }
}

impl Deref for Lease {
    type Target = ServerConnection;

    fn deref(&self) -> &ServerConnection {
        &self.held.connection
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut ServerConnection {
        &mut self.held.connection
    }
}
