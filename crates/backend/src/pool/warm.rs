//! Connections that are opened in advance.
//!
//! The account's clients show which connection will fit: the one that was opened last gives the capabilities and the collation. So nothing is opened
//! for an account before its first client. The keeper decides when to open one.

use std::collections::HashMap;
use std::sync::{Arc, MutexGuard, PoisonError};

use session::LoginDetails;
use topology::{Epoch, ServerId};
use wire::Capabilities;

use super::server::ServerPool;
use super::{Idle, PoolSettings, Pools, Wanted, WorkerPool};
use crate::login::{self, ConnectOptions};
use crate::{Account, ConnectError};

/// How the clients of an account log in, by user name.
pub(super) type Profiles = HashMap<Box<[u8]>, Profile>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Profile {
    capabilities: Capabilities,
    collation: u8,
}

/// A connection that is to be opened in advance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WarmUp {
    /// The server that it leads to.
    pub server: ServerId,
    options: ConnectOptions,
    collation: u8,
}

impl WarmUp {
    /// The account that it is for.
    pub fn account(&self) -> &Arc<Account> {
        &self.options.account
    }
}

impl Pools {
    /// The connections to a server that have to be opened now. `is_reused`: an idle connection may serve the next session. If not, none are kept ready, and
    /// existing ones are closed after the usual idle time.
    pub fn lacking(&self, server: ServerId, is_reused: bool) -> Vec<WarmUp> {
        let current = self.current.load();
        let Some(pooled) = current.server(server) else { return Vec::new() };
        pooled.connections.keep_warm(is_reused);
        let lacking = pooled.connections.lacking();
        if lacking.is_empty() {
            return Vec::new();
        }
        let profiles = self.profiles();
        let accounts = current.settings.accounts.iter().map(|pooled| &pooled.account);
        let lacking = accounts.filter(|account| lacking.iter().any(|user| **user == *account.user));
        let warm_up = |account: &Arc<Account>| {
            let Profile { capabilities, collation } = *profiles.get(account.user.as_slice())?;
            Some(WarmUp {
                server,
                options: ConnectOptions { account: Arc::clone(account), capabilities, client: None },
                collation,
            })
        };
        lacking.filter_map(warm_up).collect()
    }

    /// Notes how a connection was opened.
    pub(super) fn note_profile(&self, wanted: &Wanted<'_>) {
        let ConnectOptions { account, capabilities, client: _ } = wanted.options;
        let profile = Profile { capabilities: *capabilities, collation: wanted.state.login().collation };
        self.profiles().insert(account.user.as_slice().into(), profile);
    }

    /// Forgets the profiles of accounts for which no connections are kept ready any more.
    pub(super) fn forget_profiles(&self, settings: &PoolSettings) {
        let is_kept = |user: &[u8]| {
            let mut warm = settings.accounts.iter().filter(|pooled| pooled.warm_server_connections > 0);
            warm.any(|pooled| pooled.account.user == user)
        };
        self.profiles().retain(|user, _| is_kept(user));
    }

    fn profiles(&self) -> MutexGuard<'_, Profiles> {
        self.profiles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WorkerPool {
    /// Opens a connection and keeps it for the next session, or gives it to one that waits by then. False if it is no longer needed, or if there is no
    /// room for it.
    pub async fn warm_up(&self, warm_up: &WarmUp, reign: Option<Epoch>) -> Result<bool, ConnectError> {
        let WarmUp { server, options, collation } = warm_up;
        let pooled = self.server(*server)?;
        let Some(place) = pooled.connections.try_take_to_warm(&options.account.user) else { return Ok(false) };
        // No client's attributes: it is not known which client will use it.
        let details = LoginDetails { collation: *collation, ..LoginDetails::default() };
        let mut connection = Box::new(login::connect(&pooled.target, options, &details, &self.terms()).await?);
        if let Some(epoch) = reign {
            connection.serves_in(epoch);
        }
        let (server, options) = (*server, options.clone());
        ServerPool::put_back(Idle { server, options, connection, place, worker: self.worker, must_log_in: false });
        Ok(true)
    }
}
