//! One statement of the text: which module knows its first word?

use crate::findings::Findings;
use crate::lexer::{Executable, Kind, Lexer, Rules, Token};
use crate::schema::SchemaClass;
use crate::set::{self, skip_statement};
use crate::{
    Charset, Context, Dialect, Effects, ParseLimits, Pin, Reason, SessionEffect, Verb, control, definition, read, scan, show,
    write,
};

/// What a statement is read with; the statements before it in the batch may change it.
pub(super) struct Surroundings<'a> {
    limits: &'a ParseLimits,
    schema: Option<String>,
}

impl<'a> Surroundings<'a> {
    pub(super) fn new(context: &Context<'_>, limits: &'a ParseLimits) -> Self {
        Self { limits, schema: context.schema.map(str::to_owned) }
    }

    fn schema_class(&self) -> SchemaClass {
        self.schema.as_deref().map_or(SchemaClass::User, |schema| SchemaClass::of_name(schema.as_bytes()))
    }

    /// After a statement with these effects.
    pub(super) fn follow(&mut self, effects: &[SessionEffect], lexer: &mut Lexer<'_>) {
        for effect in effects {
            let rules = lexer.rules();
            match effect {
                SessionEffect::Use(schema) => self.schema = Some(String::from_utf8_lossy(schema).into_owned()),
                SessionEffect::SqlMode(sql_mode) => lexer.set_rules(Rules { sql_mode: *sql_mode, ..rules }),
                SessionEffect::SetCharset { charset, .. } => lexer.set_rules(Rules { charset: *charset, ..rules }),
                _ => {}
            }
        }
    }
}

/// Classifies the next statement, and leaves the lexer after it.
pub(super) fn classify(lexer: &mut Lexer<'_>, surroundings: &Surroundings<'_>) -> (Verb, Findings) {
    let (verb, mut findings) = dispatch(lexer, surroundings, true);
    let executable = lexer.take_executable();
    let is_query = matches!(verb, Verb::Select | Verb::With | Verb::Values | Verb::Table);
    if executable == Executable::Code && is_query && findings.has_only_data() && !lexer.is_in_executable() {
        // `SELECT /*!40001 SQL_NO_CACHE */ ..`: it was read with the comment as a part of it.
        return (verb, findings);
    }
    if executable != Executable::None {
        findings.note(Effects::UNKNOWN, Reason::ExecutableComment);
        if findings.because == Some(Reason::SessionStatement) {
            findings.because = Some(Reason::ExecutableComment);
        }
    }
    if executable == Executable::Uncertain {
        findings.anything(Reason::ExecutableComment);
    }
    (verb, findings)
}

fn dispatch(lexer: &mut Lexer<'_>, surroundings: &Surroundings<'_>, may_nest: bool) -> (Verb, Findings) {
    let schema = surroundings.schema_class();
    let start = *lexer;
    let mut first = lexer.next();
    while first.is_symbol("(") {
        first = lexer.next();
    }
    if read::is_query_word(first) {
        *lexer = start.transparent();
        return (query_verb(first), read::query(lexer, schema, surroundings.limits));
    }
    if first.kind != Kind::Word || start.peek().is_symbol("(") {
        return (Verb::Other, unknown(first, lexer));
    }
    let verdict = control::classify(first, lexer)
        .or_else(|| definition::classify(first, lexer, surroundings.schema.as_deref()))
        .or_else(|| write::classify(first, lexer))
        .or_else(|| looks(first, lexer, surroundings));
    if let Some(verdict) = verdict {
        return verdict;
    }
    if first.is_word("set") {
        return if set::is_set_statement(*lexer) { set_statement(lexer, surroundings, may_nest) } else { set::classify(lexer) };
    }
    if first.is_word("prepare") {
        return (Verb::Prepare, prepare(lexer, surroundings, may_nest));
    }
    (Verb::Other, unknown(first, lexer))
}

fn query_verb(first: Token<'_>) -> Verb {
    match first.text.first() {
        Some(b's' | b'S') => Verb::Select,
        Some(b'w' | b'W') => Verb::With,
        Some(b'v' | b'V') => Verb::Values,
        _ => Verb::Table,
    }
}

/// Statements that may be reads without being queries.
fn looks(first: Token<'_>, lexer: &mut Lexer<'_>, surroundings: &Surroundings<'_>) -> Option<(Verb, Findings)> {
    let schema = surroundings.schema_class();
    let is_mariadb = lexer.rules().dialect == Dialect::MariaDb;
    Some(match first.text.to_ascii_lowercase().as_slice() {
        b"show" => (Verb::Show, show::classify(lexer, schema)),
        b"explain" => (Verb::Explain, read::explain(lexer, schema, surroundings.limits)),
        b"describe" | b"desc" => (Verb::Describe, read::explain(lexer, schema, surroundings.limits)),
        b"analyze" if is_mariadb => (Verb::Analyze, read::explain(lexer, schema, surroundings.limits)),
        b"do" => (Verb::Do, read::do_expressions(lexer, schema)),
        _ => return None,
    })
}

/// Not a statement that is known here: it may do anything to the data and to the session.
fn unknown(first: Token<'_>, lexer: &mut Lexer<'_>) -> Findings {
    let mut findings = Findings::default();
    findings.anything(Reason::NotKnown);
    if !first.is_end() {
        findings.effects |= scan::memory(lexer);
    }
    findings
}

/// `PREPARE name FROM 'text'`. What the text does to the session when it is executed is pinned now; a text that is not seen pins too.
fn prepare(lexer: &mut Lexer<'_>, surroundings: &Surroundings<'_>, may_nest: bool) -> Findings {
    let mut findings = Findings::of(Effects::CHANGE_SESSION | Effects::PRIMARY_SESSION, Reason::SessionStatement);
    let name = lexer.peek();
    if !name.is_name() {
        findings.anything(Reason::NotKnown);
        skip_statement(lexer);
        return findings;
    }
    lexer.next();
    findings.pin(Pin::PreparedStatement(control::prepared_name(name)));
    let is_from = lexer.next().is_word("from");
    let text = if is_from { lexer.next() } else { name };
    let is_harmless = text.kind == Kind::Literal && may_nest && leaves_session(text.text, lexer.rules(), surroundings);
    if !is_harmless {
        findings.effects |= Effects::SESSION_UNSEEN;
        findings.pin(Pin::Connection);
    }
    if text.kind == Kind::UserVariable {
        findings.effects |= Effects::USER_VARIABLES;
    }
    if !text.is_end() {
        findings.effects |= scan::memory(lexer);
    }
    findings
}

/// Whether executing this text leaves the session as it is. A text with escapes is not read.
fn leaves_session(literal: &[u8], rules: Rules, surroundings: &Surroundings<'_>) -> bool {
    let [quote, inner @ .., _] = literal else { return false };
    let is_plain = matches!(quote, b'\'' | b'"') && !inner.iter().any(|b| *b == b'\\' || b == quote);
    let is_trusted = rules.charset == Charset::AsciiSafe || inner.is_ascii();
    if !is_plain || !is_trusted {
        return false;
    }
    let mut lexer = Lexer::new(inner, rules).transparent();
    let (_, findings) = dispatch(&mut lexer, surroundings, false);
    let is_known = !findings.effects.intersects(Effects::SESSION_UNSEEN | Effects::CHANGE_SESSION | Effects::TRANSACTION);
    is_known
        && findings.calls.is_empty()
        && findings.session.is_empty()
        && lexer.take_executable() == Executable::None
        && lexer.next().kind == Kind::End
}

/// MariaDB's `SET STATEMENT name = value, .. FOR statement`: the settings hold for that statement only.
fn set_statement(lexer: &mut Lexer<'_>, surroundings: &Surroundings<'_>, may_nest: bool) -> (Verb, Findings) {
    let settings_memory = scan::memory(&mut { *lexer });
    let mut depth = 0_usize;
    loop {
        let token = lexer.next();
        if token.is_end() {
            return (Verb::Set, unknown(token, lexer));
        }
        if token.is_symbol("(") {
            depth += 1;
        } else if token.is_symbol(")") {
            depth = depth.saturating_sub(1);
        } else if depth == 0 && token.is_word("for") {
            break;
        }
    }
    if !may_nest {
        let token = lexer.next();
        return (Verb::Set, unknown(token, lexer));
    }
    let (verb, mut findings) = dispatch(lexer, surroundings, false);
    findings.note(Effects::UNKNOWN | settings_memory, Reason::NotKnown);
    (verb, findings)
}
