//! The keywords of both servers' grammars: one table, with what each question about a word depends on, and a fast way to look it up.
//!
//! `digest` folds reserved words to upper case, and asks of each word of each statement. `scan` asks which words a read never has, and whether a word
//! before `(` is a call; `scan` does not trust a word in which bytes from 0x80 up may separate a reserved word. `shape` asks which words stand inside
//! a read.
//!
//! Sources: MySQL `information_schema.KEYWORDS` (9.7.4), MariaDB `information_schema.KEYWORDS` (10.11.18, where each word was tried as a name).
//! What calls nothing was found by creating a function of each name on both and trying to call it.
//!
//! Not here: names of functions (`functions`), which no grammar reserves and which depend on the server and its version; and the few words that one
//! place in the grammar asks for, which stand at that place.

/// Reserved in MySQL or in MariaDB: a name only where it is quoted or follows a `.`.
const RESERVED: u8 = 1 << 0;
/// A reserved word that may stand inside a read, besides those that begin its clauses.
const READ: u8 = 1 << 1;
/// A reserved word with which only other statements begin, or that only they use. In a read it stands for something not known here. `SET` and
/// `RESTRICT` are [`READ`], too, in the two places that `scan` knows.
const NOT_READ: u8 = 1 << 2;
/// Before `(` it calls nothing. A keyword that is not quoted never names a stored function in MySQL (`function_call_generic: IDENT_sys '('`). In
/// MariaDB some do, and these are [`NO_CALL_AFTER_OPERAND`].
const NO_CALL: u8 = 1 << 3;
/// The same only where an operand stands before it: `MATCH (a) AGAINST (..)`, `'$' COLUMNS (..)`. In MariaDB it may name a stored function elsewhere.
/// In MySQL it never does.
const NO_CALL_AFTER_OPERAND: u8 = 1 << 4;

/// Up to 16 bytes.
const SHORT: &[(&str, u8)] = &[
    ("accessible", RESERVED),
    ("add", RESERVED),
    ("against", NO_CALL_AFTER_OPERAND),
    ("all", RESERVED | READ | NO_CALL),
    ("alter", RESERVED | NOT_READ),
    ("analyze", RESERVED),
    ("and", RESERVED | READ | NO_CALL),
    ("any", NO_CALL),
    ("as", RESERVED | READ | NO_CALL),
    ("asc", RESERVED | READ),
    ("asensitive", RESERVED),
    ("before", RESERVED),
    ("between", RESERVED | READ | NO_CALL),
    ("bigint", RESERVED | READ | NO_CALL),
    ("binary", RESERVED | READ | NO_CALL),
    ("bit", NO_CALL),
    ("blob", RESERVED | NO_CALL),
    ("both", RESERVED | READ),
    ("by", RESERVED | READ | NO_CALL),
    ("call", RESERVED | NOT_READ),
    ("cascade", RESERVED),
    ("case", RESERVED | READ | NO_CALL),
    ("change", RESERVED),
    ("char", RESERVED | READ | NO_CALL),
    ("character", RESERVED | READ | NO_CALL),
    ("check", RESERVED),
    ("collate", RESERVED | READ),
    ("column", RESERVED | READ),
    ("columns", NO_CALL_AFTER_OPERAND),
    ("condition", RESERVED),
    ("constraint", RESERVED),
    ("continue", RESERVED),
    ("convert", RESERVED | READ),
    ("create", RESERVED | NOT_READ),
    ("cross", RESERVED | READ | NO_CALL),
    ("cube", RESERVED | READ),
    ("cume_dist", RESERVED | READ),
    ("current_date", RESERVED | READ),
    ("current_time", RESERVED | READ),
    ("current_user", RESERVED | READ),
    ("cursor", RESERVED),
    ("database", RESERVED | READ),
    ("databases", RESERVED),
    ("date", NO_CALL),
    ("datetime", NO_CALL),
    ("day_hour", RESERVED | READ),
    ("day_microsecond", RESERVED | READ),
    ("day_minute", RESERVED | READ),
    ("day_second", RESERVED | READ),
    ("dec", RESERVED | READ | NO_CALL),
    ("decimal", RESERVED | READ | NO_CALL),
    ("declare", RESERVED | NOT_READ),
    ("default", RESERVED | READ),
    ("delayed", RESERVED),
    ("delete", RESERVED),
    ("delete_domain_id", RESERVED),
    ("dense_rank", RESERVED | READ),
    ("desc", RESERVED | READ),
    ("describe", RESERVED),
    ("deterministic", RESERVED),
    ("distinct", RESERVED | READ | NO_CALL),
    ("distinctrow", RESERVED | READ | NO_CALL),
    ("div", RESERVED | READ | NO_CALL),
    ("do_domain_ids", RESERVED),
    ("double", RESERVED | READ | NO_CALL),
    ("drop", RESERVED | NOT_READ),
    ("dual", RESERVED | READ | NO_CALL),
    ("each", RESERVED),
    ("else", RESERVED | READ | NO_CALL),
    ("elseif", RESERVED),
    ("empty", RESERVED | READ),
    ("enclosed", RESERVED),
    ("end", NO_CALL),
    ("escape", NO_CALL_AFTER_OPERAND),
    ("escaped", RESERVED),
    ("except", RESERVED | NO_CALL),
    ("exists", RESERVED | READ | NO_CALL),
    ("exit", RESERVED),
    ("explain", RESERVED),
    ("external", RESERVED),
    ("false", RESERVED | READ),
    ("fetch", RESERVED),
    ("first_value", RESERVED | READ),
    ("fixed", NO_CALL),
    ("float", RESERVED | READ | NO_CALL),
    ("float4", RESERVED | NO_CALL),
    ("float8", RESERVED | NO_CALL),
    ("for", RESERVED | READ | NO_CALL),
    ("force", RESERVED | READ),
    ("foreign", RESERVED),
    ("from", RESERVED | NO_CALL),
    ("fulltext", RESERVED),
    ("function", RESERVED),
    ("generated", RESERVED),
    ("get", RESERVED),
    ("grant", RESERVED | NOT_READ),
    ("group", RESERVED | NO_CALL),
    ("grouping", RESERVED | READ),
    ("groups", RESERVED),
    ("having", RESERVED | NO_CALL),
    ("high_priority", RESERVED | READ),
    ("hour_microsecond", RESERVED | READ),
    ("hour_minute", RESERVED | READ),
    ("hour_second", RESERVED | READ),
    ("if", RESERVED | READ),
    ("ignore", RESERVED | READ),
    ("in", RESERVED | READ | NO_CALL),
    ("index", RESERVED | READ | NO_CALL),
    ("infile", RESERVED | NOT_READ),
    ("inner", RESERVED | READ),
    ("inout", RESERVED),
    ("insensitive", RESERVED),
    ("insert", RESERVED | READ),
    ("int", RESERVED | READ | NO_CALL),
    ("int1", RESERVED | NO_CALL),
    ("int2", RESERVED),
    ("int3", RESERVED),
    ("int4", RESERVED),
    ("int8", RESERVED),
    ("integer", RESERVED | READ | NO_CALL),
    ("intersect", RESERVED | NO_CALL),
    ("interval", RESERVED | READ),
    ("into", RESERVED),
    ("io_after_gtids", RESERVED),
    ("io_before_gtids", RESERVED),
    ("is", RESERVED | READ | NO_CALL),
    ("iterate", RESERVED | NOT_READ),
    ("join", RESERVED | READ | NO_CALL),
    ("json_table", RESERVED | READ),
    ("key", RESERVED | READ | NO_CALL),
    ("keys", RESERVED),
    ("kill", RESERVED | NOT_READ),
    ("lag", RESERVED | READ),
    ("last_value", RESERVED | READ),
    ("lateral", RESERVED | READ | NO_CALL_AFTER_OPERAND),
    ("lead", RESERVED | READ),
    ("leading", RESERVED | READ),
    ("leave", RESERVED | NOT_READ),
    ("left", RESERVED | READ),
    ("library", RESERVED),
    ("like", RESERVED | READ | NO_CALL),
    ("limit", RESERVED | NO_CALL),
    ("linear", RESERVED),
    ("lines", RESERVED),
    ("load", RESERVED | NOT_READ),
    ("localtime", RESERVED | READ),
    ("localtimestamp", RESERVED | READ),
    ("lock", RESERVED),
    ("long", RESERVED),
    ("longblob", RESERVED | NO_CALL),
    ("longtext", RESERVED | NO_CALL),
    ("loop", RESERVED | NOT_READ),
    ("low_priority", RESERVED),
    ("match", RESERVED | READ | NO_CALL),
    ("maxvalue", RESERVED),
    ("mediumblob", RESERVED),
    ("mediumint", RESERVED | NO_CALL),
    ("mediumtext", RESERVED | NO_CALL),
    ("middleint", RESERVED | NO_CALL),
    ("minute_second", RESERVED | READ),
    ("mod", RESERVED | READ),
    ("modifies", RESERVED),
    ("natural", RESERVED | READ),
    ("nchar", NO_CALL),
    ("not", RESERVED | READ | NO_CALL),
    ("nth_value", RESERVED | READ),
    ("ntile", RESERVED | READ),
    ("null", RESERVED | READ),
    ("numeric", RESERVED | READ | NO_CALL),
    ("nvarchar", NO_CALL),
    ("of", RESERVED | READ | NO_CALL_AFTER_OPERAND),
    ("offset", RESERVED | READ | NO_CALL),
    ("on", RESERVED | READ | NO_CALL),
    ("optimize", RESERVED | NOT_READ),
    ("optimizer_costs", RESERVED),
    ("option", RESERVED),
    ("optionally", RESERVED),
    ("or", RESERVED | READ | NO_CALL),
    ("order", RESERVED | NO_CALL),
    ("out", RESERVED),
    ("outer", RESERVED | READ),
    ("outfile", RESERVED | NOT_READ),
    ("over", RESERVED | READ | NO_CALL),
    ("page_checksum", RESERVED),
    ("parse_vcol_expr", RESERVED),
    ("partition", RESERVED | READ | NO_CALL),
    ("percent_rank", RESERVED | READ),
    ("portion", RESERVED),
    ("precision", RESERVED | READ),
    ("primary", RESERVED),
    ("procedure", RESERVED | NOT_READ),
    ("purge", RESERVED | NOT_READ),
    ("qualify", RESERVED),
    ("range", RESERVED | READ),
    ("rank", RESERVED | READ),
    ("read", RESERVED),
    ("read_write", RESERVED),
    ("reads", RESERVED),
    ("real", RESERVED | READ | NO_CALL),
    ("recursive", RESERVED | READ | NO_CALL),
    ("ref_system_id", RESERVED),
    ("references", RESERVED),
    ("regexp", RESERVED | READ | NO_CALL),
    ("release", RESERVED | NOT_READ),
    ("rename", RESERVED | NOT_READ),
    ("repeat", RESERVED | READ),
    ("replace", RESERVED | READ),
    ("require", RESERVED | NOT_READ),
    ("resignal", RESERVED | NOT_READ),
    ("restrict", RESERVED | READ | NOT_READ),
    ("return", RESERVED | NOT_READ),
    ("returning", RESERVED),
    ("revoke", RESERVED | NOT_READ),
    ("right", RESERVED | READ),
    ("rlike", RESERVED | READ | NO_CALL),
    ("rollup", NO_CALL_AFTER_OPERAND),
    ("row", RESERVED | READ | NO_CALL),
    ("row_number", RESERVED | READ),
    ("rows", RESERVED | READ),
    ("schema", RESERVED | READ),
    ("schemas", RESERVED),
    ("select", RESERVED | NO_CALL),
    ("sensitive", RESERVED),
    ("separator", RESERVED | READ | NO_CALL),
    ("set", RESERVED | READ | NOT_READ),
    ("show", RESERVED),
    ("signal", RESERVED | NOT_READ),
    ("signed", NO_CALL),
    ("smallint", RESERVED | READ | NO_CALL),
    ("some", NO_CALL),
    ("sounds", NO_CALL),
    ("spatial", RESERVED),
    ("specific", RESERVED),
    ("sql", RESERVED),
    ("sql_big_result", RESERVED | READ),
    ("sql_small_result", RESERVED | READ),
    ("sqlexception", RESERVED),
    ("sqlstate", RESERVED),
    ("sqlwarning", RESERVED),
    ("ssl", RESERVED),
    ("starting", RESERVED),
    ("stats_persistent", RESERVED),
    ("stored", RESERVED),
    ("straight_join", RESERVED | READ | NO_CALL),
    ("system", RESERVED),
    ("table", RESERVED),
    ("tablesample", RESERVED),
    ("terminated", RESERVED),
    ("text", NO_CALL),
    ("then", RESERVED | READ | NO_CALL),
    ("time", NO_CALL),
    ("timestamp", NO_CALL),
    ("tinyblob", RESERVED),
    ("tinyint", RESERVED | READ | NO_CALL),
    ("tinytext", RESERVED | NO_CALL),
    ("to", RESERVED | READ),
    ("trailing", RESERVED | READ),
    ("trigger", RESERVED | NOT_READ),
    ("true", RESERVED | READ),
    ("undo", RESERVED | NOT_READ),
    ("union", RESERVED | NO_CALL),
    ("unique", RESERVED),
    ("unlock", RESERVED | NOT_READ),
    ("unsigned", RESERVED | READ | NO_CALL),
    ("update", RESERVED),
    ("usage", RESERVED),
    ("use", RESERVED | READ),
    ("using", RESERVED | READ | NO_CALL),
    ("utc_date", RESERVED | READ),
    ("utc_time", RESERVED | READ),
    ("utc_timestamp", RESERVED | READ),
    ("values", RESERVED),
    ("varbinary", RESERVED | READ | NO_CALL),
    ("varchar", RESERVED | READ | NO_CALL),
    ("varcharacter", RESERVED),
    ("varying", RESERVED),
    ("virtual", RESERVED),
    ("when", RESERVED | READ | NO_CALL),
    ("where", RESERVED | NO_CALL),
    ("while", RESERVED | NOT_READ),
    ("window", RESERVED | NO_CALL),
    ("with", RESERVED | NO_CALL),
    ("write", RESERVED | NOT_READ),
    ("xor", RESERVED | READ | NO_CALL),
    ("year", NO_CALL),
    ("year_month", RESERVED | READ),
    ("zerofill", RESERVED),
];

/// Above 16 bytes.
const LONG: &[(&str, u8)] = &[
    ("current_timestamp", RESERVED | READ),
    ("ignore_domain_ids", RESERVED),
    ("master_demote_to_replica", RESERVED),
    ("master_demote_to_slave", RESERVED),
    ("master_ssl_verify_server_cert", RESERVED),
    ("minute_microsecond", RESERVED | READ),
    ("no_write_to_binlog", RESERVED),
    ("second_microsecond", RESERVED | READ),
    ("sql_calc_found_rows", RESERVED),
    ("stats_auto_recalc", RESERVED),
    ("stats_sample_pages", RESERVED),
];

/// What is known of a word; nothing for a word that is no keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Keyword(u8);

impl Keyword {
    /// What is known of `word`, in any case of letters. All of its bytes are such as the lexer takes for a word's.
    #[inline]
    pub(crate) fn of(word: &[u8]) -> Self {
        let Some(key) = pack(word) else {
            let long = LONG.iter().find(|(long, _)| word.eq_ignore_ascii_case(long.as_bytes()));
            return Self(long.map_or(0, |(_, properties)| *properties));
        };
        let mut slot = slot_of(key);
        loop {
            let index = TABLE.get(slot).map_or(EMPTY, |&index| index) as usize;
            match (KEYS.get(index), PROPERTIES.get(index)) {
                (Some(&found), Some(&properties)) if found == key => return Self(properties),
                (Some(_), _) => slot = (slot + 1) % SLOTS,
                (None, _) => return Self(0),
            }
        }
    }

    /// See [`READ`].
    pub(crate) fn may_be_in_a_read(self) -> bool {
        self.0 & READ != 0
    }

    /// See [`NOT_READ`].
    pub(crate) fn is_for_other_statements(self) -> bool {
        self.0 & NOT_READ != 0
    }

    /// See [`NO_CALL`].
    pub(crate) fn calls_nothing(self) -> bool {
        self.0 & NO_CALL != 0
    }

    /// See [`NO_CALL_AFTER_OPERAND`].
    pub(crate) fn calls_nothing_after_operand(self) -> bool {
        self.0 & NO_CALL_AFTER_OPERAND != 0
    }
}

const SLOTS: usize = 1024;
const EMPTY: u16 = u16::MAX;

/// Whether the word is reserved in MySQL or in MariaDB, in any case of letters. Asked of each word of each statement.
#[inline]
pub(crate) fn is_reserved(word: &[u8]) -> bool {
    if word.len() < 2 {
        return false;
    }
    if word.len() <= 16 && !has_reserved_length(word) {
        return false;
    }
    let Some(key) = pack(word) else { return Keyword::of(word).0 & RESERVED != 0 };
    let mut slot = slot_of(key);
    loop {
        let Some(&index) = TABLE.get(slot) else { return false };
        // The reserved words were put into the table first, so none comes after another word.
        match KEYS.get(index as usize).filter(|_| (index as usize) < RESERVED_COUNT) {
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
        let (word, properties) = SHORT[index];
        if properties & RESERVED != 0 {
            lengths[(word.as_bytes()[0] & 31) as usize] |= 1 << word.len();
        }
        index += 1;
    }
    lengths
};

/// Up to 16 bytes as a number, with the bit that makes ASCII letters lower case. Only word bytes come here, so nothing else collides.
///
/// Built from the first and the last bytes, which may overlap: this is cheaper than a copy of a length that the compiler does not know.
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

const RESERVED_COUNT: usize = ORDERED.1;

/// [`SHORT`] with the reserved words first, and their number.
#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler, which would refuse")]
const ORDERED: ([(&str, u8); SHORT.len()], usize) = {
    let mut ordered = [("", 0); SHORT.len()];
    let (mut from_front, mut from_back) = (0, SHORT.len());
    let mut index = 0;
    while index < SHORT.len() {
        if SHORT[index].1 & RESERVED != 0 {
            ordered[from_front] = SHORT[index];
            from_front += 1;
        } else {
            from_back -= 1;
            ordered[from_back] = SHORT[index];
        }
        index += 1;
    }
    (ordered, from_front)
};

/// The words as [`pack`] gives them, in the order of [`ORDERED`].
static KEYS: [u128; SHORT.len()] = KEYS_CONST;

#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler, which would refuse")]
const KEYS_CONST: [u128; SHORT.len()] = {
    let mut keys = [0; SHORT.len()];
    let mut index = 0;
    while index < SHORT.len() {
        let word = ORDERED.0[index].0.as_bytes();
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

/// What is known of each of [`KEYS`].
#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler, which would refuse")]
static PROPERTIES: [u8; SHORT.len()] = {
    let mut properties = [0; SHORT.len()];
    let mut index = 0;
    while index < SHORT.len() {
        properties[index] = ORDERED.0[index].1;
        index += 1;
    }
    properties
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
    fn every_keyword_is_found_in_any_case() {
        for (word, properties) in SHORT.iter().chain(LONG) {
            assert_eq!(Keyword::of(word.as_bytes()), Keyword(*properties), "{word}");
            assert_eq!(Keyword::of(word.to_uppercase().as_bytes()), Keyword(*properties), "{word}");
            assert_eq!(is_reserved(word.as_bytes()), properties & RESERVED != 0, "{word}");
            assert_eq!(Keyword::of(format!("{word}x1").as_bytes()), Keyword(0), "{word}");
        }
        for name in ["a", "users", "id", "count", "share", "", "_", "aa_very_long_name_that_is_none"] {
            assert_eq!(Keyword::of(name.as_bytes()), Keyword(0), "{name}");
            assert!(!is_reserved(name.as_bytes()), "{name}");
        }
    }

    /// A word that stands twice would be found with the properties of one line only.
    #[test]
    fn every_keyword_has_one_line_and_each_property_its_place() {
        for table in [SHORT, LONG] {
            assert!(table.iter().map(|(word, _)| word).is_sorted_by(|one, next| one < next));
        }
        for (word, properties) in SHORT.iter().chain(LONG) {
            assert!(properties & (READ | NOT_READ) == 0 || properties & RESERVED != 0, "{word} counts only where it is reserved");
        }
    }
}
