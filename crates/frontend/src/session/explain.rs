//! `EXPLAIN ROUTE <statement>`: the decision for the statement at this moment, step by step, as a result set.
//!
//! It uses the same functions as a statement that runs. Nothing is sent to a server, and nothing changes, not even the balancer's turn. The admin API
//! asks the same for a session that has just logged in.

use std::time::Instant;

use classifier::{CacheStats, PinKind, Placement, SessionEffect, Statement, digest_text};
use net::Link;
use router::{Decision, Ejection, Exclusion, Facts, SessionView, Steering};
use session::{LoginDetails, Session, SessionState};
use topology::{Server, ServerId, Snapshot};

use super::steering::{self, Matched};
use super::{Core, Ended, forward};
use crate::overview::Asker;
use crate::reply::{self, Refusal};
use crate::settings::{Pooling, Settings};
use crate::worker::Worker;

/// One step of a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteStep {
    /// The kind of the step. The last one is `decision`.
    pub step: String,
    /// What it is about: a server, a pin, a rule.
    pub subject: String,
    /// What came of it.
    pub result: String,
    /// Why.
    pub because: String,
    /// The role of the server. Only steps of servers have it, and what follows.
    pub server_role: Option<String>,
    /// How stale its data may be, rounded up; `None` also while nothing is proven.
    pub staleness_ms: Option<u128>,
    /// Its share of the reads.
    pub weight: Option<u32>,
}

/// The columns: the fields of [`RouteStep`].
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
        let matched = self.matched(sql, self.session.context(), &statement);
        let held = self.held_servers();
        let view = self.view(&statement, &held, &[], matched.steering(hint.as_ref()));
        let view = SessionView { committed: self.committed(view.wrote_at), proven: self.session.binding.proven(), ..view };
        let explained = Explained { worker: &self.worker, settings: &self.settings, session: &self.session };
        let rows: Vec<Row> = explained.steps(sql, &statement, &view).into_iter().map(Row::from).collect();
        let packets = reply::rows(self.answer_sequence, COLUMNS, &rows, self.status(), self.capabilities);
        client.send(&packets).await.map_err(|_| Ended)
    }
}

/// The decision for a statement of a session that has just logged in.
pub(crate) fn explain_for_new_session(worker: &Worker, sql: &[u8], asker: &Asker<'_>) -> Result<Vec<RouteStep>, Refusal> {
    let &Asker { user, address, schema } = asker;
    let settings = worker.shared.settings();
    let session = Session::new(SessionState::new(LoginDetails::default(), schema), worker.shared.beginning(0));
    let context = session.context();
    // People may paste what they have asked the proxy before.
    let sql = classifier::explained_route(sql, &context).unwrap_or(sql);
    let hint = steering::hint(sql)?;
    let statement = worker.shared.classifier.classify(sql, &context);
    let matched = Matched::find(&settings.rules, &Facts { sql, context, statement: &statement, user, address });
    let view = SessionView {
        is_autocommit_off: !session.binding.autocommit(),
        previous: forward::without_previous(&statement, settings.pooling == Pooling::Transaction),
        wrote_at: settings.accounts.moment(user, || None).and_then(|moment| moment.last()),
        steering: matched.steering(hint.as_ref()),
        ..SessionView::default()
    };
    Ok(Explained { worker, settings: &settings, session: &session }.steps(sql, &statement, &view))
}

/// What an explanation looks at.
struct Explained<'a> {
    worker: &'a Worker,
    settings: &'a Settings,
    session: &'a Session,
}

impl Explained<'_> {
    fn steps(&self, sql: &[u8], statement: &Statement, view: &SessionView<'_>) -> Vec<RouteStep> {
        let text = digest_text(sql, &self.session.context(), DIGEST_TEXT);
        let snapshot = self.worker.shared.servers.load();
        let decision = self.worker.preview(&self.settings.policy, statement, view, &snapshot);
        let mut steps = vec![
            step(
                "classify",
                &format!("{:?}", statement.verb).to_uppercase(),
                placement_text(statement.placement()),
                statement.because,
            ),
            step("digest", &statement.digest.to_string(), &String::from_utf8_lossy(&text), "the same for all literals"),
            self.cache_step(),
        ];
        steps.extend(
            statement
                .session
                .iter()
                .map(|effect| step("session", "after success", &effect_text(effect), "the statement says so")),
        );
        steps.extend(steering_steps(&view.steering));
        steps.extend(self.rate_step(&view.steering));
        steps.push(self.pin_step(&snapshot));
        steps.extend(self.server_steps(statement.placement(), view, &snapshot, &decision));
        steps.push(decision_step(&self.refusal_text(&decision), &decision, &snapshot));
        steps
    }

    /// How often verdicts come from the cache.
    fn cache_step(&self) -> RouteStep {
        let classifier = &self.worker.shared.classifier;
        let CacheStats { hits, misses, entries } = classifier.cache_stats();
        let reads = hits + misses;
        let rate = if reads == 0 { "no reads yet".to_owned() } else { format!("hit rate {:.1} %", per_cent(hits, reads)) };
        let corrected = classifier.knowledge().writes_learned();
        let because = format!("{hits} hits, {misses} misses, {entries} entries; {corrected} corrected by replicas");
        step("cache", "verdicts on reads", &rate, because)
    }

    /// Whether the rule that matches has room for the statement in this second. It is not counted.
    fn rate_step(&self, steering: &Steering<'_>) -> Option<RouteStep> {
        let rate = self.settings.rule_rates.of(steering.place()?)?;
        let left = rate.left(Instant::now());
        let result = if left >= 1.0 { format!("room for {left} now") } else { "refused now (error 1226)".to_owned() };
        let because = format!("the rule allows {} statements per second, over all sessions", rate.per_second());
        Some(step("rule", "statements_per_second", &result, because))
    }

    fn refusal_text(&self, decision: &Decision) -> String {
        match decision {
            Decision::Forward(route) => route.because.to_string(),
            Decision::Wait { awaited, at_most } => format!("it waits for {awaited}; {at_most:?} at most (routing.hold_writes)"),
            Decision::Refuse(denial) => steering::refusal(&self.settings.rules, *denial).message,
        }
    }

    /// What binds the session.
    fn pin_step(&self, snapshot: &Snapshot) -> RouteStep {
        let name = |server: ServerId| snapshot.server(server).map_or("a server that is gone", |server| &server.name).to_owned();
        if let Some(transaction) = self.session.binding.transaction() {
            let kind = match transaction.kind {
                session::TransactionKind::Ordinary => "a transaction is open there",
                session::TransactionKind::ReadOnly => "a read-only transaction is open there",
                session::TransactionKind::Lazy { .. } => "a transaction that has only read is open there",
            };
            return step("pin", "transaction", &name(transaction.server), kind);
        }
        let binding = &self.session.binding;
        let pin = if binding.autocommit() { binding.pin_of_reads().map(PinKind::label) } else { Some("no_autocommit") };
        match (pin, binding.home()) {
            (Some(pin), home) => {
                let server = home.or(snapshot.primary).map_or("the primary".to_owned(), name);
                step("pin", pin, &server, "the session has something there that it can have nowhere else")
            }
            (None, Some(home)) => step("pin", "user variables", &name(home), "only statements that name them have to run there"),
            (None, None) => step("pin", "none", "any server", "the session has nothing that lives on one server only"),
        }
    }

    /// Why this worker gives a server no reads.
    fn ejected(&self, server: ServerId, now: Instant) -> Option<String> {
        let Ejection { why, until, .. } = self.worker.balancer().ejection(server, now)?;
        let left = until.saturating_duration_since(now).as_millis();
        Some(format!("{why}; this worker gives it no reads for {left} ms more, unless it is the only one (ejection)"))
    }

    fn server_steps(
        &self,
        placement: Placement,
        view: &SessionView<'_>,
        snapshot: &Snapshot,
        decision: &Decision,
    ) -> Vec<RouteStep> {
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
            RouteStep {
                server_role: Some(server.role.to_string()),
                staleness_ms: server.staleness(now).map(router::millis_up),
                weight: Some(server.weight),
                ..step("server", &server.name, result, because)
            }
        };
        router::candidates(view, snapshot, &policy, now).map(describe).collect()
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn per_cent(part: u64, whole: u64) -> f64 {
    part as f64 * 100.0 / whole as f64
}

/// One that is not about a server.
fn step(step: &str, subject: &str, result: &str, because: impl std::fmt::Display) -> RouteStep {
    let (step, subject, result) = (step.to_owned(), subject.to_owned(), result.to_owned());
    RouteStep { step, subject, result, because: because.to_string(), server_role: None, staleness_ms: None, weight: None }
}

impl From<RouteStep> for Row {
    fn from(step: RouteStep) -> Row {
        let RouteStep { step, subject, result, because, server_role, staleness_ms, weight } = step;
        let (staleness, weight) = (staleness_ms.map(|staleness| staleness.to_string()), weight.map(|weight| weight.to_string()));
        [Some(step), Some(subject), Some(result), Some(because), server_role, staleness, weight]
    }
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
        SessionEffect::Disconnect => "ends the session".to_owned(),
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

fn steering_steps(steering: &Steering<'_>) -> Vec<RouteStep> {
    let mut steps = Vec::new();
    if let Some(rule) = steering.rule() {
        let wish = if rule.refuse.is_some() { "refuses the statement" } else { "matches the statement" };
        steps.push(step("rule", &rule.name, wish, "the first of the rules whose conditions all hold"));
    }
    if let Some((target, by)) = steering.target() {
        let by = if matches!(by, router::By::Hint) { "hint" } else { "rule" };
        steps.push(step(by, "target", &target.to_string(), "it chooses among the servers that may answer a plain read"));
    }
    if let Some(max_lag) = steering.max_lag() {
        steps.push(step("rule or hint", "max_lag", &format!("{} ms", max_lag.as_millis()), "in place of routing.max_lag"));
    }
    if steps.is_empty() {
        steps.push(step("rules and hints", "none", "none", "no rule matches, and the statement has no hint"));
    }
    steps
}

fn decision_step(because: &str, decision: &Decision, snapshot: &Snapshot) -> RouteStep {
    match decision {
        Decision::Forward(route) => {
            let name = snapshot.server(route.server).map_or("?", |server| &server.name);
            step("decision", "forward", name, because)
        }
        Decision::Wait { awaited, .. } => step("decision", "wait", awaited.label(), because),
        Decision::Refuse(denial) => step("decision", "refuse", denial.label(), because),
    }
}
