//! The parser's work, counted in steps: every construct of a read, nested in itself and in every other, closed and cut off.
//!
//! A step is a question of sqlparser to its dialect, so the counts are the same on every machine. Time is checked in `hostile.rs`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail plainly")]

use classifier::{Charset, Classifier, Context, Dialect, ParseLimits, Placement, SqlMode, parsing_work};

const CONTEXT: Context<'static> =
    Context { dialect: Dialect::MySql, sql_mode: SqlMode::empty(), charset: Charset::AsciiSafe, schema: Some("db") };

/// A construct around an expression, which stands at `@`.
const AROUND_EXPRESSIONS: &[&str] = &[
    "(@)",
    "(@, 1)",
    "(1, @)",
    "NOT @",
    "! @",
    "- @",
    "+ @",
    "~ @",
    "BINARY @",
    "a IN (@)",
    "a NOT IN (@)",
    "NOT IN (@)",
    "@ IN (1)",
    "a IN (1, @)",
    "a BETWEEN @ AND 1",
    "a BETWEEN 1 AND @",
    "a NOT BETWEEN @ AND @@b",
    "@ BETWEEN 1 AND 2",
    "CASE WHEN @ THEN 1 END",
    "CASE @ WHEN 1 THEN 2 END",
    "CASE WHEN 1 THEN @ ELSE 2 END",
    "CASE WHEN 1 THEN 2 ELSE @ END",
    "CASE-@",
    "CASE @",
    "f(@)",
    "f(1, @)",
    "s.f(@)",
    "IF(@, 1, 2)",
    "IF(1, @, 2)",
    "IF(CURRENT_TIME(@",
    "CURRENT_TIME(@)",
    "COUNT(DISTINCT @)",
    "COUNT(*) + @",
    "ROW(@, 1)",
    "CAST(@ AS CHAR)",
    "CAST(@ AS DECIMAL(1, 2))",
    "CONVERT(@, CHAR)",
    "CONVERT(@ USING utf8mb4)",
    "EXTRACT(DAY FROM @)",
    "INTERVAL @ DAY",
    "a + INTERVAL @ DAY",
    "INTERVAL(@, 1)",
    "DATE_ADD(a, INTERVAL @ DAY)",
    "MATCH (a) AGAINST (@)",
    "MATCH (a) AGAINST (@ IN BOOLEAN MODE)",
    "SUBSTRING(@ FROM 1 FOR 2)",
    "SUBSTRING(a, @)",
    "TRIM(@)",
    "TRIM(LEADING 'x' FROM @)",
    "POSITION('a' IN @)",
    "POSITION(@ IN 'a')",
    "GROUP_CONCAT(@ ORDER BY a SEPARATOR ',')",
    "GROUP_CONCAT(a ORDER BY @)",
    "@ IS NULL",
    "@ IS NOT TRUE",
    "@ COLLATE utf8mb4_bin",
    "@ LIKE 'a' ESCAPE 'b'",
    "a LIKE @",
    "a NOT LIKE @",
    "a REGEXP @",
    "a RLIKE @",
    "a SOUNDS LIKE @",
    "@->'$.a'",
    "@->>'$.a'",
    "a[@]",
    "a.@",
    "JSON_VALUE(@, '$' RETURNING DATE)",
    "JSON_OBJECT('a', @)",
    "JSON_OBJECT('a' : @)",
    "SUM(@) OVER (PARTITION BY a ORDER BY b)",
    "SUM(a) OVER (PARTITION BY @)",
    "LAG(@) OVER w",
    "{fn LENGTH(@)}",
    "{d @}",
    "DATE @",
    "TIMESTAMP @",
    "TIME @",
    "YEAR @",
    "POINT @",
    "_utf8mb4 @",
    "@ MEMBER OF (b)",
    "a = ANY (@)",
    "EXISTS (@)",
    "a := @",
    "CEIL(@ TO DAY)",
    "FLOOR(@)",
    "VALUES(@)",
    "DEFAULT(@)",
    "OVERLAY(@ PLACING 'a' FROM 1)",
    "ARRAY[@]",
    "STRUCT(@)",
    "(a) -> @",
    "a -> @",
    "LAMBDA a : @",
    "PRIOR @",
    "CONNECT_BY_ROOT @",
    "INTERVAL '1' @",
    "MAP {@}",
    "a AT TIME ZONE @",
    "a::@",
    "TRY_CAST(@ AS CHAR)",
    "SAFE_CAST(@ AS CHAR)",
    "XMLCONCAT(@)",
    "LISTAGG(@)",
];

/// Operators with two operands.
const OPERATORS: &[&str] = &[
    "+", "-", "*", "/", "%", "DIV", "MOD", "=", "<=>", "<>", "!=", "<", "<=", ">", ">=", "AND", "&&", "OR", "||", "XOR", "&",
    "|", "^", "<<", ">>", "LIKE", "REGEXP", "IS", "COLLATE", "IN", "NOT", "NOT IN", "BETWEEN",
];

/// A construct around a query, which stands at `@`.
const AROUND_QUERIES: &[&str] = &[
    "(@)",
    "SELECT (@)",
    "SELECT 1, (@), 2",
    "SELECT EXISTS (@)",
    "SELECT NOT EXISTS (@)",
    "SELECT a IN (@)",
    "SELECT a NOT IN (@)",
    "SELECT NOT IN (@)",
    "SELECT IN (@)",
    "SELECT a = ANY (@)",
    "SELECT a > ALL (@)",
    "SELECT a < SOME (@)",
    "SELECT f((@))",
    "SELECT f(@)",
    "SELECT (a, b) = (@)",
    "SELECT CASE WHEN (@) THEN 1 END",
    "SELECT a BETWEEN (@) AND 1",
    "SELECT * FROM (@) d",
    "SELECT * FROM (@)",
    "SELECT * FROM ((@) d)",
    "SELECT * FROM t, (@) d",
    "SELECT * FROM t JOIN (@) d ON a = b",
    "SELECT * FROM (t JOIN (@) d)",
    "SELECT * FROM t, LATERAL (@) d",
    "SELECT * FROM t JOIN u ON (@)",
    "SELECT * FROM t WHERE (@)",
    "SELECT * FROM t WHERE a IN (@)",
    "SELECT a FROM t GROUP BY (@)",
    "SELECT a FROM t GROUP BY a HAVING (@)",
    "SELECT a FROM t ORDER BY (@)",
    "SELECT a FROM t LIMIT (@)",
    "SELECT SUM(a) OVER (ORDER BY (@)) FROM t",
    "SELECT a FROM t WINDOW w AS (PARTITION BY (@))",
    "WITH c AS (@) SELECT * FROM c",
    "WITH c (a) AS (@), d AS (SELECT 1) SELECT * FROM c",
    "WITH RECURSIVE c AS (@) SELECT 1",
    "WITH c (@) SELECT 1",
    "@ UNION SELECT 1",
    "SELECT 1 UNION (@)",
    "SELECT 1 UNION ALL @",
    "(@) UNION (SELECT 1)",
    "SELECT 1 EXCEPT @",
    "SELECT 1 INTERSECT (@)",
    "VALUES ROW((@))",
    "VALUES (1), ((@))",
    "TABLE t UNION @",
    "SELECT DISTINCT (@)",
    "SELECT * FROM JSON_TABLE((@), '$' COLUMNS (a INT PATH '$')) j",
    "SELECT * FROM (@) d (a)",
    "SELECT * FROM t USE INDEX (@)",
    "SELECT * FROM f(@)",
    "SELECT * FROM TABLE(@)",
    "SELECT * FROM UNNEST(@)",
];

/// Chains, whose parts follow each other instead of nesting: the part that is repeated.
const CHAINS: &[&str] = &[
    ", a AS b",
    ", 'x'",
    " JOIN u ON a = b",
    " LEFT JOIN u USING (a)",
    " NATURAL JOIN u",
    " CROSS JOIN u",
    " STRAIGHT_JOIN u",
    ", (t)",
    ", (SELECT 1) d",
    " UNION SELECT 1",
    " UNION (SELECT 1)",
    " INTERSECT SELECT 1",
    " + 1",
    " AND a IN (1, 2)",
    " OR a NOT IN (SELECT 1)",
    " -> '$'",
    "[1]",
    "::int",
    ".a",
    " COLLATE c",
    " IS NULL",
    " IN (1)",
    " NOT IN (1)",
    " BETWEEN 1 AND 2",
    " + INTERVAL 1 DAY",
    " 'a'",
    " WHEN 1 THEN 2",
    " USE INDEX (i)",
    "(1)",
    " a",
    " AS a",
    " LIMIT 1",
    " ORDER BY a",
    " FOR UPDATE",
    " WITH ROLLUP",
    " PARTITION (p)",
];

/// The construct in itself, `depth` times, around `core`; cut off after `core` if it is not closed.
fn nested(constructs: &[&str], depth: usize, core: &str, is_closed: bool) -> String {
    let level =
        |at: usize| constructs.get(at % constructs.len()).unwrap().split_once('@').unwrap_or_else(|| panic!("{constructs:?}"));
    let before = (0..depth).map(|at| level(at).0);
    let after = (0..depth).rev().map(|at| level(at).1);
    let mut text: String = before.collect();
    text.push_str(core);
    if is_closed {
        text.extend(after);
    }
    text
}

/// Every attempt after the budget fails at once; what has been begun has a few questions left on each level.
const SLACK: u64 = 3_000;

fn check(sql: &str) {
    let work = parsing_work(sql.as_bytes(), &CONTEXT);
    let shown = sql.get(..100).unwrap_or(sql);
    assert!(work.steps <= work.budget + SLACK, "{work:?} for {} bytes of {shown}", sql.len());
}

const DEPTHS: [usize; 5] = [5, 15, 30, 49, 400];

#[test]
fn nested_expressions_stay_within_the_budget() {
    let operators: Vec<_> =
        OPERATORS.iter().flat_map(|operator| [format!("1 {operator} @"), format!("@ {operator} 1")]).collect();
    let constructs: Vec<_> = AROUND_EXPRESSIONS.iter().copied().chain(operators.iter().map(String::as_str)).collect();
    for construct in &constructs {
        for depth in DEPTHS {
            for is_closed in [true, false] {
                check(&format!("SELECT {}", nested(&[construct], depth, "a", is_closed)));
                check(&format!("SELECT 1 FROM t WHERE {} GROUP BY a", nested(&[construct], depth, "1", is_closed)));
            }
        }
    }
    for (at, one) in constructs.iter().enumerate() {
        for (after, other) in constructs.iter().enumerate() {
            check(&format!("SELECT {}", nested(&[one, other], 14, "a", (at + after) % 2 == 0)));
        }
    }
}

#[test]
fn nested_queries_stay_within_the_budget() {
    for one in AROUND_QUERIES {
        for depth in DEPTHS {
            for is_closed in [true, false] {
                check(&nested(&[one], depth, "SELECT 1", is_closed));
            }
        }
        for other in AROUND_QUERIES {
            for is_closed in [true, false] {
                check(&nested(&[one, other], 14, "SELECT 1", is_closed));
            }
        }
        // A query in an expression in a query.
        for expression in AROUND_EXPRESSIONS {
            let inside = expression.replace('@', "(SELECT @)");
            check(&nested(&[one], 6, &format!("SELECT {}", nested(&[&inside], 10, "a", false)), false));
        }
    }
}

#[test]
fn chains_stay_within_the_budget() {
    for start in
        ["SELECT a FROM t", "SELECT a", "SELECT CASE 1", "SELECT f", "(SELECT 1)", "VALUES (1)", "SELECT a FROM t WHERE a"]
    {
        for one in CHAINS {
            for n in [10, 100, 1_000] {
                check(&format!("{start}{}", one.repeat(n)));
            }
            for other in CHAINS {
                check(&format!("{start}{}", format!("{one}{other}").repeat(50)));
            }
        }
    }
}

/// Statements of people and their programs: with the deepest nesting that comes up, a quarter of the budget is enough.
#[test]
fn honest_reads_take_a_small_part_of_the_budget() {
    let honest = |sql: &str| {
        let work = parsing_work(sql.as_bytes(), &CONTEXT);
        assert!(work.steps * 3 <= work.budget, "{work:?} for {sql}");
    };
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    for entry in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with("--"));
        lines.for_each(honest);
    }
    for construct in AROUND_QUERIES {
        for depth in 1..=6 {
            honest(&nested(&[construct], depth, "SELECT a, b FROM t WHERE a = 1", true));
        }
    }
    for construct in AROUND_EXPRESSIONS {
        for depth in 1..=6 {
            honest(&format!("SELECT {} FROM t", nested(&[construct], depth, "a", true)));
        }
    }
}

/// The text that stopped every session, and its verdict.
#[test]
fn what_would_take_too_much_work_goes_to_the_primary_and_is_remembered() {
    let sql = nested(&["SELECT NOT IN (@"], 40, "1", true);
    let classifier = Classifier::new(ParseLimits::default());
    for _ in 0..3 {
        let statement = classifier.classify(sql.as_bytes(), &CONTEXT);
        assert_eq!((statement.placement(), statement.because.label()), (Placement::Primary, "too_costly"));
    }
    assert_eq!(classifier.cache_stats().hits, 2);
}
