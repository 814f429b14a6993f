//! The statements that a client has prepared, by the numbers that the client knows.
//!
//! A statement is prepared on a server when it is first needed there, and each server connection knows it by a number of its own. Long data is kept here
//! until the statement is executed, so that it goes to whichever server executes it; so are the types of its parameters, which clients send only once.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::BytesMut;
use classifier::{Charset, Classifier, Context, Dialect, Effects, SqlMode, Statement};
use wire::{Capabilities, Malformed, put_packet_with};

use crate::PreparedText;

/// How the text of a statement is read, without the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The servers' grammar.
    pub dialect: Dialect,
    /// The session's `sql_mode`.
    pub sql_mode: SqlMode,
    /// The session's character set.
    pub charset: Charset,
}

impl Reading {
    /// With the default schema.
    pub fn context(self, schema: Option<&[u8]>) -> Context<'_> {
        let Self { dialect, sql_mode, charset } = self;
        Context { dialect, sql_mode, charset, schema: schema.and_then(|schema| std::str::from_utf8(schema).ok()) }
    }
}

/// The statements that a client has prepared, each with a value (`X`) of its owner.
#[derive(Debug)]
pub struct ClientStatements<X> {
    by_id: HashMap<u32, Prepared<X>>,
    last_id: u32,
    /// The one that was prepared last; 0 if that has failed.
    last_prepared: u32,
    /// The bytes of texts and parameter types.
    kept_bytes: usize,
    long_data_bytes: usize,
    ask_about_previous: bool,
}

impl<X> Default for ClientStatements<X> {
    fn default() -> Self {
        Self { by_id: HashMap::new(), last_id: 0, last_prepared: 0, kept_bytes: 0, long_data_bytes: 0, ask_about_previous: false }
    }
}

/// One prepared statement.
#[derive(Debug)]
pub struct Prepared<X> {
    text: Arc<PreparedText>,
    reading: Reading,
    verdict: Arc<Statement>,
    /// The version of the classifier's knowledge on which the verdict rests.
    knowledge: u64,
    params: u16,
    /// Two bytes for each parameter, as last bound. Clients send them only when they change.
    types: Option<Arc<[u8]>>,
    /// By parameter. `Err` after the client has sent too much.
    long_data: Result<Vec<(u16, Vec<u8>)>, LongDataTooLong>,
    /// A value of its owner.
    pub extra: X,
}

/// The client has sent more long data than a session may keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct LongDataTooLong;

/// How a statement is executed on one server connection.
#[derive(Debug)]
pub struct Execution<'a> {
    /// What the client has negotiated.
    pub capabilities: Capabilities,
    /// Its rows stay on the server until they are fetched.
    pub opens_cursor: bool,
    /// Most bytes of the texts and parameter types of one session.
    pub limit: usize,
    /// The server connection's number for the statement.
    pub number: u32,
    /// The parameter types that were last bound on that connection.
    pub bound: &'a mut Option<Arc<[u8]>>,
}

impl<X> ClientStatements<X> {
    /// The statement that has this number for the client.
    pub fn get(&self, id: u32) -> Option<&Prepared<X>> {
        self.by_id.get(&id)
    }

    /// The same, to update its verdict.
    pub fn get_mut(&mut self, id: u32) -> Option<&mut Prepared<X>> {
        self.by_id.get_mut(&id)
    }

    /// Whether one of them has this text.
    pub fn has(&self, text: &PreparedText) -> bool {
        self.by_id.values().any(|prepared| *prepared.text == *text)
    }

    /// Whether one of them asks what the previous statement has left on its connection.
    pub fn ask_about_previous(&self) -> bool {
        self.ask_about_previous
    }

    /// Whether one more may be prepared, with a text of `text` bytes. `count` and `bytes` are the limits of one session.
    pub fn has_room(&self, text: usize, count: usize, bytes: usize) -> bool {
        self.by_id.len() < count && self.kept_bytes.saturating_add(text) <= bytes
    }

    /// The number that a client means by this one.
    pub fn resolve(&self, id: u32) -> u32 {
        if id == wire::LAST_STATEMENT { self.last_prepared } else { id }
    }

    /// A number that is not in use, for the statement that is prepared now.
    pub fn next_id(&mut self) -> u32 {
        self.last_prepared = 0;
        loop {
            self.last_id = self.last_id.wrapping_add(1).max(1);
            if self.last_id != wire::LAST_STATEMENT && !self.by_id.contains_key(&self.last_id) {
                return self.last_id;
            }
        }
    }

    /// Adds a statement that a server has prepared.
    pub fn add(&mut self, id: u32, prepared: Prepared<X>) {
        self.last_prepared = id;
        self.kept_bytes += prepared.kept_bytes();
        self.ask_about_previous |= prepared.verdict.effects.contains(Effects::PREVIOUS_STATEMENT);
        self.by_id.insert(id, prepared);
    }

    /// Removes a statement that the client has closed.
    pub fn remove(&mut self, id: u32) -> Option<Prepared<X>> {
        self.forget_long_data(id);
        let removed = self.by_id.remove(&id);
        self.kept_bytes -= removed.as_ref().map_or(0, Prepared::kept_bytes);
        removed
    }

    /// Keeps a piece of a parameter, with at most `limit` bytes over all statements. The protocol has no answer to it, so errors are reported when the
    /// statement is executed.
    pub fn add_long_data(&mut self, id: u32, parameter: u16, data: &[u8], limit: usize) {
        let Some(prepared) = self.by_id.get_mut(&id) else { return };
        let Ok(pieces) = &mut prepared.long_data else { return };
        if self.long_data_bytes.saturating_add(data.len()) > limit {
            self.long_data_bytes -= pieces.iter().map(|(_, piece)| piece.len()).sum::<usize>();
            prepared.long_data = Err(LongDataTooLong);
            return;
        }
        self.long_data_bytes += data.len();
        match pieces.iter_mut().find(|(of, _)| *of == parameter) {
            Some((_, piece)) => piece.extend_from_slice(data),
            None => pieces.push((parameter, data.to_vec())),
        }
    }

    /// Discards its long data. False if there is no such statement.
    pub fn forget_long_data(&mut self, id: u32) -> bool {
        let Some(prepared) = self.by_id.get_mut(&id) else { return false };
        if let Ok(pieces) = std::mem::replace(&mut prepared.long_data, Ok(Vec::new())) {
            self.long_data_bytes -= pieces.iter().map(|(_, piece)| piece.len()).sum::<usize>();
        }
        true
    }

    /// Writes the packets that execute the statement on one server connection: long data, then the execution with the client's own parameters. `payload`
    /// is the client's `COM_STMT_EXECUTE` or `COM_STMT_BULK_EXECUTE`.
    pub fn put_execution(
        &mut self,
        id: u32,
        execution: Execution<'_>,
        payload: &[u8],
        out: &mut BytesMut,
    ) -> Result<(), Malformed> {
        let Execution { capabilities, opens_cursor, limit, number, bound } = execution;
        let Some(prepared) = self.by_id.get_mut(&id) else { return Err(Malformed::new("an unknown statement")) };
        let execute = match wire::Command::parse(payload, capabilities)? {
            wire::Command::Execute(execute) => execute,
            wire::Command::BulkExecute(bulk) => {
                let (types, values) = bulk.parameters(prepared.params)?;
                prepared.keep_types(types, &mut self.kept_bytes, limit)?;
                let types = prepared.types_to_send(types, bound.as_deref());
                put_packet_with(out, 0, |payload| wire::put_bulk_execute(payload, number, bulk.flags, types, values));
                bound.clone_from(&prepared.types);
                return Ok(());
            }
            _ => return Err(Malformed::new("not an execution of a statement")),
        };
        prepared.put_long_data(number, out);
        let cursor = if opens_cursor { wire::CURSOR_TYPE_READ_ONLY } else { 0 };
        let parameters = wire::execute_parameters(&execute, prepared.params, capabilities)?;
        if parameters.null_bitmap.is_empty() {
            put_packet_with(out, 0, |payload| wire::put_execute(payload, number, cursor, Some((&parameters, None))));
            return Ok(());
        }
        prepared.keep_types(parameters.types, &mut self.kept_bytes, limit)?;
        let types = prepared.types_to_send(parameters.types, bound.as_deref());
        put_packet_with(out, 0, |payload| wire::put_execute(payload, number, cursor, Some((&parameters, types))));
        bound.clone_from(&prepared.types);
        Ok(())
    }
}

impl<X> Prepared<X> {
    /// A statement with `params` parameters. `knowledge` is the version of the classifier's knowledge before it gave the verdict.
    pub fn new(
        text: Arc<PreparedText>,
        reading: Reading,
        (verdict, knowledge): (Arc<Statement>, u64),
        params: u16,
        extra: X,
    ) -> Self {
        Self { text, reading, verdict, knowledge, params, types: None, long_data: Ok(Vec::new()), extra }
    }

    /// Its text, and the grammar with which it was read.
    pub fn text(&self) -> &Arc<PreparedText> {
        &self.text
    }

    /// How its text was read when it was prepared. Servers read it in this way from then on.
    pub fn context(&self) -> Context<'_> {
        self.reading.context(self.text.grammar().schema())
    }

    /// How many parameters it has.
    pub fn params(&self) -> u16 {
        self.params
    }

    /// The types that were last bound, two bytes for each parameter.
    pub fn types(&self) -> Option<&[u8]> {
        self.types.as_deref()
    }

    /// Whether the value of this parameter was sent as long data.
    pub fn has_long_data(&self, parameter: usize) -> bool {
        self.long_data.as_ref().is_ok_and(|pieces| pieces.iter().any(|(of, _)| usize::from(*of) == parameter))
    }

    /// Whether more long data was sent than may be kept.
    pub fn is_too_long(&self) -> bool {
        self.long_data.is_err()
    }

    /// What the statement does, by present knowledge: functions and views may have changed since it was prepared.
    pub fn verdict(&mut self, classifier: &Classifier) -> Arc<Statement> {
        let knowledge = classifier.knowledge().version();
        if self.knowledge != knowledge {
            self.knowledge = knowledge;
            self.verdict = Arc::new(classifier.classify(self.text.sql(), &self.context()));
        }
        Arc::clone(&self.verdict)
    }

    /// The bytes that count against the limit of a session's statements.
    fn kept_bytes(&self) -> usize {
        self.text.sql().len() + self.types.as_deref().map_or(0, <[u8]>::len)
    }

    /// Keeps the types that came with an execution: clients send them only when they change. Names may come with them.
    fn keep_types(&mut self, types: Option<&[u8]>, kept_bytes: &mut usize, limit: usize) -> Result<(), Malformed> {
        let Some(types) = types.filter(|types| self.types.as_deref() != Some(*types)) else { return Ok(()) };
        let kept = kept_bytes.saturating_sub(self.types.as_deref().map_or(0, <[u8]>::len));
        if kept.saturating_add(types.len()) > limit {
            return Err(Malformed::new("more types and names of parameters than limits.prepared_statement_bytes allows"));
        }
        *kept_bytes = kept + types.len();
        self.types = Some(Arc::from(types));
        Ok(())
    }

    /// The types are sent if the client sent them, and if this server has not seen them yet.
    fn types_to_send<'t>(&'t self, sent: Option<&'t [u8]>, bound: Option<&[u8]>) -> Option<&'t [u8]> {
        let is_known_there = match (self.types.as_deref(), bound) {
            (Some(here), Some(there)) => here == there,
            (None, _) => true,
            (Some(_), None) => false,
        };
        if is_known_there { sent } else { self.types.as_deref() }
    }

    fn put_long_data(&self, number: u32, out: &mut BytesMut) {
        for (parameter, data) in self.long_data.iter().flatten() {
            put_packet_with(out, 0, |payload| {
                payload.extend_from_slice(&[wire::COM_STMT_SEND_LONG_DATA]);
                payload.extend_from_slice(&number.to_le_bytes());
                payload.extend_from_slice(&parameter.to_le_bytes());
                payload.extend_from_slice(data);
            });
        }
    }
}

#[cfg(test)]
mod tests;
