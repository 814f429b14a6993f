//! Cuts bytes into tokens, exactly where the servers' own lexers cut them.
//!
//! No allocation and no table of keywords: a token is a slice. The rules follow `sql/sql_lex.cc` of both servers, and every byte sequence that they
//! may read differently is a [`Kind::Bad`] token. A statement with such a token is never a read. Neighbours: `digest` folds the tokens into a
//! fingerprint, `scan` and `session` give them a meaning.
//!
//! Sources: MySQL 9.7 manual 11.1 (literals), 11.2 (names), 11.7 (comments); MariaDB "Comment Syntax", "Identifier Names".

mod number;

use memchr::{memchr, memchr_iter, memchr2, memmem};

use crate::{Charset, Context, Dialect, SqlMode};

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A keyword or an unquoted name.
    Word,
    /// A quoted name, with its quotes.
    Quoted,
    /// A string with its quotes and its `N`, `X` or `B`, a number, or `\N`.
    Literal,
    /// `?`
    Placeholder,
    /// `@name`, quoted or not. `@` alone is a variable without a name.
    UserVariable,
    /// `@@`; the name follows in tokens of its own.
    SystemVariable,
    /// An operator or punctuation.
    Symbol,
    /// `;`
    Semicolon,
    /// `/*!` or `/*M!` with its version.
    ExecutableOpen,
    /// The `*/` that belongs to it.
    ExecutableClose,
    /// `/*+ ... */` as a whole.
    Hint,
    /// Unterminated, or read differently by different servers.
    Bad,
    /// The end of the text.
    End,
}

/// A piece of the statement.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Token<'a> {
    pub(crate) kind: Kind,
    pub(crate) text: &'a [u8],
    /// Offset of `text` in the statement.
    pub(crate) start: usize,
    /// Whether white space or a comment precedes it.
    pub(crate) gap: bool,
}

impl Token<'_> {
    /// Whether it is this keyword (given in lower case).
    pub(crate) fn is_word(&self, keyword: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(keyword.as_bytes())
    }

    /// Whether it is one of these keywords.
    pub(crate) fn is_any(&self, keywords: &[&str]) -> bool {
        self.kind == Kind::Word && keywords.iter().any(|k| self.text.eq_ignore_ascii_case(k.as_bytes()))
    }

    /// Whether it is this operator or punctuation.
    pub(crate) fn is_symbol(&self, symbol: &str) -> bool {
        self.kind == Kind::Symbol && self.text == symbol.as_bytes()
    }

    /// Whether a statement ends here.
    pub(crate) fn is_end(&self) -> bool {
        matches!(self.kind, Kind::End | Kind::Semicolon)
    }

    /// Whether it can be a name.
    pub(crate) fn is_name(&self) -> bool {
        matches!(self.kind, Kind::Word | Kind::Quoted)
    }

    /// Offset of the byte after it.
    pub(crate) fn end(&self) -> usize {
        self.start + self.text.len()
    }
}

/// How the bytes are to be cut: the part of [`Context`] that the lexer needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rules {
    pub(crate) dialect: Dialect,
    pub(crate) sql_mode: SqlMode,
    pub(crate) charset: Charset,
}

impl From<&Context<'_>> for Rules {
    fn from(context: &Context<'_>) -> Self {
        Self { dialect: context.dialect, sql_mode: context.sql_mode, charset: context.charset }
    }
}

/// A position in a statement. Copying it is a bookmark.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lexer<'a> {
    sql: &'a [u8],
    at: usize,
    rules: Rules,
    in_executable: bool,
    /// The last token was a word and a `.` with a name follows directly: `t.1` is then no number.
    after_word: bool,
    /// Read executable comments as code, and remember them.
    is_transparent: bool,
    executable: Executable,
}

/// Which executable comments were read as code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Executable {
    #[default]
    None,
    /// `/*!` that every supported version of this server runs, and that sqlparser takes for code too.
    Code,
    /// Every supported version of this server runs them.
    Certain,
    /// Whether they run depends on the server's version, or on which server it is.
    Uncertain,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(sql: &'a [u8], rules: Rules) -> Self {
        Self { sql, at: 0, rules, in_executable: false, after_word: false, is_transparent: false, executable: Executable::None }
    }

    /// Skips the marks of executable comments; [`Self::take_executable`] reports them.
    pub(crate) fn transparent(self) -> Self {
        Self { is_transparent: true, ..self }
    }

    /// The executable comments since the last call.
    pub(crate) fn take_executable(&mut self) -> Executable {
        std::mem::take(&mut self.executable)
    }

    /// Whether an executable comment is open; at the end of the text that means it was never closed.
    pub(crate) fn is_in_executable(&self) -> bool {
        self.in_executable
    }

    pub(crate) fn rules(&self) -> Rules {
        self.rules
    }

    /// From here on the bytes are read by other rules (a batch may change `sql_mode` on its way).
    pub(crate) fn set_rules(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// Offset of the next byte to be read.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// The whole text.
    pub(crate) fn sql(&self) -> &'a [u8] {
        self.sql
    }

    fn byte(&self, ahead: usize) -> Option<u8> {
        self.sql.get(self.at + ahead).copied()
    }

    fn rest(&self) -> &'a [u8] {
        self.sql.get(self.at..).unwrap_or_default()
    }

    /// The next token, without moving.
    pub(crate) fn peek(&self) -> Token<'a> {
        let mut copy = *self;
        copy.next()
    }

    /// The next token. After the end: [`Kind::End`] again and again.
    #[inline]
    pub(crate) fn next(&mut self) -> Token<'a> {
        let mut token = self.next_raw();
        while self.is_transparent && matches!(token.kind, Kind::ExecutableOpen | Kind::ExecutableClose) {
            self.executable = self.executable.max(self.certainty(token));
            token = Token { gap: true, ..self.next_raw() };
        }
        token
    }

    /// MySQL manual 11.7 "Comments"; MariaDB "Comment Syntax" (MySQL's versions from 5.7 on are not run).
    fn certainty(&self, open: Token<'_>) -> Executable {
        let (version, certain) = match (open.text, self.rules.dialect) {
            ([b'*', ..], _) => return Executable::None,
            ([b'/', b'*', b'!', version @ ..], _) => (version, Executable::Code),
            ([b'/', b'*', b'M', b'!', version @ ..], Dialect::MariaDb) => (version, Executable::Certain),
            _ => return Executable::Uncertain,
        };
        let number = version.iter().fold(0, |sum: u32, digit| sum * 10 + u32::from(digit.saturating_sub(b'0')));
        let is_certain = match (version.len(), self.rules.dialect) {
            (0, _) => true,
            (5, Dialect::MySql) => number <= 80_400,
            (5, Dialect::MariaDb) => number < 50_700,
            (6, Dialect::MariaDb) => (100_000..=101_100).contains(&number),
            _ => false,
        };
        if is_certain { certain } else { Executable::Uncertain }
    }

    #[inline]
    fn next_raw(&mut self) -> Token<'a> {
        let before = self.at;
        if let Some(bad_from) = self.skip_blanks() {
            return self.token(Kind::Bad, bad_from, true);
        }
        let start = self.at;
        let gap = start != before;
        let Some(byte) = self.byte(0) else {
            return self.token(Kind::End, start, gap);
        };
        let after_word = self.after_word && !gap;
        self.after_word = false;
        let kind = self.cut(byte, after_word);
        self.token(kind, start, gap)
    }

    fn token(&self, kind: Kind, start: usize, gap: bool) -> Token<'a> {
        Token { kind, text: self.sql.get(start..self.at).unwrap_or_default(), start, gap }
    }

    /// Moves past the token that begins with `byte`.
    #[inline]
    fn cut(&mut self, byte: u8, after_word: bool) -> Kind {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'$' | 0x80.. => self.word(byte),
            b'0'..=b'9' => self.number_or_word(),
            b'\'' => self.string(b'\''),
            b'"' if self.rules.sql_mode.contains(SqlMode::ANSI_QUOTES) => self.quoted(b'"', Kind::Quoted),
            b'"' => self.string(b'"'),
            b'`' => self.quoted(b'`', Kind::Quoted),
            b'@' => self.variable(),
            // No operator of several bytes begins with these.
            b'(' | b')' | b',' | b'=' | b'+' => self.single(Kind::Symbol),
            b'?' => self.single(Kind::Placeholder),
            b';' => self.single(Kind::Semicolon),
            b'.' => self.dot(after_word),
            b'/' if self.byte(1) == Some(b'*') => self.special_comment(),
            b'*' if self.in_executable && self.byte(1) == Some(b'/') => {
                self.in_executable = false;
                self.advance(2, Kind::ExecutableClose)
            }
            b'\\' if self.byte(1) == Some(b'N') => self.advance(2, Kind::Literal),
            0..=b' ' | b'\\' | 0x7f => self.single(Kind::Bad),
            _ => self.operator(byte),
        }
    }

    /// At a byte that is there.
    #[inline]
    fn single(&mut self, kind: Kind) -> Kind {
        self.at += 1;
        kind
    }

    fn advance(&mut self, count: usize, kind: Kind) -> Kind {
        self.at = (self.at + count).min(self.sql.len());
        kind
    }

    /// Skips white space and ordinary comments. Returns the offset of a comment that is not safe to skip.
    #[inline]
    fn skip_blanks(&mut self) -> Option<usize> {
        loop {
            match self.byte(0)? {
                b' ' | b'\t'..=b'\r' => self.at += 1,
                b'#' => {
                    if let Some(bad) = self.line_comment() {
                        return Some(bad);
                    }
                }
                b'-' if self.byte(1) == Some(b'-') => match self.byte(2) {
                    // A control character makes it a comment as well; whether 0x80.. does depends on the character set.
                    None | Some(0..=b' ' | 0x7f) => {
                        if let Some(bad) = self.line_comment() {
                            return Some(bad);
                        }
                    }
                    Some(0x80..) => {
                        let start = self.at;
                        self.at += 2;
                        return Some(start);
                    }
                    Some(_) => return None,
                },
                b'/' if self.byte(1) == Some(b'*') && !self.is_special_comment() => {
                    if let Some(bad) = self.block_comment() {
                        return Some(bad);
                    }
                }
                _ => return None,
            }
        }
    }

    /// At `/*`: to the end of the comment.
    #[cold]
    fn block_comment(&mut self) -> Option<usize> {
        let start = self.at;
        let Some(length) = memmem::find(self.sql.get(self.at + 2..).unwrap_or_default(), b"*/") else {
            self.at = self.sql.len();
            return Some(start);
        };
        self.at += length + 4;
        None
    }

    /// To the end of the line. A NUL ends the servers' comments too, so it makes the comment bad.
    #[cold]
    fn line_comment(&mut self) -> Option<usize> {
        let start = self.at;
        let rest = self.rest();
        let length = memchr(b'\n', rest).unwrap_or(rest.len());
        self.at += length;
        let comment = rest.get(..length).unwrap_or_default();
        memchr(0, comment).map(|_| start)
    }

    /// At `/*`: whether servers may take it for code or for a hint. MySQL skips `/*M!`, MariaDB runs it.
    fn is_special_comment(&self) -> bool {
        match self.byte(2) {
            Some(b'!' | b'+') => true,
            Some(b'M') => self.byte(3) == Some(b'!'),
            _ => false,
        }
    }

    #[cold]
    fn special_comment(&mut self) -> Kind {
        if self.byte(2) == Some(b'+') {
            return self.hint();
        }
        if self.in_executable {
            // Servers treat nested comments differently.
            return self.advance(2, Kind::Bad);
        }
        self.in_executable = true;
        self.at += if self.byte(2) == Some(b'M') { 4 } else { 3 };
        let digits = self.rest().iter().take(6).take_while(|b| b.is_ascii_digit()).count();
        self.advance(digits, Kind::ExecutableOpen)
    }

    /// The server's own hint lexer may see another end if the hint has a comment inside, or quotes that may not be closed.
    fn hint(&mut self) -> Kind {
        let rest = self.sql.get(self.at + 3..).unwrap_or_default();
        let Some(length) = memmem::find(rest, b"*/") else {
            return self.advance(usize::MAX - self.at, Kind::Bad);
        };
        let body = rest.get(..length).unwrap_or_default();
        let is_plain = !body.iter().any(|b| matches!(b, b'/' | b'\\' | 0)) && closes_its_quotes(body);
        self.advance(length + 5, if is_plain { Kind::Hint } else { Kind::Bad })
    }

    #[inline]
    fn word(&mut self, first: u8) -> Kind {
        if self.byte(1) == Some(b'\'') {
            match first {
                b'n' | b'N' => {
                    self.at += 1;
                    return self.string(b'\'');
                }
                b'x' | b'X' | b'b' | b'B' => {
                    self.at += 1;
                    return self.quoted(b'\'', Kind::Literal);
                }
                _ => {}
            }
        }
        self.take_word();
        // MySQL 9 reads `$tag$ ... $tag$` as a string.
        if first == b'$' && self.rules.dialect == Dialect::MySql { Kind::Bad } else { Kind::Word }
    }

    #[inline]
    fn take_word(&mut self) {
        let rest = self.rest();
        self.at += rest.iter().position(|&b| !is_word_byte(b)).unwrap_or(rest.len());
        self.after_word = true;
    }

    /// After a word, `.` and a name byte separate two names even where the name begins with a digit.
    fn dot(&mut self, after_word: bool) -> Kind {
        let is_number = !after_word && self.byte(1).is_some_and(|b| b.is_ascii_digit());
        if is_number { self.real() } else { self.single(Kind::Symbol) }
    }

    /// A string with backslash escapes unless the mode takes them away; a doubled quote is a quote.
    fn string(&mut self, quote: u8) -> Kind {
        if self.rules.sql_mode.contains(SqlMode::NO_BACKSLASH_ESCAPES) {
            return self.quoted(quote, Kind::Literal);
        }
        self.at += 1;
        loop {
            let Some(offset) = memchr2(quote, b'\\', self.rest()) else {
                self.at = self.sql.len();
                return Kind::Bad;
            };
            self.at += offset;
            if self.byte(0) == Some(quote) {
                if self.byte(1) != Some(quote) {
                    return self.single(Kind::Literal);
                }
                self.at += 2;
            } else {
                self.at = (self.at + 2).min(self.sql.len());
            }
        }
    }

    /// Up to the closing quote; a doubled quote is a quote.
    fn quoted(&mut self, quote: u8, kind: Kind) -> Kind {
        self.at += 1;
        loop {
            let Some(offset) = memchr(quote, self.rest()) else {
                self.at = self.sql.len();
                return Kind::Bad;
            };
            self.at += offset + 1;
            if self.byte(0) != Some(quote) {
                return kind;
            }
            self.at += 1;
        }
    }

    #[inline(never)]
    fn variable(&mut self) -> Kind {
        self.at += 1;
        match self.byte(0) {
            Some(b'@') => self.single(Kind::SystemVariable),
            Some(b'`') => self.quoted(b'`', Kind::UserVariable),
            Some(quote @ (b'\'' | b'"')) => {
                let is_name = quote == b'"' && self.rules.sql_mode.contains(SqlMode::ANSI_QUOTES);
                let kind = if is_name { self.quoted(quote, Kind::UserVariable) } else { self.string(quote) };
                if kind == Kind::Bad { Kind::Bad } else { Kind::UserVariable }
            }
            _ => {
                let rest = self.rest();
                self.at += rest.iter().position(|&b| !is_word_byte(b) && b != b'.').unwrap_or(rest.len());
                Kind::UserVariable
            }
        }
    }

    #[inline]
    fn operator(&mut self, byte: u8) -> Kind {
        let length = match (byte, self.byte(1), self.byte(2)) {
            (b'<', Some(b'='), Some(b'>')) | (b'-', Some(b'>'), Some(b'>')) => 3,
            (b'<', Some(b'=' | b'>' | b'<'), _)
            | (b'>', Some(b'=' | b'>'), _)
            | (b'!' | b':', Some(b'='), _)
            | (b'|', Some(b'|'), _)
            | (b'&', Some(b'&'), _)
            | (b'-', Some(b'>'), _) => 2,
            _ => 1,
        };
        self.advance(length, Kind::Symbol)
    }
}

/// Quotes of one kind only, in pairs: they are closed wherever they stand, and whether or not the server takes them for quotes here.
fn closes_its_quotes(body: &[u8]) -> bool {
    let count = |quote: u8| memchr_iter(quote, body).count();
    let counts = [count(b'\''), count(b'"'), count(b'`')];
    counts.iter().all(|count| count % 2 == 0) && counts.iter().filter(|&&count| count > 0).count() <= 1
}

/// Letters, digits, `_`, `$` and everything from 0x80 up.
#[inline]
pub(crate) fn is_word_byte(byte: u8) -> bool {
    const TABLE: [bool; 256] = {
        let mut table = [false; 256];
        let mut byte = 0;
        while byte < 256 {
            #[allow(clippy::cast_possible_truncation, clippy::indexing_slicing, reason = "byte < 256")]
            {
                let b = byte as u8;
                table[byte] = b.is_ascii_alphanumeric() || b == b'_' || b == b'$' || b >= 0x80;
            }
            byte += 1;
        }
        table
    };
    #[allow(clippy::indexing_slicing, reason = "a byte is below 256")]
    TABLE[byte as usize]
}

#[cfg(test)]
mod tests;
