//! `WHERE`: which rows are wanted. As in SQL, a comparison with NULL is neither true nor false.

use std::cmp::Ordering;

use super::lexer::Token;
use super::query::Words;
use super::rows::{Rows, is_like};

/// Brackets and `NOT`s in each other.
const DEPTH_MAX: usize = 32;

/// What must hold for a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Condition {
    Any(Vec<Condition>),
    All(Vec<Condition>),
    Not(Box<Condition>),
    Compare(Operand, &'static str, Operand),
    Like(Operand, Operand),
    In(Operand, Vec<Operand>),
    IsNull(Operand),
}

/// What is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Operand {
    Column(String),
    /// `None` is NULL.
    Literal(Option<String>),
}

impl Condition {
    pub(super) fn parse(words: &mut Words) -> Result<Self, String> {
        Self::any(words, 0)
    }

    fn any(words: &mut Words, depth: usize) -> Result<Self, String> {
        let mut alternatives = vec![Self::all(words, depth)?];
        while words.skip("OR") {
            alternatives.push(Self::all(words, depth)?);
        }
        Ok(single(alternatives, Self::Any))
    }

    fn all(words: &mut Words, depth: usize) -> Result<Self, String> {
        let mut conditions = vec![Self::one(words, depth)?];
        while words.skip("AND") {
            conditions.push(Self::one(words, depth)?);
        }
        Ok(single(conditions, Self::All))
    }

    fn one(words: &mut Words, depth: usize) -> Result<Self, String> {
        if depth >= DEPTH_MAX {
            return Err("the condition is nested too deeply".to_owned());
        }
        if words.skip("NOT") {
            return Ok(Self::Not(Box::new(Self::one(words, depth + 1)?)));
        }
        if words.skip_symbol("(") {
            let inner = Self::any(words, depth + 1)?;
            words.expect_symbol(")")?;
            return Ok(inner);
        }
        let operand = Operand::parse(words)?;
        if words.skip("IS") {
            let is_negated = words.skip("NOT");
            words.expect("NULL")?;
            return Ok(Self::IsNull(operand).negated(is_negated));
        }
        let is_negated = words.skip("NOT");
        if words.skip("LIKE") {
            return Ok(Self::Like(operand, Operand::parse(words)?).negated(is_negated));
        }
        if words.skip("IN") {
            words.expect_symbol("(")?;
            let mut list = vec![Operand::parse(words)?];
            while words.skip_symbol(",") {
                list.push(Operand::parse(words)?);
            }
            words.expect_symbol(")")?;
            return Ok(Self::In(operand, list).negated(is_negated));
        }
        if words.skip("BETWEEN") {
            let least = Operand::parse(words)?;
            words.expect("AND")?;
            let most = Operand::parse(words)?;
            let both = [Self::Compare(operand.clone(), ">=", least), Self::Compare(operand, "<=", most)];
            return Ok(Self::All(both.into()).negated(is_negated));
        }
        let operator = ["=", "<>", "!=", "<=>", "<=", ">=", "<", ">"].into_iter().find(|symbol| words.skip_symbol(symbol));
        match operator {
            Some(operator) if !is_negated => Ok(Self::Compare(operand, operator, Operand::parse(words)?)),
            _ => Err(words.unexpected("a comparison")),
        }
    }

    fn negated(self, is_negated: bool) -> Self {
        if is_negated { Self::Not(Box::new(self)) } else { self }
    }

    /// Fails if it names a column that is not there.
    pub(super) fn check(&self, rows: &Rows) -> Result<(), String> {
        match self {
            Self::Any(conditions) | Self::All(conditions) => conditions.iter().try_for_each(|condition| condition.check(rows)),
            Self::Not(condition) => condition.check(rows),
            Self::Compare(one, _, other) | Self::Like(one, other) => one.check(rows).and_then(|()| other.check(rows)),
            Self::In(operand, list) => operand.check(rows).and_then(|()| list.iter().try_for_each(|item| item.check(rows))),
            Self::IsNull(operand) => operand.check(rows),
        }
    }

    /// `None`: neither, as something is NULL.
    pub(super) fn holds(&self, rows: &Rows, row: &[Option<String>]) -> Option<bool> {
        match self {
            Self::Any(conditions) => any(conditions.iter().map(|condition| condition.holds(rows, row))),
            Self::All(conditions) => {
                any(conditions.iter().map(|condition| condition.holds(rows, row).map(|holds| !holds))).map(|fails| !fails)
            }
            Self::Not(condition) => condition.holds(rows, row).map(|holds| !holds),
            Self::Compare(one, "<=>", other) => Some(match (one.value(rows, row), other.value(rows, row)) {
                (Some(one), Some(other)) => compare(one, other).is_eq(),
                (one, other) => one == other,
            }),
            Self::Compare(one, operator, other) => {
                let ordering = compare(one.value(rows, row)?, other.value(rows, row)?);
                Some(match *operator {
                    "=" => ordering.is_eq(),
                    "<" => ordering.is_lt(),
                    "<=" => ordering.is_le(),
                    ">" => ordering.is_gt(),
                    ">=" => ordering.is_ge(),
                    _ => ordering.is_ne(),
                })
            }
            Self::Like(operand, pattern) => Some(is_like(operand.value(rows, row)?, pattern.value(rows, row)?)),
            Self::In(operand, list) => {
                let value = operand.value(rows, row)?;
                any(list.iter().map(|item| Some(compare(value, item.value(rows, row)?).is_eq())))
            }
            Self::IsNull(operand) => Some(operand.value(rows, row).is_none()),
        }
    }
}

impl Operand {
    fn parse(words: &mut Words) -> Result<Self, String> {
        let known = |text: &str| Self::Literal(Some(text.to_owned()));
        let operand = match words.first() {
            Some(Token::Text(text) | Token::Number(text)) => known(text),
            Some(Token::Word(word)) if word.eq_ignore_ascii_case("NULL") => Self::Literal(None),
            // As the cells have them.
            Some(Token::Word(word)) if word.eq_ignore_ascii_case("TRUE") => known("1"),
            Some(Token::Word(word)) if word.eq_ignore_ascii_case("FALSE") => known("0"),
            Some(Token::Word(word)) if word.parse::<f64>().is_ok() => known(word),
            Some(Token::Word(word)) => Self::Column(word.clone()),
            Some(Token::Name(name)) => Self::Column(name.clone()),
            _ => return Err(words.unexpected("a column or a value")),
        };
        words.advance();
        Ok(operand)
    }

    fn check(&self, rows: &Rows) -> Result<(), String> {
        match self {
            Self::Column(name) => rows.place(name).map(drop),
            Self::Literal(_) => Ok(()),
        }
    }

    fn value<'v>(&'v self, rows: &Rows, row: &'v [Option<String>]) -> Option<&'v str> {
        match self {
            Self::Column(name) => rows.place(name).ok().and_then(|place| row.get(place)?.as_deref()),
            Self::Literal(value) => value.as_deref(),
        }
    }
}

/// `OR`, of three values.
fn any(each: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut holds = Some(false);
    for one in each {
        match one {
            Some(true) => return one,
            Some(false) => {}
            None => holds = None,
        }
    }
    holds
}

/// One condition needs no list.
fn single(mut conditions: Vec<Condition>, list: fn(Vec<Condition>) -> Condition) -> Condition {
    match conditions.pop() {
        Some(only) if conditions.is_empty() => only,
        last => {
            conditions.extend(last);
            list(conditions)
        }
    }
}

/// Numbers by their value, all else as text regardless of case.
pub(super) fn compare(one: &str, other: &str) -> Ordering {
    match (one.parse::<f64>(), other.parse::<f64>()) {
        (Ok(one), Ok(other)) => one.total_cmp(&other),
        _ => one.to_lowercase().cmp(&other.to_lowercase()),
    }
}
