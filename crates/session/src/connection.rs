//! The state that one server connection is in, and what brings it to a session's.

use bytes::BytesMut;
use wire::{Capabilities, put_packet_with};

use crate::SessionState;

/// The state that one connection is in. Everything older than `version` has been repeated on it.
#[derive(Debug, Clone, Default)]
pub struct ConnectionState {
    is_reset: bool,
    multi_statements: bool,
    schema: Option<Box<[u8]>>,
    version: u64,
    /// What Pointsman itself wants of connections to servers of this kind.
    own_settings: &'static [u8],
    /// It is in force.
    prepared_for_use: bool,
}

/// What Pointsman wants of every connection: to be told when a statement changed the session in a way that its text did not show. And
/// `autocommit` is the same on all of them, whatever each server's default is.
///
/// And the GTID of what it commits is told in the answer, so that nobody has to ask (MySQL manual 7.1.18 "Server Tracking of Client Session State";
/// MariaDB tells it as a variable). The client sees these values if it asks for the variables.
const OWN_SETTINGS_MYSQL: &[u8] = b"SET session_track_state_change = ON, session_track_gtids = OWN_GTID, autocommit = ";
const OWN_SETTINGS_MARIADB: &[u8] = b"SET session_track_state_change = ON, session_track_system_variables = \
    IF(@@session_track_system_variables = '*', '*', CONCAT_WS(',', NULLIF(@@session_track_system_variables, ''), 'last_gtid')), autocommit = ";

impl ConnectionState {
    /// A connection right after a login with these capabilities, without a schema.
    pub fn after_login(capabilities: Capabilities, is_mariadb: bool) -> Self {
        let own_settings = if is_mariadb { OWN_SETTINGS_MARIADB } else { OWN_SETTINGS_MYSQL };
        Self { multi_statements: capabilities.contains(Capabilities::MULTI_STATEMENTS), own_settings, ..Self::default() }
    }

    /// After `COM_CHANGE_USER`, which leaves nothing but the option of several statements in one packet.
    #[must_use]
    pub fn after_change_user(&self) -> Self {
        Self { multi_statements: self.multi_statements, own_settings: self.own_settings, ..Self::default() }
    }

    /// After `COM_RESET_CONNECTION`, which keeps the schema, and the option of several statements in one packet.
    pub fn after_reset(&mut self) {
        *self = Self { is_reset: true, schema: self.schema.take(), ..self.after_change_user() };
    }

    /// The state is what the connection has now: a statement that the client ran there has just made it so.
    pub fn follow(&mut self, state: &SessionState) {
        self.version = state.version;
        self.schema.clone_from(&state.schema);
    }

    /// Appends the commands that bring the connection to `state`; the number of responses to expect, 0 nearly always.
    /// The connection counts as brought there at once: if one of them fails, it must not be used any more.
    pub fn catch_up(&mut self, state: &SessionState, capabilities: Capabilities, out: &mut BytesMut) -> usize {
        let is_there = self.version == state.version
            && self.prepared_for_use
            && self.multi_statements == state.multi_statements
            && self.schema == state.schema;
        if is_there {
            return 0;
        }
        let mut commands = 0;
        let mut put = |write: &dyn Fn(&mut BytesMut)| {
            put_packet_with(out, 0, write);
            commands += 1;
        };
        if self.multi_statements != state.multi_statements {
            let option = if state.multi_statements { wire::MULTI_STATEMENTS_ON } else { wire::MULTI_STATEMENTS_OFF };
            let [low, high] = option.to_le_bytes();
            put(&|payload| payload.extend_from_slice(&[wire::COM_SET_OPTION, low, high]));
            self.multi_statements = state.multi_statements;
        }
        if state.is_reset && !self.is_reset {
            put(&|payload| payload.extend_from_slice(&[wire::COM_RESET_CONNECTION]));
            self.after_reset();
        }
        if !self.prepared_for_use {
            let autocommit: &[u8] = if state.autocommit { b"1" } else { b"0" };
            let own_settings = self.own_settings;
            put(&|payload| wire::put_query(payload, capabilities, &[own_settings, autocommit]));
            self.prepared_for_use = true;
        }
        for setting in state.settings.iter().filter(|setting| setting.version > self.version) {
            put(&|payload| wire::put_query(payload, capabilities, &[b"SET ", &setting.sql]));
        }
        self.version = state.version;
        if self.schema != state.schema
            && let Some(schema) = &state.schema
        {
            put(&|payload| {
                payload.extend_from_slice(&[wire::COM_INIT_DB]);
                payload.extend_from_slice(schema);
            });
            self.schema = Some(schema.clone());
        }
        commands
    }
}

#[cfg(test)]
mod tests;
