//! The statements prepared on one connection, for all sessions that execute them.
//!
//! A statement means the same for every session that has prepared the same text with the same grammar, so they share it. Their number is limited: the
//! one that was executed longest ago is closed, and prepared again when it is needed.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::BytesMut;
use session::PreparedText;
use wire::put_packet_with;

/// Statements on one connection at most, if none of them has an open cursor. A server allows 16,382 over all its connections by default.
const MOST: usize = 512;

/// Their texts together at most, in bytes; one statement may be longer.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// The statements by their text.
#[derive(Debug, Default)]
pub struct PreparedStatements {
    by_text: HashMap<Arc<PreparedText>, OnServer>,
    bytes: usize,
    /// Counts the executions.
    clock: u64,
    /// To be closed before the next command.
    closing: Vec<u32>,
}

/// One of them, as the server knows it.
#[derive(Debug)]
pub struct OnServer {
    /// The server's number.
    pub id: u32,
    /// The parameter types that were bound last.
    pub types: Option<Arc<[u8]>>,
    used: u64,
}

impl PreparedStatements {
    /// The statement, to be executed.
    pub fn get(&mut self, text: &PreparedText) -> Option<&mut OnServer> {
        self.clock = self.clock.wrapping_add(1);
        let found = self.by_text.get_mut(text)?;
        found.used = self.clock;
        Some(found)
    }

    /// The server has prepared it under this number. `may_evict` says that no statement has a cursor here, which closing would end.
    pub fn add(&mut self, text: &Arc<PreparedText>, id: u32, may_evict: bool) {
        self.bytes = self.bytes.saturating_add(text.sql().len());
        self.clock = self.clock.wrapping_add(1);
        if let Some(former) = self.by_text.insert(Arc::clone(text), OnServer { id, types: None, used: self.clock }) {
            self.bytes = self.bytes.saturating_sub(text.sql().len());
            self.closing.push(former.id);
        }
        while may_evict && self.by_text.len() > 1 && (self.by_text.len() > MOST || self.bytes > MOST_BYTES) {
            let oldest = self.by_text.iter().min_by_key(|(_, statement)| statement.used).map(|(text, _)| Arc::clone(text));
            let Some(oldest) = oldest else { return };
            self.close(&oldest);
        }
    }

    /// No session needs it here any more.
    pub fn close(&mut self, text: &PreparedText) {
        if let Some(closed) = self.by_text.remove(text) {
            self.bytes = self.bytes.saturating_sub(text.sql().len());
            self.closing.push(closed.id);
        }
    }

    /// Appends what closes those that are to be closed; it has no responses.
    pub(crate) fn put_closings(&mut self, out: &mut BytesMut) {
        for id in self.closing.drain(..) {
            put_packet_with(out, 0, |payload| {
                payload.extend_from_slice(&[wire::COM_STMT_CLOSE]);
                payload.extend_from_slice(&id.to_le_bytes());
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use session::Grammar;

    use super::*;

    fn text(sql: &str) -> Arc<PreparedText> {
        Arc::new(PreparedText::new(sql.as_bytes().into(), Grammar::default()))
    }

    fn closings(prepared: &mut PreparedStatements) -> Vec<u32> {
        let mut out = BytesMut::new();
        prepared.put_closings(&mut out);
        out.chunks(9).map(|packet| u32::from_le_bytes(packet[5..].try_into().unwrap())).collect()
    }

    #[test]
    fn the_same_text_is_found_whichever_session_prepared_it() {
        let mut prepared = PreparedStatements::default();
        prepared.add(&text("SELECT 1"), 7, true);
        assert_eq!(prepared.get(&text("SELECT 1")).map(|found| found.id), Some(7));
        assert!(prepared.get(&text("SELECT 2")).is_none());
        // Prepared once more, it replaces the former one.
        prepared.add(&text("SELECT 1"), 8, true);
        assert_eq!((prepared.get(&text("SELECT 1")).unwrap().id, closings(&mut prepared)), (8, vec![7]));
        prepared.close(&text("SELECT 1"));
        assert_eq!((closings(&mut prepared), prepared.bytes), (vec![8], 0));
        assert!(closings(&mut prepared).is_empty());
    }

    #[test]
    fn the_statement_executed_longest_ago_makes_room_unless_there_is_a_cursor() {
        let mut prepared = PreparedStatements::default();
        for index in 0..512 {
            prepared.add(&text(&format!("SELECT {index}")), index, true);
        }
        assert!(prepared.get(&text("SELECT 0")).is_some());
        prepared.add(&text("SELECT a"), 1000, false);
        assert!(closings(&mut prepared).is_empty());
        prepared.add(&text("SELECT b"), 1001, true);
        assert_eq!(closings(&mut prepared), [1, 2]);
    }

    #[test]
    fn texts_are_bounded_in_bytes_but_for_one() {
        let long = |mark: &str| text(&mark.repeat(MOST_BYTES / 2 + 1));
        let mut prepared = PreparedStatements::default();
        prepared.add(&long("a"), 1, true);
        prepared.add(&long("b"), 2, true);
        assert_eq!(closings(&mut prepared), [1]);
        prepared.add(&text(&"c".repeat(2 * MOST_BYTES)), 3, true);
        assert_eq!(closings(&mut prepared), [2]);
        assert!(prepared.get(&text(&"c".repeat(2 * MOST_BYTES))).is_some());
    }
}
