//! Prepared statements of the binary protocol.
//!
//! What the client has prepared is in [`session::ClientStatements`]; what a server connection has prepared, in [`backend::PreparedStatements`].

use std::sync::Arc;

use classifier::{Effects, Statement, Verb};
use router::Hint;
use session::{Prepared, PreparedText};
use wire::error_code::{ER_MAX_PREPARED_STMT_COUNT_REACHED, ER_UNKNOWN_ERROR};
use wire::{Capabilities, PrepareOk};

use super::kill::own_answer;
use super::steering;
use super::{Core, Ended, explained_route};
use crate::packet::Packet;
use crate::reply::Refusal;
use crate::session::exchange::Request;

/// How a prepared statement is executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ExecutionKind {
    /// Its rows come at once.
    Whole,
    /// Its rows are fetched from a cursor.
    WithCursor,
    /// Once for each of several sets of parameters.
    InBulk,
}

impl Core {
    /// The hint in the text of a prepared statement, with those that come along with this execution.
    pub(super) fn execution_hint(&mut self, execute: &wire::Execute<'_>) -> Result<Option<Hint>, Refusal> {
        let Some(prepared) = self.statements.get(self.statements.resolve(execute.statement_id)) else { return Ok(None) };
        let hint = prepared.extra.clone();
        if !self.capabilities.contains(Capabilities::QUERY_ATTRIBUTES) {
            return Ok(hint);
        }
        let parameters = wire::execute_parameters(execute, prepared.params(), self.capabilities)?;
        let attributes = parameters.attributes(prepared.params(), parameters.types.or(prepared.types()));
        let is_ahead = |parameter| prepared.has_long_data(parameter);
        // Not that in the text: it was the span of the preparation.
        let parent = self.parent_by_attribute(&attributes, is_ahead);
        let hint = steering::with_attributes(hint, &attributes, is_ahead);
        self.trace_parent = parent;
        hint
    }

    /// `COM_STMT_PREPARE`: on the server where it would run now.
    pub(super) async fn prepare(&mut self, client: &mut net::Link, sql: Box<[u8]>, packet: &mut Packet) -> Result<(), Ended> {
        // Taken before the verdict, so that later knowledge leads to a new verdict.
        let knowledge = self.worker.shared.classifier.knowledge().version();
        let statement = self.classify(&sql);
        if explained_route(&statement, &sql, &self.session.context()).is_some() {
            return self.reply(client, &Refusal::explanation_prepared()).await;
        }
        let limits = &self.settings.limits;
        if !self.statements.has_room(sql.len(), limits.prepared_statements, limits.prepared_statement_bytes) {
            let refusal = Refusal::new(
                ER_MAX_PREPARED_STMT_COUNT_REACHED,
                format!(
                    "cannot prepare more statements in this session; limits.prepared_statements is {}, limits.prepared_statement_bytes is {}",
                    limits.prepared_statements, limits.prepared_statement_bytes
                ),
            );
            return self.reply(client, &refusal).await;
        }
        let id = self.statements.next_id();
        let hint = match steering::hint(&sql) {
            Ok(hint) => hint,
            Err(refusal) => return self.reply(client, &refusal).await,
        };
        let matched = self.matched(&sql, self.session.context(), &statement);
        let verdict = Arc::new(statement);
        // Preparing changes nothing but the session's own list, and asks nothing: its effects come with the execution.
        let effects = verdict.effects - Effects::DEFINES - Effects::PREVIOUS_STATEMENT - Effects::COUNTS - Effects::FOUND_ROWS;
        let preparing = Statement { session: Vec::new(), effects, ..(*verdict).clone() };
        let request = Request::prepare(packet, id);
        let (grammar, reading) = (self.session.state.grammar(), self.session.reading());
        let prepared = self.forward(client, &preparing, matched.steering(hint.as_ref()), request).await?;
        if let Some(PrepareOk { params, statement_id, .. }) = prepared {
            let text = Arc::new(PreparedText::new(sql, grammar));
            let binding = &self.session.binding;
            if let Some(lease) = self.held.iter_mut().find(|lease| Some(lease.server()) == binding.previous()) {
                lease.prepared.add(&text, statement_id, !binding.has_cursors());
            }
            self.statements.add(id, Prepared::new(text, reading, (verdict, knowledge), params, hint));
        }
        Ok(())
    }

    /// `COM_STMT_EXECUTE` and `COM_STMT_BULK_EXECUTE`.
    pub(super) async fn execute(
        &mut self,
        client: &mut net::Link,
        (id, execution): (u32, ExecutionKind),
        hint: Option<Hint>,
        packet: &mut Packet,
    ) -> Result<(), Ended> {
        let Some(prepared) = self.statements.get_mut(id) else {
            return self.reply(client, &Refusal::unknown_statement(id, "mysqld_stmt_execute")).await;
        };
        if prepared.is_too_long() {
            self.statements.forget_long_data(id);
            let limit = self.settings.limits.max_packet;
            let refusal = Refusal::new(
                ER_UNKNOWN_ERROR,
                format!("long data of a prepared statement is over limits.max_packet ({limit} bytes)"),
            );
            return self.reply(client, &refusal).await;
        }
        let verdict = prepared.verdict(&self.worker.shared.classifier);
        let Some(prepared) = self.statements.get(id) else { return Err(Ended) };
        if verdict.verb == Verb::Kill
            && let Some(answer) = own_answer(&verdict, prepared.text().sql(), &prepared.context())
        {
            return Box::pin(self.answer_own(client, answer)).await;
        }
        let matched = self.matched(prepared.text().sql(), prepared.context(), &verdict);
        self.learn_text(&verdict, prepared.text().sql(), &prepared.context());
        // A cursor lives on a connection that the session keeps, as everything else does that lives on one.
        // A procedure's results never become a cursor of the client, and a cursor of its own must not be taken for one.
        let opens_cursor = execution == ExecutionKind::WithCursor
            && verdict.verb != Verb::Call
            && self.session.binding.transaction().is_none_or(|transaction| !transaction.is_read_only());
        let of_primary;
        // What is executed in bulk writes, or is refused.
        let statement = if opens_cursor || execution == ExecutionKind::InBulk {
            of_primary = Statement { effects: verdict.effects | Effects::PRIMARY_SESSION, ..(*verdict).clone() };
            &of_primary
        } else {
            &*verdict
        };
        let request = Request::execute(packet, id, opens_cursor);
        let outcome = self.forward(client, statement, matched.steering(hint.as_ref()), request).await;
        self.statements.forget_long_data(id);
        outcome.map(drop)
    }

    /// `COM_STMT_CLOSE` has no answer.
    pub(super) async fn close_statement(&mut self, id: u32) -> Result<(), Ended> {
        let Some(closed) = self.statements.remove(id) else { return Ok(()) };
        let has_cursor = self.session.binding.has_cursor(id);
        self.session.binding.cursor_closed(id);
        // Where connections are shared, another session may execute the same text next.
        let is_shared = self.shares_connections || self.statements.has(closed.text());
        let mut lost = Vec::new();
        for lease in &mut self.held {
            if has_cursor {
                lease.prepared.close(&closed.text().for_cursor_of(id));
            }
            if !is_shared {
                lease.prepared.close(closed.text());
            }
            if lease.close_statements().await.is_err() {
                lost.push(lease.server());
            }
        }
        // A broken connection is noticed, and reported, by the next statement that needs it; a replica's is just replaced.
        self.held.retain(|lease| !lost.contains(&lease.server()) || self.session.binding.loses_with(lease.server()));
        Ok(())
    }
}
