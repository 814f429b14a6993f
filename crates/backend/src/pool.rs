//! Server connections that wait for their next session.
//!
//! Each worker has its own shelf, so a connection stays on the thread whose runtime knows its socket. The number of connections
//! to a server is limited over all workers: by the configuration, and by what the server itself lets in. A worker that finds the limit
//! reached takes an idle connection from another shelf and closes it, to open its own; if there is none, it says that it is waiting, so that
//! idle sessions may give theirs back, and waits.
//!
//! A connection that another session has used is logged in to once more (`COM_CHANGE_USER`): the server forgets that session, takes its
//! defaults anew, and looks whether the account still exists, with this password and which roles.

mod places;

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use net::LinkError;
use session::{LoginDetails, SessionState};
use tokio::sync::{Notify, Semaphore};
use tokio::time::timeout;
use topology::{Epoch, ServerId};
use wire::ErrOwned;

use self::places::{Place, Places};
use crate::ConnectError;
use crate::connection::{Rest, ServerConnection};
use crate::login::{self, ConnectOptions, Target, Terms};

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
    /// Without TLS, servers may say which key a password is to be encrypted with.
    pub public_key_retrieval: bool,
}

/// All connections to all servers.
#[derive(Debug)]
pub struct Pools {
    settings: PoolSettings,
    /// One for each server.
    places: Vec<Arc<Places>>,
    /// One for each worker.
    shelves: Vec<Mutex<Vec<Idle>>>,
    /// Somebody has begun to wait for a connection.
    wanted: Notify,
    /// For connections beside the limit: whoever stops a statement must not wait for the place that this statement takes.
    urgent: Semaphore,
}

/// Connections beside the limit at once, over all servers.
const URGENT: usize = 8;

/// Between two tries to connect to a server that is full.
const FULL_PAUSE: Duration = Duration::from_millis(50);

#[derive(Debug)]
struct Idle {
    server: ServerId,
    options: ConnectOptions,
    connection: ServerConnection,
    place: Place,
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
        let places = settings.servers.iter().map(|_| Arc::new(Places::new(settings.server_connections))).collect();
        let shelves = (0..workers.max(1)).map(|_| Mutex::default()).collect();
        Arc::new(Self { settings, places, shelves, wanted: Notify::new(), urgent: Semaphore::new(URGENT) })
    }

    /// The view of one worker, counted from 0.
    pub fn worker(self: &Arc<Self>, worker: usize) -> WorkerPool {
        WorkerPool { pools: Arc::clone(self), worker: worker % self.shelves.len() }
    }

    /// Connections to a server that are open now, in use or idle.
    pub fn open_connections(&self, server: ServerId) -> usize {
        self.places(server).map_or(0, |places| places.taken())
    }

    /// Statements that wait for a connection to a server now.
    pub fn waiting(&self, server: ServerId) -> usize {
        self.places(server).map_or(0, |places| places.waiting())
    }

    /// The servers, by number.
    pub fn servers(&self) -> impl Iterator<Item = ServerId> + use<> {
        (0..).map(ServerId).take(self.places.len())
    }

    /// Waits until somebody begins to wait for a connection.
    pub async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// A server says how many connections it takes in all. Some of them are for others: replicas, administrators, the monitor. The new limit, if
    /// it is another one, and lower than the configuration's.
    pub fn server_takes(&self, server: ServerId, max_connections: usize) -> Option<usize> {
        let places = self.places(server)?;
        let configured = self.settings.server_connections;
        let left_to_others = (max_connections / 10).max(5);
        let limit = configured.min(max_connections.saturating_sub(left_to_others).max(1));
        let is_news = limit != places.limit();
        places.limit_to(limit);
        (is_news && limit < configured).then_some(limit)
    }

    /// How many connections to a server are allowed now.
    pub fn limit(&self, server: ServerId) -> usize {
        self.places(server).map_or(0, |places| places.limit())
    }

    fn places(&self, server: ServerId) -> Option<&Arc<Places>> {
        self.places.get(server.index())
    }

    fn terms(&self) -> Terms {
        Terms { limit: self.settings.connect_timeout, public_key_retrieval: self.settings.public_key_retrieval }
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
    /// All workers' pools.
    pub fn pools(&self) -> &Arc<Pools> {
        &self.pools
    }

    /// A connection to the server with these options, logged in as after a new login. It still has to be brought to `state`.
    ///
    /// `keeps_idle` says that the server's connections may be used again: one with an `init_connect` must see each new session. `reign` is the
    /// present epoch if the server is the primary: a connection from an earlier reign of the same server is closed in place of being used again.
    pub async fn lease(
        &self,
        server: ServerId,
        options: &ConnectOptions,
        state: &SessionState,
        keeps_idle: bool,
        reign: Option<Epoch>,
    ) -> Result<Lease, ConnectError> {
        let (target, places) = self.server(server)?;
        let lease = |mut connection: ServerConnection, place| {
            if let Some(epoch) = reign {
                connection.serves_in(epoch);
            }
            Lease { held: Idle { server, options: options.clone(), connection, place }, pool: self.clone(), keeps_idle }
        };
        while let Some(idle) = keeps_idle.then(|| self.take_idle(server, options, reign)).flatten() {
            let again = login::change_user(idle.connection, target, options, state.login(), self.pools.terms()).await;
            match again {
                Ok(connection) => return Ok(lease(connection, idle.place)),
                Err(error @ ConnectError::Timeout { .. }) => return Err(error),
                // The others of this account would say the same; a new login tells what there is to tell.
                Err(error) => {
                    tracing::debug!(server = %target, %error, "an idle connection could not be used again");
                    self.close_idle_of(server, options);
                }
            }
        }
        let place = self.place(server, target, places).await?;
        let connection = self.connect(server, target, options, state, places).await?;
        tracing::debug!(server = %target, user = %String::from_utf8_lossy(&options.account.user), "connected");
        Ok(lease(connection, place))
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

    /// `KILL QUERY`, through another connection of the same account, which waits for nobody's place. The caller sees to it that the
    /// connection to be stopped is not given to anybody else meanwhile.
    pub async fn kill_query(
        &self,
        server: ServerId,
        options: &ConnectOptions,
        thread_id: u32,
    ) -> Result<Result<(), ErrOwned>, ConnectError> {
        let (target, _) = self.server(server)?;
        let busy =
            ConnectError::Exhausted { address: target.to_string(), limit: URGENT, waited: self.pools.settings.lease_timeout };
        let turn = timeout(self.pools.settings.lease_timeout, self.pools.urgent.acquire()).await;
        let Ok(Ok(_turn)) = turn else { return Err(busy) };
        let terms = self.pools.terms();
        // utf8mb4_general_ci, known to every server.
        let details = LoginDetails { collation: 45, ..LoginDetails::default() };
        let mut connection = login::connect(target, options, &details, terms).await?;
        let broken = |error: LinkError| ConnectError::ServerMisbehaved { address: target.to_string(), what: error.to_string() };
        connection.run_query(&format!("KILL QUERY {thread_id}"), terms.limit).await.map_err(broken)
    }

    fn server(&self, server: ServerId) -> Result<(&Target, &Arc<Places>), ConnectError> {
        self.pools.settings.servers.get(server.index()).zip(self.pools.places(server)).ok_or_else(|| {
            ConnectError::ServerMisbehaved { address: String::new(), what: format!("there is no server {}", server.0) }
        })
    }

    /// Connects, in the place that was taken. A server that is full for others' connections gets the idle ones back, and some time.
    async fn connect(
        &self,
        server: ServerId,
        target: &Target,
        options: &ConnectOptions,
        state: &SessionState,
        places: &Places,
    ) -> Result<ServerConnection, ConnectError> {
        let began = Instant::now();
        loop {
            let connected = login::connect(target, options, state.login(), self.pools.terms()).await;
            let is_full = matches!(&connected, Err(ConnectError::Refused { error, .. }) if is_about_room(error.code));
            if !is_full || began.elapsed() >= self.pools.settings.lease_timeout {
                return connected;
            }
            if !self.pools.evict(server) {
                let _waiting = places.wait_visibly(&self.pools.wanted);
                tokio::time::sleep(FULL_PAUSE).await;
            }
        }
    }

    /// The most recently used idle connection that fits and is still alive.
    fn take_idle(&self, server: ServerId, options: &ConnectOptions, reign: Option<Epoch>) -> Option<Idle> {
        loop {
            let idle = {
                let mut shelf = self.pools.shelf(self.worker);
                let position = shelf.iter().rposition(|idle| idle.server == server && idle.options == *options)?;
                shelf.remove(position)
            };
            let is_of_another_epoch = reign.is_some_and(|epoch| idle.connection.is_of_another_epoch(epoch));
            if !is_of_another_epoch && idle.connection.link.is_quiet() {
                return Some(idle);
            }
        }
    }

    fn close_idle_of(&self, server: ServerId, options: &ConnectOptions) {
        let mut shelf = self.pools.shelf(self.worker);
        let (close, keep): (Vec<_>, Vec<_>) =
            shelf.drain(..).partition(|idle| idle.server == server && idle.options.account == options.account);
        *shelf = keep;
        drop(shelf);
        drop(close);
    }

    async fn place(&self, server: ServerId, target: &Target, places: &Arc<Places>) -> Result<Place, ConnectError> {
        loop {
            if let Some(place) = places.try_take() {
                return Ok(place);
            }
            if !self.pools.evict(server) {
                break;
            }
        }
        let waited = self.pools.settings.lease_timeout;
        let _waiting = places.wait_visibly(&self.pools.wanted);
        let taken = timeout(waited, places.take()).await.ok().flatten();
        taken.ok_or_else(|| ConnectError::Exhausted { address: target.to_string(), limit: places.limit(), waited })
    }

    /// Puts a connection on the shelf, unless somebody waits for its place.
    fn put_back(&self, mut idle: Idle) {
        idle.connection.idle_since = Instant::now();
        let is_wanted = self.pools.places(idle.server).is_some_and(|places| places.waiting() > 0 || places.is_over());
        if !is_wanted {
            self.pools.shelf(self.worker).push(idle);
        }
    }
}

/// A server's refusals that another connection's end may change: `ER_CON_COUNT_ERROR`, `ER_TOO_MANY_USER_CONNECTIONS`.
fn is_about_room(code: u16) -> bool {
    matches!(code, 1040 | 1203)
}

/// A server connection in the hands of one session. Dropped, it is closed: only [`Lease::give_back`] keeps it for others.
#[derive(Debug)]
pub struct Lease {
    held: Idle,
    pool: WorkerPool,
    keeps_idle: bool,
}

impl Lease {
    /// The server it leads to.
    pub fn server(&self) -> ServerId {
        self.held.server
    }

    /// Ends the session's use: what the session had there is ended, in the background, and the connection is kept for the next one. A
    /// connection on which a response is outstanding is closed instead.
    pub fn give_back(self) {
        if self.is_worth_keeping() {
            tokio::spawn(self.clear());
        }
    }

    /// Ends the use by a session whose client is gone while a statement runs: stops the statement and keeps the connection's place until it has
    /// stopped, in the background, for `limit` at most. Then `ended` is told what the response said, if it came to its end.
    pub fn abandon(mut self, limit: Duration, ended: impl FnOnce(Option<Rest>) + Send + 'static) {
        tokio::spawn(async move {
            let Self { held: Idle { server, options, connection, .. }, pool, .. } = &mut self;
            let (server, thread_id) = (*server, connection.thread_id());
            let kill = pool.kill_query(server, options, thread_id);
            let (killed, stopped) = tokio::join!(kill, timeout(limit, connection.discard_unfinished()));
            if !matches!(killed, Ok(Ok(()))) {
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

    async fn clear(self) {
        let Self { mut held, pool, .. } = self;
        let limit = pool.pools.settings.connect_timeout;
        if let Ok(true) = held.connection.clear(limit).await
            && held.connection.is_clean()
        {
            pool.put_back(held);
        }
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
