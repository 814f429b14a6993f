//! `pointsman run`: the parts put together, and taken apart again.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use backend::PoolSettings;
use classifier::{CacheStats, Classifier};
use frontend::{Accounts, Frontend, Runtime};
use router::Policy;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::cli::{RunOptions, RuntimeKind};
use crate::config::{CausalReads, Config};
use crate::logging;

/// Runs until a signal ends it.
pub(crate) fn run(config: Config, options: &RunOptions) -> anyhow::Result<()> {
    logging::start(&config.log);
    // The control plane: monitor, acceptor and signals, on this thread. The workers have threads of their own.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start a runtime")?;
    runtime.block_on(control(config, options))
}

async fn control(config: Config, options: &RunOptions) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = CancellationToken::new();
    let first_look = config.monitor.connect_timeout + config.monitor.query_timeout;
    let settings = monitor_settings(&config);
    let (mut snapshots, monitoring) = monitor::start(settings.clone(), stop.clone());
    let classifier = Arc::new(classifier(&config));
    let cataloguing = monitor::keep_catalogue(settings, snapshots.clone(), Arc::clone(&classifier), stop.clone());
    tokio::select! {
        () = wait_for_servers(&mut snapshots, &classifier, first_look) => {}
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    }

    let drain = config.limits.drain;
    let running = frontend(config, options, snapshots.published(), Arc::clone(&classifier)).start().context("cannot listen")?;
    tracing::info!(address = %running.address(), version = env!("CARGO_PKG_VERSION"), "listening");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    let clients = running.clients();
    tracing::info!(clients, limit = ?drain, "draining: no new clients, open statements and transactions may finish");
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
    Ok(())
}

/// Clients that come before the monitor has seen the servers would get errors for nothing, and their reads would load the primary while
/// its functions and views are not known.
async fn wait_for_servers(snapshots: &mut monitor::Snapshots, classifier: &Classifier, limit: Duration) {
    let seen = snapshots.wait_until(|snapshot| snapshot.primary.is_some());
    if tokio::time::timeout(limit, seen).await.is_err() {
        tracing::warn!("no primary was found; writes are refused until there is one");
        return;
    }
    let catalogue_is_known = async {
        while classifier.knowledge().is_out_of_date() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    // If it takes longer, reads wait for nothing: the primary answers them.
    let _ = tokio::time::timeout(limit, catalogue_is_known).await;
}

fn monitor_settings(config: &Config) -> monitor::Settings {
    let servers = config.servers.iter().map(|server| monitor::Target {
        name: server.name.clone(),
        host: server.target.host.clone(),
        port: server.target.port,
        weight: server.weight,
    });
    let monitor = &config.monitor;
    monitor::Settings {
        servers: servers.collect(),
        user: String::from_utf8_lossy(&monitor.account.user).into_owned(),
        password: String::from_utf8_lossy(&monitor.account.password).into_owned(),
        interval: monitor.interval,
        position_interval: monitor.position_interval,
        connect_timeout: monitor.connect_timeout,
        query_timeout: monitor.query_timeout,
        failures: monitor.failures,
        catalogue_interval: monitor.catalogue_interval,
        catalogue_timeout: monitor.catalogue_timeout,
    }
}

fn classifier(config: &Config) -> Classifier {
    // Each of these is keyed by the operating system's randomness.
    let lot = || u128::from(RandomState::new().hash_one(0));
    let text_key = lot() << 64 | lot();
    Classifier::new(classifier::Limits {
        cache_entries: config.digest_cache,
        learned_digests: config.learned_digests,
        text_key,
        ..classifier::Limits::default()
    })
}

fn frontend(config: Config, options: &RunOptions, servers: topology::Published, classifier: Arc<Classifier>) -> Frontend {
    Frontend {
        listen: config.listen,
        runtime: match options.runtime {
            RuntimeKind::WorkerPerCore => Runtime::WorkerPerCore(config.threads),
            RuntimeKind::MultiThread => Runtime::MultiThread(config.threads),
        },
        limits: config.limits,
        pools: PoolSettings {
            servers: config.servers.into_iter().map(|server| server.target).collect(),
            server_connections: config.server_connections,
            connect_timeout: config.connect_timeout,
            lease_timeout: config.lease_timeout,
            idle_timeout: config.server_idle,
        },
        policy: Policy { max_lag: config.max_lag, reads_own_writes: config.causal_reads == CausalReads::Session },
        rules: config.rules,
        accounts: Accounts::new(config.users),
        classifier,
        servers,
        force_full_authentication: options.force_full_authentication,
    }
}
