//! Values of `sql_mode` that build on the old one: `CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')`, as Rails and others write them.
//!
//! Only forms that add known modes, or remove modes that do not matter for the grammar. Repeated in order on a connection that begins with the same
//! mode, they lead to the same mode: adding and removing are idempotent.

use crate::SqlMode;
use crate::lexer::{Kind, Lexer, Token};
use crate::scan::{take_system_variable, unquoted};
use crate::sql_mode::is_removable;
use crate::variables::Scope;

/// Nested calls and parentheses that are followed.
const DEPTH_MAX: usize = 8;

/// No application sets a longer list of modes, in bytes.
const TEXT_MAX: usize = 1024;

/// A piece of the new value: text, or the old mode with text around it.
#[derive(Debug, Default)]
struct Piece {
    before: Vec<u8>,
    has_old: bool,
    after: Vec<u8>,
}

/// After the name of the variable: the mode after `= value`, where the value is the old mode with something added or removed.
pub(super) fn mode(mut lexer: Lexer<'_>) -> Option<SqlMode> {
    let old = lexer.rules().sql_mode;
    let sign = lexer.next();
    if !sign.is_symbol("=") && !sign.is_symbol(":=") {
        return None;
    }
    let piece = value(&mut lexer, DEPTH_MAX)?;
    let end = lexer.next();
    let is_whole = end.is_end() || end.is_symbol(",");
    let is_joined =
        (piece.before.is_empty() || piece.before.ends_with(b",")) && (piece.after.is_empty() || piece.after.starts_with(b","));
    let is_known = is_whole && piece.has_old && is_joined;
    is_known.then(|| old | SqlMode::parse(&piece.before) | SqlMode::parse(&piece.after))
}

/// A string, the old mode, a call, or one of these in parentheses, also as `(SELECT value)`.
fn value(lexer: &mut Lexer<'_>, depth: usize) -> Option<Piece> {
    let depth = depth.checked_sub(1)?;
    let token = lexer.next();
    match token.kind {
        Kind::Literal => Some(Piece { before: text(token)?.to_vec(), ..Piece::default() }),
        Kind::SystemVariable => is_old_mode(lexer).then(|| Piece { has_old: true, ..Piece::default() }),
        Kind::Symbol if token.is_symbol("(") => {
            if lexer.peek().is_word("select") {
                lexer.next();
            }
            let piece = value(lexer, depth)?;
            lexer.next().is_symbol(")").then_some(piece)
        }
        Kind::Word if lexer.next().is_symbol("(") => call(token, lexer, depth),
        _ => None,
    }
}

fn call(name: Token<'_>, lexer: &mut Lexer<'_>, depth: usize) -> Option<Piece> {
    if name.is_word("concat") {
        concatenated(lexer, b"", depth)
    } else if name.is_word("concat_ws") {
        let separator = text(lexer.next())?;
        lexer.next().is_symbol(",").then(|| concatenated(lexer, separator, depth))?
    } else if name.is_word("replace") {
        replaced(lexer, depth)
    } else {
        None
    }
}

/// After `CONCAT(`, up to its `)`.
fn concatenated(lexer: &mut Lexer<'_>, separator: &[u8], depth: usize) -> Option<Piece> {
    let mut all = value(lexer, depth)?;
    loop {
        let token = lexer.next();
        if token.is_symbol(")") {
            return Some(all);
        }
        if !token.is_symbol(",") {
            return None;
        }
        all = join(join_text(all, separator)?, value(lexer, depth)?)?;
    }
}

fn join(mut left: Piece, right: Piece) -> Option<Piece> {
    if left.has_old {
        let is_text = !right.has_old;
        return is_text.then(|| join_text(left, &right.before))?;
    }
    left.before.extend(right.before);
    (left.before.len() <= TEXT_MAX).then_some(Piece { before: left.before, ..right })
}

fn join_text(mut left: Piece, text: &[u8]) -> Option<Piece> {
    let end = if left.has_old { &mut left.after } else { &mut left.before };
    end.extend(text);
    (end.len() <= TEXT_MAX).then_some(left)
}

/// After `REPLACE(`: `value, 'MODE', '')`. Removing a mode that does not matter for the grammar changes nothing here.
fn replaced(lexer: &mut Lexer<'_>, depth: usize) -> Option<Piece> {
    let piece = value(lexer, depth)?;
    let is_comma = lexer.next().is_symbol(",");
    let from = text(lexer.next())?;
    let is_second_comma = lexer.next().is_symbol(",");
    let to = text(lexer.next())?;
    let is_end = lexer.next().is_symbol(")");
    let inner = from.strip_prefix(b",").unwrap_or(from);
    let inner = inner.strip_suffix(b",").unwrap_or(inner);
    // Without both commas, the modes on both sides would become one word.
    let is_glued = from.len() == inner.len() + 2 && to.is_empty();
    let is_known = is_removable(inner) && matches!(to, b"" | b",") && !is_glued;
    (is_comma && is_second_comma && is_end && is_known).then_some(piece)
}

/// After `@@`: the session's own mode.
fn is_old_mode(lexer: &mut Lexer<'_>) -> bool {
    let (scope, name) = take_system_variable(lexer);
    scope != Scope::Global && name.is_some_and(|name| unquoted(name.text).eq_ignore_ascii_case(b"sql_mode"))
}

/// A string in single quotes without escapes: the same in every mode.
fn text(token: Token<'_>) -> Option<&[u8]> {
    let [b'\'', inner @ .., b'\''] = token.text else { return None };
    let is_plain = token.kind == Kind::Literal && inner.len() <= TEXT_MAX && !inner.iter().any(|b| matches!(b, b'\'' | b'\\'));
    is_plain.then_some(inner)
}
