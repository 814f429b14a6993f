//! Server versions as numbers. Calendar versions of MySQL (26.x) simply follow 9.7.

use std::fmt;

/// The prefix of MariaDB's version in the handshake, for old clients that do not expect a version above 5.
const MARIADB_REPLICATION_PREFIX: &str = "5.5.5-";

/// A server's version. Ordered, but versions of the two engines are not comparable with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// 9 of 9.7.4
    pub major: u16,
    /// 7 of 9.7.4
    pub minor: u16,
    /// 4 of 9.7.4; 0 when there is none
    pub patch: u16,
}

impl Version {
    /// Reads `@@version` or the version in a handshake: `9.7.0`, `8.4.13-log`, `10.11.19-MariaDB-deb12`,
    /// `5.5.5-10.11.19-MariaDB`. `None` if there is no `number.number` at its start.
    pub fn parse(text: &str) -> Option<Version> {
        let text = text.trim();
        let text = match text.strip_prefix(MARIADB_REPLICATION_PREFIX) {
            Some(rest) if rest.starts_with(|c: char| c.is_ascii_digit()) => rest,
            _ => text,
        };
        let numbers = text.split(|c: char| !c.is_ascii_digit() && c != '.').next()?;
        let mut parts = numbers.split('.');
        let major = parts.next()?.parse().ok()?;
        let minor = parts.next()?.parse().ok()?;
        let patch = parts.next().and_then(|part| part.parse().ok()).unwrap_or(0);
        Some(Version { major, minor, patch })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_both_engines_are_read() {
        for (text, expect) in [
            ("9.7.0", Some((9, 7, 0))),
            ("8.4.13-log", Some((8, 4, 13))),
            ("8.0.36-28.1", Some((8, 0, 36))),
            ("10.11.19-MariaDB-0+deb12u1-log", Some((10, 11, 19))),
            ("5.5.5-10.11.19-MariaDB", Some((10, 11, 19))),
            ("5.5.5", Some((5, 5, 5))),
            ("5.5.5-log", Some((5, 5, 5))),
            ("26.10", Some((26, 10, 0))),
            (" 11.8.6-MariaDB ", Some((11, 8, 6))),
            ("", None),
            ("nine", None),
            ("9", None),
            ("99999.1.1", None),
        ] {
            let got = Version::parse(text).map(|v| (v.major, v.minor, v.patch));
            assert_eq!(got, expect, "{text:?}");
        }
    }

    #[test]
    fn a_version_is_shown_as_its_numbers() {
        assert_eq!(Version { major: 10, minor: 11, patch: 19 }.to_string(), "10.11.19");
    }

    #[test]
    fn versions_are_ordered_as_numbers() {
        assert!(Version::parse("10.11.1") > Version::parse("10.6.20"));
        assert!(Version::parse("26.1.0") > Version::parse("9.7.4"));
    }
}
