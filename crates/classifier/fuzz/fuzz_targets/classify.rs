//! Any bytes under any rules: no panic, the same verdict again and through the cache, and no read in which sqlparser by itself finds a
//! locking clause, an INTO or a change of data.
//!
//! `cargo +nightly fuzz run classify` in `crates/classifier`; `fuzz/corpus/classify` has seeds. The first two bytes choose the rules.

#![no_main]

use classifier::{Charset, Classifier, Context, Dialect, Limits, SqlMode, Track, digest_text};
use libfuzzer_sys::fuzz_target;
use sqlparser::dialect::MySqlDialect;
use sqlparser::parser::Parser;

/// Above this size sqlparser's own dialect may overflow the stack (see `src/tree/dialect.rs`).
const ORACLE_MAX: usize = 1_000;

fuzz_target!(|data: &[u8]| {
    let [rules, mode, sql @ ..] = data else { return };
    let context = Context {
        dialect: if rules & 1 == 0 { Dialect::MySql } else { Dialect::MariaDb },
        sql_mode: SqlMode::from_bits_truncate(*mode),
        charset: match rules >> 1 & 3 {
            0 | 1 => Charset::AsciiSafe,
            2 => Charset::AsciiUnsafe,
            _ => Charset::Unknown,
        },
        schema: (rules & 8 != 0).then_some("db"),
    };
    let classifier = Classifier::new(Limits::default());
    let first = classifier.classify(sql, &context);
    let again = classifier.classify(sql, &context);
    assert_eq!(first, again, "the cache changed a verdict");
    digest_text(sql, &context, 256);
    let is_plain = context.sql_mode.is_empty() && context.charset == Charset::AsciiSafe;
    if first.track() == Track::Replica && is_plain && sql.len() < ORACLE_MAX {
        let Ok(text) = std::str::from_utf8(sql) else { return };
        let Ok(statements) = Parser::parse_sql(&MySqlDialect {}, text) else { return };
        let tree = format!("{statements:?}");
        for node in ["locks: [LockClause", "into: Some(", "Insert(", "Update(", "Delete(", "op: Assignment"] {
            assert!(!tree.contains(node), "a read with {node}: {text}");
        }
    }
});
