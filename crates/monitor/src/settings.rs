//! What the monitor is told.

use std::fmt;
use std::time::Duration;

/// A server to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its name in the config, in logs and in metrics.
    pub name: String,
    /// Host name or IP address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Its share of the reads, relative to those of the others.
    pub weight: u32,
}

impl Target {
    /// `host:port`, with brackets around an IPv6 address.
    pub fn address(&self) -> String {
        if self.host.contains(':') { format!("[{}]:{}", self.host, self.port) } else { format!("{}:{}", self.host, self.port) }
    }
}

/// Whom to look at, as whom, and how often.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// All servers. Their order gives them their [`topology::ServerId`].
    pub servers: Vec<Target>,
    /// The account of the monitor, the same on every server. For what it needs see the README; looking alone takes
    /// `REPLICATION CLIENT` on MySQL and `REPLICA MONITOR` on MariaDB.
    pub user: String,
    /// Its password.
    pub password: String,
    /// Time between two full looks at a server.
    pub interval: Duration,
    /// Time between two looks at a server's position: with it comes the resolution of staleness, and the load (one tiny query per server).
    pub position_interval: Duration,
    /// For connecting and logging in.
    pub connect_timeout: Duration,
    /// For the answer to one query.
    pub query_timeout: Duration,
    /// So many looks in a row must fail before a server is down, unless it is plainly gone.
    pub failures: u32,
    /// Time between two readings of the definitions of functions and views, when no session is seen to change them.
    pub catalogue_interval: Duration,
    /// For reading all of them.
    pub catalogue_timeout: Duration,
}

impl Settings {
    /// The defaults, for these servers and this account.
    pub fn new(servers: Vec<Target>, user: impl Into<String>, password: impl Into<String>) -> Settings {
        Settings {
            servers,
            user: user.into(),
            password: password.into(),
            interval: Duration::from_millis(250),
            position_interval: Duration::from_millis(50),
            connect_timeout: Duration::from_secs(1),
            query_timeout: Duration::from_secs(1),
            failures: 3,
            catalogue_interval: Duration::from_mins(1),
            catalogue_timeout: Duration::from_secs(30),
        }
    }
}

/// Says everything but the password.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("servers", &self.servers)
            .field("user", &self.user)
            .field("interval", &self.interval)
            .field("position_interval", &self.position_interval)
            .field("connect_timeout", &self.connect_timeout)
            .field("query_timeout", &self.query_timeout)
            .field("failures", &self.failures)
            .field("catalogue_interval", &self.catalogue_interval)
            .field("catalogue_timeout", &self.catalogue_timeout)
            .finish_non_exhaustive()
    }
}
