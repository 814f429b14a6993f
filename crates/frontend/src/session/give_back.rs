//! Which server connections a session keeps, and which it gives back.
//!
//! A connection on which nothing of the session lives is given back: after each statement (`pooling = "transaction"`), or when the session has been idle
//! for a while. If only that connection knows something that may be asked for, it is kept for that while, unless another session waits for one:
//! `LAST_INSERT_ID()`, which is then noted and can be brought to another connection, and warnings. What the last statement has counted
//! (`ROW_COUNT()`, `FOUND_ROWS()`) is noted from its answer. A question about the rest gets an error from then on, never the answer of a connection
//! that knows nothing.

use std::time::Duration;

use backend::Lease;
use bytes::BytesMut;
use classifier::{Context, Count, Reason, Statement};
use session::Distance;
use topology::ServerId;

use super::Core;
use crate::reply;

/// For asking one number.
const QUESTION: Duration = Duration::from_secs(1);

impl Core {
    /// A command was answered: others may use the connections on which nothing of the session is left.
    pub(super) fn share(&mut self) {
        if !self.shares_connections {
            return;
        }
        let mut index = 0;
        while let Some(lease) = self.held.get_mut(index) {
            let server = lease.server();
            let binding = &self.session.binding;
            let is_home = binding.home() == Some(server) && !binding.in_transaction();
            // What was set on another connection meanwhile is not on this one yet: then it is not known to be at the new state.
            if is_home && lease.state.distance(&self.session.state) == Distance::None {
                self.session.loosen(server);
                lease.state.follow(&self.session.state);
            }
            let binding = &self.session.binding;
            let is_asked = self.statements.ask_about_previous() && binding.previous() == Some(server);
            if binding.keeps(server) || is_asked || !lease.may_be_shared() {
                index += 1;
            } else {
                self.held.swap_remove(index).share();
            }
        }
    }

    /// The session ends.
    pub(super) fn give_back_all(&mut self) {
        for lease in std::mem::take(&mut self.held) {
            if self.session.binding.loses_with(lease.server()) { lease.give_back() } else { self.release(lease) }
        }
    }

    /// Nothing of the session lives on this connection.
    fn release(&self, lease: Lease) {
        if self.shares_connections { lease.share() } else { lease.give_back() }
    }

    /// What the last statement has counted, if that is all that is asked: its connection may serve others by now.
    pub(super) fn count_answer(&self, statement: &Statement, sql: &[u8], context: &Context<'_>) -> Option<BytesMut> {
        if statement.because != Reason::PreviousStatement || !self.shares_connections {
            return None;
        }
        let (count, column) = classifier::asked_count(sql, context)?;
        let counts = self.session.binding.counts();
        let value = match count {
            Count::Changed => counts.changed,
            Count::Found => counts.found.and_then(|found| i64::try_from(found).ok()),
        };
        Some(reply::count(self.answer_sequence, column, value?, self.status(), self.capabilities))
    }

    /// The session waits for its client from now on: others may see what it could give back.
    pub(super) fn note_idle(&mut self) {
        let servers = self.held.iter().filter(|lease| lease.is_clean()).map(Lease::server);
        self.entry.idle(servers.filter(|server| !self.session.binding.loses_with(*server)));
    }

    /// Whether another session waits for a connection that this one could give back.
    pub(super) fn is_wanted(&self) -> bool {
        let pools = self.worker.pool.pools();
        let servers = self.held.iter().map(Lease::server);
        servers.filter(|server| pools.waiting(*server) > 0).any(|server| !self.session.binding.loses_with(server))
    }

    /// Gives back the connections that hold nothing of the session. `is_wanted`: another session waits for one.
    pub(super) async fn give_back(&mut self, is_wanted: bool) {
        let keeps_diagnostics = self.session.binding.has_diagnostics() && !is_wanted;
        for server in self.held_servers() {
            let is_asked_about = self.session.binding.previous() == Some(server) && keeps_diagnostics;
            if self.session.binding.loses_with(server) || is_asked_about {
                continue;
            }
            // Noted, it would be set on the connection with the warnings before the question about them, which would end them.
            let knows_insert_id = self.session.binding.insert_id_is_on(server);
            if knows_insert_id && keeps_diagnostics {
                continue;
            }
            if knows_insert_id && (!self.answers(server) || !self.note_insert_id(server).await) {
                continue;
            }
            if let Some(place) = self.held.iter().position(|lease| lease.server() == server) {
                let lease = self.held.swap_remove(place);
                self.session.binding.left(server);
                self.release(lease);
            }
        }
        self.note_idle();
    }

    pub(super) fn answers(&self, server: ServerId) -> bool {
        self.worker.shared.servers.load().server(server).is_some_and(topology::Server::answers)
    }

    /// Asks the connection for `LAST_INSERT_ID()`, to tell the next one. False if the connection is no more.
    pub(super) async fn note_insert_id(&mut self, server: ServerId) -> bool {
        let Some(lease) = self.held.iter_mut().find(|lease| lease.server() == server) else { return false };
        let Ok(Some(id)) = lease.ask_number("SELECT LAST_INSERT_ID()", QUESTION).await else {
            self.forget(server);
            return false;
        };
        lease.state.note_insert_id(id);
        self.session.note_insert_id(id);
        true
    }
}
