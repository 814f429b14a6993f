//! What a statement of the console asks for: a request of the HTTP API, or an answer that drivers want at their start.

use serde_json::{Value, json};

use super::catalogue;
use super::query::Query;
use super::rows::Rows;
use super::tables::{Shape, Table, named};

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    /// Ask the API.
    Ask(Box<Question>),
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
    /// What is wanted of the rows.
    pub(super) query: Query,
}

/// Every statement, with what it does.
const HELP: &[(&str, &str)] = &[
    ("SHOW SERVERS", "roles, conditions, positions"),
    ("SHOW SESSIONS", "clients: what they do, and what keeps them on one server"),
    ("SHOW POOLS", "connections to each server"),
    ("SHOW EJECTIONS", "servers that get no reads at present, as they are outliers, and how often each was ejected"),
    ("SHOW DIGESTS", "statements by digest, account, schema and server; those that took most time first"),
    ("SHOW RULES", "the rules in their order, with how many statements they matched"),
    ("SHOW SETTINGS", "the configuration in force, and where each value is from; never a secret"),
    ("SHOW FINDINGS", "what is the matter, and what is missing for a promotion without loss"),
    ("DOCTOR", "what the servers' settings lack, with the statement that repairs it, and its cost"),
    ("SHOW JOURNAL", "the last findings, decisions and steps"),
    ("SHOW METRICS", "what /metrics has"),
    (
        "SHOW .. [LIKE '..' | WHERE ..] [ORDER BY ..] [LIMIT n]",
        "only some of the rows: those with a cell that fits, or for which a condition holds",
    ),
    (
        "SELECT .. FROM servers | sessions | .. [WHERE ..] [ORDER BY ..] [LIMIT n]",
        "the same lists as tables; SHOW TABLES names them",
    ),
    (
        "EXPLAIN ROUTE [USER 'u'] [SCHEMA 's'] [ADDRESS 'a'] statement",
        "where the statement would run, and why, for a session that has just logged in",
    ),
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
    let unknown = || Command::Unknown(format!("{} is no statement of the console; HELP lists them all", cut(sql)));
    match upper.as_slice() {
        ["HELP" | "\\H" | "?"] => help(),
        ["SHOW", ..] => show(sql, words.get(1..).unwrap_or_default()).unwrap_or_else(unknown),
        ["DOCTOR"] => named("doctor").map_or_else(Command::Unknown, |table| of_table(table, Query::default())),
        ["EXPLAIN", "ROUTE", ..] => explain(sql).unwrap_or_else(unknown),
        ["DESCRIBE" | "DESC" | "EXPLAIN", _] => {
            let columns = words.get(1).and_then(|table| catalogue::columns(table));
            columns.map_or_else(unknown, Command::Rows)
        }
        ["SWITCHOVER"] => done("/api/switchover", json!({})),
        ["SWITCHOVER", "TO", _] => done("/api/switchover", json!({ "to": words.get(2).map(|name| unquoted(name)) })),
        ["KILL", number] | ["KILL", "CONNECTION", number] => kill(number, false).unwrap_or_else(unknown),
        ["KILL", "QUERY", number] => kill(number, true).unwrap_or_else(unknown),
        ["RESET", "DIGESTS"] => done("/api/digests/reset", json!({})),
        ["RELOAD"] => done("/api/reload", json!({})),
        ["SET", "SERVER", _, _, ..] => set_server(sql).unwrap_or_else(unknown),
        // Drivers begin and reset their sessions so.
        ["SET" | "BEGIN" | "START" | "COMMIT" | "ROLLBACK" | "USE", ..] => Command::Ok,
        ["SELECT", middle @ ..] if middle.contains(&"FROM") => select_from(sql),
        ["SELECT", ..] => select(sql).unwrap_or_else(unknown),
        _ => unknown(),
    }
}

/// As much of it as an error message should have.
fn cut(sql: &str) -> String {
    const SHOWN: usize = 200;
    let cut: String = sql.chars().take(SHOWN).collect();
    if cut.len() < sql.len() { format!("{cut:?}..") } else { format!("{cut:?}") }
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

/// A list of our own, or one that clients ask any server for. `None`: neither.
fn show(sql: &str, words: &[&str]) -> Option<Command> {
    let what = match words {
        [full, what, ..] if full.eq_ignore_ascii_case("FULL") && what.eq_ignore_ascii_case("PROCESSLIST") => *what,
        [what, ..] => *what,
        [] => return None,
    };
    let table = if what.eq_ignore_ascii_case("PROCESSLIST") { "sessions" } else { what };
    let Ok(table) = named(table) else { return catalogue::show(words).map(Command::Rows) };
    let end = sql.find(what)?.checked_add(what.len())?;
    let query = Query::show(sql.get(end..)?);
    Some(query.map_or_else(Command::Unknown, |query| of_table(table, query)))
}

fn select_from(sql: &str) -> Command {
    match Query::select(sql).and_then(|(table, query)| Ok((named(&table)?, query))) {
        Ok((table, query)) => of_table(table, query),
        Err(why) => Command::Unknown(why),
    }
}

fn of_table(table: &Table, query: Query) -> Command {
    let path = match table.limit {
        // A condition may leave out any of the rows, so the API has to give them all.
        Some((key, all)) if query != Query::default() => format!("{}?{key}={}", table.path, query.only_limit().unwrap_or(all)),
        _ => table.path.to_owned(),
    };
    Command::Ask(Box::new(Question { path, body: None, shape: table.shape, query }))
}

/// `EXPLAIN ROUTE [USER 'u'] [SCHEMA 's'] [ADDRESS 'a'] statement`.
fn explain(sql: &str) -> Option<Command> {
    let mut rest = after_word(after_word(sql)?)?;
    let mut body = serde_json::Map::new();
    loop {
        let key = rest.split_whitespace().next()?.to_ascii_lowercase();
        if !["user", "schema", "address"].contains(&&*key) {
            break;
        }
        rest = after_word(rest)?;
        let value = unquoted(rest.split_whitespace().next()?);
        rest = after_word(rest)?;
        if body.insert(key, json!(value)).is_some() {
            return None;
        }
    }
    body.insert("sql".to_owned(), json!(rest));
    let (path, shape) = ("/api/explain".to_owned(), Shape::ListAt("steps", "Step"));
    Some(Command::Ask(Box::new(Question { path, body: Some(Value::Object(body)), shape, query: Query::default() })))
}

/// What follows the first word. `None`: nothing does.
fn after_word(text: &str) -> Option<&str> {
    text.trim_start().split_once(char::is_whitespace).map(|(_, rest)| rest.trim_start()).filter(|rest| !rest.is_empty())
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
    Command::Ask(Box::new(Question { path: path.to_owned(), body: Some(body), shape: Shape::Done, query: Query::default() }))
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
    let variable = variable.strip_prefix("@@").map(|name| name.rsplit('.').next().unwrap_or(name));
    let known = |text: &str| Ok(Some(text.to_owned()));
    match (variable, expression.to_ascii_uppercase().as_str()) {
        (Some(variable), _) => Ok(catalogue::variable(variable).map(str::to_owned)),
        (None, "NULL") => Ok(None),
        (None, "DATABASE()" | "SCHEMA()") => known(catalogue::SCHEMA),
        (None, "CONNECTION_ID()") => known("1"),
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

    fn ask(path: &str, shape: Shape, rest: &str) -> Command {
        let query = Query::show(rest).expect("a good query");
        Command::Ask(Box::new(Question { path: path.to_owned(), body: None, shape, query }))
    }

    #[test]
    fn statements_become_requests() {
        let check = |sql: &str, expected: Command| assert_eq!(parse(sql), expected, "{sql}");
        let (servers, digests) = (Shape::ListAt("servers", "Server"), Shape::List("Digest"));
        check("SHOW SERVERS", ask("/api/status", servers, ""));
        check("show  servers like 'db%' ;", ask("/api/status", servers, "LIKE 'db%'"));
        check("/* ApplicationName=x */ SHOW SESSIONS;", ask("/api/sessions", Shape::List("Session"), ""));
        check("SHOW FULL PROCESSLIST", ask("/api/sessions", Shape::List("Session"), ""));
        check("SHOW DIGESTS", ask("/api/digests", digests, ""));
        check("SHOW DIGESTS LIMIT 5", ask("/api/digests?limit=5", digests, "LIMIT 5"));
        let all = format!("/api/digests?limit={}", usize::MAX);
        check("SHOW DIGESTS LIKE '%t1%' LIMIT 5", ask(&all, digests, "LIKE '%t1%' LIMIT 5"));
        check("SELECT * FROM digests LIMIT 5", ask("/api/digests?limit=5", digests, "LIMIT 5"));
        check("SELECT * FROM pointsman.`digests` d WHERE errors > 0", ask(&all, digests, "WHERE errors > 0"));
        check("SHOW METRICS LIKE \"%clients%\"", ask("/metrics", Shape::Metrics, "LIKE '%clients%'"));
        check("DOCTOR", ask("/api/doctor", Shape::ListAt("missing", "Missing"), ""));
        check("SHOW SETTINGS LIKE 'routing.%'", ask("/api/settings", Shape::List("Setting"), "LIKE 'routing.%'"));
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
    fn a_route_is_explained_for_whoever_is_named() {
        let check = |sql: &str, body: Value| {
            let (path, shape) = ("/api/explain".to_owned(), Shape::ListAt("steps", "Step"));
            let expected = Command::Ask(Box::new(Question { path, body: Some(body), shape, query: Query::default() }));
            assert_eq!(parse(sql), expected, "{sql}");
        };
        check("EXPLAIN ROUTE SELECT 'a  b' FROM t;", json!({ "sql": "SELECT 'a  b' FROM t" }));
        check("explain  route user 'app' SCHEMA shop\n ADDRESS 10.1.2.3 DELETE FROM t", {
            json!({ "sql": "DELETE FROM t", "user": "app", "schema": "shop", "address": "10.1.2.3" })
        });
        for sql in ["EXPLAIN ROUTE", "EXPLAIN ROUTE USER", "EXPLAIN ROUTE USER app", "EXPLAIN ROUTE USER a USER b SELECT 1"] {
            assert!(matches!(parse(sql), Command::Unknown(_)), "{sql}");
        }
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
            "SELECT NOW() FROM servers",
            "SELECT * FROM information_schema.tables",
            "EXPLAIN SELECT 1",
            "DESCRIBE users",
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
        check("SELECT DATABASE(), USER()", &["DATABASE()", "USER()"], &[Some("pointsman"), Some("admin")]);
        check(
            "SELECT @@GLOBAL.character_set_server, @@no_such_variable",
            &["@@GLOBAL.character_set_server", "@@no_such_variable"],
            &[Some("utf8mb4"), None],
        );
    }
}
