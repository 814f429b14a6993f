//! The rules of the configuration.

use std::collections::BTreeMap;

use frontend::{RuleCounts, RuleLine};
use serde::Serialize;

/// One of them. Keys and values are those of the configuration.
#[derive(Debug, Serialize)]
pub(crate) struct RuleView {
    /// Its place in the list, from 1: the first that fits counts.
    place: usize,
    name: String,
    /// All must hold; of several values of one, one has to.
    conditions: BTreeMap<&'static str, Vec<String>>,
    /// What it asks for.
    actions: BTreeMap<&'static str, String>,
    /// Statements since the start for which it was the first that fits.
    matched: u64,
    /// Those of them that it refused.
    refused: u64,
    /// Those of them that came beyond its `statements_per_second`.
    limited: u64,
}

impl RuleView {
    #[cfg(test)]
    pub(crate) fn example() -> Self {
        let (conditions, actions) = (vec![("user", vec![String::new()])], vec![("target", String::new())]);
        let line = RuleLine { name: String::new(), conditions, actions, counts: RuleCounts::default() };
        Self::list(vec![line]).remove(0)
    }

    /// All of them.
    pub(crate) fn list(lines: Vec<RuleLine>) -> Vec<Self> {
        let view = |(place, line): (usize, RuleLine)| {
            let RuleLine { name, conditions, actions, counts: RuleCounts { matched, refused, limited } } = line;
            let (conditions, actions) = (conditions.into_iter().collect(), actions.into_iter().collect());
            Self { place, name, conditions, actions, matched, refused, limited }
        };
        (1..).zip(lines).map(view).collect()
    }
}
