//! What the configuration's rules and the statement's own hint ask for.

use std::sync::Arc;

use classifier::{Context, Statement, hint_text};
use router::{Denial, Facts, Hint, Rule, Steering, matching_rule};
use wire::Attributes;

use super::Core;
use crate::reply::Refusal;

/// The rule that matches a statement, held so that the statement can be served while the session changes.
#[derive(Debug, Clone, Default)]
pub(super) struct Matched {
    rules: Option<Arc<[Rule]>>,
    place: usize,
}

impl Matched {
    /// The first rule that matches.
    pub(super) fn find(rules: &Arc<[Rule]>, facts: &Facts<'_>) -> Self {
        let place = matching_rule(rules, facts).map(|(place, _)| place);
        place.map_or_else(Self::default, |place| Self { rules: Some(Arc::clone(rules)), place })
    }

    fn rule(&self) -> Option<(usize, &Rule)> {
        self.rules.as_ref()?.get(self.place).map(|rule| (self.place, rule))
    }

    /// With the statement's hint.
    pub(super) fn steering<'a>(&'a self, hint: Option<&'a Hint>) -> Steering<'a> {
        Steering::new(hint, self.rule())
    }
}

/// The hint before the statement, if it has one.
pub(super) fn hint(sql: &[u8]) -> Result<Option<Hint>, Refusal> {
    let text = hint_text(sql).map(String::from_utf8_lossy);
    Ok(text.map(|text| Hint::parse(&text)).transpose()?)
}

/// The hint with the query attributes that are hints, too.
pub(super) fn with_attributes(
    mut hint: Option<Hint>,
    attributes: &Attributes<'_>,
    is_ahead: impl Fn(usize) -> bool,
) -> Result<Option<Hint>, Refusal> {
    let mut wrong = None;
    attributes.each(is_ahead, |name, value| {
        // Servers get these attributes as well, and ignore them.
        let Some(name) = Hint::KEYS.iter().find(|hint| hint.as_bytes() == name) else { return };
        let value = value.map(String::from_utf8_lossy);
        if let Err(error) = hint.get_or_insert_default().add(name, value.as_deref()) {
            wrong = Some(error);
        }
    })?;
    wrong.map_or(Ok(hint), |error| Err(error.into()))
}

impl Core {
    /// The rule for a statement of this session.
    pub(super) fn matched(&self, sql: &[u8], context: Context<'_>, statement: &Statement) -> Matched {
        let (user, address) = (&self.entry.options().account.user, self.peer.ip());
        Matched::find(&self.settings.rules, &Facts { sql, context, statement, user, address })
    }

    /// What the client is told when a statement can run nowhere.
    pub(super) fn refusal(&self, denial: Denial) -> Refusal {
        refusal(&self.settings.rules, denial)
    }
}

/// The same, for these rules.
pub(super) fn refusal(rules: &[Rule], denial: Denial) -> Refusal {
    let rule = match denial {
        Denial::ByRule(place) => rules.get(place),
        _ => None,
    };
    match rule {
        Some(Rule { name, refuse: Some(why), .. }) => {
            Refusal::denied(denial, format!("the rule {name:?} refuses this statement: {why}"))
        }
        _ => Refusal::from(denial),
    }
}
