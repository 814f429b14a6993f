//! Values with units: `"250ms"`, `"16MiB"`, `"db1:3306"`.

use std::time::Duration;

use backend::ServerAddress;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use topology::ServerState;

/// A time, as `"250ms"`, `"1s"`, `"8h"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Period(pub(super) Duration);

/// A number of bytes, as `"64KiB"`, `"16MiB"`, or a plain number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size(pub(super) usize);

/// `"host:port"`; an IPv6 address in brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address(pub(super) ServerAddress);

/// Permissions of a file, as `"0777"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileMode(pub(super) u32);

/// A server's state, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct State(pub(super) ServerState);

/// What is logged: a level, or directives such as `"info,monitor=debug"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Level(pub(crate) String);

impl Default for Level {
    fn default() -> Self {
        Self("info".to_owned())
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = text(deserializer, "a time with its unit, such as \"250ms\", \"1s\" or \"8h\"")?;
        humantime::parse_duration(&text)
            .map(Self)
            .map_err(|error| de::Error::custom(format!("{text:?} is no time: {error}; write \"250ms\", \"1s\" or \"8h\"")))
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = text(deserializer, "a size with its unit, such as \"64KiB\" or \"16MiB\"")?;
        parse_size(&text)
            .map(Self)
            .ok_or_else(|| de::Error::custom(format!("{text:?} is no size; write \"512\", \"64KiB\", \"16MiB\" or \"1GiB\"")))
    }
}

fn parse_size(text: &str) -> Option<usize> {
    let digits = text.trim_end_matches(|character: char| !character.is_ascii_digit());
    let factor = match text.get(digits.len()..)?.trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    digits.trim().parse::<usize>().ok()?.checked_mul(factor)
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = text(deserializer, "\"host:port\"")?;
        let parsed = text.rsplit_once(':').and_then(|(host, port)| {
            let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
            let port = port.parse().ok().filter(|port| *port != 0)?;
            (!host.is_empty()).then(|| ServerAddress { host: host.to_owned(), port })
        });
        parsed.map(Self).ok_or_else(|| de::Error::custom(format!("{text:?} is no \"host:port\"")))
    }
}

impl<'de> Deserialize<'de> for FileMode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = text(deserializer, "permissions as octal digits, such as \"0660\"")?;
        let is_octal = text.bytes().all(|byte| byte.is_ascii_digit());
        let mode = u32::from_str_radix(&text, 8).ok().filter(|mode| is_octal && *mode <= 0o777);
        mode.map(Self).ok_or_else(|| de::Error::custom(format!("{text:?} are no permissions; write \"0660\" or \"0777\"")))
    }
}

impl<'de> Deserialize<'de> for State {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let known = ServerState::ALL.map(|state| format!("{:?}", state.name())).join(", ");
        let text = text(deserializer, "a state of a server, such as \"active\" or \"drain\"")?;
        let unknown = || de::Error::custom(format!("{text:?} is no state of a server; there are {known}"));
        ServerState::named(&text).map(Self).ok_or_else(unknown)
    }
}

impl<'de> Deserialize<'de> for Level {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = text(deserializer, "a level: \"error\", \"warn\", \"info\", \"debug\" or \"trace\"")?;
        match tracing_subscriber::EnvFilter::try_new(&text) {
            Ok(_) => Ok(Self(text)),
            Err(error) => Err(de::Error::custom(format!("{text:?} is no log level: {error}"))),
        }
    }
}

/// Without the spaces that `humantime` puts between its parts: `1m30s`.
impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&humantime::format_duration(self.0).to_string().replace(' ', ""))
    }
}

/// In the largest unit of which it is a whole number.
impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
        let unit = units.into_iter().find(|(_, bytes)| self.0 > 0 && self.0.is_multiple_of(*bytes));
        match unit {
            Some((name, bytes)) => serializer.collect_str(&format_args!("{}{name}", self.0 / bytes)),
            None => serializer.collect_str(&self.0),
        }
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl Serialize for FileMode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:04o}", self.0))
    }
}

impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.name())
    }
}

impl Serialize for Level {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// A string; another type is answered with what is expected instead.
fn text<'de, D: Deserializer<'de>>(deserializer: D, expected: &'static str) -> Result<String, D::Error> {
    struct Text(&'static str);

    impl de::Visitor<'_> for Text {
        type Value = String;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(self.0)
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<String, E> {
            Ok(text.to_owned())
        }
    }

    deserializer.deserialize_str(Text(expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_binary_units() {
        for (text, size) in [("512", Some(512)), ("64KiB", Some(65_536)), ("16 MiB", Some(1 << 24)), ("1GiB", Some(1 << 30))] {
            assert_eq!(parse_size(text), size, "{text}");
        }
        for text in ["", "KiB", "1KB", "1.5MiB", "-1", "99999999999999999999", "18446744073709551615GiB"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }
}
