//! Prepared statements of the binary protocol.
//!
//! The client knows a statement by one number; each server connection that has prepared it knows it by another. A statement is
//! prepared on a server when it is first needed there. Long data is kept here until the statement is executed, so that it goes
//! to whichever server executes it.

use std::collections::HashMap;
use std::sync::Arc;

use backend::OnServer;
use bytes::BytesMut;
use classifier::{Classifier, Effects, Statement};
use router::Hint;
use session::PreparedText;
use wire::{Capabilities, Malformed, PrepareOk, put_packet_with};

use super::steering;
use super::{Core, Ended, Reading, explained_route};
use crate::packet::Packet;
use crate::reply::Refusal;
use crate::session::attempt::Request;

/// The statements that a client has prepared.
#[derive(Debug, Default)]
pub(super) struct Statements {
    by_id: HashMap<u32, Prepared>,
    last_id: u32,
    text_bytes: usize,
    long_data_bytes: usize,
    /// One of them asks what the statement before it has left.
    ask_about_previous: bool,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) text: Arc<PreparedText>,
    reading: Reading,
    hint: Option<Hint>,
    verdict: Arc<Statement>,
    /// What the classifier knew when it gave the verdict.
    knowledge: u64,
    pub(super) params: u16,
    /// Two bytes for each parameter, as last bound; clients send them only when they change.
    types: Option<Arc<[u8]>>,
    /// By parameter; `Err` once it was too much.
    long_data: Result<Vec<(u16, Vec<u8>)>, TooLong>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct TooLong;

impl Statements {
    /// One of them has this text.
    fn has(&self, text: &PreparedText) -> bool {
        self.by_id.values().any(|prepared| *prepared.text == *text)
    }

    pub(super) fn get(&self, id: u32) -> Option<&Prepared> {
        self.by_id.get(&id)
    }

    /// One of them asks what the statement before it has left on its connection.
    pub(super) fn ask_about_previous(&self) -> bool {
        self.ask_about_previous
    }

    fn next_id(&mut self) -> u32 {
        loop {
            self.last_id = self.last_id.wrapping_add(1).max(1);
            if !self.by_id.contains_key(&self.last_id) {
                return self.last_id;
            }
        }
    }

    fn add(&mut self, id: u32, prepared: Prepared) {
        self.text_bytes += prepared.text.sql().len();
        self.ask_about_previous |= prepared.verdict.effects.contains(Effects::PREVIOUS_STATEMENT);
        self.by_id.insert(id, prepared);
    }

    fn remove(&mut self, id: u32) -> Option<Prepared> {
        self.forget_long_data(id);
        let removed = self.by_id.remove(&id);
        self.text_bytes -= removed.as_ref().map_or(0, Prepared::kept_bytes);
        removed
    }

    /// Keeps a piece of a parameter. The protocol has no answer to it: what is wrong is said when the statement is executed.
    pub(super) fn add_long_data(&mut self, id: u32, parameter: u16, data: &[u8], limit: usize) {
        let Some(prepared) = self.by_id.get_mut(&id) else { return };
        let Ok(pieces) = &mut prepared.long_data else { return };
        if self.long_data_bytes.saturating_add(data.len()) > limit {
            self.long_data_bytes -= pieces.iter().map(|(_, piece)| piece.len()).sum::<usize>();
            prepared.long_data = Err(TooLong);
            return;
        }
        self.long_data_bytes += data.len();
        match pieces.iter_mut().find(|(of, _)| *of == parameter) {
            Some((_, piece)) => piece.extend_from_slice(data),
            None => pieces.push((parameter, data.to_vec())),
        }
    }

    /// True if there is such a statement.
    pub(super) fn forget_long_data(&mut self, id: u32) -> bool {
        let Some(prepared) = self.by_id.get_mut(&id) else { return false };
        if let Ok(pieces) = std::mem::replace(&mut prepared.long_data, Ok(Vec::new())) {
            self.long_data_bytes -= pieces.iter().map(|(_, piece)| piece.len()).sum::<usize>();
        }
        true
    }
}

impl Prepared {
    /// What of it counts against the limit of a session's statements, in bytes.
    fn kept_bytes(&self) -> usize {
        self.text.sql().len() + self.types.as_deref().map_or(0, <[u8]>::len)
    }

    /// The hint in its text, with those that come along with this execution.
    pub(super) fn hint(&self, execute: &wire::Execute<'_>, capabilities: Capabilities) -> Result<Option<Hint>, Refusal> {
        let hint = self.hint.clone();
        if !capabilities.contains(Capabilities::QUERY_ATTRIBUTES) {
            return Ok(hint);
        }
        let parameters = wire::execute_parameters(execute, self.params, capabilities)?;
        let attributes = parameters.attributes(self.params, parameters.types.or(self.types.as_deref()));
        let is_ahead = |index| matches!(&self.long_data, Ok(pieces) if pieces.iter().any(|(of, _)| usize::from(*of) == index));
        steering::with_attributes(hint, &attributes, is_ahead)
    }

    /// What the statement does, by what is known now: functions and views may have changed since it was prepared.
    fn verdict(&mut self, classifier: &Classifier) -> Arc<Statement> {
        let knowledge = classifier.knowledge().version();
        if self.knowledge != knowledge {
            self.knowledge = knowledge;
            self.verdict = Arc::new(classifier.classify(self.text.sql(), &self.reading.context(self.text.grammar().schema())));
        }
        Arc::clone(&self.verdict)
    }
}

/// How a statement is to be executed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Execution {
    /// What the client has negotiated.
    pub(super) capabilities: Capabilities,
    /// Its rows are to stay on the server until they are fetched.
    pub(super) opens_cursor: bool,
    /// `limits.prepared_statement_bytes`
    pub(super) limit: usize,
}

impl Core {
    /// `COM_STMT_PREPARE`: on the server where it would run now.
    pub(super) async fn prepare(&mut self, client: &mut net::Link, sql: Box<[u8]>, packet: &mut Packet) -> Result<(), Ended> {
        // Before the verdict: what becomes known in between makes it be given again.
        let knowledge = self.worker.shared.classifier.knowledge().version();
        let statement = self.classify(&sql);
        let reading = self.reading();
        if explained_route(&statement, &sql, &reading.context(self.session.state.schema())).is_some() {
            return self.reply(client, &Refusal::explanation_prepared()).await;
        }
        let limits = &self.settings.limits;
        let is_too_many = self.statements.by_id.len() >= limits.prepared_statements
            || self.statements.text_bytes.saturating_add(sql.len()) > limits.prepared_statement_bytes;
        if is_too_many {
            // ER_MAX_PREPARED_STMT_COUNT_REACHED
            let refusal = Refusal::new(
                1461,
                *b"42000",
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
        let matched = self.matched(&sql, reading.context(self.session.state.schema()), &statement);
        let verdict = Arc::new(statement);
        // Preparing changes nothing but the session's own list, and asks nothing: its effects come with the execution.
        let effects = verdict.effects - Effects::DEFINES - Effects::PREVIOUS_STATEMENT - Effects::COUNTS - Effects::FOUND_ROWS;
        let preparing = Statement { session: Vec::new(), effects, ..(*verdict).clone() };
        let request = Request::prepare(packet, id);
        let grammar = self.session.state.grammar();
        let prepared = self.forward(client, &preparing, matched.steering(hint.as_ref()), request).await?;
        if let Some(PrepareOk { params, statement_id, .. }) = prepared {
            let text = Arc::new(PreparedText::new(sql, grammar));
            let binding = &self.session.binding;
            if let Some(lease) = self.held.iter_mut().find(|lease| Some(lease.server()) == binding.previous()) {
                lease.prepared.add(&text, statement_id, !binding.has_cursors());
            }
            let long_data = Ok(Vec::new());
            self.statements.add(id, Prepared { text, reading, hint, verdict, knowledge, params, types: None, long_data });
        }
        Ok(())
    }

    /// `COM_STMT_EXECUTE`.
    pub(super) async fn execute(
        &mut self,
        client: &mut net::Link,
        id: u32,
        has_cursor: bool,
        hint: Option<Hint>,
        packet: &mut Packet,
    ) -> Result<(), Ended> {
        let Some(prepared) = self.statements.by_id.get_mut(&id) else {
            return self.reply(client, &Refusal::unknown_statement(id, "mysqld_stmt_execute")).await;
        };
        if prepared.long_data.is_err() {
            self.statements.forget_long_data(id);
            let limit = self.settings.limits.max_packet;
            let refusal = Refusal::new(
                1105,
                *b"HY000",
                format!("long data of a prepared statement is over limits.max_packet ({limit} bytes)"),
            );
            return self.reply(client, &refusal).await;
        }
        let verdict = prepared.verdict(&self.worker.shared.classifier);
        let Some(prepared) = self.statements.get(id) else { return Err(Ended) };
        let context = prepared.reading.context(prepared.text.grammar().schema());
        let matched = self.matched(prepared.text.sql(), context, &verdict);
        // A cursor lives on a connection that the session keeps, as everything else does that lives on one.
        let opens_cursor = has_cursor && self.session.binding.transaction().is_none_or(|transaction| !transaction.read_only);
        let with_cursor;
        let statement = if opens_cursor {
            with_cursor = Statement { effects: verdict.effects | Effects::PRIMARY_SESSION, ..(*verdict).clone() };
            &with_cursor
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
        // Where connections are shared, somebody else may execute the same text next.
        let is_shared = self.shares_connections || self.statements.has(&closed.text);
        let mut lost = Vec::new();
        for lease in &mut self.held {
            if has_cursor {
                lease.prepared.close(&closed.text.for_cursor_of(id));
            }
            if !is_shared {
                lease.prepared.close(&closed.text);
            }
            if lease.close_statements().await.is_err() {
                lost.push(lease.server());
            }
        }
        // A broken connection is noticed, and reported, by the next statement that needs it; a replica's is just replaced.
        self.held.retain(|lease| !lost.contains(&lease.server()) || self.session.binding.loses_with(lease.server()));
        Ok(())
    }

    /// Writes what executes statement `id` on a server that knows it as `on_server`: long data, then the execution with the
    /// client's own parameters. `payload` is the client's `COM_STMT_EXECUTE`.
    pub(super) fn put_execution(
        statements: &mut Statements,
        id: u32,
        on_server: &mut OnServer,
        Execution { capabilities, opens_cursor, limit }: Execution,
        payload: &[u8],
        out: &mut BytesMut,
    ) -> Result<(), Malformed> {
        let Some(prepared) = statements.by_id.get_mut(&id) else { return Err(Malformed::new("an unknown statement")) };
        let wire::Command::Execute(execute) = wire::Command::parse(payload, capabilities)? else {
            return Err(Malformed::new("not a COM_STMT_EXECUTE"));
        };
        if let Ok(pieces) = &prepared.long_data {
            for (parameter, data) in pieces {
                put_packet_with(out, 0, |payload| {
                    payload.extend_from_slice(&[wire::COM_STMT_SEND_LONG_DATA]);
                    payload.extend_from_slice(&on_server.id.to_le_bytes());
                    payload.extend_from_slice(&parameter.to_le_bytes());
                    payload.extend_from_slice(data);
                });
            }
        }
        let cursor = if opens_cursor { wire::CURSOR_TYPE_READ_ONLY } else { 0 };
        let parameters = wire::execute_parameters(&execute, prepared.params, capabilities)?;
        if parameters.null_bitmap.is_empty() {
            put_packet_with(out, 0, |payload| wire::put_execute(payload, on_server.id, cursor, Some((&parameters, None))));
            return Ok(());
        }
        // Clients send them only when they change; names may come with them.
        if let Some(types) = parameters.types.filter(|types| prepared.types.as_deref() != Some(*types)) {
            let kept = statements.text_bytes.saturating_sub(prepared.types.as_deref().map_or(0, <[u8]>::len));
            if kept.saturating_add(types.len()) > limit {
                return Err(Malformed::new("more types and names of parameters than limits.prepared_statement_bytes allows"));
            }
            statements.text_bytes = kept + types.len();
            prepared.types = Some(Arc::from(types));
        }
        let is_known_there = match (&prepared.types, &on_server.types) {
            (Some(here), Some(there)) => here == there,
            (None, _) => true,
            (Some(_), None) => false,
        };
        // The types go along when the client sent them and when this server has not seen them yet.
        let types = if is_known_there { parameters.types } else { prepared.types.as_deref() };
        put_packet_with(out, 0, |payload| wire::put_execute(payload, on_server.id, cursor, Some((&parameters, types))));
        on_server.types.clone_from(&prepared.types);
        Ok(())
    }
}
