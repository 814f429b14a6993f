//! How many statements an account may begin in a second, or how many that match a rule.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use router::Rule;

/// A bucket that fills evenly, and holds what may come within a second.
#[derive(Debug)]
pub(crate) struct Rate {
    per_second: u32,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    left: f64,
    at: Instant,
}

impl Rate {
    pub(crate) fn new(per_second: u32, now: Instant) -> Self {
        Self { per_second, state: Mutex::new(State { left: f64::from(per_second), at: now }) }
    }

    /// What it was made with.
    pub(crate) fn per_second(&self) -> u32 {
        self.per_second
    }

    /// How many may begin now.
    pub(crate) fn left(&self, now: Instant) -> f64 {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let gained = now.saturating_duration_since(state.at).as_secs_f64() * f64::from(self.per_second);
        (state.left + gained).min(f64::from(self.per_second)).floor()
    }

    /// Whether one more may begin now. If so, it counts.
    pub(crate) fn take(&self, now: Instant) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let most = f64::from(self.per_second);
        let gained = now.saturating_duration_since(state.at).as_secs_f64() * most;
        state.left = (state.left + gained).min(most);
        state.at = state.at.max(now);
        let may = state.left >= 1.0;
        if may {
            state.left -= 1.0;
        }
        may
    }
}

/// The rates of rules, by their places. Sessions of all workers take from the same ones.
#[derive(Debug, Clone, Default)]
pub struct RuleRates(Vec<Option<Arc<Rate>>>);

impl RuleRates {
    /// Of these rules.
    pub fn new(rules: &[Rule]) -> Self {
        let rate = |rule: &Rule| rule.statements_per_second.map(|most| Arc::new(Rate::new(most, Instant::now())));
        Self(rules.iter().map(rate).collect())
    }

    /// Of these rules, in place of others: what was used up of a limit stays so, as long as rule and limit are the same by name and number.
    pub(crate) fn following(mut self, rules: &[Rule], (former, rates): (&[Rule], &Self)) -> Self {
        for (rule, rate) in rules.iter().zip(&mut self.0) {
            let place = former.iter().position(|former| former.name == rule.name);
            let before =
                place.and_then(|place| rates.of(place)).filter(|before| Some(before.per_second()) == rule.statements_per_second);
            if let Some(before) = before {
                *rate = Some(Arc::clone(before));
            }
        }
        self
    }

    /// That of the rule at this place, if it has a limit.
    pub(crate) fn of(&self, place: usize) -> Option<&Arc<Rate>> {
        self.0.get(place)?.as_ref()
    }
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small numbers")]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_second_brings_what_may_be_used_in_it() {
        let now = Instant::now();
        let rate = Rate::new(10, now);
        let taken = |later: u64, tries: usize| (0..tries).filter(|_| rate.take(now + Duration::from_millis(later))).count();
        assert_eq!(taken(0, 50), 10);
        assert_eq!(taken(99, 50), 0);
        assert_eq!(taken(1100, 50), 10, "no more than a second's worth is saved up");
        assert_eq!(taken(1350, 50), 2);
        assert_eq!(taken(1000, 50), 0, "a clock that another thread has read earlier");
        assert_eq!(taken(60_000, 50), 10);
    }

    #[test]
    fn looking_at_what_is_left_uses_up_nothing() {
        let now = Instant::now();
        let rate = Rate::new(4, now);
        assert!(rate.take(now) && rate.take(now));
        assert_eq!(
            [rate.left(now), rate.left(now), rate.left(now + Duration::from_millis(250))].map(|left| left as u32),
            [2, 2, 3]
        );
    }

    #[test]
    fn a_reload_gives_back_nothing_of_what_a_rule_has_used_up() {
        let rule = |name: &str, most| Rule { name: name.to_owned(), statements_per_second: most, ..Rule::default() };
        let (before, now) = ([rule("a", Some(1)), rule("b", Some(1)), rule("c", Some(1))], Instant::now());
        let rates = RuleRates::new(&before);
        let take = |rates: &RuleRates, place: usize| rates.of(place).is_none_or(|rate| rate.take(now));
        assert!((0..3).all(|place| take(&rates, place)) && !take(&rates, 0));
        let after = [rule("new", Some(1)), rule("b", Some(2)), rule("a", Some(1)), rule("c", None)];
        let rates = RuleRates::new(&after).following(&after, (&before, &rates));
        assert_eq!([0, 1, 2, 3].map(|place| take(&rates, place)), [true, true, false, true]);
    }
}
