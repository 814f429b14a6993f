//! What can go wrong with a server connection, by whose fault it is.

use std::io;
use std::time::Duration;

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
    /// The server broke the protocol or lacks what Pointsman needs.
    #[error("{address} cannot be used: {what}")]
    ServerMisbehaved {
        /// `host:port`.
        address: String,
        /// What it did.
        what: String,
    },
    /// All connections that the configuration allows to this server are in use.
    #[error("all {limit} connections to {address} are in use, and none became free within {waited:?}")]
    Exhausted {
        /// `host:port`.
        address: String,
        /// `limits.server_connections` of the configuration.
        limit: usize,
        /// `timeouts.lease` of the configuration.
        waited: Duration,
    },
}

/// Why a connection that was in use, to a server or from a client, has ended.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// It broke.
    #[error("the connection was lost: {0}")]
    Lost(#[from] io::Error),
    /// The peer closed it.
    #[error("the peer closed the connection")]
    Closed,
    /// The peer broke the protocol.
    #[error("the peer broke the protocol: {0}")]
    Malformed(#[from] wire::Malformed),
    /// The peer sent a packet longer than is allowed here.
    #[error("the peer sent a packet that is too large here")]
    TooLarge,
    /// The peer's packets are not numbered as the protocol wants it.
    #[error("the peer sent packets out of order")]
    OutOfOrder,
    /// The peer took too long for a step that has a limit.
    #[error("the peer did not answer within {0:?}")]
    Timeout(Duration),
}
