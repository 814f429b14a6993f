//! Server connections, and the sessions that use them in turn.
//!
//! A connection serves one session at a time, and any session of its account after that. It knows what it has been set to, and is brought to the
//! next session's state with whatever that lacks. It is logged in to once more (`COM_CHANGE_USER`) where that does not do: if it has been set to
//! something that the next session has not, if its last session has left what is not known, and if the next session is younger than its login: then
//! the account may have been changed or dropped in between.
//!
//! The number of connections to a server is limited over all workers: by the configuration, and by what the server itself lets in. Whoever
//! finds the limit reached takes the place of an idle connection of another account, or waits for its turn; idle sessions see that
//! somebody waits, and give theirs back. An account may have a bound of its own, and then takes turns with itself.

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
use wire::error_code::{ER_CON_COUNT_ERROR, ER_TOO_MANY_USER_CONNECTIONS};

pub use self::lease::Lease;
use self::server::{Bounds, Handed, Place, Queued, ServerPool};
use self::shares::{Demand, Displaced};
use self::warm::Profiles;
pub use self::warm::WarmUp;
use crate::connection::ServerConnection;
use crate::login::{self, ConnectOptions, ServerAddress, Terms};
use crate::tls::ServerTls;
use crate::{Account, ConnectError, Shortage};

/// The servers, and the limits and times of their pools.
#[derive(Debug, Clone)]
pub struct PoolSettings {
    /// Which there are. A number always means the same server.
    pub servers: Vec<(ServerId, ServerAddress)>,
    /// Connections to one server at most, in use and idle.
    pub server_connections: usize,
    /// Connections to one server at most that nobody uses. Beyond that the least recently used is closed.
    pub idle_server_connections: usize,
    /// Statements that wait for a connection to one server at most.
    pub waiting: usize,
    /// What is said of single accounts; all others have no bound of their own, and nothing is kept ready for them.
    pub accounts: Vec<PooledAccount>,
    /// For connecting and logging in.
    pub connect_timeout: Duration,
    /// For waiting until a connection becomes free.
    pub lease_timeout: Duration,
    /// An idle connection is closed after this time.
    pub idle_timeout: Duration,
    /// Without TLS, servers may say which key a password is to be encrypted with.
    pub public_key_retrieval: bool,
    /// Whether connections are encrypted. Idle ones that were made by other terms are not used again.
    pub tls: ServerTls,
}

impl PoolSettings {
    fn bounds(&self) -> Bounds {
        Bounds { open: self.server_connections, idle: self.idle_server_connections, waiting: self.waiting }
    }
}

/// What an account may have of each server, and what is kept ready for it.
#[derive(Debug, Clone)]
pub struct PooledAccount {
    /// The account. Its name counts.
    pub account: Arc<Account>,
    /// Connections to one server at most, in use and idle.
    pub server_connections: Option<usize>,
    /// Connections to each server that are opened before anybody needs them, and stay when they are idle.
    pub warm_server_connections: usize,
}

/// Somebody waits for a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitedFor {
    /// The server.
    pub server: ServerId,
    /// Whose connection it has to be. `None`: anybody's.
    pub user: Option<Box<[u8]>>,
    /// How many wait.
    pub count: usize,
}

/// All connections to all servers.
#[derive(Debug)]
pub struct Pools {
    current: ArcSwap<Current>,
    /// How the accounts' clients log in, for connections that are opened without them.
    profiles: Mutex<Profiles>,
    /// Somebody has begun to wait for a connection.
    wanted: Notify,
    /// For connections beside the limit: whoever stops a statement must not wait for the place that this statement takes.
    urgent: Semaphore,
}

/// What the configuration says now, with the pools of the servers that it names.
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
    connections: Arc<ServerPool>,
}

impl Current {
    /// The pools of servers that were there before stay.
    fn new(settings: PoolSettings, before: &[Pooled]) -> Self {
        let pooled = |(id, target): &(ServerId, ServerAddress)| {
            let known = before.iter().find(|pooled| pooled.id == *id).map(|pooled| Arc::clone(&pooled.connections));
            let connections = known.unwrap_or_else(|| ServerPool::new(settings.bounds(), &settings.accounts));
            Pooled { id: *id, target: target.clone(), connections }
        };
        let servers = settings.servers.iter().map(pooled).collect();
        Self { settings, servers }
    }

    fn server(&self, id: ServerId) -> Option<&Pooled> {
        self.servers.iter().find(|pooled| pooled.id == id)
    }

    fn terms(&self) -> Terms {
        let PoolSettings { connect_timeout: limit, public_key_retrieval, ref tls, .. } = self.settings;
        Terms { limit, public_key_retrieval, tls: tls.clone() }
    }
}

/// Connections beside the limit at once, over all servers.
const URGENT: usize = 8;

/// Between two tries to connect to a server that is full.
const FULL_PAUSE: Duration = Duration::from_millis(50);

/// No worker has this number: connections that are opened before anybody needs them are opened on another runtime.
const KEEPER: usize = usize::MAX;

/// A connection between two sessions.
#[derive(Debug)]
struct Idle {
    server: ServerId,
    options: ConnectOptions,
    // Boxed, so that it is cheap to hand over.
    connection: Box<ServerConnection>,
    place: Place,
    /// Whose runtime knows its socket. [`KEEPER`]'s, if no session has used it yet.
    worker: usize,
    /// It is of no use before somebody has logged in to it once more.
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
    /// As whom, and how, it logs in.
    pub options: &'a ConnectOptions,
    /// What it has set.
    pub state: &'a SessionState,
    /// Its own login. A connection that was logged in to before knows less of the account than a server would tell.
    pub since: Instant,
    /// The server's connections may be used again: one with an `init_connect` must see each new session.
    pub keeps_idle: bool,
    /// The present epoch if the server is the primary: a connection from an earlier reign of the same server is closed in place of being used again.
    pub reign: Option<Epoch>,
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

    /// Other settings from now on. Connections to servers that are gone are closed as soon as nobody uses them.
    pub fn reload(&self, settings: PoolSettings) {
        let before = self.current.load_full();
        let now = Arc::new(Current::new(settings, &before.servers));
        self.current.store(Arc::clone(&now));
        self.forget_profiles(&now.settings);
        for pooled in &before.servers {
            match now.server(pooled.id) {
                Some(_) => pooled.connections.configure(now.settings.bounds(), &now.settings.accounts),
                None => pooled.connections.close(),
            }
        }
    }

    /// The view of whoever opens connections before anybody needs them, on a runtime of its own.
    pub fn keeper(self: &Arc<Self>) -> WorkerPool {
        self.worker(KEEPER)
    }

    /// The view of one worker: any number, as long as each has its own.
    pub fn worker(self: &Arc<Self>, worker: usize) -> WorkerPool {
        WorkerPool { pools: Arc::clone(self), worker }
    }

    /// Connections to a server that are open now, in use or idle.
    pub fn open_connections(&self, server: ServerId) -> usize {
        self.of(server, ServerPool::taken).unwrap_or(0)
    }

    /// Statements that wait for a connection to a server now.
    pub fn waiting(&self, server: ServerId) -> usize {
        self.of(server, ServerPool::waiting).unwrap_or(0)
    }

    /// The servers that somebody waits for, for whose connections, and how many do.
    pub fn waited_for(&self) -> Vec<WaitedFor> {
        let current = self.current.load();
        let of_server = |pooled: &Pooled| {
            let server = pooled.id;
            pooled.connections.demands().into_iter().map(move |Demand { user, count }| WaitedFor { server, user, count })
        };
        current.servers.iter().flat_map(of_server).collect()
    }

    /// Waits until somebody begins to wait for a connection.
    pub async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// A server says how many connections it takes in all. Some of them are for others: replicas, administrators, the monitor. The new limit, if
    /// it is another one, and lower than the configuration's.
    pub fn server_takes(&self, server: ServerId, max_connections: usize) -> Option<usize> {
        let current = self.current.load();
        let connections = &current.server(server)?.connections;
        let configured = current.settings.server_connections;
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

    /// A connection that can be used as it is, but for what [`ServerConnection::catch_up`] sends, if one is idle.
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

    /// A connection to the server, which still has to be brought to the session's state: one that is idle, or a new one; or what becomes free first.
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

    /// Makes an idle connection one for this session. `None` if it is gone.
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
        let Idle { connection, place, .. } = idle;
        match login::change_user(*connection, target, wanted.options, wanted.state.login(), &self.terms()).await {
            Ok(connection) => {
                let idle = Idle { connection: Box::new(connection), place, must_log_in: false, ..idle };
                Ok(Some(self.lease_of(idle, wanted)))
            }
            Err(error @ ConnectError::Timeout { .. }) => Err(error),
            // The others of this account would say the same; a new login tells what there is to tell.
            Err(error) => {
                tracing::debug!(server = %target, %error, "an idle connection could not be used again");
                connections.retain(|idle| idle.options.account != wanted.options.account);
                Ok(None)
            }
        }
    }

    /// Closes what has been idle for too long or was closed by its server. To be called now and then.
    pub fn sweep(&self) {
        let current = self.pools.current.load_full();
        let limit = current.settings.idle_timeout;
        for pooled in &current.servers {
            pooled.connections.sweep(self.worker, limit);
        }
    }

    /// `KILL QUERY`, through another connection of the same account, which waits for nobody's place. The caller sees to it that the
    /// connection to be stopped is not given to anybody else meanwhile.
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
        let gone = || ConnectError::ServerMisbehaved { address: String::new(), what: format!("there is no server {}", server.0) };
        self.pools.current.load().server(server).cloned().ok_or_else(gone)
    }

    fn terms(&self) -> Terms {
        self.pools.current.load().terms()
    }

    fn lease_timeout(&self) -> Duration {
        self.pools.current.load().settings.lease_timeout
    }

    /// Connects, in the place that was taken. A server that is full for others' connections gets the idle ones back, and some time.
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

    /// Makes the connection one of this worker. `None` if it is none any more, or leads to a primary of another epoch.
    fn adopt(&self, mut idle: Idle, wanted: &Wanted<'_>) -> Option<Idle> {
        let is_of_another_epoch = wanted.reign.is_some_and(|epoch| idle.connection.is_of_another_epoch(epoch));
        let is_by_other_terms = !idle.connection.login.tls.is_same(&self.pools.current.load().settings.tls);
        if is_of_another_epoch || is_by_other_terms || !idle.connection.link.is_quiet() {
            return None;
        }
        if idle.worker != self.worker {
            idle.connection.link.move_here().ok()?;
            idle.worker = self.worker;
        }
        Some(idle)
    }

    /// Waits for its turn. `None` if something has become free before that.
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

/// What somebody has waited for in vain.
fn shortage(connections: &ServerPool, options: &ConnectOptions, waited: Duration) -> Shortage {
    let user = &options.account.user;
    match connections.bound_reached(user) {
        Some(limit) => Shortage::Account { user: String::from_utf8_lossy(user).into_owned(), limit, waited },
        None => Shortage::Server { limit: connections.limit(), waited },
    }
}

/// A server's refusals that another connection's end may change.
fn is_about_room(code: u16) -> bool {
    matches!(code, ER_CON_COUNT_ERROR | ER_TOO_MANY_USER_CONNECTIONS)
}
