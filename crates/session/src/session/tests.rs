//! Statements as text, and what they leave in the session, as one line.

use classifier::{Charset, Classifier, Dialect, ParseLimits, SqlMode};

use super::*;
use crate::TransactionKind;

const PRIMARY: ServerId = ServerId(0);
const REPLICA: ServerId = ServerId(1);

fn beginning() -> Beginning {
    Beginning { dialect: Dialect::MySql, sql_mode: SqlMode::empty(), charset: Charset::AsciiSafe, autocommit: true }
}

fn fresh() -> Session {
    Session::new(SessionState::new(LoginDetails::default(), None), beginning())
}

fn fresh_of(dialect: Dialect) -> Session {
    Session::new(SessionState::new(LoginDetails::default(), None), Beginning { dialect, ..beginning() })
}

fn classified(session: &Session, sql: &str) -> Statement {
    let binding = &session.binding;
    let context = classifier::Context {
        dialect: binding.dialect(),
        sql_mode: binding.sql_mode(),
        charset: binding.charset(),
        schema: session.state.schema().and_then(|name| std::str::from_utf8(name).ok()),
    };
    Classifier::new(ParseLimits::default()).classify(sql.as_bytes(), &context)
}

/// Answers with an OK with `autocommit` and without a transaction, unless a prefix of the statement gives another answer: `error 1146: `,
/// `in transaction: `, `no autocommit: `, `changed: `, `cursor: `, `no cursor: `, `last row: `, `schema shop: `, `rows 3: `, `wrote 2: `, `warnings: `,
/// or says that it was only prepared: `prepared: `.
fn answered(session: &mut Session, line: &str, now: Instant) -> Settled {
    let (says, sql) = line.split_once(": ").unwrap_or(("", line));
    let is_about_cursor = matches!(sql, "FETCH" | "RESET STATEMENT");
    let statement = classified(session, if is_about_cursor { "SELECT 1" } else { sql });
    let mut status = StatusFlags::empty();
    status.set(StatusFlags::AUTOCOMMIT, says != "no autocommit");
    status.set(StatusFlags::IN_TRANS, says == "in transaction");
    status.set(StatusFlags::CURSOR_EXISTS, says == "cursor");
    status.set(StatusFlags::LAST_ROW_SENT, says == "last row");
    let error = says.strip_prefix("error ").map(|code| code.parse().unwrap());
    let outcome = Outcome {
        error,
        rows: says.strip_prefix("rows ").map(|rows| rows.parse().unwrap()),
        changed: says.strip_prefix("wrote ").map(|rows| rows.parse().unwrap()),
        has_warnings: says == "warnings",
        status: error.is_none().then_some(status),
        schema: says.strip_prefix("schema ").map(|name| Box::from(name.as_bytes())),
        state_changed: says == "changed",
        ..Outcome::default()
    };
    let kind = match sql {
        "FETCH" => RequestKind::Fetch(7),
        "RESET STATEMENT" => RequestKind::ResetStatement(7),
        _ if says.ends_with("cursor") => RequestKind::Execute { id: 7, opens_cursor: true },
        _ if says == "prepared" => RequestKind::Prepare(7),
        _ => RequestKind::Whole,
    };
    session.settle(&statement, kind, PRIMARY, &outcome, now)
}

fn describe(session: &Session) -> String {
    let binding = &session.binding;
    let mut words = Vec::new();
    if !binding.autocommit() {
        words.push("autocommit off".to_owned());
    }
    if let Some(transaction) = binding.transaction() {
        let kind = match transaction.kind {
            TransactionKind::Ordinary => "",
            TransactionKind::ReadOnly => "read-only ",
            TransactionKind::Lazy { .. } => "lazy ",
        };
        words.push(format!("{kind}transaction"));
    }
    words.extend(binding.pin_of_reads().map(|pin| pin.label().to_owned()));
    if binding.home().is_some() {
        words.push(if binding.may_leave_home() { "may leave home" } else { "home" }.to_owned());
    }
    words.extend(session.state.schema().map(|schema| format!("in {}", String::from_utf8_lossy(schema))));
    words.extend(session.state.settings.iter().map(|setting| format!("sets {}", setting.name)));
    words.join(", ")
}

#[track_caller]
fn check(lines: &[&str], expected: &str) {
    let mut session = fresh();
    for line in lines {
        answered(&mut session, line, Instant::now());
    }
    assert_eq!(describe(&session), expected, "{lines:?}");
}

#[test]
fn read_committed_is_what_the_session_has_chosen_for_all_its_transactions() {
    let is_read_committed = |lines: &[&str]| {
        let mut session = fresh();
        for line in lines {
            answered(&mut session, line, Instant::now());
        }
        session.state.is_read_committed()
    };
    for chosen in [
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
        "set session transaction isolation level read committed, read write",
        "SET transaction_isolation = 'READ-COMMITTED'",
        "SET SESSION tx_isolation='read-committed'",
    ] {
        assert!(is_read_committed(&[chosen]), "{chosen}");
        assert!(!is_read_committed(&[chosen, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ"]), "{chosen}");
    }
    for another in [
        "SELECT 1",
        "SET TRANSACTION ISOLATION LEVEL READ COMMITTED",
        "SET GLOBAL TRANSACTION ISOLATION LEVEL READ COMMITTED",
        "SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED",
        "SET @@transaction_isolation = 'READ-COMMITTED'",
        "SET transaction_isolation = 1",
        "error 1231: SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    ] {
        assert!(!is_read_committed(&[another]), "{another}");
    }
}

#[test]
fn without_autocommit_only_what_writes_or_ends_a_transaction_may_have_written() {
    let mut session = fresh();
    let mut wrote = |line| answered(&mut session, line, Instant::now()).may_have_written;
    assert!(!wrote("no autocommit: SET autocommit = 0"));
    assert!(!wrote("no autocommit: SELECT a FROM t"));
    assert!(!wrote("no autocommit: SET time_zone = '+01:00'"));
    assert!(wrote("no autocommit: INSERT INTO t VALUES (1)"));
}

#[test]
fn what_a_session_has_after_its_statements() {
    check(&["SELECT 1"], "");
    check(&["SET time_zone = '+01:00'"], "sets time_zone");
    check(&["error 1231: SET time_zone = 'nowhere'"], "");
    check(&["SET time_zone = '+01:00'", "SET sql_mode = ''", "SET time_zone = '+02:00'"], "sets sql_mode, sets time_zone");
    check(&["USE shop"], "in shop");
    check(&["error 1049: USE nowhere"], "");
    check(&["SET NAMES utf8mb4"], "sets names");
    check(&["in transaction: BEGIN"], "transaction");
    check(&["in transaction: START TRANSACTION READ ONLY"], "read-only transaction");
    check(&["in transaction: BEGIN", "in transaction: INSERT INTO t VALUES (1)", "COMMIT"], "");
    // DDL commits, and the server reports it.
    check(&["in transaction: BEGIN", "CREATE TABLE t (a INT)"], "");
    check(&["no autocommit: SET autocommit = 0"], "autocommit off, sets autocommit");
    check(&["no autocommit: SET autocommit = 0", "SET autocommit = 1"], "sets autocommit");
    check(&["CREATE TEMPORARY TABLE t (a INT)"], "temporary_table, home");
    check(&["CREATE TEMPORARY TABLE t (a INT)", "DROP TEMPORARY TABLE t"], "");
    check(&["SELECT GET_LOCK('a', 1)"], "named_lock, home");
    check(&["SELECT GET_LOCK('a', 1)", "SELECT RELEASE_LOCK('a')"], "");
    check(&["LOCK TABLES t WRITE"], "table_locks, home");
    check(&["LOCK TABLES t WRITE", "UNLOCK TABLES"], "");
    // A variable with a known value can be set elsewhere, one with an unknown value cannot.
    check(&["SET @a = 1"], "may leave home");
    check(&["SET @a = 1", "SELECT a INTO @a FROM t"], "home");
    // A text that was assigned again would get the present character set and collation; a number has none.
    check(&["SET @a = 'x'", "SET time_zone = '+01:00'"], "may leave home, sets time_zone");
    check(&["SET @a = 'x'", "SET NAMES latin1"], "home, sets names");
    check(&["SET @a = 'x'", "SET collation_connection = utf8mb4_bin"], "home, sets collation_connection");
    check(&["SET @a = 1", "SET NAMES latin1"], "may leave home, sets names");
    check(&["CALL p()"], "connection, home");
    check(&["changed: SELECT somebodys(1)"], "connection, home");
    check(&["SELECT somebodys(1)"], "");
    check(&["schema shop: SELECT somebodys(1)"], "in shop");
    check(&["cursor: SELECT a FROM t"], "home");
    // The server may have none to open.
    check(&["no cursor: SELECT a FROM t"], "");
    check(&["cursor: SELECT a FROM t", "FETCH"], "home");
    check(&["cursor: SELECT a FROM t", "last row: FETCH"], "");
    check(&["cursor: SELECT a FROM t", "RESET STATEMENT"], "");
}

#[test]
fn a_named_lock_is_held_until_it_is_released_as_often_as_it_was_taken() {
    check(&["SELECT GET_LOCK('a', 1)", "SELECT GET_LOCK('a', 1)", "SELECT RELEASE_LOCK('a')"], "named_lock, home");
    check(&["SELECT GET_LOCK('a', 1)", "SELECT GET_LOCK('a', 1)", "SELECT RELEASE_LOCK('a')", "SELECT RELEASE_LOCK('a')"], "");
    check(&["SELECT GET_LOCK('a', 1)", "SELECT GET_LOCK('b', 1)", "SELECT RELEASE_LOCK('a')"], "named_lock, home");
    check(&["SELECT GET_LOCK('a', 1)", "SELECT GET_LOCK('b', 1)", "SELECT RELEASE_ALL_LOCKS()"], "");
    check(&["LOCK TABLES t WRITE", "SELECT GET_LOCK('a', 1)", "SELECT RELEASE_ALL_LOCKS()"], "table_locks, home");
    // A temporary table exists once, however often it was created.
    let twice = "CREATE TEMPORARY TABLE IF NOT EXISTS t (a INT)";
    check(&[twice, twice, "DROP TEMPORARY TABLE t"], "");
}

#[test]
fn set_transaction_lasts_until_the_next_transaction_has_ended() {
    let set = "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE";
    // Tried on both servers: a statement without a table does not use it up, nor does one that fails because of it.
    check(&[set, "SELECT @@time_zone"], "next_transaction, home");
    check(&[set, "error 1792: INSERT INTO t VALUES (1)"], "next_transaction, home");
    check(&[set, "SELECT @@time_zone", "SELECT a FROM t"], "");
    check(&[set], "next_transaction, home");
    check(&[set, "SET time_zone = '+01:00'"], "next_transaction, home, sets time_zone");
    check(&[set, "SELECT a FROM t"], "");
    check(&[set, "in transaction: BEGIN"], "transaction, next_transaction, home");
    check(&[set, "in transaction: BEGIN", "COMMIT"], "");
    check(&[set, "COMMIT"], "");
}

/// `ROW_COUNT()` and `FOUND_ROWS()`, as far as they are known: then no server has to be asked.
#[test]
fn what_a_statement_has_counted_is_known_as_far_as_its_answer_shows() {
    let check = |dialect, lines: &[&str], expected: (i64, Option<u64>)| {
        let mut session = fresh_of(dialect);
        for line in lines {
            answered(&mut session, line, Instant::now());
        }
        let (changed, found) = expected;
        assert_eq!(session.binding.counts(), crate::Counts { on: Some(PRIMARY), changed: Some(changed), found }, "{lines:?}");
    };
    for dialect in [Dialect::MySql, Dialect::MariaDb] {
        let check = |lines: &[&str], expected| check(dialect, lines, expected);
        check(&["rows 3: SELECT a FROM t"], (-1, Some(3)));
        check(&["rows 3: WITH c AS (SELECT a FROM t) SELECT a FROM c"], (-1, Some(3)));
        check(&["error 1146: SELECT a FROM t"], (-1, None));
        check(&["wrote 2: UPDATE t SET a = 1"], (2, None));
        // More was found than was sent, and other results count in other ways.
        check(&["rows 3: SELECT SQL_CALC_FOUND_ROWS a FROM t LIMIT 3"], (-1, None));
        check(&["rows 3: SHOW TABLES"], (-1, None));
        check(&["rows 3: SELECT a FROM t FOR UPDATE"], (-1, None));
        // The rows that were found are those of the last result, unless a statement in between may have had another.
        for quiet in ["SET time_zone = '+01:00'", "USE shop", "BEGIN", "COMMIT", "ROLLBACK"] {
            check(&["rows 3: SELECT a FROM t", &format!("wrote 0: {quiet}")], (0, Some(3)));
        }
        check(&["rows 3: SELECT a FROM t", "wrote 1: INSERT INTO t VALUES (1)"], (1, None));
        // Nothing ran.
        check(&["rows 3: SELECT a FROM t", "prepared: INSERT INTO t VALUES (1)"], (-1, Some(3)));
    }
    // MariaDB counts no row where an aggregate of an empty table is the only one.
    check(Dialect::MySql, &["rows 1: SELECT COUNT(*) FROM t"], (-1, Some(1)));
    check(Dialect::MariaDb, &["rows 1: SELECT COUNT(*) FROM t"], (-1, None));
}

#[test]
fn a_question_that_was_answered_here_had_one_row() {
    let mut session = fresh();
    for line in ["rows 3: SELECT a FROM t", "warnings: SELECT a FROM t"] {
        answered(&mut session, line, Instant::now());
    }
    assert_eq!((session.binding.found_on(), session.binding.asks_for_counts()), (Some(PRIMARY), false));
    session.binding.asked();
    assert_eq!(session.binding.counts(), crate::Counts { on: None, changed: Some(-1), found: Some(1) });
    assert_eq!((session.binding.found_on(), session.binding.asks_for_counts()), (None, true));
    assert!(!session.binding.has_diagnostics());
}

#[test]
fn who_has_asked_for_counts_once_will_ask_again() {
    let asks = |lines: &[&str]| {
        let mut session = fresh();
        for line in lines {
            answered(&mut session, line, Instant::now());
        }
        session.binding.asks_for_counts()
    };
    assert!(!asks(&["SELECT 1"]));
    assert!(asks(&["SELECT ROW_COUNT()"]) && asks(&["SELECT FOUND_ROWS()", "SELECT 1"]));
}

#[test]
fn what_a_statement_may_have_left_on_its_connection() {
    let check = |dialect, line: &str, expected: Traces| {
        assert_eq!(answered(&mut fresh_of(dialect), line, Instant::now()).traces, expected, "{line}");
    };
    let none = Traces::default();
    let choice = "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE";
    for dialect in [Dialect::MySql, Dialect::MariaDb] {
        let check = |line, expected| check(dialect, line, expected);
        check("SELECT 1", none);
        check("rows 1: SELECT 1", Traces { rows: true, ..none });
        check("SELECT LAST_INSERT_ID(5)", Traces { insert_id: true, ..none });
        check("SET time_zone = '+01:00'", none);
        check(choice, Traces { next_transaction: Some(true), ..none });
        check("in transaction: BEGIN", Traces { next_transaction: Some(false), ..none });
    }
    let of_mysql = |line, expected| check(Dialect::MySql, line, expected);
    of_mysql("CALL p()", Traces { insert_id: true, unseen: true, ..none });
    of_mysql("SELECT somebodys(1)", Traces { insert_id: true, unseen: true, ..none });
    of_mysql("NO SUCH STATEMENT", Traces { insert_id: true, unseen: true, ..none });
    of_mysql("INSERT INTO t VALUES (1)", none);
    // Some of several assignments may have been made.
    of_mysql("error 1231: SET time_zone = '+01:00', sql_mode = 'nonsense'", Traces { unseen: true, ..none });
    of_mysql("error 1146: SELECT a FROM t", none);
    of_mysql("warnings: SELECT a FROM t", none);
    // Its warnings last until a statement has a table.
    let of_mariadb = |line, lasting_warnings| check(Dialect::MariaDb, line, Traces { lasting_warnings, ..none });
    of_mariadb("warnings: SELECT a FROM t", Some(true));
    of_mariadb("error 1146: SELECT a FROM t", Some(true));
    of_mariadb("SELECT a FROM t", Some(false));
    of_mariadb("INSERT INTO t VALUES (1)", Some(false));
    of_mariadb("SET time_zone = '+01:00'", None);
}

#[test]
fn variables_with_known_values_let_a_session_leave_its_connection() {
    let loosened = |lines: &[&str], server| {
        let mut session = fresh();
        for line in lines {
            answered(&mut session, line, Instant::now());
        }
        session.loosen(server);
        describe(&session)
    };
    assert_eq!(loosened(&["SET @a = 1"], PRIMARY), "sets @a");
    assert_eq!(loosened(&["SET @a = 1"], REPLICA), "may leave home");
    assert_eq!(loosened(&["SET @a = 1", "SELECT a INTO @b FROM t"], PRIMARY), "home");
}

#[test]
fn an_insert_id_that_was_noted_is_known_everywhere() {
    let mut session = fresh();
    let insert = classified(&session, "INSERT INTO t VALUES (1)");
    let outcome = Outcome { has_insert_id: true, ..Outcome::default() };
    session.settle(&insert, RequestKind::Whole, PRIMARY, &outcome, Instant::now());
    assert!(session.binding.insert_id_is_on(PRIMARY));
    assert_eq!(session.state.insert_id, None);
    session.note_insert_id(7);
    assert!(!session.binding.insert_id_is_on(PRIMARY));
    assert_eq!(session.state.insert_id, Some(7));
}

#[test]
fn a_text_is_read_with_the_settings_of_the_session() {
    let mut session = fresh();
    answered(&mut session, "SET sql_mode = 'ANSI_QUOTES'", Instant::now());
    answered(&mut session, "SET NAMES gbk", Instant::now());
    assert_eq!((session.binding.sql_mode(), session.binding.charset()), (SqlMode::ANSI_QUOTES, Charset::AsciiUnsafe));
}

/// Reads go to replicas again only some time after the last write.
#[test]
fn a_statement_that_never_ran_has_written_nothing() {
    let wrote = |line: &str| {
        let mut session = fresh();
        answered(&mut session, line, Instant::now());
        session.binding.wrote_at().is_some()
    };
    assert!(wrote("error 1062: INSERT INTO t VALUES (1)"));
    assert!(!wrote("error 1064: INSERT INTO t VALUES (1)"));
    // The statements before the one with the error have run.
    assert!(wrote("error 1064: INSERT INTO t VALUES (1); INSERT INTO t VALUE"));
    assert!(!wrote("error 1054: SELECT nowhere FROM t FOR UPDATE"));
    assert!(wrote("error 1054: CALL p()"));
}

#[test]
fn only_a_request_that_runs_a_statement_may_commit() {
    let mut session = fresh();
    let may_commit = |session: &Session, sql: &str, kind| session.may_commit(&classified(session, sql), kind);
    let execute = RequestKind::Execute { id: 7, opens_cursor: false };
    assert!(may_commit(&session, "INSERT INTO t VALUES (1)", RequestKind::Whole));
    assert!(may_commit(&session, "INSERT INTO t VALUES (1)", execute));
    assert!(!may_commit(&session, "INSERT INTO t VALUES (1)", RequestKind::Prepare(7)));
    assert!(!may_commit(&session, "SELECT a FROM t", RequestKind::Whole));
    answered(&mut session, "in transaction: BEGIN", Instant::now());
    assert!(!may_commit(&session, "INSERT INTO t VALUES (1)", RequestKind::Whole));
    assert!(may_commit(&session, "COMMIT", RequestKind::Whole));
}

#[test]
fn a_read_that_seems_to_change_the_session_pins_nothing() {
    check(&["changed: SELECT a FROM t"], "");
    check(&["changed: SET time_zone = '+01:00'"], "sets time_zone");
}

/// It is not known which of its statements ran.
#[test]
fn a_batch_that_fails_keeps_the_session_on_its_connection() {
    check(&["error 1146: SET time_zone = '+01:00'; SELECT a FROM nowhere"], "connection, home");
    check(&["error 1146: SELECT 1; SELECT a FROM nowhere"], "");
}

#[test]
fn a_write_is_reported_to_others() {
    let writes = |lines: &[&str]| {
        let mut session = fresh();
        let settled = lines.iter().map(|line| answered(&mut session, line, Instant::now())).last().unwrap();
        settled.may_have_written
    };
    assert!(writes(&["INSERT INTO t VALUES (1)"]));
    assert!(writes(&["error 1062: INSERT INTO t VALUES (1)"]));
    assert!(!writes(&["SELECT a FROM t"]));
    // Any statement in a transaction may have ended it.
    assert!(writes(&["in transaction: BEGIN", "SELECT a FROM t"]));
    assert!(!writes(&["SET time_zone = '+01:00'"]));
}

#[test]
fn an_idle_limit_is_taken_from_a_plain_number() {
    let limit = |line: &str| answered(&mut fresh(), line, Instant::now()).idle_limit;
    assert_eq!(limit("SET wait_timeout = 60"), Some(Duration::from_mins(1)));
    assert_eq!(limit("SET wait_timeout = 30 + 30"), None);
    assert_eq!(limit("error 1231: SET wait_timeout = 60"), None);
    assert_eq!(limit("SET interactive_timeout = 60"), None);
}

#[test]
fn what_cannot_be_restored_is_lost_with_its_connection() {
    let lost = |lines: &[&str]| {
        let mut session = fresh();
        for line in lines {
            answered(&mut session, line, Instant::now());
        }
        let loss = session.lose_connection(PRIMARY);
        (loss.transaction, loss.pins, describe(&session))
    };
    assert_eq!(lost(&["SET time_zone = '+01:00'"]), (false, false, "sets time_zone".to_owned()));
    assert_eq!(lost(&["in transaction: BEGIN"]), (true, false, String::new()));
    assert_eq!(lost(&["CREATE TEMPORARY TABLE t (a INT)"]), (false, true, String::new()));
    assert_eq!(lost(&["SET @a = 1"]), (false, false, "sets @a".to_owned()));
    assert_eq!(lost(&["SET @a = 1", "CREATE TEMPORARY TABLE t (a INT)"]), (false, true, String::new()));
    // Restored variables are lost together with those that cannot be restored: half of the variables would be worse than none.
    let mut session = fresh();
    for line in ["SET time_zone = '+01:00'", "SET @a = 1"] {
        answered(&mut session, line, Instant::now());
    }
    session.lose_connection(PRIMARY);
    answered(&mut session, "SELECT a INTO @b FROM t", Instant::now());
    session.lose_connection(PRIMARY);
    assert_eq!(describe(&session), "sets time_zone");
    for what in ["CREATE TEMPORARY TABLE t (a INT)", "in transaction: BEGIN"] {
        let mut session = fresh();
        answered(&mut session, what, Instant::now());
        assert!(session.lose_connection(PRIMARY).is_any(), "{what}");
    }
    let mut session = fresh();
    answered(&mut session, "CREATE TEMPORARY TABLE t (a INT)", Instant::now());
    assert!(!session.lose_connection(REPLICA).is_any());
}

#[test]
fn a_reset_leaves_the_schema_and_what_was_written() {
    let mut session = fresh();
    let now = Instant::now();
    for line in ["USE shop", "SET time_zone = '+01:00'", "CREATE TEMPORARY TABLE t (a INT)", "in transaction: BEGIN"] {
        answered(&mut session, line, now);
    }
    let later = now + Duration::from_secs(1);
    session.reset(beginning(), later);
    assert_eq!(describe(&session), "in shop");
    // The transaction was rolled back, but it may have committed parts by itself.
    assert_eq!(session.binding.wrote_at(), Some(later));
    session.reset(beginning(), later + Duration::from_secs(1));
    assert_eq!(session.binding.wrote_at(), Some(later));
}

/// As the servers have it: `ROW_COUNT()` is 0, and `FOUND_ROWS()` stays.
#[test]
fn a_reset_leaves_the_rows_that_were_found() {
    let mut session = fresh();
    answered(&mut session, "rows 3: SELECT a FROM t", Instant::now());
    session.reset(beginning(), Instant::now());
    assert_eq!(session.binding.counts(), crate::Counts { on: None, changed: Some(0), found: Some(3) });
    assert_eq!(session.binding.found_on(), Some(PRIMARY));
}

/// Each of them has been answered without an error, by the primary.
#[test]
fn an_expired_password_binds_to_the_primary_and_a_changed_one_to_its_connection() {
    let check = |lines: &[&str], is_changed: bool, expected: &str| {
        let mut session = fresh();
        session.binding.password_has_expired();
        let now = Instant::now();
        let changed =
            lines.iter().map(|line| answered(&mut session, line, now).changed_password).filter(|changed| *changed).count();
        assert_eq!((changed, session.binding.has_expired_password()), (usize::from(is_changed), !is_changed), "{lines:?}");
        session.reset(beginning(), now);
        assert_eq!(describe(&session), expected, "{lines:?}");
        let loss = session.lose_connection(PRIMARY);
        assert_eq!(loss.pins, is_changed, "{lines:?}");
        assert_eq!(describe(&session), if is_changed { "" } else { "expired_password" }, "{lines:?}");
        let next = Session::succeeding(session, SessionState::new(LoginDetails::default(), None), beginning());
        assert_eq!(describe(&next), "");
    };
    check(&[], false, "expired_password");
    check(
        &["SET NAMES utf8mb4", "error 1820: SELECT 1", "error 1820: ALTER USER USER() IDENTIFIED BY 'x'"],
        false,
        "expired_password",
    );
    check(&["ALTER USER USER() IDENTIFIED BY 'x'"], true, "expired_password, home");
    check(&["SET PASSWORD = 'x'", "SET PASSWORD = 'y'", "SELECT 1"], true, "expired_password, home");
}

#[test]
fn a_session_that_succeeds_another_begins_anew_but_sees_its_writes() {
    let mut former = fresh();
    let now = Instant::now();
    for line in ["USE shop", "SET time_zone = '+01:00'", "in transaction: BEGIN"] {
        answered(&mut former, line, now);
    }
    let later = now + Duration::from_secs(1);
    former.reset(beginning(), later);
    let (dialect, sql_mode, charset) = (Dialect::MariaDb, SqlMode::ANSI_QUOTES, Charset::AsciiUnsafe);
    let others = Beginning { dialect, sql_mode, charset, autocommit: false };
    let session = Session::succeeding(former, SessionState::new(LoginDetails::default(), None), others);
    assert_eq!((describe(&session).as_str(), session.binding.autocommit()), ("autocommit off", false));
    assert_eq!(session.reading(), Reading { dialect, sql_mode, charset });
    // It has written nothing itself.
    assert_eq!(session.binding.wrote_at(), Some(later));
}

#[test]
fn a_setting_above_the_limit_stays_where_it_was_made() {
    let mut session = fresh();
    let statement = classified(&session, "SET time_zone = '+01:00'");
    assert_eq!(session.overfull(&statement), None);
    for index in 0..crate::settings::SETTINGS {
        assert!(session.state.set(&format!("v{index}"), b"x"));
    }
    let overfull = session.overfull(&statement).expect("no room");
    assert_eq!(overfull.session, [SessionEffect::Pin(Pin::Connection)]);
    assert_eq!(session.overfull(&classified(&session, "SELECT 1")), None);
    let names = session.overfull(&classified(&session, "SET NAMES utf8mb4")).expect("no room");
    assert_eq!(names.session, [SessionEffect::Pin(Pin::Connection)]);
}

#[test]
fn a_long_setting_is_repeated_while_there_is_room() {
    let session = fresh();
    let statement = classified(&session, &format!("SET optimizer_switch = '{}'", "x".repeat(crate::settings::SETTING_BYTES / 8)));
    assert_eq!(session.overfull(&statement), None);
}

#[test]
fn flags_of_the_optimizer_are_kept_one_by_one_and_do_not_end_a_pin() {
    let mut session = fresh();
    let texts = |session: &Session| {
        session.state.settings.iter().map(|s| String::from_utf8_lossy(&s.sql).into_owned()).collect::<Vec<_>>()
    };
    for set in ["SET optimizer_switch = 'mrr=on'", "SET optimizer_switch = 'semijoin=off'", "SET optimizer_switch = 'mrr=on'"] {
        answered(&mut session, set, Instant::now());
    }
    assert_eq!(texts(&session), ["optimizer_switch = 'semijoin=off'", "optimizer_switch = 'mrr=on'"]);
    let is_pinned = |session: &Session| session.binding.home().is_some();
    assert!(!is_pinned(&session));
    answered(&mut session, "SET optimizer_switch = @saved", Instant::now());
    answered(&mut session, "SET optimizer_switch = 'semijoin=on'", Instant::now());
    assert!(is_pinned(&session));
    answered(&mut session, "SET optimizer_switch = DEFAULT", Instant::now());
    assert!(!is_pinned(&session));
}

#[test]
fn a_statement_is_prepared_for_the_present_schema_and_mode() {
    let mut session = fresh();
    answered(&mut session, "USE shop", Instant::now());
    let before = session.state.grammar();
    assert_eq!(before.schema(), Some(b"shop".as_slice()));
    answered(&mut session, "SET sql_mode = 'ANSI_QUOTES'", Instant::now());
    assert_ne!(session.state.grammar(), before);
}

#[test]
fn a_login_is_repeated_with_the_clients_character_set() {
    let login = LoginDetails { collation: 45, ..LoginDetails::default() };
    let session = Session::new(SessionState::new(login.clone(), None), beginning());
    assert_eq!(session.login(), &login);
}

/// A response may have several results.
#[test]
fn the_warnings_are_those_of_the_last_result_and_the_insert_id_is_that_of_any() {
    let ok = |warnings, last_insert_id| wire::OkPacket { warnings, last_insert_id, ..wire::OkPacket::default() };
    let noted = |results: &[wire::OkPacket<'_>]| {
        let mut outcome = Outcome::default();
        for ok in results {
            outcome.note(ok, None);
        }
        (outcome.has_warnings, outcome.has_insert_id)
    };
    assert_eq!(noted(&[ok(0, 0)]), (false, false));
    assert_eq!(noted(&[ok(1, 0), ok(0, 0)]), (false, false));
    assert_eq!(noted(&[ok(0, 7), ok(2, 0)]), (true, true));
}

#[test]
fn a_schema_that_the_server_has_changed_is_noted() {
    let mut outcome = Outcome::default();
    let ok = wire::OkPacket { session_state: b"\x01\x05\x04shop", ..wire::OkPacket::default() };
    assert_eq!(outcome.absorb(&ok, true), Ok(None));
    assert_eq!(outcome.schema.as_deref(), Some(b"shop".as_slice()));
}

/// Such a client gets GTIDs as it wishes. From any other, what only Pointsman asked for is hidden.
#[test]
fn a_client_that_asks_for_gtids_itself_is_recognised() {
    let tracks = |line: &str| {
        let mut session = fresh();
        answered(&mut session, line, Instant::now());
        session.binding.tracks_gtids()
    };
    assert!(tracks("SET session_track_gtids = 'OWN_GTID'"));
    assert!(tracks("SET session_track_system_variables = 'last_gtid'"));
    assert!(!tracks("SET time_zone = '+01:00'"));
}
