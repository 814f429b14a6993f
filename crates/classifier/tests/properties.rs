//! Random bytes and random statements: no panic, the same verdict with and without the cache, and never a read that another parser
//! takes for more.

#![allow(clippy::unwrap_used, reason = "a test may fail plainly")]

use classifier::{Catalogue, Charset, Classifier, Context, Definition, Dialect, ParseLimits, Placement, SqlMode, digest_text};
use proptest::prelude::*;
use sqlparser::dialect::MySqlDialect;
use sqlparser::parser::Parser;

fn contexts() -> impl Strategy<Value = Context<'static>> {
    (
        prop_oneof![Just(Dialect::MySql), Just(Dialect::MariaDb)],
        prop_oneof![
            4 => Just(SqlMode::empty()),
            1 => Just(SqlMode::ANSI_QUOTES),
            1 => Just(SqlMode::NO_BACKSLASH_ESCAPES),
            1 => Just(SqlMode::IGNORE_SPACE),
            1 => any::<u8>().prop_map(SqlMode::from_bits_truncate),
        ],
        prop_oneof![4 => Just(Charset::AsciiSafe), 1 => Just(Charset::AsciiUnsafe), 1 => Just(Charset::Unknown)],
        prop_oneof![Just(None), Just(Some("db")), Just(Some("mysql")), Just(Some("information_schema"))],
    )
        .prop_map(|(dialect, sql_mode, charset, schema)| Context { dialect, sql_mode, charset, schema })
}

/// Pieces of statements, dangerous ones among them.
const PIECES: &[&str] = &[
    "SELECT",
    "SELECT",
    "SELECT 1",
    "a",
    "b",
    "t",
    "1",
    "'x'",
    "\"y\"",
    "`z`",
    "?",
    "*",
    ",",
    ",",
    "(",
    ")",
    "(",
    ")",
    ".",
    ";",
    "=",
    "+",
    "-",
    "--",
    "-- ",
    "#",
    "\n",
    "/*",
    "*/",
    "/*!",
    "/*!50000",
    "/*M!",
    "/*+",
    "@",
    "@@",
    "@a",
    "@@sql_mode",
    ":=",
    "FROM",
    "FROM t",
    "WHERE",
    "AND",
    "OR",
    "NOT",
    "IN",
    "IN (1, 2)",
    "UNION",
    "ALL",
    "WITH",
    "AS",
    "JOIN",
    "ON",
    "GROUP BY",
    "ORDER BY",
    "LIMIT 1",
    "HAVING",
    "FOR",
    "UPDATE",
    "SHARE",
    "FOR UPDATE",
    "LOCK IN SHARE MODE",
    "INTO",
    "INTO @v",
    "INTO OUTFILE 'f'",
    "DELETE",
    "INSERT",
    "REPLACE",
    "SET",
    "autocommit = 0",
    "NAMES",
    "utf8mb4",
    "gbk",
    "TABLE",
    "VALUES",
    "ROW",
    "COUNT(",
    "f(",
    "GET_LOCK('l', 1)",
    "LAST_INSERT_ID()",
    "NEXT VALUE FOR s",
    "PROCEDURE",
    "EXPLAIN",
    "ANALYZE",
    "SHOW",
    "VARIABLES",
    "LIKE",
    "BEGIN",
    "COMMIT",
    "'",
    "\"",
    "`",
    "\\",
    "\0",
    "\u{e9}",
    "\u{a0}",
    "1e5",
    ".5",
    "0x1F",
    "{",
    "}",
    "CASE",
    "WHEN",
    "THEN",
    "END",
    "INTERVAL 1 DAY",
    "mysql.user",
    "DO",
    "CALL p()",
    "PREPARE s FROM",
    "USE db",
    "CREATE TEMPORARY TABLE",
    "DROP TABLE",
    "XA START",
    "LOCK TABLES",
    "SQL_CALC_FOUND_ROWS",
];

fn soup() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(PIECES);
    let glue = prop::sample::select(&["", " ", " ", " ", "\t"][..]);
    prop::collection::vec((piece, glue), 0..24).prop_map(|parts| parts.into_iter().flat_map(|(a, b)| [a, b]).collect())
}

/// A read by its looks, with something inserted at a random place.
fn disturbed_read() -> impl Strategy<Value = String> {
    let reads = prop::sample::select(
        &[
            "SELECT a , b FROM t WHERE a = 1 AND b IN ( 1 , 2 ) ORDER BY a LIMIT 3",
            "SELECT t . a , COUNT( * ) FROM t JOIN u ON t . a = u . a GROUP BY t . a HAVING COUNT( * ) > 1",
            "WITH c AS ( SELECT 1 AS x ) SELECT * FROM c UNION ALL SELECT 2",
            "( SELECT a FROM t ) UNION ( SELECT b FROM u )",
            "SELECT CASE WHEN a = 'x' THEN 1 ELSE 2 END FROM ( SELECT a FROM t ) d",
        ][..],
    );
    (reads, any::<prop::sample::Index>(), prop::sample::select(PIECES)).prop_map(|(read, at, piece)| {
        let mut words: Vec<&str> = read.split(' ').collect();
        let at = at.index(words.len() + 1);
        words.insert(at, piece);
        words.join(" ")
    })
}

/// What sqlparser by itself finds in the text that no read has, by the names of the nodes in its tree.
fn has_more_than_a_read(sql: &str) -> bool {
    let Ok(statements) = Parser::parse_sql(&MySqlDialect {}, sql) else { return false };
    let tree = format!("{statements:?}");
    ["locks: [LockClause", "into: Some(", "Insert(", "Update(", "Delete(", "Assignment", "Call(", "Set(", "CreateTable("]
        .iter()
        .any(|node| tree.contains(node))
}

/// Words of stored functions, harmless ones many times over, in any order.
fn bodies() -> impl Strategy<Value = String> {
    let harmless = prop::sample::select(vec![
        "BEGIN",
        "END",
        ";",
        "DECLARE a INT ;",
        "DECLARE c CURSOR FOR SELECT 1 ;",
        "SET a = 1 ;",
        "IF a THEN",
        "ELSE",
        "END IF ;",
        "WHILE a DO",
        "END WHILE ;",
        "CASE a WHEN 1 THEN",
        "CASE",
        "END CASE ;",
        "LOOP",
        "END LOOP ;",
        "REPEAT",
        "UNTIL a END REPEAT ;",
        "RETURN a ;",
        "RETURN",
        "(",
        ")",
        ",",
        "1",
        "'x'",
        "`q`",
        "SELECT b FROM t",
        "INTO a",
        "l :",
        "LEAVE l ;",
        "DECLARE EXIT HANDLER FOR NOT FOUND",
        "FETCH c INTO a ;",
        "OPEN c ;",
        "DO 1 ;",
        "SIGNAL SQLSTATE '45000' ;",
        "WITH d AS",
        "SET",
    ]);
    let dangerous = prop::sample::select(vec![
        "INSERT INTO t VALUES (1) ;",
        "CALL p() ;",
        "SET @x = 1 ;",
        "SET sql_mode = '' ;",
        "@x := 1",
        "FOR UPDATE",
        "INTO @x",
        "GET_LOCK('l', 1)",
        "other(1)",
        "UPDATE t SET b = 1 ;",
        "LAST_INSERT_ID()",
        "INTO OUTFILE '/x'",
    ]);
    prop::collection::vec(prop_oneof![20 => harmless, 1 => dangerous], 1..14).prop_map(|words| words.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_do_no_harm(sql in prop::collection::vec(any::<u8>(), 0..200), context in contexts()) {
        let statement = Classifier::new(ParseLimits::default()).classify(&sql, &context);
        prop_assert_eq!(digest_text(&sql, &context, 50).len().min(50), digest_text(&sql, &context, 50).len());
        if context.charset == Charset::Unknown || context.sql_mode.contains(SqlMode::UNKNOWN) {
            prop_assert_eq!(statement.placement(), Placement::Primary);
        }
    }

    #[test]
    fn a_read_is_a_read_for_the_other_parser_too(sql in prop_oneof![soup(), disturbed_read()]) {
        let context = Context { dialect: Dialect::MySql, sql_mode: SqlMode::empty(), charset: Charset::AsciiSafe, schema: None };
        let statement = Classifier::new(ParseLimits::default()).classify(sql.as_bytes(), &context);
        if statement.placement() == Placement::Replica {
            prop_assert!(!has_more_than_a_read(&sql), "{}", sql);
        }
    }

    #[test]
    fn the_cache_changes_no_verdict(sqls in prop::collection::vec(prop_oneof![soup(), disturbed_read()], 1..6), context in contexts()) {
        let shared = Classifier::new(ParseLimits::default());
        for sql in &sqls {
            // The same digest with other literals, first.
            let other = sql.replace("'x'", "'yy'").replace('1', "7").replace("\"y\"", "\"q\"");
            shared.classify(other.as_bytes(), &context);
            let fresh = Classifier::new(ParseLimits::default()).classify(sql.as_bytes(), &context);
            prop_assert_eq!(&shared.classify(sql.as_bytes(), &context), &fresh, "{}", sql);
            prop_assert_eq!(&shared.classify(sql.as_bytes(), &context), &fresh, "{}", sql);
        }
    }

    /// Texts of this size are also remembered by their outline, in which literals do not count, but the context does.
    #[test]
    fn the_memory_of_long_texts_changes_no_verdict(
        sqls in prop::collection::vec(prop_oneof![soup(), disturbed_read()], 1..4),
        contexts in prop::collection::vec(contexts(), 1..4),
    ) {
        let shared = Classifier::new(ParseLimits::default());
        for (sql, context) in sqls.iter().flat_map(|sql| contexts.iter().map(move |context| (sql, context))) {
            let others = [sql.replace("'x'", "'y y'"), sql.replace("'x'", "'FOR '' UPDATE'"), sql.replace('1', "70"), sql.clone()];
            for sql in others {
                let sql = format!("{sql}{}", " ".repeat(300));
                let fresh = Classifier::new(ParseLimits::default()).classify(sql.as_bytes(), context);
                prop_assert_eq!(&shared.classify(sql.as_bytes(), context), &fresh, "{}", sql);
            }
        }
    }

    #[test]
    fn a_dangerous_word_anywhere_outside_of_quotes_is_no_read(sql in disturbed_read()) {
        let context = Context { dialect: Dialect::MariaDb, sql_mode: SqlMode::empty(), charset: Charset::AsciiSafe, schema: None };
        let statement = Classifier::new(ParseLimits::default()).classify(sql.as_bytes(), &context);
        let words: Vec<&str> = sql.split_whitespace().collect();
        let is_hidden = ["'", "\"", "`", "#", "--", "/*", "\\"].iter().any(|open| words.contains(open)) || sql.contains(". ");
        let is_dangerous = ["UPDATE", "DELETE", "INTO", ":=", "GET_LOCK('l',", "f(", "@a", "LOCK"].iter().any(|word| words.contains(word));
        if is_dangerous && !is_hidden {
            prop_assert_ne!(statement.placement(), Placement::Replica, "{}", sql);
        }
    }

    #[test]
    fn a_function_with_a_dangerous_word_in_its_body_is_no_read(body in bodies()) {
        let function = Definition::Function { name: "f".into(), body: Some(body.as_str().into()), sql_mode: "".into() };
        let classifier = Classifier::new(ParseLimits::default());
        let catalogue = Catalogue::new(Dialect::MariaDb, &[function]);
        classifier.knowledge().learn_catalogue(catalogue, classifier.knowledge().changes());
        let context = Context { dialect: Dialect::MariaDb, sql_mode: SqlMode::empty(), charset: Charset::AsciiSafe, schema: None };
        let dangerous = ["INSERT", "CALL", "@x", "sql_mode", "FOR UPDATE", "GET_LOCK", "other(", "UPDATE", "LAST_INSERT_ID", "OUTFILE"];
        if dangerous.iter().any(|word| body.contains(word)) {
            prop_assert_ne!(classifier.classify(b"SELECT f(1)", &context).placement(), Placement::Replica, "{}", body);
        }
    }
}
