//! What a statement of the console asks for: a request of the HTTP API, or an answer that drivers want at their start.

use serde_json::{Value, json};

use super::rows::Rows;

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    /// Ask the API.
    Ask(Question),
    /// It changes nothing here.
    Ok,
    /// The answer is known.
    Rows(Rows),
    /// It is no statement of the console.
    Unknown(String),
}

/// A request of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) path: String,
    /// For something that is to be done. `None` for a question.
    pub(super) body: Option<Value>,
    pub(super) shape: Shape,
    /// Only the rows that fit.
    pub(super) like: Option<String>,
}

/// How the answer becomes rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// A list of objects.
    List,
    /// The servers of a status.
    Servers,
    /// What a status says besides them.
    Findings,
    /// The text of the metrics.
    Metrics,
    /// What was done, in words.
    Done,
}

/// Every statement, with what it does.
const HELP: &[(&str, &str)] = &[
    ("SHOW SERVERS [LIKE '..']", "roles, conditions, positions"),
    ("SHOW SESSIONS [LIKE '..']", "clients: what they do, and what keeps them on one server"),
    ("SHOW POOLS", "connections to each server"),
    ("SHOW DIGESTS [LIKE '..'] [LIMIT n]", "statements by digest, account, schema and server; those that took most time first"),
    ("SHOW FINDINGS", "what is the matter, and what is missing for a promotion without loss"),
    ("SHOW JOURNAL [LIMIT n]", "the last findings, decisions and steps"),
    ("SHOW METRICS [LIKE '..']", "what /metrics has"),
    ("SET SERVER name WEIGHT = n, STATE = 'drain'", "change its share of the reads; or only one of the two"),
    ("SWITCHOVER [TO name]", "make another server the primary"),
    ("KILL [QUERY] n", "stop a session, or its statement"),
    ("RESET DIGESTS", "begin the statistics of digests anew"),
    ("RELOAD", "read the configuration file again"),
];

/// Reads a statement.
pub(super) fn parse(sql: &str) -> Command {
    let sql = without_comment(sql.trim()).trim_end_matches([';', ' ', '\t', '\r', '\n']).trim_start();
    let words: Vec<&str> = sql.split_whitespace().collect();
    let upper: Vec<String> = words.iter().map(|word| word.to_ascii_uppercase()).collect();
    let upper: Vec<&str> = upper.iter().map(String::as_str).collect();
    let unknown = || Command::Unknown(format!("{sql:?} is no statement of the console; HELP lists them all"));
    match upper.as_slice() {
        ["HELP" | "\\H" | "?"] => help(),
        ["SHOW", what, ..] => show(what, words.get(2..).unwrap_or_default()).unwrap_or_else(unknown),
        ["SWITCHOVER"] => done("/api/switchover", json!({})),
        ["SWITCHOVER", "TO", _] => done("/api/switchover", json!({ "to": words.get(2).map(|name| unquoted(name)) })),
        ["KILL", number] | ["KILL", "CONNECTION", number] => kill(number, false).unwrap_or_else(unknown),
        ["KILL", "QUERY", number] => kill(number, true).unwrap_or_else(unknown),
        ["RESET", "DIGESTS"] => done("/api/digests/reset", json!({})),
        ["RELOAD"] => done("/api/reload", json!({})),
        ["SET", "SERVER", _, _, ..] => set_server(sql).unwrap_or_else(unknown),
        // Drivers begin and reset their sessions so.
        ["SET" | "BEGIN" | "START" | "COMMIT" | "ROLLBACK" | "USE", ..] => Command::Ok,
        ["SELECT", ..] => select(sql).unwrap_or_else(unknown),
        _ => unknown(),
    }
}

/// Without one at the beginning, as drivers send before what they ask by themselves.
fn without_comment(sql: &str) -> &str {
    match sql.strip_prefix("/*").and_then(|rest| rest.split_once("*/")) {
        Some((_, rest)) => without_comment(rest.trim_start()),
        None => sql,
    }
}

fn help() -> Command {
    let row = |(statement, what): &(&str, &str)| vec![Some((*statement).to_owned()), Some((*what).to_owned())];
    Command::Rows(Rows::new(&["statement", "what_it_does"], HELP.iter().map(row).collect()))
}

fn show(what: &str, rest: &[&str]) -> Option<Command> {
    let (like, limit) = filters(rest)?;
    let limited = |path: &str, key: &str| limit.map_or_else(|| path.to_owned(), |limit| format!("{path}?{key}={limit}"));
    let (path, shape) = match what {
        "SERVERS" => ("/api/status".to_owned(), Shape::Servers),
        "FINDINGS" => ("/api/status".to_owned(), Shape::Findings),
        "SESSIONS" | "PROCESSLIST" => ("/api/sessions".to_owned(), Shape::List),
        "POOLS" => ("/api/pools".to_owned(), Shape::List),
        "DIGESTS" => (limited("/api/digests", "limit"), Shape::List),
        "JOURNAL" => (limited("/api/journal", "last"), Shape::List),
        "METRICS" => ("/metrics".to_owned(), Shape::Metrics),
        "DATABASES" | "SCHEMAS" | "TABLES" | "WARNINGS" | "ERRORS" | "VARIABLES" | "STATUS" => {
            return Some(Command::Rows(Rows::new(&["name", "value"], Vec::new())));
        }
        _ => return None,
    };
    Some(Command::Ask(Question { path, body: None, shape, like }))
}

/// `LIKE '..'` and `LIMIT n`, in this order.
fn filters(rest: &[&str]) -> Option<(Option<String>, Option<u32>)> {
    match rest {
        [] => Some((None, None)),
        [like, pattern, rest @ ..] if like.eq_ignore_ascii_case("LIKE") => {
            let (_, limit) = filters(rest).filter(|(another, _)| another.is_none())?;
            Some((Some(unquoted(pattern)), limit))
        }
        [limit, number] if limit.eq_ignore_ascii_case("LIMIT") => Some((None, Some(number.parse().ok()?))),
        _ => None,
    }
}

/// `SET SERVER name WEIGHT = n, STATE = 's'`.
fn set_server(sql: &str) -> Option<Command> {
    let spaced = sql.replace(['=', ','], " ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let [_, _, name, changes @ ..] = words.as_slice() else { return None };
    let name = unquoted(name);
    // It becomes a part of a path.
    if name.is_empty() || !name.chars().all(|character| character.is_ascii_alphanumeric() || "-_.".contains(character)) {
        return None;
    }
    let mut body = serde_json::Map::new();
    for change in changes.chunks(2) {
        let (key, value) = match change {
            [key, value] if key.eq_ignore_ascii_case("WEIGHT") => ("weight", json!(value.parse::<u32>().ok()?)),
            [key, value] if key.eq_ignore_ascii_case("STATE") => ("state", json!(unquoted(value).to_ascii_lowercase())),
            _ => return None,
        };
        if body.insert(key.to_owned(), value).is_some() {
            return None;
        }
    }
    Some(done(&format!("/api/servers/{name}"), Value::Object(body)))
}

fn kill(number: &str, only_statement: bool) -> Option<Command> {
    let session: u32 = number.parse().ok()?;
    Some(done("/api/kill", json!({ "session": session, "only_statement": only_statement })))
}

fn done(path: &str, body: Value) -> Command {
    Command::Ask(Question { path: path.to_owned(), body: Some(body), shape: Shape::Done, like: None })
}

fn unquoted(word: &str) -> String {
    word.trim_matches(['\'', '"', '`']).to_owned()
}

/// `SELECT` without a table: what drivers and pools ask before anything else. Variables that do not exist here are NULL. All else is unknown: MySQL's
/// command line sends `select $$`, and must get an error.
fn select(sql: &str) -> Option<Command> {
    let list = sql.get("SELECT".len()..)?.trim();
    let list = list.to_ascii_uppercase().find(" LIMIT ").map_or(list, |end| list.get(..end).unwrap_or(list));
    if list.to_ascii_uppercase().split_whitespace().any(|word| word == "FROM") {
        return None;
    }
    let items = list.split(',').map(item).collect::<Option<Vec<(String, Option<String>)>>>()?;
    let columns: Vec<&str> = items.iter().map(|(name, _)| name.as_str()).collect();
    Some(Command::Rows(Rows::new(&columns, vec![items.iter().map(|(_, value)| value.clone()).collect()])))
}

/// The name of a column, and its value.
fn item(text: &str) -> Option<(String, Option<String>)> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (expression, name) = match words.as_slice() {
        [expression, middle @ .., name] if middle.iter().all(|word| word.eq_ignore_ascii_case("AS")) => (*expression, *name),
        [expression, ..] => (*expression, text.trim()),
        [] => return None,
    };
    Some((unquoted(name), value(expression).ok()?))
}

/// What is not known here.
struct NotKnown;

/// `None` is NULL.
fn value(expression: &str) -> Result<Option<String>, NotKnown> {
    let variable = expression.to_ascii_lowercase();
    let variable = variable.strip_prefix("@@").map(|name| name.trim_start_matches("session.").trim_start_matches("global."));
    let known = |text: &str| Ok(Some(text.to_owned()));
    match (variable, expression.to_ascii_uppercase().as_str()) {
        (Some("version_comment"), _) => known("Pointsman's console: HELP"),
        (Some("max_allowed_packet"), _) => known("65536"),
        (Some("wait_timeout" | "interactive_timeout"), _) => known("3600"),
        (Some("autocommit"), _) => known("1"),
        (Some("sql_mode"), _) => known(""),
        (Some(_), _) | (None, "DATABASE()" | "SCHEMA()" | "NULL") => Ok(None),
        (None, "VERSION()") => known(super::login::VERSION),
        (None, "USER()" | "CURRENT_USER()" | "CURRENT_USER") => known("admin"),
        (None, _) if expression.starts_with(['\'', '"']) => known(&unquoted(expression)),
        (None, _) if expression.parse::<f64>().is_ok() => known(expression),
        (None, _) => Err(NotKnown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(path: &str, shape: Shape, like: Option<&str>) -> Command {
        Command::Ask(Question { path: path.to_owned(), body: None, shape, like: like.map(str::to_owned) })
    }

    #[test]
    fn statements_become_requests() {
        let check = |sql: &str, expected: Command| assert_eq!(parse(sql), expected, "{sql}");
        check("SHOW SERVERS", ask("/api/status", Shape::Servers, None));
        check("show  servers like 'db%' ;", ask("/api/status", Shape::Servers, Some("db%")));
        check("/* ApplicationName=x */ SHOW SESSIONS;", ask("/api/sessions", Shape::List, None));
        check("SHOW DIGESTS LIMIT 5", ask("/api/digests?limit=5", Shape::List, None));
        check("SHOW DIGESTS LIKE '%t1%' LIMIT 5", ask("/api/digests?limit=5", Shape::List, Some("%t1%")));
        check("SHOW METRICS LIKE \"%clients%\"", ask("/metrics", Shape::Metrics, Some("%clients%")));
        check("SWITCHOVER", done("/api/switchover", json!({})));
        check("switchover to `db2`;", done("/api/switchover", json!({ "to": "db2" })));
        check("KILL 7", done("/api/kill", json!({ "session": 7, "only_statement": false })));
        check("KILL QUERY 7", done("/api/kill", json!({ "session": 7, "only_statement": true })));
        check("RESET DIGESTS", done("/api/digests/reset", json!({})));
        check("RELOAD", done("/api/reload", json!({})));
        check("SET NAMES utf8mb4", Command::Ok);
        check("SET SERVER db2 WEIGHT = 3", done("/api/servers/db2", json!({ "weight": 3 })));
        check("set server 'db-2' state='DRAIN', weight=0", done("/api/servers/db-2", json!({ "weight": 0, "state": "drain" })));
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for sql in [
            "",
            ";",
            "DROP TABLE t",
            "SHOW",
            "SHOW SECRETS",
            "SHOW SERVERS LIKE",
            "SHOW DIGESTS LIMIT x",
            "SHOW SERVERS WHERE 1",
            "KILL x",
            "KILL -1",
            "KILL 99999999999",
            "SWITCHOVER db2",
            "SELECT * FROM mysql.user",
            "SELECT $$",
            "SELECT",
            "SELECT NOW()",
            "/* /* */",
            "INSERT INTO t VALUES (1)",
            "SHOW DIGESTS LIKE 'a' LIKE 'b'",
            "SET SERVER db2 WEIGHT",
            "SET SERVER db2 WEIGHT = -1",
            "SET SERVER ../status STATE = 'drain'",
            "SET SERVER db2 WEIGHT = 1, WEIGHT = 2",
            "SET SERVER db2 COLOUR = 1",
        ] {
            assert!(matches!(parse(sql), Command::Unknown(_)), "{sql}");
        }
    }

    #[test]
    fn what_drivers_ask_first_is_answered() {
        let check = |sql: &str, columns: &[&str], values: &[Option<&str>]| {
            let row = values.iter().map(|value| value.map(str::to_owned)).collect();
            assert_eq!(parse(sql), Command::Rows(Rows::new(columns, vec![row])), "{sql}");
        };
        check("SELECT 1", &["1"], &[Some("1")]);
        check(
            "select @@max_allowed_packet, @@wait_timeout",
            &["@@max_allowed_packet", "@@wait_timeout"],
            &[Some("65536"), Some("3600")],
        );
        check("SELECT @@version_comment LIMIT 1", &["@@version_comment"], &[Some("Pointsman's console: HELP")]);
        check("SELECT @@session.autocommit AS a, 'x' y", &["a", "y"], &[Some("1"), Some("x")]);
        check("SELECT DATABASE(), USER()", &["DATABASE()", "USER()"], &[None, Some("admin")]);
    }
}
