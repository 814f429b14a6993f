//! How a certificate that nobody has signed is trusted all the same: MariaDB's "zero-configuration TLS" (MDEV-31855).
//!
//! MariaDB's clients verify the server's certificate by default from 11.4 on. If nobody whom they trust has signed it, they go on only with a plugin of
//! which both sides know a hash of the password, and the OK of the login must show that the server knows it, and that the certificate is its own. Somebody
//! in between has another certificate, so a proof that is passed on does not fit.

use sha1::{Digest as _, Sha1};
use sha2::Sha256;

use crate::handshake::NONCE;

/// What tells the proof from an ordinary text in an OK's `info`.
const IS_PROOF: u8 = 0x01;

/// The `info` of the OK, for a login by the native plugin: 0x01, then in upper-case hexadecimal SHA-256 of the hash of the password that a server keeps,
/// the nonce, and the certificate's own SHA-256 (`certificate` is DER).
pub(super) fn native_proof(password: &[u8], nonce: &[u8; NONCE], certificate: &[u8]) -> Vec<u8> {
    let kept = Sha1::digest(Sha1::digest(password));
    let proof = Sha256::new().chain_update(kept).chain_update(nonce).chain_update(Sha256::digest(certificate)).finalize();
    let mut info = vec![IS_PROOF];
    info.extend(format!("{proof:X}").into_bytes());
    info
}
