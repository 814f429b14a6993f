//! What can go wrong with an open connection, to a server or from a client.

use std::io;
use std::time::Duration;

/// Why a connection in use has ended.
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
    /// The peer's packets do not have the sequence numbers that the protocol demands.
    #[error("the peer sent packets out of order")]
    OutOfOrder,
    /// A compressed frame is not what its header says.
    #[error("the peer sent a bad compressed packet: {0}")]
    BadFrame(&'static str),
    /// TLS cannot be agreed on, or what has come is not what the peer has encrypted.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// No certificate can be for such a name.
    #[error("TLS: {0:?} is neither a DNS name nor an address")]
    NoTlsName(String),
    /// There were bytes in clear where TLS was to begin: somebody in between may have put them there.
    #[error("the peer sent bytes in clear after TLS was agreed on")]
    ClearBeforeTls,
    /// The peer took too long for a step that has a limit.
    #[error("the peer did not answer within {0:?}")]
    Timeout(Duration),
}

impl LinkError {
    /// As an error of the stream, from which [`LinkError::of`] gets it back.
    pub(crate) fn into_io(self) -> io::Error {
        match self {
            Self::Lost(error) => error,
            other => io::Error::new(io::ErrorKind::InvalidData, other),
        }
    }

    /// What the peer has done wrong, if it was that by which the stream ended.
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}
