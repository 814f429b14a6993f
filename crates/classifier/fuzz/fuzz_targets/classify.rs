//! Any bytes under any rules: no panic, the same verdict again and through the cache, linear time, and no read that is more than a read
//! for either of two oracles: sqlparser in its own MySQL dialect, and a crude search for dangerous words outside of quotes and comments.
//!
//! `cargo +nightly fuzz run classify -- -timeout=5` in `crates/classifier`, or with a stable compiler
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run classify -- -timeout=5`; `fuzz/corpus/classify` has seeds. The first two bytes choose the rules.
//! `-rss_limit_mb=2048 -max_len=4096 -fork=2` suits a small machine. What takes too long or too much stack is a finding as well
//! (`tests/hostile.rs` holds the shapes that were known).

#![no_main]

use classifier::{Charset, Classifier, Context, Dialect, ParseLimits, SqlMode, Placement, digest_text};
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
    let classifier = Classifier::new(ParseLimits::default());
    let first = classifier.classify(sql, &context);
    let again = classifier.classify(sql, &context);
    assert_eq!(first, again, "the cache changed a verdict");
    digest_text(sql, &context, 256);
    let is_distrusted = context.sql_mode.contains(SqlMode::UNKNOWN) || context.charset == Charset::Unknown;
    assert!(!is_distrusted || first.placement() == Placement::Primary);
    let is_plain = context.sql_mode.is_empty() && context.charset == Charset::AsciiSafe;
    if first.placement() == Placement::Replica && is_plain && sql.len() < ORACLE_MAX {
        let Ok(text) = std::str::from_utf8(sql) else { return };
        check_words(&bare_words(text), text);
        check_tree(text);
    }
});

fn check_tree(text: &str) {
    let Ok(statements) = Parser::parse_sql(&MySqlDialect {}, text) else { return };
    let tree = format!("{statements:?}");
    for node in ["locks: [LockClause", "into: Some(", "Insert(", "Update(", "Delete(", "op: Assignment"] {
        assert!(!tree.contains(node), "a read with {node}: {text}");
    }
}

/// Words in lower case and symbols of one byte, outside of quotes and comments; a name after a dot is `.name`, a quoted name is nothing.
fn bare_words(text: &str) -> Vec<String> {
    let bytes = text.as_bytes();
    let mut words: Vec<String> = Vec::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let rest = &bytes[at..];
        let is_word = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$' | 0x80..);
        if matches!(byte, b'\'' | b'"' | b'`') {
            at += quoted_length(rest, byte);
            words.push("quoted".into());
        } else if byte == b'#' || (rest.starts_with(b"--") && rest.get(2).is_none_or(|b| *b <= b' ' || *b == 0x7f)) {
            at += rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
        } else if rest.starts_with(b"/*!") || rest.starts_with(b"/*M!") {
            at += 3;
        } else if rest.starts_with(b"/*") {
            at += 2 + find(&rest[2..], b"*/").map_or(rest.len(), |length| length + 2);
        } else if is_word(&byte) {
            let length = rest.iter().position(|b| !is_word(b)).unwrap_or(rest.len());
            let word = text.get(at..at + length).unwrap_or_default().to_lowercase();
            let follows_dot = words.last().is_some_and(|last| last == ".");
            words.push(if follows_dot { format!(".{word}") } else { word });
            at += length;
        } else {
            if byte > b' ' {
                words.push(char::from(byte).into());
            }
            at += 1;
        }
    }
    words
}

fn quoted_length(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while let Some(&byte) = rest.get(at) {
        at += match byte {
            b'\\' if quote != b'`' => 2,
            _ if byte == quote && rest.get(at + 1) == Some(&quote) => 2,
            _ if byte == quote => return at + 1,
            _ => 1,
        };
    }
    rest.len()
}

fn find(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    bytes.windows(pattern.len()).position(|window| window == pattern)
}

/// Calls that a read never has.
const CALLS: &[&str] = &[
    "get_lock",
    "release_lock",
    "release_all_locks",
    "is_free_lock",
    "is_used_lock",
    "last_insert_id",
    "connection_id",
    "found_rows",
    "row_count",
    "load_file",
    "nextval",
    "setval",
    "lastval",
    "uuid_short",
    "master_pos_wait",
];

/// Pairs of words that a read never has. SHOW may name anything.
const PAIRS: &[(&str, &str)] = &[
    ("for", "update"),
    ("for", "share"),
    ("lock", "in"),
    ("into", "@"),
    ("into", "outfile"),
    ("into", "dumpfile"),
    (":", "="),
    ("insert", "into"),
    ("replace", "into"),
    ("delete", "from"),
    ("value", "for"),
    ("procedure", "analyse"),
];

fn check_words(words: &[String], text: &str) {
    if words.first().is_some_and(|first| first == "show" || first == ";") {
        return;
    }
    for triple in words.windows(3) {
        let [before, at, after] = triple else { continue };
        let is_user_variable = at == "@" && before != "@" && after != "@";
        assert!(!is_user_variable, "a read of a user variable: {text}");
    }
    for pair in words.windows(2) {
        let [one, two] = pair else { continue };
        assert!(!PAIRS.contains(&(one.as_str(), two.as_str())), "a read with {one} {two}: {text}");
        assert!(two != "(" || !CALLS.contains(&one.as_str()), "a read that calls {one}: {text}");
    }
}
