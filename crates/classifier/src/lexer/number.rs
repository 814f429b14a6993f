//! Numbers, which end where the servers end them: `1e5FOR` is a number and a keyword, `1FOR` is one name.

use super::{Kind, Lexer, is_word_byte};

impl Lexer<'_> {
    /// At a digit: a number, or a name that begins with digits (`MY_LEX_NUMBER_IDENT` in the servers' lexers).
    pub(super) fn number_or_word(&mut self) -> Kind {
        let rest = self.rest();
        if let Some(length) = radix_literal(rest) {
            return self.advance(length, Kind::Literal);
        }
        // `0x` and `0b` that are no literal begin a name.
        let digits = if matches!(rest, [b'0', b'x' | b'b', ..]) { 1 } else { count_digits(rest) };
        match rest.get(digits) {
            Some(b'.') => {
                self.at += digits;
                self.real()
            }
            Some(b'e' | b'E') if exponent(rest.get(digits..).unwrap_or_default()) > 0 => {
                let length = digits + exponent(rest.get(digits..).unwrap_or_default());
                self.advance(length, Kind::Literal)
            }
            Some(&byte) if is_word_byte(byte) => {
                self.take_word();
                Kind::Word
            }
            _ => self.advance(digits, Kind::Literal),
        }
    }

    /// At the `.` of a number.
    pub(super) fn real(&mut self) -> Kind {
        let rest = self.rest();
        let length = 1 + count_digits(rest.get(1..).unwrap_or_default());
        let tail = rest.get(length..).unwrap_or_default();
        match tail.first() {
            Some(b'e' | b'E') => match exponent(tail) {
                // The servers refuse the statement here.
                0 => self.advance(length + 1, Kind::Bad),
                more => self.advance(length + more, Kind::Literal),
            },
            _ => self.advance(length, Kind::Literal),
        }
    }
}

fn count_digits(bytes: &[u8]) -> usize {
    bytes.iter().position(|b| !b.is_ascii_digit()).unwrap_or(bytes.len())
}

/// Length of `0x1F` or `0b01`, which must not run on into a name.
fn radix_literal(bytes: &[u8]) -> Option<usize> {
    let is_digit: fn(&u8) -> bool = match bytes {
        [b'0', b'x', ..] => u8::is_ascii_hexdigit,
        [b'0', b'b', ..] => |b| matches!(b, b'0' | b'1'),
        _ => return None,
    };
    let body = bytes.get(2..)?;
    let digits = body.iter().position(|b| !is_digit(b)).unwrap_or(body.len());
    let runs_on = body.get(digits).is_some_and(|&b| is_word_byte(b));
    (digits > 0 && !runs_on).then_some(digits + 2)
}

/// Length of `e5`, `e+5`, `e-5`; 0 without a digit.
fn exponent(bytes: &[u8]) -> usize {
    let sign = usize::from(matches!(bytes.get(1), Some(b'+' | b'-')));
    match count_digits(bytes.get(1 + sign..).unwrap_or_default()) {
        0 => 0,
        digits => 1 + sign + digits,
    }
}
