//! The rules of the configuration, for people.

use std::time::Duration;

use router::{Class, Conditions, Rule};

use crate::statistics::RuleCounts;

/// A rule, and how many statements it has matched. Keys and values are those of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleLine {
    /// Its name.
    pub name: String,
    /// Its conditions, each with the values of which one has to fit.
    pub conditions: Vec<(&'static str, Vec<String>)>,
    /// What it asks for.
    pub actions: Vec<(&'static str, String)>,
    /// What it has done since the start.
    pub counts: RuleCounts,
}

impl RuleLine {
    pub(super) fn new(rule: &Rule, counts: RuleCounts) -> Self {
        Self { name: rule.name.clone(), conditions: conditions(&rule.when), actions: actions(rule), counts }
    }
}

fn conditions(when: &Conditions) -> Vec<(&'static str, Vec<String>)> {
    let Conditions { digests, users, schemas, networks, tables, class } = when;
    let class = class.map(|class| match class {
        Class::Read => "read",
        Class::Write => "write",
    });
    let lists = [
        ("user", users.iter().map(|user| String::from_utf8_lossy(user).into_owned()).collect()),
        ("schema", schemas.iter().map(ToString::to_string).collect()),
        ("network", networks.iter().map(ToString::to_string).collect()),
        ("table", tables.iter().map(ToString::to_string).collect()),
        ("digest", digests.iter().map(ToString::to_string).collect()),
        ("class", class.map(str::to_owned).into_iter().collect::<Vec<_>>()),
    ];
    lists.into_iter().filter(|(_, values)| !values.is_empty()).collect()
}

fn actions(rule: &Rule) -> Vec<(&'static str, String)> {
    let Rule { target, max_lag, balance, timeout, statements_per_second, refuse, .. } = rule;
    let period = |period: Duration| format!("{} ms", period.as_millis());
    let all = [
        ("target", target.as_ref().map(ToString::to_string)),
        ("max_lag", max_lag.map(period)),
        ("balance", balance.map(|balance| balance.name().to_owned())),
        ("timeout", timeout.map(period)),
        ("statements_per_second", statements_per_second.map(|most| most.to_string())),
        ("refuse", refuse.clone()),
    ];
    all.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
}

#[cfg(test)]
mod tests {
    use router::{Balance, Target};

    use super::*;

    #[test]
    fn a_rule_is_shown_with_what_it_has() {
        let rule = Rule {
            name: "reports".to_owned(),
            when: Conditions {
                users: vec![Box::from(*b"a"), Box::from(*b"b")],
                class: Some(Class::Read),
                ..Conditions::default()
            },
            target: Some(Target::Replica),
            balance: Some(Balance::Latency),
            timeout: Some(Duration::from_secs(2)),
            ..Rule::default()
        };
        let line = RuleLine::new(&rule, RuleCounts { matched: 3, ..RuleCounts::default() });
        assert_eq!(line.conditions, [("user", vec!["a".to_owned(), "b".to_owned()]), ("class", vec!["read".to_owned()])]);
        let action = |key, value: &str| (key, value.to_owned());
        assert_eq!(line.actions, [action("target", "replica"), action("balance", "latency"), action("timeout", "2000 ms")]);
        assert_eq!((line.name.as_str(), line.counts.matched), ("reports", 3));
    }
}
