//! Which character sets can hide an ASCII byte inside another character.
//!
//! Sources: MySQL manual 12.10 "Supported Character Sets", MariaDB "Supported Character Sets and Collations", and
//! `information_schema.COLLATIONS` of both. In the EUC family (`ujis`, `euckr`, `gb2312`, `eucjpms`) every byte of a wide character is above 0x7F.

use crate::Charset;

/// Every byte below 0x80 is the ASCII character.
const ASCII_SAFE: &[&str] = &[
    "armscii8", "ascii", "binary", "cp1250", "cp1251", "cp1256", "cp1257", "cp850", "cp852", "cp866", "dec8", "eucjpms", "euckr",
    "gb2312", "geostd8", "greek", "hebrew", "hp8", "keybcs2", "koi8r", "koi8u", "latin1", "latin2", "latin5", "latin7", "macce",
    "macroman", "tis620", "ujis", "utf8", "utf8mb3", "utf8mb4",
];

/// The second byte of a character may be an ASCII byte.
const ASCII_UNSAFE: &[&str] = &["big5", "cp932", "gb18030", "gbk", "sjis"];

impl Charset {
    /// By a collation's number, as in the login packet. 0 leaves the choice to the server.
    pub fn of_collation_id(id: u16) -> Self {
        match id {
            // big5, sjis, gbk, cp932, gb18030; from 1025 on MariaDB's NOPAD twins; 0 for the server's default.
            0 | 1 | 13 | 28 | 84 | 87 | 88 | 95 | 96 | 248..=250 | 1025 | 1037 | 1052 | 1108 | 1111 | 1112 | 1119 | 1120 => {
                Self::AsciiUnsafe
            }
            // The gaps are swe7, ucs2, utf16, utf16le, utf32 and their twins.
            2..=9 | 11..=34 | 36..=53 | 57..=59 | 63..=81 | 83..=89 | 91..=99 | 192..=247 | 255..=323 | 576..=578 | 608..=610 => {
                Self::AsciiSafe
            }
            1026..=1033
            | 1035..=1058
            | 1060..=1077
            | 1081..=1083
            | 1087..=1105
            | 1107..=1113
            | 1115..=1122
            | 1216
            | 1238
            | 1248
            | 1270
            | 2048..=2559 => Self::AsciiSafe,
            _ => Self::Unknown,
        }
    }

    /// By a character set's name, in any case of letters.
    pub fn of_name(name: &[u8]) -> Self {
        let is_in = |names: &[&str]| names.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()));
        if is_in(ASCII_SAFE) {
            Self::AsciiSafe
        } else if is_in(ASCII_UNSAFE) || name.eq_ignore_ascii_case(b"default") {
            Self::AsciiUnsafe
        } else {
            Self::Unknown
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_never_safe() {
        for (name, charset) in [
            ("utf8mb4", Charset::AsciiSafe),
            ("LATIN1", Charset::AsciiSafe),
            ("binary", Charset::AsciiSafe),
            ("gbk", Charset::AsciiUnsafe),
            ("SJIS", Charset::AsciiUnsafe),
            ("default", Charset::AsciiUnsafe),
            ("swe7", Charset::Unknown),
            ("ucs2", Charset::Unknown),
            ("utf9", Charset::Unknown),
            ("", Charset::Unknown),
        ] {
            assert_eq!(Charset::of_name(name.as_bytes()), charset, "{name}");
        }
        for (id, charset) in [
            (8, Charset::AsciiSafe),
            (33, Charset::AsciiSafe),
            (45, Charset::AsciiSafe),
            (63, Charset::AsciiSafe),
            (255, Charset::AsciiSafe),
            (2304, Charset::AsciiSafe),
            (28, Charset::AsciiUnsafe),
            (248, Charset::AsciiUnsafe),
            (1111, Charset::AsciiUnsafe),
            (10, Charset::Unknown),
            (1034, Charset::Unknown),
            (2560, Charset::Unknown),
            (u16::MAX, Charset::Unknown),
        ] {
            assert_eq!(Charset::of_collation_id(id), charset, "{id}");
        }
    }
}
