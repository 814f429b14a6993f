//! `SHOW`: about the data, about the session, or about the server?
//!
//! Sources: MySQL manual 15.7.7 "SHOW Statements"; MariaDB "SHOW". What is about definitions is the same on every server that has caught up.

use crate::findings::Findings;
use crate::lexer::{Kind, Lexer, Token};
use crate::read::is_query_word;
use crate::scan;
use crate::schema::SchemaClass;
use crate::variables::{Scope, VariableClass, class_of};
use crate::{Effects, Reason};

/// About definitions: first word after `SHOW [FULL | EXTENDED]`. Not `EVENTS`: a replica shows each of them as disabled.
const ABOUT_DATA: &[&str] = &[
    "charset",
    "collation",
    "columns",
    "create",
    "databases",
    "fields",
    "grants",
    "index",
    "indexes",
    "keys",
    "privileges",
    "schemas",
    "tables",
    "triggers",
];

/// Objects for which `SHOW CREATE` gives the same answer on every server. Not an event, which a replica has disabled, and not a server of
/// `FEDERATED`, whose definition MySQL does not replicate (manual 15.1.18).
const CREATED_ALIKE: &[&str] =
    &["table", "view", "database", "schema", "procedure", "function", "trigger", "sequence", "package"];

/// After `SHOW`; leaves the lexer after the statement.
pub(crate) fn classify(lexer: &mut Lexer<'_>, schema: SchemaClass) -> Findings {
    let kind = kind(lexer);
    let is_about_system = schema.is_system() || names_server_schema(*lexer);
    let has_query = has_query(*lexer);
    // Expressions in WHERE, names of system schemas and everything else that a read must not have.
    let mut findings = scan::scan(lexer, schema).findings;
    match kind {
        Asked::Data => {
            findings.effects |= Effects::READ_DATA;
            if is_about_system {
                findings.note(Effects::THIS_SERVER, Reason::SystemSchema);
            }
        }
        Asked::PreviousStatement => findings.note(Effects::PREVIOUS_STATEMENT, Reason::PreviousStatement),
        Asked::SessionValue => {}
        Asked::Variables => findings.note(Effects::THIS_SERVER | Effects::INSERT_ID, Reason::AboutThisServer),
        Asked::Server => findings.note(Effects::THIS_SERVER, Reason::AboutThisServer),
    }
    if has_query {
        findings.note(Effects::LOCK, Reason::LockingClause);
    }
    findings.resolve_calls(|_| false);
    findings
}

/// `SHOW .. WHERE EXISTS (SELECT ..)`: outside of a `SELECT`, `InnoDB` reads with shared locks, which last as long as the transaction.
/// So does a query in a stored function.
fn has_query(mut lexer: Lexer<'_>) -> bool {
    let mut follows_dot = false;
    loop {
        let token = lexer.next();
        if token.is_end() {
            return false;
        }
        if is_query_word(token) && !follows_dot {
            return true;
        }
        follows_dot = token.is_symbol(".");
    }
}

/// `SHOW TABLES FROM mysql`, `SHOW COLUMNS IN user IN mysql`.
fn names_server_schema(mut lexer: Lexer<'_>) -> bool {
    loop {
        let token = lexer.next();
        if token.is_end() {
            return false;
        }
        if token.is_any(&["from", "in"]) && SchemaClass::of_name(scan::unquoted(lexer.peek().text)) == SchemaClass::Server {
            return true;
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Data,
    PreviousStatement,
    /// A session variable whose value Pointsman sets on every connection.
    SessionValue,
    /// Variables; some of them may be what an earlier insert has left.
    Variables,
    Server,
}

/// Takes the words that say what is asked for.
fn kind(lexer: &mut Lexer<'_>) -> Asked {
    while lexer.peek().is_any(&["full", "extended"]) {
        lexer.next();
    }
    let mut ahead = *lexer;
    let first = ahead.next();
    let second = ahead.peek();
    if first.is_any(&["warnings", "errors"]) || (first.is_word("count") && second.is_symbol("(")) {
        return Asked::PreviousStatement;
    }
    let is_pair = |one: &str, two: &[&str]| first.is_word(one) && second.is_any(two);
    if first.is_word("grants") {
        return accounts(lexer);
    }
    if first.is_word("create") && second.is_word("user") {
        // In a transaction it keeps the account's row locked, on MySQL.
        accounts(lexer);
        return Asked::Server;
    }
    if first.is_word("create") && !second.is_any(CREATED_ALIKE) {
        // The scan would take this word for another statement's.
        lexer.next();
        return Asked::Server;
    }
    let has_two_words = first.is_word("create")
        || is_pair("table", &["status"])
        || is_pair("character", &["set"])
        || is_pair("procedure", &["status"])
        || is_pair("function", &["status"])
        || is_pair("package", &["status", "body"]);
    if has_two_words || first.is_any(ABOUT_DATA) {
        lexer.next();
        if has_two_words && second.kind == Kind::Word {
            lexer.next();
        }
        return Asked::Data;
    }
    let is_session = first.is_any(&["session", "local"]);
    if first.is_word("variables") || (is_session && second.is_word("variables")) {
        if is_session {
            ahead.next();
        }
        return variables(ahead);
    }
    Asked::Server
}

/// `SHOW GRANTS [FOR user [USING role, ..]]`, `SHOW CREATE USER user`: accounts, not expressions; the `@` in them is no variable.
fn accounts(lexer: &mut Lexer<'_>) -> Asked {
    while !lexer.peek().is_end() {
        let token = lexer.next();
        let is_account = matches!(token.kind, Kind::Word | Kind::Quoted | Kind::Literal | Kind::UserVariable | Kind::Symbol);
        if !is_account {
            return Asked::Server;
        }
    }
    Asked::Data
}

/// After `SHOW [SESSION] VARIABLES`: `LIKE 'one_name'` of a variable that may be read anywhere.
fn variables(mut lexer: Lexer<'_>) -> Asked {
    let is_like = lexer.next().is_word("like");
    let pattern = lexer.next();
    let is_whole = lexer.next().is_end();
    let is_readable = literal(pattern).is_some_and(|name| class_of(name, Scope::Session) == VariableClass::SameEverywhere);
    if is_like && is_whole && is_readable { Asked::SessionValue } else { Asked::Variables }
}

/// A pattern without `%` that is a variable's name: its `_` match any character, but no two names differ only there.
fn literal(token: Token<'_>) -> Option<&[u8]> {
    if token.kind != Kind::Literal {
        return None;
    }
    match token.text {
        [b'\'', inner @ .., b'\''] | [b'"', inner @ .., b'"'] => Some(inner),
        _ => None,
    }
}
