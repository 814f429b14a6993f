//! The value of one assignment.

use crate::findings::Findings;
use crate::functions::{self, Call};
use crate::lexer::{Kind, Lexer, Token};
use crate::scan::{take_system_variable, unquoted};
use crate::variables::{self, VariableClass};
use crate::{Effects, Pin, Reason};

/// What stands after `=`.
#[derive(Debug)]
pub(super) struct Value<'a> {
    /// A number, a string, a keyword or a name: the same on every server.
    pub(super) is_literal: bool,
    /// The literal without quotes; none where it has escapes or is `DEFAULT`.
    pub(super) text: Option<&'a [u8]>,
    /// Offset of its end.
    pub(super) end: usize,
    /// Whether a comma and another assignment follow.
    pub(super) has_more: bool,
}

impl Value<'_> {
    pub(super) fn as_bool(&self) -> Option<bool> {
        let text = self.text?;
        let is = |words: [&str; 3]| words.iter().any(|word| text.eq_ignore_ascii_case(word.as_bytes()));
        if is(["1", "on", "true"]) {
            Some(true)
        } else if is(["0", "off", "false"]) {
            Some(false)
        } else {
            None
        }
    }
}

/// Takes `= value` and the separator after it. Locks and variables inside the value are noted.
pub(super) fn take<'a>(lexer: &mut Lexer<'a>, findings: &mut Findings) -> Value<'a> {
    // Component names before the sign: `cache1.key_buffer_size = ..`.
    let mut token = lexer.next();
    while token.is_symbol(".") || token.is_name() {
        token = lexer.next();
    }
    let mut is_literal = token.is_symbol("=") || token.is_symbol(":=");
    let mut value = Value { is_literal: false, text: None, end: token.end(), has_more: false };
    if token.is_end() {
        return value;
    }
    let mut depth = 0_usize;
    let mut count = 0_usize;
    let mut last: Option<Token<'a>> = None;
    loop {
        let token = lexer.next();
        if token.is_end() || (depth == 0 && token.is_symbol(",")) {
            value.has_more = token.is_symbol(",");
            break;
        }
        value.end = token.end();
        match token.text {
            b"(" if token.kind == Kind::Symbol => {
                depth += 1;
                call(last, *lexer, findings);
            }
            b")" if token.kind == Kind::Symbol => depth = depth.saturating_sub(1),
            _ => {}
        }
        let is_sign = count == 0 && (token.is_symbol("-") || token.is_symbol("+"));
        is_literal &= is_sign || is_literal_token(token, last);
        if !is_sign {
            count += 1;
        }
        value.text = (count == 1 && !is_sign).then(|| inner(token));
        memory(token, *lexer, findings);
        if token.kind == Kind::UserVariable && lexer.peek().is_symbol(":=") {
            findings.note(Effects::CHANGE_SESSION, Reason::AssignsUserVariable);
            findings.pin(Pin::UserVariable(crate::scan::user_variable_name(token.text)));
        }
        last = Some(token);
    }
    value.is_literal = is_literal && count > 0;
    value.text = value.text.filter(|text| value.is_literal && !text.iter().any(|b| matches!(b, b'\\' | b'\'' | b'"')));
    value.text = value.text.filter(|text| !text.eq_ignore_ascii_case(b"default"));
    value
}

/// What a variable in a value asks of the connection's memory; `after` is the lexer after its token.
fn memory(token: Token<'_>, mut after: Lexer<'_>, findings: &mut Findings) {
    if token.kind == Kind::UserVariable {
        findings.effects |= Effects::USER_VARIABLES;
    }
    if token.kind != Kind::SystemVariable {
        return;
    }
    let (scope, Some(name)) = take_system_variable(&mut after) else { return };
    match variables::class_of(unquoted(name.text), scope) {
        VariableClass::InsertId => findings.effects |= Effects::INSERT_ID,
        VariableClass::PreviousStatement => findings.effects |= Effects::PREVIOUS_STATEMENT,
        _ => {}
    }
}

/// One number, name or string. Adjacent strings are one.
fn is_literal_token(token: Token<'_>, last: Option<Token<'_>>) -> bool {
    match last {
        None => matches!(token.kind, Kind::Literal | Kind::Word | Kind::Quoted),
        Some(last) if last.is_symbol("-") || last.is_symbol("+") => token.kind == Kind::Literal,
        Some(last) => last.kind == Kind::Literal && token.kind == Kind::Literal,
    }
}

/// A call inside a value: named locks are noted, and what is not native may do anything.
fn call(name: Option<Token<'_>>, mut arguments: Lexer<'_>, findings: &mut Findings) {
    let Some(name) = name.filter(Token::is_name) else { return };
    let rules = arguments.rules();
    match functions::call(name.text, false, rules.dialect, rules.sql_mode) {
        Call::TakesLock => {
            let first = arguments.next();
            let lock = if first.kind == Kind::Literal { inner(first) } else { b"" };
            findings.note(Effects::LOCK, Reason::LockFunction);
            findings.pin(Pin::NamedLock(crate::findings::name_of(&lock.to_ascii_lowercase())));
        }
        Call::Does(effects, because) => findings.note(effects, because),
        Call::InsertId => findings.note(functions::insert_id(arguments.peek()), Reason::PrimarySessionFunction),
        Call::Stored => findings.note(Effects::UNKNOWN | Effects::SESSION_UNSEEN, Reason::UnknownFunction),
        Call::Computes | Call::ReleasesLock | Call::ReleasesAllLocks => {}
    }
}

/// Longer literals are not repeated.
const PLAIN_MAX: usize = 256;

/// A number, `NULL`, a truth value, or a string of printable ASCII without anything that `sql_mode` or a character set could give another meaning: it
/// is the same wherever and whenever it is assigned.
pub(super) fn is_plain(literal: &[u8]) -> bool {
    let is_word = [b"null".as_slice(), b"true", b"false"].iter().any(|word| literal.eq_ignore_ascii_case(word));
    let number = literal.strip_prefix(b"-").or(literal.strip_prefix(b"+")).unwrap_or(literal);
    let is_number = number.iter().any(u8::is_ascii_digit) && number.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.');
    let is_string = match literal {
        [b'\'', inner @ .., b'\''] => inner.iter().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'\'' | b'\\')),
        _ => false,
    };
    literal.len() <= PLAIN_MAX && (is_word || is_number || is_string)
}

/// Without quotes.
pub(super) fn inner(token: Token<'_>) -> &[u8] {
    match token.text {
        [quote @ (b'\'' | b'"' | b'`'), inner @ .., last] if quote == last => inner,
        text => text,
    }
}
