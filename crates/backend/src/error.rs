//! What can go wrong with a server connection, by fault.

use std::io;
use std::time::Duration;

use net::LinkError;
use wire::ErrOwned;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The server cannot be reached.
    #[error("cannot connect to {address}: {error}")]
    Unreachable {
        /// `host:port`.
        address: String,
        /// What the system says.
        error: io::Error,
    },
    /// Connecting and logging in took too long.
    #[error("{address} did not complete the login within {limit:?}")]
    Timeout {
        /// `host:port`.
        address: String,
        /// `timeouts.connect` of the configuration.
        limit: Duration,
    },
    /// The server refused, and said why.
    #[error("{address} refused the login: {} ({})", String::from_utf8_lossy(&error.message), error.code)]
    Refused {
        /// `host:port`.
        address: String,
        /// The server's own error packet.
        error: ErrOwned,
    },
    /// A reload has taken the server off the list.
    #[error("the server is no longer in the configuration")]
    NotConfigured,
    /// The server broke the protocol or lacks what Pointsman needs.
    #[error("{address} cannot be used: {what}")]
    ServerMisbehaved {
        /// `host:port`.
        address: String,
        /// What it did.
        what: String,
    },
    /// The server cannot encrypt, and there is to be no connection in clear.
    #[error("{address} offers no TLS, and server_tls.mode does not allow a connection in clear")]
    NotEncrypted {
        /// `host:port`.
        address: String,
    },
    /// TLS could not be agreed on, or the server's certificate is not believed.
    #[error("no encrypted connection to {address}: {error} (server_tls)")]
    Tls {
        /// `host:port`.
        address: String,
        /// What is wrong.
        error: LinkError,
    },
    /// The server wants the password itself, over a connection that others may read and tamper with.
    #[error(
        "{address} asks for the whole password of user {user}, to be encrypted with a key that it says is its own; over a connection without TLS \
         whoever stands in between could say so, too; use TLS (server_tls), or, if the network can be trusted, set \
         security.public_key_retrieval = true"
    )]
    KeyNotTrusted {
        /// `host:port`.
        address: String,
        /// The account.
        user: String,
    },
    /// The server wants a proof that Pointsman cannot give. MySQL asks so at random, too, for accounts that do not exist (`acl_authenticate`, its
    /// "decoy user"), so that it does not reveal them.
    #[error(
        "{address} wants the authentication plugin {plugin} for user {user}, which Pointsman does not speak, or there is no such account"
    )]
    UnsupportedPlugin {
        /// `host:port`.
        address: String,
        /// The account.
        user: String,
        /// The plugin's name.
        plugin: String,
    },
    /// There is no room for one more connection to this server, and none becomes free in time.
    #[error("{}", shortage.told(address))]
    Exhausted {
        /// `host:port`.
        address: String,
        /// Which bound is reached.
        shortage: Shortage,
    },
}

/// The bound of the configuration that keeps a statement from getting a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shortage {
    /// All connections to the server are in use.
    Server {
        /// `limits.server_connections`, the server's own bound, or what the server itself lets in.
        limit: usize,
        /// `timeouts.lease`.
        waited: Duration,
    },
    /// All connections of the account to the server are in use.
    Account {
        /// The user's name.
        user: String,
        /// `server_connections` of its `[[users]]` entry.
        limit: usize,
        /// `timeouts.lease`.
        waited: Duration,
    },
    /// So many wait that one more may not. It has not waited.
    QueueFull {
        /// `limits.waiting`.
        limit: usize,
    },
}

impl Shortage {
    fn told(&self, address: &str) -> String {
        match self {
            Self::Server { limit, waited } => format!(
                "all {limit} connections to {address} are in use, and none became free within {waited:?} (limits.server_connections, \
                 timeouts.lease)"
            ),
            Self::Account { user, limit, waited } => format!(
                "all {limit} connections of user {user} to {address} are in use, and none became free within {waited:?} (server_connections of \
                 its [[users]] entry, timeouts.lease)"
            ),
            Self::QueueFull { limit } => {
                format!("{limit} statements wait already for a connection to {address} (limits.waiting)")
            }
        }
    }
}
