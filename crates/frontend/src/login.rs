//! From an accepted socket to a client that has proved its identity and that a server lets in as well; and the same once more for a client that
//! changes its user (`COM_CHANGE_USER`).
//!
//! `proxied` finds out whose connection it is, `greeting` has the first packets, `proof` the password, `verify` the servers' word.

mod accepted;
mod compression;
mod counts;
mod delays;
mod failures;
mod greeting;
mod proof;
mod proxied;
mod remembered;
mod verify;

use std::time::Instant;

use backend::{Account, ConnectOptions, Lease};
use bytes::BytesMut;
use classifier::Dialect;
use net::{Exchange, Link, LinkError};
use session::{LoginDetails, Session, SessionState};
use tokio::time::timeout;
use wire::error_code::{ER_HANDSHAKE_ERROR, ER_UNKNOWN_CHARACTER_SET};
use wire::{Capabilities, Challenge, ChangeUser, Login, Plugin};

pub(crate) use self::accepted::AcceptedLogins;
pub use self::counts::LoginCounts;
pub(crate) use self::counts::Logins;
pub(crate) use self::delays::{DelayPolicy, LoginDelays};
pub(crate) use self::failures::{FailedLogins, Subject};
use self::proof::{Proof, Proven};
pub(crate) use self::proxied::{is_proxy, proxied_client};
pub(crate) use self::remembered::RememberedLogins;
pub(crate) use self::verify::is_account_refused;
use self::verify::{Refused, confirm, verify};
use crate::firewall::Place;
use crate::peer::Peer;
use crate::registry::{Origin, Registered};
use crate::reply::{self, Refusal};
use crate::tls::ClientTls;
use crate::worker::{Defaults, Shared, Worker};

/// No packet of a login is longer, in bytes.
const LARGEST_LOGIN_PACKET: usize = 64 * 1024;

/// Connection attributes beyond this are not passed on, in bytes. MySQL keeps 512 of them by default.
const LARGEST_ATTRIBUTES: usize = 4 * 1024;

/// A client that is logged in.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) connection: Connection,
    /// As others see it, with the account and capabilities with which it logs in to servers.
    pub(crate) entry: Registered,
    /// What its server connections must look like.
    pub(crate) state: SessionState,
    /// Its place among the sessions of its account, if there is a limit.
    pub(crate) place: Option<Place<Box<[u8]>>>,
    /// The first of them, if a server could be asked.
    pub(crate) lease: Option<Lease>,
    /// Before the account was looked at.
    pub(crate) since: Instant,
    /// That of the former user of its connection.
    pub(crate) former: Option<Session>,
}

/// What stays the same when a client changes its user.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) link: Link,
    pub(crate) id: u32,
    pub(crate) peer: Peer,
    /// What both sides can do.
    pub(crate) capabilities: Capabilities,
    /// That of the greeting. A client without plugins makes all its proofs with it.
    pub(crate) nonce: [u8; 20],
}

/// A `COM_CHANGE_USER`. The session of the former user has ended.
#[derive(Debug)]
pub(crate) struct UserChange {
    pub(crate) connection: Connection,
    pub(crate) payload: Vec<u8>,
    /// The number of the packet that answers it.
    pub(crate) sequence: u8,
    pub(crate) former: Session,
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
    /// A load balancer must say whose connection it is.
    #[error("no PROXY header came within timeouts.handshake, though the address is in listen.proxy_networks")]
    NoProxyHeader,
    /// What it says of that could not be understood.
    #[error("bad PROXY header: {}", .0.what)]
    BadProxyHeader(wire::Malformed),
    /// A packet could not be understood.
    #[error("{0}")]
    Malformed(#[from] wire::Malformed),
    /// Unknown user or wrong password.
    #[error("access denied for user {user:?}: {why}")]
    Denied {
        /// The name given.
        user: String,
        /// For the log; the client is not told.
        why: String,
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
    /// Its account has as many sessions as it may.
    #[error("user {user:?} has {limit} sessions, as many as its client_connections allows")]
    TooMany {
        /// The name given.
        user: String,
        /// How many it may have.
        limit: usize,
    },
    /// Its address has had too many failed logins.
    #[error("too many logins from this address have failed (limits.failed_logins)")]
    Blocked,
    /// No random numbers.
    #[error("the system gives no random numbers")]
    NoRandomness,
}

impl LoginError {
    /// The reason as metrics name it.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Link(LinkError::Tls(_)) => "tls",
            Self::Link(_) => "disconnected",
            Self::NoProxyHeader | Self::BadProxyHeader(_) => "proxy_header",
            Self::Malformed(_) => "malformed",
            Self::Denied { .. } => "denied",
            Self::Refused { .. } => "refused_by_server",
            Self::NotOffered(_) => "not_offered",
            Self::NotEncrypted => "tls_required",
            Self::TooMany { .. } => "user_connections",
            Self::Blocked => "blocked",
            Self::NoRandomness => "no_randomness",
        }
    }
}

/// A client that has asked to be let in.
#[derive(Debug, Clone, Copy)]
struct Applicant {
    id: u32,
    peer: Peer,
    /// What its proof covers.
    nonce: [u8; 20],
    /// The plugin of the greeting. `None`: it is logged in already, and changes its user.
    announced: Option<Plugin>,
    /// Looked up once for each login.
    defaults: Defaults,
}

/// A client that is not let in, and the packet by which it is told.
struct Rejected {
    packet: BytesMut,
    error: LoginError,
}

impl Rejected {
    fn new(refusal: &Refusal, error: LoginError) -> Self {
        Self { packet: refusal.packet(0), error }
    }
}

/// A client that is let in.
struct Admitted {
    entry: Registered,
    state: SessionState,
    place: Option<Place<Box<[u8]>>>,
    lease: Option<Lease>,
    since: Instant,
    /// The OK's text.
    vouched: Vec<u8>,
}

/// Greets the client and has it prove who it is, within what is left of the time allowed.
pub(crate) async fn log_in(link: Link, peer: Peer, since: Instant, worker: &Worker) -> Result<Client, LoginError> {
    let limit = worker.shared.settings.load().limits.handshake.saturating_sub(since.elapsed());
    timeout(limit, converse(link, peer, worker)).await.unwrap_or(Err(LoginError::Timeout))
}

/// Has the client prove that it is another user, within the time allowed. As with the servers, a client that fails loses its connection.
pub(crate) async fn change_user(change: UserChange, worker: &Worker) -> Result<Client, LoginError> {
    let limit = worker.shared.settings.load().limits.handshake;
    timeout(limit, converse_again(change, worker)).await.unwrap_or(Err(LoginError::Timeout))
}

async fn converse(link: Link, peer: Peer, worker: &Worker) -> Result<Client, LoginError> {
    let shared = &worker.shared;
    let settings = shared.settings();
    let mut exchange = Exchange::new(link, LARGEST_LOGIN_PACKET);
    if let Some(wait) = shared.failed_logins.wait(peer, settings.limits.failed_logins, Instant::now()) {
        tell(exchange, &Refusal::blocked(&peer.host(), wait)).await;
        return Err(LoginError::Blocked);
    }
    let nonce = nonce()?;
    let id = shared.sessions.take_id();
    let defaults = shared.defaults();
    let dialect = defaults.dialect;
    let offered = greeting::offered(dialect, &settings.limits) | compression::offered(dialect, settings.compression);
    // TLS would protect nothing here, and listen.tls does not ask for it, as the servers' require_secure_transport does not.
    let tls = if exchange.is_local() { ClientTls::Off } else { settings.tls.clone() };
    let announced = settings.default_auth_plugin.unwrap_or_else(|| greeting::default_plugin(dialect));
    exchange.send(&greeting::greeting(shared, defaults, (id, nonce), offered, announced, &tls)).await?;

    let (exchange, payload) = greeting::receive_login(exchange, &tls).await?;
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
    let capabilities = login.capabilities & offered;
    let login = Login { capabilities, ..login };
    let applicant = Applicant { id, peer, nonce, announced: Some(announced), defaults };
    let (exchange, admitted) = admit(exchange, &login, applicant, worker).await?;
    let link = compression::begin(exchange.into_link(), compression);
    let connection = Connection { link, id, peer, capabilities, nonce };
    Ok(admitted.into_client(connection, None))
}

async fn converse_again(change: UserChange, worker: &Worker) -> Result<Client, LoginError> {
    let UserChange { connection: Connection { link, id, peer, capabilities, nonce }, payload, sequence, former } = change;
    let exchange = Exchange::resume(link, sequence, LARGEST_LOGIN_PACKET);
    let login = match ChangeUser::decode(&payload, capabilities) {
        Ok(login) => login,
        Err(error) => {
            tell(exchange, &Refusal::malformed(&error)).await;
            return Err(error.into());
        }
    };
    let has_plugins = capabilities.contains(Capabilities::PLUGIN_AUTH);
    let challenge_nonce = if has_plugins { self::nonce()? } else { nonce };
    let defaults = worker.shared.defaults();
    let applicant = Applicant { id, peer, nonce: challenge_nonce, announced: None, defaults };
    let (exchange, admitted) = admit(exchange, &login, applicant, worker).await?;
    let connection = Connection { link: exchange.into_link(), id, peer, capabilities, nonce };
    Ok(admitted.into_client(connection, Some(former)))
}

impl Admitted {
    fn into_client(self, connection: Connection, former: Option<Session>) -> Client {
        let Self { entry, state, place, lease, since, .. } = self;
        Client { connection, entry, state, place, lease, since, former }
    }
}

/// From a login to its OK, or to its error and the end of the connection.
async fn admit(
    mut exchange: Exchange,
    login: &Login<'_>,
    applicant: Applicant,
    worker: &Worker,
) -> Result<(Exchange, Admitted), LoginError> {
    wait_for_turn(login.user, applicant.peer, &worker.shared).await;
    match examine(&mut exchange, login, applicant, worker).await? {
        Ok(admitted) => {
            worker.shared.login_delays.note_success(applicant.peer, login.user);
            // Before the client knows, as what follows its login may depend on that.
            worker.shared.logins.note_success(exchange.is_encrypted());
            let status = greeting::status(applicant.defaults.autocommit);
            let ok = reply::ok_with_info(0, status, &admitted.vouched, login.capabilities);
            exchange.send(ok.get(wire::HEADER..).unwrap_or_default()).await?;
            Ok((exchange, admitted))
        }
        Err(Rejected { packet, error }) => {
            if matches!(error, LoginError::Denied { .. }) {
                let limit = worker.shared.settings.load().limits.failed_logins;
                let now = Instant::now();
                worker.shared.failed_logins.note(applicant.peer, limit, now);
                worker.shared.login_delays.note_failure(applicant.peer, login.user, now);
            }
            end(exchange, &packet).await;
            Err(error)
        }
    }
}

/// Lets time pass if logins like this one have failed.
async fn wait_for_turn(user: &[u8], peer: Peer, shared: &Shared) {
    let policy = shared.settings.load().limits.login_delay();
    let delay = shared.login_delays.of(peer, user, policy, Instant::now());
    if !delay.is_zero() {
        shared.logins.note_delay();
        tracing::debug!(%peer, ?delay, "a login waits, as others have failed (timeouts.failed_login_delay)");
        tokio::time::sleep(delay).await;
    }
}

/// What the client is, by its proof and by a server's word.
async fn examine(
    exchange: &mut Exchange,
    login: &Login<'_>,
    applicant: Applicant,
    worker: &Worker,
) -> Result<Result<Admitted, Rejected>, LoginError> {
    let shared = &worker.shared;
    let Applicant { id, peer, nonce, announced, defaults: Defaults { dialect, autocommit, .. } } = applicant;
    let challenge = Challenge {
        nonce,
        announced,
        force_full: shared.force_full_authentication,
        secure_transport: exchange.is_encrypted() || exchange.is_local(),
    };
    let user = || String::from_utf8_lossy(login.user).into_owned();
    let deny = |why: String| {
        let refusal = Refusal::access_denied(login.user, &peer.host(), !login.auth_response.is_empty());
        Rejected::new(&refusal, LoginError::Denied { user: user(), why })
    };
    let Some(state) = session_state(login, dialect, autocommit) else {
        let why = "the number of the collation is above 255; connect with another one, and choose it by SET NAMES";
        let refusal = Refusal::new(ER_UNKNOWN_CHARACTER_SET, why);
        return Ok(Err(Rejected::new(&refusal, LoginError::NotOffered("a collation above 255"))));
    };
    let Proof { proven, vouched } = match proof::prove(exchange, login, challenge, peer, shared).await? {
        Ok(proof) => proof,
        Err(why) => return Ok(Err(deny(why.to_owned()))),
    };
    let mut options = ConnectOptions {
        account: proven.account().clone(),
        capabilities: ConnectOptions::passed_on(login.capabilities),
        client: if shared.settings.load().server_proxy_protocol { peer.address() } else { None },
    };
    let is_claim = !matches!(proven, Proven::Account(_));
    let _turn = if is_claim { shared.claims.acquire().await.ok() } else { None };
    let since = Instant::now();
    let mut verdict = ask_servers(worker, is_claim, &options, &state).await;
    if let Err(refused) = &verdict
        && refused.is_about_expiry(login.capabilities)
    {
        options = options.with_expired_password();
        verdict = ask_servers(worker, is_claim, &options, &state).await;
    }
    Ok(match (verdict, proven) {
        (_, Proven::VainClaim(_, why)) => Err(deny(why.to_owned())),
        (Ok(lease), proven) => {
            if lease.is_some() && !options.has_expired_password() {
                remember(&proven, shared);
            }
            match find_place(&options.account, shared) {
                Ok(place) => {
                    let origin = Origin { peer, is_encrypted: exchange.is_encrypted(), since };
                    Ok(Admitted { entry: shared.sessions.add(id, options, origin), state, place, lease, since, vouched })
                }
                Err(limit) => {
                    let refusal = Refusal::account_limit("client_connections", limit.try_into().unwrap_or(u64::MAX));
                    Err(Rejected::new(&refusal, LoginError::TooMany { user: user(), limit }))
                }
            }
        }
        (Err(Refused::Account(why)), Proven::Claimed(_)) => Err(deny(why)),
        // The servers have several answers to a user who is not there, and the client is told the same as without having been remembered.
        (Err(refused), proven) if refused.is_about_the_password() && is_unlisted(proven.account(), shared) => {
            shared.remembered.forget(proven.account());
            Err(deny(refused.to_string()))
        }
        (Err(refused), _) => {
            let (packet, why) = (refused.packet(), refused.to_string());
            Err(Rejected { packet, error: LoginError::Refused { user: user(), why } })
        }
    })
}

/// Among the sessions of the account; `Err` with their limit if there is none.
fn find_place(account: &Account, shared: &Shared) -> Result<Option<Place<Box<[u8]>>>, usize> {
    let settings = shared.settings.load();
    let limit = settings.accounts.terms(&account.user).and_then(|terms| terms.client_connections);
    let enter = |limit| shared.of_user.enter(account.user.as_slice().into(), limit).ok_or(limit);
    limit.map(enter).transpose()
}

/// What the servers say, or have said a moment ago. A claim counts only if one of them confirms it now.
async fn ask_servers(
    worker: &Worker,
    is_claim: bool,
    options: &ConnectOptions,
    state: &SessionState,
) -> Result<Option<Lease>, Refused> {
    if is_claim {
        return confirm(worker, options, state).await;
    }
    let shared = &worker.shared;
    let settings = shared.settings();
    let (account, schema) = (&options.account, state.schema());
    let outlasts = !options.has_expired_password() && options.client.is_none() && !is_unlisted(account, shared);
    if outlasts && shared.accepted.has(account, schema, Instant::now(), settings.limits.accepted_login) {
        return Ok(None);
    }
    let verdict = verify(worker, options, state).await;
    match &verdict {
        Ok(Some(_)) if outlasts => shared.accepted.note(account, schema, Instant::now(), settings.limits.accepted_logins),
        Ok(_) => {}
        Err(_) => shared.accepted.forget(account),
    }
    verdict
}

/// Notes that a server has let in a client whose account the configuration does not list.
fn remember(proven: &Proven, shared: &Shared) {
    let account = proven.account();
    if is_unlisted(account, shared) {
        let most = shared.settings.load().limits.remembered_logins;
        shared.remembered.note(account, Instant::now(), most);
    }
}

/// Whether it may log in only because the servers let it in.
fn is_unlisted(account: &Account, shared: &Shared) -> bool {
    let settings = shared.settings.load();
    settings.remembered_login.is_some() && !settings.accounts.has(&account.user)
}

/// What the login says of the session. What a collation's number means is the servers' business: they get it as it came. `None` if it has no place in
/// the login that they get.
fn session_state(login: &Login<'_>, dialect: Dialect, autocommit: bool) -> Option<SessionState> {
    let collation = u8::try_from(login.collation).ok()?;
    let attributes = login.attributes.filter(|attributes| attributes.len() <= LARGEST_ATTRIBUTES).unwrap_or_default();
    let schema = login.schema.filter(|schema| !schema.is_empty());
    let multi_statements = login.capabilities.contains(Capabilities::MULTI_STATEMENTS);
    let details = LoginDetails { collation, attributes: attributes.into() };
    Some(SessionState::new(details, schema).with_defaults(dialect, autocommit, multi_statements))
}

/// Sends an error; whether it arrives does not matter any more.
async fn tell(exchange: Exchange, refusal: &Refusal) {
    end(exchange, &refusal.packet(0)).await;
}

/// Sends the payload of a packet as the last one.
async fn end(mut exchange: Exchange, packet: &[u8]) {
    let _ = exchange.send(packet.get(wire::HEADER..).unwrap_or_default()).await;
    exchange.into_link().close().await;
}

/// Twenty random bytes, as the protocol wants them.
fn nonce() -> Result<[u8; 20], LoginError> {
    let mut random = [0; 20];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| LoginError::NoRandomness)?;
    Ok(wire::nonce_from_random(random))
}
