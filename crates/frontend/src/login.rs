//! From an accepted socket to a client that has proved its identity and that a server lets in as well.

mod compression;
mod verify;

use std::net::SocketAddr;
use std::time::Instant;

use backend::{Account, ConnectOptions, Lease};
use bytes::BytesMut;
use classifier::Dialect;
use net::{Exchange, Link, LinkError};
use session::{LoginDetails, SessionState};
use tokio::time::timeout;
use wire::error_code::{ER_HANDSHAKE_ERROR, ER_SECURE_TRANSPORT_REQUIRED};
use wire::{AuthMoreData, Capabilities, Challenge, Greeting, Login, Plugin, ServerLogin, ServerStep, StatusFlags};
use zeroize::Zeroizing;

use self::verify::verify;
use crate::limits::Limits;
use crate::reply::{self, Refusal};
use crate::tls::ClientTls;
use crate::worker::{Defaults, Shared, Worker};

/// No packet of a login is longer, in bytes.
const LARGEST_LOGIN_PACKET: usize = 64 * 1024;

/// What Pointsman offers to clients. Not here because it is a matter of the configuration: TLS, local files, compression.
pub(crate) const OFFERED: Capabilities = Capabilities::LONG_PASSWORD
    .union(Capabilities::FOUND_ROWS)
    .union(Capabilities::LONG_FLAG)
    .union(Capabilities::CONNECT_WITH_DB)
    .union(Capabilities::NO_SCHEMA)
    .union(Capabilities::ODBC)
    .union(Capabilities::IGNORE_SPACE)
    .union(Capabilities::PROTOCOL_41)
    .union(Capabilities::INTERACTIVE)
    .union(Capabilities::IGNORE_SIGPIPE)
    .union(Capabilities::TRANSACTIONS)
    .union(Capabilities::SECURE_CONNECTION)
    .union(Capabilities::MULTI_STATEMENTS)
    .union(Capabilities::MULTI_RESULTS)
    .union(Capabilities::PS_MULTI_RESULTS)
    .union(Capabilities::PLUGIN_AUTH)
    .union(Capabilities::CONNECT_ATTRS)
    .union(Capabilities::PLUGIN_AUTH_LENENC)
    .union(Capabilities::SESSION_TRACK)
    .union(Capabilities::DEPRECATE_EOF);

/// What is offered to clients of servers of this kind. MariaDB knows no query attributes.
fn offered(dialect: Dialect, limits: &Limits) -> Capabilities {
    let mut offered = OFFERED;
    offered.set(Capabilities::QUERY_ATTRIBUTES, dialect == Dialect::MySql);
    offered.set(Capabilities::LOCAL_FILES, limits.local_infile > 0);
    offered
}

/// Connection attributes beyond this are not passed on, in bytes. MySQL keeps 512 of them by default.
const LARGEST_ATTRIBUTES: usize = 4 * 1024;

/// A client that is logged in.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) link: Link,
    /// The account and capabilities with which it logs in to servers.
    pub(crate) options: ConnectOptions,
    /// What both sides can do.
    pub(crate) capabilities: Capabilities,
    /// What its server connections must look like.
    pub(crate) state: SessionState,
    /// The first of them, if a server could be asked.
    pub(crate) lease: Option<Lease>,
    /// Before the account was looked at.
    pub(crate) since: Instant,
    pub(crate) id: u32,
    pub(crate) peer: SocketAddr,
}

/// Why the login failed. The client has got an error, where that was possible.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoginError {
    /// It took too long.
    #[error("the login was not completed within timeouts.handshake")]
    Timeout,
    /// The connection broke, or the client broke the protocol.
    #[error("{0}")]
    Link(#[from] LinkError),
    /// A packet could not be understood.
    #[error("{0}")]
    Malformed(#[from] wire::Malformed),
    /// Unknown user or wrong password.
    #[error("access denied for user {user:?}: {why}")]
    Denied {
        /// The name given.
        user: String,
        /// For the log; the client is not told.
        why: &'static str,
    },
    /// A server does not let it in, or does not know its schema.
    #[error("a server refuses user {user:?}: {why}")]
    Refused {
        /// The name given.
        user: String,
        /// What the server said.
        why: String,
    },
    /// It asked for something that is not offered.
    #[error("the client asked for {0}, which is not offered")]
    NotOffered(&'static str),
    /// It did not ask for what it must.
    #[error("the client did not ask for TLS, which listen.tls demands")]
    NotEncrypted,
    /// No random numbers.
    #[error("the system gives no random numbers")]
    NoRandomness,
}

/// Greets the client and has it prove who it is, within the time allowed.
pub(crate) async fn log_in(link: Link, peer: SocketAddr, worker: &Worker) -> Result<Client, LoginError> {
    let limit = worker.shared.settings.load().limits.handshake;
    timeout(limit, converse(link, peer, worker)).await.unwrap_or(Err(LoginError::Timeout))
}

async fn converse(link: Link, peer: SocketAddr, worker: &Worker) -> Result<Client, LoginError> {
    let shared = &worker.shared;
    let nonce = nonce()?;
    let id = shared.sessions.take_id();
    let Defaults { dialect, collation, autocommit, .. } = shared.defaults();
    let settings = shared.settings();
    let offered = offered(dialect, &settings.limits) | compression::offered(dialect, settings.compression);
    let tls = settings.tls.clone();
    let tls_offered = if tls.acceptor().is_some() { Capabilities::SSL } else { Capabilities::empty() };
    let status = if autocommit { StatusFlags::AUTOCOMMIT } else { StatusFlags::empty() };
    let mut exchange = Exchange::new(link, LARGEST_LOGIN_PACKET);
    let mut greeting = BytesMut::new();
    let [charset, _] = collation.to_le_bytes();
    Greeting {
        server_version: shared.server_version(),
        connection_id: id,
        nonce,
        capabilities: offered | tls_offered,
        charset,
        status,
        auth_plugin: Plugin::CachingSha2.name().as_bytes().to_vec(),
    }
    .encode(&mut greeting);
    exchange.send(&greeting).await?;

    let (mut exchange, payload) = receive_login(exchange, &tls).await?;
    let login = match Login::decode(&payload) {
        Ok(login) => login,
        Err(error) => {
            tell(exchange, &Refusal::new(ER_HANDSHAKE_ERROR, format!("bad handshake: {error}"))).await;
            return Err(error.into());
        }
    };
    let compression = match compression::agreed(&login, offered) {
        Ok(agreed) => agreed,
        Err(refusal) => {
            tell(exchange, &refusal).await;
            return Err(LoginError::NotOffered("compression"));
        }
    };
    let user = || String::from_utf8_lossy(login.user).into_owned();
    let (account, lacks_tls) = {
        let accounts = &shared.settings.load().accounts;
        let lacks_tls = accounts.demands_tls(login.user) && !exchange.is_encrypted();
        // Without TLS such a client is treated like an unknown user, whatever its password is.
        (accounts.find(login.user).filter(|_| !lacks_tls), lacks_tls)
    };
    if let Err(why) = authenticate(&mut exchange, &login, account.as_deref(), &nonce, shared).await? {
        let refusal = Refusal::access_denied(login.user, &peer.ip().to_string(), !login.auth_response.is_empty());
        tell(exchange, &refusal).await;
        let why = if lacks_tls { "the account demands TLS" } else { why };
        return Err(LoginError::Denied { user: user(), why });
    }
    let Some(account) = account else {
        return Err(LoginError::Denied { user: user(), why: "unknown user" });
    };
    let capabilities = login.capabilities & offered;
    let options = ConnectOptions { account, capabilities: ConnectOptions::passed_on(capabilities) };
    let state = session_state(&login, capabilities, dialect, autocommit);
    let since = Instant::now();
    let lease = match verify(worker, &options, &state).await {
        Ok(lease) => lease,
        Err(refused) => {
            let (packet, why) = (refused.packet(), refused.to_string());
            let _ = exchange.send(packet.get(wire::HEADER..).unwrap_or_default()).await;
            exchange.into_link().close().await;
            return Err(LoginError::Refused { user: user(), why });
        }
    };
    let ok = reply::ok(0, status, capabilities);
    exchange.send(ok.get(wire::HEADER..).unwrap_or_default()).await?;
    let link = compression::begin(exchange.into_link(), compression);
    Ok(Client { link, options, capabilities, state, lease, since, id, peer })
}

/// The client's login, inside of TLS if the client asks for that, as it must where it is required.
async fn receive_login(exchange: Exchange, tls: &ClientTls) -> Result<(Exchange, Zeroizing<Vec<u8>>), LoginError> {
    let (exchange, payload) = receive(exchange).await?;
    if !Login::is_ssl_request(&payload) {
        if tls.is_required() {
            tell(exchange, &Refusal::tls_required()).await;
            return Err(LoginError::NotEncrypted);
        }
        return Ok((exchange, payload));
    }
    let Some(acceptor) = tls.acceptor() else {
        let refusal = Refusal::new(ER_SECURE_TRANSPORT_REQUIRED, "TLS is not offered here; connect without it");
        tell(exchange, &refusal).await;
        return Err(LoginError::NotOffered("TLS"));
    };
    // A second request for TLS is no login, and is refused as that.
    receive(exchange.accept_tls(acceptor).await?).await
}

/// The client's next packet. Who breaks the protocol is told how.
async fn receive(mut exchange: Exchange) -> Result<(Exchange, Zeroizing<Vec<u8>>), LoginError> {
    let error = match exchange.receive().await {
        Ok(payload) => return Ok((exchange, payload)),
        Err(error) => error,
    };
    match &error {
        LinkError::TooLarge => tell(exchange, &Refusal::packet_too_large(LARGEST_LOGIN_PACKET)).await,
        LinkError::OutOfOrder => tell(exchange, &Refusal::out_of_order()).await,
        _ => {}
    }
    Err(error.into())
}

/// What the login says of the session. What a collation's number means is the servers' business: they get it as it came.
fn session_state(login: &Login<'_>, capabilities: Capabilities, dialect: Dialect, autocommit: bool) -> SessionState {
    let [collation, _] = login.collation.to_le_bytes();
    let attributes = login.attributes.filter(|attributes| attributes.len() <= LARGEST_ATTRIBUTES).unwrap_or_default();
    let schema = login.schema.filter(|schema| !schema.is_empty());
    let multi_statements = capabilities.contains(Capabilities::MULTI_STATEMENTS);
    SessionState::new(LoginDetails { collation, attributes: attributes.into() }, schema).with_defaults(
        dialect,
        autocommit,
        multi_statements,
    )
}

/// The proof of the password. `Ok(Err(why))` is a client that has not given it.
async fn authenticate(
    exchange: &mut Exchange,
    login: &Login<'_>,
    account: Option<&Account>,
    nonce: &[u8; 20],
    shared: &Shared,
) -> Result<Result<(), &'static str>, LoginError> {
    let challenge = Challenge {
        nonce: *nonce,
        announced: Plugin::CachingSha2,
        force_full: shared.force_full_authentication,
        secure_transport: exchange.is_encrypted(),
    };
    let password = account.map(|account| account.password.as_slice());
    let (mut proof, mut step) = ServerLogin::start(challenge, login, password);
    loop {
        step = match step {
            ServerStep::Send(payload) => {
                exchange.send(&payload).await?;
                proof.on_packet(&exchange.receive().await?)
            }
            ServerStep::SendPublicKey => {
                let mut payload = BytesMut::new();
                AuthMoreData { data: shared.login_key.public_pem() }.encode(&mut payload);
                exchange.send(&payload).await?;
                proof.on_packet(&exchange.receive().await?)
            }
            ServerStep::DecryptPassword(encrypted) => proof.on_decrypted(shared.login_key.decrypt(&encrypted).as_deref()),
            ServerStep::Accepted { send_first } => {
                if let Some(payload) = send_first {
                    exchange.send(&payload).await?;
                }
                return Ok(Ok(()));
            }
            ServerStep::Denied(why) => return Ok(Err(why)),
        }
    }
}

/// Sends an error; whether it arrives does not matter any more.
async fn tell(mut exchange: Exchange, refusal: &Refusal) {
    let packet = refusal.packet(0);
    let _ = exchange.send(packet.get(wire::HEADER..).unwrap_or_default()).await;
    exchange.into_link().close().await;
}

/// Twenty random bytes, as the protocol wants them.
fn nonce() -> Result<[u8; 20], LoginError> {
    let mut random = [0; 20];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| LoginError::NoRandomness)?;
    Ok(wire::nonce_from_random(random))
}
