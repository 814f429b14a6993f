//! The state that one server connection is in, and what brings it to a session's.

use std::sync::Arc;

use bytes::BytesMut;
use wire::{Capabilities, put_packet_with};

use crate::settings::Setting;
use crate::{SessionState, Traces};

/// The state that one connection is in: by value, so that it can be compared with that of any session of its account.
#[derive(Debug, Clone, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each says another thing about the connection")]
pub struct ConnectionState {
    is_reset: bool,
    multi_statements: bool,
    /// Of its login.
    collation: u8,
    schema: Option<Box<[u8]>>,
    settings: Arc<Vec<Setting>>,
    /// `LAST_INSERT_ID()`; `None` if nobody has asked.
    insert_id: Option<u64>,
    /// What Pointsman itself wants of connections to servers of this kind.
    own_settings: &'static [u8],
    /// It is in force, with this `autocommit`.
    began_with: Option<bool>,
    /// It may have more than is known here: no other session may use it as it is.
    is_in_doubt: bool,
    /// It may have warnings that another session's statement would not end.
    has_lasting_warnings: bool,
    /// `SET TRANSACTION` was for a transaction that has not been seen to begin.
    has_next_transaction: bool,
    /// What it would answer to `FOUND_ROWS()` is another session's.
    counts_are_anothers: bool,
}

/// What it takes to bring a connection to a session's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Distance {
    /// Nothing.
    None,
    /// Commands that go out before the next one, in the same write.
    Commands,
    /// A login: it has what the session has not, and what only a new session on the server takes away.
    Login,
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
    /// A connection right after a login with these capabilities and this collation, without a schema.
    pub fn after_login(capabilities: Capabilities, collation: u8, is_mariadb: bool) -> Self {
        let own_settings = if is_mariadb { OWN_SETTINGS_MARIADB } else { OWN_SETTINGS_MYSQL };
        let multi_statements = capabilities.contains(Capabilities::MULTI_STATEMENTS);
        Self { multi_statements, collation, own_settings, insert_id: Some(0), ..Self::default() }
    }

    /// After `COM_CHANGE_USER` with this collation, which leaves nothing but the option of several statements in one packet.
    #[must_use]
    pub fn after_change_user(&self, collation: u8) -> Self {
        let Self { multi_statements, own_settings, .. } = *self;
        // MySQL keeps FOUND_ROWS().
        let counts_are_anothers = true;
        Self { multi_statements, collation, own_settings, counts_are_anothers, insert_id: Some(0), ..Self::default() }
    }

    /// After `COM_RESET_CONNECTION`, which keeps the schema, and the option of several statements in one packet.
    pub fn after_reset(&mut self) {
        *self = Self { is_reset: true, schema: self.schema.take(), ..self.after_change_user(self.collation) };
    }

    /// The state is what the connection has now: a statement that the client ran there has just made it so.
    pub fn follow(&mut self, state: &SessionState) {
        if !Arc::ptr_eq(&self.settings, &state.settings) {
            self.settings = Arc::clone(&state.settings);
        }
        if self.schema != state.schema {
            self.schema.clone_from(&state.schema);
        }
    }

    /// It was asked for `LAST_INSERT_ID()`.
    pub fn note_insert_id(&mut self, id: u64) {
        self.insert_id = Some(id);
    }

    /// A statement has run there, and may have left this.
    pub fn note(&mut self, traces: Traces) {
        if traces.insert_id {
            self.insert_id = None;
        }
        self.is_in_doubt |= traces.unseen;
        self.has_lasting_warnings = traces.lasting_warnings.unwrap_or(self.has_lasting_warnings);
        self.has_next_transaction = traces.next_transaction.unwrap_or(self.has_next_transaction);
        self.counts_are_anothers &= !traces.rows;
    }

    /// Its session has no use for it any more.
    pub fn left(&mut self) {
        self.counts_are_anothers = true;
    }

    /// What it has counted, it has counted for the session that uses it now.
    pub fn has_own_counts(&self) -> bool {
        !self.counts_are_anothers
    }

    /// Nothing is on it but what is known here.
    pub fn is_known(&self) -> bool {
        !self.is_in_doubt && !self.has_lasting_warnings && !self.has_next_transaction
    }

    /// How far it is from `state`.
    pub fn distance(&self, state: &SessionState) -> Distance {
        let takes_reset = self.takes_reset(state);
        let has_too_much = self.is_reset && !state.is_reset
            || self.collation != state.login().collation
            || self.schema.is_some() && state.schema.is_none()
            || !takes_reset && !self.has_nothing_else(state);
        let is_there = self.multi_statements == state.multi_statements
            && self.began_with == Some(state.autocommit)
            && self.schema == state.schema
            && self.has_insert_id(state)
            && (Arc::ptr_eq(&self.settings, &state.settings) || self.settings == state.settings);
        match (has_too_much, takes_reset || !is_there) {
            (true, _) => Distance::Login,
            (false, true) => Distance::Commands,
            (false, false) => Distance::None,
        }
    }

    /// The session was reset: so is the connection, if it has not been, or has been set to something since.
    fn takes_reset(&self, state: &SessionState) -> bool {
        state.is_reset && (!self.is_reset || !self.has_nothing_else(state))
    }

    /// Whether each of its settings is also one of the session's, if with another value: then the session's, made again in their order, leave what
    /// they would leave on a fresh connection.
    fn has_nothing_else(&self, state: &SessionState) -> bool {
        let is_set = |name: &str| state.settings.iter().any(|setting| &*setting.name == name);
        let began_alike = self.began_with.is_none_or(|autocommit| autocommit == state.autocommit);
        let has_same = Arc::ptr_eq(&self.settings, &state.settings);
        began_alike && (has_same || self.settings.iter().all(|setting| is_set(&setting.name)))
    }

    fn has_insert_id(&self, state: &SessionState) -> bool {
        state.insert_id.is_none_or(|id| self.insert_id == Some(id))
    }

    /// Appends the commands that bring the connection to `state`, nearly always none.
    /// The connection counts as brought there at once: if one of them fails, it must not be used any more.
    ///
    /// What it has too much (see [`Distance::Login`]) stays.
    pub fn catch_up(&mut self, state: &SessionState, capabilities: Capabilities, out: &mut BytesMut) -> CaughtUp {
        if self.distance(state) == Distance::None {
            return CaughtUp::default();
        }
        let mut done = CaughtUp { commands: 0, is_reset: self.takes_reset(state) };
        let mut put = |write: &dyn Fn(&mut BytesMut)| {
            put_packet_with(out, 0, write);
            done.commands += 1;
        };
        if self.multi_statements != state.multi_statements {
            let option = if state.multi_statements { wire::MULTI_STATEMENTS_ON } else { wire::MULTI_STATEMENTS_OFF };
            let [low, high] = option.to_le_bytes();
            put(&|payload| payload.extend_from_slice(&[wire::COM_SET_OPTION, low, high]));
            self.multi_statements = state.multi_statements;
        }
        if done.is_reset {
            put(&|payload| payload.extend_from_slice(&[wire::COM_RESET_CONNECTION]));
            self.after_reset();
        }
        if self.began_with != Some(state.autocommit) {
            let autocommit: &[u8] = if state.autocommit { b"1" } else { b"0" };
            let own_settings = self.own_settings;
            put(&|payload| wire::put_query(payload, capabilities, &[own_settings, autocommit]));
            self.began_with = Some(state.autocommit);
        }
        for setting in self.lacking(&state.settings) {
            put(&|payload| wire::put_query(payload, capabilities, &[b"SET ", &setting.sql]));
        }
        self.settings = Arc::clone(&state.settings);
        if let Some(id) = state.insert_id.filter(|_| !self.has_insert_id(state)) {
            put(&|payload| wire::put_query(payload, capabilities, &[b"SET last_insert_id = ", id.to_string().as_bytes()]));
            self.insert_id = Some(id);
        }
        if self.schema != state.schema
            && let Some(schema) = &state.schema
        {
            put(&|payload| {
                payload.extend_from_slice(&[wire::COM_INIT_DB]);
                payload.extend_from_slice(schema);
            });
            self.schema = Some(schema.clone());
        }
        done
    }

    /// The settings that are to be made: all after those that it has already, with the same values and in the same order.
    fn lacking<'s>(&self, settings: &'s [Setting]) -> &'s [Setting] {
        let mut own = self.settings.iter();
        let had = settings.iter().take_while(|setting| own.any(|other| other == *setting)).count();
        settings.get(had..).unwrap_or_default()
    }
}

/// What goes out to bring a connection to a session's state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CaughtUp {
    /// Commands, each of which has a response.
    pub commands: u32,
    /// `COM_RESET_CONNECTION` is one of them: what had been prepared on it is gone.
    pub is_reset: bool,
}

#[cfg(test)]
mod tests;
