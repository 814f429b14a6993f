//! `CREATE`, `ALTER`, `DROP`, `RENAME`, `TRUNCATE`: definitions, and the temporary tables among them.
//!
//! Sources: MySQL manual 15.1 and 15.3.3 (implicit commits); MariaDB "CREATE TABLE", "CREATE SEQUENCE", "SQL statements That Cause an Implicit
//! Commit".

use crate::control::deallocate;
use crate::findings::{Findings, name_of};
use crate::lexer::{Kind, Lexer, Token};
use crate::scan::{self, unquoted};
use crate::set::skip_statement;
use crate::{Effects, Pin, Reason, SessionEffect, Verb};

/// Classifies the statement that begins with the word `first`; the lexer stands after that word. `None` if it is none of these.
pub(crate) fn classify(first: Token<'_>, lexer: &mut Lexer<'_>, schema: Option<&str>) -> Option<(Verb, Findings)> {
    let defines = first.is_word("rename") || (first.is_any(&["create", "alter"]) && names_program_or_view(*lexer));
    let (verb, mut findings) = match first.text.to_ascii_lowercase().as_slice() {
        b"create" => (Verb::Create, create(lexer, schema)),
        b"alter" => (Verb::Alter, alter(lexer)),
        b"drop" if lexer.peek().is_word("prepare") => {
            let findings = deallocate(lexer);
            skip_statement(lexer);
            (Verb::Deallocate, findings)
        }
        b"drop" => (Verb::Drop, drop_items(lexer, schema)),
        b"rename" => (Verb::Rename, skipped(lexer)),
        b"truncate" => (Verb::Truncate, skipped(lexer)),
        _ => return None,
    };
    findings.effects.set(Effects::DEFINES, defines);
    Some((verb, findings))
}

/// Whether a function, a package or a view is created or changed: the catalogue then has to be read again.
fn names_program_or_view(mut lexer: Lexer<'_>) -> bool {
    (0..WORDS_BEFORE_KIND).map(|_| lexer.next()).any(|token| token.is_any(&["function", "package", "view"]))
}

/// `CREATE OR REPLACE ALGORITHM = MERGE DEFINER = 'a'@'b' SQL SECURITY INVOKER VIEW`
const WORDS_BEFORE_KIND: usize = 16;

fn writes() -> Findings {
    Findings::of(Effects::WRITE_DATA, Reason::Writes)
}

/// Commits what is open.
fn commits() -> Findings {
    let mut findings = Findings::of(Effects::WRITE_DATA | Effects::TRANSACTION, Reason::Writes);
    findings.push(SessionEffect::End);
    findings
}

fn skipped(lexer: &mut Lexer<'_>) -> Findings {
    skip_statement(lexer);
    commits()
}

fn create(lexer: &mut Lexer<'_>, schema: Option<&str>) -> Findings {
    if lexer.peek().is_word("or") {
        lexer.next();
        lexer.next();
    }
    if lexer.peek().is_word("temporary") {
        lexer.next();
        let mut findings = writes();
        temporary(lexer, schema, &mut findings);
        findings.absorb(scan::expressions(lexer));
        return findings;
    }
    if is_program(*lexer) {
        return program(lexer);
    }
    if is_view(*lexer) || !has_query(*lexer) {
        return skipped(lexer);
    }
    let mut findings = commits();
    findings.absorb(scan::expressions(lexer));
    findings
}

/// `ALTER EVENT .. DO` has a program too.
fn alter(lexer: &mut Lexer<'_>) -> Findings {
    if is_program(*lexer) { program(lexer) } else { skipped(lexer) }
}

/// After `TEMPORARY`: `TABLE [IF NOT EXISTS] name`, or a sequence.
fn temporary(lexer: &mut Lexer<'_>, schema: Option<&str>, findings: &mut Findings) {
    findings.effects |= Effects::CHANGE_SESSION;
    if !lexer.peek().is_any(&["table", "sequence"]) {
        findings.anything(Reason::NotKnown);
        return;
    }
    lexer.next();
    skip_words(lexer, &["if", "not", "exists"]);
    match table_name(lexer, schema) {
        Some(name) => findings.pin(Pin::TemporaryTable(name)),
        None => findings.anything(Reason::NotKnown),
    }
}

fn skip_words(lexer: &mut Lexer<'_>, words: &[&str]) {
    while lexer.peek().is_any(words) {
        lexer.next();
    }
}

/// `name` or `schema.name`, with the default schema where there is one.
fn table_name(lexer: &mut Lexer<'_>, schema: Option<&str>) -> Option<Box<str>> {
    let first = lexer.peek();
    if !first.is_name() {
        return None;
    }
    lexer.next();
    let first = name_of(unquoted(first.text));
    if lexer.peek().is_symbol(".") {
        lexer.next();
        let second = lexer.peek();
        if !second.is_name() {
            return None;
        }
        lexer.next();
        return Some(format!("{first}.{}", name_of(unquoted(second.text))).into());
    }
    Some(schema.map_or(first.clone(), |schema| format!("{schema}.{first}").into()))
}

/// `DROP [TEMPORARY] TABLE[S] [IF EXISTS] a, b ..`: a temporary table hides a base table of the same name, so both forms may drop it.
fn drop_items(lexer: &mut Lexer<'_>, schema: Option<&str>) -> Findings {
    let is_temporary = lexer.peek().is_word("temporary");
    if is_temporary {
        lexer.next();
    }
    let what = lexer.peek();
    let mut findings = if is_temporary { writes() } else { commits() };
    if is_temporary {
        findings.effects |= Effects::CHANGE_SESSION;
    }
    if what.is_any(&["table", "tables"]) || (is_temporary && what.is_word("sequence")) {
        lexer.next();
        skip_words(lexer, &["if", "exists"]);
        while let Some(name) = table_name(lexer, schema) {
            findings.unpin(Pin::TemporaryTable(name));
            if !lexer.peek().is_symbol(",") {
                break;
            }
            lexer.next();
        }
    }
    skip_statement(lexer);
    findings
}

/// Whether a stored program follows, whose text may have `;` inside.
fn is_program(lexer: Lexer<'_>) -> bool {
    let programs = ["procedure", "function", "trigger", "event", "package", "library"];
    is_first(lexer, &programs, &["table", "view", "index", "database", "schema", "user", "role"])
}

/// Whether a view follows: nothing of its query is evaluated when it is created.
fn is_view(lexer: Lexer<'_>) -> bool {
    is_first(lexer, &["view"], &["table", "index"])
}

/// Whether one of these words says what is created, and none of the others comes before it.
fn is_first(mut lexer: Lexer<'_>, kinds: &[&str], others: &[&str]) -> bool {
    let mut words = (0..WORDS_BEFORE_KIND).map(|_| lexer.next());
    let first = words.find(|token| token.is_end() || token.is_any(kinds) || token.is_any(others));
    first.is_some_and(|token| token.is_any(kinds))
}

/// Whether rows may be selected now: otherwise all expressions are defaults, checks and the like, which are only stored.
fn has_query(mut lexer: Lexer<'_>) -> bool {
    loop {
        let token = lexer.next();
        if token.is_end() || token.is_any(&["select", "values", "with"]) {
            return !token.is_end();
        }
    }
}

/// A stored program: one statement up to the end of the text, because without its grammar its own `;` cannot be told from the end. If something may
/// follow the program, the session is pinned.
fn program(lexer: &mut Lexer<'_>) -> Findings {
    let mut findings = commits();
    let mut depth = 0_usize;
    let mut has_ended = false;
    let mut has_more = false;
    loop {
        let token = lexer.next();
        match token.kind {
            Kind::End => break,
            Kind::Semicolon => has_ended |= depth == 0,
            _ => has_more |= has_ended,
        }
        if token.is_any(&["begin", "case"]) {
            depth += 1;
        } else if token.is_word("end") && !lexer.peek().is_any(&["if", "loop", "while", "repeat", "for"]) {
            depth = depth.saturating_sub(1);
            if lexer.peek().is_word("case") {
                lexer.next();
            }
        }
    }
    if has_more || depth > 0 {
        findings.anything(Reason::Batch);
    }
    findings
}
