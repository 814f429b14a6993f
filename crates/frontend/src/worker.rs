//! One worker: the sessions of one thread, their share of the pools, and their balancer.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use backend::{Link, WorkerPool};
use classifier::{Classifier, Dialect, SqlMode, Statement};
use router::{Balancer, Decision, Policy, Rule, SessionView};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use topology::{Engine, Published, Snapshot};

use crate::accounts::Accounts;
use crate::limits::Limits;
use crate::login::{LoginError, log_in};
use crate::reply::Refusal;
use crate::rsa::LoginKey;
use crate::session::Session;

/// What all workers share.
pub(crate) struct Shared {
    pub(crate) limits: Limits,
    pub(crate) policy: Policy,
    /// `None` where there are none, as nearly everywhere.
    pub(crate) rules: Option<Arc<[Rule]>>,
    pub(crate) accounts: Accounts,
    pub(crate) classifier: Arc<Classifier>,
    pub(crate) servers: Published,
    pub(crate) login_key: LoginKey,
    /// Ask every client for its password in full, as a server does that has not seen it before.
    pub(crate) force_full_authentication: bool,
    /// Cancelled when the process shall end: sessions stop at their next pause.
    pub(crate) drain: CancellationToken,
    /// Cancelled when the time for that is over.
    pub(crate) stop: CancellationToken,
    pub(crate) next_connection_id: AtomicU32,
    /// Clients over all workers.
    pub(crate) clients: AtomicUsize,
}

impl Shared {
    /// What clients are told that they talk to: the primary's own version, since drivers choose their dialect by it.
    pub(crate) fn server_version(&self) -> Vec<u8> {
        let snapshot = self.servers.load();
        let known =
            snapshot.primary_server().into_iter().chain(&snapshot.servers).find_map(|server| server.version_text.as_ref());
        known.map_or_else(|| b"8.4.0".to_vec(), |text| text.as_bytes().to_vec())
    }

    /// The grammar and the `sql_mode` with which a new session begins.
    pub(crate) fn initial_grammar(&self) -> (Dialect, SqlMode) {
        let snapshot = self.servers.load();
        let mut servers = snapshot.primary_server().into_iter().chain(&snapshot.servers);
        let Some(server) = servers.find(|server| server.engine.is_some()) else { return (Dialect::MySql, SqlMode::UNKNOWN) };
        let dialect = match server.engine {
            Some(Engine::MariaDb) => Dialect::MariaDb,
            _ => Dialect::MySql,
        };
        (dialect, server.sql_mode.as_ref().map_or(SqlMode::UNKNOWN, |mode| SqlMode::parse(mode.as_bytes())))
    }
}

/// One worker.
pub(crate) struct Worker {
    pub(crate) shared: Arc<Shared>,
    pub(crate) pool: WorkerPool,
    balancer: Mutex<Balancer>,
    /// Sessions now, for the acceptor's choice.
    sessions: AtomicUsize,
    tasks: TaskTracker,
}

impl Worker {
    pub(crate) fn new(shared: Arc<Shared>, pool: WorkerPool) -> Arc<Self> {
        Arc::new(Self { shared, pool, balancer: Mutex::default(), sessions: AtomicUsize::new(0), tasks: TaskTracker::new() })
    }

    /// How many sessions it has.
    pub(crate) fn load(&self) -> usize {
        self.sessions.load(Ordering::Relaxed)
    }

    /// Asks the router.
    pub(crate) fn decide(&self, statement: &Statement, session: &SessionView<'_>) -> Decision {
        let snapshot = self.shared.servers.load();
        let mut balancer = self.balancer.lock().unwrap_or_else(PoisonError::into_inner);
        router::decide(statement, session, &snapshot, &self.shared.policy, Instant::now(), &mut balancer)
    }

    /// What [`Self::decide`] would say of these servers, without a turn being taken.
    pub(crate) fn foresee(&self, statement: &Statement, session: &SessionView<'_>, snapshot: &Snapshot) -> Decision {
        let mut balancer = self.balancer.lock().unwrap_or_else(PoisonError::into_inner).clone();
        router::decide(statement, session, snapshot, &self.shared.policy, Instant::now(), &mut balancer)
    }

    /// Counts a client that is about to be adopted.
    pub(crate) fn seat(&self) {
        self.sessions.fetch_add(1, Ordering::Relaxed);
        self.shared.clients.fetch_add(1, Ordering::Relaxed);
    }

    /// Serves a seated client on the current runtime until it leaves.
    pub(crate) fn adopt(self: &Arc<Self>, stream: std::net::TcpStream, peer: SocketAddr) {
        let worker = Arc::clone(self);
        self.tasks.spawn(async move {
            let _seat = Seat(&worker);
            match TcpStream::from_std(stream).and_then(Link::new) {
                Ok(link) => worker.serve(link, peer).await,
                Err(error) => tracing::warn!(%peer, %error, "cannot use an accepted connection"),
            }
        });
    }

    /// Waits until all its sessions have ended.
    pub(crate) async fn finish(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    async fn serve(self: &Arc<Self>, mut link: Link, peer: SocketAddr) {
        let shared = &self.shared;
        let limit = shared.limits.client_connections;
        if shared.clients.load(Ordering::Relaxed) > limit {
            let packet = Refusal::too_many_connections(limit).packet(0);
            let _ = link.send(&packet).await;
            link.close().await;
            tracing::warn!(%peer, limit, "refused a client: limits.client_connections is reached");
            return;
        }
        let connection_id = shared.next_connection_id.fetch_add(1, Ordering::Relaxed);
        let client = tokio::select! {
            client = log_in(link, peer, connection_id, shared) => client,
            () = shared.drain.cancelled() => return,
        };
        match client {
            Ok(client) => Box::pin(Session::new(client, Arc::clone(self)).run()).await,
            // Port scanners and health checks connect and leave without a word.
            Err(LoginError::Link(error)) => tracing::debug!(%peer, %error, "a client left during its login"),
            Err(error) => tracing::info!(%peer, %error, "a login failed"),
        }
    }
}

/// A client's place in the counts, freed however its task ends.
struct Seat<'a>(&'a Worker);

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.0.sessions.fetch_sub(1, Ordering::Relaxed);
        self.0.shared.clients.fetch_sub(1, Ordering::Relaxed);
    }
}
