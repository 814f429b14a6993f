//! The API's JSON as rows.

use serde_json::Value;

use super::query::unqualified;

/// A result: the names of its columns, and its rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rows {
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<Vec<Option<String>>>,
}

impl Rows {
    /// One row for each object, with these keys as columns.
    pub(super) fn of_objects(columns: Vec<String>, objects: &[Value]) -> Self {
        let row = |object: &Value| columns.iter().map(|key| object.get(key).and_then(text)).collect();
        let rows = objects.iter().map(row).collect();
        Self { columns, rows }
    }

    /// One row for each key of an object.
    pub(super) fn of_pairs(object: &Value) -> Self {
        let pairs = object.as_object().into_iter().flatten();
        Self::new(&["name", "value"], pairs.map(|(key, value)| vec![Some(key.clone()), text(value)]).collect())
    }

    pub(super) fn new(columns: &[&str], rows: Vec<Vec<Option<String>>>) -> Self {
        Self { columns: columns.iter().map(|name| (*name).to_owned()).collect(), rows }
    }

    /// Only the rows of which a cell fits the pattern.
    #[must_use]
    pub(super) fn like(mut self, pattern: &str) -> Self {
        self.rows.retain(|row| row.iter().flatten().any(|cell| is_like(cell, pattern)));
        self
    }

    /// Where a column is, whatever table and case its name has.
    pub(super) fn place(&self, name: &str) -> Result<usize, String> {
        let place = self.columns.iter().position(|column| column.eq_ignore_ascii_case(unqualified(name)));
        place.ok_or_else(|| format!("there is no column {name:?}; there are {}", self.columns.join(", ")))
    }
}

/// Lists and objects as JSON.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Bool(is_true) => Some(u8::from(*is_true).to_string()),
        other => Some(other.to_string()),
    }
}

/// SQL's LIKE, regardless of case: `%` is any text, `_` any character, and a backslash takes their meaning from them.
pub(super) fn is_like(text: &str, pattern: &str) -> bool {
    let text: Vec<char> = text.to_lowercase().chars().collect();
    let pattern = wildcards(pattern);
    // Where to go on if the last `%` has to take one character more.
    let (mut at, mut of, mut retry) = (0, 0, None);
    while let Some(character) = text.get(at) {
        match pattern.get(of) {
            Some(Wildcard::AnyText) => {
                retry = Some((at, of));
                of += 1;
            }
            Some(Wildcard::AnyCharacter) => (at, of) = (at + 1, of + 1),
            Some(Wildcard::Just(wanted)) if wanted == character => (at, of) = (at + 1, of + 1),
            _ => {
                let Some((from, percent)) = retry else { return false };
                retry = Some((from + 1, percent));
                (at, of) = (from + 1, percent + 1);
            }
        }
    }
    pattern.iter().skip(of).all(|wanted| *wanted == Wildcard::AnyText)
}

#[derive(Debug, PartialEq, Eq)]
enum Wildcard {
    AnyText,
    AnyCharacter,
    Just(char),
}

fn wildcards(pattern: &str) -> Vec<Wildcard> {
    let lower = pattern.to_lowercase();
    let mut characters = lower.chars();
    let mut wildcards = Vec::new();
    while let Some(character) = characters.next() {
        wildcards.push(match character {
            '%' => Wildcard::AnyText,
            '_' => Wildcard::AnyCharacter,
            '\\' => Wildcard::Just(characters.next().unwrap_or('\\')),
            other => Wildcard::Just(other),
        });
    }
    wildcards
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn like_is_that_of_sql() {
        let check = |text: &str, pattern: &str, expected| assert_eq!(is_like(text, pattern), expected, "{text} LIKE {pattern}");
        check("pointsman_clients", "pointsman%", true);
        check("pointsman_clients", "%CLIENTS", true);
        check("pointsman_clients", "%s%s%", true);
        check("pointsman_clients", "%x%", false);
        check("abc", "a_c", true);
        check("abc", "a_", false);
        check("", "%", true);
        check("", "_", false);
        check("abcabd", "%abd", true);
        check("a_c", "a\\_c", true);
        check("abc", "a\\_c", false);
        check("50%", "%\\%", true);
        check("a\\", "a\\", true);
    }

    #[test]
    fn objects_become_rows_under_the_names_of_their_keys() {
        let columns = ["a", "b", "c"].map(str::to_owned).to_vec();
        let rows =
            Rows::of_objects(columns, &[json!({ "a": 1, "b": null, "c": true }), json!({ "a": "x", "b": [1], "c": false })]);
        let cell = |text: &str| Some(text.to_owned());
        assert_eq!(rows.columns, ["a", "b", "c"]);
        assert_eq!(rows.rows, [vec![cell("1"), None, cell("1")], vec![cell("x"), cell("[1]"), cell("0")]]);
        assert_eq!(rows.like("X").rows.len(), 1);
    }
}
