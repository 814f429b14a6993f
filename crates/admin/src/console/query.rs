//! What is wanted of a table of the console: columns, conditions, order, number.
//!
//! The grammar is small on purpose, and read in one pass: a parser of all of SQL takes exponential time for some texts of a few hundred bytes.

use std::cmp::Ordering;

use super::condition::{Condition, compare};
use super::lexer::{Token, tokens};
use super::rows::Rows;

/// What the console can do with a table.
pub(super) const GRAMMAR: &str = "SELECT * | COUNT(*) | columns FROM table [WHERE ..] [ORDER BY ..] [LIMIT n], with the comparisons =, <>, <, <=, >, >=, \
                                  LIKE, IN, BETWEEN and IS NULL, joined by AND, OR and NOT";

/// All of it. By default all rows, as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Query {
    wanted: Wanted,
    /// A pattern that some cell of a row must fit.
    like: Option<String>,
    condition: Option<Condition>,
    /// Columns, or places of the result, with whether they descend.
    order: Vec<(String, bool)>,
    offset: usize,
    limit: Option<usize>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Wanted {
    #[default]
    All,
    /// The name of the column.
    Count(String),
    /// Each with its name in the result.
    Columns(Vec<(String, String)>),
}

impl Query {
    /// `SELECT .. FROM table ..`: the table's name, and what is wanted of it.
    pub(super) fn select(sql: &str) -> Result<(String, Self), String> {
        let mut words = Words::new(sql)?;
        words.expect("SELECT")?;
        let wanted = Wanted::parse(&mut words)?;
        words.expect("FROM")?;
        let table = words.name()?;
        // Graphical clients give every table an alias.
        if !["WHERE", "ORDER", "LIMIT"].iter().any(|keyword| words.first().is_some_and(|token| token.is(keyword))) {
            words.skip("AS");
            if !words.is_at_end() {
                words.name()?;
            }
        }
        let query = Self { wanted, ..Self::tail(&mut words)? };
        Ok((table, query))
    }

    /// What may follow `SHOW table`: `[LIKE '..' | WHERE ..] [ORDER BY ..] [LIMIT n]`.
    pub(super) fn show(text: &str) -> Result<Self, String> {
        let mut words = Words::new(text)?;
        let like = if words.skip("LIKE") {
            let Some(Token::Text(pattern)) = words.first().cloned() else { return Err(words.unexpected("a pattern in quotes")) };
            words.advance();
            Some(pattern)
        } else {
            None
        };
        Ok(Self { like, ..Self::tail(&mut words)? })
    }

    fn tail(words: &mut Words) -> Result<Self, String> {
        let condition = if words.skip("WHERE") { Some(Condition::parse(words)?) } else { None };
        let mut order = Vec::new();
        if words.skip("ORDER") {
            words.expect("BY")?;
            loop {
                let column = words.name_or_number()?;
                let descends = words.skip("DESC");
                if !descends {
                    words.skip("ASC");
                }
                order.push((column, descends));
                if !words.skip_symbol(",") {
                    break;
                }
            }
        }
        let (mut offset, mut limit) = (0, None);
        if words.skip("LIMIT") {
            let first = words.number()?;
            if words.skip_symbol(",") {
                (offset, limit) = (first, Some(words.number()?));
            } else {
                limit = Some(first);
                if words.skip("OFFSET") {
                    offset = words.number()?;
                }
            }
        }
        if words.is_at_end() {
            return Ok(Self { condition, order, offset, limit, ..Self::default() });
        }
        Err(words.unexpected("the end"))
    }

    /// If nothing but a number of rows is wanted: that.
    pub(super) fn only_limit(&self) -> Option<usize> {
        let Self { limit, .. } = self;
        (*self == Self { limit: *limit, ..Self::default() }).then_some(*limit).flatten()
    }

    /// Those of the rows that are wanted, as they are wanted.
    pub(super) fn apply(&self, mut rows: Rows) -> Result<Rows, String> {
        if let Some(pattern) = &self.like {
            rows = rows.like(pattern);
        }
        if let Some(condition) = &self.condition {
            condition.check(&rows)?;
            let fits: Vec<bool> = rows.rows.iter().map(|row| condition.holds(&rows, row) == Some(true)).collect();
            let mut fits = fits.into_iter();
            rows.rows.retain(|_| fits.next() == Some(true));
        }
        if let Wanted::Count(name) = &self.wanted {
            let count = rows.rows.len().to_string();
            return Ok(self.cut(Rows { columns: vec![name.clone()], rows: vec![vec![Some(count)]] }));
        }
        self.sort(&mut rows)?;
        let rows = self.cut(rows);
        let Wanted::Columns(columns) = &self.wanted else { return Ok(rows) };
        let places = columns.iter().map(|(column, _)| rows.place(column)).collect::<Result<Vec<_>, _>>()?;
        let chosen = |row: &Vec<Option<String>>| places.iter().map(|place| row.get(*place).cloned().flatten()).collect();
        let columns = columns.iter().map(|(_, name)| name.clone()).collect();
        Ok(Rows { columns, rows: rows.rows.iter().map(chosen).collect() })
    }

    fn sort(&self, rows: &mut Rows) -> Result<(), String> {
        let mut keys = Vec::new();
        for (column, descends) in &self.order {
            // By the name of a column of the result, by its place there, or by any column of the table.
            let of_result = match &self.wanted {
                Wanted::Columns(columns) => {
                    let by_name = columns.iter().find(|(_, name)| name.eq_ignore_ascii_case(column));
                    let by_place = || column.parse::<usize>().ok().and_then(|place| columns.get(place.checked_sub(1)?));
                    by_name.or_else(by_place).map(|(column, _)| column.clone())
                }
                _ => column.parse::<usize>().ok().and_then(|place| rows.columns.get(place.checked_sub(1)?).cloned()),
            };
            keys.push((rows.place(of_result.as_deref().unwrap_or(column))?, *descends));
        }
        let cell = |row: &[Option<String>], place: usize| row.get(place).cloned().flatten();
        rows.rows.sort_by(|one, other| {
            let by_key = |(place, descends): &(usize, bool)| {
                let ordering = match (cell(one, *place), cell(other, *place)) {
                    (Some(one), Some(other)) => compare(&one, &other),
                    (one, other) => one.is_some().cmp(&other.is_some()),
                };
                if *descends { ordering.reverse() } else { ordering }
            };
            keys.iter().map(by_key).find(|ordering| ordering.is_ne()).unwrap_or(Ordering::Equal)
        });
        Ok(())
    }

    fn cut(&self, mut rows: Rows) -> Rows {
        rows.rows = rows.rows.into_iter().skip(self.offset).take(self.limit.unwrap_or(usize::MAX)).collect();
        rows
    }
}

impl Wanted {
    fn parse(words: &mut Words) -> Result<Self, String> {
        if words.skip_symbol("*") {
            return Ok(Self::All);
        }
        if words.skip("COUNT") {
            for symbol in ["(", "*", ")"] {
                words.expect_symbol(symbol)?;
            }
            return Ok(Self::Count(words.alias()?.unwrap_or_else(|| "COUNT(*)".to_owned())));
        }
        let mut columns = Vec::new();
        loop {
            let column = words.name()?;
            // `t.*`
            if column.ends_with('.') && words.skip_symbol("*") && columns.is_empty() {
                return Ok(Self::All);
            }
            let name = words.alias()?.unwrap_or_else(|| unqualified(&column).to_owned());
            columns.push((column, name));
            if !words.skip_symbol(",") {
                return Ok(Self::Columns(columns));
            }
        }
    }
}

/// Without its table.
pub(super) fn unqualified(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// What is left of a statement.
pub(super) struct Words {
    tokens: Vec<Token>,
    next: usize,
}

impl Words {
    pub(super) fn new(sql: &str) -> Result<Self, String> {
        Ok(Self { tokens: tokens(sql)?, next: 0 })
    }

    pub(super) fn first(&self) -> Option<&Token> {
        self.tokens.get(self.next)
    }

    pub(super) fn advance(&mut self) {
        self.next += 1;
    }

    fn is_at_end(&self) -> bool {
        self.first().is_none()
    }

    /// Whether the next word was this keyword.
    pub(super) fn skip(&mut self, keyword: &str) -> bool {
        let is_next = self.first().is_some_and(|token| token.is(keyword));
        self.next += usize::from(is_next);
        is_next
    }

    pub(super) fn skip_symbol(&mut self, symbol: &str) -> bool {
        let is_next = matches!(self.first(), Some(Token::Symbol(next)) if *next == symbol);
        self.next += usize::from(is_next);
        is_next
    }

    pub(super) fn expect(&mut self, keyword: &str) -> Result<(), String> {
        if self.skip(keyword) { Ok(()) } else { Err(self.unexpected(keyword)) }
    }

    pub(super) fn expect_symbol(&mut self, symbol: &str) -> Result<(), String> {
        if self.skip_symbol(symbol) { Ok(()) } else { Err(self.unexpected(symbol)) }
    }

    fn name(&mut self) -> Result<String, String> {
        match self.first().cloned() {
            Some(Token::Word(name) | Token::Name(name)) => {
                self.advance();
                Ok(name)
            }
            _ => Err(self.unexpected("a name")),
        }
    }

    fn name_or_number(&mut self) -> Result<String, String> {
        if let Some(Token::Number(number)) = self.first().cloned() {
            self.advance();
            return Ok(number);
        }
        self.name()
    }

    fn number(&mut self) -> Result<usize, String> {
        let number = match self.first() {
            Some(Token::Number(number)) => number.parse().ok(),
            _ => None,
        };
        let number = number.ok_or_else(|| self.unexpected("a number"))?;
        self.advance();
        Ok(number)
    }

    /// `[AS] name`
    fn alias(&mut self) -> Result<Option<String>, String> {
        let is_named = self.skip("AS");
        match self.first() {
            Some(Token::Word(word)) if !is_named && word.eq_ignore_ascii_case("FROM") => Ok(None),
            Some(Token::Text(name)) => {
                let name = name.clone();
                self.advance();
                Ok(Some(name))
            }
            Some(Token::Word(_) | Token::Name(_)) => self.name().map(Some),
            _ if is_named => Err(self.unexpected("a name")),
            _ => Ok(None),
        }
    }

    /// What is there instead of what is expected.
    pub(super) fn unexpected(&self, expected: &str) -> String {
        let found = self.first().map_or_else(|| "the statement ends".to_owned(), |token| format!("there is {:?}", token.text()));
        format!("{found} where {expected} is expected; the console understands {GRAMMAR}")
    }
}

#[cfg(test)]
mod tests;
