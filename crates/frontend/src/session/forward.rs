//! One statement: decide, try, perhaps try elsewhere, and note what it did.

use backend::{ConnectError, Link};
use classifier::{Effects, Pin, SessionEffect, Statement, Track, Verb};
use router::{Decision, Denial, SessionView, Steering};
use topology::ServerId;
use wire::{ErrOwned, PrepareOk};

use super::attempt::{Failure, Request, Unread, What};
use super::deadline::TimeLimit;
use super::{Core, Ended};
use crate::relay::Outcome;
use crate::reply::{self, Refusal};

/// Servers that one statement tries at most.
const ATTEMPTS: usize = 3;

impl Core {
    /// Has a statement answered, by a server or with an error, and consumes it from the client's inbox.
    pub(super) async fn forward(
        &mut self,
        client: &mut Link,
        statement: &Statement,
        steering: Steering<'_>,
        request: Request,
    ) -> Result<(), Ended> {
        self.forward_prepare(client, statement, steering, request).await.map(|_| ())
    }

    /// The same for `COM_STMT_PREPARE`, which gives something to keep.
    pub(super) async fn forward_prepare(
        &mut self,
        client: &mut Link,
        statement: &Statement,
        steering: Steering<'_>,
        request: Request,
    ) -> Result<Option<PrepareOk>, Ended> {
        let mut unread = Unread(request.length);
        let outcome = self.forward_unread(client, statement, steering, request, &mut unread).await;
        unread.consume(client);
        outcome
    }

    async fn forward_unread(
        &mut self,
        client: &mut Link,
        statement: &Statement,
        steering: Steering<'_>,
        request: Request,
        unread: &mut Unread,
    ) -> Result<Option<PrepareOk>, Ended> {
        let mut failed: Vec<ServerId> = Vec::new();
        let mut corrected;
        let mut statement = statement;
        loop {
            let route = match self.decide(statement, &failed, steering) {
                Decision::Forward(route) => route,
                Decision::Refuse(denial) => return self.refuse(client, denial).await,
            };
            tracing::debug!(
                connection = self.connection_id,
                server = route.server.0,
                because = route.because.label(),
                class = statement.because.label(),
                verb = ?statement.verb,
                "routed"
            );
            let limit = TimeLimit::of(&steering);
            let attempt = self.attempt(client, statement, request, route, limit.as_ref(), unread).await;
            if statement.effects.contains(Effects::DEFINES) {
                // Even one that was lost on the way may have been done.
                self.worker.shared.classifier.knowledge().definitions_changed();
            }
            let failure = match attempt {
                Ok(Outcome { withheld: Some(error), .. }) => {
                    self.binding.answered(statement, route.server, None, Some(error.code));
                    corrected = self.learn_write(statement, route.server, &error);
                    statement = &corrected;
                    continue;
                }
                Ok(outcome) => {
                    self.settle(statement, &request, route.server, &outcome);
                    return Ok(outcome.prepared.filter(|_| outcome.error.is_none()));
                }
                Err(failure) => failure,
            };
            let is_lost_state = self.forget(route.server);
            failed.push(route.server);
            let may_try_again = match &failure {
                Failure::Connect(_) | Failure::Setup(_) | Failure::LostBefore => true,
                Failure::Lost { begun, .. } => {
                    !begun && statement.track() == Track::Replica && !matches!(request.what, What::Prepare(_))
                }
                Failure::ClientMisbehaved(_) | Failure::ClientGone => false,
            };
            if may_try_again
                && !is_lost_state
                && failed.len() < ATTEMPTS
                && self.leads_elsewhere(statement, &failed, steering, &failure)
            {
                self.log_failure(route.server, &failure);
                continue;
            }
            return self.give_up(client, statement, route.server, failure, is_lost_state).await;
        }
    }

    /// A replica has refused as a write what was taken for a read, and nothing has happened yet: from now on it is a write.
    fn learn_write(&self, statement: &Statement, server: ServerId, error: &ErrOwned) -> Statement {
        if self.worker.shared.classifier.knowledge().learn_write(statement.digest) {
            tracing::warn!(
                connection = self.connection_id,
                server = server.0,
                digest = %statement.digest,
                code = error.code,
                message = %String::from_utf8_lossy(&error.message),
                "a replica refused a statement that was taken for a read; it runs on the primary from now on"
            );
        }
        let effects = statement.effects | Effects::UNKNOWN | Effects::SESSION_UNSEEN;
        Statement { effects, because: classifier::Because::LearnedWrite, ..statement.clone() }
    }

    fn decide(&self, statement: &Statement, failed: &[ServerId], steering: Steering<'_>) -> Decision {
        let held = match statement.track() {
            Track::Session | Track::Previous => self.held_servers(),
            Track::Replica | Track::Primary => Vec::new(),
        };
        self.worker.decide(statement, &self.view(&held, failed, steering))
    }

    /// What the router has to know of the session.
    pub(super) fn view<'v>(&self, held: &'v [ServerId], failed: &'v [ServerId], steering: Steering<'v>) -> SessionView<'v> {
        SessionView {
            transaction: self.binding.transaction(),
            bond: self.binding.bond(),
            home: self.binding.home(),
            previous: self.binding.previous().filter(|server| self.is_held(*server)),
            held,
            wrote_at: self.binding.wrote_at(),
            avoid: failed,
            steering,
        }
    }

    /// Where the session has connections.
    pub(super) fn held_servers(&self) -> Vec<ServerId> {
        self.held.iter().map(|held| held.lease.server()).collect()
    }

    /// Whether another attempt would go to a server that has not failed, or to one whose dead connection was just replaced.
    fn leads_elsewhere(&self, statement: &Statement, failed: &[ServerId], steering: Steering<'_>, failure: &Failure) -> bool {
        match self.decide(statement, failed, steering) {
            Decision::Forward(route) => {
                let times = failed.iter().filter(|server| **server == route.server).count();
                times == 0 || (times == 1 && matches!(failure, Failure::LostBefore))
            }
            Decision::Refuse(_) => false,
        }
    }

    fn is_held(&self, server: ServerId) -> bool {
        self.held.iter().any(|held| held.lease.server() == server)
    }

    /// Drops the connection to a server; true if the session loses something with it that it cannot do without.
    pub(super) fn forget(&mut self, server: ServerId) -> bool {
        let Some(index) = self.held.iter().position(|held| held.lease.server() == server) else { return false };
        self.held.swap_remove(index);
        self.binding.loses_with(server)
    }

    /// A statement was answered: what did it change?
    fn settle(&mut self, statement: &Statement, request: &Request, server: ServerId, outcome: &Outcome) {
        if outcome.error.is_none() {
            self.remember(statement);
            self.binding.succeeded(statement, server);
        } else if statement.verb == Verb::Batch && !statement.session.is_empty() {
            // Some of its parts ran, and which is not known.
            self.binding.pin(Pin::Connection, server);
        }
        self.binding.answered(statement, server, outcome.status, outcome.error);
        if let Some(schema) = &outcome.schema {
            self.state.use_schema(schema);
        }
        // Not for a plain read, which is proved to change nothing: servers also say so when they go to a prepared statement's own schema and
        // come back.
        let is_unforeseen = outcome.state_changed
            && statement.track() == Track::Primary
            && statement.session.is_empty()
            && !statement.effects.contains(Effects::CHANGE_SESSION)
            && matches!(request.what, What::Whole | What::Execute(_));
        if is_unforeseen {
            // A procedure that sets variables or makes temporary tables: what exactly, the server does not say.
            self.binding.pin(Pin::Connection, server);
        }
        if let Some(held) = self.held.iter_mut().find(|held| held.lease.server() == server) {
            held.lease.applied.follow(&self.state);
        }
    }

    /// Notes what is to be repeated on the session's other connections.
    fn remember(&mut self, statement: &Statement) {
        for effect in &statement.session {
            let is_noted = match effect {
                SessionEffect::Use(schema) => {
                    self.state.use_schema(schema);
                    true
                }
                SessionEffect::Set { name, sql } => self.state.set(name, sql),
                SessionEffect::SetCharset { sql, .. } => self.state.set("names", sql),
                _ => true,
            };
            if !is_noted {
                self.binding.pin_anywhere(Pin::Connection);
            }
        }
    }

    async fn refuse(&mut self, client: &mut Link, denial: Denial) -> Result<Option<PrepareOk>, Ended> {
        let refusal = self.refusal(denial);
        match denial {
            Denial::TransactionLost | Denial::PinLost => Err(self.dismiss(client, &refusal, 1).await),
            _ => self.reply(client, &refusal).await.map(|()| None),
        }
    }

    /// The last word to the client on a statement that no server has answered.
    async fn give_up(
        &mut self,
        client: &mut Link,
        statement: &Statement,
        server: ServerId,
        failure: Failure,
        is_lost_state: bool,
    ) -> Result<Option<PrepareOk>, Ended> {
        self.log_failure(server, &failure);
        let refusal = match failure {
            // A client with half an answer must not take what follows for the other half.
            Failure::ClientGone | Failure::Lost { begun: true, .. } => return Err(Ended),
            Failure::Lost { error, begun: false } => {
                let may_have_written = !(Effects::READ_DATA | Effects::CHANGE_SESSION).contains(statement.effects);
                let refusal = Refusal::server_lost(may_have_written, &error.to_string());
                return Err(self.dismiss(client, &refusal, 1).await);
            }
            Failure::LostBefore => Refusal::server_lost(false, "its connection was closed while idle"),
            Failure::Setup(error) | Failure::Connect(ConnectError::Refused { error, .. }) => {
                let packet = reply::server_error(&error, 1);
                let sent = client.send(&packet).await.map_err(|_| Ended);
                return if is_lost_state { Err(Ended) } else { sent.map(|()| None) };
            }
            Failure::Connect(error) => Refusal::from(&error),
            Failure::ClientMisbehaved(malformed) => Refusal::malformed(&malformed),
        };
        if is_lost_state {
            Err(self.dismiss(client, &refusal, 1).await)
        } else {
            self.reply(client, &refusal).await.map(|()| None)
        }
    }

    fn log_failure(&self, server: ServerId, failure: &Failure) {
        let connection = self.connection_id;
        let server = server.0;
        match failure {
            Failure::Connect(error) => tracing::warn!(connection, server, %error, "no connection for a statement"),
            Failure::Setup(error) => {
                let message = String::from_utf8_lossy(&error.message);
                tracing::warn!(connection, server, code = error.code, %message, "a server refused the session's state");
            }
            Failure::Lost { error, begun } => {
                tracing::warn!(connection, server, %error, begun, "lost a server during a statement");
            }
            Failure::LostBefore => tracing::info!(connection, server, "a server has closed an idle connection"),
            Failure::ClientMisbehaved(error) => tracing::info!(connection, %error, "a client broke the protocol"),
            Failure::ClientGone => tracing::debug!(connection, "a client left during its statement"),
        }
    }
}
