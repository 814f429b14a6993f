//! The outline of a text: its bytes with a mark in place of each plain literal.
//!
//! Texts of one outline consist of the same tokens except for the content of their literals. That must never be wrong, so anything that makes it hard
//! to tell where a literal begins or ends (comments, backslashes, double quotes, other character sets) leaves a text without an outline, and a number
//! that is not plain stays as it is.

use memchr::memchr;

use crate::Charset;
use crate::lexer::Rules;

const STRING: u8 = b'\'';
const NUMBER: u8 = b'0';

/// What the scan stops at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    None,
    Digit,
    Quote,
    Backtick,
    /// Perhaps the first half of a comment's mark.
    Half,
    Hard,
}

#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler, which would refuse")]
static STOPS: [Stop; 256] = {
    let mut stops = [Stop::None; 256];
    let mut digit = b'0';
    while digit <= b'9' {
        stops[digit as usize] = Stop::Digit;
        digit += 1;
    }
    stops[b'\'' as usize] = Stop::Quote;
    stops[b'`' as usize] = Stop::Backtick;
    stops[b'-' as usize] = Stop::Half;
    stops[b'/' as usize] = Stop::Half;
    stops[b'"' as usize] = Stop::Hard;
    stops[b'#' as usize] = Stop::Hard;
    stops[b'\\' as usize] = Stop::Hard;
    stops
};

/// Writes the outline of `sql` into `out`. False if it has none.
pub(super) fn draw(sql: &[u8], rules: Rules, out: &mut Vec<u8>) -> bool {
    out.clear();
    rules.charset == Charset::AsciiSafe && Pen { sql, at: 0, copied: 0, out }.draw().is_some()
}

struct Pen<'a> {
    sql: &'a [u8],
    at: usize,
    /// What is before this is in the outline.
    copied: usize,
    out: &'a mut Vec<u8>,
}

impl Pen<'_> {
    fn draw(&mut self) -> Option<()> {
        while let Some(stop) = self.next_stop() {
            match stop {
                Stop::Digit => self.number(),
                Stop::Quote => self.string()?,
                Stop::Backtick => self.at += 2 + memchr(b'`', self.sql.get(self.at + 1..)?)?,
                Stop::Half => self.half_comment()?,
                Stop::None | Stop::Hard => return None,
            }
        }
        self.copy_up_to(self.sql.len());
        Some(())
    }

    /// Moves to the next byte of interest.
    #[inline]
    fn next_stop(&mut self) -> Option<Stop> {
        let rest = self.sql.get(self.at..)?;
        let stop_of = |byte: u8| STOPS.get(usize::from(byte)).copied().unwrap_or(Stop::Hard);
        let (offset, stop) = rest.iter().map(|&byte| stop_of(byte)).enumerate().find(|(_, stop)| *stop != Stop::None)?;
        self.at += offset;
        Some(stop)
    }

    fn copy_up_to(&mut self, end: usize) {
        self.out.extend_from_slice(self.sql.get(self.copied..end).unwrap_or_default());
        self.copied = end;
    }

    /// Replaces what is from `start` to where the pen is.
    fn mark(&mut self, start: usize, mark: u8) {
        self.copy_up_to(start);
        self.out.push(mark);
        self.copied = self.at;
    }

    fn byte_before(&self, at: usize) -> u8 {
        at.checked_sub(1).and_then(|before| self.sql.get(before)).copied().unwrap_or(b' ')
    }

    /// Digits and nothing but digits, between bytes that belong to no word and to no number.
    #[inline]
    fn number(&mut self) {
        let start = self.at;
        while self.sql.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        let after = self.sql.get(self.at).copied().unwrap_or(b' ');
        if is_boundary(self.byte_before(start)) && is_boundary(after) {
            self.mark(start, NUMBER);
        }
    }

    /// A string without backslashes; a doubled quote is a quote. After `@` it is a name.
    fn string(&mut self) -> Option<()> {
        let start = self.at;
        if self.byte_before(start) == b'@' {
            return None;
        }
        self.at += 1;
        loop {
            let rest = self.sql.get(self.at..)?;
            let length = memchr(b'\'', rest)?;
            if memchr(b'\\', rest.get(..length)?).is_some() {
                return None;
            }
            self.at += length + 1;
            if self.sql.get(self.at) != Some(&b'\'') {
                self.mark(start, STRING);
                return Some(());
            }
            self.at += 1;
        }
    }

    /// `--` and `/*` begin comments, or might.
    fn half_comment(&mut self) -> Option<()> {
        let (this, next) = (self.sql.get(self.at), self.sql.get(self.at + 1));
        self.at += 1;
        (!matches!((this, next), (Some(b'-'), Some(b'-')) | (Some(b'/'), Some(b'*')))).then_some(())
    }
}

/// White space and operators next to which a run of digits is a number of its own.
fn is_boundary(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b',' | b'(' | b')' | b'=' | b'<' | b'>' | b'+' | b'-' | b'*' | b'%' | b';')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dialect, SqlMode};

    fn outline(sql: &str) -> Option<String> {
        let rules = Rules { dialect: Dialect::MySql, sql_mode: SqlMode::empty(), charset: Charset::AsciiSafe };
        let mut out = Vec::new();
        draw(sql.as_bytes(), rules, &mut out).then(|| String::from_utf8(out).expect("text"))
    }

    #[test]
    fn plain_literals_are_marked() {
        for (sql, expected) in [
            ("SELECT a FROM t WHERE id=50123", "SELECT a FROM t WHERE id=0"),
            ("SELECT 'it''s', '' , N'x' FROM t1 LIMIT 5, 10", "SELECT ', ' , N' FROM t1 LIMIT 0, 0"),
            ("SELECT t0_r0, `1 'x`, 1.5, 1e5, 0x1F, a.1, t.2x, -3", "SELECT t0_r0, `1 'x`, 1.5, 1e5, 0x1F, a.1, t.2x, -0"),
            ("1", "0"),
            ("", ""),
        ] {
            assert_eq!(outline(sql).as_deref(), Some(expected), "{sql}");
        }
    }

    #[test]
    fn what_is_hard_to_cut_has_no_outline() {
        for sql in [
            "SELECT 1 -- '",
            "SELECT 1 /* ' */",
            "SELECT 1 # '",
            r"SELECT 'a\'b'",
            r"SELECT \N",
            "SELECT \"a\"",
            "SELECT @'a'",
            "SELECT 'a",
            "SELECT `a",
        ] {
            assert_eq!(outline(sql), None, "{sql}");
        }
    }
}
