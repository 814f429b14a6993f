//! `EXPLAIN ROUTE <statement>`: the decision for the statement at this moment, step by step, as a result set.
//!
//! It uses the same functions as a statement that runs. Nothing is sent to a server, and nothing changes, not even the balancer's turn.

use std::time::Instant;

use classifier::{CacheStats, PinKind, Placement, SessionEffect, Statement, digest_text};
use net::Link;
use router::{Decision, Exclusion, Hint, SessionView, Steering};
use topology::{Server, ServerId, Snapshot};

use super::steering::{self, Matched};
use super::{Core, Ended};
use crate::reply;

/// The columns. A step that is not about a server has NULL in the last four.
const COLUMNS: &[&str] = &["step", "subject", "result", "because", "server_role", "staleness_ms", "weight"];
/// Longer texts are cut.
const DIGEST_TEXT: usize = 1024;

type Row = [Option<String>; COLUMNS.len()];

impl Core {
    /// Answers the client.
    pub(super) async fn explain_route(&mut self, client: &mut Link, sql: &[u8]) -> Result<(), Ended> {
        let hint = match steering::hint(sql) {
            Ok(hint) => hint,
            Err(refusal) => return self.reply(client, &refusal).await,
        };
        let statement = self.classify(sql);
        let context = self.session.context();
        let matched = self.matched(sql, context, &statement);
        let text = String::from_utf8_lossy(&digest_text(sql, &context, DIGEST_TEXT)).into_owned();
        let rows = self.explained(&statement, &text, hint.as_ref(), &matched);
        let packets = reply::rows(self.answer_sequence, COLUMNS, &rows, self.status(), self.capabilities);
        client.send(&packets).await.map_err(|_| Ended)
    }

    fn explained(&self, statement: &Statement, text: &str, hint: Option<&Hint>, matched: &Matched) -> Vec<Row> {
        let steering = matched.steering(hint);
        let held = self.held_servers();
        let view = self.view(statement, &held, &[], steering);
        let view = SessionView { committed: self.committed(view.wrote_at), proven: self.session.binding.proven(), ..view };
        let snapshot = self.worker.shared.servers.load();
        let decision = self.worker.preview(&self.settings.policy, statement, &view, &snapshot);
        let mut rows = vec![
            row(
                "classify",
                &format!("{:?}", statement.verb).to_uppercase(),
                placement_text(statement.placement()),
                statement.because,
            ),
            row("digest", &statement.digest.to_string(), text, "the same for all literals"),
            self.cache_row(),
        ];
        rows.extend(
            statement
                .session
                .iter()
                .map(|effect| row("session", "after success", &effect_text(effect), format_args!("the statement says so"))),
        );
        rows.extend(steering_rows(&steering));
        rows.push(self.pin_row(&snapshot));
        rows.extend(self.server_rows(statement.placement(), &view, &snapshot, &decision));
        rows.push(decision_row(&self.refusal_text(&decision), &decision, &snapshot));
        rows
    }

    /// How often verdicts come from the cache.
    fn cache_row(&self) -> Row {
        let classifier = &self.worker.shared.classifier;
        let CacheStats { hits, misses, entries } = classifier.cache_stats();
        let reads = hits + misses;
        let rate = if reads == 0 { "no reads yet".to_owned() } else { format!("hit rate {:.1} %", per_cent(hits, reads)) };
        let corrected = classifier.knowledge().writes_learned();
        let because = format!("{hits} hits, {misses} misses, {entries} entries; {corrected} corrected by replicas");
        row("cache", "verdicts on reads", &rate, because)
    }

    fn refusal_text(&self, decision: &Decision) -> String {
        match decision {
            Decision::Forward(route) => route.because.to_string(),
            Decision::Wait { awaited, at_most } => format!("it waits for {awaited}; {at_most:?} at most (routing.hold_writes)"),
            Decision::Refuse(denial) => self.refusal(*denial).message,
        }
    }

    /// What binds the session.
    fn pin_row(&self, snapshot: &Snapshot) -> Row {
        let name = |server: ServerId| snapshot.server(server).map_or("a server that is gone", |server| &server.name).to_owned();
        if let Some(transaction) = self.session.binding.transaction() {
            let kind = match transaction.kind {
                session::TransactionKind::Ordinary => "a transaction is open there",
                session::TransactionKind::ReadOnly => "a read-only transaction is open there",
                session::TransactionKind::Lazy { .. } => "a transaction that has only read is open there",
            };
            return row("pin", "transaction", &name(transaction.server), kind);
        }
        let binding = &self.session.binding;
        let pin = if binding.autocommit() { binding.pin_of_reads().map(PinKind::label) } else { Some("no_autocommit") };
        match (pin, binding.home()) {
            (Some(pin), home) => {
                let server = home.or(snapshot.primary).map_or("the primary".to_owned(), name);
                row("pin", pin, &server, "the session has something there that it can have nowhere else")
            }
            (None, Some(home)) => row("pin", "user variables", &name(home), "only statements that name them have to run there"),
            (None, None) => row("pin", "none", "any server", "the session has nothing that lives on one server only"),
        }
    }

    /// Why this worker gives a server no reads.
    fn ejected(&self, server: ServerId, now: Instant) -> Option<String> {
        let (why, until) = self.worker.balancer().ejection(server, now)?;
        let left = until.saturating_duration_since(now).as_millis();
        Some(format!("{why}; this worker gives it no reads for {left} ms more, unless it is the only one (ejection)"))
    }

    fn server_rows(&self, placement: Placement, view: &SessionView<'_>, snapshot: &Snapshot, decision: &Decision) -> Vec<Row> {
        let now = Instant::now();
        let policy = self.settings.policy;
        let chosen = match decision {
            Decision::Forward(route) => Some(route.server),
            Decision::Wait { .. } | Decision::Refuse(_) => None,
        };
        let describe = |(server, exclusion): (&Server, Option<Exclusion>)| {
            let is_chosen = chosen == Some(server.id);
            let (result, because) = match exclusion {
                _ if is_chosen => ("chosen", self.refusal_text(decision)),
                None if let Some(why) = self.ejected(server.id, now) => ("ejected", why),
                None if placement == Placement::Replica => {
                    ("candidate", "it may answer this read, but it is not its turn".to_owned())
                }
                None => ("candidate", "it may answer plain reads, and this is none".to_owned()),
                Some(exclusion) => ("excluded", exclusion.to_string()),
            };
            let mut row = row("server", &server.name, result, because);
            row[4] = Some(server.role.to_string());
            row[5] = server.staleness(now).map(|staleness| router::millis_up(staleness).to_string());
            row[6] = Some(server.weight.to_string());
            row
        };
        router::candidates(view, snapshot, &policy, now).map(describe).collect()
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn per_cent(part: u64, whole: u64) -> f64 {
    part as f64 * 100.0 / whole as f64
}

fn row(step: &str, subject: &str, result: &str, because: impl std::fmt::Display) -> Row {
    let text = |text: &str| Some(text.to_owned());
    [text(step), text(subject), text(result), Some(because.to_string()), None, None, None]
}

fn placement_text(placement: Placement) -> &'static str {
    match placement {
        Placement::Replica => "plain read: any fresh server",
        Placement::Previous => "where the previous statement ran",
        Placement::Session => "session change: repeated wherever the session goes",
        Placement::Primary => "the primary",
    }
}

fn effect_text(effect: &SessionEffect) -> String {
    match effect {
        SessionEffect::Begin { read_only: true } => "begins a read-only transaction".to_owned(),
        SessionEffect::Begin { read_only: false } => "begins a transaction".to_owned(),
        SessionEffect::End => "ends the transaction".to_owned(),
        SessionEffect::Use(schema) => format!("the default schema is {}", String::from_utf8_lossy(schema)),
        SessionEffect::Set { sql, .. } | SessionEffect::SetCharset { sql, .. } => {
            format!("repeated elsewhere: SET {}", String::from_utf8_lossy(sql))
        }
        SessionEffect::Autocommit(on) => format!("autocommit is {}", if *on { "on" } else { "off" }),
        SessionEffect::SqlMode(mode) => format!("the grammar follows sql_mode {mode:?}"),
        SessionEffect::Assign { sql, .. } => format!("repeated if its connection is lost: SET {}", String::from_utf8_lossy(sql)),
        SessionEffect::Pin(pin) => format!("pinned by {pin}"),
        SessionEffect::Unpin(pin) => format!("no longer pinned by {pin}"),
    }
}

fn steering_rows(steering: &Steering<'_>) -> Vec<Row> {
    let mut rows = Vec::new();
    if let Some(rule) = steering.rule() {
        let wish = if rule.refuse.is_some() { "refuses the statement" } else { "matches the statement" };
        rows.push(row("rule", &rule.name, wish, "the first of the rules whose conditions all hold"));
    }
    if let Some((target, by)) = steering.target() {
        let by = if matches!(by, router::By::Hint) { "hint" } else { "rule" };
        rows.push(row(by, "target", &target.to_string(), "it chooses among the servers that may answer a plain read"));
    }
    if let Some(max_lag) = steering.max_lag() {
        rows.push(row("rule or hint", "max_lag", &format!("{} ms", max_lag.as_millis()), "in place of routing.max_lag"));
    }
    if rows.is_empty() {
        rows.push(row("rules and hints", "none", "none", "no rule matches, and the statement has no hint"));
    }
    rows
}

fn decision_row(because: &str, decision: &Decision, snapshot: &Snapshot) -> Row {
    match decision {
        Decision::Forward(route) => {
            let name = snapshot.server(route.server).map_or("?", |server| &server.name);
            row("decision", "forward", name, because)
        }
        Decision::Wait { awaited, .. } => row("decision", "wait", awaited.label(), because),
        Decision::Refuse(denial) => row("decision", "refuse", denial.label(), because),
    }
}
