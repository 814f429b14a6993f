//! The UUID that identifies a MySQL server in its GTIDs.

use std::fmt;
use std::str::FromStr;

use crate::ParsePositionError;

/// `@@server_uuid`. Upper and lower case are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(pub u128);

const HYPHENS: [usize; 4] = [8, 13, 18, 23];
const TEXT_LEN: usize = 36;

impl FromStr for Uuid {
    type Err = ParsePositionError;

    fn from_str(text: &str) -> Result<Uuid, ParsePositionError> {
        let wrong = || ParsePositionError::Uuid(text.chars().take(TEXT_LEN).collect());
        if text.len() != TEXT_LEN {
            return Err(wrong());
        }
        let mut value = 0;
        for (place, byte) in text.bytes().enumerate() {
            if HYPHENS.contains(&place) {
                if byte != b'-' {
                    return Err(wrong());
                }
                continue;
            }
            let digit = char::from(byte).to_digit(16).ok_or_else(wrong)?;
            value = value << 4 | u128::from(digit);
        }
        Ok(Uuid(value))
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let v = self.0;
        write!(
            f,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            v >> 96,
            v >> 80 & 0xffff,
            v >> 64 & 0xffff,
            v >> 48 & 0xffff,
            v & 0xffff_ffff_ffff
        )
    }
}
