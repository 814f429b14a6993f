//! What a client asks for: commands, and the parameters of a prepared statement.
//!
//! Sources: MySQL `page_protocol_command_phase` and its pages, above all `page_protocol_com_stmt_execute`; MariaDB "2 - Text
//! Protocol" and "3 - Binary Protocol". Statement text and values are not looked into.

mod attributes;

use bytes::{BufMut, BytesMut};

use self::attributes::PARAMETER_COUNT_AVAILABLE;
use crate::Capabilities;
use crate::primitives::{Malformed, Put as _, Reader};

pub use self::attributes::Attributes;

/// End the connection. No answer.
pub const COM_QUIT: u8 = 0x01;
/// Choose the default schema.
pub const COM_INIT_DB: u8 = 0x02;
/// Run statements.
pub const COM_QUERY: u8 = 0x03;
/// List a table's columns (deprecated).
pub const COM_FIELD_LIST: u8 = 0x04;
/// Flush or reset something, by a bit (deprecated; removed from MySQL 8.4).
pub const COM_REFRESH: u8 = 0x07;
/// One line of server statistics.
pub const COM_STATISTICS: u8 = 0x09;
/// List the server's threads (deprecated; removed from MySQL 8.4).
pub const COM_PROCESS_INFO: u8 = 0x0a;
/// End a connection (deprecated; removed from MySQL 8.4).
pub const COM_PROCESS_KILL: u8 = 0x0c;
/// Write the server's state to its log.
pub const COM_DEBUG: u8 = 0x0d;
/// Check that the server answers.
pub const COM_PING: u8 = 0x0e;
/// Log in again on the same connection.
pub const COM_CHANGE_USER: u8 = 0x11;
/// Stream the binary log.
pub const COM_BINLOG_DUMP: u8 = 0x12;
/// Announce that this connection is a replica's.
pub const COM_REGISTER_SLAVE: u8 = 0x15;
/// Prepare a statement.
pub const COM_STMT_PREPARE: u8 = 0x16;
/// Run a prepared statement.
pub const COM_STMT_EXECUTE: u8 = 0x17;
/// Send a piece of a parameter's value ahead. No answer.
pub const COM_STMT_SEND_LONG_DATA: u8 = 0x18;
/// Forget a prepared statement. No answer.
pub const COM_STMT_CLOSE: u8 = 0x19;
/// Discard the values sent ahead for a prepared statement, and its cursor.
pub const COM_STMT_RESET: u8 = 0x1a;
/// Turn multi-statements on or off.
pub const COM_SET_OPTION: u8 = 0x1b;
/// Fetch rows of a cursor.
pub const COM_STMT_FETCH: u8 = 0x1c;
/// Stream the binary log from a GTID set.
pub const COM_BINLOG_DUMP_GTID: u8 = 0x1e;
/// Reset the session without a new login.
pub const COM_RESET_CONNECTION: u8 = 0x1f;

/// Run a prepared statement once for each of several sets of parameters (MariaDB).
pub const COM_STMT_BULK_EXECUTE: u8 = 0xfa;

/// The option of [`COM_SET_OPTION`] that allows several statements in one `COM_QUERY`.
pub const MULTI_STATEMENTS_ON: u16 = 0;
/// The option of [`COM_SET_OPTION`] that allows only one.
pub const MULTI_STATEMENTS_OFF: u16 = 1;

/// The flag of [`COM_STMT_EXECUTE`] that opens a cursor. The protocol has two more, "for update" (2) and "scrollable" (4); no server opens a cursor
/// for one of these alone.
pub const CURSOR_TYPE_READ_ONLY: u8 = 0x01;
/// All cursor flags.
const CURSOR_FLAGS: u8 = 0x07;

/// A command. It borrows from the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command<'a> {
    /// [`COM_QUIT`]
    Quit,
    /// [`COM_INIT_DB`] with the schema's name.
    InitDb(&'a [u8]),
    /// [`COM_QUERY`]
    Query {
        /// Its text.
        sql: &'a [u8],
        /// Its query attributes.
        attributes: Attributes<'a>,
    },
    /// [`COM_PING`]
    Ping,
    /// [`COM_STATISTICS`]
    Statistics,
    /// [`COM_FIELD_LIST`]
    FieldList {
        /// The table, of the default schema.
        table: &'a [u8],
        /// A `LIKE` pattern for its columns; empty for all of them.
        columns: &'a [u8],
    },
    /// [`COM_REFRESH`] with its bits.
    Refresh(u8),
    /// [`COM_PROCESS_INFO`]
    ProcessInfo,
    /// [`COM_PROCESS_KILL`] with the low 32 bits of the thread's number; the protocol has no more.
    ProcessKill(u32),
    /// [`COM_DEBUG`]
    Debug,
    /// [`COM_SET_OPTION`] with the option: [`MULTI_STATEMENTS_ON`], [`MULTI_STATEMENTS_OFF`], or one that no server knows.
    SetOption(u16),
    /// [`COM_STMT_PREPARE`] with its text.
    Prepare(&'a [u8]),
    /// [`COM_STMT_EXECUTE`]
    Execute(Execute<'a>),
    /// [`COM_STMT_BULK_EXECUTE`], with [`Capabilities::MARIADB_STMT_BULK_OPERATIONS`] only.
    BulkExecute(BulkExecute<'a>),
    /// [`COM_STMT_SEND_LONG_DATA`]
    SendLongData {
        /// The statement.
        statement_id: u32,
        /// The parameter, from 0.
        parameter: u16,
        /// What to append to its value.
        data: &'a [u8],
    },
    /// [`COM_STMT_CLOSE`] with the statement.
    CloseStatement(u32),
    /// [`COM_STMT_RESET`] with the statement.
    ResetStatement(u32),
    /// [`COM_STMT_FETCH`]
    Fetch {
        /// The statement whose cursor it is.
        statement_id: u32,
        /// How many rows at most.
        rows: u32,
    },
    /// [`COM_RESET_CONNECTION`]
    ResetConnection,
    /// [`COM_CHANGE_USER`], to be read by [`crate::ChangeUser::decode`].
    ChangeUser,
    /// [`COM_REGISTER_SLAVE`]
    RegisterReplica,
    /// [`COM_BINLOG_DUMP`] and [`COM_BINLOG_DUMP_GTID`]. From which place on is the servers' business.
    BinlogDump,
    /// Any other command, by its byte.
    Other(u8),
}

impl<'a> Command<'a> {
    /// Reads a payload of a peer with these capabilities. Bytes after the last field of a command
    /// are ignored, as the servers do.
    pub fn parse(payload: &'a [u8], capabilities: Capabilities) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        let command = reader.u8().map_err(|_| Malformed::new("an empty packet where a command is due"))?;
        Ok(match command {
            COM_QUIT => Self::Quit,
            COM_INIT_DB => Self::InitDb(reader.rest()),
            COM_QUERY => {
                let has_attributes = capabilities.contains(Capabilities::QUERY_ATTRIBUTES);
                let attributes = if has_attributes { Attributes::read(&mut reader)? } else { Attributes::default() };
                Self::Query { sql: reader.rest(), attributes }
            }
            COM_PING => Self::Ping,
            COM_STATISTICS => Self::Statistics,
            COM_FIELD_LIST => field_list(reader.rest()),
            // MariaDB reads a missing byte as 0.
            COM_REFRESH => Self::Refresh(reader.u8().unwrap_or_default()),
            COM_PROCESS_INFO => Self::ProcessInfo,
            COM_PROCESS_KILL => Self::ProcessKill(reader.u32()?),
            COM_DEBUG => Self::Debug,
            COM_SET_OPTION => Self::SetOption(reader.u16()?),
            COM_STMT_PREPARE => Self::Prepare(reader.rest()),
            COM_STMT_EXECUTE => Self::Execute(Execute {
                statement_id: reader.u32()?,
                flags: reader.u8()?,
                iterations: reader.u32()?,
                rest: reader.rest(),
            }),
            COM_STMT_BULK_EXECUTE if capabilities.contains(Capabilities::MARIADB_STMT_BULK_OPERATIONS) => {
                Self::BulkExecute(BulkExecute { statement_id: reader.u32()?, flags: reader.u16()?, rest: reader.rest() })
            }
            COM_STMT_SEND_LONG_DATA => {
                Self::SendLongData { statement_id: reader.u32()?, parameter: reader.u16()?, data: reader.rest() }
            }
            COM_STMT_CLOSE => Self::CloseStatement(reader.u32()?),
            COM_STMT_RESET => Self::ResetStatement(reader.u32()?),
            COM_STMT_FETCH => Self::Fetch { statement_id: reader.u32()?, rows: reader.u32()? },
            COM_RESET_CONNECTION => Self::ResetConnection,
            COM_CHANGE_USER => Self::ChangeUser,
            COM_REGISTER_SLAVE => Self::RegisterReplica,
            COM_BINLOG_DUMP | COM_BINLOG_DUMP_GTID => Self::BinlogDump,
            other => Self::Other(other),
        })
    }
}

/// MySQL refuses a table without its NUL, MariaDB does not.
fn field_list(names: &[u8]) -> Command<'_> {
    let mut parts = names.splitn(2, |&byte| byte == 0);
    Command::FieldList { table: parts.next().unwrap_or_default(), columns: parts.next().unwrap_or_default() }
}

/// A `COM_STMT_EXECUTE`. How its end is laid out depends on the statement: [`execute_parameters`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Execute<'a> {
    /// The statement, or [`LAST_STATEMENT`].
    pub statement_id: u32,
    /// Which kind of cursor to open, and whether the number of parameters is there.
    pub flags: u8,
    /// Always 1.
    pub iterations: u32,
    /// Parameters.
    pub rest: &'a [u8],
}

impl Execute<'_> {
    /// It opens a cursor, if its statement is one that reads: its rows come by [`COM_STMT_FETCH`].
    pub const fn has_cursor(&self) -> bool {
        self.flags & CURSOR_TYPE_READ_ONLY != 0
    }

    /// Its cursor flags, for [`put_execute`].
    pub const fn cursor_flags(&self) -> u8 {
        self.flags & CURSOR_FLAGS
    }
}

/// A `COM_STMT_BULK_EXECUTE` (MariaDB "`COM_STMT_BULK_EXECUTE`").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BulkExecute<'a> {
    /// The statement, as in [`Execute::statement_id`].
    pub statement_id: u32,
    /// What the client wants back, and whether the types are there.
    pub flags: u16,
    /// The types, if they are there, and the rows of values.
    pub rest: &'a [u8],
}

/// The flag of [`BulkExecute`] that says that the types are there.
const BULK_HAS_TYPES: u16 = 128;

impl<'a> BulkExecute<'a> {
    /// The types, two bytes for each of the statement's `params` parameters, if they are there; and the values.
    pub fn parameters(&self, params: u16) -> Result<(Option<&'a [u8]>, &'a [u8]), Malformed> {
        let mut reader = Reader::new(self.rest);
        let has_types = self.flags & BULK_HAS_TYPES != 0;
        let types = if has_types { Some(reader.take(usize::from(params).saturating_mul(2))?) } else { None };
        Ok((types, reader.rest()))
    }
}

/// Appends the payload of a `COM_STMT_BULK_EXECUTE`, whose `flags` are the client's but for what `types` decides.
pub fn put_bulk_execute(out: &mut BytesMut, statement_id: u32, flags: u16, types: Option<&[u8]>, values: &[u8]) {
    let has_types = if types.is_some() { BULK_HAS_TYPES } else { 0 };
    out.put_u8(COM_STMT_BULK_EXECUTE);
    out.put_u32_le(statement_id);
    out.put_u16_le(flags & !BULK_HAS_TYPES | has_types);
    out.put_slice(types.unwrap_or_default());
    out.put_slice(values);
}

/// The number by which MariaDB's clients execute the statement that was prepared last, without waiting for its own number.
pub const LAST_STATEMENT: u32 = u32::MAX;

/// The parameters of one execution, and after them the query attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Parameters<'a> {
    /// The number of parameters and attributes together, where query attributes were negotiated.
    pub count: Option<usize>,
    /// One bit for each value, set if it is NULL.
    pub null_bitmap: &'a [u8],
    /// Two bytes for each, with query attributes followed by a name; absent where the client reuses those of its previous execution.
    pub types: Option<&'a [u8]>,
    /// The values that are neither NULL nor sent ahead, in order.
    pub values: &'a [u8],
}

/// Splits [`Execute::rest`] for a statement with `params` parameters. Without parameters and attributes, the rest is ignored.
pub fn execute_parameters<'a>(
    execute: &Execute<'a>,
    params: u16,
    capabilities: Capabilities,
) -> Result<Parameters<'a>, Malformed> {
    let params = usize::from(params);
    let mut reader = Reader::new(execute.rest);
    let may_have_attributes = capabilities.contains(Capabilities::QUERY_ATTRIBUTES);
    let has_count = may_have_attributes && (params > 0 || execute.flags & PARAMETER_COUNT_AVAILABLE != 0);
    let count = if has_count { Some(attributes::count(&mut reader)?) } else { None };
    let values = count.unwrap_or(params);
    if values < params {
        return Err(Malformed::new("fewer parameters than the statement has"));
    }
    if values == 0 {
        return Ok(Parameters { count, ..Parameters::default() });
    }
    let null_bitmap = reader.take(values.div_ceil(8))?;
    let types = match reader.u8()? {
        0 => None,
        _ if has_count => Some(attributes::take_types(&mut reader, values)?),
        _ => Some(reader.take(values.saturating_mul(2))?),
    };
    Ok(Parameters { count, null_bitmap, types, values: reader.rest() })
}

impl<'a> Parameters<'a> {
    /// The query attributes after `params` parameters. `types` are those in force: from this execution, or from the last one that had types.
    pub fn attributes(&self, params: u16, types: Option<&'a [u8]>) -> Attributes<'a> {
        match (self.count, types) {
            (Some(count), Some(types)) => {
                Attributes::after_parameters(count, usize::from(params), self.null_bitmap, types, self.values)
            }
            _ => Attributes::default(),
        }
    }
}

/// Appends the payload of a `COM_STMT_EXECUTE`. `cursor` is [`Execute::cursor_flags`], or 0 to have all rows at once.
///
/// `parameters` is `None` for a statement without any. Its second part is the types to send, needed where this server's statement was never executed
/// with them. `None` there sends what the client sent this time, if anything.
pub fn put_execute(out: &mut BytesMut, statement_id: u32, cursor: u8, parameters: Option<(&Parameters<'_>, Option<&[u8]>)>) {
    let count = parameters.and_then(|(parameters, _)| parameters.count);
    out.put_u8(COM_STMT_EXECUTE);
    out.put_u32_le(statement_id);
    let has_count = if count.is_some() { PARAMETER_COUNT_AVAILABLE } else { 0 };
    out.put_u8(cursor & CURSOR_FLAGS | has_count);
    out.put_u32_le(1);
    let Some((parameters, types)) = parameters else {
        return;
    };
    if let Some(count) = count {
        out.put_lenenc_int(count as u64);
    }
    if parameters.null_bitmap.is_empty() {
        return;
    }
    out.put_slice(parameters.null_bitmap);
    match types.or(parameters.types) {
        Some(types) => {
            out.put_u8(1);
            out.put_slice(types);
        }
        None => out.put_u8(0),
    }
    out.put_slice(parameters.values);
}

/// Appends the payload of a `COM_QUERY` without attributes, for a peer with these capabilities.
pub fn put_query(out: &mut BytesMut, capabilities: Capabilities, parts: &[&[u8]]) {
    out.put_u8(COM_QUERY);
    if capabilities.contains(Capabilities::QUERY_ATTRIBUTES) {
        // No attributes, in one set.
        out.put_slice(&[0, 1]);
    }
    for part in parts {
        out.put_slice(part);
    }
}

#[cfg(test)]
mod tests;
