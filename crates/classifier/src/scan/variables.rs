//! `@user` and `@@system` variables in a read.

use super::{Scanner, unquoted};
use crate::findings::{SESSION_EFFECTS_MAX, name_of};
use crate::lexer::Token;
use crate::variables::{self, Scope, VariableClass};
use crate::{Effects, Pin, Reason};

impl<'a> Scanner<'a, '_> {
    pub(super) fn user_variable(&mut self, token: Token<'a>) {
        let name = user_variable_name(token.text);
        if self.lexer.peek().is_symbol(":=") {
            let effects = Effects::CHANGE_SESSION | Effects::PRIMARY_SESSION | Effects::USER_VARIABLES;
            self.findings.note(effects, Reason::AssignsUserVariable);
            self.findings.pin(Pin::UserVariable(name));
        } else {
            self.findings.note(Effects::PRIMARY_SESSION | Effects::USER_VARIABLES, Reason::ReadsUserVariable);
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
            Some(name) => variables::class_of(unquoted(name.text), scope),
            None => VariableClass::Unknown,
        };
        match reading {
            VariableClass::SameEverywhere => {}
            VariableClass::InsertId => self.findings.note(Effects::PRIMARY_SESSION | Effects::INSERT_ID, Reason::ServerVariable),
            VariableClass::PrimarySession => self.findings.note(Effects::PRIMARY_SESSION, Reason::ServerVariable),
            VariableClass::PreviousStatement => self.findings.note(Effects::PREVIOUS_STATEMENT, Reason::PreviousStatement),
            VariableClass::Unknown => self.findings.note(Effects::THIS_SERVER, Reason::ServerVariable),
        }
    }
}

/// After `@@`: the scope and the name; no name where it has further components.
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
