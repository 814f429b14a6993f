//! The client's side of a login: proves that it knows the password.
//!
//! The server chooses the plugin, by its greeting and by one request to switch. The password itself is sent only encrypted, by RSA or by the
//! transport: a plugin that wants it in clear text (accounts of PAM or LDAP) is refused where the transport is not encrypted.

use std::fmt;

use zeroize::Zeroizing;

use super::{
    CLEAR, ED25519, FAST_AUTH_OK, FULL_AUTH, PARSEC, ParsecChallenge, Plugin, REQUEST_PUBLIC_KEY, REQUEST_SHA256_KEY, SHA256,
    ed25519_response, xor_with_nonce,
};
use crate::capabilities::{Capabilities, StatusFlags};
use crate::handshake::{AuthMoreData, AuthSwitch, Greeting, NONCE};
use crate::primitives::Malformed;
use crate::result::{EOF_HEADER, ERR_HEADER, ErrOwned, ErrPacket, OK_HEADER, OkPacket};

/// What to do next.
#[derive(Clone, PartialEq, Eq)]
pub enum ClientStep {
    /// Send this payload, then read the server's answer. It may hold the password (over a secure transport only).
    Send(Vec<u8>),
    /// Send this byte, then read the server's answer.
    RequestPublicKey(u8),
    /// Encrypt (RSA, OAEP with SHA-1) with this key, send the result as the payload, then read the server's answer.
    EncryptPassword {
        /// The server's key, as PEM (`BEGIN PUBLIC KEY`).
        public_key_pem: Vec<u8>,
        /// The password and its NUL, after XOR with the nonce.
        cleartext_xored: Vec<u8>,
    },
    /// Derive a key from the password as this says, and send [`ParsecChallenge::proof`], then read the server's answer.
    DeriveKey(ParsecChallenge),
    /// Nothing to send: read the server's next packet.
    Await,
    /// Logged in; the state of the new session.
    Done(StatusFlags),
    /// The server refused the login.
    Failed(ErrOwned),
    /// The server wants the plugin of this name, which is not supported here.
    Unsupported(Vec<u8>),
}

/// Shows nothing that could contain or reveal the password.
impl fmt::Debug for ClientStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send(payload) => write!(f, "Send({} bytes)", payload.len()),
            Self::RequestPublicKey(_) => f.write_str("RequestPublicKey"),
            Self::EncryptPassword { .. } => f.write_str("EncryptPassword"),
            Self::DeriveKey(challenge) => f.debug_tuple("DeriveKey").field(challenge).finish(),
            Self::Await => f.write_str("Await"),
            Self::Done(status) => f.debug_tuple("Done").field(status).finish(),
            Self::Failed(err) => f.debug_tuple("Failed").field(err).finish(),
            Self::Unsupported(plugin) => write!(f, "Unsupported({})", String::from_utf8_lossy(plugin)),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// OK, ERR, a switch to another plugin, or more data of the plugin.
    ExpectAnswer,
    /// The key that was asked for.
    ExpectPublicKey,
    /// How `parsec` derives its key; this is what it will have signed.
    ExpectSalt([u8; 32]),
    /// OK or ERR.
    ExpectVerdict,
    Ended,
}

/// One login, from the server's greeting on.
pub struct ClientLogin {
    password: Zeroizing<Vec<u8>>,
    nonce: [u8; NONCE],
    plugin: Plugin,
    has_switched: bool,
    secure_transport: bool,
    state: State,
}

/// Without the password.
impl fmt::Debug for ClientLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientLogin").field("plugin", &self.plugin).field("state", &self.state).finish_non_exhaustive()
    }
}

impl ClientLogin {
    /// Answers a greeting: the result's [`ClientLogin::plugin`] and [`ClientLogin::first_response`] go into the login.
    ///
    /// `secure_transport` says that the transport is encrypted (TLS). A plugin that is not supported here is answered with the native one; the server
    /// asks for a switch if the account uses another.
    pub fn start(password: &[u8], greeting: &Greeting, secure_transport: bool) -> Self {
        let plugin = Plugin::from_name(&greeting.auth_plugin).unwrap_or(Plugin::Native);
        Self::again(password, plugin, greeting.nonce, secure_transport)
    }

    /// Logs in again on the same connection (`COM_CHANGE_USER`): the proof is made with the nonce that came last.
    pub fn again(password: &[u8], plugin: Plugin, nonce: [u8; NONCE], secure_transport: bool) -> Self {
        Self {
            password: Zeroizing::new(password.to_vec()),
            nonce,
            plugin,
            has_switched: false,
            secure_transport,
            state: State::ExpectAnswer,
        }
    }

    /// The nonce that came last.
    pub const fn nonce(&self) -> [u8; NONCE] {
        self.nonce
    }

    /// The plugin in use.
    pub const fn plugin(&self) -> Plugin {
        self.plugin
    }

    /// The proof for the login.
    pub fn first_response(&self) -> Vec<u8> {
        self.plugin.response(&self.password, &self.nonce)
    }

    /// Takes the server's next packet; `capabilities` are those of the connection.
    pub fn on_packet(&mut self, payload: &[u8], capabilities: Capabilities) -> Result<ClientStep, Malformed> {
        let step = self.step(payload, capabilities);
        if !matches!(
            step,
            Ok(ClientStep::Send(_)
                | ClientStep::RequestPublicKey(_)
                | ClientStep::EncryptPassword { .. }
                | ClientStep::DeriveKey(_)
                | ClientStep::Await)
        ) {
            self.state = State::Ended;
        }
        step
    }

    fn step(&mut self, payload: &[u8], capabilities: Capabilities) -> Result<ClientStep, Malformed> {
        match (self.state, payload.first().copied()) {
            (State::Ended, _) => Err(Malformed::new("a packet after the end of the login")),
            (_, Some(ERR_HEADER)) => ErrPacket::decode(payload).map(|err| ClientStep::Failed(err.to_owned())),
            (_, Some(OK_HEADER)) => OkPacket::decode(payload, capabilities).map(|ok| ClientStep::Done(ok.status)),
            (State::ExpectAnswer, Some(EOF_HEADER)) => self.on_switch(payload),
            (State::ExpectAnswer, _) => self.on_more_data(AuthMoreData::decode(payload)?.data),
            (State::ExpectPublicKey, _) => Ok(self.encrypt(AuthMoreData::decode(payload)?.data)),
            (State::ExpectSalt(nonce), _) => {
                self.state = State::ExpectVerdict;
                ParsecChallenge::decode(nonce, payload).map(ClientStep::DeriveKey)
            }
            (State::ExpectVerdict, _) => Err(Malformed::new("neither OK nor ERR at the end of the login")),
        }
    }

    fn on_switch(&mut self, payload: &[u8]) -> Result<ClientStep, Malformed> {
        let switch = AuthSwitch::decode(payload)?;
        if std::mem::replace(&mut self.has_switched, true) {
            return Err(Malformed::new("a second switch of the authentication plugin"));
        }
        // Of MariaDB's two plugins with key pairs neither the plugin nor its nonce is kept: a later login on this connection is asked to switch as well.
        if switch.plugin == ED25519.as_bytes() {
            let nonce = switch.nonce.first_chunk().ok_or(Malformed::new("a nonce that is too short"))?;
            self.state = State::ExpectVerdict;
            return Ok(ClientStep::Send(ed25519_response(&self.password, nonce)));
        }
        if switch.plugin == PARSEC.as_bytes() {
            let nonce = switch.nonce.first_chunk().ok_or(Malformed::new("a nonce that is too short"))?;
            self.state = State::ExpectSalt(*nonce);
            // This asks for the salt.
            return Ok(ClientStep::Send(Vec::new()));
        }
        if switch.plugin == CLEAR.as_bytes() && self.secure_transport {
            self.state = State::ExpectVerdict;
            return Ok(ClientStep::Send(self.password_and_nul()));
        }
        if switch.plugin == SHA256.as_bytes() {
            // The nonce is what a later login on this connection is proved with. The plugin is not kept.
            self.nonce = switch.nonce.first_chunk().copied().ok_or(Malformed::new("a nonce that is too short"))?;
            return Ok(self.send_whole_password());
        }
        let Some(plugin) = Plugin::from_name(switch.plugin) else {
            let name = match switch.plugin {
                [] => b"mysql_old_password",
                name => name,
            };
            return Ok(ClientStep::Unsupported(name.to_vec()));
        };
        self.nonce = switch.nonce.first_chunk().copied().ok_or(Malformed::new("a nonce that is too short"))?;
        self.plugin = plugin;
        let response = self.first_response();
        // An empty password is one NUL here, as MySQL's own client has it.
        Ok(ClientStep::Send(match plugin {
            Plugin::CachingSha2 if response.is_empty() => vec![0],
            _ => response,
        }))
    }

    fn on_more_data(&mut self, data: &[u8]) -> Result<ClientStep, Malformed> {
        match (self.plugin, data) {
            (Plugin::CachingSha2, [FAST_AUTH_OK]) => {
                self.state = State::ExpectVerdict;
                Ok(ClientStep::Await)
            }
            (Plugin::CachingSha2, [FULL_AUTH]) if self.secure_transport => {
                self.state = State::ExpectVerdict;
                Ok(ClientStep::Send(self.password_and_nul()))
            }
            (Plugin::CachingSha2, [FULL_AUTH]) => {
                self.state = State::ExpectPublicKey;
                Ok(ClientStep::RequestPublicKey(REQUEST_PUBLIC_KEY))
            }
            _ => Err(Malformed::new("words of an authentication plugin that make no sense")),
        }
    }

    /// What follows a switch to [`SHA256`]. An empty password is told by a NUL and needs no key.
    fn send_whole_password(&mut self) -> ClientStep {
        if self.secure_transport || self.password.is_empty() {
            self.state = State::ExpectVerdict;
            return ClientStep::Send(self.password_and_nul());
        }
        self.state = State::ExpectPublicKey;
        ClientStep::RequestPublicKey(REQUEST_SHA256_KEY)
    }

    fn encrypt(&mut self, public_key_pem: &[u8]) -> ClientStep {
        let mut cleartext_xored = self.password_and_nul();
        xor_with_nonce(&mut cleartext_xored, &self.nonce);
        self.state = State::ExpectVerdict;
        ClientStep::EncryptPassword { public_key_pem: public_key_pem.to_vec(), cleartext_xored }
    }

    fn password_and_nul(&self) -> Vec<u8> {
        let mut text = self.password.to_vec();
        text.push(0);
        text
    }
}
