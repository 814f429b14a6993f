//! Server connections, and the sessions that use them in turn.
//!
//! A connection serves one session at a time, and any session of its account after that. It knows which state it has, and gets the commands that
//! bring it to the next session's state. Where these are not enough, it is logged in to again (`COM_CHANGE_USER`): if it has a setting that the next
//! session does not have, if its last session may have left something unknown, or if the next session is younger than its login, since the account
//! may have been changed or dropped in between.
//!
//! The number of connections to a server is limited over all workers: by the configuration, and by what the server itself admits. A session that
//! finds the limit reached takes the place of an idle connection of another account, or waits for its turn. Idle sessions notice the waiting one and
//! give their connections back. An account may have a bound of its own; at that bound it waits for its own connections.

mod lease;
mod server;
mod shares;
mod warm;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use net::LinkError;
use session::{Distance, LoginDetails, SessionState};
use tokio::sync::{Notify, Semaphore};
use tokio::time::timeout;
use topology::{Epoch, ServerId};
use wire::ErrOwned;
use wire::error_code::{ER_BAD_DB_ERROR, ER_CON_COUNT_ERROR, ER_DBACCESS_DENIED_ERROR, ER_TOO_MANY_USER_CONNECTIONS};

pub use self::lease::Lease;
use self::server::{Bounds, Handed, Place, Queued, ServerPool};
use self::shares::{Demand, Displaced};
use self::warm::Profiles;
pub use self::warm::WarmUp;
use crate::compression::ServerCompression;
use crate::connection::ServerConnection;
use crate::login::{self, ConnectOptions, ServerAddress, Terms};
use crate::tls::ServerTls;
use crate::{Account, ConnectError, Shortage};

/// The servers, and the limits and timeouts of their pools.
#[derive(Debug, Clone)]
pub struct PoolSettings {
    /// All servers.
    pub servers: Vec<PooledServer>,
    /// Most connections to one server, in use and idle, unless it has a bound of its own.
    pub server_connections: usize,
    /// Most idle connections to one server. Beyond that the least recently used is closed.
    pub idle_server_connections: usize,
    /// Most statements that may wait for a connection to one server.
    pub waiting: usize,
    /// Settings of single accounts. All others have no bound of their own and no connections kept ready.
    pub accounts: Vec<PooledAccount>,
    /// For connecting and logging in.
    pub connect_timeout: Duration,
    /// For waiting until a connection becomes free.
    pub lease_timeout: Duration,
    /// An idle connection is closed after this time.
    pub idle_timeout: Duration,
    /// Without TLS, servers may choose the key with which a password is encrypted.
    pub public_key_retrieval: bool,
    /// Whether connections are encrypted. Idle connections that were opened under other settings are not used again.
    pub tls: ServerTls,
    /// Whether connections are compressed. The same goes for idle connections.
    pub compression: ServerCompression,
}

impl PoolSettings {
    fn bounds(&self, server: &PooledServer) -> Bounds {
        let open = server.server_connections.unwrap_or(self.server_connections);
        Bounds { open, idle: self.idle_server_connections, waiting: self.waiting }
    }
}

/// A server to connect to.
#[derive(Debug, Clone)]
pub struct PooledServer {
    /// Its number, which always means the same server.
    pub id: ServerId,
    /// Where it listens.
    pub address: ServerAddress,
    /// Most connections to it, in use and idle, if it has a bound of its own.
    pub server_connections: Option<usize>,
}

/// How many connections to each server an account may have, and how many are kept ready for it.
#[derive(Debug, Clone)]
pub struct PooledAccount {
    /// The account, identified by its name.
    pub account: Arc<Account>,
    /// Most connections to one server, in use and idle.
    pub server_connections: Option<usize>,
    /// Connections to each server that are opened in advance, and stay open while they are idle.
    pub warm_server_connections: usize,
}

/// Statements that wait for a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitedFor {
    /// The server.
    pub server: ServerId,
    /// The account whose connection it has to be. `None`: any account's.
    pub user: Option<Box<[u8]>>,
    /// How many wait.
    pub count: usize,
}

/// All connections to all servers.
#[derive(Debug)]
pub struct Pools {
    current: ArcSwap<Current>,
    /// How the accounts' clients log in, for connections that are opened in advance.
    profiles: Mutex<Profiles>,
    /// A session has begun to wait for a connection.
    wanted: Notify,
    /// For connections outside the limit: a `KILL QUERY` must not wait for the place of the statement that it stops.
    urgent: Semaphore,
}

/// The present configuration, with the pools of the servers that it names.
#[derive(Debug)]
struct Current {
    settings: PoolSettings,
    servers: Vec<Pooled>,
}

/// One server.
#[derive(Debug, Clone)]
struct Pooled {
    id: ServerId,
    target: ServerAddress,
    /// As configured; the server itself may take less.
    bounds: Bounds,
    connections: Arc<ServerPool>,
}

impl Current {
    /// Keeps the pools of the servers that were configured before.
    fn new(settings: PoolSettings, before: &[Pooled]) -> Self {
        let pooled = |server: &PooledServer| {
            let (id, bounds) = (server.id, settings.bounds(server));
            let known = before.iter().find(|pooled| pooled.id == id).map(|pooled| Arc::clone(&pooled.connections));
            let connections = known.unwrap_or_else(|| ServerPool::new(bounds, &settings.accounts));
            Pooled { id, target: server.address.clone(), bounds, connections }
        };
        let servers = settings.servers.iter().map(pooled).collect();
        Self { settings, servers }
    }

    fn server(&self, id: ServerId) -> Option<&Pooled> {
        self.servers.iter().find(|pooled| pooled.id == id)
    }

    fn terms(&self) -> Terms {
        let PoolSettings { connect_timeout: limit, public_key_retrieval, ref tls, compression, .. } = self.settings;
        Terms { limit, public_key_retrieval, tls: tls.clone(), compression }
    }
}

/// Most connections outside the limit at once, over all servers.
const URGENT: usize = 8;

/// Time between two attempts to connect to a server that is full.
const FULL_PAUSE: Duration = Duration::from_millis(50);

/// No worker has this number: connections that are opened in advance are opened on another runtime.
const KEEPER: usize = usize::MAX;

/// A connection between two sessions.
#[derive(Debug)]
struct Idle {
    server: ServerId,
    options: ConnectOptions,
    // Boxed, so that it is cheap to hand over.
    connection: Box<ServerConnection>,
    place: Place,
    /// The worker whose runtime has registered its socket. [`KEEPER`], if no session has used it yet.
    worker: usize,
    /// It can only be used after another login.
    must_log_in: bool,
}

impl Idle {
    /// What it takes to use it.
    fn distance(&self, wanted: &Wanted<'_>) -> Distance {
        if self.must_log_in || self.connection.logged_in_at < wanted.since {
            return Distance::Login;
        }
        self.connection.state.distance(wanted.state)
    }
}

/// What a session needs.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The account, and how it logs in.
    pub options: &'a ConnectOptions,
    /// Its settings.
    pub state: &'a SessionState,
    /// When it logged in. An earlier login of a connection may not reflect the account as it is now.
    pub since: Instant,
    /// The server's connections may be used again. A server with an `init_connect` must see each new session.
    pub keeps_idle: bool,
    /// The present epoch if the server is the primary. A connection from an earlier reign of the same server is closed and not used again.
    pub reign: Option<Epoch>,
    /// Another login on an idle connection is one into the session's schema, and fails where the schema cannot be had. Otherwise a command is to follow.
    pub enters_schema: bool,
}

impl Wanted<'_> {
    /// What another login asks for.
    fn login(&self) -> (&LoginDetails, &[u8]) {
        (self.state.login(), self.state.schema().filter(|_| self.enters_schema).unwrap_or_default())
    }
}

/// The pools as one worker sees them.
#[derive(Debug, Clone)]
pub struct WorkerPool {
    pools: Arc<Pools>,
    worker: usize,
}

impl Pools {
    /// Empty pools.
    pub fn new(settings: PoolSettings) -> Arc<Self> {
        let current = ArcSwap::from_pointee(Current::new(settings, &[]));
        let profiles = Mutex::default();
        Arc::new(Self { current, profiles, wanted: Notify::new(), urgent: Semaphore::new(URGENT) })
    }

    /// Replaces the settings. Connections to servers that are no longer configured are closed as soon as they are idle.
    pub fn reload(&self, settings: PoolSettings) {
        let before = self.current.load_full();
        let now = Arc::new(Current::new(settings, &before.servers));
        self.current.store(Arc::clone(&now));
        self.forget_profiles(&now.settings);
        for pooled in &before.servers {
            match now.server(pooled.id) {
                Some(Pooled { bounds, .. }) => pooled.connections.configure(*bounds, &now.settings.accounts),
                None => pooled.connections.close(),
            }
        }
    }

    /// The view of the task that opens connections in advance, on a runtime of its own.
    pub fn keeper(self: &Arc<Self>) -> WorkerPool {
        self.worker(KEEPER)
    }

    /// The view of one worker. Each worker needs a different number.
    pub fn worker(self: &Arc<Self>, worker: usize) -> WorkerPool {
        WorkerPool { pools: Arc::clone(self), worker }
    }

    /// The open connections to a server, in use and idle.
    pub fn open_connections(&self, server: ServerId) -> usize {
        self.of(server, ServerPool::taken).unwrap_or(0)
    }

    /// The statements that now wait for a connection to a server.
    pub fn waiting(&self, server: ServerId) -> usize {
        self.of(server, ServerPool::waiting).unwrap_or(0)
    }

    /// The servers for which statements wait, for which account's connections, and how many wait.
    pub fn waited_for(&self) -> Vec<WaitedFor> {
        let current = self.current.load();
        let of_server = |pooled: &Pooled| {
            let server = pooled.id;
            pooled.connections.demands().into_iter().map(move |Demand { user, count }| WaitedFor { server, user, count })
        };
        current.servers.iter().flat_map(of_server).collect()
    }

    /// Waits until a session begins to wait for a connection.
    pub async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// Notes how many connections a server takes in all. Some of them are for others: replicas, administrators, the monitor. Returns the new limit if it
    /// has changed and is lower than the configured one.
    pub fn server_takes(&self, server: ServerId, max_connections: usize) -> Option<usize> {
        let current = self.current.load();
        let Pooled { connections, bounds: Bounds { open: configured, .. }, .. } = current.server(server)?;
        let configured = *configured;
        let left_to_others = (max_connections / 10).max(5);
        let limit = configured.min(max_connections.saturating_sub(left_to_others).max(1));
        let is_news = limit != connections.limit();
        if is_news {
            connections.limit_to(limit);
        }
        (is_news && limit < configured).then_some(limit)
    }

    /// How many connections to a server are allowed now.
    pub fn limit(&self, server: ServerId) -> usize {
        self.of(server, ServerPool::limit).unwrap_or(0)
    }

    fn of<T>(&self, server: ServerId, look: impl FnOnce(&ServerPool) -> T) -> Option<T> {
        self.current.load().server(server).map(|pooled| look(&pooled.connections))
    }
}

impl WorkerPool {
    /// All workers' pools.
    pub fn pools(&self) -> &Arc<Pools> {
        &self.pools
    }

    /// An idle connection that can be used after [`ServerConnection::catch_up`], if there is one.
    pub fn take(&self, server: ServerId, wanted: &Wanted<'_>) -> Option<Lease> {
        let current = self.pools.current.load();
        let connections = &current.server(server)?.connections;
        while let Some(idle) = self.take_idle(connections, wanted, Distance::Commands) {
            if let Some(idle) = self.adopt(idle, wanted) {
                return Some(self.lease_of(idle, wanted));
            }
        }
        None
    }

    /// A connection to the server, which still has to be brought to the session's state: an idle one, a new one, or the first that becomes free.
    pub async fn lease(&self, server: ServerId, wanted: &Wanted<'_>) -> Result<Lease, ConnectError> {
        let Pooled { target, connections, .. } = &self.server(server)?;
        let place = loop {
            while let Some(idle) = self.take_idle(connections, wanted, Distance::Login) {
                if let Some(lease) = self.renew(idle, target, connections, wanted).await? {
                    return Ok(lease);
                }
            }
            let user = &wanted.options.account.user;
            if let Some(place) = connections.try_take(user) {
                break place;
            }
            if connections.make_room(user) {
                continue;
            }
            match self.wait(target, connections, wanted).await? {
                None => {}
                Some(Handed::Connection(idle)) if wanted.keeps_idle => {
                    if let Some(lease) = self.renew(idle, target, connections, wanted).await? {
                        return Ok(lease);
                    }
                }
                Some(handed) => break handed.into_place(),
            }
        };
        let connection = self.connect(target, connections, wanted).await?;
        if connection.is_reusable() && connections.is_kept_warm(&place) {
            self.pools.note_profile(wanted);
        }
        let options = wanted.options.clone();
        tracing::debug!(server = %target, user = %String::from_utf8_lossy(&options.account.user), "connected");
        let connection = Box::new(connection);
        let idle = Idle { server, options, connection, place, worker: self.worker, must_log_in: false };
        Ok(self.lease_of(idle, wanted))
    }

    fn lease_of(&self, mut held: Idle, wanted: &Wanted<'_>) -> Lease {
        if let Some(epoch) = wanted.reign {
            held.connection.serves_in(epoch);
        }
        Lease { held, pool: self.clone(), keeps_idle: wanted.keeps_idle }
    }

    /// Prepares an idle connection for this session. `None` if it is gone.
    async fn renew(
        &self,
        idle: Idle,
        target: &ServerAddress,
        connections: &ServerPool,
        wanted: &Wanted<'_>,
    ) -> Result<Option<Lease>, ConnectError> {
        let distance = idle.distance(wanted);
        let Some(idle) = self.adopt(idle, wanted) else { return Ok(None) };
        if distance != Distance::Login {
            return Ok(Some(self.lease_of(idle, wanted)));
        }
        let Idle { mut connection, place, must_log_in, .. } = idle;
        let terms = self.terms();
        // It was cleared if it must log in. Otherwise it has the default role of its login, which may have been taken away since.
        if !must_log_in && !matches!(connection.leave_role(terms.limit).await, Ok(true)) {
            return Ok(None);
        }
        match login::change_user(*connection, target, wanted.options, wanted.login(), &terms).await {
            Ok(connection) => {
                let idle = Idle { connection: Box::new(connection), place, must_log_in: false, ..idle };
                Ok(Some(self.lease_of(idle, wanted)))
            }
            Err(error @ ConnectError::Timeout { .. }) => Err(error),
            Err(ConnectError::Refused { error, address }) if is_about_the_schema(error.code) => {
                Err(ConnectError::Refused { error, address })
            }
            // The account's other idle connections would fail alike. A new login reports the reason.
            Err(error) => {
                tracing::debug!(server = %target, %error, "an idle connection could not be used again");
                connections.retain(|idle| idle.options.account != wanted.options.account);
                Ok(None)
            }
        }
    }

    /// Closes connections that have been idle for too long, and those that their server has closed. To be called now and then.
    pub fn sweep(&self) {
        let current = self.pools.current.load_full();
        let limit = current.settings.idle_timeout;
        for pooled in &current.servers {
            pooled.connections.sweep(self.worker, limit);
        }
    }

    /// Sends `KILL QUERY` through another connection of the same account, which does not count against the limit. The caller makes sure that the
    /// connection to be stopped is not given to another session meanwhile.
    pub async fn kill_query(
        &self,
        server: ServerId,
        options: &ConnectOptions,
        thread_id: u32,
    ) -> Result<Result<(), ErrOwned>, ConnectError> {
        let Pooled { target, .. } = &self.server(server)?;
        let waited = self.lease_timeout();
        let turn = timeout(waited, self.pools.urgent.acquire()).await;
        let Ok(Ok(_turn)) = turn else {
            let shortage = Shortage::Server { limit: URGENT, waited };
            return Err(ConnectError::Exhausted { address: target.to_string(), shortage });
        };
        let terms = self.terms();
        // utf8mb4_general_ci, known to every server.
        let details = LoginDetails { collation: 45, ..LoginDetails::default() };
        let mut connection = login::connect(target, options, &details, &terms).await?;
        let broken = |error: LinkError| ConnectError::ServerMisbehaved { address: target.to_string(), what: error.to_string() };
        connection.run_query(&format!("KILL QUERY {thread_id}"), terms.limit).await.map_err(broken)
    }

    fn server(&self, server: ServerId) -> Result<Pooled, ConnectError> {
        self.pools.current.load().server(server).cloned().ok_or(ConnectError::NotConfigured)
    }

    fn terms(&self) -> Terms {
        self.pools.current.load().terms()
    }

    fn lease_timeout(&self) -> Duration {
        self.pools.current.load().settings.lease_timeout
    }

    /// Connects, in the place that was taken. If the server is full with other connections, idle ones are closed, and it tries again after a pause.
    async fn connect(
        &self,
        target: &ServerAddress,
        connections: &ServerPool,
        wanted: &Wanted<'_>,
    ) -> Result<ServerConnection, ConnectError> {
        let began = Instant::now();
        loop {
            let connected = login::connect(target, wanted.options, wanted.state.login(), &self.terms()).await;
            let is_full = matches!(&connected, Err(ConnectError::Refused { error, .. }) if is_about_room(error.code));
            if !is_full || began.elapsed() >= self.lease_timeout() {
                return connected;
            }
            if !connections.evict() {
                let _waiting = connections.wait_visibly(&self.pools.wanted);
                tokio::time::sleep(FULL_PAUSE).await;
            }
        }
    }

    fn take_idle(&self, connections: &ServerPool, wanted: &Wanted<'_>, at_most: Distance) -> Option<Idle> {
        if wanted.keeps_idle { connections.take_idle(self.worker, wanted, at_most) } else { None }
    }

    /// Moves the connection to this worker. `None` if it is closed, or leads to a primary of another epoch.
    fn adopt(&self, mut idle: Idle, wanted: &Wanted<'_>) -> Option<Idle> {
        let is_of_another_epoch = wanted.reign.is_some_and(|epoch| idle.connection.is_of_another_epoch(epoch));
        let is_by_other_terms = {
            let (login, settings) = (&idle.connection.login, &self.pools.current.load().settings);
            !login.tls.is_same(&settings.tls) || login.compression != settings.compression
        };
        if is_of_another_epoch || is_by_other_terms || !idle.connection.link.is_quiet() {
            return None;
        }
        if idle.worker != self.worker {
            idle.connection.link.move_here().ok()?;
            idle.worker = self.worker;
        }
        Some(idle)
    }

    /// Waits for its turn. `None` if something became free before it joined the queue.
    async fn wait(
        &self,
        target: &ServerAddress,
        connections: &Arc<ServerPool>,
        wanted: &Wanted<'_>,
    ) -> Result<Option<Handed>, ConnectError> {
        let waited = self.lease_timeout();
        let exhausted = |shortage| ConnectError::Exhausted { address: target.to_string(), shortage };
        let mut turn = match connections.wait(wanted.options, self.worker) {
            Queued::Turn(turn) => turn,
            Queued::Again => return Ok(None),
            Queued::Full(limit) => return Err(exhausted(Shortage::QueueFull { limit })),
        };
        let _waiting = connections.wait_visibly(&self.pools.wanted);
        match timeout(waited, turn.comes()).await {
            Ok(Some(Ok(handed))) => Ok(Some(handed)),
            Ok(Some(Err(Displaced { limit }))) => Err(exhausted(Shortage::QueueFull { limit })),
            Ok(None) | Err(_) => Err(exhausted(shortage(connections, wanted.options, waited))),
        }
    }
}

/// What a session has waited for in vain.
fn shortage(connections: &ServerPool, options: &ConnectOptions, waited: Duration) -> Shortage {
    let user = &options.account.user;
    match connections.bound_reached(user) {
        Some(limit) => Shortage::Account { user: String::from_utf8_lossy(user).into_owned(), limit, waited },
        None => Shortage::Server { limit: connections.limit(), waited },
    }
}

/// Whether a server has refused the schema of a login, and not the account.
fn is_about_the_schema(code: u16) -> bool {
    matches!(code, ER_BAD_DB_ERROR | ER_DBACCESS_DENIED_ERROR)
}

/// Whether a server's refusal may pass when another connection ends.
fn is_about_room(code: u16) -> bool {
    matches!(code, ER_CON_COUNT_ERROR | ER_TOO_MANY_USER_CONNECTIONS)
}
