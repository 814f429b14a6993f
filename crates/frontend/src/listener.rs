//! The frontend from its start to its end: the sockets that listen, the workers' threads, and the drain.
//!
//! Each worker is a thread with a runtime of its own, so a session and its server connections never change threads. The [`acceptor`](crate::acceptor)
//! runs on the first worker's.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use backend::{PoolSettings, Pools};
use classifier::Classifier;
use net::{ListenerHandle, SocketFile, TcpAcceptor};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use topology::Published;

use crate::acceptor::{Acceptor, Client, Workers};
use crate::firewall::Crowd;
use crate::held::HeldStatements;
use crate::keeper;
use crate::login::{AcceptedLogins, FailedLogins, LoginDelays, Logins, RememberedLogins};
use crate::overview::Overview;
use crate::registry::Registry;
use crate::rsa::LoginKey;
use crate::runtime::{Runtime, WorkerRuntime};
use crate::settings::Settings;
use crate::spans::SpanQueue;
use crate::worker::{Shared, Worker};

/// Connections that the system completes before they are accepted.
const BACKLOG: i32 = 1024;

/// Clients that have proved nothing yet take no more server connections than this, while a server is asked whether their passwords are right. The others
/// wait for their turn, as part of their login.
const CLAIMS: usize = 4;

/// Between two looks at the idle server connections.
const SWEEP: Duration = Duration::from_secs(1);

/// Where a Unix socket is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketPath {
    /// Its file.
    pub path: PathBuf,
    /// The permissions of the file. Who may write may connect.
    pub mode: u32,
}

/// Sockets that listen already, as another process has made them.
#[derive(Debug, Default)]
pub struct Inherited {
    /// In place of one for [`Frontend::listen`].
    pub tcp: Option<std::net::TcpListener>,
    /// In place of one for [`Frontend::socket`]. Its file stays, until [`Handles::unix`] says otherwise.
    pub unix: Option<std::os::unix::net::UnixListener>,
}

/// What passes the sockets on to the process that goes on when this one ends.
#[derive(Debug)]
pub struct Handles {
    /// Of [`Frontend::listen`].
    pub tcp: ListenerHandle,
    /// Of [`Frontend::socket`].
    pub unix: Option<ListenerHandle>,
}

/// Everything that the frontend needs to start.
pub struct Frontend {
    /// Where to listen. Port 0 lets the system choose.
    pub listen: SocketAddr,
    /// A Unix socket to listen on as well.
    pub socket: Option<SocketPath>,
    /// What listens there already.
    pub inherited: Inherited,
    /// How to run sessions.
    pub runtime: Runtime,
    /// What it says of sessions.
    pub settings: Settings,
    /// What it says of server connections.
    pub pools: PoolSettings,
    /// The classifier.
    pub classifier: Arc<Classifier>,
    /// The servers, as the monitor sees them.
    pub servers: Published,
    /// The generations of their snapshots, each announced after the snapshot was published: statements that wait for a primary are woken by it.
    pub generations: watch::Receiver<u64>,
    /// Where sampled statements go.
    pub spans: Arc<SpanQueue>,
    /// Ask every client for its full password, by RSA: for tests of that exchange.
    pub force_full_authentication: bool,
}

/// A frontend that is listening.
pub struct Running {
    address: SocketAddr,
    /// Ends when nobody listens any more.
    listening: oneshot::Receiver<Infallible>,
    threads: Vec<JoinHandle<()>>,
    overview: Overview,
    /// Dropped when it drains: then nobody may wait to be accepted.
    handles: Handles,
}

impl Frontend {
    /// Binds the port and the socket, and starts the workers. To be called on a tokio runtime, which looks after the sessions.
    pub fn start(self) -> io::Result<Running> {
        let (first, others) = self.runtime.build()?;
        // The sockets are registered with the runtime that accepts.
        let accepting = first.enter();
        let listener = match self.inherited.tcp {
            Some(listener) => adopt(listener)?,
            None => bind(self.listen)?,
        };
        let socket = match (&self.socket, self.inherited.unix) {
            (Some(place), Some(listener)) => Some(SocketFile::adopt(listener, &place.path)?),
            (Some(place), None) => Some(bind_socket(place)?),
            (None, _) => None,
        };
        drop(accepting);
        let address = listener.local_addr()?;
        let unix = socket.as_ref().map(SocketFile::handle).transpose()?;
        let handles = Handles { tcp: ListenerHandle::new(&listener)?, unix };
        let shared = Arc::new(Shared {
            held: HeldStatements::new(),
            settings: ArcSwap::from_pointee(self.settings),
            classifier: self.classifier,
            servers: self.servers,
            generations: self.generations,
            spans: self.spans,
            ejections_begun: watch::Sender::default(),
            login_key: LoginKey::generate().map_err(io::Error::other)?,
            force_full_authentication: self.force_full_authentication,
            closed: CancellationToken::new(),
            drain: CancellationToken::new(),
            stop: CancellationToken::new(),
            sessions: Arc::new(Registry::new()),
            failed_logins: FailedLogins::default(),
            login_delays: LoginDelays::default(),
            logins: Logins::default(),
            unproven: Crowd::default(),
            of_address: Crowd::default(),
            of_user: Crowd::default(),
            refused_log: Mutex::default(),
            remembered: RememberedLogins::default(),
            accepted: AcceptedLogins::default(),
            claims: Semaphore::new(CLAIMS),
            clients: AtomicUsize::new(0),
        });
        let pools = Pools::new(self.pools);
        let own = Worker::new(Arc::clone(&shared), pools.worker(0));
        let mut workers = Workers::new(Arc::clone(&own));
        let mut threads = Vec::new();
        for (index, runtime) in (1..).zip(others) {
            let worker = Worker::new(Arc::clone(&shared), pools.worker(index));
            let clients = workers.add(Arc::clone(&worker));
            threads.push(spawn(index, runtime, Arc::clone(&worker), adopt_all(worker, clients))?);
        }
        let all = workers.all();
        let (acceptor, listening) = Acceptor::new(listener, socket, workers);
        threads.push(spawn(0, first, own, acceptor.run())?);
        tokio::spawn(wake_held(Arc::clone(&shared)));
        tokio::spawn(keeper::keep(Arc::clone(&shared), Arc::clone(&pools)));
        Ok(Running { address, listening, threads, overview: Overview { shared, workers: all, pools }, handles })
    }
}

/// Wakes those who wait for a primary, until all sessions are to end.
async fn wake_held(shared: Arc<Shared>) {
    tokio::select! {
        () = shared.held.wake_on(&shared.servers, shared.generations.clone()) => {}
        () = shared.stop.cancelled() => {}
    }
}

impl Running {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What passes its sockets on.
    pub fn handles(&self) -> &Handles {
        &self.handles
    }

    /// What others may see of it.
    pub fn overview(&self) -> &Overview {
        &self.overview
    }

    /// Other settings from now on: for a session before its next statement, but for what it was given at its login.
    pub fn reload(&self, settings: Settings) {
        let before = self.overview.shared.settings();
        let accounts = settings.accounts.following(&before.accounts);
        let rule_rates = settings.rule_rates.clone().following(&settings.rules, (&before.rules, &before.rule_rates));
        self.overview.shared.settings.store(Arc::new(Settings { rule_rates, accounts, ..settings }));
    }

    /// Other servers, and limits of their connections.
    pub fn reload_pools(&self, pools: PoolSettings) {
        self.overview.pools.reload(pools);
    }

    /// Accepts no new clients. Sessions go on.
    pub async fn close(self) -> Closed {
        self.overview.shared.closed.cancel();
        drop(self.handles);
        let _ = self.listening.await;
        let threads = self.threads;
        let ended = tokio::task::spawn_blocking(move || threads.into_iter().for_each(|thread| drop(thread.join())));
        Closed { ended, overview: self.overview }
    }
}

/// A frontend that accepts no clients any more.
pub struct Closed {
    ended: tokio::task::JoinHandle<()>,
    overview: Overview,
}

impl Closed {
    /// How many clients there are.
    pub fn clients(&self) -> usize {
        self.overview.clients()
    }

    /// How long sessions may go on while another process accepts the clients.
    pub fn upgrade_limit(&self) -> Duration {
        self.overview.shared.settings().limits.upgrade
    }

    /// How long open statements and transactions get in the end.
    pub fn drain_limit(&self) -> Duration {
        self.overview.shared.settings().limits.drain
    }

    /// Waits until all sessions have ended by themselves.
    pub async fn empty(&mut self) {
        while !self.ended.is_finished() {
            // An error says that a worker has panicked; then there is nobody to wait for.
            let _ = (&mut self.ended).await;
        }
    }

    /// Ends it: idle clients leave at once, open statements and transactions get the time of `limits.drain`. True if all had ended by themselves.
    pub async fn drain(mut self) -> bool {
        self.overview.shared.drain.cancel();
        let in_time = tokio::time::timeout(self.drain_limit(), self.empty()).await.is_ok();
        if !in_time {
            self.overview.shared.stop.cancel();
            self.empty().await;
        }
        in_time
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpAcceptor> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restarted proxy must not wait for the old connections' TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    adopt(socket.into())
}

fn adopt(listener: std::net::TcpListener) -> io::Result<TcpAcceptor> {
    net::watch_peers(&(&listener).into())?;
    TcpAcceptor::new(listener)
}

fn bind_socket(SocketPath { path, mode }: &SocketPath) -> io::Result<SocketFile> {
    let name = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    SocketFile::bind(path, *mode).map_err(name)
}

/// Starts a worker's thread.
fn spawn(
    index: usize,
    runtime: WorkerRuntime,
    worker: Arc<Worker>,
    arrivals: impl Future<Output = ()> + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let life = move || runtime.block_on(work(worker, arrivals));
    std::thread::Builder::new().name(format!("worker-{index}")).spawn(life)
}

/// Serves the clients that are sent from the acceptor's thread, until it has ended.
async fn adopt_all(worker: Arc<Worker>, mut clients: mpsc::Receiver<Client>) {
    while let Some(client) = clients.recv().await {
        worker.adopt(client);
    }
}

/// The life of a worker's thread: as long as clients arrive, and then until its sessions have ended.
async fn work(worker: Arc<Worker>, arrivals: impl Future<Output = ()>) {
    let mut sweep = tokio::time::interval(SWEEP);
    sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let ended = async {
        arrivals.await;
        tokio::select! {
            () = worker.finish() => {}
            () = worker.shared.stop.cancelled() => {}
        }
    };
    let mut ended = std::pin::pin!(ended);
    loop {
        tokio::select! {
            () = &mut ended => break,
            _ = sweep.tick() => worker.pool.sweep(),
        }
    }
}
