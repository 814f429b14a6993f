//! Every statement that the classifier lets run on a replica is a read for the real servers as well.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "test code"
)]

use std::path::Path;
use std::sync::Arc;

use classifier::{Classifier, ParseLimits, Placement};
use e2e::differential::case_files::{self, Case};
use e2e::differential::{Failure, Finding, Report, check};
use e2e::{Cluster, Engine};

e2e::suite! {
    Alone: [
        every_case_that_may_run_on_a_replica_only_reads,
        what_frameworks_read_may_run_on_a_replica_and_only_reads,
        the_test_sees_what_a_read_must_not_do,
    ],
}

/// Errors of a text that is no statement of this server's language: it was refused before anything else was looked at.
const NOT_UNDERSTOOD: &[(u16, &str)] = &[
    (1064, "a syntax error: the other server has the syntax, or neither, and the classifier need not know"),
    (1065, "an empty statement"),
];

/// Other errors by which a case proves little, and which no fixture can help. 1305, an unknown function, must never be one of them: then a stored
/// function could be called.
const ACCEPTED: &[(u16, &str)] = &[
    (1052, "the names of the case are ambiguous in any schema"),
    (1054, "the case names a column of a table that it does not read"),
    (1109, "the same with a table, or one server's information_schema has it"),
    (1115, "one server has the character set"),
    (1140, "the SQL mode asks for a GROUP BY"),
    (1193, "one server has the variable"),
    (1210, "the fixture has another type than the case wants"),
    (1221, "the case combines what the server does not"),
    (1222, "the case unites tables of any width"),
    (1231, "one server has the SQL mode"),
    (1235, "the server has the syntax and nothing behind it"),
    (1273, "one server has the collation"),
    (1411, "the fixture has another value than the case wants"),
    (1582, "the case is about a function's name, not its arguments"),
    (1772, "what the case has for GTIDs are none"),
    (1791, "one server has the format of EXPLAIN"),
    (1919, "what the fixture has for dynamic columns are none"),
    (3037, "the fixture has text where the case wants a geometry"),
    (4017, "one server allows the window's frame"),
    (4079, "the fixture has text where the case wants another type"),
    (6037, "QUALIFY needs an optimizer that is switched off"),
];

/// What a case must not do more often than this, in percent: prove nothing since the server does not know the syntax.
const NOT_UNDERSTOOD_MAX: usize = 20;

/// At least this many of the others must run, in percent.
const RAN_MIN: usize = 90;

async fn every_case_that_may_run_on_a_replica_only_reads(cluster: Arc<Cluster>) {
    let classifier = Classifier::new(ParseLimits::default());
    let cases = case_files::read(&folder("../crates/classifier/tests/cases"));
    let is_read = |case: &&Case| case.classify(&classifier, cluster.engine).placement() == Placement::Replica;
    let reads: Vec<&Case> = cases.iter().filter(is_read).collect();
    assert!(reads.len() > 50, "only {} of {} cases are reads", reads.len(), cases.len());
    let report = check(&cluster, &reads).await;
    judge(cluster.engine, "cases", &report);
}

async fn what_frameworks_read_may_run_on_a_replica_and_only_reads(cluster: Arc<Cluster>) {
    let classifier = Classifier::new(ParseLimits::default());
    let cases = case_files::read(&folder("fixtures/framework_reads.sql"));
    let cases: Vec<&Case> = cases.iter().filter(|case| case.expected(cluster.engine).is_some()).collect();
    let is_expected = |case: &&&Case| case.expected(cluster.engine) == Some("replica");
    let is_read = |case: &&&Case| case.classify(&classifier, cluster.engine).placement() == Placement::Replica;
    let reads: Vec<&Case> = cases.iter().filter(is_read).copied().collect();
    println!("{}: {} of {} statements of frameworks may run on a replica", cluster.engine.label(), reads.len(), cases.len());
    let unexpected: Vec<String> = cases
        .iter()
        .filter(|case| is_read(case) != is_expected(case))
        .map(|case| format!("{}: {:?}: {}", case.place, case.classify(&classifier, cluster.engine).because, case.sql))
        .collect();
    assert!(unexpected.is_empty(), "not as the file says:\n{}", unexpected.join("\n"));
    assert!(reads.len() * 100 >= cases.len() * 95, "only {} of {} may run on a replica", reads.len(), cases.len());
    let report = check(&cluster, &reads).await;
    judge(cluster.engine, "reads of frameworks", &report);
}

/// The same check, on statements that are no reads: each must be reported, with what it did.
async fn the_test_sees_what_a_read_must_not_do(cluster: Arc<Cluster>) {
    let own = match cluster.engine {
        Engine::MySql => NO_READS_OF_MYSQL,
        Engine::MariaDb => NO_READS_OF_MARIADB,
    };
    let statements: Vec<_> = own.iter().chain(NO_READS).collect();
    let cases: Vec<Case> = statements.iter().map(|(sql, _)| Case::of(*sql)).collect();
    let report = check(&cluster, &cases.iter().collect::<Vec<_>>()).await;
    let mut missed = Vec::new();
    for ((sql, all_expected), finding) in statements.into_iter().zip(&report.findings) {
        for expected in all_expected.iter().filter(|expected| !finding.seen.iter().any(|seen| seen.contains(*expected))) {
            missed.push(format!("{sql}\n    not seen: {expected}\n    seen: {}", finding.seen.join("\n          ")));
        }
    }
    // What the replica was made to write, in the first round already.
    for file in ["out", "dump"] {
        if !report.seen_at_the_end.iter().any(|seen| seen.contains(&format!("a file on db2: /var/lib/mysql/files/{file},"))) {
            missed.push(format!("the file {file} on the replica"));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

/// Statements, and parts of what has to be said of them.
type NoReads = &'static [(&'static str, &'static [&'static str])];

const NO_READS: NoReads = &[
    ("INSERT INTO t VALUES ()", &["refused by the read-only replica: 1290", "rows of a table now: test.t ", "position now"]),
    ("UPDATE t SET id = id + 10", &["refused", "rows of a table now: test.t ", "a row lock"]),
    ("DELETE FROM t WHERE id = 1", &["refused", "a row lock"]),
    ("SELECT id FROM t FOR UPDATE", &["in a transaction, it leaves a row lock"]),
    ("SELECT id FROM t LOCK IN SHARE MODE", &["in a transaction, it leaves a row lock"]),
    ("SELECT * FROM (SELECT id FROM t WHERE id = 2 FOR UPDATE) d", &["in a transaction, it leaves a row lock"]),
    // No SELECT, so InnoDB locks what they read.
    ("DO (SELECT COUNT(*) FROM t)", &["in a transaction, it leaves a row lock"]),
    ("SHOW TABLES WHERE EXISTS (SELECT * FROM t)", &["in a transaction, it leaves a row lock"]),
    ("SELECT GET_LOCK('x', 0)", &["lock now", "USER LEVEL LOCK"]),
    ("SELECT @a := 1", &["user variable now: a = 1"]),
    ("SELECT MAX(id) FROM t INTO @b", &["user variable now: b = "]),
    // The test itself makes this function, as it is missing, and it writes.
    ("SELECT f_writes()", &["refused", "rows of a table now: witness.written "]),
    ("SELECT id FROM t WHERE f_writes_too() > 0", &["refused", "rows of a table now: witness.written "]),
    ("SELECT LAST_INSERT_ID(5)", &["LAST_INSERT_ID() now: 5"]),
    ("SELECT id INTO OUTFILE '/var/lib/mysql/files/out' FROM t", &["a file on db1", "and then 1086"]),
    ("SELECT id FROM t LIMIT 1 INTO DUMPFILE '/var/lib/mysql/files/dump'", &["a file on db1"]),
    ("SET SESSION sql_mode = 'ANSI_QUOTES'", &["variable now: ", "ANSI_QUOTES"]),
    ("SET group_concat_max_len = 5000", &["variable now: "]),
    ("SET autocommit = 0", &["variable now: autocommit = OFF"]),
    ("SET NAMES latin1", &["variable now: character_set_client = latin1"]),
    ("USE witness", &["schema now: witness"]),
    ("START TRANSACTION", &["transaction now: ACTIVE"]),
    ("BEGIN; SELECT id FROM t", &["transaction now: ACTIVE", "lock now: SHARED_READ TABLE test t"]),
    ("COMMIT", &["it ends a transaction"]),
    ("PREPARE s FROM 'SELECT 1'", &["prepared statement now: SELECT 1"]),
    ("HANDLER t OPEN", &["lock now: "]),
    ("LOCK TABLES t READ", &["lock now: "]),
    ("LOCK TABLES t WRITE", &["refused", "lock now: "]),
    ("XA START 'x'", &["can no longer begin a transaction"]),
    ("CREATE TEMPORARY TABLE x (a INT)", &["temporary table now"]),
    ("CREATE TABLE made (a INT)", &["refused", "position now", "it ends a transaction"]),
    ("CREATE VIEW made_v AS SELECT 1", &["refused", "position now"]),
    ("ALTER TABLE t COMMENT 'x'", &["refused", "position now"]),
    ("DROP TABLE t", &["refused", "position now"]),
    ("SELECT 1; INSERT INTO u VALUES (NULL); SELECT 2", &["refused", "rows of a table now: test.u "]),
    ("SELECT @@server_id; SELECT @c := 3", &["user variable now: c = 3"]),
];

const NO_READS_OF_MYSQL: NoReads = &[
    ("SELECT id FROM t FOR SHARE SKIP LOCKED", &["in a transaction, it leaves a row lock"]),
    ("WITH c AS (SELECT 1 AS n) UPDATE t SET id = 9 WHERE id IN (SELECT n FROM c)", &["refused", "a row lock"]),
    ("SET PASSWORD = 'reader'", &["refused", "position now"]),
    // It locks the account, as long as the transaction lasts.
    ("SHOW CREATE USER reader", &["in a transaction, it leaves a row lock"]),
    ("CREATE TEMPORARY TABLE y AS SELECT 1 AS a", &["temporary table now"]),
];

const NO_READS_OF_MARIADB: NoReads = &[
    ("SELECT NEXT VALUE FOR s", &["refused", "sequence now"]),
    ("SELECT NEXTVAL(s)", &["refused", "sequence now"]),
    ("SELECT SETVAL(s, 100)", &["refused", "sequence now: 101"]),
    ("SET PASSWORD = PASSWORD('reader')", &["refused", "position now"]),
    ("INSERT INTO u (id) VALUES (NULL) RETURNING id", &["refused", "rows of a table now: test.u "]),
];

/// Fails if a read did more than that, or if too many proved nothing.
fn judge(engine: Engine, what: &str, report: &Report<'_>) {
    let has = |finding: &Finding<'_>, errors: &[(u16, &str)]| {
        finding.answer.failure().is_some_and(|failure| errors.iter().any(|(code, _)| *code == failure.code))
    };
    let all = report.findings.len();
    let is_not_understood = |finding: &Finding<'_>| {
        has(finding, NOT_UNDERSTOOD) || finding.answer.failure().is_some_and(Failure::is_of_other_versions)
    };
    let not_understood = report.findings.iter().filter(|finding| is_not_understood(finding)).count();
    let ran = report.findings.iter().filter(|finding| finding.answer.failure().is_none()).count();
    println!(
        "{}: of {all} {what}, {ran} ran, {not_understood} were not understood and {} failed otherwise; \
         fixture {:.1?}, check {:.1?}",
        engine.label(),
        all - ran - not_understood,
        report.took[0],
        report.took[1]
    );
    let mut wrong: Vec<String> = report.seen_at_the_end.clone();
    for finding in &report.findings {
        let Finding { case, answer, seen, rows_differ } = finding;
        if answer.failure().is_some() {
            println!("  {}: {answer}: {}", case.place, case.sql);
        }
        if *rows_differ {
            println!("  {}: other rows on the replica: {}", case.place, case.sql);
        }
        let mut complaints = seen.clone();
        if answer.failure().is_some() && !is_not_understood(finding) && !has(finding, ACCEPTED) {
            complaints.push(answer.to_string());
        }
        if !complaints.is_empty() {
            wrong.push(format!("{}: {}\n    {}", case.place, case.sql, complaints.join("\n    ")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(not_understood * 100 <= all * NOT_UNDERSTOOD_MAX, "{not_understood} of {all} {what} were not understood");
    assert!(ran * 100 >= (all - not_understood) * RAN_MIN, "only {ran} of {} {what} ran", all - not_understood);
}

fn folder(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}
