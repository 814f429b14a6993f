//! The text inside `PREPARE name FROM 'text'`, and MariaDB's `EXECUTE IMMEDIATE 'text'`: a statement that runs later, or at once.
//!
//! Sources: MySQL manual 15.5.1 "PREPARE Statement", 11.1.1 (escapes and concatenation of strings); MariaDB "EXECUTE IMMEDIATE".

use std::borrow::Cow;

use crate::lexer::{Executable, Kind, Lexer, Rules};
use crate::{Charset, Context, Dialect, SqlMode};

/// What a statement prepares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inner<'a> {
    /// It prepares nothing.
    None,
    /// This text.
    Text(Cow<'a, [u8]>),
    /// A text that only the server knows: the value of a variable or an expression, or a literal in a form that is not read here.
    Unknown,
}

/// The text that `sql` prepares. Only the first statement of a batch is looked at; a batch with a `PREPARE` after it is [`Inner::Unknown`].
pub fn inner_text<'a>(sql: &'a [u8], context: &Context<'_>) -> Inner<'a> {
    let rules = Rules::from(context);
    let mut lexer = Lexer::new(sql, rules).transparent();
    while lexer.peek().kind == Kind::Semicolon {
        lexer.next();
    }
    let first = lexer.next();
    if !first.is_any(&["prepare", "execute"]) {
        return if prepares_further_on(lexer) { Inner::Unknown } else { Inner::None };
    }
    let is_immediate = first.is_word("execute");
    if is_immediate && !(context.dialect == Dialect::MariaDb && lexer.next().is_word("immediate")) {
        return if prepares_further_on(lexer) { Inner::Unknown } else { Inner::None };
    }
    let is_at_text = is_immediate || (lexer.next().is_name() && lexer.next().is_word("from"));
    if !is_at_text {
        return Inner::Unknown;
    }
    let literal = lexer.next();
    let has_end =
        lexer.peek().kind == Kind::End || (is_immediate && lexer.peek().is_word("using") && !prepares_further_on(lexer));
    let is_certain = literal.kind == Kind::Literal
        && has_end
        && lexer.take_executable() == Executable::None
        && !rules.sql_mode.contains(SqlMode::UNKNOWN)
        && (rules.charset == Charset::AsciiSafe || (rules.charset == Charset::AsciiUnsafe && literal.text.is_ascii()));
    is_certain.then(|| decode(literal.text, rules.sql_mode)).flatten().map_or(Inner::Unknown, Inner::Text)
}

/// Whether another statement of the batch may prepare something.
fn prepares_further_on(mut lexer: Lexer<'_>) -> bool {
    let mut follows_semicolon = false;
    loop {
        let token = lexer.next();
        if token.kind == Kind::End {
            return false;
        }
        if follows_semicolon && token.is_any(&["prepare", "execute"]) {
            return true;
        }
        follows_semicolon = token.kind == Kind::Semicolon;
    }
}

/// The value of a string without a prefix: with doubled quotes reduced to one, and escapes resolved under the session's `sql_mode`.
fn decode(literal: &[u8], sql_mode: SqlMode) -> Option<Cow<'_, [u8]>> {
    let (quote, inner) = match literal {
        [quote @ (b'\'' | b'"'), inner @ .., last] if quote == last => (*quote, inner),
        _ => return None,
    };
    let has_escapes = !sql_mode.contains(SqlMode::NO_BACKSLASH_ESCAPES);
    if !inner.iter().any(|&b| b == quote || (has_escapes && b == b'\\')) {
        return Some(Cow::Borrowed(inner));
    }
    let mut text = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' if has_escapes => text.push(escaped(bytes.next()?)?),
            // The second one of a pair.
            _ if byte == quote => text.push(bytes.next()?),
            _ => text.push(byte),
        }
    }
    Some(Cow::Owned(text))
}

/// What `\` and this byte stand for. `\%` and `\_` keep the backslash, which a statement cannot have outside of its strings.
fn escaped(byte: u8) -> Option<u8> {
    Some(match byte {
        b'0' => 0,
        b'b' => 8,
        b't' => b'\t',
        b'n' => b'\n',
        b'r' => b'\r',
        b'Z' => 26,
        b'%' | b'_' => return None,
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inner(sql: &str, dialect: Dialect, sql_mode: SqlMode) -> Inner<'_> {
        inner_text(sql.as_bytes(), &Context { dialect, sql_mode, charset: Charset::AsciiSafe, schema: None })
    }

    fn text(text: &str) -> Inner<'_> {
        Inner::Text(Cow::Borrowed(text.as_bytes()))
    }

    #[test]
    fn a_literal_is_decoded_as_the_server_does() {
        for (sql, expected) in [
            ("PREPARE s FROM 'SELECT 1'", "SELECT 1"),
            ("prepare /* a */ `s` from\n\"SELECT 'a'\" -- b", "SELECT 'a'"),
            ("PREPARE s FROM 'SELECT ''a'''", "SELECT 'a'"),
            (r"PREPARE s FROM 'DROP\tTABLE\nt\'\\\x'", "DROP\tTABLE\nt'\\x"),
            ("; PREPARE s FROM ''", ""),
        ] {
            for dialect in [Dialect::MySql, Dialect::MariaDb] {
                assert_eq!(inner(sql, dialect, SqlMode::empty()), text(expected), "{sql}");
            }
        }
        let plain = SqlMode::NO_BACKSLASH_ESCAPES;
        assert_eq!(inner(r"PREPARE s FROM 'SELECT \n'", Dialect::MySql, plain), text(r"SELECT \n"));
        for sql in ["EXECUTE IMMEDIATE 'SELECT ?' USING 1", "EXECUTE IMMEDIATE 'SELECT ?'"] {
            assert_eq!(inner(sql, Dialect::MariaDb, SqlMode::empty()), text("SELECT ?"));
            assert_eq!(inner(sql, Dialect::MySql, SqlMode::empty()), Inner::None, "no statement of MySQL");
        }
    }

    #[test]
    fn what_only_the_server_knows_is_unknown() {
        for sql in [
            "PREPARE s FROM @a",
            "PREPARE s FROM 'SELECT ' '1'",
            "PREPARE s FROM CONCAT('a', 'b')",
            "PREPARE s FROM 'SELECT 1' + 1",
            "PREPARE s FROM N'SELECT 1'",
            "PREPARE s FROM X'41'",
            r"PREPARE s FROM 'SELECT \%'",
            "PREPARE s FROM 'SELECT 1'; SELECT 2",
            "PREPARE s FROM /*!99999 @a, */ 'SELECT 1'",
            "PREPARE s",
            "SELECT 1; PREPARE s FROM 'SELECT 1'",
            "EXECUTE s; PREPARE t FROM @a",
        ] {
            assert_eq!(inner(sql, Dialect::MySql, SqlMode::empty()), Inner::Unknown, "{sql}");
        }
        assert_eq!(inner("EXECUTE IMMEDIATE @a", Dialect::MariaDb, SqlMode::empty()), Inner::Unknown);
        assert_eq!(inner("PREPARE s FROM 'a'", Dialect::MySql, SqlMode::UNKNOWN), Inner::Unknown);
    }

    #[test]
    fn everything_else_prepares_nothing() {
        for sql in ["", "SELECT 1", "EXECUTE s", "SELECT 'PREPARE s FROM 1'; SELECT prepare", "DEALLOCATE PREPARE s"] {
            assert_eq!(inner(sql, Dialect::MySql, SqlMode::empty()), Inner::None, "{sql}");
        }
    }
}
