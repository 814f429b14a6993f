//! The configuration file: one TOML file, read into types that cannot be wrong, or a list of all its mistakes.
//!
//! `config/pointsman.toml` documents every key; a test keeps that file and the defaults here consistent.

mod admin;
mod compression;
mod list;
mod reader;
mod routing;
mod rules;
mod security;
mod tls;
mod tracing;
mod units;
mod users;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ::admin::Setting;
use backend::{Account, PooledAccount, ServerAddress};
use ipnet::IpNet;
use router::{EjectionPolicy, Rule};
use toml::de::DeTable;
use topology::{ServerId, ServerState, Share};

pub(crate) use self::admin::Admin;
use self::reader::{Outcome, Section};
pub(crate) use self::routing::{CausalReads, Pooling, Routing, TransactionReads};
use self::security::{Auth, Security};
use self::tracing::Tracing;
use self::units::{Address, FileMode, Level, Period, Size, State};
pub(crate) use self::users::User;

/// A whole configuration.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) listen: SocketAddr,
    /// A Unix socket beside it.
    pub(crate) socket: Option<frontend::SocketPath>,
    pub(crate) threads: usize,
    /// Whose connections begin with a PROXY header.
    pub(crate) proxy_networks: Arc<[IpNet]>,
    pub(crate) client_tls: frontend::ClientTls,
    /// What clients are offered.
    pub(crate) client_compression: frontend::ClientCompression,
    pub(crate) servers: Vec<Server>,
    pub(crate) monitor: Monitor,
    pub(crate) routing: Routing,
    pub(crate) ejection: EjectionPolicy,
    /// What clients are told in place of the servers' own version.
    pub(crate) server_version: Option<Box<str>>,
    pub(crate) security: Security,
    /// The file is read anew whenever it changes.
    pub(crate) reload_on_change: bool,
    /// Certificates and keys.
    pub(crate) tls_files: Vec<PathBuf>,
    /// Until when our own certificates count.
    pub(crate) certificates: Vec<::admin::Certificate>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) users: Vec<User>,
    pub(crate) firewall: frontend::Firewall,
    /// Other accounts may log in if a server lets them in, and are remembered for so long. `None`: only those of the list may.
    pub(crate) remembered_login: Option<Duration>,
    pub(crate) limits: frontend::Limits,
    pub(crate) pool_limits: PoolLimits,
    pub(crate) digest_cache: usize,
    pub(crate) learned_digests: usize,
    pub(crate) connect_timeout: Duration,
    pub(crate) lease_timeout: Duration,
    pub(crate) server_idle: Duration,
    pub(crate) server_tls: tls::Servers,
    pub(crate) server_compression: backend::ServerCompression,
    pub(crate) failover: Failover,
    pub(crate) admin: Admin,
    pub(crate) log: Log,
    pub(crate) tracing: Tracing,
    /// The value of each key, for those who ask what is in force.
    pub(crate) settings: Vec<Setting>,
}

/// One `[[servers]]`.
#[derive(Debug)]
pub(crate) struct Server {
    /// Its place in the list, or another number if that one belonged to another server before a reload.
    pub(crate) id: ServerId,
    pub(crate) name: String,
    pub(crate) target: ServerAddress,
    pub(crate) share: Share,
    /// Most connections to it, in place of the limit for all servers.
    pub(crate) connections_max: Option<usize>,
    /// Where the other servers reach it.
    pub(crate) replication: ServerAddress,
    /// As a candidate for a promotion.
    pub(crate) candidate: failover::Member,
}

/// `[failover]`.
#[derive(Debug)]
pub(crate) struct Failover {
    pub(crate) durability: Durability,
    pub(crate) hang: Duration,
    pub(crate) cooldown: Duration,
    pub(crate) daily_max: usize,
    pub(crate) step_timeout: Duration,
    /// For servers that do not replicate yet.
    pub(crate) account: Option<Account>,
    pub(crate) journal: Option<PathBuf>,
    pub(crate) journal_size: u64,
    pub(crate) before: Vec<String>,
    pub(crate) after: Vec<String>,
    pub(crate) hook_timeout: Duration,
}

/// What a promotion may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Durability {
    /// Lose no acknowledged write if the servers are set up for that, else as little as possible.
    Auto,
    /// No acknowledged write, or there is no promotion.
    Lossless,
    /// As little as possible; it is reported.
    Bounded,
    /// A person decides.
    Manual,
}

/// `[monitor]`.
#[derive(Debug)]
pub(crate) struct Monitor {
    pub(crate) account: Account,
    pub(crate) interval: Duration,
    pub(crate) position_interval: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) query_timeout: Duration,
    pub(crate) silence: Duration,
    pub(crate) failures: u32,
    pub(crate) catalogue_interval: Duration,
    pub(crate) catalogue_timeout: Duration,
}

/// How many connections one server may have, and how many statements may wait for one.
#[derive(Debug)]
pub(crate) struct PoolLimits {
    pub(crate) server_connections: usize,
    pub(crate) idle_server_connections: usize,
    pub(crate) waiting: usize,
}

/// `[log]`.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) level: Level,
    pub(crate) format: LogFormat,
    /// A statement that takes this long is logged; with zero none is.
    pub(crate) slow_statement: Duration,
    /// There are warnings of a certificate that ends within this time; with zero there are none.
    pub(crate) certificate_expiry: Duration,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// What is wrong with a configuration, all of it.
#[derive(Debug)]
pub(crate) struct Invalid {
    path: String,
    mistakes: Vec<String>,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.mistakes.len();
        write!(f, "{} has {count} {}", self.path, if count == 1 { "mistake" } else { "mistakes" })?;
        self.mistakes.iter().try_for_each(|mistake| write!(f, "\n  {mistake}"))
    }
}

impl std::error::Error for Invalid {}

impl Config {
    /// Reads a file.
    pub(crate) fn load(path: &Path) -> Result<Self, Invalid> {
        let name = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text).map_err(|mistakes| Invalid { path: name, mistakes }),
            Err(error) => Err(Invalid { path: name, mistakes: vec![format!("it cannot be read: {error}")] }),
        }
    }

    /// Reads a text; the mistakes are in the order of their lines.
    pub(crate) fn parse(text: &str) -> Result<Self, Vec<String>> {
        let (table, errors) = DeTable::parse_recoverable(text);
        let outcome = Outcome::new(text);
        for error in &errors {
            outcome.add(error.span().map_or(0, |span| span.start), error.message().to_owned());
        }
        // What cannot be parsed leaves gaps, and messages about those would only confuse.
        let config = if errors.is_empty() { Self::read(Section::new(&table, "", &outcome)) } else { None };
        let settings = outcome.take_settings();
        match (config, outcome.into_sorted()) {
            (Some(config), mistakes) if mistakes.is_empty() => Ok(Self { settings, ..config }),
            (_, mistakes) => Err(mistakes),
        }
    }

    fn read(mut file: Section<'_>) -> Option<Self> {
        let mut listen = file.section("listen");
        let address = listen.optional("address", SocketAddr::from(([127, 0, 0, 1], 6033)));
        let socket = socket(&mut listen);
        let threads = listen.optional("threads", std::thread::available_parallelism().map_or(1, usize::from));
        let server_version = listen.optional::<Option<Box<str>>>("server_version", None);
        if server_version.as_deref().is_some_and(|version| !is_server_version(version)) {
            listen.complain("server_version must begin as a server's does: \"8.4.7\", \"11.8.2-MariaDB\"");
        }
        let proxy_networks = list::networks(&mut listen, "proxy_networks");
        let mut tls_files = tls::Files::default();
        let client_tls = tls::clients(&mut listen, &mut tls_files);
        let client_compression = compression::clients(&mut listen);
        listen.finish();

        let numbered = (0..).map(ServerId).zip(file.sections("servers"));
        let servers = numbered.map(|(id, section)| server(id, section)).collect::<Vec<_>>();
        if servers.is_empty() {
            file.complain("there is no [[servers]]: list every server of the replication set");
        }
        duplicates(&file, "servers", servers.iter().flatten().map(|server| server.name.clone()));

        let monitor = monitor(file.section("monitor"));

        let routing = Routing::read(file.section("routing"));
        let ejection = routing::ejection(file.section("ejection"));

        let names: Vec<&str> = servers.iter().flatten().map(|server| &*server.name).collect();
        let rules = file.sections("rules").into_iter().map(|section| rules::rule(section, &names)).collect::<Vec<_>>();
        duplicates(&file, "rules", rules.iter().flatten().map(|rule| rule.name.clone()));

        let security = Security::read(file.section("security"));
        let is_passthrough = security.auth == Auth::Passthrough;
        let users = users::users(&mut file, &client_tls, is_passthrough);
        if security.server_proxy_protocol && users.iter().flatten().any(|user| user.pooled.warm_server_connections > 0) {
            let why = "a connection that is opened in advance does not yet have a client whose address the servers could be told";
            file.complain(&format!("warm_server_connections and security.server_proxy_protocol exclude each other: {why}"));
        }
        let firewall = firewall(file.section("firewall"));

        let mut limits = file.section("limits");
        let mut timeouts = file.section("timeouts");
        let client_limits = client_limits(&mut limits, &mut timeouts);
        let mut period = |key, default| timeouts.optional(key, Period(default)).0;
        let pool_limits = pool_limits(&mut limits, users.iter().flatten().map(|user| &user.pooled));
        let digest_cache = limits.positive("digest_cache", 16_384);
        let learned_digests = limits.positive("learned_digests", 4_096);
        let connect_timeout = period("connect", Duration::from_secs(3));
        let lease_timeout = period("lease", Duration::from_secs(5));
        let server_idle = period("server_idle", Duration::from_mins(1));
        let remembered_login = period("remembered_login", Duration::from_hours(1));
        limits.finish();
        timeouts.finish();

        let server_tls = tls::servers(file.section("server_tls"), &mut tls_files);
        let server_compression = compression::servers(file.section("server_compression"));

        let failover = failover(file.section("failover"));
        let reload_on_change = only(file.section("reload"), "on_change", true);
        let admin = Admin::read(file.section("admin"), &mut tls_files);
        let log = log(file.section("log"));
        let tracing = Tracing::read(file.section("tracing"));
        file.finish();

        Some(Self {
            listen: address,
            socket,
            threads: threads.max(1),
            proxy_networks,
            client_tls,
            client_compression,
            servers: servers.into_iter().collect::<Option<_>>()?,
            monitor: monitor?,
            routing,
            ejection,
            rules: rules.into_iter().collect::<Option<_>>()?,
            users: users.into_iter().collect::<Option<_>>()?,
            firewall,
            remembered_login: is_passthrough.then_some(remembered_login),
            limits: client_limits,
            pool_limits,
            digest_cache,
            learned_digests,
            connect_timeout,
            lease_timeout,
            server_idle,
            server_tls: server_tls?,
            server_compression,
            failover: failover?,
            admin,
            server_version,
            security,
            reload_on_change,
            tls_files: tls_files.paths,
            certificates: tls_files.certificates,
            log,
            tracing,
            settings: Vec::new(),
        })
    }
}

fn socket(listen: &mut Section<'_>) -> Option<frontend::SocketPath> {
    let path = listen.optional("socket", None);
    let mode = listen.optional("socket_mode", FileMode(0o777)).0;
    path.map(|path| frontend::SocketPath { path, mode })
}

/// The value of a section's only key.
fn only<T: serde::de::DeserializeOwned + serde::Serialize>(mut section: Section<'_>, key: &'static str, default: T) -> T {
    let value = section.optional(key, default);
    section.finish();
    value
}

/// What happens to a client that may not connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
enum Rejection {
    Close,
    Error,
}

fn firewall(mut section: Section<'_>) -> frontend::Firewall {
    let firewall = frontend::Firewall {
        allow: list::networks(&mut section, "allow"),
        deny: list::networks(&mut section, "deny"),
        tells: section.optional("rejection", Rejection::Close) == Rejection::Error,
    };
    section.finish();
    firewall
}

fn log(mut section: Section<'_>) -> Log {
    let log = Log {
        level: section.optional("level", Level::default()),
        format: section.optional("format", LogFormat::Human),
        slow_statement: section.optional("slow_statement", Period(Duration::ZERO)).0,
        certificate_expiry: section.optional("certificate_expiry", Period(Duration::from_hours(14 * 24))).0,
    };
    section.finish();
    log
}

/// Drivers read two numbers from it, and the greeting ends it with a NUL.
fn is_server_version(text: &str) -> bool {
    topology::Version::parse(text).is_some() && text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn server(id: ServerId, mut section: Section<'_>) -> Option<Server> {
    let name = section.required::<String>("name");
    let address = section.required::<Address>("address");
    let share = Share {
        weight: section.optional("weight", Share::default().weight),
        state: section.optional("state", State(ServerState::Active)).0,
    };
    let connections_max = section.bound("server_connections");
    let replication = section.optional("replication_address", address.clone());
    let default = failover::Member::default();
    let candidate = failover::Member {
        priority: section.optional("priority", default.priority),
        never_promote: section.optional("never_promote", default.never_promote),
    };
    section.finish();
    let target = address?.0;
    let replication = replication.map_or_else(|| target.clone(), |address| address.0);
    Some(Server { id, name: name?, target, share, connections_max, replication, candidate })
}

fn monitor(mut section: Section<'_>) -> Option<Monitor> {
    let user = section.required::<String>("user");
    let password = section.secret("password");
    let mut period = |key, default| section.optional(key, Period(Duration::from_millis(default))).0;
    let interval = period("interval", 250);
    let position_interval = period("position_interval", 50);
    let connect_timeout = period("connect_timeout", 2000);
    let query_timeout = period("query_timeout", 1000);
    let silence = period("silence", 500);
    let catalogue_interval = period("catalogue_interval", 60_000);
    let catalogue_timeout = period("catalogue_timeout", 30_000);
    let failures = section.optional("failures", 3);
    section.finish();
    let account = Account { user: user?.into_bytes(), password: password?.into_bytes() };
    Some(Monitor {
        account,
        interval,
        position_interval,
        connect_timeout,
        query_timeout,
        silence,
        failures,
        catalogue_interval,
        catalogue_timeout,
    })
}

fn failover(mut section: Section<'_>) -> Option<Failover> {
    let durability = section.optional("durability", Durability::Auto);
    let mut period = |key, default| section.optional(key, Period(default)).0;
    let hang = period("hang", Duration::from_secs(3));
    let cooldown = period("cooldown", Duration::from_mins(5));
    let step_timeout = period("step_timeout", Duration::from_secs(5));
    let hook_timeout = period("hook_timeout", Duration::from_secs(5));
    let daily_max = section.optional("daily_max", 3);
    let user = section.optional::<Option<String>>("user", None);
    let account = match user {
        Some(user) => Some(Account { user: user.into_bytes(), password: section.secret("password")?.into_bytes() }),
        None => None,
    };
    let journal = section.optional("journal", None);
    let journal_size = section.optional("journal_size", Size(16 << 20)).0;
    let before = section.optional("before", Vec::new());
    let after = section.optional("after", Vec::new());
    section.finish();
    let journal_size = u64::try_from(journal_size).unwrap_or(u64::MAX);
    Some(Failover {
        durability,
        hang,
        cooldown,
        daily_max,
        step_timeout,
        account,
        journal,
        journal_size,
        before,
        after,
        hook_timeout,
    })
}

/// What clients may use, and for how long.
fn client_limits(limits: &mut Section<'_>, timeouts: &mut Section<'_>) -> frontend::Limits {
    let default = frontend::Limits::default();
    let limits_of_clients = read_client_limits(limits, timeouts, &default);
    if limits_of_clients.failed_login_delay_max >= limits_of_clients.handshake {
        timeouts
            .complain("failed_login_delay_max must be shorter than handshake, or clients would be disconnected while they wait");
    }
    if limits_of_clients.failed_login_delay > limits_of_clients.failed_login_delay_max {
        timeouts.complain("failed_login_delay must not be longer than failed_login_delay_max");
    }
    limits_of_clients
}

fn read_client_limits(limits: &mut Section<'_>, timeouts: &mut Section<'_>, default: &frontend::Limits) -> frontend::Limits {
    let mut period = |key, default| timeouts.optional(key, Period(default)).0;
    let handshake = period("handshake", default.handshake);
    let failed_login_delay_max = period("failed_login_delay_max", default.failed_login_delay_max.min(handshake / 2));
    let failed_login_delay = period("failed_login_delay", default.failed_login_delay.min(failed_login_delay_max));
    frontend::Limits {
        client_connections: limits.positive("client_connections", default.client_connections),
        logins: limits.positive("logins", default.logins),
        address_connections: limits.positive("address_connections", default.address_connections),
        failed_logins: limits.optional("failed_logins", default.failed_logins),
        remembered_logins: limits.positive("remembered_logins", default.remembered_logins),
        accepted_login: period("accepted_login", default.accepted_login),
        accepted_logins: limits.optional("accepted_logins", default.accepted_logins),
        max_packet: limits.optional("max_packet", Size(default.max_packet)).0,
        local_infile: limits.optional("local_infile", Size(default.local_infile)).0,
        prepared_statements: limits.positive("prepared_statements", default.prepared_statements),
        prepared_statement_bytes: limits.optional("prepared_statement_bytes", Size(default.prepared_statement_bytes)).0,
        held_statements: limits.optional("held_statements", default.held_statements),
        held_bytes: limits.optional("held_bytes", Size(default.held_bytes)).0,
        digest_statistics: limits.optional("digest_statistics", default.digest_statistics),
        handshake,
        failed_login_delay,
        failed_login_delay_max,
        client_idle: period("client_idle", default.client_idle),
        session_idle: period("session_idle", default.session_idle),
        client_write: period("client_write", default.client_write),
        drain: period("drain", default.drain),
        upgrade: period("upgrade", default.upgrade),
    }
}

/// What is to be kept ready for all users together must have room.
fn pool_limits<'u>(limits: &mut Section<'_>, users: impl Iterator<Item = &'u PooledAccount>) -> PoolLimits {
    let server_connections = limits.positive("server_connections", 200);
    let idle_server_connections = limits.positive("idle_server_connections", server_connections);
    let waiting = limits.optional("waiting", 10_000);
    let warm = users.map(|user| user.warm_server_connections).fold(0, usize::saturating_add);
    for (key, limit) in [("server_connections", server_connections), ("idle_server_connections", idle_server_connections)] {
        if warm > limit {
            limits.complain(&format!("warm_server_connections of all [[users]] together is {warm}, more than {key} allows"));
        }
    }
    PoolLimits { server_connections, idle_server_connections, waiting }
}

fn duplicates(file: &Section<'_>, list: &str, names: impl Iterator<Item = String>) {
    let mut seen = std::collections::HashSet::new();
    for name in names {
        if seen.contains(&name) {
            file.complain(&format!("two [[{list}]] have the name {name:?}"));
        }
        seen.insert(name);
    }
}

#[cfg(test)]
mod tests;
