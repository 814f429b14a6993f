//! Whether a server lets in a client that has proved its identity to Pointsman.
//!
//! The account may have been dropped, locked, or given another password since the configuration was written, and the schema may not exist: a server
//! says so at the login, so Pointsman does, unless one has accepted the same login a moment ago (`accepted`). The connection that was asked is the
//! session's first. If no server can be asked, the login goes on: the first statement gets the error, or waits. Only where the server has to say whether
//! the password is right (`confirm`), no login goes on without one.
//!
//! Without a primary a replica is asked. If it accepts, that counts: the client can read, and its first write waits. If it refuses, that does not,
//! since the account or the schema may be too new for it: then the login waits for a primary, as a write does, and for half of the time that a login
//! may take at most.
//!
//! An account whose password has expired is let in to change it, if a server says so: the connection that was asked is closed, and another one is
//! opened as for a client that knows what to do ([`ConnectOptions::with_expired_password`]).

use std::fmt;
use std::time::Instant;

use backend::{ConnectError, ConnectOptions, Lease, Wanted};
use bytes::BytesMut;
use router::Awaited;
use session::SessionState;
use tokio::time::timeout;
use topology::{Role, Server, ServerId, Snapshot};
use wire::error_code::{
    self, ER_ACCESS_DENIED_ERROR, ER_CON_COUNT_ERROR, ER_MUST_CHANGE_PASSWORD, ER_MUST_CHANGE_PASSWORD_LOGIN,
    ER_SERVER_OFFLINE_MODE, ER_SERVER_SHUTDOWN, ER_TOO_MANY_USER_CONNECTIONS,
};
use wire::{Capabilities, ErrOwned};

use crate::reply::{self, Refusal};
use crate::worker::Worker;

/// The refusal for the client.
#[derive(Debug)]
pub(super) enum Refused {
    /// The server's own words.
    ByServer(ErrOwned),
    /// Ours: the server cannot be asked, and never will be as things stand.
    ByUs(Refusal),
    /// The server wants a proof that Pointsman cannot give, as it also does for accounts that do not exist.
    Unproved(Refusal),
    /// There is no such account, or it has another password, for this reason. Nothing of it is for a client that has proved nothing.
    Account(String),
    /// No server has said whether the password is right. The reason is not for a client that has proved nothing.
    NotAsked(String),
}

impl Refused {
    /// A whole packet. [`Refused::Account`] is told otherwise.
    pub(super) fn packet(&self) -> BytesMut {
        match self {
            Self::ByServer(error) => reply::server_error(error, 0),
            Self::ByUs(refusal) | Self::Unproved(refusal) => refusal.packet(0),
            Self::Account(_) | Self::NotAsked(_) => Refusal::nobody_to_ask().packet(0),
        }
    }

    /// The password is right, but has expired. The server would let this client in to change it, which has these capabilities.
    pub(super) fn is_about_expiry(&self, client: Capabilities) -> bool {
        match self {
            // It did let it in, and refused what came next.
            Self::ByServer(error) if error.code == ER_MUST_CHANGE_PASSWORD => true,
            Self::ByServer(error) if error.code == ER_MUST_CHANGE_PASSWORD_LOGIN => {
                client.contains(Capabilities::CAN_HANDLE_EXPIRED_PASSWORDS)
            }
            _ => false,
        }
    }

    /// The server knows no such account with this password.
    pub(super) fn is_about_the_password(&self) -> bool {
        match self {
            Self::ByServer(error) => is_access_denied(error),
            Self::Unproved(_) => true,
            Self::ByUs(_) | Self::Account(_) | Self::NotAsked(_) => false,
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ByServer(error) => error.fmt(f),
            Self::ByUs(refusal) | Self::Unproved(refusal) => f.write_str(&refusal.message),
            Self::Account(why) | Self::NotAsked(why) => f.write_str(why),
        }
    }
}

/// Logs in to a server as the client, into its schema. `None` if no server could be asked.
pub(super) async fn verify(worker: &Worker, options: &ConnectOptions, state: &SessionState) -> Result<Option<Lease>, Refused> {
    let refused = match ask_somebody(worker, options, state).await {
        Ok(lease) => return Ok(lease),
        Err((refused, Refuser::Primary)) => return Err(refused),
        Err((refused, Refuser::Replica)) => refused,
    };
    let shared = &worker.shared;
    let settings = shared.settings();
    let at_most = settings.policy.hold_writes.min(settings.limits.handshake / 2);
    let Ok(_place) = shared.held.admit(0, Awaited::Primary, &settings.limits) else { return Err(refused) };
    match timeout(at_most, shared.until(has_primary)).await {
        Ok(()) => ask_somebody(worker, options, state).await.map_err(|(refused, _)| refused),
        Err(_) => Err(refused),
    }
}

/// Logs in to a server as a client whose password is not known here: whether it is right, the server decides.
pub(super) async fn confirm(worker: &Worker, options: &ConnectOptions, state: &SessionState) -> Result<Option<Lease>, Refused> {
    let refused = match verify(worker, options, state).await {
        Ok(Some(lease)) => return Ok(Some(lease)),
        Ok(None) => {
            return Err(Refused::NotAsked("no server answers, so nobody can say whether the password is right".to_owned()));
        }
        Err(refused) => refused,
    };
    Err(match refused {
        refused if refused.is_about_the_password() => Refused::Account(refused.to_string()),
        Refused::ByUs(refusal) => Refused::NotAsked(refusal.message),
        refused => refused,
    })
}

/// Which server refused. Only the primary's refusal is final.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refuser {
    Primary,
    Replica,
}

/// Logs in to the primary, or to a replica where there is none.
async fn ask_somebody(
    worker: &Worker,
    options: &ConnectOptions,
    state: &SessionState,
) -> Result<Option<Lease>, (Refused, Refuser)> {
    let shared = &worker.shared;
    // So that no snapshot is borrowed while a server is asked.
    let whom = || whom_to_ask(&shared.servers.load());
    while let Some((server, refuser)) = whom() {
        // Not by a timer, which would wake the worker's thread twice for each login.
        let falls_silent = shared.until(|snapshot| whom_to_ask(snapshot) != Some((server, refuser)));
        tokio::select! {
            biased;
            asked = ask(worker, server, options, state) => return asked.map_err(|refused| (refused, refuser)),
            () = falls_silent => {}
        }
    }
    Ok(None)
}

async fn ask(
    worker: &Worker,
    server: ServerId,
    options: &ConnectOptions,
    state: &SessionState,
) -> Result<Option<Lease>, Refused> {
    let shared = &worker.shared;
    // No connection is younger than this login, so each that is there already is logged in to once more.
    let (since, keeps_idle, reign) = (Instant::now(), shared.keeps_idle(server), shared.reign(server));
    let wanted = Wanted { options, state, since, keeps_idle, reign, enters_schema: true };
    let mut lease = match worker.pool.lease(server, &wanted).await {
        Ok(lease) => lease,
        Err(ConnectError::Refused { error, .. }) if !is_for_now(error.code) => return Err(Refused::ByServer(error)),
        Err(error @ ConnectError::KeyNotTrusted { .. }) => return Err(Refused::ByUs(Refusal::from(&error))),
        Err(error @ ConnectError::UnsupportedPlugin { .. }) => return Err(Refused::Unproved(Refusal::from(&error))),
        Err(error) => {
            tracing::debug!(server = server.0, %error, "a login goes on without a server");
            return Ok(None);
        }
    };
    if options.has_expired_password() {
        // It takes no settings.
        return Ok(Some(lease));
    }
    if lease.state.schema() == state.schema() && shared.refuses_expired_passwords(server) {
        // Nothing can be refused any more. The settings go out with the first statement.
        return Ok(Some(lease));
    }
    let mut commands = BytesMut::new();
    let count = lease.catch_up(state, &mut commands) + lease.ask_for_expiry(&mut commands);
    if lease.link.send(&commands).await.is_err() {
        return Ok(None);
    }
    for _ in 0..count {
        match lease.receive_own().await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(Refused::ByServer(error)),
            Err(_) => return Ok(None),
        }
    }
    Ok(Some(lease))
}

/// There is a primary to ask.
fn has_primary(snapshot: &Snapshot) -> bool {
    snapshot.primary_server().is_some_and(Server::answers)
}

/// The primary, which knows of a change first; else a replica.
fn whom_to_ask(snapshot: &Snapshot) -> Option<(ServerId, Refuser)> {
    let primary = snapshot.primary_server().filter(|server| server.answers());
    let mut replicas = snapshot.servers.iter().filter(|server| server.answers() && server.role == Role::Replica);
    let primary = primary.map(|server| (server.id, Refuser::Primary));
    primary.or_else(|| replicas.next().map(|server| (server.id, Refuser::Replica)))
}

/// Whether a server lets nobody in with this account and password, as far as Pointsman can prove it.
pub(crate) fn is_account_refused(error: &ConnectError) -> bool {
    match error {
        ConnectError::Refused { error, .. } => is_access_denied(error),
        ConnectError::UnsupportedPlugin { .. } => true,
        _ => false,
    }
}

/// 1045, or 1698 where a MariaDB account has no password by which it could log in, as those it makes up for unknown users.
fn is_access_denied(error: &ErrOwned) -> bool {
    error.sqlstate == error_code::sqlstate(ER_ACCESS_DENIED_ERROR)
}

/// A refusal that says nothing of the account: the server is full, starting, or stopping.
fn is_for_now(code: u16) -> bool {
    matches!(code, ER_CON_COUNT_ERROR | ER_SERVER_SHUTDOWN | ER_TOO_MANY_USER_CONNECTIONS | ER_SERVER_OFFLINE_MODE)
}
