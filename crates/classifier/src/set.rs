//! `SET` in all its forms.
//!
//! An assignment that means the same on every server becomes an effect that can be repeated; any other pins the session. Sources: MySQL manual 15.7.6
//! "SET Statements", 15.3.7 "SET TRANSACTION", 15.7.1 accounts; MariaDB "SET", "SET STATEMENT", "SET ROLE".

mod relative;
mod tracked;
mod value;

use self::value::Value;
use crate::findings::{Findings, name_of};
use crate::lexer::{Kind, Lexer, Token};
use crate::scan::{take_system_variable, unquoted, user_variable_name};
use crate::variables::{Scope, is_repeatable};
use crate::{Charset, Dialect, Effects, Pin, Reason, SessionEffect, SqlMode, Verb};

/// After `SET`. Leaves the lexer after the end of the statement, except for `SET STATEMENT .. FOR`, where it stands after `FOR`.
pub(crate) fn classify(lexer: &mut Lexer<'_>) -> (Verb, Findings) {
    let mut findings = Findings::default();
    let first = lexer.peek();
    let second = second_token(*lexer);
    let verb = if first.is_word("transaction") && !is_assignment(second) {
        lexer.next();
        transaction(lexer, TransactionScope::Next, &mut findings);
        Verb::SetTransaction
    } else if first.is_any(&["session", "local", "global"]) && second.is_word("transaction") && !is_third_assignment(*lexer) {
        let is_global = first.is_word("global");
        lexer.next();
        lexer.next();
        let scope = if is_global { TransactionScope::Global } else { TransactionScope::Session };
        transaction(lexer, scope, &mut findings);
        Verb::SetTransaction
    } else if first.is_any(&["password", "default", "role", "resource"]) && !is_assignment(second) || first.is_word("password") {
        account(lexer, first, &mut findings);
        Verb::Set
    } else {
        list(lexer, &mut findings);
        Verb::Set
    };
    (verb, findings)
}

/// Whether this is MariaDB's `SET STATEMENT name = value, .. FOR statement`.
pub(crate) fn is_set_statement(lexer: Lexer<'_>) -> bool {
    lexer.rules().dialect == Dialect::MariaDb && lexer.peek().is_word("statement") && !is_assignment(second_token(lexer))
}

fn second_token(mut lexer: Lexer<'_>) -> Token<'_> {
    lexer.next();
    lexer.next()
}

fn is_third_assignment(mut lexer: Lexer<'_>) -> bool {
    lexer.next();
    is_assignment(second_token(lexer))
}

fn is_assignment(token: Token<'_>) -> bool {
    token.is_symbol("=") || token.is_symbol(":=") || token.is_symbol(".")
}

/// `SET PASSWORD`, `SET DEFAULT ROLE`, `SET ROLE`, `SET RESOURCE GROUP`.
fn account(lexer: &mut Lexer<'_>, first: Token<'_>, findings: &mut Findings) {
    if first.is_any(&["password", "default"]) {
        findings.note(Effects::WRITE_DATA | Effects::TRANSACTION, Reason::Writes);
        findings.push(SessionEffect::End);
    } else {
        findings.note(Effects::CHANGE_SESSION, Reason::SessionStatement);
        findings.pin(Pin::Connection);
    }
    skip_statement(lexer);
}

/// Up to the end of the statement.
pub(crate) fn skip_statement(lexer: &mut Lexer<'_>) {
    while !lexer.next().is_end() {}
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TransactionScope {
    Next,
    Session,
    Global,
}

/// After `SET [SESSION | GLOBAL] TRANSACTION`: isolation level and access mode, each a session variable of its own.
fn transaction(lexer: &mut Lexer<'_>, scope: TransactionScope, findings: &mut Findings) {
    match scope {
        TransactionScope::Global => {
            findings.note(Effects::WRITE_DATA, Reason::Writes);
            skip_statement(lexer);
        }
        TransactionScope::Next => {
            findings.note(Effects::CHANGE_SESSION | Effects::TRANSACTION, Reason::TransactionControl);
            findings.pin(Pin::NextTransaction);
            skip_statement(lexer);
        }
        TransactionScope::Session => {
            findings.note(Effects::CHANGE_SESSION, Reason::SessionStatement);
            session_characteristics(lexer, findings);
        }
    }
}

fn session_characteristics(lexer: &mut Lexer<'_>, findings: &mut Findings) {
    loop {
        let first = lexer.next();
        let name = if first.is_word("isolation") && lexer.peek().is_word("level") {
            "transaction_isolation"
        } else if first.is_word("read") {
            "transaction_read_only"
        } else {
            findings.anything(Reason::NotKnown);
            if !first.is_end() {
                skip_statement(lexer);
            }
            return;
        };
        let start = first.start;
        let mut end = first.end();
        let separator = loop {
            let token = lexer.next();
            if token.is_end() || token.is_symbol(",") {
                break token;
            }
            end = token.end();
        };
        let text = lexer.sql().get(start..end).unwrap_or_default();
        let sql = [b"SESSION TRANSACTION ".as_slice(), text].concat();
        findings.push(SessionEffect::Set { name: name.into(), sql: sql.into() });
        if separator.is_end() {
            return;
        }
    }
}

/// `assignment, assignment ...`
fn list(lexer: &mut Lexer<'_>, findings: &mut Findings) {
    // A scope keyword also holds for the assignments after it that have none (MySQL manual 15.7.6.1).
    let mut scope = Scope::Unscoped;
    loop {
        if !assignment(lexer, &mut scope, findings) {
            return;
        }
    }
}

/// One assignment with its separator. Whether another follows.
fn assignment(lexer: &mut Lexer<'_>, sticky: &mut Scope, findings: &mut Findings) -> bool {
    let mut token = lexer.next();
    if let Some(scope) = Scope::of_word(token.text).filter(|_| token.kind == Kind::Word && !is_assignment(lexer.peek())) {
        *sticky = scope;
        token = lexer.next();
    }
    match token.kind {
        Kind::UserVariable => user_variable(lexer, token, findings),
        Kind::SystemVariable => {
            let (scope, name) = take_system_variable(lexer);
            let is_next_transaction = scope == Scope::Unscoped;
            named(lexer, &Assigned { name, start: name.map_or(token.start, |n| n.start), scope, is_next_transaction }, findings)
        }
        Kind::Word if token.is_any(&["names", "charset"]) && !is_assignment(lexer.peek()) => {
            character_set(lexer, token, findings)
        }
        Kind::Word if token.is_any(&["character", "char"]) && lexer.peek().is_word("set") => {
            lexer.next();
            character_set(lexer, token, findings)
        }
        Kind::Word | Kind::Quoted => {
            let has_components = lexer.peek().is_symbol(".");
            let name = (!has_components).then_some(token);
            named(lexer, &Assigned { name, start: token.start, scope: *sticky, is_next_transaction: false }, findings)
        }
        _ => {
            findings.anything(Reason::NotKnown);
            if !token.is_end() {
                skip_statement(lexer);
            }
            false
        }
    }
}

/// `@name = expression`
fn user_variable(lexer: &mut Lexer<'_>, token: Token<'_>, findings: &mut Findings) -> bool {
    findings.note(Effects::CHANGE_SESSION | Effects::USER_VARIABLES, Reason::AssignsUserVariable);
    findings.pin(Pin::UserVariable(user_variable_name(token.text)));
    let value = value::take(lexer, findings);
    let assigned = lexer.sql().get(token.end()..value.end).unwrap_or_default().trim_ascii();
    let literal = assigned.strip_prefix(b":").unwrap_or(assigned).strip_prefix(b"=").unwrap_or_default();
    if value::is_plain(literal.trim_ascii()) {
        let sql = lexer.sql().get(token.start..value.end).unwrap_or_default();
        findings.push(SessionEffect::Assign { name: user_variable_name(token.text), sql: sql.into() });
    }
    value.has_more
}

/// What is assigned to.
struct Assigned<'a> {
    /// None where it has components: `cache1.key_buffer_size`.
    name: Option<Token<'a>>,
    start: usize,
    scope: Scope,
    /// `@@name` without a scope: for the transaction variables, the next transaction only.
    is_next_transaction: bool,
}

/// `name = value` with its scope.
fn named(lexer: &mut Lexer<'_>, assigned: &Assigned<'_>, findings: &mut Findings) -> bool {
    let after_name = *lexer;
    let value = value::take(lexer, findings);
    let name = assigned.name.map(|name| unquoted(name.text).to_ascii_lowercase());
    let name = name_of(name.as_deref().unwrap_or_default());
    if assigned.scope == Scope::Global {
        findings.note(Effects::WRITE_DATA, Reason::Writes);
        return value.has_more;
    }
    findings.note(Effects::CHANGE_SESSION, Reason::SessionStatement);
    let is_about_transactions =
        matches!(&*name, "transaction_isolation" | "transaction_read_only" | "tx_isolation" | "tx_read_only");
    if is_about_transactions && assigned.is_next_transaction {
        findings.pin(Pin::NextTransaction);
        return value.has_more;
    }
    let sql = lexer.sql().get(assigned.start..value.end).unwrap_or_default();
    let is_mode = &*name == "sql_mode" && sql.len() <= RELATIVE_MAX;
    match is_mode.then(|| relative::mode(after_name)).flatten() {
        Some(mode) => {
            findings.push(relative_setting(&name, sql));
            findings.push(SessionEffect::SqlMode(mode));
        }
        None if &*name == tracked::NAME && tracked::is_repeatable(after_name) => {
            findings.push(SessionEffect::Set { name, sql: sql.into() });
        }
        None => session_variable(&name, sql, &value, findings),
    }
    value.has_more
}

/// Longer assignments that build on the old value are not repeated.
const RELATIVE_MAX: usize = 1024;

/// An assignment that builds on the old value: it must not replace the settings before it, so it is kept under a name of its own.
fn relative_setting(variable: &str, sql: &[u8]) -> SessionEffect {
    let name = format!("{variable}: {}", name_of(sql));
    SessionEffect::Set { name: name.into(), sql: sql.into() }
}

/// `SET [SESSION] name = value`: repeatable or a pin, and possibly a change of the lexer's rules.
fn session_variable(name: &str, sql: &[u8], value: &Value<'_>, findings: &mut Findings) {
    let is_switch = name == "optimizer_switch" && keeps_flags(sql);
    let is_repeated =
        value.is_literal && is_repeatable(name) && is_good_value(name, value) && (!is_switch || sql.len() <= RELATIVE_MAX);
    if is_repeated && is_switch {
        findings.push(relative_setting(name, sql));
    } else if is_repeated {
        let name = match name {
            "tx_isolation" => "transaction_isolation",
            "tx_read_only" => "transaction_read_only",
            name => name,
        };
        findings.push(SessionEffect::Set { name: name.into(), sql: sql.into() });
    } else {
        findings.pin(Pin::SessionVariable(name.into()));
    }
    match name {
        "sql_mode" => {
            let mode = value.text.filter(|_| is_repeated).map_or(SqlMode::UNKNOWN, SqlMode::parse);
            findings.push(SessionEffect::SqlMode(mode));
        }
        "autocommit" => {
            if let Some(on) = value.as_bool() {
                findings.push(SessionEffect::Autocommit(on));
            }
        }
        _ => {}
    }
}

/// Whether `optimizer_switch = value` leaves the flags as they are that the value does not name, as `'mrr=on'` does, and `DEFAULT`, `'default'` and a
/// number do not (MySQL manual 10.9.2). Like a relative `sql_mode` it must not replace the settings that it builds on, and the last assignment of a flag
/// counts, so that repeating all of them in order leads to the same flags.
fn keeps_flags(sql: &[u8]) -> bool {
    sql.split(|byte| *byte == b'=').nth(2).is_some()
}

/// Whether the value can be repeated: some values change more than the variable.
fn is_good_value(name: &str, value: &Value<'_>) -> bool {
    match name {
        // The default is not known here.
        "autocommit" => value.as_bool().is_some(),
        // When on, a read may ask for the last insert id without saying so.
        "sql_auto_is_null" => value.as_bool() == Some(false),
        // When off, a change of the schema that the text does not show would go unnoticed.
        "session_track_schema" => value.as_bool() == Some(true),
        "character_set_client" => value.text.is_some_and(|name| Charset::of_name(name) == Charset::AsciiSafe),
        _ => true,
    }
}

/// `NAMES x [COLLATE y]`, `CHARACTER SET x`, `CHARSET x`.
fn character_set(lexer: &mut Lexer<'_>, first: Token<'_>, findings: &mut Findings) -> bool {
    findings.note(Effects::CHANGE_SESSION, Reason::SessionStatement);
    let name = lexer.next();
    if name.is_end() {
        findings.anything(Reason::NotKnown);
        return false;
    }
    let mut end = name.end();
    let mut is_known_form = matches!(name.kind, Kind::Word | Kind::Quoted | Kind::Literal);
    let separator = loop {
        let token = lexer.next();
        if token.is_end() || token.is_symbol(",") {
            break token;
        }
        is_known_form &= matches!(token.kind, Kind::Word | Kind::Quoted | Kind::Literal);
        end = token.end();
    };
    if is_known_form {
        let charset = Charset::of_name(value::inner(name));
        let sql = lexer.sql().get(first.start..end).unwrap_or_default();
        findings.push(SessionEffect::SetCharset { sql: sql.into(), charset });
    } else {
        findings.anything(Reason::NotKnown);
    }
    separator.is_symbol(",")
}
