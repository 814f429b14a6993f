//! The client's side of MariaDB's `parsec`: the server's words, and the proof. The key of the proof is derived from the password outside of this crate,
//! since that takes a while.
//!
//! Source: MariaDB "Authentication Plugin - PARSEC". The account's stored text has the salt, the number of iterations and a public key, so one that is
//! stolen cannot be used to log in.

use std::num::NonZeroU32;

use ed25519_dalek::{Signer as _, SigningKey};

use crate::primitives::Malformed;

/// The name of the plugin. Spoken to servers only, as [`super::ED25519`] is.
pub const PARSEC: &str = "parsec";

/// Bytes of the derived key, and of what each side adds to the signed text.
const KEY: usize = 32;
const SALT: usize = 18;

/// The only function to derive a key that there is: PBKDF2, with HMAC-SHA-512.
const PBKDF2: u8 = b'P';
/// How often 1024 iterations can be doubled. No server has accounts with more, and MariaDB's own client refuses them, too: it is the server that
/// chooses what we have to compute.
const MOST_DOUBLINGS: u8 = 3;

/// What the server wants to be signed, and how the key is derived from the password: by PBKDF2 with HMAC-SHA-512.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParsecChallenge {
    /// The server's random bytes.
    nonce: [u8; KEY],
    /// Of the account.
    pub salt: [u8; SALT],
    /// Of PBKDF2: 1024 to 8192.
    pub iterations: NonZeroU32,
}

impl ParsecChallenge {
    /// From the server's random bytes, which came first, and its second packet: the function, the binary logarithm of the iterations less 10, the salt.
    pub(super) fn decode(nonce: [u8; KEY], payload: &[u8]) -> Result<Self, Malformed> {
        // 11.8.9 marks it as more data of the plugin, and the first versions did not.
        let payload = payload.strip_prefix(&[1]).unwrap_or(payload);
        let [PBKDF2, doublings, salt @ ..] = payload else {
            return Err(Malformed::new("parsec wants an unknown function to derive the key"));
        };
        let salt = salt.try_into().map_err(|_| Malformed::new("a salt of the wrong length"))?;
        let iterations = (*doublings <= MOST_DOUBLINGS).then(|| 1024_u32 << doublings).and_then(NonZeroU32::new);
        let iterations = iterations.ok_or(Malformed::new("parsec wants more than 8192 iterations to derive the key"))?;
        Ok(Self { nonce, salt, iterations })
    }

    /// The proof, by the derived key: our random bytes, and the signature of the server's and ours.
    pub fn proof(&self, key: &[u8; KEY], nonce: &[u8; KEY]) -> Vec<u8> {
        // It overwrites itself in memory at its end.
        let key = SigningKey::from_bytes(key);
        let signature = key.sign(&[self.nonce, *nonce].concat());
        [&nonce[..], &signature.to_bytes()].concat()
    }
}
