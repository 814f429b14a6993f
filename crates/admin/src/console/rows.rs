//! The API's JSON as rows.

use serde_json::Value;

/// A result: the names of its columns, and its rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rows {
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<Vec<Option<String>>>,
}

impl Rows {
    /// One row for each object, with the keys of the first as columns.
    pub(super) fn of_objects(objects: &[Value]) -> Self {
        let Some(Value::Object(first)) = objects.first() else {
            return Self { columns: vec!["nothing".to_owned()], rows: Vec::new() };
        };
        let columns: Vec<String> = first.keys().cloned().collect();
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

    /// Only the rows of which a column fits the pattern.
    #[must_use]
    pub(super) fn like(mut self, pattern: Option<&str>) -> Self {
        if let Some(pattern) = pattern {
            self.rows.retain(|row| row.iter().flatten().any(|cell| is_like(cell, pattern)));
        }
        self
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

/// SQL's LIKE, regardless of case: `%` is any text, `_` any character.
fn is_like(text: &str, pattern: &str) -> bool {
    let (text, pattern): (Vec<char>, Vec<char>) =
        (text.to_lowercase().chars().collect(), pattern.to_lowercase().chars().collect());
    // Where to go on if the last `%` has to take one character more.
    let (mut at, mut of, mut retry) = (0, 0, None);
    while let Some(character) = text.get(at) {
        match pattern.get(of) {
            Some('%') => {
                retry = Some((at, of));
                of += 1;
            }
            Some(wanted) if *wanted == '_' || wanted == character => {
                at += 1;
                of += 1;
            }
            _ => {
                let Some((from, percent)) = retry else { return false };
                retry = Some((from + 1, percent));
                (at, of) = (from + 1, percent + 1);
            }
        }
    }
    pattern.iter().skip(of).all(|wanted| *wanted == '%')
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
    }

    #[test]
    fn objects_become_rows_under_the_names_of_their_keys() {
        let rows = Rows::of_objects(&[json!({ "a": 1, "b": null, "c": true }), json!({ "a": "x", "b": [1], "c": false })]);
        let cell = |text: &str| Some(text.to_owned());
        assert_eq!(rows.columns, ["a", "b", "c"]);
        assert_eq!(rows.rows, [vec![cell("1"), None, cell("1")], vec![cell("x"), cell("[1]"), cell("0")]]);
        assert_eq!(rows.like(Some("X")).rows.len(), 1);
    }
}
