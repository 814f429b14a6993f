//! The settings with which a text is read. A prepared statement keeps those of the time when it was prepared, also on a server where it is prepared
//! later.

use classifier::Dialect;

/// The settings of a session that decide what a text means.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Grammar {
    /// The assignments of `sql_mode`, in their order: one may depend on the one before it.
    modes: Box<[Box<[u8]>]>,
    /// `SET NAMES`, `SET CHARACTER SET`, and the assignments of the variables that they set, in their order.
    charsets: Box<[Charset]>,
    schema: Option<Box<[u8]>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Charset {
    sql: Box<[u8]>,
    /// It replaces everything that was set before it.
    is_whole: bool,
}

/// The statements, without the word `SET`, that bring a connection from one grammar to another and back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Detour {
    /// To the other.
    pub there: Vec<Box<[u8]>>,
    /// And back.
    pub back: Vec<Box<[u8]>>,
}

const CHARSETS: [&str; 4] = ["names", "character_set_client", "character_set_connection", "collation_connection"];

impl Grammar {
    /// The grammar of a session's settings, by name and text in their order. `login` is the statement that restores the character set of its login, if
    /// there is one.
    pub(super) fn new<'a>(
        login: Option<&'static str>,
        settings: impl Iterator<Item = (&'a str, &'a [u8])>,
        schema: Option<&[u8]>,
    ) -> Self {
        let (mut modes, mut charsets) = (Vec::new(), Vec::new());
        for (name, sql) in settings {
            // An assignment that depends on the one before it has its text in its name as well.
            if name == "sql_mode" || name.starts_with("sql_mode:") {
                modes.push(sql.into());
            } else if CHARSETS.contains(&name) {
                charsets.push(Charset { sql: sql.into(), is_whole: name == "names" });
            }
        }
        let is_whole = |charsets: &[Charset]| charsets.first().is_some_and(|first| first.is_whole);
        if let Some(login) = login.filter(|_| !is_whole(&charsets)) {
            charsets.insert(0, Charset { sql: login.as_bytes().into(), is_whole: true });
        }
        Self { modes: modes.into(), charsets: charsets.into(), schema: schema.map(Box::from) }
    }

    /// The default schema.
    pub fn schema(&self) -> Option<&[u8]> {
        self.schema.as_deref()
    }

    /// How to get from here to `other` and back, without the schema. `None` if one of the two has a character set that no statement restores: that of a
    /// login with an unusual collation, or of a reset.
    pub fn detour(&self, other: &Self) -> Option<Detour> {
        let mut detour = Detour::default();
        if self.modes != other.modes {
            let modes = |grammar: &Self| [&[Box::from(*b"sql_mode = DEFAULT")], &*grammar.modes].concat();
            detour.there.extend(modes(other));
            detour.back.extend(modes(self));
        }
        if self.charsets != other.charsets {
            let is_whole = |grammar: &Self| grammar.charsets.first().is_some_and(|first| first.is_whole);
            if !is_whole(self) || !is_whole(other) {
                return None;
            }
            let charsets = |grammar: &Self| grammar.charsets.iter().map(|charset| charset.sql.clone()).collect::<Vec<_>>();
            detour.there.extend(charsets(other));
            detour.back.extend(charsets(self));
        }
        Some(detour)
    }
}

/// What follows `SET` to give a session the character sets of a login with this collation. Both servers set the same three
/// variables for it (MySQL manual 12.4 "Connection Character Sets and Collations", MariaDB "Setting Character Sets and Collations"). Only collations
/// that drivers ask for are known. MariaDB has no collation 255, and uses its default.
pub(crate) fn names_of_login(collation: u8, dialect: Dialect) -> Option<&'static str> {
    Some(match collation {
        8 => "NAMES latin1 COLLATE latin1_swedish_ci",
        33 => "NAMES utf8mb3 COLLATE utf8mb3_general_ci",
        45 => "NAMES utf8mb4 COLLATE utf8mb4_general_ci",
        46 => "NAMES utf8mb4 COLLATE utf8mb4_bin",
        63 => "NAMES binary",
        83 => "NAMES utf8mb3 COLLATE utf8mb3_bin",
        192 => "NAMES utf8mb3 COLLATE utf8mb3_unicode_ci",
        224 => "NAMES utf8mb4 COLLATE utf8mb4_unicode_ci",
        255 if dialect == Dialect::MySql => "NAMES utf8mb4 COLLATE utf8mb4_0900_ai_ci",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grammar(settings: &[(&str, &str)]) -> Grammar {
        Grammar::new(None, settings.iter().map(|(name, sql)| (*name, sql.as_bytes())), None)
    }

    fn after_login(collation: u8, settings: &[(&str, &str)]) -> Grammar {
        let login = names_of_login(collation, Dialect::MariaDb);
        Grammar::new(login, settings.iter().map(|(name, sql)| (*name, sql.as_bytes())), None)
    }

    #[test]
    fn the_character_set_of_a_usual_login_can_be_restored() {
        let (login, latin1) = (after_login(45, &[]), after_login(45, &[("names", "NAMES latin1")]));
        let part = after_login(45, &[("character_set_client", "character_set_client = latin1")]);
        let detour = login.detour(&latin1).expect("a way");
        assert_eq!(texts(&detour.there), ["NAMES latin1"]);
        assert_eq!(texts(&detour.back), ["NAMES utf8mb4 COLLATE utf8mb4_general_ci"]);
        let back = latin1.detour(&part).expect("a way").there;
        assert_eq!(texts(&back), ["NAMES utf8mb4 COLLATE utf8mb4_general_ci", "character_set_client = latin1"]);
        // MariaDB has no such collation.
        assert_eq!(after_login(255, &[]).detour(&latin1), None);
        let of_mysql = Grammar::new(names_of_login(255, Dialect::MySql), std::iter::empty(), None);
        let detour = of_mysql.detour(&latin1).expect("a way");
        assert_eq!(texts(&detour.back), ["NAMES utf8mb4 COLLATE utf8mb4_0900_ai_ci"]);
    }

    #[test]
    fn each_usual_collation_has_a_statement_that_restores_it() {
        for (collation, names) in [
            (8, "NAMES latin1 COLLATE latin1_swedish_ci"),
            (33, "NAMES utf8mb3 COLLATE utf8mb3_general_ci"),
            (45, "NAMES utf8mb4 COLLATE utf8mb4_general_ci"),
            (46, "NAMES utf8mb4 COLLATE utf8mb4_bin"),
            (63, "NAMES binary"),
            (83, "NAMES utf8mb3 COLLATE utf8mb3_bin"),
            (192, "NAMES utf8mb3 COLLATE utf8mb3_unicode_ci"),
            (224, "NAMES utf8mb4 COLLATE utf8mb4_unicode_ci"),
        ] {
            let other = after_login(collation, &[("names", "NAMES gbk")]);
            let detour = after_login(collation, &[]).detour(&other).expect("a way");
            assert_eq!(texts(&detour.back), [names], "{collation}");
        }
    }

    fn texts(list: &[Box<[u8]>]) -> Vec<&str> {
        list.iter().map(|sql| std::str::from_utf8(sql).expect("UTF-8")).collect()
    }

    #[test]
    fn a_mode_is_built_up_from_the_default() {
        let then =
            grammar(&[("sql_mode", "sql_mode = 'ANSI'"), ("sql_mode: x", "sql_mode = x"), ("time_zone", "time_zone = 'UTC'")]);
        let now = grammar(&[]);
        let detour = now.detour(&then).expect("a way");
        assert_eq!(texts(&detour.there), ["sql_mode = DEFAULT", "sql_mode = 'ANSI'", "sql_mode = x"]);
        assert_eq!(texts(&detour.back), ["sql_mode = DEFAULT"]);
        assert_eq!(then.detour(&then), Some(Detour::default()));
    }

    #[test]
    fn a_character_set_has_a_way_back_only_to_another_statement() {
        let login = grammar(&[]);
        let latin1 = grammar(&[("names", "NAMES latin1")]);
        let utf8 = grammar(&[("names", "NAMES utf8mb4"), ("collation_connection", "collation_connection = utf8mb4_bin")]);
        let part = grammar(&[("character_set_client", "character_set_client = latin1")]);
        let detour = utf8.detour(&latin1).expect("a way");
        assert_eq!(texts(&detour.there), ["NAMES latin1"]);
        assert_eq!(texts(&detour.back), ["NAMES utf8mb4", "collation_connection = utf8mb4_bin"]);
        for (from, to) in [(&login, &latin1), (&latin1, &login), (&part, &latin1), (&latin1, &part)] {
            assert_eq!(from.detour(to), None);
        }
    }
}
