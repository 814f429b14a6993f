//! A session without its connections: its state as a function of its statements and their answers.

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
    /// What is not repeated, and binds the session to a server.
    pub binding: Binding,
}

/// What a command asks a server to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestKind {
    /// A command as it stands.
    Whole,
    /// To prepare a statement, which gets this number for the client.
    Prepare(u32),
    /// To execute a prepared statement.
    Execute {
        /// The client's number for it.
        id: u32,
        /// Its rows stay on the server until they are fetched.
        opens_cursor: bool,
    },
    /// To fetch rows of the cursor of the statement with this number.
    Fetch(u32),
    /// To close its cursor.
    ResetStatement(u32),
}

impl RequestKind {
    /// Whether it runs a statement's text, prepared or not.
    pub fn runs(self) -> bool {
        matches!(self, Self::Whole | Self::Execute { .. })
    }
}

/// What the caller has to do after a statement was answered.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// It may have written, or ended a transaction that had: sessions that must see the write have to be notified.
    pub may_have_written: bool,
    /// The value of a `SET wait_timeout = n` with a literal number.
    pub idle_limit: Option<Duration>,
    /// What it may have left on its connection.
    pub traces: Traces,
    /// It has changed a password that had expired.
    pub changed_password: bool,
}

/// What a statement may have left on its connection besides the session's settings.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Traces {
    /// Another `LAST_INSERT_ID()`.
    pub insert_id: bool,
    /// An unannounced change.
    pub unseen: bool,
    /// Warnings that stay while statements without tables run, as MariaDB's do. `None` if it left the former warnings.
    pub lasting_warnings: Option<bool>,
    /// True after `SET TRANSACTION` for the next transaction, false if a transaction has begun, `None` if neither.
    pub next_transaction: Option<bool>,
    /// It has counted its rows, for `FOUND_ROWS()`.
    pub rows: bool,
}

impl Session {
    /// A session right after its login.
    pub fn new(state: SessionState, beginning: Beginning) -> Self {
        Self { state, binding: Binding::new(beginning) }
    }

    /// What its login said.
    pub fn login(&self) -> &LoginDetails {
        self.state.login()
    }

    /// How the text of its statements is now read.
    pub fn reading(&self) -> Reading {
        let binding = &self.binding;
        Reading { dialect: binding.dialect(), sql_mode: binding.sql_mode(), charset: binding.charset() }
    }

    /// The same, with its default schema.
    pub fn context(&self) -> Context<'_> {
        self.reading().context(self.state.schema())
    }

    /// If the session has only user variables with known values on this server's connection, lets every connection be given them.
    pub fn loosen(&mut self, server: ServerId) {
        let state = &mut self.state;
        self.binding.loosen(server, |variables| state.restore_variables(variables));
    }

    /// Notes the `LAST_INSERT_ID()` that its connection was asked for: every other connection can be set to it.
    pub fn note_insert_id(&mut self, id: u64) {
        self.state.set_insert_id(Some(id));
        self.binding.insert_id_noted();
    }

    /// `COM_RESET_CONNECTION`.
    pub fn reset(&mut self, beginning: Beginning, now: Instant) {
        self.state.reset();
        self.binding.reset(beginning, now);
    }

    /// That of the next user of a client's connection (`COM_CHANGE_USER`): its reads see what the former one wrote. The former one was reset.
    pub fn succeeding(former: Self, state: SessionState, beginning: Beginning) -> Self {
        Self { state, binding: former.binding.beginning_with(beginning) }
    }

    /// The connection to this server is gone, and with it everything that cannot be restored on another one.
    pub fn lose_connection(&mut self, server: ServerId) -> Loss {
        let state = &mut self.state;
        let loss = self.binding.connection_lost(server, |variables| state.restore_variables(variables));
        if loss.pins {
            self.state.forget_variables();
        }
        loss
    }

    /// Replaces a statement that sets more than can be repeated elsewhere: the primary's connection then has it, and the session is pinned there.
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

    /// Notes what a statement that this server answered has changed.
    ///
    /// Effects that the classifier announced have happened once the server has said OK. The answer's status flags are the truth about the transaction.
    pub fn settle(
        &mut self,
        statement: &Statement,
        kind: RequestKind,
        server: ServerId,
        outcome: &Outcome,
        now: Instant,
    ) -> Settled {
        // With `autocommit = 0` any statement may begin a transaction, and one that does not write has nothing before it to commit.
        let only_begins = !self.binding.in_transaction() && statement.placement() != Placement::Primary;
        let had_pending_writes = self.binding.may_have_pending_writes() && !only_begins;
        let mut idle_limit = None;
        if outcome.error.is_none() {
            idle_limit = self.remember(statement);
            self.binding.succeeded(statement, server);
        } else if statement.verb == Verb::Batch && !statement.session.is_empty() {
            // Some of its statements ran, but it is not known which.
            self.binding.pin(Pin::Connection, server);
        }
        let counts = self.binding.counts();
        self.binding.answered(statement, server, outcome, had_pending_writes, now);
        let changed_password = outcome.error.is_none() && kind.runs() && self.binding.changes_password(statement, server);
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
            // For example a procedure that sets variables or creates temporary tables. The server does not say what exactly has changed.
            self.binding.pin(Pin::Connection, server);
        }
        let may_have_written = statement.placement() == Placement::Primary || had_pending_writes;
        Settled { may_have_written, idle_limit, traces, changed_password }
    }

    /// MariaDB clears warnings at the next statement that has a table, MySQL at any statement.
    fn lasting_warnings(&self, statement: &Statement, outcome: &Outcome) -> Option<bool> {
        let has_some = outcome.has_warnings || outcome.error.is_some();
        match self.binding.dialect() {
            Dialect::MariaDb if has_some => Some(true),
            Dialect::MariaDb => uses_table(statement).then_some(false),
            Dialect::MySql => None,
        }
    }

    /// Notes what has to be repeated on the session's other connections. There is room: see [`Self::overfull`].
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

    /// Notes whether a cursor is open now.
    fn settle_cursor(&mut self, kind: RequestKind, server: ServerId, outcome: &Outcome) {
        let has = |flag| outcome.status.is_some_and(|status| status.contains(flag));
        let (id, is_open) = match kind {
            RequestKind::Execute { id, opens_cursor } => (id, opens_cursor && has(StatusFlags::CURSOR_EXISTS)),
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

/// It differs between the servers, and depends on the tables, which other statements use it up.
fn next_transaction(statement: &Statement, outcome: &Outcome) -> Option<bool> {
    let is_chosen = statement.session.contains(&SessionEffect::Pin(Pin::NextTransaction));
    let has_begun = outcome.status.is_some_and(|status| status.contains(StatusFlags::IN_TRANS));
    (is_chosen || has_begun).then_some(is_chosen)
}

/// Whether the server reports a change of the session that the statement's text does not show. False for a plain read, which is proved to change
/// nothing: servers also report a change when they switch to a prepared statement's own schema and back.
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
