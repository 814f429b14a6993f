//! Whether clients may, or must, encrypt their connections.

use net::TlsAcceptor;

/// Whether clients are offered TLS, and whether all of them have to use it. [`crate::AccountTerms`] says which accounts have to.
#[derive(Debug, Clone, Default)]
pub enum ClientTls {
    /// No client can use TLS.
    #[default]
    Off,
    /// Clients may use TLS.
    Offered(TlsAcceptor),
    /// A client without TLS is refused before it sends its user name.
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
