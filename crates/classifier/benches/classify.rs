//! What a verdict costs: `cargo bench -p classifier`.
//!
//! A plain program without a harness: it repeats each statement for a while and prints the best of several rounds, which is steady enough
//! on a busy machine. Run it under `valgrind --tool=callgrind` for instruction counts.

#![allow(clippy::print_stdout, missing_docs, reason = "a program for people")]

use std::hint::black_box;
use std::time::Instant;

use classifier::{Charset, Classifier, Context, Dialect, ParseLimits, SqlMode};

const CONTEXT: Context<'static> =
    Context { dialect: Dialect::MySql, sql_mode: SqlMode::empty(), charset: Charset::AsciiSafe, schema: Some("shop") };

const POINT: &str = "SELECT c FROM sbtest1 WHERE id=50123";

const ORM: &str = "SELECT `users`.`id` AS t0_r0, `users`.`email` AS t0_r1, `users`.`name` AS t0_r2, `users`.`created_at` AS t0_r3, \
    `orders`.`id` AS t1_r0, `orders`.`user_id` AS t1_r1, `orders`.`total` AS t1_r2, `orders`.`state` AS t1_r3, `items`.`id` AS t2_r0, \
    `items`.`sku` AS t2_r1 FROM `users` LEFT OUTER JOIN `orders` ON `orders`.`user_id` = `users`.`id` LEFT OUTER JOIN `items` ON \
    `items`.`order_id` = `orders`.`id` WHERE `users`.`active` = 1 AND `orders`.`state` IN ('paid', 'sent') AND `orders`.`total` > 100.5 \
    AND `users`.`email` LIKE '%@example.com' ORDER BY `users`.`id` ASC LIMIT 25 OFFSET 50";

fn main() {
    let in_list = format!("SELECT a FROM t WHERE id IN ({}1)", "12345, ".repeat(1_400));
    let insert = format!("INSERT INTO t (a, b, c) VALUES {}(1, 'x', 2.5)", "(1, 'some text', 2.5), ".repeat(400));
    let megabyte = format!("INSERT INTO t (a, b, c) VALUES {}(1, 'x', 2.5)", "(1, 'some text', 2.5), ".repeat((1 << 20) / 23));
    for (name, sql) in [
        ("point select", POINT),
        ("ORM join", ORM),
        ("IN list", in_list.as_str()),
        ("multi-row insert", insert.as_str()),
        ("insert of 1 MB", megabyte.as_str()),
        ("SET", "SET autocommit = 0"),
        ("BEGIN", "BEGIN"),
    ] {
        let known = Classifier::new(ParseLimits::default());
        let hit = nanoseconds(|| drop(black_box(known.classify(black_box(sql.as_bytes()), &CONTEXT))));
        // Another number each time.
        let mut text = sql.as_bytes().to_vec();
        let digits = text.iter().rposition(u8::is_ascii_digit).unwrap_or_default();
        let mut number = 0_u8;
        let like = nanoseconds(|| {
            number = (number + 1) % 10;
            if let Some(digit) = text.get_mut(digits).filter(|digit| digit.is_ascii_digit()) {
                *digit = b'0' + number;
            }
            drop(black_box(known.classify(black_box(&text), &CONTEXT)));
        });
        // One entry, and another statement in between: every verdict is a new one.
        let forgetful = Classifier::new(ParseLimits { cache_entries: 0, ..ParseLimits::default() });
        let miss = nanoseconds(|| drop(black_box(forgetful.classify(black_box(sql.as_bytes()), &CONTEXT))));
        println!("{name:18} {:6} bytes   again {hit:9.0} ns   alike {like:9.0} ns   new {miss:9.0} ns", sql.len());
    }
}

/// The best of several rounds.
fn nanoseconds(mut run: impl FnMut()) -> f64 {
    const ROUNDS: usize = 20;
    let start = Instant::now();
    let mut repeats = 0_u32;
    while start.elapsed().as_millis() < 20 {
        run();
        repeats += 1;
    }
    let round = |run: &mut dyn FnMut()| {
        let start = Instant::now();
        for _ in 0..repeats {
            run();
        }
        start.elapsed().as_secs_f64() * 1e9 / f64::from(repeats)
    };
    (0..ROUNDS).map(|_| round(&mut run)).fold(f64::INFINITY, f64::min)
}
