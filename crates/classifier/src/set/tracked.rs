//! Values of `session_track_system_variables`, which MariaDB Connector/J 3 sets in every session:
//! `CONCAT(@@global.session_track_system_variables,',transaction_isolation')`.
//!
//! Only values that do not depend on the session's old one, because MySQL refuses a name that the list has already (error 3026). They must not ask for
//! `last_gtid`: a client that does gets it from the one connection that it is pinned to (`session::Binding::tracks_gtids`).

use crate::lexer::{Kind, Lexer, Token};
use crate::scan::{take_system_variable, unquoted};
use crate::variables::Scope;

/// The variable.
pub(super) const NAME: &str = "session_track_system_variables";

/// After the name of the variable: whether the assignment means the same on every server.
pub(super) fn is_repeatable(mut lexer: Lexer<'_>) -> bool {
    let sign = lexer.next();
    let is_known = (sign.is_symbol("=") || sign.is_symbol(":=")) && value(&mut lexer);
    let end = lexer.next();
    is_known && (end.is_end() || end.is_symbol(","))
}

fn value(lexer: &mut Lexer<'_>) -> bool {
    let token = lexer.next();
    if !token.is_word("concat") {
        return is_list(token);
    }
    let is_open = lexer.next().is_symbol("(");
    let is_global = lexer.next().kind == Kind::SystemVariable
        && matches!(take_system_variable(lexer), (Scope::Global, Some(name)) if unquoted(name.text).eq_ignore_ascii_case(NAME.as_bytes()));
    let is_more = lexer.next().is_symbol(",") && is_list(lexer.next());
    is_open && is_global && is_more && lexer.next().is_symbol(")")
}

/// Names of variables in single quotes, without one that has to be hidden or shown.
fn is_list(token: Token<'_>) -> bool {
    let [b'\'', inner @ .., b'\''] = token.text else { return false };
    let is_plain = inner.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b',' | b' '));
    let asks_for_gtid = inner.split(|byte| matches!(byte, b',' | b' ')).any(|name| name.eq_ignore_ascii_case(b"last_gtid"));
    token.kind == Kind::Literal && is_plain && !asks_for_gtid
}
