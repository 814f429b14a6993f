//! Words of a statement of the console.

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// A keyword or a name, perhaps with a qualifier: `id`, `t.id`, `db-1`.
    Word(String),
    /// A name in backticks.
    Name(String),
    /// A literal in quotes.
    Text(String),
    /// A literal without.
    Number(String),
    /// An operator, a bracket, a comma.
    Symbol(&'static str),
}

/// The longer ones first.
const SYMBOLS: [&str; 13] = ["<=>", "<>", "!=", "<=", ">=", "=", "<", ">", "(", ")", ",", "*", ";"];

impl Token {
    /// Whether it is this keyword.
    pub(super) fn is(&self, keyword: &str) -> bool {
        matches!(self, Self::Word(word) if word.eq_ignore_ascii_case(keyword))
    }

    /// As the statement has it, for error messages.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Word(text) | Self::Name(text) | Self::Text(text) | Self::Number(text) => text,
            Self::Symbol(text) => text,
        }
    }
}

/// Cuts a statement into words. The error says where that fails.
pub(super) fn tokens(sql: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = sql.trim_start();
    let mut is_adjacent = false;
    while let Some(first) = rest.chars().next() {
        let (token, after) = match first {
            '\'' | '"' | '`' => quoted(rest, first)?,
            _ if is_of_word(first) => {
                let end = rest.find(|character| !is_of_word(character)).unwrap_or(rest.len());
                let (word, after) = rest.split_at(end);
                let token = if word.parse::<f64>().is_ok() && first.is_ascii_digit() {
                    Token::Number(word.to_owned())
                } else {
                    Token::Word(word.to_owned())
                };
                (token, after)
            }
            _ => {
                let symbol = SYMBOLS.into_iter().find(|symbol| rest.starts_with(symbol));
                let symbol = symbol.ok_or_else(|| format!("{first:?} is not understood here"))?;
                (Token::Symbol(symbol), rest.get(symbol.len()..).unwrap_or_default())
            }
        };
        match (tokens.last_mut(), token) {
            // `schema`.`table`
            (Some(Token::Word(name) | Token::Name(name)), Token::Word(more) | Token::Name(more))
                if is_adjacent && (name.ends_with('.') || more.starts_with('.')) =>
            {
                name.push_str(&more);
            }
            (_, token) => tokens.push(token),
        }
        rest = after.trim_start();
        is_adjacent = rest.len() == after.len();
    }
    Ok(tokens)
}

fn is_of_word(character: char) -> bool {
    character.is_alphanumeric() || "_$.@-:+".contains(character)
}

/// What is in quotes: a backslash or a second quote protects a quote. Before any other character, a backslash stays, since it may be one of `LIKE`.
fn quoted(text: &str, quote: char) -> Result<(Token, &str), String> {
    let mut content = String::new();
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((_, character)) = characters.next() {
        match (character, characters.peek().copied()) {
            ('\\', Some((_, next))) if quote != '`' && (next == '\\' || next == quote) => {
                content.push(next);
                characters.next();
            }
            (_, Some((_, next))) if character == quote && next == quote => {
                content.push(quote);
                characters.next();
            }
            (_, next) if character == quote => {
                let after = next.map_or("", |(place, _)| text.get(place..).unwrap_or_default());
                return Ok((if quote == '`' { Token::Name(content) } else { Token::Text(content) }, after));
            }
            _ => content.push(character),
        }
    }
    Err(format!("a {quote} is not closed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_cut_into_words() {
        let check = |sql: &str, expected: &[Token]| assert_eq!(tokens(sql).as_deref(), Ok(expected), "{sql}");
        let word = |text: &str| Token::Word(text.to_owned());
        let text = |text: &str| Token::Text(text.to_owned());
        let number = |text: &str| Token::Number(text.to_owned());
        check("SELECT a.b", &[word("SELECT"), word("a.b")]);
        check("x<=10", &[word("x"), Token::Symbol("<="), number("10")]);
        check("'it''s' \"a\\\"b\" 'a\\_%'", &[text("it's"), text("a\"b"), text("a\\_%")]);
        check("`odd name`=-1", &[Token::Name("odd name".to_owned()), Token::Symbol("="), word("-1")]);
        check("`s`.`t` a.`b` c .d", &[Token::Name("s.t".to_owned()), word("a.b"), word("c"), word(".d")]);
        check("'ä'ö", &[text("ä"), word("ö")]);
        for bad in ["'open", "a & b", "`", "\"a\\\""] {
            assert!(tokens(bad).is_err(), "{bad}");
        }
    }
}
