//! A prepared statement, independent of the session that prepared it.

use crate::Grammar;

/// A text and the grammar with which it was read. The meaning of a prepared statement depends on nothing else, so sessions that have prepared the same
/// may share it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PreparedText {
    sql: Box<[u8]>,
    grammar: Grammar,
    /// It is executed with a cursor, which another execution would close, so it is not shared.
    cursor_of: Option<u32>,
}

impl PreparedText {
    /// A text that was prepared with this grammar.
    pub fn new(sql: Box<[u8]>, grammar: Grammar) -> Self {
        Self { sql, grammar, cursor_of: None }
    }

    /// The same for the cursor of the client's statement with this number.
    #[must_use]
    pub fn for_cursor_of(&self, id: u32) -> Self {
        Self { cursor_of: Some(id), ..self.clone() }
    }

    /// The text.
    pub fn sql(&self) -> &[u8] {
        &self.sql
    }

    /// The grammar with which it was read, including the default schema: it means the same wherever and whenever it is executed.
    pub fn grammar(&self) -> &Grammar {
        &self.grammar
    }
}
