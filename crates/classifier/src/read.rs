//! Query expressions, and the statements that explain them: the only ones that may run on a replica.
//!
//! Both stages must say "read": the scan of the tokens, and the syntax tree, or the `shape` where the parser has no opinion. Sources: MySQL manual
//! 15.2.13 "SELECT", 15.2.19 "VALUES", 15.2.16 "TABLE", 15.8.2 "EXPLAIN"; MariaDB "SELECT", "EXPLAIN", "ANALYZE Statement".

use crate::findings::Findings;
use crate::lexer::{Kind, Lexer, Token};
use crate::scan;
use crate::schema::SchemaClass;
use crate::set::skip_statement;
use crate::shape;
use crate::tree::{self, Opinion};
use crate::{Effects, ParseLimits, Reason};

/// The statement from the lexer's position to its end is a query expression, or is a write after `WITH`.
pub(crate) fn query(lexer: &mut Lexer<'_>, schema: SchemaClass, limits: &ParseLimits) -> Findings {
    let beginning = *lexer;
    let start = lexer.peek().start;
    let scan = scan::scan(lexer, schema);
    let mut findings = scan.findings;
    if !findings.has_only_data() {
        return findings;
    }
    let text = lexer.sql().get(start..scan.end).unwrap_or_default();
    let doubt = if text.len() > limits.max_parsed_bytes {
        Some(Reason::TooLarge)
    } else if scan.links > limits.max_parsed_links {
        Some(Reason::TooComplex)
    } else {
        match tree::opinion(text, scan.tokens, lexer.rules(), &findings) {
            Opinion::Read => None,
            Opinion::TooCostly => {
                findings.note(Effects::UNKNOWN, Reason::TooCostly);
                return findings;
            }
            Opinion::More => {
                findings.note(Effects::UNKNOWN, Reason::StagesDisagree);
                return findings;
            }
            Opinion::NotParsed => Some(Reason::NotParsed),
        }
    };
    if let Some(because) = doubt.filter(|_| !shape::is_query(beginning)) {
        findings.note(Effects::UNKNOWN, because);
    }
    findings
}

/// Whether a query expression begins with this word.
pub(crate) fn is_query_word(word: Token<'_>) -> bool {
    word.is_any(&["select", "with", "values", "table"])
}

/// After `EXPLAIN`, `DESCRIBE`, `DESC`, or MariaDB's `ANALYZE` of a statement.
pub(crate) fn explain(lexer: &mut Lexer<'_>, schema: SchemaClass, limits: &ParseLimits) -> Findings {
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
        let mut findings = Findings::of(Effects::WRITE_DATA, Reason::Writes);
        findings.absorb(scan::expressions(lexer));
        return findings;
    }
    if first.is_word("for") {
        skip_statement(lexer);
        return Findings::of(Effects::THIS_SERVER, Reason::AboutThisServer);
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
fn describe(lexer: &mut Lexer<'_>, schema: SchemaClass) -> Findings {
    let mut words = *lexer;
    let mut findings = scan::scan(lexer, schema).findings;
    let mut is_plain = words.peek().is_name();
    loop {
        let token = words.next();
        match token.kind {
            Kind::End | Kind::Semicolon => break,
            Kind::Word | Kind::Quoted | Kind::Literal => {}
            _ => is_plain &= token.is_symbol("."),
        }
    }
    findings.effects |= Effects::READ_DATA;
    if !is_plain {
        findings.note(Effects::UNKNOWN, Reason::NotKnown);
    } else if schema.is_system() {
        findings.note(Effects::THIS_SERVER, Reason::SystemSchema);
    }
    findings
}

/// After `DO`: expressions, as in a select list without tables. A subquery in them takes shared locks, as `InnoDB` reads without locks for a
/// `SELECT` only, and so does one in a stored function.
pub(crate) fn do_expressions(lexer: &mut Lexer<'_>, schema: SchemaClass) -> Findings {
    let beginning = *lexer;
    let mut findings = scan::scan(lexer, schema).findings;
    if findings.effects.contains(Effects::READ_DATA) {
        findings.note(Effects::LOCK, Reason::LockingClause);
    }
    findings.resolve_calls(|_| false);
    if findings.has_only_data() && !shape::is_expression_list(beginning) {
        findings.note(Effects::UNKNOWN, Reason::NotParsed);
    }
    findings
}
