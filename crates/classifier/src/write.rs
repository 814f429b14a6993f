//! Statements that change data, accounts or the server: always the primary's. What matters here is what they do to the session.
//!
//! Sources: MySQL manual 15.2 (data manipulation), 15.7 (administration), 15.4 (replication), 15.3.3 (implicit commits); MariaDB
//! "SQL Statements".

use crate::findings::Findings;
use crate::lexer::{Lexer, Token};
use crate::scan;
use crate::{Effects, Pin, Reason, SessionEffect, Verb};

const ADMIN: Effects = Effects::WRITE_DATA.union(Effects::THIS_SERVER);

/// Classifies the statement that begins with the word `first`; the lexer stands after that word. `None` if it is none of these.
pub(crate) fn classify(first: Token<'_>, lexer: &mut Lexer<'_>) -> Option<(Verb, Findings)> {
    let is_table_maintenance =
        |lexer: &Lexer<'_>| lexer.peek().is_any(&["table", "tables", "no_write_to_binlog", "local", "index", "into"]);
    let verdict = match first.text.to_ascii_lowercase().as_slice() {
        b"insert" => (Verb::Insert, data(lexer)),
        b"replace" => (Verb::Replace, data(lexer)),
        b"update" => (Verb::Update, data(lexer)),
        b"delete" => (Verb::Delete, data(lexer)),
        b"load" => (Verb::Load, load(lexer)),
        b"import" => (Verb::Import, admin(lexer, Effects::WRITE_DATA | Effects::FILE)),
        b"call" => (Verb::Call, call(lexer)),
        b"grant" => (Verb::Grant, commits(lexer)),
        b"revoke" => (Verb::Revoke, commits(lexer)),
        b"analyze" if is_table_maintenance(lexer) => (Verb::Admin, commits(lexer)),
        b"optimize" | b"repair" | b"check" | b"cache" => (Verb::Admin, commits(lexer)),
        b"checksum" => (Verb::Admin, admin(lexer, Effects::READ_DATA | Effects::THIS_SERVER)),
        b"install" | b"uninstall" | b"restart" | b"clone" | b"alter" => (Verb::Admin, admin(lexer, ADMIN)),
        b"binlog" => (Verb::Admin, binlog(lexer)),
        b"kill" => (Verb::Kill, admin(lexer, ADMIN)),
        b"reset" => (Verb::Reset, admin(lexer, ADMIN)),
        b"shutdown" => (Verb::Shutdown, admin(lexer, ADMIN)),
        b"change" | b"stop" | b"purge" => (Verb::Replication, admin(lexer, ADMIN)),
        b"help" => (Verb::Help, admin(lexer, Effects::THIS_SERVER)),
        b"get" | b"signal" | b"resignal" => (Verb::Diagnostics, diagnostics(first, lexer)),
        _ => return None,
    };
    Some(verdict)
}

/// `INSERT`, `REPLACE`, `UPDATE`, `DELETE`: locks and variables in their expressions stay with the session.
fn data(lexer: &mut Lexer<'_>) -> Findings {
    let mut findings = Findings::of(Effects::WRITE_DATA, Reason::Writes);
    findings.absorb(scan::expressions(lexer));
    findings
}

/// `LOAD DATA`, `LOAD XML`: may fill variables. `LOAD INDEX INTO CACHE` is about this server.
fn load(lexer: &mut Lexer<'_>) -> Findings {
    if lexer.peek().is_word("index") {
        return admin(lexer, ADMIN);
    }
    let mut findings = Findings::of(Effects::WRITE_DATA | Effects::FILE, Reason::Writes);
    findings.absorb(scan::assigning_expressions(lexer));
    findings
}

/// A procedure may do anything to the data and to the session: open transactions, temporary tables, variables, locks.
fn call(lexer: &mut Lexer<'_>) -> Findings {
    let mut findings = Findings::of(Effects::WRITE_DATA | Effects::SESSION_UNSEEN, Reason::Writes);
    findings.absorb(scan::assigning_expressions(lexer));
    findings.pin(Pin::Connection);
    findings
}

fn commits(lexer: &mut Lexer<'_>) -> Findings {
    let mut findings = admin(lexer, Effects::WRITE_DATA | Effects::TRANSACTION);
    findings.because = Some(Reason::Writes);
    findings.push(SessionEffect::End);
    findings
}

fn admin(lexer: &mut Lexer<'_>, effects: Effects) -> Findings {
    let because = if effects.contains(Effects::THIS_SERVER) { Reason::AboutThisServer } else { Reason::Writes };
    Findings::of(effects | scan::memory(lexer), because)
}

/// `BINLOG 'events'`, as mysqlbinlog prints them: the first such statement says in which format those of the others are.
fn binlog(lexer: &mut Lexer<'_>) -> Findings {
    let mut findings = admin(lexer, ADMIN);
    findings.pin(Pin::BinlogFormat);
    findings
}

/// `GET DIAGNOSTICS @a = ..` stores what the previous statement left in variables.
fn diagnostics(first: Token<'_>, lexer: &mut Lexer<'_>) -> Findings {
    if !first.is_word("get") {
        return Findings::of(Effects::UNKNOWN | scan::memory(lexer), Reason::NotKnown);
    }
    let mut findings =
        Findings::of(Effects::PREVIOUS_STATEMENT | Effects::COUNTS | Effects::CHANGE_SESSION, Reason::PreviousStatement);
    findings.absorb(scan::assigning_expressions(lexer));
    findings
}
