//! What the client gets when a server is lost, and how the session goes on.
//!
//! It always goes on, unless the client has got half an answer. What was lost with the connection is told once: a transaction as a deadlock is (1213,
//! which drivers and frameworks answer by trying the transaction again), everything else in words. After that the session is as if it had never
//! had these things. A statement that was sent, may have committed something, and was not answered, has an unknown outcome: SQLSTATE 08007.

use std::time::Instant;

use backend::ConnectError;
use classifier::Statement;
use net::Link;
use router::Denial;
use session::Loss;
use session::only_rolls_back;
use topology::ServerId;
use wire::PrepareOk;

use super::failure::Failure;
use super::{Core, Ended};
use crate::reply::{self, Refusal};

/// A statement that could not be answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unanswered<'a> {
    pub(super) statement: &'a Statement,
    /// Where it was sent to, or should have been.
    pub(super) server: ServerId,
    /// As [`Core::may_commit`] said before it was sent.
    pub(super) may_commit: bool,
    /// With `autocommit = 0` it belonged to a transaction, open before or not.
    pub(super) belongs_to_transaction: bool,
}

impl Core {
    /// Drops the connection to a server. What can be restored on another connection is; the rest is gone, and the client has to be told.
    pub(super) fn forget(&mut self, server: ServerId) -> Loss {
        let Some(index) = self.held.iter().position(|lease| lease.server() == server) else { return Loss::default() };
        self.held.swap_remove(index);
        self.session.lose_connection(server)
    }

    /// What the router refuses for being lost is gone from then on. `None` for any other refusal.
    pub(super) fn lose_what_is_refused(&mut self, denial: Denial) -> Option<Loss> {
        let server = match denial {
            Denial::TransactionLost => self.session.binding.transaction().map(|transaction| transaction.server),
            Denial::PinLost => self.session.binding.home(),
            _ => None,
        }?;
        self.held.retain(|lease| lease.server() != server);
        let loss = self.session.lose_connection(server);
        tracing::info!(
            connection = self.entry.id(),
            server = server.0,
            why = denial.label(),
            ?loss,
            "a session has left a server"
        );
        Some(loss)
    }

    /// Nothing of the statement has happened, and it does not run now, since what it relied on is gone.
    pub(super) async fn tell_loss(&mut self, client: &mut Link, statement: &Statement, loss: Loss) -> Result<(), Ended> {
        if loss.transaction && only_rolls_back(statement) {
            return self.reply_ok(client).await;
        }
        let denial = if loss.transaction { Denial::TransactionLost } else { Denial::PinLost };
        let refusal = self.refusal(denial).with_lost_pins(loss.transaction && loss.pins);
        self.reply(client, &refusal).await
    }

    pub(super) async fn refuse(&mut self, client: &mut Link, denial: Denial) -> Result<(), Ended> {
        let refusal = self.refusal(denial);
        self.reply(client, &refusal).await
    }

    /// The client's error for a statement that no server has answered.
    pub(super) async fn give_up(
        &mut self,
        client: &mut Link,
        unanswered: Unanswered<'_>,
        failure: Failure,
        loss: Loss,
    ) -> Result<Option<PrepareOk>, Ended> {
        self.log_failure(unanswered.server, &failure);
        let refusal = match failure {
            // A client with half an answer must not take later bytes for the other half.
            Failure::ClientGone
            | Failure::Lost { begun: true, .. }
            | Failure::Silent { begun: true, .. }
            | Failure::Deposed { begun: true, .. } => return Err(Ended),
            Failure::Lost { error, begun: false } => return self.tell_lost(client, unanswered, &error.to_string(), loss).await,
            Failure::Silent { sent: true, begun: false } => {
                return self.tell_lost(client, unanswered, "it does not answer", loss).await;
            }
            Failure::Deposed { sent: true, begun: false } => {
                return self.tell_lost(client, unanswered, "another server is the primary now", loss).await;
            }
            Failure::ClientMisbehaved(malformed) if loss.is_any() => {
                return Err(self.dismiss(client, &Refusal::malformed(&malformed), self.answer_sequence).await);
            }
            _ if loss.transaction => return self.tell_loss(client, unanswered.statement, loss).await.map(|()| None),
            Failure::Setup(error) | Failure::Unwell(error) | Failure::Connect(ConnectError::Refused { error, .. }) => {
                self.trail.failed(error.code);
                let packet = reply::server_error(&error, self.answer_sequence);
                return self.say(client, &packet).await.map(|()| None);
            }
            Failure::Silent { sent: false, .. } | Failure::Deposed { sent: false, .. } => Refusal::server_silent(),
            Failure::Interrupted(refusal) => refusal,
            Failure::NeedsReprepare => Refusal::needs_reprepare(),
            Failure::Behind => Refusal::replica_behind(),
            Failure::LostBefore => Refusal::server_lost(false, "its connection was closed while idle"),
            Failure::Connect(error) => Refusal::from(&error),
            Failure::ClientMisbehaved(malformed) => Refusal::malformed(&malformed),
        };
        self.reply(client, &refusal.with_lost_pins(loss.pins)).await.map(|()| None)
    }

    /// The statement had gone out.
    async fn tell_lost(
        &mut self,
        client: &mut Link,
        unanswered: Unanswered<'_>,
        why: &str,
        loss: Loss,
    ) -> Result<Option<PrepareOk>, Ended> {
        let Unanswered { statement, may_commit, belongs_to_transaction, .. } = unanswered;
        if may_commit {
            self.session.binding.may_have_written(Instant::now());
            self.note_write();
        } else if belongs_to_transaction || loss.transaction {
            return self.tell_loss(client, statement, Loss { transaction: true, ..loss }).await.map(|()| None);
        }
        let refusal = Refusal::server_lost(may_commit, why).with_lost_pins(loss.pins);
        self.reply(client, &refusal).await.map(|()| None)
    }

    /// A server has acknowledged the statement, and the client was told that this does not count.
    pub(super) fn settle_unconfirmed(&mut self, server: ServerId) {
        tracing::warn!(connection = self.entry.id(), server = server.0, "an acknowledgement was not passed on");
        self.session.binding.may_have_written(Instant::now());
        self.note_write();
        self.forget(server);
    }

    /// Asks the monitor to look now at a server that a session has lost.
    pub(super) fn suspect(&self, server: ServerId, failure: &Failure) {
        if matches!(failure, Failure::Behind) {
            self.worker.note_late(server);
        }
        if matches!(failure, Failure::Connect(_) | Failure::Lost { .. } | Failure::LostBefore) {
            self.worker.shared.servers.suspects().add(server);
        }
    }
}
