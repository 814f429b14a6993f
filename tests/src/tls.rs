//! Certificates for tests.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use mysql_async::{ClientIdentity, SslOpts};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use crate::unique;

/// An authority of this test's own.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate, as PEM.
    pub pem: String,
}

/// A certificate and its key, as PEM.
#[derive(Debug, Clone)]
pub struct Signed {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Authority {
    /// A new one.
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, unique("authority"));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate of it for this name or address.
    pub fn sign(&self, name: &str) -> Signed {
        self.sign_with(&CertificateParams::new([name.to_owned()]).expect("a name"))
    }

    /// The same, for no longer than this.
    pub fn sign_for(&self, name: &str, time: Duration) -> Signed {
        let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
        params.not_after = (SystemTime::now() + time).into();
        self.sign_with(&params)
    }

    fn sign_with(&self, params: &CertificateParams) -> Signed {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Signed { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// How the driver is told to believe nobody else.
    pub fn believed(&self) -> SslOpts {
        SslOpts::default().with_disable_built_in_roots(true).with_root_certs(vec![self.pem.clone().into_bytes().into()])
    }
}

impl Signed {
    /// How the driver is told to show it.
    pub fn identity(&self) -> ClientIdentity {
        ClientIdentity::new(self.certificate.clone().into_bytes().into(), self.key.clone().into_bytes().into())
    }
}

/// How the driver is told to believe everybody.
pub fn believing() -> SslOpts {
    SslOpts::default().with_danger_accept_invalid_certs(true)
}

/// A file of this test's own, which goes with it.
#[derive(Debug)]
pub struct TestFile(PathBuf);

impl TestFile {
    /// With this text in it.
    pub fn new(text: &str) -> Self {
        let file = Self(std::env::temp_dir().join(format!("pointsman-e2e-{}", unique("pem"))));
        file.write(text);
        file
    }

    /// With another text in it.
    pub fn write(&self, text: &str) {
        std::fs::write(&self.0, text).expect("a file of this test's own");
    }

    /// Where it is.
    pub fn path(&self) -> String {
        self.0.display().to_string()
    }

    /// As TOML has it.
    pub fn toml(&self) -> String {
        format!("'{}'", self.0.display())
    }
}

impl Drop for TestFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
