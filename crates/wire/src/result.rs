//! The packets that end a step of a response: OK, EOF, ERR, and the answer to `COM_STMT_PREPARE`.
//!
//! They are decoded with the capabilities of the connection that they came from and encoded for those of the one they go to,
//! which need not be the same. Sources: MySQL `page_protocol_basic_ok_packet`, `page_protocol_basic_eof_packet`,
//! `page_protocol_basic_err_packet`, `page_protocol_com_stmt_prepare`; MariaDB "`OK_Packet`", "`EOF_Packet`",
//! "`ERR_Packet`", "`COM_STMT_PREPARE`".

use bytes::{BufMut, BytesMut};

use crate::capabilities::{Capabilities, StatusFlags};
use crate::primitives::{Malformed, Put, Reader};
pub use crate::session_state::{StateChange, StateChanges, state_changes};

/// First byte of an OK packet.
pub const OK_HEADER: u8 = 0x00;

/// First byte of an EOF packet, and of the OK packet that stands in its place with `DEPRECATE_EOF`.
pub const EOF_HEADER: u8 = 0xfe;

/// First byte of an ERR packet.
pub const ERR_HEADER: u8 = 0xff;

/// First byte of the server's request for the file of a LOAD DATA LOCAL.
pub const LOCAL_INFILE_HEADER: u8 = 0xfb;

/// A command has succeeded, or (header 0xFE, with `DEPRECATE_EOF`) a result set has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OkPacket<'a> {
    /// Rows changed, or matched with `FOUND_ROWS`.
    pub affected_rows: u64,
    /// The first `AUTO_INCREMENT` value that the statement made.
    pub last_insert_id: u64,
    /// The state of the server's session after the statement.
    pub status: StatusFlags,
    /// How many warnings there are.
    pub warnings: u16,
    /// A message for people. MariaDB (11.4) puts bytes here that prove its certificate, in the OK that ends a login.
    pub info: &'a [u8],
    /// The entries that [`state_changes`] reads; there only with [`StatusFlags::SESSION_STATE_CHANGED`], and may be empty
    /// even then.
    pub session_state: &'a [u8],
}

impl<'a> OkPacket<'a> {
    /// Reads a payload with header 0x00 or 0xFE that came over a connection with these capabilities.
    ///
    /// The manuals call `info` a `string<EOF>` where `SESSION_TRACK` is absent. Both servers write a `string<lenenc>`
    /// (`net_send_ok`), and their clients read one; what is not one is taken as it is.
    pub fn decode(payload: &'a [u8], capabilities: Capabilities) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        if !matches!(reader.u8()?, OK_HEADER | EOF_HEADER) {
            return Err(Malformed::new("an OK packet has another header"));
        }
        let mut ok = Self {
            affected_rows: reader.lenenc_int()?,
            last_insert_id: reader.lenenc_int()?,
            status: StatusFlags::from_bits_retain(reader.u16()?),
            warnings: reader.u16()?,
            ..Self::default()
        };
        if reader.is_empty() {
            return Ok(ok);
        }
        if capabilities.contains(Capabilities::SESSION_TRACK) {
            ok.info = reader.lenenc_bytes()?;
            if ok.status.contains(StatusFlags::SESSION_STATE_CHANGED) && !reader.is_empty() {
                ok.session_state = reader.lenenc_bytes()?;
            }
        } else {
            let text = reader.rest();
            ok.info = Reader::new(text).lenenc_bytes().unwrap_or(text);
        }
        Ok(ok)
    }

    /// Appends the payload for a peer with these capabilities. One without `SESSION_TRACK` gets neither session state nor
    /// the flag that announces it.
    pub fn encode(&self, header: u8, capabilities: Capabilities, out: &mut BytesMut) {
        let mut status = self.status;
        if !capabilities.contains(Capabilities::SESSION_TRACK) {
            status.remove(StatusFlags::SESSION_STATE_CHANGED);
        }
        let has_state = status.contains(StatusFlags::SESSION_STATE_CHANGED);
        out.put_u8(header);
        out.put_lenenc_int(self.affected_rows);
        out.put_lenenc_int(self.last_insert_id);
        out.put_u16_le(status.bits());
        out.put_u16_le(self.warnings);
        if has_state || !self.info.is_empty() {
            out.put_lenenc_bytes(self.info);
        }
        if has_state {
            out.put_lenenc_bytes(self.session_state);
        }
    }

    /// What an EOF packet can say of it, for a peer without `DEPRECATE_EOF`.
    pub fn to_eof(&self) -> EofPacket {
        EofPacket { warnings: self.warnings, status: self.status }
    }
}

/// Definitions or rows have ended, for a peer without `DEPRECATE_EOF`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EofPacket {
    /// How many warnings there are.
    pub warnings: u16,
    /// The state of the server's session. Has no place for session state, so the flag for it is not written.
    pub status: StatusFlags,
}

impl EofPacket {
    /// A payload that begins with 0xFE is an EOF packet if it is shorter than this; a row otherwise.
    pub const LENGTH_LIMIT: usize = 9;

    /// Reads a payload.
    pub fn decode(payload: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        if reader.u8()? != EOF_HEADER || payload.len() >= Self::LENGTH_LIMIT {
            return Err(Malformed::new("not an EOF packet"));
        }
        Ok(Self { warnings: reader.u16()?, status: StatusFlags::from_bits_retain(reader.u16()?) })
    }

    /// Appends the payload.
    pub fn encode(&self, out: &mut BytesMut) {
        let status = self.status.difference(StatusFlags::SESSION_STATE_CHANGED);
        out.put_u8(EOF_HEADER);
        out.put_u16_le(self.warnings);
        out.put_u16_le(status.bits());
    }

    /// The same as an OK packet, for a peer with `DEPRECATE_EOF` (header 0xFE).
    pub fn to_ok(&self) -> OkPacket<'static> {
        OkPacket { status: self.status, warnings: self.warnings, ..OkPacket::default() }
    }
}

/// A command has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrPacket<'a> {
    /// The error's number; 0xFFFF is MariaDB's progress report and no error.
    pub code: u16,
    /// Five characters of its class; `HY000` where the packet has none.
    pub sqlstate: [u8; 5],
    /// The message, in the session's character set.
    pub message: &'a [u8],
}

impl<'a> ErrPacket<'a> {
    /// `HY000`, "general error": the SQLSTATE of errors without one.
    pub const GENERAL: [u8; 5] = *b"HY000";

    /// The code that makes an ERR packet a progress report (MariaDB, for peers with `MARIADB_PROGRESS`).
    pub const PROGRESS: u16 = 0xffff;

    /// Reads a payload. Servers leave the SQLSTATE out before they have read the client's login.
    pub fn decode(payload: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        if reader.u8()? != ERR_HEADER {
            return Err(Malformed::new("an ERR packet has another header"));
        }
        let code = reader.u16()?;
        let text = reader.rest();
        let marked = text.strip_prefix(b"#").and_then(<[u8]>::split_first_chunk);
        let (sqlstate, message) = match marked {
            Some((sqlstate, message)) if code != Self::PROGRESS => (*sqlstate, message),
            _ => (Self::GENERAL, text),
        };
        Ok(Self { code, sqlstate, message })
    }

    /// Appends the payload, with the SQLSTATE.
    pub fn encode(&self, out: &mut BytesMut) {
        out.put_u8(ERR_HEADER);
        out.put_u16_le(self.code);
        out.put_u8(b'#');
        out.put_slice(&self.sqlstate);
        out.put_slice(self.message);
    }

    /// It reports progress; the response goes on.
    pub const fn is_progress(&self) -> bool {
        self.code == Self::PROGRESS
    }

    /// A copy that outlives the buffer.
    pub fn to_owned(&self) -> ErrOwned {
        ErrOwned { code: self.code, sqlstate: self.sqlstate, message: self.message.to_vec() }
    }
}

/// An [`ErrPacket`] that outlives the buffer it was read from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code} ({}): {}", String::from_utf8_lossy(sqlstate), String::from_utf8_lossy(message))]
pub struct ErrOwned {
    /// The error's number.
    pub code: u16,
    /// Five characters of its class.
    pub sqlstate: [u8; 5],
    /// The message, in the session's character set.
    pub message: Vec<u8>,
}

impl ErrOwned {
    /// The same as a packet.
    pub fn as_packet(&self) -> ErrPacket<'_> {
        ErrPacket { code: self.code, sqlstate: self.sqlstate, message: &self.message }
    }
}

/// The first packet of a successful answer to `COM_STMT_PREPARE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrepareOk {
    /// The statement's number on this connection.
    pub statement_id: u32,
    /// Columns of its result; their definitions follow those of the parameters.
    pub columns: u16,
    /// Its parameters; their definitions follow, if there are any.
    pub params: u16,
    /// How many warnings there are.
    pub warnings: u16,
}

impl PrepareOk {
    /// Reads a payload. Without `OPTIONAL_RESULTSET_METADATA`, which adds a byte that is not read here.
    pub fn decode(payload: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        if reader.u8()? != OK_HEADER {
            return Err(Malformed::new("a prepared statement's OK has another header"));
        }
        let statement_id = reader.u32()?;
        let columns = reader.u16()?;
        let params = reader.u16()?;
        // MySQL before 5.0 leaves both out, in a packet of less than 12 bytes.
        let warnings = if reader.is_empty() {
            0
        } else {
            reader.u8()?;
            reader.u16()?
        };
        Ok(Self { statement_id, columns, params, warnings })
    }

    /// Appends the payload.
    pub fn encode(&self, out: &mut BytesMut) {
        out.put_u8(OK_HEADER);
        out.put_u32_le(self.statement_id);
        out.put_u16_le(self.columns);
        out.put_u16_le(self.params);
        out.put_u8(0);
        out.put_u16_le(self.warnings);
    }
}

#[cfg(test)]
mod tests;
