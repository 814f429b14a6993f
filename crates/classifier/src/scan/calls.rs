//! Parentheses: which function is called, if any?

use super::{Scanner, unquoted};
use crate::findings::name_of;
use crate::functions::{self, Call};
use crate::keyword::Keyword;
use crate::lexer::{Kind, Lexer, Token};
use crate::{Dialect, Effects, Pin, Reason, SessionEffect};

impl<'a> Scanner<'a, '_> {
    /// At `(`.
    pub(super) fn parenthesis(&mut self, token: Token<'a>) {
        let Some(name) = self.last else { return };
        let before = self.last_but_one;
        let follows_dot = before.is_some_and(|t| t.is_symbol("."));
        match name.kind {
            Kind::Word if !follows_dot && Keyword::of(name.text).calls_nothing() => {}
            Kind::Word if self.is_structure(name, before) => {}
            Kind::Word | Kind::Quoted if self.is_column_list(before) => {}
            Kind::Word if !follows_dot && name.is_word("json_table") && self.has_columns() => {}
            Kind::Word if !follows_dot && self.is_constructor(name) => {}
            // ODBC's `{oj (..`: what follows a brace is never a call.
            Kind::Word if before.is_some_and(|t| t.is_symbol("{")) => {}
            Kind::Word if !follows_dot => self.call(name, token.gap),
            Kind::Word | Kind::Quoted => self.findings.call(unquoted(name.text), follows_dot),
            _ => {}
        }
    }

    /// After `JSON_TABLE(`: `'path' COLUMNS (`, which no call of a stored function of that name (MariaDB allows it) can have.
    fn has_columns(&self) -> bool {
        const LOOKAHEAD: usize = 100;
        let mut ahead = *self.lexer;
        let mut was_literal = false;
        for _ in 0..LOOKAHEAD {
            let token = ahead.next();
            if token.is_word("columns") && was_literal {
                return ahead.next().is_symbol("(");
            }
            if token.is_end() {
                return false;
            }
            was_literal = token.kind == Kind::Literal;
        }
        false
    }

    /// `POINT(1, 2)` and its like in MariaDB, by the number of arguments.
    fn is_constructor(&self, name: Token<'_>) -> bool {
        let arguments = functions::constructor_arguments(name.text, self.rules.dialect);
        arguments.is_some_and(|expected| count_arguments(*self.lexer).is_some_and(|count| expected.contains(&count)))
    }

    /// A keyword of MySQL, or one of MariaDB in a place where no call can stand.
    fn is_structure(&self, name: Token<'_>, before: Option<Token<'_>>) -> bool {
        let follows_operand = before.is_some_and(|t| t.kind == Kind::Literal || t.is_symbol(")"));
        let is_mysql_keyword = self.rules.dialect == Dialect::MySql && !before.is_some_and(|t| t.is_symbol("."));
        (follows_operand || is_mysql_keyword) && Keyword::of(name.text).calls_nothing_after_operand()
    }

    /// `AS name (..`: a type or an alias with columns; `name (a, b) AS (`: a common table expression; `) name (a, b)`: a derived
    /// table. A call can stand in none of these places.
    fn is_column_list(&self, before: Option<Token<'_>>) -> bool {
        match before {
            Some(token) if token.is_word("as") => list_end(*self.lexer, is_name_or_number).is_some(),
            Some(token) if token.is_symbol(")") => list_end(*self.lexer, Token::is_name).is_some(),
            Some(token) if token.is_symbol(".") => false,
            _ => list_end(*self.lexer, Token::is_name)
                .is_some_and(|mut after| after.next().is_word("as") && after.next().is_symbol("(")),
        }
    }

    fn call(&mut self, name: Token<'a>, has_gap: bool) {
        match functions::call(name.text, has_gap, self.rules.dialect, self.rules.sql_mode) {
            Call::Computes => {}
            Call::Stored => self.findings.call(name.text, false),
            Call::Does(effects, because) => self.findings.note(effects, because),
            Call::InsertId => {
                let effects = functions::insert_id(self.lexer.peek());
                self.findings.note(effects, Reason::PrimarySessionFunction);
            }
            Call::TakesLock => {
                self.findings.note(Effects::LOCK, Reason::LockFunction);
                let lock = self.literal_argument().unwrap_or_default();
                self.findings.pin(Pin::NamedLock(lock));
            }
            Call::ReleasesLock => {
                self.findings.note(Effects::LOCK, Reason::LockFunction);
                if let Some(lock) = self.literal_argument().filter(|_| self.is_called_for_sure()) {
                    self.findings.push(SessionEffect::Unpin(Pin::NamedLock(lock)));
                }
            }
            Call::ReleasesAllLocks => {
                self.findings.note(Effects::LOCK, Reason::LockFunction);
                if self.is_called_for_sure() {
                    self.findings.push(SessionEffect::Unpin(Pin::NamedLock("".into())));
                }
            }
        }
    }

    /// The call is the first thing after `SELECT` or `DO`, and nothing follows it: no `IF` and no `FROM` can skip it.
    fn is_called_for_sure(&self) -> bool {
        // The scan of DO begins after its keyword.
        let is_first = match self.last_but_one {
            Some(before) => before.is_word("select") && self.links == 2,
            None => self.links == 1,
        };
        if !is_first {
            return false;
        }
        let mut ahead = *self.lexer;
        let mut depth = 1_usize;
        while depth > 0 {
            let token = ahead.next();
            match token.kind {
                Kind::Symbol if token.text == b"(" => depth += 1,
                Kind::Symbol if token.text == b")" => depth -= 1,
                Kind::End | Kind::Semicolon => return false,
                _ => {}
            }
        }
        ahead.next().is_end()
    }

    /// `'name'` as the first argument, as the server compares it: without regard to case.
    fn literal_argument(&self) -> Option<Box<str>> {
        let mut ahead = *self.lexer;
        let literal = ahead.next();
        let is_whole = ahead.next().text.first().is_some_and(|b| matches!(b, b',' | b')'));
        let ([b'\'', inner @ .., b'\''] | [b'"', inner @ .., b'"']) = literal.text else { return None };
        let is_plain = inner.is_ascii() && !inner.iter().any(|b| matches!(b, b'\'' | b'"' | b'\\'));
        (literal.kind == Kind::Literal && is_whole && is_plain).then(|| name_of(&inner.to_ascii_lowercase()))
    }
}

/// After `(`: the number of arguments up to its `)`. A count of three means three or more. `None` if the list is too long to see its end.
fn count_arguments(mut lexer: Lexer<'_>) -> Option<usize> {
    const LOOKAHEAD: usize = 200;
    const ENOUGH: usize = 3;
    if lexer.peek().is_symbol(")") {
        return Some(0);
    }
    let mut count = 1;
    let mut depth = 0_usize;
    for _ in 0..LOOKAHEAD {
        let token = lexer.next();
        match token.kind {
            Kind::Symbol if token.text == b"(" => depth += 1,
            Kind::Symbol if token.text == b")" && depth == 0 => return Some(count),
            Kind::Symbol if token.text == b")" => depth -= 1,
            Kind::Symbol if token.text == b"," && depth == 0 => count += 1,
            Kind::End | Kind::Semicolon => return None,
            _ => {}
        }
        if count == ENOUGH {
            return Some(count);
        }
    }
    None
}

/// What stands in the parentheses of an alias or of a type.
fn is_name_or_number(token: &Token<'_>) -> bool {
    token.is_name() || (token.kind == Kind::Literal && token.text.first().is_some_and(u8::is_ascii_digit))
}

/// After `(`: the position after `item, item )`.
fn list_end<'a>(mut lexer: Lexer<'a>, is_item: impl Fn(&Token<'a>) -> bool) -> Option<Lexer<'a>> {
    loop {
        if !is_item(&lexer.next()) {
            return None;
        }
        let separator = lexer.next();
        if separator.is_symbol(")") {
            return Some(lexer);
        }
        if !separator.is_symbol(",") {
            return None;
        }
    }
}
