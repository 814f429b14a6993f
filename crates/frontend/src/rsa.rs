//! The RSA key with which a client without TLS may send its password (`caching_sha2_password`, full authentication).

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeySize, OAEP_SHA1_MGF1SHA1, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// A key pair of this process. Made at start and never stored.
#[derive(Debug)]
pub(crate) struct LoginKey {
    private: OaepPrivateDecryptingKey,
    public_pem: Vec<u8>,
}

/// The cryptographic library could not make a key.
#[derive(Debug, thiserror::Error)]
#[error("cannot make an RSA key for logins")]
pub(crate) struct NoKey;

impl LoginKey {
    /// A new 2048-bit key pair, as the servers make it.
    pub(crate) fn generate() -> Result<Self, NoKey> {
        let private = PrivateDecryptingKey::generate(KeySize::Rsa2048).map_err(|_| NoKey)?;
        let public: PublicKeyX509Der<'_> = private.public_key().as_der().map_err(|_| NoKey)?;
        let public_pem = pem("PUBLIC KEY", public.as_ref());
        Ok(Self { private: OaepPrivateDecryptingKey::new(private).map_err(|_| NoKey)?, public_pem })
    }

    /// The public half, as clients expect it.
    pub(crate) fn public_pem(&self) -> &[u8] {
        &self.public_pem
    }

    /// What a client has encrypted; `None` if it was not encrypted with this key.
    pub(crate) fn decrypt(&self, encrypted: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let mut clear = Zeroizing::new(vec![0; self.private.min_output_size()]);
        let length = self.private.decrypt(&OAEP_SHA1_MGF1SHA1, encrypted, &mut clear, None).ok()?.len();
        clear.truncate(length);
        Some(clear)
    }
}

fn pem(label: &str, der: &[u8]) -> Vec<u8> {
    let text = STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    for (index, character) in text.chars().enumerate() {
        if index > 0 && index % 64 == 0 {
            pem.push('\n');
        }
        pem.push(character);
    }
    [pem, format!("\n-----END {label}-----\n")].concat().into_bytes()
}
