//! Commands that are about the session itself.

use std::time::Instant;

use net::Link;
use wire::command::{MULTI_STATEMENTS_OFF, MULTI_STATEMENTS_ON};

use super::{Core, Ended};
use crate::login::{Connection, UserChange};
use crate::packet::Packet;
use crate::reply::{self, Refusal};
use session::ClientStatements;

impl Core {
    /// `COM_RESET_CONNECTION`: everything that the client has set is gone, on all its connections.
    pub(super) async fn reset(&mut self, client: &mut Link) -> Result<(), Ended> {
        if self.session.binding.has_expired_password() {
            return self.reply(client, &Refusal::password_expired()).await;
        }
        self.reset_connections().await;
        self.statements = ClientStatements::default();
        let beginning = self.worker.shared.beginning_after_reset(self.session.login().collation);
        self.session.reset(beginning, Instant::now());
        self.idle_timer.limit_to(self.settings.limits.client_idle);
        self.note_write();
        self.reply_ok(client).await
    }

    /// `COM_CHANGE_USER`: the session ends, and with it all that it has on its connections, before the client can ask for anything else.
    pub(super) async fn change_user(&mut self, payload: &[u8]) -> Ended {
        self.reset_connections().await;
        self.session.reset(self.worker.shared.beginning(0), Instant::now());
        self.note_write();
        self.user_change = Some(payload.into());
        Ended
    }

    /// What the session of the next user begins with.
    pub(super) fn into_user_change(self, link: Link, payload: Box<[u8]>) -> UserChange {
        let Self { entry, peer, capabilities, nonce, answer_sequence: sequence, session: former, .. } = self;
        let connection = Connection { link, id: entry.id(), peer, capabilities, nonce };
        UserChange { connection, payload: payload.into(), sequence, former }
    }

    async fn reset_connections(&mut self) {
        let limit = self.settings.limits.handshake;
        let mut kept = Vec::with_capacity(self.held.len());
        for mut lease in std::mem::take(&mut self.held) {
            // A connection that cannot be reset is closed with its lease, which has the same effect.
            if let Ok(true) = lease.reset(limit).await {
                kept.push(lease);
            }
        }
        self.held = kept;
    }

    /// `COM_SET_OPTION`: connections follow before their next statement.
    pub(super) async fn set_option(&mut self, client: &mut Link, option: u16) -> Result<(), Ended> {
        let is_on = match option {
            MULTI_STATEMENTS_ON => true,
            MULTI_STATEMENTS_OFF => false,
            _ => return self.reply(client, &Refusal::unknown_command(wire::COM_SET_OPTION)).await,
        };
        self.session.state.allow_multi_statements(is_on);
        let packet = reply::eof(self.answer_sequence, self.status(), self.capabilities);
        self.say(client, &packet).await
    }

    /// The session has changed its password, which had expired. It goes on on this connection; no other can be opened for it.
    pub(super) fn note_changed_password(&self) {
        let account = &self.entry.options().account;
        self.worker.shared.forget_login(account);
        let (connection, user) = (self.entry.id(), String::from_utf8_lossy(&account.user));
        if self.settings.accounts.has(&account.user) {
            tracing::warn!(connection, %user, "a user has changed its expired password; the configuration has the old one");
        } else {
            tracing::info!(connection, %user, "a user has changed its expired password");
        }
    }

    /// The last statement, or the end of a transaction, may have written: notifies the sessions that must see it.
    pub(super) fn note_write(&self) {
        if let (Some(moment), Some(wrote_at)) = (&self.moment, self.session.binding.wrote_at()) {
            moment.note(wrote_at);
        }
    }

    /// `COM_STMT_RESET`: long data and the cursor are gone.
    pub(super) async fn reset_statement(&mut self, client: &mut Link, id: u32, packet: &mut Packet) -> Result<(), Ended> {
        if !self.statements.forget_long_data(id) {
            return self.reply(client, &Refusal::unknown_statement(id, "mysql_stmt_reset")).await;
        }
        if self.session.binding.has_cursor(id) {
            return self.close_cursor(client, id, packet).await;
        }
        self.reply_ok(client).await
    }
}
