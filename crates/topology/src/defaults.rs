//! What a session starts with on a server, before it has set anything.

use std::time::Duration;

/// Global variables that a new session inherits, or that limit it. All of them can change while the server runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionDefaults {
    /// The id of `@@global.collation_server`. A server's greeting shows what this was when the server started, and goes on showing that after `SET
    /// GLOBAL`, on both engines. The greeting has one byte for it: for a greater id MySQL shows the low byte, MariaDB the default collation of the
    /// same character set.
    pub collation: u16,
    /// `@@global.autocommit`
    pub autocommit: bool,
    /// `@@global.max_connections`
    pub max_connections: u32,
    /// `@@global.init_connect` is not empty: the server runs SQL at the login of every account that is not an administrator's.
    pub has_init_connect: bool,
    /// `@@global.disconnect_on_expired_password`: an account whose password has expired is not let in, unless the client can handle that.
    pub refuses_expired_passwords: bool,
    /// `@@global.wait_timeout`: a session that is idle for this long is closed.
    pub wait_timeout: Duration,
    /// `@@global.interactive_timeout`: the same for clients with `CLIENT_INTERACTIVE`.
    pub interactive_timeout: Duration,
}
