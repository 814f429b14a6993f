//! `[[rules]]`: what the configuration asks for, by what a statement is and who sends it.
//!
//! A statement that prepares another one (`PREPARE s FROM 'text'`, MariaDB's `EXECUTE IMMEDIATE 'text'`) matches conditions on tables and digests by
//! that text as well as by its own. A text that is not a literal cannot be seen, and matches no rule.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use classifier::{Context, Digest, Inner, Placement, Statement, Verb, digest, inner_text, mentions_table};
use ipnet::IpNet;

use crate::{Balance, Target};

/// One rule: conditions, all of which must hold, and its effects.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rule {
    /// For explanations and errors.
    pub name: String,
    /// When it applies.
    pub when: Conditions,
    /// Where matching reads are wanted.
    pub target: Option<Target>,
    /// How stale their answers may be.
    pub max_lag: Option<Duration>,
    /// How matching reads are shared out.
    pub balance: Option<Balance>,
    /// How long a server may take to answer, reads and writes alike.
    pub timeout: Option<Duration>,
    /// Matching statements that may begin in a second, those of all sessions together.
    pub statements_per_second: Option<u32>,
    /// The statement does not run, and the client gets this message.
    pub refuse: Option<String>,
}

/// Each list that is not empty must have a matching member.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Conditions {
    /// The statement's digest.
    pub digests: Vec<Digest>,
    /// The account that the client has logged in with.
    pub users: Vec<Box<[u8]>>,
    /// The session's default schema, without regard to case.
    pub schemas: Vec<Box<str>>,
    /// The client's address is in one of these.
    pub networks: Vec<IpNet>,
    /// The statement has a name like this one in it.
    pub tables: Vec<Table>,
    /// The class of the statement, as the classifier sees it.
    pub class: Option<Class>,
}

/// A table, in one schema or in any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its schema.
    pub schema: Option<Box<str>>,
    /// Its name.
    pub name: Box<str>,
}

/// As the configuration has it.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.schema {
            Some(schema) => write!(f, "{schema}.{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// Kinds of statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// A plain read, which may leave the primary.
    Read,
    /// Every statement that needs the primary.
    Write,
}

/// What the conditions of rules look at.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The statement's text.
    pub sql: &'a [u8],
    /// How it is read.
    pub context: Context<'a>,
    /// The verdict on it.
    pub statement: &'a Statement,
    /// The client's account.
    pub user: &'a [u8],
    /// The client's address.
    pub address: IpAddr,
}

impl Facts<'_> {
    /// Whether the statement prepares a known text that satisfies `holds`.
    fn inner_is(&self, holds: impl FnOnce(&[u8]) -> bool) -> bool {
        // A batch may begin with one.
        let may_prepare = matches!(self.statement.verb, Verb::Prepare | Verb::Execute | Verb::Batch);
        may_prepare && matches!(inner_text(self.sql, &self.context), Inner::Text(text) if holds(&text))
    }
}

/// The first rule that matches, with its place in the list.
pub fn matching_rule<'r>(rules: &'r [Rule], facts: &Facts<'_>) -> Option<(usize, &'r Rule)> {
    rules.iter().enumerate().find(|(_, rule)| rule.when.hold(facts))
}

impl Conditions {
    /// The cheap ones first.
    fn hold(&self, facts: &Facts<'_>) -> bool {
        let is_class = |class| match class {
            Class::Read => facts.statement.placement() == Placement::Replica,
            Class::Write => facts.statement.placement() == Placement::Primary,
        };
        self.class.is_none_or(is_class)
            && fits(&self.digests, |wanted| {
                *wanted == facts.statement.digest || facts.inner_is(|text| *wanted == digest(text, &facts.context))
            })
            && fits(&self.users, |user| **user == *facts.user)
            && fits(&self.schemas, |schema| facts.context.schema.is_some_and(|own| own.eq_ignore_ascii_case(schema)))
            && fits(&self.networks, |network| network.contains(&facts.address.to_canonical()))
            && fits(&self.tables, |table| {
                let mentions = |sql: &[u8]| mentions_table(sql, &facts.context, table.schema.as_deref(), &table.name);
                mentions(facts.sql) || facts.inner_is(mentions)
            })
    }
}

fn fits<T>(wanted: &[T], is: impl Fn(&T) -> bool) -> bool {
    wanted.is_empty() || wanted.iter().any(is)
}

#[cfg(test)]
mod tests {
    use classifier::{Charset, Classifier, Dialect, ParseLimits, SqlMode};

    use super::*;

    const CONTEXT: Context<'static> =
        Context { dialect: Dialect::MySql, sql_mode: SqlMode::empty(), charset: Charset::AsciiSafe, schema: Some("shop") };

    fn holds(when: Conditions, sql: &str, user: &str, address: &str) -> bool {
        let statement = Classifier::new(ParseLimits::default()).classify(sql.as_bytes(), &CONTEXT);
        let rules = [Rule { when, ..Rule::default() }];
        let facts = Facts {
            sql: sql.as_bytes(),
            context: CONTEXT,
            statement: &statement,
            user: user.as_bytes(),
            address: address.parse().expect("an address"),
        };
        matching_rule(&rules, &facts).is_some()
    }

    #[test]
    fn every_condition_must_hold() {
        let when = || Conditions {
            users: vec![Box::from(*b"report"), Box::from(*b"batch")],
            networks: vec!["10.0.0.0/8".parse().expect("a network")],
            tables: vec![Table { schema: Some("shop".into()), name: "orders".into() }],
            ..Conditions::default()
        };
        let sql = "SELECT * FROM Orders o";
        assert!(holds(when(), sql, "batch", "10.1.2.3"));
        assert!(holds(when(), sql, "report", "::ffff:10.1.2.3"));
        assert!(!holds(when(), sql, "app", "10.1.2.3"));
        assert!(!holds(when(), sql, "batch", "192.168.0.1"));
        assert!(!holds(when(), "SELECT * FROM items", "batch", "10.1.2.3"));
        assert!(holds(Conditions::default(), sql, "app", "::1"));
    }

    #[test]
    fn classes_schemas_and_digests_tell_statements_apart() {
        let read = Conditions { class: Some(Class::Read), ..Conditions::default() };
        assert!(holds(read.clone(), "SELECT a FROM t", "app", "::1"));
        assert!(!holds(read, "SELECT a FROM t FOR UPDATE", "app", "::1"));
        let write = Conditions { class: Some(Class::Write), ..Conditions::default() };
        assert!(holds(write.clone(), "DELETE FROM t", "app", "::1"));
        assert!(!holds(write, "SET NAMES utf8mb4", "app", "::1"));
        let schema = |name: &str| Conditions { schemas: vec![name.into()], ..Conditions::default() };
        assert!(holds(schema("SHOP"), "SELECT 1", "app", "::1"));
        assert!(!holds(schema("blog"), "SELECT 1", "app", "::1"));
        let digest = Classifier::new(ParseLimits::default()).classify(b"SELECT a FROM t WHERE id = 1", &CONTEXT).digest;
        let when = || Conditions { digests: vec![digest], ..Conditions::default() };
        assert!(holds(when(), "SELECT a FROM t WHERE id = 77", "app", "::1"));
        assert!(!holds(when(), "SELECT b FROM t WHERE id = 77", "app", "::1"));
    }

    #[test]
    fn what_a_statement_prepares_fits_as_well() {
        let table = || Conditions { tables: vec![Table { schema: None, name: "secrets".into() }], ..Conditions::default() };
        let digest =
            || Conditions { digests: vec![digest(b"DELETE FROM secrets WHERE id = 1", &CONTEXT)], ..Conditions::default() };
        let hidden = r"PREPARE s FROM 'DELETE FROM secret\s WHERE id\n= 77'";
        for when in [table(), digest()] {
            assert!(holds(when.clone(), "DELETE FROM secrets WHERE id = 77", "app", "::1"));
            assert!(holds(when.clone(), "PREPARE s FROM 'DELETE FROM secrets WHERE id = ?'", "app", "::1"));
            assert!(holds(when.clone(), hidden, "app", "::1"));
            assert!(!holds(when.clone(), "PREPARE s FROM 'DELETE FROM others WHERE id = 77'", "app", "::1"));
            // The text cannot be seen.
            assert!(!holds(when.clone(), "PREPARE s FROM @secret", "app", "::1"));
            assert!(!holds(when, "SELECT 'DELETE FROM secrets WHERE id = 77'", "app", "::1"));
        }
    }

    #[test]
    fn a_table_is_shown_as_the_configuration_has_it() {
        let table = |schema: Option<&str>| Table { schema: schema.map(Box::from), name: "orders".into() }.to_string();
        assert_eq!((table(Some("shop")).as_str(), table(None).as_str()), ("shop.orders", "orders"));
    }

    #[test]
    fn the_first_rule_that_holds_is_the_one() {
        let statement = Classifier::new(ParseLimits::default()).classify(b"SELECT 1", &CONTEXT);
        let facts =
            Facts { sql: b"SELECT 1", context: CONTEXT, statement: &statement, user: b"app", address: [127, 0, 0, 1].into() };
        let rule = |name: &str, user: &str| Rule {
            name: name.into(),
            when: Conditions { users: vec![user.as_bytes().into()], ..Conditions::default() },
            ..Rule::default()
        };
        let rules = [rule("a", "x"), rule("b", "app"), rule("c", "app")];
        assert_eq!(matching_rule(&rules, &facts).map(|(place, rule)| (place, &*rule.name)), Some((1, "b")));
    }
}
