//! Which statements ask what their connection remembers, and where the first definition of a batch stands.

#![allow(clippy::unwrap_used, reason = "a test may fail plainly")]

use classifier::{Charset, Classifier, Context, Dialect, Effects, ParseLimits, SqlMode, Statement};

const BOTH: [Dialect; 2] = [Dialect::MySql, Dialect::MariaDb];

fn classify(sql: &str, dialect: Dialect) -> Statement {
    let context = Context { dialect, sql_mode: SqlMode::empty(), charset: Charset::AsciiSafe, schema: Some("db") };
    Classifier::new(ParseLimits::default()).classify(sql.as_bytes(), &context)
}

fn check(sql: &str, dialects: &[Dialect], expected: Effects) {
    for &dialect in dialects {
        let found = classify(sql, dialect).effects & Effects::CONNECTION_MEMORY;
        assert_eq!(found, expected, "{dialect:?}: {sql}");
    }
}

#[test]
fn the_last_insert_id_is_asked_for_in_reads_and_writes() {
    for sql in [
        "SELECT LAST_INSERT_ID()",
        "SELECT last_insert_id /* a */ ( )",
        "SELECT * FROM t WHERE id = LAST_INSERT_ID()",
        "SELECT @@last_insert_id",
        "SELECT @@SESSION.identity",
        "SELECT @@local . `identity`",
        "INSERT INTO t VALUES (LAST_INSERT_ID(), 2)",
        "INSERT INTO t SELECT @@identity",
        "REPLACE INTO t SET a = LAST_INSERT_ID()",
        "UPDATE t SET a = 1 WHERE id = LAST_INSERT_ID()",
        "DELETE FROM t WHERE id = @@last_insert_id",
        "INSERT INTO t VALUES (1) /*!50000 , (LAST_INSERT_ID()) */",
        "CALL p(LAST_INSERT_ID())",
        "DO SLEEP(LAST_INSERT_ID())",
        "CREATE TEMPORARY TABLE u AS SELECT LAST_INSERT_ID()",
        "LOAD DATA INFILE 'f' INTO TABLE t SET a = LAST_INSERT_ID()",
        "HANDLER t READ FIRST WHERE a = LAST_INSERT_ID()",
        "KILL LAST_INSERT_ID()",
        "SET SESSION sql_select_limit = @@identity",
        "EXPLAIN UPDATE t SET a = LAST_INSERT_ID()",
        "INSERT INTO t VALUES (1); INSERT INTO u VALUES (LAST_INSERT_ID())",
        "SHOW VARIABLES LIKE 'last_insert_id'",
        "UNHEARD OF LAST_INSERT_ID()",
    ] {
        check(sql, &BOTH, Effects::INSERT_ID);
    }
    let mariadb = [Dialect::MariaDb];
    for sql in [
        "SELECT LASTVAL(s)",
        "INSERT INTO t VALUES (LASTVAL(s))",
        "INSERT INTO t VALUES (PREVIOUS VALUE FOR s)",
        "SELECT @@last_gtid",
        "SET STATEMENT max_statement_time = @@identity FOR SELECT 1",
    ] {
        check(sql, &mariadb, Effects::INSERT_ID);
    }
    check("INSERT INTO t VALUES (NEXT VALUE FOR s)", &mariadb, Effects::empty());
}

#[test]
fn what_only_looks_like_it_asks_nothing() {
    for sql in [
        "INSERT INTO t VALUES ('LAST_INSERT_ID()') -- LAST_INSERT_ID()",
        "INSERT INTO t VALUES (1) /* @@identity */",
        "UPDATE seq SET id = LAST_INSERT_ID(id + 1)",
        "INSERT INTO t (last_insert_id, identity) VALUES (1, 2)",
        "INSERT INTO t VALUES (\"@a\")",
        "UPDATE row_count SET found_rows = 1",
        "INSERT INTO t VALUES (1)",
        "SELECT 1 FROM t",
        "SELECT @@insert_id",
        "COMMIT",
    ] {
        check(sql, &BOTH, Effects::empty());
    }
}

#[test]
fn what_the_statement_before_left_is_asked_for_in_writes_too() {
    let counts = Effects::PREVIOUS_STATEMENT | Effects::COUNTS;
    for sql in ["SELECT ROW_COUNT()", "INSERT INTO t VALUES (ROW_COUNT())"] {
        check(sql, &BOTH, counts);
    }
    for sql in ["SELECT FOUND_ROWS()", "UPDATE t SET a = FOUND_ROWS()"] {
        check(sql, &BOTH, counts | Effects::FOUND_ROWS);
    }
    for sql in ["SHOW WARNINGS", "DELETE FROM t WHERE a = @@warning_count", "INSERT INTO t SELECT @@session.error_count"] {
        check(sql, &BOTH, Effects::PREVIOUS_STATEMENT);
    }
    for sql in [
        "GET DIAGNOSTICS @a = ROW_COUNT",
        "GET DIAGNOSTICS CONDITION 1 @a = MESSAGE_TEXT",
        "SET @a = ROW_COUNT()",
        "CALL p(ROW_COUNT(), @a)",
    ] {
        check(sql, &BOTH, counts | Effects::USER_VARIABLES);
    }
    check("SET @a = @@error_count", &BOTH, Effects::PREVIOUS_STATEMENT | Effects::USER_VARIABLES);
}

#[test]
fn user_variables_are_reported_wherever_they_occur() {
    for sql in [
        "SELECT @a",
        "SELECT @a := 1",
        "SET @a = 1",
        "SET sql_select_limit = @a",
        "SET @@sql_select_limit = 1 + @`a`",
        "INSERT INTO t VALUES (@a)",
        "INSERT INTO t SELECT @a := a FROM u",
        "SELECT a FROM t INTO @a",
        "LOAD DATA INFILE 'f' INTO TABLE t (@a, b)",
        "CALL p(@a)",
        "PREPARE s FROM @a",
        "EXECUTE s USING @a",
        "EXECUTE s USING @a; COMMIT",
    ] {
        check(sql, &BOTH, Effects::USER_VARIABLES);
    }
    check("EXECUTE IMMEDIATE 'SELECT ?' USING @a", &[Dialect::MariaDb], Effects::USER_VARIABLES);
    check("SET @a = LAST_INSERT_ID()", &BOTH, Effects::USER_VARIABLES | Effects::INSERT_ID);
}

#[test]
fn the_first_definition_of_a_batch_has_its_place() {
    for (sql, place) in [
        ("CREATE VIEW v AS SELECT 1", Some(0)),
        ("RENAME TABLE a TO b", Some(0)),
        (" ;; CREATE VIEW v AS SELECT 1", Some(0)),
        ("SELECT 1; ; CREATE VIEW v AS SELECT 1", Some(1)),
        ("SELECT 1; INSERT INTO t VALUES (1); ALTER VIEW v AS SELECT 1; CREATE VIEW w AS SELECT 1", Some(2)),
        ("SELECT 1; SELECT 2", None),
    ] {
        for dialect in BOTH {
            let statement = classify(sql, dialect);
            assert_eq!(statement.effects.contains(Effects::DEFINES), place.is_some(), "{sql}");
            assert_eq!(statement.first_definition, place.unwrap_or(0), "{sql}");
        }
    }
    let many = "SELECT 1;".repeat(1_001);
    let statement = classify(&many, Dialect::MySql);
    assert!(statement.effects.contains(Effects::DEFINES), "what is not looked at may define");
    assert_eq!(statement.first_definition, 1_000);
}
