//! What binds a session to one server, and how the text of its statements is read.

use std::time::Instant;

use classifier::{Charset, Dialect, Effects, Pin, PinKind, Placement, SessionEffect, SqlMode, Statement, Verb};
use topology::{Engine, Position, ServerId};
use wire::StatusFlags;
use wire::error_code::{ER_BAD_FIELD_ERROR, ER_PARSE_ERROR};

use crate::password::Password;
use crate::{OpenTransaction, Outcome, TransactionKind};

/// Most items that one session may have. With more, it stays on the primary until it ends.
const ITEMS: usize = 256;

/// Most bytes of an item's name. Servers allow 64 characters; a longer one is not a name, or is an error. Such an item stays until the session ends.
const LONGEST_NAME: usize = 1024;

/// The part of a session's state that lives on a server.
#[derive(Debug)]
pub struct Binding {
    dialect: Dialect,
    sql_mode: SqlMode,
    charset: Charset,
    autocommit: bool,
    transaction: Option<OpenTransaction>,
    /// Where the last statement ran.
    previous: Option<ServerId>,
    /// The last statement left warnings, or an error, that the client may ask for.
    has_diagnostics: bool,
    counts: Counts,
    /// Where the last statement with a result ran.
    found_on: Option<ServerId>,
    /// The session has asked a server for its counts.
    asks_for_counts: bool,
    insert_id: InsertId,
    /// Where a statement may have left an unannounced change.
    unseen: Option<ServerId>,
    /// When the last statement that may have written was answered.
    wrote_at: Option<Instant>,
    /// The last GTID that this statement committed, and the server that reported it. `None` if it was not reported: then only the time shows which
    /// replicas have the write.
    committed: Option<(ServerId, Position)>,
    /// Replicas that have reported that they have it, and when.
    proven: Vec<(ServerId, Instant)>,
    items: Vec<Pin>,
    /// The user variables among the items whose values are known, with their assignments.
    values: Vec<(Box<str>, Box<[u8]>)>,
    /// Prepared statements with rows still to be fetched.
    cursors: Vec<u32>,
    /// The server on whose connection items and cursors live; `None` without any.
    home: Option<ServerId>,
    password: Password,
}

/// What a session has lost with a connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Loss {
    /// A transaction was open, and is rolled back.
    pub transaction: bool,
    /// Temporary tables, locks, cursors, variables without a known value.
    pub pins: bool,
}

impl Loss {
    /// Something was lost.
    pub fn is_any(self) -> bool {
        self.transaction || self.pins
    }
}

/// What the last statement that ran has counted, as far as its answer shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// The server that ran it.
    pub on: Option<ServerId>,
    /// `ROW_COUNT()`
    pub changed: Option<i64>,
    /// `FOUND_ROWS()`
    pub found: Option<u64>,
}

/// What `LAST_INSERT_ID()` depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InsertId {
    /// It is 0, or Pointsman has noted it and can set it on another connection.
    Known,
    /// Only the connection to this server knows it.
    On(ServerId),
    /// The connection that knew it was lost.
    Lost,
}

/// The settings with which a session begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beginning {
    /// The servers' grammar.
    pub dialect: Dialect,
    /// Their `sql_mode`.
    pub sql_mode: SqlMode,
    /// The login's character set.
    pub charset: Charset,
    /// Their `autocommit`.
    pub autocommit: bool,
}

impl Binding {
    /// A session right after its login.
    pub fn new(beginning: Beginning) -> Self {
        let Beginning { dialect, sql_mode, charset, autocommit } = beginning;
        Self {
            dialect,
            sql_mode,
            charset,
            autocommit,
            transaction: None,
            previous: None,
            has_diagnostics: false,
            counts: Counts::default(),
            found_on: None,
            asks_for_counts: false,
            insert_id: InsertId::Known,
            unseen: None,
            wrote_at: None,
            committed: None,
            proven: Vec::new(),
            items: Vec::new(),
            values: Vec::new(),
            cursors: Vec::new(),
            home: None,
            password: Password::default(),
        }
    }

    /// What a reset has left, with the settings of another login.
    #[must_use]
    pub(crate) fn beginning_with(self, beginning: Beginning) -> Self {
        let Beginning { dialect, sql_mode, charset, autocommit } = beginning;
        Self { dialect, sql_mode, charset, autocommit, password: Password::default(), ..self }
    }

    /// The servers' grammar.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Its `sql_mode`, as far as it decides what a text means.
    pub fn sql_mode(&self) -> SqlMode {
        self.sql_mode
    }

    /// The character set of its texts.
    pub fn charset(&self) -> Charset {
        self.charset
    }

    /// Its `autocommit`.
    pub fn autocommit(&self) -> bool {
        self.autocommit
    }

    /// A transaction is open.
    pub fn in_transaction(&self) -> bool {
        self.transaction.is_some()
    }

    /// The open transaction.
    pub fn transaction(&self) -> Option<OpenTransaction> {
        self.transaction
    }

    /// Where the last statement ran.
    pub fn previous(&self) -> Option<ServerId> {
        self.previous
    }

    /// Whether the session asks what its last statement has counted. Then nothing may run on its connections in between.
    pub fn asks_for_counts(&self) -> bool {
        self.asks_for_counts
    }

    /// Whether the last statement left something that `SHOW WARNINGS` would show.
    pub fn has_diagnostics(&self) -> bool {
        self.has_diagnostics
    }

    /// What it has counted.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The request ran no statement, so the counts of the statement before it still hold.
    pub(crate) fn keep_counts(&mut self, counts: Counts) {
        self.counts = counts;
    }

    /// The server whose connection knows `FOUND_ROWS()`, if the session still has that connection.
    pub fn found_on(&self) -> Option<ServerId> {
        self.found_on
    }

    /// Notes a question that was answered without a server: its result had one row. The next question may go to the connection.
    pub fn asked(&mut self) {
        self.asks_for_counts = true;
        self.found_on = None;
        self.counts = Counts { on: None, changed: Some(-1), found: Some(1) };
        self.has_diagnostics = false;
    }

    /// Whether the session should keep the connection to this server for a while: it has something there, or only this connection knows something that
    /// the client may ask for.
    pub fn keeps(&self, server: ServerId) -> bool {
        self.loses_with(server)
            || self.insert_id_is_on(server)
            || self.unseen == Some(server)
            || ((self.has_diagnostics || self.asks_for_counts) && self.previous == Some(server))
    }

    /// Whether `LAST_INSERT_ID()` cannot be known any more.
    pub fn insert_id_is_lost(&self) -> bool {
        self.insert_id == InsertId::Lost
    }

    /// Whether only the connection to this server knows `LAST_INSERT_ID()`.
    pub fn insert_id_is_on(&self, server: ServerId) -> bool {
        self.insert_id == InsertId::On(server)
    }

    /// `LAST_INSERT_ID()` was noted, so that any connection can be set to it.
    pub fn insert_id_noted(&mut self) {
        self.insert_id = InsertId::Known;
    }

    /// The connection to this server is gone, and with it what only it knew. If only user variables with known values lived there, they are given to
    /// `restore`, which returns whether it can set them on other connections.
    pub fn connection_lost(&mut self, server: ServerId, restore: impl FnOnce(&[(Box<str>, Box<[u8]>)]) -> bool) -> Loss {
        if self.insert_id_is_on(server) {
            self.insert_id = InsertId::Lost;
        }
        self.left(server);
        let transaction = self.transaction.take_if(|transaction| transaction.server == server).is_some();
        if self.home() != Some(server) {
            return Loss { transaction, pins: false };
        }
        self.loosen(server, restore);
        let pins = self.home().is_some();
        self.home = None;
        self.items.clear();
        self.values.clear();
        self.cursors.clear();
        self.password = Password::default();
        Loss { transaction, pins }
    }

    /// Gives the user variables at home to `restore`, if nothing else lives there. If it takes them, the session has no home any more.
    pub(crate) fn loosen(&mut self, server: ServerId, restore: impl FnOnce(&[(Box<str>, Box<[u8]>)]) -> bool) {
        if self.home() == Some(server) && self.may_leave_home() && restore(&self.values) {
            self.home = None;
            self.items.clear();
            self.values.clear();
        }
    }

    /// The connection to this server now serves other sessions.
    pub fn left(&mut self, server: ServerId) {
        self.unseen = self.unseen.filter(|unseen| *unseen != server);
    }

    /// When the last statement that may have written was answered.
    pub fn wrote_at(&self) -> Option<Instant> {
        self.wrote_at
    }

    /// This replica has reported that it has what [`Self::committed`] names.
    pub fn has_caught_up(&mut self, replica: ServerId, now: Instant) {
        self.proven.retain(|(server, _)| *server != replica);
        if self.committed.is_some() {
            self.proven.push((replica, now));
        }
    }

    /// The replicas that have reported that they have the last write, and when.
    pub fn proven(&self) -> &[(ServerId, Instant)] {
        &self.proven
    }

    fn commit(&mut self, committed: Option<(ServerId, Position)>) {
        self.proven.clear();
        self.committed = committed;
    }

    /// What the last of the session's own writes has committed, and the server that reported it, if one did. Where replicas keep the order of commits, a
    /// replica that has it has all of the session's writes on that server.
    pub fn committed(&self) -> Option<(ServerId, &Position)> {
        self.committed.as_ref().map(|(server, position)| (*server, position))
    }

    /// A statement that may have written was not answered.
    pub fn may_have_written(&mut self, now: Instant) {
        self.commit(None);
        self.wrote_at = Some(now);
    }

    /// `COM_RESET_CONNECTION`: as after the login, except that writes are not undone.
    pub fn reset(&mut self, beginning: Beginning, now: Instant) {
        // The open transaction is rolled back, but it may have committed parts by itself before.
        let proven = std::mem::take(&mut self.proven);
        let (wrote_at, committed) =
            if self.may_have_pending_writes() { (Some(now), None) } else { (self.wrote_at, self.committed.take()) };
        let counts = Counts { on: None, changed: Some(0), ..self.counts };
        let found_on = self.found_on;
        let password = self.password;
        *self = Self { counts, found_on, wrote_at, committed, proven, password, ..Self::new(beginning) };
    }

    /// Whether a transaction may be open: then its writes become visible only when it ends.
    pub fn may_have_pending_writes(&self) -> bool {
        match self.transaction {
            Some(transaction) if transaction.is_lazy() => false,
            Some(transaction) => !transaction.is_read_only() || !self.autocommit,
            None => !self.autocommit,
        }
    }

    /// The first pin that binds its reads to the primary, other than a transaction and `autocommit = 0`.
    pub fn pin_of_reads(&self) -> Option<PinKind> {
        self.password.pin().or_else(|| self.items.iter().map(Pin::kind).find(|kind| kind.binds_reads()))
    }

    /// Whether the client has chosen itself how the GTIDs that it commits are reported. That is never repeated elsewhere, so it is a pin.
    pub fn tracks_gtids(&self) -> bool {
        let names = ["session_track_gtids", "session_track_system_variables"];
        self.items.iter().any(|item| matches!(item, Pin::SessionVariable(name) if names.contains(&&**name)))
    }

    /// The server on whose connection the session has things that it cannot have elsewhere.
    pub fn home(&self) -> Option<ServerId> {
        self.password.home().or_else(|| self.home.filter(|_| !self.items.is_empty() || !self.cursors.is_empty()))
    }

    /// Whether everything that lives at home can be set on another connection: user variables whose values are known.
    pub fn may_leave_home(&self) -> bool {
        let is_known = |item: &Pin| matches!(item, Pin::UserVariable(name) if self.values.iter().any(|(known, _)| known == name));
        self.password.home().is_none() && self.cursors.is_empty() && self.items.iter().all(is_known)
    }

    /// The account's password has expired: from now on it can only be changed.
    pub fn password_has_expired(&mut self) {
        self.password = Password::Expired;
    }

    /// Whether the password has expired and was not changed yet.
    pub fn has_expired_password(&self) -> bool {
        self.password == Password::Expired
    }

    /// Notes a statement that this server ran without an error. True if it has changed an expired password.
    pub(crate) fn changes_password(&mut self, statement: &Statement, server: ServerId) -> bool {
        self.password.follow(statement, server)
    }

    /// Whether something would be lost with the connection to this server.
    pub fn loses_with(&self, server: ServerId) -> bool {
        self.transaction.is_some_and(|transaction| transaction.server == server) || self.home() == Some(server)
    }

    /// A statement was answered without an error by this server.
    pub fn succeeded(&mut self, statement: &Statement, server: ServerId) {
        for effect in &statement.session {
            match effect {
                SessionEffect::Autocommit(on) => self.autocommit = *on,
                SessionEffect::SqlMode(mode) => self.sql_mode = *mode,
                SessionEffect::SetCharset { charset, .. } => {
                    self.charset = *charset;
                    self.forget_texts();
                }
                SessionEffect::Assign { name, sql } => self.values.push((name.clone(), sql.clone())),
                SessionEffect::Pin(pin) => {
                    if let Pin::UserVariable(name) = pin {
                        self.values.retain(|(known, _)| known != name);
                    }
                    self.pin(pin.clone(), server);
                }
                SessionEffect::Unpin(pin) => self.unpin(pin),
                SessionEffect::Begin { read_only } => {
                    let kind = if *read_only { TransactionKind::ReadOnly } else { TransactionKind::Ordinary };
                    self.transaction = Some(OpenTransaction { server, kind });
                }
                // It again has a value that every connection can be given.
                SessionEffect::Set { name, .. } => {
                    self.unpin(&Pin::SessionVariable(name.clone()));
                    if name.starts_with("character_set_") || name.starts_with("collation_") {
                        self.forget_texts();
                    }
                }
                SessionEffect::End | SessionEffect::Disconnect | SessionEffect::Use(_) => {}
            }
        }
    }

    /// A server has answered, with or without an error; its status flags are the truth about the transaction.
    ///
    /// `had_pending_writes` is [`Self::may_have_pending_writes`] before the statement.
    pub fn answered(
        &mut self,
        statement: &Statement,
        server: ServerId,
        outcome: &Outcome,
        had_pending_writes: bool,
        now: Instant,
    ) {
        self.previous = Some(server);
        self.has_diagnostics = outcome.has_warnings || outcome.error.is_some();
        self.counts = self.counted(statement, server, outcome);
        if outcome.rows.is_some() {
            self.found_on = Some(server);
        }
        self.asks_for_counts |= statement.effects.contains(Effects::COUNTS);
        if leaves_unseen(statement, outcome) {
            self.unseen = Some(server);
        }
        let may_have_written = statement.placement() == Placement::Primary
            && !only_controls_transaction(statement)
            && !failed_before_it_ran(statement, outcome.error);
        // Any statement that ends a transaction commits what was written in it before, and many do so implicitly. This is over-reported, which only
        // keeps reads on the primary for a moment longer.
        if may_have_written || had_pending_writes {
            self.wrote_at = Some(now);
            // An error hides what was committed before it.
            let gtid = outcome.gtid.as_deref().filter(|_| outcome.error.is_none());
            self.commit(gtid.and_then(|gtid| Some((server, position(self.dialect, gtid)?))));
        }
        if may_have_set_insert_id(statement, outcome) {
            self.insert_id = InsertId::On(server);
        }
        let status = outcome.status;
        let Some(status) = status else { return };
        self.sql_mode.set(SqlMode::NO_BACKSLASH_ESCAPES, status.contains(StatusFlags::NO_BACKSLASH_ESCAPES));
        self.autocommit = status.contains(StatusFlags::AUTOCOMMIT);
        let was_here = self.transaction.filter(|transaction| transaction.server == server);
        if status.contains(StatusFlags::IN_TRANS) {
            // On a replica that has become the primary, a lazy transaction writes where it is.
            let is_lazy_still = statement.placement() != Placement::Primary || only_controls_transaction(statement);
            let as_it_was = was_here.filter(|transaction| is_lazy_still || !transaction.is_lazy());
            self.transaction = as_it_was.or(Some(OpenTransaction { server, kind: TransactionKind::Ordinary }));
        } else {
            if was_here.is_some() {
                self.transaction = None;
            }
            // `SET TRANSACTION` applied to the statement or the transaction that has just ended, unless this was that statement. A statement without a
            // table does not use it up, nor does one that failed because of it.
            let has_used_it = statement.session.is_empty() && uses_table(statement) && outcome.error.is_none();
            if was_here.is_some() || has_used_it || self.transaction.is_none() && ends_transaction(statement) {
                self.items.retain(|item| *item != Pin::NextTransaction);
            }
        }
    }

    /// A result set sets `ROW_COUNT()` to -1, and so does an error. `FOUND_ROWS()` stays until the next result set. The server is asked for it after a
    /// result that is not of a plain `SELECT`, and after `SQL_CALC_FOUND_ROWS`. MariaDB counts no row where an aggregate of an empty table is the only one.
    fn counted(&self, statement: &Statement, server: ServerId, outcome: &Outcome) -> Counts {
        let is_plain = matches!(statement.verb, Verb::Select | Verb::With) && statement.placement() == Placement::Replica;
        let is_certain = |rows: &u64| is_plain && !(*rows == 1 && self.dialect == Dialect::MariaDb);
        let on = Some(server);
        match (outcome.error, outcome.rows) {
            (Some(_), _) => Counts { on, changed: Some(-1), found: None },
            (None, Some(rows)) => Counts { on, changed: Some(-1), found: Some(rows).filter(is_certain) },
            (None, None) => Counts {
                on,
                changed: outcome.changed.and_then(|rows| i64::try_from(rows).ok()),
                found: self.counts.found.filter(|_| finds_nothing(statement.verb)),
            },
        }
    }

    /// A text that was assigned again would get the present character set and collation.
    fn forget_texts(&mut self) {
        self.values.retain(|(_, sql)| !sql.contains(&b'\''));
    }

    /// Whether this statement may have rows still to be fetched.
    pub fn has_cursor(&self, statement: u32) -> bool {
        self.cursors.contains(&statement)
    }

    /// Whether any statement may have rows still to be fetched.
    pub fn has_cursors(&self) -> bool {
        !self.cursors.is_empty()
    }

    /// Rows of this statement wait on this server.
    pub fn cursor_opened(&mut self, statement: u32, server: ServerId) {
        self.home = Some(server);
        if !self.has_cursor(statement) {
            self.cursors.push(statement);
        }
    }

    /// No rows of this statement wait any more.
    pub fn cursor_closed(&mut self, statement: u32) {
        self.cursors.retain(|open| *open != statement);
    }

    /// The transaction that is open on this replica, if one is, has been begun there to read for now.
    pub fn transaction_is_lazy(&mut self, server: ServerId, is_explicit: bool) {
        if let Some(transaction) = self.transaction.as_mut().filter(|transaction| transaction.server == server) {
            transaction.kind = TransactionKind::Lazy { is_explicit };
        }
    }

    /// An explicit lazy transaction was begun once more, on this server.
    pub fn transaction_moved(&mut self, server: ServerId) {
        self.transaction = Some(OpenTransaction { server, kind: TransactionKind::Ordinary });
    }

    /// The read-only or lazy transaction on a replica was ended on the client's behalf.
    pub fn transaction_ended(&mut self, server: ServerId) {
        self.transaction.take_if(|transaction| transaction.server == server);
    }

    /// The connection to this server now has something that the session's other connections do not have.
    pub fn pin(&mut self, pin: Pin, server: ServerId) {
        self.home = Some(server);
        self.add(pin);
    }

    fn add(&mut self, pin: Pin) {
        // A named lock that is taken twice has to be released twice (MySQL manual 14.14 "Locking Functions").
        let is_counted = matches!(pin, Pin::NamedLock(_));
        if self.items.contains(&pin) && !is_counted {
            return;
        }
        let pin = if self.items.len() < ITEMS && size_of_name(&pin) <= LONGEST_NAME { pin } else { Pin::Connection };
        if self.items.len() <= ITEMS {
            self.items.push(pin);
        }
    }

    fn unpin(&mut self, pin: &Pin) {
        match pin {
            Pin::NamedLock(name) if name.is_empty() => self.items.retain(|item| !matches!(item, Pin::NamedLock(_))),
            Pin::NamedLock(_) => {
                if let Some(place) = self.items.iter().position(|item| item == pin) {
                    self.items.remove(place);
                }
            }
            pin => self.items.retain(|item| item != pin),
        }
    }
}

/// A call does not report its procedure's inserts, and `LAST_INSERT_ID(n)` sets the value.
pub(crate) fn may_have_set_insert_id(statement: &Statement, outcome: &Outcome) -> bool {
    let may_have_set_it = Effects::PRIMARY_SESSION | Effects::SESSION_UNSEEN | Effects::UNKNOWN;
    outcome.has_insert_id || statement.effects.intersects(may_have_set_it)
}

/// A stored function or procedure ran, which may have taken a lock, for example; or one of several assignments failed, after others had been made.
pub(crate) fn leaves_unseen(statement: &Statement, outcome: &Outcome) -> bool {
    statement.effects.intersects(Effects::SESSION_UNSEEN | Effects::UNKNOWN)
        || outcome.error.is_some() && !statement.session.is_empty()
}

/// `BEGIN`, `COMMIT` and the like commit only what was written before. `XA COMMIT` may commit what another session has written.
fn only_controls_transaction(statement: &Statement) -> bool {
    statement.effects == Effects::TRANSACTION && statement.verb != Verb::Xa
}

/// Whether it never reads a table, not even in order to change it.
fn finds_nothing(verb: Verb) -> bool {
    matches!(verb, Verb::Set | Verb::Use | Verb::Begin | Verb::Commit | Verb::Rollback)
}

/// An error does not mean that nothing was written: a procedure may have committed before it failed. But a statement with a syntax error never ran,
/// nor did a query that names an unknown column. The `mysql` client begins every session with such a query.
fn failed_before_it_ran(statement: &Statement, error: Option<u16>) -> bool {
    match error {
        Some(ER_PARSE_ERROR) => statement.verb != Verb::Batch,
        Some(ER_BAD_FIELD_ERROR) => statement.verb == Verb::Select,
        _ => false,
    }
}

/// The GTID that a server reports, as a position.
fn position(dialect: Dialect, text: &[u8]) -> Option<Position> {
    let engine = match dialect {
        Dialect::MySql => Engine::MySql,
        Dialect::MariaDb => Engine::MariaDb,
    };
    Position::parse(engine, std::str::from_utf8(text).ok().filter(|text| !text.is_empty())?).ok()
}

fn size_of_name(pin: &Pin) -> usize {
    match pin {
        Pin::TemporaryTable(name)
        | Pin::NamedLock(name)
        | Pin::UserVariable(name)
        | Pin::SessionVariable(name)
        | Pin::Handler(name)
        | Pin::PreparedStatement(name) => name.len(),
        Pin::TableLocks | Pin::InstanceLock | Pin::NextTransaction | Pin::Xa | Pin::BinlogFormat | Pin::Connection => 0,
    }
}

pub(crate) fn uses_table(statement: &Statement) -> bool {
    statement.effects.intersects(Effects::READ_DATA | Effects::WRITE_DATA)
}

fn ends_transaction(statement: &Statement) -> bool {
    statement.session.iter().any(|effect| matches!(effect, SessionEffect::End))
}

#[cfg(test)]
mod tests;
