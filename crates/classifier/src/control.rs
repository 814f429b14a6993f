//! Statements about transactions, locks, prepared statements and the schema.
//!
//! Sources: MySQL manual 15.3 (transactions and locks), 15.5 (prepared statements), 15.8.4 "USE", 15.2.5 "HANDLER"; MariaDB "Transactions",
//! "BACKUP STAGE", "BACKUP LOCK", "EXECUTE IMMEDIATE". Implicit commits: MySQL manual 15.3.3.

use crate::findings::{Findings, name_of};
use crate::lexer::{Kind, Lexer, Token};
use crate::scan::{self, unquoted};
use crate::{Effects, Pin, Reason, SessionEffect, Verb};

const TRANSACTION: Effects = Effects::TRANSACTION;

/// Classifies the statement that begins with the word `first`; the lexer stands after that word. `None` if it is none of these.
pub(crate) fn classify(first: Token<'_>, lexer: &mut Lexer<'_>) -> Option<(Verb, Findings)> {
    let verdict = match first.text.to_ascii_lowercase().as_slice() {
        b"begin" => begin(lexer),
        b"start" => start(lexer),
        b"commit" => (Verb::Commit, end_of_transaction(lexer)),
        b"rollback" => (Verb::Rollback, end_of_transaction(lexer)),
        b"savepoint" => (Verb::Savepoint, Findings::of(TRANSACTION, Reason::TransactionControl)),
        b"release" => (Verb::ReleaseSavepoint, Findings::of(TRANSACTION, Reason::TransactionControl)),
        b"xa" => (Verb::Xa, xa(lexer)),
        b"lock" => lock(lexer),
        b"unlock" => unlock(lexer),
        b"backup" => (Verb::Admin, backup(lexer)),
        b"use" => (Verb::Use, use_schema(lexer)),
        b"handler" => (Verb::Handler, handler(lexer)),
        b"execute" => (Verb::Execute, execute(lexer)),
        b"deallocate" => (Verb::Deallocate, deallocate(lexer)),
        b"flush" => (Verb::Flush, flush(lexer)),
        _ => return None,
    };
    let (verb, mut findings) = verdict;
    // The functions above leave the lexer at the first token that they could not use: conditions of HANDLER, arguments of EXECUTE.
    findings.effects |= scan::memory(lexer);
    Some((verb, findings))
}

/// Takes the next token if it is this word.
fn accept(lexer: &mut Lexer<'_>, keyword: &str) -> bool {
    let is_there = lexer.peek().is_word(keyword);
    if is_there {
        lexer.next();
    }
    is_there
}

fn begins(read_only: bool) -> Findings {
    let mut findings = Findings::of(TRANSACTION, Reason::TransactionControl);
    findings.push(SessionEffect::Begin { read_only });
    findings
}

/// What is not understood may leave the session in any state.
fn unknown() -> Findings {
    let mut findings = Findings::default();
    findings.anything(Reason::NotKnown);
    findings
}

/// `BEGIN [WORK]`; MariaDB's `BEGIN NOT ATOMIC` is a whole program.
fn begin(lexer: &mut Lexer<'_>) -> (Verb, Findings) {
    accept(lexer, "work");
    let findings = if lexer.peek().is_end() { begins(false) } else { unknown() };
    (Verb::Begin, findings)
}

/// `START TRANSACTION [characteristic, ..]`, or `START REPLICA` and the like.
fn start(lexer: &mut Lexer<'_>) -> (Verb, Findings) {
    if !accept(lexer, "transaction") {
        return (Verb::Replication, Findings::of(Effects::WRITE_DATA | Effects::THIS_SERVER, Reason::AboutThisServer));
    }
    let mut read_only = false;
    while !lexer.peek().is_end() {
        let token = lexer.next();
        if token.is_word("read") && lexer.peek().is_any(&["only", "write"]) {
            read_only |= lexer.next().is_word("only");
        } else if !token.is_symbol(",") && !token.is_any(&["with", "consistent", "snapshot"]) {
            return (Verb::Begin, unknown());
        }
    }
    (Verb::Begin, begins(read_only))
}

/// `COMMIT` and `ROLLBACK` with `AND [NO] CHAIN` and `[NO] RELEASE`; `ROLLBACK TO` ends nothing.
fn end_of_transaction(lexer: &mut Lexer<'_>) -> Findings {
    let mut findings = Findings::of(TRANSACTION, Reason::TransactionControl);
    accept(lexer, "work");
    if lexer.peek().is_word("to") {
        return findings;
    }
    findings.push(SessionEffect::End);
    if accept(lexer, "and") {
        let is_off = accept(lexer, "no");
        if accept(lexer, "chain") && !is_off {
            findings.push(SessionEffect::Begin { read_only: false });
        }
    }
    if !accept(lexer, "no") && accept(lexer, "release") {
        findings.push(SessionEffect::Disconnect);
    }
    findings
}

fn xa(lexer: &mut Lexer<'_>) -> Findings {
    let mut findings = Findings::of(TRANSACTION, Reason::TransactionControl);
    let verb = lexer.peek();
    if verb.is_any(&["start", "begin"]) {
        findings.pin(Pin::Xa);
    } else if verb.is_any(&["commit", "rollback"]) {
        findings.effects |= Effects::WRITE_DATA;
        findings.unpin(Pin::Xa);
    } else if verb.is_word("recover") {
        findings = Findings::of(Effects::THIS_SERVER, Reason::AboutThisServer);
    }
    findings
}

/// `LOCK TABLES`, `LOCK INSTANCE FOR BACKUP`.
fn lock(lexer: &mut Lexer<'_>) -> (Verb, Findings) {
    let mut findings = Findings::of(Effects::LOCK, Reason::LockFunction);
    findings.because = Some(Reason::SessionStatement);
    let what = lexer.peek();
    if what.is_word("instance") {
        findings.pin(Pin::InstanceLock);
        return (Verb::LockInstance, findings);
    }
    if !what.is_any(&["table", "tables"]) {
        return (Verb::LockTables, unknown());
    }
    findings.effects |= TRANSACTION;
    findings.push(SessionEffect::End);
    findings.pin(Pin::TableLocks);
    (Verb::LockTables, findings)
}

/// `UNLOCK TABLES` commits only what `LOCK TABLES` holds, so here it does not end a transaction; the server's status says whether it did.
fn unlock(lexer: &mut Lexer<'_>) -> (Verb, Findings) {
    let mut findings = Findings::of(Effects::LOCK, Reason::SessionStatement);
    let what = lexer.peek();
    if what.is_word("instance") {
        findings.unpin(Pin::InstanceLock);
        return (Verb::UnlockInstance, findings);
    }
    if what.is_any(&["table", "tables"]) {
        findings.unpin(Pin::TableLocks);
    }
    (Verb::UnlockTables, findings)
}

/// MariaDB's `BACKUP STAGE ..`, `BACKUP LOCK table`, `BACKUP UNLOCK`.
fn backup(lexer: &mut Lexer<'_>) -> Findings {
    let mut findings = Findings::of(Effects::LOCK | Effects::THIS_SERVER, Reason::AboutThisServer);
    let what = lexer.next();
    let is_end = what.is_word("unlock") || (what.is_word("stage") && lexer.peek().is_word("end"));
    if is_end {
        findings.unpin(Pin::InstanceLock);
    } else {
        findings.pin(Pin::InstanceLock);
    }
    findings
}

fn use_schema(lexer: &mut Lexer<'_>) -> Findings {
    let name = lexer.peek();
    if !name.is_name() {
        return Findings::of(Effects::UNKNOWN, Reason::NotKnown);
    }
    let mut findings = Findings::of(Effects::CHANGE_SESSION, Reason::SessionStatement);
    findings.push(SessionEffect::Use(schema_name(name)));
    findings
}

/// Without quotes, doubled quotes single.
fn schema_name(name: Token<'_>) -> Box<[u8]> {
    let (Kind::Quoted, Some(&quote)) = (name.kind, name.text.first()) else {
        return name.text.into();
    };
    let mut was_quote = false;
    let is_kept = |&b: &u8| {
        was_quote = b == quote && !was_quote;
        !was_quote
    };
    let inner = unquoted(name.text);
    // Of each pair of quotes the second one is kept.
    inner.iter().copied().filter(is_kept).collect()
}

/// `HANDLER t OPEN [[AS] alias]`, `HANDLER t READ ..`, `HANDLER t CLOSE`.
fn handler(lexer: &mut Lexer<'_>) -> Findings {
    let mut findings =
        Findings::of(Effects::READ_DATA | Effects::PRIMARY_SESSION | Effects::CHANGE_SESSION, Reason::SessionStatement);
    let mut name = lexer.next();
    if lexer.peek().is_symbol(".") {
        lexer.next();
        name = lexer.next();
    }
    let action = lexer.next();
    if action.is_word("open") {
        accept(lexer, "as");
        let alias = lexer.peek();
        let name = if alias.is_name() { alias } else { name };
        findings.pin(Pin::Handler(name_of(unquoted(name.text))));
    } else if action.is_word("close") {
        findings.unpin(Pin::Handler(name_of(unquoted(name.text))));
    }
    findings
}

/// `EXECUTE name [USING ..]` does what was prepared, and [`prepare`] has pinned what that may do to the session. MariaDB's `EXECUTE
/// IMMEDIATE` may do anything.
fn execute(lexer: &mut Lexer<'_>) -> Findings {
    if lexer.peek().is_word("immediate") {
        return unknown();
    }
    Findings::of(Effects::UNKNOWN | Effects::SESSION_UNSEEN, Reason::NotKnown)
}

/// `DEALLOCATE PREPARE name`, also as `DROP PREPARE name`: the lexer stands before `PREPARE`.
pub(crate) fn deallocate(lexer: &mut Lexer<'_>) -> Findings {
    let mut findings = Findings::of(Effects::CHANGE_SESSION | Effects::PRIMARY_SESSION, Reason::SessionStatement);
    if accept(lexer, "prepare") && lexer.peek().is_name() {
        findings.unpin(Pin::PreparedStatement(prepared_name(lexer.peek())));
    }
    findings
}

/// Names of prepared statements do not depend on case (MySQL manual 15.5.1).
pub(crate) fn prepared_name(name: Token<'_>) -> Box<str> {
    name_of(&unquoted(name.text).to_ascii_lowercase())
}

/// `FLUSH ..`: only the forms with tables leave locks.
fn flush(lexer: &mut Lexer<'_>) -> Findings {
    let mut findings = Findings::of(Effects::WRITE_DATA | Effects::THIS_SERVER | TRANSACTION, Reason::AboutThisServer);
    findings.push(SessionEffect::End);
    let mut is_about_tables = false;
    while !lexer.peek().is_end() {
        let token = lexer.next();
        is_about_tables |= token.is_any(&["table", "tables"]);
        let is_lock =
            (token.is_word("read") && lexer.peek().is_word("lock")) || (token.is_word("for") && lexer.peek().is_word("export"));
        if is_about_tables && is_lock {
            findings.effects |= Effects::LOCK;
            findings.pin(Pin::TableLocks);
            break;
        }
    }
    findings
}
