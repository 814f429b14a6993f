//! What a statement leaves behind, in its session and in the data, seen by a second session.

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Row, Value};

use super::fixture::SYSTEM_SCHEMAS;
use super::missing::quote;
use super::session::Failure;
use crate::{Engine, Server};

/// What was looked at, and what was there: lists have one item per line.
pub(super) type Look = Vec<(&'static str, String)>;

/// `LAST_INSERT_ID()` of a session before its statement; no other session has this number.
const LAST_INSERT_ID: u64 = 471_147;

/// Session variables that change without anybody's doing: the time, chance, and what the statement before left.
const RESTLESS: &str = "'TIMESTAMP', 'RAND_SEED1', 'RAND_SEED2', 'WARNING_COUNT', 'ERROR_COUNT', 'STATEMENT_ID'";

/// The next `AUTO_INCREMENT` of a table. On a replica it can be another one.
pub(super) const COUNTER: &str = "counter";

/// Kinds of metadata locks that a read takes on what it reads, until its transaction ends. The last one is what MySQL takes on a
/// schema whose tables or definitions are listed.
const READING: &[&str] = &["SHARED ", "SHARED_READ ", "SHARED_HIGH_PRIO ", "INTENTION_EXCLUSIVE SCHEMA "];

/// A session that watches others, and the data.
pub(super) struct Observer {
    engine: Engine,
    conn: Conn,
    tables: Vec<String>,
    sequences: Vec<String>,
}

impl Observer {
    pub(super) async fn at(server: &Server) -> Self {
        // MariaDB has the instrument, but not switched on.
        server
            .run("UPDATE performance_schema.setup_instruments SET ENABLED = 'YES' WHERE NAME = 'wait/lock/metadata/sql/mdl'")
            .await;
        let mut conn = server.admin().await;
        conn.query_drop("SET SESSION group_concat_max_len = 64 << 20").await.expect("a session variable");
        if server.engine() == Engine::MySql {
            // Otherwise the counters in information_schema are a day old.
            conn.query_drop("SET SESSION information_schema_stats_expiry = 0").await.expect("a session variable");
        }
        Self { engine: server.engine(), conn, tables: Vec::new(), sequences: Vec::new() }
    }

    /// Who a session is in `performance_schema`. From now on its `LAST_INSERT_ID()` is one that would be missed.
    pub(super) async fn meet(&mut self, session: &mut Conn) -> u64 {
        session.query_drop(format!("SELECT LAST_INSERT_ID({LAST_INSERT_ID})")).await.expect("a number");
        let thread = format!("SELECT THREAD_ID FROM performance_schema.threads WHERE PROCESSLIST_ID = {}", session.id());
        self.conn.query_first(thread).await.expect("performance_schema answers").expect("the session has a thread")
    }

    /// The state of a session, partly as it says itself. An error where it can no longer say.
    pub(super) async fn session(&mut self, session: &mut Conn, thread: u64) -> Result<Look, Failure> {
        let thread_is = format!("THREAD_ID = {thread}");
        let variables = format!("VARIABLE_NAME NOT IN ({RESTLESS})");
        let mut outside = vec![
            (
                "user variable",
                list("VARIABLE_NAME, '=', VARIABLE_VALUE", "performance_schema.user_variables_by_thread", &thread_is),
            ),
            metadata_locks(thread),
            (
                "prepared statement",
                list("SQL_TEXT", "performance_schema.prepared_statements_instances", &format!("OWNER_{thread_is}")),
            ),
            ("schema", list("DB", "information_schema.PROCESSLIST", &format!("ID = {}", session.id()))),
        ];
        let mut inside = vec![("LAST_INSERT_ID()", "LAST_INSERT_ID()".to_owned()), ("role", "CURRENT_ROLE()".to_owned())];
        match self.engine {
            Engine::MySql => {
                outside.pop();
                outside.extend([
                    ("schema", list("PROCESSLIST_DB", "performance_schema.threads", &thread_is)),
                    (
                        "variable",
                        list(
                            "VARIABLE_NAME, '=', VARIABLE_VALUE",
                            "performance_schema.variables_by_thread",
                            &format!("{thread_is} AND {variables}"),
                        ),
                    ),
                    row_locks(thread),
                    transactions(thread),
                    // No other session makes temporary tables here.
                    ("temporary table", list("NAME", "information_schema.INNODB_TEMP_TABLE_INFO", "TRUE")),
                ]);
            }
            Engine::MariaDb => {
                let status = "VARIABLE_NAME = 'COM_CREATE_TEMPORARY_TABLE' AND VARIABLE_VALUE > 0";
                inside.extend([
                    (
                        "variable",
                        list("LOWER(VARIABLE_NAME), '=', VARIABLE_VALUE", "information_schema.SESSION_VARIABLES", &variables),
                    ),
                    in_transaction(),
                    ("temporary table", list("VARIABLE_NAME, '=', VARIABLE_VALUE", "information_schema.SESSION_STATUS", status)),
                ]);
            }
        }
        let mut look = select(&mut self.conn, &outside).await?;
        look.extend(select(session, &inside).await?);
        Ok(look)
    }

    /// What is wrong with a session that has run one read within a transaction.
    pub(super) async fn transaction(&mut self, session: &mut Conn, thread: u64) -> Vec<String> {
        let mut outside = vec![metadata_locks(thread)];
        let mut inside = vec![("nothing", "1".to_owned())];
        match self.engine {
            Engine::MySql => outside.extend([row_locks(thread), transactions(thread)]),
            Engine::MariaDb => inside.push(in_transaction()),
        }
        let mut look = select(&mut self.conn, &outside).await.unwrap_or_else(|failure| panic!("{failure}"));
        match select(session, &inside).await {
            Ok(more) => look.extend(more),
            Err(failure) => return vec![format!("in a transaction, the session no longer answers: {failure}")],
        }
        let item = |name| look.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value.as_str());
        let mut wrong = Vec::new();
        if item("transaction").is_empty() {
            wrong.push("it ends a transaction".to_owned());
        }
        for lock in item("lock").lines().filter(|lock| !READING.iter().any(|kind| lock.starts_with(kind))) {
            wrong.push(format!("in a transaction, it leaves a lock: {lock}"));
        }
        for lock in item("row lock").lines() {
            wrong.push(format!("in a transaction, it leaves a row lock: {lock}"));
        }
        if self.engine == Engine::MariaDb {
            wrong.extend(self.innodb_locks(session.id()).await);
        }
        wrong
    }

    /// From the monitor's text, since the tables about transactions are up to 0.1 s old.
    async fn innodb_locks(&mut self, connection: u32) -> Option<String> {
        let row: Option<(String, String, String)> =
            self.conn.query_first("SHOW ENGINE INNODB STATUS").await.expect("InnoDB answers");
        let (_, _, text) = row.expect("a status");
        let mut transactions = text.split("---TRANSACTION").skip(1);
        let transaction = transactions.find(|part| part.contains(&format!("thread id {connection},")))?;
        let has_more_than_none = |what: &str| {
            let count = transaction.split(what).next().and_then(|before| before.trim_end().rsplit([' ', '\n']).next());
            transaction.contains(what) && count != Some("0")
        };
        let lines = || transaction.lines().filter(|line| line.contains("lock struct")).collect::<Vec<_>>().join("; ");
        (has_more_than_none(" lock struct(s)") || transaction.contains("undo log entries"))
            .then(|| format!("in a transaction, it leaves a row lock: {}", lines()))
    }

    /// What is cheap and sure: every table's rows, and the position, which every change of a definition moves.
    pub(super) async fn data(&mut self) -> Look {
        let position = match self.engine {
            Engine::MySql => "@@global.gtid_executed",
            Engine::MariaDb => "@@global.gtid_binlog_pos",
        };
        let sequences = self.sequences.iter().map(|name| format!(", (SELECT next_not_cached_value FROM {name})"));
        let sequences = format!("CONCAT_WS('\n', ''{})", sequences.collect::<Vec<_>>().concat());
        let wanted = [("position", position.to_owned()), ("sequence", sequences)];
        let mut look = select(&mut self.conn, &wanted).await.unwrap_or_else(|failure| panic!("{failure}"));
        let rows: Vec<(String, Option<u64>)> = match self.tables.as_slice() {
            [] => Vec::new(),
            tables => self.conn.query(format!("CHECKSUM TABLE {}", tables.join(", "))).await.expect("checksums"),
        };
        let lines: Vec<String> = rows.iter().map(|(table, sum)| format!("{table} {sum:?}")).collect();
        look.push(("rows of a table", lines.join("\n")));
        look
    }

    /// All of [`Observer::data`], and all definitions.
    pub(super) async fn everything(&mut self) -> Look {
        self.list_tables().await;
        let of = |schema: &str| format!("{schema} NOT IN ({SYSTEM_SCHEMAS})");
        let wanted = [
            (
                "table",
                list(
                    "TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE, ENGINE, CREATE_OPTIONS, TABLE_COLLATION",
                    "information_schema.TABLES",
                    &of("TABLE_SCHEMA"),
                ),
            ),
            (
                COUNTER,
                list("TABLE_SCHEMA, TABLE_NAME, COALESCE(AUTO_INCREMENT, 1)", "information_schema.TABLES", &of("TABLE_SCHEMA")),
            ),
            (
                "column",
                list(
                    "TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, ORDINAL_POSITION, COLUMN_TYPE, COLUMN_DEFAULT, IS_NULLABLE, EXTRA",
                    "information_schema.COLUMNS",
                    &of("TABLE_SCHEMA"),
                ),
            ),
            (
                "index",
                list(
                    "TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX, COLUMN_NAME, NON_UNIQUE",
                    "information_schema.STATISTICS",
                    &of("TABLE_SCHEMA"),
                ),
            ),
            ("view", list("TABLE_SCHEMA, TABLE_NAME, VIEW_DEFINITION", "information_schema.VIEWS", &of("TABLE_SCHEMA"))),
            (
                "routine",
                list("ROUTINE_SCHEMA, ROUTINE_NAME, ROUTINE_DEFINITION", "information_schema.ROUTINES", &of("ROUTINE_SCHEMA")),
            ),
            (
                "trigger",
                list("TRIGGER_SCHEMA, TRIGGER_NAME, ACTION_STATEMENT", "information_schema.TRIGGERS", &of("TRIGGER_SCHEMA")),
            ),
            ("event", list("EVENT_SCHEMA, EVENT_NAME, EVENT_DEFINITION", "information_schema.EVENTS", &of("EVENT_SCHEMA"))),
            ("schema", list("SCHEMA_NAME, DEFAULT_COLLATION_NAME", "information_schema.SCHEMATA", &of("SCHEMA_NAME"))),
            ("account", list("User, Host", "mysql.user", "TRUE")),
        ];
        let mut look = select(&mut self.conn, &wanted).await.unwrap_or_else(|failure| panic!("{failure}"));
        look.extend(self.data().await);
        look
    }

    async fn list_tables(&mut self) {
        let all = format!(
            "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE FROM information_schema.TABLES WHERE TABLE_SCHEMA NOT IN ({SYSTEM_SCHEMAS})"
        );
        let all: Vec<(String, String, String)> = self.conn.query(all).await.expect("tables");
        let named = |wanted: &[&str]| {
            let all = all.iter().filter(|(_, _, kind)| wanted.contains(&kind.as_str()));
            all.map(|(schema, table, _)| format!("{}.{}", quote(schema), quote(table))).collect::<Vec<_>>()
        };
        self.tables = named(&["BASE TABLE", "SYSTEM VERSIONED"]);
        self.sequences = named(&["SEQUENCE"]);
    }
}

fn metadata_locks(thread: u64) -> (&'static str, String) {
    let condition = format!("OWNER_THREAD_ID = {thread}");
    ("lock", list("LOCK_TYPE, OBJECT_TYPE, OBJECT_SCHEMA, OBJECT_NAME", "performance_schema.metadata_locks", &condition))
}

fn row_locks(thread: u64) -> (&'static str, String) {
    let columns = "LOCK_TYPE, LOCK_MODE, OBJECT_SCHEMA, OBJECT_NAME, LOCK_DATA";
    ("row lock", list(columns, "performance_schema.data_locks", &format!("THREAD_ID = {thread}")))
}

fn transactions(thread: u64) -> (&'static str, String) {
    let condition = format!("THREAD_ID = {thread} AND STATE = 'ACTIVE'");
    ("transaction", list("STATE", "performance_schema.events_transactions_current", &condition))
}

fn in_transaction() -> (&'static str, String) {
    ("transaction", "IF(@@in_transaction, 'ACTIVE', '')".to_owned())
}

/// What differs, item by item. The order of the lines means nothing.
pub(super) fn differences(before: &Look, after: &Look) -> Vec<String> {
    let mut differences = Vec::new();
    for ((name, before), (_, after)) in before.iter().zip(after).filter(|(before, after)| before != after) {
        let (mut before, mut after): (Vec<_>, Vec<_>) = (before.lines().collect(), after.lines().collect());
        before.retain(|line| match after.iter().position(|other| other == line) {
            Some(index) => {
                after.swap_remove(index);
                false
            }
            None => true,
        });
        differences.extend(before.iter().map(|line| format!("{name} no longer: {line}")));
        differences.extend(after.iter().map(|line| format!("{name} now: {line}")));
    }
    differences
}

/// A scalar subquery for the rows of a table, one per line.
fn list(columns: &str, table: &str, condition: &str) -> String {
    let line = format!("CONCAT_WS(' ', {columns})");
    format!("(SELECT GROUP_CONCAT({line} SEPARATOR '\n') FROM {table} WHERE {condition})")
}

/// Selects named expressions.
async fn select(conn: &mut Conn, wanted: &[(&'static str, String)]) -> Result<Look, Failure> {
    let expressions: Vec<&str> = wanted.iter().map(|(_, expression)| expression.as_str()).collect();
    let row: Result<Option<Row>, _> = conn.query_first(format!("SELECT {}", expressions.join(", "))).await;
    let row = match row {
        Ok(row) => row.expect("one row").unwrap(),
        Err(mysql_async::Error::Server(error)) => return Err(Failure { code: error.code, message: error.message }),
        Err(error) => panic!("no answer of the server: {error}"),
    };
    let text = |value: &Value| match value {
        Value::NULL => String::new(),
        Value::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        other => format!("{other:?}"),
    };
    Ok(wanted.iter().zip(&row).map(|((name, _), value)| (*name, text(value))).collect())
}
