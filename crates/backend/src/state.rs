//! What every connection of a session must look like, and how far one connection has followed.

use bytes::BytesMut;
use wire::{Capabilities, put_packet_with};

/// Settings that a session may collect. One more makes the session stay on the primary.
const SETTINGS: usize = 256;

/// What a client has set and Pointsman repeats on each of the session's connections.
///
/// `settings` is ordered by `version`, without two entries of the same name.
#[derive(Debug, Clone)]
pub struct SessionState {
    collation: u8,
    schema: Option<Box<[u8]>>,
    settings: Vec<Setting>,
    version: u64,
}

#[derive(Debug, Clone)]
struct Setting {
    name: Box<str>,
    /// What follows `SET`.
    sql: Box<[u8]>,
    version: u64,
}

/// The state that one connection is in. Everything older than `version` has been repeated on it.
#[derive(Debug, Clone, Default)]
pub struct Applied {
    /// `None` after a reset: what the server makes of it then is not relied upon.
    pub(crate) collation: Option<u8>,
    pub(crate) schema: Option<Box<[u8]>>,
    version: u64,
    /// The settings of Pointsman itself are in force.
    prepared_for_use: bool,
}

/// What Pointsman wants of every connection: to be told when a statement changed the session in a way that its text did not show.
const OWN_SETTINGS: &[u8] = b"SET session_track_state_change = ON";

impl SessionState {
    /// A fresh session: the character set and the schema of its login.
    pub fn new(collation: u8, schema: Option<&[u8]>) -> Self {
        Self { collation, schema: schema.map(Box::from), settings: Vec::new(), version: 0 }
    }

    /// The default schema.
    pub fn schema(&self) -> Option<&[u8]> {
        self.schema.as_deref()
    }

    /// The collation of the login, which is also the character set of a connection that the client has not changed.
    pub fn collation(&self) -> u8 {
        self.collation
    }

    /// `USE schema`.
    pub fn use_schema(&mut self, schema: &[u8]) {
        if self.schema.as_deref() != Some(schema) {
            self.schema = Some(Box::from(schema));
        }
    }

    /// `SET sql`, which assigns `name`. False if there are too many settings to remember one more.
    #[must_use]
    pub fn set(&mut self, name: &str, sql: &[u8]) -> bool {
        self.settings.retain(|setting| &*setting.name != name);
        if self.settings.len() >= SETTINGS {
            return false;
        }
        self.version += 1;
        self.settings.push(Setting { name: name.into(), sql: sql.into(), version: self.version });
        true
    }

    /// What `COM_RESET_CONNECTION` leaves: the login's character set and the schema.
    pub fn reset(&mut self) {
        self.settings.clear();
        self.version += 1;
    }
}

impl Applied {
    /// A connection right after its login with this collation, without a schema.
    pub(crate) fn after_login(collation: u8) -> Self {
        Self { collation: Some(collation), schema: None, version: 0, prepared_for_use: false }
    }

    /// After `COM_RESET_CONNECTION`, which keeps the schema and nothing else.
    pub fn forget_all_but_schema(&mut self) {
        *self = Self { schema: self.schema.take(), ..Self::default() };
    }

    /// Whether a connection in this state can be brought to that one. A schema can be changed, but not left.
    pub(crate) fn can_become(&self, state: &SessionState) -> bool {
        self.schema.is_none() || state.schema.is_some()
    }

    /// The state is what the connection has now: a statement that the client ran there has just made it so.
    pub fn follow(&mut self, state: &SessionState) {
        self.version = state.version;
        self.schema.clone_from(&state.schema);
    }

    /// Appends the commands that bring the connection to `state`; the number of responses to expect, 0 nearly always.
    /// The connection counts as brought there at once: if one of them fails, it must not be used any more.
    pub fn catch_up(&mut self, state: &SessionState, capabilities: Capabilities, out: &mut BytesMut) -> usize {
        if self.version == state.version && self.prepared_for_use && self.schema == state.schema {
            return 0;
        }
        let mut commands = 0;
        let mut query = |parts: &[&[u8]]| {
            put_packet_with(out, 0, |payload| wire::put_query(payload, capabilities, parts));
            commands += 1;
        };
        if !self.prepared_for_use {
            query(&[OWN_SETTINGS]);
            self.prepared_for_use = true;
        }
        if self.collation != Some(state.collation) {
            // Servers take a collation's number here, as they do in the login packet.
            let id = state.collation.to_string();
            let id = id.as_bytes();
            query(&[b"SET character_set_client = ", id, b", character_set_results = ", id, b", collation_connection = ", id]);
            self.collation = Some(state.collation);
        }
        for setting in state.settings.iter().filter(|setting| setting.version > self.version) {
            query(&[b"SET ", &setting.sql]);
        }
        self.version = state.version;
        if self.schema != state.schema
            && let Some(schema) = &state.schema
        {
            put_packet_with(out, 0, |payload| {
                payload.extend_from_slice(&[wire::COM_INIT_DB]);
                payload.extend_from_slice(schema);
            });
            commands += 1;
            self.schema = Some(schema.clone());
        }
        commands
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The commands that a connection in `applied` needs: first byte and text of each.
    fn commands(applied: &mut Applied, state: &SessionState) -> Vec<String> {
        let mut out = BytesMut::new();
        let count = applied.catch_up(state, Capabilities::empty(), &mut out);
        let mut commands = Vec::new();
        let mut rest = &out[..];
        while let wire::Frame::Whole { payload, length, .. } = wire::frame(rest, 0, 1 << 20) {
            commands.push(format!("{} {}", payload[0], String::from_utf8_lossy(&payload[1..])));
            rest = &rest[length..];
        }
        assert_eq!(commands.len(), count);
        commands
    }

    #[test]
    fn a_fresh_connection_gets_schema_and_settings_once() {
        let mut state = SessionState::new(45, Some(b"shop"));
        assert!(state.set("time_zone", b"time_zone = '+00:00'"));
        let mut applied = Applied::after_login(45);
        assert_eq!(
            commands(&mut applied, &state),
            ["3 SET session_track_state_change = ON", "3 SET time_zone = '+00:00'", "2 shop"]
        );
        assert!(commands(&mut applied, &state).is_empty());
    }

    #[test]
    fn a_later_setting_is_the_only_one_repeated() {
        let mut state = SessionState::new(45, None);
        let mut applied = Applied::after_login(45);
        commands(&mut applied, &state);
        assert!(state.set("a", b"a = 1"));
        assert!(state.set("b", b"b = 1"));
        commands(&mut applied, &state);
        assert!(state.set("a", b"a = 2"));
        assert_eq!(commands(&mut applied, &state), ["3 SET a = 2"]);
    }

    #[test]
    fn the_connection_that_ran_the_change_needs_nothing() {
        let mut state = SessionState::new(45, None);
        let mut applied = Applied::after_login(45);
        commands(&mut applied, &state);
        assert!(state.set("a", b"a = 1"));
        state.use_schema(b"shop");
        applied.follow(&state);
        assert!(commands(&mut applied, &state).is_empty());
    }

    #[test]
    fn a_reset_connection_gets_the_character_set_by_number() {
        let state = SessionState::new(33, None);
        let mut applied = Applied::after_login(33);
        commands(&mut applied, &state);
        applied.forget_all_but_schema();
        let again = commands(&mut applied, &state);
        assert_eq!(again.len(), 2);
        assert_eq!(again[1], "3 SET character_set_client = 33, character_set_results = 33, collation_connection = 33");
    }

    #[test]
    fn a_connection_with_a_schema_is_not_for_a_session_without() {
        let mut applied = Applied::after_login(45);
        commands(&mut applied, &SessionState::new(45, Some(b"shop")));
        assert!(!applied.can_become(&SessionState::new(45, None)));
        assert!(applied.can_become(&SessionState::new(45, Some(b"other"))));
    }

    #[test]
    fn settings_are_bounded() {
        let mut state = SessionState::new(45, None);
        for index in 0..SETTINGS {
            assert!(state.set(&format!("v{index}"), b"x"));
        }
        assert!(!state.set("one_more", b"x"));
    }
}
