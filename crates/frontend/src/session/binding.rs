//! What binds a session to one server, and how its statements' text is to be read.

use std::time::Instant;

use classifier::{Charset, Dialect, Pin, SessionEffect, SqlMode, Statement, Track, Verb};
use router::{Bond, OpenTransaction};
use topology::ServerId;
use wire::StatusFlags;

/// Items that one session may have; more of them, and it stays on the primary until it ends.
const ITEMS: usize = 256;

/// The part of a session's state that lives on a server.
#[derive(Debug)]
pub(super) struct Binding {
    dialect: Dialect,
    sql_mode: SqlMode,
    charset: Charset,
    autocommit: bool,
    transaction: Option<OpenTransaction>,
    /// Where the last statement ran.
    previous: Option<ServerId>,
    /// When the last statement that may have written was answered.
    wrote_at: Option<Instant>,
    items: Vec<Pin>,
    /// The server on whose connection the items live; `None` without items.
    home: Option<ServerId>,
}

impl Binding {
    /// A session right after its login.
    pub(super) fn new(dialect: Dialect, sql_mode: SqlMode, collation: u8) -> Self {
        Self {
            dialect,
            sql_mode,
            charset: Charset::of_collation_id(u16::from(collation)),
            autocommit: true,
            transaction: None,
            previous: None,
            wrote_at: None,
            items: Vec::new(),
            home: None,
        }
    }

    pub(super) fn dialect(&self) -> Dialect {
        self.dialect
    }

    pub(super) fn sql_mode(&self) -> SqlMode {
        self.sql_mode
    }

    pub(super) fn charset(&self) -> Charset {
        self.charset
    }

    pub(super) fn autocommit(&self) -> bool {
        self.autocommit
    }

    pub(super) fn in_transaction(&self) -> bool {
        self.transaction.is_some()
    }

    pub(super) fn transaction(&self) -> Option<OpenTransaction> {
        self.transaction
    }

    pub(super) fn previous(&self) -> Option<ServerId> {
        self.previous
    }

    pub(super) fn wrote_at(&self) -> Option<Instant> {
        self.wrote_at
    }

    /// What binds its reads to the primary, beside a transaction.
    pub(super) fn bond(&self) -> Option<Bond> {
        if !self.autocommit {
            return Some(Bond::NoAutocommit);
        }
        self.items.iter().find_map(bond_of)
    }

    /// The server on whose connection the session has things that it cannot have elsewhere.
    pub(super) fn home(&self) -> Option<ServerId> {
        self.home.filter(|_| !self.items.is_empty())
    }

    /// Whether something would be lost with the connection to this server.
    pub(super) fn loses_with(&self, server: ServerId) -> bool {
        self.transaction.is_some_and(|transaction| transaction.server == server) || self.home() == Some(server)
    }

    /// A statement was answered without an error by this server.
    pub(super) fn succeeded(&mut self, statement: &Statement, server: ServerId) {
        for effect in &statement.session {
            match effect {
                SessionEffect::Autocommit(on) => self.autocommit = *on,
                SessionEffect::SqlMode(mode) => self.sql_mode = *mode,
                SessionEffect::SetCharset { charset, .. } => self.charset = *charset,
                SessionEffect::Pin(pin) => self.pin(pin.clone(), server),
                SessionEffect::Unpin(pin) => self.unpin(pin),
                SessionEffect::Begin { read_only } => {
                    self.transaction = Some(OpenTransaction { server, read_only: *read_only });
                }
                // It has a value again that every connection can be given.
                SessionEffect::Set { name, .. } => self.unpin(&Pin::SessionVariable(name.clone())),
                SessionEffect::End | SessionEffect::Use(_) => {}
            }
        }
    }

    /// A server has answered, with or without an error; its status flags are the truth about the transaction.
    pub(super) fn answered(&mut self, statement: &Statement, server: ServerId, status: Option<StatusFlags>, error: Option<u16>) {
        self.previous = Some(server);
        if statement.track() == Track::Primary && !failed_before_it_ran(statement, error) {
            self.wrote_at = Some(Instant::now());
        }
        let Some(status) = status else { return };
        self.sql_mode.set(SqlMode::NO_BACKSLASH_ESCAPES, status.contains(StatusFlags::NO_BACKSLASH_ESCAPES));
        let was_here = self.transaction.filter(|transaction| transaction.server == server);
        if status.contains(StatusFlags::IN_TRANS) {
            let read_only = was_here.is_some_and(|transaction| transaction.read_only);
            self.transaction = Some(OpenTransaction { server, read_only });
        } else {
            if was_here.is_some() {
                self.transaction = None;
            }
            // `SET TRANSACTION` was for the statement or the transaction that has just ended, unless it was this very one.
            if statement.session.is_empty() || self.transaction.is_none() && ends_transaction(statement) {
                self.items.retain(|item| *item != Pin::NextTransaction);
            }
        }
    }

    /// The read-only transaction on a replica was ended on the client's behalf.
    pub(super) fn transaction_ended(&mut self) {
        self.transaction = None;
    }

    /// Some connection got something that was not foreseen, or too much to remember.
    pub(super) fn pin_anywhere(&mut self, pin: Pin) {
        self.home = self.home.or(self.previous);
        self.add(pin);
    }

    /// The connection to this server has got something that the session's other connections have not.
    pub(super) fn pin(&mut self, pin: Pin, server: ServerId) {
        self.home = Some(server);
        self.add(pin);
    }

    fn add(&mut self, pin: Pin) {
        // A named lock that is taken twice has to be released twice (MySQL manual 14.14 "Locking Functions").
        let is_counted = matches!(pin, Pin::NamedLock(_));
        if self.items.contains(&pin) && !is_counted {
            return;
        }
        let pin = if self.items.len() < ITEMS { pin } else { Pin::Connection };
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

/// An error does not mean that nothing was written: a procedure may have committed before it failed. But a statement with a
/// syntax error (`ER_PARSE_ERROR`) never ran, nor did a query that names an unknown column (`ER_BAD_FIELD_ERROR`). The `mysql`
/// client begins every session with such a one.
fn failed_before_it_ran(statement: &Statement, error: Option<u16>) -> bool {
    match error {
        Some(1064) => statement.verb != Verb::Batch,
        Some(1054) => statement.verb == Verb::Select,
        _ => false,
    }
}

fn ends_transaction(statement: &Statement) -> bool {
    statement.session.iter().any(|effect| matches!(effect, SessionEffect::End))
}

fn bond_of(pin: &Pin) -> Option<Bond> {
    Some(match pin {
        Pin::TemporaryTable(_) => Bond::TemporaryTable,
        Pin::NamedLock(_) => Bond::NamedLock,
        Pin::TableLocks => Bond::TableLocks,
        Pin::InstanceLock => Bond::InstanceLock,
        Pin::NextTransaction => Bond::NextTransaction,
        Pin::SessionVariable(_) => Bond::SessionVariable,
        Pin::Handler(_) => Bond::Handler,
        Pin::Xa => Bond::Xa,
        Pin::Connection => Bond::Connection,
        // Statements that name these run on the primary by themselves.
        Pin::UserVariable(_) | Pin::PreparedStatement(_) => return None,
    })
}
