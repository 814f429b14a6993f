//! `[[rules]]`: conditions and what then is asked for, flat in one table.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use classifier::Digest;
use router::{Class, Conditions, Rule, Table, Target};
use serde::{Deserialize, Serialize};

use super::list::{list, networks};
use super::reader::Section;
use super::routing::BalanceName;
use super::units::Period;

/// One rule, for these servers.
pub(super) fn rule(mut section: Section<'_>, servers: &[&str]) -> Option<Rule> {
    let name = section.required::<String>("name");
    let when = Conditions {
        digests: list::<DigestText>(&mut section, "digest").into_iter().map(|digest| digest.0).collect(),
        users: list::<String>(&mut section, "user").into_iter().map(|user| user.into_bytes().into()).collect(),
        schemas: list::<String>(&mut section, "schema").into_iter().map(Into::into).collect(),
        networks: networks(&mut section, "network"),
        tables: list::<TableName>(&mut section, "table").into_iter().map(|table| table.0).collect(),
        class: section.optional::<Option<ClassName>>("class", None).map(Into::into),
    };
    let target = section.optional::<Option<String>>("target", None).map(|target| Target::parse(&target));
    let mut period = |key| section.optional::<Option<Period>>(key, None).map(|period| period.0);
    let max_lag = period("max_lag");
    let timeout = period("timeout");
    let balance = section.optional::<Option<BalanceName>>("balance", None).map(Into::into);
    let statements_per_second = section.bound("statements_per_second");
    let refuse = section.optional::<Option<String>>("refuse", None);
    let rule =
        Rule { name: name.clone().unwrap_or_default(), when, target, max_lag, balance, timeout, statements_per_second, refuse };
    if rule == (Rule { name: rule.name.clone(), when: rule.when.clone(), ..Rule::default() }) {
        section.complain(
            "it asks for nothing: give it a target, a max_lag, a balance, a timeout, statements_per_second, or a refuse",
        );
    }
    if let Some(Target::Server(target)) = &rule.target
        && !servers.contains(&&**target)
    {
        section.complain(&format!("the target {target:?} is none of primary, replica and the servers' names"));
    }
    if rule.timeout == Some(Duration::ZERO) {
        section.complain("timeout must be more than nothing");
    }
    section.finish();
    name.map(|_| rule)
}

/// The 32 hexadecimal digits that `pointsman explain` and `EXPLAIN ROUTE` show.
struct DigestText(Digest);

impl fmt::Display for DigestText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for DigestText {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_whole = text.len() == 32;
        let digest = text.parse().ok().filter(|_| is_whole);
        digest
            .map(Self)
            .ok_or_else(|| format!("{text:?} is no digest; `pointsman explain` and EXPLAIN ROUTE show it, 32 hexadecimal digits"))
    }
}

/// `table` or `schema.table`.
struct TableName(Table);

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for TableName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (schema, name) = text.split_once('.').map_or((None, text), |(schema, name)| (Some(schema), name));
        if name.is_empty() || schema == Some("") {
            return Err(format!("{text:?} is no table; write \"orders\" or \"shop.orders\""));
        }
        Ok(Self(Table { schema: schema.map(Into::into), name: name.into() }))
    }
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum ClassName {
    Read,
    Write,
}

impl From<ClassName> for Class {
    fn from(name: ClassName) -> Self {
        match name {
            ClassName::Read => Self::Read,
            ClassName::Write => Self::Write,
        }
    }
}
