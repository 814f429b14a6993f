//! Keys with one text or a list of texts, each of which is parsed.

use std::fmt;
use std::marker::PhantomData;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::reader::Section;

/// `key = "value"` or `key = ["one", "another"]`.
pub(super) fn list<T: FromStr<Err: fmt::Display> + fmt::Display>(section: &mut Section<'_>, key: &'static str) -> Vec<T> {
    section.optional(key, OneOrMany(Vec::new())).0
}

struct OneOrMany<T>(Vec<T>);

impl<T: fmt::Display> Serialize for OneOrMany<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(ToString::to_string))
    }
}

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

/// A list of networks.
pub(super) fn networks<L: FromIterator<IpNet>>(section: &mut Section<'_>, key: &'static str) -> L {
    list::<Network>(section, key).into_iter().map(|network| network.0).collect()
}

/// `10.0.0.0/8`, or one address.
struct Network(IpNet);

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let network = text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
        network.map(Self).ok_or_else(|| format!("{text:?} is no network; write \"10.0.0.0/8\", \"fd00::/8\" or an address"))
    }
}
