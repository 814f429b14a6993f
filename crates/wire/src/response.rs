//! Where a response ends, without decoding it.
//!
//! [`ResponseTracker`] walks over the bytes that a server sends after a command. It looks only at the headers and first bytes of rows and
//! definitions; packets that carry status (OK, ERR, EOF, counts) it hands out whole. It holds a few words of state and no buffer, and allocates
//! nothing.
//!
//! Sources: MySQL `page_protocol_com_query_response`, `page_protocol_com_stmt_prepare`, `page_protocol_com_stmt_execute_response`; MariaDB "Result
//! Set Packets". The first byte tells rows from other packets: a binary row begins with 0x00, a text row with a `string<lenenc>` or 0xFB. 0xFF never
//! begins a row. 0xFE does only before a value of 16 MiB or more, in a packet that is split.
//!
//! An execution that opened a cursor has no rows: one packet with `CURSOR_EXISTS` ends both the definitions and the result. The flag means that only
//! where the client has asked for a cursor ([`Expect::Cursor`]): a stored procedure whose own cursor is open sets it in all its results.
//!
//! Not here: capabilities that change these packets: `OPTIONAL_RESULTSET_METADATA` and `MARIADB_CACHE_METADATA`, which add a byte to the packets with
//! counts, and leave out definitions. A connection must not negotiate them, so clients are not offered them.
//! Compression is taken off before; what is left of it are the numbers of the packets, which [`ResponseTracker::number_from`] replaces.

use crate::capabilities::{Capabilities, StatusFlags};
use crate::packet::{HEADER, Header, MAX_PAYLOAD};
use crate::primitives::{Malformed, Reader};
use crate::result::{EOF_HEADER, ERR_HEADER, EofPacket, ErrPacket, LOCAL_INFILE_HEADER, OK_HEADER, PrepareOk};

/// The longest payload of a packet that has to be read. The longest that servers send are OK packets with session state: a
/// GTID set, or the values of tracked variables.
pub const MAX_TERMINAL: usize = 1 << 20;

/// What kind of response a command has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Results: `COM_QUERY`, `COM_STMT_EXECUTE`, `COM_PROCESS_INFO`.
    Query,
    /// The same, or a cursor: `COM_STMT_EXECUTE` that asks for one.
    Cursor,
    /// A prepared statement: `COM_STMT_PREPARE`.
    Prepare,
    /// Rows without definitions: `COM_STMT_FETCH`. Their end has `CURSOR_EXISTS` while the cursor has more.
    Fetch,
    /// Definitions, each with its column's default value, without a count: `COM_FIELD_LIST`. They end as rows do.
    FieldList,
    /// Events of the binary log, each after a 0x00, for as long as the server has any: `COM_BINLOG_DUMP`, `COM_BINLOG_DUMP_GTID`.
    Events,
    /// One OK (or EOF) or ERR: `COM_INIT_DB`, `COM_PING`, `COM_RESET_CONNECTION`, `COM_STMT_RESET`, `COM_SET_OPTION`, `COM_DEBUG`,
    /// `COM_REFRESH`, `COM_PROCESS_KILL`, `COM_REGISTER_SLAVE`.
    Ok,
    /// One packet of text, or ERR: `COM_STATISTICS`.
    Text,
}

/// What [`ResponseTracker::next`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The first n bytes, at least one, are rows, column definitions, progress reports, or parts of them: pass them on unread.
    Pass(usize),
    /// `buf[..length]` is one whole packet, header included, that has to be read.
    Packet {
        /// What it is.
        kind: PacketKind,
        /// Its bytes, header included.
        length: usize,
    },
    /// Takes no bytes. With `DEPRECATE_EOF`: column or parameter definitions have ended here. A client without it needs an
    /// EOF packet at this place.
    DefinitionsEnd,
    /// `buf` has to hold at least this many bytes before anything can be said.
    NeedMore(usize),
    /// The response has ended before `buf`.
    Done,
}

/// A packet that has to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PacketKind {
    /// OK, in place of a result set.
    Ok,
    /// ERR: the response ends with it, whatever came before.
    Err,
    /// A result set begins; this many column definitions follow.
    ColumnCount(u64),
    /// EOF after definitions (only without `DEPRECATE_EOF`).
    DefinitionsEof,
    /// The end of the rows: EOF, or OK with header 0xFE where the connection has `DEPRECATE_EOF`. Where a cursor was opened, or for
    /// the columns of a table, it follows definitions at once: no [`Self::DefinitionsEof`] or [`Step::DefinitionsEnd`] comes first.
    RowsEnd,
    /// A statement was prepared; definitions of its parameters and columns follow.
    PrepareOk(PrepareOk),
    /// The server asks for the file of a LOAD DATA LOCAL and waits for it; an empty packet refuses. Then OK or ERR follows.
    LocalInfile,
    /// The answer to `COM_STATISTICS`, or the end of events: to be passed on as it is.
    Text,
}

/// What comes next, at the start of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The first packet of a response or of a further result.
    First,
    /// This many definitions, then their end.
    Definitions { left: u64, then: Then },
    /// Rows up to their end; or definitions that come without a count.
    Rows,
    /// Nothing.
    Done,
}

/// What follows definitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Rows,
    /// The definitions of a prepared statement's columns, this many.
    Columns(u64),
    Nothing,
}

impl Then {
    const fn phase(self) -> Phase {
        match self {
            Self::Rows => Phase::Rows,
            Self::Columns(left) => Phase::Definitions { left, then: Self::Nothing },
            Self::Nothing => Phase::Done,
        }
    }
}

/// The position in a response. See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseTracker {
    expect: Expect,
    deprecate_eof: bool,
    phase: Phase,
    /// Bytes left of the physical packet that was passed on in part.
    partial: u32,
    /// The physical packet passed on last was full, so the next one continues it.
    continues: bool,
    /// Of the last packet, shifted.
    sequence: u8,
    /// The number of the next packet, unshifted, where the server's own do not count.
    number: Option<u8>,
    /// Of the present or last result.
    rows: u64,
}

/// Whether a packet can be passed on unread, judged by its start.
enum Front {
    /// Pass it on.
    Body,
    /// Read it.
    Terminal,
}

impl ResponseTracker {
    /// At the start of the response to a command, over a connection with these capabilities.
    pub const fn new(expect: Expect, capabilities: Capabilities) -> Self {
        Self {
            expect,
            deprecate_eof: capabilities.contains(Capabilities::DEPRECATE_EOF),
            phase: match expect {
                Expect::Fetch | Expect::FieldList | Expect::Events => Phase::Rows,
                Expect::Query | Expect::Cursor | Expect::Prepare | Expect::Ok | Expect::Text => Phase::First,
            },
            partial: 0,
            continues: false,
            sequence: 0,
            number: None,
            rows: 0,
        }
    }

    /// Numbers the packets from here on itself, instead of taking the server's numbers. The sequence shift is added to these as well.
    pub const fn number_from(&mut self, number: u8) {
        self.number = Some(number);
    }

    /// The rows of the present result so far, or of the last one.
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// The shifted sequence number of the packet given or begun last. A packet inserted after it has the next number.
    pub const fn last_sequence(&self) -> u8 {
        self.sequence
    }

    /// The response has ended: its last packet was given.
    pub const fn is_done(&self) -> bool {
        matches!(self.phase, Phase::Done)
    }

    /// Looks at `buf`, which starts where the last [`Step::Pass`] or [`Step::Packet`] ended. Adds `sequence_shift` to the
    /// sequence number of every packet that it gives or passes (0 leaves `buf` as it is).
    ///
    /// After an error the connection cannot be used: where the next packet begins is unknown.
    #[inline]
    pub fn next(&mut self, buf: &mut [u8], sequence_shift: u8) -> Result<Step, Malformed> {
        let passed = self.pass(buf, sequence_shift)?;
        if passed > 0 {
            return Ok(Step::Pass(passed));
        }
        if self.partial > 0 {
            return Ok(Step::NeedMore(1));
        }
        if self.continues {
            return Ok(Step::NeedMore(HEADER));
        }
        match self.phase {
            Phase::Done => Ok(Step::Done),
            Phase::Definitions { left: 0, then } if self.deprecate_eof => {
                let may_open = self.expect == Expect::Cursor && then == Then::Rows;
                let opened = if may_open { opens_cursor(buf)? } else { Ahead::Is(false) };
                match opened {
                    Ahead::NeedMore(length) => Ok(Step::NeedMore(length)),
                    Ahead::Is(true) => {
                        self.phase = Phase::Rows;
                        self.packet(buf, sequence_shift)
                    }
                    Ahead::Is(false) => {
                        self.phase = then.phase();
                        Ok(Step::DefinitionsEnd)
                    }
                }
            }
            _ => self.packet(buf, sequence_shift),
        }
    }

    /// Walks over packets and parts of packets that need no reading. Returns how many bytes they take.
    fn pass(&mut self, buf: &mut [u8], sequence_shift: u8) -> Result<usize, Malformed> {
        let mut at = 0_usize;
        loop {
            let mut rest = buf.get_mut(at..).unwrap_or_default();
            if self.phase == Phase::Rows && self.partial == 0 && !self.continues {
                let rows = self.pass_whole_rows(rest, sequence_shift);
                at += rows;
                rest = rest.get_mut(rows..).unwrap_or_default();
            }
            if self.partial > 0 {
                let here = rest.len().min(self.partial as usize);
                if here == 0 {
                    return Ok(at);
                }
                // Not more than `partial`, which is a u32.
                self.partial -= u32::try_from(here).unwrap_or(self.partial);
                at += here;
                continue;
            }
            let Some(header) = Header::parse(rest) else {
                return Ok(at);
            };
            if !self.continues {
                let Some(&first) = rest.get(HEADER) else {
                    return Ok(at);
                };
                match self.front(header, first)? {
                    Front::Body => {}
                    Front::Terminal => return Ok(at),
                }
                match &mut self.phase {
                    Phase::Definitions { left, .. } => *left = left.saturating_sub(1),
                    Phase::Rows => self.rows = self.rows.saturating_add(1),
                    Phase::First | Phase::Done => {}
                }
            }
            self.shift_sequence(rest, sequence_shift);
            self.continues = header.length as usize == MAX_PAYLOAD;
            self.partial = header.length;
            at += HEADER;
        }
    }

    /// The fast path over rows that have arrived completely, as most have. Returns how many bytes they take.
    fn pass_whole_rows(&mut self, buf: &mut [u8], sequence_shift: u8) -> usize {
        let mut at = 0_usize;
        while let Some(rest) = buf.get_mut(at..) {
            let here = rest.len();
            let [low, middle, high, sequence, first, ..] = rest else { break };
            let length = u32::from_le_bytes([*low, *middle, *high, 0]) as usize;
            let may_be_more = *first >= EOF_HEADER || length == 0 || length == MAX_PAYLOAD;
            if may_be_more || here < HEADER + length {
                break;
            }
            if let Some(number) = &mut self.number {
                *sequence = *number;
                *number = number.wrapping_add(1);
            }
            *sequence = sequence.wrapping_add(sequence_shift);
            self.sequence = *sequence;
            self.rows = self.rows.saturating_add(1);
            at += HEADER + length;
        }
        at
    }

    /// Whether the packet that starts here is passed on unread.
    #[inline]
    fn front(&self, header: Header, first: u8) -> Result<Front, Malformed> {
        let length = header.length as usize;
        match self.phase {
            Phase::First | Phase::Done | Phase::Definitions { left: 0, .. } => Ok(Front::Terminal),
            _ if length == 0 => Err(Malformed::new("an empty packet among definitions or rows")),
            Phase::Definitions { .. } => match first {
                ERR_HEADER => Ok(Front::Terminal),
                EOF_HEADER => Err(Malformed::new("definitions end before their count is reached")),
                _ => Ok(Front::Body),
            },
            Phase::Rows => match first {
                ERR_HEADER => Ok(Front::Terminal),
                EOF_HEADER if self.is_rows_end(length) => Ok(Front::Terminal),
                _ => Ok(Front::Body),
            },
        }
    }

    /// A packet with header 0xFE and this length ends the rows, and is no row with a long first value.
    const fn is_rows_end(&self, length: usize) -> bool {
        if self.deprecate_eof { length < MAX_PAYLOAD } else { length < EofPacket::LENGTH_LIMIT }
    }

    /// Reads the packet at the front of `buf`, which cannot be passed on unread.
    fn packet(&mut self, buf: &mut [u8], sequence_shift: u8) -> Result<Step, Malformed> {
        let Some(header) = Header::parse(buf) else {
            return Ok(Step::NeedMore(HEADER));
        };
        let payload_length = header.length as usize;
        if payload_length == 0 {
            return Err(Malformed::new("an empty packet in a response"));
        }
        if buf.len() == HEADER {
            // Only the first byte distinguishes a long row from a packet that has to be read.
            return Ok(Step::NeedMore(HEADER + 1));
        }
        if payload_length > MAX_TERMINAL {
            return Err(Malformed::new("a packet that has to be read is too long"));
        }
        let length = HEADER + payload_length;
        let Some(packet) = buf.get_mut(..length) else {
            return Ok(Step::NeedMore(length));
        };
        let payload = packet.get(HEADER..).unwrap_or_default();
        let step = match self.read(payload)? {
            Some(kind) => Step::Packet { kind, length },
            None => Step::Pass(length),
        };
        self.shift_sequence(packet, sequence_shift);
        Ok(step)
    }

    /// What a payload is, and what follows it. `None` for a progress report, after which everything is as it was.
    fn read(&mut self, payload: &[u8]) -> Result<Option<PacketKind>, Malformed> {
        let first = payload.first().copied().unwrap_or_default();
        if first == ERR_HEADER {
            if ErrPacket::decode(payload)?.is_progress() {
                return Ok(None);
            }
            self.phase = Phase::Done;
            return Ok(Some(PacketKind::Err));
        }
        let kind = match self.phase {
            Phase::First => match self.expect {
                Expect::Query | Expect::Cursor => self.first_of_result(first, payload)?,
                Expect::Prepare => self.prepare_ok(payload)?,
                Expect::Ok => self.single_ok(first, payload)?,
                Expect::Text => {
                    self.phase = Phase::Done;
                    PacketKind::Text
                }
                // Their responses begin with rows, and end with them.
                Expect::Fetch | Expect::FieldList | Expect::Events => {
                    return Err(Malformed::new("a further result of a command that has one"));
                }
            },
            Phase::Definitions { then, .. } => {
                let status = EofPacket::decode(payload)?.status;
                let may_open = self.expect == Expect::Cursor && then == Then::Rows;
                if may_open && status.contains(StatusFlags::CURSOR_EXISTS) {
                    self.end_result(status);
                    PacketKind::RowsEnd
                } else {
                    self.phase = then.phase();
                    PacketKind::DefinitionsEof
                }
            }
            // MySQL ends them with EOF even where the connection has `DEPRECATE_EOF`.
            Phase::Rows if self.expect == Expect::Events => {
                self.phase = Phase::Done;
                PacketKind::Text
            }
            Phase::Rows => {
                self.end_result(self.rows_end_status(payload)?);
                PacketKind::RowsEnd
            }
            Phase::Done => return Err(Malformed::new("a packet after the end of a response")),
        };
        Ok(Some(kind))
    }

    fn first_of_result(&mut self, first: u8, payload: &[u8]) -> Result<PacketKind, Malformed> {
        match first {
            OK_HEADER => {
                self.end_result(ok_status(payload)?);
                Ok(PacketKind::Ok)
            }
            // The phase stays: after the file or its refusal, OK or ERR follows.
            LOCAL_INFILE_HEADER => Ok(PacketKind::LocalInfile),
            _ => {
                let mut reader = Reader::new(payload);
                let count = reader.lenenc_int()?;
                self.rows = 0;
                // No upper limit: a table has 4096 columns at most, but what is selected from it may be any number of them.
                if count == 0 || !reader.is_empty() {
                    return Err(Malformed::new("not the first packet of a result"));
                }
                self.phase = Phase::Definitions { left: count, then: Then::Rows };
                Ok(PacketKind::ColumnCount(count))
            }
        }
    }

    fn prepare_ok(&mut self, payload: &[u8]) -> Result<PacketKind, Malformed> {
        let ok = PrepareOk::decode(payload)?;
        let columns = match ok.columns {
            0 => Then::Nothing,
            count => Then::Columns(u64::from(count)),
        };
        self.phase = match ok.params {
            0 => columns.phase(),
            count => Phase::Definitions { left: u64::from(count), then: columns },
        };
        Ok(PacketKind::PrepareOk(ok))
    }

    fn single_ok(&mut self, first: u8, payload: &[u8]) -> Result<PacketKind, Malformed> {
        let kind = match first {
            OK_HEADER => {
                ok_status(payload)?;
                PacketKind::Ok
            }
            EOF_HEADER => {
                self.rows_end_status(payload)?;
                PacketKind::RowsEnd
            }
            _ => return Err(Malformed::new("neither OK nor ERR")),
        };
        self.phase = Phase::Done;
        Ok(kind)
    }

    /// The status in a packet with header 0xFE.
    fn rows_end_status(&self, payload: &[u8]) -> Result<StatusFlags, Malformed> {
        if self.deprecate_eof { ok_status(payload) } else { EofPacket::decode(payload).map(|eof| eof.status) }
    }

    /// Notes the number of the packet that begins here, after it was replaced and shifted.
    #[inline]
    fn shift_sequence(&mut self, packet: &mut [u8], shift: u8) {
        let [_, _, _, sequence, ..] = packet else { return };
        if let Some(number) = &mut self.number {
            *sequence = *number;
            *number = number.wrapping_add(1);
        }
        *sequence = sequence.wrapping_add(shift);
        self.sequence = *sequence;
    }

    fn end_result(&mut self, status: StatusFlags) {
        let has_more = matches!(self.expect, Expect::Query | Expect::Cursor) && status.contains(StatusFlags::MORE_RESULTS);
        self.phase = if has_more { Phase::First } else { Phase::Done };
    }
}

/// What the next packet says, if it has arrived.
enum Ahead {
    Is(bool),
    /// This many bytes are needed to know.
    NeedMore(usize),
}

/// Whether the packet at the front of `buf`, which follows definitions on a connection with `DEPRECATE_EOF`, says that a cursor was opened. It then
/// ends the result, and a client without `DEPRECATE_EOF` must get one EOF in its place, not two. So it has to be known before
/// [`Step::DefinitionsEnd`] is returned, which would be the second one.
fn opens_cursor(buf: &[u8]) -> Result<Ahead, Malformed> {
    let Some(header) = Header::parse(buf) else { return Ok(Ahead::NeedMore(HEADER)) };
    let length = header.length as usize;
    if length == 0 || length > MAX_TERMINAL {
        return Ok(Ahead::Is(false));
    }
    match buf.get(HEADER) {
        None => return Ok(Ahead::NeedMore(HEADER + 1)),
        Some(&EOF_HEADER) => {}
        Some(_) => return Ok(Ahead::Is(false)),
    }
    match buf.get(HEADER..HEADER + length) {
        None => Ok(Ahead::NeedMore(HEADER + length)),
        Some(payload) => Ok(Ahead::Is(ok_status(payload)?.contains(StatusFlags::CURSOR_EXISTS))),
    }
}

/// The status in an OK packet; what follows it is the reader's business.
fn ok_status(payload: &[u8]) -> Result<StatusFlags, Malformed> {
    let mut reader = Reader::new(payload);
    reader.u8()?;
    reader.lenenc_int()?;
    reader.lenenc_int()?;
    let status = StatusFlags::from_bits_retain(reader.u16()?);
    reader.u16()?;
    Ok(status)
}

#[cfg(test)]
mod tests;
