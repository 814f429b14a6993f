//! What statements there were: by route, by verdict, by refusal, and by digest.
//!
//! Each worker counts its own, so no two threads count in the same place; they are added up when somebody asks. A line is made for each combination that
//! has occurred: of routes there are as many as servers times reasons, of verdicts and refusals as many as the code has names for, and of digests no
//! more than `limits.digest_statistics` for each worker.

mod digests;
mod histogram;

use std::time::{Duration, Instant};

use topology::ServerId;

use crate::log_limit::LogLimit;

pub use self::digests::DigestLine;
pub(crate) use self::digests::{DigestKey, Digests, MergedDigests, TEXT_MAX};
pub use self::histogram::Histogram;

/// Statements that went the same way for the same reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteLine {
    /// Where they ran; `None` if they were not sent.
    pub server: Option<ServerId>,
    /// Why there: the label of a [`router::Because`].
    pub because: &'static str,
    /// From the arrival of each command until its answer had been passed on.
    pub times: Histogram,
    /// Those that ended in an error.
    pub errors: u64,
    /// Further tries after a first one that failed.
    pub retries: u64,
    /// Rows that clients got.
    pub rows: u64,
    /// Bytes that clients got.
    pub bytes: u64,
}

/// What one worker, or all of them, have counted but for the digests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// By where and why.
    pub routes: Vec<RouteLine>,
    /// By what was found out about the statement: the label of a [`classifier::Reason`], and how many.
    pub verdicts: Vec<(&'static str, u64)>,
    /// Errors of Pointsman's own: MySQL's number, and how many.
    pub refusals: Vec<(u16, u64)>,
    /// Statements that ran, or were to run, by the rule that matched them: its name, and how many.
    pub rules: Vec<(Box<str>, RuleCounts)>,
    /// Ejections of servers by this worker, or by all of them together: which, the label of the [`router::Outlier`], and how many.
    pub ejections: Vec<((ServerId, &'static str), u64)>,
}

/// What a rule has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RuleCounts {
    /// Statements for which it was the first that fits.
    pub matched: u64,
    /// Those of them that it refused.
    pub refused: u64,
    /// Those that came beyond its `statements_per_second`.
    pub limited: u64,
}

impl RuleCounts {
    fn add(&mut self, other: &Self) {
        let Self { matched, refused, limited } = other;
        self.matched += matched;
        self.refused += refused;
        self.limited += limited;
    }
}

/// What one statement adds, to the totals and to the line of its digest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Event {
    pub(crate) server: Option<ServerId>,
    /// Why it ran there, or that it did not run.
    pub(crate) because: &'static str,
    pub(crate) verdict: &'static str,
    pub(crate) tries: u16,
    pub(crate) ended: Instant,
    pub(crate) took: Duration,
    pub(crate) is_error: bool,
    /// Rows that were sent to the client.
    pub(crate) rows: u64,
    pub(crate) changed: u64,
    /// Bytes that were sent to the client.
    pub(crate) bytes: u64,
}

impl Totals {
    /// Counts a statement.
    pub(crate) fn note(&mut self, event: &Event) {
        let line = self.route(event.server, event.because);
        line.times.note(event.took);
        line.errors += u64::from(event.is_error);
        line.retries += u64::from(event.tries.saturating_sub(1));
        line.rows = line.rows.saturating_add(event.rows);
        line.bytes = line.bytes.saturating_add(event.bytes);
        *count_of(&mut self.verdicts, event.verdict) += 1;
    }

    /// Counts an error of Pointsman's own.
    pub(crate) fn note_refusal(&mut self, code: u16) {
        *count_of(&mut self.refusals, code) += 1;
    }

    /// Counts a statement that a rule of the configuration matched.
    pub(crate) fn note_rule(&mut self, name: &str, counts: &RuleCounts) {
        match self.rules.iter_mut().find(|(known, _)| **known == *name) {
            Some((_, known)) => known.add(counts),
            None => self.rules.push((name.into(), *counts)),
        }
    }

    /// Counts an ejection.
    pub(crate) fn note_ejection(&mut self, server: ServerId, why: &'static str) {
        *count_of(&mut self.ejections, (server, why)) += 1;
    }

    /// Adds what another worker has counted.
    pub(crate) fn add(&mut self, other: &Self) {
        for more in &other.routes {
            let line = self.route(more.server, more.because);
            line.times.add(&more.times);
            line.errors += more.errors;
            line.retries += more.retries;
            line.rows = line.rows.saturating_add(more.rows);
            line.bytes = line.bytes.saturating_add(more.bytes);
        }
        other.verdicts.iter().for_each(|(verdict, count)| *count_of(&mut self.verdicts, *verdict) += count);
        other.refusals.iter().for_each(|(code, count)| *count_of(&mut self.refusals, *code) += count);
        other.rules.iter().for_each(|(name, counts)| self.note_rule(name, counts));
        other.ejections.iter().for_each(|(key, count)| *count_of(&mut self.ejections, *key) += count);
    }

    fn route(&mut self, server: Option<ServerId>, because: &'static str) -> &mut RouteLine {
        let known = self.routes.iter().position(|line| line.server == server && line.because == because);
        let place = known.unwrap_or_else(|| {
            let times = Histogram::default();
            self.routes.push(RouteLine { server, because, times, errors: 0, retries: 0, rows: 0, bytes: 0 });
            self.routes.len() - 1
        });
        #[expect(clippy::indexing_slicing, reason = "found or pushed just above")]
        &mut self.routes[place]
    }
}

/// There are few keys, and the frequent ones come first soon after the start: a search is quicker than a hash.
pub(crate) fn count_of<K: PartialEq>(counts: &mut Vec<(K, u64)>, key: K) -> &mut u64 {
    let place = counts.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
        counts.push((key, 0));
        counts.len() - 1
    });
    #[expect(clippy::indexing_slicing, reason = "found or pushed just above")]
    &mut counts[place].1
}

/// One worker's.
#[derive(Debug, Default)]
pub(crate) struct Statistics {
    pub(crate) totals: Totals,
    pub(crate) digests: Digests,
    /// Of the slow log.
    pub(crate) slow: LogLimit,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(server: Option<u16>, because: &'static str) -> Event {
        Event {
            server: server.map(ServerId),
            because,
            verdict: "read",
            tries: 1,
            ended: Instant::now(),
            took: Duration::from_millis(2),
            is_error: false,
            rows: 3,
            changed: 0,
            bytes: 50,
        }
    }

    fn of(events: &[Event]) -> Totals {
        let mut totals = Totals::default();
        for event in events {
            totals.note(event);
        }
        totals
    }

    #[test]
    fn statements_count_by_server_and_reason() {
        let retried = Event { tries: 3, is_error: true, ..event(Some(1), "fresh_replica") };
        let totals =
            of(&[event(Some(1), "fresh_replica"), retried, event(Some(2), "fresh_replica"), event(Some(1), "own_write")]);
        let lines = totals.routes.iter().map(|line| (line.server, line.because, line.times.count(), line.errors, line.retries));
        let server = |number| Some(ServerId(number));
        let expected =
            [(server(1), "fresh_replica", 2, 1, 2), (server(2), "fresh_replica", 1, 0, 0), (server(1), "own_write", 1, 0, 0)];
        assert_eq!(lines.collect::<Vec<_>>(), expected);
        assert_eq!((totals.routes[0].rows, totals.routes[0].bytes), (6, 100));
    }

    #[test]
    fn verdicts_and_refusals_count_by_name() {
        let refused = Event { verdict: "write", is_error: true, ..event(None, "not_sent") };
        let mut totals = of(&[event(Some(1), "fresh_replica"), refused, refused]);
        totals.note_refusal(1290);
        totals.note_refusal(1290);
        let matched = RuleCounts { matched: 1, ..RuleCounts::default() };
        let limited = RuleCounts { limited: 1, ..matched };
        for (rule, counts) in [("a", matched), ("b", matched), ("a", limited)] {
            totals.note_rule(rule, &counts);
        }
        assert_eq!(totals.rules, [("a".into(), RuleCounts { matched: 2, refused: 0, limited: 1 }), ("b".into(), matched)]);
        assert_eq!(totals.verdicts, [("read", 1), ("write", 2)]);
        assert_eq!(totals.refusals, [(1290, 2)]);
    }

    #[test]
    fn two_workers_add_up_to_one_that_did_all() {
        let refused = Event { is_error: true, ..event(None, "not_sent") };
        let (first, second) =
            ([event(Some(1), "fresh_replica"), refused], [event(Some(1), "fresh_replica"), event(Some(2), "own_write")]);
        let (mut sum, mut other, mut all) = (of(&first), of(&second), of(&[first, second].concat()));
        other.note_refusal(1290);
        all.note_refusal(1290);
        for totals in [&mut other, &mut all] {
            totals.note_rule("a", &RuleCounts { matched: 1, refused: 1, limited: 0 });
            totals.note_ejection(ServerId(1), "errors");
        }
        sum.add(&other);
        assert_eq!(sum, all);
    }
}
