//! Accepting clients and handing them to the workers.
//!
//! Each worker is a thread with a runtime of its own, so a session and its server connections never change threads. The acceptor
//! runs on the caller's runtime and gives each client to the worker that has the fewest.

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
use tokio::net::UnixStream;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;
use topology::Published;

use crate::admission::turn_away;
use crate::firewall::Crowd;
use crate::held::HeldStatements;
use crate::keeper;
use crate::login::{AcceptedLogins, FailedLogins, LoginDelays, Logins, RememberedLogins};
use crate::overview::Overview;
use crate::peer::Peer;
use crate::registry::Registry;
use crate::rsa::LoginKey;
use crate::settings::Settings;
use crate::spans::SpanQueue;
use crate::worker::{Accepted, Shared, Worker};

/// Connections that the system completes before they are accepted.
const BACKLOG: i32 = 1024;

/// Accepted clients that wait for their worker at most; then accepting pauses.
const ACCEPTED: usize = 256;

/// Clients that have proved nothing yet take no more server connections than this, while a server is asked whether their passwords are right. The others
/// wait for their turn, as part of their login.
const CLAIMS: usize = 4;

/// Between two looks at the idle server connections.
const SWEEP: Duration = Duration::from_secs(1);

/// After a failed accept (no file descriptors left), so that the acceptor does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How the sessions are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runtime {
    /// This many threads, each with a runtime of its own.
    WorkerPerCore(usize),
    /// One runtime that moves tasks between this many threads.
    MultiThread(usize),
}

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
    acceptor: tokio::task::JoinHandle<()>,
    threads: Vec<JoinHandle<()>>,
    overview: Overview,
    /// Dropped when it drains: then nobody may wait to be accepted.
    handles: Handles,
}

impl Frontend {
    /// Binds the port and the socket, and starts the workers. To be called on a tokio runtime, which runs the acceptor.
    pub fn start(self) -> io::Result<Running> {
        let listener = match self.inherited.tcp {
            Some(listener) => adopt(listener)?,
            None => bind(self.listen)?,
        };
        let address = listener.local_addr()?;
        let socket = match (&self.socket, self.inherited.unix) {
            (Some(place), Some(listener)) => Some(SocketFile::adopt(listener, &place.path)?),
            (Some(place), None) => Some(bind_socket(place)?),
            (None, _) => None,
        };
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
        let count = match self.runtime {
            Runtime::WorkerPerCore(threads) => threads.max(1),
            Runtime::MultiThread(_) => 1,
        };
        let pools = Pools::new(self.pools);
        let mut seats = Vec::new();
        let mut threads = Vec::new();
        for index in 0..count {
            let runtime = match self.runtime {
                Runtime::WorkerPerCore(_) => tokio::runtime::Builder::new_current_thread().enable_all().build()?,
                Runtime::MultiThread(threads) => {
                    tokio::runtime::Builder::new_multi_thread().worker_threads(threads.max(1)).enable_all().build()?
                }
            };
            let worker = Worker::new(Arc::clone(&shared), pools.worker(index));
            let (sender, receiver) = mpsc::channel(ACCEPTED);
            seats.push((Arc::clone(&worker), sender));
            let thread = std::thread::Builder::new()
                .name(format!("worker-{index}"))
                .spawn(move || runtime.block_on(work(worker, receiver)))?;
            threads.push(thread);
        }
        let workers = seats.iter().map(|(worker, _)| Arc::clone(worker)).collect();
        let acceptor = tokio::spawn(accept(listener, socket, seats, Arc::clone(&shared)));
        tokio::spawn(wake_held(Arc::clone(&shared)));
        tokio::spawn(keeper::keep(Arc::clone(&shared), Arc::clone(&pools)));
        Ok(Running { address, acceptor, threads, overview: Overview { shared, workers, pools }, handles })
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
        let _ = self.acceptor.await;
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

type Seats = Vec<(Arc<Worker>, mpsc::Sender<(Accepted, Peer)>)>;

async fn accept(listener: TcpAcceptor, socket: Option<SocketFile>, seats: Seats, shared: Arc<Shared>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted.map(|(stream, peer)| (Accepted::Tcp(stream), Peer::Tcp(peer))),
            accepted = accept_local(socket.as_ref()) => accepted.and_then(from_local),
            () = shared.closed.cancelled() => return,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a client");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(stream) = turn_away(stream, peer, &shared) else { continue };
        let Some((worker, sender)) = seats.iter().min_by_key(|(worker, _)| worker.load()) else { return };
        // Seated here and not by the worker's thread, so that a burst is spread and cannot slip past the limit.
        worker.seat();
        if sender.send((stream, peer)).await.is_err() {
            return;
        }
    }
}

/// The next client at the Unix socket; never, if there is none.
async fn accept_local(socket: Option<&SocketFile>) -> io::Result<UnixStream> {
    match socket {
        Some(socket) => socket.listener.accept().await.map(|(stream, _)| stream),
        None => std::future::pending().await,
    }
}

fn from_local(stream: UnixStream) -> io::Result<(Accepted, Peer)> {
    let uid = stream.peer_cred()?.uid();
    Ok((Accepted::Unix(stream.into_std()?), Peer::Local { uid }))
}

/// The life of a worker's thread.
async fn work(worker: Arc<Worker>, mut accepted: mpsc::Receiver<(Accepted, Peer)>) {
    let mut sweep = tokio::time::interval(SWEEP);
    sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            client = accepted.recv() => match client {
                Some((stream, peer)) => worker.adopt(stream, peer),
                // The acceptor has ended.
                None => break,
            },
            _ = sweep.tick() => worker.pool.sweep(),
        }
    }
    let mut finished = std::pin::pin!(worker.finish());
    loop {
        tokio::select! {
            () = &mut finished => break,
            () = worker.shared.stop.cancelled() => break,
            _ = sweep.tick() => worker.pool.sweep(),
        }
    }
}
