//! Statements made to hurt: deep, long, unfinished. None may panic, overflow a small stack, or take more than linear time.

#![allow(clippy::unwrap_used, reason = "a test may fail plainly")]

use std::time::Duration;

use classifier::{Charset, Classifier, Context, Dialect, ParseLimits, Placement, SqlMode, Statement, digest_text};

const STACK: usize = 512 * 1024;

fn context(dialect: Dialect) -> Context<'static> {
    Context { dialect, sql_mode: SqlMode::empty(), charset: Charset::AsciiSafe, schema: Some("db") }
}

/// Builds the statement of size `n`.
type Build = fn(usize) -> String;

const SHAPES: &[(&str, Build)] = &[
    ("joins", |n| format!("SELECT 1 FROM t{}", " JOIN t".repeat(n))),
    ("joins with conditions", |n| format!("SELECT 1 FROM t{}", " JOIN t ON a = b".repeat(n))),
    ("additions", |n| format!("SELECT 1{}", "+1".repeat(n))),
    ("disjunctions", |n| format!("SELECT 1 FROM t WHERE a = 1{}", " OR a = 1".repeat(n))),
    ("negations", |n| format!("SELECT {} 1", "NOT ".repeat(n))),
    ("signs", |n| format!("SELECT {}1", "- ".repeat(n))),
    ("is null", |n| format!("SELECT 1{}", " IS NULL".repeat(n))),
    ("between", |n| format!("SELECT {} 1", "a BETWEEN 1 AND ".repeat(n))),
    ("arrows", |n| format!("SELECT a{}", "->'$'".repeat(n))),
    ("collations", |n| format!("SELECT a{}", " COLLATE b".repeat(n))),
    ("unions", |n| format!("SELECT 1{}", " UNION SELECT 1".repeat(n))),
    ("intersections in parentheses", |n| format!("(SELECT 1){}", " INTERSECT (SELECT 1)".repeat(n))),
    ("parentheses", |n| format!("SELECT {}1{}", "(".repeat(n), ")".repeat(n))),
    ("open parentheses", |n| format!("SELECT {}", "(".repeat(n))),
    ("subqueries", |n| format!("{}1{}", "SELECT (".repeat(n), ")".repeat(n))),
    ("derived tables", |n| format!("{}t{}", "SELECT * FROM (".repeat(n), ") d".repeat(n))),
    ("calls", |n| format!("SELECT {}1{}", "ABS(".repeat(n), ")".repeat(n))),
    ("lock calls", |n| format!("SELECT {}1{}", "RELEASE_ALL_LOCKS(".repeat(n), ")".repeat(n))),
    ("json tables", |n| format!("SELECT {}", "JSON_TABLE(".repeat(n))),
    ("cases", |n| format!("SELECT {}1{}", "CASE WHEN ".repeat(n), " THEN 1 END".repeat(n))),
    ("column lists", |n| format!("WITH a ({}b) AS (SELECT 1) SELECT 1", "b, ".repeat(n))),
    ("unknown calls with names", |n| format!("SELECT {}", "f(a, b), ".repeat(n))),
    ("in lists", |n| format!("SELECT 1 FROM t WHERE a IN ({}1)", "1, ".repeat(n))),
    ("broken in lists", |n| format!("SELECT {}", "a IN (1, 2, 3, x), ".repeat(n))),
    ("in in in", |n| format!("SELECT a {}", "IN (".repeat(n))),
    ("rows", |n| format!("INSERT INTO t VALUES {}(1)", "(1, 'a', NULL), ".repeat(n))),
    ("broken rows", |n| format!("INSERT INTO t VALUES {}", "(1, f(2)), ".repeat(n))),
    ("values values", |n| "VALUES (".repeat(n)),
    ("statements", |n| "SELECT 1;".repeat(n)),
    ("semicolons", |n| ";".repeat(n)),
    ("assignments", |n| format!("SET {}@a = 1", "@a = 1, ".repeat(n))),
    ("session assignments", |n| format!("SET {}a = 1", "autocommit = 0, ".repeat(n))),
    ("variables", |n| format!("SELECT {}@a INTO @b", "@a, ".repeat(n))),
    ("system variables", |n| format!("SELECT {}1", "@@a.b.c, ".repeat(n))),
    ("dots", |n| format!("SELECT a{}", ".a".repeat(n))),
    ("executable comments", |n| "/*!".repeat(n)),
    ("closed executable comments", |n| format!("SELECT {} 1", "/*!50000 1 + */".repeat(n))),
    ("comments", |n| format!("SELECT {} 1", "/* a */ ".repeat(n))),
    ("open comments", |n| format!("SELECT {}", "/* ".repeat(n))),
    ("hints", |n| format!("SELECT {} 1", "/*+ A(b) */ ".repeat(n))),
    ("open hints", |n| format!("SELECT {}", "/*+ ".repeat(n))),
    ("line comments", |n| format!("SELECT {} 1", "-- a\n".repeat(n))),
    ("dashes", |n| format!("SELECT {}", "-".repeat(n))),
    ("quotes", |n| format!("SELECT {}", "'".repeat(n))),
    ("one literal", |n| format!("SELECT '{}'", "a".repeat(n))),
    ("one open literal", |n| format!("SELECT '{}", "a\\'".repeat(n))),
    ("escapes", |n| format!("SELECT '{}'", "\\\\".repeat(n))),
    ("one name", |n| format!("SELECT `{}`", "a``".repeat(n))),
    ("one word", |n| format!("SELECT {}", "a".repeat(n))),
    ("digits", |n| format!("SELECT {}", "1".repeat(n))),
    ("exponents", |n| format!("SELECT {}", "1e1".repeat(n))),
    ("programs", |n| format!("CREATE PROCEDURE p() {}", "BEGIN ".repeat(n))),
    ("drops", |n| format!("DROP TABLE {}a", "a, ".repeat(n))),
    ("text in PREPARE", |n| format!("PREPARE s FROM '{}'", "SELECT (".repeat(n))),
    ("explains", |n| "EXPLAIN ANALYZE ".repeat(n)),
    ("points", |n| format!("SELECT {}1", "POINT(1, ".repeat(n))),
    ("polygons", |n| format!("SELECT {}1{}", "POLYGON(".repeat(n), ")".repeat(n))),
    ("modes in modes", |n| format!("SET sql_mode = {}@@sql_mode", "CONCAT(".repeat(n))),
    ("a mode of many parts", |n| format!("SET sql_mode = CONCAT(@@sql_mode{})", ", ',ANSI'".repeat(n))),
    ("many modes", |n| format!("SET {}a = 1", "sql_mode = CONCAT(@@sql_mode, ',ANSI'), ".repeat(n))),
    ("hints with quotes", |n| format!("SELECT {} 1", "/*+ A('b') B(`c`) */ ".repeat(n))),
    ("quotes in a hint", |n| format!("SELECT /*+ {} */ 1", "'a' ".repeat(n))),
    ("shows from", |n| format!("SHOW TABLES {}", "FROM a ".repeat(n))),
    ("shows", |n| format!("SHOW {}", "FULL ".repeat(n))),
    ("calls of procedures", |n| format!("CALL p({}@a)", "@a, ".repeat(n))),
    ("braces", |n| format!("SELECT {}", "{fn ".repeat(n))),
    ("brackets", |n| format!("SELECT a{}", "[1]".repeat(n))),
    ("casts", |n| format!("SELECT a{}", "::int".repeat(n))),
    ("intervals", |n| format!("SELECT a{}", " + INTERVAL 1 DAY".repeat(n))),
    ("strings in a row", |n| format!("SELECT {}", "'a' ".repeat(n))),
    ("with", |n| "WITH a AS (".repeat(n)),
    ("lateral", |n| format!("SELECT * FROM t{}", ", LATERAL (SELECT 1) a".repeat(n))),
    ("not in a query", |n| format!("{}1{}", "SELECT NOT IN (".repeat(n), ")".repeat(n))),
    ("divisions", |n| format!("SELECT 1{}", " DIV 1".repeat(n))),
    ("cases without an end", |n| format!("SELECT {}1", "CASE-".repeat(n))),
    ("selects in a row", |n| format!("SELECT{}", " (SELECT 1) a,".repeat(n))),
    ("nested joins", |n| format!("SELECT * FROM {}t", "(t JOIN ".repeat(n))),
];

fn on_a_small_stack<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::Builder::new().stack_size(STACK).spawn(run).unwrap().join().unwrap()
}

#[test]
fn no_shape_of_any_size_overflows_a_small_stack() {
    on_a_small_stack(|| {
        for (name, build) in SHAPES {
            for n in [10, 60, 1_000, 3_900, 20_000] {
                let sql = build(n);
                let context = context(if n % 20 == 0 { Dialect::MySql } else { Dialect::MariaDb });
                let statement = Classifier::new(ParseLimits::default()).classify(sql.as_bytes(), &context);
                assert!(statement.session.len() <= 1_001, "{name}");
                digest_text(sql.as_bytes(), &context, 1_000);
            }
        }
    });
}

/// Where the parser moves to another stack depends on how much of this one is left, so one size shows nothing.
#[test]
fn no_size_of_the_stack_is_too_small_for_subqueries_in_joins() {
    let sql = format!("{}SELECT 1{}", "SELECT (SELECT * FROM t JOIN (".repeat(12), ") d ON a = b)".repeat(12));
    for kilobytes in (256..2_304).step_by(16) {
        let sql = sql.clone();
        let run = move || Classifier::new(ParseLimits::default()).classify(sql.as_bytes(), &context(Dialect::MySql));
        std::thread::Builder::new().stack_size(kilobytes * 1024).spawn(run).unwrap().join().unwrap();
    }
}

#[test]
fn large_reads_are_still_reads() {
    on_a_small_stack(|| {
        let classify = |sql: &str| Classifier::new(ParseLimits::default()).classify(sql.as_bytes(), &context(Dialect::MySql));
        let is_read = |statement: Statement| statement.placement() == Placement::Replica;
        assert!(is_read(classify(&format!("SELECT 1 FROM t{}", " JOIN t".repeat(50_000)))));
        assert!(is_read(classify(&format!("SELECT 1 FROM t WHERE a IN ({}1)", "1, ".repeat(100_000)))));
        assert!(is_read(classify(&format!("SELECT 1{}", "+1".repeat(100_000)))));
        assert!(is_read(classify(&format!("SELECT '{}'", "a".repeat(16 << 20)))));
        let locks = format!("SELECT 1 FROM t WHERE a IN ({}1) FOR UPDATE", "1, ".repeat(100_000));
        assert_eq!(classify(&locks).placement(), Placement::Primary);
    });
}

/// Of this thread, so that a busy machine does not matter.
fn processor_time() -> Duration {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(statistics.split(' ').next().unwrap().parse().unwrap())
}

/// Eight times the size may take eight times as long, with some noise; quadratic time would take 64 times as long.
#[test]
fn time_is_linear_in_the_size() {
    let measure = |build: Build, n: usize| {
        let sql = build(n);
        let run = || {
            let start = processor_time();
            Classifier::new(ParseLimits::default()).classify(sql.as_bytes(), &context(Dialect::MariaDb));
            processor_time().saturating_sub(start)
        };
        (0..2).map(|_| run()).min().unwrap()
    };
    for (name, build) in SHAPES {
        let (small, large) = (measure(*build, 4_000), measure(*build, 32_000));
        let allowed = small * 32 + Duration::from_millis(100);
        assert!(large < allowed, "{name}: {small:?} for n, {large:?} for 8 n");
    }
}
