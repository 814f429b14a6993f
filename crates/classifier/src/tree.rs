//! Stage two of a read: sqlparser's syntax tree must say the same as the lexer.
//!
//! The caller keeps the parser within limits: a left-deep chain of some ten thousand operators overflows the stack when the tree is dropped, and no
//! `catch_unwind` stops that. See `dialect` for the other trap.

mod dialect;

use std::borrow::Cow;
use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, Expr, Ident, ObjectName, ObjectNamePart, Query, Select, SelectFlavor, SetExpr, Statement, TableFactor, Visit,
    Visitor,
};
use sqlparser::parser::{Parser, ParserError};

use self::dialect::ServerDialect;
use crate::Context;
use crate::findings::Findings;
use crate::functions::{self, Call};
use crate::lexer::{Kind, Lexer, Rules};
use crate::schema::SchemaClass;

/// The parser's verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opinion {
    Read,
    /// It found something that is more than a read.
    More,
    NotParsed,
    /// It was stopped.
    TooCostly,
}

/// What parsing one statement took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// Steps of the parser.
    pub steps: u64,
    /// It is stopped after so many.
    pub budget: u64,
}

/// Steps for a text of `tokens` words, operators, names and literals: three times what any ordinary read takes (`tests/work.rs`). Texts that differ
/// only in literals, white space and comments get the same verdict, so one that takes too much work is remembered by its key.
fn budget(tokens: usize) -> u64 {
    const START: u64 = 300;
    const PER_TOKEN: u64 = 24;
    START.saturating_add(PER_TOKEN.saturating_mul(tokens as u64))
}

/// Nesting that the parser follows; its stack use is bounded by it.
const DEPTH: usize = 50;

/// The parser moves to another stack when less than this is left of the one that it is on. With its own default of 128 KiB, a debug build overflowed
/// on 500 bytes of subqueries in joins, because the parser recurses far between its checks.
const STACK_AHEAD: usize = 512 * 1024;

/// Parses one statement of `tokens` tokens, a `SELECT` or another query expression, within the limits that the caller keeps.
pub(crate) fn opinion(sql: &[u8], tokens: usize, rules: Rules, findings: &Findings) -> Opinion {
    let dialect = ServerDialect::new(rules.sql_mode, budget(tokens));
    let statements = match parse(sql, &dialect) {
        _ if dialect.is_spent() => return Opinion::TooCostly,
        Ok(statements) => statements,
        Err(_) => return Opinion::NotParsed,
    };
    match statements.as_slice() {
        [statement @ Statement::Query(_)] => match statement.visit(&mut Judge { rules, findings }) {
            ControlFlow::Continue(()) => Opinion::Read,
            ControlFlow::Break(()) => Opinion::More,
        },
        [] => Opinion::NotParsed,
        _ => Opinion::More,
    }
}

fn parse(sql: &[u8], dialect: &ServerDialect) -> Result<Vec<Statement>, ParserError> {
    // For the whole process, but only this crate uses sqlparser.
    recursive::set_minimum_stack_size(STACK_AHEAD);
    let text = readable(sql);
    Parser::new(dialect).with_recursion_limit(DEPTH).try_with_sql(&text).and_then(|mut parser| parser.parse_statements())
}

/// What the parser does for `sql` as one statement, whatever it is. For tests: the work on hostile texts is the same on every machine.
pub fn parsing_work(sql: &[u8], context: &Context<'_>) -> Work {
    let mut lexer = Lexer::new(sql, Rules::from(context)).transparent();
    let tokens = std::iter::from_fn(|| Some(lexer.next().kind).filter(|kind| *kind != Kind::End)).count();
    let dialect = ServerDialect::new(context.sql_mode, budget(tokens));
    let _ = parse(sql, &dialect);
    Work { steps: dialect.steps(), budget: budget(tokens) }
}

/// Replaces every byte from 0x80 up by a letter: these bytes do not matter for the verdict, and the text need not be UTF-8.
fn readable(sql: &[u8]) -> Cow<'_, str> {
    if sql.is_ascii() {
        return String::from_utf8_lossy(sql);
    }
    sql.iter().map(|&b| if b.is_ascii() { char::from(b) } else { 'é' }).collect::<String>().into()
}

/// Breaks at the first thing that is more than a read.
struct Judge<'n> {
    rules: Rules,
    /// What the lexer has found. The catalogue judges the calls that both have seen.
    findings: &'n Findings,
}

const READ: ControlFlow<()> = ControlFlow::Continue(());

fn only_if(is_read: bool) -> ControlFlow<()> {
    if is_read { READ } else { ControlFlow::Break(()) }
}

impl Visitor for Judge<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let is_plain = query.locks.is_empty()
            && query.for_clause.is_none()
            && query.settings.is_none()
            && query.format_clause.is_none()
            && query.pipe_operators.is_empty();
        only_if(is_plain && is_query_body(&query.body))
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        only_if(select.into.is_none() && select.lateral_views.is_empty() && select.flavor == SelectFlavor::Standard)
    }

    fn pre_visit_statement(&mut self, statement: &Statement) -> ControlFlow<()> {
        only_if(matches!(statement, Statement::Query(_)))
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        only_if(may_read(relation))
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        only_if(match factor {
            TableFactor::Table { args, .. } => args.is_none(),
            TableFactor::Derived { .. } | TableFactor::JsonTable { .. } | TableFactor::NestedJoin { .. } => true,
            _ => false,
        })
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        only_if(match expr {
            Expr::Function(function) => self.is_native(&function.name) || self.is_listed(&function.name),
            Expr::Identifier(name) => is_column(name),
            Expr::CompoundIdentifier(names) => names.iter().all(is_column),
            Expr::BinaryOp { op, .. } => *op != BinaryOperator::Assignment,
            _ => true,
        })
    }
}

impl Judge<'_> {
    fn is_native(&self, name: &ObjectName) -> bool {
        let [ObjectNamePart::Identifier(Ident { value, quote_style: None, .. })] = name.0.as_slice() else { return false };
        // `ROW(1, 2)`, `BINARY (a)` and MySQL's `GROUP BY ROLLUP (a)` arrive as calls; the scan has looked at their places.
        ["row", "binary", "rollup"].iter().any(|word| value.eq_ignore_ascii_case(word))
            || functions::constructor_arguments(value.as_bytes(), self.rules.dialect).is_some()
            || functions::call(value.as_bytes(), false, self.rules.dialect, self.rules.sql_mode) == Call::Computes
    }

    fn is_listed(&self, name: &ObjectName) -> bool {
        let Some(ObjectNamePart::Identifier(Ident { value, .. })) = name.0.last() else { return false };
        self.findings.has_call(value.as_bytes())
    }
}

/// Only reads in every arm. The arms lean to the left, so the walk follows the left side and keeps the right sides for later.
fn is_query_body(body: &SetExpr) -> bool {
    let mut open = vec![body];
    while let Some(expr) = open.pop() {
        match expr {
            SetExpr::SetOperation { left, right, .. } => open.extend([right.as_ref(), left.as_ref()]),
            SetExpr::Select(_) | SetExpr::Query(_) | SetExpr::Values(_) | SetExpr::Table(_) => {}
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => return false,
        }
    }
    true
}

/// System variables arrive as names that begin with `@@`; the lexer has judged which of them may be read.
fn is_column(name: &Ident) -> bool {
    name.quote_style.is_some() || !name.value.starts_with('@') || name.value.starts_with("@@")
}

fn may_read(relation: &ObjectName) -> bool {
    match relation.0.as_slice() {
        [ObjectNamePart::Identifier(_)] => true,
        [ObjectNamePart::Identifier(schema), ObjectNamePart::Identifier(table)] => {
            SchemaClass::of_name(schema.value.as_bytes()).may_read(table.value.as_bytes())
        }
        _ => false,
    }
}
