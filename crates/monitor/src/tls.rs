//! Whether the monitor's connections are encrypted, as the driver is to be told.

use std::fmt;

use mysql_async::{ClientIdentity, SslOpts};
use zeroize::Zeroizing;

/// How much TLS is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsMode {
    /// None.
    #[default]
    Off,
    /// Where the server offers it, whoever it is.
    Preferred,
    /// Always, whoever the server is.
    Required,
    /// Always, of a server with a certificate of the given authorities.
    VerifyCa,
    /// Always, of a server with such a certificate for the name or the address that is connected to.
    VerifyIdentity,
}

/// How connections are encrypted. Files as they are, in PEM.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ServerTls {
    /// How much is asked for.
    pub mode: TlsMode,
    /// The authorities, for the modes that verify.
    pub authorities: Option<Vec<u8>>,
    /// The certificate that is shown to servers that ask for one, and its key.
    pub identity: Option<(Vec<u8>, Zeroizing<Vec<u8>>)>,
}

/// Without the key.
impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").field("mode", &self.mode).finish_non_exhaustive()
    }
}

/// The driver lets a wrong name pass if the error has the word `NotValidForName` in it (`io/tls/rustls_io.rs`), which rustls has not said since 0.23.
/// It says for which name the certificate is not valid, though. webpki looks at the name only when it believes the chain, so nothing but a wrong name
/// can have this one in its error. Should that change, the server is not believed, which a test would show.
const NAME_THAT_MAY_BE_WRONG: &str = "NotValidForName";

impl ServerTls {
    /// There is no connection in clear.
    pub(crate) fn is_demanded(&self) -> bool {
        !matches!(self.mode, TlsMode::Off | TlsMode::Preferred)
    }

    /// What the driver is told; `None` for a connection in clear.
    pub(crate) fn options(&self) -> Option<SslOpts> {
        let options = match self.mode {
            TlsMode::Off => return None,
            // The driver wants some authority, even where none counts.
            TlsMode::Preferred | TlsMode::Required => SslOpts::default().with_danger_accept_invalid_certs(true),
            TlsMode::VerifyCa => self
                .verifying()
                .with_danger_skip_domain_validation(true)
                .with_danger_tls_hostname_override(Some(NAME_THAT_MAY_BE_WRONG)),
            TlsMode::VerifyIdentity => self.verifying(),
        };
        let identity = self.identity.as_ref().map(|(chain, key)| ClientIdentity::new(chain.clone().into(), key.to_vec().into()));
        Some(options.with_client_identity(identity))
    }

    fn verifying(&self) -> SslOpts {
        let authorities = self.authorities.iter().map(|pem| pem.clone().into()).collect();
        SslOpts::default().with_disable_built_in_roots(true).with_root_certs(authorities)
    }
}
