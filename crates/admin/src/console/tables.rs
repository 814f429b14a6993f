//! The tables of the console: what the API lists, under the names of its keys.

use serde_json::Value;

use crate::api::schema;

/// One of them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) path: &'static str,
    /// How the answer becomes rows.
    pub(super) shape: Shape,
    /// The parameter of the path that bounds the number of rows, and a number that bounds nothing.
    pub(super) limit: Option<(&'static str, usize)>,
}

/// How an answer of the API becomes rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// A list of objects of this schema of `openapi.json`.
    List(&'static str),
    /// Such a list under a key.
    ListAt(&'static str, &'static str),
    /// What a status says besides the servers.
    Findings,
    /// The text of the metrics.
    Metrics,
    /// What was done, in words.
    Done,
}

/// All of them.
pub(super) const TABLES: [Table; 11] = [
    Table { name: "servers", path: "/api/status", shape: Shape::ListAt("servers", "Server"), limit: None },
    Table { name: "sessions", path: "/api/sessions", shape: Shape::List("Session"), limit: None },
    Table { name: "pools", path: "/api/pools", shape: Shape::List("Pool"), limit: None },
    Table { name: "ejections", path: "/api/ejections", shape: Shape::List("Ejection"), limit: None },
    Table { name: "digests", path: "/api/digests", shape: Shape::List("Digest"), limit: Some(("limit", usize::MAX)) },
    Table { name: "findings", path: "/api/status", shape: Shape::Findings, limit: None },
    Table { name: "doctor", path: "/api/doctor", shape: Shape::ListAt("missing", "Missing"), limit: None },
    Table { name: "journal", path: "/api/journal", shape: Shape::List("JournalEntry"), limit: Some(("last", usize::MAX)) },
    Table { name: "metrics", path: "/metrics", shape: Shape::Metrics, limit: None },
    Table { name: "rules", path: "/api/rules", shape: Shape::List("Rule"), limit: None },
    Table { name: "settings", path: "/api/settings", shape: Shape::List("Setting"), limit: None },
];

/// By these names rows are told apart, so they come first.
const LEADING: [&str; 6] = ["at", "event", "id", "name", "server", "digest"];

/// The table of that name, perhaps with [`SCHEMA`](super::catalogue::SCHEMA) before it.
pub(super) fn named(name: &str) -> Result<&'static Table, String> {
    let (schema, own) = name.rsplit_once('.').map_or((None, name), |(schema, own)| (Some(schema), own));
    let is_ours = schema.is_none_or(|schema| schema.trim_matches('`').eq_ignore_ascii_case(super::catalogue::SCHEMA));
    let found = TABLES.iter().find(|table| is_ours && table.name.eq_ignore_ascii_case(own.trim_matches('`')));
    found.ok_or_else(|| format!("there is no table {name:?}; there are {}", TABLES.map(|table| table.name).join(", ")))
}

impl Table {
    /// The names of its columns.
    pub(super) fn columns(&self) -> Vec<String> {
        self.shape.columns()
    }
}

impl Shape {
    pub(super) fn columns(self) -> Vec<String> {
        match self {
            Self::List(name) | Self::ListAt(_, name) => {
                let mut columns = properties(schema(name));
                columns.sort_by_key(|column| LEADING.iter().position(|leading| leading == column).unwrap_or(LEADING.len()));
                columns
            }
            Self::Findings | Self::Metrics => vec!["name".to_owned(), "value".to_owned()],
            Self::Done => vec!["result".to_owned()],
        }
    }
}

/// Those of a kind of object; of several kinds, those of all.
fn properties(of: &Value) -> Vec<String> {
    let mut names = Vec::new();
    let kinds = of.get("oneOf").and_then(Value::as_array);
    let referred = |kind: &Value| kind.get("$ref")?.as_str()?.rsplit('/').next().map(schema);
    for kind in kinds.into_iter().flatten().filter_map(referred).chain([of]) {
        for name in kind.get("properties").and_then(Value::as_object).into_iter().flatten().map(|(name, _)| name) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_table_has_columns_even_while_it_is_empty() {
        for table in &TABLES {
            assert!(table.columns().len() >= 2, "{}: {:?}", table.name, table.columns());
        }
        let columns = |name: &str| named(name).expect("a table").columns();
        assert_eq!(columns("SERVERS").first().map(String::as_str), Some("name"));
        assert_eq!(columns("pointsman.sessions")[..2], ["id", "server"]);
        assert_eq!(columns("journal")[..2], ["at", "event"]);
        assert!(columns("journal").contains(&"took_ms".to_owned()) && columns("journal").contains(&"evidence".to_owned()));
        assert!(named("mysql.servers").is_err() && named("users").is_err());
    }
}
