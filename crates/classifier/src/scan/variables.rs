//! `@user` and `@@system` variables in a read.

use super::{Scanner, unquoted};
use crate::lexer::Token;
use crate::notes::{SESSION_EFFECTS_MAX, name_of};
use crate::variables::{self, Reading, Scope};
use crate::{Because, Effects, Pin};

impl<'a> Scanner<'a, '_> {
    pub(super) fn user_variable(&mut self, token: Token<'a>) {
        let name = user_variable_name(token.text);
        if self.lexer.peek().is_symbol(":=") {
            let effects = Effects::CHANGE_SESSION | Effects::PRIMARY_SESSION | Effects::USER_VARIABLES;
            self.notes.note(effects, Because::AssignsUserVariable);
            self.notes.pin(Pin::UserVariable(name));
        } else {
            self.notes.note(Effects::PRIMARY_SESSION | Effects::USER_VARIABLES, Because::ReadsUserVariable);
            if self.variables.len() <= SESSION_EFFECTS_MAX {
                self.variables.push(name);
            }
        }
    }

    /// At `@@`: the rest of the name is read here.
    pub(super) fn system_variable(&mut self) {
        self.links += 1;
        let (scope, name) = take_system_variable(self.lexer);
        let reading = match name {
            Some(name) => variables::reading(unquoted(name.text), scope),
            None => Reading::Unknown,
        };
        match reading {
            Reading::SameEverywhere => {}
            Reading::InsertId => self.notes.note(Effects::PRIMARY_SESSION | Effects::INSERT_ID, Because::ServerVariable),
            Reading::PrimarySession => self.notes.note(Effects::PRIMARY_SESSION, Because::ServerVariable),
            Reading::PreviousStatement => self.notes.note(Effects::PREVIOUS_STATEMENT, Because::PreviousStatement),
            Reading::Unknown => self.notes.note(Effects::THIS_SERVER, Because::ServerVariable),
        }
    }
}

/// Behind `@@`: the scope and the name; no name where it has further components.
pub(crate) fn take_system_variable<'a>(lexer: &mut crate::lexer::Lexer<'a>) -> (Scope, Option<Token<'a>>) {
    let first = lexer.next();
    if !first.is_name() {
        return (Scope::Unscoped, None);
    }
    let Some(second) = take_component(lexer) else { return (Scope::Unscoped, Some(first)) };
    let scope = Scope::of_word(first.text);
    let has_more = take_component(lexer).is_some();
    match scope {
        Some(scope) if !has_more => (scope, Some(second)),
        _ => (Scope::Unscoped, None),
    }
}

fn take_component<'a>(lexer: &mut crate::lexer::Lexer<'a>) -> Option<Token<'a>> {
    if !lexer.peek().is_symbol(".") {
        return None;
    }
    lexer.next();
    Some(lexer.next())
}

/// Lower case, without `@` and quotes: names of user variables do not depend on case (MySQL manual 11.4).
pub(crate) fn user_variable_name(text: &[u8]) -> Box<str> {
    let name = text.get(1..).unwrap_or_default();
    let name = match name {
        [quote @ (b'`' | b'"' | b'\''), inner @ .., last] if quote == last => inner,
        _ => name,
    };
    name_of(&name.to_ascii_lowercase())
}
