//! What a login proves and how: the arithmetic of the plugins, and both sides of their exchanges as state machines.
//!
//! Sources: MySQL `page_protocol_connection_phase_authentication_methods_native_password_authentication`,
//! `page_caching_sha2_authentication_exchanges`; MariaDB "Connection". MariaDB's default is the native plugin; it has `caching_sha2_password` as a
//! plugin since 12.1. MySQL 9 no longer has the native plugin.
//!
//! The machines hold no connection and no key: their steps say what to send, and when RSA has to be done or a key derived. [`server`] is the
//! side that `frontend` plays, [`client`] that of `backend`.

mod certificate;
pub mod client;
mod parsec;
pub mod server;

use ed25519_dalek::VerifyingKey;
use ed25519_dalek::hazmat::{ExpandedSecretKey, raw_sign};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use subtle::ConstantTimeEq;
use zeroize::Zeroize as _;

pub use client::{ClientLogin, ClientStep};
pub use parsec::{PARSEC, ParsecChallenge};
pub use server::{Challenge, Expected, ServerLogin, ServerStep};

use crate::handshake::NONCE;

/// The name of [`Plugin::Native`].
pub const NATIVE: &str = "mysql_native_password";
/// The name of [`Plugin::CachingSha2`].
pub const CACHING_SHA2: &str = "caching_sha2_password";
/// The plugin that sends the password as it is. Taken from clients that name it, over a transport on which nobody listens; never asked of one.
pub const CLEAR: &str = "mysql_clear_password";

/// `caching_sha2_password`, server to client: the proof was right, OK follows.
pub const FAST_AUTH_OK: u8 = 3;
/// `caching_sha2_password`, server to client: send the password itself.
pub const FULL_AUTH: u8 = 4;
/// `caching_sha2_password`, client to server: send the RSA key to encrypt it with.
pub const REQUEST_PUBLIC_KEY: u8 = 2;

/// MySQL's plugin before `caching_sha2_password`, which always needs the password itself. Spoken to servers only, for the same reason as [`ED25519`].
pub const SHA256: &str = "sha256_password";
/// [`SHA256`], client to server: send the RSA key to encrypt the password with.
pub const REQUEST_SHA256_KEY: u8 = 1;

/// MariaDB's plugin with a key pair made of the password. Spoken to servers only: a client can be asked for its password by another one.
pub const ED25519: &str = "client_ed25519";

/// Bytes of the text that [`ED25519`] has signed.
pub(crate) const ED25519_NONCE: usize = 32;

/// The plugins that this crate supports on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Plugin {
    /// `mysql_native_password`: SHA-1, 20 bytes.
    Native,
    /// `caching_sha2_password`: SHA-256, 32 bytes, and the password itself where the server has not cached it.
    CachingSha2,
}

impl Plugin {
    /// By its name on the wire.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        match name {
            name if name == NATIVE.as_bytes() => Some(Self::Native),
            name if name == CACHING_SHA2.as_bytes() => Some(Self::CachingSha2),
            _ => None,
        }
    }

    /// Its name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => NATIVE,
            Self::CachingSha2 => CACHING_SHA2,
        }
    }

    /// Bytes of its proof for a password that is not empty.
    pub const fn response_length(self) -> usize {
        match self {
            Self::Native => 20,
            Self::CachingSha2 => 32,
        }
    }

    /// Its proof of a password; empty for an empty one.
    pub fn response(self, password: &[u8], nonce: &[u8; NONCE]) -> Vec<u8> {
        match self {
            Self::Native => native_response(password, nonce),
            Self::CachingSha2 => caching_sha2_response(password, nonce),
        }
    }
}

/// Makes a nonce of random bytes: ASCII without NUL, at which clients would cut it, and without `$`, which servers avoid too.
pub fn nonce_from_random(random: [u8; NONCE]) -> [u8; NONCE] {
    random.map(|byte| match byte & 0x7f {
        0 => 1,
        b'$' => b'%',
        byte => byte,
    })
}

/// `SHA1(password) XOR SHA1(nonce + SHA1(SHA1(password)))`; empty for an empty password.
pub fn native_response(password: &[u8], nonce: &[u8; NONCE]) -> Vec<u8> {
    if password.is_empty() {
        return Vec::new();
    }
    let once = Sha1::digest(password);
    let twice = Sha1::digest(once);
    let mask = Sha1::new().chain_update(nonce).chain_update(twice).finalize();
    xor(&once, &mask)
}

/// `SHA256(password) XOR SHA256(SHA256(SHA256(password)) + nonce)`; empty for an empty password.
pub fn caching_sha2_response(password: &[u8], nonce: &[u8; NONCE]) -> Vec<u8> {
    if password.is_empty() {
        return Vec::new();
    }
    let once = Sha256::digest(password);
    let twice = Sha256::digest(once);
    let mask = Sha256::new().chain_update(twice).chain_update(nonce).finalize();
    xor(&once, &mask)
}

/// The proof of [`ED25519`]: the server's text, signed with the key whose expanded secret half is SHA-512 of the password (MariaDB "Authentication Plugin
/// - ed25519").
pub(crate) fn ed25519_response(password: &[u8], nonce: &[u8; ED25519_NONCE]) -> Vec<u8> {
    let mut hash: [u8; 64] = Sha512::digest(password).into();
    let secret = ExpandedSecretKey::from_bytes(&hash);
    hash.zeroize();
    raw_sign::<Sha512>(&secret, nonce, &VerifyingKey::from(&secret)).to_bytes().to_vec()
}

fn xor(left: &[u8], right: &[u8]) -> Vec<u8> {
    left.iter().zip(right).map(|(left, right)| left ^ right).collect()
}

/// Whether the response proves the password. Takes the same time wherever they differ.
pub fn verify_native(password: &[u8], nonce: &[u8; NONCE], response: &[u8]) -> bool {
    native_response(password, nonce).ct_eq(response).into()
}

/// Whether the response proves the password. Takes the same time wherever they differ.
pub fn verify_caching_sha2(password: &[u8], nonce: &[u8; NONCE], response: &[u8]) -> bool {
    caching_sha2_response(password, nonce).ct_eq(response).into()
}

/// XORs `bytes` with the nonce, over and over: what full authentication does to the password and its NUL before RSA.
pub fn xor_with_nonce(bytes: &mut [u8], nonce: &[u8; NONCE]) {
    for (byte, mask) in bytes.iter_mut().zip(nonce.iter().cycle()) {
        *byte ^= mask;
    }
}

#[cfg(test)]
mod tests;
