//! What each part gets of the configuration.

use std::sync::Arc;

use admin::{Hooks, JournalSettings};
use backend::{PoolSettings, PooledServer};
use frontend::{Accounts, CausalScope, RuleRates};
use router::Policy;

use crate::config::{CausalReads, Config, Durability, Pooling, Server, TransactionReads};

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

pub(crate) fn journal_settings(config: &Config) -> Option<JournalSettings> {
    let path = config.failover.journal.clone()?;
    Some(JournalSettings { path, size_max: config.failover.journal_size })
}

pub(crate) fn hooks(config: &Config) -> Hooks {
    let settings = &config.failover;
    Hooks { before: settings.before.clone(), after: settings.after.clone(), timeout: settings.hook_timeout }
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
        spans: config.tracing.sampling(),
        admin_commands: config.security.admin_commands,
        binlog_commands: config.security.binlog_commands,
        rules: config.rules.as_slice().into(),
        rule_rates: RuleRates::new(&config.rules),
        accounts: Accounts::new(config.users.iter().map(|user| Arc::clone(&user.pooled.account)), scope)
            .with_terms(config.users.iter().map(|user| (user.pooled.account.user.as_slice(), user.terms.clone()))),
        firewall: config.firewall.clone(),
        remembered_login: config.remembered_login,
        proxy_networks: Arc::clone(&config.proxy_networks),
        server_proxy_protocol: config.security.server_proxy_protocol,
        default_auth_plugin: config.security.default_auth_plugin.plugin(),
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
