//! From an address to a connection that is logged in.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPublicEncryptingKey, PublicEncryptingKey};
use bytes::BytesMut;
use net::{Compression, Exchange, Link, LinkError, Role};
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject;
use session::{ConnectionState, LoginDetails};
use tokio::net::TcpStream;
use tokio::time::timeout;
use wire::{Capabilities, ChangeUser, ClientLogin, ClientStep, Greeted, Greeting, Login, StatusFlags, put_proxy_header};
use zeroize::{Zeroize as _, Zeroizing};

use crate::ConnectError;
use crate::compression::ServerCompression;
use crate::connection::{LoggedIn, ServerConnection};
use crate::parsec;
use crate::tls::ServerTls;

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
    .union(Capabilities::CONNECT_ATTRS)
    .union(Capabilities::SESSION_TRACK)
    .union(Capabilities::DEPRECATE_EOF)
    .union(Capabilities::MARIADB_STMT_BULK_OPERATIONS);

/// Without these a server cannot be used.
const NEEDED: Capabilities = Capabilities::PROTOCOL_41
    .union(Capabilities::SECURE_CONNECTION)
    .union(Capabilities::PLUGIN_AUTH)
    .union(Capabilities::SESSION_TRACK)
    .union(Capabilities::DEPRECATE_EOF);

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerAddress {
    /// Name or IP address.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl std::fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// The account that a connection is logged in as.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// The user's name.
    pub user: Vec<u8>,
    /// In clear: server and client may each ask for another proof of it.
    pub password: Vec<u8>,
}

/// Leaves no copy of the password.
impl Drop for Account {
    fn drop(&mut self) {
        self.password.zeroize();
    }
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Account({})", String::from_utf8_lossy(&self.user))
    }
}

/// What is fixed at a connection's login, and so distinguishes connections for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectOptions {
    /// The user.
    pub account: Arc<Account>,
    /// The capabilities that the client has chosen among those that change how a server behaves.
    pub capabilities: Capabilities,
    /// Where the client is, if the servers are told: the account may depend on it. `None`: they see Pointsman's own address.
    pub client: Option<IpAddr>,
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
                | Capabilities::MULTI_STATEMENTS
                | Capabilities::LOCAL_FILES
                | Capabilities::MARIADB_EXTENDED_METADATA)
    }

    /// The same account, to be let in although its password has expired, in order to change it.
    #[must_use]
    pub fn with_expired_password(self) -> Self {
        Self { capabilities: self.capabilities | Capabilities::CAN_HANDLE_EXPIRED_PASSWORDS, ..self }
    }

    /// Whether its password has expired.
    pub fn has_expired_password(&self) -> bool {
        self.capabilities.contains(Capabilities::CAN_HANDLE_EXPIRED_PASSWORDS)
    }
}

/// How to connect.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    /// For all of it.
    pub(crate) limit: Duration,
    /// The peer may choose the key with which the password is encrypted.
    pub(crate) public_key_retrieval: bool,
    /// Whether it is encrypted.
    pub(crate) tls: ServerTls,
    /// Whether it is compressed.
    pub(crate) compression: ServerCompression,
}

/// Connects and logs in.
pub(crate) async fn connect(
    target: &ServerAddress,
    options: &ConnectOptions,
    details: &LoginDetails,
    terms: &Terms,
) -> Result<ServerConnection, ConnectError> {
    match within(target, terms, connect_unbounded(target, options, details, terms)).await {
        Err(ConnectError::ServerMisbehaved { address, what }) if options.client.is_some() => {
            let what = format!("{what}; it was sent a PROXY header (security.server_proxy_protocol), which MySQL does not know");
            Err(ConnectError::ServerMisbehaved { address, what })
        }
        connected => connected,
    }
}

/// Logs in again on a connection that another session has left: the server resets the session and checks the account again. The
/// schema is empty for none. After an error the connection is gone.
pub(crate) async fn change_user(
    connection: ServerConnection,
    target: &ServerAddress,
    options: &ConnectOptions,
    (details, schema): (&LoginDetails, &[u8]),
    terms: &Terms,
) -> Result<ServerConnection, ConnectError> {
    within(target, terms, change_user_unbounded(connection, target, options, (details, schema), terms)).await
}

async fn within<T>(
    target: &ServerAddress,
    terms: &Terms,
    work: impl Future<Output = Result<T, ConnectError>>,
) -> Result<T, ConnectError> {
    let late = |_| ConnectError::Timeout { address: target.to_string(), limit: terms.limit };
    timeout(terms.limit, work).await.map_err(late)?
}

async fn connect_unbounded(
    target: &ServerAddress,
    options: &ConnectOptions,
    details: &LoginDetails,
    terms: &Terms,
) -> Result<ServerConnection, ConnectError> {
    let at = At(target);
    let stream = TcpStream::connect((target.host.as_str(), target.port)).await.map_err(|error| at.unreachable(error))?;
    let mut link = Link::new(stream).and_then(|link| link.watch_peer().map(|()| link)).map_err(|error| at.unreachable(error))?;
    if let Some(client) = options.client {
        let mut header = BytesMut::new();
        put_proxy_header(&mut header, client);
        link.send(&header).await.map_err(|error| at.broken(error.into()))?;
    }
    let mut exchange = Exchange::new(link, LARGEST_LOGIN_PACKET);

    let packet = exchange.receive().await.map_err(|error| at.broken(error))?;
    let greeting = match wire::decode_greeting(&packet).map_err(|error| at.malformed(&error))? {
        Greeted::Greeting(greeting) => greeting,
        Greeted::Refused(error) => return Err(at.refused(error)),
    };
    let capabilities = negotiate(&greeting, options).map_err(|what| at.misbehaved(what))?;
    let (capabilities, compression) = terms.compression.negotiate(capabilities, greeting.capabilities);
    let words = Login {
        capabilities,
        max_packet: 1 << 30,
        collation: u16::from(details.collation),
        user: &options.account.user,
        auth_response: &[],
        schema: None,
        auth_plugin: Some(&greeting.auth_plugin),
        attributes: capabilities.contains(Capabilities::CONNECT_ATTRS).then_some(&details.attributes),
        zstd_level: Compression::ZSTD_LEVEL,
    };
    let mut exchange = go_encrypted(exchange, &greeting, &words, at, terms).await?;
    let is_encrypted = exchange.is_encrypted();
    let mut login = ClientLogin::start(&options.account.password, &greeting, is_encrypted);
    let mut payload = BytesMut::new();
    let words = Login {
        capabilities: if is_encrypted { capabilities | Capabilities::SSL } else { capabilities },
        auth_response: &login.first_response(),
        auth_plugin: Some(login.plugin().name().as_bytes()),
        ..words
    };
    words.encode(&mut payload);
    exchange.send(&payload).await.map_err(|error| at.broken(error))?;
    let status = prove(&mut exchange, &mut login, capabilities, options, at, terms).await?;
    let is_mariadb = greeting.is_mariadb();
    let logged_in = LoggedIn {
        capabilities,
        thread_id: greeting.connection_id,
        is_mariadb,
        plugin: login.plugin(),
        nonce: login.nonce(),
        tls: terms.tls.clone(),
        compression: terms.compression,
    };
    let link = match compression {
        Some(compression) => exchange.into_link().compress(compression, Role::Client),
        None => exchange.into_link(),
    };
    let state = ConnectionState::after_login(capabilities, details.collation, is_mariadb);
    Ok(ServerConnection::new(link, logged_in, status, state))
}

/// Begins TLS where it is wanted and offered. In clear goes on only what need not be encrypted.
async fn go_encrypted(
    mut exchange: Exchange,
    greeting: &Greeting,
    words: &Login<'_>,
    at: At<'_>,
    terms: &Terms,
) -> Result<Exchange, ConnectError> {
    let Some(connector) = terms.tls.connector(at.0) else { return Ok(exchange) };
    if !greeting.capabilities.contains(Capabilities::SSL) {
        let address = at.0.to_string();
        return if terms.tls.is_demanded() { Err(ConnectError::NotEncrypted { address }) } else { Ok(exchange) };
    }
    let mut payload = BytesMut::new();
    words.encode_ssl_request(&mut payload);
    exchange.send(&payload).await.map_err(|error| at.broken(error))?;
    exchange.connect_tls(&connector, &at.0.host).await.map_err(|error| at.broken(error))
}

async fn change_user_unbounded(
    connection: ServerConnection,
    target: &ServerAddress,
    options: &ConnectOptions,
    (details, schema): (&LoginDetails, &[u8]),
    terms: &Terms,
) -> Result<ServerConnection, ConnectError> {
    let at = At(target);
    let ServerConnection { link, login: mut logged_in, state, .. } = connection;
    let capabilities = logged_in.capabilities;
    let mut exchange = Exchange::new(link, LARGEST_LOGIN_PACKET);
    let mut login = ClientLogin::again(&options.account.password, logged_in.plugin, logged_in.nonce, exchange.is_encrypted());
    let mut payload = BytesMut::new();
    ChangeUser {
        user: &options.account.user,
        auth_response: &login.first_response(),
        schema,
        collation: u16::from(details.collation),
        auth_plugin: login.plugin().name().as_bytes(),
        attributes: &details.attributes,
    }
    .encode(capabilities, &mut payload);
    exchange.send(&payload).await.map_err(|error| at.broken(error))?;
    let status = prove(&mut exchange, &mut login, capabilities, options, at, terms).await?;
    logged_in.plugin = login.plugin();
    logged_in.nonce = login.nonce();
    let state = state.after_change_user(details.collation).in_schema(schema);
    Ok(ServerConnection::new(exchange.into_link(), logged_in, status, state))
}

/// From the first proof to OK.
async fn prove(
    exchange: &mut Exchange,
    login: &mut ClientLogin,
    capabilities: Capabilities,
    options: &ConnectOptions,
    at: At<'_>,
    terms: &Terms,
) -> Result<StatusFlags, ConnectError> {
    let user = || String::from_utf8_lossy(&options.account.user).into_owned();
    loop {
        let packet = exchange.receive().await.map_err(|error| at.broken(error))?;
        let payload = Zeroizing::new(match login.on_packet(&packet, capabilities).map_err(|error| at.malformed(&error))? {
            ClientStep::Send(response) => response,
            ClientStep::RequestPublicKey(_) if !terms.public_key_retrieval => {
                return Err(ConnectError::KeyNotTrusted { address: at.0.to_string(), user: user() });
            }
            ClientStep::RequestPublicKey(request) => vec![request],
            ClientStep::EncryptPassword { public_key_pem, cleartext_xored } => {
                encrypt(&public_key_pem, &cleartext_xored).map_err(|what| at.misbehaved(what.to_owned()))?
            }
            ClientStep::DeriveKey(challenge) => {
                parsec::prove(challenge, &options.account).await.map_err(|what| at.misbehaved(what.to_owned()))?
            }
            ClientStep::Await => continue,
            ClientStep::Done(status) => return Ok(status),
            ClientStep::Failed(error) => return Err(at.refused(error)),
            ClientStep::Unsupported(plugin) => {
                let plugin = String::from_utf8_lossy(&plugin).into_owned();
                return Err(ConnectError::UnsupportedPlugin { address: at.0.to_string(), user: user(), plugin });
            }
        });
        exchange.send(&payload).await.map_err(|error| at.broken(error))?;
    }
}

/// Where an error happened.
#[derive(Debug, Clone, Copy)]
struct At<'a>(&'a ServerAddress);

impl At<'_> {
    fn unreachable(self, error: std::io::Error) -> ConnectError {
        ConnectError::Unreachable { address: self.0.to_string(), error }
    }

    fn misbehaved(self, what: String) -> ConnectError {
        ConnectError::ServerMisbehaved { address: self.0.to_string(), what }
    }

    fn malformed(self, error: &wire::Malformed) -> ConnectError {
        self.misbehaved(error.to_string())
    }

    fn refused(self, error: wire::ErrOwned) -> ConnectError {
        ConnectError::Refused { address: self.0.to_string(), error }
    }

    fn broken(self, error: LinkError) -> ConnectError {
        match error {
            LinkError::Lost(error) => self.unreachable(error),
            LinkError::Tls(_) | LinkError::NoTlsName(_) | LinkError::ClearBeforeTls => {
                ConnectError::Tls { address: self.0.to_string(), error }
            }
            LinkError::Closed => self.unreachable(std::io::ErrorKind::UnexpectedEof.into()),
            other => self.misbehaved(other.to_string()),
        }
    }
}

fn negotiate(greeting: &Greeting, options: &ConnectOptions) -> Result<Capabilities, String> {
    // These change the layout of packets that are passed on as they are.
    let layout = Capabilities::QUERY_ATTRIBUTES | Capabilities::MARIADB_EXTENDED_METADATA;
    let needed = NEEDED | (options.capabilities & layout);
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
