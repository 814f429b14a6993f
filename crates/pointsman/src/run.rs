//! `pointsman run`: starts all parts and stops them again.

use std::hash::{BuildHasher as _, RandomState};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use admin::{Hooks, Journal, JournalSettings};
use anyhow::Context as _;
use backend::{PoolSettings, PooledServer};
use classifier::{CacheStats, Classifier};
use frontend::{Accounts, CausalScope, Frontend, Runtime};
use net::SocketFile;
use router::Policy;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::cli::{RunOptions, RuntimeKind};
use crate::config::{Admin, CausalReads, Config, Durability, Pooling, Server, TransactionReads};
use crate::logging;
use crate::reload::Reloader;
use crate::watch::FileWatch;

/// The permissions of the admin socket: who may open it may do everything.
const ADMIN_MODE: u32 = 0o600;

/// Most reloads that may wait for the one before them.
const RELOADS_QUEUED_MAX: usize = 4;

/// Runs until a signal ends it.
pub(crate) fn run(config: Config, options: &RunOptions) -> anyhow::Result<()> {
    logging::start(&config.log);
    // The control plane: monitor, acceptor and signals, on this thread. The workers have threads of their own.
    runtime()?.block_on(control(config, options))
}

/// On this thread alone.
pub(crate) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start a runtime")
}

async fn control(config: Config, options: &RunOptions) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let stop = CancellationToken::new();
    let first_look = config.monitor.connect_timeout + config.monitor.query_timeout;
    let names: Vec<&str> = config.servers.iter().map(|server| &*server.name).collect();
    let (journal, history) = Journal::open(journal_settings(&config), hooks(&config), &names)?;
    let (listeners, socket_file) = admin_listeners(&config).await?;
    let failover = monitor::Failover { settings: failover_settings(&config), history, recorder: Arc::new(journal.clone()) };
    let (mut snapshots, control, monitoring) = monitor::start(monitor_settings(&config), failover, stop.clone());
    let (reload, mut reloads) = mpsc::channel(RELOADS_QUEUED_MAX);
    let overview = Arc::new(OnceLock::new());
    let api = admin::Api { control: control.clone(), journal, reload, frontend: Arc::clone(&overview) };
    let serving = tokio::spawn(admin::serve(listeners, api, stop.clone()));
    let classifier = Arc::new(classifier(&config));
    let cataloguing = monitor::keep_catalogue(control.settings(), snapshots.clone(), Arc::clone(&classifier), stop.clone());
    tokio::select! {
        () = wait_for_servers(&mut snapshots, &classifier, first_look) => {}
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    }

    let running = frontend(&config, options, &snapshots, Arc::clone(&classifier)).start().context("cannot listen")?;
    // Nobody else sets it.
    let _ = overview.set(running.overview().clone());
    tracing::info!(address = %running.address(), socket = config.socket.as_ref().map(|socket| tracing::field::display(socket.path.display())), version = env!("CARGO_PKG_VERSION"), "listening");
    say_what_is_promised(&control).await;
    let mut reloader = Reloader::new(options.config.clone(), config, control, &running);
    let mut watch = FileWatch::new(reloader.files()).await;
    loop {
        let reply = tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => None,
            Some(reply) = reloads.recv() => Some(reply),
            () = watch.changed(), if reloader.watches_file() => None,
        };
        watch.note_read().await;
        let outcome = tokio::select! {
            outcome = reloader.reload() => outcome,
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        };
        watch.follow(reloader.files()).await;
        // The client may have left.
        let _ = reply.map(|reply| reply.send(outcome));
    }
    drop(reloader);
    let clients = running.overview().clients();
    tracing::info!(clients, limit = ?running.drain_limit(), "draining: no new clients, open statements and transactions may finish");
    tokio::select! {
        in_time = running.drain() => tracing::info!(in_time, "stopped"),
        _ = terminate.recv() => tracing::warn!("a second signal: stopped at once"),
        _ = interrupt.recv() => tracing::warn!("a second signal: stopped at once"),
    }
    let CacheStats { hits, misses, entries } = classifier.cache_stats();
    let corrected = classifier.knowledge().writes_learned();
    tracing::info!(hits, misses, entries, corrected, "verdicts on reads that were known, new, kept, and corrected by replicas");
    stop.cancel();
    monitoring.await.context("the monitor failed")?;
    cataloguing.await.context("the monitor failed")?;
    serving.await.context("the admin API failed")?;
    drop(socket_file);
    Ok(())
}

/// Where the admin API listens, and what removes the socket's file when it is dropped.
async fn admin_listeners(config: &Config) -> anyhow::Result<(admin::Listeners, Option<impl Send + Sync + use<>>)> {
    let Admin { socket, address, console, token } = &config.admin;
    let bind = |path: &PathBuf| {
        SocketFile::bind(path, ADMIN_MODE).with_context(|| format!("[admin] socket: cannot listen on {}", path.display()))
    };
    let (socket, file) = socket.as_ref().map(bind).transpose()?.map(SocketFile::into_parts).unzip();
    let address = listen(*address, "address", "the admin API").await?.map(|listener| (listener, token.clone()));
    // The configuration has no console without a token.
    let console = listen(*console, "console", "the console").await?.zip(token.clone());
    Ok((admin::Listeners { socket, address, console }, file))
}

/// Listens on an address of `[admin]`, if it has this one.
async fn listen(address: Option<SocketAddr>, key: &str, what: &str) -> anyhow::Result<Option<TcpListener>> {
    let Some(address) = address else { return Ok(None) };
    let listener = TcpListener::bind(address).await.with_context(|| format!("[admin] {key}: cannot listen on {address}"))?;
    tracing::info!(address = %listener.local_addr()?, "{what} listens");
    Ok(Some(listener))
}

/// Logs, before a primary dies, what its loss would cost.
async fn say_what_is_promised(control: &monitor::Control) {
    let Ok(status) = control.status().await else { return };
    match status.durability {
        failover::Durability::Lossless => {
            tracing::info!("a primary that dies is replaced by a server that has every acknowledged write, or not at all");
        }
        failover::Durability::Manual => tracing::info!("a primary that dies is not replaced automatically (failover.durability)"),
        failover::Durability::Bounded | failover::Durability::Auto => tracing::warn!(
            "a primary that dies is replaced, but acknowledged writes may be lost with it: its commits do not wait for a replica; `pointsman \
             doctor` says what to change"
        ),
    }
    for requirement in &status.requirements {
        tracing::info!("{requirement}");
    }
}

/// Clients that connect before the monitor has seen the servers would get unnecessary errors, and their reads would load the primary while the
/// catalogue is not known.
async fn wait_for_servers(snapshots: &mut monitor::Snapshots, classifier: &Classifier, limit: Duration) {
    let seen = snapshots.wait_until(|snapshot| snapshot.primary.is_some());
    if tokio::time::timeout(limit, seen).await.is_err() {
        tracing::warn!("no primary was found; writes wait for one (routing.hold_writes)");
        return;
    }
    let catalogue_is_known = async {
        while classifier.knowledge().is_out_of_date() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    // If it takes longer, reads need not wait: the primary answers them.
    let _ = tokio::time::timeout(limit, catalogue_is_known).await;
}

pub(crate) fn monitor_settings(config: &Config) -> monitor::Settings {
    let servers = config.servers.iter().map(|server| monitor::MonitoredServer {
        id: server.id,
        name: server.name.clone(),
        host: server.target.host.clone(),
        port: server.target.port,
        replication: monitor::Address { host: server.replication.host.clone(), port: server.replication.port },
        share: server.share,
    });
    let monitor = &config.monitor;
    monitor::Settings {
        servers: servers.collect(),
        user: String::from_utf8_lossy(&monitor.account.user).into_owned(),
        password: String::from_utf8_lossy(&monitor.account.password).into_owned(),
        tls: config.server_tls.monitor.clone(),
        interval: monitor.interval,
        position_interval: monitor.position_interval,
        connect_timeout: monitor.connect_timeout,
        query_timeout: monitor.query_timeout,
        silence: monitor.silence,
        failures: monitor.failures,
        catalogue_interval: monitor.catalogue_interval,
        catalogue_timeout: monitor.catalogue_timeout,
    }
}

pub(crate) fn failover_settings(config: &Config) -> monitor::FailoverSettings {
    let settings = &config.failover;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let account = settings.account.as_ref();
    monitor::FailoverSettings {
        policy: failover::Policy {
            durability: match settings.durability {
                Durability::Auto => failover::Durability::Auto,
                Durability::Lossless => failover::Durability::Lossless,
                Durability::Bounded => failover::Durability::Bounded,
                Durability::Manual => failover::Durability::Manual,
            },
            members: config.servers.iter().map(|server| (server.id, server.candidate)).collect(),
            hang: settings.hang,
            cooldown: settings.cooldown,
            daily_max: settings.daily_max,
            has_replication_account: account.is_some(),
        },
        account: account
            .map(|account| monitor::ReplicationAccount { user: text(&account.user), password: text(&account.password) }),
        step_timeout: settings.step_timeout,
    }
}

fn journal_settings(config: &Config) -> Option<JournalSettings> {
    let path = config.failover.journal.clone()?;
    Some(JournalSettings { path, size_max: config.failover.journal_size })
}

fn hooks(config: &Config) -> Hooks {
    let settings = &config.failover;
    Hooks { before: settings.before.clone(), after: settings.after.clone(), timeout: settings.hook_timeout }
}

fn classifier(config: &Config) -> Classifier {
    // Each of these is keyed by the operating system's randomness.
    let lot = || u128::from(RandomState::new().hash_one(0));
    let text_key = lot() << 64 | lot();
    Classifier::new(classifier::ParseLimits {
        cache_entries: config.digest_cache,
        learned_digests: config.learned_digests,
        text_key,
        ..classifier::ParseLimits::default()
    })
}

fn frontend(config: &Config, options: &RunOptions, snapshots: &monitor::Snapshots, classifier: Arc<Classifier>) -> Frontend {
    Frontend {
        listen: config.listen,
        socket: config.socket.clone(),
        runtime: match options.runtime {
            RuntimeKind::WorkerPerCore => Runtime::WorkerPerCore(config.threads),
            RuntimeKind::MultiThread => Runtime::MultiThread(config.threads),
        },
        settings: frontend_settings(config),
        pools: pool_settings(config),
        classifier,
        servers: snapshots.published(),
        generations: snapshots.generations(),
        force_full_authentication: options.force_full_authentication,
    }
}

pub(crate) fn frontend_settings(config: &Config) -> frontend::Settings {
    let scope = match config.routing.causal_reads {
        CausalReads::Off | CausalReads::Session => CausalScope::Session,
        CausalReads::User => CausalScope::User,
        CausalReads::Global => CausalScope::Global,
    };
    frontend::Settings {
        limits: config.limits.clone(),
        pooling: match config.routing.pooling {
            Pooling::Transaction => frontend::Pooling::Transaction,
            Pooling::Session => frontend::Pooling::Session,
        },
        policy: Policy {
            max_lag: config.routing.max_lag,
            reads_own_writes: config.routing.causal_reads != CausalReads::Off,
            filtered_replicas: config.routing.filtered_replicas,
            causal_wait: config.routing.causal_wait,
            balancing: router::Balancing {
                balance: config.routing.balance,
                slow_start: config.routing.slow_start,
                ejection: config.ejection,
            },
            lazy_transactions: config.routing.transaction_reads == TransactionReads::Lazy,
            hold_writes: config.routing.hold_writes,
        },
        server_version: config.server_version.clone(),
        slow_statement: Some(config.log.slow_statement).filter(|slow| !slow.is_zero()),
        admin_commands: config.security.admin_commands,
        binlog_commands: config.security.binlog_commands,
        rules: config.rules.as_slice().into(),
        accounts: Accounts::new(config.users.iter().map(|user| Arc::clone(&user.pooled.account)), scope)
            .with_terms(config.users.iter().map(|user| (user.pooled.account.user.as_slice(), user.terms.clone()))),
        firewall: config.firewall.clone(),
        remembered_login: config.remembered_login,
        proxy_networks: Arc::clone(&config.proxy_networks),
        tls: config.client_tls.clone(),
        compression: config.client_compression,
    }
}

pub(crate) fn pool_settings(config: &Config) -> PoolSettings {
    let pooled = |server: &Server| PooledServer {
        id: server.id,
        address: server.target.clone(),
        server_connections: server.connections_max,
    };
    PoolSettings {
        servers: config.servers.iter().map(pooled).collect(),
        server_connections: config.pool_limits.server_connections,
        idle_server_connections: config.pool_limits.idle_server_connections,
        waiting: config.pool_limits.waiting,
        accounts: config.users.iter().map(|user| user.pooled.clone()).collect(),
        connect_timeout: config.connect_timeout,
        lease_timeout: config.lease_timeout,
        idle_timeout: config.server_idle,
        public_key_retrieval: config.security.public_key_retrieval,
        tls: config.server_tls.sessions.clone(),
        compression: config.server_compression,
    }
}
