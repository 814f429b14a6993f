//! TLS: the keys of `[listen]`, the one of `[[users]]`, and `[server_tls]`. Files are read here, so that a bad one is a mistake like any other.

use std::path::PathBuf;
use std::sync::OnceLock;

use ::admin::Certificate;
use backend::ServerTls;
use frontend::ClientTls;
use monitor::TlsMode;
use net::{Authorities, ClientCertificates, Identity, TlsAcceptor, TlsConnector, TlsError, Trust};
use zeroize::Zeroizing;

use super::reader::Section;

/// The name in the certificate that is made where none is given.
const OWN_NAME: &str = "pointsman-self-signed";

/// The keys of a certificate that is shown to clients, and of its key.
const OWN_KEYS: &str = "tls_certificate, tls_key";

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// All files, to be watched.
    pub(super) paths: Vec<PathBuf>,
    /// Until when our own certificates count.
    pub(super) certificates: Vec<Certificate>,
}

/// Whether clients may, or must, encrypt their connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
enum Offer {
    Off,
    Auto,
    Required,
}

/// Whether they show certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
enum Shown {
    Off,
    Optional,
    Required,
}

/// Whether a user has to use TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
enum Demand {
    Optional,
    Required,
}

/// The keys of `[listen]`.
pub(super) fn clients(section: &mut Section<'_>, files: &mut Files) -> ClientTls {
    let offer = section.optional("tls", Offer::Auto);
    let own = pair(section, "tls_certificate", "tls_key", files);
    let certificates = client_certificates(section, offer, files);
    let acceptor = match &own {
        None => self_signed().as_ref().map_err(Clone::clone).and_then(|own| TlsAcceptor::new(own, certificates)),
        Some(files) => files.identity().and_then(|own| TlsAcceptor::new(&own, certificates)),
    };
    match (offer, acceptor) {
        (_, Err(error)) => {
            section.complain(&format!("{}: {error}", names(own.as_ref(), OWN_KEYS)));
            ClientTls::Off
        }
        (Offer::Off, Ok(_)) => ClientTls::Off,
        (Offer::Auto, Ok(acceptor)) => ClientTls::Offered(acceptor),
        (Offer::Required, Ok(acceptor)) => ClientTls::Required(acceptor),
    }
}

/// Whether the admin addresses are encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
enum Encryption {
    Off,
    Required,
}

/// The keys of `[admin]`.
pub(super) fn admin(section: &mut Section<'_>, files: &mut Files) -> Option<::admin::AdminTls> {
    let encryption = section.optional("tls", Encryption::Off);
    let own = pair(section, "tls_certificate", "tls_key", files);
    let path = section.optional::<Option<PathBuf>>("tls_client_ca", None);
    if encryption == Encryption::Off {
        if own.is_some() || path.is_some() {
            section.complain("tls_certificate and tls_client_ca need tls = \"required\"");
        }
        return None;
    }
    let clients = match path {
        None => ClientCertificates::Off,
        Some(path) => ClientCertificates::Required(authorities(section, "tls_client_ca", path, files)?),
    };
    let demands_certificates = matches!(clients, ClientCertificates::Required(_));
    let acceptor = match &own {
        None => self_signed().as_ref().map_err(Clone::clone).and_then(|own| TlsAcceptor::new(own, clients)),
        Some(files) => files.identity().and_then(|own| TlsAcceptor::new(&own, clients)),
    };
    let complain = |error: TlsError| section.complain(&format!("{}: {error}", names(own.as_ref(), OWN_KEYS)));
    let acceptor = acceptor.map_err(complain).ok()?;
    Some(::admin::AdminTls::new(acceptor, demands_certificates))
}

fn client_certificates(section: &mut Section<'_>, offer: Offer, files: &mut Files) -> ClientCertificates {
    let shown = section.optional("tls_client_certificates", Shown::Off);
    let path = section.optional::<Option<PathBuf>>("tls_client_ca", None);
    if shown == Shown::Required && offer != Offer::Required {
        section.complain("tls_client_certificates = \"required\" needs tls = \"required\": a client without TLS shows none");
    }
    match (shown, path) {
        (Shown::Off, None) => {}
        (Shown::Off, Some(_)) => section.complain("tls_client_ca needs tls_client_certificates = \"optional\" or \"required\""),
        (_, None) => section.complain("tls_client_certificates needs tls_client_ca: the authorities to trust"),
        (shown, Some(path)) => match authorities(section, "tls_client_ca", path, files) {
            Some(authorities) if shown == Shown::Required => return ClientCertificates::Required(authorities),
            Some(authorities) => return ClientCertificates::Optional(authorities),
            None => {}
        },
    }
    ClientCertificates::Off
}

/// Whether this user must log in over TLS.
pub(super) fn is_demanded_by(user: &mut Section<'_>, clients: &ClientTls) -> bool {
    let is_demanded = user.optional("tls", Demand::Optional) == Demand::Required;
    if is_demanded && matches!(clients, ClientTls::Off) {
        user.complain("tls = \"required\" while clients are not offered TLS (listen.tls): this user could never log in");
    }
    is_demanded
}

/// Made once, so that clients see the same one after a reload.
fn self_signed() -> &'static Result<Identity, TlsError> {
    static MADE: OnceLock<Result<Identity, TlsError>> = OnceLock::new();
    MADE.get_or_init(|| Identity::self_signed(OWN_NAME))
}

/// A certificate and its key, as their files have them.
struct Pair {
    certificate: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
    /// The keys of the configuration, and their files.
    names: String,
}

impl Pair {
    fn identity(&self) -> Result<Identity, TlsError> {
        Identity::from_pem(&self.certificate, &self.key)
    }
}

/// What a mistake in these files is told with.
fn names<'a>(own: Option<&'a Pair>, keys: &'a str) -> &'a str {
    own.map_or(keys, |pair| &pair.names)
}

/// Both or none.
fn pair(section: &mut Section<'_>, certificate: &'static str, key: &'static str, files: &mut Files) -> Option<Pair> {
    let certificate_path = section.optional::<Option<PathBuf>>(certificate, None);
    let key_path = section.optional::<Option<PathBuf>>(key, None);
    match (certificate_path, key_path) {
        (None, None) => None,
        (Some(certificate_path), Some(key_path)) => {
            let names = format!("{certificate}, {key}: {} and {}", certificate_path.display(), key_path.display());
            let path = certificate_path.clone();
            let (chain, own) = (read(section, certificate, certificate_path, files), read(section, key, key_path, files));
            let pair = Pair { certificate: chain?, key: Zeroizing::new(own?), names };
            let key = section.full_name(certificate);
            files.certificates.extend(net::expires_at(&pair.certificate).map(|expires| Certificate { key, path, expires }));
            Some(pair)
        }
        _ => {
            section.complain(&format!("give both of {certificate} and {key}, or none"));
            None
        }
    }
}

fn authorities(section: &Section<'_>, key: &'static str, path: PathBuf, files: &mut Files) -> Option<Authorities> {
    let shown = path.display().to_string();
    let authorities = Authorities::from_pem(&read(section, key, path, files)?);
    authorities.map_err(|error| section.complain(&format!("{key}: {shown}: {error}"))).ok()
}

fn read(section: &Section<'_>, key: &'static str, path: PathBuf, files: &mut Files) -> Option<Vec<u8>> {
    let bytes =
        std::fs::read(&path).map_err(|error| section.complain(&format!("{key}: {} cannot be read: {error}", path.display())));
    files.paths.push(path);
    let mut bytes = bytes.ok()?;
    // PEM files that MySQL creates end in a NUL. If two were joined, the second would not be found.
    bytes.retain(|byte| *byte != 0);
    Some(bytes)
}

/// How connections to servers are encrypted: those of sessions, and those of the monitor, which another library opens.
#[derive(Debug, Clone)]
pub(crate) struct Servers {
    pub(crate) sessions: ServerTls,
    pub(crate) monitor: monitor::ServerTls,
}

impl Servers {
    /// Keeps the former settings, and so the connections opened under them, if nothing has changed.
    pub(crate) fn following(&mut self, before: &Self) {
        if self.monitor == before.monitor {
            self.sessions = before.sessions.clone();
        }
    }
}

/// What TLS has to prove about servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    Off,
    Preferred,
    Required,
    VerifyCa,
    VerifyIdentity,
}

impl From<Mode> for TlsMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Off => Self::Off,
            Mode::Preferred => Self::Preferred,
            Mode::Required => Self::Required,
            Mode::VerifyCa => Self::VerifyCa,
            Mode::VerifyIdentity => Self::VerifyIdentity,
        }
    }
}

/// `[server_tls]`
pub(super) fn servers(mut section: Section<'_>, files: &mut Files) -> Option<Servers> {
    let mode = section.optional("mode", Mode::Off);
    let ca = section.optional::<Option<PathBuf>>("ca", None);
    let own = pair(&mut section, "certificate", "key", files);
    let verifies = matches!(mode, Mode::VerifyCa | Mode::VerifyIdentity);
    match (&ca, verifies) {
        (None, true) => section.complain("this mode needs ca: the authorities to trust"),
        (Some(_), false) => section.complain("ca counts only with mode = \"verify_ca\" or \"verify_identity\""),
        _ => {}
    }
    let authorities = ca.and_then(|path| Some((path.clone(), read(&section, "ca", path, files)?)));
    let believed = authorities.as_ref().and_then(|(path, pem)| {
        let believed = Authorities::from_pem(pem);
        believed.map_err(|error| section.complain(&format!("ca: {}: {error}", path.display()))).ok()
    });
    let trust = match (mode, believed) {
        (Mode::VerifyCa, Some(authorities)) => Trust::Signed(authorities),
        (Mode::VerifyIdentity, Some(authorities)) => Trust::SignedForName(authorities),
        _ => Trust::Anybody,
    };
    let identity = own.as_ref().map(Pair::identity).transpose();
    let connector = identity.and_then(|identity| TlsConnector::new(trust, identity.as_ref()));
    let complain = |error: TlsError| section.complain(&format!("{}: {error}", names(own.as_ref(), "certificate, key")));
    let connector = connector.map_err(complain).ok();
    section.finish();
    let connector = connector?;
    let sessions = match mode {
        Mode::Off => ServerTls::OFF,
        Mode::Preferred => ServerTls::preferred(connector),
        Mode::Required | Mode::VerifyCa | Mode::VerifyIdentity => ServerTls::demanded(connector),
    };
    let identity = own.map(|files| (files.certificate, files.key));
    let authorities = authorities.map(|(_, pem)| pem);
    Some(Servers { sessions, monitor: monitor::ServerTls { mode: mode.into(), authorities, identity } })
}
