//! The server's side of a login: checks that the client knows the password.
//!
//! The proxy knows its accounts' passwords, so the fast path of `caching_sha2_password` always suffices; full authentication is only for clients that
//! are forced to it. The login of an unknown account goes through all the steps with a dummy password, and is denied at the same place as a wrong
//! password, with the same packets.

use std::fmt;

use bytes::BytesMut;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{FAST_AUTH_OK, FULL_AUTH, Plugin, REQUEST_PUBLIC_KEY, xor_with_nonce};
use crate::capabilities::Capabilities;
use crate::handshake::{AuthMoreData, AuthSwitch, Login, NONCE};

/// What an unknown account's login is compared with. Its answer is not used.
pub(super) const DUMMY_PASSWORD: &[u8] = b"no account has this name";

const WRONG: &str = "wrong user or password";
const NO_PLUGIN: &str = "the client proves its password in no way that is known here";
const OUT_OF_TURN: &str = "a packet that no step of the login waits for";

/// What the server asked the client to prove, and how it checks the proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Challenge {
    /// The nonce of the greeting; also that of a switch to another plugin.
    pub nonce: [u8; NONCE],
    /// The plugin that the greeting named. A client with another plugin may not have computed its proof yet.
    pub announced: Plugin,
    /// Have the password itself sent, even where the proof would do (`caching_sha2_password` only).
    pub force_full: bool,
    /// The transport is encrypted (TLS), so the password itself comes in clear text.
    pub secure_transport: bool,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerStep {
    /// Send this payload, then give the client's answer to [`ServerLogin::on_packet`].
    Send(Vec<u8>),
    /// Send the RSA public key as PEM in an [`AuthMoreData`], then give the client's answer to [`ServerLogin::on_packet`].
    SendPublicKey,
    /// Decrypt this (RSA, OAEP with SHA-1) and give the result to [`ServerLogin::on_decrypted`].
    DecryptPassword(Vec<u8>),
    /// The account is proved: send this payload, if any, then OK.
    Accepted {
        /// `caching_sha2_password`'s "the proof was right".
        send_first: Option<Vec<u8>>,
    },
    /// The account is not proved: send `ER_ACCESS_DENIED_ERROR`. The reason is for the log, not for the client.
    Denied(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The client's proof by this plugin, after a switch.
    ExpectResponse(Plugin),
    /// The client's password in full authentication, or its request for the key.
    ExpectPassword,
    /// As before, but the key was asked for.
    ExpectCiphertext,
    /// The cleartext, from the caller's RSA.
    ExpectDecrypted,
    Ended,
}

/// One login, from the client's answer to the greeting on.
pub struct ServerLogin {
    challenge: Challenge,
    password: Zeroizing<Vec<u8>>,
    is_known: bool,
    state: State,
}

/// Without the password.
impl fmt::Debug for ServerLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerLogin").field("state", &self.state).finish_non_exhaustive()
    }
}

impl ServerLogin {
    /// Takes the client's login. `password` is the account's, `None` if there is no such account.
    pub fn start(challenge: Challenge, login: &Login<'_>, password: Option<&[u8]>) -> (Self, ServerStep) {
        let mut server = Self {
            challenge,
            password: Zeroizing::new(password.unwrap_or(DUMMY_PASSWORD).to_vec()),
            is_known: password.is_some(),
            state: State::Ended,
        };
        let step = server.first(login);
        (server, step)
    }

    fn first(&mut self, login: &Login<'_>) -> ServerStep {
        let response = login.auth_response;
        if !login.capabilities.contains(Capabilities::PLUGIN_AUTH) {
            // Such a client cannot be asked for another plugin, and its proof is a native one.
            return self.prove(Plugin::Native, response);
        }
        let name = login.auth_plugin.unwrap_or_default();
        let Some(plugin) = Plugin::from_name(name) else {
            return self.switch(Plugin::CachingSha2);
        };
        let has_length = response.len() == plugin.response_length();
        // A client whose plugin was not announced sends no proof yet: it waits for a nonce of its own plugin.
        let is_deferred = is_empty(response) && plugin != self.challenge.announced && !self.password.is_empty();
        if is_deferred || !(has_length || is_empty(response)) {
            return self.switch(plugin);
        }
        self.prove(plugin, response)
    }

    fn switch(&mut self, plugin: Plugin) -> ServerStep {
        self.state = State::ExpectResponse(plugin);
        let request = AuthSwitch { plugin: plugin.name().as_bytes(), nonce: &self.challenge.nonce };
        let mut payload = BytesMut::new();
        request.encode(&mut payload);
        ServerStep::Send(payload.to_vec())
    }

    /// Takes the client's next packet.
    pub fn on_packet(&mut self, payload: &[u8]) -> ServerStep {
        match self.state {
            State::ExpectResponse(plugin) => self.prove(plugin, payload),
            State::ExpectPassword if self.challenge.secure_transport => self.compare(Some(payload)),
            State::ExpectPassword if payload == [REQUEST_PUBLIC_KEY] => {
                self.state = State::ExpectCiphertext;
                ServerStep::SendPublicKey
            }
            // Some clients have the key already.
            State::ExpectPassword | State::ExpectCiphertext => {
                self.state = State::ExpectDecrypted;
                ServerStep::DecryptPassword(payload.to_vec())
            }
            State::ExpectDecrypted | State::Ended => self.deny(OUT_OF_TURN),
        }
    }

    /// Takes what [`ServerStep::DecryptPassword`] asked for; `None` if it could not be decrypted.
    pub fn on_decrypted(&mut self, cleartext: Option<&[u8]>) -> ServerStep {
        if self.state != State::ExpectDecrypted {
            return self.deny(OUT_OF_TURN);
        }
        let mut cleartext = cleartext.map(|text| Zeroizing::new(text.to_vec()));
        if let Some(text) = &mut cleartext {
            xor_with_nonce(text, &self.challenge.nonce);
        }
        self.compare(cleartext.as_ref().map(|text| text.as_slice()))
    }

    /// Checks a plugin's proof.
    fn prove(&mut self, plugin: Plugin, response: &[u8]) -> ServerStep {
        self.state = State::Ended;
        if !is_empty(response) && response.len() != plugin.response_length() {
            return self.deny(NO_PLUGIN);
        }
        // An empty password cannot be sent in full; sending nothing proves it.
        if plugin == Plugin::CachingSha2 && self.challenge.force_full && !is_empty(response) {
            self.state = State::ExpectPassword;
            return ServerStep::Send(more_data(FULL_AUTH));
        }
        let response = if is_empty(response) { &[] } else { response };
        let expected = plugin.response(&self.password, &self.challenge.nonce);
        let is_right: bool = expected.ct_eq(response).into();
        if !(is_right & self.is_known) {
            return self.deny(WRONG);
        }
        let has_proof = plugin == Plugin::CachingSha2 && !response.is_empty();
        ServerStep::Accepted { send_first: has_proof.then(|| more_data(FAST_AUTH_OK)) }
    }

    /// Checks the password itself, which ends in a NUL.
    fn compare(&mut self, text: Option<&[u8]>) -> ServerStep {
        self.state = State::Ended;
        let given = text.and_then(|text| text.strip_suffix(&[0]));
        let is_right: bool = self.password.ct_eq(given.unwrap_or_default()).into();
        if is_right & given.is_some() & self.is_known { ServerStep::Accepted { send_first: None } } else { self.deny(WRONG) }
    }

    fn deny(&mut self, why: &'static str) -> ServerStep {
        self.state = State::Ended;
        ServerStep::Denied(why)
    }
}

/// A proof of the empty password: nothing, or the one NUL that MySQL's own client sends for it.
fn is_empty(response: &[u8]) -> bool {
    matches!(response, [] | [0])
}

fn more_data(byte: u8) -> Vec<u8> {
    let mut payload = BytesMut::new();
    AuthMoreData { data: &[byte] }.encode(&mut payload);
    payload.to_vec()
}
