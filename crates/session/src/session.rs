//! A session, but for its connections: what its statements and the answers to them make of it.

use std::time::{Duration, Instant};

use classifier::{Context, Dialect, Effects, Pin, Placement, SessionEffect, Statement, Verb};
use topology::ServerId;
use wire::StatusFlags;

use crate::binding::{leaves_unseen, may_have_set_insert_id, uses_table};
use crate::{Beginning, Binding, LoginDetails, Loss, Outcome, Reading, SessionState};

/// What a client has set and holds.
#[derive(Debug)]
pub struct Session {
    /// What is repeated on every server connection.
    pub state: SessionState,
    /// What is not, and binds the session to a server.
    pub binding: Binding,
}

/// What a command asks a server to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestKind {
    /// A command as it stands.
    Whole,
    /// To prepare a statement, which the client will know by this number.
    Prepare(u32),
    /// To execute a prepared statement.
    Execute {
        /// The client's number for it.
        id: u32,
        /// Its rows are to stay on the server until they are fetched.
        opens_cursor: bool,
    },
    /// Rows of the cursor of the statement that the client knows by this number.
    Fetch(u32),
    /// The end of its cursor.
    ResetStatement(u32),
}

impl RequestKind {
    /// It runs a statement's text, prepared or not.
    pub fn runs(self) -> bool {
        matches!(self, Self::Whole | Self::Execute { .. })
    }
}

/// What others must do now that a statement was answered.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// It may have written, or ended what had: those who must see it are to be told.
    pub may_have_written: bool,
    /// `SET wait_timeout = n` with a number that can be read.
    pub idle_limit: Option<Duration>,
    /// What has become of the connection that it ran on.
    pub traces: Traces,
}

/// What a statement may have left on its connection beside what the session has set.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Traces {
    /// Another `LAST_INSERT_ID()`.
    pub insert_id: bool,
    /// Something that nobody has told of.
    pub unseen: bool,
    /// Warnings that stay while statements without tables run, as MariaDB's do; `None` if it left those that were there.
    pub lasting_warnings: Option<bool>,
    /// What `SET TRANSACTION` has chosen for the next transaction; false if one has begun, `None` if neither.
    pub next_transaction: Option<bool>,
    /// It has counted its rows, for `FOUND_ROWS()`.
    pub rows: bool,
}

impl Session {
    /// Right after the login.
    pub fn new(state: SessionState, beginning: Beginning) -> Self {
        Self { state, binding: Binding::new(beginning) }
    }

    /// What its login said.
    pub fn login(&self) -> &LoginDetails {
        self.state.login()
    }

    /// How its text is to be read now.
    pub fn reading(&self) -> Reading {
        let binding = &self.binding;
        Reading { dialect: binding.dialect(), sql_mode: binding.sql_mode(), charset: binding.charset() }
    }

    /// The same, with its default schema.
    pub fn context(&self) -> Context<'_> {
        self.reading().context(self.state.schema())
    }

    /// If all that the session has on this server's connection are user variables whose values are known, any connection can be given them.
    pub fn loosen(&mut self, server: ServerId) {
        let state = &mut self.state;
        self.binding.loosen(server, |variables| state.restore_variables(variables));
    }

    /// Its connection was asked for `LAST_INSERT_ID()`: every other one can be told.
    pub fn note_insert_id(&mut self, id: u64) {
        self.state.set_insert_id(Some(id));
        self.binding.insert_id_noted();
    }

    /// `COM_RESET_CONNECTION`.
    pub fn reset(&mut self, beginning: Beginning, now: Instant) {
        self.state.reset();
        self.binding.reset(beginning, now);
    }

    /// The connection to this server is gone, and with it what cannot be restored on another one.
    pub fn lose_connection(&mut self, server: ServerId) -> Loss {
        let state = &mut self.state;
        let loss = self.binding.connection_lost(server, |variables| state.restore_variables(variables));
        if loss.pins {
            self.state.forget_variables();
        }
        loss
    }

    /// In place of a statement that sets more than can be repeated elsewhere: the primary's connection has it then, and keeps the session.
    pub fn overfull(&self, statement: &Statement) -> Option<Statement> {
        let size = |effect: &SessionEffect| match effect {
            SessionEffect::Set { name, sql } => Some(name.len() + sql.len()),
            SessionEffect::SetCharset { sql, .. } => Some(sql.len()),
            _ => None,
        };
        let sizes = statement.session.iter().filter_map(size);
        if statement.session.is_empty() || self.state.has_room(sizes) {
            return None;
        }
        let mut overfull = statement.clone();
        overfull.session.retain(|effect| size(effect).is_none());
        overfull.session.push(SessionEffect::Pin(Pin::Connection));
        Some(overfull)
    }

    /// A statement was answered by this server: what did it change?
    ///
    /// Effects that the classifier announced are there once the server has said OK; the answer's status flags are the truth about the transaction.
    pub fn settle(
        &mut self,
        statement: &Statement,
        kind: RequestKind,
        server: ServerId,
        outcome: &Outcome,
        now: Instant,
    ) -> Settled {
        let had_pending_writes = self.binding.may_have_pending_writes();
        let mut idle_limit = None;
        if outcome.error.is_none() {
            idle_limit = self.remember(statement);
            self.binding.succeeded(statement, server);
        } else if statement.verb == Verb::Batch && !statement.session.is_empty() {
            // Some of its parts ran, and which is not known.
            self.binding.pin(Pin::Connection, server);
        }
        let counts = self.binding.counts();
        self.binding.answered(statement, server, outcome, had_pending_writes, now);
        if !kind.runs() {
            self.binding.keep_counts(counts);
        }
        let traces = Traces {
            insert_id: may_have_set_insert_id(statement, outcome),
            unseen: leaves_unseen(statement, outcome),
            lasting_warnings: self.lasting_warnings(statement, outcome),
            next_transaction: next_transaction(statement, outcome),
            rows: outcome.rows.is_some(),
        };
        if traces.insert_id {
            self.state.set_insert_id(None);
        }
        self.settle_cursor(kind, server, outcome);
        if let Some(schema) = &outcome.schema {
            self.state.use_schema(schema);
        }
        if is_unannounced(statement, kind, outcome) {
            // A procedure that sets variables or makes temporary tables: what exactly, the server does not say.
            self.binding.pin(Pin::Connection, server);
        }
        Settled { may_have_written: statement.placement() == Placement::Primary || had_pending_writes, idle_limit, traces }
    }

    /// MariaDB's warnings go with the next statement that has a table, MySQL's with any.
    fn lasting_warnings(&self, statement: &Statement, outcome: &Outcome) -> Option<bool> {
        let has_some = outcome.has_warnings || outcome.error.is_some();
        match self.binding.dialect() {
            Dialect::MariaDb if has_some => Some(true),
            Dialect::MariaDb => uses_table(statement).then_some(false),
            Dialect::MySql => None,
        }
    }

    /// Notes what is to be repeated on the session's other connections. There is room: see [`Self::overfull`].
    fn remember(&mut self, statement: &Statement) -> Option<Duration> {
        let mut idle_limit = None;
        for effect in &statement.session {
            match effect {
                SessionEffect::Use(schema) => self.state.use_schema(schema),
                SessionEffect::Set { name, sql } => {
                    let _ = self.state.set(name, sql);
                    if &**name == "wait_timeout" {
                        idle_limit = seconds(sql);
                    }
                }
                SessionEffect::SetCharset { sql, .. } => {
                    let _ = self.state.set("names", sql);
                }
                _ => {}
            }
        }
        idle_limit
    }

    /// Is there a cursor now, or none any more?
    fn settle_cursor(&mut self, kind: RequestKind, server: ServerId, outcome: &Outcome) {
        let has = |flag| outcome.status.is_some_and(|status| status.contains(flag));
        let (id, is_open) = match kind {
            RequestKind::Execute { id, .. } => (id, has(StatusFlags::CURSOR_EXISTS)),
            RequestKind::Fetch(id) => (id, outcome.error.is_none() && !has(StatusFlags::LAST_ROW_SENT)),
            RequestKind::ResetStatement(id) => (id, false),
            RequestKind::Whole | RequestKind::Prepare(_) => return,
        };
        if is_open {
            self.binding.cursor_opened(id, server);
        } else {
            self.binding.cursor_closed(id);
        }
    }
}

/// Which other statements use it up differs between the servers, and with their tables.
fn next_transaction(statement: &Statement, outcome: &Outcome) -> Option<bool> {
    let is_chosen = statement.session.contains(&SessionEffect::Pin(Pin::NextTransaction));
    let has_begun = outcome.status.is_some_and(|status| status.contains(StatusFlags::IN_TRANS));
    (is_chosen || has_begun).then_some(is_chosen)
}

/// The server says that the session was changed, and the statement does not show how. Not for a plain read, which is proved to change nothing:
/// servers also say so when they go to a prepared statement's own schema and come back.
fn is_unannounced(statement: &Statement, kind: RequestKind, outcome: &Outcome) -> bool {
    outcome.state_changed
        && statement.placement() == Placement::Primary
        && statement.session.is_empty()
        && !statement.effects.contains(Effects::CHANGE_SESSION)
        && kind.runs()
}

/// The number of `wait_timeout = n`.
fn seconds(sql: &[u8]) -> Option<Duration> {
    let value = sql.rsplit(|byte| *byte == b'=').next().and_then(|value| std::str::from_utf8(value.trim_ascii()).ok())?;
    value.parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests;
