//! `sql_mode` as text.
//!
//! Sources: MySQL manual 7.1.11 "Server SQL Modes", MariaDB manual on `sql_mode`.

use crate::SqlMode;

/// Known modes in both servers that change no token and no meaning of a read.
const HARMLESS: &[&str] = &[
    "",
    "allow_invalid_dates",
    "empty_string_is_null",
    "error_for_division_by_zero",
    "high_not_precedence",
    "ignore_bad_table_options",
    "no_auto_create_user",
    "no_auto_value_on_zero",
    "no_dir_in_create",
    "no_engine_substitution",
    "no_field_options",
    "no_key_options",
    "no_table_options",
    "no_unsigned_subtraction",
    "no_zero_date",
    "no_zero_in_date",
    "only_full_group_by",
    "pad_char_to_full_length",
    "real_as_float",
    "simultaneous_assignment",
    "strict_all_tables",
    "strict_trans_tables",
    "time_round_fractional",
    "time_truncate_fractional",
    "traditional",
];

const ANSI: SqlMode = SqlMode::ANSI_QUOTES.union(SqlMode::PIPES_AS_CONCAT).union(SqlMode::IGNORE_SPACE);

impl SqlMode {
    /// A list of mode names separated by commas, without quotes. What is not known, or is a number, gives [`SqlMode::UNKNOWN`].
    pub fn parse(value: &[u8]) -> Self {
        value.split(|&b| b == b',').map(|name| of_name(name.trim_ascii())).collect()
    }
}

/// Whether this is the name of one mode that does not matter for the grammar, and no part of another mode's name: if it is cut out of a list of
/// modes, the others stay as they are.
pub(crate) fn is_removable(name: &[u8]) -> bool {
    let Ok(name) = std::str::from_utf8(name) else { return false };
    let name = name.to_ascii_lowercase();
    !name.is_empty() && HARMLESS.contains(&name.as_str()) && HARMLESS.iter().filter(|known| known.contains(&name)).count() == 1
}

fn of_name(name: &[u8]) -> SqlMode {
    let Ok(name) = std::str::from_utf8(name) else { return SqlMode::UNKNOWN };
    match name.to_ascii_lowercase().as_str() {
        "ansi_quotes" => SqlMode::ANSI_QUOTES,
        "no_backslash_escapes" => SqlMode::NO_BACKSLASH_ESCAPES,
        "ignore_space" => SqlMode::IGNORE_SPACE,
        "pipes_as_concat" => SqlMode::PIPES_AS_CONCAT,
        // MariaDB's modes of other products are not trusted: MSSQL, for one, takes `[a]` for a quoted name.
        "ansi" => ANSI,
        "mysql323" | "mysql40" => SqlMode::empty(),
        known if HARMLESS.contains(&known) => SqlMode::empty(),
        _ => SqlMode::UNKNOWN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_that_change_tokens_are_found_and_the_unknown_is_not_trusted() {
        for (text, mode) in [
            ("", SqlMode::empty()),
            ("STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION", SqlMode::empty()),
            ("ANSI_QUOTES,STRICT_TRANS_TABLES", SqlMode::ANSI_QUOTES),
            ("no_backslash_escapes, ansi_quotes", SqlMode::NO_BACKSLASH_ESCAPES | SqlMode::ANSI_QUOTES),
            ("ANSI", ANSI),
            ("ORACLE", SqlMode::UNKNOWN),
            ("MSSQL", SqlMode::UNKNOWN),
            ("1436549152", SqlMode::UNKNOWN),
            ("ANSI_QUOTES,WHATEVER", SqlMode::ANSI_QUOTES | SqlMode::UNKNOWN),
        ] {
            assert_eq!(SqlMode::parse(text.as_bytes()), mode, "{text}");
        }
    }
}
