//! The proof of MariaDB's `parsec`: what of it takes time, and chance.

use std::sync::Arc;

use aws_lc_rs::pbkdf2::{PBKDF2_HMAC_SHA512, derive};
use tokio::task::spawn_blocking;
use wire::ParsecChallenge;
use zeroize::Zeroizing;

use crate::login::Account;

/// The payload that proves the account's password. What cannot be done is an error.
///
/// Deriving the key takes about a millisecond for each 1024 iterations, so it is done on another thread: those of the worker's sessions that want
/// nothing of this server do not wait for it.
pub(crate) async fn prove(challenge: ParsecChallenge, account: &Arc<Account>) -> Result<Vec<u8>, &'static str> {
    let mut nonce = [0; 32];
    aws_lc_rs::rand::fill(&mut nonce).map_err(|_| "it wants a random number, and the system gives none")?;
    let account = Arc::clone(account);
    let proving = spawn_blocking(move || {
        let key = derive_key(&challenge, &account.password);
        challenge.proof(&key, &nonce)
    });
    proving.await.map_err(|_| "the key for its plugin parsec could not be derived")
}

fn derive_key(challenge: &ParsecChallenge, password: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    derive(PBKDF2_HMAC_SHA512, challenge.iterations, &challenge.salt, password, &mut *key);
    key
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use wire::handshake::Greeting;
    use wire::{Capabilities, ClientLogin, ClientStep, StatusFlags};

    use super::*;

    const SWITCH: &[u8] = b"\xfeparsec\0abcdefghijklmnopqrstuvwxyz012345";
    /// Of a login to MariaDB 11.8.9; `wire` has all of it.
    const SALT: [u8; 18] =
        [0xaa, 0x4f, 0xa0, 0xe7, 0x5c, 0xbe, 0xa6, 0x38, 0xa5, 0xf0, 0x68, 0x40, 0x91, 0xe3, 0xbc, 0x77, 0x3f, 0xf3];
    const KEY: [u8; 32] = [
        0x0a, 0x30, 0x4d, 0xc3, 0x99, 0xdc, 0xed, 0x27, 0x95, 0xdb, 0x54, 0x9a, 0x5d, 0x27, 0x64, 0x6b, 0x2f, 0x27, 0x6f, 0x28,
        0xc6, 0xcf, 0x97, 0x25, 0xca, 0xdb, 0xe4, 0x38, 0xd2, 0x61, 0x93, 0xdc,
    ];

    fn challenge(doublings: u8) -> ParsecChallenge {
        let greeting = Greeting {
            server_version: b"11.8.9-MariaDB".to_vec(),
            connection_id: 1,
            nonce: [b'n'; 20],
            capabilities: Capabilities::PROTOCOL_41,
            charset: 8,
            status: StatusFlags::empty(),
            auth_plugin: b"mysql_native_password".to_vec(),
        };
        let mut login = ClientLogin::start(b"secret", &greeting, false);
        login.on_packet(SWITCH, Capabilities::PROTOCOL_41).unwrap();
        let salt = [&[1, b'P', doublings][..], &SALT].concat();
        match login.on_packet(&salt, Capabilities::PROTOCOL_41) {
            Ok(ClientStep::DeriveKey(challenge)) => challenge,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_key_is_the_one_of_a_real_login() {
        assert_eq!(*derive_key(&challenge(0), b"secret"), KEY);
        assert_ne!(*derive_key(&challenge(1), b"secret"), KEY);
        derive_key(&challenge(0), b"");
    }

    /// However slow the machine is: a minute would be reached by some 25 doublings.
    #[test]
    fn the_most_that_a_server_may_ask_for_is_soon_done() {
        let start = Instant::now();
        derive_key(&challenge(3), b"secret");
        assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    }

    #[tokio::test]
    async fn each_proof_is_another_one() {
        let account = Arc::new(Account { user: b"app".to_vec(), password: b"secret".to_vec() });
        let mut proofs = Vec::new();
        for _ in 0..2 {
            proofs.push(prove(challenge(0), &account).await.unwrap());
        }
        assert_eq!(proofs[0].len(), 96);
        assert_ne!(proofs[0], proofs[1]);
    }
}
