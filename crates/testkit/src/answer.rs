//! Responses as values: what a [`crate::RawClient`] gets, and what a [`crate::FakeServer`] sends.

use bytes::{BufMut, BytesMut};
use wire::handshake::NONCE;
use wire::packet::put_packet;
use wire::result::{EOF_HEADER, EofPacket, ErrOwned, ErrPacket, OK_HEADER, OkPacket, PrepareOk};
use wire::{Capabilities, Put, Reader, StatusFlags};

/// A nonce for tests.
pub const TEST_NONCE: [u8; NONCE] = *b"abcdefghijklmnopqrst";

/// A value of a row; `None` is NULL. Values of the binary protocol are given as the text protocol would (integers), or as
/// their bytes (everything else).
pub type Value = Option<Vec<u8>>;

/// One step of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// OK in place of a result set.
    Ok {
        /// Rows changed.
        affected_rows: u64,
        /// The first generated id.
        last_insert_id: u64,
        /// The session's state.
        status: StatusFlags,
        /// How many warnings.
        warnings: u16,
        /// The message.
        info: Vec<u8>,
        /// The block of session state.
        session_state: Vec<u8>,
    },
    /// ERR.
    Err(ErrOwned),
    /// A result set that came to its end.
    Rows(Rows),
}

/// A result set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rows {
    /// The columns' names.
    pub columns: Vec<String>,
    /// The rows.
    pub rows: Vec<Vec<Value>>,
    /// The session's state after them.
    pub status: StatusFlags,
    /// How many warnings.
    pub warnings: u16,
    /// The block of session state after them.
    pub session_state: Vec<u8>,
}

impl Answer {
    /// An OK without anything.
    pub const fn ok() -> Self {
        Self::Ok {
            affected_rows: 0,
            last_insert_id: 0,
            status: StatusFlags::AUTOCOMMIT,
            warnings: 0,
            info: Vec::new(),
            session_state: Vec::new(),
        }
    }

    /// An error.
    pub fn err(code: u16, sqlstate: [u8; 5], message: &str) -> Self {
        Self::Err(ErrOwned { code, sqlstate, message: message.as_bytes().to_vec() })
    }

    /// A result set of texts.
    pub fn rows(columns: &[&str], rows: &[&[&str]]) -> Self {
        let value = |text: &&str| Some(text.as_bytes().to_vec());
        Self::Rows(Rows {
            columns: columns.iter().map(|&name| name.to_owned()).collect(),
            rows: rows.iter().map(|row| row.iter().map(value).collect()).collect(),
            status: StatusFlags::AUTOCOMMIT,
            ..Rows::default()
        })
    }

    /// The same, with another session state.
    #[must_use]
    pub fn with_status(mut self, new: StatusFlags) -> Self {
        match &mut self {
            Self::Ok { status, .. } | Self::Rows(Rows { status, .. }) => *status = new,
            Self::Err(_) => {}
        }
        self
    }

    /// The error; panics if it is none.
    #[track_caller]
    pub fn expect_err(self) -> ErrOwned {
        match self {
            Self::Err(err) => err,
            other => panic!("not an error: {other:?}"),
        }
    }

    /// The result set; panics if it is none.
    #[track_caller]
    pub fn expect_rows(self) -> Rows {
        match self {
            Self::Rows(rows) => rows,
            other => panic!("not a result set: {other:?}"),
        }
    }

    /// Panics if it is not an OK.
    #[track_caller]
    pub fn expect_ok(self) {
        assert!(matches!(self, Self::Ok { .. }), "not an OK: {self:?}");
    }

    /// Appends its packets as a server sends them (text protocol). Returns the next sequence number.
    pub fn put(&self, out: &mut BytesMut, sequence: u8, capabilities: Capabilities) -> u8 {
        match self {
            Self::Ok { affected_rows, last_insert_id, status, warnings, info, session_state } => {
                let ok = OkPacket {
                    affected_rows: *affected_rows,
                    last_insert_id: *last_insert_id,
                    status: *status,
                    warnings: *warnings,
                    info,
                    session_state,
                };
                wire::put_packet_with(out, sequence, |out| ok.encode(OK_HEADER, capabilities, out))
            }
            Self::Err(err) => wire::put_packet_with(out, sequence, |out| err.as_packet().encode(out)),
            Self::Rows(rows) => rows.put(out, sequence, capabilities),
        }
    }

    /// Its packets as a whole response to a command.
    pub fn to_bytes(&self, capabilities: Capabilities) -> Vec<u8> {
        let mut out = BytesMut::new();
        self.put(&mut out, 1, capabilities);
        out.to_vec()
    }
}

impl Rows {
    /// The only value of the only row, as text; panics if there is another number of either.
    #[track_caller]
    pub fn single(&self) -> String {
        match self.rows.as_slice() {
            [row] => match row.as_slice() {
                [Some(value)] => String::from_utf8(value.clone()).expect("text"),
                other => panic!("not a single value: {other:?}"),
            },
            other => panic!("not a single row: {other:?}"),
        }
    }

    fn put(&self, out: &mut BytesMut, sequence: u8, capabilities: Capabilities) -> u8 {
        let mut sequence = put_packet(out, sequence, &lenenc(self.columns.len() as u64));
        for name in &self.columns {
            sequence = put_packet(out, sequence, &definition(name));
        }
        let deprecates_eof = capabilities.contains(Capabilities::DEPRECATE_EOF);
        let eof = EofPacket { warnings: self.warnings, status: self.status };
        if !deprecates_eof {
            sequence = wire::put_packet_with(out, sequence, |out| eof.encode(out));
        }
        for row in &self.rows {
            sequence = wire::put_packet_with(out, sequence, |out| {
                for value in row {
                    match value {
                        None => out.put_u8(0xfb),
                        Some(bytes) => out.put_lenenc_bytes(bytes),
                    }
                }
            });
        }
        wire::put_packet_with(out, sequence, |out| {
            if deprecates_eof {
                OkPacket { session_state: &self.session_state, ..eof.to_ok() }.encode(EOF_HEADER, capabilities, out);
            } else {
                eof.encode(out);
            }
        })
    }
}

fn lenenc(value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    out.put_lenenc_int(value);
    out
}

/// A column definition of a text column with this name.
pub fn definition(name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for text in ["def", "", "", "", name, name] {
        out.put_lenenc_bytes(text.as_bytes());
    }
    out.put_lenenc_int(0x0c);
    out.put_u16_le(45);
    out.put_u32_le(1024);
    out.put_u8(TEXT_TYPE);
    out.put_u16_le(0);
    out.put_u8(31);
    out.put_u16_le(0);
    out
}

/// `MYSQL_TYPE_VAR_STRING`.
pub const TEXT_TYPE: u8 = 0xfd;

/// A successful answer to `COM_STMT_PREPARE`, with definitions of as many text parameters and columns.
pub fn prepared(statement: PrepareOk, capabilities: Capabilities) -> Vec<u8> {
    let mut out = BytesMut::new();
    let mut sequence = wire::put_packet_with(&mut out, 1, |out| statement.encode(out));
    for count in [statement.params, statement.columns] {
        for _ in 0..count {
            sequence = put_packet(&mut out, sequence, &definition("?"));
        }
        if count > 0 && !capabilities.contains(Capabilities::DEPRECATE_EOF) {
            let eof = EofPacket { warnings: 0, status: StatusFlags::AUTOCOMMIT };
            sequence = wire::put_packet_with(&mut out, sequence, |out| eof.encode(out));
        }
    }
    out.to_vec()
}

/// Name, type, and whether it is unsigned, of a column definition.
pub(crate) fn read_definition(payload: &[u8]) -> (String, u8, bool) {
    let mut reader = Reader::new(payload);
    let texts: Vec<_> = (0..6).map(|_| reader.lenenc_bytes().expect("a column definition")).collect();
    let mut rest = || -> Result<_, wire::Malformed> {
        reader.lenenc_int()?;
        reader.take(6)?;
        Ok((reader.u8()?, reader.u16()?))
    };
    let (kind, flags) = rest().expect("a column definition");
    (String::from_utf8_lossy(texts[4]).into_owned(), kind, flags & 0x20 != 0)
}

pub(crate) fn read_text_row(payload: &[u8]) -> Vec<Value> {
    let mut reader = Reader::new(payload);
    let mut row = Vec::new();
    while !reader.is_empty() {
        let mut ahead = reader;
        if ahead.u8() == Ok(0xfb) {
            reader = ahead;
            row.push(None);
        } else {
            row.push(Some(reader.lenenc_bytes().expect("a text row").to_vec()));
        }
    }
    row
}

pub(crate) fn read_binary_row(payload: &[u8], columns: &[(String, u8, bool)]) -> Vec<Value> {
    let mut reader = Reader::new(payload);
    assert_eq!(reader.u8(), Ok(0), "a binary row begins with 0x00");
    let nulls = reader.take((columns.len() + 2).div_ceil(8)).expect("a binary row");
    let is_null = |column: usize| nulls[(column + 2) / 8] >> ((column + 2) % 8) & 1 == 1;
    let row = columns.iter().enumerate();
    row.map(|(at, (_, kind, unsigned))| (!is_null(at)).then(|| read_binary_value(&mut reader, *kind, *unsigned))).collect()
}

#[expect(clippy::cast_possible_wrap, reason = "that is how the protocol means a signed integer")]
fn read_binary_value(reader: &mut Reader<'_>, kind: u8, unsigned: bool) -> Vec<u8> {
    let truncated = "a value of a binary row";
    let text = match (kind, unsigned) {
        (0x01, true) => reader.u8().expect(truncated).to_string(),
        (0x01, false) => (reader.u8().expect(truncated) as i8).to_string(),
        (0x02 | 0x0d, true) => reader.u16().expect(truncated).to_string(),
        (0x02 | 0x0d, false) => (reader.u16().expect(truncated) as i16).to_string(),
        (0x03 | 0x09, true) => reader.u32().expect(truncated).to_string(),
        (0x03 | 0x09, false) => (reader.u32().expect(truncated) as i32).to_string(),
        (0x08, true) => reader.u64().expect(truncated).to_string(),
        (0x08, false) => (reader.u64().expect(truncated) as i64).to_string(),
        (0x04, _) => f32::from_bits(reader.u32().expect(truncated)).to_string(),
        (0x05, _) => f64::from_bits(reader.u64().expect(truncated)).to_string(),
        // Dates and times have a length of one byte, everything else a length-encoded one: the same below 251.
        _ => return reader.lenenc_bytes().expect(truncated).to_vec(),
    };
    text.into_bytes()
}

/// An OK or ERR packet as an [`Answer`].
pub(crate) fn read_verdict(payload: &[u8], capabilities: Capabilities) -> Answer {
    if payload.first() == Some(&wire::result::ERR_HEADER) {
        return Answer::Err(ErrPacket::decode(payload).expect("an ERR packet").to_owned());
    }
    let ok = OkPacket::decode(payload, capabilities).expect("an OK packet");
    Answer::Ok {
        affected_rows: ok.affected_rows,
        last_insert_id: ok.last_insert_id,
        status: ok.status,
        warnings: ok.warnings,
        info: ok.info.to_vec(),
        session_state: ok.session_state.to_vec(),
    }
}
