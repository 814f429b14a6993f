//! Whether clients may, or must, encrypt their connections.

use net::TlsAcceptor;

/// What clients are offered, and what is asked of all of them. Who must, of those who may: [`crate::Accounts::demanding_tls`].
#[derive(Debug, Clone, Default)]
pub enum ClientTls {
    /// Nobody can.
    #[default]
    Off,
    /// Whoever wants to can.
    Offered(TlsAcceptor),
    /// Who does not is sent away before he is asked for a name.
    Required(TlsAcceptor),
}

impl ClientTls {
    pub(crate) fn acceptor(&self) -> Option<&TlsAcceptor> {
        match self {
            Self::Off => None,
            Self::Offered(acceptor) | Self::Required(acceptor) => Some(acceptor),
        }
    }

    pub(crate) fn is_required(&self) -> bool {
        matches!(self, Self::Required(_))
    }
}
