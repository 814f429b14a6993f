//! The reserved words of both servers, and a fast way to recognise them.
//!
//! They are folded to upper case in digests, and a word that hides one of them behind bytes from 0x80 up is not trusted. Sources:
//! MySQL `information_schema.KEYWORDS` (9.7.4), MariaDB `information_schema.KEYWORDS` (10.11.18, where each word was tried as a name).

/// Up to 16 bytes.
const SHORT: &[&str] = &[
    "accessible",
    "add",
    "all",
    "alter",
    "analyze",
    "and",
    "as",
    "asc",
    "asensitive",
    "before",
    "between",
    "bigint",
    "binary",
    "blob",
    "both",
    "by",
    "call",
    "cascade",
    "case",
    "change",
    "char",
    "character",
    "check",
    "collate",
    "column",
    "condition",
    "constraint",
    "continue",
    "convert",
    "create",
    "cross",
    "cube",
    "cume_dist",
    "current_date",
    "current_time",
    "current_user",
    "cursor",
    "database",
    "databases",
    "day_hour",
    "day_microsecond",
    "day_minute",
    "day_second",
    "dec",
    "decimal",
    "declare",
    "default",
    "delayed",
    "delete",
    "delete_domain_id",
    "dense_rank",
    "desc",
    "describe",
    "deterministic",
    "distinct",
    "distinctrow",
    "div",
    "do_domain_ids",
    "double",
    "drop",
    "dual",
    "each",
    "else",
    "elseif",
    "empty",
    "enclosed",
    "escaped",
    "except",
    "exists",
    "exit",
    "explain",
    "external",
    "false",
    "fetch",
    "first_value",
    "float",
    "float4",
    "float8",
    "for",
    "force",
    "foreign",
    "from",
    "fulltext",
    "function",
    "generated",
    "get",
    "grant",
    "group",
    "grouping",
    "groups",
    "having",
    "high_priority",
    "hour_microsecond",
    "hour_minute",
    "hour_second",
    "if",
    "ignore",
    "in",
    "index",
    "infile",
    "inner",
    "inout",
    "insensitive",
    "insert",
    "int",
    "int1",
    "int2",
    "int3",
    "int4",
    "int8",
    "integer",
    "intersect",
    "interval",
    "into",
    "io_after_gtids",
    "io_before_gtids",
    "is",
    "iterate",
    "join",
    "json_table",
    "key",
    "keys",
    "kill",
    "lag",
    "last_value",
    "lateral",
    "lead",
    "leading",
    "leave",
    "left",
    "library",
    "like",
    "limit",
    "linear",
    "lines",
    "load",
    "localtime",
    "localtimestamp",
    "lock",
    "long",
    "longblob",
    "longtext",
    "loop",
    "low_priority",
    "match",
    "maxvalue",
    "mediumblob",
    "mediumint",
    "mediumtext",
    "middleint",
    "minute_second",
    "mod",
    "modifies",
    "natural",
    "not",
    "nth_value",
    "ntile",
    "null",
    "numeric",
    "of",
    "offset",
    "on",
    "optimize",
    "optimizer_costs",
    "option",
    "optionally",
    "or",
    "order",
    "out",
    "outer",
    "outfile",
    "over",
    "page_checksum",
    "parse_vcol_expr",
    "partition",
    "percent_rank",
    "portion",
    "precision",
    "primary",
    "procedure",
    "purge",
    "qualify",
    "range",
    "rank",
    "read",
    "read_write",
    "reads",
    "real",
    "recursive",
    "ref_system_id",
    "references",
    "regexp",
    "release",
    "rename",
    "repeat",
    "replace",
    "require",
    "resignal",
    "restrict",
    "return",
    "returning",
    "revoke",
    "right",
    "rlike",
    "row",
    "row_number",
    "rows",
    "schema",
    "schemas",
    "select",
    "sensitive",
    "separator",
    "set",
    "show",
    "signal",
    "smallint",
    "spatial",
    "specific",
    "sql",
    "sql_big_result",
    "sql_small_result",
    "sqlexception",
    "sqlstate",
    "sqlwarning",
    "ssl",
    "starting",
    "stats_persistent",
    "stored",
    "straight_join",
    "system",
    "table",
    "tablesample",
    "terminated",
    "then",
    "tinyblob",
    "tinyint",
    "tinytext",
    "to",
    "trailing",
    "trigger",
    "true",
    "undo",
    "union",
    "unique",
    "unlock",
    "unsigned",
    "update",
    "usage",
    "use",
    "using",
    "utc_date",
    "utc_time",
    "utc_timestamp",
    "values",
    "varbinary",
    "varchar",
    "varcharacter",
    "varying",
    "virtual",
    "when",
    "where",
    "while",
    "window",
    "with",
    "write",
    "xor",
    "year_month",
    "zerofill",
];

/// Above 16 bytes.
const LONG: &[&str] = &[
    "current_timestamp",
    "ignore_domain_ids",
    "master_demote_to_replica",
    "master_demote_to_slave",
    "master_ssl_verify_server_cert",
    "minute_microsecond",
    "no_write_to_binlog",
    "second_microsecond",
    "sql_calc_found_rows",
    "stats_auto_recalc",
    "stats_sample_pages",
];

const SLOTS: usize = 1024;
const EMPTY: u16 = u16::MAX;

/// Whether the word is reserved in MySQL or in MariaDB, in any case of letters.
#[inline]
pub(crate) fn is_reserved(word: &[u8]) -> bool {
    if word.len() < 2 {
        return false;
    }
    if word.len() <= 16 && !has_reserved_length(word) {
        return false;
    }
    let Some(key) = pack(word) else {
        return LONG.iter().any(|long| word.eq_ignore_ascii_case(long.as_bytes()));
    };
    let mut slot = slot_of(key);
    loop {
        let Some(&index) = TABLE.get(slot) else { return false };
        match KEYS.get(index as usize) {
            Some(&found) if found == key => return true,
            Some(_) => slot = (slot + 1) % SLOTS,
            None => return false,
        }
    }
}

/// Whether a reserved word of this length begins with this letter: most names are told from all of them by that.
#[inline]
fn has_reserved_length(word: &[u8]) -> bool {
    let lengths = word.first().and_then(|&first| LENGTHS.get(usize::from(first & 31)));
    lengths.is_some_and(|lengths| lengths >> (word.len() & 31) & 1 == 1)
}

/// By the low bits of the first letter, which are the same in both cases: a bit for each length.
#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler, which would refuse")]
static LENGTHS: [u32; 32] = {
    let mut lengths = [0; 32];
    let mut index = 0;
    while index < SHORT.len() {
        let word = SHORT[index].as_bytes();
        lengths[(word[0] & 31) as usize] |= 1 << word.len();
        index += 1;
    }
    lengths
};

/// Up to 16 bytes as a number, with the bit that makes ASCII letters lower case. Only word bytes come here, so nothing else collides.
///
/// Built of the first and the last bytes, which may overlap: cheaper than a copy of a length that the compiler does not know.
#[inline]
fn pack(word: &[u8]) -> Option<u128> {
    let length = word.len();
    let number = if length > 16 {
        return None;
    } else if let (Some(first), Some(last)) = (word.first_chunk::<8>(), word.last_chunk::<8>()) {
        u128::from(u64::from_le_bytes(*first)) | u128::from(u64::from_le_bytes(*last)) << (8 * (length - 8))
    } else if let (Some(first), Some(last)) = (word.first_chunk::<4>(), word.last_chunk::<4>()) {
        u128::from(u32::from_le_bytes(*first)) | u128::from(u32::from_le_bytes(*last)) << (8 * (length - 4))
    } else {
        word.iter().rev().fold(0, |number, &byte| number << 8 | u128::from(byte))
    };
    Some(number | LOWER)
}

const LOWER: u128 = 0x2020_2020_2020_2020_2020_2020_2020_2020;

#[inline]
#[allow(clippy::cast_possible_truncation, reason = "both halves are wanted")]
const fn slot_of(key: u128) -> usize {
    let mixed = ((key as u64) ^ ((key >> 64) as u64).rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 54) as usize
}

/// The words as [`pack`] gives them.
static KEYS: [u128; SHORT.len()] = KEYS_CONST;

#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler, which would refuse")]
const KEYS_CONST: [u128; SHORT.len()] = {
    let mut keys = [0; SHORT.len()];
    let mut index = 0;
    while index < SHORT.len() {
        let word = SHORT[index].as_bytes();
        let mut at = 0;
        while at < word.len() {
            keys[index] |= (word[at] as u128) << (8 * at);
            at += 1;
        }
        keys[index] |= LOWER;
        index += 1;
    }
    keys
};

/// Open addressing with linear probing: an index into [`KEYS`], or [`EMPTY`].
#[allow(clippy::indexing_slicing, clippy::cast_possible_truncation, reason = "evaluated by the compiler, which would refuse")]
static TABLE: [u16; SLOTS] = {
    let mut table = [EMPTY; SLOTS];
    let mut index = 0;
    while index < SHORT.len() {
        let mut slot = slot_of(KEYS_CONST[index]);
        while table[slot] != EMPTY {
            slot = (slot + 1) % SLOTS;
        }
        table[slot] = index as u16;
        index += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reserved_word_is_found_in_any_case() {
        for word in SHORT.iter().chain(LONG) {
            assert!(is_reserved(word.as_bytes()), "{word}");
            assert!(is_reserved(word.to_uppercase().as_bytes()), "{word}");
            assert!(!is_reserved(format!("{word}x1").as_bytes()), "{word}");
        }
        for name in ["a", "users", "id", "count", "share", "", "_", "aa_very_long_name_that_is_none"] {
            assert!(!is_reserved(name.as_bytes()), "{name}");
        }
    }
}
