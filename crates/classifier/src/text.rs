//! What else the text of a statement tells: a hint in the comment before it, and the names in it.

use crate::Context;
use crate::lexer::{Kind, Lexer, Rules};
use crate::scan::unquoted;

/// The text after `pointsman:` in a comment at the very start of a statement: `/* pointsman: primary */ SELECT ..`. Of several
/// comments there, the first one that has it.
pub fn hint_text(sql: &[u8]) -> Option<&[u8]> {
    let mut rest = sql.trim_ascii_start();
    while let Some(comment) = rest.strip_prefix(b"/*") {
        let end = memchr::memmem::find(comment, b"*/")?;
        let (inside, after) = (comment.get(..end)?, comment.get(end + 2..)?);
        if let Some(hint) = strip_prefix_ignoring_case(inside.trim_ascii_start(), b"pointsman:") {
            return Some(hint.trim_ascii());
        }
        rest = after.trim_ascii_start();
    }
    None
}

fn strip_prefix_ignoring_case<'a>(text: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// Whether the statement has this name in it, wherever a name can stand; with a schema, in that schema, which may be the default one.
///
/// A column or an alias of that name counts as well: mentions are over-reported, which is safe. Case of letters does not count.
pub fn mentions_table(sql: &[u8], context: &Context<'_>, schema: Option<&str>, table: &str) -> bool {
    let is = |text: &[u8], name: &str| unquoted(text).eq_ignore_ascii_case(name.as_bytes());
    let is_default = schema.is_none_or(|schema| context.schema.is_some_and(|own| own.eq_ignore_ascii_case(schema)));
    let mut lexer = Lexer::new(sql, Rules::from(context)).transparent();
    let mut qualifier: Option<&[u8]> = None;
    let mut last: Option<&[u8]> = None;
    loop {
        let token = lexer.next();
        match token.kind {
            Kind::End => return false,
            Kind::Word | Kind::Quoted => {
                let is_in_schema = match (qualifier.take(), schema) {
                    (Some(qualifier), Some(schema)) => is(qualifier, schema),
                    (Some(_), None) => true,
                    (None, _) => is_default,
                };
                if is_in_schema && is(token.text, table) {
                    return true;
                }
                last = Some(token.text);
            }
            Kind::Symbol if token.text == b"." => qualifier = last.take(),
            _ => {
                qualifier = None;
                last = None;
            }
        }
    }
}

/// The statement after `EXPLAIN ROUTE`, if it is one. No server knows this statement.
pub fn explained_route<'a>(sql: &'a [u8], context: &Context<'_>) -> Option<&'a [u8]> {
    let mut lexer = Lexer::new(sql, Rules::from(context));
    let is_one = lexer.next().is_any(&["explain", "describe", "desc"]) && lexer.next().is_word("route");
    // `DESCRIBE route` is about a table.
    let has_more = !lexer.peek().is_end() && !lexer.peek().is_symbol(".");
    (is_one && has_more).then(|| sql.get(lexer.position()..)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Charset, Dialect, SqlMode};

    const CONTEXT: Context<'static> =
        Context { dialect: Dialect::MySql, sql_mode: SqlMode::empty(), charset: Charset::AsciiSafe, schema: Some("shop") };

    #[test]
    fn a_hint_stands_in_a_comment_before_the_statement() {
        for (sql, hint) in [
            ("/* pointsman: primary */ SELECT 1", Some("primary")),
            ("\n/*Pointsman:max_lag=1s*/SELECT 1", Some("max_lag=1s")),
            ("/* app: x */ /* pointsman: replica */ SELECT 1", Some("replica")),
            ("SELECT /* pointsman: primary */ 1", None),
            ("SELECT '/* pointsman: primary */'", None),
            ("/* pointsman: primary", None),
            ("/* not pointsman: primary */ SELECT 1", None),
            ("/*", None),
            ("", None),
        ] {
            assert_eq!(hint_text(sql.as_bytes()), hint.map(str::as_bytes), "{sql}");
        }
    }

    #[test]
    fn a_table_is_mentioned_by_its_name() {
        let mentions = |sql: &str, schema, table| mentions_table(sql.as_bytes(), &CONTEXT, schema, table);
        for (sql, schema, table, expected) in [
            ("SELECT * FROM orders", None, "orders", true),
            ("SELECT * FROM a, `Orders` o", None, "orders", true),
            ("DELETE FROM shop.orders", Some("shop"), "orders", true),
            ("DELETE FROM orders", Some("shop"), "orders", true),
            ("DELETE FROM orders", Some("blog"), "orders", false),
            ("DELETE FROM blog . orders", Some("blog"), "orders", true),
            ("DELETE FROM blog.orders", Some("shop"), "orders", false),
            ("SELECT 'orders' FROM t /* orders */", None, "orders", false),
            ("SELECT 1 /*! FROM orders */", None, "orders", true),
            ("SELECT * FROM orders_2", None, "orders", false),
        ] {
            assert_eq!(mentions(sql, schema, table), expected, "{sql} {schema:?}");
        }
    }

    #[test]
    fn explain_route_is_two_words_and_a_statement() {
        for (sql, expected) in [
            ("EXPLAIN ROUTE SELECT 1", Some(" SELECT 1")),
            ("explain /* x */ route\nDELETE FROM t", Some("\nDELETE FROM t")),
            ("EXPLAIN ROUTE", None),
            ("DESCRIBE route", None),
            ("DESC route.x", None),
            ("EXPLAIN SELECT 1", None),
            ("EXPLAIN `ROUTE` SELECT 1", None),
        ] {
            assert_eq!(explained_route(sql.as_bytes(), &CONTEXT), expected.map(str::as_bytes), "{sql}");
        }
    }
}
