//! Stage one of a read: every token must be known to do nothing but read.
//!
//! In both grammars a statement that begins like a read can do more only through a locking clause, an `INTO`, a data-changing statement after `WITH`,
//! a variable, a sequence, or a call of something that is not native. All of these show in the tokens. In doubt a token counts as more than a read.
//! Neighbours: `tree` is the second opinion, `shape` the one where the parser has none.

mod calls;
mod variables;

pub(crate) use self::variables::{take_system_variable, user_variable_name};

use memchr::memmem;

use crate::findings::Findings;
use crate::keyword::{Keyword, is_reserved};
use crate::lexer::{Kind, Lexer, Rules, Token};
use crate::schema::SchemaClass;
use crate::{Dialect, Effects, Pin, Reason};

/// What the scan of a statement, up to its `;` or end, has found.
#[derive(Debug)]
pub(crate) struct Scan {
    pub(crate) findings: Findings,
    /// Words and operators: no expression can be nested deeper in the syntax tree than this.
    pub(crate) links: usize,
    pub(crate) tokens: usize,
    /// The end of the last token.
    pub(crate) end: usize,
}

/// The walk over the tokens.
struct Scanner<'a, 'l> {
    lexer: &'l mut Lexer<'a>,
    rules: Rules,
    findings: Findings,
    links: usize,
    tokens: usize,
    /// The token before this one, and the one before that.
    last: Option<Token<'a>>,
    last_but_one: Option<Token<'a>>,
    /// Variables in the statement, which an `INTO` assigns.
    variables: Vec<Box<str>>,
    has_into: bool,
}

/// Scans from the lexer's position to the end of the statement, after its `;`.
pub(crate) fn scan(lexer: &mut Lexer<'_>, schema: SchemaClass) -> Scan {
    let mut scanner = Scanner::new(lexer);
    let end = scanner.run();
    scanner.finish(schema, end)
}

/// For a statement that goes to the primary anyway: what its expressions do to the session, and what they ask of the connection's memory.
/// Leaves the lexer after the statement.
pub(crate) fn expressions(lexer: &mut Lexer<'_>) -> Findings {
    let mut scanner = Scanner::new(lexer);
    scanner.run();
    scanner.primary_notes()
}

/// The same where every user variable in the statement may be assigned.
pub(crate) fn assigning_expressions(lexer: &mut Lexer<'_>) -> Findings {
    let mut scanner = Scanner::new(lexer);
    scanner.run();
    let mut findings = Findings::default();
    for name in std::mem::take(&mut scanner.variables) {
        findings.pin(Pin::UserVariable(name));
    }
    findings.absorb(scanner.primary_notes());
    findings
}

/// What the rest of the statement asks of the connection's memory, wherever it asks. Leaves the lexer after the statement.
pub(crate) fn memory(lexer: &mut Lexer<'_>) -> Effects {
    expressions(lexer).effects
}

impl<'a, 'l> Scanner<'a, 'l> {
    fn new(lexer: &'l mut Lexer<'a>) -> Self {
        Self {
            rules: lexer.rules(),
            lexer,
            findings: Findings::default(),
            links: 0,
            tokens: 0,
            last: None,
            last_but_one: None,
            variables: Vec::new(),
            has_into: false,
        }
    }

    /// The findings that matter for a statement that goes to the primary anyway.
    fn primary_notes(self) -> Findings {
        let effects = self.findings.effects & Effects::CONNECTION_MEMORY;
        Findings { effects, session: self.findings.session, ..Findings::default() }
    }

    /// Walks to the end of the statement. Returns the offset after its last token.
    fn run(&mut self) -> usize {
        let mut end = self.lexer.position();
        loop {
            let token = self.lexer.next();
            if token.is_end() {
                return end;
            }
            self.tokens += 1;
            self.token(token);
            end = self.lexer.position();
            self.last_but_one = self.last.replace(token);
        }
    }
}

impl<'a> Scanner<'a, '_> {
    fn token(&mut self, token: Token<'a>) {
        match token.kind {
            Kind::Word => self.word(token),
            Kind::Quoted => self.name(token),
            Kind::UserVariable => self.user_variable(token),
            Kind::SystemVariable => self.system_variable(),
            Kind::Symbol => self.symbol(token),
            Kind::ExecutableOpen | Kind::ExecutableClose => self.findings.note(Effects::UNKNOWN, Reason::ExecutableComment),
            Kind::Bad => self.findings.note(Effects::UNKNOWN, Reason::NotKnown),
            Kind::Hint => self.hint(token),
            Kind::Literal | Kind::Placeholder | Kind::Semicolon | Kind::End => {}
        }
    }

    fn finish(mut self, schema: SchemaClass, end: usize) -> Scan {
        if self.has_into {
            for name in std::mem::take(&mut self.variables) {
                self.findings.pin(Pin::UserVariable(name));
            }
        }
        if schema.is_system() && self.findings.effects.contains(Effects::READ_DATA) {
            self.findings.note(Effects::THIS_SERVER, Reason::SystemSchema);
        }
        Scan { findings: self.findings, links: self.links, tokens: self.tokens, end }
    }

    fn follows(&self, keyword: &str) -> bool {
        self.last.is_some_and(|last| last.is_word(keyword))
    }

    /// After a `.` every word is a name.
    fn follows_dot(&self) -> bool {
        self.last.is_some_and(|last| last.is_symbol("."))
    }

    fn word(&mut self, token: Token<'a>) {
        self.links += 1;
        if self.follows_dot() {
            self.name(token);
            return;
        }
        if !token.text.is_ascii() && hides_keyword(token.text) {
            self.findings.note(Effects::UNKNOWN, Reason::NotKnown);
        }
        if !is_reserved(token.text) {
            self.name(token);
            return;
        }
        self.keyword(token);
    }

    /// A reserved word that is not a name here.
    fn keyword(&mut self, token: Token<'a>) {
        match token.text.to_ascii_lowercase().as_slice() {
            b"from" | b"join" | b"table" => self.findings.effects |= Effects::READ_DATA,
            b"into" => self.into(),
            b"for" => self.for_clause(),
            b"lock" => self.findings.note(Effects::LOCK, Reason::LockingClause),
            b"insert" | b"replace" if self.lexer.peek().is_symbol("(") => {}
            // The locking clause, which is noted at its FOR.
            b"update" if self.follows("for") => {}
            b"insert" | b"replace" | b"update" | b"delete" => {
                self.findings.note(Effects::WRITE_DATA, Reason::Writes);
            }
            b"sql_calc_found_rows" => self.findings.note(Effects::PRIMARY_SESSION, Reason::PreviousStatement),
            // The end of `CYCLE a, b RESTRICT`, before the next table of `WITH` or its query.
            b"restrict" if self.rules.dialect == Dialect::MariaDb && ends_cycle(self.lexer.peek()) => {}
            b"set" if self.follows("character") || self.follows("char") => {}
            word if Keyword::of(word).is_for_other_statements() => {
                self.findings.note(Effects::UNKNOWN, Reason::NotKnown);
            }
            _ => {}
        }
    }

    /// A name: the schema of a system table, or nothing special.
    fn name(&mut self, token: Token<'a>) {
        let Some(schema) = self.last_but_one.filter(|_| self.follows_dot()) else {
            return;
        };
        let class = SchemaClass::of_name(unquoted(schema.text));
        if !class.may_read(unquoted(token.text)) {
            self.findings.note(Effects::THIS_SERVER, Reason::SystemSchema);
        }
        // `s.nextval`, in MariaDB's Oracle mode: a column of that name is rarer than an unannounced mode.
        let is_sequence = ["nextval", "currval"].iter().any(|name| unquoted(token.text).eq_ignore_ascii_case(name.as_bytes()));
        if is_sequence && self.rules.dialect == Dialect::MariaDb {
            self.findings.note(Effects::WRITE_DATA | Effects::PRIMARY_SESSION | Effects::INSERT_ID, Reason::Sequence);
        }
    }

    fn symbol(&mut self, token: Token<'a>) {
        match token.text {
            b"(" => self.parenthesis(token),
            b")" | b"," | b"." => {}
            b":=" => {
                self.links += 1;
                self.findings.note(Effects::CHANGE_SESSION | Effects::PRIMARY_SESSION, Reason::AssignsUserVariable);
            }
            _ => self.links += 1,
        }
    }

    fn into(&mut self) {
        self.has_into = true;
        let target = self.lexer.peek();
        let effects = if target.is_any(&["outfile", "dumpfile"]) {
            Effects::FILE
        } else {
            Effects::CHANGE_SESSION | Effects::PRIMARY_SESSION
        };
        self.findings.note(effects, Reason::IntoClause);
    }

    /// `SET_VAR(name = value)` holds for this statement only, but these make a read ask for the last insert id, or change the grammar.
    fn hint(&mut self, token: Token<'a>) {
        const NOT_IN_A_READ: [&[u8]; 3] = [b"sql_auto_is_null", b"sql_mode", b"insert_id"];
        let body = token.text.to_ascii_lowercase();
        if NOT_IN_A_READ.iter().any(|name| memmem::find(&body, name).is_some()) {
            self.findings.note(Effects::UNKNOWN | Effects::PRIMARY_SESSION, Reason::NotKnown);
        }
    }

    /// `FOR` is harmless in index hints, `FOR ORDINALITY`, `FOR SYSTEM_TIME` and `SUBSTRING(a FROM b FOR c)`.
    fn for_clause(&mut self) {
        let next = self.lexer.peek();
        let is_index_hint = (self.follows("index") || self.follows("key")) && next.is_any(&["join", "order", "group"]);
        if is_index_hint || next.is_any(&["ordinality", "system_time"]) {
            return;
        }
        if self.follows("value") {
            // `NEXT VALUE FOR s`, `PREVIOUS VALUE FOR s`
            let is_memory = self.last_but_one.is_some_and(|token| token.is_word("previous"));
            let memory = if is_memory { Effects::INSERT_ID } else { Effects::empty() };
            self.findings.note(Effects::WRITE_DATA | Effects::PRIMARY_SESSION | memory, Reason::Sequence);
        } else if next.is_any(&["update", "share"]) {
            self.findings.note(Effects::LOCK, Reason::LockingClause);
        } else if !self.is_substring_argument(next) {
            self.findings.note(Effects::UNKNOWN, Reason::NotKnown);
        }
    }

    /// `.. FROM 2 FOR 3)`: a literal, a placeholder or a name before and after, and the end of the argument list.
    fn is_substring_argument(&self, next: Token<'_>) -> bool {
        let is_operand = |token: Token<'_>| {
            matches!(token.kind, Kind::Literal | Kind::Placeholder | Kind::Quoted) || token.is_symbol(")") || token.is_symbol("(")
        };
        self.last.is_some_and(is_operand) && (is_operand(next) || (next.kind == Kind::Word && !is_reserved(next.text)))
    }
}

/// In single-byte character sets some bytes from 0x80 up are white space (0xA0 in latin1), in UTF-8 they are letters. A word is trusted only if no
/// part of it between such bytes is a keyword.
fn hides_keyword(word: &[u8]) -> bool {
    word.split(|b| !b.is_ascii()).any(is_reserved)
}

fn ends_cycle(next: Token<'_>) -> bool {
    next.is_symbol(",") || next.is_symbol("(") || next.is_any(&["select", "values", "with"])
}

/// Without backticks or double quotes.
pub(crate) fn unquoted(name: &[u8]) -> &[u8] {
    match name {
        [quote @ (b'`' | b'"'), inner @ .., last] if quote == last => inner,
        _ => name,
    }
}
