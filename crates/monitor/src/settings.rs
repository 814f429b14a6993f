//! The monitor's settings.

use std::fmt;
use std::time::Duration;

use topology::{ServerId, Share};

use crate::tls::ServerTls;

/// A server to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MonitoredServer {
    /// Its number, which always means the same server.
    pub id: ServerId,
    /// Its name in the config, in logs and in metrics.
    pub name: String,
    /// Host name or IP address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Where the other servers reach it, to replicate from it.
    pub replication: Address,
    /// Its share of the traffic, until a person changes it.
    pub share: Share,
}

impl MonitoredServer {
    /// `host:port`, with brackets around an IPv6 address.
    pub fn address(&self) -> String {
        host_and_port(&self.host, self.port)
    }
}

fn host_and_port(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Where a server is for the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Host name or IP address.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// As a replica names it in its status.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&host_and_port(&self.host, self.port))
    }
}

/// The account by which replicas log in to their source.
#[derive(Clone, PartialEq, Eq)]
pub struct ReplicationAccount {
    /// Its name.
    pub user: String,
    /// Its password.
    pub password: String,
}

/// Shows everything but the password.
impl fmt::Debug for ReplicationAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplicationAccount").field("user", &self.user).finish_non_exhaustive()
    }
}

/// The settings for replacing a primary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailoverSettings {
    /// When and how.
    pub policy: failover::Policy,
    /// For servers that do not replicate yet.
    pub account: Option<ReplicationAccount>,
    /// One step on one server is given up after this time.
    pub step_timeout: Duration,
}

/// Which servers to look at, with which account, and how often.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// All servers.
    pub servers: Vec<MonitoredServer>,
    /// The account of the monitor, the same on every server. For what it needs see the README; [`check_accounts`](crate::check_accounts)
    /// tries it.
    pub user: String,
    /// Its password.
    pub password: String,
    /// How connections are encrypted.
    pub tls: ServerTls,
    /// Time between two full looks at a server.
    pub interval: Duration,
    /// Time between two looks at a server's position: it determines the resolution of staleness, and the load (one tiny query per server).
    pub position_interval: Duration,
    /// For connecting and logging in.
    pub connect_timeout: Duration,
    /// If neither a look nor a new connection is answered, each such period counts as a failed look.
    pub query_timeout: Duration,
    /// A server without any answer for this long is published as silent, although it is still up.
    pub silence: Duration,
    /// This many looks in a row must fail before a server is down, unless it is plainly gone.
    pub failures: u32,
    /// Time between two readings of the definitions of functions and views, when no connection is seen to change them.
    pub catalogue_interval: Duration,
    /// For reading all of them.
    pub catalogue_timeout: Duration,
}

impl Settings {
    /// The defaults for these servers, numbered in this order, and this account.
    pub fn new(servers: Vec<MonitoredServer>, user: impl Into<String>, password: impl Into<String>) -> Settings {
        let numbered = (0..).map(ServerId).zip(servers).map(|(id, target)| MonitoredServer { id, ..target });
        Settings {
            servers: numbered.collect(),
            user: user.into(),
            password: password.into(),
            tls: ServerTls::default(),
            interval: Duration::from_millis(250),
            position_interval: Duration::from_millis(50),
            connect_timeout: Duration::from_secs(1),
            query_timeout: Duration::from_secs(1),
            silence: Duration::from_millis(500),
            failures: 3,
            catalogue_interval: Duration::from_mins(1),
            catalogue_timeout: Duration::from_secs(30),
        }
    }

    /// The same for all servers.
    pub(crate) fn common(&self) -> Settings {
        Settings { servers: Vec::new(), ..self.clone() }
    }
}

/// Shows everything but the password.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("servers", &self.servers)
            .field("user", &self.user)
            .field("tls", &self.tls)
            .field("interval", &self.interval)
            .field("position_interval", &self.position_interval)
            .field("connect_timeout", &self.connect_timeout)
            .field("query_timeout", &self.query_timeout)
            .field("silence", &self.silence)
            .field("failures", &self.failures)
            .field("catalogue_interval", &self.catalogue_interval)
            .field("catalogue_timeout", &self.catalogue_timeout)
            .finish_non_exhaustive()
    }
}
