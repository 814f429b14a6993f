//! What a client may use, and for how long.

use std::time::Duration;

use crate::login::DelayPolicy;

/// Every limit of the client side. Sizes in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Client connections at once, over all workers. One more gets `ER_CON_COUNT_ERROR`.
    pub client_connections: usize,
    /// Clients that have connected and are not logged in yet. One more is disconnected with `ER_CON_COUNT_ERROR`.
    pub logins: usize,
    /// Connections of one address (of IPv6, one /64 network; on the Unix socket, one user). One more gets `ER_CON_COUNT_ERROR`.
    pub address_connections: usize,
    /// Failed logins of one address within a minute; one more gets `ER_HOST_IS_BLOCKED`. With 0, there may be any number.
    pub failed_logins: usize,
    /// How long a login waits after some that have failed. Each further one doubles it. Zero: none waits.
    pub failed_login_delay: Duration,
    /// How long it waits at most. Less than `handshake`, or clients would be disconnected instead.
    pub failed_login_delay_max: Duration,
    /// Accounts without an entry of the configuration that are remembered at once after their login, besides those that are in use.
    pub remembered_logins: usize,
    /// A login like one that a server has accepted within this time is let in without asking. Zero: a server is asked at every login.
    pub accepted_login: Duration,
    /// Logins that are remembered for that.
    pub accepted_logins: usize,
    /// From accept to the end of the login.
    pub handshake: Duration,
    /// Time between two commands. After that the connection is closed with `ER_CLIENT_INTERACTION_TIMEOUT`.
    pub client_idle: Duration,
    /// After so long without a command, a session gives back the server connections on which nothing of it lives.
    pub session_idle: Duration,
    /// While a client does not read what it asked for.
    pub client_write: Duration,
    /// One packet of a client. A longer one gets `ER_NET_PACKET_TOO_LARGE`.
    pub max_packet: usize,
    /// The file of one `LOAD DATA LOCAL`. A larger one gets `ER_NET_PACKET_TOO_LARGE`. With 0, clients are not offered to send any.
    pub local_infile: usize,
    /// Prepared statements of one session. One more gets `ER_MAX_PREPARED_STMT_COUNT_REACHED`.
    pub prepared_statements: usize,
    /// The texts of a session's prepared statements together.
    pub prepared_statement_bytes: usize,
    /// Statements that wait for a primary at once, over all sessions. One more gets `ER_OPTION_PREVENTS_STATEMENT`.
    pub held_statements: usize,
    /// Bytes of the statements that wait for a primary, together. More get `ER_OPTION_PREVENTS_STATEMENT`.
    pub held_bytes: usize,
    /// Lines of the statistics of digests, for each worker. 0: there are none.
    pub digest_statistics: usize,
    /// After a request to stop, open statements and transactions get this long.
    pub drain: Duration,
    /// Once another process accepts the clients, sessions may go on for this long.
    pub upgrade: Duration,
}

impl Limits {
    pub(crate) fn login_delay(&self) -> DelayPolicy {
        DelayPolicy { first: self.failed_login_delay, most: self.failed_login_delay_max }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            client_connections: 10_000,
            logins: 5000,
            address_connections: usize::MAX,
            failed_logins: 100,
            failed_login_delay: Duration::from_millis(250),
            failed_login_delay_max: Duration::from_secs(4),
            remembered_logins: 1000,
            accepted_login: Duration::from_secs(1),
            accepted_logins: 1000,
            handshake: Duration::from_secs(10),
            client_idle: Duration::from_hours(8),
            session_idle: Duration::from_secs(5),
            client_write: Duration::from_mins(1),
            max_packet: 64 * 1024 * 1024,
            local_infile: 1 << 30,
            prepared_statements: 16_382,
            prepared_statement_bytes: 16 * 1024 * 1024,
            held_statements: 10_000,
            held_bytes: 64 * 1024 * 1024,
            digest_statistics: 2000,
            drain: Duration::from_secs(30),
            upgrade: Duration::from_mins(10),
        }
    }
}
