//! What the configuration says of sessions: published as a whole, and taken in by each session before its next statement.

use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use router::{Policy, Rule};
use wire::Plugin;

use crate::accounts::Accounts;
use crate::firewall::Firewall;
use crate::limits::Limits;
use crate::rate::RuleRates;
use crate::spans::SpanSampling;
use crate::tls::ClientTls;

/// How long a session keeps a server connection, as long as nothing of it lives there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Pooling {
    /// Until its statement or its transaction ends.
    #[default]
    Transaction,
    /// Until it ends, has been idle for a while, or another session waits for a connection.
    Session,
}

/// The algorithms that clients are offered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClientCompression {
    /// Zlib.
    pub zlib: bool,
    /// Zstandard; only to clients of MySQL.
    pub zstd: bool,
}

/// All of it. What a session is given at its login stays for as long as it lasts: how it keeps connections, and how long it may be idle.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Limits of the client side.
    pub limits: Limits,
    /// Routing.
    pub policy: Policy,
    /// What the configuration asks for beyond the policy; the first rule that matches a statement counts.
    pub rules: Arc<[Rule]>,
    /// How many statements may begin by those of them that have a limit.
    pub rule_rates: RuleRates,
    /// Who may log in. Sessions of an account that is no longer here go on.
    pub accounts: Accounts,
    /// Other accounts may log in, too, if a server lets them in. They are remembered for this long after their last login. `None`: no other account may.
    pub remembered_login: Option<Duration>,
    /// How long a session keeps a server connection.
    pub pooling: Pooling,
    /// The server version that clients are told; `None`: that of the servers.
    pub server_version: Option<Box<str>>,
    /// A statement that takes this long is logged. `None`: none is.
    pub slow_statement: Option<Duration>,
    /// Which statements are exported as spans. `None`: none are.
    pub spans: Option<SpanSampling>,
    /// `COM_REFRESH` and `COM_DEBUG` are passed on to the primary.
    pub admin_commands: bool,
    /// `COM_REGISTER_SLAVE`, `COM_BINLOG_DUMP` and `COM_BINLOG_DUMP_GTID` are passed on to the primary.
    pub binlog_commands: bool,
    /// From where clients may connect.
    pub firewall: Firewall,
    /// Load balancers: each connection from one of these networks begins with a PROXY header, which names the client.
    pub proxy_networks: Arc<[IpNet]>,
    /// The servers are told where each client is, by a PROXY header of Pointsman's own. Counts from a client's next login.
    pub server_proxy_protocol: bool,
    /// The plugin by which the greeting asks for a proof. `None`: that of a server of the servers' kind.
    pub default_auth_plugin: Option<Plugin>,
    /// Whether clients may encrypt their connections. What was agreed on at a login stays.
    pub tls: ClientTls,
    /// How clients may compress their connections.
    pub compression: ClientCompression,
}
