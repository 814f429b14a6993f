//! The state of one server connection, and the commands that bring it to a session's state.

use std::sync::Arc;

use bytes::BytesMut;
use wire::{Capabilities, put_packet_with};

use crate::settings::Setting;
use crate::{SessionState, Traces};

/// The state of one connection, by value, so that it can be compared with the state of any session of its account.
#[derive(Debug, Clone, Default)]
#[allow(clippy::struct_excessive_bools, reason = "they are independent")]
pub struct ConnectionState {
    is_reset: bool,
    multi_statements: bool,
    /// The collation of its login.
    collation: u8,
    schema: Option<Box<[u8]>>,
    settings: Arc<Vec<Setting>>,
    /// `LAST_INSERT_ID()`. `None` if it was not asked for.
    insert_id: Option<u64>,
    /// The settings that Pointsman itself needs on connections to servers of this kind.
    own_settings: &'static [u8],
    /// `Some` once `own_settings` is in force, with this `autocommit`.
    began_with: Option<bool>,
    /// It may have more state than is known here: no other session may use it as it is.
    is_in_doubt: bool,
    /// It may have warnings that another session's statement would not clear.
    has_lasting_warnings: bool,
    /// `SET TRANSACTION` was for a transaction that has not begun yet, as far as is known.
    has_next_transaction: bool,
    /// Its `FOUND_ROWS()` is another session's.
    counts_are_anothers: bool,
}

/// What it takes to bring a connection to a session's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Distance {
    /// Nothing.
    None,
    /// Commands that go out before the next one, in the same write.
    Commands,
    /// A login: it has something that the session does not have, and that only a new session on the server removes.
    Login,
}

/// What Pointsman needs on every connection: the server reports when a statement changed the session in a way that its text did not show.
/// `autocommit` is the same on all connections, whatever each server's default is.
///
/// The answer also has the GTID of what the statement committed, so that no query is needed for it (MySQL manual 7.1.18 "Server Tracking of Client
/// Session State"; MariaDB reports it as a variable). The client sees these values if it reads the variables.
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

    /// After `COM_CHANGE_USER` with this collation, which keeps only the option of several statements in one packet.
    #[must_use]
    pub fn after_change_user(&self, collation: u8) -> Self {
        let Self { multi_statements, own_settings, .. } = *self;
        // MySQL keeps FOUND_ROWS().
        let counts_are_anothers = true;
        Self { multi_statements, collation, own_settings, counts_are_anothers, insert_id: Some(0), ..Self::default() }
    }

    /// After a login into this schema; an empty name stands for none.
    #[must_use]
    pub fn in_schema(self, schema: &[u8]) -> Self {
        Self { schema: (!schema.is_empty()).then(|| schema.into()), ..self }
    }

    /// Its default schema.
    pub fn schema(&self) -> Option<&[u8]> {
        self.schema.as_deref()
    }

    /// After `COM_RESET_CONNECTION`, which keeps the schema, and the option of several statements in one packet.
    pub fn after_reset(&mut self) {
        *self = Self { is_reset: true, schema: self.schema.take(), ..self.after_change_user(self.collation) };
    }

    /// The connection now has this state: a statement that the client ran there has just set it.
    pub fn follow(&mut self, state: &SessionState) {
        if !Arc::ptr_eq(&self.settings, &state.settings) {
            self.settings = Arc::clone(&state.settings);
        }
        if self.schema != state.schema {
            self.schema.clone_from(&state.schema);
        }
    }

    /// Notes the `LAST_INSERT_ID()` that it was asked for.
    pub fn note_insert_id(&mut self, id: u64) {
        self.insert_id = Some(id);
    }

    /// Notes what a statement that ran there may have left.
    pub fn note(&mut self, traces: Traces) {
        if traces.insert_id {
            self.insert_id = None;
        }
        self.is_in_doubt |= traces.unseen;
        self.has_lasting_warnings = traces.lasting_warnings.unwrap_or(self.has_lasting_warnings);
        self.has_next_transaction = traces.next_transaction.unwrap_or(self.has_next_transaction);
        self.counts_are_anothers &= !traces.rows;
    }

    /// Its session does not need it any more.
    pub fn left(&mut self) {
        self.counts_are_anothers = true;
    }

    /// Whether its `FOUND_ROWS()` is that of the session that uses it now.
    pub fn has_own_counts(&self) -> bool {
        !self.counts_are_anothers
    }

    /// Whether its whole state is known here.
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

    /// Whether the connection has to be reset because the session was: if it was not reset itself, or has got a setting since.
    fn takes_reset(&self, state: &SessionState) -> bool {
        state.is_reset && (!self.is_reset || !self.has_nothing_else(state))
    }

    /// Whether the session has each of its settings as well, perhaps with another value. Then the session's settings, made again in their order, leave
    /// what they would leave on a fresh connection.
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
    /// From then on the connection counts as being in that state: if one of the commands fails, it must not be used any more.
    ///
    /// State that the session does not have (see [`Distance::Login`]) stays.
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

    /// The settings that still have to be made: all after those that it already has, with the same values and in the same order.
    fn lacking<'s>(&self, settings: &'s [Setting]) -> &'s [Setting] {
        let mut own = self.settings.iter();
        let had = settings.iter().take_while(|setting| own.any(|other| other == *setting)).count();
        settings.get(had..).unwrap_or_default()
    }
}

/// What is sent to bring a connection to a session's state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CaughtUp {
    /// Commands, each of which has a response.
    pub commands: u32,
    /// `COM_RESET_CONNECTION` is one of them: the statements that were prepared on the connection are gone.
    pub is_reset: bool,
}

#[cfg(test)]
mod tests;
