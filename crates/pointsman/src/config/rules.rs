//! `[[rules]]`: conditions and what then is asked for, flat in one table.

use std::fmt;
use std::marker::PhantomData;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use classifier::Digest;
use ipnet::IpNet;
use router::{Class, Conditions, Rule, Table, Target};
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::reader::Section;
use super::units::Period;

/// One rule, for these servers.
pub(super) fn rule(mut section: Section<'_>, servers: &[&str]) -> Option<Rule> {
    let name = section.required::<String>("name");
    let when = Conditions {
        digests: list::<DigestText>(&mut section, "digest").into_iter().map(|digest| digest.0).collect(),
        users: list::<String>(&mut section, "user").into_iter().map(|user| user.into_bytes().into()).collect(),
        schemas: list::<String>(&mut section, "schema").into_iter().map(Into::into).collect(),
        networks: list::<Network>(&mut section, "network").into_iter().map(|network| network.0).collect(),
        tables: list::<TableName>(&mut section, "table").into_iter().map(|table| table.0).collect(),
        class: section.optional::<Option<ClassName>>("class", None).map(Into::into),
    };
    let target = section.optional::<Option<String>>("target", None).map(|target| Target::parse(&target));
    let mut period = |key| section.optional::<Option<Period>>(key, None).map(|period| period.0);
    let max_lag = period("max_lag");
    let timeout = period("timeout");
    let refuse = section.optional::<Option<String>>("refuse", None);
    if target.is_none() && max_lag.is_none() && timeout.is_none() && refuse.is_none() {
        section.complain("it asks for nothing: give it a target, a max_lag, a timeout, or a refuse");
    }
    if let Some(Target::Server(target)) = &target
        && !servers.contains(&&**target)
    {
        section.complain(&format!("the target {target:?} is none of primary, replica and the servers' names"));
    }
    if timeout == Some(Duration::ZERO) {
        section.complain("timeout must be more than nothing");
    }
    section.finish();
    Some(Rule { name: name?, when, target, max_lag, timeout, refuse })
}

/// `key = "value"` or `key = ["one", "another"]`.
fn list<T: FromStr<Err: fmt::Display>>(section: &mut Section<'_>, key: &'static str) -> Vec<T> {
    section.optional(key, OneOrMany(Vec::new())).0
}

struct OneOrMany<T>(Vec<T>);

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Texts<T>(PhantomData<T>);

        impl<'de, T: FromStr<Err: fmt::Display>> Visitor<'de> for Texts<T> {
            type Value = OneOrMany<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, or a list of texts")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(OneOrMany(vec![text.parse().map_err(E::custom)?]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut texts: A) -> Result<Self::Value, A::Error> {
                let mut values = Vec::new();
                while let Some(text) = texts.next_element::<String>()? {
                    values.push(text.parse().map_err(de::Error::custom)?);
                }
                Ok(OneOrMany(values))
            }
        }

        deserializer.deserialize_any(Texts(PhantomData))
    }
}

/// The 32 hexadecimal digits that `pointsman explain` and `EXPLAIN ROUTE` show.
struct DigestText(Digest);

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

/// `10.0.0.0/8`, or one address.
struct Network(IpNet);

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let network = text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
        network.map(Self).ok_or_else(|| format!("{text:?} is no network; write \"10.0.0.0/8\", \"fd00::/8\" or an address"))
    }
}

/// `table` or `schema.table`.
struct TableName(Table);

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

#[derive(Deserialize)]
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
