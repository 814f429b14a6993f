//! The body of a stored function: is it control flow over reads?
//!
//! Every expression and query of a body is taken out, and judged like a statement of its own. What remains must be declarations, assignments to the
//! body's own variables, and control flow; anything else is unknown. Sources: MySQL manual 15.6 "Compound Statement Syntax"; MariaDB "Programmatic &
//! Compound Statements".

use crate::lexer::{Kind, Lexer, Rules, Token};
use crate::scan::unquoted;

/// The queries that the body may run, or `None` if it may do anything else.
pub(super) fn queries(body: &[u8], rules: Rules) -> Option<Vec<Vec<u8>>> {
    let mut reader = Reader { lexer: Lexer::new(body, rules), locals: Vec::new(), depth: 0, queries: Vec::new() };
    reader.statement()?;
    while reader.lexer.peek().kind != Kind::End {
        reader.statement()?;
    }
    (reader.depth == 0).then_some(reader.queries)
}

struct Reader<'a> {
    lexer: Lexer<'a>,
    /// Variables in lower case, each with the depth of the block that declares it.
    locals: Vec<(usize, Vec<u8>)>,
    depth: usize,
    queries: Vec<Vec<u8>>,
}

impl<'a> Reader<'a> {
    /// The next token, unless servers may read it differently.
    fn next(&mut self) -> Option<Token<'a>> {
        let token = self.lexer.next();
        let is_sure = !matches!(token.kind, Kind::Bad | Kind::ExecutableOpen | Kind::ExecutableClose);
        is_sure.then_some(token)
    }

    /// Consumes the beginning of a statement, as far as the next place where one may begin.
    fn statement(&mut self) -> Option<()> {
        let first = self.next()?;
        if first.kind == Kind::Semicolon {
            return Some(());
        }
        if first.is_name() && self.lexer.peek().is_symbol(":") {
            self.next()?;
            return Some(());
        }
        if first.is_symbol("(") {
            return self.query_into(first.start);
        }
        if first.kind != Kind::Word {
            return None;
        }
        match first.text.to_ascii_lowercase().as_slice() {
            b"begin" if !self.lexer.peek().is_word("not") => self.depth += 1,
            b"end" => self.end()?,
            b"declare" => self.declare()?,
            b"if" | b"elseif" | b"when" => self.expression(|token| token.is_word("then"))?,
            b"while" => self.expression(|token| token.is_word("do"))?,
            b"case" => self.case()?,
            b"until" => self.until()?,
            b"else" | b"loop" | b"repeat" => {}
            b"return" | b"do" => self.expression(is_end)?,
            b"set" => self.set()?,
            b"select" | b"with" => self.query_into(first.start)?,
            b"open" | b"close" | b"leave" | b"iterate" => self.name_and_end()?,
            b"fetch" => self.fetch()?,
            b"signal" | b"resignal" => self.signal()?,
            _ => return None,
        }
        Some(())
    }

    /// After `END`: `IF`, `LOOP` and so on, or a label.
    fn end(&mut self) -> Option<()> {
        if self.lexer.peek().is_any(&["if", "loop", "while", "repeat", "case"]) {
            self.next()?;
        } else {
            self.depth = self.depth.checked_sub(1)?;
            self.locals.retain(|(depth, _)| *depth <= self.depth);
        }
        if self.lexer.peek().is_name() {
            self.next()?;
        }
        self.lexer.peek().is_end().then_some(())
    }

    /// After `DECLARE`.
    fn declare(&mut self) -> Option<()> {
        let first = self.next()?;
        if first.is_any(&["continue", "exit", "undo"]) && self.lexer.peek().is_word("handler") {
            return self.handler();
        }
        let mut names = vec![first];
        while self.lexer.peek().is_symbol(",") {
            self.next()?;
            names.push(self.next()?);
        }
        if !names.iter().all(Token::is_name) {
            return None;
        }
        if self.lexer.peek().is_word("cursor") {
            self.next()?;
            return self.next()?.is_word("for").then(|| self.query()).flatten();
        }
        let depth = self.depth;
        self.locals.extend(names.iter().map(|name| (depth, lower(*name))));
        // The type, which may have parentheses; for a condition its value.
        loop {
            let token = self.next()?;
            if is_end(&token) {
                return Some(());
            }
            if token.is_word("default") {
                return self.expression(is_end);
            }
        }
    }

    /// After `DECLARE CONTINUE`: `HANDLER FOR condition, ..`; the handler's statement comes next.
    fn handler(&mut self) -> Option<()> {
        self.next()?;
        if !self.next()?.is_word("for") {
            return None;
        }
        loop {
            let condition = self.next()?;
            if condition.is_word("sqlstate") {
                if self.lexer.peek().is_word("value") {
                    self.next()?;
                }
                self.next()?;
            } else if condition.is_word("not") {
                self.next()?;
            } else if !(condition.is_name() || condition.kind == Kind::Literal) {
                return None;
            }
            if !self.lexer.peek().is_symbol(",") {
                return Some(());
            }
            self.next()?;
        }
    }

    /// After `CASE`, which may have an operand.
    fn case(&mut self) -> Option<()> {
        if self.lexer.peek().is_word("when") {
            return Some(());
        }
        self.expression_before(|token| token.is_word("when"))
    }

    /// After `UNTIL`: the expression ends with the `END` of the loop.
    fn until(&mut self) -> Option<()> {
        self.expression_before(|token| token.is_word("end"))
    }

    /// After `SET`: only variables that the body has declared. Any other name may be a system variable.
    fn set(&mut self) -> Option<()> {
        loop {
            let name = self.next()?;
            let is_local = name.is_name() && self.locals.iter().any(|(_, local)| *local == lower(name));
            let assigns = self.next()?;
            if !is_local || !(assigns.is_symbol("=") || assigns.is_symbol(":=")) {
                return None;
            }
            self.expression_before(|token| token.is_symbol(",") || is_end(token))?;
            if !self.next()?.is_symbol(",") {
                return Some(());
            }
        }
    }

    fn name_and_end(&mut self) -> Option<()> {
        (self.next()?.is_name() && self.lexer.peek().is_end()).then_some(())
    }

    /// After `FETCH`: `[[NEXT] FROM] cursor INTO a, b`.
    fn fetch(&mut self) -> Option<()> {
        loop {
            let token = self.next()?;
            if token.is_word("into") {
                break;
            }
            if !token.is_name() {
                return None;
            }
        }
        self.targets()?;
        self.lexer.peek().is_end().then_some(())
    }

    /// An error on purpose: names, literals and punctuation, no expressions.
    fn signal(&mut self) -> Option<()> {
        loop {
            let token = self.next()?;
            match token.kind {
                Kind::Word | Kind::Quoted | Kind::Literal => {}
                Kind::Symbol if matches!(token.text, b"=" | b",") => {}
                Kind::Semicolon | Kind::End => return Some(()),
                _ => return None,
            }
        }
    }

    /// Names after `INTO`, separated by commas; no files, no user variables.
    fn targets(&mut self) -> Option<()> {
        loop {
            let target = self.next()?;
            if !target.is_name() || target.is_any(&["outfile", "dumpfile"]) {
                return None;
            }
            if !self.lexer.peek().is_symbol(",") {
                return Some(());
            }
            self.next()?;
        }
    }

    /// An expression up to the token that ends it, which is consumed.
    fn expression(&mut self, ends: impl Fn(&Token<'_>) -> bool) -> Option<()> {
        self.expression_before(ends)?;
        self.next().map(|_| ())
    }

    /// An expression up to the token that ends it.
    fn expression_before(&mut self, ends: impl Fn(&Token<'_>) -> bool) -> Option<()> {
        let start = self.lexer.position();
        let mut parentheses = 0_usize;
        let mut cases = 0_usize;
        loop {
            let token = self.lexer.peek();
            if parentheses == 0 && cases == 0 && ends(&token) {
                let text = self.lexer.sql().get(start..token.start)?;
                self.queries.push([b"SELECT ", text].concat());
                return Some(());
            }
            match token.kind {
                Kind::Semicolon | Kind::End => return None,
                Kind::Symbol if token.text == b"(" => parentheses += 1,
                Kind::Symbol if token.text == b")" => parentheses = parentheses.checked_sub(1)?,
                _ if token.is_word("case") => cases += 1,
                _ if token.is_word("end") => cases = cases.checked_sub(1)?,
                _ => {}
            }
            self.next()?;
        }
    }

    /// A query up to the end of the statement.
    fn query(&mut self) -> Option<()> {
        let start = self.lexer.position();
        loop {
            let token = self.next()?;
            if is_end(&token) {
                self.queries.push(self.lexer.sql().get(start..token.start)?.to_vec());
                return Some(());
            }
        }
    }

    /// A query that stores its one row in variables of the body: judged without that.
    fn query_into(&mut self, start: usize) -> Option<()> {
        let mut parentheses = usize::from(self.lexer.sql().get(start) == Some(&b'('));
        let mut without_into = Vec::new();
        let mut from = start;
        loop {
            let token = self.next()?;
            match token.kind {
                Kind::Semicolon | Kind::End => {
                    without_into.extend_from_slice(self.lexer.sql().get(from..token.start)?);
                    self.queries.push(without_into);
                    return (from != start).then_some(());
                }
                Kind::Symbol if token.text == b"(" => parentheses += 1,
                Kind::Symbol if token.text == b")" => parentheses = parentheses.checked_sub(1)?,
                // A second INTO is left in, so the query does not count as a read.
                Kind::Word if parentheses == 0 && from == start && token.is_word("into") => {
                    without_into.extend_from_slice(self.lexer.sql().get(from..token.start)?);
                    without_into.push(b' ');
                    self.targets()?;
                    from = self.lexer.position();
                }
                _ => {}
            }
        }
    }
}

fn is_end(token: &Token<'_>) -> bool {
    token.is_end()
}

fn lower(name: Token<'_>) -> Vec<u8> {
    unquoted(name.text).to_ascii_lowercase()
}
