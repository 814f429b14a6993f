//! The settings of a client, which are repeated on each of the session's connections.

use std::sync::Arc;

use classifier::Dialect;

use crate::grammar::{self, Grammar};

/// Most settings that a session may collect. One more makes the session stay on the primary.
pub(crate) const SETTINGS: usize = 256;

/// Most bytes of all its settings together. More also make the session stay on the primary.
pub(crate) const SETTING_BYTES: usize = 64 * 1024;

/// The settings of a client that Pointsman repeats on each of the session's connections.
///
/// `settings` is in the order in which they were made, without two entries of the same name.
#[derive(Debug, Clone)]
pub struct SessionState {
    login: LoginDetails,
    /// `COM_RESET_CONNECTION` came after the login. Its effect on the character set differs between the servers.
    pub(crate) is_reset: bool,
    /// The `autocommit` with which the session began: the servers' default.
    pub(crate) autocommit: bool,
    /// The servers' grammar.
    dialect: Dialect,
    /// The client may send several statements in one packet.
    pub(crate) multi_statements: bool,
    pub(crate) schema: Option<Box<[u8]>>,
    /// Shared with the connections that have them, so that in the steady state only an address is compared.
    pub(crate) settings: Arc<Vec<Setting>>,
    /// `LAST_INSERT_ID()`. `None` while only one connection knows it, or none does any more.
    pub(crate) insert_id: Option<u64>,
}

/// What a login packet says besides the account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoginDetails {
    /// The collation's number, which gives the session its character set. Only the server interprets it.
    pub collation: u8,
    /// The connection attributes, as they stand in the packet.
    pub attributes: Box<[u8]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) name: Box<str>,
    /// What follows `SET`.
    pub(crate) sql: Box<[u8]>,
}

impl Setting {
    fn bytes(&self) -> usize {
        self.name.len() + self.sql.len()
    }
}

impl SessionState {
    /// A fresh session.
    pub fn new(login: LoginDetails, schema: Option<&[u8]>) -> Self {
        Self {
            login,
            is_reset: false,
            autocommit: true,
            dialect: Dialect::MariaDb,
            multi_statements: false,
            schema: schema.map(Box::from),
            settings: Arc::default(),
            insert_id: Some(0),
        }
    }

    /// Adds what is not in a login packet: the servers' grammar and default of `autocommit`, and whether the client has chosen multi-statements.
    #[must_use]
    pub fn with_defaults(mut self, dialect: Dialect, autocommit: bool, multi_statements: bool) -> Self {
        self.dialect = dialect;
        self.autocommit = autocommit;
        self.multi_statements = multi_statements;
        self
    }

    /// What its login said.
    pub fn login(&self) -> &LoginDetails {
        &self.login
    }

    /// The default schema.
    pub fn schema(&self) -> Option<&[u8]> {
        self.schema.as_deref()
    }

    /// `USE schema`. An empty name stands for none: the server's tracker says so when the session's schema was dropped.
    pub fn use_schema(&mut self, schema: &[u8]) {
        let schema = (!schema.is_empty()).then_some(schema);
        if self.schema.as_deref() != schema {
            self.schema = schema.map(Box::from);
        }
    }

    /// `COM_SET_OPTION`.
    pub fn allow_multi_statements(&mut self, on: bool) {
        self.multi_statements = on;
    }

    /// Notes `SET sql`, which assigns `name`. False if that is too much to remember.
    #[must_use]
    pub fn set(&mut self, name: &str, sql: &[u8]) -> bool {
        let is_last = |settings: &[Setting]| settings.last().is_some_and(|last| &*last.name == name && &*last.sql == sql);
        if is_last(&self.settings) {
            return true;
        }
        let settings = Arc::make_mut(&mut self.settings);
        settings.retain(|setting| &*setting.name != name);
        if !self.has_room(std::iter::once(name.len() + sql.len())) {
            return false;
        }
        Arc::make_mut(&mut self.settings).push(Setting { name: name.into(), sql: sql.into() });
        true
    }

    /// Whether the session has chosen the isolation level `READ COMMITTED`. False if it is only the servers' default.
    pub fn is_read_committed(&self) -> bool {
        const LEVEL: [&[u8]; 2] = [b"read committed", b"read-committed"];
        let chosen = self.settings.iter().find(|setting| &*setting.name == "transaction_isolation");
        chosen.is_some_and(|setting| {
            let sql = setting.sql.trim_ascii_end().strip_suffix(b"'").unwrap_or(&setting.sql);
            LEVEL.iter().any(|level| sql.last_chunk().is_some_and(|end: &[u8; 14]| end.eq_ignore_ascii_case(level)))
        })
    }

    /// Whether settings of these sizes (name and text together, in bytes) could all be remembered.
    pub fn has_room(&self, mut sizes: impl Iterator<Item = usize>) -> bool {
        let used = self.settings.iter().map(Setting::bytes).sum::<usize>();
        let mut room = (SETTINGS.saturating_sub(self.settings.len()), SETTING_BYTES.saturating_sub(used));
        sizes.all(|size| {
            let fits = room.0 > 0 && size <= room.1;
            room = (room.0.saturating_sub(1), room.1.saturating_sub(size));
            fits
        })
    }

    /// `LAST_INSERT_ID()`, for every connection that does not know it. `None`: it is not set anywhere.
    pub fn set_insert_id(&mut self, id: Option<u64>) {
        self.insert_id = id;
    }

    /// From now on gives user variables their values on every connection: by name, with the assignment. False, without any effect, if that is too much
    /// to remember.
    #[must_use]
    pub fn restore_variables(&mut self, variables: &[(Box<str>, Box<[u8]>)]) -> bool {
        let has_room = self.has_room(variables.iter().map(|(name, sql)| 1 + name.len() + sql.len()));
        has_room && variables.iter().all(|(name, sql)| self.set(&setting_of_variable(name), sql))
    }

    /// No user variable has a value any more.
    pub fn forget_variables(&mut self) {
        if self.settings.iter().any(|setting| setting.name.starts_with(VARIABLE)) {
            Arc::make_mut(&mut self.settings).retain(|setting| !setting.name.starts_with(VARIABLE));
        }
    }

    /// What `COM_RESET_CONNECTION` keeps: the login, the schema, and the option of several statements in one packet.
    pub fn reset(&mut self) {
        self.settings = Arc::default();
        self.insert_id = Some(0);
        self.is_reset = true;
    }

    /// The settings on which the meaning of a statement's text now depends.
    pub fn grammar(&self) -> Grammar {
        let settings = self.settings.iter().map(|setting| (&*setting.name, &*setting.sql));
        let login = if self.is_reset { None } else { grammar::names_of_login(self.login.collation, self.dialect) };
        Grammar::new(login, settings, self.schema.as_deref())
    }
}

/// Begins the names of user variables among the settings. No setting's own name begins with it.
const VARIABLE: char = '@';

fn setting_of_variable(name: &str) -> String {
    format!("{VARIABLE}{name}")
}
