//! MySQL's dialect of sqlparser, with the session's `sql_mode` and without a trap.
//!
//! sqlparser's own `MySqlDialect` parses joins by recursion without a guard: 400 `JOIN`s (2.8 KB) overflow a thread's stack and abort the
//! process. Taking joins as left-associative, which is also what the servers do, removes it. Everything else is handed on.

use std::any::TypeId;

use sqlparser::ast::{Expr, Statement};
use sqlparser::dialect::{Dialect, MySqlDialect};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};

use crate::SqlMode;

#[derive(Debug, Clone, Copy)]
pub(super) struct ServerDialect {
    pub(super) sql_mode: SqlMode,
}

const MYSQL: MySqlDialect = MySqlDialect {};

macro_rules! hand_on {
    ($($name:ident),* $(,)?) => {
        $(fn $name(&self) -> bool { MYSQL.$name() })*
    };
}

impl Dialect for ServerDialect {
    /// The parser asks "is this MySQL?" in many places.
    fn dialect(&self) -> TypeId {
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

    fn is_identifier_start(&self, ch: char) -> bool {
        MYSQL.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        MYSQL.is_identifier_part(ch)
    }

    fn identifier_quote_style(&self, identifier: &str) -> Option<char> {
        MYSQL.identifier_quote_style(identifier)
    }

    fn parse_infix(&self, parser: &mut Parser<'_>, expr: &Expr, precedence: u8) -> Option<Result<Expr, ParserError>> {
        MYSQL.parse_infix(parser, expr, precedence)
    }

    fn parse_statement(&self, parser: &mut Parser<'_>) -> Option<Result<Statement, ParserError>> {
        MYSQL.parse_statement(parser)
    }

    fn is_table_factor_alias(&self, explicit: bool, kw: &Keyword, parser: &mut Parser<'_>) -> bool {
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
        supports_select_modifiers,
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
