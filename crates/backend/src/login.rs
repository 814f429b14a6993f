//! From an address to a connection that is logged in.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPublicEncryptingKey, PublicEncryptingKey};
use bytes::BytesMut;
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject;
use tokio::net::TcpStream;
use tokio::time::timeout;
use wire::{Capabilities, ClientLogin, ClientStep, Greeted, Greeting, Login};

use crate::connection::ServerConnection;
use crate::state::Applied;
use crate::{ConnectError, Exchange, Link, LinkError};

/// No packet of a login is longer, in bytes.
const LARGEST_LOGIN_PACKET: usize = 64 * 1024;

/// What Pointsman wants of every server connection.
const WANTED: Capabilities = Capabilities::LONG_PASSWORD
    .union(Capabilities::LONG_FLAG)
    .union(Capabilities::PROTOCOL_41)
    .union(Capabilities::TRANSACTIONS)
    .union(Capabilities::SECURE_CONNECTION)
    .union(Capabilities::MULTI_RESULTS)
    .union(Capabilities::PS_MULTI_RESULTS)
    .union(Capabilities::PLUGIN_AUTH)
    .union(Capabilities::PLUGIN_AUTH_LENENC)
    .union(Capabilities::SESSION_TRACK)
    .union(Capabilities::DEPRECATE_EOF);

/// Without these a server cannot be used.
const NEEDED: Capabilities = Capabilities::PROTOCOL_41
    .union(Capabilities::SECURE_CONNECTION)
    .union(Capabilities::PLUGIN_AUTH)
    .union(Capabilities::SESSION_TRACK)
    .union(Capabilities::DEPRECATE_EOF);

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Name or IP address.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Whom a connection is logged in as.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// The user's name.
    pub user: Vec<u8>,
    /// In clear: server and client may each ask for another proof of it.
    pub password: Vec<u8>,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Account({})", String::from_utf8_lossy(&self.user))
    }
}

/// What makes one connection unlike another for good: what is fixed at login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectOptions {
    /// The user.
    pub account: Arc<Account>,
    /// The capabilities that the client has chosen among those that change how a server behaves.
    pub capabilities: Capabilities,
}

impl ConnectOptions {
    /// What of a client's capabilities a server has to know.
    pub fn passed_on(client: Capabilities) -> Capabilities {
        client
            & (Capabilities::FOUND_ROWS
                | Capabilities::IGNORE_SPACE
                | Capabilities::NO_SCHEMA
                | Capabilities::INTERACTIVE
                | Capabilities::QUERY_ATTRIBUTES
                | Capabilities::MULTI_STATEMENTS)
    }
}

/// Connects and logs in, within `limit`.
pub(crate) async fn connect(
    target: &Target,
    options: &ConnectOptions,
    collation: u8,
    limit: Duration,
) -> Result<ServerConnection, ConnectError> {
    match timeout(limit, connect_unbounded(target, options, collation)).await {
        Ok(result) => result,
        Err(_) => Err(ConnectError::Timeout { address: target.to_string(), limit }),
    }
}

async fn connect_unbounded(target: &Target, options: &ConnectOptions, collation: u8) -> Result<ServerConnection, ConnectError> {
    let unreachable = |error| ConnectError::Unreachable { address: target.to_string(), error };
    let misbehaved = |what: String| ConnectError::ServerMisbehaved { address: target.to_string(), what };
    let malformed = |error: wire::Malformed| misbehaved(error.to_string());
    let refused = |error| ConnectError::Refused { address: target.to_string(), error };
    let broken = |error| match error {
        LinkError::Lost(error) => unreachable(error),
        LinkError::Closed => unreachable(std::io::ErrorKind::UnexpectedEof.into()),
        other => misbehaved(other.to_string()),
    };

    let stream = TcpStream::connect((target.host.as_str(), target.port)).await.map_err(unreachable)?;
    let mut exchange = Exchange::new(Link::new(stream).map_err(unreachable)?, LARGEST_LOGIN_PACKET);

    let greeting = match wire::decode_greeting(&exchange.receive().await.map_err(broken)?).map_err(malformed)? {
        Greeted::Greeting(greeting) => greeting,
        Greeted::Refused(error) => return Err(refused(error)),
    };
    let capabilities = negotiate(&greeting, options).map_err(misbehaved)?;
    let mut login = ClientLogin::start(&options.account.password, &greeting, false);
    let mut payload = BytesMut::new();
    Login {
        capabilities,
        max_packet: 1 << 30,
        collation: u16::from(collation),
        user: &options.account.user,
        auth_response: &login.first_response(),
        schema: None,
        auth_plugin: Some(login.plugin().name().as_bytes()),
        attributes: None,
    }
    .encode(&mut payload);
    exchange.send(&payload).await.map_err(broken)?;
    loop {
        let packet = exchange.receive().await.map_err(broken)?;
        match login.on_packet(&packet, capabilities).map_err(malformed)? {
            ClientStep::Send(response) => exchange.send(&response).await.map_err(broken)?,
            ClientStep::RequestPublicKey => exchange.send(ClientLogin::PUBLIC_KEY_REQUEST).await.map_err(broken)?,
            ClientStep::EncryptPassword { public_key_pem, cleartext_xored } => {
                let encrypted = encrypt(&public_key_pem, &cleartext_xored).map_err(|what| misbehaved(what.to_owned()))?;
                exchange.send(&encrypted).await.map_err(broken)?;
            }
            ClientStep::Await => {}
            ClientStep::Done(status) => {
                return Ok(ServerConnection::new(
                    exchange.into_link(),
                    capabilities,
                    status,
                    greeting.connection_id,
                    Applied::after_login(collation),
                ));
            }
            ClientStep::Failed(error) => return Err(refused(error)),
            ClientStep::Unsupported(plugin) => {
                return Err(misbehaved(format!(
                    "it wants the authentication plugin {} for user {}, which Pointsman does not speak",
                    String::from_utf8_lossy(&plugin),
                    String::from_utf8_lossy(&options.account.user)
                )));
            }
        }
    }
}

fn negotiate(greeting: &Greeting, options: &ConnectOptions) -> Result<Capabilities, String> {
    let needed = NEEDED | (options.capabilities & Capabilities::QUERY_ATTRIBUTES);
    let missing = needed - greeting.capabilities;
    if !missing.is_empty() {
        return Err(format!("its version {} lacks {missing:?}", String::from_utf8_lossy(&greeting.server_version)));
    }
    Ok((WANTED | options.capabilities) & greeting.capabilities)
}

/// RSA with OAEP padding over SHA-1, as `caching_sha2_password` has it.
fn encrypt(public_key_pem: &[u8], clear: &[u8]) -> Result<Vec<u8>, &'static str> {
    let key = SubjectPublicKeyInfoDer::from_pem_slice(public_key_pem).map_err(|_| "its public key is not PEM")?;
    let key = PublicEncryptingKey::from_der(key.as_ref()).map_err(|_| "its public key is no usable RSA key")?;
    let key = OaepPublicEncryptingKey::new(key).map_err(|_| "its public key is no usable RSA key")?;
    let mut encrypted = vec![0; key.ciphertext_size()];
    let length = key
        .encrypt(&OAEP_SHA1_MGF1SHA1, clear, &mut encrypted, None)
        .map_err(|_| "its public key is too small for the password")?
        .len();
    encrypted.truncate(length);
    Ok(encrypted)
}
