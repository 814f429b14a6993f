//! One statement: decide, perhaps wait, try, perhaps try elsewhere, and note what it did.

use std::ops::ControlFlow;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use backend::Lease;
use classifier::{Effects, Pin, Placement, SessionEffect, Statement};
use net::Link;
use router::{Awaited, Because, Decision, Ending, Isolation, Previous, Route, SessionView, Steering};
use session::{Loss, Outcome, RequestKind};
use topology::{Position, ServerId};
use wire::{ErrOwned, PrepareOk};

use super::deadline::TimeLimit;
use super::definitions::{Course, End};
use super::exchange::{Destination, Request};
use super::failure::{Failure, is_servers_fault};
use super::hold::{GivenUp, Hold};
use super::loss::Unanswered;
use super::supervision::{Progress, Supervision};
use super::{Core, Ended};
use crate::packet::Packet;
use crate::record::{Trail, UnderWay};
use crate::reply::Refusal;
use crate::worker::Reign;

/// Largest text, in bytes, of a read that moves away from a silent server before the server is known to be lost. A longer text may be what keeps the
/// server busy, and would keep the next one busy, too.
const LARGEST_MOVED: usize = 256 * 1024;

/// How long a statement whose client has left may take to stop and roll back.
const ABANDONED: Duration = Duration::from_mins(1);

/// Most servers that one statement tries.
const ATTEMPTS: usize = 3;

impl Core {
    /// Answers a statement, by a server or with an error. `COM_STMT_PREPARE` returns something to keep.
    pub(super) async fn forward(
        &mut self,
        client: &mut Link,
        statement: &Statement,
        steering: Steering<'_>,
        request: Request<'_>,
    ) -> Result<Option<PrepareOk>, Ended> {
        self.trail = Trail::begin();
        self.entry.begin(statement.digest, self.trail.began());
        let kind = request.kind;
        let answered = match kind.runs().then(|| self.over_the_limit(&steering)).flatten() {
            Some(refusal) => self.reply(client, &refusal).await.map(|()| None),
            None => self.find_answer(client, statement, steering, request).await,
        };
        let record = self.trail.record(statement, kind);
        record.log(self.entry.id());
        self.count(&record, steering.rule());
        answered
    }

    /// Counts the statement for the rule that matches it. Returns the refusal if that has no room for it in this second.
    fn over_the_limit(&self, steering: &Steering<'_>) -> Option<Refusal> {
        let (rule, rate) = (steering.rule()?, self.settings.rule_rates.of(steering.place()?)?);
        if rate.take(Instant::now()) {
            return None;
        }
        Some(Refusal::rule_limit(&rule.name, rate.per_second()))
    }

    async fn find_answer(
        &mut self,
        client: &mut Link,
        statement: &Statement,
        steering: Steering<'_>,
        mut request: Request<'_>,
    ) -> Result<Option<PrepareOk>, Ended> {
        let mut failed: Vec<ServerId> = Vec::new();
        let limit = TimeLimit::of(&steering);
        let overfull = self.session.overfull(statement);
        let mut corrected;
        let mut statement = overfull.as_ref().unwrap_or(statement);
        let mut hold = None;
        // Servers to which a broken connection was replaced.
        let mut replaced: Vec<ServerId> = Vec::new();
        loop {
            let waiting = (&mut *request.packet, &mut hold);
            let chosen = self.choose(client, statement, (&mut failed, steering), waiting, limit.as_ref()).await;
            let (route, reign) = match chosen {
                ControlFlow::Continue(chosen) => chosen,
                ControlFlow::Break(answered) => return answered.map(|()| None),
            };
            tracing::debug!(
                connection = self.entry.id(),
                server = route.server.0,
                because = route.because.label(),
                class = statement.because.label(),
                verb = ?statement.verb,
                "routed"
            );
            let progress = Progress::begin_try(self.trail.began());
            self.trail.tried(route);
            let watch = (&progress, limit.as_ref());
            let may_commit = self.session.may_commit(statement, request.kind);
            let destination = Destination { route, reign, may_commit };
            let belongs_to_transaction = !self.session.binding.autocommit() && destination.is_on_primary() && request.kind.runs();
            let attempt = self.supervised(client, statement, &mut request, &destination, (&failed, steering), watch).await;
            let course = Course::of(statement);
            let end = match &attempt {
                Ok(outcome) => Some(outcome.error.map_or(End::Well, End::Error)),
                // A statement that was lost on the way may still have run. That of a client that has left is still under way.
                Err(Failure::Lost { .. } | Failure::Silent { sent: true, .. } | Failure::Deposed { sent: true, .. }) => {
                    Some(End::Unknown)
                }
                Err(_) => None,
            };
            if let Some(end) = end {
                course.settle(progress.results(), end, &self.worker.shared.classifier);
            }
            let failure = match attempt {
                // Refused because the server was closed to writes after the decision.
                Ok(Outcome { withheld: Some(_), .. }) if may_commit => continue,
                Ok(Outcome { withheld: Some(error), .. }) if is_servers_fault(error.code) => Failure::Unwell(error),
                Ok(Outcome { withheld: Some(error), .. }) => {
                    corrected = self.learn_write(statement, route.server, &error);
                    statement = &corrected;
                    continue;
                }
                Ok(outcome) if outcome.is_unconfirmed => {
                    self.settle_unconfirmed(route.server);
                    return Ok(None);
                }
                Ok(outcome) => {
                    if route.because == Because::CausalWait {
                        self.session.binding.has_caught_up(route.server, Instant::now());
                    }
                    self.settle(statement, &request, route.server, &outcome);
                    if route.because == Because::LazyTransaction && !destination.is_on_primary() {
                        let is_explicit = statement.placement() == Placement::Primary;
                        self.session.binding.transaction_is_lazy(route.server, is_explicit);
                    }
                    return what_remains(statement, request.kind, &outcome);
                }
                Err(Failure::Deposed { sent: false, .. }) => continue,
                // Only setup commands were lost on the way.
                Err(Failure::Lost { begun: false, .. }) if !progress.is_sent() => Failure::LostBefore,
                Err(failure) => failure,
            };
            if let Failure::ClientGone = failure {
                self.abandon(statement, route.server, progress.results());
                return Err(Ended);
            }
            self.suspect(route.server, &failure);
            let loss = self.leave(route.server, &failure);
            if matches!(failure, Failure::LostBefore) && !replaced.contains(&route.server) {
                replaced.push(route.server);
            } else {
                failed.push(route.server);
            }
            let is_read = statement.placement() == Placement::Replica && !matches!(request.kind, RequestKind::Prepare(_));
            if let (Failure::LostBefore, false) = (&failure, loss.is_any())
                && let (Decision::Refuse(denial), _) = self.decide(statement, &failed, steering)
            {
                // What the statement asks about was on that connection.
                return self.refuse(client, denial).await.map(|()| None);
            }
            // What the primary says of an account is final. A replica may only be late.
            let is_final = failure.is_about_the_account() && destination.is_on_primary();
            let is_worth_waiting = failure.may_pass() || is_read && !failure.is_lack_of_room() && !is_final;
            if failure.may_be_tried_elsewhere(is_read)
                && !loss.is_any()
                && failed.len() < ATTEMPTS
                && self.leads_elsewhere(statement, &failed, steering, is_worth_waiting)
            {
                self.log_failure(route.server, &failure);
                continue;
            }
            let unanswered = Unanswered { statement, server: route.server, may_commit, belongs_to_transaction };
            return Box::pin(self.give_up(client, unanswered, failure, loss)).await;
        }
    }

    /// Gives up the connection to a server that has failed like this, unless it is as it was. Returns what is lost with it.
    fn leave(&mut self, server: ServerId, failure: &Failure) -> Loss {
        let is_as_it_was = matches!(failure, Failure::Interrupted(_) | Failure::NeedsReprepare) && self.is_clean(server);
        if is_as_it_was { Loss::default() } else { self.forget(server) }
    }

    /// Where the statement goes, after waiting if need be; or the client was answered.
    async fn choose(
        &mut self,
        client: &mut Link,
        statement: &Statement,
        (failed, steering): (&mut Vec<ServerId>, Steering<'_>),
        (packet, hold): (&mut Packet, &mut Option<Box<Hold>>),
        limit: Option<&TimeLimit<'_>>,
    ) -> ControlFlow<Result<(), Ended>, (Route, Reign)> {
        loop {
            if self.write.is_none() && (is_waited_for(statement) || self.session.binding.may_have_pending_writes()) {
                self.write = Some(self.worker.shared.servers.writes().begin());
            }
            let (decision, reign) = self.decide(statement, failed, steering);
            if !matches!(decision, Decision::Forward(route) if Some(route.server) == reign.primary) {
                self.end_write();
            }
            match decision {
                Decision::Forward(route) => return ControlFlow::Continue((route, reign)),
                Decision::Wait { awaited, at_most } => {
                    let hold = hold.get_or_insert_with(|| {
                        packet.compact();
                        Box::new(Hold::new(packet.len(), at_most))
                    });
                    // Boxed, as is all else that is rare and needs much room, which every idle session would keep for it otherwise.
                    let held = Box::pin(self.hold(client, statement, (failed, steering), hold, awaited, limit)).await;
                    if let Err(given_up) = held {
                        return ControlFlow::Break(self.tell_given_up(client, given_up).await);
                    }
                }
                Decision::Refuse(denial) => match self.lose_what_is_refused(denial) {
                    // All of it could be restored elsewhere.
                    Some(loss) if !loss.is_any() => {}
                    Some(loss) => return ControlFlow::Break(self.tell_loss(client, statement, loss).await),
                    None => return ControlFlow::Break(self.refuse(client, denial).await),
                },
            }
        }
    }

    /// One try, watched.
    async fn supervised(
        &mut self,
        client: &mut Link,
        statement: &Statement,
        request: &mut Request<'_>,
        destination: &Destination,
        (failed, steering): (&[ServerId], Steering<'_>),
        watch: (&Progress, Option<&TimeLimit<'_>>),
    ) -> Result<Outcome, Failure> {
        let (worker, entry, policy) = (Arc::clone(&self.worker), Arc::clone(&self.entry), self.settings.policy);
        let is_read = statement.placement() == Placement::Replica && !matches!(request.kind, RequestKind::Prepare(_));
        let supervision = Supervision {
            worker: &worker,
            policy: &policy,
            entry: &entry,
            statement,
            destination,
            view: self.view(statement, &[], failed, steering),
            may_move: is_read
                && request.packet.len() <= LARGEST_MOVED
                && !self.session.binding.loses_with(destination.route.server),
            may_wait: !self.session.binding.loses_with(destination.route.server) && !self.settings.policy.hold_writes.is_zero(),
            progress: watch.0,
            limit: watch.1,
        };
        let under_way = UnderWay::begin(&worker, destination.route.server);
        // Pinned here, so that it does not lie in the future twice.
        let answered = {
            let attempt = pin!(self.attempt(client, statement, request, destination, watch));
            supervision.see_through(attempt).await
        };
        match &answered {
            Ok(outcome) => {
                let now = Instant::now();
                let served = watch.0.served(now);
                self.trail.answered(outcome, served, now);
                under_way.ended(match (outcome.error, served) {
                    (Some(code), _) if is_servers_fault(code) => Ending::Failed,
                    // What a replica takes for a read says how well it does; a write may wait for others.
                    (None, Some(response)) if is_read => Ending::Read { digest: statement.digest, response },
                    _ => Ending::Answered,
                });
            }
            Err(failure) if failure.is_servers_fault() => under_way.ended(Ending::Failed),
            Err(_) => {}
        }
        answered
    }

    /// The client is gone: its statement is stopped, and its connection kept until it has stopped.
    fn abandon(&mut self, statement: &Statement, server: ServerId, results: u16) {
        self.log_failure(server, &Failure::ClientGone);
        if statement.placement() == Placement::Primary {
            self.session.binding.may_have_written(Instant::now());
            self.note_write();
        }
        if let Some(place) = self.held.iter().position(|lease| lease.server() == server) {
            let (course, classifier) = (Course::of(statement), Arc::clone(&self.worker.shared.classifier));
            self.held.swap_remove(place).abandon(ABANDONED, move |rest| {
                let end = rest.map_or(End::Unknown, |rest| rest.error.map_or(End::Well, End::Error));
                course.settle(results.saturating_add(rest.map_or(0, |rest| rest.results)), end, &classifier);
            });
        }
    }

    /// A replica has refused as a write what was taken for a read, and nothing has happened yet: from now on it is a write.
    fn learn_write(&self, statement: &Statement, server: ServerId, error: &ErrOwned) -> Statement {
        if self.worker.shared.classifier.knowledge().learn_write(statement) {
            tracing::warn!(
                connection = self.entry.id(),
                server = server.0,
                digest = %statement.digest,
                code = error.code,
                message = %String::from_utf8_lossy(&error.message),
                "a replica refused a statement that was taken for a read; it runs on the primary from now on"
            );
        }
        let effects = statement.effects | Effects::UNKNOWN | Effects::SESSION_UNSEEN;
        Statement { effects, because: classifier::Reason::LearnedWrite, ..statement.clone() }
    }

    pub(super) fn decide(&self, statement: &Statement, failed: &[ServerId], steering: Steering<'_>) -> (Decision, Reign) {
        let held = match statement.placement() {
            Placement::Session | Placement::Previous => self.held_servers(),
            Placement::Replica | Placement::Primary => Vec::new(),
        };
        let view = self.view(statement, &held, failed, steering);
        let mut policy = self.settings.policy;
        if self.session.binding.asks_for_counts() {
            policy.causal_wait = Duration::ZERO;
        }
        self.worker.decide(
            &policy,
            statement,
            &SessionView { committed: self.committed(view.wrote_at), proven: self.session.binding.proven(), ..view },
        )
    }

    /// What the router has to know of the session. It outlives a change of the session, so what was committed has to be added: [`Self::committed`].
    pub(super) fn view<'v>(
        &self,
        statement: &Statement,
        held: &'v [ServerId],
        failed: &'v [ServerId],
        steering: Steering<'v>,
    ) -> SessionView<'v> {
        let wrote_at = self.session.binding.wrote_at().max(self.moment.as_ref().and_then(|moment| moment.last()));
        SessionView {
            transaction: self.session.binding.transaction(),
            is_autocommit_off: !self.session.binding.autocommit(),
            isolation: self.isolation(),
            pin: self.session.binding.pin_of_reads(),
            home: self.session.binding.home(),
            may_leave_home: self.session.binding.may_leave_home(),
            previous: self.previous(statement),
            insert_id_is_lost: self.session.binding.insert_id_is_lost(),
            held,
            wrote_at,
            committed: None,
            proven: &[],
            avoid: failed,
            steering,
        }
    }

    /// Looked up only where it decides something: it is a search in the session's settings.
    fn isolation(&self) -> Isolation {
        let is_read_committed = self.settings.policy.lazy_transactions && self.session.state.is_read_committed();
        if is_read_committed { Isolation::ReadCommitted } else { Isolation::Other }
    }

    /// What a replica has to have that is to show the session's own writes, if these are the last that it must see.
    pub(super) fn committed(&self, wrote_at: Option<Instant>) -> Option<&Position> {
        let (server, committed) = self.session.binding.committed().filter(|_| wrote_at == self.session.binding.wrote_at())?;
        (self.worker.shared.servers.load().primary == Some(server)).then_some(committed)
    }

    /// The connection that knows about the previous statement.
    pub(super) fn previous(&self, statement: &Statement) -> Previous {
        match self.session.binding.previous() {
            None => without_previous(statement, self.shares_connections),
            Some(server) if self.knows_previous(server, statement) => Previous::On(server),
            // About warnings: there were none, and any connection says so.
            Some(_) if !statement.effects.contains(Effects::COUNTS) && !self.session.binding.has_diagnostics() => {
                Previous::Nothing
            }
            Some(_) => Previous::Lost,
        }
    }

    /// Whether what the statement asks about is on the connection to this server.
    fn knows_previous(&self, server: ServerId, statement: &Statement) -> bool {
        let Some(lease) = self.held.iter().find(|lease| lease.server() == server) else { return false };
        let binding = &self.session.binding;
        let has_counted = || binding.counts().on == Some(server);
        let has_found = || lease.state.has_own_counts() && binding.found_on() == Some(server);
        let asks_for = |what| statement.effects.contains(what);
        (!asks_for(Effects::COUNTS) || has_counted()) && (!asks_for(Effects::FOUND_ROWS) || has_found())
    }

    /// Where the session has connections.
    pub(super) fn held_servers(&self) -> Vec<ServerId> {
        self.held.iter().map(Lease::server).collect()
    }

    /// Whether another attempt would go to a server that has not failed, perhaps after waiting for one.
    fn leads_elsewhere(&self, statement: &Statement, failed: &[ServerId], steering: Steering<'_>, may_pass: bool) -> bool {
        match self.decide(statement, failed, steering).0 {
            Decision::Forward(route) => !failed.contains(&route.server),
            // A primary that the monitor takes for well will say the same once more, unless it is about to be seen as lost.
            Decision::Wait { awaited, .. } => may_pass || awaited != Awaited::UnreachablePrimary,
            Decision::Refuse(_) => false,
        }
    }

    fn is_clean(&self, server: ServerId) -> bool {
        self.held.iter().any(|lease| lease.server() == server && lease.is_clean())
    }

    /// The client is told why its statement waits no longer.
    async fn tell_given_up(&mut self, client: &mut Link, given_up: GivenUp) -> Result<(), Ended> {
        match given_up {
            GivenUp::Told(refusal) => self.reply(client, &refusal).await,
            GivenUp::Dismissed(refusal) => Err(self.dismiss(client, &refusal, self.answer_sequence).await),
            GivenUp::Left => Err(Ended),
        }
    }

    /// A statement was answered.
    fn settle(&mut self, statement: &Statement, request: &Request<'_>, server: ServerId, outcome: &Outcome) {
        // Otherwise the connection was given nothing of it.
        let is_at_its_state = !self.session.binding.has_expired_password();
        let settled = self.session.settle(statement, request.kind, server, outcome, self.trail.ended());
        if let Some(limit) = settled.idle_limit {
            self.idle_timer.limit_to(limit.min(self.settings.limits.client_idle));
        }
        if settled.may_have_written {
            self.note_write();
        }
        if settled.changed_password {
            self.note_changed_password();
        }
        if let Some(lease) = self.held.iter_mut().find(|lease| lease.server() == server) {
            if is_at_its_state {
                lease.state.follow(&self.session.state);
            }
            lease.state.note(settled.traces);
            if statement.session.contains(&SessionEffect::Pin(Pin::BinlogFormat)) {
                lease.keep_from_others();
            }
        }
    }
}

/// What there is to keep after an answer: a prepared statement; after `COMMIT RELEASE`, not even the session, as the client expects to be disconnected.
fn what_remains(statement: &Statement, kind: RequestKind, outcome: &Outcome) -> Result<Option<PrepareOk>, Ended> {
    let disconnects = kind.runs() && statement.session.contains(&SessionEffect::Disconnect);
    match outcome.error {
        Some(_) => Ok(None),
        None if disconnects => Err(Ended),
        None => Ok(outcome.prepared),
    }
}

/// Whether a handover gives it time to end: on the primary it may write, or hold locks. What only looks at the server ends whenever it does: who follows
/// the binary log stays for ever.
fn is_waited_for(statement: &Statement) -> bool {
    statement.placement() == Placement::Primary && !(Effects::READ_DATA | Effects::THIS_SERVER).contains(statement.effects)
}

/// What a statement about the previous one finds where there was none. Not even a login makes a connection forget what it has counted.
pub(super) fn without_previous(statement: &Statement, shares_connections: bool) -> Previous {
    if statement.effects.contains(Effects::COUNTS) && shares_connections { Previous::Lost } else { Previous::Nothing }
}
