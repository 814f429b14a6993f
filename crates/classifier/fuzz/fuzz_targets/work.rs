//! Any bytes under any `sql_mode`: the parser stops soon after its budget, which grows with the number of tokens and with nothing else.
//!
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run work -- -max_len=2048 -timeout=2` in `crates/classifier`; the seeds of `corpus/classify` suit it. The first
//! byte chooses the rules. The oracle counts steps, so it is the same on every machine; `-timeout` finds what steps do not count.

#![no_main]

use classifier::{Charset, Context, Dialect, SqlMode, parsing_work};
use libfuzzer_sys::fuzz_target;

/// What has been begun when the budget is spent has a few questions left on each level.
const SLACK: u64 = 3_000;

fuzz_target!(|data: &[u8]| {
    let [mode, sql @ ..] = data else { return };
    let context = Context {
        dialect: if mode & 0x80 == 0 { Dialect::MySql } else { Dialect::MariaDb },
        sql_mode: SqlMode::from_bits_truncate(mode & 0x0f),
        charset: Charset::AsciiSafe,
        schema: None,
    };
    let work = parsing_work(sql, &context);
    assert!(work.steps <= work.budget + SLACK, "{work:?} for {} bytes", sql.len());
    assert!(work.budget <= 1_000 + 24 * sql.len() as u64);
});
