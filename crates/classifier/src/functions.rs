//! What a function call can do.
//!
//! Only names that a server is known to resolve to its own native function are trusted. Any other call may be one of a user's stored or loadable
//! function, which may do anything.

mod tables;

use std::ops::RangeInclusive;

use crate::lexer::Token;
use crate::{Dialect, Effects, Reason, SqlMode};

/// What calling a function means for the statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    /// Native, and only computes.
    Computes,
    /// Not native: a stored or loadable function, if there is one of this name.
    Stored,
    /// It makes the statement more than a read.
    Does(Effects, Reason),
    /// `LAST_INSERT_ID(..)`: [`insert_id`] says what it does.
    InsertId,
    /// `GET_LOCK(name, ..)`
    TakesLock,
    /// `RELEASE_LOCK(name)`
    ReleasesLock,
    /// `RELEASE_ALL_LOCKS()`
    ReleasesAllLocks,
}

const COUNTS: Effects = Effects::PREVIOUS_STATEMENT.union(Effects::COUNTS);

const SEQUENCE: Effects = Effects::WRITE_DATA.union(Effects::PRIMARY_SESSION);
const ABOUT_SERVER: Call = Call::Does(Effects::THIS_SERVER, Reason::AboutThisServer);

/// No native function has a longer name.
const LONGEST: usize = 40;

/// The unquoted, unqualified name `name` is followed by `(`, with or without white space between them.
pub(crate) fn call(name: &[u8], has_gap: bool, dialect: Dialect, sql_mode: SqlMode) -> Call {
    let mut buffer = [0; LONGEST];
    let Some(lower) = lower(name, &mut buffer) else { return Call::Stored };
    if has_gap && !sql_mode.contains(SqlMode::IGNORE_SPACE) && needs_no_space(lower, dialect) {
        return Call::Stored;
    }
    special(lower, dialect).unwrap_or_else(|| if is_native(lower, dialect) { Call::Computes } else { Call::Stored })
}

/// The effects of `LAST_INSERT_ID(`; `first` is the token after the parenthesis. With an argument it sets the value instead of reading it.
pub(crate) fn insert_id(first: Token<'_>) -> Effects {
    if first.is_symbol(")") { Effects::PRIMARY_SESSION | Effects::INSERT_ID } else { Effects::PRIMARY_SESSION }
}

fn lower<'b>(name: &[u8], buffer: &'b mut [u8; LONGEST]) -> Option<&'b str> {
    let target = buffer.get_mut(..name.len())?;
    target.copy_from_slice(name);
    target.make_ascii_lowercase();
    std::str::from_utf8(target).ok()
}

fn special(lower: &str, dialect: Dialect) -> Option<Call> {
    let is_mariadb = dialect == Dialect::MariaDb;
    Some(match lower {
        "get_lock" => Call::TakesLock,
        "release_lock" => Call::ReleasesLock,
        "release_all_locks" => Call::ReleasesAllLocks,
        "is_free_lock" | "is_used_lock" => Call::Does(Effects::LOCK, Reason::LockFunction),
        "last_insert_id" => Call::InsertId,
        "connection_id" => Call::Does(Effects::PRIMARY_SESSION.union(Effects::THIS_SERVER), Reason::PrimarySessionFunction),
        "found_rows" => Call::Does(COUNTS.union(Effects::FOUND_ROWS), Reason::PreviousStatement),
        "row_count" => Call::Does(COUNTS, Reason::PreviousStatement),
        "load_file" => Call::Does(Effects::FILE, Reason::File),
        "nextval" | "setval" if is_mariadb => Call::Does(SEQUENCE, Reason::Sequence),
        "lastval" if is_mariadb => Call::Does(Effects::PRIMARY_SESSION.union(Effects::INSERT_ID), Reason::Sequence),
        // The default of a column may be `NEXT VALUE FOR s`; asking for it advances the sequence.
        "default" if is_mariadb => Call::Does(SEQUENCE, Reason::WritingFunction),
        "uuid_short" | "master_pos_wait" | "validate_password_strength" => ABOUT_SERVER,
        "source_pos_wait" | "wait_for_executed_gtid_set" | "ps_current_thread_id" | "ps_thread_id" if !is_mariadb => ABOUT_SERVER,
        "master_gtid_wait" | "binlog_gtid_pos" if is_mariadb => ABOUT_SERVER,
        _ if is_mariadb && lower.starts_with("wsrep_") => ABOUT_SERVER,
        _ => return None,
    })
}

fn is_native(lower: &str, dialect: Dialect) -> bool {
    let own = match dialect {
        Dialect::MySql => tables::MYSQL,
        Dialect::MariaDb => tables::MARIADB,
    };
    tables::COMMON.binary_search(&lower).is_ok() || own.binary_search(&lower).is_ok()
}

/// Whether this name, in lower case, is a native function that only computes in some supported version of the servers. In other versions it may be a
/// stored function's name: unless there is such a function, calling it computes or fails.
///
/// Sources: MySQL manual chapter 14 (`MD5` and `SHA` left the server for a component with 9.6, vectors came with 9.0); MariaDB "Built-in
/// Functions" (11.1 to 11.8).
pub(crate) fn is_native_somewhere(lower: &[u8], dialect: Dialect) -> bool {
    const MYSQL: &[&str] =
        &["etag", "from_vector", "md5", "sha", "sha1", "string_to_vector", "to_vector", "vector_dim", "vector_to_string"];
    const MARIADB: &[&str] = &[
        "format_pico_time",
        "json_array_intersect",
        "json_key_value",
        "json_object_filter_keys",
        "json_object_to_array",
        "json_schema_valid",
        "kdf",
        "uuid_v4",
        "uuid_v7",
        "vec_distance",
        "vec_distance_cosine",
        "vec_distance_euclidean",
        "vec_fromtext",
        "vec_totext",
    ];
    let names = match dialect {
        Dialect::MySql => MYSQL,
        Dialect::MariaDb => MARIADB,
    };
    names.iter().any(|name| name.as_bytes() == lower)
}

/// Without `IGNORE_SPACE`, white space after these names makes them the name of a stored function.
///
/// Source: MySQL manual 11.2.5 "Function Name Parsing and Resolution"; MariaDB manual on `sql_mode`, `IGNORE_SPACE`. Checked like the
/// tables of native functions.
fn needs_no_space(name: &str, dialect: Dialect) -> bool {
    const BOTH: &[&str] = &[
        "adddate",
        "bit_and",
        "bit_or",
        "bit_xor",
        "cast",
        "count",
        "curdate",
        "curtime",
        "date_add",
        "date_sub",
        "extract",
        "group_concat",
        "json_arrayagg",
        "json_objectagg",
        "max",
        "mid",
        "min",
        "now",
        "position",
        "session_user",
        "st_collect",
        "std",
        "stddev",
        "stddev_pop",
        "stddev_samp",
        "subdate",
        "substr",
        "substring",
        "sum",
        "sysdate",
        "system_user",
        "trim",
        "var_pop",
        "var_samp",
        "variance",
    ];
    const MARIADB: &[&str] = &[
        "cume_dist",
        "dense_rank",
        "first_value",
        "lag",
        "last_value",
        "lead",
        "median",
        "nth_value",
        "ntile",
        "percent_rank",
        "percentile_cont",
        "percentile_disc",
        "rank",
    ];
    BOTH.binary_search(&name).is_ok() || (dialect == Dialect::MariaDb && MARIADB.binary_search(&name).is_ok())
}

/// [`needs_no_space`] for a name as it is written.
pub(crate) fn needs_no_space_as_written(name: &[u8]) -> bool {
    let mut buffer = [0; LONGEST];
    lower(name, &mut buffer).is_some_and(|lower| needs_no_space(lower, Dialect::MariaDb))
}

/// How many arguments make a call of this name the server's own geometry constructor. In MariaDB these are words of the grammar, and
/// with other numbers of arguments they name stored functions. Checked by creating and calling such functions on MariaDB 10.11.18.
pub(crate) fn constructor_arguments(name: &[u8], dialect: Dialect) -> Option<RangeInclusive<usize>> {
    const ANY: &[&str] = &["geometrycollection", "linestring", "multilinestring", "multipoint", "multipolygon", "polygon"];
    if dialect != Dialect::MariaDb {
        None
    } else if name.eq_ignore_ascii_case(b"point") {
        Some(2..=2)
    } else {
        ANY.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes())).then_some(1..=usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted() {
        for table in [tables::COMMON, tables::MYSQL, tables::MARIADB] {
            assert!(table.is_sorted());
        }
    }

    #[test]
    fn only_native_names_are_trusted() {
        let call = |name: &str| call(name.as_bytes(), false, Dialect::MySql, SqlMode::empty());
        assert_eq!(call("CONCAT"), Call::Computes);
        assert_eq!(call("st_distance_sphere"), Call::Computes);
        assert_eq!(call("my_function"), Call::Stored);
        assert_eq!(call("nextval"), Call::Stored);
        assert_eq!(call(&"x".repeat(200)), Call::Stored);
        assert_eq!(call("nExTvAl_"), Call::Stored);
    }

    #[test]
    fn white_space_before_the_parenthesis_can_make_a_stored_function() {
        let call = |mode| call(b"COUNT", true, Dialect::MySql, mode);
        assert_eq!(call(SqlMode::empty()), Call::Stored);
        assert_eq!(call(SqlMode::IGNORE_SPACE), Call::Computes);
    }
}
