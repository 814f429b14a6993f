use super::*;

fn context(dialect: Dialect) -> Context<'static> {
    Context { dialect, sql_mode: SqlMode::empty(), charset: Charset::AsciiSafe, schema: None }
}

#[test]
fn a_kill_says_what_it_ends_and_whose() {
    use KillScope::{Connection, Query, QueryId};
    use KillTarget::{Number, Other, Own};
    // The statement; what it is to MySQL; what it is to MariaDB.
    for (sql, mysql, mariadb) in [
        ("KILL 5", (Connection, false, Number(5)), None),
        ("kill /* c */ connection\n18446744073709551615 ; ", (Connection, false, Number(u64::MAX)), None),
        ("KILL QUERY 007", (Query, false, Number(7)), None),
        ("KILL QUERY ID 5", (Query, false, Other), Some((QueryId, false, Number(5)))),
        ("KILL HARD 5", (Connection, false, Other), Some((Connection, false, Number(5)))),
        ("KILL SOFT QUERY 5", (Connection, false, Other), Some((Query, true, Number(5)))),
        ("KILL SOFT QUERY ID 5", (Connection, false, Other), Some((QueryId, true, Number(5)))),
        ("KILL CONNECTION_ID()", (Connection, false, Own), None),
        ("KILL QUERY /* a */ Connection_Id /* b */ ( ) -- c", (Query, false, Own), None),
        ("KILL CONNECTION CONNECTION_ID()", (Connection, false, Own), None),
        ("KILL CONNECTION", (Connection, false, Other), None),
        ("KILL QUERY(5)", (Connection, false, Other), None),
        ("KILL", (Connection, false, Other), None),
        ("KILL 18446744073709551616", (Connection, false, Other), None),
        ("KILL '5'", (Connection, false, Other), None),
        ("KILL 0x5", (Connection, false, Other), None),
        ("KILL 5.0", (Connection, false, Other), None),
        ("KILL +5", (Connection, false, Other), None),
        ("KILL -5", (Connection, false, Other), None),
        ("KILL 5 + 1", (Connection, false, Other), None),
        ("KILL (5)", (Connection, false, Other), None),
        ("KILL ?", (Connection, false, Other), None),
        ("KILL @a", (Connection, false, Other), None),
        ("KILL USER root", (Connection, false, Other), None),
        ("KILL QUERY USER 'a'@'b'", (Query, false, Other), None),
        ("KILL CONNECTION_ID() + 1", (Connection, false, Other), None),
        ("KILL db.CONNECTION_ID()", (Connection, false, Other), None),
        ("KILL `CONNECTION_ID`()", (Connection, false, Other), None),
        ("KILL /*!99999 5 + */ 6", (Connection, false, Other), None),
        ("KILL 5 -- \u{e9}", (Connection, false, Other), None),
    ] {
        for (dialect, expected) in [(Dialect::MySql, mysql), (Dialect::MariaDb, mariadb.unwrap_or(mysql))] {
            let (scope, is_soft, target) = expected;
            assert_eq!(kill(sql.as_bytes(), &context(dialect)), Some(Kill { scope, is_soft, target }), "{dialect:?}: {sql}");
        }
    }
}

#[test]
fn everything_else_is_no_kill() {
    for sql in ["", "SELECT 5", "KILL 5; KILL 6", "KILL 5;; SELECT 1", "SELECT 1; KILL 5", "`KILL` 5", "KILLS 5", "(KILL 5)"] {
        assert_eq!(kill(sql.as_bytes(), &context(Dialect::MariaDb)), None, "{sql}");
    }
}

#[test]
fn a_question_for_the_connections_number_has_the_name_that_the_server_would_give() {
    for (sql, name) in [
        ("SELECT CONNECTION_ID()", "CONNECTION_ID()"),
        ("select  Connection_Id ( )  ", "Connection_Id ( )"),
        ("SELECT /* a */ connection_id/*b*/(\n) -- c", "connection_id/*b*/(\n)"),
        ("SELECT CONNECTION_ID() LIMIT 1;", "CONNECTION_ID()"),
        ("SELECT CONNECTION_ID() id", "id"),
        ("SELECT CONNECTION_ID() AS `my id` LIMIT 1 ; ; ", "my id"),
        ("SELECT CONNECTION_ID() AS 'a b '", "a b "),
        ("SELECT CONNECTION_ID() \"x\"", "x"),
        ("SELECT CONNECTION_ID() AS ''", ""),
    ] {
        for dialect in [Dialect::MySql, Dialect::MariaDb] {
            let found = asked_connection_id(sql.as_bytes(), &context(dialect));
            assert_eq!(found.map(String::from_utf8_lossy).as_deref(), Some(name), "{sql}");
        }
    }
}

#[test]
fn everything_else_is_another_question() {
    let long = format!("SELECT CONNECTION_ID() AS {}", "a".repeat(LONGEST_NAME + 1));
    for sql in [
        "",
        "SELECT 1",
        "SELECT CONNECTION_ID",
        "SELECT CONNECTION_ID(1)",
        "SELECT CONNECTION_ID() + 1",
        "SELECT CONNECTION_ID(), 1",
        "SELECT CONNECTION_ID() FROM t",
        "SELECT CONNECTION_ID() LIMIT 0",
        "SELECT CONNECTION_ID() LIMIT 1, 1",
        "SELECT CONNECTION_ID() LIMIT 1 FOR UPDATE",
        "SELECT CONNECTION_ID() AS LIMIT",
        "SELECT CONNECTION_ID() AS",
        "SELECT CONNECTION_ID() a b",
        "SELECT CONNECTION_ID() AS ' a'",
        "SELECT CONNECTION_ID() AS 'it''s'",
        "SELECT CONNECTION_ID() AS N'a'",
        "SELECT CONNECTION_ID() AS 1",
        "SELECT CONNECTION_ID() AS caf\u{e9}",
        "SELECT CONNECTION_ID() INTO @a",
        "SELECT CONNECTION_ID(); SELECT 1",
        "SELECT ALL CONNECTION_ID()",
        "(SELECT CONNECTION_ID())",
        "SELECT /*! CONNECTION_ID() */",
        "SELECT /*+ MAX_EXECUTION_TIME(1) */ CONNECTION_ID()",
        "SELECT db.CONNECTION_ID()",
        long.as_str(),
    ] {
        for dialect in [Dialect::MySql, Dialect::MariaDb] {
            assert_eq!(asked_connection_id(sql.as_bytes(), &context(dialect)), None, "{sql}");
        }
    }
    let unsure = Context { charset: Charset::Unknown, ..context(Dialect::MySql) };
    assert_eq!(asked_connection_id(b"SELECT CONNECTION_ID()", &unsure), None);
}

#[test]
fn who_asks_what_was_counted_gets_a_column_of_the_same_name() {
    let asked = |sql: &'static str| asked_count(sql.as_bytes(), &context(Dialect::MySql));
    assert_eq!(asked("SELECT ROW_COUNT()"), Some((Count::Changed, b"ROW_COUNT()".as_slice())));
    assert_eq!(asked("select found_rows( ) AS total;"), Some((Count::Found, b"total".as_slice())));
    for sql in [
        "SELECT ROW_COUNT(), 1",
        "SELECT ROW_COUNT() + 1",
        "SELECT FOUND_ROWS() FROM t",
        "SELECT CONNECTION_ID()",
        "DO ROW_COUNT()",
    ] {
        assert_eq!(asked(sql), None, "{sql}");
    }
}
