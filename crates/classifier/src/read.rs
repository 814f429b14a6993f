//! Query expressions and what explains them: the only statements that may leave the primary for a replica.
//!
//! Both stages must say "read": the scan of the tokens, and the syntax tree, or the `shape` where the parser has no opinion. Sources: MySQL manual 15.2.13 "SELECT", 15.2.19 "VALUES",
//! 15.2.16 "TABLE", 15.8.2 "EXPLAIN"; MariaDB "SELECT", "EXPLAIN", "ANALYZE Statement".

use crate::lexer::{Kind, Lexer, Token};
use crate::notes::Notes;
use crate::scan;
use crate::schema::SchemaClass;
use crate::set::skip_statement;
use crate::shape;
use crate::tree::{self, Opinion};
use crate::{Because, Effects, Limits};

/// The statement from the lexer's position to its end is a query expression, or is a write behind `WITH`.
pub(crate) fn query(lexer: &mut Lexer<'_>, schema: SchemaClass, limits: &Limits) -> Notes {
    let beginning = *lexer;
    let start = lexer.peek().start;
    let scan = scan::scan(lexer, schema);
    let mut notes = scan.notes;
    if !notes.has_only_data() {
        return notes;
    }
    let text = lexer.sql().get(start..scan.end).unwrap_or_default();
    let doubt = if text.len() > limits.max_parsed_bytes {
        Some(Because::TooLarge)
    } else if scan.links > limits.max_parsed_links {
        Some(Because::TooComplex)
    } else {
        match tree::opinion(text, scan.tokens, lexer.rules(), &notes) {
            Opinion::Read => None,
            Opinion::TooCostly => {
                notes.note(Effects::UNKNOWN, Because::TooCostly);
                return notes;
            }
            Opinion::More => {
                notes.note(Effects::UNKNOWN, Because::StagesDisagree);
                return notes;
            }
            Opinion::NotParsed => Some(Because::NotParsed),
        }
    };
    if let Some(because) = doubt.filter(|_| !shape::is_query(beginning)) {
        notes.note(Effects::UNKNOWN, because);
    }
    notes
}

/// Whether a query expression begins with this word.
pub(crate) fn is_query_word(word: Token<'_>) -> bool {
    word.is_any(&["select", "with", "values", "table"])
}

/// Behind `EXPLAIN`, `DESCRIBE`, `DESC`, or MariaDB's `ANALYZE` of a statement.
pub(crate) fn explain(lexer: &mut Lexer<'_>, schema: SchemaClass, limits: &Limits) -> Notes {
    skip_options(lexer);
    let mut ahead = *lexer;
    let mut first = ahead.next();
    while first.is_symbol("(") {
        first = ahead.next();
    }
    if is_query_word(first) {
        return query(lexer, schema, limits);
    }
    if first.is_any(&["update", "delete", "insert", "replace"]) {
        let mut notes = Notes::of(Effects::WRITE_DATA, Because::Writes);
        notes.absorb(scan::expressions(lexer));
        return notes;
    }
    if first.is_word("for") {
        skip_statement(lexer);
        return Notes::of(Effects::THIS_SERVER, Because::AboutThisServer);
    }
    describe(lexer, schema)
}

/// `EXTENDED`, `PARTITIONS`, `ANALYZE`, `FORMAT = x`.
fn skip_options(lexer: &mut Lexer<'_>) {
    loop {
        let mut ahead = *lexer;
        let option = ahead.next();
        if option.is_word("format") && ahead.next().is_symbol("=") {
            ahead.next();
        } else if !option.is_any(&["extended", "partitions", "analyze"]) || ahead.peek().is_end() {
            return;
        }
        *lexer = ahead;
    }
}

/// `DESCRIBE table [column | 'pattern']`: names and at most one string, nothing else.
fn describe(lexer: &mut Lexer<'_>, schema: SchemaClass) -> Notes {
    let mut words = *lexer;
    let mut notes = scan::scan(lexer, schema).notes;
    let mut is_plain = words.peek().is_name();
    loop {
        let token = words.next();
        match token.kind {
            Kind::End | Kind::Semicolon => break,
            Kind::Word | Kind::Quoted | Kind::Literal => {}
            _ => is_plain &= token.is_symbol("."),
        }
    }
    notes.effects |= Effects::READ_DATA;
    if !is_plain {
        notes.note(Effects::UNKNOWN, Because::NotKnown);
    } else if schema.is_system() {
        notes.note(Effects::THIS_SERVER, Because::SystemSchema);
    }
    notes
}

/// Behind `DO`: expressions, as in a select list without tables. A subquery in them takes shared locks, as `InnoDB` reads without locks for a
/// `SELECT` only, and so does one in a stored function.
pub(crate) fn do_expressions(lexer: &mut Lexer<'_>, schema: SchemaClass) -> Notes {
    let beginning = *lexer;
    let mut notes = scan::scan(lexer, schema).notes;
    if notes.effects.contains(Effects::READ_DATA) {
        notes.note(Effects::LOCK, Because::LockingClause);
    }
    notes.resolve_calls(|_| false);
    if notes.has_only_data() && !shape::is_expression_list(beginning) {
        notes.note(Effects::UNKNOWN, Because::NotParsed);
    }
    notes
}
