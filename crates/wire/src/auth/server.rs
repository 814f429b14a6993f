//! The server's side of a login: checks that the client knows the password.
//!
//! Where the password is known, the fast path of `caching_sha2_password` suffices; full authentication is only for clients that are forced to it. The
//! login of an unknown account goes through all the steps with a dummy password, and is denied at the same place as a wrong password, with the same
//! packets. Where the password is not known ([`Expected::Disclosure`]), full authentication has the client send it, and the caller finds out whether it
//! is right.

use std::fmt;

use bytes::BytesMut;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::certificate::native_proof;
use super::{CLEAR, FAST_AUTH_OK, FULL_AUTH, NATIVE, Plugin, REQUEST_PUBLIC_KEY, xor_with_nonce};
use crate::capabilities::Capabilities;
use crate::handshake::{AuthMoreData, AuthSwitch, Login, NONCE};

/// What an unknown account's login is compared with. Its answer is not used.
pub(super) const DUMMY_PASSWORD: &[u8] = b"no account has this name";

const WRONG: &str = "wrong user or password";
const NO_PLUGIN: &str = "the client proves its password in no way that is known here";
pub(super) const NO_DISCLOSURE: &str =
    "the client has no plugin by which it could send its password (security.auth = \"passthrough\")";
const OUT_OF_TURN: &str = "a packet that no step of the login waits for";

/// What the server asked the client to prove, and how it checks the proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Challenge {
    /// The nonce of the greeting; also that of a switch to another plugin.
    pub nonce: [u8; NONCE],
    /// The plugin that the greeting named. A client with another plugin may not have computed its proof yet. `None`: it is logged in already, and changes
    /// its user.
    pub announced: Option<Plugin>,
    /// Have the password itself sent, even where the proof would do (`caching_sha2_password` only).
    pub force_full: bool,
    /// The transport is encrypted (TLS), so the password itself comes in clear text.
    pub secure_transport: bool,
}

/// What the client's proof is compared with.
#[derive(Clone, Copy)]
pub enum Expected<'a> {
    /// This password, and no other.
    Password(&'a [u8]),
    /// Nothing that the client can send: there is no such account.
    Nothing,
    /// The password itself, which the caller checks. A proof of the remembered password suffices, if there is one.
    Disclosure {
        /// The password that was right at the last login.
        remembered: Option<&'a [u8]>,
    },
}

/// An account's password; `None` if there is no such account.
impl<'a> From<Option<&'a [u8]>> for Expected<'a> {
    fn from(password: Option<&'a [u8]>) -> Self {
        password.map_or(Self::Nothing, Self::Password)
    }
}

/// What to do next.
#[derive(Clone, PartialEq, Eq)]
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
    /// The client has sent this password, without its NUL: find out whether it is right. `send_first` of [`ServerStep::Accepted`] is not due.
    Disclosed(Zeroizing<Vec<u8>>),
    /// The account is not proved: send `ER_ACCESS_DENIED_ERROR`. The reason is for the log, not for the client.
    Denied(&'static str),
}

/// Without passwords, encrypted or not.
impl fmt::Debug for ServerStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send(payload) => f.debug_tuple("Send").field(payload).finish(),
            Self::SendPublicKey => f.write_str("SendPublicKey"),
            Self::DecryptPassword(encrypted) => write!(f, "DecryptPassword({} bytes)", encrypted.len()),
            Self::Accepted { send_first } => f.debug_struct("Accepted").field("send_first", send_first).finish(),
            Self::Disclosed(_) => f.write_str("Disclosed"),
            Self::Denied(why) => f.debug_tuple("Denied").field(why).finish(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The client's proof by this plugin, after a switch.
    ExpectResponse(Plugin),
    /// The password in clear text, after a switch to `mysql_clear_password`.
    ExpectClear,
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
    secret: Secret,
    state: State,
    /// By which plugin the password was proved, if it was by a plugin's proof.
    proved_by: Option<Plugin>,
}

/// [`Expected`], for as long as the login lasts.
enum Secret {
    /// A password that counts only if the account is known.
    Password {
        password: Zeroizing<Vec<u8>>,
        is_known: bool,
    },
    Disclosure {
        remembered: Option<Zeroizing<Vec<u8>>>,
    },
}

impl From<Expected<'_>> for Secret {
    fn from(expected: Expected<'_>) -> Self {
        let owned = |password: &[u8]| Zeroizing::new(password.to_vec());
        match expected {
            Expected::Password(password) => Self::Password { password: owned(password), is_known: true },
            Expected::Nothing => Self::Password { password: owned(DUMMY_PASSWORD), is_known: false },
            Expected::Disclosure { remembered } => Self::Disclosure { remembered: remembered.map(owned) },
        }
    }
}

impl Secret {
    /// What a proof is compared with.
    fn password(&self) -> Option<&[u8]> {
        match self {
            Self::Password { password, .. } => Some(password),
            Self::Disclosure { remembered } => remembered.as_ref().map(|password| password.as_slice()),
        }
    }

    /// Whether a plugin's proof is right. Takes the same time wherever they differ.
    fn is_proved_by(&self, plugin: Plugin, nonce: &[u8; NONCE], response: &[u8]) -> bool {
        let Some(password) = self.password() else { return false };
        let counts = !matches!(self, Self::Password { is_known: false, .. });
        let is_right: bool = plugin.response(password, nonce).ct_eq(response).into();
        is_right & counts
    }
}

/// Without the password.
impl fmt::Debug for ServerLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerLogin").field("state", &self.state).finish_non_exhaustive()
    }
}

impl ServerLogin {
    /// Takes the client's login.
    pub fn start<'a>(challenge: Challenge, login: &Login<'_>, expected: impl Into<Expected<'a>>) -> (Self, ServerStep) {
        let mut server = Self::new(challenge, expected.into());
        let step = server.first(login);
        (server, step)
    }

    /// Takes a `COM_CHANGE_USER`. The proof in it was made with a nonce that has been used before, so the client is asked for another one, as servers do.
    /// Only a client without plugins cannot be asked: `challenge` then has the nonce of its greeting.
    pub fn again<'a>(challenge: Challenge, login: &Login<'_>, expected: impl Into<Expected<'a>>) -> (Self, ServerStep) {
        let mut server = Self::new(challenge, expected.into());
        let has_plugins = login.capabilities.contains(Capabilities::PLUGIN_AUTH);
        let step = if has_plugins { server.ask(login) } else { server.prove(Plugin::Native, login.auth_response) };
        (server, step)
    }

    fn new(challenge: Challenge, expected: Expected<'_>) -> Self {
        Self { challenge, secret: expected.into(), state: State::Ended, proved_by: None }
    }

    fn first(&mut self, login: &Login<'_>) -> ServerStep {
        let response = login.auth_response;
        if !login.capabilities.contains(Capabilities::PLUGIN_AUTH) {
            // Such a client cannot be asked for another plugin, and its proof is a native one.
            return self.prove(Plugin::Native, response);
        }
        let name = login.auth_plugin.unwrap_or_default();
        if self.takes_clear(name) && !response.is_empty() {
            return self.compare(Some(response));
        }
        let Some(plugin) = Plugin::from_name(name).filter(|plugin| self.can_check(*plugin)) else {
            // It may prove the remembered password; if not, there is the switch.
            let is_proved = name == NATIVE.as_bytes() && self.is_proved_by(Plugin::Native, response);
            return if is_proved { self.accept(None) } else { self.ask(login) };
        };
        let has_length = response.len() == plugin.response_length();
        // A client whose plugin was not announced sends no proof yet: it waits for a nonce of its own plugin.
        let is_deferred = is_empty(response) && self.challenge.announced != Some(plugin) && !self.expects_empty();
        if is_deferred || !(has_length || is_empty(response)) {
            return self.switch(plugin);
        }
        self.prove(plugin, response)
    }

    /// After [`ServerStep::Accepted`]: the OK's `info` by which a MariaDB client trusts the server's certificate (DER) although nobody has signed it. `None`
    /// where the client does not go on without such a signature: its password was not proved by the native plugin, or is empty.
    pub fn vouch_for(&self, certificate: &[u8]) -> Option<Vec<u8>> {
        let password =
            self.secret.password().filter(|password| !password.is_empty() && self.proved_by == Some(Plugin::Native))?;
        Some(native_proof(password, &self.challenge.nonce, certificate))
    }

    /// Asks for a proof by the client's own plugin, if that will do.
    fn ask(&mut self, login: &Login<'_>) -> ServerStep {
        let name = login.auth_plugin.unwrap_or_default();
        if self.takes_clear(name) {
            self.state = State::ExpectClear;
            return request(CLEAR, &self.challenge.nonce);
        }
        self.switch(Plugin::from_name(name).filter(|plugin| self.can_check(*plugin)).unwrap_or(Plugin::CachingSha2))
    }

    fn switch(&mut self, plugin: Plugin) -> ServerStep {
        self.state = State::ExpectResponse(plugin);
        request(plugin.name(), &self.challenge.nonce)
    }

    /// Over a transport on which nobody listens, a client may send its password as it is.
    fn takes_clear(&self, plugin: &[u8]) -> bool {
        self.challenge.secure_transport && plugin == CLEAR.as_bytes()
    }

    /// Whether a proof by this plugin leads to a verdict. A native one shows nothing to those who do not know the password, and has no way to ask for it.
    fn can_check(&self, plugin: Plugin) -> bool {
        plugin == Plugin::CachingSha2 || matches!(self.secret, Secret::Password { .. })
    }

    fn expects_empty(&self) -> bool {
        matches!(&self.secret, Secret::Password { password, .. } if password.is_empty())
    }

    /// Takes the client's next packet.
    pub fn on_packet(&mut self, payload: &[u8]) -> ServerStep {
        match self.state {
            State::ExpectResponse(plugin) => self.prove(plugin, payload),
            State::ExpectClear => self.compare(Some(payload)),
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
        let is_sha2 = plugin == Plugin::CachingSha2;
        // An empty password cannot be sent in full; sending nothing proves it.
        if is_sha2 && self.challenge.force_full && !is_empty(response) {
            return self.ask_for_password();
        }
        let response = if is_empty(response) { &[] } else { response };
        if self.is_proved_by(plugin, response) {
            return self.accept((is_sha2 && !response.is_empty()).then(|| more_data(FAST_AUTH_OK)));
        }
        match &self.secret {
            Secret::Disclosure { .. } if response.is_empty() => ServerStep::Disclosed(Zeroizing::default()),
            // MySQL does not take a wrong proof for a wrong password either, and some clients (sqlx 0.8) always give a wrong one.
            _ if is_sha2 && !response.is_empty() => self.ask_for_password(),
            Secret::Password { .. } => self.deny(WRONG),
            Secret::Disclosure { .. } => self.deny(NO_DISCLOSURE),
        }
    }

    /// Whether the response proves the password by this plugin, which is noted.
    fn is_proved_by(&mut self, plugin: Plugin, response: &[u8]) -> bool {
        let is_proved = self.secret.is_proved_by(plugin, &self.challenge.nonce, response);
        self.proved_by = is_proved.then_some(plugin);
        is_proved
    }

    fn accept(&mut self, send_first: Option<Vec<u8>>) -> ServerStep {
        self.state = State::Ended;
        ServerStep::Accepted { send_first }
    }

    fn ask_for_password(&mut self) -> ServerStep {
        self.state = State::ExpectPassword;
        ServerStep::Send(more_data(FULL_AUTH))
    }

    /// Checks the password itself, which ends in a NUL.
    fn compare(&mut self, text: Option<&[u8]>) -> ServerStep {
        self.state = State::Ended;
        let given = text.and_then(|text| text.strip_suffix(&[0]));
        match (&self.secret, given) {
            (Secret::Disclosure { .. }, Some(given)) => ServerStep::Disclosed(Zeroizing::new(given.to_vec())),
            (Secret::Disclosure { .. }, None) => self.deny(WRONG),
            (Secret::Password { password, is_known }, _) => {
                let is_right: bool = password.ct_eq(given.unwrap_or_default()).into();
                let is_right = is_right & given.is_some() & is_known;
                if is_right { self.accept(None) } else { self.deny(WRONG) }
            }
        }
    }

    fn deny(&mut self, why: &'static str) -> ServerStep {
        self.state = State::Ended;
        ServerStep::Denied(why)
    }
}

/// To go on with another plugin.
fn request(plugin: &str, nonce: &[u8; NONCE]) -> ServerStep {
    let mut payload = BytesMut::new();
    AuthSwitch { plugin: plugin.as_bytes(), nonce }.encode(&mut payload);
    ServerStep::Send(payload.to_vec())
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
