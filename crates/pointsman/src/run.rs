//! `pointsman run`: starts all parts and stops them again.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use admin::Journal;
use anyhow::Context as _;
use classifier::{CacheStats, Classifier};
use frontend::{Closed, Frontend, Inherited, Runtime, SpanQueue};
use sd_notify::NotifyState;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::admin_listeners::Bound;
use crate::cli::{RunOptions, RuntimeKind};
use crate::config::Config;
use crate::reload::Reloader;
use crate::requests::{End, Signals, Work, all_sockets, notify};
use crate::settings::{failover_settings, frontend_settings, hooks, journal_settings, monitor_settings, pool_settings};
use crate::sockets::{LISTEN_ADDRESS, LISTEN_SOCKET, Sockets};
use crate::{admin_listeners, logging, successor};

/// Most requests of a kind that may wait for the one before them.
const REQUESTS_QUEUED_MAX: usize = 4;

/// Runs until a signal ends it, or a successor has taken over.
pub(crate) fn run(config: Config, options: &RunOptions) -> anyhow::Result<()> {
    logging::start(&config.log);
    // Before there are threads, as it changes the environment.
    let passed = Sockets::inherited(options.take_over)?;
    // The control plane: monitor, acceptor and signals, on this thread. The workers have threads of their own.
    runtime()?.block_on(control(config, options, passed))
}

/// On this thread alone.
pub(crate) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start a runtime")
}

async fn control(config: Config, options: &RunOptions, mut passed: Sockets) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    let program = successor::program().context("cannot find the program's own file")?;
    let stop = CancellationToken::new();
    let first_look = config.monitor.connect_timeout + config.monitor.query_timeout;
    let names: Vec<&str> = config.servers.iter().map(|server| &*server.name).collect();
    let (journal, history) = Journal::open(journal_settings(&config), hooks(&config), &names)?;
    let (Bound { listeners, handles: admin_handles }, socket_file) = admin_listeners::bind(&config.admin, &mut passed)?;
    let failover = monitor::Failover { settings: failover_settings(&config), history, recorder: Arc::new(journal.clone()) };
    let (mut snapshots, control, monitoring) = monitor::start(monitor_settings(&config), failover, stop.clone());
    if options.take_over {
        successor::take_over_shares(&control, &config.servers).await;
    }
    let (reload, reloads) = mpsc::channel(REQUESTS_QUEUED_MAX);
    let (upgrade, upgrades) = mpsc::channel(REQUESTS_QUEUED_MAX);
    let overview = Arc::new(OnceLock::new());
    let (published, settings) = watch::channel(config.settings.as_slice().into());
    let (published_certificates, certificates) = watch::channel(config.certificates.as_slice().into());
    let api = admin::Api {
        control: control.clone(),
        journal: journal.clone(),
        reload,
        upgrade,
        settings,
        certificates,
        frontend: Arc::clone(&overview),
    };
    let (opens, closes) = (CancellationToken::new(), stop.child_token());
    if !options.take_over {
        opens.cancel();
    }
    let serving = tokio::spawn(serve_admin(listeners, api, opens.clone(), closes.clone()));
    let classifier = Arc::new(classifier(&config));
    let cataloguing = monitor::keep_catalogue(control.settings(), snapshots.clone(), Arc::clone(&classifier), stop.clone());
    tokio::select! {
        () = wait_for_servers(&mut snapshots, &classifier, first_look) => {}
        () = signals.end() => return Ok(()),
    }

    let (spans, waiting) = SpanQueue::new();
    let exporting = config
        .tracing
        .collector
        .clone()
        .map(|collector| tokio::spawn(admin::export_spans(collector, waiting, Arc::clone(&spans), stop.clone())));
    let running =
        frontend(&config, options, &snapshots, Arc::clone(&classifier), spans, &mut passed).start().context("cannot listen")?;
    passed.close_rest();
    // Nobody else sets it.
    let _ = overview.set(running.overview().clone());
    let recording = tokio::spawn(admin::record_ejections(running.overview().clone(), journal, stop.clone()));
    opens.cancel();
    tracing::info!(address = %running.address(), socket = config.socket.as_ref().map(|socket| tracing::field::display(socket.path.display())), version = env!("CARGO_PKG_VERSION"), process = std::process::id(), "listening");
    if options.take_over {
        successor::announce(&all_sockets(&running, &admin_handles));
    } else {
        notify(NotifyState::Ready);
    }
    say_what_is_promised(&control).await;
    let reloader = Reloader::new(options.config.clone(), config, control.clone(), &running, published, published_certificates);
    let work = Work { program, control, admin_handles, running: &running, reloader, reloads, upgrades };
    let end = work.serve(&mut signals).await;
    let closed = running.close().await;
    match end {
        End::Signal => notify(NotifyState::Stopping),
        End::Successor => closes.cancel(),
    }
    let_sessions_end(closed, &end, &mut signals).await;
    let CacheStats { hits, misses, entries } = classifier.cache_stats();
    let corrected = classifier.knowledge().writes_learned();
    tracing::info!(hits, misses, entries, corrected, "verdicts on reads that were known, new, kept, and corrected by replicas");
    stop.cancel();
    monitoring.await.context("the monitor failed")?;
    cataloguing.await.context("the monitor failed")?;
    serving.await.context("the admin API failed")?;
    recording.await.context("the record of ejections failed")?;
    if let Some(exporting) = exporting {
        exporting.await.context("the export of spans failed")?;
    }
    drop(socket_file);
    Ok(())
}

/// Waits for the end of all sessions; for how long depends on why no clients are accepted any more.
async fn let_sessions_end(mut closed: Closed, end: &End, signals: &mut Signals) {
    if let End::Successor = end {
        let (clients, limit) = (closed.clients(), closed.upgrade_limit());
        tracing::info!(clients, ?limit, "no new clients, sessions may go on");
        tokio::select! {
            () = closed.empty() => {}
            () = tokio::time::sleep(limit) => {}
            () = signals.end() => {}
        }
    }
    let (clients, limit) = (closed.clients(), closed.drain_limit());
    tracing::info!(clients, ?limit, "draining: no new clients, open statements and transactions may finish");
    tokio::select! {
        in_time = closed.drain() => tracing::info!(in_time, "stopped"),
        () = signals.end() => tracing::warn!("a second signal: stopped at once"),
    }
}

/// Serves the admin API from one moment to another.
async fn serve_admin(listeners: admin::Listeners, api: admin::Api, opens: CancellationToken, closes: CancellationToken) {
    tokio::select! {
        () = opens.cancelled() => admin::serve(listeners, api, closes).await,
        () = closes.cancelled() => {}
    }
}

/// Logs, before a primary dies, what its loss would cost.
async fn say_what_is_promised(control: &monitor::Control) {
    let Ok(status) = control.status().await else { return };
    match status.durability {
        failover::Durability::Auto | failover::Durability::Bounded if status.view.primary.is_none() => {
            tracing::info!(
                "what the loss of a primary would cost is not known before one is seen; `pointsman doctor` says it then"
            );
        }
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

fn frontend(
    config: &Config,
    options: &RunOptions,
    snapshots: &monitor::Snapshots,
    classifier: Arc<Classifier>,
    spans: Arc<SpanQueue>,
    passed: &mut Sockets,
) -> Frontend {
    let unix = config.socket.as_ref().and_then(|socket| passed.unix(LISTEN_SOCKET, &socket.path));
    Frontend {
        listen: config.listen,
        socket: config.socket.clone(),
        inherited: Inherited { tcp: passed.tcp(LISTEN_ADDRESS, config.listen), unix },
        runtime: match options.runtime {
            RuntimeKind::WorkerPerCore => Runtime::WorkerPerCore(config.threads),
            RuntimeKind::MultiThread => Runtime::MultiThread(config.threads),
        },
        settings: frontend_settings(config),
        pools: pool_settings(config),
        classifier,
        servers: snapshots.published(),
        generations: snapshots.generations(),
        spans,
        force_full_authentication: options.force_full_authentication,
    }
}
