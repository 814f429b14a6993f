//! The connection for one try: one that the session holds, one that is idle, or a new one.

use std::time::Instant;

use backend::{ConnectError, Wanted};
use classifier::{Effects, Reason, Statement};
use session::Distance;
use topology::ServerId;

use crate::login::is_account_refused;
use crate::session::Core;
use crate::session::failure::Failure;

impl Core {
    /// The index of the held connection to this server, which is replaced by another one if none is alive.
    pub(super) async fn checkout(&mut self, server: ServerId, statement: &Statement) -> Result<usize, Failure> {
        let reign = self.worker.shared.reign(server);
        if let Some((index, lease)) = self.held.iter_mut().enumerate().find(|(_, lease)| lease.server() == server) {
            let is_of_now = reign.is_none_or(|epoch| !lease.is_of_another_epoch(epoch));
            if !(is_of_now && lease.is_clean() && lease.link.is_quiet()) {
                return Err(Failure::LostBefore);
            }
            let is_near = lease.state.distance(&self.session.state) != Distance::Login;
            if is_near || self.session.binding.keeps(server) {
                return Ok(index);
            }
            self.held.swap_remove(index).give_back();
        }
        let wanted = Wanted {
            options: self.entry.options(),
            state: &self.session.state,
            since: if asks_what_others_left(statement) { Instant::now() } else { self.since },
            keeps_idle: self.worker.shared.keeps_idle(server),
            reign,
            enters_schema: false,
        };
        let lease = match self.worker.pool.take(server, &wanted) {
            Some(lease) => lease,
            // Boxed, as is all else that is rare and needs much room, which every idle session would keep for it otherwise.
            None => Box::pin(self.worker.pool.lease(server, &wanted)).await.map_err(|error| self.not_connected(error))?,
        };
        self.held.push(lease);
        Ok(self.held.len() - 1)
    }

    /// What a server refuses does not let in the next client.
    fn not_connected(&self, error: ConnectError) -> Failure {
        let (shared, account) = (&self.worker.shared, &self.entry.options().account);
        if is_account_refused(&error) {
            shared.forget_login(account);
        } else if matches!(error, ConnectError::Refused { .. }) {
            shared.accepted.forget(account);
        }
        Failure::Connect(error)
    }
}

/// Whether the answer depends on a connection's former sessions: their sequences and GTIDs. Such a statement needs another login first.
fn asks_what_others_left(statement: &Statement) -> bool {
    let is_about_them = matches!(statement.because, Reason::Sequence | Reason::ServerVariable);
    is_about_them && statement.effects.contains(Effects::INSERT_ID)
}
