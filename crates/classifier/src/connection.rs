//! Statements about the number of a connection: `KILL`, and the one with which a client asks for its own number.
//!
//! A proxy has to answer for these itself, as its clients' numbers are not those of its server connections. Only texts that can mean
//! nothing else are recognised; everything else is left to the server.
//!
//! Sources: MySQL manual 15.7.8.4 "KILL Statement", 11.2 (names of columns); MariaDB "KILL [CONNECTION | QUERY]". The grammars and the names
//! were tried on MySQL 9.7.4 and MariaDB 10.11.18.

use crate::keyword::is_reserved;
use crate::lexer::{Kind, Lexer, Rules, Token};
use crate::scan::unquoted;
use crate::{Charset, Context, Dialect, SqlMode};

/// A `KILL` statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kill {
    /// Whether a connection or only its statement ends.
    pub scope: KillScope,
    /// MariaDB's `SOFT`: does not interrupt a statement that could leave a table half changed.
    pub is_soft: bool,
    /// Whose connection or statement ends.
    pub target: KillTarget,
}

/// What a `KILL` ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KillScope {
    /// The connection, and what it is doing.
    Connection,
    /// What it is doing now.
    Query,
    /// MariaDB's `QUERY ID`: the statement of this number, whichever connection runs it.
    QueryId,
}

/// Whose connection it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KillTarget {
    /// The connection with this number; with [`KillScope::QueryId`], the statement with this number.
    Number(u64),
    /// `CONNECTION_ID()`: the one that sends the statement.
    Own,
    /// An expression, a user's name, or nothing that a server would accept.
    Other,
}

/// The `KILL` that `sql` is, if it is exactly one `KILL` statement.
pub fn kill(sql: &[u8], context: &Context<'_>) -> Option<Kill> {
    let mut lexer = Lexer::new(sql, Rules::from(context)).transparent();
    if !lexer.next().is_word("kill") {
        return None;
    }
    let mut kill = Kill { scope: KillScope::Connection, is_soft: false, target: KillTarget::Other };
    if context.dialect == Dialect::MariaDb && lexer.peek().is_any(&["hard", "soft"]) {
        kill.is_soft = lexer.next().is_word("soft");
    }
    if lexer.peek().is_any(&["connection", "query"]) && !is_call(lexer) {
        let is_query = lexer.next().is_word("query");
        let has_id = is_query && context.dialect == Dialect::MariaDb && lexer.peek().is_word("id");
        kill.scope = match (is_query, has_id) {
            (false, _) => KillScope::Connection,
            (true, false) => KillScope::Query,
            (true, true) => KillScope::QueryId,
        };
        if has_id {
            lexer.next();
        }
    }
    let target = take_target(&mut lexer);
    let is_whole = skip_end(&mut lexer)?;
    let is_certain = is_whole && lexer.take_executable() == crate::lexer::Executable::None && is_certain(sql, context);
    if is_certain {
        kill.target = target;
    }
    Some(kill)
}

/// `name(`: an expression, whatever the name is.
fn is_call(mut lexer: Lexer<'_>) -> bool {
    lexer.next();
    lexer.next().is_symbol("(")
}

fn take_target(lexer: &mut Lexer<'_>) -> KillTarget {
    let first = lexer.peek();
    if first.kind == Kind::Literal {
        lexer.next();
        // `parse` takes a sign, which is not in the token of a number.
        let digits = std::str::from_utf8(first.text).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
        return digits.and_then(|digits| digits.parse().ok()).map_or(KillTarget::Other, KillTarget::Number);
    }
    if take_call(lexer, "connection_id").is_some() { KillTarget::Own } else { KillTarget::Other }
}

/// Whether nothing but an optional `;` follows. `None` if another statement does. Skips this one.
fn skip_end(lexer: &mut Lexer<'_>) -> Option<bool> {
    let mut is_whole = true;
    loop {
        match lexer.next().kind {
            Kind::End => return Some(is_whole),
            Kind::Semicolon => break,
            _ => is_whole = false,
        }
    }
    loop {
        match lexer.next().kind {
            Kind::End => return Some(is_whole),
            Kind::Semicolon => {}
            _ => return None,
        }
    }
}

/// The name that a server would give to the only column of `sql`, if that is `SELECT CONNECTION_ID()` with nothing but an alias or `LIMIT 1`:
/// the alias, or the text of the expression as it is written, comments inside included.
///
/// The servers define the column as an unsigned `BIGINT` of length 21 (MySQL) and an unsigned `INT` of length 10 (MariaDB), both `NOT
/// NULL` and binary. Worth a look only where the verdict's reason is [`crate::Reason::PrimarySessionFunction`].
pub fn asked_connection_id<'a>(sql: &'a [u8], context: &Context<'_>) -> Option<&'a [u8]> {
    asked(sql, context, "connection_id")
}

/// What the last statement has counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// `ROW_COUNT()`
    Changed,
    /// `FOUND_ROWS()`
    Found,
}

/// The same for `SELECT ROW_COUNT()` and `SELECT FOUND_ROWS()`.
///
/// Both servers define the column as a signed `BIGINT` of length 21, `NOT NULL` and binary. Worth a look only where the verdict's reason is
/// [`crate::Reason::PreviousStatement`].
pub fn asked_count<'a>(sql: &'a [u8], context: &Context<'_>) -> Option<(Count, &'a [u8])> {
    let changed = || asked(sql, context, "row_count").map(|name| (Count::Changed, name));
    changed().or_else(|| asked(sql, context, "found_rows").map(|name| (Count::Found, name)))
}

/// The name of the only column of `SELECT function()`.
fn asked<'a>(sql: &'a [u8], context: &Context<'_>, function: &str) -> Option<&'a [u8]> {
    let mut lexer = Lexer::new(sql, Rules::from(context));
    if !lexer.next().is_word("select") {
        return None;
    }
    let expression = take_call(&mut lexer, function)?;
    let name = if has_alias(&mut lexer) { plain_name(lexer.next())? } else { expression };
    if lexer.peek().is_word("limit") {
        lexer.next();
        let count = lexer.next();
        if count.kind != Kind::Literal || count.text != b"1" {
            return None;
        }
    }
    let is_whole = skip_end(&mut lexer)?;
    (is_whole && name.len() <= LONGEST_NAME && is_certain(sql, context)).then_some(name)
}

/// The servers shorten or refuse longer names, in bytes.
const LONGEST_NAME: usize = 64;

/// Takes `function()`. Its text.
fn take_call<'a>(lexer: &mut Lexer<'a>, function: &str) -> Option<&'a [u8]> {
    let name = lexer.next();
    let is_call = name.is_word(function) && lexer.next().is_symbol("(") && lexer.next().is_symbol(")");
    is_call.then(|| lexer.sql().get(name.start..lexer.position())).flatten()
}

/// Whether an alias is next. Takes an `AS` before it.
fn has_alias(lexer: &mut Lexer<'_>) -> bool {
    let next = lexer.peek();
    if next.is_word("as") {
        lexer.next();
        return true;
    }
    !next.is_end() && !next.is_word("limit")
}

/// The alias that the token is, without quotes, if the server will return it exactly as it is written.
fn plain_name(token: Token<'_>) -> Option<&[u8]> {
    let name = match (token.kind, token.text) {
        (Kind::Word, word) if !is_reserved(word) => word,
        (Kind::Quoted, quoted) => unquoted(quoted),
        (Kind::Literal, [b'\'', inner @ .., b'\''] | [b'"', inner @ .., b'"']) => inner,
        _ => return None,
    };
    let is_plain = |b: &u8| matches!(b, b' '..=b'~') && !matches!(b, b'\'' | b'"' | b'`' | b'\\');
    // The servers remove leading blanks.
    (name.iter().all(is_plain) && name.first() != Some(&b' ')).then_some(name)
}

/// Whether the bytes mean what they seem to mean.
fn is_certain(sql: &[u8], context: &Context<'_>) -> bool {
    sql.is_ascii() && context.charset != Charset::Unknown && !context.sql_mode.contains(SqlMode::UNKNOWN)
}

#[cfg(test)]
mod tests;
