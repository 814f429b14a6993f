//! TLS on a link: our identity, the peers that we trust, and how a connection becomes encrypted.
//!
//! One provider of cryptography (aws-lc-rs), TLS 1.2 and 1.3. The caller reads the files: everything here comes as PEM. The stream drives
//! rustls itself, instead of through `tokio-rustls`, whose stream keeps decrypted bytes to itself and cannot say whether it has any.

mod expiry;
mod stream;
mod verify;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::Zeroize;

pub use self::expiry::expires_at;
pub(crate) use self::stream::TlsStream;
use self::verify::{AnyName, Anybody};

/// Servers whose sessions one [`TlsConnector`] remembers: it is made for one.
const SESSIONS: usize = 1;

/// Why a certificate, a key or an authority cannot be used. Says nothing of what is in a key.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TlsError {
    /// The file holds none, or what is no PEM.
    #[error("there is no certificate in PEM in it")]
    NoCertificate,
    /// The file holds none, or one that is encrypted.
    #[error("there is no private key in PEM in it, or it is encrypted with a passphrase")]
    NoKey,
    /// rustls does not take it.
    #[error("it cannot be used: {0}")]
    Unusable(rustls::Error),
    /// Nor this.
    #[error("it cannot be used: {0}")]
    NoVerifier(#[from] rustls::client::VerifierBuilderError),
    /// There is no certificate of our own making.
    #[error("cannot make a certificate: {0}")]
    NotMade(#[from] rcgen::Error),
}

impl From<rustls::Error> for TlsError {
    fn from(error: rustls::Error) -> Self {
        Self::Unusable(error)
    }
}

/// A certificate with those of its authorities, and its key.
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

/// Without the key.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({} certificates)", self.chain.len())
    }
}

impl Drop for Identity {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

impl Identity {
    /// From two PEM files: the certificate, followed by those that lead to its root; and its key.
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let chain = certificates(certificate)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| TlsError::NoKey)?;
        Ok(Self { chain, key })
    }

    /// A new self-signed certificate. It protects against eavesdropping, but proves no identity.
    pub fn self_signed(name: &str) -> Result<Self, TlsError> {
        let rcgen::CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed([name.to_owned()])?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
        Ok(Self { chain: vec![cert.der().clone()], key })
    }
}

/// Trusted authorities.
#[derive(Debug, Clone)]
pub struct Authorities(Arc<RootCertStore>);

impl Authorities {
    /// All certificates of a PEM file.
    pub fn from_pem(pem: &[u8]) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(pem)? {
            roots.add(certificate)?;
        }
        Ok(Self(Arc::new(roots)))
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    chain.ok().filter(|chain| !chain.is_empty()).ok_or(TlsError::NoCertificate)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(default_provider())
}

/// Whether clients show certificates.
#[derive(Debug, Clone)]
pub enum ClientCertificates {
    /// None is asked for.
    Off,
    /// One that is shown must be signed by one of these.
    Optional(Authorities),
    /// Without one there is no connection.
    Required(Authorities),
}

/// The server's side of TLS.
#[derive(Clone)]
pub struct TlsAcceptor {
    config: Arc<ServerConfig>,
    /// What clients are shown, DER.
    certificate: Arc<[u8]>,
}

/// Without what is in it.
impl fmt::Debug for TlsAcceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsAcceptor")
    }
}

impl TlsAcceptor {
    /// Uses this certificate. A returning client may resume its former session, which costs less than a new one.
    pub fn new(identity: &Identity, clients: ClientCertificates) -> Result<Self, TlsError> {
        let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
        let verifier = |Authorities(roots)| WebPkiClientVerifier::builder_with_provider(roots, provider());
        let builder = match clients {
            ClientCertificates::Off => builder.with_no_client_auth(),
            ClientCertificates::Optional(roots) => {
                builder.with_client_cert_verifier(verifier(roots).allow_unauthenticated().build()?)
            }
            ClientCertificates::Required(roots) => builder.with_client_cert_verifier(verifier(roots).build()?),
        };
        let mut config = builder.with_single_cert(identity.chain.clone(), identity.key.clone_key())?;
        config.ticketer = Ticketer::new()?;
        let certificate = identity.chain.first().ok_or(TlsError::NoCertificate)?;
        Ok(Self { config: Arc::new(config), certificate: certificate.as_ref().into() })
    }
}

/// Which servers are trusted.
#[derive(Debug, Clone)]
pub enum Trust {
    /// All. This protects against eavesdropping, but not against an active attacker that pretends to be the server.
    Anybody,
    /// Those with a certificate of these authorities, whatever name it is for.
    Signed(Authorities),
    /// Those with a certificate of these authorities for the name or the address that is connected to.
    SignedForName(Authorities),
}

/// The client's side of TLS.
#[derive(Clone)]
pub struct TlsConnector(Arc<ClientConfig>);

/// Without what is in it.
impl fmt::Debug for TlsConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsConnector")
    }
}

impl TlsConnector {
    /// Trusts the servers that `trust` names, and sends `identity` to a server that asks for a certificate.
    pub fn new(trust: Trust, identity: Option<&Identity>) -> Result<Self, TlsError> {
        let provider = provider();
        let builder =
            ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?.dangerous();
        let webpki = |Authorities(roots)| WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider)).build();
        let builder = match trust {
            Trust::Anybody => builder.with_custom_certificate_verifier(Arc::new(Anybody(Arc::clone(&provider)))),
            Trust::Signed(roots) => builder.with_custom_certificate_verifier(Arc::new(AnyName(webpki(roots)?))),
            Trust::SignedForName(roots) => builder.with_custom_certificate_verifier(webpki(roots)?),
        };
        let config = match identity {
            Some(identity) => builder.with_client_auth_cert(identity.chain.clone(), identity.key.clone_key())?,
            None => builder.with_no_client_auth(),
        };
        Ok(Self(Arc::new(config)).with_own_sessions())
    }

    /// The same for one more server. Sessions are remembered by name only, and two servers may be at different ports of one host.
    #[must_use]
    pub fn with_own_sessions(&self) -> Self {
        let mut config = (*self.0).clone();
        config.resumption = Resumption::in_memory_sessions(SESSIONS);
        Self(Arc::new(config))
    }
}
