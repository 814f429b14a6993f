//! MySQL's dialect of sqlparser, with the session's `sql_mode`, without the recursion in joins, and with a budget.
//!
//! The parser tries one reading and then another wherever it cannot tell them apart, and where such places are nested, its work doubles with
//! each level: 310 bytes of `SELECT NOT IN (SELECT NOT IN (..` kept it busy for 25 seconds. It has no limit for that, but it asks its dialect all
//! the time. So the dialect counts, and when the budget is spent, it fails whatever it is asked to parse. The error is the one for too deep
//! nesting, the only one after which the parser does not try the other reading.
//!
//! sqlparser's own `MySqlDialect` parses joins by recursion without a guard: 400 `JOIN`s (2.8 KB) overflow a thread's stack and abort the
//! process. Taking joins as left-associative, which is also what the servers do, removes it. Everything else is handed on.

use std::any::TypeId;
use std::cell::Cell;

use sqlparser::ast::{Expr, Statement};
use sqlparser::dialect::{Dialect, MySqlDialect};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

use crate::SqlMode;

#[derive(Debug)]
pub(super) struct ServerDialect {
    sql_mode: SqlMode,
    /// How often it was asked.
    steps: Cell<u64>,
    budget: u64,
}

const SELECT_STEPS: u64 = 12;

const MYSQL: MySqlDialect = MySqlDialect {};

macro_rules! hand_on {
    ($($name:ident),* $(,)?) => {
        $(fn $name(&self) -> bool { self.count(); MYSQL.$name() })*
    };
}

impl ServerDialect {
    pub(super) fn new(sql_mode: SqlMode, budget: u64) -> Self {
        Self { sql_mode, steps: Cell::new(0), budget }
    }

    pub(super) fn steps(&self) -> u64 {
        self.steps.get()
    }

    /// The budget is spent: the parser was stopped, or would be at its next question.
    pub(super) fn is_spent(&self) -> bool {
        self.steps.get() > self.budget
    }

    #[inline]
    fn count(&self) {
        self.spend(1);
    }

    #[inline]
    fn spend(&self, steps: u64) {
        self.steps.set(self.steps.get().saturating_add(steps));
    }

    /// The answer to a request to parse something, if the budget is spent.
    #[inline]
    fn stop<T>(&self) -> Option<Result<T, ParserError>> {
        self.count();
        self.is_spent().then_some(Err(ParserError::RecursionLimitExceeded))
    }
}

impl Dialect for ServerDialect {
    /// The parser asks "is this MySQL?" in many places.
    fn dialect(&self) -> TypeId {
        self.count();
        TypeId::of::<MySqlDialect>()
    }

    fn supports_left_associative_joins_without_parens(&self) -> bool {
        true
    }

    fn supports_string_literal_backslash_escape(&self) -> bool {
        !self.sql_mode.contains(SqlMode::NO_BACKSLASH_ESCAPES)
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        ch == '`' || (ch == '"' && self.sql_mode.contains(SqlMode::ANSI_QUOTES))
    }

    /// Asked once for each `SELECT`, which takes the parser longer than anything else.
    fn supports_select_modifiers(&self) -> bool {
        self.spend(SELECT_STEPS);
        MYSQL.supports_select_modifiers()
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        MYSQL.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        MYSQL.is_identifier_part(ch)
    }

    fn identifier_quote_style(&self, identifier: &str) -> Option<char> {
        MYSQL.identifier_quote_style(identifier)
    }

    fn parse_prefix(&self, parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
        self.stop().or_else(|| MYSQL.parse_prefix(parser))
    }

    fn get_next_precedence(&self, parser: &Parser<'_>) -> Option<Result<u8, ParserError>> {
        self.stop().or_else(|| MYSQL.get_next_precedence(parser))
    }

    fn parse_infix(&self, parser: &mut Parser<'_>, expr: &Expr, precedence: u8) -> Option<Result<Expr, ParserError>> {
        if matches!(&parser.peek_token_ref().token, Token::Word(word) if word.keyword == Keyword::DIV) {
            // Its left side is copied, which is at most as large as the text before it.
            self.spend(parser.get_current_index() as u64 / 2);
        }
        if let Some(stop) = self.stop() {
            return Some(stop);
        }
        MYSQL.parse_infix(parser, expr, precedence)
    }

    fn parse_statement(&self, parser: &mut Parser<'_>) -> Option<Result<Statement, ParserError>> {
        if let Some(stop) = self.stop() {
            return Some(stop);
        }
        MYSQL.parse_statement(parser)
    }

    fn is_column_alias(&self, kw: &Keyword, parser: &mut Parser<'_>) -> bool {
        self.count();
        MYSQL.is_column_alias(kw, parser)
    }

    fn is_table_factor_alias(&self, explicit: bool, kw: &Keyword, parser: &mut Parser<'_>) -> bool {
        self.count();
        MYSQL.is_table_factor_alias(explicit, kw, parser)
    }

    hand_on! {
        supports_string_literal_concatenation,
        ignores_wildcard_escapes,
        supports_numeric_prefix,
        supports_bitwise_shift_operators,
        supports_multiline_comment_hints,
        require_interval_qualifier,
        supports_limit_comma,
        supports_create_table_select,
        supports_insert_set,
        supports_user_host_grantee,
        supports_table_hints,
        requires_single_line_comment_whitespace,
        supports_match_against,
        supports_set_names,
        supports_comma_separated_set_assignments,
        supports_update_order_by,
        supports_data_type_signed_suffix,
        supports_cross_join_constraint,
        supports_double_ampersand_operator,
        supports_binary_kw_as_cast,
        supports_comment_optimizer_hint,
        supports_constraint_keyword_without_name,
        supports_key_column_option,
        supports_group_by_with_modifier,
    }
}
