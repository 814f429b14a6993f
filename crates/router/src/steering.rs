//! What rules and hints ask for: the first thing that a decision looks at.
//!
//! They choose among the servers that may run a statement; they never widen that choice. A write goes to the primary in any case.

use std::fmt;
use std::time::Duration;

use crate::Balance;
use crate::rules::Rule;

/// Where a read should run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The primary.
    Primary,
    /// Any fresh replica, and never the primary.
    Replica,
    /// The server of this name.
    Server(Box<str>),
}

impl Target {
    /// `primary`, `replica`, or a server's name.
    pub fn parse(text: &str) -> Self {
        match text {
            "primary" => Self::Primary,
            "replica" => Self::Replica,
            name => Self::Server(name.into()),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Primary => "primary",
            Self::Replica => "replica",
            Self::Server(name) => name,
        })
    }
}

/// What the author of a statement asks for, in a comment at its start or in a query attribute.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hint {
    /// Where it is wanted.
    pub target: Option<Target>,
    /// How stale the answer may be.
    pub max_lag: Option<Duration>,
}

/// A hint that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HintError {
    /// There is no such hint.
    Unknown(String),
    /// `max_lag` without a time.
    BadTime(String),
    /// Two different targets.
    TwoTargets,
}

impl fmt::Display for HintError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(word) => {
                write!(f, "unknown hint {word:?}; known are primary, replica, server=NAME and max_lag=TIME, as in max_lag=200ms")
            }
            Self::BadTime(word) => write!(f, "{word:?} is no time for the hint max_lag; write it like 200ms or 2s"),
            Self::TwoTargets => f.write_str("the hints name two different targets"),
        }
    }
}

impl Hint {
    /// The names of all hints, as [`Self::add`] knows them.
    pub const KEYS: [&str; 4] = ["primary", "replica", "server", "max_lag"];

    /// `replica max_lag=200ms`: words separated by white space, commas or semicolons.
    pub fn parse(text: &str) -> Result<Self, HintError> {
        let mut hint = Self::default();
        for word in text.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';')).filter(|word| !word.is_empty()) {
            let (key, value) = word.split_once('=').map_or((word, None), |(key, value)| (key, Some(value)));
            hint.add(key, value)?;
        }
        Ok(hint)
    }

    /// One hint; `primary` and `replica` have no value, or a true one.
    pub fn add(&mut self, key: &str, value: Option<&str>) -> Result<(), HintError> {
        let is_switched_on = matches!(value, None | Some("" | "1" | "true" | "yes" | "on"));
        match (key, value) {
            ("primary", _) if is_switched_on => self.aim(Target::Primary),
            ("replica", _) if is_switched_on => self.aim(Target::Replica),
            ("server", Some(name)) if !name.is_empty() => self.aim(Target::Server(name.into())),
            ("max_lag", Some(time)) => {
                let time = humantime::parse_duration(time).map_err(|_| HintError::BadTime(time.to_owned()))?;
                self.max_lag = Some(time);
                Ok(())
            }
            _ => Err(HintError::Unknown(value.map_or_else(|| key.to_owned(), |value| format!("{key}={value}")))),
        }
    }

    fn aim(&mut self, target: Target) -> Result<(), HintError> {
        if self.target.as_ref().is_some_and(|earlier| *earlier != target) {
            return Err(HintError::TwoTargets);
        }
        self.target = Some(target);
        Ok(())
    }
}

/// The origin of a wish: a hint or a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum By {
    /// The statement's author.
    Hint,
    /// The configuration: the place of the rule in its list.
    Rule(usize),
}

/// A rule and a hint together. The hint is about one statement, so it prevails, except over a refusal.
#[derive(Debug, Clone, Copy, Default)]
pub struct Steering<'a> {
    hint: Option<&'a Hint>,
    rule: Option<(usize, &'a Rule)>,
}

impl<'a> Steering<'a> {
    /// Of one statement: its hint, and the rule that matches it with its place in the list.
    pub fn new(hint: Option<&'a Hint>, rule: Option<(usize, &'a Rule)>) -> Self {
        Self { hint, rule }
    }

    /// The rule that matches.
    pub fn rule(&self) -> Option<&'a Rule> {
        self.rule.map(|(_, rule)| rule)
    }

    /// The place of that rule in the list.
    pub fn place(&self) -> Option<usize> {
        self.rule.map(|(place, _)| place)
    }

    /// Where the statement should run, and who asked for it.
    pub fn target(&self) -> Option<(&'a Target, By)> {
        let by_hint = self.hint.and_then(|hint| hint.target.as_ref()).map(|target| (target, By::Hint));
        by_hint.or_else(|| self.rule.and_then(|(place, rule)| Some((rule.target.as_ref()?, By::Rule(place)))))
    }

    /// How stale a replica's answer may be, where this differs from the configured limit.
    pub fn max_lag(&self) -> Option<Duration> {
        self.hint.and_then(|hint| hint.max_lag).or_else(|| self.rule.and_then(|(_, rule)| rule.max_lag))
    }

    /// How the read is shared out, where this differs from the configured way.
    pub fn balance(&self) -> Option<Balance> {
        self.rule.and_then(|(_, rule)| rule.balance)
    }

    /// How long a server may take to answer.
    pub fn timeout(&self) -> Option<Duration> {
        self.rule.and_then(|(_, rule)| rule.timeout)
    }

    /// The rule that keeps the statement from running at all.
    pub fn refusal(&self) -> Option<usize> {
        self.rule.filter(|(_, rule)| rule.refuse.is_some()).map(|(place, _)| place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_are_words() {
        let hint = |target, max_lag| Ok(Hint { target, max_lag });
        assert_eq!(Hint::parse(""), hint(None, None));
        assert_eq!(Hint::parse(" primary "), hint(Some(Target::Primary), None));
        assert_eq!(Hint::parse("replica, max_lag=200ms"), hint(Some(Target::Replica), Some(Duration::from_millis(200))));
        assert_eq!(Hint::parse("max_lag=2s server=db2"), hint(Some(Target::Server("db2".into())), Some(Duration::from_secs(2))));
        assert_eq!(Hint::parse("replica=1 replica"), hint(Some(Target::Replica), None));
    }

    #[test]
    fn what_is_not_understood_is_said() {
        assert_eq!(Hint::parse("primry"), Err(HintError::Unknown("primry".into())));
        assert_eq!(Hint::parse("replica=no"), Err(HintError::Unknown("replica=no".into())));
        assert_eq!(Hint::parse("primary=no"), Err(HintError::Unknown("primary=no".into())));
        assert_eq!(Hint::parse("server="), Err(HintError::Unknown("server=".into())));
        assert_eq!(Hint::parse("max_lag"), Err(HintError::Unknown("max_lag".into())));
        assert_eq!(Hint::parse("max_lag=soon"), Err(HintError::BadTime("soon".into())));
        assert_eq!(Hint::parse("primary replica"), Err(HintError::TwoTargets));
        for (hint, says) in [
            ("primry", "\"primry\"; known are primary, replica, server=NAME and max_lag=TIME"),
            ("max_lag=soon", "\"soon\" is no time"),
            ("primary replica", "two different targets"),
        ] {
            let error = Hint::parse(hint).expect_err("a bad hint").to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn a_target_is_shown_as_it_is_written() {
        for text in ["primary", "replica", "db2"] {
            assert_eq!(Target::parse(text).to_string(), text);
        }
    }

    #[test]
    fn a_rule_that_matches_can_be_named_and_limits_the_time() {
        let rule = Rule { name: "reports".into(), timeout: Some(Duration::from_secs(7)), ..Rule::default() };
        let check = |rule, expect| {
            let steering = Steering::new(None, rule);
            assert_eq!((steering.place(), steering.rule().map(|rule| &*rule.name), steering.timeout()), expect);
        };
        check(Some((3, &rule)), (Some(3), Some("reports"), Some(Duration::from_secs(7))));
        check(None, (None, None, None));
    }
}
