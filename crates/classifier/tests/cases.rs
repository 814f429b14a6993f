//! Runs the case files: statements with their verdicts, readable as documentation.
//!
//! A case is a statement (one or more lines) and a line that begins with `-->`:
//!
//! ```text
//! SELECT * FROM t FOR UPDATE
//! --> primary locking_clause
//! SET autocommit = 0
//! --> session session_statement | set autocommit:autocommit = 0, autocommit off
//! ```
//!
//! After the bar stand the effects on the session; without a bar there must be none. `--> mysql:` and `--> mariadb:` hold for one server
//! only. Lines that begin with `--#` are comments; `--@ key value` sets `sql_mode`, `charset` or `schema` for the cases that follow.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail plainly")]

use std::fmt::Write as _;
use std::path::Path;

use classifier::{Charset, Classifier, Context, Dialect, ParseLimits, Pin, SessionEffect, SqlMode, Statement};

#[test]
fn every_case_has_its_verdict() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut failures = String::new();
    let mut count = 0;
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        count += run(&name, &text, &mut failures);
    }
    assert!(failures.is_empty(), "\n{failures}");
    assert!(count > 100, "only {count} cases found");
}

#[derive(Default)]
struct Settings {
    sql_mode: SqlMode,
    charset: Charset,
    schema: Option<String>,
}

fn run(file: &str, text: &str, failures: &mut String) -> usize {
    let classifier = Classifier::new(ParseLimits::default());
    let mut settings = Settings::default();
    let mut statement = String::new();
    let mut count = 0;
    for (number, line) in text.lines().enumerate() {
        if let Some(setting) = line.strip_prefix("--@ ") {
            settings.change(setting);
        } else if let Some(expected) = line.strip_prefix("--> ") {
            let sql = statement.trim_end_matches('\n').to_owned();
            if !text.lines().nth(number + 1).is_some_and(|next| next.starts_with("--> ")) {
                statement.clear();
            }
            for dialect in [Dialect::MySql, Dialect::MariaDb] {
                let Some(expected) = expected_for(dialect, expected) else { continue };
                count += 1;
                // Twice: the second time the verdict may come from the cache.
                for _ in 0..2 {
                    let context = Context {
                        dialect,
                        sql_mode: settings.sql_mode,
                        charset: settings.charset,
                        schema: settings.schema.as_deref(),
                    };
                    let found = describe(&classifier.classify(sql.as_bytes(), &context));
                    if found != expected {
                        let line = number + 1;
                        writeln!(failures, "{file}:{line} {dialect:?}: {sql}\n  expected {expected}\n  found    {found}")
                            .unwrap();
                        break;
                    }
                }
            }
        } else if !(line.starts_with("--#") || line.is_empty() && statement.is_empty()) {
            statement.push_str(line);
            statement.push('\n');
        }
    }
    assert!(statement.trim().is_empty(), "{file}: a statement without a verdict: {statement}");
    count
}

fn expected_for(dialect: Dialect, expected: &str) -> Option<&str> {
    match (expected.strip_prefix("mysql: "), expected.strip_prefix("mariadb: ")) {
        (Some(expected), _) => (dialect == Dialect::MySql).then_some(expected),
        (_, Some(expected)) => (dialect == Dialect::MariaDb).then_some(expected),
        _ => Some(expected),
    }
}

impl Settings {
    fn change(&mut self, setting: &str) {
        let (key, value) = setting.split_once(' ').unwrap_or((setting, ""));
        match key {
            "sql_mode" => self.sql_mode = SqlMode::parse(value.as_bytes()),
            "charset" => self.charset = Charset::of_name(value.as_bytes()),
            "schema" => self.schema = (!value.is_empty()).then(|| value.to_owned()),
            _ => panic!("unknown setting {setting}"),
        }
    }
}

fn describe(statement: &Statement) -> String {
    let mut text = format!("{} {}", statement.placement().label(), statement.because.label());
    for (index, effect) in statement.session.iter().enumerate() {
        text.push_str(if index == 0 { " | " } else { ", " });
        text.push_str(&effect_text(effect));
    }
    text
}

fn effect_text(effect: &SessionEffect) -> String {
    match effect {
        SessionEffect::Begin { read_only: false } => "begin".into(),
        SessionEffect::Begin { read_only: true } => "begin read only".into(),
        SessionEffect::End => "end".into(),
        SessionEffect::Disconnect => "disconnect".into(),
        SessionEffect::Use(schema) => format!("use {}", String::from_utf8_lossy(schema)),
        SessionEffect::Set { name, sql } => format!("set {name}:{}", String::from_utf8_lossy(sql)),
        SessionEffect::SetCharset { sql, charset } => format!("charset {charset:?}:{}", String::from_utf8_lossy(sql)),
        SessionEffect::Autocommit(on) => format!("autocommit {}", if *on { "on" } else { "off" }),
        SessionEffect::SqlMode(mode) => format!("sql_mode {mode:?}"),
        SessionEffect::Assign { sql, .. } => format!("assign {}", String::from_utf8_lossy(sql)),
        SessionEffect::Pin(pin) => format!("pin {}", pin_text(pin)),
        SessionEffect::Unpin(pin) => format!("unpin {}", pin_text(pin)),
    }
}

fn pin_text(pin: &Pin) -> String {
    match pin {
        Pin::TemporaryTable(name) => format!("temporary table {name}"),
        Pin::NamedLock(name) => format!("lock '{name}'"),
        Pin::TableLocks => "table locks".into(),
        Pin::InstanceLock => "instance lock".into(),
        Pin::NextTransaction => "next transaction".into(),
        Pin::UserVariable(name) => format!("@{name}"),
        Pin::SessionVariable(name) => format!("@@{name}"),
        Pin::Handler(name) => format!("handler {name}"),
        Pin::PreparedStatement(name) => format!("prepared {name}"),
        Pin::Xa => "xa".into(),
        Pin::BinlogFormat => "binlog format".into(),
        Pin::Connection => "connection".into(),
    }
}

#[test]
fn a_long_assignment_of_single_flags_is_not_repeated_and_any_other_is() {
    let is_repeated = |sql: String| {
        let Settings { sql_mode, charset, .. } = Settings::default();
        let context = Context { dialect: Dialect::MySql, sql_mode, charset, schema: None };
        let statement = Classifier::new(ParseLimits::default()).classify(sql.as_bytes(), &context);
        statement.session.iter().all(|effect| matches!(effect, SessionEffect::Set { .. }))
    };
    let spaced = |text: &str, length: usize| text.replace(' ', &" ".repeat(length));
    for (assignment, is_always) in [("optimizer_switch = 'mrr=off'", false), ("sort_buffer_size = 65536", true)] {
        assert!(is_repeated(format!("SET {}", spaced(assignment, 10))), "{assignment}");
        assert_eq!(is_repeated(format!("SET {}", spaced(assignment, 600))), is_always, "{assignment}");
    }
}
