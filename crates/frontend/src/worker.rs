//! One worker: the sessions of one thread, their share of the pools, and their balancer.

use std::hash::{BuildHasher as _, RandomState};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;
use backend::{Account, WorkerPool};
use classifier::{Charset, Classifier, Dialect, SqlMode, Statement};
use net::{Link, LinkError};
use router::{Balancer, Decision, Ejected, Policy, SessionView};
use session::Beginning;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use topology::{Engine, Epoch, Published, ServerId, SessionDefaults, Snapshot};

use crate::acceptor::Client;
use crate::admission::{Admission, admit};
use crate::firewall::Crowd;
use crate::held::HeldStatements;
use crate::log_limit::LogLimit;
use crate::login::{
    AcceptedLogins, FailedLogins, LoginDelays, LoginError, Logins, RememberedLogins, Subject, change_user, log_in,
};
use crate::moment::Moment;
use crate::peer::Peer;
use crate::registry::Registry;
use crate::rsa::LoginKey;
use crate::session::ClientSession;
use crate::settings::Settings;
use crate::spans::SpanQueue;
use crate::statistics::Statistics;
use crate::version::greeting_version;

/// What all workers share.
pub(crate) struct Shared {
    pub(crate) settings: ArcSwap<Settings>,
    pub(crate) classifier: Arc<Classifier>,
    pub(crate) servers: Published,
    /// The generations of their snapshots, each announced after the snapshot was published.
    pub(crate) generations: watch::Receiver<u64>,
    /// Sampled statements on their way to their export.
    pub(crate) spans: Arc<SpanQueue>,
    /// Changes after a worker has ejected a server and counted it.
    pub(crate) ejections_begun: watch::Sender<()>,
    pub(crate) held: HeldStatements,
    pub(crate) login_key: LoginKey,
    /// Asks every client for its full password, as a server does for an account that is not in its cache.
    pub(crate) force_full_authentication: bool,
    /// Cancelled when no more clients are accepted.
    pub(crate) closed: CancellationToken,
    /// Cancelled when the process has to end: sessions stop at their next pause.
    pub(crate) drain: CancellationToken,
    /// Cancelled when the time for the drain is over.
    pub(crate) stop: CancellationToken,
    pub(crate) sessions: Arc<Registry>,
    pub(crate) failed_logins: FailedLogins,
    pub(crate) login_delays: LoginDelays,
    pub(crate) logins: Logins,
    /// Clients that are not logged in yet.
    pub(crate) unproven: Crowd<()>,
    pub(crate) of_address: Crowd<Subject>,
    /// Sessions of accounts that may have only so many.
    pub(crate) of_user: Crowd<Box<[u8]>>,
    pub(crate) refused_log: Mutex<LogLimit>,
    pub(crate) remembered: RememberedLogins,
    pub(crate) accepted: AcceptedLogins,
    /// A turn for each client about whose password a server is asked at once.
    pub(crate) claims: Semaphore,
    /// Clients over all workers.
    pub(crate) clients: AtomicUsize,
}

impl Shared {
    /// The latest settings, to keep.
    pub(crate) fn settings(&self) -> Arc<Settings> {
        self.settings.load_full()
    }

    /// The last write, besides its own, that a session of that user must see.
    pub(crate) fn moment(&self, settings: &Settings, user: &[u8]) -> Option<Arc<Moment>> {
        let of_its_own = || self.remembered.moment(user).unwrap_or_else(|| Arc::new(Moment::at(Instant::now())));
        settings.accounts.moment(user, || Some(of_its_own()))
    }

    /// A server refuses the account, or its password is another one now.
    pub(crate) fn forget_login(&self, account: &Account) {
        self.remembered.forget(account);
        self.accepted.forget(account);
    }

    /// Clients over all workers.
    pub(crate) fn client_count(&self) -> usize {
        self.clients.load(Ordering::Relaxed)
    }

    /// Of refused connections.
    pub(crate) fn refused_log(&self) -> MutexGuard<'_, LogLimit> {
        self.refused_log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server version in the greeting.
    pub(crate) fn server_version(&self) -> Vec<u8> {
        match &self.settings.load().server_version {
            Some(configured) => configured.as_bytes().to_vec(),
            None => greeting_version(&self.servers.load()),
        }
    }

    /// The initial settings of a session whose login has this collation.
    pub(crate) fn beginning(&self, collation: u8) -> Beginning {
        let defaults = self.defaults();
        // MySQL's clients ask for utf8mb4_0900_ai_ci (255), whatever the server is; MariaDB, which has none, takes its own default.
        let is_default = collation == 0 || (collation == u8::MAX && defaults.dialect == Dialect::MariaDb);
        let collation = if is_default { defaults.collation } else { u16::from(collation) };
        let Defaults { dialect, sql_mode, autocommit, .. } = defaults;
        Beginning { dialect, sql_mode, charset: Charset::of_collation_id(collation), autocommit }
    }

    /// The settings after `COM_RESET_CONNECTION`: MySQL returns to its own default character set, MariaDB to that of the login.
    pub(crate) fn beginning_after_reset(&self, collation: u8) -> Beginning {
        match self.defaults().dialect {
            Dialect::MySql => self.beginning(0),
            Dialect::MariaDb => self.beginning(collation),
        }
    }

    /// What the servers give to a new session: the primary's defaults, or those of any server that was seen.
    pub(crate) fn defaults(&self) -> Defaults {
        let snapshot = self.servers.load();
        let mut servers = snapshot.primary_server().into_iter().chain(&snapshot.servers);
        let Some(server) = servers.find(|server| server.engine.is_some()) else { return Defaults::default() };
        let dialect = match server.engine {
            Some(Engine::MariaDb) => Dialect::MariaDb,
            _ => Dialect::MySql,
        };
        let sql_mode = server.sql_mode.as_ref().map_or(SqlMode::UNKNOWN, |mode| SqlMode::parse(mode.as_bytes()));
        let unseen = Defaults { dialect, sql_mode, ..Defaults::default() };
        server.defaults.as_ref().map_or(unseen, |defaults| Defaults {
            collation: defaults.collation,
            autocommit: defaults.autocommit,
            ..unseen
        })
    }

    /// The present epoch, if this server is the primary.
    pub(crate) fn reign(&self, server: ServerId) -> Option<Epoch> {
        let snapshot = self.servers.load();
        (snapshot.primary == Some(server)).then_some(snapshot.epoch)
    }

    /// Whether a connection to this server may serve one session after another. A server with an `init_connect` must see each new session.
    pub(crate) fn keeps_idle(&self, server: ServerId) -> bool {
        !self.has_default(server, |defaults| defaults.has_init_connect)
    }

    /// Whether this server's logins say if a password has expired. Otherwise the next command does.
    pub(crate) fn refuses_expired_passwords(&self, server: ServerId) -> bool {
        self.has_default(server, |defaults| defaults.refuses_expired_passwords)
    }

    /// False for a server that was not seen.
    fn has_default(&self, server: ServerId, holds: impl FnOnce(&SessionDefaults) -> bool) -> bool {
        let snapshot = self.servers.load();
        snapshot.server(server).and_then(|server| server.defaults.as_deref()).is_some_and(holds)
    }

    /// Waits until the servers look like this; for ever, if nobody looks at them any more.
    pub(crate) async fn until(&self, holds: impl Fn(&Snapshot) -> bool) {
        let mut generations = self.generations.clone();
        loop {
            generations.borrow_and_update();
            if holds(&self.servers.load()) {
                return;
            }
            if generations.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// Counts a client that was not let in, and logs why.
    pub(crate) fn note_failed_login(&self, peer: Peer, error: &LoginError) {
        self.logins.note_failure(error.label());
        match error {
            // Port scanners and health checks connect and leave without sending anything.
            LoginError::Link(error) if !matches!(error, LinkError::Tls(_)) => {
                tracing::debug!(%peer, %error, "a client left during its login");
            }
            // Each of its failed logins was logged.
            LoginError::Blocked => tracing::debug!(%peer, %error, "a login failed"),
            error => tracing::info!(%peer, %error, "a login failed"),
        }
    }
}

/// The primary at the time of a statement's decision. A statement that may commit something is sent only while that still holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reign {
    pub(crate) primary: Option<ServerId>,
    pub(crate) epoch: Epoch,
    /// The primary is about to hand over.
    pub(crate) is_closing: bool,
}

impl Reign {
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        Self { primary: snapshot.primary, epoch: snapshot.epoch, is_closing: snapshot.is_closing }
    }
}

/// What a new session gets from the servers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Defaults {
    pub(crate) dialect: Dialect,
    pub(crate) sql_mode: SqlMode,
    /// The number of the default collation.
    pub(crate) collation: u16,
    pub(crate) autocommit: bool,
}

/// While no server has been seen.
impl Default for Defaults {
    fn default() -> Self {
        // utf8mb4_general_ci, known to every server and client.
        Self { dialect: Dialect::MySql, sql_mode: SqlMode::UNKNOWN, collation: 45, autocommit: true }
    }
}

/// A client's socket, on its way to a worker's runtime.
pub(crate) enum Accepted {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

/// One worker.
pub(crate) struct Worker {
    pub(crate) shared: Arc<Shared>,
    pub(crate) pool: WorkerPool,
    balancer: Mutex<Balancer>,
    statistics: Mutex<Statistics>,
    /// Sessions now, for the acceptor's choice.
    sessions: AtomicUsize,
    tasks: TaskTracker,
}

impl Worker {
    pub(crate) fn new(shared: Arc<Shared>, pool: WorkerPool) -> Arc<Self> {
        // Workers that do not know of each other should not make the same choices.
        let balancer = Mutex::new(Balancer::seeded(RandomState::new().hash_one(0)));
        Arc::new(Self {
            shared,
            pool,
            balancer,
            statistics: Mutex::default(),
            sessions: AtomicUsize::new(0),
            tasks: TaskTracker::new(),
        })
    }

    /// How many sessions it has.
    pub(crate) fn load(&self) -> usize {
        self.sessions.load(Ordering::Relaxed)
    }

    /// Asks the router, and returns the primary of that moment as well.
    pub(crate) fn decide(&self, policy: &Policy, statement: &Statement, session: &SessionView<'_>) -> (Decision, Reign) {
        let snapshot = self.shared.servers.load();
        let mut balancer = self.balancer();
        let decision = router::decide(statement, session, &snapshot, policy, Instant::now(), &mut balancer);
        if let Some(Ejected { server, why, lasts }) = balancer.take_news() {
            // Nobody who counts waits for the balancer.
            self.statistics().totals.note_ejection(server, why.label());
            let server = snapshot.server(server).map_or("?", |server| &server.name);
            tracing::info!(server, %why, ?lasts, "a worker gives a replica no reads for a while (ejection)");
            self.shared.ejections_begun.send_replace(());
        }
        (decision, Reign::of(&snapshot))
    }

    /// What [`Self::decide`] would return for these servers, without taking a turn.
    pub(crate) fn preview(
        &self,
        policy: &Policy,
        statement: &Statement,
        session: &SessionView<'_>,
        snapshot: &Snapshot,
    ) -> Decision {
        let mut balancer = self.balancer().clone();
        router::decide(statement, session, snapshot, policy, Instant::now(), &mut balancer)
    }

    pub(crate) fn balancer(&self) -> MutexGuard<'_, Balancer> {
        self.balancer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What its statements were.
    pub(crate) fn statistics(&self) -> MutexGuard<'_, Statistics> {
        self.statistics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a replica did not catch up in time.
    pub(crate) fn note_late(&self, server: ServerId) {
        self.balancer().note_late(server, Instant::now());
    }

    /// Counts a client that is about to be adopted.
    pub(crate) fn seat(&self) {
        self.sessions.fetch_add(1, Ordering::Relaxed);
        self.shared.clients.fetch_add(1, Ordering::Relaxed);
    }

    /// Serves a seated client on the current runtime until it leaves.
    pub(crate) fn adopt(self: &Arc<Self>, (stream, peer): Client) {
        let worker = Arc::clone(self);
        self.tasks.spawn(async move {
            let _seat = Seat(&worker);
            let link = match stream {
                Accepted::Tcp(stream) => TcpStream::from_std(stream).map(Link::accepted),
                Accepted::Unix(stream) => UnixStream::from_std(stream).map(Link::unix),
            };
            match link {
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

    async fn serve(self: &Arc<Self>, link: Link, peer: Peer) {
        let shared = &self.shared;
        let accepted = Instant::now();
        let admission = tokio::select! {
            admission = Box::pin(admit(link, peer, shared)) => admission,
            () = shared.drain.cancelled() => return,
        };
        let Some(Admission { link, peer, of_address: _of_address, unproven }) = admission else { return };
        let mut unproven = Some(unproven);
        // Boxed, so that the memory of a login is freed afterwards: the session's task keeps the space of its largest step.
        let mut login: Pin<Box<dyn Future<Output = _> + Send + '_>> = Box::pin(log_in(link, peer, accepted, self));
        loop {
            let client = tokio::select! {
                client = login => client,
                () = shared.drain.cancelled() => return,
            };
            let session = match client {
                Ok(client) => {
                    drop(unproven.take());
                    ClientSession::new(client, Arc::clone(self))
                }
                Err(error) => return shared.note_failed_login(peer, &error),
            };
            let Some(change) = Box::pin(session.run()).await else { return };
            login = Box::pin(change_user(change, self));
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
