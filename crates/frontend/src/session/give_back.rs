//! What an idle session keeps of the servers' connections, and what it gives back.
//!
//! A connection on which nothing of the session lives is given back after a while, or at once when somebody waits for one. What only that connection
//! knew is noted where it can be brought to another one (`LAST_INSERT_ID()`); a question about the rest (`ROW_COUNT()`, `FOUND_ROWS()`) gets an
//! error from then on, never the answer of a connection that knows nothing. A connection with warnings is kept, unless somebody waits.

use std::time::Duration;

use topology::ServerId;

use super::Core;

/// For asking one number.
const QUESTION: Duration = Duration::from_secs(1);

impl Core {
    /// The session waits for its client from now on: others may see what it could give back.
    pub(super) fn note_idle(&mut self) {
        let servers = self.held.iter().filter(|held| held.lease.is_clean()).map(|held| held.lease.server());
        self.entry.idle(servers.filter(|server| !self.session.binding.loses_with(*server)));
    }

    /// Whether somebody waits for a connection that the session could give back.
    pub(super) fn is_wanted(&self) -> bool {
        let pools = self.worker.pool.pools();
        let servers = self.held.iter().map(|held| held.lease.server());
        servers.filter(|server| pools.waiting(*server) > 0).any(|server| !self.session.binding.loses_with(server))
    }

    /// Gives back what holds nothing of the session; `is_wanted` is somebody who waits for a connection.
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
            if let Some(place) = self.held.iter().position(|held| held.lease.server() == server) {
                self.held.swap_remove(place).lease.give_back();
            }
        }
        self.note_idle();
    }

    pub(super) fn answers(&self, server: ServerId) -> bool {
        self.worker.shared.servers.load().server(server).is_some_and(topology::Server::answers)
    }

    /// Asks the connection for `LAST_INSERT_ID()`, to tell the next one. False if the connection is no more.
    pub(super) async fn note_insert_id(&mut self, server: ServerId) -> bool {
        const NAME: &str = "last_insert_id";
        let Some(held) = self.held.iter_mut().find(|held| held.lease.server() == server) else { return false };
        match held.lease.ask_number("SELECT LAST_INSERT_ID()", QUESTION).await {
            Ok(Some(0)) => self.session.state.unset(NAME),
            Ok(Some(id)) if self.session.state.set(NAME, format!("last_insert_id = {id}").as_bytes()) => {}
            _ => {
                self.forget(server);
                return false;
            }
        }
        self.session.binding.insert_id_noted();
        true
    }
}
