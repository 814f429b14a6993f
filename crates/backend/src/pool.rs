//! Server connections that wait for their next session.
//!
//! Each worker has its own shelf, so a connection stays on the thread whose runtime knows its socket. The number of connections
//! to a server is limited over all workers. A worker that finds the limit reached takes an idle connection from another shelf
//! and closes it, to open its own.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use topology::ServerId;

use crate::connection::ServerConnection;
use crate::login::{self, ConnectOptions, Target};
use crate::{ConnectError, SessionState};

/// The limits and times of the pools.
#[derive(Debug, Clone)]
pub struct PoolSettings {
    /// The servers, in the order of their [`ServerId`]s.
    pub servers: Vec<Target>,
    /// Connections to one server at most, in use and idle.
    pub server_connections: usize,
    /// For connecting and logging in.
    pub connect_timeout: Duration,
    /// For waiting until a connection becomes free.
    pub lease_timeout: Duration,
    /// An idle connection is closed after this time.
    pub idle_timeout: Duration,
}

/// All connections to all servers.
#[derive(Debug)]
pub struct Pools {
    settings: PoolSettings,
    /// One for each server.
    permits: Vec<Arc<Semaphore>>,
    /// One for each worker.
    shelves: Vec<Mutex<Vec<Idle>>>,
}

#[derive(Debug)]
struct Idle {
    server: ServerId,
    options: ConnectOptions,
    connection: ServerConnection,
    permit: OwnedSemaphorePermit,
}

/// The pools as one worker sees them.
#[derive(Debug, Clone)]
pub struct WorkerPool {
    pools: Arc<Pools>,
    worker: usize,
}

impl Pools {
    /// Empty pools for so many workers.
    pub fn new(settings: PoolSettings, workers: usize) -> Arc<Self> {
        let permits = settings.servers.iter().map(|_| Arc::new(Semaphore::new(settings.server_connections))).collect();
        Arc::new(Self { settings, permits, shelves: (0..workers.max(1)).map(|_| Mutex::default()).collect() })
    }

    /// The view of one worker, counted from 0.
    pub fn worker(self: &Arc<Self>, worker: usize) -> WorkerPool {
        WorkerPool { pools: Arc::clone(self), worker: worker % self.shelves.len() }
    }

    /// Connections to a server that are open now, in use or idle.
    pub fn open_connections(&self, server: ServerId) -> usize {
        self.permits
            .get(usize::from(server.0))
            .map_or(0, |permits| self.settings.server_connections.saturating_sub(permits.available_permits()))
    }

    fn shelf(&self, worker: usize) -> MutexGuard<'_, Vec<Idle>> {
        #[expect(clippy::indexing_slicing, reason = "worker() keeps the number in range")]
        self.shelves[worker].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes one idle connection to the server, on whatever shelf.
    fn evict(&self, server: ServerId) -> bool {
        (0..self.shelves.len()).any(|worker| {
            let mut shelf = self.shelf(worker);
            let position = shelf.iter().position(|idle| idle.server == server);
            let evicted = position.map(|position| shelf.remove(position));
            drop(shelf);
            evicted.is_some()
        })
    }
}

impl WorkerPool {
    /// A connection to the server with these options, idle or new. It still has to be brought to `state`.
    pub async fn lease(&self, server: ServerId, options: &ConnectOptions, state: &SessionState) -> Result<Lease, ConnectError> {
        let lease = |connection, permit| Lease {
            held: Idle { server, options: options.clone(), connection, permit },
            pool: self.clone(),
        };
        if let Some(idle) = self.take_idle(server, options, state) {
            return Ok(lease(idle.connection, idle.permit));
        }
        let settings = &self.pools.settings;
        let (Some(target), Some(permits)) =
            (settings.servers.get(usize::from(server.0)), self.pools.permits.get(usize::from(server.0)))
        else {
            return Err(ConnectError::ServerMisbehaved {
                address: String::new(),
                what: format!("there is no server {}", server.0),
            });
        };
        let permit = self.permit(server, target, permits).await?;
        let connection = login::connect(target, options, state.collation(), settings.connect_timeout).await?;
        tracing::debug!(server = %target, user = %String::from_utf8_lossy(&options.account.user), "connected");
        Ok(lease(connection, permit))
    }

    /// Closes what has been idle for too long or was closed by its server. To be called now and then.
    pub fn sweep(&self) {
        let limit = self.pools.settings.idle_timeout;
        let mut shelf = self.pools.shelf(self.worker);
        let (keep, close): (Vec<_>, Vec<_>) =
            shelf.drain(..).partition(|idle| idle.connection.idle_since.elapsed() < limit && idle.connection.link.is_quiet());
        *shelf = keep;
        drop(shelf);
        drop(close);
    }

    /// The most recently used idle connection that fits and is still alive.
    fn take_idle(&self, server: ServerId, options: &ConnectOptions, state: &SessionState) -> Option<Idle> {
        loop {
            let idle = {
                let mut shelf = self.pools.shelf(self.worker);
                let position = shelf.iter().rposition(|idle| {
                    idle.server == server && idle.options == *options && idle.connection.applied.can_become(state)
                })?;
                shelf.remove(position)
            };
            if idle.connection.link.is_quiet() {
                return Some(idle);
            }
        }
    }

    async fn permit(
        &self,
        server: ServerId,
        target: &Target,
        permits: &Arc<Semaphore>,
    ) -> Result<OwnedSemaphorePermit, ConnectError> {
        loop {
            if let Ok(permit) = Arc::clone(permits).try_acquire_owned() {
                return Ok(permit);
            }
            if !self.pools.evict(server) {
                break;
            }
        }
        let waited = self.pools.settings.lease_timeout;
        let exhausted =
            || ConnectError::Exhausted { address: target.to_string(), limit: self.pools.settings.server_connections, waited };
        timeout(waited, Arc::clone(permits).acquire_owned()).await.map_err(|_| exhausted())?.map_err(|_| exhausted())
    }

    /// Puts a connection on the shelf, unless somebody waits for its place.
    fn put_back(&self, mut idle: Idle) {
        idle.connection.idle_since = Instant::now();
        let is_wanted =
            self.pools.permits.get(usize::from(idle.server.0)).is_some_and(|permits| permits.available_permits() == 0);
        if !is_wanted {
            self.pools.shelf(self.worker).push(idle);
        }
    }
}

/// A server connection in the hands of one session. Dropped, it is closed: only [`Lease::give_back`] keeps it for others.
///
/// A session keeps its leases until it ends. When connections come to be shared between the statements of different
/// sessions, this is the one place that changes.
#[derive(Debug)]
pub struct Lease {
    held: Idle,
    pool: WorkerPool,
}

impl Lease {
    /// The server it leads to.
    pub fn server(&self) -> ServerId {
        self.held.server
    }

    /// Ends the session's use: the connection is reset, in the background, and kept for the next session. A connection on which
    /// a response is outstanding is closed instead.
    pub fn give_back(self) {
        let Self { mut held, pool } = self;
        if !held.connection.is_clean() {
            return;
        }
        tokio::spawn(async move {
            let limit = pool.pools.settings.connect_timeout;
            if let Ok(true) = held.connection.reset(limit).await
                && held.connection.is_clean()
            {
                pool.put_back(held);
            }
        });
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
